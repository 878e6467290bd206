//! Whether the canary answers the operator itself: without that, silence from a model pod would prove nothing. Client
//! required: the network, never the API server.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use alcazar_contract::isolation::{Target, TargetKind};

use crate::{canary, context::Context, controller::deployment::observe::targets::FoundTargets, runner::Waker};

/// Between two looks at a canary that answers.
const WATCHING: Duration = Duration::from_secs(30);
/// Between two looks at one that does not.
const SEEKING: Duration = Duration::from_secs(3);
/// Looks in a row without an answer before it is told.
const MISSES: u32 = 3;

/// What is known of the canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Nobody has looked yet.
    #[default]
    NotYet,
    /// It answers, or this installation has none.
    Yes,
    /// It does not answer at this address.
    No(String),
}

/// Looks at the canary through the same address that the pods try.
#[derive(Debug, Default)]
pub(crate) struct Control(Mutex<Answers>);

impl Control {
    /// What the last looks came to.
    pub(crate) fn answers(&self) -> Answers {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for as long as it is polled, and wakes every deployment when the answer changes.
    pub(crate) async fn run(&self, ctx: &Context, targets: &FoundTargets, waker: &Waker) {
        let mut n_misses = 0;
        loop {
            let silent = silent(&targets.get(ctx).await.named).await;
            n_misses = if silent.is_some() { n_misses + 1 } else { 0 };
            let pause = if silent.is_some() { SEEKING } else { WATCHING };
            let found = judge(silent, n_misses);
            if found.is_some_and(|found| self.keep(found)) {
                ctx.stores.llm_deployments.keys().into_iter().for_each(|key| waker.wake(key));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether it is another answer than before.
    fn keep(&self, found: Answers) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_changed = *known != found;
        *known = found;
        has_changed
    }
}

/// The first canary that does not answer.
async fn silent(targets: &[Target]) -> Option<String> {
    for target in targets.iter().filter(|target| target.kind == TargetKind::Canary) {
        if !canary::answers(&target.address).await {
            return Some(target.address.clone());
        }
    }
    None
}

/// What is to be told; none while it is too early to say. Pure.
fn judge(silent: Option<String>, n_misses: u32) -> Option<Answers> {
    match silent {
        None => Some(Answers::Yes),
        Some(address) => (n_misses >= MISSES).then_some(Answers::No(address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_missed_after_three_looks() {
        let address = || Some("10.96.4.4:8083".to_owned());
        assert_eq!(judge(None, 0), Some(Answers::Yes));
        assert_eq!((judge(address(), 1), judge(address(), 2)), (None, None));
        assert_eq!(judge(address(), 3), address().map(Answers::No));
    }

    #[test]
    fn only_another_answer_is_news() {
        let control = Control::default();
        assert!(control.keep(Answers::Yes) && !control.keep(Answers::Yes));
        assert!(control.keep(Answers::No("a:1".to_owned())) && control.keep(Answers::Yes));
    }

    #[tokio::test]
    async fn without_a_canary_there_is_none_to_miss() {
        assert_eq!(silent(&["ApiServer=127.0.0.1:1".parse().unwrap()]).await, None);
        let silent = silent(&["Canary=127.0.0.1:1".parse().unwrap()]).await;
        assert_eq!(silent.as_deref(), Some("127.0.0.1:1"));
    }
}
