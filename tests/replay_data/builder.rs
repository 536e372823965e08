//! From `sources/` to the events of one incident: the real feeds, log time as event time, ticks between, admission.

use std::path::{Path, PathBuf};

use keywatch_ingest::{Context, feeds};
use keywatch_store::event::Origin;
use keywatch_store::inventory::Source;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::log::{Log, Topic};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant, Inventory};

const MINUTE_NS: i64 = 60 * SECOND_NS;
const DAY_NS: i64 = 24 * 60 * MINUTE_NS;

/// One folder of `replay-data/`.
pub(crate) struct Incident {
    /// Name of the folder.
    pub(crate) name: &'static str,
}

/// All of them.
pub(crate) const INCIDENTS: &[Incident] = &[BYBIT, DMM_BITCOIN];
pub(crate) const BYBIT: Incident = Incident { name: "2025-02-bybit" };
pub(crate) const DMM_BITCOIN: Incident = Incident { name: "2024-05-dmm-bitcoin" };

impl Incident {
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("replay-data").join(self.name).join(file)
    }

    pub(crate) fn read(&self, file: &str) -> String {
        let path = self.path(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn inventory(&self) -> Inventory {
        Inventory::parse(&format!("{}/inventory.toml", self.name), &self.read("inventory.toml")).unwrap()
    }

    /// The events with their log time. It is what each source claims: the log sees everything the moment it happens.
    /// What falls on one instant is ordered by source, then as its feed gives it.
    pub(crate) fn build(&self) -> Vec<Event> {
        let inventory = self.inventory();
        assert_eq!(inventory.systems.len(), 1, "{}: an incident is told for one system", self.name);
        let mut events: Vec<Event> =
            inventory.systems[0].sources.iter().flat_map(|source| self.observed(&inventory, source)).collect();
        let times = || events.iter().map(keywatch_store::Event::time);
        let (first, last) = times().min().zip(times().max()).expect("an incident has events");
        events.extend(ticks(&inventory.systems[0].id, first, last));
        events.sort_by(|one, other| (one.time(), one.source()).cmp(&(other.time(), other.source())));
        let activation =
            inventory.activation(start_of_day(first)).into_iter().map(|event| with_provenance(&event, "reconstructed"));
        admit(activation.chain(events).collect())
    }

    fn observed(&self, inventory: &Inventory, source: &Source) -> Vec<Event> {
        let file = match source.feed.as_str() {
            "safe" => format!("sources/{}.json", source.source),
            _ => format!("sources/{}.jsonl", source.source),
        };
        let origin = Origin { system: inventory.systems[0].id.clone(), source: source.source.clone() };
        let context = Context { origin: &origin, inventory: Some(inventory) };
        let reading = feeds::find(&source.feed).unwrap().read(&context, self.read(&file).as_bytes());
        assert_eq!(reading.rejects, [], "{}/{file}", self.name);
        let timed = reading.events.into_iter().map(|mut event| {
            event.set_time(event.event_time());
            // Lines written for the incident say it themselves; foreign formats have no place for it.
            match source.feed.as_str() {
                "safe" => with_provenance(&event, "public"),
                "opa" => with_provenance(&event, "reconstructed"),
                _ => event,
            }
        });
        timed.collect()
    }
}

fn with_provenance(event: &Event, provenance: &str) -> Event {
    let mut detail = event.detail().value();
    detail["provenance"] = provenance.into();
    event.changed(|event| event.detail(&detail))
}

fn start_of_day(time: Instant) -> Instant {
    Instant(time.0 - time.0.rem_euclid(DAY_NS))
}

/// One a day through the baseline, one a minute from the start to the end of the day of the last event.
fn ticks(system: &str, first: Instant, last: Instant) -> Vec<Event> {
    let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
    let (baseline, incident) = (start_of_day(first).0, start_of_day(last).0);
    let days = (1..).map(|day| baseline + day * DAY_NS).take_while(|time| *time < incident);
    let minutes = (0..=DAY_NS / MINUTE_NS).map(|minute| incident + minute * MINUTE_NS);
    let tick = |time: i64| {
        let time = Instant(time);
        let mut tick = Event::builder(&origin, &format!("tick/{time}"), "tick", time);
        with_provenance(&tick.time(time).build_own(), "reconstructed")
    };
    days.chain(minutes).map(tick).collect()
}

fn admit(events: Vec<Event>) -> Vec<Event> {
    let given = events.len();
    let appended = MemoryLog::new().append(Topic::Events, events).unwrap();
    assert_eq!((appended.written.len(), appended.repeats, appended.conflicts), (given, 0, 0));
    appended.written
}
