//! What a GGUF file may and may not be.

use std::io::Write as _;

use alcazar_core::WeightType;
use proptest::prelude::*;

use super::{Array, Header, Value, read_header, write::GgufWriter};
use crate::{Error, error::Class, file::SourceFile};

fn read(bytes: &[u8]) -> Result<Header, Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read_header(&SourceFile::open(file.path()).unwrap())
}

fn small() -> GgufWriter {
    GgufWriter::default()
        .text("general.architecture", "llama")
        .number("llama.block_count", 2)
        .pair("llama.rope.freq_base", Value::Float(10_000.0))
        .pair("tokenizer.ggml.add_bos_token", Value::Bool(true))
        .texts("tokenizer.ggml.tokens", ["a", "b", "é"])
        .pair("tokenizer.ggml.token_type", Value::Array(Array::Integers(vec![1, -3, 1])))
        .pair("tokenizer.ggml.scores", Value::Array(Array::Floats(vec![0.5, -1.0, 0.0])))
        .floats("norm", &[4], &[1.0, 2.0, 3.0, 4.0])
        .tensor("matrix", WeightType::Q4_1, &[2, 64], vec![7; 80])
}

#[test]
fn both_versions_are_read() {
    for version in [2, 3] {
        let header = read(&small().version(version).finish()).unwrap();
        assert_eq!(header.metadata.str("general.architecture"), Some("llama"));
        assert_eq!(header.metadata.u64("llama.block_count"), Some(2));
        assert_eq!(header.metadata.f64("llama.rope.freq_base"), Some(10_000.0));
        assert_eq!(header.metadata.bool("tokenizer.ggml.add_bos_token"), Some(true));
        assert_eq!(header.metadata.strings("tokenizer.ggml.tokens").unwrap()[2], "é");
        assert_eq!(header.metadata.integers("tokenizer.ggml.token_type"), Some([1, -3, 1].as_slice()));
        assert_eq!(header.metadata.floats("tokenizer.ggml.scores"), Some([0.5, -1.0, 0.0].as_slice()));
        let matrix = &header.tensors["matrix"];
        assert_eq!(
            (matrix.weight_type, matrix.shape.as_slice(), matrix.n_bytes),
            (WeightType::Q4_1, [2, 64].as_slice(), 80)
        );
        assert_eq!(matrix.offset % 32, 0);
    }
}

/// The file with `bytes` written at the end of the first `needle`.
fn patched(file: &[u8], needle: &[u8], bytes: &[u8]) -> Vec<u8> {
    let at = file.windows(needle.len()).position(|window| window == needle).unwrap() + needle.len();
    let mut file = file.to_vec();
    file[at..at + bytes.len()].copy_from_slice(bytes);
    file
}

#[test]
fn each_malformed_file_is_refused_with_what_was_found() {
    let good = small().finish();
    let cut = good[..good.len() - 1].to_vec();
    let huge = u64::MAX.to_le_bytes();
    let many = (1u64 << 40).to_le_bytes();
    // After a tensor's name: u32 dimensions, u64 each, u32 type, u64 offset.
    for (bytes, expected) in [
        (b"<!DOCTYPE html><html></html>".to_vec(), "<!DO"),
        (Vec::new(), "4 bytes more"),
        (good[..10].to_vec(), "8 bytes more"),
        (cut, "cut off"),
        (patched(&good, b"GGUF\x03\0\0\0", &huge), "tensors"),
        (patched(&good, b"GGUF\x03\0\0\0", &many), "1099511627776 tensors"),
        (patched(&good, b"llama.block_count", &[77]), "value type 77"),
        (patched(&good, b"tokenizer.ggml.tokens\x09\0\0\0\x08\0\0\0", &huge), "array elements"),
        (patched(&good, b"tokenizer.ggml.tokens\x09\0\0\0", &[9]), "array of type 9"),
        (patched(&good, b"norm", &[0]), "0 dimensions"),
        (patched(&good, b"norm", &[9]), "9 dimensions"),
        (patched(&good, b"norm\x01\0\0\0", &huge), "dimension 18446744073709551615"),
        (patched(&good, b"norm\x01\0\0\0", &[0; 8]), "dimension 0"),
        (patched(&good, b"norm\x01\0\0\0", &(1u64 << 39).to_le_bytes()), "cut off"),
        (patched(&good, b"norm\x01\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0", &huge), "offset 18446744073709551615"),
        (patched(&good, b"norm\x01\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0", &[1]), "offset 1 "),
        (patched(&good, b"norm\x01\0\0\0\x04\0\0\0\0\0\0\0\0\0\0\0", &[32]), "inside tensor"),
        (patched(&good, b"norm\x01\0\0\0\x04\0\0\0\0\0\0\0", &[200]), "type 200"),
        (patched(&good, b"matrix\x02\0\0\0", &[48]), "whole Q4_1 blocks"),
        (small().number("llama.block_count", 3).finish(), "twice"),
        (small().floats("norm", &[1], &[1.0]).finish(), "twice"),
        (small().number("general.alignment", 3).finish(), "general.alignment 3"),
        (small().number("general.alignment", 0).finish(), "general.alignment 0"),
    ] {
        let error = read(&bytes).expect_err(expected);
        assert_eq!(error.class(), Class::Invalid, "{error}");
        assert!(error.to_string().contains(expected), "{error} should say {expected}");
    }
}

#[test]
fn what_is_sound_but_not_served_is_told_apart() {
    let good = small().finish();
    for (bytes, expected) in [
        (patched(&good, b"GGUF", &4u32.to_le_bytes()), "version 4"),
        (patched(&good, b"GGUF", &3u32.to_be_bytes()), "big-endian"),
        (patched(&good, b"norm\x01\0\0\0\x04\0\0\0\0\0\0\0", &[19]), "IQ1_S"),
    ] {
        let error = read(&bytes).expect_err(expected);
        assert_eq!(error.class(), Class::Unsupported, "{error}");
        assert!(error.to_string().contains(expected), "{error} should say {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_mutation_makes_the_reader_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        shortened in any::<bool>(),
    ) {
        let mut bytes = small().finish();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if shortened {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(header) = read(&bytes) {
            for tensor in header.tensors.values() {
                prop_assert!(tensor.offset + tensor.n_bytes <= bytes.len() as u64);
            }
        }
    }

    #[test]
    fn no_garbage_makes_the_reader_panic(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend(tail);
        drop(read(&bytes));
    }
}
