//! Which lines may be written.

use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{
    filter::Targets,
    layer::{Context, Filter},
};

/// What our crates' modules begin with.
const OURS: &str = "alcazar";
/// The least severe level of everybody else.
const THEIRS: Level = Level::INFO;

/// A text that is no filter.
#[derive(Debug)]
pub struct Unclear(tracing_subscriber::filter::ParseError);

impl std::fmt::Display for Unclear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; expected a level such as info, or levels of modules such as info,alcazar_server=debug", self.0)
    }
}

impl std::error::Error for Unclear {}

/// A filter of levels and modules under which libraries never say more than `info`.
#[derive(Clone, Debug)]
pub struct Ceiling {
    asked: Targets,
}

impl Default for Ceiling {
    /// `info`.
    fn default() -> Self {
        Self { asked: Targets::new().with_default(LevelFilter::INFO) }
    }
}

impl Ceiling {
    /// Understands `info`, and `info,alcazar_server=debug`.
    ///
    /// # Errors
    /// Another form.
    pub fn parse(text: &str) -> Result<Self, Unclear> {
        text.parse().map(|asked| Self { asked }).map_err(Unclear)
    }

    /// Whether a line of this module and level is written.
    #[must_use]
    pub fn lets_through(&self, target: &str, level: Level) -> bool {
        (is_ours(target) || level <= THEIRS) && self.asked.would_enable(target, &level)
    }
}

/// `alcazar_server::api`, but not `alcazarette`.
fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', ':']))
}

impl<S: Subscriber> Filter<S> for Ceiling {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.lets_through(metadata.target(), *metadata.level())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.lets_through(metadata.target(), *metadata.level()) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(&self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_never_say_more_than_info() {
        let loudest = "trace,hyper=trace,h2::codec=trace,rustls=debug,axum::rejection=trace";
        for text in ["trace", loudest] {
            let ceiling = Ceiling::parse(text).unwrap();
            for target in [
                "hyper",
                "h2::codec::framed_read",
                "rustls::conn",
                "axum::rejection",
                "tower_http",
                "alcazarette",
                "log",
            ] {
                assert!(
                    !ceiling.lets_through(target, Level::TRACE) && !ceiling.lets_through(target, Level::DEBUG),
                    "{target}"
                );
                assert!(
                    ceiling.lets_through(target, Level::INFO) && ceiling.lets_through(target, Level::ERROR),
                    "{target}"
                );
            }
            assert!(ceiling.lets_through("alcazar_server::api", Level::TRACE));
        }
    }

    #[test]
    fn what_was_asked_for_holds_below_the_ceiling() {
        let ceiling = Ceiling::parse("warn,alcazar_engine=debug,kube_client=off").unwrap();
        assert!(
            ceiling.lets_through("alcazar_engine", Level::DEBUG)
                && !ceiling.lets_through("alcazar_engine", Level::TRACE)
        );
        assert!(!ceiling.lets_through("alcazar_server", Level::INFO) && !ceiling.lets_through("hyper", Level::INFO));
        assert!(!ceiling.lets_through("kube_client", Level::ERROR));
        assert!(Ceiling::parse("info,x=loud").unwrap_err().to_string().contains("alcazar_server=debug"));
    }
}
