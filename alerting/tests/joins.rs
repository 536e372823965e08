//! Incidents that turn out to be one: what nobody has taken up is not taken up by what somebody made of another, and nobody is
//! paged again for it.

use keywatch_alerting::lifecycle::operation::Operation;
use keywatch_alerting::lifecycle::record::{finding_created, records};
use keywatch_alerting::{Act, AlertState, Incident, Policy, Status, plan};
use keywatch_store::{Finding, Severity};

use crate::plan::say;
use crate::support::receivers::plain;
use crate::support::{SYSTEM, at, policy};

/// Takes a finding in; what is done.
fn take(state: &mut AlertState, policy: &Policy, finding: &Finding) -> String {
    state.apply(&finding_created(finding));
    let actions = plan(finding, state, policy);
    records(&actions).iter().for_each(|(_, event)| state.apply(event));
    say(&actions)
}

/// Where one incident stands that two of these severities turn out to be, of which somebody has acknowledged that one, and what
/// is done about the finding that shares a wallet with the first and a transaction with the second.
fn joined(severities: [Severity; 2], acknowledged: usize, policy: &Policy) -> (Status, String) {
    let mut state = AlertState::default();
    let wallet = Finding { wallet: Some("w".into()), ..plain("first", severities[0], 0) };
    let tx = Finding { tx: Some("t".into()), ..plain("second", severities[1], 1) };
    for finding in [&wallet, &tx] {
        take(&mut state, policy, finding);
    }
    assert_eq!(state.incidents().iter().count(), 2);
    let incident = state.alert([&wallet, &tx][acknowledged]).unwrap().incident.clone();
    let operation = Operation { incident, alert_id: None, by: "ann".into(), key: None, act: Act::Acknowledge };
    state.apply(&operation.record(SYSTEM, 0, at(2)));
    let both = Finding { wallet: Some("w".into()), tx: Some("t".into()), ..plain("both", Severity::Low, 3) };
    let done = take(&mut state, policy, &both);
    let [one]: [&Incident; 1] = state.incidents().iter().collect::<Vec<_>>().try_into().unwrap();
    (one.handling.status, done)
}

#[test]
fn an_open_incident_is_taken_up_only_by_what_somebody_made_of_something_graver() {
    use Severity::{Critical, High, Medium};
    for acknowledged in [0, 1] {
        let of = |taken_up: Severity, open: Severity| {
            let severities = if acknowledged == 0 { [taken_up, open] } else { [open, taken_up] };
            let (status, done) = joined(severities, acknowledged, &policy());
            assert_eq!(done, "open", "both were told before, {severities:?}");
            status
        };
        assert_eq!(of(High, High), Status::Open, "acknowledged: {acknowledged}");
        assert_eq!(of(Critical, Critical), Status::Open, "acknowledged: {acknowledged}");
        assert_eq!(of(Medium, High), Status::Open, "acknowledged: {acknowledged}");
        assert_eq!(of(Critical, High), Status::Acknowledged, "acknowledged: {acknowledged}");
    }
}

#[test]
fn what_nobody_was_to_be_told_of_opens_no_incident_again() {
    let quiet = Policy { notify_from: Severity::Critical, ..policy() };
    for acknowledged in [0, 1] {
        let (status, done) = joined([Severity::Medium; 2], acknowledged, &quiet);
        assert_eq!((status, done.as_str()), (Status::Acknowledged, "open"), "acknowledged: {acknowledged}");
    }
}
