# The decision that keywatch asks for when it proves a revocation, answered by the gate: its probes and its healthy control
# take the way that every request takes.
package wallet.signing

default allow := false

allow if data.authzen.decision with input as {
	"subject": {
		"type": "user",
		"id": input.subject,
		"properties": {
			"session_id": input.session_id,
			"session_started_at": input.session_started_at,
			"device_id": input.device_id,
		},
	},
	"action": {"name": "sign"},
	"resource": {"type": "wallet", "id": input.wallet, "properties": input},
	"context": {"request_id": input.request_id},
}
