//! The seam between the API and a model's text: tests put another language behind it.

use std::sync::Arc;

use alcazar_core::TokenId;
use alcazar_text::{ChatTemplate, Detokenizer, RenderInput, Tokenizer};
use serde_json::{Map, Value};

/// Turns requests into tokens and tokens into text. One per model, shared by all requests.
pub(crate) trait Language: Send + Sync {
    /// The tokens of a plain prompt.
    fn prompt(&self, text: &str) -> Result<Vec<TokenId>, LanguageError>;
    /// The tokens of a conversation, rendered by the model's chat template.
    fn chat(&self, conversation: &Conversation) -> Result<Vec<TokenId>, LanguageError>;
    /// Turns the tokens of one answer into text as they come.
    fn writer(&self) -> Box<dyn Writer>;
    /// Tokens that end an answer.
    fn stop_tokens(&self) -> Vec<TokenId>;
}

/// One answer's text. Gives nothing while a character is incomplete.
pub(crate) trait Writer: Send {
    fn push(&mut self, token: TokenId) -> String;
    fn finish(&mut self) -> String;
}

/// What a chat template sees.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conversation {
    /// An array of objects with `role` and `content`.
    pub messages: Value,
    pub add_generation_prompt: bool,
    /// `chat_template_kwargs` of the request.
    pub extra: Map<String, Value>,
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
    pub tokenizer: Arc<Tokenizer>,
    pub template: Option<ChatTemplate>,
}

impl Language for ModelLanguage {
    fn prompt(&self, text: &str) -> Result<Vec<TokenId>, LanguageError> {
        self.tokenizer.encode_prompt(text).map_err(|error| LanguageError::Tokenize { fault: error.to_string() })
    }

    fn chat(&self, conversation: &Conversation) -> Result<Vec<TokenId>, LanguageError> {
        let template = self.template.as_ref().ok_or(LanguageError::NoTemplate)?;
        let input = RenderInput {
            messages: conversation.messages.clone(),
            tools: Value::Null,
            add_generation_prompt: conversation.add_generation_prompt,
            extra: conversation.extra.clone(),
        };
        let rendered = template.render(&input).map_err(|error| LanguageError::Template { fault: error.to_string() })?;
        self.tokenizer.encode_chat(&rendered).map_err(|error| LanguageError::Tokenize { fault: error.to_string() })
    }

    fn writer(&self) -> Box<dyn Writer> {
        Box::new(Detokenizer::new(Arc::clone(&self.tokenizer)))
    }

    fn stop_tokens(&self) -> Vec<TokenId> {
        self.tokenizer.stop_tokens().to_vec()
    }
}

impl Writer for Detokenizer {
    fn push(&mut self, token: TokenId) -> String {
        Self::push(self, token)
    }

    fn finish(&mut self) -> String {
        Self::finish(self)
    }
}
