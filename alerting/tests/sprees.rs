//! What chains say of several wallets within hours is one incident; but one wallet proves nothing of another, and who has taken
//! up what happened to one has not seen the next.

use crate::plan::{play, say};
use crate::support::{SYSTEM, at, finding, policy};
use keywatch_alerting::lifecycle::operation::Operation;
use keywatch_alerting::lifecycle::record::{finding_created, records};
use keywatch_alerting::{Act, Action, AlertState, Status, plan};
use keywatch_store::finding::{Proof, Target};
use keywatch_store::{Finding, Severity};

/// What a rule says of a transaction of a wallet, on the word of `source`; it asks that the wallet be stopped.
fn about(wallet: &str, rule: &str, source: &str, minutes: i64) -> Finding {
    Finding {
        rule: rule.into(),
        entity: wallet.into(),
        source: source.into(),
        session: None,
        request: None,
        wallet: Some(wallet.into()),
        tx: Some(format!("tx of {wallet}")),
        response: vec![Target::Wallet],
        proof: Proof::Corroborated,
        ..finding(&format!("{wallet} {rule}"), minutes * 60)
    }
}

fn paid(wallet: &str, minutes: i64) -> Finding {
    about(wallet, "chain/unordered_payment", "node", minutes)
}

#[test]
fn who_may_write_one_feed_is_not_borne_out_by_what_others_say_of_another_wallet() {
    let signed = |minutes| Finding {
        response: Vec::new(),
        severity: Severity::High,
        ..about("w-robbed", "signing/unknown_executor", "safe", minutes)
    };
    for (order, findings) in [
        ("made up at last", [paid("w-robbed", 0), signed(1), paid("w-made-up", 2)]),
        ("made up at first", [paid("w-made-up", 0), paid("w-robbed", 1), signed(2)]),
    ] {
        let (actions, _, state) = play(&findings, &policy());
        assert_eq!(state.incidents().iter().count(), 1, "{order}");
        let revoked = actions.iter().flatten().filter_map(|action| match action {
            Action::Revoke(response) => Some(response.targets.wallets.iter().cloned().collect::<Vec<_>>()),
            _ => None,
        });
        assert_eq!(revoked.collect::<Vec<_>>(), [["w-robbed"]], "{order}: {actions:?}");
        let proposed = actions.iter().flatten().filter(|action| matches!(action, Action::Propose(_)));
        assert_eq!(proposed.count(), 2, "{order}: a person decides on the other");
    }
}

#[test]
fn what_names_share_one_through_the_other_still_bears_out() {
    let bridge = Finding {
        to_address: Some("thief".into()),
        response: Vec::new(),
        ..about("w-1", "chain/unordered_payment", "stray", 1)
    };
    let elsewhere = Finding { to_address: Some("thief".into()), ..about("w-2", "signing/unknown_executor", "safe", 2) };
    let first = Finding { response: Vec::new(), ..about("w-1", "chain/amount_outlier", "node", 0) };
    let (actions, ..) = play(&[first, bridge, elsewhere], &policy());
    assert!(say(&actions[2]).starts_with("revoke[w-2]"), "{}", say(&actions[2]));
}

#[test]
fn a_decoy_that_was_acknowledged_takes_no_other_wallet_in() {
    let high =
        |wallet: &str, minutes| Finding { severity: Severity::High, response: Vec::new(), ..paid(wallet, minutes) };
    let decoy = high("w-decoy", 0);
    let taken_up = |state: &mut AlertState| {
        let incident = state.incidents().iter().next().unwrap().id.clone();
        let operation = Operation { incident, alert_id: None, by: "ann".into(), key: None, act: Act::Acknowledge };
        state.apply(&operation.record(SYSTEM, 0, at(30)));
    };
    for (acknowledged, expected) in [(false, "open"), (true, "open notify")] {
        let (.., mut state) = play(std::slice::from_ref(&decoy), &policy());
        if acknowledged {
            taken_up(&mut state);
        }
        let mut decide = |finding: &Finding| {
            state.apply(&finding_created(finding));
            let actions = plan(finding, &state, &policy());
            records(&actions).iter().for_each(|(_, event)| state.apply(event));
            (say(&actions), state.incidents().iter().count())
        };
        let incidents = 1 + usize::from(acknowledged);
        assert_eq!(decide(&high("w-real", 1)), (expected.to_owned(), incidents), "acknowledged: {acknowledged}");
        // The next one is of the same theft as the one that nobody has seen.
        assert_eq!(decide(&high("w-real-2", 2)).1, incidents, "acknowledged: {acknowledged}");
        // Nor does what goes on about the decoy take up what nobody has seen.
        let again = Finding {
            severity: Severity::High,
            response: Vec::new(),
            ..about("w-decoy", "chain/amount_outlier", "node", 3)
        };
        assert_eq!(decide(&again).1, incidents, "acknowledged: {acknowledged}");
        let real = state.incident_of(&state.alert(&high("w-real", 1)).unwrap().incident).unwrap();
        assert_eq!(real.handling.status, Status::Open, "acknowledged: {acknowledged}");
    }
}
