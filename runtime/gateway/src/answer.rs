//! Bodies of answers: made here, or passed on chunk by chunk as a pod sends them.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::{
    error::ApiError,
    listen::crowd::Work,
    meter::Meter,
    session::Session,
    upstream::{Answered, fleet::Flight, pool::Lease},
};

/// Why a body ends early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the replica of the model broke off its answer: {0}")]
    Upstream(hyper::Error),
    #[error("the API key was revoked or has expired")]
    KeyEnded,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    source: Source,
    _work: Option<Work>,
}

#[derive(Debug)]
enum Source {
    Whole(Option<Bytes>),
    Relayed(Box<Relay>),
}

impl Answer {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { source: Source::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())), _work: None }
    }

    pub(crate) fn relayed(relay: Relay) -> Self {
        Self { source: Source::Relayed(Box::new(relay)), _work: None }
    }

    /// The connection is busy for as long as the body is there.
    pub(crate) fn holding(self, work: Work) -> Self {
        Self { _work: Some(work), ..self }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Relayed(relay) => relay.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_none(),
            Source::Relayed(relay) => relay.is_over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Relayed(relay) if relay.meter.is_changing() || relay.is_over => SizeHint::default(),
            Source::Relayed(relay) => relay.size_hint(),
        }
    }
}

type Read = Option<Result<Frame<Bytes>, hyper::Error>>;

/// An answer on its way. Dropped before its end, because the client left, it ends the pod's work at once.
#[derive(Debug)]
pub(crate) struct Relay {
    upstream: Incoming,
    /// What was read of it before the answer went out.
    first: Option<Read>,
    lease: Lease,
    _flight: Flight,
    meter: Meter,
    session: Session,
    is_events: bool,
    is_over: bool,
}

impl Relay {
    pub(crate) fn new(answered: Answered, flight: Flight, meter: Meter, session: Session, is_events: bool) -> Self {
        let Answered { response, lease } = answered;
        let upstream = response.into_body();
        Self { upstream, first: None, lease, _flight: flight, meter, session, is_events, is_over: false }
    }

    /// Waits for the beginning of an answer that comes as a whole, so that it goes out in one piece with its head: two cost a
    /// write and a wake of the client more. One that breaks off before it can still be told. The head of a stream goes at once.
    pub(crate) async fn with_beginning(mut self) -> Result<Self, ApiError> {
        if self.is_events {
            return Ok(self);
        }
        match self.upstream.frame().await {
            Some(Err(error)) => {
                tracing::warn!(%error, "a pod broke off before its answer");
                let error = ApiError::upstream_failed();
                self.session.answers(error.status);
                Err(error)
            }
            first => {
                self.first = Some(first);
                Ok(self)
            }
        }
    }

    /// Of what is still to come.
    fn size_hint(&self) -> SizeHint {
        let read = self
            .first
            .iter()
            .flatten()
            .flatten()
            .filter_map(Frame::data_ref)
            .map(|data| data.len() as u64)
            .sum::<u64>();
        let hint = self.upstream.size_hint();
        hint.exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + read))
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        match self.first.take() {
            Some(first) => Poll::Ready(first),
            None => Pin::new(&mut self.upstream).poll_frame(cx),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if self.is_over {
                return Poll::Ready(None);
            }
            let chunk = match std::task::ready!(self.read(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => chunk,
                    // Trailers say nothing that is for the client.
                    Err(_) => continue,
                },
                Some(Err(error)) => {
                    self.is_over = true;
                    return Poll::Ready(Some(Err(BodyError::Upstream(error))));
                }
                None => {
                    let rest = self.finish();
                    return Poll::Ready(self.session.passed(rest).map(|rest| Ok(Frame::data(rest))));
                }
            };
            if !self.session.key_holds() {
                return Poll::Ready(Some(self.end()));
            }
            let mut chunk = self.meter.pass(chunk);
            // Whoever knows the length does not ask for more once it is reached.
            if self.upstream.is_end_stream() {
                let rest = self.finish();
                if !rest.is_empty() {
                    chunk = [chunk, rest].concat().into();
                }
            }
            if let Some(chunk) = self.session.passed(chunk) {
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
        }
    }

    /// The pod has said all; what is left of it goes on.
    fn finish(&mut self) -> Bytes {
        self.is_over = true;
        self.lease.finish();
        self.meter.finish()
    }

    /// The key ended: a stream is told so in its own form, anything else breaks off.
    fn end(&mut self) -> Result<Frame<Bytes>, BodyError> {
        self.is_over = true;
        self.session.key_ended();
        if !self.is_events {
            return Err(BodyError::KeyEnded);
        }
        let event = format!("data: {}\n\ndata: [DONE]\n\n", ApiError::key_ended().body());
        Ok(Frame::data(event.into()))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.session.count(|estimated| self.meter.tokens(estimated));
    }
}
