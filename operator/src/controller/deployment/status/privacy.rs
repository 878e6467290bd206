//! What is told of prompts that may be kept. Pure.

use alcazar_crds::{conditions::DeploymentCondition as Type, reasons::DeploymentReason as Reason};

use crate::conditions::Desired;

/// Condition `PromptLogging`: there only while it is true.
pub(super) fn condition(days: Option<i32>) -> Desired {
    let message = days.map(|days| {
        let unit = if days == 1 { "day" } else { "days" };
        format!(
            "prompts and answers may be written to the gateway's log and must be gone after {days} {unit}, as \
             spec.privacy asks for; write promptLogging: Disabled to stop it"
        )
    });
    let reason = Reason::PromptLoggingEnabled.as_str();
    Desired::new(Type::PromptLogging.as_str(), message.is_some(), reason, message.unwrap_or_default())
}
