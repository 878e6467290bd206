//! An adapter's settings, or its matrices beside sound settings; the first byte says which.
#![no_main]

use alcazar_core::{AdapterSource as _, WeightSource as _};
use alcazar_formats::{Adapter, adapter};
use alcazar_fuzz::in_directory;
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../../../tests/fixtures/adapters/llama-yarn/ranks/adapter_config.json");
const WEIGHTS: &[u8] = include_bytes!("../../../tests/fixtures/adapters/llama-yarn/ranks/adapter_model.safetensors");

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    let (config, weights) = if which % 2 == 0 { (data, WEIGHTS) } else { (CONFIG, data) };
    in_directory(&[(adapter::CONFIG, config), (adapter::WEIGHTS, weights)], |dir| {
        let Ok(adapter) = Adapter::open("fuzzed", dir) else { return };
        for tensor in adapter.modules().iter().flat_map(|module| &module.tensors) {
            drop(adapter.read(tensor));
        }
    });
});
