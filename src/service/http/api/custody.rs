//! The chain of custody around an incident: session → decision → request → approval → signature → transaction → balance,
//! as a timeline of events, with the links that are missing and those that do not agree.
//!
//! A link counts as missing only where a later one was seen: what never came so far is not seen yet. It knows nothing of
//! which sources a system has; `keywatch detectors coverage` says what cannot be seen.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_alerting::response::wording::name_targets;
use keywatch_alerting::{Compromises, Incident, Response, Shared};
use keywatch_store::inventory::{Quotes, System};
use keywatch_store::{Error, Event, EventId, Instant, Log, Topic};
use serde::Deserialize;
use serde_json::{Value, json};

use super::history::scan;
use super::views::Units;
use super::{compared, facts, views};
use crate::limits::{
    CUSTODY_AFTER_NS, CUSTODY_BEFORE_NS, CUSTODY_EVENTS_MAX, CUSTODY_OF_WALLETS_MAX, CUSTODY_WALLETS_BEFORE_NS,
};

/// The links, in the order of the chain.
const LINKS: [&str; 7] = ["session", "decision", "request", "approval", "signature", "transaction", "balance"];

/// The link that a kind of event belongs to.
fn link_of(kind: &str) -> Option<usize> {
    Some(match kind {
        "decision" => 1,
        "signing.requested" | "custody.request" => 2,
        "signing.approved" | "signing.rejected" => 3,
        "signing.signed" | "signing.failed" | "signing.round" => 4,
        "chain.tx" | "chain.module_tx" => 5,
        "chain.transfer" | "chain.contract" => 6,
        kind if kind.starts_with("session.") => 0,
        _ => return None,
    })
}

/// What belongs to the incident.
pub(super) struct Wanted {
    system: String,
    incidents: BTreeSet<String>,
    sessions: BTreeSet<String>,
    requests: BTreeSet<String>,
    transactions: BTreeSet<String>,
    wallets: BTreeSet<String>,
    evidence: BTreeSet<EventId>,
    compromises: Compromises,
    from: Instant,
    /// From when on what else the wallets did belongs to it.
    wallets_from: Instant,
    until: Instant,
}

/// Why an event belongs to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It proves a finding.
    Proves,
    /// It has a session, request or transaction of it, or is of what keywatch did.
    Named,
    /// It is of a wallet of it, and of nothing else.
    OfWallet,
}

impl Wanted {
    /// What an incident names, and the events that prove its findings; some may be tainted.
    pub(super) fn of(incident: &Incident, evidence: BTreeSet<EventId>, compromises: Compromises) -> Wanted {
        let names = |kind| views::names(incident, kind).into_iter().map(str::to_owned).collect();
        Wanted {
            system: incident.system.clone(),
            incidents: incident.merged.iter().chain([&incident.id]).cloned().collect(),
            sessions: names(Shared::Session),
            requests: names(Shared::Request),
            transactions: names(Shared::Tx),
            wallets: names(Shared::Wallet),
            evidence,
            compromises,
            from: Instant(incident.opened.0.saturating_sub(CUSTODY_BEFORE_NS)),
            wallets_from: Instant(incident.opened.0.saturating_sub(CUSTODY_WALLETS_BEFORE_NS)),
            until: incident.last.saturating_add(CUSTODY_AFTER_NS),
        }
    }

    fn why(&self, event: &Event) -> Option<Why> {
        if event.system() != self.system {
            return None;
        }
        let within = |names: &BTreeSet<String>, name: Option<&str>| name.is_some_and(|name| names.contains(name));
        let of_wallet = || {
            event.time() >= self.wallets_from
                && within(&self.wallets, event.wallet())
                && link_of(event.kind()).is_some_and(|link| link >= 2)
        };
        let named = within(&self.sessions, event.session())
            || within(&self.requests, event.request())
            || within(&self.transactions, event.tx())
            || response(event).is_some_and(|response| self.incidents.contains(&response.incident));
        if self.evidence.contains(&event.event_id()) {
            Some(Why::Proves)
        } else if named {
            Some(Why::Named)
        } else {
            of_wallet().then_some(Why::OfWallet)
        }
    }
}

/// The chain of custody, as JSON; amounts also in the units that `system` declares, with what they were worth at the prices that it
/// declares, or that were quoted in the time looked at.
///
/// # Errors
/// The log cannot be read.
pub(super) fn chain(log: &dyn Log, wanted: &Wanted, system: Option<&System>) -> Result<Value, Error> {
    let mut events = Vec::new();
    let (mut more, mut of_wallets, mut quotes) = (false, 0, Quotes::default());
    let scanned = scan(log, Topic::Events, wanted.from, |event| {
        if event.system() == wanted.system && event.time() > wanted.until {
            return false;
        }
        if event.system() == wanted.system {
            quotes.take(event, system);
        }
        let Some(why) = wanted.why(event) else { return true };
        let room = events.len() < CUSTODY_EVENTS_MAX && (why != Why::OfWallet || of_wallets < CUSTODY_OF_WALLETS_MAX);
        more |= !room;
        if room || why == Why::Proves {
            of_wallets += usize::from(why == Why::OfWallet);
            events.push(event.clone());
        }
        true
    })?;
    Ok(told(&events, wanted, scanned.complete && !more, Units { system, quotes: &quotes }))
}

fn told(events: &[Event], wanted: &Wanted, complete: bool, units: Units<'_>) -> Value {
    let requests = requests(events);
    let mut seen = [0_usize; LINKS.len()];
    let mut wrong: [BTreeSet<String>; LINKS.len()] = std::array::from_fn(|_| BTreeSet::new());
    let mut timeline = Vec::new();
    for event in events {
        let mut problems = problems(event, &requests);
        if wanted.compromises.is_tainted(event) {
            problems.push(format!("{}: tainted, the credential of {} was stolen", event.kind(), event.source()));
        }
        let mut view = views::event(event);
        views::add_taint(&mut view, event, &wanted.compromises);
        views::add_amount_in_words(&mut view, event, units);
        view["evidence"] = Value::from(wanted.evidence.contains(&event.event_id()));
        let request = event.request().and_then(|request| requests.get(request)).copied();
        view["problems"] = json!(problems);
        view["facts"] = Value::Object(facts::facts(event));
        view["differences"] = Value::from(facts::differences(event, request));
        if let Some(response) = response(event) {
            view["response"] =
                json!({ "id": response.id, "targets": name_targets(&response.targets), "why": response.why });
        }
        if let Some(link) = link_of(event.kind()) {
            view["link"] = Value::from(LINKS[link]);
            seen[link] += 1;
            wrong[link].extend(problems);
        }
        timeline.push(view);
    }
    let last = seen.iter().rposition(|count| *count > 0).unwrap_or(0);
    let links: Vec<Value> = LINKS
        .iter()
        .enumerate()
        .map(|(link, name)| {
            let state = match (seen[link], wrong[link].is_empty()) {
                (0, _) if link < last => "missing",
                (0, _) => "not seen",
                (_, false) => "mismatch",
                _ => "seen",
            };
            json!({ "link": name, "state": state, "events": seen[link], "problems": wrong[link] })
        })
        .collect();
    json!({
        "from": wanted.from,
        "until": wanted.until,
        "complete": complete,
        "links": links,
        "timeline": timeline,
        "compared": compared::compared(events, units),
    })
}

/// The response that a record is about; none of any other record.
fn response(event: &Event) -> Option<Response> {
    event.kind().starts_with("response.").then(|| Response::deserialize(event.detail().value()).ok())?
}

/// The first request that was filed under each id.
fn requests(events: &[Event]) -> BTreeMap<&str, &Event> {
    let mut requests = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind() == "signing.requested") {
        if let Some(request) = event.request() {
            requests.entry(request).or_insert(event);
        }
    }
    requests
}

/// What of an event is not as it should be: how it went, and what differs from its request.
fn problems(event: &Event, requests: &BTreeMap<&str, &Event>) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(outcome) = event.outcome()
        && ["mismatch", "unverifiable", "deny", "undefined", "error", "failed", "failure", "not_compliant"]
            .contains(&outcome)
    {
        problems.push(format!("{}: {outcome}", event.kind()));
    }
    if event.late() {
        problems.push(format!("{}: came late", event.kind()));
    }
    let Some(request) = event.request().and_then(|request| requests.get(request)) else { return problems };
    if event.event_id() == request.event_id() {
        return problems;
    }
    if let (Some(asked), Some(said)) = (request.amount(), event.amount())
        && asked != said
    {
        problems.push(format!("{}: amount {said}, the request has {asked}", event.kind()));
    }
    for (what, asked, said) in
        [("destination", request.to_address(), event.to_address()), ("wallet", request.wallet(), event.wallet())]
    {
        if let (Some(asked), Some(said)) = (asked, said)
            && asked != said
        {
            problems.push(format!("{}: {what} {said}, the request has {asked}", event.kind()));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use keywatch_store::Amount;
    use keywatch_store::event::{Builder, Origin};
    use keywatch_store::log::memory::MemoryLog;

    use super::*;

    fn said(id: &str, kind: &str, second: i64, more: impl Fn(&mut Builder)) -> Event {
        let origin = Origin { system: "cold".into(), source: "a".into() };
        let time = Instant(second * 1_000_000_000);
        let mut event = Event::builder(&origin, id, kind, time);
        event.time(time).wallet("w").request("r");
        more(&mut event);
        event.build_own()
    }

    fn wanted() -> Wanted {
        Wanted {
            system: "cold".into(),
            incidents: BTreeSet::new(),
            sessions: BTreeSet::new(),
            requests: BTreeSet::from(["r".into()]),
            transactions: BTreeSet::new(),
            wallets: BTreeSet::new(),
            evidence: BTreeSet::new(),
            compromises: Compromises::default(),
            from: Instant(0),
            wallets_from: Instant(0),
            until: Instant(i64::MAX),
        }
    }

    #[test]
    fn payments_of_a_busy_wallet_leave_room_for_what_the_incident_names() {
        let other = |id: usize, second: i64| {
            said(&format!("other-{id}"), "chain.tx", second, |event| {
                event.request(format!("other-{id}"));
            })
        };
        let log = MemoryLog::new();
        log.append(Topic::Events, (0..40).map(|id| other(id, 1 + i64::try_from(id).unwrap())).collect()).unwrap();
        log.append(Topic::Events, (100..900).map(|id| other(id, 100 + i64::try_from(id).unwrap())).collect()).unwrap();
        log.append(Topic::Events, vec![said("ours", "signing.signed", 2_000, |_| ())]).unwrap();
        let wallets = BTreeSet::from(["w".to_owned()]);
        let wanted = Wanted { wallets, wallets_from: Instant(100 * 1_000_000_000), ..wanted() };
        let told = chain(&log, &wanted, None).unwrap().to_string();
        assert!(told.contains("signing.signed") && told.contains("other-100"), "{told}");
        assert!(!told.contains("\"other-39\"") && !told.contains("\"other-899\""), "{told}");
    }

    #[test]
    fn an_amount_has_the_value_that_was_quoted_before_it() {
        let inventory = keywatch_store::Inventory::parse(
            "inventory",
            "[[systems]]\nid = \"cold\"\n[[systems.sources]]\nsource = \"a\"\nfeed = \"events\"\n[[systems.assets]]\n\
             asset = \"ETH\"\nchain = \"ethereum\"\ndecimals = 18\nprice_source = \"a\"",
        )
        .unwrap();
        let paid = |id: &str, second: i64| {
            said(id, "chain.tx", second, |event| {
                event.asset("ETH").chain("ethereum").amount(Amount::from_u128(2_000_000_000_000_000_000));
            })
        };
        let quoted = said("2", "asset.price", 2, |event| {
            event.asset("ETH").chain("ethereum").detail(&json!({ "price": "3000", "currency": "USD" }));
        });
        let log = MemoryLog::new();
        log.append(Topic::Events, vec![paid("1", 1), quoted, paid("3", 3)]).unwrap();
        let told = chain(&log, &wanted(), inventory.system("cold")).unwrap();
        let timeline = told["timeline"].as_array().unwrap();
        let words: Vec<&str> = timeline.iter().filter_map(|event| event["amount_in_words"].as_str()).collect();
        assert_eq!(words, ["2 ETH", "2 ETH (about 6,000 USD)"]);
    }

    #[test]
    fn a_link_is_missing_before_one_that_was_seen_and_a_changed_destination_is_told() {
        let amount = |event: &mut Builder| {
            event.amount(Amount::from_u128(5)).to_address("ours");
        };
        let events = [
            said("1", "signing.requested", 1, amount),
            said("2", "signing.signed", 2, |event| {
                event.amount(Amount::from_u128(7)).to_address("theirs").outcome("success");
            }),
        ];
        let chain = told(&events, &wanted(), true, Units { system: None, quotes: &Quotes::default() });
        let states: Vec<&str> =
            chain["links"].as_array().unwrap().iter().map(|link| link["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["missing", "missing", "seen", "missing", "mismatch", "not seen", "not seen"]);
        let problems = chain["links"][4]["problems"].to_string();
        assert!(problems.contains("destination theirs, the request has ours"), "{problems}");
        assert!(problems.contains("amount 7, the request has 5"), "{problems}");
    }
}
