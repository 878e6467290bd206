//! What comes out follows the grammar, whatever the model prefers.

use proptest::prelude::*;

use super::*;
use crate::tokenizer::tests::bytes_and_pairs;

fn compiler() -> (Tokenizer, GrammarCompiler) {
    let tokenizer = bytes_and_pairs();
    let compiler = GrammarCompiler::new(&tokenizer).unwrap();
    (tokenizer, compiler)
}

/// An answer of a model that prefers tokens by chance, and whether it came to an end.
fn answer(tokenizer: &Tokenizer, mut state: GrammarState, seed: u64, max_tokens: usize) -> (String, bool) {
    let (mut tokens, mut random) = (Vec::new(), seed);
    for _ in 0..max_tokens {
        let mut scores: Vec<f32> = (0..tokenizer.vocabulary() + 3)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                f32::from(u16::try_from(random >> 48).unwrap())
            })
            .collect();
        // Ends as soon as it may, half of the times.
        if state.may_end().unwrap() && random >> 63 == 0 {
            return (tokenizer.decode(&tokens), true);
        }
        state.mask(&mut scores).unwrap();
        let best = scores.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert!(best.1.is_finite(), "something must be allowed");
        let token = TokenId(u32::try_from(best.0).unwrap());
        tokens.push(token);
        if state.advance(token).unwrap() {
            return (tokenizer.decode(&tokens), true);
        }
    }
    (tokenizer.decode(&tokens), false)
}

#[test]
fn each_kind_is_followed_to_its_end() {
    let (tokenizer, compiler) = compiler();
    for seed in 0..40 {
        let run = |grammar: Grammar| answer(&tokenizer, compiler.compile(&grammar).unwrap(), seed, 4000);
        let (text, ended) = run(Grammar::Regex("(ab|ba){2}-[0-9]{3}".to_owned()));
        assert!(ended && text.len() == 8 && text.as_bytes()[4] == b'-', "{text}");
        let (text, ended) = run(Grammar::Choice(vec!["yes".to_owned(), "no \"\n".to_owned()]));
        assert!(ended && ["yes", "no \"\n"].contains(&text.as_str()), "{text}");
        let (text, ended) = run(Grammar::Lark("start: \"(\" inner \")\"\ninner: /[a-c]+/ | start".to_owned()));
        let depth = text.chars().take_while(|c| *c == '(').count();
        assert!(ended && text.ends_with(&")".repeat(depth)), "{text}");
        let (text, _) = run(Grammar::JsonObject);
        assert!(text.starts_with('{'), "{text}");
    }
}

#[test]
fn a_state_that_is_cloned_goes_its_own_way() {
    let (tokenizer, compiler) = compiler();
    let state = compiler.compile(&Grammar::Regex("[ab]{9}".to_owned())).unwrap();
    let before: Vec<_> = (0..4).map(|seed| answer(&tokenizer, state.clone(), seed, 99)).collect();
    let after: Vec<_> = (0..4).map(|seed| answer(&tokenizer, state.clone(), seed, 99)).collect();
    assert_eq!(before, after);
}

#[test]
fn what_cannot_be_followed_is_told_without_its_text() {
    let (_, compiler) = compiler();
    for (grammar, word) in [
        (Grammar::Regex("secret(".to_owned()), "no regular expression"),
        (Grammar::Regex("(?=secret)x".to_owned()), "no regular expression"),
        (Grammar::Lark("start: \"x\"\n  | secret".to_owned()), "no grammar in llguidance's form of Lark; line 1"),
        (Grammar::JsonSchema(json!({"type": "secret"})), "no JSON schema"),
        (Grammar::JsonSchema(json!({"type": "string", "not": {"const": "secret"}})), "cannot follow: not"),
        (Grammar::JsonSchema(json!({"type": "integer", "minimum": 5, "maximum": 2})), "no JSON at all"),
        (Grammar::JsonSchema(json!(false)), "no JSON at all"),
        (Grammar::JsonSchema(json!({"$ref": "http://secret/schema"})), "no JSON schema"),
        (Grammar::JsonSchema(json!({"enum": ["x".repeat(70_000)]})), "at most"),
        (Grammar::Choice(vec![]), "at least one"),
        (Grammar::Choice(vec!["a".to_owned(); 2000]), "at most"),
    ] {
        let started = std::time::Instant::now();
        let error = compiler.compile(&grammar).map(drop).unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains("secret"), "{error} should say {word}");
        assert!(started.elapsed().as_secs() < 20, "{error}");
    }
}

#[test]
fn what_takes_too_much_work_gets_stuck_and_does_not_stall() {
    let (_, compiler) = compiler();
    let ambiguous = "start: a\na: a a a | a a | \"x\" | a \"x\" a";
    let mut state = compiler.compile(&Grammar::Lark(ambiguous.to_owned())).unwrap();
    let started = std::time::Instant::now();
    let stuck = (0..2000).find_map(|_| {
        let stuck = state.mask(&mut [0.0; 300]).err();
        stuck.or_else(|| state.advance(TokenId(u32::from(b'x'))).err())
    });
    assert_eq!(stuck, Some(GrammarError::Stuck));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

/// Schemas, and for each whether it has an end within few tokens of a model that guesses.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        (-50i64..50, 0i64..90)
            .prop_map(|(low, span)| json!({"type": "integer", "minimum": low, "maximum": low + span})),
        (1usize..5).prop_map(|n| json!({"type": "string", "maxLength": n})),
        "[a-z]{1,6}".prop_map(|word| json!({"enum": [word, 5, null]})),
        "[a-z ]{1,6}".prop_map(|word| json!({"const": word})),
        Just(json!({"type": "string", "pattern": "^[a-f0-9]{4}$"})),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            (inner.clone(), 0usize..3)
                .prop_map(|(items, n)| { json!({"type": "array", "items": items, "minItems": n, "maxItems": n + 2}) }),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({"anyOf": any})),
            prop::collection::btree_map("[a-z]{1,5}", inner, 1..4).prop_map(|properties| {
                let required: Vec<&String> = properties.keys().step_by(2).collect();
                json!({"type": "object", "properties": properties, "required": required})
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_complete_answer_parses_and_validates(schema in schemas(), seed in any::<u64>()) {
        let (tokenizer, compiler) = compiler();
        let state = compiler.compile(&Grammar::JsonSchema(schema.clone())).unwrap();
        let (text, ended) = answer(&tokenizer, state, seed, 3000);
        prop_assert!(ended, "{} {}", schema, text);
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert!(jsonschema::is_valid(&schema, &value), "{} does not fit {}", value, schema);
    }
}
