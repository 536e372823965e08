//! What the log here lacks since a later version wrote it: people are told, and `/readyz` warns of it. Nothing waits for it. It
//! does not know what makes a message one of a later version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keywatch_alerting::Executor;
use keywatch_store::log::kafka::PassedBy;
use tokio::time::{MissedTickBehavior, interval};

use crate::limits::PASSED_BY_SECONDS;
use crate::service::evaluation::outage::Outages;
use crate::service::log::PassedMessages;
use crate::service::readiness::Readiness;
use crate::service::role::Role;

/// The part of `/readyz` that is warned of.
const PART: &str = "log";

/// Topics and partitions, with the number of messages that had been passed by when it was looked last.
type Seen = BTreeMap<(String, u32), u64>;

/// Looks again and again. Findings are of `system`, one of the partition's; where there is none, nothing is evaluated.
pub(super) async fn watch(
    passed_by: PassedMessages,
    (system, role): (Option<String>, Role),
    executor: Executor,
    outages: Outages,
    readiness: Arc<Readiness>,
) -> anyhow::Result<()> {
    let mut due = interval(Duration::from_secs(PASSED_BY_SECONDS));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Seen::new();
    loop {
        due.tick().await;
        let all = passed_by();
        if !all.is_empty() {
            readiness.warn(PART, all.iter().map(said).collect::<Vec<_>>().join("; "));
        }
        for passed in news(&mut seen, all) {
            if let Some(system) = &system {
                let by = (role.name(), role.responds());
                outages.persist(|| executor.tell_passed_by(system, by, &passed)).await?;
            }
        }
    }
}

/// Those of which there are more than before.
fn news(seen: &mut Seen, passed_by: Vec<PassedBy>) -> Vec<PassedBy> {
    let is_new = |passed: &PassedBy| {
        let before = seen.insert((passed.topic.clone(), passed.partition), passed.messages);
        before.is_none_or(|before| before < passed.messages)
    };
    passed_by.into_iter().filter(is_new).collect()
}

fn said(passed: &PassedBy) -> String {
    let PassedBy { topic, partition, first_offset, .. } = passed;
    format!(
        "what a later version wrote to {topic}, partition {partition}, from offset {first_offset} on cannot be read, and the copy \
         here lacks it"
    )
}

#[cfg(test)]
mod tests {
    use keywatch_alerting::{Dependencies, Policy, Schedule};
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Log, Position, Topic};
    use tokio::sync::watch as watched;

    use super::*;
    use crate::clock;
    use crate::service::evaluation::system_records::tick;
    use crate::service::metrics::Metrics;

    fn passed(messages: u64) -> PassedBy {
        PassedBy { topic: "k.events".to_owned(), partition: 0, first_offset: 7, messages }
    }

    #[test]
    fn what_was_seen_is_no_news_until_there_is_more() {
        let mut seen = Seen::new();
        assert_eq!(news(&mut seen, vec![passed(1)]), [passed(1)]);
        assert!(news(&mut seen, vec![passed(1)]).is_empty());
        assert_eq!(news(&mut seen, vec![passed(2)]), [passed(2)]);
        let of_another = PassedBy { partition: 1, ..passed(2) };
        assert_eq!(news(&mut seen, vec![passed(2), of_another.clone()]), [of_another]);
    }

    fn executor(log: &Arc<MemoryLog>) -> Executor {
        Executor::open(Dependencies {
            log: Arc::clone(log) as _,
            policy: Policy::default(),
            sites: BTreeMap::new(),
            sinks: Vec::new(),
            deliveries: Schedule::pages(),
            revocations: Schedule::revocations(),
            clock: Arc::new(clock::now),
        })
        .unwrap()
    }

    /// What is concluded of messages that become more from look to look, by a process of that role.
    async fn concluded(role: Role) -> Vec<String> {
        let log = Arc::new(MemoryLog::new());
        log.append(Topic::Events, vec![tick("cold", clock::now())]).unwrap();
        let executor = executor(&log);
        let by = (role.name(), role.responds());
        for messages in 1..=9 {
            executor.tell_passed_by("cold", by, &passed(messages)).await.unwrap();
        }
        let conclusions = log.read(Topic::Conclusions, Position(0), 99).unwrap();
        conclusions.iter().map(|event| event.kind().to_owned()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn p7_however_many_there_are_people_are_told_once() {
        assert_eq!(concluded(Role::All).await, ["finding.created", "alert.opened"]);
        assert_eq!(concluded(Role::Respond).await, ["finding.created", "alert.opened"]);
        assert_eq!(concluded(Role::Detect).await, ["finding.created"], "who responds tells it");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn readyz_warns_of_it_and_stays_ready() {
        let log = Arc::new(MemoryLog::new());
        let executor = executor(&log);
        let readiness = Readiness::new(Metrics::new());
        let (_stop, stopping) = watched::channel(false);
        let outages = Outages::new(Arc::clone(&readiness), stopping);
        let passed_by: PassedMessages = Arc::new(|| vec![passed(1)]);
        let of = (Some("cold".to_owned()), Role::All);
        let watching = tokio::spawn(watch(passed_by, of, executor, outages, Arc::clone(&readiness)));
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while log.end(Topic::Conclusions) == Position(0) {
            assert!(std::time::Instant::now() < until && !watching.is_finished(), "it is not told");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(readiness.obstacles().is_empty());
        assert!(readiness.warnings()[PART].contains("k.events, partition 0, from offset 7"));
        watching.abort();
    }
}
