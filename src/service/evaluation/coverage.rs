//! What the rules can see of each system, while the service runs: as a metric, and in the log of the start. What nobody
//! tells of is shown here and never paged. With very many wallets what is new is shown a little later, so that rules do not
//! wait for it.

use std::sync::Arc;
use std::time::Instant;

use keywatch_detectors::Rule;
use keywatch_detectors::rule::{self, ObservedSystems, Visibility};
use keywatch_store::{Event, Log, Position, Topic};

use crate::limits::{COVERAGE_RECORDS, COVERAGE_RESTS, COVERAGE_WALLETS_MAX, PIPELINE_RECORDS_MAX};
use crate::service::metrics::Metrics;

/// What was heard so far, and what that lets the rules see.
pub(crate) struct CoverageWatch {
    rules: Vec<Rule>,
    seen: ObservedSystems,
    metrics: Arc<Metrics>,
    /// Whether something was heard that is not shown yet.
    news: bool,
    /// Until when nothing is shown anew, where there are very many wallets.
    rests: Option<Instant>,
}

impl CoverageWatch {
    /// Looks at the newest records before `position`, so that a restart goes on with what was heard before it.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn open(
        rules: Vec<Rule>,
        log: &dyn Log,
        position: Position,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<CoverageWatch> {
        let mut watch = CoverageWatch { rules, seen: ObservedSystems::default(), metrics, news: false, rests: None };
        let mut next = Position(position.0.saturating_sub(COVERAGE_RECORDS));
        while next < position {
            let events = log.read(Topic::Events, next, PIPELINE_RECORDS_MAX)?;
            if events.is_empty() {
                break;
            }
            next = next.plus(events.len());
            events.iter().for_each(|event| {
                watch.seen.take(event);
            });
        }
        watch.show();
        Ok(watch)
    }

    /// Takes note of what is heard now.
    pub(crate) fn observe(&mut self, events: &[Event]) {
        for event in events {
            self.news |= self.seen.take(event);
        }
        if self.news && self.rests.is_none_or(|until| until <= Instant::now()) {
            self.show();
        }
    }

    /// Tells the log what is not seen.
    pub(crate) fn report(&self) {
        for (system, heard) in self.seen.each() {
            let covered = self.rules.iter().map(|rule| (rule, rule::coverage(rule, &system, &heard)));
            let (mut half, mut blind) = (Vec::new(), Vec::new());
            for (rule, coverage) in covered {
                match coverage.visibility {
                    Visibility::Full => {}
                    Visibility::Partial => half.push(rule.id.as_str()),
                    Visibility::None => blind.push(rule.id.as_str()),
                }
            }
            let sees = self.rules.len() - half.len() - blind.len();
            tracing::info!(
                system = system.id,
                sees,
                half_blind = half.join(", "),
                blind = blind.join(", "),
                "coverage: `keywatch detectors coverage` says what is missing"
            );
        }
    }

    fn show(&mut self) {
        let begun = Instant::now();
        let mut wallets = 0_usize;
        for (system, heard) in self.seen.each() {
            wallets += system.wallets.len();
            for rule in &self.rules {
                let level = match rule::coverage(rule, &system, &heard).visibility {
                    Visibility::None => 0,
                    Visibility::Partial => 1,
                    Visibility::Full => 2,
                };
                self.metrics.rule_coverage.with_label_values(&[rule.id.as_str(), system.id.as_str()]).set(level);
            }
        }
        self.news = false;
        let rest = begun.elapsed().saturating_mul(COVERAGE_RESTS);
        self.rests = if wallets > COVERAGE_WALLETS_MAX { Instant::now().checked_add(rest) } else { None };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keywatch_store::event::Origin;
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Instant as LogTime, Inventory};

    use super::*;

    fn said(kind: &str, id: &str) -> Event {
        let origin = Origin { system: "cold".to_owned(), source: "hsm".to_owned() };
        let mut event = Event::builder(&origin, id, kind, LogTime(5));
        event.wallet("0xabc").build_own()
    }

    #[test]
    fn a_rule_sees_once_its_source_has_spoken_and_still_after_a_restart() {
        let log = MemoryLog::new();
        let toml = "[[systems]]\nid = \"cold\"\n[[systems.wallets]]\nwallet = \"0xabc\"\nchain = \"ethereum\"";
        log.append(Topic::Events, Inventory::parse("i", toml).unwrap().activation(LogTime(1))).unwrap();
        let rules = rule::shipped().unwrap();
        let level = |metrics: &Metrics| {
            metrics.rule_coverage.with_label_values(&["signing/signature_without_allow", "cold"]).get()
        };
        let metrics = Metrics::new();
        let mut watch = CoverageWatch::open(rules.clone(), &log, log.end(Topic::Events), Arc::clone(&metrics)).unwrap();
        assert_eq!(level(&metrics), 0);
        let heard = vec![said("signing.approved", "1"), said("decision", "2")];
        watch.observe(&heard);
        assert_eq!(level(&metrics), 2);
        log.append(Topic::Events, heard).unwrap();
        let restarted = Metrics::new();
        CoverageWatch::open(rules, &log, log.end(Topic::Events), Arc::clone(&restarted)).unwrap();
        assert_eq!(level(&restarted), 2);
    }

    #[test]
    fn what_takes_long_to_show_is_shown_when_it_has_rested() {
        let metrics = Metrics::new();
        let (rules, log) = (rule::shipped().unwrap(), MemoryLog::new());
        let mut watch = CoverageWatch::open(rules, &log, Position(0), Arc::clone(&metrics)).unwrap();
        let level = || metrics.rule_coverage.with_label_values(&["signing/signature_without_allow", "cold"]).get();
        watch.observe(&[said("signing.approved", "1")]);
        watch.rests = Some(Instant::now() + Duration::from_mins(1));
        watch.observe(&[said("decision", "2")]);
        assert_eq!(level(), 0, "it was shown just now");
        watch.rests = Some(Instant::now());
        watch.observe(&[said("decision", "3")]);
        assert_eq!(level(), 2, "nothing new is heard, and what was heard is shown");
    }
}
