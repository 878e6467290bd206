//! Reasons on the conditions of `LlmModel`.

use super::closed_enum;

closed_enum! {
    /// Why a condition of an `LlmModel` has its status.
    pub enum ModelReason {
        /// The spec makes sense and is allowed here.
        Accepted,
        /// The operator has not got to it yet, or waits for its own last step to show.
        Pending,
        /// The claim is bound to a volume.
        VolumeBound,
        /// The claim will be bound when the first pod that uses it has a node; that is the storage class's wish.
        WaitingForConsumer,
        /// The files are being fetched; status.progress says how far.
        Fetching,
        /// The files are on the volume and being hashed and checked.
        Verifying,
        /// The files are sealed, and their digest is the expected one.
        Sealed,
        /// The object is being deleted.
        Deleting,

        /// The spec cannot work although the API server took it; the message names the field and what to write.
        InvalidSpec,
        /// A child's name is taken by an object that is not ours; rename one of them or delete the other.
        NameConflict,
        /// The Secret that the source names does not exist; create it in this namespace.
        SecretMissing,
        /// The Secret exists but lacks the key that the source needs; add it.
        SecretInvalid,

        /// The operator's settings require a digest for every model; set spec.digest.
        DigestRequired,
        /// The operator's settings require a signature for every model; set spec.signature.
        SignatureRequired,
        /// The operator's settings require encryption for every model; set spec.encryption.
        EncryptionRequired,
        /// The operator's settings do not allow this StorageClass; the message lists those they allow.
        StorageClassNotAllowed,
        /// The Secret or ConfigMap with the key does not exist; create it in this namespace.
        KeyMissing,
        /// The Secret or ConfigMap with the key holds no key that can be used; the message says what is wrong.
        KeyInvalid,

        /// The claim waits for a volume; the message has the provisioner's words.
        ClaimPending,
        /// The claim that source.persistentVolumeClaim names does not exist; create it or correct the name.
        ClaimMissing,
        /// The claim has lost its volume; restore it, or delete the model and make it anew.
        ClaimLost,
        /// The StorageClass does not exist, or none is marked as default; create it or name another.
        StorageClassMissing,
        /// A ResourceQuota or LimitRange refuses the claim or the Job; the message says which.
        QuotaExceeded,
        /// The volume could not be grown to the new size; the message has the reason.
        ResizeFailed,

        /// The pod of the Job was refused by the API server, by Pod Security or an admission policy.
        PodRefused,
        /// No node can run the pod of the Job; the message has the scheduler's words.
        Unschedulable,
        /// The runtime's image cannot be pulled; the message has the registry's words.
        ImagePullFailed,
        /// The volume or a Secret could not be mounted into the pod.
        MountFailed,
        /// The pod was killed because it used more memory than its limit.
        OutOfMemory,
        /// The node evicted the pod, or was lost; another attempt follows.
        Evicted,
        /// The container ended without a report; the message has its exit code and last words.
        FetchCrashed,

        /// The source wants credentials, or refused those it got (401); name a Secret with a valid token.
        SourceUnauthorized,
        /// The credentials are known and not enough (403); ask the owner for access.
        SourceForbidden,
        /// Repository, revision or file does not exist (404); correct the spec.
        SourceNotFound,
        /// The name of the host does not resolve; correct it or the cluster's DNS.
        SourceNotResolved,
        /// No connection, a broken one, or a server error, after all retries; further attempts follow.
        SourceUnreachable,
        /// The host, scheme or address is not allowed by the operator's settings; nothing was sent.
        SourceNotAllowed,
        /// The files have another digest than expected; nothing was sealed, and the message has both.
        DigestMismatch,
        /// The files have no signature although one is asked for; nothing was sealed.
        SignatureMissing,
        /// The signature is not of these files, or not of the signer that is asked for; nothing was sealed.
        SignatureInvalid,
        /// The bytes are no model: cut off, an HTML page, absurd dimensions.
        InvalidModel,
        /// A sound file whose format or architecture the runtime does not serve; the message lists what it serves.
        UnsupportedModel,
        /// The volume is full; make storage.size larger.
        VolumeFull,
        /// The volume cannot be read or written; the message has the system's words.
        VolumeFailed,
        /// The fetch did not understand what it was told to do: operator and runtime do not fit together.
        InvalidSource,
    }
}
