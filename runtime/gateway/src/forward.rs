//! Brings a request to a pod: picks one, waits for one, and tries another where none had begun.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde::Deserialize;
use tokio::sync::watch;

use crate::{
    answer::{Answer, Relay},
    error::ApiError,
    gateway::Gateway,
    headers,
    meter::{Form, Meter},
    request::Asked,
    route::Route,
    session::Session,
    upstream::{
        Answered, CallError,
        fleet::{Call, Endpoint, Flight},
    },
    world::{Demand, Model, World},
};

/// How soon it is looked again for a pod that was set aside.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Largest refusal of a pod that is read.
const MAX_REFUSAL_BYTES: usize = 16 << 10;
/// What a pod says that has not begun a request, and may soon take another.
const NOT_BEGUN: [&str; 4] = ["server_draining", "model_loading", "isolation_not_proven", "queue_full"];

/// A request that is to be forwarded.
pub(crate) struct Forward<'a> {
    pub(crate) gateway: &'a Arc<Gateway>,
    pub(crate) model: Arc<Model>,
    pub(crate) route: Route,
    pub(crate) headers: HeaderMap,
    pub(crate) asked: Asked,
    pub(crate) body: Bytes,
    /// When the gateway had all of the request.
    pub(crate) began: Instant,
}

/// An answer that has begun.
pub(crate) struct Forwarded {
    head: Response<()>,
    body: Body,
}

enum Body {
    Streaming(Box<(Answered, Flight, Meter, bool)>),
    /// A refusal that was read to see whether another pod may be asked.
    Read(Bytes),
}

enum Tried {
    Answered(Forwarded),
    /// Nothing was begun; what it said, if it said anything.
    NotBegun(Option<Forwarded>),
}

/// One of the requests that wait.
struct Held<'a>(&'a Gateway);

impl<'a> Held<'a> {
    fn take(gateway: &'a Gateway) -> Result<Self, ApiError> {
        let held = Self(gateway);
        gateway.metrics.held.inc();
        if gateway.load.held.fetch_add(1, Ordering::Relaxed) >= gateway.hold.requests {
            return Err(ApiError::hold_full());
        }
        Ok(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.load.held.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.held.dec();
    }
}

impl Forward<'_> {
    /// Until an answer begins.
    pub(crate) async fn run(self, session: &mut Session) -> Result<Forwarded, ApiError> {
        let gateway = self.gateway;
        let mut world = gateway.world.clone();
        let call = self.call();
        let until = Instant::now() + Duration::from_secs(gateway.hold.seconds);
        let (mut retries, mut waited) = (gateway.upstream.retries, Duration::ZERO);
        let mut refused: Option<Forwarded> = None;
        let mut tried: Vec<Arc<Endpoint>> = Vec::new();
        loop {
            let model = self.now(&mut world)?;
            let Some(flight) = gateway.fleet.pick(&model, self.asked.prefix, &tried) else {
                // A full queue is the client's to wait for; a pod that loads or leaves is ours.
                if let Some(full) = refused.take_if(|said| said.status() == StatusCode::TOO_MANY_REQUESTS) {
                    return Ok(full);
                }
                match self.wait(&mut world, model.demand, until).await {
                    Ok(time) => waited += time,
                    Err(error) => return refused.ok_or(error),
                }
                // Waiting is bounded by itself.
                retries = gateway.upstream.retries;
                if !session.key_holds() {
                    return Err(ApiError::unauthorized());
                }
                tried.clear();
                continue;
            };
            let endpoint = flight.endpoint();
            match self.attempt(&call, flight, waited, session).await? {
                Tried::Answered(forwarded) => return Ok(forwarded),
                Tried::NotBegun(said) => {
                    gateway.metrics.retried(if said.is_some() { "refused" } else { "unreachable" });
                    refused = said.or(refused);
                    tried.push(endpoint);
                    if retries == 0 {
                        return refused.ok_or_else(ApiError::upstream_unreachable);
                    }
                    retries -= 1;
                }
            }
        }
    }

    fn call(&self) -> Call {
        Call {
            method: Method::POST,
            path: self.route.path(),
            headers: self.headers.clone(),
            body: self.asked.with_usage.clone().unwrap_or_else(|| self.body.clone()),
        }
    }

    fn now(&self, world: &mut watch::Receiver<Arc<World>>) -> Result<Arc<Model>, ApiError> {
        let world = Arc::clone(&world.borrow_and_update());
        world.model_named(&self.model.namespace, &self.model.name).cloned().ok_or_else(ApiError::unknown_model)
    }

    /// Until something may have changed; the time that it took.
    async fn wait(
        &self,
        world: &mut watch::Receiver<Arc<World>>,
        demand: Demand,
        until: Instant,
    ) -> Result<Duration, ApiError> {
        if demand != Demand::Wanted || Instant::now() >= until {
            return Err(ApiError::no_endpoint(demand));
        }
        if self.gateway.is_draining() {
            return Err(ApiError::draining());
        }
        let _held = Held::take(self.gateway)?;
        let began = Instant::now();
        tokio::select! {
            changed = world.changed() => changed.map_err(|_| ApiError::draining())?,
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        Ok(began.elapsed())
    }

    async fn attempt(
        &self,
        call: &Call,
        flight: Flight,
        waited: Duration,
        session: &Session,
    ) -> Result<Tried, ApiError> {
        let gateway = self.gateway;
        let sent = Instant::now();
        gateway.metrics.added_seconds.observe((sent - self.began).saturating_sub(waited).as_secs_f64());
        let answered = match gateway.fleet.call(&flight, call).await {
            Ok(answered) => answered,
            Err(error) if error.was_not_begun() => return Ok(Tried::NotBegun(None)),
            Err(CallError::Timeout) => return Err(ApiError::upstream_timeout()),
            Err(error) => {
                tracing::warn!(%error, model = %self.model.name, namespace = %self.model.namespace, "a pod failed");
                return Err(ApiError::upstream_failed());
            }
        };
        gateway.metrics.upstream_seconds.observe(sent.elapsed().as_secs_f64());
        let status = answered.response.status();
        if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
            return self.judge(answered, &flight, session).await;
        }
        Ok(Tried::Answered(self.begin(answered, flight, session)))
    }

    /// Whether a pod that refuses has begun.
    async fn judge(&self, answered: Answered, flight: &Flight, session: &Session) -> Result<Tried, ApiError> {
        let (head, body) = answered.response.into_parts();
        let mut lease = answered.lease;
        let body = Limited::new(body, MAX_REFUSAL_BYTES).collect().await.map_err(|_| ApiError::upstream_failed())?;
        let body = body.to_bytes();
        lease.finish();
        let code = serde_json::from_slice::<Refused>(&body).map(|refused| refused.error.code).unwrap_or_default();
        let not_begun = NOT_BEGUN.contains(&code.unwrap_or_default().as_str());
        if not_begun && head.status == StatusCode::SERVICE_UNAVAILABLE {
            self.gateway.fleet.set_aside(flight);
        }
        let headers = returned(&head.headers, true, session);
        let mut response = Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = headers;
        let forwarded = Forwarded { head: response, body: Body::Read(body) };
        Ok(if not_begun { Tried::NotBegun(Some(forwarded)) } else { Tried::Answered(forwarded) })
    }

    fn begin(&self, answered: Answered, flight: Flight, session: &Session) -> Forwarded {
        let (status, from) = (answered.response.status(), answered.response.headers());
        let content = from.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_events = content.starts_with("text/event-stream");
        let is_plain = !from.contains_key(CONTENT_ENCODING);
        let form = match () {
            () if !status.is_success() || !is_plain => Form::Other,
            () if is_events => Form::Events { strip: self.asked.with_usage.is_some() },
            () => Form::Whole,
        };
        let meter = Meter::new(form);
        let mut response = Response::new(());
        *response.status_mut() = status;
        *response.headers_mut() = returned(from, !meter.is_changing(), session);
        Forwarded { head: response, body: Body::Streaming(Box::new((answered, flight, meter, is_events))) }
    }
}

fn returned(from: &HeaderMap, is_as_is: bool, session: &Session) -> HeaderMap {
    let mut headers = headers::returned(from, is_as_is);
    if let Some(leave) = session.leave() {
        leave.standing.write_to(&mut headers);
    }
    headers
}

impl Forwarded {
    pub(crate) fn status(&self) -> StatusCode {
        self.head.status()
    }

    /// Hands the request's end over to its body.
    pub(crate) async fn relay(self, mut session: Session) -> Result<Response<Answer>, ApiError> {
        let body = match self.body {
            Body::Read(bytes) => Answer::whole(session.passed(bytes).unwrap_or_default()),
            Body::Streaming(streaming) => {
                let (answered, flight, meter, is_events) = *streaming;
                let relay = Relay::new(answered, flight, meter, session, is_events);
                Answer::relayed(relay.with_beginning().await?)
            }
        };
        Ok(self.head.map(|()| body))
    }
}

/// `{"error": {"code"}}`
#[derive(Deserialize)]
struct Refused {
    error: RefusedBody,
}

#[derive(Deserialize)]
struct RefusedBody {
    code: Option<String>,
}
