//! Every rule that fires in an incident, with the one fact corrected that it fires on: it falls silent, and the others go
//! on as before. So each rule is known to look at what it says it looks at.

use std::collections::BTreeSet;

use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Amount, Event, EventId};
use serde_json::Value;

use super::recording::{Incident, bybit, dmm_bitcoin};
use super::rules::{admitted, findings};

const SHOWN: &str = "0x9d89e67333f99c136537be74029c44592985a4855172f4c2d0d942029868f98e";
const EXECUTED: &str = "0xb3476d061aeb8fc1d605a873c483a2402d88a68a9cdd1a8b47655dd55ba004f8";
const ALTERED: &str = "wd-2024-0115";
const THEFT: &str = "975ec405ac9dc9fa5ab8009d94d6a1fe31dff8a8127ea90d023104e52754e4d7";
const IMITATION: &str = "1B6rJRfjTXwEy36SCs5zofGMmdv2kdZw7P";
/// Ends otherwise than the approved address.
const NO_IMITATION: &str = "1B6rJRfjTXwEy36SCs5zofGMmdv2kdZwQ9";

/// One rule and the fact that it fires on.
struct Case {
    rule: &'static str,
    fact: &'static str,
    put_right: fn(&mut Vec<Event>),
    /// Rules that fall silent with it, and why.
    silent_too: &'static [(&'static str, &'static str)],
    /// Rules that tell more then, and why.
    tell_more: &'static [(&'static str, &'static str)],
}

const ALONE: &[(&str, &str)] = &[];

fn case(rule: &'static str, fact: &'static str, put_right: fn(&mut Vec<Event>)) -> Case {
    Case { rule, fact, put_right, silent_too: ALONE, tell_more: ALONE }
}

fn of_bybit() -> Vec<Case> {
    vec![
        case("signing/confirmation_mismatch", "the signatures recover to the owners", |events| {
            for event in events.iter_mut().filter(|event| event.outcome() == Some("mismatch")) {
                *event = event.changed(|event| event.outcome("verified"));
                let claimed = event.detail().value()["signer_claimed"].clone();
                set(event, "signer_recovered", claimed);
            }
        }),
        case("chain/implementation_changed", "the slot holds the declared implementation", |events| {
            let declared = events[0].detail().value()["declared"]["wallets"][0]["implementation"].clone();
            of_kind(events, "chain.contract").for_each(|event| {
                if event.detail().value()["change"] == "implementation" {
                    set(event, "after", declared.clone());
                }
            });
        }),
        case("signing/first_delegatecall", "operation 0", |events| {
            of_request(events, EXECUTED).for_each(|event| set(event, "operation", 0.into()));
        }),
        case("signing/nonce_conflict", "a nonce of its own", |events| {
            of_request(events, EXECUTED).for_each(|event| set(event, "nonce", 72.into()));
        }),
        case("signing/signature_without_allow", "an allow for the executed request", |events| {
            let shown = |event: &&Event| event.kind() == "decision" && event.request() == Some(SHOWN);
            let allow = events.iter().rfind(shown).unwrap();
            let time = first_of_request(events, EXECUTED).saturating_add(-30 * SECOND_NS);
            let id = EventId::derive(allow.system(), allow.source(), "an allow for what was executed");
            let allow = allow.changed(|it| it.event_id(id).request(EXECUTED).time(time).event_time(time));
            events.push(allow);
        }),
        case("signing/unknown_executor", "an owner executes", |events| {
            let owner = events[0].detail().value()["declared"]["owners"][0]["owner"].as_str().unwrap().to_owned();
            of_request(events, EXECUTED)
                .filter(|event| ["signing.signed", "chain.tx"].contains(&event.kind()))
                .for_each(|event| *event = event.changed(|event| event.actor(&owner)));
        }),
        Case {
            silent_too: &[("chain/amount_outlier", "more than ever before may go to where it was meant to")],
            ..case("chain/destination_first_seen", "the destinations are approved", |events| {
                let stolen =
                    events.iter().filter(|event| event.time() >= bybit().begins && event.kind().starts_with("chain."));
                let addresses: BTreeSet<String> =
                    stolen.filter_map(|event| event.to_address().map(str::to_owned)).collect();
                approve(events, &addresses);
            })
        },
        case("chain/amount_outlier", "as much as the largest before", |events| {
            let theft = |event: &&mut Event| event.time() >= bybit().lost_at && event.asset() == Some("ETH");
            of_kind(events, "chain.transfer")
                .filter(theft)
                .for_each(|event| set_amount(event, 60_000 * 10_u128.pow(18)));
        }),
        case("chain/outflow_without_signature", "the signer has a signature for each transaction", |events| {
            let outflows: Vec<Event> = of_kind(events, "chain.transfer")
                .filter(|event| event.time() >= bybit().begins)
                .map(|event| event.clone())
                .collect();
            for outflow in outflows {
                let system = outflow.system().to_owned();
                let origin = Origin { system, source: "safe-transaction-service".to_owned() };
                let (tx, time) = (outflow.tx().unwrap(), outflow.time().saturating_add(-SECOND_NS));
                let mut signed = Event::builder(&origin, tx, "signing.signed", time);
                signed.time(time).wallet(outflow.wallet()).tx(tx).outcome("success");
                events.push(signed.build_own());
            }
        }),
    ]
}

fn of_dmm_bitcoin() -> Vec<Case> {
    vec![
        case("session/two_places", "the session stays in its country", |events| {
            for event in events.iter_mut().filter(|event| event.country() == Some("NL")) {
                *event = event.changed(|event| event.country("JP").asn(64_506));
            }
        }),
        Case {
            silent_too: &[("chain/unordered_destination", "so it was ordered")],
            tell_more: &[("chain/destination_lookalike", "the imitation now stands in the request itself")],
            ..case("signing/request_altered", "asked for and approved is what is signed", |events| {
                for event in of_request(events, ALTERED).filter(|event| event.kind() != "signing.signed") {
                    *event = event.changed(|event| event.to_address(IMITATION));
                    if event.kind() != "decision" {
                        set_amount(event, 450_290_000_000);
                    }
                }
            })
        },
        Case {
            silent_too: &[("chain/asset_drained", "nearly all of it stays")],
            ..case("chain/amount_outlier", "as much as the largest before", |events| {
                of_tx(events, THEFT)
                    .filter(|event| event.kind().starts_with("chain."))
                    .for_each(|event| set_amount(event, 1_900_000_000));
            })
        },
        Case {
            silent_too: &[
                ("chain/destination_lookalike", "an approved address imitates nobody"),
                ("chain/missing_change_output", "the wallet may be emptied to an approved address"),
            ],
            ..case("chain/unordered_destination", "the destination is approved", |events| {
                approve(events, &BTreeSet::from([IMITATION.to_owned()]));
            })
        },
        case("chain/destination_lookalike", "the address ends otherwise", |events| {
            for event in events.iter_mut().filter(|event| event.to_address() == Some(IMITATION)) {
                *event = event.changed(|event| event.to_address(NO_IMITATION));
            }
        }),
        case("chain/asset_drained", "half of it stays", |events| {
            of_tx(events, THEFT).filter(|event| event.kind() == "chain.transfer").for_each(|event| {
                let half = event.amount().unwrap().saturated() / 2;
                *event = event.changed(|event| event.amount(keywatch_store::Amount::from_u128(half.unsigned_abs())));
            });
        }),
        case("chain/fee_outlier", "a fee rate as before", |events| {
            of_tx(events, THEFT)
                .filter(|event| event.kind() == "chain.tx")
                .for_each(|event| set(event, "fee_rate", 100.into()));
        }),
        case("chain/missing_change_output", "change is left", |events| {
            of_tx(events, THEFT)
                .filter(|event| event.kind() == "chain.tx")
                .for_each(|event| set(event, "change_outputs", 1.into()));
        }),
    ]
}

fn set(event: &mut Event, key: &str, value: Value) {
    let mut detail = event.detail().value();
    assert!(detail.get(key).is_some_and(|before| *before != value), "{} at {}: {key}", event.kind(), event.time());
    detail[key] = value;
    *event = event.changed(|event| event.detail(&detail));
}

fn set_amount(event: &mut Event, units: u128) {
    *event = event.changed(|event| event.amount(Amount::from_u128(units)));
}

fn of_kind<'a>(events: &'a mut [Event], kind: &'a str) -> impl Iterator<Item = &'a mut Event> {
    events.iter_mut().filter(move |event| event.kind() == kind)
}

fn of_request<'a>(events: &'a mut [Event], request: &'a str) -> impl Iterator<Item = &'a mut Event> {
    events.iter_mut().filter(move |event| event.request() == Some(request))
}

fn of_tx<'a>(events: &'a mut [Event], tx: &'a str) -> impl Iterator<Item = &'a mut Event> {
    events.iter_mut().filter(move |event| event.tx() == Some(tx))
}

fn first_of_request(events: &[Event], request: &str) -> keywatch_store::Instant {
    events.iter().find(|event| event.request() == Some(request)).unwrap().time()
}

/// Enters destinations into the inventory.
fn approve(events: &mut [Event], addresses: &BTreeSet<String>) {
    let activation = &mut events[0];
    let mut detail = activation.detail().value();
    let destinations = detail["declared"]["destinations"].as_array_mut().unwrap();
    for address in addresses {
        destinations.push(serde_json::json!({ "address": address, "label": "approved after all" }));
    }
    *activation = activation.changed(|activation| activation.detail(&detail));
}

/// Rule and anchor of everything that is found.
fn found(events: Vec<Event>) -> BTreeSet<(String, EventId)> {
    findings(&admitted(events)).into_iter().map(|finding| (finding.rule, finding.anchor)).collect()
}

fn check(incident: &Incident, cases: &[Case]) {
    let expected: BTreeSet<&str> = incident.expected.iter().map(|expected| expected.rule.as_str()).collect();
    assert_eq!(cases.iter().map(|case| case.rule).collect::<BTreeSet<_>>(), expected, "{}: a case each", incident.name);
    let before = found(incident.events.clone());
    for case in cases {
        let mut events = incident.events.clone();
        (case.put_right)(&mut events);
        assert_ne!(events, incident.events, "{}: nothing was put right", case.rule);
        let after = found(events);
        let told = |rule: &str, found: &BTreeSet<(String, EventId)>| found.iter().filter(|(of, _)| of == rule).count();
        assert_eq!(told(case.rule, &after), 0, "{} still fires although: {}", case.rule, case.fact);
        let is_silent = |rule: &str| rule == case.rule || case.silent_too.iter().any(|(silent, _)| rule == *silent);
        for (silent, why) in case.silent_too {
            assert_eq!(told(silent, &after), 0, "{}: {silent} should fall silent, since {why}", case.rule);
        }
        let lost: Vec<_> = before.difference(&after).filter(|(rule, _)| !is_silent(rule)).collect();
        assert!(lost.is_empty(), "{}, {}: others fell silent: {lost:?}", case.rule, case.fact);
        let more: BTreeSet<&str> = after.difference(&before).map(|(rule, _)| rule.as_str()).collect();
        let wanted: BTreeSet<&str> = case.tell_more.iter().map(|(rule, _)| *rule).collect();
        assert_eq!(more, wanted, "{}, {}: others tell more", case.rule, case.fact);
    }
}

#[test]
fn each_rule_falls_silent_when_the_deciding_field_is_put_right() {
    check(&bybit(), &of_bybit());
    check(&dmm_bitcoin(), &of_dmm_bitcoin());
}
