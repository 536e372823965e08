//! A decision of the policy decision point, with the input that the policy was asked about, as the feed `opa` reads it.

use serde_json::{Value, json};

use crate::calendar::DAY;
use crate::chance::Chance;
use crate::event::{Column, Event, dollars};
use crate::firm::{Firm, REPLICAS, SOURCES};
use crate::infrastructure::payout_session;
use crate::names::{self, Chain};
use crate::networks;
use crate::people::roster::Span;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) request: &'a str,
    pub(crate) wallet: &'a str,
    pub(crate) chain: Chain,
    pub(crate) to: &'a str,
    pub(crate) cents: u64,
    /// Score of the destination, 0 to 10.
    pub(crate) risk: u64,
    /// Who agreed.
    pub(crate) approvals: Vec<String>,
    /// Who asked first.
    pub(crate) initiator: &'a str,
}

/// Who asks the decision point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asking<'a> {
    /// The service that pays out by itself.
    Service,
    /// A person, out of a session.
    Person(&'a Span),
}

/// The answer.
pub(crate) fn answer(
    firm: &Firm,
    question: &Question<'_>,
    asking: Asking<'_>,
    outcome: &'static str,
    at: i64,
    chance: &mut Chance,
) -> Event {
    let Question { request, wallet, chain, to, cents, risk, approvals, initiator } = question;
    let event = Event::new(SOURCES.pdp, "decision").say(Column::Decision, names::uuid(chance));
    let (subject, session, device, ip, started) = match asking {
        Asking::Service => {
            let ip = networks::datacentre(2).ip().to_owned();
            (
                "payout-engine".to_owned(),
                payout_session(firm, at),
                "payout-engine-1".to_owned(),
                ip,
                at.div_euclid(DAY) * 86_400,
            )
        }
        Asking::Person(span) => {
            let ip = span.egress(at).map(|egress| egress.ip().to_owned()).unwrap_or_default();
            (span.subject.clone(), span.session.clone(), span.device.clone(), ip, span.from / 1000)
        }
    };
    let event = event.say(Column::Actor, &subject).say(Column::Session, &session).say(Column::Device, &device);
    let event = event.say(Column::Ip, &ip).say(Column::Wallet, wallet).say(Column::Request, request);
    let event = event.say(Column::Chain, chain.name()).say(Column::ToAddress, to);
    let event = event.say(Column::AmountUsd, dollars(*cents)).say(Column::Outcome, outcome);
    let agreed: Vec<Value> = approvals.iter().map(|who| json!({ "user": who, "approved": true })).collect();
    let amount = serde_json::from_str::<Value>(&dollars(*cents)).expect("dollars are a number");
    let input = json!({
        "amount_usd": amount, "destination": to, "destination_risk_score": risk, "device_id": device,
        "human_approvals": agreed, "initiator": initiator, "ip": ip, "request_id": request, "session_id": session,
        "session_started_at": started, "signer": "ci-bot", "subject": subject, "wallet": wallet,
    });
    let replica = firm.answering(REPLICAS[usize::from(chance.below(2) == 1)], at);
    let event = event.with("amount_positive", *cents > 0).with("amount_type", "number").with("risk_type", "number");
    let event = event.with("approvals", approvals.len()).with("approvals_type", "array");
    let event = event
        .with("approvers_distinct", approvals.len())
        .with("self_approved", approvals.iter().any(|who| who == *initiator));
    event
        .with("input", input)
        .with("labels", json!({ "id": replica, "app": "wallet-signing" }))
        .with("path", "wallet/signing/allow")
}
