//! What a finding deserves, as a table; and that planning on a state folded from the log gives the same as planning live.

use std::collections::BTreeSet;

use crate::support::{SYSTEM, at, finding, policy, shadowed, with_budgets};
use keywatch_alerting::lifecycle::record::{finding_created, paged, records};
use keywatch_alerting::policy::plan::due;
use keywatch_alerting::policy::settings::{Approvals, Budgets, Policy};
use keywatch_alerting::{Action, AlertState, plan};
use keywatch_store::finding::{Proof, Target};
use keywatch_store::{Event, EventId, Finding, Severity, Topic};
use proptest::prelude::*;

/// Plans the findings one after another on the state that their records leave behind.
pub(crate) fn play(findings: &[Finding], policy: &Policy) -> (Vec<Vec<Action>>, Vec<(Topic, Event)>, AlertState) {
    let mut state = AlertState::default();
    let mut log = Vec::new();
    let mut all = Vec::new();
    for finding in findings {
        let created = (Topic::Conclusions, finding_created(finding));
        state.apply(&created.1);
        log.push(created);
        let actions = plan(finding, &state, policy);
        for record in records(&actions) {
            state.apply(&record.1);
            log.push(record);
        }
        all.push(actions);
    }
    (all, log, state)
}

/// What is done, in short.
pub(crate) fn say(actions: &[Action]) -> String {
    let words: Vec<String> = actions
        .iter()
        .map(|action| match action {
            Action::OpenAlert(_) => "open".to_owned(),
            Action::UpdateAlert(record) => format!("update{:?}", record.causes),
            Action::Suppress(_) => "suppress".to_owned(),
            Action::Notify { .. } => "notify".to_owned(),
            Action::Propose(response) => format!("propose[{}]", names(response)),
            Action::Revoke(response) => format!("revoke[{}]", names(response)),
        })
        .collect();
    words.join(" ")
}

fn names(response: &keywatch_alerting::Response) -> String {
    response.targets.iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
}

/// A finding that asks for nothing.
fn plain(id: &str, seconds: i64, severity: Severity) -> Finding {
    Finding { severity, response: Vec::new(), proof: Proof::Corroborated, ..finding(id, seconds) }
}

/// A critical finding that needs a second trust group, about a wallet.
fn weak(id: &str, seconds: i64, source: &str) -> Finding {
    Finding {
        proof: Proof::Corroborated,
        response: vec![Target::Wallet],
        source: source.to_owned(),
        rule: format!("rule/{source}"),
        ..finding(id, seconds)
    }
}

fn check(findings: &[Finding], expected: &[&str]) {
    check_under(&policy(), findings, expected);
}

fn check_under(policy: &Policy, findings: &[Finding], expected: &[&str]) {
    let (actions, ..) = play(findings, policy);
    let said: Vec<String> = actions.iter().map(|actions| say(actions)).collect();
    assert_eq!(said, expected);
}

#[test]
fn evidence_that_proves_itself_revokes_once() {
    check(
        &[finding("1", 0), finding("2", 10), Finding { session: Some("other-session".into()), ..finding("3", 20) }],
        &[
            "revoke[sess-7f3a9c51e2 0xf9de 0x1db9] open notify",
            "suppress",
            // It waits for what else comes within ten minutes of the page.
            "revoke[other-session] update[Session, Response]",
        ],
    );
}

#[test]
fn one_trust_group_proposes_and_a_second_one_releases_it() {
    check(
        &[weak("1", 0, "safe"), weak("2", 10, "custody"), weak("3", 20, "stray"), weak("4", 30, "node")],
        &["propose[0x1db9] open notify", "open", "open", "revoke[0x1db9] open"],
    );
    let high_without_response = Finding { response: Vec::new(), severity: Severity::High, ..weak("2", 10, "node") };
    check(&[weak("1", 0, "safe"), high_without_response], &["propose[0x1db9] open notify", "revoke[0x1db9] open"]);
}

#[test]
fn a_proposal_that_has_expired_stands_for_nothing_and_is_not_released() {
    let approvals = Approvals { expire_after_hours: 1, ..Approvals::default() };
    let policy = Policy { approvals, ..policy() };
    let again = |id: &str, seconds| Finding { rule: format!("rule/{id}"), ..weak(id, seconds, "safe") };
    let (actions, ..) = play(&[weak("1", 0, "safe"), again("2", 3_600), again("3", 3_601), again("4", 3_602)], &policy);
    let proposes = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::Propose(_)));
    let proposed: Vec<bool> = actions.iter().map(|actions| proposes(actions)).collect();
    assert_eq!(proposed, [true, false, true, false], "one that can still be approved stands for the next");
    // Another source agrees a moment after it has expired, and asks for nothing itself.
    let agrees = Finding { response: Vec::new(), severity: Severity::High, ..weak("2", 3_601, "node") };
    let (actions, ..) = play(&[weak("1", 0, "safe"), agrees], &policy);
    assert!(!actions[1].iter().any(|action| matches!(action, Action::Revoke(_))));
}

#[test]
fn what_does_not_corroborate() {
    let second = weak("2", 10, "node");
    // What joins the incident within ten minutes of its page and is no worse is not told by itself.
    for (why, other, expected) in [
        ("medium", Finding { severity: Severity::Medium, response: Vec::new(), ..second.clone() }, "open"),
        ("late", Finding { late: true, response: Vec::new(), ..second.clone() }, "open"),
        ("a day later", Finding { decided: at(86_401), response: Vec::new(), ..second.clone() }, "open notify"),
        (
            "another incident",
            Finding { wallet: None, session: None, request: None, response: Vec::new(), ..second.clone() },
            "open notify",
        ),
        ("another system", Finding { system: "other".into(), response: Vec::new(), ..second.clone() }, "open notify"),
    ] {
        let (actions, ..) = play(&[weak("1", 0, "safe"), other], &policy());
        assert_eq!(say(&actions[1]), expected, "{why}");
    }
}

#[test]
fn late_evidence_and_shadow_mode_wait_for_a_person() {
    let late = Finding { late: true, ..finding("1", 0) };
    let proposal = "propose[sess-7f3a9c51e2 0xf9de 0x1db9] open notify";
    check(std::slice::from_ref(&late), &[proposal]);
    check_under(&shadowed(&policy()), &[finding("1", 0)], &[proposal]);
    // Neither is released by what comes later.
    let later = [late, Finding { response: Vec::new(), ..weak("2", 5, "safe") }, weak("3", 10, "node")];
    let (actions, ..) = play(&later, &policy());
    assert_eq!(say(&actions[2]), "revoke[0x1db9] open", "only what the finding itself asks for");
    let of_one_rule = Policy { shadow_rules: ["rule/safe".to_owned()].into(), ..policy() };
    let agrees = Finding { response: Vec::new(), severity: Severity::High, ..weak("2", 10, "node") };
    let (actions, ..) = play(&[weak("1", 0, "safe"), agrees], &of_one_rule);
    assert_eq!(say(&actions[0]), "propose[0x1db9] open notify");
    assert!(!actions[1].iter().any(|action| matches!(action, Action::Revoke(_))), "{:?}", actions[1]);
}

#[test]
fn an_incident_is_told_again_when_it_gets_worse() {
    let first = Finding { amount: Some("100".into()), ..plain("1", 0, Severity::Medium) };
    let next = |id: &str| Finding { amount: Some("100".into()), ..plain(id, 10, Severity::Medium) };
    let later = |finding: Finding| Finding { decided: at(600), ..finding };
    let other_asset = || std::collections::BTreeMap::from([("asset".to_owned(), "USDC".to_owned())]);
    for (worse, expected) in [
        (next("2"), "suppress"),
        (Finding { amount: Some("199".into()), ..next("2") }, "suppress"),
        // Within ten minutes of the page it waits, and is told with what else comes.
        (Finding { amount: Some("200".into()), ..next("2") }, "update[Amount]"),
        (later(Finding { amount: Some("200".into()), ..next("2") }), "update[Amount] notify"),
        (later(Finding { amount: Some("1".into()), facts: other_asset(), ..next("2") }), "update[Amount] notify"),
        // A rise in severity never waits.
        (Finding { severity: Severity::High, ..next("2") }, "update[Severity, Wallet, Session] notify"),
        (Finding { severity: Severity::Low, ..next("2") }, "suppress"),
        (later(Finding { to_address: Some("0xthief".into()), ..next("2") }), "update[Destination] notify"),
        (Finding { to_address: Some("0xthief".into()), ..next("2") }, "update[Destination]"),
        (later(Finding { wallet: Some("0xother".into()), ..next("2") }), "update[Wallet] notify"),
        (later(Finding { session: Some("other".into()), ..next("2") }), "update[Session] notify"),
        (Finding { decided: at(3_599), ..next("2") }, "suppress"),
        // Nobody has taken it up, and the rule has been quiet for as long as it is to be.
        (Finding { decided: at(3_600), ..next("2") }, "open notify"),
        // The same incident, and no worse.
        (Finding { entity: "other".into(), ..next("2") }, "open"),
        (Finding { rule: "other/rule".into(), ..next("2") }, "open"),
        (Finding { system: "other".into(), ..next("2") }, "open notify"),
    ] {
        check(&[first.clone(), worse], &["open notify", expected]);
    }
}

#[test]
fn an_alert_that_is_opened_anew_takes_the_one_before_from_nobody() {
    let (first, later) = (plain("1", 0, Severity::Medium), plain("2", 10, Severity::Medium));
    let (_, _, state) = play(&[first.clone(), Finding { decided: at(3_600), ..later.clone() }], &policy());
    let incident = state.incidents().iter().next().unwrap();
    let findings: BTreeSet<&str> = state.alerts_of(incident).map(|alert| alert.finding.as_str()).collect();
    assert_eq!(findings, BTreeSet::from([first.id.as_str(), later.id.as_str()]));
    assert_eq!(state.alert(&first).unwrap().finding, later.id, "what comes next is counted on the last");
}

#[test]
fn a_lesser_finding_neither_pages_a_worse_incident_nor_makes_a_name_known_to_it() {
    let to =
        |id: &str, seconds, severity| Finding { to_address: Some("0xthief".into()), ..plain(id, seconds, severity) };
    check(
        &[plain("1", 0, Severity::Critical), to("2", 700, Severity::Medium), to("3", 710, Severity::Critical)],
        &["open notify", "suppress", "update[Destination] notify"],
    );
    // Told with a lesser severity it is news with a worse one.
    check(
        &[to("1", 0, Severity::High), plain("2", 10, Severity::Critical), to("3", 700, Severity::Critical)],
        &["open notify", "update[Severity, Wallet, Session] notify", "update[Destination] notify"],
    );
}

#[test]
fn what_chains_say_of_several_wallets_within_hours_is_one_incident() {
    let of = |id: &str, minutes: i64, rule: &str, severity| Finding {
        rule: rule.into(),
        entity: id.into(),
        session: None,
        request: None,
        wallet: Some(format!("wallet-{id}")),
        tx: Some(format!("tx-{id}")),
        ..plain(id, minutes * 60, severity)
    };
    let incidents = |findings: &[Finding]| play(findings, &policy()).2.incidents().iter().count();
    let (paid, high) = ("chain/unordered_payment", Severity::High);
    assert_eq!(
        incidents(&[of("1", 0, paid, high), of("2", 180, paid, Severity::Critical), of("3", 359, paid, high)]),
        1
    );
    let apart: [(&str, Finding); 4] = [
        ("longer than three hours", of("2", 181, paid, high)),
        ("nobody is paged for it", of("2", 1, paid, Severity::Medium)),
        ("no chain says so", of("2", 1, "signing/unknown_executor", high)),
        ("of no transaction", Finding { tx: None, ..of("2", 1, paid, high) }),
    ];
    for (why, other) in apart {
        assert_eq!(incidents(&[of("1", 0, paid, high), other]), 2, "{why}");
    }
}

#[test]
fn what_waits_is_told_once_and_together() {
    let policy = policy();
    let another =
        |id: &str, seconds, to: &str| Finding { to_address: Some(to.into()), ..plain(id, seconds, Severity::Critical) };
    let findings =
        [plain("1", 0, Severity::Critical), another("2", 10, "0xa"), another("3", 20, "0xb"), another("4", 30, "0xa")];
    let (actions, _, mut state) = play(&findings, &policy);
    let said: Vec<String> = actions.iter().map(|actions| say(actions)).collect();
    assert_eq!(said, ["open notify", "update[Destination]", "update[Destination]", "suppress"]);
    assert!(due(&state, SYSTEM, at(599)).is_empty());
    assert!(due(&state, "other", at(600)).is_empty());
    let [page] = due(&state, SYSTEM, at(600)).try_into().unwrap();
    assert_eq!(page.key, format!("{}-1", page.incident));
    assert_eq!((page.finding.id.as_str(), page.causes.len()), (findings[2].id.as_str(), 1));
    state.apply(&paged(&page));
    assert!(due(&state, SYSTEM, at(9_999)).is_empty());
    let pending = state.undelivered("terminal", |_| false, 9);
    let keys: Vec<&str> = pending.iter().map(|pending| pending.key.as_str()).collect();
    assert_eq!(keys, [page.incident.as_str(), page.key.as_str()]);
}

#[test]
fn every_page_has_its_own_key_and_info_is_not_sent() {
    let findings = [plain("1", 0, Severity::Low), plain("2", 1, Severity::High), plain("3", 2, Severity::Critical)];
    let (actions, ..) = play(&findings, &policy());
    let keys: Vec<&String> = actions
        .iter()
        .flatten()
        .filter_map(|action| match action {
            Action::Notify { key, .. } => Some(key),
            _ => None,
        })
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys.iter().all(|key| !key.contains('.')));
    check(&[plain("1", 0, Severity::Info)], &["open"]);
}

#[test]
fn a_budget_turns_deeds_into_proposals_and_keeps_a_reserve_for_criticals() {
    let budgets = Budgets {
        rule_per_hour: 99,
        source_per_hour: 99,
        system_per_hour: 3,
        reserved_for_critical: 1,
        ..Budgets::default()
    };
    let policy = with_budgets(&policy(), budgets);
    let agreed = |id: &str, seconds: i64, severity| Finding {
        severity,
        source: "node".into(),
        rule: format!("rule/{id}"),
        wallet: Some(format!("w{id}")),
        response: vec![Target::Wallet],
        proof: Proof::Corroborated,
        ..finding(id, seconds)
    };
    let seen = Finding { response: Vec::new(), ..weak("0", 0, "safe") };
    let high = Severity::High;
    let findings = [
        seen,
        agreed("1", 1, high),
        agreed("2", 2, high),
        agreed("3", 3, high),
        agreed("4", 4, Severity::Critical),
        agreed("5", 5, Severity::Critical),
        agreed("6", 3_601, high),
    ];
    check_under(
        &policy,
        &findings,
        &[
            "open notify",
            "revoke[w1] open",
            "revoke[w2] open",
            "propose[w3] open notify",
            "revoke[w3 w4] open",
            "propose[w5] open notify",
            "propose[w6] open notify",
        ],
    );
    let one_rule = Budgets { rule_per_hour: 1, ..Budgets::default() };
    let other = Finding { entity: "e".into(), wallet: Some("w2".into()), ..finding("2", 1) };
    check_under(
        &with_budgets(&policy, one_rule),
        &[finding("1", 0), other],
        &["revoke[sess-7f3a9c51e2 0xf9de 0x1db9] open notify", "propose[w2] open notify"],
    );
}

#[test]
fn a_cut_off_is_moved_when_the_person_comes_back() {
    let about_alice = |id: &str, seconds| Finding { response: vec![Target::Subject], ..finding(id, seconds) };
    check(
        &[about_alice("1", 0), about_alice("2", 60), about_alice("3", 3_700)],
        &["revoke[alice] open notify", "suppress", "revoke[alice] open notify"],
    );
}

#[test]
fn incidents_join_what_shares_a_name_and_merge() {
    let about = |id: &str, seconds: i64, wallet: Option<&str>, tx: Option<&str>| Finding {
        entity: id.to_owned(),
        wallet: wallet.map(str::to_owned),
        tx: tx.map(str::to_owned),
        session: None,
        request: None,
        ..plain(id, seconds, Severity::High)
    };
    let findings = [
        about("1", 0, Some("w1"), None),
        about("2", 1, None, Some("t1")),
        about("3", 2, Some("w1"), Some("t1")),
        about("4", 3, None, Some("t1")),
        about("5", 4, Some("w2"), None),
        about("6", 72 * 3_600 + 10, Some("w1"), None),
    ];
    let (actions, ..) = play(&findings, &policy());
    let incidents: Vec<&str> = actions
        .iter()
        .map(|actions| match &actions[0] {
            Action::OpenAlert(record) => record.incident.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_ne!(incidents[0], incidents[1]);
    assert_eq!(incidents[2], incidents[0], "the older one takes the younger one in");
    assert_eq!(incidents[3], incidents[0]);
    assert_ne!(incidents[4], incidents[0]);
    assert_ne!(incidents[5], incidents[0], "an incident does not last for ever");
}

#[test]
fn a_finding_is_planned_once_and_its_response_is_told_after_a_crash_in_between() {
    let (first, second) = (finding("1", 0), Finding { session: Some("s2".into()), ..finding("2", 1) });
    let (actions, log, state) = play(&[first.clone(), second.clone()], &policy());
    assert!(plan(&second, &state, &policy()).is_empty());
    // The same log without the last alert record: keywatch stopped between the intent and the alert.
    let mut state = AlertState::default();
    log[..log.len() - 1].iter().for_each(|(_, event)| state.apply(event));
    assert_eq!(state.unplanned().map(|finding| &finding.id).collect::<Vec<_>>(), [&second.id]);
    let again = plan(&second, &state, &policy());
    assert_eq!(say(&again), "update[Session, Response]", "revoked once, told all the same");
    assert_eq!(again, actions[1][1..]);
}

fn any_finding() -> impl Strategy<Value = Finding> {
    let severity =
        prop_oneof![Just(Severity::Info), Just(Severity::Medium), Just(Severity::High), Just(Severity::Critical)];
    let name = |prefix: &'static str| proptest::option::of((0..3_u8).prop_map(move |n| format!("{prefix}{n}")));
    let source = proptest::sample::select(vec!["safe", "custody", "node", "stray"]);
    let response = proptest::sample::subsequence(vec![Target::Session, Target::Subject, Target::Wallet], 0..=3);
    (
        (0..4_u8, 0..3_u8, severity, source, response, any::<bool>(), proptest::bool::weighted(0.2)),
        (name("s"), name("w"), name("t"), name("d"), proptest::option::of(1..400_u32)),
    )
        .prop_map(
            |((rule, entity, severity, source, response, itself, late), (session, wallet, tx, to, amount))| Finding {
                rule: format!("r/{rule}"),
                entity: entity.to_string(),
                severity,
                source: source.to_owned(),
                response,
                proof: if itself { Proof::Itself } else { Proof::Corroborated },
                late,
                session,
                wallet,
                tx,
                to_address: to,
                amount: amount.map(|amount| amount.to_string()),
                ..finding("x", 0)
            },
        )
}

fn history() -> impl Strategy<Value = Vec<Finding>> {
    let step = prop_oneof![8 => 0..600_i64, 1 => 3_000..100_000_i64];
    proptest::collection::vec((any_finding(), step), 1..60).prop_map(|drawn| {
        let mut now = 0;
        let number = |(index, (finding, step)): (usize, (Finding, i64))| {
            now += step;
            let anchor = EventId::derive(SYSTEM, &finding.source, &index.to_string());
            let id = Finding::derive_id(&finding.rule, 1, SYSTEM, &finding.entity, anchor);
            Finding { id, anchor, time: at(now), decided: at(now), ..finding }
        };
        drawn.into_iter().enumerate().map(number).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn replaying_the_log_gives_the_same_actions(findings in history(), cut in 0..60_usize) {
        let policy = policy();
        let (actions, log, state) = play(&findings, &policy);
        // The topics are folded one after the other here and interleaved there.
        let mut folded = AlertState::default();
        for topic in Topic::ALL {
            log.iter().filter(|(of, _)| *of == topic).for_each(|(_, event)| folded.apply(event));
        }
        prop_assert_eq!(&folded, &state);
        // A restart in the middle changes no later action.
        let cut = cut.min(findings.len());
        let (_, before, _) = play(&findings[..cut], &policy);
        let mut restarted = AlertState::default();
        before.iter().for_each(|(_, event)| restarted.apply(event));
        for (finding, expected) in findings[cut..].iter().zip(&actions[cut..]) {
            restarted.apply(&finding_created(finding));
            let again = plan(finding, &restarted, &policy);
            prop_assert_eq!(&again, expected);
            records(&again).iter().for_each(|(_, event)| restarted.apply(event));
        }
        prop_assert_eq!(restarted, state);
    }

    #[test]
    fn p5_what_may_not_act_alone_never_does(findings in history()) {
        let budgets = Budgets { rule_per_hour: 3, source_per_hour: 4, system_per_hour: 5, reserved_for_critical: 2, ..Budgets::default() };
        let policy = with_budgets(&policy(), budgets);
        let (actions, _, state) = play(&findings, &policy);
        let mut revoked_at = Vec::new();
        for (finding, actions) in findings.iter().zip(&actions) {
            let deliveries = actions.iter().filter(|action| matches!(action,
                Action::OpenAlert(_) | Action::UpdateAlert(_) | Action::Suppress(_)));
            prop_assert_eq!(deliveries.count(), 1);
            for action in actions {
                let Action::Revoke(response) = action else { continue };
                prop_assert!(!finding.late && finding.severity >= Severity::High && !response.targets.is_empty());
                revoked_at.push(finding.decided);
                let hour = revoked_at.iter().filter(|time| time.saturating_add(3_600_000_000_000) > finding.decided);
                prop_assert!(hour.count() <= 5);
            }
        }
        prop_assert_eq!(state.unplanned().count(), 0);
        let (shadow, ..) = play(&findings, &shadowed(&policy));
        prop_assert!(shadow.iter().flatten().all(|action| !matches!(action, Action::Revoke(_))));
    }
}
