# A gate in front of a decision point that speaks the AuthZEN Authorization API: what keywatch has revoked is denied here,
# the rest is asked of the one behind, and whatever goes wrong denies.
#
# `POST /v0/data/authzen/evaluation` takes a request of the Access Evaluation API as its body and answers as that API does.
# `data.custody.authzen.url` is the address of the one behind, with its path.
package authzen

import data.keywatch.revocations

evaluation := {"decision": decision}

default decision := false

# In this order: of what is revoked the one behind is not asked.
decision if {
	clear
	behind.status_code == 200
	behind.body.decision == true
}

# A request that leaves out a name that can be revoked has no facts, and so is denied.
facts := {
	"subject": input.subject.id,
	"session_id": input.subject.properties.session_id,
	"session_started_at": input.subject.properties.session_started_at,
	"device_id": input.subject.properties.device_id,
	"wallet": input.resource.id,
	"request_id": input.context.request_id,
}

default clear := false

clear if {
	input.resource.type == "wallet"
	revocations.clear with input as facts
}

behind := http.send({
	"method": "POST",
	"url": data.custody.authzen.url,
	"headers": {"content-type": "application/json"},
	"body": input,
	"timeout": "2s",
	"enable_redirect": false,
	"force_json_decode": true,
	"raise_error": false,
})
