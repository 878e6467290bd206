//! What a key may use: requests and tokens of any minute, tokens of a day (UTC).
//!
//! Each key has one owner among the replicas, which keeps its ledger; the others ask it. A minute is a sliding window of
//! seconds, not a bucket that fills up: no sixty seconds ever hold more requests than the limit, and when a place becomes
//! free is known to the second. Tokens of the prompt are reserved before, from its size; what the answer really took
//! replaces the guess when it ends, so answers that are under way may go over the limit, and then the key waits for longer.

pub(crate) mod books;
pub(crate) mod desk;
pub(crate) mod ledger;
pub(crate) mod owner;
pub(crate) mod peer;
pub(crate) mod window;

use hyper::{HeaderMap, header::HeaderName};
use serde::{Deserialize, Serialize};

/// What a key may use; absent: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Requests that are taken within any minute.
    pub(crate) requests_per_minute: Option<u64>,
    /// Tokens read and written within any minute.
    pub(crate) tokens_per_minute: Option<u64>,
    /// Tokens read and written between midnights, UTC.
    pub(crate) tokens_per_day: Option<u64>,
}

impl Limits {
    /// Whether anything is limited.
    pub(crate) fn is_limited(self) -> bool {
        self != Self::default()
    }

    /// What one of `n` replicas grants alone: together never more than the whole, but at least something.
    pub(crate) fn share(self, n: u64) -> Self {
        let of = |limit: Option<u64>| limit.map(|limit| (limit / n.max(1)).max(1));
        Self {
            requests_per_minute: of(self.requests_per_minute),
            tokens_per_minute: of(self.tokens_per_minute),
            tokens_per_day: of(self.tokens_per_day),
        }
    }
}

/// When something happens, in the two ways that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Of a clock that only goes forward, since the process began.
    pub(crate) second: u64,
    /// Seconds since 1970, as the wall has it.
    pub(crate) unix: i64,
}

const DAY_SECONDS: i64 = 86_400;

impl Moment {
    /// Days since 1970, in UTC.
    pub(crate) fn day(self) -> i64 {
        self.unix.div_euclid(DAY_SECONDS)
    }

    /// Seconds until the next midnight, in UTC.
    pub(crate) fn left_today(self) -> u64 {
        (DAY_SECONDS - self.unix.rem_euclid(DAY_SECONDS)).unsigned_abs()
    }
}

/// Which limit is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Limit {
    RequestsPerMinute,
    TokensPerMinute,
    TokensPerDay,
}

impl Limit {
    /// As the key's object names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requestsPerMinute",
            Self::TokensPerMinute => "tokensPerMinute",
            Self::TokensPerDay => "tokensPerDay",
        }
    }
}

/// How much of one limit is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Until all of it is there again.
    pub(crate) reset_seconds: u64,
}

/// How a key stands, for the heads of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) requests: Option<Left>,
    /// Of the minute; of the day where only that is limited.
    pub(crate) tokens: Option<Left>,
}

impl Standing {
    /// Writes OpenAI's headers.
    pub(crate) fn write_to(&self, headers: &mut HeaderMap) {
        const REQUESTS: [HeaderName; 3] = [
            HeaderName::from_static("x-ratelimit-limit-requests"),
            HeaderName::from_static("x-ratelimit-remaining-requests"),
            HeaderName::from_static("x-ratelimit-reset-requests"),
        ];
        const TOKENS: [HeaderName; 3] = [
            HeaderName::from_static("x-ratelimit-limit-tokens"),
            HeaderName::from_static("x-ratelimit-remaining-tokens"),
            HeaderName::from_static("x-ratelimit-reset-tokens"),
        ];
        for ([limit, remaining, reset], left) in [(REQUESTS, self.requests), (TOKENS, self.tokens)] {
            let Some(left) = left else { continue };
            headers.insert(limit, left.limit.into());
            headers.insert(remaining, left.remaining.into());
            if let Ok(seconds) = format!("{}s", left.reset_seconds).parse() {
                headers.insert(reset, seconds);
            }
        }
    }
}

/// Why a request is not taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) limit: Limit,
    /// Never zero.
    pub(crate) retry_after_seconds: u64,
    pub(crate) standing: Standing,
}
