//! The OpenAI-compatible API on the model port.

mod body;
mod chat;
mod chat_shape;
mod completions;
mod encode;
mod error;
mod fields;
mod generate;
mod health;
mod knobs;
mod logprobs;
mod messages;
mod models;
mod responses;
mod routes;
mod schema;
mod sse;
mod structured;
mod tokens;
mod tools;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderValue, Version, header::CONNECTION},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

pub(crate) use self::{body::BodyRoom, error::ApiError};
use crate::app::App;

/// Largest body of a request.
const MAX_BODY_BYTES: usize = 4 << 20;

/// All routes of the model port.
pub(crate) fn router(app: Arc<App>) -> Router {
    routes::router()
        .method_not_allowed_fallback(async |request: Request| {
            ApiError::method_not_allowed(request.method()).into_response()
        })
        .fallback(async || ApiError::no_such_route().into_response())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), observe))
        .with_state(app)
}

/// Counts answers, and asks clients of a draining replica to connect elsewhere.
async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let version = request.version();
    let mut response = next.run(request).await;
    app.metrics.answered(&route, response.status().as_u16(), started.elapsed());
    // HTTP/2 has no such header; its connections are closed by a GOAWAY at the end of the drain.
    if app.is_draining() && version <= Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests;
