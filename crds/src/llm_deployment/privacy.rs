//! `spec.privacy`: what may be kept of what people write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{self, Rule, rules};

const PRIVACY_RULES: [Rule; 2] = [
    Rule {
        rule: "!has(self.promptLogging) || self.promptLogging != 'Enabled' || has(self.retentionDays)",
        message: "must set retentionDays (1 to 90) with promptLogging: Enabled",
    },
    Rule {
        rule: "!has(self.retentionDays) || (has(self.promptLogging) && self.promptLogging == 'Enabled')",
        message: "must not set retentionDays while promptLogging is Disabled: nothing is kept",
    },
];

/// What may be kept of what people write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&PRIVACY_RULES)))]
pub struct Privacy {
    /// `Disabled`: no program of ours writes a word of a prompt or an answer anywhere. `Enabled`: the gateway may
    /// write prompts and answers to its audit log, and the condition `PromptLogging` says so.
    #[serde(default)]
    pub prompt_logging: PromptLogging,
    /// Days after which logged text must be gone, 1 to 90. Needed with `promptLogging: Enabled`. Example: `7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::retention_days")]
    pub retention_days: Option<i32>,
}

/// Whether prompts and answers may be logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PromptLogging {
    /// Never.
    #[default]
    Disabled,
    /// For `retentionDays`.
    Enabled,
}
