//! The way of a request: key, route, model, quota, pod.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response,
    body::{Body as _, Incoming},
    header::HeaderValue,
};
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit, watch};

use crate::{
    answer::Answer,
    audit::log::AuditLog,
    error::ApiError,
    forward::Forward,
    headers,
    key::{self, Hash, Key, Name},
    listen::crowd::Seat,
    metrics::Metrics,
    models,
    quota::desk::Desk,
    request::{self, Asked},
    route::Route,
    session::Session,
    settings::{Hold, Limits, Upstream},
    upstream::fleet::Fleet,
    world::{Model, World},
};

/// Bodies are accounted for in these.
const ROOM_UNIT: usize = 4096;

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) world: watch::Receiver<Arc<World>>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) audit: AuditLog,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) hold: Hold,
    pub(crate) upstream: Upstream,
    pub(crate) limits: Limits,
    pub(crate) load: Load,
}

/// What is under way.
#[derive(Debug)]
pub(crate) struct Load {
    room: Semaphore,
    running: AtomicUsize,
    pub(crate) held: AtomicUsize,
    is_draining: AtomicBool,
    /// Models whose prompts should be kept and cannot be: told once.
    told: Mutex<HashSet<Name>>,
}

impl Load {
    /// Nothing yet.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            room: Semaphore::new((limits.max_bodies_bytes / ROOM_UNIT).clamp(1, Semaphore::MAX_PERMITS)),
            running: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
            told: Mutex::default(),
        }
    }
}

impl Gateway {
    /// No request is taken any more.
    pub(crate) fn drain(&self) {
        self.load.is_draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.load.is_draining.load(Ordering::Relaxed)
    }

    /// Answers a request.
    pub(crate) async fn handle(self: Arc<Self>, seat: Arc<Seat>, request: Request<Incoming>) -> Response<Answer> {
        let came = Instant::now();
        let request_id = headers::request_id(request.headers(), || fastrand::u128(..));
        let mut response = match self.answer(&seat, request, &request_id, came).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        };
        response.headers_mut().insert(headers::REQUEST_ID, request_id);
        response
    }

    async fn answer(
        self: &Arc<Self>,
        seat: &Seat,
        request: Request<Incoming>,
        request_id: &HeaderValue,
        came: Instant,
    ) -> Result<Response<Answer>, ApiError> {
        let world = Arc::clone(&self.world.borrow());
        let key = self.authorize(&world, &request)?;
        seat.known();
        let path = request.uri().path();
        let route = Route::of(request.method(), path).map_err(ApiError::no_route)?;
        match route {
            Route::Models => return Ok(models::list(&world, &key)),
            Route::Model => return models::one(&world, &key, path),
            _ => {}
        }
        let _running = self.enter()?;
        let mut session = Session::new(self, key, route, request_id, Arc::clone(&world));
        let answered = self.forward(&mut session, &world, route, request, request_id, came).await;
        match answered {
            Ok(forwarded) => {
                session.answers(forwarded.status());
                forwarded.relay(session).await
            }
            Err(error) => {
                session.answers(error.status);
                Err(error)
            }
        }
    }

    /// The same answer whether the key is unknown, revoked or expired.
    fn authorize(&self, world: &World, request: &Request<Incoming>) -> Result<Arc<Key>, ApiError> {
        if request.uri().query().is_some_and(key::is_in_query) {
            self.metrics.unauthorized();
            return Err(ApiError::key_in_query());
        }
        // Without a key the same is done: an answer that comes sooner would be a hint.
        let presented = key::presented(request.headers());
        let found = world.key(&Hash::of(presented.unwrap_or_default()));
        let found = found.filter(|key| presented.is_some() && key.is_valid(Timestamp::now()));
        found.cloned().ok_or_else(|| {
            self.metrics.unauthorized();
            ApiError::unauthorized()
        })
    }

    fn enter(&self) -> Result<Running<'_>, ApiError> {
        if self.is_draining() {
            return Err(ApiError::draining());
        }
        if !self.audit.has_room() {
            return Err(ApiError::audit_unavailable());
        }
        let running = Running(&self.load.running);
        if self.load.running.fetch_add(1, Ordering::Relaxed) >= self.limits.max_requests {
            return Err(ApiError::busy());
        }
        Ok(running)
    }

    async fn forward(
        self: &Arc<Self>,
        session: &mut Session,
        world: &World,
        route: Route,
        request: Request<Incoming>,
        request_id: &HeaderValue,
        came: Instant,
    ) -> Result<crate::forward::Forwarded, ApiError> {
        let (head, body) = request.into_parts();
        let (body, _room) = self.read(body).await?;
        let read_time = came.elapsed();
        let asked = request::read(route, &body).map_err(ApiError::unreadable)?;
        let model = world.model(session.key(), &asked.model).cloned().ok_or_else(ApiError::unknown_model)?;
        session.names(&model);
        self.reserve(session, &asked).await?;
        self.keep_prompt(session, &model, &body);
        let forward = Forward {
            gateway: self,
            model,
            route,
            headers: headers::forwarded(&head.headers, request_id),
            asked,
            body,
            // Reading the body takes as long as the client sends.
            began: came + read_time,
        };
        forward.run(session).await
    }

    async fn reserve(&self, session: &mut Session, asked: &Asked) -> Result<(), ApiError> {
        let key = Arc::clone(session.key());
        match self.desk.ask(&key, asked.prompt_tokens).await {
            Ok(leave) => {
                session.has_leave(leave, asked.prompt_tokens);
                Ok(())
            }
            Err(refusal) => {
                self.metrics.over_quota(&key.name.namespace, &key.name.name, refusal.limit.as_str());
                Err(ApiError::over_quota(refusal))
            }
        }
    }

    fn keep_prompt(&self, session: &mut Session, model: &Model, body: &Bytes) {
        let Some(days) = model.prompt_days else { return };
        if self.audit.keeps_prompts() {
            session.keeps(model, days, body);
            return;
        }
        let name = Name::new(&model.namespace, &model.name);
        if self.load.told.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            tracing::error!(
                model = %name,
                "promptLogging is Enabled and there is no directory to keep prompts in; set audit.file in the settings"
            );
        }
    }

    /// The whole body, if there is room for it and it comes in time.
    async fn read(&self, body: Incoming) -> Result<(Bytes, Room<'_>), ApiError> {
        let limit = self.limits.max_body_bytes;
        if body.size_hint().lower() > limit as u64 {
            return Err(ApiError::too_large(limit));
        }
        let time = Duration::from_secs(self.limits.body_seconds);
        tokio::time::timeout(time, self.collect(body, limit)).await.map_err(|_| ApiError::body_timeout())?
    }

    async fn collect(&self, mut body: Incoming, limit: usize) -> Result<(Bytes, Room<'_>), ApiError> {
        let mut room = Room { permits: Vec::new(), bytes: 0 };
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(chunk) = frame.map_err(|_| ApiError::body_broken())?.into_data() else { continue };
            if whole.len() + chunk.len() > limit {
                return Err(ApiError::too_large(limit));
            }
            whole.extend_from_slice(&chunk);
            room.grow(&self.load.room, whole.len())?;
        }
        Ok((whole.freeze(), room))
    }
}

/// What a body takes of the memory that bodies have.
struct Room<'a> {
    permits: Vec<SemaphorePermit<'a>>,
    bytes: usize,
}

impl<'a> Room<'a> {
    fn grow(&mut self, all: &'a Semaphore, bytes: usize) -> Result<(), ApiError> {
        let units = bytes.saturating_sub(self.bytes).div_ceil(ROOM_UNIT);
        if units == 0 {
            return Ok(());
        }
        let permit = all.try_acquire_many(u32::try_from(units).unwrap_or(u32::MAX)).map_err(|_| ApiError::busy())?;
        self.permits.push(permit);
        self.bytes += units * ROOM_UNIT;
        Ok(())
    }
}

/// Counts requests until their answer begins.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
