//! A config.json beside the weights of a small model.
#![no_main]

use alcazar_fuzz::in_directory;
use libfuzzer_sys::fuzz_target;

const WEIGHTS: &[u8] = include_bytes!("../../models/testdata/llama/model.safetensors");

fuzz_target!(|data: &[u8]| {
    in_directory(&[("config.json", data), ("tokenizer.json", b"{}"), ("model.safetensors", WEIGHTS)], |dir| {
        drop(alcazar_formats::open(dir));
    });
});
