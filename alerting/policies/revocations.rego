# What keywatch has revoked, asked fail-closed: a document that is missing, incomplete, mistyped, stale or from the future
# denies.
#
# keywatch writes the document at the data root `revocations`:
#   meta                               system, seq, sha256, prev_sha256, issued_at, expires_at (unix seconds), log_head, mac
#   sessions devices requests wallets  name -> {alert_id, at, reason, expires_at}
#   subjects                           name -> {not_before}: sessions begun until then are cut, later ones are let in
# A device with `not_before` is cut as a subject is, one without for good. A name with capitals stands there twice, as it is
# and in small letters.
#
# The operator may say at `custody` what a stale document means (docs/revocation.md):
#   on_stale           deny (default), deny_new_sessions, alert_only
#   max_age_seconds    after which it is stale, 30 to 3600; 120 without
package keywatch.revocations

max_age_seconds := data.custody.max_age_seconds if {
	is_number(data.custody.max_age_seconds)
	data.custody.max_age_seconds >= 30
	data.custody.max_age_seconds <= 3600
} else := 120

# How far the clock of keywatch may run ahead of this one.
max_ahead_seconds := 30

# After this it denies, whatever the operator says: nobody has looked after the list for a day.
stale_limit_seconds := 86400

on_stale := data.custody.on_stale if {
	data.custody.on_stale in {"deny", "deny_new_sessions", "alert_only"}
} else := "deny"

sections := {"sessions", "subjects", "devices", "requests", "wallets"}

issued_at := data.revocations.meta.issued_at if is_number(data.revocations.meta.issued_at)

age := (time.now_ns() / 1000000000) - issued_at

# The document has its shape, and its stamp is no time to come.
default usable := false

usable if {
	every section in sections {
		is_object(data.revocations[section])
	}
	age + max_ahead_seconds > 0
}

default current := false

current if {
	usable
	age < max_age_seconds
}

# For whoever polls: what this replica would say of its document.
status := "current" if {
	current
} else := "stale" if {
	usable
} else := "unusable"

# Whether the document may be relied on for a session begun then.
relied_on(_) if current

relied_on(started_at) if {
	tolerated
	on_stale == "deny_new_sessions"
	started_at <= issued_at
}

relied_on(_) if {
	tolerated
	on_stale == "alert_only"
}

tolerated if {
	usable
	not current
	age < stale_limit_seconds
}

# A name that can be looked up. Blanks around it would make the same name look like another, and characters that cannot be
# seen stand in no document.
named(value) if {
	is_string(value)
	value != ""
	trim_space(value) == value
	not regex.match(`[\x00-\x1f\x{7f}-\x{9f}\x{2028}\x{2029}]`, value)
}

# Letter case makes no other name.
spellings(name) := {name, lower(name)}

# The value of an entry is not looked at: an entry that says `false` still revokes.
listed(section, name) if {
	some spelling in spellings(name)
	_ = data.revocations[section][spelling]
}

cut_off(section, name, started_at) if {
	some spelling in spellings(name)
	cut = data.revocations[section][spelling]
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
	named(input.session_id)
	named(input.subject)
	named(input.device_id)
	named(input.request_id)
	named(input.wallet)
	is_number(input.session_started_at)
	input.session_started_at <= (time.now_ns() / 1000000000) + max_ahead_seconds
	relied_on(input.session_started_at)
	not listed("sessions", input.session_id)
	not listed("requests", input.request_id)
	not listed("wallets", input.wallet)
	not cut_off("subjects", input.subject, input.session_started_at)
	not cut_off("devices", input.device_id, input.session_started_at)
}
