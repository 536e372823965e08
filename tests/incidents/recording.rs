//! An incident of `replay-data/`: its events and what is said about them.

use std::path::Path;

use keywatch_store::{Event, Instant, Severity, line};
use serde::Deserialize;

/// One folder of `replay-data/`.
pub(crate) struct Incident {
    /// Name of the folder.
    pub(crate) name: &'static str,
    /// Everything, in the order of the log.
    pub(crate) events: Vec<Event>,
    /// What must be found.
    pub(crate) expected: Vec<Expected>,
    /// From when on it is no ordinary business any more.
    pub(crate) begins: Instant,
    /// When the money left.
    pub(crate) lost_at: Instant,
}

/// A line of `expected.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) time: Instant,
    pub(crate) rule: String,
    pub(crate) entity: String,
    pub(crate) severity: Severity,
}

#[derive(Deserialize)]
struct Story {
    begins: Instant,
    lost_at: Instant,
}

/// The theft of 2025-02-21.
pub(crate) fn bybit() -> Incident {
    read("2025-02-bybit")
}

/// The theft of 2024-05-31.
pub(crate) fn dmm_bitcoin() -> Incident {
    read("2024-05-dmm-bitcoin")
}

/// Both.
pub(crate) fn incidents() -> [Incident; 2] {
    [bybit(), dmm_bitcoin()]
}

fn read(name: &'static str) -> Incident {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("replay-data").join(name);
    let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let story: Story = toml::from_str(&text("story.toml")).unwrap();
    Incident {
        name,
        events: text("events.jsonl").lines().map(|text| line::read(text.as_bytes()).unwrap()).collect(),
        expected: text("expected.jsonl").lines().map(|text| serde_json::from_str(text).unwrap()).collect(),
        begins: story.begins,
        lost_at: story.lost_at,
    }
}

impl Incident {
    /// The system it is told for.
    pub(crate) fn system(&self) -> &str {
        self.events[0].system()
    }
}

/// Whether a source outside keywatch said it.
pub(crate) fn is_observed(event: &Event) -> bool {
    event.source() != "keywatch"
}
