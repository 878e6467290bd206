//! What is told of the firewall. Pure.

use std::collections::BTreeSet;

use alcazar_crds::{
    conditions::DeploymentCondition as Type, llm_deployment::IsolationMode, reasons::DeploymentReason as Reason,
};

use super::{Seen, isolation::Finding, keep};
use crate::conditions::{Desired, Truth};

/// Condition `NetworkIsolated`.
pub(super) fn condition(seen: Seen<'_>, finding: &Finding) -> Desired {
    let of = |status: Truth, reason: Reason, message: String| {
        Desired::new(Type::NetworkIsolated.as_str(), status, reason.as_str(), message)
    };
    let unproven = || of(Truth::Unknown, Reason::IsolationUnproven, "no proof from every ready pod yet".to_owned());
    match finding {
        Finding::Proven => {
            let targets = seen.valid.isolation_targets.join(", ");
            let message = format!("every pod tries again and again to reach {targets}, and cannot");
            of(Truth::True, Reason::IsolationProven, message)
        }
        Finding::Broken(reached) => of(Truth::False, Reason::IsolationBroken, broken(seen, reached)),
        Finding::Unproven => unproven(),
        Finding::AsBefore => seen.old().and_then(|old| keep(old, Type::NetworkIsolated)).unwrap_or_else(unproven),
    }
}

/// What was reached, and the mend.
pub(super) fn broken(seen: Seen<'_>, reached: &BTreeSet<String>) -> String {
    let reached = reached.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let serves = match seen.valid.isolation {
        IsolationMode::Required => "so it serves nothing",
        IsolationMode::BestEffort => "and serves all the same, as spec.network.isolation asks for",
    };
    format!(
        "a pod reached {reached}, which it must not, {serves}: the cluster's network does not enforce NetworkPolicies, or \
         another policy allows it; install a network plugin that does, or look for further policies in this namespace"
    )
}
