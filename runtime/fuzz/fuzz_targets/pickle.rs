//! The pickle of a legacy checkpoint, behind the parts that most changes would break first.
#![no_main]

use alcazar_fuzz::{convert_all, in_directory};
use libfuzzer_sys::fuzz_target;

/// Magic number, version, facts about the machine.
const HEAD: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
/// The key of a storage, and two numbers.
const TAIL: &[u8] = b"\x80\x02]X\x01\0\0\x000a.\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fuzz_target!(|data: &[u8]| in_directory(&[("pytorch_model.bin", &[HEAD, data, TAIL].concat())], convert_all));
