//! Reasons on the conditions of `LlmApiKey`.

use super::closed_enum;

closed_enum! {
    /// Why a condition of an `LlmApiKey` has its status.
    pub enum ApiKeyReason {
        /// The key opens its models.
        Active,
        /// The operator has not got to it yet, or waits for its own last step to show.
        Pending,
        /// state is Revoked: the key is refused, on purpose.
        Revoked,
        /// expiresAt has passed: the key is refused.
        Expired,
        /// An older LlmApiKey has the same hash and counts; the message names it. Delete one of them.
        Duplicate,
        /// A Secret of that name exists and is not ours; delete it, or make a key with another secretName.
        SecretConflict,
        /// The Secret could not be written; the message has the API server's words.
        SecretRefused,
        /// The Secret held no key any more: a new one was made, and the old one is refused. Only in Events.
        Replaced,
        /// The spec cannot work although the API server took it; the message names the field and what to write.
        InvalidSpec,
    }
}
