//! By what each process that takes events in recognises each source, as these processes say it themselves: a fold over
//! `credential.accepted`. So it is known of a stolen credential which of them still take it, and when the last one ceased to.
//! Knows no compromise.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, Instant};
use serde::{Deserialize, Serialize};

use crate::lifecycle::pairs;
use crate::limits::{
    COMPROMISE_PRINTS_MAX, COMPROMISE_SHARED_MAX, DOOR_PRINT_BYTES_MAX, DOOR_PRINTS_MAX, DOOR_STATEMENTS_MAX, DOORS_MAX,
};

/// System, source and process.
pub(crate) type DoorName = (String, String, String);

/// What a process said last, and before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doors(#[serde(with = "pairs")] BTreeMap<DoorName, Vec<Statement>>);

/// What it takes from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Statement {
    /// Log time.
    at: Instant,
    prints: BTreeSet<String>,
}

/// The detail of `credential.accepted`.
#[derive(Deserialize)]
struct Accepted {
    of: String,
    process: String,
    prints: BTreeSet<String>,
}

impl Doors {
    /// Takes in what a process says. Of which of them something else is known by now: of that one, and of one that is forgotten
    /// for it.
    pub(crate) fn apply(&mut self, event: &Event) -> Vec<DoorName> {
        let Ok(Accepted { of, process, mut prints }) = Accepted::deserialize(event.detail().value()) else {
            return Vec::new();
        };
        prints.retain(|print| print.len() <= DOOR_PRINT_BYTES_MAX);
        within_limit(&mut prints);
        let name = (event.system().to_owned(), of, process);
        let is_over = !self.0.contains_key(&name) && self.0.len() >= DOORS_MAX;
        let forgotten = if is_over { self.forget_one() } else { None };
        let statements = self.0.entry(name.clone()).or_default();
        if statements.last().is_some_and(|last| last.prints == prints) {
            return Vec::new();
        }
        statements.push(Statement { at: event.time(), prints });
        if statements.len() > DOOR_STATEMENTS_MAX {
            // What was taken by either of them is held to have been taken by both: nothing ends earlier for it.
            let second = statements.remove(1);
            statements[0].prints.extend(second.prints);
            within_limit(&mut statements[0].prints);
        }
        forgotten.into_iter().chain([name]).collect()
    }

    /// One that takes nothing any more gives way, and if there is none, the one that was heard least lately.
    fn forget_one(&mut self) -> Option<DoorName> {
        let over = self.0.iter().min_by_key(|(_, statements)| {
            let last = statements.last();
            last.map(|last| (!last.prints.is_empty(), last.at))
        });
        let name = over.map(|(name, _)| name.clone())?;
        self.0.remove(&name);
        Some(name)
    }

    /// Fingerprints of all by which a source is recognised or was, by any of them, as far as it is remembered: a word that
    /// somebody else says in the name of a process takes back nothing that the process itself has said. No more than
    /// [`COMPROMISE_PRINTS_MAX`], those that were said first.
    pub(crate) fn prints(&self, system: &str, source: &str) -> BTreeSet<String> {
        let mut said: Vec<&Statement> = self.of(system, source).flat_map(|(_, statements)| statements).collect();
        said.sort_by_key(|statement| statement.at);
        let mut prints = BTreeSet::new();
        for print in said.into_iter().flat_map(|statement| &statement.prints) {
            if prints.len() >= COMPROMISE_PRINTS_MAX {
                break;
            }
            prints.insert(print.clone());
        }
        prints
    }

    /// Other sources of the system that are recognised by one of these fingerprints, or were; no more than
    /// [`COMPROMISE_SHARED_MAX`], the first by name.
    pub(crate) fn shared_with(&self, system: &str, source: &str, prints: &BTreeSet<String>) -> BTreeSet<String> {
        let first = (system.to_owned(), String::new(), String::new());
        let own = self.0.range(first..).take_while(|((of, ..), _)| of == system);
        let has_one = |statements: &[Statement]| statements.iter().any(|one| !one.prints.is_disjoint(prints));
        let mut others = BTreeSet::new();
        for ((_, name, _), statements) in own {
            if others.len() >= COMPROMISE_SHARED_MAX {
                break;
            }
            if name != source && has_one(statements) {
                others.insert(name.clone());
            }
        }
        others
    }

    /// The processes that have taken one of the `refused` credentials of a source, each with the log time from which on it
    /// takes none of them any more; `None` where it still does.
    pub(crate) fn closed(
        &self,
        system: &str,
        source: &str,
        refused: &BTreeSet<String>,
    ) -> BTreeMap<String, Option<Instant>> {
        let mut closed = BTreeMap::new();
        self.of(system, source)
            .for_each(|(process, statements)| note_closed(process, statements, refused, &mut closed));
        closed
    }

    /// Brings what [`Doors::closed`] said of that one up to date.
    pub(crate) fn renew_closed(
        &self,
        name: &DoorName,
        refused: &BTreeSet<String>,
        closed: &mut BTreeMap<String, Option<Instant>>,
    ) {
        let statements = self.0.get(name).map_or(&[][..], Vec::as_slice);
        note_closed(&name.2, statements, refused, closed);
    }

    fn of<'a>(&'a self, system: &'a str, source: &'a str) -> impl Iterator<Item = (&'a str, &'a [Statement])> {
        let first = (system.to_owned(), source.to_owned(), String::new());
        let own = self.0.range(first..).take_while(move |((of, name, _), _)| of == system && name == source);
        own.map(|((_, _, process), statements)| (process.as_str(), statements.as_slice()))
    }
}

/// Notes whether a process has taken one of the `refused` credentials, and from when on it takes none of them any more.
fn note_closed(
    process: &str,
    statements: &[Statement],
    refused: &BTreeSet<String>,
    closed: &mut BTreeMap<String, Option<Instant>>,
) {
    match statements.iter().rposition(|statement| !statement.prints.is_disjoint(refused)) {
        Some(last) => {
            let from = statements.get(last + 1).map(|statement| statement.at);
            closed.insert(process.to_owned(), from);
        }
        None => {
            closed.remove(process);
        }
    }
}

fn within_limit(prints: &mut BTreeSet<String>) {
    while prints.len() > DOOR_PRINTS_MAX {
        prints.pop_first();
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use serde_json::json;

    use super::*;

    fn prints(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn said(doors: &mut Doors, process: &str, at: i64, names: &[&str]) {
        said_of(doors, "idp", process, at, names);
    }

    fn said_of(doors: &mut Doors, of: &str, process: &str, at: i64, names: &[&str]) -> Vec<DoorName> {
        let origin = Origin { system: "cold".into(), source: "keywatch".into() };
        let mut event = Event::builder(&origin, &format!("{process}/{at}"), "credential.accepted", Instant(at));
        event.time(Instant(at));
        event.detail(&json!({ "of": of, "process": process, "prints": prints(names) }));
        doors.apply(&event.build_own())
    }

    #[test]
    fn a_credential_is_refused_by_a_process_from_the_word_on_that_has_it_no_more() {
        let mut doors = Doors::default();
        said(&mut doors, "one", 1, &["old"]);
        said(&mut doors, "two", 2, &["old", "new"]);
        said(&mut doors, "three", 3, &["new"]);
        assert_eq!(doors.prints("cold", "idp"), prints(&["new", "old"]));
        assert!(doors.prints("cold", "opa").is_empty() && doors.prints("hot", "idp").is_empty());
        let closed = |doors: &Doors| doors.closed("cold", "idp", &prints(&["old"])).into_iter().collect::<Vec<_>>();
        assert_eq!(closed(&doors), [("one".to_owned(), None), ("two".to_owned(), None)]);
        said(&mut doors, "one", 10, &[]);
        said(&mut doors, "one", 11, &[]);
        said(&mut doors, "two", 12, &["new"]);
        assert_eq!(closed(&doors), [("one".to_owned(), Some(Instant(10))), ("two".to_owned(), Some(Instant(12)))]);
        said(&mut doors, "one", 20, &["old"]);
        assert_eq!(closed(&doors)[0].1, None, "it takes it again");
    }

    #[test]
    fn who_speaks_in_the_name_of_a_process_takes_nothing_back_and_is_seen_to_name_what_others_have() {
        let mut doors = Doors::default();
        said(&mut doors, "honest", 1, &["of idp"]);
        said_of(&mut doors, "opa", "honest", 2, &["of opa"]);
        said_of(&mut doors, "vault", "honest", 3, &["of vault"]);
        let shared = |doors: &Doors| doors.shared_with("cold", "idp", &doors.prints("cold", "idp"));
        assert!(shared(&doors).is_empty());
        said(&mut doors, "honest", 4, &["of opa"]);
        assert_eq!(doors.prints("cold", "idp"), prints(&["of idp", "of opa"]));
        assert_eq!(shared(&doors), prints(&["opa"]));
        assert!(doors.shared_with("hot", "idp", &prints(&["of opa"])).is_empty(), "another system's");
    }

    #[test]
    fn p7_who_says_very_much_keeps_no_declaration_from_fitting_in_a_record() {
        let mut doors = Doors::default();
        said(&mut doors, "honest", 1, &["stolen"]);
        said(&mut doors, "forged", 2, &[&"long".repeat(DOOR_PRINT_BYTES_MAX)]);
        assert_eq!(doors.prints("cold", "idp"), prints(&["stolen"]));
        for (number, at) in (0..COMPROMISE_PRINTS_MAX).zip(3..) {
            said(&mut doors, &format!("forged {number}"), at, &[&format!("a print {number}")]);
        }
        let refused = doors.prints("cold", "idp");
        assert_eq!((refused.len(), refused.contains("stolen")), (COMPROMISE_PRINTS_MAX, true));
    }

    #[test]
    fn what_is_brought_up_to_date_with_each_word_is_what_all_of_them_say() {
        let (mut doors, mut kept, refused) = (Doors::default(), BTreeMap::new(), prints(&["print-0", "print-1"]));
        let mut say = |of: &str, process: &str, at: i64, names: &[&str]| {
            for name in said_of(&mut doors, of, process, at, names).iter().filter(|(_, of, _)| of == "idp") {
                doors.renew_closed(name, &refused, &mut kept);
            }
            (kept.clone(), doors.closed("cold", "idp", &refused))
        };
        for step in 0..400 {
            let (process, print) = (format!("process {}", step * 7 % 5), format!("print-{}", step * step % 7));
            let names = if step % 11 == 0 { vec![] } else { vec![print.as_str()] };
            let (kept, all) = say("idp", &process, step, &names);
            assert_eq!(kept, all, "step {step}");
        }
        for number in 0..DOORS_MAX {
            say("opa", &format!("made up {number}"), 1_000, &["print"]);
        }
        let (kept, all) = say("opa", "one more", 1_001, &["print"]);
        assert!(kept.is_empty() && all.is_empty(), "those of the source were forgotten: {kept:?}, {all:?}");
    }

    #[test]
    fn what_is_forgotten_of_a_process_ends_nothing_earlier() {
        let mut doors = Doors::default();
        said(&mut doors, "one", 1, &["stolen"]);
        said(&mut doors, "one", 2, &["other"]);
        let closed = |doors: &Doors| doors.closed("cold", "idp", &prints(&["stolen"]))["one"].unwrap();
        assert_eq!(closed(&doors), Instant(2));
        for at in 3..100 {
            let before = closed(&doors);
            said(&mut doors, "one", at, &[&format!("print-{at}")]);
            assert!(closed(&doors) >= before && closed(&doors) <= Instant(at));
        }
        assert_eq!(doors.0.values().map(Vec::len).sum::<usize>(), DOOR_STATEMENTS_MAX);
    }
}
