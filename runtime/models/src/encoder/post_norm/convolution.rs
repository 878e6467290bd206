//! DeBERTa's convolution over neighbouring tokens, beside the first layer.

use alcazar_core::{Activation, Backend, BackendError, EncoderConfig, PackedBatch, RawTensor, encoder};

use super::super::Norm;
use crate::{LoadError, weights::Loader};

pub(super) struct Convolution<B: Backend> {
    /// One matrix for each neighbour, from the one farthest behind to the one farthest ahead.
    taps: Vec<B::Matrix>,
    bias: B::Vector,
    norm: Norm<B>,
    activation: Activation,
}

impl<B: Backend> Convolution<B> {
    pub(super) fn load(
        loader: &Loader<'_, B>,
        below: &str,
        config: &EncoderConfig,
        shape: encoder::Convolution,
    ) -> Result<Self, LoadError> {
        let (hidden, n_taps) = (config.hidden, shape.n_taps);
        let name = format!("{below}encoder.conv.conv.weight");
        // [out, in, taps] in the file.
        let values = loader.raw(&name, &[hidden, hidden, n_taps])?.to_f32()?;
        let tap = |nth: usize| {
            let values: Vec<f32> = values.iter().skip(nth).step_by(n_taps).copied().collect();
            loader.put_matrix(&RawTensor::from_f32(&name, &[hidden, hidden], &values))
        };
        Ok(Self {
            taps: (0..n_taps).map(tap).collect::<Result<_, _>>()?,
            bias: loader.vector(&format!("{below}encoder.conv.conv.bias"), hidden)?,
            norm: Norm::load(loader, &format!("{below}encoder.conv.LayerNorm"), hidden, config.norm_epsilon)?,
            activation: shape.activation,
        })
    }

    /// # Shapes
    /// - x and output: `[rows, hidden]`
    pub(super) fn rows(&self, backend: &B, x: &B::Tensor, batch: &PackedBatch) -> Result<B::Tensor, BackendError> {
        let middle = self.taps.len() / 2;
        let Some(own) = self.taps.get(middle) else { return backend.rows(x, &[]) };
        let mut sum = backend.linear(x, own, Some(&self.bias))?;
        for (nth, tap) in self.taps.iter().enumerate().filter(|(nth, _)| *nth != middle) {
            let (from, to) = neighbours(&batch.lengths, nth, middle);
            if !from.is_empty() {
                let part = backend.linear(&backend.rows(x, &from)?, tap, None)?;
                sum = backend.add_rows(sum, &to, &vec![1.0; to.len()], &part)?;
            }
        }
        backend.activate(sum, self.activation)
    }

    pub(super) fn join(&self, backend: &B, x: B::Tensor, convolved: &B::Tensor) -> Result<B::Tensor, BackendError> {
        self.norm.apply(backend, &backend.add(x, convolved)?)
    }
}

/// Rows that a tap reads, and those that they are added to, within each text.
fn neighbours(lengths: &[usize], tap: usize, middle: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut from, mut to, mut first) = (Vec::new(), Vec::new(), 0);
    for length in lengths {
        for at in 0..*length {
            if let Some(source) = (at + tap).checked_sub(middle).filter(|source| source < length) {
                from.push(first + source);
                to.push(first + at);
            }
        }
        first += length;
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::neighbours;

    #[test]
    fn a_tap_stays_within_its_text() {
        assert_eq!(neighbours(&[3, 1, 2], 0, 1), (vec![0, 1, 4], vec![1, 2, 5]), "the token before");
        assert_eq!(neighbours(&[3, 1, 2], 2, 1), (vec![1, 2, 5], vec![0, 1, 4]), "the token behind");
    }
}
