//! `/v1/question-answering`: where in a text the answer stands.

use std::sync::Arc;

use alcazar_core::Head;
use alcazar_text::{EncodedText, Span, Tokenizer};
use axum::{
    Json,
    extract::{Request, State},
};
use serde_json::{Value, json};

use super::{ApiError, Input, encode, read, scores::softmax};
use crate::{
    api::generate::Header,
    app::{App, NotServed},
};

/// As transformers' pipeline has it.
const DEFAULT_ANSWER_TOKENS: i64 = 15;

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Json<Value>, ApiError> {
    let mut asked = read(&app, request).await?;
    if asked.served.config.head != Head::QuestionAnswering {
        return Err(NotServed::OfTask(asked.served.config.head.task()).into());
    }
    let missing = |field: &'static str| ApiError::field(field, "missing_required_parameter", "is missing");
    let question = asked.fields.string("question")?.ok_or_else(|| missing("question"))?;
    let context = asked.fields.string("context")?.ok_or_else(|| missing("context"))?;
    let most = asked.fields.integer("max_answer_tokens", 1..=1 << 20)?.unwrap_or(DEFAULT_ANSWER_TOKENS);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let inputs = vec![Input::Text { first: question, second: Some(context.clone()) }];
    let encoded = encode(&asked, "context", inputs, of_the_context).await?;
    let best = match (encoded.texts.first(), encoded.rows.first()) {
        (Some(text), Some(rows)) => best(text, rows, most),
        _ => None,
    };
    let Some((score, start, end)) = best else {
        return Err(ApiError::field("context", "invalid_value", "must not be empty"));
    };
    let answer: String = context.chars().skip(start).take(end - start).collect();
    let Header { id, model, .. } = Header::new("answer", app.model_name.clone());
    let usage = encoded.usage();
    Ok(Json(json!({
        "id": id, "model": model, "answer": answer, "score": score, "start": start, "end": end, "usage": usage,
    })))
}

fn of_the_context(text: &EncodedText, _: &Tokenizer) -> Vec<usize> {
    let found: Vec<usize> = context(text).map(|(nth, _)| nth).collect();
    // A context of nothing still has to run before the caller is told.
    if found.is_empty() { vec![0] } else { found }
}

fn context(text: &EncodedText) -> impl Iterator<Item = (usize, Span)> {
    let spans = text.spans.iter().enumerate();
    spans.filter_map(|(nth, span)| span.filter(|span| span.text == 1).map(|span| (nth, span)))
}

/// The likeliest beginning and end that are in order and at most `most` tokens apart: probability, first character, one
/// behind the last.
fn best(text: &EncodedText, rows: &[Vec<f32>], most: usize) -> Option<(f32, usize, usize)> {
    let spans: Vec<Span> = context(text).map(|(_, span)| span).collect();
    let column = |nth: usize| -> Vec<f32> { rows.iter().filter_map(|row| row.get(nth).copied()).collect() };
    let (starts, ends) = (softmax(&column(0)), softmax(&column(1)));
    let mut best: Option<(f32, usize, usize)> = None;
    for (from, (start, span)) in starts.iter().zip(&spans).enumerate() {
        for (end, last) in ends.iter().zip(&spans).skip(from).take(most) {
            if best.is_none_or(|(score, ..)| start * end > score) {
                best = Some((start * end, span.start, last.end));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_behind_its_beginning_and_is_short_enough() {
        let span = |n: usize| Some(Span { text: 1, start: n, end: n + 1 });
        let question = Some(Span { text: 0, start: 0, end: 9 });
        let text =
            EncodedText { spans: vec![None, question, span(0), span(1), span(2), span(3)], ..EncodedText::default() };
        let rows =
            |starts: [f32; 4], ends: [f32; 4]| starts.iter().zip(ends).map(|(a, b)| vec![*a, b]).collect::<Vec<_>>();
        let place = |rows: &[Vec<f32>], most| best(&text, rows, most).map(|(_, start, end)| (start, end));
        let found = rows([0.0, 9.0, 0.0, 0.0], [0.0, 0.0, 0.0, 9.0]);
        assert_eq!(place(&found, 15), Some((1, 4)));
        assert_eq!(place(&found, 2), Some((1, 2)), "the likeliest of those that are short enough");
        let crossed = rows([0.0, 0.0, 0.0, 9.0], [9.0, 0.0, 0.0, 0.0]);
        assert_ne!(place(&crossed, 15), Some((3, 1)), "never backwards");
    }
}
