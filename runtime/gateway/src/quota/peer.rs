//! What replicas tell each other, over mutual TLS: `POST /reserve` and `POST /settle`, JSON.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Refusal,
    books::{Grant, Settlement},
    desk::Desk,
};
use crate::{
    answer::Answer,
    key::Name,
    listen::crowd::Seat,
    tls::GATEWAY_NAME,
    upstream::{
        CallError, Target,
        fleet::{Call, Fleet, Flight},
    },
};

const RESERVE: &str = "/reserve";
const SETTLE: &str = "/settle";
/// Larger than the settlements of a flood.
const MAX_BYTES: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Question {
    key: Name,
    tokens: u64,
}

/// What the owner of an account says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Reply {
    Granted(Grant),
    Refused(Refusal),
}

/// Why a replica did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    #[error("failed to call the replica: {source}")]
    Call { source: CallError },
    #[error("failed to read what the replica said")]
    Answer,
    #[error("failed with status {0}")]
    Status(StatusCode),
}

/// `Ok(None)`: the owner does not know the key yet.
pub(super) async fn ask(
    fleet: &Fleet,
    address: SocketAddr,
    key: &Name,
    tokens: u64,
) -> Result<Option<Reply>, PeerError> {
    let body = call(fleet, address, RESERVE, &Question { key: key.clone(), tokens }).await?;
    serde_json::from_slice(&body).map_err(|_| PeerError::Answer)
}

pub(super) async fn tell(fleet: &Fleet, address: SocketAddr, settlements: &[Settlement]) -> Result<(), PeerError> {
    call(fleet, address, SETTLE, &settlements).await.map(drop)
}

async fn call(
    fleet: &Fleet,
    address: SocketAddr,
    path: &'static str,
    body: &impl Serialize,
) -> Result<Bytes, PeerError> {
    let body = serde_json::to_vec(body).map_err(|_| PeerError::Answer)?.into();
    let endpoint = fleet.endpoint(&Target { server_name: GATEWAY_NAME.into(), address });
    let call = Call { method: Method::POST, path, headers: HeaderMap::new(), body };
    let answered = fleet.call(&Flight::new(&endpoint), &call).await;
    let mut answered = answered.map_err(|source| PeerError::Call { source })?;
    let status = answered.response.status();
    let body = Limited::new(answered.response.into_body(), MAX_BYTES).collect().await;
    let body = body.map_err(|_| PeerError::Answer)?.to_bytes();
    answered.lease.finish();
    if status == StatusCode::OK { Ok(body) } else { Err(PeerError::Status(status)) }
}

/// Answers a replica. Whoever comes here has a certificate of the CA; it must be a gateway's.
pub(crate) async fn serve(desk: Arc<Desk>, seat: Arc<Seat>, request: Request<Incoming>) -> Response<Answer> {
    if !seat.is_gateway() {
        return plain(StatusCode::FORBIDDEN);
    }
    let path = request.uri().path().to_owned();
    let is_post = request.method() == Method::POST;
    let Ok(body) = Limited::new(request.into_body(), MAX_BYTES).collect().await else {
        return plain(StatusCode::BAD_REQUEST);
    };
    let body = body.to_bytes();
    match path.as_str() {
        RESERVE if is_post => {
            with(&body, |question: Question| serde_json::to_vec(&desk.answer(&question.key, question.tokens)).ok())
        }
        SETTLE if is_post => with(&body, |settlements: Vec<Settlement>| {
            desk.take_in(&settlements);
            Some(b"{}".to_vec())
        }),
        _ => plain(StatusCode::NOT_FOUND),
    }
}

fn with<T: DeserializeOwned>(body: &Bytes, work: impl FnOnce(T) -> Option<Vec<u8>>) -> Response<Answer> {
    let Ok(asked) = serde_json::from_slice(body) else { return plain(StatusCode::BAD_REQUEST) };
    let Some(said) = work(asked) else { return plain(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut response = Response::new(Answer::whole(said.into()));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}
