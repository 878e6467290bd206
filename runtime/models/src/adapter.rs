//! LoRA adapters: which of a model's matrices each changes, and what that adds to the rows that use it.
//!
//! An adapter names the matrices of Hugging Face's modules. What a file of the base has otherwise, its own names, fused
//! matrices, rows in another order, is said by the `layout`.

mod delta;
mod layout;

use std::collections::BTreeSet;

use alcazar_core::{AdapterModule, AdapterSource, DecoderConfig, RawTensor};

use crate::LoadError;
pub(crate) use delta::{Adapted, Delta, Deltas};
pub(crate) use layout::{Layout, Part, Place};

/// Checks that an adapter was made for a model of this kind and size. Reads no weight.
pub fn check_adapter(config: &DecoderConfig, adapter: &dyn AdapterSource) -> Result<(), LoadError> {
    fit(&Layout::new(config), adapter).map(|_| ())
}

/// One of an adapter's matrices and where it goes.
pub(crate) struct Fit<'a> {
    pub(crate) module: &'a AdapterModule,
    pub(crate) place: Place<'a>,
}

/// Finds the places of all of an adapter's matrices.
pub(crate) fn fit<'a>(layout: &'a Layout, adapter: &'a dyn AdapterSource) -> Result<Vec<Fit<'a>>, LoadError> {
    let refused = |message: String| LoadError::Adapter { adapter: adapter.name().to_owned(), message };
    let mut taken = BTreeSet::new();
    let one = |module: &'a AdapterModule| {
        let place = layout.find(&module.module).map_err(refused)?;
        let (found, expected) = ([module.n_out, module.n_in], place.slot.shape);
        if found != expected {
            return Err(refused(format!(
                "{} is {found:?} in it and {expected:?} in the model; use the base that it was made for",
                module.module
            )));
        }
        if !taken.insert((place.layer, place.slot.module)) {
            return Err(refused(format!("{} is in it twice; save it again with PEFT", module.module)));
        }
        Ok(Fit { module, place })
    };
    adapter.modules().iter().map(one).collect()
}

/// A and B of a matrix, of the shapes that the adapter claims.
pub(crate) fn matrices<'a>(
    adapter: &'a dyn AdapterSource,
    module: &AdapterModule,
) -> Result<[RawTensor<'a>; 2], LoadError> {
    let [a, b] = &module.tensors;
    let read = |name: &str, expected: [usize; 2]| {
        let raw = adapter.read(name)?;
        if raw.shape == expected {
            return Ok(raw);
        }
        Err(LoadError::Shape { name: name.to_owned(), found: raw.shape, expected: expected.to_vec() })
    };
    Ok([read(a, [module.rank, module.n_in])?, read(b, [module.n_out, module.rank])?])
}
