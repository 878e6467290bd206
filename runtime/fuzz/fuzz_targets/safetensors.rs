//! A safetensors file beside the configuration of a small model.
#![no_main]

use alcazar_fuzz::in_directory;
use libfuzzer_sys::fuzz_target;

const CONFIG: &[u8] = include_bytes!("../../models/testdata/llama/config.json");

fuzz_target!(|data: &[u8]| {
    in_directory(&[("config.json", CONFIG), ("tokenizer.json", b"{}"), ("model.safetensors", data)], |dir| {
        drop(alcazar_formats::open(dir));
    });
});
