//! The operations between the matrix products, on slices, for CPUs.

mod activation;
mod attention;
mod cache;
mod norm;
pub(crate) mod offsets;
mod packed;
mod parallel;
mod rope;
mod simd;
mod softmax;
mod sum;

pub(crate) use activation::{activate, gate, scale};
pub(crate) use attention::attention;
pub(crate) use cache::Cache;
pub(crate) use norm::{layer_norm, rms_norm};
pub(crate) use packed::packed_attention;
pub(crate) use rope::rope;
pub(crate) use sum::{add, add_bias, add_rows};

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

fn same_shape(op: &'static str, a: &Tensor, b: &Tensor) -> Result<usize, BackendError> {
    if a.dims() == b.dims() {
        return width(op, a, None);
    }
    Err(BackendError::Shape {
        op,
        found: format!("{:?} and {:?}", a.dims(), b.dims()),
        expected: "equal shapes".to_owned(),
    })
}
