//! How far a source was read. It stands in the log behind the events of the page that it is of, so that whoever goes on
//! from it has lost nothing; what it reads again has the ids that it had.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::event::Origin;
use keywatch_store::{Error, Event, Instant, Log};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::service::chains::position::backwards;

/// The kind of the record.
pub(crate) const KIND: &str = "source.cursor";

/// A list of a source: system, source, stream.
pub(crate) type Place = (String, String, String);

/// How far a source was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Cursor {
    /// Time of the newest record that was taken, never later than it was taken.
    pub(crate) newest: Option<Instant>,
    /// Where a list that was begun goes on.
    pub(crate) next: Option<String>,
    /// Ids of what was taken and not acknowledged yet; of what is no list, what it was at the last look.
    pub(crate) taken: Vec<String>,
    /// Ids of what was refused, with the reason, and not told yet.
    pub(crate) refused: BTreeMap<String, String>,
}

impl Cursor {
    /// The record of it. `records` is how many events stand before it.
    pub(crate) fn record(&self, origin: &Origin, stream: &str, records: usize, now: Instant) -> Event {
        let id = format!("cursor/{stream}/{}", now.nanoseconds());
        let mut event = Event::builder(origin, &id, KIND, now);
        event.detail(&json!({ "stream": stream, "records": records, "cursor": self }));
        event.build_own()
    }
}

/// The newest cursor of each of these lists that has one. A list that was never asked costs a walk through all of the log, so
/// all of them are looked for on one.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn restored(log: &dyn Log, wanted: &BTreeSet<Place>) -> Result<BTreeMap<Place, Cursor>, Error> {
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    backwards(log, |event| {
        if event.kind() == KIND {
            let detail = event.detail().value();
            let stream = detail["stream"].as_str().unwrap_or_default();
            let place: Place = (event.system().to_owned(), event.source().to_owned(), stream.to_owned());
            let is_older = found.contains_key(&place);
            if wanted.contains(&place)
                && !is_older
                && let Ok(cursor) = serde_json::from_value::<Cursor>(detail["cursor"].clone())
            {
                found.insert(place, cursor);
            }
        }
        found.len() == wanted.len()
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use keywatch_store::Topic;
    use keywatch_store::log::memory::MemoryLog;

    use super::*;

    #[test]
    fn a_cursor_is_read_back_by_source_and_stream() {
        let log = MemoryLog::new();
        let origin = |source: &str| Origin { system: "cold".into(), source: source.into() };
        let at = |next: &str| Cursor {
            newest: Some(Instant(7)),
            next: Some(next.into()),
            taken: vec!["j-1".into()],
            refused: BTreeMap::from([("j-2".to_owned(), "unsigned".to_owned())]),
        };
        let mut events = Vec::new();
        for (source, stream, next, second) in [
            ("idp", "okta", "first", 1),
            ("idp", "okta", "second", 2),
            ("idp", "other", "third", 3),
            ("other", "okta", "fourth", 4),
        ] {
            let mut event = at(next).record(&origin(source), stream, 1, Instant(second));
            event.set_time(Instant(second));
            events.push(event);
        }
        log.append(Topic::Events, events).unwrap();
        let place = |source: &str, stream: &str| ("cold".to_owned(), source.to_owned(), stream.to_owned());
        let wanted = BTreeSet::from([place("idp", "okta"), place("idp", "new"), place("other", "okta")]);
        let found = restored(&log, &wanted).unwrap();
        let expected = [(place("idp", "okta"), at("second")), (place("other", "okta"), at("fourth"))];
        assert_eq!(found, BTreeMap::from(expected));
        assert!(restored(&log, &BTreeSet::new()).unwrap().is_empty());
    }
}
