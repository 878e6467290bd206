//! Chat templates: the model's own Jinja, rendered as transformers renders it.
//!
//! A template comes with the model, so it is bounded: fuel for its steps and its output, no files, no network.

use alcazar_formats::{ModelFiles, TextSource};
use minijinja::{AutoEscape, Environment, ErrorKind, syntax::SyntaxConfig, value::Serde};
use serde_json::{Map, Value, json};

use crate::{OutputFormat, Tokenizer};

mod functions;
mod json_dumps;
mod source;

#[cfg(test)]
mod tests;

use functions::RaisedByTemplate;

/// Steps of the template engine, written bytes among them; a long chat takes some ten thousand.
const FUEL: u64 = 5_000_000;
/// Bytes of a rendered chat; requests are limited to a few megabytes.
const OUTPUT_BYTES: usize = 16 << 20;
const NAME: &str = "chat";

/// A model's compiled chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
    format: OutputFormat,
}

/// What a template is rendered with.
#[derive(Clone, Debug, Default)]
pub struct RenderInput {
    /// A list of `{role, content, …}`.
    pub messages: Value,
    /// A list of tools as OpenAI's API has them, or null.
    pub tools: Value,
    /// Whether the answer is to follow.
    pub add_generation_prompt: bool,
    /// Variables of the model's own, such as `enable_thinking`.
    pub extra: Map<String, Value>,
}

/// Why there is no rendered chat.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The model's template cannot be compiled.
    #[error("failed to compile the model's chat template: {message}")]
    Compile {
        /// Where and why.
        message: String,
    },
    /// The template itself refuses these messages (`raise_exception`); a fault of the request.
    #[error("the model's chat template refuses the messages: {message}")]
    Refused {
        /// In the template's words.
        message: String,
    },
    /// It took more steps or wrote more than it may.
    #[error("failed to render the chat: it takes more than {FUEL} steps or {OUTPUT_BYTES} bytes; shorten the messages")]
    TooLarge,
    /// It stumbled over the messages.
    #[error("failed to render the chat: {message}")]
    Render {
        /// Where and why; no text of the messages.
        message: String,
    },
}

impl ChatTemplate {
    /// The template of a model; `None` when it has none, and chat requests cannot be served.
    pub fn open(model: &ModelFiles, tokenizer: &Tokenizer) -> Result<Option<Self>, TemplateError> {
        let Some(source) = find(model.text()) else { return Ok(None) };
        let (bos, eos) = (tokenizer.special_text(tokenizer.bos()), tokenizer.special_text(tokenizer.eos()));
        Self::new(&source, bos, eos).map(Some)
    }

    /// Compiles a template.
    pub fn new(source: &str, bos_token: String, eos_token: String) -> Result<Self, TemplateError> {
        Self::with_clock(source, bos_token, eos_token, jiff::Timestamp::now)
    }

    fn with_clock(
        source: &str,
        bos_token: String,
        eos_token: String,
        now: fn() -> jiff::Timestamp,
    ) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError::Compile { message: describe(&error) })?);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.set_formatter(functions::format_as_python);
        environment.add_test("iterable", functions::is_iterable);
        environment.add_filter("tojson", json_dumps::tojson);
        environment.add_function("raise_exception", functions::raise_exception);
        environment.add_function("strftime_now", move |format: &str| functions::strftime(format, now()));
        let failed = |error: minijinja::Error| TemplateError::Compile { message: describe(&error) };
        environment.add_template_owned(NAME, source::without_generation_tags(source)).map_err(failed)?;
        Ok(Self { environment, bos_token, eos_token, format: OutputFormat::of_template(source) })
    }

    /// What the family's answers look like.
    pub const fn format(&self) -> OutputFormat {
        self.format
    }

    /// The text of a chat.
    pub fn render(&self, input: &RenderInput) -> Result<String, TemplateError> {
        let mut variables = input.extra.clone();
        variables.insert("messages".to_owned(), input.messages.clone());
        variables.insert("tools".to_owned(), input.tools.clone());
        variables.insert("documents".to_owned(), Value::Null);
        variables.insert("add_generation_prompt".to_owned(), json!(input.add_generation_prompt));
        variables.insert("bos_token".to_owned(), json!(self.bos_token));
        variables.insert("eos_token".to_owned(), json!(self.eos_token));
        let template = self.environment.get_template(NAME).map_err(|error| classify(&error))?;
        let mut text = Bounded::default();
        match template.render_captured_to(Serde(&variables), &mut text) {
            Ok(_) => {
                String::from_utf8(text.bytes).map_err(|_| TemplateError::Render { message: "no UTF-8".to_owned() })
            }
            Err(_) if text.overflowed => Err(TemplateError::TooLarge),
            Err(error) => Err(classify(&error)),
        }
    }
}

/// Takes a rendering up to [`OUTPUT_BYTES`]: fuel counts steps, and one step can write megabytes.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    overflowed: bool,
}

impl std::io::Write for Bounded {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        if self.bytes.len() + part.len() > OUTPUT_BYTES {
            self.overflowed = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("bos_token", &self.bos_token).finish_non_exhaustive()
    }
}

fn find(text: &TextSource) -> Option<String> {
    match text {
        TextSource::Gguf(metadata) => metadata.str("tokenizer.chat_template").map(ToOwned::to_owned),
        TextSource::Files(files) => {
            let named = &files.tokenizer_config["chat_template"];
            let default = || named.as_array()?.iter().find(|entry| entry["name"] == "default")?["template"].as_str();
            files.chat_template.as_deref().or_else(|| named.as_str()).or_else(default).map(ToOwned::to_owned)
        }
    }
}

fn classify(error: &minijinja::Error) -> TemplateError {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = source {
        if let Some(raised) = cause.downcast_ref::<RaisedByTemplate>() {
            return TemplateError::Refused { message: raised.message.clone() };
        }
        if cause.downcast_ref::<minijinja::Error>().is_some_and(|error| error.kind() == ErrorKind::OutOfFuel) {
            return TemplateError::TooLarge;
        }
        source = cause.source();
    }
    TemplateError::Render { message: describe(error) }
}

/// Kind and line; the detail of some errors quotes values, and those are the prompt.
fn describe(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line} of the template")).unwrap_or_default();
    format!("{}{line}", error.kind())
}
