//! A board with more incidents than alerting keeps: it is shown page by page, and as fast as ever.

use std::time::{Duration, Instant};

use keywatch_alerting::limits::{INCIDENTS_KEPT_MAX, SWEEP_RECORDS};
use keywatch_store::event::Origin;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Clock, Event, Log, Topic};
use serde_json::json;

use super::browser::Browser;
use crate::operators::{get, machine};
use crate::running::machine::Machine;

/// Incidents that were ever opened.
const OPENED: usize = 10_000;

/// Rows of a page of the board.
const ROWS: usize = 50;

/// How long a page of it may take at best; generous, since other tests run beside it.
const PAGE_MAX: Duration = Duration::from_millis(500);

/// How large it may be.
const PAGE_BYTES_MAX: usize = 128 << 10;

/// The record of an incident's first alert, as alerting writes it.
fn opened(number: usize) -> Event {
    let id = format!("{number:032x}");
    let begun: keywatch_store::Instant = "2026-03-01T00:00:00Z".parse().unwrap();
    let at = begun.saturating_add(i64::try_from(number).unwrap() * SECOND_NS);
    let detail = json!({
        "alert_id": id, "key": id, "incident": id, "notify": false,
        "finding": {
            "id": id, "rule": "own/presented", "version": 1, "severity": "low", "system": "cold",
            "entity": format!("person-{number}"), "anchor": id, "time": at, "decided": at,
            "title": format!("Something about person-{number}"), "meaning": "It is there for a test.", "runbook": "look",
            "source": "idp", "late": false, "evidence": [], "facts": {}, "response": [], "proof": "corroborated",
            "suppress_ns": 3_600 * SECOND_NS,
        },
    });
    let origin = Origin { system: "cold".to_owned(), source: "keywatch".to_owned() };
    let mut event = Event::builder(&origin, &format!("alert/{id}"), "alert.opened", at);
    event.detail(&detail);
    event.build_own()
}

/// A machine whose log has all of them.
pub(super) fn crowd() -> Machine {
    let machine = machine();
    let log = EmbeddedLog::open(machine.path("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    for first in (0..OPENED).step_by(1_000) {
        log.append(Topic::Conclusions, (first..first + 1_000).map(opened).collect()).unwrap();
    }
    machine
}

#[tokio::test]
async fn p7_a_board_of_ten_thousand_incidents_is_paged_and_stays_fast() {
    let machine = crowd();
    let running = machine.start().await;
    let total = get(&running, "/v1/incidents?limit=1").await["total"].as_u64().unwrap();
    let total = usize::try_from(total).unwrap();
    let kept = INCIDENTS_KEPT_MAX..=INCIDENTS_KEPT_MAX + usize::try_from(SWEEP_RECORDS).unwrap();
    assert!(kept.contains(&total), "{total} incidents are kept");
    let last = total.div_ceil(ROWS);

    let mut ann = Browser::signed_in(&running, "ann").await;
    let entries = |text: &str| text.matches("class=\"entry\"").count();
    for query in ["", "?rule=own/presented", "?severity=low&status=open", "?page=100"] {
        let path = format!("/page{query}");
        let mut fastest = Duration::MAX;
        for _ in 0..5 {
            let begun = Instant::now();
            let shown = ann.get(&path).await;
            fastest = fastest.min(begun.elapsed());
            assert_eq!(entries(&shown.text), ROWS, "{path}: {}", shown.text);
            assert!(shown.text.contains(&format!("of {last}, {total} in all")), "{path}");
            assert!(shown.text.len() <= PAGE_BYTES_MAX, "{path}: {} bytes", shown.text.len());
        }
        assert!(fastest <= PAGE_MAX, "{path}: {fastest:?}");
    }
    let oldest = ann.get(&format!("/page?page={last}")).await;
    assert_eq!(entries(&oldest.text), total - (last - 1) * ROWS);
    assert!(oldest.text.contains("rel=\"prev\"") && !oldest.text.contains("rel=\"next\""), "{}", oldest.text);
    running.stop();
}
