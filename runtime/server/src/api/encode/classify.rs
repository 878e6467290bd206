//! `/v1/classify`: labels of texts, or of the words in them.

use std::sync::Arc;

use alcazar_core::{Head, encoder::Classification};
use alcazar_text::{EncodedText, Tokenizer};
use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};

use super::{
    ApiError, Asked, Encoded, Input, encode, inputs, none, read,
    scores::{largest, sigmoid, softmax},
};
use crate::{
    api::generate::Header,
    app::{App, NotServed},
};

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let mut asked = read(&app, request).await?;
    let (data, usage) = match &asked.served.config.head {
        Head::Classification(head) => {
            let inputs = inputs(&mut asked.fields, true)?;
            texts(&asked, inputs, head).await?
        }
        Head::TokenClassification(labels) => {
            let inputs = inputs(&mut asked.fields, false)?;
            words(&asked, inputs, labels).await?
        }
        head => return Err(NotServed::OfTask(head.task()).into()),
    };
    let Header { id, created, model } = Header::new("classify", app.model_name.clone());
    Ok(Json(json!({"id": id, "object": "list", "created": created, "model": model, "data": data, "usage": usage})))
}

async fn texts(asked: &Asked<'_>, inputs: Vec<Input>, head: &Classification) -> Result<(Vec<Value>, Value), ApiError> {
    let encoded = encode(asked, "input", inputs, none).await?;
    let judged = encoded.rows.iter().enumerate().map(|(index, rows)| {
        let scores = rows.first().map(Vec::as_slice).unwrap_or_default();
        let probabilities = probabilities(scores, head);
        let label = largest(&probabilities).and_then(|(nth, _)| head.labels.get(nth));
        let all: Vec<Value> = head
            .labels
            .iter()
            .zip(&probabilities)
            .map(|(label, score)| json!({"label": label, "score": score}))
            .collect();
        let n_classes = probabilities.len();
        json!({"index": index, "label": label, "probs": probabilities, "num_classes": n_classes, "labels": all})
    });
    Ok((judged.collect(), encoded.usage()))
}

/// A single label and labels that may hold together have a probability each; others share one.
fn probabilities(scores: &[f32], head: &Classification) -> Vec<f32> {
    if head.is_multi_label || head.labels.len() == 1 {
        scores.iter().map(|score| sigmoid(*score)).collect()
    } else {
        softmax(scores)
    }
}

async fn words(asked: &Asked<'_>, inputs: Vec<Input>, labels: &[String]) -> Result<(Vec<Value>, Value), ApiError> {
    let originals: Vec<Input> = inputs.clone();
    let encoded = encode(asked, "input", inputs, of_the_text).await?;
    let Encoded { texts, rows } = &encoded;
    let all = originals.iter().zip(texts).zip(rows).enumerate();
    let data = all.map(|(index, ((input, text), rows))| {
        let original = match input {
            Input::Text { first, .. } => first.as_str(),
            Input::Tokens(_) => "",
        };
        json!({"index": index, "entities": entities(original, text, rows, labels)})
    });
    Ok((data.collect(), encoded.usage()))
}

/// All tokens that stand for a piece of the text.
fn of_the_text(text: &EncodedText, _: &Tokenizer) -> Vec<usize> {
    let is_own = |nth: &usize| text.spans.get(*nth).is_some_and(Option::is_none);
    let wanted: Vec<usize> = (0..text.tokens.len()).filter(|nth| !is_own(nth)).collect();
    // A text of nothing but the model's own tokens still has to run.
    if wanted.is_empty() { vec![0] } else { wanted }
}

#[derive(Debug)]
struct Entity {
    label: String,
    scores: Vec<f32>,
    start: usize,
    end: usize,
}

/// Stretches of neighbouring tokens with one label, as transformers' `aggregation_strategy="simple"` makes them: `B-`
/// begins a new one, `I-` goes on; tokens outside (`O`) belong to none.
fn entities(original: &str, text: &EncodedText, rows: &[Vec<f32>], labels: &[String]) -> Vec<Value> {
    let spans = text.spans.iter().flatten();
    let mut found: Vec<Entity> = Vec::new();
    let mut goes_on = false;
    for (span, scores) in spans.zip(rows) {
        let Some((nth, score)) = largest(&softmax(scores)) else { continue };
        let label = labels.get(nth).map(String::as_str).unwrap_or_default();
        let (begins, name) = match label.split_once('-') {
            Some(("B", name)) => (true, name),
            Some(("I", name)) => (false, name),
            _ => (false, label),
        };
        if label == "O" {
            goes_on = false;
            continue;
        }
        match found.last_mut().filter(|last| goes_on && !begins && last.label == name) {
            Some(last) => {
                last.end = span.end;
                last.scores.push(score);
            }
            None => {
                found.push(Entity { label: name.to_owned(), scores: vec![score], start: span.start, end: span.end });
            }
        }
        goes_on = true;
    }
    found.into_iter().map(|entity| entity.told(original)).collect()
}

impl Entity {
    fn told(self, original: &str) -> Value {
        let text: String = original.chars().skip(self.start).take(self.end - self.start).collect();
        #[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^23 tokens")]
        let score = self.scores.iter().sum::<f32>() / self.scores.len() as f32;
        json!({"label": self.label, "score": score, "start": self.start, "end": self.end, "text": text})
    }
}

#[cfg(test)]
mod tests {
    use alcazar_text::Span;

    use super::*;

    #[test]
    fn neighbours_with_one_label_are_one_entity() {
        let labels = ["O", "B-PER", "I-PER", "LOC"].map(str::to_owned);
        let best = |nth: usize| (0..4).map(|n| if n == nth { 100.0 } else { 0.0 }).collect::<Vec<f32>>();
        let rows = [1, 2, 1, 0, 3, 3, 0, 2].map(best);
        let span = |n: usize| Some(Span { text: 0, start: n, end: n + 1 });
        let text = EncodedText { spans: (0..8).map(span).collect(), ..EncodedText::default() };
        let found = entities("abcdéfgh", &text, &rows, &labels);
        let told: Vec<_> = found.iter().map(|entity| (entity["label"].as_str(), entity["text"].as_str())).collect();
        let told: Vec<_> = told.into_iter().map(|(label, text)| (label.unwrap(), text.unwrap())).collect();
        assert_eq!(told, [("PER", "ab"), ("PER", "c"), ("LOC", "éf"), ("PER", "h")]);
        assert!((found[0]["score"].as_f64().unwrap() - 1.0).abs() < 1e-6);
    }
}
