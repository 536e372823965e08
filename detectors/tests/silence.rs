//! `source/silent`: each source by its own heartbeat, and one finding a silence whatever happens meanwhile.

use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Inventory, Position};

const MINUTE: i64 = 60 * 1_000_000_000;

fn silent() -> Rule {
    shipped().unwrap().into_iter().find(|rule| rule.id == "source/silent").unwrap()
}

/// A log of minutes: what happens in some of them, and a tick in each.
#[derive(Default)]
struct Log {
    events: Vec<(i64, Event)>,
}

impl Log {
    fn word(mut self, source: &str, minutes: impl IntoIterator<Item = i64>) -> Log {
        for minute in minutes {
            let origin = Origin { system: "one".to_owned(), source: source.to_owned() };
            let kind = if source == "keywatch" { "tick" } else { "source.heartbeat" };
            let mut event = Event::builder(&origin, &format!("{source}/{minute}"), kind, Instant(0));
            self.events.push((minute, event.build_own()));
        }
        self
    }

    /// A node of the chain that a source reads answers.
    fn head(mut self, source: &str, minutes: impl IntoIterator<Item = i64>) -> Log {
        for minute in minutes {
            let origin = Origin { system: "one".to_owned(), source: source.to_owned() };
            let mut event = Event::builder(&origin, &format!("{source}/{minute}/head"), "chain.head", Instant(0));
            self.events.push((minute, event.build_own()));
        }
        self
    }

    /// A source says how it is.
    fn status(mut self, source: &str, minute: i64, outcome: &str) -> Log {
        let origin = Origin { system: "one".to_owned(), source: source.to_owned() };
        let mut event = Event::builder(&origin, &format!("{source}/{minute}/status"), "source.status", Instant(0));
        self.events.push((minute, event.outcome(outcome).build_own()));
        self
    }

    /// The inventory from a minute on: sources with the minutes of their heartbeats.
    fn inventory(mut self, minute: i64, sources: &[(&str, i64)]) -> Log {
        let sources = sources.iter().map(|(source, heartbeat)| {
            format!(
                "[[systems.sources]]\nsource = \"{source}\"\nfeed = \"events\"\nheartbeat_seconds = {}\n",
                heartbeat * 60
            )
        });
        let text = format!("[[systems]]\nid = \"one\"\n{}", sources.collect::<String>());
        let activation = Inventory::parse("i.toml", &text).unwrap().activation(Instant(minute * MINUTE));
        self.events.extend(activation.into_iter().map(|event| (minute, event)));
        self
    }

    /// What is found: source, minute of the anchor, minute of the record that decides. In pieces it must be the same. The
    /// records of a minute come within nanoseconds, each a little further into it than all before.
    fn found(self, minutes: i64) -> Vec<(String, i64, i64)> {
        let mut log = self.word("keywatch", 0..=minutes).events;
        log.sort_by_key(|(minute, _)| *minute);
        let mut events: Vec<Event> = Vec::new();
        for (number, (minute, mut event)) in (0..).zip(log) {
            event.set_time(Instant(minute * MINUTE + number));
            events.push(event);
        }
        let whole = Log::run(&events, events.len());
        assert_eq!(Log::run(&events, 1), whole, "record by record");
        whole
    }

    fn run(events: &[Event], size: usize) -> Vec<(String, i64, i64)> {
        let mut engine = Engine::new(&[silent()], &Settings::default()).unwrap();
        let mut found = Vec::new();
        for (number, batch) in events.chunks(size).enumerate() {
            let outcome = engine.run(Position((number * size) as u64), batch).unwrap();
            assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
            let minute = |time: Instant| time.0 / MINUTE;
            let told = outcome.findings.into_iter().map(|decided| decided.finding);
            found.extend(told.map(|finding| (finding.entity.clone(), minute(finding.time), minute(finding.decided))));
        }
        found.sort();
        found
    }
}

fn is(source: &str, anchor: i64, decided: i64) -> (String, i64, i64) {
    (source.to_owned(), anchor, decided)
}

#[test]
fn each_source_has_its_own_heartbeat() {
    let log = Log::default().inventory(0, &[("opa", 5), ("node", 30), ("idp", 0)]);
    let log = log.word("opa", [1, 4, 8, 12]).word("node", [2, 31]).word("idp", [3]);
    assert_eq!(log.found(70), [is("node", 31, 61), is("opa", 12, 17)]);
}

#[test]
fn that_a_node_answers_is_no_word_of_the_source_that_reads_its_chain() {
    let log = Log::default().inventory(0, &[("node", 5)]).word("node", [2, 6]).head("node", 0..=30);
    assert_eq!(log.found(30), [is("node", 6, 11)]);
}

#[test]
fn a_source_that_never_spoke_is_told_from_when_it_is_expected() {
    let log = Log::default().inventory(3, &[("opa", 5), ("node", 30)]).word("node", [10, 20, 30, 40]);
    assert_eq!(log.found(60), [is("opa", 3, 8)]);
}

#[test]
fn a_silence_is_told_once_whatever_is_activated_meanwhile() {
    let log = Log::default().inventory(0, &[("opa", 5)]).word("opa", [1, 2]).inventory(4, &[("opa", 5)]);
    let log = log.inventory(20, &[("opa", 5)]).inventory(60, &[("opa", 5), ("node", 60)]).word("opa", [200, 201]);
    assert_eq!(log.found(240), [is("node", 60, 120), is("opa", 2, 7), is("opa", 201, 206)]);
}

#[test]
fn a_source_of_which_silence_was_ordinary_is_told_from_when_it_is_not() {
    let watched_later = Log::default().inventory(0, &[("opa", 0)]).word("opa", [1]).inventory(30, &[("opa", 5)]);
    assert_eq!(watched_later.found(60), [is("opa", 30, 35)]);
    let too_long = 25 * 60;
    let watched_too_long = Log::default().inventory(0, &[("opa", too_long)]).inventory(30, &[("opa", 5)]);
    assert_eq!(watched_too_long.found(60), [is("opa", 30, 35)]);
    assert!(Log::default().inventory(0, &[("opa", too_long)]).found(2 * too_long).is_empty());
}

#[test]
fn a_source_that_said_it_goes_down_is_given_an_hour_more() {
    let node = |log: Log| log.inventory(0, &[("node", 5)]).word("node", [2, 6]).status("node", 8, "down");
    assert!(
        node(Log::default()).word("node", [72, 76, 80]).found(84).is_empty(),
        "back within an hour and five minutes"
    );
    assert_eq!(node(Log::default()).word("node", [74]).found(78), [is("node", 8, 73)], "a minute later");
    let degraded = Log::default().inventory(0, &[("node", 5)]).word("node", [2]).status("node", 4, "degraded");
    assert_eq!(degraded.found(60), [is("node", 4, 9)], "only a source that goes down falls silent");
}

#[test]
fn an_announcement_holds_until_the_source_is_well_again() {
    let node = |log: Log| log.inventory(0, &[("node", 5)]).word("node", [2, 6]).status("node", 8, "down");
    assert!(
        node(Log::default()).word("node", [8, 9, 72, 76, 80]).found(84).is_empty(),
        "what it says while it goes down, and back within an hour and five minutes of the announcement"
    );
    let never_back = node(Log::default()).word("node", [9, 12]);
    assert_eq!(never_back.found(78), [is("node", 12, 73)], "counted from the announcement and not from the last word");
    let speaks_on = node(Log::default()).word("node", [9, 13]);
    assert_eq!(speaks_on.found(60), [is("node", 13, 18)], "who speaks after five minutes is up again");
    let says_so = node(Log::default()).status("node", 9, "ok");
    assert_eq!(says_so.found(60), [is("node", 9, 14)], "as who says so");
    let and_speaks = node(Log::default()).status("node", 9, "ok").word("node", [10]);
    assert_eq!(and_speaks.found(60), [is("node", 10, 15)]);
    let again = node(Log::default()).status("node", 9, "ok").status("node", 11, "down").word("node", [12]);
    assert_eq!(again.found(90), [is("node", 12, 76)], "the second announcement");
}

#[test]
fn a_word_at_the_very_end_of_a_heartbeat_comes_in_time() {
    let origin = Origin { system: "one".to_owned(), source: "opa".to_owned() };
    let text =
        "[[systems]]\nid = \"one\"\n[[systems.sources]]\nsource = \"opa\"\nfeed = \"events\"\nheartbeat_seconds = 60\n";
    for (late, found) in [(0, 0), (1, 1)] {
        let mut events = Inventory::parse("i.toml", text).unwrap().activation(Instant(0));
        let mut word = Event::builder(&origin, "word", "source.heartbeat", Instant(0));
        events.push(word.build_own());
        let times = [0, 1, 1 + MINUTE + late];
        events.iter_mut().zip(times).for_each(|(event, time)| event.set_time(Instant(time)));
        assert_eq!(Log::run(&events, 3).len(), found, "{late} ns late");
    }
}
