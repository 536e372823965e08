//! Tokens and their payloads, brought into the shape of the table: one record for each event of a token, its subject as
//! `subject.user`, `subject.session` and `subject.device`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Map, Value, json};

use crate::Problem;
use crate::feeds::fields::with_article;
use crate::feeds::{json as json_text, table};

/// The payload of a token in compact form (RFC 7515 §7.1). The signature is not looked at here.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| Problem::new("record", format!("invalid UTF-8: {error}")))?;
    let parts: Vec<&str> = text.trim().trim_matches('"').split('.').collect();
    let [header, payload, _] = parts[..] else {
        return Err(Problem::new("record", "is neither an object nor a token of three parts"));
    };
    let header = part("header", header)?;
    if header.get("typ").and_then(Value::as_str).is_none_or(|typ| !is_security_event(typ)) {
        return Err(Problem::new("typ", "must be secevent+jwt: this is another kind of token"));
    }
    if header.get("alg").and_then(Value::as_str).is_none_or(|alg| alg.eq_ignore_ascii_case("none")) {
        return Err(Problem::new("alg", "the token is unsigned"));
    }
    part("payload", payload)
}

fn is_security_event(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ) == "secevent+jwt"
}

fn part(name: &str, encoded: &str) -> Result<Value, Problem> {
    let bytes = BASE64.decode(encoded).map_err(|_| Problem::new(name, "is not base64url"))?;
    json_text::parse(&bytes).map_err(|problem| Problem::new(name, problem.to_string()))
}

/// The tokens of a poll, each a record by itself, or the events of a payload.
pub(super) fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    match record.get("sets").and_then(Value::as_object) {
        Some(sets) => Ok(sets.values().map(as_text).collect()),
        None => events(record),
    }
}

/// A token as it came; what is no text is none, and is refused as the text of it.
fn as_text(token: &Value) -> Value {
    match token {
        Value::String(_) => token.clone(),
        other => Value::from(other.to_string()),
    }
}

fn events(payload: &Value) -> Result<Vec<Value>, Problem> {
    for claim in ["sub", "exp"] {
        if payload.get(claim).is_some() {
            return Err(Problem::new(claim, "must not be in a security event token: this is another kind of token"));
        }
    }
    let events = payload.get("events").ok_or_else(|| Problem::new("events", "is missing"))?;
    let wrong = || Problem::new("events", format!("must be an object, is {}", with_article(events)));
    let events = events.as_object().ok_or_else(wrong)?;
    if events.is_empty() {
        return Err(Problem::new("events", "is empty"));
    }
    let mut shared = payload.clone();
    if let Some(members) = shared.as_object_mut() {
        members.remove("events");
    }
    table::parts::within_limits("events", events.len(), &shared)?;
    Ok(events.iter().map(|(kind, event)| one(&shared, kind, event)).collect())
}

fn one(shared: &Value, kind: &str, event: &Value) -> Value {
    let mut record = shared.clone();
    let subject = [shared.get("sub_id"), shared.get("subject"), event.get("subject")].into_iter().flatten().next();
    record["event_type"] = json!(kind);
    record["reason"] = json!(reason(event));
    record["event"] = event.clone();
    // The stream's own events have the stream as their subject, which is nobody.
    let of_the_stream = kind.contains("/ssf/event-type/") || kind.ends_with("/event-type/verification");
    let subject = subject.filter(|_| !of_the_stream);
    record["subject"] = subject.map_or(Value::Null, subject_parts);
    record
}

/// The reason for administrators, in English or else in the first language that there is; a word of the stream's own.
fn reason(event: &Value) -> Option<&str> {
    match event.get("reason_admin").or_else(|| event.get("reason"))? {
        Value::Object(languages) => languages.get("en").or_else(|| languages.values().next())?.as_str(),
        other => other.as_str(),
    }
}

/// Person, session and device of a subject (RFC 9493). One of a single part is a person unless it names a token.
fn subject_parts(subject: &Value) -> Value {
    let mut parts = Map::new();
    for name in ["user", "session", "device"] {
        if let Some(id) = subject.get(name).and_then(simple) {
            parts.insert(name.to_owned(), json!(id));
        }
    }
    if parts.is_empty() {
        let names_a_token = ["format", "subject_type"]
            .iter()
            .filter_map(|member| subject.get(member)?.as_str())
            .any(|format| format.starts_with("jwt") || format.starts_with("saml"));
        let part = if names_a_token { "session" } else { "user" };
        parts.extend(simple(subject).map(|id| (part.to_owned(), json!(id))));
    }
    Value::Object(parts)
}

/// What a simple subject names.
fn simple(subject: &Value) -> Option<&str> {
    let named = |name: &&str| subject.get(name).and_then(Value::as_str);
    ["email", "sub", "id", "jti", "assertion_id", "uri", "url", "phone_number"].iter().find_map(named)
}
