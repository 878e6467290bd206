//! The accounts of all keys that this replica was asked about. Pure; the clock is passed in.
//!
//! An account has two sides: the ledger, which the owner keeps and limits by, and what was used since the key's status was
//! last written. What a replica counts and does not own, it hands to the owner.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{
    Limits, Moment, Refusal, Standing,
    ledger::{Ledger, Reserved},
};
use crate::key::{Name, Spent};

/// Leave of an owner to go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// Which books; a second means nothing in others.
    pub(crate) epoch: u64,
    pub(crate) second: u64,
    pub(crate) tokens: u64,
    pub(crate) standing: Standing,
}

/// What one request, or several, used of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    pub(crate) requests: u64,
    pub(crate) prompt_tokens: u64,
    pub(crate) completion_tokens: u64,
    /// The last of them, in seconds since 1970.
    pub(crate) at: i64,
}

impl Used {
    /// In all.
    pub(crate) fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    /// Adds another's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.at = self.at.max(other.at);
    }
}

/// What a key used, on its way to the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settlement {
    pub(crate) key: Name,
    /// What it was let go ahead with; none: nothing was reserved at the owner.
    pub(crate) grant: Option<Grant>,
    pub(crate) used: Used,
}

/// What is to be written into a key's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) key: Name,
    pub(crate) spent: Spent,
    pub(crate) last_used: i64,
    /// What of it is new, to be counted again if the write fails.
    pub(crate) used: Used,
}

#[derive(Debug, Default)]
struct Account {
    ledger: Ledger,
    /// As the status has it.
    written: Spent,
    unwritten: Used,
    written_at: Option<u64>,
}

/// All accounts.
#[derive(Debug)]
pub(crate) struct Books {
    epoch: u64,
    accounts: HashMap<Name, Account>,
    /// What this replica grants alone, while an owner does not answer.
    shares: HashMap<Name, Ledger>,
}

impl Books {
    /// `epoch`: random.
    pub(crate) fn new(epoch: u64) -> Self {
        Self { epoch, accounts: HashMap::new(), shares: HashMap::new() }
    }

    fn account(&mut self, now: Moment, key: &Name, spent: &Spent) -> &mut Account {
        self.accounts.entry(key.clone()).or_insert_with(|| {
            let today = if spent.day == day_text(now.day()) { spent.tokens_today } else { 0 };
            let ledger = Ledger::starting(now.day(), u64::try_from(today).unwrap_or(0));
            Account { ledger, written: spent.clone(), ..Account::default() }
        })
    }

    /// As the owner.
    pub(crate) fn admit(
        &mut self,
        now: Moment,
        key: &Name,
        limits: Limits,
        spent: &Spent,
        tokens: u64,
    ) -> Result<Grant, Refusal> {
        let epoch = self.epoch;
        let account = self.account(now, key, spent);
        let reserved = account.ledger.admit(now, limits, tokens)?;
        let standing = account.ledger.standing(now, limits);
        Ok(Grant { epoch, second: reserved.second, tokens, standing })
    }

    /// Instead of an owner that does not answer; `limits` are this replica's share.
    pub(crate) fn admit_share(
        &mut self,
        now: Moment,
        key: &Name,
        limits: Limits,
        tokens: u64,
    ) -> Result<(Reserved, Standing), Refusal> {
        let ledger = self.shares.entry(key.clone()).or_default();
        let reserved = ledger.admit(now, limits, tokens)?;
        Ok((reserved, ledger.standing(now, limits)))
    }

    /// The end of what [`Self::admit_share`] let go ahead.
    pub(crate) fn settle_share(&mut self, now: Moment, key: &Name, reserved: Reserved, used: u64) {
        if let Some(ledger) = self.shares.get_mut(key) {
            ledger.settle(now, Some(reserved), used);
        }
    }

    /// As the owner, or on the way to it.
    pub(crate) fn settle(&mut self, now: Moment, spent: &Spent, settlement: &Settlement) {
        let epoch = self.epoch;
        let account = self.account(now, &settlement.key, spent);
        let ours = settlement.grant.filter(|grant| grant.epoch == epoch);
        let reserved = ours.map(|grant| Reserved { second: grant.second, tokens: grant.tokens });
        account.ledger.settle(now, reserved, settlement.used.tokens());
        account.unwritten.add(&settlement.used);
    }

    /// What is to be written now: accounts with news whose last write is long enough ago.
    pub(crate) fn due(&mut self, now: Moment, pause_seconds: u64) -> Vec<Due> {
        let mut all = Vec::new();
        for (key, account) in &mut self.accounts {
            let waits = account.written_at.is_some_and(|at| now.second < at + pause_seconds);
            if account.unwritten.requests == 0 && account.unwritten.tokens() == 0 || waits {
                continue;
            }
            let used = std::mem::take(&mut account.unwritten);
            account.written_at = Some(now.second);
            let plus = |sum: i64, n: u64| sum.saturating_add(i64::try_from(n).unwrap_or(i64::MAX));
            account.written = Spent {
                requests: plus(account.written.requests, used.requests),
                prompt_tokens: plus(account.written.prompt_tokens, used.prompt_tokens),
                completion_tokens: plus(account.written.completion_tokens, used.completion_tokens),
                tokens_today: plus(0, account.ledger.today(now)),
                day: day_text(now.day()),
            };
            all.push(Due { key: key.clone(), spent: account.written.clone(), last_used: used.at, used });
        }
        all
    }

    /// A write that failed: counted as unwritten again.
    pub(crate) fn unwritten(&mut self, due: &Due) {
        let Some(account) = self.accounts.get_mut(&due.key) else { return };
        let minus = |sum: i64, n: u64| sum.saturating_sub(i64::try_from(n).unwrap_or(i64::MAX));
        account.written.requests = minus(account.written.requests, due.used.requests);
        account.written.prompt_tokens = minus(account.written.prompt_tokens, due.used.prompt_tokens);
        account.written.completion_tokens = minus(account.written.completion_tokens, due.used.completion_tokens);
        account.unwritten.add(&due.used);
    }

    /// Gives up accounts that others keep now, with what of them was not written, and those of keys that are gone.
    pub(crate) fn hand_over(
        &mut self,
        is_mine: impl Fn(&Name) -> bool,
        exists: impl Fn(&Name) -> bool,
    ) -> Vec<Settlement> {
        self.shares.retain(|key, _| exists(key));
        let gone: Vec<Name> = self.accounts.keys().filter(|key| !exists(key) || !is_mine(key)).cloned().collect();
        let given = gone.into_iter().filter_map(|key| self.accounts.remove_entry(&key));
        given
            .filter(|(key, account)| exists(key) && account.unwritten != Used::default())
            .map(|(key, account)| Settlement { key, grant: None, used: account.unwritten })
            .collect()
    }
}

/// As `2026-01-31`.
fn day_text(day: i64) -> String {
    let at = jiff::Timestamp::from_second(day.saturating_mul(86_400)).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests;
