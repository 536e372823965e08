package authzen_test

import data.authzen

now := time.now_ns() / 1000000000

document(sessions) := {
	"meta": {"system": "cold", "seq": 1, "issued_at": now},
	"sessions": sessions,
	"subjects": {},
	"devices": {},
	"requests": {},
	"wallets": {},
}

request := {
	"subject": {
		"type": "user",
		"id": "alice",
		"properties": {"session_id": "s-1", "session_started_at": now - 600, "device_id": "d-1"},
	},
	"action": {"name": "sign"},
	"resource": {"type": "wallet", "id": "0xhot", "properties": {"amount_usd": 500}},
	"context": {"request_id": "r-1"},
}

site := {"authzen": {"url": "http://behind.example/access/v1/evaluation"}}

answering(status, body) := {"status_code": status, "body": body}

allows(_) := answering(200, {"decision": true})

denies(_) := answering(200, {"decision": false})

fails(_) := answering(500, {"decision": true})

says_a_word(_) := answering(200, {"decision": "true"})

is_unreachable(_) := {"status_code": 0, "error": {"message": "no route"}}

decided(asked, sessions) := answer if {
	answer := authzen.evaluation.decision with input as asked
		with data.revocations as document(sessions)
		with data.custody as site
}

test_what_is_clear_is_decided_behind if {
	decided(request, {}) == true with http.send as allows
	decided(request, {}) == false with http.send as denies
}

test_a_revoked_session_is_denied_whatever_is_behind if {
	decided(request, {"s-1": {"reason": "stolen"}}) == false with http.send as allows
}

test_what_is_no_answer_denies if {
	decided(request, {}) == false with http.send as fails
	decided(request, {}) == false with http.send as says_a_word
	decided(request, {}) == false with http.send as is_unreachable
}

test_a_request_without_a_name_that_can_be_revoked_is_denied if {
	every path in [
		["subject", "id"],
		["subject", "properties", "session_id"],
		["subject", "properties", "session_started_at"],
		["subject", "properties", "device_id"],
		["resource", "type"],
		["resource", "id"],
		["context", "request_id"],
	] {
		pointer := concat("/", array.concat([""], path))
		decided(json.remove(request, [pointer]), {}) == false with http.send as allows
	}
}

test_without_a_document_everything_is_denied if {
	authzen.evaluation.decision == false with input as request
		with data.custody as site
		with http.send as allows
}
