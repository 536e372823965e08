//! What each rule cost people: its alerts and findings over a span, what they turned out to be, and how long it took until
//! somebody saw to its incidents. Counted from the records, since the state remembers the last alert of a rule and entity alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use keywatch_alerting::{AlertState, AlertSummary, History, Incident, Verdict};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Error, Event, Instant, Log, Position, Topic};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::history::{first_at, onward};
use super::{Answer, Api, Caller, Refusal, parameters, parsed};
use crate::clock;
use crate::limits::{API_WAIT_SECONDS_MAX, NOISE_ALERTS_MAX, NOISE_NS, NOISE_STEP_NS};

/// `GET /v1/noise`: by rule, since `since`; of one rule where `rule` names it.
pub(super) async fn noise(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let parameters = parameters(&uri, &["since", "rule"])?;
    let until = clock::now();
    let asked: Option<Instant> = parsed(&parameters, "since")?;
    let since = asked.unwrap_or_else(|| usual(until));
    if since >= until {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "`since` is not in the past"));
    }
    // One at a time goes through the log for it; the others wait here, where they take nobody's turn.
    let counting = timeout(Duration::from_secs(API_WAIT_SECONDS_MAX), Arc::clone(&api.counting).lock_owned()).await;
    let mut kept = counting.map_err(|_| Refusal::unavailable("too many requests at once"))?;
    api.away(move |api| {
        let mut once = None;
        // A beginning that somebody chose is seldom asked for again.
        let slot = if asked.is_none() { &mut *kept } else { &mut once };
        let counting = Counting::continued(slot, api.log.as_ref(), since)?;
        let mut rules: BTreeMap<&str, Vec<&AlertSummary>> = BTreeMap::new();
        for counted in counting.history.alerts().into_iter().filter(|counted| operator.sees(&counted.alert.system)) {
            rules.entry(&counted.alert.rule).or_default().push(counted);
        }
        rules.retain(|rule, _| parameters.get("rule").is_none_or(|asked| asked == rule));
        let views: Vec<Value> =
            api.executor.with_state(|state| rules.iter().map(|(rule, alerts)| view(state, rule, alerts)).collect());
        let complete = counting.is_complete;
        Ok(Json(json!({ "since": since, "until": until, "complete": complete, "rules": views })))
    })
    .await
}

/// The beginning where nobody says one: the same for a while, so that what was counted is gone on with.
fn usual(until: Instant) -> Instant {
    let since = until.0.saturating_sub(NOISE_NS);
    Instant(since.saturating_sub(since.rem_euclid(NOISE_STEP_NS)))
}

/// The alerts of all systems since a time, and how far the log was gone through for them.
pub(super) struct Counting {
    since: Instant,
    next: Position,
    history: History,
    opened: usize,
    /// Whether it reaches to the end of the log.
    is_complete: bool,
}

impl Counting {
    /// The one that is kept where it is of that time, or else a new one, either with what the log has since. One that the log
    /// cannot be read for is not kept.
    fn continued<'k>(kept: &'k mut Option<Counting>, log: &dyn Log, since: Instant) -> Result<&'k Counting, Error> {
        let mut counting = match kept.take().filter(|counting| counting.since == since) {
            Some(counting) => counting,
            None => Counting::begun(first_at(log, Topic::Conclusions, since)?, since),
        };
        counting.go_on(log)?;
        Ok(kept.insert(counting))
    }

    fn begun(next: Position, since: Instant) -> Counting {
        Counting { since, next, history: History::default(), opened: 0, is_complete: false }
    }

    fn go_on(&mut self, log: &dyn Log) -> Result<(), Error> {
        let Counting { next, history, opened, .. } = self;
        // A log that has too many is not gone through any further: the figures are of the first part.
        if *opened >= NOISE_ALERTS_MAX {
            return Ok(());
        }
        let scanned = onward(log, Topic::Conclusions, next, |event| {
            if concerns(event) {
                history.apply(event);
                *opened += usize::from(event.kind() == "alert.opened");
            }
            *opened < NOISE_ALERTS_MAX
        })?;
        self.is_complete = scanned.complete && self.opened < NOISE_ALERTS_MAX;
        Ok(())
    }
}

/// Whether a record says something about what alerts cost people; responses and deliveries do not, and need not be kept.
fn concerns(event: &Event) -> bool {
    event.kind().starts_with("alert.") && !["alert.notified", "alert.failed"].contains(&event.kind())
}

fn view(state: &AlertState, rule: &str, alerts: &[&AlertSummary]) -> Value {
    // What keywatch resolved, since it is not on its chain any more, no person has judged.
    let (retracted, judged): (Vec<&AlertSummary>, Vec<&AlertSummary>) =
        alerts.iter().copied().partition(|counted| counted.alert.is_closed_by_keywatch());
    let verdicts = |wanted: Option<Verdict>| judged.iter().filter(|counted| counted.alert.verdict == wanted).count();
    let waits = waits(state, alerts);
    json!({
        "rule": rule,
        "alerts": alerts.len(),
        "findings": alerts.iter().map(|counted| counted.findings).sum::<u64>(),
        "true": verdicts(Some(Verdict::True)),
        "false": verdicts(Some(Verdict::False)),
        "benign": verdicts(Some(Verdict::Benign)),
        "test": verdicts(Some(Verdict::Test)),
        "retracted": retracted.len(),
        "unjudged": verdicts(None),
        "acknowledged": waits.len(),
        "acknowledge_seconds_median": waits.get(waits.len() / 2),
        "acknowledge_seconds_max": waits.last(),
    })
}

/// Seconds from the beginning of each incident of these alerts until somebody took it up, ascending; of those that are still
/// remembered.
fn waits(state: &AlertState, alerts: &[&AlertSummary]) -> Vec<i64> {
    let incidents = alerts.iter().filter_map(|counted| state.incidents().get(&counted.alert.incident));
    let mut seen = BTreeSet::new();
    let once = incidents.filter(|incident| seen.insert(incident.id.as_str()));
    let wait = |incident: &Incident| {
        let (_, at) = incident.handling.acknowledged.as_ref()?;
        Some(at.0.saturating_sub(incident.opened.0) / SECOND_NS)
    };
    let mut waits: Vec<i64> = once.filter_map(wait).collect();
    waits.sort_unstable();
    waits
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::log::memory::MemoryLog;

    use super::*;

    #[test]
    fn what_was_counted_is_gone_on_with_and_not_read_again() {
        let log = MemoryLog::new();
        let origin = Origin { system: "cold".into(), source: "keywatch".into() };
        let opened = |second: i64| {
            let mut event = Event::builder(&origin, &second.to_string(), "alert.opened", Instant(second));
            event.time(Instant(second)).build_own()
        };
        let mut kept = None;
        let counted = |kept: &mut Option<Counting>, since: i64| {
            let counting = Counting::continued(kept, &log, Instant(since)).unwrap();
            (counting.next, counting.opened, counting.is_complete)
        };
        log.append(Topic::Conclusions, (1..=3).map(opened).collect()).unwrap();
        assert_eq!(counted(&mut kept, 1), (Position(3), 3, true));
        log.append(Topic::Conclusions, (4..=5).map(opened).collect()).unwrap();
        assert_eq!(counted(&mut kept, 1), (Position(5), 5, true), "those of before are counted once");
        assert_eq!(counted(&mut kept, 2), (Position(5), 4, true), "another time is another count");
    }

    #[test]
    fn the_usual_beginning_stays_for_a_while() {
        let since = |after: i64| usual(Instant(NOISE_NS + 5 * NOISE_STEP_NS + after));
        assert_eq!((since(0), since(NOISE_STEP_NS - 1)), (Instant(5 * NOISE_STEP_NS), Instant(5 * NOISE_STEP_NS)));
        assert_eq!(since(NOISE_STEP_NS), Instant(6 * NOISE_STEP_NS));
    }
}
