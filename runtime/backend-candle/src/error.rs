//! From candle's errors to ours: with the operation and the shapes it met.

use alcazar_core::BackendError;
use candle_core::Tensor;

/// For `map_err`: `op` failed on `tensors`.
pub(crate) fn failed(op: &'static str, tensors: &[&Tensor]) -> impl FnOnce(candle_core::Error) -> BackendError + use<> {
    let shapes = tensors.iter().map(|tensor| format!("{:?}", tensor.dims())).collect::<Vec<_>>().join(", ");
    move |source| BackendError::Device { op, shapes, source: Box::new(source) }
}
