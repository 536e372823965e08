//! What people decide on responses: approve, reject, undo. Each is a record first, with the person's name and reason; a
//! response is carried out once as many people as the settings ask for have approved it. Who the person is, others have made
//! sure of.

use std::cmp::Reverse;

use keywatch_store::{Event, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::record;
use crate::lifecycle::self_monitoring::response_undone;
use crate::limits::OPERATION_TEXT_BYTES_MAX;
use crate::policy::settings::Policy;
use crate::response::intent::{Progress, Response, Ruled, Ruling, Step};

/// What an approval has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Others have to approve as well.
    Waits {
        /// People who have.
        approved: Vec<String>,
        /// How many are needed.
        needed: usize,
    },
    /// It is carried out; its progress says how far it has come.
    CarriedOut,
}

/// What the wish to take a response back has led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// Another person has to agree.
    Waits {
        /// People who want it.
        asked: Vec<String>,
        /// How many are needed.
        needed: usize,
    },
    /// It is taken back.
    Undone,
}

impl Executor {
    /// Responses that are remembered, newest first; of one system where one is named.
    #[must_use]
    pub fn responses(&self, system: Option<&str>) -> Vec<Progress> {
        self.with_state(|state| {
            let all = state.responses().iter();
            let of_system = all.filter(|progress| system.is_none_or(|system| progress.response.system == system));
            let mut responses: Vec<Progress> = of_system.cloned().collect();
            responses.sort_by_key(|progress| Reverse(progress.response.decided));
            responses
        })
    }

    /// Approves a proposal, and carries it out when enough people have. What waits to go another way along with it is
    /// approved by the same people, as far as they may and are enough: nobody is asked twice for one revocation.
    ///
    /// # Errors
    /// [`Error::NoResponse`] where there is none, [`Error::ResponseClosed`] when it does not wait for a person,
    /// [`Error::NotAllowed`] when this person cannot decide on it, [`Error::Refused`] without a reason, or [`Error::Log`].
    pub async fn approve(&self, response_id: &str, person: &str, reason: &str) -> Result<Approval, Error> {
        self.propose_ways().await?;
        let turn = self.turn().await?;
        let Progress { response, approvals, .. } = self.decidable(response_id, person, reason)?;
        let needed = self.shared.policy().approvals.people_for(&response.targets);
        let mut approved: Vec<String> = approvals.into_iter().collect();
        if !self.is_among(&approved, person) {
            self.shared.alert_log.append(Topic::Events, vec![record::approved(&response, person, reason)])?;
            approved.push(person.to_owned());
        }
        if approved.len() < needed {
            return Ok(Approval::Waits { approved, needed });
        }
        let system = response.system.clone();
        let mut records = vec![record::requested(&self.decided_now(response, &approved))];
        records.extend(self.approved_along(response_id));
        self.shared.alert_log.append(Topic::Events, records)?;
        drop(turn);
        self.go_ways().await?;
        self.respond(&system).await?;
        self.shared.outbox.dispatch();
        Ok(Approval::CarriedOut)
    }

    fn decided_now(&self, response: Response, approved: &[String]) -> Response {
        let now = self.shared.alert_log.time_of(&response.system).max(response.decided);
        let waited = now.unix_seconds() - response.decided.unix_seconds();
        Response {
            approved_by: Some(approved.join(", ")),
            approved: Some(now),
            sessions_until: response.sessions_until.saturating_add(waited),
            ..response
        }
    }

    /// What the approval of a response says of those that wait to go another way along with it, as records of their own.
    fn approved_along(&self, response_id: &str) -> Vec<Event> {
        let (people, along) = self.with_state(|state| {
            let responses = state.responses();
            let rulings = responses.get(response_id).map(|progress| progress.rulings.clone()).unwrap_or_default();
            let people = rulings.into_iter().filter(|ruling| ruling.ruled == Ruled::Approved).collect::<Vec<_>>();
            (people, responses.waiting_along(response_id).cloned().collect::<Vec<_>>())
        });
        let policy = self.shared.policy();
        let mut records = Vec::new();
        for Progress { response, approvals, .. } in along {
            if self.shared.alert_log.time_of(&response.system) > policy.approvals.expires(response.decided) {
                continue;
            }
            let mut approved: Vec<String> = approvals.into_iter().collect();
            for Ruling { by, reason, .. } in &people {
                let is_new = !approved.iter().any(|other| policy.is_same_person(other, by));
                // Whom the other way is about may be somebody else than whom the response is about.
                if is_new && may_decide(&response, by, reason, &policy).is_ok() {
                    records.push(record::approved(&response, by, reason));
                    approved.push(by.clone());
                }
            }
            if approved.len() >= policy.approvals.people_for(&response.targets) {
                records.push(record::requested(&self.decided_now(response, &approved)));
            }
        }
        records
    }

    /// Rejects a proposal, with a reason. The finding may propose again only by a new finding.
    ///
    /// # Errors
    /// As [`Executor::approve`].
    pub async fn reject(&self, response_id: &str, person: &str, reason: &str) -> Result<(), Error> {
        let _turn = self.turn().await?;
        let Progress { response, .. } = self.decidable(response_id, person, reason)?;
        self.shared.alert_log.append(Topic::Events, vec![record::rejected(&response, person, reason)])?;
        Ok(())
    }

    /// Takes a revocation back, once as many people want it as the settings ask for: its names leave the document, unless
    /// another response holds them too. Everybody who is told of anything is told of it.
    ///
    /// # Errors
    /// [`Error::ResponseClosed`] when it was not decided or is undone already, else as [`Executor::approve`]. Where the
    /// decision point does not answer, it is no error: the next heartbeat publishes the document.
    pub async fn undo(&self, response_id: &str, person: &str, reason: &str) -> Result<Undoing, Error> {
        let turn = self.turn().await?;
        let progress = self.progress(response_id)?;
        if !progress.is_decided() {
            return Err(closed(&progress, "there is nothing to take back"));
        }
        if progress.response.via.is_some() && !progress.is_open() {
            let problem = "cannot be taken back: what was accepted there is done; the person signs in again, and what is \
                           frozen is thawed at the signer";
            return Err(Error::ResponseClosed { response: response_id.to_owned(), problem: problem.to_owned() });
        }
        may_decide(&progress.response, person, reason, &self.shared.policy())?;
        let needed = self.shared.policy().approvals.undo_approvals.clamp(1, 2);
        let mut asked: Vec<String> = progress.undo_asked.iter().cloned().collect();
        if !self.is_among(&asked, person) {
            asked.push(person.to_owned());
            if asked.len() < needed {
                let record = record::undo_asked(&progress.response, person, reason);
                self.shared.alert_log.append(Topic::Events, vec![record])?;
            }
        }
        if asked.len() < needed {
            return Ok(Undoing::Waits { asked, needed });
        }
        let undone = record::undone(&progress.response, person, reason);
        self.shared.alert_log.append(Topic::Events, vec![undone])?;
        drop(turn);
        let told = self.with_state(|state| state.responses().get(response_id).and_then(response_undone));
        if let Some(undone) = told {
            self.take_own(&undone).await?;
        }
        let refreshed = self.shared.responder.refresh(&progress.response.system).await;
        self.settle(&progress.response.system, refreshed).await?;
        Ok(Undoing::Undone)
    }

    fn decidable(&self, response_id: &str, person: &str, reason: &str) -> Result<Progress, Error> {
        let progress = self.progress(response_id)?;
        if progress.step != Step::Proposed {
            return Err(closed(&progress, "it waits for nobody"));
        }
        let expires = self.shared.policy().approvals.expires(progress.response.decided);
        if self.shared.alert_log.time_of(&progress.response.system) > expires {
            let problem =
                format!("has expired: it waited for a person until {expires}, and only a new finding proposes again");
            return Err(Error::ResponseClosed { response: response_id.to_owned(), problem });
        }
        may_decide(&progress.response, person, reason, &self.shared.policy())?;
        Ok(progress)
    }

    /// Whether the person is one of `people`, by this name or another.
    fn is_among(&self, people: &[String], person: &str) -> bool {
        let policy = self.shared.policy();
        people.iter().any(|other| policy.is_same_person(other, person))
    }

    fn progress(&self, response_id: &str) -> Result<Progress, Error> {
        let found = self.with_state(|state| state.responses().get(response_id).cloned());
        found.ok_or_else(|| Error::NoResponse { response: response_id.to_owned() })
    }
}

fn closed(progress: &Progress, so: &str) -> Error {
    let people: Vec<&str> = progress.rulings.iter().map(|ruling| ruling.by.as_str()).collect();
    let by = if people.is_empty() { String::new() } else { format!(" (decided on by {})", people.join(", ")) };
    let problem = format!("is {}{by}: {so}", progress.status());
    Error::ResponseClosed { response: progress.response.id.clone(), problem }
}

/// Nobody decides without a name and a reason, nor on what is to be done about themselves.
fn may_decide(response: &Response, person: &str, reason: &str, policy: &Policy) -> Result<(), Error> {
    let refuse = |problem: &str| Err(Error::NotAllowed { person: person.to_owned(), problem: problem.to_owned() });
    if person.trim().is_empty() || person.trim() != person {
        return refuse("a decision needs the name of a person");
    }
    let concerned = response.targets.subjects.iter().chain(&response.actor);
    if concerned.into_iter().any(|subject| policy.is_same_person(subject, person)) {
        return refuse("it is about this person; somebody else has to decide");
    }
    if reason.trim().is_empty() {
        return Err(Error::Refused { problem: "`reason` is empty".to_owned() });
    }
    if reason.len() > OPERATION_TEXT_BYTES_MAX {
        return Err(Error::Refused { problem: format!("`reason` is longer than {OPERATION_TEXT_BYTES_MAX} bytes") });
    }
    Ok(())
}
