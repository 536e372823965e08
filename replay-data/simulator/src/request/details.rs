//! The details of a request's events, as the feeds give them.

use serde_json::{Value, json};

use super::{block, dollars};
use crate::Scenario;
use crate::simulation::Simulation;
use crate::step::Request;
use crate::system::{Technology, of, technology};
use crate::text::{address, hash, numbered};

impl Simulation {
    /// The address that is called: the recipient of value, or the contract that pays for the wallet.
    fn called(&self, request: &Request) -> String {
        let salt = self.systems[request.system].salt;
        if request.is(Scenario::Delegatecall) || request.is(Scenario::WalletTakeover) {
            return address(salt + of::CONTRACT, 1_000 + request.stranger());
        }
        if request.delegates() { address(salt + of::CONTRACT, 1) } else { self.destination_of(request) }
    }

    /// Of `signing.requested` and `signing.signed`.
    pub(super) fn filed(&self, request: &Request) -> Value {
        if technology(request.wallet) != Technology::Safe {
            return json!({ "policy": "withdrawal" });
        }
        let filed = self.request_id(request);
        let strange = self.systems[request.system].salt + of::STRANGE_HASH;
        let swapped = request.is(Scenario::SwappedProposal);
        let recomputed = if swapped { hash("0x", strange, request.number) } else { filed.clone() };
        let mut detail = json!({
            "hash_filed": filed, "hash_recomputed": recomputed, "nonce": request.nonce,
            "operation": i64::from(request.delegates()), "to": self.called(request),
        });
        if request.delegates() {
            detail["call"] = json!({ "name": "multiSend" });
        }
        detail
    }

    /// Of `signing.approved`.
    pub(super) fn confirmed(&self, request: &Request, forged: bool) -> Value {
        let state = &self.systems[request.system];
        let owner = state.owner(request.wallet, request.approvers[super::at_place(request)]);
        if technology(request.wallet) != Technology::Safe {
            return json!({ "device": owner });
        }
        let recovered = if forged { state.stranger(request.wallet, request.stranger()) } else { owner.clone() };
        let filed = self.request_id(request);
        json!({
            "hash_filed": filed, "hash_recomputed": filed, "nonce": request.nonce, "signature_type": "EOA",
            "operation": i64::from(request.delegates()), "signer_claimed": owner, "signer_recovered": recovered,
        })
    }

    /// Of `decision`.
    pub(super) fn asked(&self, request: &Request, refused: bool) -> Value {
        let approvals = if refused { 1 } else { 2 };
        let distinct = if request.is(Scenario::DoubledApprover) { 1 } else { approvals };
        let malformed = request.is(Scenario::MalformedInput);
        let amount = if malformed { json!(dollars(request).to_string()) } else { json!(dollars(request)) };
        let input = json!({
            "amount_usd": amount, "destination": self.destination_of(request), "destination_risk_score": 1,
            "request_id": self.request_id(request), "wallet": self.systems[request.system].wallet(request.wallet),
        });
        json!({
            "amount_positive": !malformed, "amount_type": if malformed { "string" } else { "number" },
            "approvals": approvals, "approvals_type": "array", "approvers_distinct": distinct, "risk_type": "number",
            "self_approved": request.is(Scenario::SelfApproval), "path": "wallet/signing/allow",
            "labels": { "id": numbered("opa-", 1 + request.number % 3) }, "input": input,
        })
    }

    /// Of `chain.tx`.
    pub(super) fn mined(&self, request: &Request, at: i64, outcome: &str) -> Value {
        let (fee_rate, size) = match technology(request.wallet) {
            Technology::Bitcoin => (request.fee_rate, 140 + 60 * (request.number % 5)),
            _ => (request.fee_rate * 1_000_000_000, 90_000),
        };
        let mut detail = json!({ "fee": (fee_rate * size).to_string(), "fee_rate": fee_rate });
        if outcome != "unconfirmed" {
            detail["block"] = json!(block(request.wallet, at));
        }
        if technology(request.wallet) == Technology::Bitcoin {
            let swept = request.is(Scenario::SweptCoins);
            detail["inputs"] = json!(if swept { 12 } else { 1 + request.number % 4 });
            detail["outputs"] = json!(if swept { 1 } else { 2 });
            detail["change_outputs"] = json!(i64::from(!swept));
            return detail;
        }
        detail["nonce"] = json!(request.nonce);
        if technology(request.wallet) == Technology::Safe {
            detail["operation"] = json!(i64::from(request.delegates()));
            detail["to"] = json!(self.called(request));
        }
        detail
    }

    /// The id of the decision; every approver's has its own.
    pub(super) fn decision_id(&self, request: &Request) -> String {
        let salt = self.systems[request.system].salt + of::DECISION;
        let asked = request.number * 8 + request.approved * 2 + u64::from(request.refused);
        let digits = hash("", salt, asked);
        [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..32]].join("-")
    }
}
