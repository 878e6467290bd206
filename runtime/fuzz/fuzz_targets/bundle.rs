//! The table of a TensorFlow checkpoint over a file of zeros.
#![no_main]

use alcazar_fuzz::{convert_all, in_directory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    in_directory(&[("x.index", data), ("x.data-00000-of-00001", &[0; 4096])], convert_all);
});
