//! Credentials that somebody else had: declared by one person, since waiting helps the thief alone, but no more than a few an
//! hour, since whoever takes everybody's word away blinds keywatch; and taken back by two, since that lets a word count again
//! that may be the thief's. Each is a record before anything follows from it, and everybody
//! who is told of anything is told of it.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Instant, Topic};

use super::Executor;
use crate::error::Error;
use crate::lifecycle::action::derive_id;
use crate::lifecycle::compromise::{Compromise, CompromiseRequest, problem_of_reason};
use crate::lifecycle::compromise_findings;
use crate::lifecycle::operation;

impl Executor {
    /// Declares that somebody else had the credential of a source. `taken` are the fingerprints by which this process
    /// recognises the sources of the system, by name; to those of the source come those that other processes say they take,
    /// and all of them are refused as that source's. It holds at once, unless `by` has
    /// declared [`crate::limits::COMPROMISES_ALONE_MAX`] other sources within the hour: then it waits for a second person to
    /// declare the same.
    ///
    /// # Errors
    /// [`Error::Refused`] with what is wrong, or [`Error::Log`].
    pub async fn compromised(
        &self,
        request: CompromiseRequest,
        taken: &BTreeMap<String, BTreeSet<String>>,
        by: &str,
        now: Instant,
    ) -> Result<Compromise, Error> {
        let id = derive_id(&["compromise", &request.system, &request.source, by, &now.to_string()]);
        {
            let _turn = self.turn().await?;
            let at = self.shared.alert_log.time_of(&request.system);
            if let Some(problem) = request.problem(at.max(now)) {
                return Err(Error::Refused { problem });
            }
            if self.with_state(|state| state.compromises().is_full()) {
                let problem = "there are too many; take back those that are settled first".to_owned();
                return Err(Error::Refused { problem });
            }
            let compromise = self.declaration(id.clone(), request, taken, (by, at));
            self.shared.alert_log.append(Topic::Conclusions, vec![operation::compromised(&compromise, now)])?;
        }
        self.tell_compromise(&id).await
    }

    /// What is written down: that it holds, or that it waits for a second person.
    fn declaration(
        &self,
        id: String,
        request: CompromiseRequest,
        taken: &BTreeMap<String, BTreeSet<String>>,
        (by, at): (&str, Instant),
    ) -> Compromise {
        let names: BTreeSet<String> =
            self.with_state(|state| state.compromises().iter().map(|one| one.by.clone()).collect());
        let own: BTreeSet<String> = {
            let policy = self.shared.policy();
            names.into_iter().filter(|name| policy.is_same_person(name, by)).collect()
        };
        let is_self = |name: &str| own.contains(name);
        self.with_state(|state| {
            let (compromises, of) = (state.compromises(), (request.system.as_str(), request.source.as_str()));
            let asked_by = compromises.asked(of, at, is_self).map(|one| one.by.clone());
            let waits = asked_by.is_none() && compromises.is_enough(of, at, is_self);
            let (mut refused, mut shared_with) = (BTreeSet::new(), BTreeSet::new());
            // One that was replaced before is taken by nobody.
            if request.until.is_none() {
                refused = state.doors().prints(of.0, of.1);
                refused.extend(taken.get(of.1).into_iter().flatten().cloned());
                shared_with = state.doors().shared_with(of.0, of.1, &refused);
                let others = taken.iter().filter(|(name, own)| *name != of.1 && !own.is_disjoint(&refused));
                shared_with.extend(others.map(|(name, _)| name.clone()));
            }
            let compromise = Compromise::new(id, request, refused, by.to_owned(), at);
            Compromise { shared_with, waits, asked_by, ..compromise }
        })
    }

    /// Takes a declaration back: the first person asks for it, and a second one agrees. What the source wrote counts then as
    /// if nothing had been declared, but for what was decided meanwhile.
    ///
    /// # Errors
    /// [`Error::NoIncident`] where there is none, [`Error::Refused`] where it is not theirs to agree to or is taken back
    /// already, or [`Error::Log`].
    pub async fn restore_credential(
        &self,
        id: &str,
        by: &str,
        reason: &str,
        now: Instant,
    ) -> Result<Compromise, Error> {
        {
            let _turn = self.turn().await?;
            let compromise = self.compromise_of(id)?;
            let refuse = |problem: String| Err(Error::Refused { problem });
            if let Some(problem) = problem_of_reason(reason) {
                return refuse(problem);
            }
            if compromise.waits {
                return refuse("nothing follows from it as long as no second person declares the same".to_owned());
            }
            if !compromise.stands() {
                return refuse("it is taken back already".to_owned());
            }
            let kind = match &compromise.restore_asked {
                None => "credential.restore_asked",
                Some((first, ..)) if self.shared.policy().is_same_person(first, by) => {
                    return refuse("this needs two people: another one has to agree".to_owned());
                }
                Some(_) => "credential.restored",
            };
            let record = operation::about_compromise(kind, &compromise, by, reason, now);
            self.shared.alert_log.append(Topic::Conclusions, vec![record])?;
        }
        self.tell_compromise(id).await
    }

    async fn tell_compromise(&self, id: &str) -> Result<Compromise, Error> {
        let compromise = self.compromise_of(id)?;
        // Of the steps before, people were told.
        if let Some(finding) = compromise_findings::about(&compromise).last() {
            self.take_own(&finding).await?;
        }
        Ok(compromise)
    }

    fn compromise_of(&self, id: &str) -> Result<Compromise, Error> {
        let found = self.with_state(|state| state.compromises().get(id).cloned());
        found.ok_or_else(|| Error::NoIncident { name: id.to_owned() })
    }
}
