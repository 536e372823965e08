//! What somebody who writes a part of the records could teach a rule before the theft, or do in its blind spot. Each case stands
//! among the events on which the rule fires, and is told under its own entity.

use std::collections::BTreeSet;

use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Engine, Settings};
use keywatch_store::Position;

/// The entities that a shipped rule tells of over the events on which it fires.
fn entities(id: &str) -> BTreeSet<String> {
    let rule = shipped().unwrap().into_iter().find(|rule| rule.id == id).unwrap();
    let mut engine = Engine::new(std::slice::from_ref(&rule), &Settings::default()).unwrap();
    let outcome = engine.run(Position(0), &rule.fires).unwrap();
    assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
    outcome.findings.into_iter().map(|decided| decided.finding.entity).collect()
}

#[test]
fn changes_of_one_day_do_not_make_it_the_custom_to_have_no_ticket() {
    let told = entities("control/change_without_ticket");
    assert!(told.contains("ci@custody.example"), "four a day before, and a fifth on the day");
    assert!(told.contains("sre@custody.example"), "five on a ticket that was told after them");
}

#[test]
fn a_clock_that_is_set_back_does_not_make_a_failed_check_an_old_report() {
    assert!(entities("session/posture_worsened").contains("s-kim-1"), "an hour after the last success");
}

#[test]
fn data_that_are_released_are_not_thereby_known_to_change_unannounced() {
    assert!(entities("policy/changed_unannounced").contains("data"), "a release three days before");
}

#[test]
fn a_look_alike_that_was_planted_is_no_known_destination() {
    let told = entities("chain/destination_lookalike");
    let theft = "0x1e227979f0b5bc691a70deaed2e0f39a6f538fd5 0xd9a1c3788d81257612e2581a6ea0ada244853a91";
    assert!(told.contains(theft), "{told:?}");
    assert!(
        !told.iter().any(|entity| entity.ends_with("4c10e2")),
        "what a stranger asked for and was refused: {told:?}"
    );
}

#[test]
fn a_token_that_is_asked_for_when_it_is_stolen_was_there_before() {
    let told = entities("chain/asset_drained");
    assert!(told.iter().any(|entity| entity.ends_with("0x6fe9fa44478072b400f87d5a04d02b54f60c79e3")), "{told:?}");
}

#[test]
fn who_sends_more_than_dust_does_not_take_the_place_of_whom_the_wallet_pays() {
    let told = entities("chain/destination_lookalike");
    let theft = "0xc307b632ca379cb7df9cf79d98584204568f2197 0x5b7ef08829ac6d1353e04bb17f62d0c5a9920c4d";
    assert!(told.contains(theft), "the first payment to the other is out of reach: {told:?}");
}

#[test]
fn a_token_that_nobody_declared_hides_no_approval_that_a_wallet_gave_itself() {
    let told = entities("chain/indicator_seen");
    assert!(told.contains("0xbad100000000000000000000000000000000bad1"), "{told:?}");
}

#[test]
fn a_payment_that_only_waited_makes_no_known_destination() {
    let told = entities("chain/destination_first_seen");
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn a_request_that_became_a_call_of_the_wallet_itself_is_altered() {
    assert!(entities("signing/request_altered").contains("W-1010"), "a module is enabled instead");
}
