//! How a model stands, in one word and one sentence. Pure.

use alcazar_contract::report::ModelFacts;
use alcazar_crds::{conditions::ModelCondition as Type, llm_model::LlmModel, reasons::ModelReason as Reason};

use super::{
    super::{
        cause::{self, Trouble},
        observe::Observed,
        plan::{Stage, is_fetching},
        validate::Work,
    },
    desired,
};
use crate::conditions::Desired;

/// How it stands, in one word and one sentence.
pub(super) enum State<'a> {
    Sealed(&'a ModelFacts),
    Working(Reason, &'static str),
    Held(Trouble),
}

impl<'a> State<'a> {
    pub(super) fn of(
        stage: &'a Stage,
        observed: &Observed,
        apply: Option<&Trouble>,
        volume: Option<&Trouble>,
        work: &Work,
    ) -> Self {
        if let Some(trouble) = apply {
            return Self::Held(trouble.clone());
        }
        match stage {
            // A volume that is merely not bound says nothing about files that were sealed on it.
            Stage::Sealed(_) if let Some(lost) = volume.filter(|trouble| trouble.reason == Reason::ClaimLost) => {
                Self::Held(lost.clone())
            }
            Stage::Sealed(facts) => Self::Sealed(facts),
            Stage::Held(trouble) => Self::Held(trouble.clone()),
            Stage::Working => match cause::of_running(observed).or_else(|| volume.cloned()) {
                Some(trouble) => Self::Held(trouble),
                None => working(observed, work),
            },
        }
    }

    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Sealed(_) => Reason::Sealed,
            Self::Working(reason, _) => *reason,
            Self::Held(trouble) => trouble.reason,
        }
    }

    pub(super) fn message(&self) -> &str {
        match self {
            Self::Sealed(_) => "the files are sealed and verified",
            Self::Working(_, message) => message,
            Self::Held(trouble) => &trouble.message,
        }
    }

    pub(super) fn is_stalled(&self) -> bool {
        matches!(self, Self::Held(trouble) if trouble.is_stalled())
    }

    pub(super) fn is_reconciling(&self) -> bool {
        !matches!(self, Self::Sealed(_)) && !self.is_stalled()
    }

    pub(super) fn ready(&self, model: &LlmModel) -> Desired {
        match self {
            Self::Sealed(facts) => {
                let message = format!("{} of {} sealed as {}", size(facts.size_bytes), name_of(facts), facts.digest);
                desired(Type::Ready, true, Reason::Sealed, message)
            }
            Self::Working(..) | Self::Held(_) => {
                desired(Type::Ready, false, self.reason(), serves_on(model, self.message()))
            }
        }
    }

    pub(super) fn sealed(&self) -> Desired {
        match self {
            Self::Sealed(facts) => desired(Type::Sealed, true, Reason::Sealed, format!("sealed as {}", facts.digest)),
            Self::Working(..) | Self::Held(_) => desired(Type::Sealed, false, self.reason(), self.message()),
        }
    }
}

fn working<'a>(observed: &Observed, work: &Work) -> State<'a> {
    let whole =
        observed.progress.as_ref().is_some_and(|told| told.total_bytes > 0 && told.done_bytes >= told.total_bytes);
    match work {
        _ if !is_fetching(observed) => State::Working(Reason::Pending, "the pod of the Job is on its way"),
        Work::Verify { .. } => State::Working(Reason::Verifying, "the files on the claim are hashed and checked"),
        Work::Fetch { .. } if whole => {
            State::Working(Reason::Verifying, "the files are on the volume and are hashed and checked")
        }
        Work::Fetch { .. } => State::Working(Reason::Fetching, "the files are being fetched"),
    }
}

/// A failure to bring new files does not touch those that were sealed before.
pub(super) fn serves_on(model: &LlmModel, message: &str) -> String {
    match model.status.as_ref().and_then(|status| status.digest.as_ref()) {
        Some(digest) => format!("{message}. The files sealed before ({digest}) stay and serve on"),
        None => message.to_owned(),
    }
}

fn name_of(facts: &ModelFacts) -> String {
    format!("{} {}", facts.architecture, facts.format).trim().to_owned()
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (0..UNITS.len() - 1).find(|power| bytes >> (10 * (power + 1)) == 0).unwrap_or(UNITS.len() - 1);
    format!("{} {}", bytes >> (10 * power), UNITS[power])
}
