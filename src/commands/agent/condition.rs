//! What an agent has to say about itself: what is wrong now, and what went wrong and was not told yet. It stands in the log
//! lines at once, and in the next heartbeat. Knows nobody who reads it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::AGENT_NOTICES_MAX;

/// How the agent is.
#[derive(Debug, Default)]
pub(super) struct Condition(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What is wrong now, by what it is about.
    wrong: BTreeMap<String, String>,
    /// What went wrong, oldest first, each with a number.
    notices: VecDeque<(u64, String)>,
    next: u64,
}

impl Condition {
    /// Something is wrong with `about` until it is [right](Self::right) again; said once.
    pub(super) fn wrong(&self, about: &str, problem: &str) {
        let before = self.lock().wrong.insert(about.to_owned(), problem.to_owned());
        if before.as_deref() != Some(problem) {
            tracing::warn!("{problem}");
        }
    }

    /// Nothing is wrong with `about` any more.
    pub(super) fn right(&self, about: &str) {
        if let Some(problem) = self.lock().wrong.remove(about) {
            tracing::info!("a problem is over: {problem}");
        }
    }

    /// Something went wrong.
    pub(super) fn notice(&self, problem: String) {
        tracing::warn!("{problem}");
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        state.notices.push_back((number, problem));
        if state.notices.len() > AGENT_NOTICES_MAX {
            state.notices.pop_front();
        }
    }

    /// All of it in one text, if there is any, and the number of the last notice in it.
    pub(super) fn problem(&self) -> (Option<String>, u64) {
        let state = self.lock();
        let all = state.notices.iter().map(|(_, problem)| problem).chain(state.wrong.values());
        let text = all.map(String::as_str).collect::<Vec<_>>().join("; ");
        (Some(text).filter(|text| !text.is_empty()), state.next)
    }

    /// Notices up to that number are in the log.
    pub(super) fn told(&self, last: u64) {
        self.lock().notices.retain(|(number, _)| *number > last);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_until_it_is_right_and_what_went_wrong_until_it_was_told() {
        let condition = Condition::default();
        assert_eq!(condition.problem(), (None, 0));
        condition.wrong("buffer", "the buffer is full");
        condition.notice("a.log was truncated".to_owned());
        let (problem, told) = condition.problem();
        assert_eq!(problem.as_deref(), Some("a.log was truncated; the buffer is full"));
        condition.notice("b.log was truncated".to_owned());
        condition.told(told);
        condition.right("buffer");
        assert_eq!(condition.problem().0.as_deref(), Some("b.log was truncated"));
    }

    #[test]
    fn p7_what_nobody_takes_is_bounded() {
        let condition = Condition::default();
        (0..2 * AGENT_NOTICES_MAX).for_each(|number| condition.notice(format!("notice {number}")));
        let problem = condition.problem().0.unwrap();
        assert_eq!(problem.split("; ").count(), AGENT_NOTICES_MAX);
        assert!(problem.ends_with(&format!("notice {}", 2 * AGENT_NOTICES_MAX - 1)), "{problem}");
    }
}
