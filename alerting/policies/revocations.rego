# What keywatch has revoked, asked fail-closed: a document that is missing, incomplete, stale or from the future denies.
#
# keywatch writes the document at the data root `revocations`:
#   meta                               system, seq, issued_at (unix seconds), prev_sha256, log_head {position, hash}
#   sessions devices requests wallets  name -> {alert_id, at, reason, expires_at}
#   subjects                           name -> {not_before}: sessions begun until then are cut, later ones are let in
package keywatch.revocations

max_age_seconds := 120

# How far the clock of keywatch may run ahead of this one.
max_ahead_seconds := 30

sections := {"sessions", "subjects", "devices", "requests", "wallets"}

default current := false

current if {
	every section in sections {
		is_object(data.revocations[section])
	}
	is_number(data.revocations.meta.issued_at)
	age := (time.now_ns() / 1000000000) - data.revocations.meta.issued_at
	age < max_age_seconds
	age + max_ahead_seconds > 0
}

# A name that can be looked up. Blanks around it would make the same name look like another.
named(value) if {
	is_string(value)
	value != ""
	trim_space(value) == value
}

# The value of an entry is not looked at: an entry that says `false` still revokes. Letter case makes no other name.
listed(section, name) if {
	some entry, _ in data.revocations[section]
	lower(entry) == lower(name)
}

cut_off(subject, started_at) if {
	some entry, cut in data.revocations.subjects
	lower(entry) == lower(subject)
	not begun_after(cut, started_at)
}

# A cut-off without a number in it cuts every session.
begun_after(cut, started_at) if {
	is_object(cut)
	is_number(cut.not_before)
	started_at > cut.not_before
}

# Nothing about this input is revoked. Every field is checked for its type first: under `not`, a field that is left out
# would evade the look-up.
default clear := false

clear if {
	current
	named(input.session_id)
	named(input.subject)
	named(input.device_id)
	named(input.request_id)
	named(input.wallet)
	is_number(input.session_started_at)
	input.session_started_at <= (time.now_ns() / 1000000000) + max_ahead_seconds
	not listed("sessions", input.session_id)
	not listed("devices", input.device_id)
	not listed("requests", input.request_id)
	not listed("wallets", input.wallet)
	not cut_off(input.subject, input.session_started_at)
}
