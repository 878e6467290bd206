//! A checkpoint of PyTorch, zip or legacy, all the way to safetensors.
#![no_main]

use alcazar_fuzz::{convert_all, in_directory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| in_directory(&[("pytorch_model.bin", data)], convert_all));
