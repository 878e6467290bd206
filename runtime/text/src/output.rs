//! What an answer consists of: content, reasoning, tool calls. Models mark these in their families' own ways, which their
//! chat templates show.
//!
//! Everything works on text as it comes: what is certain is given out at once, what may begin a mark is held back.

mod calls;
mod harmony;
mod marks;
mod reasoning;
mod tools;

#[cfg(test)]
mod tests;

use harmony::Harmony;
use reasoning::Reasoning;
use tools::Tools;

/// A part of an answer, in the order in which they come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// Text for the reader.
    Content(String),
    /// Text that led to it.
    Reasoning(String),
    /// A tool call begins.
    Call {
        /// Which of the answer's calls, from 0 on.
        index: usize,
        /// The function.
        name: String,
    },
    /// More of a call's arguments: pieces of JSON that make an object together.
    Arguments {
        /// Which call.
        index: usize,
        /// The next piece.
        text: String,
    },
}

/// How a family writes tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolFormat {
    /// `<tool_call>{"name": …, "arguments": …}</tool_call>` (Hermes, Qwen, SmolLM).
    Hermes,
    /// `{"name": …, "parameters": …}`, maybe after `<|python_tag|>` (Llama 3.1 and later).
    Llama3,
    /// `[TOOL_CALLS][{"name": …, "arguments": …}]`, later `[TOOL_CALLS]name[ARGS]{…}` (Mistral).
    Mistral,
    /// Channels (gpt-oss).
    Harmony,
    /// `<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>name<｜tool▁sep｜>{…}<｜tool▁call▁end｜>…`, where earlier ones have
    /// `function<｜tool▁sep｜>name` and the arguments in a fenced block (DeepSeek and models distilled from it).
    DeepSeek,
    /// Plain JSON: an object or a list of them.
    #[default]
    Json,
}

/// What a family's answers look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputFormat {
    /// How it calls tools.
    pub tools: ToolFormat,
    /// Whether it thinks between `<think>` and `</think>`.
    pub thinks: bool,
}

/// What is to be looked for in one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Functions that may be called; empty: none are looked for.
    pub functions: Vec<String>,
    /// A grammar holds the answer to a list of calls as plain JSON, whatever the family's way.
    pub is_forced: bool,
    /// The prompt ends within the model's thoughts.
    pub starts_thinking: bool,
}

impl OutputFormat {
    /// Reads it off a chat template.
    pub fn of_template(source: &str) -> Self {
        let tools = [
            ("<|channel|>", ToolFormat::Harmony),
            ("[TOOL_CALLS]", ToolFormat::Mistral),
            ("<｜tool▁calls▁begin｜>", ToolFormat::DeepSeek),
            ("<tool_call>", ToolFormat::Hermes),
            ("<|python_tag|>", ToolFormat::Llama3),
            ("<|start_header_id|>", ToolFormat::Llama3),
        ];
        let found = tools.into_iter().find(|(mark, _)| source.contains(mark));
        Self { tools: found.map(|(_, format)| format).unwrap_or_default(), thinks: source.contains("</think>") }
    }

    /// Special tokens whose text has to be seen, or parts of an answer would run together.
    pub const fn marks(&self) -> &'static [&'static str] {
        match self.tools {
            ToolFormat::Hermes => &["<think>", "</think>", "<tool_call>", "</tool_call>"],
            ToolFormat::Llama3 => &["<think>", "</think>", "<|python_tag|>"],
            ToolFormat::Mistral => &["<think>", "</think>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"],
            ToolFormat::Harmony => &["<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>"],
            ToolFormat::DeepSeek => &[
                "<think>",
                "</think>",
                "<｜tool▁calls▁begin｜>",
                "<｜tool▁call▁begin｜>",
                "<｜tool▁sep｜>",
                "<｜tool▁call▁end｜>",
                "<｜tool▁calls▁end｜>",
            ],
            ToolFormat::Json => &["<think>", "</think>"],
        }
    }

    /// Whether a rendered prompt leaves the model within its thoughts.
    pub fn starts_thinking(&self, rendered: &str) -> bool {
        self.thinks && rendered.trim_end().ends_with("<think>")
    }
}

/// Takes one answer apart.
#[derive(Debug)]
pub struct OutputParser {
    stages: Stages,
}

#[derive(Debug)]
enum Stages {
    Marked { reasoning: Option<Reasoning>, tools: Option<Tools> },
    Harmony(Harmony),
}

impl OutputParser {
    /// At the beginning of an answer.
    pub fn new(format: OutputFormat, expected: Expected) -> Self {
        if format.tools == ToolFormat::Harmony && !expected.is_forced {
            return Self { stages: Stages::Harmony(Harmony::default()) };
        }
        let reasoning = format.thinks.then(|| Reasoning::new(expected.starts_thinking));
        let looks_for_tools = expected.is_forced || !expected.functions.is_empty();
        let tools = looks_for_tools.then(|| {
            let tools = if expected.is_forced { ToolFormat::Json } else { format.tools };
            Tools::new(tools, expected)
        });
        Self { stages: Stages::Marked { reasoning, tools } }
    }

    /// Whether what comes next belongs to the model's thoughts, as far as the marks so far tell.
    pub fn is_thinking(&self) -> bool {
        match &self.stages {
            Stages::Harmony(harmony) => harmony.is_thinking(),
            Stages::Marked { reasoning, .. } => reasoning.as_ref().is_some_and(Reasoning::is_thinking),
        }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        match &mut self.stages {
            Stages::Harmony(harmony) => harmony.push(text),
            Stages::Marked { reasoning, tools } => {
                let deltas = match reasoning {
                    Some(reasoning) => reasoning.push(text),
                    None => vec![Delta::Content(text.to_owned())],
                };
                through(tools, deltas)
            }
        }
    }

    /// What was held back, when the answer has ended.
    pub fn finish(&mut self) -> Vec<Delta> {
        match &mut self.stages {
            Stages::Harmony(harmony) => harmony.finish(),
            Stages::Marked { reasoning, tools } => {
                let held = reasoning.as_mut().map(Reasoning::finish).unwrap_or_default();
                let mut deltas = through(tools, held);
                deltas.extend(tools.iter_mut().flat_map(Tools::finish));
                deltas
            }
        }
    }
}

/// Content goes through the search for tool calls, the rest past it.
fn through(tools: &mut Option<Tools>, deltas: Vec<Delta>) -> Vec<Delta> {
    let Some(tools) = tools else { return deltas.into_iter().filter(|delta| !is_empty(delta)).collect() };
    let deltas = deltas.into_iter().flat_map(|delta| match delta {
        Delta::Content(text) => tools.push(&text),
        other => vec![other],
    });
    deltas.filter(|delta| !is_empty(delta)).collect()
}

const fn is_empty(delta: &Delta) -> bool {
    match delta {
        Delta::Content(text) | Delta::Reasoning(text) | Delta::Arguments { text, .. } => text.is_empty(),
        Delta::Call { .. } => false,
    }
}
