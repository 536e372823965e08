//! Goes the ways besides the decision point: writes the intents down that [`due`] plans, asks until each is accepted, and ends
//! loudly what can never be carried out. Nothing here waits for a decision point.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keywatch_store::Topic;
use keywatch_store::finding::Target;

use super::Executor;
use crate::error::{Error, Fate};
use crate::lifecycle::record;
use crate::lifecycle::second_path::{given_up, unreachable};
use crate::response::intent::{Degree, Does, Progress, Response, Via, section_name};
use crate::response::ways::planning::{WayRules, due};
use crate::response::ways::{Asked, Way};

/// The ways that are configured.
pub(super) struct Ways {
    all: Vec<Arc<dyn Way>>,
    rules: Vec<WayRules>,
    /// Ids of the responses that are being carried out.
    under_way: Mutex<BTreeSet<String>>,
}

impl Ways {
    /// The way of a response. What goes by its name today may be for another system, or do something else.
    fn of(&self, response: &Response, via: &Via) -> Option<&Arc<dyn Way>> {
        let is_it =
            |rules: &WayRules| rules.name == via.way && rules.system == response.system && rules.does() == via.does;
        self.all.iter().find(|way| is_it(way.rules()))
    }

    fn under_way(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a response after an attempt.
enum Next {
    /// It is over, one way or the other.
    Over,
    /// It is tried again, not before this long if that was asked for.
    Again(Option<Duration>),
}

/// What came of asking for every name.
#[derive(Default)]
struct Answers {
    accepted: Vec<String>,
    problems: Vec<String>,
    /// Something may be accepted another time.
    passing: bool,
    asked_to_wait: Option<Duration>,
}

impl Executor {
    /// The same, with ways besides the decision points. They are set once, before anything is done.
    #[must_use]
    pub fn with_ways(self, ways: Vec<Arc<dyn Way>>) -> Executor {
        let rules = ways.iter().map(|way| way.rules().clone()).collect();
        let ways = Ways { all: ways, rules, under_way: Mutex::default() };
        if self.shared.ways.set(ways).is_err() {
            tracing::error!("ways of responses were set twice; the first ones hold");
        }
        self
    }

    /// Writes down which responses go which ways, and begins with what is decided and not under way.
    pub(super) async fn go_ways(&self) -> Result<(), Error> {
        let Some(ways) = self.shared.ways.get() else { return Ok(()) };
        self.intend_ways(ways).await?;
        let open: Vec<Progress> = self.with_state(|state| state.responses().open_ways().cloned().collect());
        for progress in open {
            let Some(via) = &progress.response.via else { continue };
            let id = progress.response.id.clone();
            let Some(way) = ways.of(&progress.response, via).map(Arc::clone) else {
                let problem = format!("no way `{}` is configured any more", via.way);
                self.shared.alert_log.append(Topic::Events, vec![record::given_up(&progress.response, &problem)])?;
                continue;
            };
            if ways.under_way().insert(id.clone()) {
                let executor = self.clone();
                tokio::spawn(async move { executor.carry(way, id).await });
            }
        }
        Ok(())
    }

    /// What is heard of sessions that other ways have ended counts for them, too, where there is no decision point.
    pub(super) fn record_further_of_ways(&self) -> Result<(), Error> {
        let Some(ways) = self.shared.ways.get() else { return Ok(()) };
        let systems: BTreeSet<&str> = ways.rules.iter().map(|rules| rules.system.as_str()).collect();
        systems.into_iter().try_for_each(|system| self.shared.responder.record_further(system))
    }

    /// Writes down what is to go other ways, so that who decides now decides on all of it.
    pub(super) async fn propose_ways(&self) -> Result<(), Error> {
        match self.shared.ways.get() {
            Some(ways) => self.intend_ways(ways).await,
            None => Ok(()),
        }
    }

    async fn intend_ways(&self, ways: &Ways) -> Result<(), Error> {
        let _turn = self.turn().await?;
        let alert_log = &self.shared.alert_log;
        let approvals = self.shared.policy().approvals;
        let due = due(
            alert_log.state().responses(),
            &ways.rules,
            |system| alert_log.time_of(system),
            |proposed| approvals.expires(proposed),
        );
        let record = |(response, waits): &(Response, bool)| {
            if *waits { record::proposed(response) } else { record::requested(response) }
        };
        alert_log.append(Topic::Events, due.iter().map(record).collect())?;
        Ok(())
    }

    /// Asks until it is over. What the log does not take is taken up at the next heartbeat.
    async fn carry(&self, way: Arc<dyn Way>, id: String) {
        let mut failures = 0;
        let ended = loop {
            match self.attempt(way.as_ref(), &id).await {
                Ok(Next::Over) => break Ok(()),
                Ok(Next::Again(asked)) => {
                    let wait = self.shared.revocations.repeated(failures, &id);
                    tokio::time::sleep(asked.map_or(wait, |asked| wait.max(asked))).await;
                    failures += 1;
                }
                Err(error) => break Err(error),
            }
        };
        if let Some(ways) = self.shared.ways.get() {
            ways.under_way().remove(&id);
        }
        let told = match ended {
            Ok(()) => self.tell_given_up(&id).await,
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            tracing::error!(response = id, %error, "what came of a way is not recorded; it is taken up at the next heartbeat");
        }
        self.shared.outbox.dispatch();
    }

    async fn tell_given_up(&self, id: &str) -> Result<(), Error> {
        let told = self.with_state(|state| state.responses().get(id).and_then(given_up));
        match told {
            Some(finding) => self.take_own(&finding).await,
            None => Ok(()),
        }
    }

    async fn attempt(&self, way: &dyn Way, id: &str) -> Result<Next, Error> {
        let open = self.with_state(|state| state.responses().get(id).filter(|progress| progress.is_open()).cloned());
        let Some(progress) = open else { return Ok(Next::Over) };
        let mut answers = Answers::default();
        let names: Vec<(Target, String)> =
            progress.response.targets.iter().map(|(target, name)| (target, name.to_owned())).collect();
        for (target, name) in &names {
            if progress.accepted.contains(&section_name(*target, name)) {
                continue;
            }
            let answer = way.ask(Asked { response: &progress.response, target: *target, name }).await;
            answers.note(*target, name, answer);
            if answers.asked_to_wait.is_some() {
                break;
            }
        }
        self.conclude(way.rules(), &progress, answers)
    }

    fn conclude(&self, rules: &WayRules, progress: &Progress, answers: Answers) -> Result<Next, Error> {
        let Answers { accepted, problems, passing, asked_to_wait } = answers;
        let response = &progress.response;
        let now = self.shared.alert_log.time_of(&response.system);
        let problem = problems.join("; ");
        let (record, next) = if problems.is_empty() {
            (record::accepted(response, degree(rules.does()), &accepted_words(rules)), Next::Over)
        } else if !passing {
            (record::given_up(response, &problem), Next::Over)
        } else if response.since().saturating_add(rules.give_up_ns) <= now {
            (record::given_up(response, &format!("it was tried until now: {problem}")), Next::Over)
        } else {
            (record::way_failed(progress, &problem, &accepted), Next::Again(asked_to_wait))
        };
        tracing::info!(response = response.id, way = rules.name, %problem, "a way besides the decision point was asked");
        self.shared.alert_log.append(Topic::Events, vec![record])?;
        Ok(next)
    }

    /// Findings about ways that nobody was told of yet: those that are gone since no decision point answers, and those that
    /// were given up.
    pub(super) fn about_ways(progress: &Progress) -> impl Iterator<Item = keywatch_store::Finding> + use<> {
        unreachable(progress).into_iter().chain(given_up(progress))
    }
}

impl Answers {
    fn note(&mut self, target: Target, name: &str, answer: Result<(), Error>) {
        match answer {
            Ok(()) => self.accepted.push(section_name(target, name)),
            Err(Error::Undelivered { problem, fate, .. }) => {
                self.problems.push(problem);
                // A name that is unknown there keeps no other from being asked again.
                if let Fate::Retry(asked) = fate {
                    self.passing = true;
                    self.asked_to_wait = self.asked_to_wait.max(asked);
                }
            }
            Err(other) => self.problems.push(other.to_string()),
        }
    }
}

fn degree(does: Does) -> Degree {
    match does {
        Does::EndSessions => Degree::AcceptedByIdentityProvider,
        Does::FreezeSigner => Degree::AcceptedBySigner,
    }
}

fn accepted_words(rules: &WayRules) -> String {
    match rules.does() {
        Does::EndSessions => format!("{} took it; that is no proof that anything is denied", rules.name),
        Does::FreezeSigner => format!("{} took it; that is no proof that nothing is signed", rules.name),
    }
}
