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

stamped(seconds) := object.union(document, {"meta": object.union(document.meta, {"issued_at": seconds})})

asked_when(change, issued_at, custody) if {
	input_now := object.union(small, change)
	signing.allow with input as input_now with data.revocations as stamped(issued_at) with data.custody as custody
}

test_a_stale_document_denies_unless_the_operator_says_otherwise if {
	stale := now_seconds - 121
	not asked_when({}, stale, {})
	not asked_when({}, stale, {"on_stale": "deny"})
	not asked_when({}, stale, {"on_stale": "allow"})
	not asked_when({}, stale, {"on_stale": ["alert_only"]})
	asked_when({}, stale, {"on_stale": "alert_only"})
	asked_when({"session_started_at": stale + 60}, stale, {"on_stale": "alert_only"})
}

test_a_stale_document_can_deny_new_sessions_only if {
	stale := now_seconds - 121
	asked_when({"session_started_at": stale - 1}, stale, {"on_stale": "deny_new_sessions"})
	not asked_when({"session_started_at": stale + 1}, stale, {"on_stale": "deny_new_sessions"})
}

test_a_stale_document_still_revokes if {
	some choice in ["deny_new_sessions", "alert_only"]
	not asked_when({"session_id": "cut"}, now_seconds - 121, {"on_stale": choice})
	not asked_when({"wallet": "0xFrozen"}, now_seconds - 121, {"on_stale": choice})
}

test_nothing_is_tolerated_for_more_than_a_day if {
	some choice in ["deny_new_sessions", "alert_only"]
	asked_when({}, now_seconds - 86000, {"on_stale": choice})
	not asked_when({}, now_seconds - 86401, {"on_stale": choice})
}

test_a_wiped_or_mistyped_document_denies_whatever_the_operator_says if {
	every choice in ["deny", "deny_new_sessions", "alert_only"] {
		every broken in [
			{}, null, [], "revocations",
			object.remove(document, ["meta"]),
			object.remove(document, ["devices"]),
			object.union(document, {"sessions": null}),
			object.union(document, {"meta": {"issued_at": sprintf("%v", [now_seconds])}}),
			stamped(now_seconds + 60),
		] {
			not signing.allow with input as small with data.revocations as broken
				with data.custody as {"on_stale": choice}
		}
	}
}

test_the_operator_sets_the_age_within_bounds if {
	asked_when({}, now_seconds - 300, {"max_age_seconds": 600})
	not asked_when({}, now_seconds - 60, {"max_age_seconds": 45})
	not asked_when({}, now_seconds - 300, {"max_age_seconds": 999999})
	not asked_when({}, now_seconds - 300, {"max_age_seconds": "600"})
}

test_a_device_can_be_cut_off_as_a_person_is if {
	devices := {"devices": {"left": {"not_before": 2000}, "lost": {}}}
	listed := object.union(document, devices)
	not signing.allow with input as object.union(small, {"device_id": "left"}) with data.revocations as listed
	later := {"device_id": "LEFT", "session_started_at": 2001}
	signing.allow with input as object.union(small, later) with data.revocations as listed
	lost := {"device_id": "lost", "session_started_at": 2001}
	not signing.allow with input as object.union(small, lost) with data.revocations as listed
}

test_a_name_with_hidden_characters_denies if {
	not asked({"session_id": "s-1\u0000"})
	not asked({"session_id": "s-1\u007f"})
	not asked({"session_id": "s-\u20281"})
	not asked({"wallet": "0xh\not"})
	asked({"session_id": "s-ü"})
}
