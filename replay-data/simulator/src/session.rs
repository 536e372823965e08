//! How a session goes on: sign-on, second factor, posture, network, uses, end.

use keywatch_store::event::{Builder, CanonicalJson};
use serde_json::json;

use crate::people::{Person, Place};
use crate::record::{by, from, with, with_outcome};
use crate::simulation::Simulation;
use crate::step::{Session, SessionStage, Step};
use crate::system::{IDP, MDM, OPA, SignedOn};
use crate::text::numbered;
use crate::{Scenario, random};

/// One in so many sessions of whom a phone leaves the office network for another.
const ROAMING_ONE_IN: u64 = 4_000;
const MINUTE_NS: i64 = 60_000_000_000;

impl Simulation {
    /// A moment at which somebody begins a session.
    pub(crate) fn sign_on(&mut self, system: usize, at: i64) {
        let state = &mut self.systems[system];
        if state.sessions_ahead > 0 {
            state.sessions_ahead -= 1;
            return;
        }
        let worker = self.somebody_at_work(system, at);
        let person = self.systems[system].worker_person(worker);
        let usual = self.systems[system].person(person).session_seconds();
        let until = at + self.chance.seconds(usual / 2, usual * 3 / 2);
        let roams = self.chance.once_in(ROAMING_ONE_IN);
        let mut session = self.new_session(system, person, at, until);
        session.turn = if roams { session.uses / 2 } else { u64::MAX };
        self.agenda.push(at, Step::Session(session));
    }

    /// Somebody who works at that time, or, when none of five does, the last of them after all.
    pub(crate) fn somebody_at_work(&mut self, system: usize, at: i64) -> usize {
        let state = &self.systems[system];
        let mut worker = 0;
        for _ in 0..5 {
            worker = usize::try_from(self.chance.below(state.workers.len() as u64)).unwrap_or_default();
            if self.chance.below(100) < state.person(state.worker_person(worker)).busy(at) {
                break;
            }
        }
        worker
    }

    /// A session that is not on the agenda yet.
    pub(crate) fn new_session(&mut self, system: usize, person: u64, begun: i64, until: i64) -> Session {
        let uses = self.chance.between(self.sizes.uses.div_ceil(2), self.sizes.uses * 3 / 2 + 1).max(1);
        let systems = self.systems.len() as u64;
        let state = &mut self.systems[system];
        let number = state.sessions_begun * systems + system as u64;
        state.sessions_begun += 1;
        Session { system, person, number, begun, until, uses, stage: SessionStage::Start, turn: u64::MAX, play: None }
    }

    /// The session in which somebody of a desk acts now; if there is none, one is begun and this is to be asked again.
    pub(crate) fn desk_session(&mut self, system: usize, clerk: u64, at: i64) -> Option<u64> {
        let index = usize::try_from(clerk).unwrap_or_default();
        match self.systems[system].clerks[index].signed_on {
            Some(on) if on.until - 3 * MINUTE_NS > at => on.ready.then_some(on.session),
            _ => {
                let hours = self.sizes.desk_session_ns;
                let until = at + hours - hours / 4 * i64::try_from(self.chance.below(100)).unwrap_or_default() / 100;
                let session = self.new_session(system, clerk, at, until);
                let state = &mut self.systems[system];
                state.sessions_ahead += 1;
                state.clerks[index].signed_on = Some(SignedOn { session: session.number, ready: false, until });
                self.agenda.push(at, Step::Session(session));
                None
            }
        }
    }

    pub(crate) fn go_on_session(&mut self, at: i64, session: Session) {
        let again = match session.stage {
            SessionStage::Start => Some(self.start(at, session)),
            SessionStage::Factor => Some(self.ask_factor(at, session)),
            SessionStage::System | SessionStage::Disk => Some(self.check_device(at, session)),
            SessionStage::Network => Some(self.connect(at, session)),
            SessionStage::Use => Some(self.use_it(at, session)),
            SessionStage::End => self.end(at, session),
            SessionStage::Beyond => self.use_beyond(at, session),
        };
        if let Some((after, next)) = again {
            self.agenda.push(at + after, Step::Session(next));
        }
    }

    fn start(&mut self, at: i64, session: Session) -> (i64, Session) {
        let person = self.person_of(&session);
        let mut event = from(self.by_person("session.started", IDP, &session), person.place(session.begun));
        if self.chance.once_in(40) {
            event.session(None::<&str>);
            self.say(session.system, at, with_outcome(event, "failure"));
            return (self.chance.seconds(4, 20), session);
        }
        if let Some(worker) = self.systems[session.system].worker(session.person) {
            self.systems[session.system].workers[worker].open += 1;
        }
        self.say(session.system, at, with_outcome(event, "success"));
        (self.chance.seconds(2, 6), Session { stage: SessionStage::Factor, ..session })
    }

    fn ask_factor(&mut self, at: i64, session: Session) -> (i64, Session) {
        let factor = if random::habit(6, session.person, 3) == 0 { "security_key" } else { "totp" };
        let event = with(self.by_person("session.mfa", IDP, &session), &json!({ "factor": factor }));
        if self.chance.once_in(60) {
            self.say(session.system, at, with_outcome(event, "failure"));
            return (self.chance.seconds(5, 15), session);
        }
        self.say(session.system, at, with_outcome(event, "success"));
        (self.chance.seconds(1, 3), Session { stage: SessionStage::System, ..session })
    }

    fn check_device(&mut self, at: i64, session: Session) -> (i64, Session) {
        let (check, stage) = match session.stage {
            SessionStage::System => ("os_version", SessionStage::Disk),
            _ => ("disk_encryption", SessionStage::Network),
        };
        let worker = self.systems[session.system].worker(session.person);
        let outdated = worker.is_some_and(|worker| self.systems[session.system].workers[worker].outdated);
        let fails = outdated && session.stage == SessionStage::System;
        let event = self.posture(&session, check, if fails { "not_compliant" } else { "compliant" });
        self.say(session.system, at, event);
        (self.chance.seconds(1, 3), Session { stage, ..session })
    }

    fn connect(&mut self, at: i64, session: Session) -> (i64, Session) {
        let place = self.person_of(&session).place(session.begun);
        let event = from(self.by_person("session.network", IDP, &session), place);
        self.say(session.system, at, event);
        if session.play.is_none() && self.systems[session.system].worker(session.person).is_none() {
            let index = usize::try_from(session.person).unwrap_or_default();
            let on = &mut self.systems[session.system].clerks[index].signed_on;
            on.as_mut().filter(|on| on.session == session.number).into_iter().for_each(|on| on.ready = true);
        }
        (self.gap(at, &session), Session { stage: SessionStage::Use, ..session })
    }

    fn use_it(&mut self, at: i64, mut session: Session) -> (i64, Session) {
        if session.uses == session.turn {
            self.take_turn(at, &session);
        } else {
            match self.chance.below(100) {
                0..=6 => self.ask_console(at, &session),
                // Who switched the protection off does not let the device say otherwise.
                7..=9 if session.turn == u64::MAX || session.uses > session.turn => self.report_again(at, &session),
                _ => {
                    let place = self.person_of(&session).place(session.begun);
                    self.present(at, &session, place);
                }
            }
        }
        session.uses -= 1;
        if session.uses == 0 {
            return ((session.until - at).max(1_000_000_000), Session { stage: SessionStage::End, ..session });
        }
        (self.gap(at, &session), session)
    }

    /// What makes this session unlike others.
    fn take_turn(&mut self, at: i64, session: &Session) {
        let person = self.person_of(session);
        let said = match session.play.map(|play| play.scenario) {
            Some(Scenario::StolenSession) => self.present(at, session, person.elsewhere(session.begun)),
            Some(Scenario::DisabledProtection) => {
                let event = self.posture(session, "disk_encryption", "not_compliant");
                self.say(session.system, at, event)
            }
            _ => self.present(at, session, person.other_network(session.begun)),
        };
        if let Some(play) = session.play {
            self.mark(play, said);
        }
    }

    fn present(&mut self, at: i64, session: &Session, place: Place) -> crate::record::Recorded {
        // An attack succeeds.
        let fails = session.play.is_none() && session.turn == u64::MAX && self.chance.once_in(100);
        let event = from(self.by_person("session.presented", IDP, session), place);
        self.say(session.system, at, with_outcome(event, if fails { "failure" } else { "success" }))
    }

    fn ask_console(&mut self, at: i64, session: &Session) {
        let replica = ["opa-1", "opa-2", "opa-3"][usize::try_from(self.chance.below(3)).unwrap_or_default()];
        let outcome = if self.chance.once_in(50) { "deny" } else { "allow" };
        let event = self.by_person("decision", OPA, session);
        let detail = json!({ "path": "console/allow", "labels": { "id": replica } });
        self.say(session.system, at, with_outcome(with(event, &detail), outcome));
    }

    /// Devices report again; some were offline and report late.
    fn report_again(&mut self, at: i64, session: &Session) {
        let mut event = self.posture(session, "disk_encryption", "compliant");
        if self.chance.once_in(50) {
            event.event_time(keywatch_store::Instant(at - self.chance.seconds(60, 5_400)));
        }
        self.say(session.system, at, event);
    }

    fn end(&mut self, at: i64, session: Session) -> Option<(i64, Session)> {
        let state = &mut self.systems[session.system];
        if let Some(worker) = state.worker(session.person) {
            state.workers[worker].open = state.workers[worker].open.saturating_sub(1);
        } else {
            let clerk = &mut state.clerks[usize::try_from(session.person).unwrap_or_default()];
            clerk.signed_on = clerk.signed_on.filter(|on| on.session != session.number);
        }
        let event = self.by_person("session.ended", IDP, &session);
        self.say(session.system, at, event);
        let play = session.play?;
        if play.scenario == Scenario::RevivedSession {
            return Some((self.chance.seconds(300, 3_600), Session { stage: SessionStage::Beyond, ..session }));
        }
        self.finish(play, at);
        None
    }

    fn use_beyond(&mut self, at: i64, session: Session) -> Option<(i64, Session)> {
        let place = self.person_of(&session).place(session.begun);
        let said = self.present(at, &session, place);
        let play = session.play?;
        self.mark(play, said);
        self.finish(play, at);
        None
    }

    /// The time to the next use: what is left of the session, evenly, more or less.
    fn gap(&mut self, at: i64, session: &Session) -> i64 {
        let uses = i64::try_from(session.uses).unwrap_or(i64::MAX).max(1);
        let even = (session.until - MINUTE_NS - at).max(0) / uses;
        let share = i64::try_from(self.chance.between(50, 150)).unwrap_or(100);
        (even / 100 * share).max(1_000_000)
    }

    pub(crate) fn person_of(&self, session: &Session) -> Person {
        self.systems[session.system].person(session.person)
    }

    fn by_person(&self, kind: &str, source: &str, session: &Session) -> Builder {
        by(self.event(session.system, source, kind), self.person_of(session), name(session.number))
    }

    fn posture(&self, session: &Session, check: &str, outcome: &str) -> Builder {
        let mut event = with_outcome(self.by_person("session.posture", MDM, session), outcome);
        event.canonical_detail(&checked(check));
        event
    }
}

/// The name of a session.
pub(crate) fn name(number: u64) -> String {
    numbered("ses-", number)
}

/// The detail of a posture.
pub(crate) fn checked(check: &str) -> CanonicalJson {
    CanonicalJson::from(&json!({ "check": check }))
}
