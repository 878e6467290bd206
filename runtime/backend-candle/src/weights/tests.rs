//! Every weight type of GGUF files, against the numbers that the `gguf` package finds in the same random blocks.

use std::path::Path;

use alcazar_core::{WeightSource, WeightType};
use alcazar_formats::{ModelFiles, model::open};
use candle_core::Device;

use super::Matrix;

fn files() -> ModelFiles {
    open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/testdata/types.gguf")).unwrap()
}

fn expected(files: &ModelFiles, name: &str) -> Vec<f32> {
    let raw = files.read(&format!("expected.{name}")).unwrap();
    raw.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn found(files: &ModelFiles, name: &str) -> (WeightType, Vec<f32>) {
    let raw = files.read(&format!("stored.{name}")).unwrap();
    let matrix = Matrix::new(&raw, &Device::Cpu).unwrap();
    let rows = matrix.lookup(&[0, 1], &Device::Cpu).unwrap();
    (raw.weight_type, rows.flatten_all().unwrap().to_vec1().unwrap())
}

#[test]
fn what_a_type_stores_is_what_the_reference_finds() {
    let files = files();
    for name in ["F16", "BF16", "Q4_0", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q4_1"] {
        let (weight_type, found) = found(&files, name);
        assert_eq!(weight_type.to_string(), name);
        assert_eq!(found, expected(&files, name), "{name}");
    }
}

#[test]
fn what_is_unpacked_loses_nothing() {
    let files = files();
    for (name, becomes) in [
        ("IQ4_NL", WeightType::Q8_0),
        ("IQ4_XS", WeightType::F32),
        ("MXFP4", WeightType::Q8_0),
        ("MXFP4_far", WeightType::BF16),
    ] {
        let (weight_type, found) = found(&files, name);
        assert_eq!(weight_type, becomes, "{name}");
        assert_eq!(found, expected(&files, name), "{name}");
    }
}
