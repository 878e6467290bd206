//! Every refusal of the gateway in OpenAI's shape. No text of a request is ever repeated in one.

use bytes::Bytes;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use crate::{answer::Answer, quota::Refusal, request::Unreadable, route::NoRoute, world::Demand};

/// `{"error": {"message", "type", "param", "code"}}` and its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<&'static str>,
    retry_after_seconds: Option<u64>,
    refusal: Option<Box<Refusal>>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), param: None, retry_after_seconds: None, refusal: None }
    }

    fn again(self, seconds: u64) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// The same for a key that there is not, that is revoked, or that has expired.
    pub(crate) fn unauthorized() -> Self {
        let message = "no valid API key was given; send one as 'Authorization: Bearer KEY'";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    pub(crate) fn key_in_query() -> Self {
        let message = "an API key must not stand in the address, where others may log it; send it as \
                       'Authorization: Bearer KEY', and revoke the one that was sent";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    pub(crate) fn no_route(why: NoRoute) -> Self {
        match why {
            NoRoute::Path => Self::new(StatusCode::NOT_FOUND, "not_found", "there is no such route"),
            NoRoute::Method => Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "this route does not take this method; use GET for models and POST for the rest",
            ),
        }
    }

    /// The same for one that there is not and one that the key does not allow.
    pub(crate) fn unknown_model() -> Self {
        let message = "the model that 'model' names does not exist or you do not have access to it; /v1/models lists \
                       those that you have";
        Self { param: Some("model"), ..Self::new(StatusCode::NOT_FOUND, "model_not_found", message) }
    }

    pub(crate) fn unreadable(why: Unreadable) -> Self {
        let bad = |code, message| Self::new(StatusCode::BAD_REQUEST, code, message);
        let of_model = |code, message| Self { param: Some("model"), ..bad(code, message) };
        match why {
            Unreadable::Utf8 => bad("invalid_json", "the body of the request is not UTF-8"),
            Unreadable::Deep => {
                bad("invalid_json", "the body of the request nests too deeply; at most 100 levels are read")
            }
            Unreadable::Json => bad("invalid_json", "the body of the request is not a JSON object"),
            Unreadable::NoModel => {
                of_model("missing_required_parameter", "'model' is missing; /v1/models lists the names")
            }
            Unreadable::TwoModels => of_model("invalid_value", "'model' is given twice"),
            Unreadable::Model => {
                of_model("invalid_value", "'model' must be the name of a model; /v1/models lists them")
            }
        }
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

    pub(crate) fn over_quota(refusal: Refusal) -> Self {
        let message = format!(
            "the limit '{}' of this API key is used up; try again in {} s",
            refusal.limit.as_str(),
            refusal.retry_after_seconds
        );
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message);
        Self { refusal: Some(Box::new(refusal)), ..error.again(refusal.retry_after_seconds) }
    }

    /// The gateway itself has too much to do.
    pub(crate) fn busy() -> Self {
        let message = "the gateway has as many requests as it takes; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message).again(1)
    }

    pub(crate) fn audit_unavailable() -> Self {
        let message = "the audit log cannot be written, and what cannot be audited is not served; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "audit_unavailable", message).again(5)
    }

    pub(crate) fn draining() -> Self {
        let message = "this replica of the gateway is shutting down; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_draining", message).again(1)
    }

    /// No pod is ready, and none comes or it took too long.
    pub(crate) fn no_endpoint(demand: Demand) -> Self {
        let unavailable = |code, message| Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message);
        match demand {
            Demand::Suspended => unavailable(
                "model_suspended",
                "this model is suspended (Suspended); it answers once it is active again",
            )
            .again(60),
            Demand::ScaledToZero => {
                unavailable("model_scaled_to_zero", "this model is scaled to zero replicas (ScaledToZero); scale it up")
                    .again(60)
            }
            Demand::Wanted => unavailable(
                "model_not_ready",
                "no replica of this model is ready (NotReady); it may be loading; try again",
            )
            .again(5),
        }
    }

    /// More requests wait for models than may.
    pub(crate) fn hold_full() -> Self {
        let message = "no replica of this model is ready, and as many requests wait as may (NotReady); try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "model_not_ready", message).again(5)
    }

    pub(crate) fn upstream_failed() -> Self {
        let message = "the replica of the model that had this request failed; it was not sent to another, since it may \
                       have begun";
        Self::new(StatusCode::BAD_GATEWAY, "upstream_failed", message)
    }

    pub(crate) fn upstream_unreachable() -> Self {
        let message = "no replica of this model could be reached; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "upstream_unreachable", message).again(1)
    }

    pub(crate) fn upstream_timeout() -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", "the model took too long to begin its answer")
    }

    /// Ends a stream whose key is no longer valid.
    pub(crate) fn key_ended() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "the API key was revoked or has expired")
    }

    pub(crate) fn body(&self) -> String {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            StatusCode::UNAUTHORIZED => "authentication_error",
            status if status.is_server_error() => "server_error",
            _ => "invalid_request_error",
        };
        json!({"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}).to_string()
    }

    pub(crate) fn into_response(self) -> Response<Answer> {
        let mut response = Response::new(Answer::whole(Bytes::from(self.body())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(refusal) = self.refusal {
            refusal.standing.write_to(headers);
        }
        response
    }
}
