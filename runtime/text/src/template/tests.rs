//! Templates against what transformers makes of them (tests/reference/templates.py).

use serde_json::{Value, json};

use super::{ChatTemplate, RenderInput, TemplateError};

fn template(source: &str) -> ChatTemplate {
    // As in tests/reference/templates.py.
    let now = || "2026-07-04T09:05:03Z".parse().unwrap();
    ChatTemplate::with_clock(source, "<s>".to_owned(), "</s>".to_owned(), now).unwrap()
}

#[test]
fn every_template_renders_as_transformers_does() {
    let fixture: Value = serde_json::from_str(include_str!("../../testdata/templates.json")).unwrap();
    let templates = fixture["templates"].as_object().unwrap();
    assert!(templates.len() >= 25, "{} templates", templates.len());
    for case in fixture["cases"].as_array().unwrap() {
        let mut extra = case["variables"].as_object().unwrap().clone();
        let input = RenderInput {
            messages: case["messages"].clone(),
            tools: extra.remove("tools").unwrap_or_default(),
            add_generation_prompt: extra.remove("add_generation_prompt") == Some(json!(true)),
            extra,
        };
        let rendered = template(templates[case["template"].as_str().unwrap()].as_str().unwrap()).render(&input);
        match (rendered, case["expected"].as_str()) {
            (Ok(text), Some(expected)) => assert_eq!(text, expected, "{}", case["name"]),
            (Err(TemplateError::Refused { message }), None) => assert_eq!(message, case["refused"], "{}", case["name"]),
            (other, _) => panic!("{}: {other:?}", case["name"]),
        }
    }
}

#[test]
fn an_endless_template_runs_out_of_fuel() {
    let source = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}";
    let error = template(source).render(&RenderInput::default()).unwrap_err();
    assert!(matches!(error, TemplateError::TooLarge), "{error}");
}

#[test]
fn an_endless_output_is_cut() {
    let input = RenderInput { messages: json!("x".repeat(1 << 20)), ..RenderInput::default() };
    let error = template("{% for a in range(99) %}{{ messages }}{% endfor %}").render(&input).unwrap_err();
    assert!(matches!(error, TemplateError::TooLarge), "{error}");
}

#[test]
fn errors_quote_neither_messages_nor_values() {
    let input = RenderInput { messages: json!([{"content": "a secret"}]), ..RenderInput::default() };
    let error = template("{{ messages[0].content.nothing.at.all }}").render(&input).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = ChatTemplate::new("{% if %}", String::new(), String::new()).unwrap_err();
    assert!(error.to_string().contains("line 1"), "{error}");
}

#[test]
fn the_date_is_there() {
    let source = "{{ strftime_now('%Y-%m-%d') }}";
    assert_eq!(template(source).render(&RenderInput::default()).unwrap(), "2026-07-04");
    let today = ChatTemplate::new(source, String::new(), String::new()).unwrap();
    let text = today.render(&RenderInput::default()).unwrap();
    assert!(text.len() == 10 && text.starts_with("20"), "{text}");
    assert!(template("{{ strftime_now('%!') }}").render(&RenderInput::default()).is_err());
}
