//! What each source said, beside what the configuration and the inventory say of it. Opens nothing.

use std::collections::BTreeSet;

use keywatch_store::inventory::Source;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Instant, Inventory};

use super::report::{Line, State};
use crate::limits::CLOCK_SKEW_SECONDS_MAX;
use crate::service::config::Config;
use crate::service::source_activity::{Activity, SourceActivity};
use crate::wording::span;

const AREA: &str = "source";

/// A line for each source that may be heard, as of `now`.
pub(super) fn lines(config: &Config, inventory: &Inventory, heard: &Activity, now: Option<Instant>) -> Vec<Line> {
    let configured = configured(config);
    let judged = configured.iter().map(|(system, source)| {
        let declared = declared(inventory, system, source);
        judge(&format!("{system}/{source}"), declared, heard.find(system, source), heard.from, now)
    });
    let mut lines: Vec<Line> = judged.collect();
    lines.extend(unspoken(config, inventory, Some(heard)));
    lines.extend(heard.gaps.iter().map(|(system, gaps)| {
        let found = format!("{gaps} times records of the log were lost, and somebody went on without them");
        Line::doubtful("log", system, found, "docs/damaged-log.md says how to have sources send again")
    }));
    lines
}

/// A line for each source that is declared, that nothing is configured for and, as far as it is known, that was not heard.
pub(super) fn unspoken(config: &Config, inventory: &Inventory, heard: Option<&Activity>) -> Vec<Line> {
    let configured = configured(config);
    let mut lines = Vec::new();
    for system in &inventory.systems {
        let others = system.sources.iter().filter(|source| {
            let name = (system.id.clone(), source.source.clone());
            let is_heard = heard.is_some_and(|heard| heard.find(&system.id, &source.source).is_some());
            !configured.contains(&name) && !is_heard
        });
        lines.extend(others.map(|source| {
            let advice = "give it a credential (docs/front-door.md), or take it out of the inventory";
            let found = "is declared, and nothing is configured that could speak for it";
            Line::doubtful(AREA, format!("{}/{}", system.id, source.source), found, advice)
        }));
    }
    lines
}

/// System and name of every source that something is configured for.
fn configured(config: &Config) -> BTreeSet<(String, String)> {
    let credentials = config.credentials.iter().map(|credential| (&credential.system, &credential.source));
    let chains = config.chains.iter().map(|chain| (&chain.system, &chain.source));
    let pulls = config.pull.iter().map(|pull| (&pull.system, &pull.source));
    credentials.chain(chains).chain(pulls).map(|(system, source)| (system.clone(), source.clone())).collect()
}

fn declared<'a>(inventory: &'a Inventory, system: &str, source: &str) -> Option<&'a Source> {
    inventory.system(system)?.sources.iter().find(|declared| declared.source == source)
}

fn judge(
    name: &str,
    declared: Option<&Source>,
    said: Option<&SourceActivity>,
    from: Option<Instant>,
    now: Option<Instant>,
) -> Line {
    let heartbeat = declared.map_or(0, |source| source.heartbeat_seconds);
    let delay = declared.map_or(0, |source| source.max_delay_seconds);
    let (Some(said), Some(heard)) = (said, said.and_then(|said| said.heard)) else {
        let rejects = said.map_or(0, |said| said.rejects);
        let since = from.map_or_else(|| "ever".to_owned(), |from| format!("since {from}"));
        let found = format!("has said nothing that could be understood, {since}; {rejects} rejects");
        let advice = "see that it sends, and that its credential is the one of the configuration: docs/front-door.md; \
                      refused requests are counted in keywatch_ingest_unauthenticated_total";
        let is_expected = heartbeat > 0 || rejects > 0;
        return if is_expected {
            Line::wrong(AREA, name, found, advice)
        } else {
            Line::doubtful(AREA, name, found, advice)
        };
    };
    let lag = said.event_time.map_or(0, |event_time| seconds(heard, event_time));
    let mut line = Line::fine(AREA, name, describe(said, heard, lag, now));
    let quiet = now.map_or(0, |now| seconds(now, heard));
    let mut advice = Vec::new();
    let mut find = |state: State, what: String| {
        line.state = line.state.max(state);
        advice.push(what);
    };
    if heartbeat > 0 && quiet > heartbeat.saturating_add(delay) {
        find(
            State::Wrong,
            format!("it should speak every {heartbeat} s: see that it runs and that its way here is open"),
        );
    }
    if let Some(status) = said.status.as_ref().filter(|status| status.outcome != "ok") {
        let reason = status.reason.as_deref().unwrap_or("it does not say why");
        find(State::Wrong, format!("it says of itself that it is {}: {reason}", status.outcome));
    }
    if said.rejects > 0 {
        let many = said.rejects.saturating_mul(10) > said.records.saturating_add(said.rejects);
        let sql = "SELECT time, reason, detail FROM events WHERE kind = 'source.reject'";
        find(if many { State::Wrong } else { State::Doubtful }, format!("see what could not be read: {sql}"));
    }
    if said.conflicts > 0 {
        find(State::Doubtful, "it used an id twice for different records: docs/events.md".to_owned());
    }
    if delay > 0 && lag > delay {
        find(State::Doubtful, format!("it is declared to be at most {delay} s late: max_delay_seconds, or its sender"));
    }
    if lag < -CLOCK_SKEW_SECONDS_MAX {
        find(State::Wrong, "its clock is ahead of this machine's: keep both by NTP".to_owned());
    }
    line.advice = (!advice.is_empty()).then(|| advice.join("; "));
    line
}

fn describe(said: &SourceActivity, heard: Instant, lag: i64, now: Option<Instant>) -> String {
    let ago = now.map_or_else(String::new, |now| {
        format!(", {} ago", span(seconds(now, heard).max(0).saturating_mul(SECOND_NS)))
    });
    let kind = said.kind.as_deref().unwrap_or("answer");
    let late = if lag < 0 { format!("{} s before the fact", -lag) } else { format!("{lag} s after the fact") };
    let SourceActivity { records, rejects, conflicts, .. } = said;
    format!("last {kind} at {heard}{ago}, {late}; {records} records, {rejects} rejects, {conflicts} conflicts")
}

/// Whole seconds from `earlier` to `later`.
fn seconds(later: Instant, earlier: Instant) -> i64 {
    later.unix_seconds().saturating_sub(earlier.unix_seconds())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::source_activity::Status;

    fn at(second: i64) -> Instant {
        Instant(second * SECOND_NS)
    }

    fn declared() -> Inventory {
        let text = "[[systems]]\nid = 'cold'\n\
                    sources = [{ source = 'opa', feed = 'opa', heartbeat_seconds = 60, max_delay_seconds = 30 }]";
        Inventory::parse("i.toml", text).unwrap()
    }

    fn said() -> SourceActivity {
        SourceActivity {
            heard: Some(at(1000)),
            event_time: Some(at(998)),
            kind: Some("decision".into()),
            records: 90,
            ..SourceActivity::default()
        }
    }

    fn of(said: Option<&SourceActivity>, now: i64) -> (State, String) {
        let inventory = declared();
        let source = super::declared(&inventory, "cold", "opa");
        let line = judge("cold/opa", source, said, Some(at(1)), Some(at(now)));
        (line.state, format!("{} / {}", line.found, line.advice.unwrap_or_default()))
    }

    #[test]
    fn a_source_is_judged_by_what_is_declared_of_it() {
        let fine = of(Some(&said()), 1090);
        assert_eq!(fine.0, State::Fine, "{}", fine.1);
        assert!(fine.1.contains("2 s after the fact") && fine.1.contains("1 min 30 s ago"), "{}", fine.1);
        let silent = of(Some(&said()), 1091);
        assert!(silent.0 == State::Wrong && silent.1.contains("every 60 s"), "{silent:?}");
        let never = of(None, 1090);
        assert!(never.0 == State::Wrong && never.1.contains("docs/front-door.md"), "{never:?}");
        let undeclared = judge("cold/x", None, None, None, None);
        assert_eq!(undeclared.state, State::Doubtful);
    }

    #[test]
    fn rejects_a_bad_word_of_its_own_and_a_clock_ahead_are_told_with_what_to_do() {
        let unwell = Status { outcome: "degraded".into(), reason: Some("7 decisions lost".into()), at: at(990) };
        for (spoilt, state, words) in [
            (SourceActivity { rejects: 10, ..said() }, State::Doubtful, "source.reject"),
            (SourceActivity { rejects: 11, ..said() }, State::Wrong, "source.reject"),
            (SourceActivity { conflicts: 1, ..said() }, State::Doubtful, "used an id twice"),
            (SourceActivity { status: Some(unwell), ..said() }, State::Wrong, "7 decisions lost"),
            (SourceActivity { event_time: Some(at(969)), ..said() }, State::Doubtful, "at most 30 s late"),
            (SourceActivity { event_time: Some(at(1006)), ..said() }, State::Wrong, "clock is ahead"),
        ] {
            let (found, text) = of(Some(&spoilt), 1001);
            assert!(found == state && text.contains(words), "{found:?} {text}");
        }
    }
}
