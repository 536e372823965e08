//! Promise P1 over ticks: those at which something is due to be decided find what ticks of every second find, and no later.

use keywatch_detectors::{Decided, Engine};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Finding, Instant};

use super::recording::incidents;
use super::rules::{admitted, decided, engine, run};

/// Feeds an engine what happened and, of ticks, only those that it says are due.
struct Feeding {
    engine: Engine,
    records: usize,
    ticks: usize,
    found: Vec<Decided>,
}

impl Feeding {
    fn feed(&mut self, event: &Event) {
        self.found.extend(run(&mut self.engine, self.records, std::slice::from_ref(event)));
        self.records += 1;
    }

    /// What is due in the system before `time`.
    fn tick_before(&mut self, system: &str, time: Instant) {
        while let Some(due) = self.engine.next_due(system).filter(|due| *due < time) {
            let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
            let mut tick = Event::builder(&origin, &format!("tick/{due}"), "tick", due);
            tick.time(due);
            self.feed(&tick.build_own());
            self.ticks += 1;
        }
    }
}

fn sorted(found: Vec<Decided>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = found.into_iter().map(|decided| decided.finding).collect();
    findings.sort_by_key(|finding| (finding.rule.clone(), finding.entity.clone(), finding.anchor));
    findings
}

#[test]
fn p1_ticks_only_where_something_is_due_find_the_same_no_later() {
    for incident in incidents() {
        let events = admitted(incident.events);
        let dense = sorted(decided(&events, &[]));
        let last = events.last().unwrap().time();
        let mut feeding = Feeding { engine: engine(), records: 0, ticks: 0, found: Vec::new() };
        let (mut ticks, mut system) = (0, String::new());
        for event in &events {
            if event.kind() == "tick" {
                ticks += 1;
                continue;
            }
            event.system().clone_into(&mut system);
            feeding.tick_before(&system, event.time());
            feeding.feed(event);
        }
        feeding.tick_before(&system, last.saturating_add(1));
        assert!(feeding.ticks < ticks, "{}: {} of {ticks} ticks", incident.name, feeding.ticks);
        let sparse = sorted(feeding.found);
        assert_eq!(sparse.len(), dense.len(), "{}", incident.name);
        for (sparse, dense) in sparse.into_iter().zip(dense) {
            assert!(sparse.decided <= dense.decided, "{}: {}, {}", sparse.rule, sparse.decided, dense.decided);
            let sparse = Finding { decided: dense.decided, ..sparse };
            assert_eq!(serde_json::to_string(&sparse).unwrap(), serde_json::to_string(&dense).unwrap());
        }
    }
}
