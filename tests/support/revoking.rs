//! What tests of revocation share: a finding, the input of a healthy session, records of a log.

use std::time::{Duration, Instant};

use keywatch_alerting::{OpaPdp, OpaSettings};
use keywatch_store::event::EventId;
use keywatch_store::finding::{Proof, Target};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, Finding, Log, Position, Severity, Topic};
use serde_json::{Value, json};

pub(crate) use crate::support::clock::now;
use crate::support::opa::Opa;

/// A client of an OPA.
pub(crate) fn client(opa: &Opa) -> OpaPdp {
    // The provider of the process; a second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    OpaPdp::new(&OpaSettings { url: opa.url(), token: None }).unwrap()
}

/// An input that the policy allows.
pub(crate) fn healthy() -> Value {
    json!({
        "session_id": "s-healthy", "subject": "alice", "session_started_at": now().unix_seconds() - 600,
        "device_id": "d-healthy", "ip": "192.0.2.1", "wallet": "0xhot", "request_id": "0xr-healthy",
        "destination": "0xd1", "amount_usd": 500, "destination_risk_score": 1, "signer": "ci-bot",
        "initiator": "alice", "human_approvals": [], "operation": 0,
    })
}

/// A critical finding that proves itself, about a session, a request and a wallet.
pub(crate) fn finding(session: &str) -> Finding {
    let anchor = EventId::derive("cold", "safe", session);
    Finding {
        title: "a confirmation does not verify".into(),
        source: "safe".into(),
        actor: Some("mallory".into()),
        session: Some(session.into()),
        wallet: Some("0xcold".into()),
        request: Some("0xbad".into()),
        response: vec![Target::Session, Target::Request, Target::Wallet],
        proof: Proof::Itself,
        ..Finding::about("signing/confirmation_mismatch", Severity::Critical, "cold", "0xcold", anchor, now())
    }
}

/// The records of that kind in the events topic.
pub(crate) fn records(log: &MemoryLog, kind: &str) -> Vec<Event> {
    let all = log.read(Topic::Events, Position(0), usize::MAX).unwrap();
    all.into_iter().filter(|event| event.kind() == kind).collect()
}

/// The first record of that kind, waited for.
pub(crate) async fn first_record(log: &MemoryLog, kind: &str) -> Event {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(event) = records(log, kind).into_iter().next() {
            return event;
        }
        assert!(Instant::now() < until, "no {kind} within 30 s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
