//! Real models under all that the engine does to save work: each answer is the one it would be alone.

use std::collections::HashMap;

use alcazar_engine::Load;

use super::*;

fn shaped(on: On, path: &Path, config: EngineConfig) -> Engine {
    Engine::new(open(on, path), config)
}

/// Prompts that begin alike, of many lengths, chosen greedily and by chance.
fn requests(tokens: &[TokenId]) -> Vec<Request> {
    let lengths = [1, 16, 17, 20, 3, 18, 9, 16];
    let one = |(nth, length): (usize, usize)| {
        let mut prompt = tokens[..length.min(tokens.len())].to_vec();
        // Twice the same text: the end has been before.
        prompt.extend_from_within(..prompt.len().min(12));
        let temperature = if nth % 3 == 2 { 0.8 } else { 0.0 };
        let sampling = Sampling { temperature, seed: Some(nth as u64), ..Sampling::default() };
        Request { prompt, max_tokens: Some(28), sampling, ..Request::default() }
    };
    (0..).zip(lengths.into_iter().chain(lengths)).map(one).collect()
}

fn answers(mut engine: Engine, requests: Vec<Request>) -> (Vec<Vec<TokenId>>, Load) {
    let n_requests = requests.len();
    for request in requests {
        engine.submit(request).unwrap();
    }
    let mut answers: HashMap<SeqId, Vec<TokenId>> = HashMap::new();
    while !engine.is_idle() {
        for effect in engine.step() {
            match effect {
                Effect::Token { id, token, .. } => answers.entry(id).or_default().push(token),
                Effect::Failed { error, .. } => panic!("{error}"),
                Effect::Started { .. } | Effect::Scored { .. } | Effect::Finished { .. } => {}
            }
        }
    }
    let ids = (0..n_requests as u64).map(SeqId);
    (ids.map(|id| answers.remove(&id).unwrap_or_default()).collect(), engine.load())
}

#[test]
fn an_answer_is_the_same_alone_and_with_all_that_saves_work() {
    for reference in references() {
        let path = testdata(&format!("{}.gguf", reference["name"].as_str().unwrap()));
        let all = requests(&tokens(&reference["tokens"]));
        let config = EngineConfig {
            max_sequences: 16,
            max_queued: 100,
            max_queued_tokens: 10_000,
            step_tokens: 23,
            context_length: 64,
            seed: 1,
            speculation: Speculation::default(),
        };
        for on in [On::Candle, On::SERVED] {
            let (together, load) = answers(shaped(on, &path, config), all.clone());
            assert!(load.preemptions_total > 0 && load.cache_found_total > 0, "{load:?}");
            assert!(load.guessed_right_total > 0 && load.guessed_right_total < load.guessed_tokens_total, "{load:?}");
            for (request, together) in all.iter().zip(together) {
                let request = Request { computes_all: true, ..request.clone() };
                let whole = EngineConfig { step_tokens: 64, ..config };
                let (alone, load) = answers(shaped(on, &path, whole), vec![request]);
                assert_eq!((load.cache_found_total, load.guessed_tokens_total), (0, 0));
                assert_eq!(alone, [together], "{}", path.display());
            }
        }
    }
}
