//! Why an operation on a device failed.

/// Carries the operation and the shapes it met.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Operands do not fit each other; a fault of the program or of a malformed model.
    #[error("failed to run {op}: found {found}, expected {expected}")]
    Shape {
        /// Operation.
        op: &'static str,
        /// What came.
        found: String,
        /// What it takes.
        expected: String,
    },
    /// The step's description contradicts itself; a fault of the engine.
    #[error("failed to accept a batch: {message}")]
    Batch {
        /// What is wrong.
        message: String,
    },
    /// The device refused.
    #[error("failed to run {op} on {shapes}")]
    Device {
        /// Operation.
        op: &'static str,
        /// Shapes of its operands.
        shapes: String,
        /// What the device said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The scores are not numbers.
    #[error("failed to use the scores of {row}: they are not finite")]
    NotFinite {
        /// Which sequence.
        row: String,
    },
}
