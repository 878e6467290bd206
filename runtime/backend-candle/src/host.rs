//! The operations between the matrix products, on slices, for CPUs.

mod attention;
mod cache;
mod elementwise;
pub(crate) mod offsets;
mod parallel;
mod simd;

pub(crate) use attention::attention;
pub(crate) use cache::Cache;
pub(crate) use elementwise::{add, add_bias, rms_norm, rope, silu_mul};

use alcazar_core::BackendError;
use candle_core::{CpuStorage, Device, Storage, Tensor};

use crate::backend::device_error;

/// Lends a tensor's numbers, rows one after the other.
fn with_values<T>(
    op: &'static str,
    x: &Tensor,
    f: impl FnOnce(&[f32]) -> Result<T, BackendError>,
) -> Result<T, BackendError> {
    let (storage, layout) = x.storage_and_layout();
    let values = match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => {
            layout.contiguous_offsets().and_then(|(from, to)| values.get(from..to))
        }
        _ => None,
    };
    match values {
        Some(values) => f(values),
        None => Err(BackendError::Shape {
            op,
            found: format!("{:?} of {:?} on {:?}", x.dims(), x.dtype(), x.device().location()),
            expected: "contiguous f32 in host memory".to_owned(),
        }),
    }
}

fn to_tensor(op: &'static str, values: Vec<f32>, width: usize) -> Result<Tensor, BackendError> {
    let shape = (values.len() / width.max(1), width);
    Tensor::from_vec(values, shape, &Device::Cpu).map_err(|error| device_error(op, format!("{shape:?}"), error))
}

fn width(op: &'static str, x: &Tensor, expected: Option<usize>) -> Result<usize, BackendError> {
    match (x.dims(), expected) {
        (&[_, width], None) if width > 0 => Ok(width),
        (&[_, width], Some(expected)) if width == expected && width > 0 => Ok(width),
        (found, _) => Err(BackendError::Shape {
            op,
            found: format!("{found:?}"),
            expected: format!("rows of {}", expected.map_or("numbers".to_owned(), |width| width.to_string())),
        }),
    }
}
