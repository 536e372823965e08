//! Records that come as late as their source documents it, or an hour late after an outage.

use std::collections::BTreeSet;

use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Finding, Instant, Inventory, Severity};

use super::process::{Outcome, play};
use super::recording::{Incident, incidents, is_observed};
use super::rules::{admitted, anchors, findings};

const HOUR_NS: i64 = 3600 * SECOND_NS;

/// Records of one instant are kept apart by a nanosecond each; so much earlier than its limit a source is in time.
const MARGIN_NS: i64 = 1_000_000;

/// What a rule may add while one source alone is late: it says that a record is missing, and so it is.
const MISSING_LINK: [(&str, &str); 2] =
    [("pdp", "signing/signature_without_allow"), ("signer", "chain/outflow_without_signature")];

fn inventory(incident: &Incident) -> Inventory {
    Inventory::from_activation(&incident.events[0]).unwrap()
}

/// Every record arrives when its source's declared delay is nearly over.
fn delayed(incident: &Incident) -> Vec<Event> {
    let delays = inventory(incident).delays(incident.system());
    let arrives = |event: &Event| match delays.get(event.source()) {
        Some(delay_ns) if *delay_ns > 0 => event.time().saturating_add(delay_ns - MARGIN_NS),
        _ => event.time(),
    };
    admitted(incident.events.iter().map(|event| event.changed(|it| it.time(arrives(event)))).collect())
}

/// In which order a backlog is uploaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    AsItHappened,
    SourceBySource,
    SourceBySourceReversed,
}

/// What these sources say between `from` and an hour later arrives at the end of that hour.
fn outage(incident: &Incident, from: Instant, upload: Upload, is_cut_off: impl Fn(&str) -> bool) -> Vec<Event> {
    let over = from.saturating_add(HOUR_NS);
    let held = |event: &Event| is_observed(event) && is_cut_off(event.source()) && (from..over).contains(&event.time());
    let (mut late, rest): (Vec<Event>, Vec<Event>) = incident.events.iter().cloned().partition(held);
    match upload {
        Upload::AsItHappened => {}
        Upload::SourceBySource => late.sort_by(|one, next| one.source().cmp(next.source())),
        Upload::SourceBySourceReversed => late.sort_by(|one, next| next.source().cmp(one.source())),
    }
    late.iter_mut().for_each(|event| event.set_time(over));
    // Equal times keep this order: what was held back stands before what happens at that very instant.
    late.extend(rest);
    admitted(late)
}

fn hour_of(time: Instant) -> Instant {
    Instant(time.0 - time.0.rem_euclid(HOUR_NS))
}

/// Hours of ordinary business with signatures, from the first to the last.
fn ordinary_hours(incident: &Incident) -> Vec<Instant> {
    let signed =
        incident.events.iter().filter(|event| event.kind() == "signing.signed" && event.time() < incident.begins);
    let hours: Vec<Instant> = signed.map(|event| hour_of(event.time())).collect();
    vec![hours[0], hours[hours.len() / 2], *hours.last().unwrap()]
}

/// The hours of critical findings, the first and the theft's among them.
fn critical_hours(incident: &Incident) -> BTreeSet<Instant> {
    let critical = incident.expected.iter().filter(|expected| expected.severity == Severity::Critical);
    let hours: BTreeSet<Instant> = critical.map(|expected| hour_of(expected.time)).collect();
    assert!(hours.contains(&hour_of(incident.lost_at)), "{}", incident.name);
    hours
}

/// When the anchor happened, by its source.
fn happened(events: &[Event], finding: &Finding) -> Instant {
    events.iter().find(|event| event.event_id() == finding.anchor).unwrap().event_time()
}

fn in_the_baseline<'a>(incident: &Incident, found: &'a [Finding]) -> Vec<&'a Finding> {
    found.iter().filter(|finding| happened(&incident.events, finding) < incident.begins).collect()
}

/// Nothing is revoked that the records in time do not have revoked, and never on the word of a late record alone.
fn no_extra_revocation(incident: &Incident, on_time: &Outcome, late: &Outcome) {
    let extra: Vec<String> = late.revoked().difference(&on_time.revoked()).cloned().collect();
    assert!(extra.is_empty(), "{}: {extra:?}", incident.name);
    for finding in late.findings.iter().filter(|finding| finding.late) {
        let answered = late.response_to(finding);
        assert!(matches!(answered, None | Some("proposed")), "{}: {answered:?} {}", incident.name, finding.title);
    }
}

#[test]
fn documented_delays_change_no_critical_finding_and_revoke_nothing_more() {
    for incident in incidents() {
        let events = delayed(&incident);
        assert!(events.iter().all(|event| !event.late()), "{}", incident.name);
        let on_time = findings(&admitted(incident.events.clone()));
        let outcome = play(&events);
        let critical = |found: &[Finding]| anchors(found, Severity::Critical);
        assert_eq!(critical(&outcome.findings), critical(&on_time), "{}", incident.name);
        assert_eq!(in_the_baseline(&incident, &outcome.findings), Vec::<&Finding>::new(), "{}", incident.name);
        let undisturbed = play(&incident.events);
        assert!(undisturbed.revoked().len() >= 2, "{}: {:?}", incident.name, undisturbed.revoked());
        assert_eq!(outcome.revoked(), undisturbed.revoked(), "{}", incident.name);
    }
}

#[test]
fn an_outage_of_all_sources_changes_no_critical_finding_and_revokes_nothing_more() {
    for incident in incidents() {
        let on_time = play(&incident.events);
        let hours = || critical_hours(&incident).into_iter().chain(ordinary_hours(&incident));
        let uploads = [Upload::AsItHappened, Upload::SourceBySource, Upload::SourceBySourceReversed];
        for (hour, upload) in uploads.into_iter().flat_map(|upload| hours().map(move |hour| (hour, upload))) {
            let events = outage(&incident, hour, upload, |_| true);
            let late = events.iter().filter(|event| event.late()).count();
            assert!(late > 0 && events.iter().filter(|event| event.late()).all(is_observed), "{late} late");
            let outcome = play(&events);
            // The node's records alone come before the signer's.
            let before_the_signer = if upload == Upload::SourceBySource { "signer" } else { "" };
            same_criticals(&incident, before_the_signer, &on_time, &outcome, &[]);
            assert_eq!(in_the_baseline(&incident, &outcome.findings), Vec::<&Finding>::new(), "{hour}");
            no_extra_revocation(&incident, &on_time, &outcome);
        }
    }
}

#[test]
fn an_outage_of_one_source_pages_for_missing_links_at_most_and_revokes_nothing_more() {
    let mut paged = BTreeSet::new();
    for incident in incidents() {
        let on_time = play(&incident.events);
        let inventory = inventory(&incident);
        for source in &inventory.systems[0].sources {
            for hour in critical_hours(&incident).into_iter().chain(ordinary_hours(&incident)) {
                let outcome = play(&outage(&incident, hour, Upload::AsItHappened, |name| name == source.source));
                no_extra_revocation(&incident, &on_time, &outcome);
                let group = source.trust_group.as_str();
                let missing: Vec<&str> =
                    MISSING_LINK.iter().filter(|(of, _)| *of == group).map(|(_, rule)| *rule).collect();
                same_criticals(&incident, group, &on_time, &outcome, &missing);
                let baseline = in_the_baseline(&incident, &outcome.findings);
                for finding in &baseline {
                    assert!(missing.contains(&finding.rule.as_str()), "{group} {hour}: {}", finding.title);
                    assert!(matches!(outcome.response_to(finding), None | Some("proposed")), "{}", finding.title);
                }
                if let Some(first) = baseline.first() {
                    assert_eq!(outcome.response_to(first), Some("proposed"), "{}", first.title);
                    assert!(outcome.alerts.contains_key(&("alert.opened".to_owned(), first.id.clone())));
                    paged.insert(group.to_owned());
                }
            }
        }
    }
    assert_eq!(paged, MISSING_LINK.map(|(group, _)| group.to_owned()).into(), "a missing link is told");
}

/// The same critical findings, except that `missing` rules may tell more, and that a node knows no requests: while the
/// signer's record is still on its way, an altered request shows in the signer's own record only, once it is there.
fn same_criticals(incident: &Incident, group_on_its_way: &str, on_time: &Outcome, late: &Outcome, missing: &[&str]) {
    let (before, after) = (anchors(&on_time.findings, Severity::Critical), anchors(&late.findings, Severity::Critical));
    for (rule, entity, _) in after.difference(&before) {
        assert!(missing.contains(&rule.as_str()), "{} {group_on_its_way}: {rule} {entity}", incident.name);
    }
    for (rule, entity, anchor) in before.difference(&after) {
        let lost = format!("{} {group_on_its_way}: {rule} {entity} {anchor}", incident.name);
        assert_eq!((rule.as_str(), group_on_its_way), ("signing/request_altered", "signer"), "{lost}");
        let event = incident.events.iter().find(|event| event.event_id() == *anchor).unwrap();
        assert_eq!((event.kind(), event.request()), ("chain.tx", None), "{lost}");
        assert!(after.iter().any(|(of, about, _)| (of, about) == (rule, entity)), "{lost}");
    }
}
