//! The same encoders from GGUF (tests/reference/encoders_gguf.py): the same numbers, and close ones where they are quantised.

use alcazar_core::Head;

use super::{On, TOLERANCE, Text, difference, fixtures, open, packed, references};

fn files(folder: &str) -> Vec<(String, Vec<Text>)> {
    let there = references().into_iter().filter(|(name, _)| fixtures().join(name).join(folder).exists());
    there.map(|(name, texts)| (format!("{name}/{folder}"), texts)).collect()
}

/// The format has no word for what follows the pooling, so vectors always get length 1.
fn normalised(rows: &[Vec<f32>], head: &Head) -> Vec<Vec<f32>> {
    let one = |row: &Vec<f32>| {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / length).collect()
    };
    if matches!(head, Head::Embedding(_)) { rows.iter().map(one).collect() } else { rows.to_vec() }
}

#[test]
fn every_encoder_is_the_same_from_gguf() {
    let files = files("gguf");
    assert_eq!(files.len(), 11);
    for (name, texts) in files {
        for on in On::ALL {
            let mut encoder = open(&name, on);
            for text in &texts {
                let found = encoder.forward(&packed(&[text], false)).unwrap();
                let error = difference(&found, &normalised(&text.rows, &encoder.config().head));
                assert!(error <= TOLERANCE, "{name}: off by {error} for {} tokens", text.tokens.len());
            }
        }
    }
}

#[test]
fn quantised_encoders_are_close() {
    let files = files("gguf-quantised");
    assert_eq!(files.len(), 2);
    for (name, texts) in files {
        for on in On::ALL {
            let mut encoder = open(&name, on);
            for text in &texts {
                let found = encoder.forward(&packed(&[text], false)).unwrap();
                let expected = normalised(&text.rows, &encoder.config().head);
                let cosine: f32 = found[0].iter().zip(&expected[0]).map(|(a, b)| a * b).sum();
                assert!(cosine > 0.998, "{name}: cosine {cosine}");
            }
        }
    }
}

#[test]
fn labels_come_along() {
    let encoder = open("roberta-classify/gguf", On::SERVED);
    assert!(
        matches!(&encoder.config().head, Head::Classification(head) if head.labels == ["calm", "glad", "cross"]),
        "{:?}",
        encoder.config().head
    );
}
