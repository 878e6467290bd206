//! Every failure of the API in OpenAI's shape. No text of a request is ever repeated in one.

use alcazar_engine::{Overloaded, Refused};
use alcazar_text::GrammarError;
use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    app::{NotServed, Unready},
    encoder_thread::EncodeError,
    engine_thread::SubmitError,
    language::LanguageError,
};

/// `{"error": {"message", "type", "param", "code"}}` and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    message: String,
    param: Option<String>,
    retry_after_seconds: Option<u32>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        Self { status, kind, code, message: message.into(), param: None, retry_after_seconds: None }
    }

    /// A field of the request is wrong; `message` begins with a verb, such as "must be …".
    pub(crate) fn field(param: impl Into<String>, code: &'static str, message: impl AsRef<str>) -> Self {
        let param = param.into();
        let message = format!("'{param}' {}", message.as_ref());
        Self { param: Some(param), ..Self::new(StatusCode::BAD_REQUEST, code, message) }
    }

    /// The same of a field that lies within another.
    pub(crate) fn within(mut self, outer: &str) -> Self {
        if let Some(inner) = self.param.take() {
            let param = format!("{outer}.{inner}");
            self.message = self.message.replacen(&format!("'{inner}'"), &format!("'{param}'"), 1);
            self.param = Some(param);
        }
        self
    }

    pub(crate) fn invalid_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the body of the request is larger than {limit} bytes; shorten it");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    pub(crate) fn body_timeout() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body of the request did not arrive in time")
    }

    pub(crate) fn body_broken() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request_incomplete", "the body of the request ended early")
    }

    /// `served`: the model, then its adapters.
    pub(crate) fn unknown_model(served: &[&str]) -> Self {
        const MOST: usize = 20;
        let shown: Vec<_> = served.iter().take(MOST).map(|name| format!("'{name}'")).collect();
        let more = if served.len() > MOST { ", and more that /v1/models lists" } else { "" };
        let served = shown.join(", ");
        let message = format!("the model that 'model' names is not served here; this endpoint serves {served}{more}");
        Self { param: Some("model".to_owned()), ..Self::new(StatusCode::NOT_FOUND, "model_not_found", message) }
    }

    pub(crate) fn no_such_route() -> Self {
        let message = "there is no such route; /openapi.json has those that there are";
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        let wanted =
            if method == Method::GET || method == Method::HEAD { "POST" } else { "GET or POST, as the API has it" };
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("this route does not take this method; use {wanted}"),
        )
    }

    pub(crate) fn failed() -> Self {
        let message = "the model failed on this request; its cause is in the log of the replica";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "generation_failed", message)
    }

    pub(crate) fn expired() -> Self {
        let message = "the answer took longer than this server lets a request take; ask for fewer tokens";
        Self::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", message)
    }

    fn overloaded(message: String) -> Self {
        let retry_after_seconds = Some(1);
        Self { retry_after_seconds, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message) }
    }

    /// Why the engine takes no such request; `prompt` and `max_tokens` are the names of those fields in it.
    pub(crate) fn refused(refused: Refused, prompt: &'static str, max_tokens: &'static str) -> Self {
        match refused {
            _ if refused.is_overload() => Self::overloaded(refused.to_string()),
            Refused::PromptTooLong { tokens, context } => Self {
                message: format!(
                    "this model's context is {context} tokens and the prompt has {tokens}; shorten it so that an answer fits"
                ),
                ..Self::field(prompt, "context_length_exceeded", "")
            },
            Refused::MaxTokensTooLarge { tokens: found, max_tokens: asked, context } => Self {
                message: format!(
                    "this model's context is {context} tokens; the prompt has {found} and '{max_tokens}' asks for {asked}; \
                     lower one of them"
                ),
                ..Self::field(max_tokens, "context_length_exceeded", "")
            },
            Refused::AdapterUnknown { .. } => Self::failed(),
            Refused::PromptEmpty => Self::field(prompt, "invalid_value", "must not be empty"),
            Refused::TokenUnknown { vocabulary, .. } => {
                Self::field(prompt, "invalid_value", format!("holds a token beyond the vocabulary of {vocabulary}"))
            }
            Refused::Parameter { field, found, expected } => {
                Self::field(field, "invalid_value", format!("is {found}, expected {expected}"))
            }
            Refused::QueueFull { .. } | Refused::QueueTokensFull { .. } => Self::overloaded(refused.to_string()),
        }
    }

    /// A text has more tokens than the model reads.
    pub(crate) fn text_too_long(place: impl Into<String>, found: usize, most: usize) -> Self {
        let message = format!("has {found} tokens and the model reads {most}; shorten it, or set 'truncate' to true");
        Self::field(place, "context_length_exceeded", message)
    }

    pub(crate) fn wrong_task(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "unsupported_task", message)
    }

    pub(crate) fn language(error: &LanguageError, prompt: &'static str) -> Self {
        let code = match error {
            LanguageError::NoTemplate => "no_chat_template",
            LanguageError::Template { .. } | LanguageError::Tokenize { .. } => "invalid_value",
        };
        Self { message: error.to_string(), ..Self::field(prompt, code, "") }
    }

    pub(crate) fn grammar(error: &GrammarError, field: &str) -> Self {
        match error {
            GrammarError::Invalid { fault } => Self::field(field, "invalid_grammar", fault),
            GrammarError::Vocabulary { .. } | GrammarError::Stuck => {
                tracing::error!(%error, "no grammar can be used");
                Self::field(
                    field,
                    "unsupported_parameter",
                    "is not supported for this model; its vocabulary does not allow it",
                )
            }
        }
    }

    pub(crate) fn submit(error: SubmitError, prompt: &'static str, max_tokens: &'static str) -> Self {
        match error {
            SubmitError::Refused(refused) => Self::refused(refused, prompt, max_tokens),
            SubmitError::Gone => Self::from(Unready::draining()),
        }
    }

    /// The object below `error`, for answers and for streams that have begun.
    pub(crate) fn body(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    #[cfg(test)]
    pub(crate) fn told(&self) -> (u16, &str, Option<&str>, &str) {
        (self.status.as_u16(), self.code, self.param.as_deref(), &self.message)
    }
}

impl From<Unready> for ApiError {
    fn from(unready: Unready) -> Self {
        let code = match unready.reason {
            "Draining" => "server_draining",
            "IsolationUnproven" | "IsolationBroken" => "isolation_not_proven",
            _ => "model_loading",
        };
        let retry_after_seconds = Some(unready.retry_after_seconds);
        Self { retry_after_seconds, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, unready.message) }
    }
}

impl From<NotServed> for ApiError {
    fn from(not_served: NotServed) -> Self {
        match not_served {
            NotServed::Unready(unready) => unready.into(),
            NotServed::OfTask(task) => {
                let routes = match task {
                    "text-generation" => "/v1/chat/completions and /v1/completions",
                    "sentence-similarity" => "/v1/embeddings and /v1/rerank",
                    "text-classification" => "/v1/classify and, with a single label, /v1/rerank",
                    "token-classification" => "/v1/classify",
                    "fill-mask" => "/v1/fill-mask",
                    _ => "/v1/question-answering",
                };
                let message = format!("this model is one for {task}, which this route does not do; use {routes}");
                Self::new(StatusCode::BAD_REQUEST, "unsupported_task", message)
            }
        }
    }
}

impl From<EncodeError> for ApiError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::Failed => Self::failed(),
            EncodeError::Gone => Self::from(Unready::draining()),
        }
    }
}

impl From<Overloaded> for ApiError {
    fn from(overloaded: Overloaded) -> Self {
        Self::overloaded(overloaded.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
