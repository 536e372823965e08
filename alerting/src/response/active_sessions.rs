//! How many sessions of a system are open, as identity providers say: what a share of all sessions is measured by. A bounded
//! fold over `session.*` events. A session counts for a day of log time after it was opened, unless it has ended.
//!
//! Whoever can write such events can make the number larger, and so the share; the budgets by the hour hold nevertheless.

use std::collections::{BTreeMap, VecDeque};

use keywatch_store::{Event, Instant};
use serde::{Deserialize, Serialize};

use crate::limits::{ACTIVE_SESSION_NS, ACTIVE_SESSIONS_MAX};

/// Open sessions, by system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveSessions {
    systems: BTreeMap<String, Sessions>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sessions {
    since: BTreeMap<String, Instant>,
    /// As they were opened; what stands here and not above has ended.
    order: VecDeque<(Instant, String)>,
}

impl ActiveSessions {
    /// Takes in an event of a session; others are passed over.
    pub(crate) fn apply(&mut self, event: &Event) {
        let Some(session) = event.session() else { return };
        match event.kind() {
            "session.started" if event.outcome() != Some("failure") && !event.late() => {
                self.systems.entry(event.system().to_owned()).or_default().open(session, event.time());
            }
            "session.ended" | "session.revoked" => {
                if let Some(sessions) = self.systems.get_mut(event.system()) {
                    sessions.since.remove(session);
                }
            }
            _ => {}
        }
    }

    /// Sessions of a system that are open at this log time.
    #[must_use]
    pub fn count(&self, system: &str, now: Instant) -> usize {
        let sessions = self.systems.get(system).into_iter().flat_map(|sessions| sessions.since.values());
        sessions.filter(|since| since.saturating_add(ACTIVE_SESSION_NS) > now).count()
    }
}

impl Sessions {
    fn open(&mut self, session: &str, now: Instant) {
        self.since.insert(session.to_owned(), now);
        self.order.push_back((now, session.to_owned()));
        let is_past = |since: Instant| since.saturating_add(ACTIVE_SESSION_NS) <= now;
        while self.order.front().is_some_and(|(since, _)| is_past(*since) || self.order.len() > ACTIVE_SESSIONS_MAX) {
            let Some((since, session)) = self.order.pop_front() else { break };
            if self.since.get(&session) == Some(&since) {
                self.since.remove(&session);
            }
        }
    }
}
