//! Every weight type of GGUF files, against the numbers that the `gguf` package finds in the same random blocks.

use std::path::Path;

use alcazar_core::{RawTensor, WeightSource, WeightType};
use alcazar_formats::{ModelFiles, model::open};
use candle_core::{Device, Tensor};

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
fn what_becomes_another_type_loses_nothing() {
    let files = files();
    for (name, becomes) in [
        ("IQ4_NL", WeightType::Q8_0),
        ("IQ4_XS", WeightType::F32),
        // It becomes Q8_0 or BF16 here, not when it is read.
        ("MXFP4", WeightType::MXFP4),
        ("MXFP4_far", WeightType::MXFP4),
    ] {
        let (weight_type, found) = found(&files, name);
        assert_eq!(weight_type, becomes, "{name}");
        assert_eq!(found, expected(&files, name), "{name}");
    }
}

#[test]
fn every_weight_type_multiplies_as_its_dequantised_self() {
    let files = files();
    for name in ["F16", "BF16", "Q4_0", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q4_1"] {
        let matrix = Matrix::new(&files.read(&format!("stored.{name}")).unwrap(), &Device::Cpu).unwrap();
        let rows = matrix.lookup(&[0, 1], &Device::Cpu).unwrap();
        let n_in = rows.dims()[1];
        let x: Vec<f32> = (0..u16::try_from(3 * n_in).unwrap()).map(|n| f32::from(n % 37) / 18.0 - 1.0).collect();
        let x = Tensor::from_vec(x, (3, n_in), &Device::Cpu).unwrap();
        let expected = x.matmul(&rows.t().unwrap()).unwrap();
        let error = (matrix.multiply(&x).unwrap() - &expected).unwrap().abs().unwrap().max_all().unwrap();
        // Candle rounds the activations to 8 bits as well.
        let size = expected.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(error.to_scalar::<f32>().unwrap() < 0.03 * size, "{name}");
    }
}

#[test]
fn mxfp4_keeps_its_numbers() {
    // Codes 0 to 15 in the lower halves of the bytes, 15 to 0 in the upper ones; exponents of 1 and of 2⁻²².
    let codes: Vec<u8> = (0..16u8).map(|code| code | (15 - code) << 4).collect();
    let data: Vec<u8> = [127u8, 105].into_iter().flat_map(|e| [&[e], codes.as_slice()].concat()).collect();
    let raw = RawTensor { name: "w".into(), weight_type: WeightType::MXFP4, shape: vec![2, 32], data: data.into() };
    let numbers = [0.0f32, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let signed: Vec<f32> = numbers.iter().copied().chain(numbers.iter().map(|x| -x)).collect();
    let expected: Vec<f32> = signed.iter().chain(signed.iter().rev()).copied().collect();
    let small: Vec<f32> = expected.iter().map(|x| x * (-22f32).exp2()).collect();
    let matrix = Matrix::new(&raw, &Device::Cpu).unwrap();
    let found = matrix.lookup(&[0, 1], &Device::Cpu).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(found, [expected, small]);
}
