//! A GGUF file: header, metadata, tensors.
#![no_main]

use alcazar_fuzz::in_directory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    in_directory(&[("x.gguf", data)], |dir| drop(alcazar_formats::open(dir)));
});
