//! Weights of every type against their dequantised selves.

use alcazar_core::{Backend, RawTensor, WeightType};
use candle_core::{
    Device,
    quantized::{GgmlDType, QTensor},
};

use super::{HOST, difference, tensor};

fn quantised(weight_type: WeightType, dtype: GgmlDType, shape: &[usize; 2]) -> RawTensor<'static> {
    let source = tensor(shape[0], shape[1], 5);
    let data = QTensor::quantize(&source, dtype).unwrap().data().unwrap().into_owned();
    RawTensor { name: "w".to_owned(), weight_type, shape: shape.to_vec(), data: data.into() }
}

#[test]
fn every_weight_type_multiplies_as_its_dequantised_self() {
    use GgmlDType as G;
    for (weight_type, dtype, tolerance) in [
        (WeightType::F32, G::F32, 1e-5),
        (WeightType::F16, G::F16, 1e-3),
        (WeightType::BF16, G::BF16, 1e-3),
        // The activations are rounded to 8 bits as well: about 0.4 % of the products' size.
        (WeightType::Q4_0, G::Q4_0, 0.01),
        (WeightType::Q4_1, G::Q4_1, 0.01),
        (WeightType::Q5_0, G::Q5_0, 0.01),
        (WeightType::Q5_1, G::Q5_1, 0.01),
        (WeightType::Q8_0, G::Q8_0, 0.01),
        (WeightType::Q2_K, G::Q2K, 0.01),
        (WeightType::Q3_K, G::Q3K, 0.01),
        (WeightType::Q4_K, G::Q4K, 0.01),
        (WeightType::Q5_K, G::Q5K, 0.01),
        (WeightType::Q6_K, G::Q6K, 0.01),
    ] {
        let raw = quantised(weight_type, dtype, &[48, 512]);
        let matrix = HOST.matrix(&raw).unwrap();
        let all: Vec<u32> = (0..48).collect();
        // Rows of the table are the dequantised weights.
        let table = HOST.embedding(&matrix, &all).unwrap();
        for rows in [1, 2, 19] {
            let x = tensor(rows, 512, 7);
            let expected = x.matmul(&table.t().unwrap()).unwrap();
            let found = HOST.linear(&x, &matrix, None).unwrap();
            let size = expected.sqr().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
            let error = difference(&found, &expected) / size;
            assert!(error < tolerance * 4.0, "{weight_type} with {rows} rows: {error}");
        }
    }
}

/// The other test takes the rows of the table for the truth; Q4_1 is not kept as it is in the file.
#[test]
fn rows_of_q4_1_are_those_of_the_file() {
    let source = tensor(200, 96, 5);
    let expected = QTensor::quantize(&source, GgmlDType::Q4_1).unwrap().dequantize(&Device::Cpu).unwrap();
    let matrix = HOST.matrix(&quantised(WeightType::Q4_1, GgmlDType::Q4_1, &[200, 96])).unwrap();
    let all: Vec<u32> = (0..200).collect();
    assert!(difference(&HOST.embedding(&matrix, &all).unwrap(), &expected) < 1e-6);
}

#[test]
fn mxfp4_keeps_its_numbers() {
    // Codes 0 to 15 in the lower halves of the bytes, 15 to 0 in the upper ones; exponents of 1, of 2⁻²⁴ and below it.
    let codes: Vec<u8> = (0..16u8).map(|code| code | (15 - code) << 4).collect();
    let data: Vec<u8> = [127u8, 105, 3].into_iter().flat_map(|e| [&[e], codes.as_slice()].concat()).collect();
    let raw = RawTensor { name: "w".into(), weight_type: WeightType::MXFP4, shape: vec![3, 32], data: data.into() };
    let numbers = [0.0f32, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0];
    let signed: Vec<f32> = numbers.iter().copied().chain(numbers.iter().map(|x| -x)).collect();
    let expected: Vec<f32> = signed.iter().chain(signed.iter().rev()).copied().collect();
    let found = HOST.to_host(&HOST.embedding(&HOST.matrix(&raw).unwrap(), &[0, 1, 2]).unwrap()).unwrap();
    assert_eq!(found[..32], expected);
    let small: Vec<f32> = expected.iter().map(|x| x * (-22f32).exp2()).collect();
    assert_eq!(found[32..64], small);
    assert!(found[64..].iter().all(|found| found.abs() < 1e-6));
    let huge = RawTensor { data: [[200u8].as_slice(), &codes].concat().into(), shape: vec![1, 32], ..raw };
    assert!(HOST.matrix(&huge).is_err());
}
