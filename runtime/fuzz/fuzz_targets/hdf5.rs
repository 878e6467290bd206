//! A file of Keras, all the way to safetensors.
#![no_main]

use alcazar_fuzz::{convert_all, in_directory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| in_directory(&[("tf_model.h5", data)], convert_all));
