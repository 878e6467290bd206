//! What all handlers share: where the process stands, and the model once it is loaded.

mod phase;

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use alcazar_contract::{
    isolation::{Target, WANTED_ROUNDS},
    status::{Isolation, ServeStatus},
};
use alcazar_core::{AdapterId, EncoderConfig};
use alcazar_engine::Gate;
use alcazar_text::Tokenizer;

pub(crate) use self::phase::{NotServed, Phase, Unready};
use crate::{
    adapters::{self, ServedAdapter},
    api::BodyRoom,
    encoder_thread::EncoderHandle,
    engine_thread::EngineHandle,
    language::Language,
    metrics::Metrics,
};

/// A loaded model and the way to its engine.
pub(crate) struct Served {
    pub language: Arc<dyn Language>,
    pub engine: EngineHandle,
    /// Counts requests before their text is tokenized.
    pub gate: Gate,
    pub context_length: usize,
    /// Longest time from arrival to the end of an answer.
    pub request_timeout: Duration,
    /// Tokens that the model knows.
    pub vocabulary: usize,
    /// By their numbers in the engine.
    pub adapters: Vec<ServedAdapter>,
}

/// A loaded encoder and the way to it.
pub(crate) struct ServedEncoder {
    pub tokenizer: Arc<Tokenizer>,
    pub encoder: EncoderHandle,
    pub config: EncoderConfig,
    /// Counts requests before their text is tokenized.
    pub gate: Gate,
}

/// What a request names.
pub(crate) struct Named {
    /// As the request has it, and as its answer tells it.
    pub name: String,
    /// `None`: the model as it is.
    pub adapter: Option<AdapterId>,
}

/// Everything that is told or asked of a serving process.
pub(crate) struct App {
    pub model_name: String,
    pub metrics: Arc<Metrics>,
    pub started: Instant,
    /// Seconds since 1970, as the API tells when a model was made.
    pub created: u64,
    pub bodies: BodyRoom,
    served: OnceLock<Served>,
    encoder: OnceLock<ServedEncoder>,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    status: ServeStatus,
    isolation: Option<IsolationFinding>,
    isolation_is_required: bool,
}

struct IsolationFinding {
    blocked_rounds: u32,
    reached: Vec<Target>,
    tried: Vec<Target>,
    at: Instant,
}

impl App {
    pub(crate) fn new(
        model_name: String,
        metrics: Arc<Metrics>,
        started: Instant,
        isolation_is_required: bool,
    ) -> Self {
        let created = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let state = State {
            phase: Phase::Starting(Unready::loading("the process has just started")),
            status: ServeStatus::default(),
            isolation: None,
            isolation_is_required,
        };
        Self {
            model_name,
            metrics,
            started,
            created,
            bodies: BodyRoom::default(),
            served: OnceLock::new(),
            encoder: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Plain values; a panicking holder leaves them readable.
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is being done before the model can be served.
    pub(crate) fn starting(&self, unready: Unready) {
        tracing::info!(reason = unready.reason, "{}", unready.message);
        self.with(|state| {
            if let Phase::Starting(_) = state.phase {
                state.phase = Phase::Starting(unready);
            }
        });
    }

    /// The model is loaded and has answered once.
    pub(crate) fn serve(&self, served: Served, facts: impl FnOnce(&mut ServeStatus)) {
        // A second model is never loaded.
        let _ = self.served.set(served);
        self.now_serving(facts);
    }

    /// The same of an encoder.
    pub(crate) fn serve_encoder(&self, encoder: ServedEncoder, facts: impl FnOnce(&mut ServeStatus)) {
        let _ = self.encoder.set(encoder);
        self.now_serving(facts);
    }

    fn now_serving(&self, facts: impl FnOnce(&mut ServeStatus)) {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.with(|state| {
            facts(&mut state.status);
            state.status.load_milliseconds = elapsed;
            if let Phase::Starting(_) = state.phase {
                state.phase = Phase::Serving;
            }
        });
        tracing::info!(model = self.model_name, milliseconds = elapsed, "serving");
    }

    /// No request is taken any more.
    pub(crate) fn drain(&self) {
        self.with(|state| state.phase = Phase::Draining);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.with(|state| matches!(state.phase, Phase::Draining))
    }

    /// What the last round of the isolation probe found.
    pub(crate) fn isolation(&self, blocked_rounds: u32, reached: Vec<Target>, tried: Vec<Target>) {
        let finding = IsolationFinding { blocked_rounds, reached, tried, at: Instant::now() };
        self.with(|state| state.isolation = Some(finding));
    }

    pub(crate) fn measured(&self, prefill: u32, decode: u32) {
        self.with(|state| {
            state.status.prefill_tokens_per_second = prefill;
            state.status.decode_tokens_per_second = decode;
        });
    }

    /// Why no request can be served now; `None` when one can.
    pub(crate) fn unready(&self) -> Option<Unready> {
        self.with(|state| state.unready())
    }

    /// The model that goes on from texts, if a request can be served now.
    pub(crate) fn ready(&self) -> Result<&Served, NotServed> {
        match (self.unready(), self.served.get(), self.encoder.get()) {
            (Some(unready), ..) => Err(unready.into()),
            (None, Some(served), _) => Ok(served),
            (None, None, Some(encoder)) => Err(NotServed::OfTask(encoder.config.head.task())),
            (None, None, None) => Err(Unready::loading("the model is being loaded").into()),
        }
    }

    /// The encoder, if a request can be served now.
    pub(crate) fn ready_encoder(&self) -> Result<&ServedEncoder, NotServed> {
        match (self.unready(), self.encoder.get(), self.served.get()) {
            (Some(unready), ..) => Err(unready.into()),
            (None, Some(encoder), _) => Ok(encoder),
            (None, None, Some(_)) => Err(NotServed::OfTask("text-generation")),
            (None, None, None) => Err(Unready::loading("the model is being loaded").into()),
        }
    }

    /// The model that goes on from texts, whether or not requests are taken.
    pub(crate) fn served(&self) -> Option<&Served> {
        self.served.get()
    }

    /// The adapters of the model, once it is loaded.
    pub(crate) fn adapters(&self) -> &[ServedAdapter] {
        self.served.get().map(|served| served.adapters.as_slice()).unwrap_or_default()
    }

    /// What a name in a request stands for, if it is served here.
    pub(crate) fn named(&self, name: String) -> Option<Named> {
        let adapter = adapters::id_of(self.adapters(), &name);
        (adapter.is_some() || name == self.model_name).then_some(Named { name, adapter })
    }

    /// All that a request may name.
    pub(crate) fn names(&self) -> Vec<&str> {
        let adapters = self.adapters().iter().map(|adapter| adapter.name.as_str());
        std::iter::once(self.model_name.as_str()).chain(adapters).collect()
    }

    /// Longest text in tokens, once the model is loaded.
    pub(crate) fn context_length(&self) -> Option<usize> {
        let of_encoder = || self.encoder.get().map(|encoder| encoder.config.max_tokens());
        self.served.get().map(|served| served.context_length).or_else(of_encoder)
    }

    /// What counts the requests, once the model is loaded.
    pub(crate) fn gate(&self) -> Option<&Gate> {
        self.served.get().map(|served| &served.gate).or_else(|| self.encoder.get().map(|encoder| &encoder.gate))
    }

    /// The answer of the status route.
    pub(crate) fn status(&self) -> ServeStatus {
        self.with(|state| {
            let unready = state.unready();
            let isolation = state.isolation.as_ref().map(|finding| Isolation {
                blocked_rounds: finding.blocked_rounds,
                reached: finding.reached.clone(),
                tried: finding.tried.clone(),
                seconds_since_last_round: finding.at.elapsed().as_secs(),
            });
            ServeStatus {
                ready: unready.is_none(),
                reason: unready.as_ref().map(|unready| unready.reason.to_owned()).unwrap_or_default(),
                message: unready.map(|unready| unready.message).unwrap_or_default(),
                isolation,
                ..state.status.clone()
            }
        })
    }
}

impl State {
    fn unready(&self) -> Option<Unready> {
        match &self.phase {
            Phase::Starting(unready) => Some(unready.clone()),
            Phase::Draining => Some(Unready::draining()),
            Phase::Serving => {
                if !self.isolation_is_required {
                    return None;
                }
                let (blocked, reached) =
                    self.isolation.as_ref().map_or((0, &[][..]), |found| (found.blocked_rounds, &found.reached[..]));
                if reached.is_empty() {
                    // What broke once has to be proven again.
                    (blocked < WANTED_ROUNDS).then(|| Unready::isolation_unproven(blocked, WANTED_ROUNDS, &[]))
                } else {
                    Some(Unready::isolation_broken(reached))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
