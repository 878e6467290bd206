//! Answers of each family, in pieces of every size.

use proptest::prelude::*;

use super::*;

/// Content, reasoning, and calls with their arguments.
type Parsed = (String, String, Vec<(String, String)>);

fn parse(format: OutputFormat, expected: &Expected, text: &str, piece: usize) -> Parsed {
    let mut parser = OutputParser::new(format, expected.clone());
    let characters: Vec<char> = text.chars().collect();
    let mut deltas: Vec<Delta> =
        characters.chunks(piece).flat_map(|piece| parser.push(&piece.iter().collect::<String>())).collect();
    deltas.extend(parser.finish());
    let mut parsed = Parsed::default();
    for delta in deltas {
        match delta {
            Delta::Content(text) => parsed.0.push_str(&text),
            Delta::Reasoning(text) => parsed.1.push_str(&text),
            Delta::Call { index, name } => {
                assert_eq!(index, parsed.2.len());
                parsed.2.push((name, String::new()));
            }
            Delta::Arguments { index, text } => {
                assert_eq!(index + 1, parsed.2.len(), "of the call that is open");
                parsed.2[index].1.push_str(&text);
            }
        }
    }
    parsed
}

fn expects(functions: &[&str]) -> Expected {
    Expected { functions: functions.iter().map(ToString::to_string).collect(), ..Expected::default() }
}

fn check(
    format: OutputFormat,
    expected: &Expected,
    text: &str,
    content: &str,
    reasoning: &str,
    calls: &[(&str, &str)],
) {
    let calls: Vec<_> = calls.iter().map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned())).collect();
    for piece in [1, 2, 3, 5, 8, 13, 1000] {
        let wanted = (content.to_owned(), reasoning.to_owned(), calls.clone());
        assert_eq!(parse(format, expected, text, piece), wanted, "{text} in pieces of {piece}");
    }
}

#[test]
fn each_family_s_calls_are_found() {
    let tools = expects(&["f", "g"]);
    let of = |tools| OutputFormat { tools, thinks: false };
    let two = &[("f", r#"{"a": "}]"}"#), ("g", "{}")];
    let hermes = of(ToolFormat::Hermes);
    let text = "Let me see.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}]\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"g\"}\n</tool_call>";
    check(hermes, &tools, text, "Let me see.", "", two);
    check(hermes, &tools, "a < b and <tool_cal is no mark ", "a < b and <tool_cal is no mark ", "", &[]);
    check(
        hermes,
        &tools,
        "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>\nDone.",
        "Done.",
        "",
        &[("f", "{}")],
    );
    check(
        hermes,
        &tools,
        r#"<tool_call>{"arguments": {"a": [1, {}]}, "name": "f"}</tool_call>"#,
        "",
        "",
        &[("f", r#"{"a": [1, {}]}"#)],
    );
    check(
        hermes,
        &tools,
        r#"<tool_call>{"name": "f", "arguments": "{\"a\": 1}"}</tool_call>"#,
        "",
        "",
        &[("f", r#"{"a": 1}"#)],
    );
    check(hermes, &tools, "<tool_call>{\"nonsense\": 1}</tool_call>", "{\"nonsense\": 1}</tool_call>", "", &[]);
    let llama = of(ToolFormat::Llama3);
    check(llama, &tools, r#"{"name": "f", "parameters": {"a": "}]"}}; {"name": "g", "parameters": {}}"#, "", "", two);
    check(
        llama,
        &tools,
        r#"<|python_tag|>{"type": "function", "name": "f", "parameters": {"a": 1}}"#,
        "",
        "",
        &[("f", r#"{"a": 1}"#)],
    );
    check(
        llama,
        &tools,
        r#"{"name": "no such", "parameters": {}}"#,
        r#"{"name": "no such", "parameters": {}}"#,
        "",
        &[],
    );
    check(llama, &tools, r#"{"answer": 5} is JSON"#, r#"{"answer": 5} is JSON"#, "", &[]);
    check(llama, &tools, " Plain text, {\"name\": \"f\"} later", " Plain text, {\"name\": \"f\"} later", "", &[]);
    let mistral = of(ToolFormat::Mistral);
    check(
        mistral,
        &tools,
        r#"[TOOL_CALLS][{"name": "f", "arguments": {"a": "}]"}}, {"name": "g", "arguments": {}}]"#,
        "",
        "",
        two,
    );
    check(mistral, &tools, r#"[TOOL_CALLS]f[ARGS]{"a": "}]"}[TOOL_CALLS]g{}"#, "", "", two);
    check(mistral, &tools, "[TOO few]", "[TOO few]", "", &[]);
    let json = of(ToolFormat::Json);
    check(json, &tools, r#"[{"name": "f", "arguments": {"a": "}]"}}, {"name": "g", "arguments": {}}]"#, "", "", two);
    check(json, &tools, "Hello", "Hello", "", &[]);
    let forced = Expected { is_forced: true, ..Expected::default() };
    check(hermes, &forced, r#"[{"name": "x", "arguments": {"a": 1.5}}]"#, "", "", &[("x", r#"{"a": 1.5}"#)]);
    check(hermes, &Expected::default(), "<tool_call>{}", "<tool_call>{}", "", &[]);
}

#[test]
fn deepseek_s_calls_are_found_in_both_ways_of_writing_them() {
    let format = OutputFormat { tools: ToolFormat::DeepSeek, thinks: true };
    let tools = expects(&["f", "g"]);
    let two = &[("f", r#"{"a": "```"}"#), ("g", "{}")];
    let fenced = "<think>\nWell.\n</think>\n\nSee.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": \"```\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    check(format, &tools, fenced, "See.", "Well.\n", two);
    let plain = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": \"```\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>g<｜tool▁sep｜>{}<｜tool▁call▁end｜><｜tool▁calls▁end｜>";
    check(format, &tools, plain, "", "", two);
    check(format, &expects(&[]), plain, plain, "", &[]);
}

#[test]
fn it_is_known_when_a_model_thinks() {
    let mut parser = OutputParser::new(OutputFormat { tools: ToolFormat::Json, thinks: true }, Expected::default());
    let mut thinks = |text: &str| {
        parser.push(text);
        parser.is_thinking()
    };
    assert_eq!(["<think>", "Hm", ".", "</think>", "So"].map(&mut thinks), [true, true, true, false, false]);
    let mut parser = OutputParser::new(OutputFormat { tools: ToolFormat::Harmony, thinks: false }, Expected::default());
    let mut thinks = |text: &str| {
        parser.push(text);
        parser.is_thinking()
    };
    let said =
        ["<|channel|>", "analysis", "<|message|>", "Hm", "<|end|>", "<|start|>assistant<|channel|>final<|message|>"];
    assert_eq!(said.map(&mut thinks), [false, false, true, true, false, false]);
}

#[test]
fn reasoning_is_separated() {
    let thinks = OutputFormat { tools: ToolFormat::Hermes, thinks: true };
    let none = Expected::default();
    check(thinks, &none, "<think>\nHm, a < b.\n\nSo.</think>\n\nYes.", "Yes.", "Hm, a < b.\n\nSo.", &[]);
    check(thinks, &none, "No thoughts </think> here", "No thoughts </think> here", "", &[]);
    check(thinks, &none, "\n<think>cut off", "", "cut off", &[]);
    let within = Expected { starts_thinking: true, ..expects(&["f"]) };
    check(thinks, &within, "Hm.</think><tool_call>{\"name\": \"f\"}</tool_call>", "", "Hm.", &[("f", "{}")]);
    assert!(thinks.starts_thinking("<|im_start|>assistant\n<think>\n"));
    assert!(!thinks.starts_thinking("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
}

#[test]
fn channels_are_told_apart() {
    let harmony = OutputFormat { tools: ToolFormat::Harmony, thinks: false };
    let text = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|><|start|>assistant<|channel|>final<|message|>Done.";
    check(harmony, &expects(&["f"]), text, "Done.", "Hm.", &[("f", "{\"a\": 1}")]);
    check(harmony, &Expected::default(), "no marks", "no marks", "", &[]);
}

#[test]
fn templates_show_their_family() {
    let of = |source| OutputFormat::of_template(source);
    assert_eq!(of("… <tool_call> … </think>"), OutputFormat { tools: ToolFormat::Hermes, thinks: true });
    assert_eq!(of("{{ '[TOOL_CALLS]' }}").tools, ToolFormat::Mistral);
    assert_eq!(of("<|start_header_id|>").tools, ToolFormat::Llama3);
    assert_eq!(of("<|channel|>analysis").tools, ToolFormat::Harmony);
    assert_eq!(of("<|im_start|>"), OutputFormat::default());
}

proptest! {
    #[test]
    fn nothing_is_lost_or_said_twice(text in "([a-z<>{}\\[\\]\",:/ ]|<tool_call>|</tool_call>|<think>|</think>|\"name\": \"f\"){0,12}", piece in 1usize..6) {
        for tools in [ToolFormat::Hermes, ToolFormat::Llama3, ToolFormat::Mistral, ToolFormat::Json, ToolFormat::Harmony] {
            let format = OutputFormat { tools, thinks: true };
            let whole = parse(format, &expects(&["f"]), &text, 1000);
            prop_assert_eq!(parse(format, &expects(&["f"]), &text, piece), whole);
            // Without anything to look for, the text is the content.
            let plain = OutputFormat { tools: ToolFormat::Json, thinks: false };
            prop_assert_eq!(parse(plain, &Expected::default(), &text, piece).0, text.clone());
        }
    }
}
