//! The pipeline where finding and responding are done by processes of their own: which half of it runs, and what a process that
//! only responds does with what the other has found.

use std::time;

use keywatch_alerting::Error;
use keywatch_store::{Finding, Position};
use tokio::task::block_in_place;

use super::{Handled, Pipeline};
use crate::clock;
use crate::service::evaluation::found_elsewhere::{Found, FoundElsewhere};
use crate::service::log::Confirm;
use crate::service::role::Role;

impl Pipeline {
    /// From here on it does what is that role's, and no more. Who only responds is to be given an engine without rules; the
    /// conclusions before `concluded` are known to the executor, and `confirm` fails once another process has this one's place.
    pub(crate) fn take_role(&mut self, role: Role, concluded: Position, confirm: Confirm) {
        self.role = role;
        self.confirm = confirm;
        self.elsewhere = (!role.finds()).then(|| FoundElsewhere::new(concluded));
    }

    /// Records a finding for the process that responds. One that is recorded meanwhile was by who has this one's place, or by an
    /// attempt of its own that nobody confirmed.
    pub(super) async fn record(&mut self, finding: &Finding) -> anyhow::Result<()> {
        let (executor, confirm) = (&self.executor, &self.confirm);
        let attempt = || async move {
            if !executor.record(finding).await? {
                block_in_place(|| confirm())?;
            }
            Ok::<(), Error>(())
        };
        match &self.outages {
            Some(outages) => outages.persist(attempt).await,
            None => Ok(attempt().await?),
        }
    }

    /// Acts on what another process has found, where this one only responds.
    pub(super) async fn respond(&mut self) -> anyhow::Result<Option<Vec<Handled>>> {
        let Some(elsewhere) = &mut self.elsewhere else { return Ok(None) };
        let is_planned = |finding: &Finding| self.executor.with_state(|state| state.is_planned(finding));
        let found = elsewhere.read(self.log.as_ref(), self.position, is_planned, time::Instant::now())?;
        let Some(found) = found else { return Ok(None) };
        let Found { findings, refused } = found;
        let prepare = || {
            let known = block_in_place(|| self.executor.follow());
            // Responses go to the events, which do not tell this process from one that has taken its place.
            let confirmed = known.and_then(|()| block_in_place(|| (self.confirm)()).map_err(Error::from));
            std::future::ready(confirmed)
        };
        match &self.outages {
            _ if findings.is_empty() && refused.is_empty() => {}
            Some(outages) => outages.persist(prepare).await?,
            None => prepare().await?,
        }
        for (finding, recorded) in &refused {
            match &self.outages {
                Some(outages) => outages.persist(|| self.executor.refuse(finding, *recorded)).await?,
                None => self.executor.refuse(finding, *recorded).await?,
            }
        }
        let mut handled = Vec::new();
        for finding in findings {
            // Its own may be decided on by now.
            if !self.executor.with_state(|state| state.is_unplanned(&finding)) {
                continue;
            }
            let found_at = clock::now();
            let actions = self.take(&finding).await?;
            self.metrics.handled(&finding, &actions, found_at, self.log.clock());
            handled.push(Handled { finding, actions });
        }
        Ok(Some(handled))
    }

    /// Where another process responds: what it has decided on is remembered no longer.
    pub(super) fn forget_responded(&self) -> anyhow::Result<()> {
        match self.executor.follow() {
            Err(error) if error.is_outage() => Ok(()),
            followed => Ok(followed?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use keywatch_alerting::lifecycle::record::finding_created;
    use keywatch_alerting::{Dependencies, Executor, Policy, Schedule};
    use keywatch_detectors::{Engine, Rule, Settings};
    use keywatch_store::event::Origin;
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Event, EventId, Instant, Log, Topic};

    use super::*;
    use crate::service::metrics::Metrics;

    /// Tells of every session.
    const SEEN: &str = "/*\nversion: 1\ntitle: t\nseverity: high\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n\
                        SELECT event_id, actor AS entity FROM events WHERE kind = 'session.presented'";

    /// A log in which two people have presented a session.
    fn log() -> Arc<MemoryLog> {
        let log = Arc::new(MemoryLog::new());
        let origin = Origin { system: "cold".to_owned(), source: "idp".to_owned() };
        let session = |(index, actor): (i64, &str)| {
            let time = Instant(index * 1_000_000_000);
            let mut event = Event::builder(&origin, &index.to_string(), "session.presented", time);
            event.actor(actor).time(time);
            event.build_own()
        };
        log.append(Topic::Events, [(1, "ann"), (2, "bob")].map(session).to_vec()).unwrap();
        log
    }

    fn pipeline(log: &Arc<MemoryLog>, role: Role, confirm: Confirm) -> Pipeline {
        let rules = if role.finds() { vec![Rule::parse("own/seen", SEEN).unwrap()] } else { Vec::new() };
        let executor = Executor::open(Dependencies {
            log: Arc::clone(log) as _,
            policy: Policy { systems: BTreeSet::from(["cold".to_owned()]), ..Policy::default() },
            sites: BTreeMap::new(),
            sinks: Vec::new(),
            deliveries: Schedule::pages(),
            revocations: Schedule::revocations(),
            clock: Arc::new(clock::now),
        });
        let engine = Engine::new(&rules, &Settings::default()).unwrap();
        let mut pipeline = Pipeline::open(Arc::clone(log) as _, engine, executor.unwrap(), Metrics::new());
        pipeline.take_role(role, log.end(Topic::Conclusions), confirm);
        pipeline
    }

    fn allowed() -> Confirm {
        Arc::new(|| Ok(()))
    }

    fn conclusions(log: &MemoryLog) -> Vec<Event> {
        log.read(Topic::Conclusions, Position(0), 99).unwrap()
    }

    /// What is concluded, each as often as it stands there and in no order.
    fn sorted(log: &MemoryLog) -> Vec<(String, String)> {
        let concluded = conclusions(log);
        let mut all: Vec<_> =
            concluded.iter().map(|event| (event.kind().to_owned(), event.event_id().to_string())).collect();
        all.sort();
        all
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p1_apart_they_conclude_what_one_concludes_alone() {
        let alone = log();
        pipeline(&alone, Role::All, allowed()).run_to_end().await.unwrap();
        let log = log();
        let mut responding = pipeline(&log, Role::Respond, allowed());
        assert!(responding.run_to_end().await.unwrap().is_empty(), "nothing is found yet");
        let mut finding = pipeline(&log, Role::Detect, allowed());
        let found = finding.run_to_end().await.unwrap();
        assert!(found.len() == 2 && found.iter().all(|handled| handled.actions.is_empty()));
        assert!(conclusions(&log).iter().all(|event| event.kind() == "finding.created"));
        assert_eq!(finding.executor.with_state(|state| state.unplanned().count()), 2);

        let responded = responding.run_to_end().await.unwrap();
        let ids =
            |handled: &[Handled]| -> Vec<String> { handled.iter().map(|handled| handled.finding.id.clone()).collect() };
        assert_eq!(ids(&responded), ids(&found), "in the order in which they were found");
        assert!(responded.iter().all(|handled| !handled.actions.is_empty()));
        assert_eq!(sorted(&log), sorted(&alone));
        // Each knows what the other has concluded, and a start finds nothing to do.
        assert!(finding.run_to_end().await.unwrap().is_empty());
        assert_eq!(finding.executor.with_state(|state| state.unplanned().count()), 0);
        for role in [Role::Detect, Role::Respond] {
            pipeline(&log, role, allowed()).run_to_end().await.unwrap();
        }
        assert_eq!(sorted(&log), sorted(&alone));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p5_who_was_replaced_responds_to_nothing() {
        let log = log();
        let replaced: Confirm = Arc::new(|| Err(keywatch_store::Error::Closed));
        let mut responding = pipeline(&log, Role::Respond, Arc::clone(&replaced));
        let mut finding = pipeline(&log, Role::Detect, replaced);
        pipeline(&log, Role::Detect, allowed()).run_to_end().await.unwrap();
        assert!(finding.run_to_end().await.is_err(), "another process has recorded what it finds");
        assert!(responding.run_to_end().await.is_err());
        let kinds: BTreeSet<String> = conclusions(&log).iter().map(|event| event.kind().to_owned()).collect();
        assert_eq!(kinds, BTreeSet::from(["finding.created".to_owned()]));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_finding_waits_for_the_record_that_decided_it() {
        let log = log();
        pipeline(&log, Role::Detect, allowed()).run_to_end().await.unwrap();
        let events = log.read(Topic::Events, Position(0), 9).unwrap();
        let mut elsewhere = FoundElsewhere::new(Position(0));
        let read = |elsewhere: &mut FoundElsewhere, position| {
            let found = elsewhere.read(log.as_ref(), Position(position), |_| false, time::Instant::now()).unwrap();
            found.map(|found| found.findings.len())
        };
        assert_eq!(read(&mut elsewhere, 0), None);
        elsewhere.observe(&events[..1]);
        assert_eq!(read(&mut elsewhere, 1), Some(1), "the second was decided by the second record");
        assert_eq!(read(&mut elsewhere, 1), None);
        // As after a start: nothing was said since, and all is known.
        assert_eq!(read(&mut elsewhere, 2), Some(1));
        assert_eq!(read(&mut elsewhere, 2), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p5_a_finding_about_a_system_that_says_nothing_any_more_holds_up_nothing_for_long() {
        let (elsewhere, log) = (log(), log());
        let found = pipeline(&elsewhere, Role::Detect, allowed()).run_to_end().await.unwrap();
        // Recorded when it says that it was decided, and the system has no record so late.
        let late = Instant(3_000_000_000);
        let forged = Finding { id: "late".to_owned(), decided: late, ..found[0].finding.clone() };
        let created = finding_created(&forged).changed(|event| event.time(late));
        log.append(Topic::Conclusions, vec![created]).unwrap();
        pipeline(&log, Role::Detect, allowed()).run_to_end().await.unwrap();
        let (events, begun) = (log.end(Topic::Events), time::Instant::now());
        let mut elsewhere = FoundElsewhere::new(Position(0));
        elsewhere.observe(&log.read(Topic::Events, Position(0), 9).unwrap());
        let mut read = |position, seconds: u64| {
            let now = begun + time::Duration::from_secs(seconds);
            let found = elsewhere.read(log.as_ref(), position, |_| false, now).unwrap();
            found.map(|found| (found.findings.len(), found.refused.len()))
        };
        assert_eq!(read(events, 0), None, "it may be of a record that is on its way");
        assert_eq!(read(events, 60), None);
        assert_eq!(read(Position(events.0 - 1), 61), None, "what stood there when it came is not known yet");
        assert_eq!(read(events, 61), Some((1 + found.len(), 0)), "and those behind it");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p5_what_it_tells_of_itself_holds_up_nothing_behind_it() {
        let (elsewhere, log) = (log(), log());
        let found = pipeline(&elsewhere, Role::Detect, allowed()).run_to_end().await.unwrap();
        let mut responding = pipeline(&log, Role::Respond, allowed());
        responding.run_to_end().await.unwrap();
        // Decided when an operator said so, after all that was heard of the system.
        let own = Finding { id: "own".to_owned(), decided: Instant(99_000_000_000), ..found[0].finding.clone() };
        responding.executor.take(&own).await.unwrap();
        pipeline(&log, Role::Detect, allowed()).run_to_end().await.unwrap();
        let responded = responding.run_to_end().await.unwrap();
        assert_eq!(responded.len(), found.len());
        assert!(responded.iter().all(|handled| handled.finding.id != "own"));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p5_a_finding_from_the_future_is_told_of_and_holds_up_nothing() {
        let (elsewhere, log) = (log(), log());
        let found = pipeline(&elsewhere, Role::Detect, allowed()).run_to_end().await.unwrap();
        let forged = |id: &str, decided: Instant| Finding { id: id.to_owned(), decided, ..found[0].finding.clone() };
        // Whoever has the key of the process that finds says so, once while nobody responds and once before that one finds.
        let far = Instant(4_102_444_800_000_000_000);
        let write = |id: &str| {
            let created = finding_created(&forged(id, far)).changed(|event| event.time(Instant(3_000_000_000)));
            log.append(Topic::Conclusions, vec![created]).unwrap();
        };
        write("before");
        let mut responding = pipeline(&log, Role::Respond, allowed());
        responding.executor.refuse_early(clock::now()).await.unwrap();
        responding.executor.resume().await.unwrap();
        // And goes on saying so.
        let further: Vec<String> = (0..10).map(|number| format!("after {number}")).collect();
        further.iter().for_each(|id| write(id));
        pipeline(&log, Role::Detect, allowed()).run_to_end().await.unwrap();
        let responded = responding.run_to_end().await.unwrap();
        let ids =
            |handled: &[Handled]| -> Vec<String> { handled.iter().map(|handled| handled.finding.id.clone()).collect() };
        assert_eq!(ids(&responded), ids(&found));
        let opened = conclusions(&log).into_iter().filter(|event| event.kind() == "alert.opened");
        let told: Vec<(String, String)> = opened
            .map(|event| {
                let finding = &event.detail().value()["finding"];
                let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
                (text("rule"), text("entity"))
            })
            .filter(|(rule, _)| rule == "keywatch/finding_refused")
            .collect();
        assert_eq!(told, [("keywatch/finding_refused".to_owned(), "cold".to_owned())], "one alert, and one page");
        let counted = responding.executor.with_state(|state| {
            let own = state.alerts().filter(|alert| alert.rule == "keywatch/finding_refused");
            own.map(|alert| (alert.deliveries, alert.suppressed)).collect::<Vec<_>>()
        });
        assert_eq!(counted, [(1, further.len() as u64)], "the others are counted on it");
        let created = conclusions(&log).into_iter().filter(|event| event.kind() == "finding.created");
        let refused: BTreeSet<String> = created
            .filter_map(|event| event.detail().value()["facts"]["refused"].as_str().map(str::to_owned))
            .collect();
        let all: BTreeSet<String> = further.into_iter().chain(["before".to_owned()]).collect();
        assert_eq!(refused, all, "and each stands in the log");
        // It is done with, also for the next process.
        assert_eq!(responding.executor.with_state(|state| state.unplanned().count()), 0);
        let next = pipeline(&log, Role::Respond, allowed());
        assert_eq!(next.executor.with_state(|state| state.unplanned().count()), 0);
    }
    #[tokio::test(flavor = "multi_thread")]
    async fn p5_what_is_refused_takes_the_place_of_nothing_that_is_found() {
        let elsewhere = log();
        let found = pipeline(&elsewhere, Role::Detect, allowed()).run_to_end().await.unwrap();
        let ids =
            |handled: &[Handled]| -> Vec<String> { handled.iter().map(|handled| handled.finding.id.clone()).collect() };
        let far = 4_102_444_800_000_000_000;
        // Before and after the real one is decided.
        for recorded in [Instant(500_000_000), Instant(3_000_000_000)] {
            let log = log();
            // Whoever has the key writes the very ids that a finding will have, and another time.
            let forged =
                |decided: i64| finding_created(&Finding { decided: Instant(decided), ..found[0].finding.clone() });
            let first = forged(far).changed(|event| event.time(recorded));
            let second = forged(far + 1).changed(|event| event.event_id(EventId([9; 16])).time(recorded));
            log.append(Topic::Conclusions, vec![first, second]).unwrap();
            pipeline(&log, Role::Detect, allowed()).run_to_end().await.unwrap();
            let mut responding = pipeline(&log, Role::Respond, allowed());
            responding.elsewhere = Some(FoundElsewhere::new(Position(0)));
            let responded = responding.run_to_end().await.unwrap();
            assert_eq!(ids(&responded), ids(&found), "recorded at {recorded}");
            assert!(responded.iter().all(|handled| handled.finding.decided < Instant(far)));
            assert_eq!(
                responding.executor.with_state(|state| state.unplanned().count()),
                0,
                "neither forged one is left"
            );
            // A start finds them recorded.
            let before = log.end(Topic::Conclusions);
            pipeline(&log, Role::Detect, allowed()).run_to_end().await.unwrap();
            assert_eq!(log.end(Topic::Conclusions), before);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p7_what_is_refused_of_invented_systems_is_one_page() {
        let (elsewhere, log) = (log(), log());
        let found = pipeline(&elsewhere, Role::Detect, allowed()).run_to_end().await.unwrap();
        let mut responding = pipeline(&log, Role::Respond, allowed());
        for number in 0..10 {
            let (system, id) = (format!("invented {number}"), format!("forged {number}"));
            let forged =
                Finding { system, id, decided: Instant(4_102_444_800_000_000_000), ..found[0].finding.clone() };
            let created = finding_created(&forged).changed(|event| event.time(Instant(3_000_000_000)));
            log.append(Topic::Conclusions, vec![created]).unwrap();
        }
        assert!(responding.run_to_end().await.unwrap().is_empty());
        let told = responding.executor.with_state(|state| {
            state.alerts().map(|alert| (alert.system.clone(), alert.deliveries, alert.suppressed)).collect::<Vec<_>>()
        });
        assert_eq!(told, [("cold".to_owned(), 1, 9)], "one page for all of them");
    }
}
