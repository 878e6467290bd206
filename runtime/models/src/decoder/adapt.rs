//! Puts adapters on the device, beside the matrices that they change.

use alcazar_core::{AdapterId, AdapterSource, Backend, DecoderConfig, RawTensor};

use super::Decoder;
use crate::{
    LoadError,
    adapter::{Delta, Fit, Layout, Part, fit, matrices},
};

impl<B: Backend> Decoder<B> {
    /// Takes adapters over; sequences name them by their place in the list.
    pub(crate) fn adapt(&mut self, config: &DecoderConfig, adapters: &[&dyn AdapterSource]) -> Result<(), LoadError> {
        let layout = Layout::new(config);
        for adapter in adapters {
            let id = AdapterId(u32::try_from(self.n_adapters).unwrap_or(u32::MAX));
            for fit in fit(&layout, *adapter)? {
                self.take(id, *adapter, &fit)?;
            }
            self.n_adapters += 1;
        }
        Ok(())
    }

    fn take(&mut self, adapter: AdapterId, source: &dyn AdapterSource, fit: &Fit<'_>) -> Result<(), LoadError> {
        let [a, b] = matrices(source, fit.module)?;
        let down = self.adapters.len();
        self.adapters.push(self.put(&a)?);
        for (part, rows) in &fit.place.slot.parts {
            let up = match rows {
                None => self.put(&b)?,
                Some(rows) => self.put(&b.rows(rows.iter().copied())?)?,
            };
            let delta = Delta { adapter, down, up, scale: fit.module.scale };
            let deltas = match (fit.place.layer, part) {
                (None, Part::Scores) => Some(&mut self.output.deltas),
                (Some(nth), part) => self.layers.get_mut(nth).and_then(|layer| layer.deltas(*part)),
                (None, _) => None,
            };
            let missing = || LoadError::Unfit { message: format!("found no {part:?} for {}", fit.module.module) };
            deltas.ok_or_else(missing)?.push(delta);
        }
        Ok(())
    }

    fn put(&self, raw: &RawTensor<'_>) -> Result<B::Matrix, LoadError> {
        self.backend.matrix(raw).map_err(|source| LoadError::Device { name: raw.name.clone(), source })
    }
}
