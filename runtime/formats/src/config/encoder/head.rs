//! What an encoder was trained for: by its class in `config.json`, or by sentence-transformers' `modules.json`.

use alcazar_core::{
    Head,
    encoder::{Classification, Pooling, SentenceEmbedding, Stage},
};
use serde_json::Value;

use crate::{Error, config::hugging_face::Keys, error::excerpt};

/// More labels than any published model has.
const MAX_LABELS: usize = 1 << 16;

/// The class that `architectures` names; a bare model gives embeddings, the mean of its rows at length 1.
pub(super) fn read(keys: &Keys<'_>) -> Result<Head, Error> {
    let class = keys.json.pointer("/architectures/0").and_then(Value::as_str).unwrap_or("Model");
    let (_, kind) = class.split_once("For").unwrap_or(("", "Model"));
    Ok(match kind {
        "Model" => Head::Embedding(SentenceEmbedding {
            pooling: Pooling::Mean,
            stages: vec![Stage::Normalize],
            max_tokens: None,
            prompt: None,
        }),
        "SequenceClassification" => Head::Classification(Classification {
            labels: labels(keys)?,
            is_multi_label: keys.json.get("problem_type").and_then(Value::as_str) == Some("multi_label_classification"),
            judges_mean: keys.json.get("classifier_pooling").and_then(Value::as_str) == Some("mean"),
        }),
        "TokenClassification" => Head::TokenClassification(labels(keys)?),
        "MaskedLM" | "PreTraining" => Head::FillMask,
        "QuestionAnswering" => Head::QuestionAnswering,
        other => {
            let expected = "a bare model, ForSequenceClassification, ForTokenClassification, ForMaskedLM or \
                            ForQuestionAnswering";
            return Err(Error::unsupported(keys.file, format!("a class for {}", excerpt(other)), expected));
        }
    })
}

/// `id2label`, by number; without it two, as transformers has it.
fn labels(keys: &Keys<'_>) -> Result<Vec<String>, Error> {
    let malformed = |found: String| Err(Error::malformed(keys.file, 0, found, "a label for each number from 0 on"));
    let Some(map) = keys.json.get("id2label").and_then(Value::as_object) else {
        let n_labels = keys.json.get("num_labels").and_then(Value::as_u64).unwrap_or(2);
        return match usize::try_from(n_labels) {
            Ok(n_labels @ 1..=MAX_LABELS) => Ok((0..n_labels).map(|nth| format!("LABEL_{nth}")).collect()),
            _ => malformed(format!("num_labels {n_labels}")),
        };
    };
    if map.is_empty() || map.len() > MAX_LABELS {
        return malformed(format!("{} labels", map.len()));
    }
    let label = |nth: usize| map.get(&nth.to_string()).and_then(Value::as_str).map(str::to_owned);
    match (0..map.len()).map(label).collect() {
        Some(labels) => Ok(labels),
        None => malformed("an id2label with a gap".to_owned()),
    }
}
