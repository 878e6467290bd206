//! The seam between the API and a model's text: tests put another language behind it.

use std::sync::{Arc, OnceLock};

use alcazar_core::TokenId;
use alcazar_text::{
    ChatTemplate, Detokenizer, Grammar, GrammarCompiler, GrammarError, GrammarState, OutputFormat, RenderInput,
    Special, Tokenizer,
};
use serde_json::{Map, Value};

/// Turns requests into tokens and tokens into text. One per model, shared by all requests.
pub(crate) trait Language: Send + Sync {
    /// The tokens of a prompt.
    fn encode(&self, input: &Input) -> Result<Encoded, LanguageError>;
    /// Turns the tokens of one answer into text as they come. Special tokens have none, but for these marks.
    fn writer(&self, marks: &[&str]) -> Box<dyn Writer>;
    /// How the model marks the parts of its answers.
    fn format(&self) -> OutputFormat;
    /// Prepares a grammar for an answer. Takes its time: not for a thread that serves others.
    fn compile(&self, grammar: &Grammar) -> Result<GrammarState, GrammarError>;
    /// The text of tokens; special ones have none.
    fn text(&self, tokens: &[TokenId]) -> String;
    /// One token as it is told beside its probability.
    fn token(&self, token: TokenId) -> TokenText;
    /// Tokens that end an answer.
    fn stop_tokens(&self) -> Vec<TokenId>;
}

/// One answer's text. Gives nothing while a character is incomplete.
pub(crate) trait Writer: Send {
    fn push(&mut self, token: TokenId) -> String;
    fn finish(&mut self) -> String;
}

/// A prompt as a request has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Text {
        text: String,
        /// Whether the model's own beginning is put before it.
        with_special: bool,
    },
    Tokens(Vec<TokenId>),
    /// Rendered by the model's chat template.
    Chat(Conversation),
}

/// What a chat template sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conversation {
    /// An array of objects with `role` and `content`.
    pub messages: Value,
    /// Tools as OpenAI's API has them, or null.
    pub tools: Value,
    pub add_generation_prompt: bool,
    /// `chat_template_kwargs` of the request.
    pub extra: Map<String, Value>,
}

/// A prompt as the model has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub tokens: Vec<TokenId>,
    /// What a template made of a conversation; empty for other prompts.
    pub rendered: String,
}

/// One token's text and bytes, which may be a part of a character.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenText {
    pub text: String,
    pub bytes: Vec<u8>,
}

/// Why a request has no tokens. Texts hold nothing of the prompt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LanguageError {
    #[error("the model has no chat template; use /v1/completions with a prompt in the model's own format")]
    NoTemplate,
    #[error("{fault}")]
    Template { fault: String },
    #[error("{fault}")]
    Tokenize { fault: String },
}

/// The language of a loaded model.
pub(crate) struct ModelLanguage {
    tokenizer: Arc<Tokenizer>,
    template: Option<ChatTemplate>,
    /// Made when a grammar is first asked for.
    grammars: OnceLock<Result<GrammarCompiler, GrammarError>>,
}

impl Language for ModelLanguage {
    fn encode(&self, input: &Input) -> Result<Encoded, LanguageError> {
        let tokens = match input {
            Input::Tokens(tokens) => Ok(tokens.clone()),
            Input::Text { text, with_special: true } => self.tokenizer.encode_prompt(text),
            Input::Text { text, with_special: false } => self.tokenizer.encode(text, Special::Recognise),
            Input::Chat(conversation) => return self.encode_chat(conversation),
        };
        Ok(Encoded { tokens: tokens.map_err(|error| tokenize(&error))?, rendered: String::new() })
    }

    fn writer(&self, marks: &[&str]) -> Box<dyn Writer> {
        Box::new(Detokenizer::showing(Arc::clone(&self.tokenizer), marks))
    }

    fn format(&self) -> OutputFormat {
        self.template.as_ref().map(ChatTemplate::format).unwrap_or_default()
    }

    fn compile(&self, grammar: &Grammar) -> Result<GrammarState, GrammarError> {
        let grammars = self.grammars.get_or_init(|| GrammarCompiler::new(&self.tokenizer));
        grammars.as_ref().map_err(Clone::clone)?.compile(grammar)
    }

    fn text(&self, tokens: &[TokenId]) -> String {
        self.tokenizer.decode(tokens)
    }

    fn token(&self, token: TokenId) -> TokenText {
        let text = self.tokenizer.token_text(token).unwrap_or_default();
        let bytes = match self.tokenizer.bytes(token) {
            [] => text.clone().into_bytes(),
            bytes => bytes.to_vec(),
        };
        TokenText { text, bytes }
    }

    fn stop_tokens(&self) -> Vec<TokenId> {
        self.tokenizer.stop_tokens().to_vec()
    }
}

impl ModelLanguage {
    pub(crate) const fn new(tokenizer: Arc<Tokenizer>, template: Option<ChatTemplate>) -> Self {
        Self { tokenizer, template, grammars: OnceLock::new() }
    }

    fn encode_chat(&self, conversation: &Conversation) -> Result<Encoded, LanguageError> {
        let template = self.template.as_ref().ok_or(LanguageError::NoTemplate)?;
        let input = RenderInput {
            messages: conversation.messages.clone(),
            tools: conversation.tools.clone(),
            add_generation_prompt: conversation.add_generation_prompt,
            extra: conversation.extra.clone(),
        };
        let rendered = template.render(&input).map_err(|error| LanguageError::Template { fault: error.to_string() })?;
        let tokens = self.tokenizer.encode_chat(&rendered).map_err(|error| tokenize(&error))?;
        Ok(Encoded { tokens, rendered })
    }
}

fn tokenize(error: &alcazar_text::TokenizerError) -> LanguageError {
    LanguageError::Tokenize { fault: error.to_string() }
}

impl Writer for Detokenizer {
    fn push(&mut self, token: TokenId) -> String {
        Self::push(self, token)
    }

    fn finish(&mut self) -> String {
        Self::finish(self)
    }
}
