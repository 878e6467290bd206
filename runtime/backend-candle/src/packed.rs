//! What must hold before packed attention runs, so that it may index without a second thought.

use alcazar_core::{BackendError, PackedAttention};
use candle_core::Tensor;

pub(crate) fn check(qkv: [&Tensor; 3], spec: &PackedAttention<'_, Tensor>) -> Result<(), BackendError> {
    let wrong = |found: String, expected: String| Err(BackendError::Shape { op: "packed_attention", found, expected });
    let width = spec.n_heads * spec.head_dim;
    let n_rows: usize = spec.lengths.iter().sum();
    for x in qkv {
        if x.dims() != [n_rows, width] || x.elem_count() == 0 {
            return wrong(format!("{:?}", x.dims()), format!("{n_rows} rows of {width}"));
        }
    }
    if spec.lengths.contains(&0) {
        return wrong("a sequence of no rows".to_owned(), "at least one".to_owned());
    }
    if let Some(bias) = spec.bias {
        let expected = spec.n_heads * (2 * bias.reach + 1);
        if bias.values.len() != expected {
            return wrong(format!("{} biases", bias.values.len()), expected.to_string());
        }
    }
    let Some(relative) = &spec.relative else { return Ok(()) };
    if relative.buckets.len() != 2 * relative.reach + 1 {
        return wrong(format!("{} buckets", relative.buckets.len()), (2 * relative.reach + 1).to_string());
    }
    let n_buckets = relative.buckets.iter().max().map_or(0, |last| *last as usize + 1);
    for table in [relative.keys, relative.queries].into_iter().flatten() {
        let fits = table.dims2().is_ok_and(|(rows, found)| rows >= n_buckets && found == width);
        if !fits {
            return wrong(format!("{:?}", table.dims()), format!("at least {n_buckets} rows of {width}"));
        }
    }
    Ok(())
}
