# Run by `opa test policies/` and, in the tests of this room, by the embedded evaluator.
package wallet.signing_test

import data.wallet.signing

now_seconds := time.now_ns() / 1000000000

document := {
	"meta": {"system": "s", "seq": 1, "issued_at": now_seconds, "prev_sha256": ""},
	"sessions": {"cut": {"reason": "r"}, "quiet": false},
	"subjects": {"mallory": {"not_before": 2000}},
	"devices": {"lost": {}},
	"requests": {"0xbad": {}},
	"wallets": {"0xfrozen": {}},
}

small := {
	"session_id": "s-1", "subject": "alice", "session_started_at": 1000, "device_id": "d-1", "ip": "192.0.2.1",
	"wallet": "0xhot", "request_id": "0xr1", "destination": "0xd1", "amount_usd": 500, "destination_risk_score": 1,
	"signer": "ci-bot", "initiator": "alice", "human_approvals": [], "operation": 0,
}

asked(change) if signing.allow with input as object.union(small, change) with data.revocations as document

yes(user) := {"user": user, "approved": true}

test_small_amount_is_allowed if asked({})

test_large_amount_needs_two_people if {
	not asked({"amount_usd": 10000, "human_approvals": [yes("bob")]})
	not asked({"amount_usd": 10000, "human_approvals": [yes("bob"), yes("BOB")]})
	not asked({"amount_usd": 10000, "human_approvals": [yes("bob"), yes("Alice")]})
	asked({"amount_usd": 10000, "human_approvals": [yes("bob"), yes("carol")]})
}

test_each_section_denies if {
	not asked({"session_id": "cut"})
	not asked({"session_id": "quiet"})
	not asked({"subject": "mallory"})
	asked({"subject": "mallory", "session_started_at": 2001})
	not asked({"device_id": "lost"})
	not asked({"request_id": "0xBAD"})
	not asked({"wallet": "0xFrozen"})
}

test_delegatecall_is_denied if {
	not asked({"operation": 1})
	not asked({"operation": null})
	not asked({"operation": "0"})
}

test_without_a_document_everything_is_denied if {
	not signing.allow with input as small with data.revocations as {}
	not signing.allow with input as small with data.revocations as object.remove(document, ["subjects"])
}

test_a_document_of_another_time_denies if {
	meta := document.meta
	stale := object.union(document, {"meta": object.union(meta, {"issued_at": now_seconds - 121})})
	early := object.union(document, {"meta": object.union(meta, {"issued_at": now_seconds + 60})})
	not signing.allow with input as small with data.revocations as stale
	not signing.allow with input as small with data.revocations as early
}
