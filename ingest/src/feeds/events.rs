//! keywatch's own intake lines, and the same columns as CloudEvents 1.0 in structured and batch form.
//!
//! A line is an object with `id` (the source's own), `kind`, `event_time` (RFC 3339), any columns of an event, and
//! `detail`. In a CloudEvent (`specversion` present; CloudEvents 1.0 §3, JSON format §3 and §4) `id` is the same, `type`
//! is the kind, with or without `io.keywatch.` before it, `time` is the event time, and `data` (or `data_base64`, with JSON in
//! it) holds the columns. Its `source` is a URI reference of the producer's choice: it names nobody to keywatch, whose
//! source is the credential. It is kept as `cloudevent_source` in the detail, and makes the event's identity together
//! with `id` (CloudEvents 1.0 §3.1: the two are unique together).
//!
//! Since this format is ours, a field that is not in it is refused: a misspelt column must not vanish. Log time, event
//! id and lateness are the log's to give.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use keywatch_store::event::Builder;
use keywatch_store::kinds::{self, Kind, Writer};
use keywatch_store::line::parse_usd;
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use crate::chain::address::in_canonical_form;
use crate::feeds::fields::Fields;
use crate::feeds::{json as json_text, read};
use crate::{Context, Feed, Problem, Reading, limits};

/// The feed `events`.
#[derive(Clone, Copy, Debug)]
pub struct Events;

/// Before the kind in a CloudEvent's `type`.
pub const CLOUD_EVENT_PREFIX: &str = "io.keywatch.";

const COLUMNS: &[&str] = &[
    "actor",
    "session",
    "device",
    "ip",
    "country",
    "asn",
    "wallet",
    "key",
    "request",
    "decision",
    "tx",
    "chain",
    "asset",
    "from_address",
    "to_address",
    "amount",
    "amount_usd",
    "outcome",
    "reason",
    "detail",
];

const ENVELOPE: &[&str] = &["id", "kind", "event_time", "system", "source"];

impl Feed for Events {
    fn name(&self) -> &'static str {
        "events"
    }

    fn reads_cloud_events(&self) -> bool {
        true
    }

    fn read(&self, context: &Context<'_>, body: &[u8]) -> Reading {
        read::read_each(body, None, |record| Ok(vec![read_record(context, record)?]))
    }
}

fn read_record(context: &Context<'_>, record: &Value) -> Result<Event, Problem> {
    let fields = Fields::of(record)?;
    check_speaker(&fields, "system", &context.origin.system)?;
    if fields.has("specversion") {
        return read_cloud_event(context, &fields);
    }
    check_speaker(&fields, "source", &context.origin.source)?;
    refuse_unknown(&fields, &[ENVELOPE, COLUMNS])?;
    let kind = kind(&fields, "kind", fields.need_text("kind")?)?;
    let mut event = Event::builder(context.origin, id(&fields)?, kind.name, fields.need_time("event_time")?);
    fill(&mut event, kind, &fields)?;
    Ok(event.build()?)
}

fn read_cloud_event(context: &Context<'_>, fields: &Fields<'_>) -> Result<Event, Problem> {
    let version = fields.need_text("specversion")?;
    if version != "1.0" {
        return Err(
            fields.problem("specversion", format!("`{}` is not 1.0", version.chars().take(16).collect::<String>()))
        );
    }
    let media = fields.text("datacontenttype")?.unwrap_or("application/json");
    let media = media.split(';').next().unwrap_or_default().trim();
    if media != "application/json" && !media.ends_with("+json") {
        return Err(fields.problem("datacontenttype", "must be JSON"));
    }
    let producer = fields.need_text("source")?;
    let named = fields.need_text("type")?;
    let kind = kind(fields, "type", named.strip_prefix(CLOUD_EVENT_PREFIX).unwrap_or(named))?;
    let time: Instant = fields.need_time("time")?;
    let foreign = producer != context.origin.source;
    let id = if foreign { foreign_id(fields, producer)? } else { id(fields)?.to_owned() };
    let mut event = Event::builder(context.origin, &id, kind.name, time);
    let data = cloud_event_data(fields)?;
    let data = Fields::at(&data, "data")?;
    refuse_unknown(&data, &[COLUMNS])?;
    fill(&mut event, kind, &data)?;
    if foreign {
        let mut detail = data.value("detail").cloned().unwrap_or_else(|| json!({}));
        detail["cloudevent_source"] = Value::from(producer);
        event.detail(&detail);
    }
    Ok(event.build()?)
}

/// Their source and their id, which are unique together. A URI reference holds no space (RFC 3986 §2).
fn foreign_id(fields: &Fields<'_>, producer: &str) -> Result<String, Problem> {
    if producer.contains(char::is_whitespace) || producer.len() > limits::SOURCE_ID_BYTES_MAX {
        let reason = format!("must be a URI reference of at most {} bytes", limits::SOURCE_ID_BYTES_MAX);
        return Err(fields.problem("source", reason));
    }
    Ok(format!("{producer} {}", id(fields)?))
}

/// The columns: `data`, or the JSON in `data_base64` (JSON format of CloudEvents 1.0 §3.1.1).
fn cloud_event_data(fields: &Fields<'_>) -> Result<Value, Problem> {
    let Some(encoded) = fields.text("data_base64")? else {
        return Ok(fields.value("data").cloned().unwrap_or_else(|| json!({})));
    };
    if fields.has("data") {
        return Err(fields.problem("data_base64", "stands beside `data`; send one of the two"));
    }
    let bytes = BASE64.decode(encoded);
    let bytes = bytes.map_err(|error| fields.problem("data_base64", format!("is not Base64: {error}")))?;
    json_text::parse(&bytes).map_err(|problem| fields.problem("data_base64", problem.to_string()))
}

/// A source may say who it is, but only the truth.
fn check_speaker(fields: &Fields<'_>, name: &str, authenticated: &str) -> Result<(), Problem> {
    match fields.text(name)? {
        Some(claimed) if claimed != authenticated => {
            Err(fields.problem(name, format!("this credential may write for `{authenticated}` only")))
        }
        _ => Ok(()),
    }
}

fn id<'a>(fields: &Fields<'a>) -> Result<&'a str, Problem> {
    let id = fields.need_text("id")?;
    if id.len() > limits::SOURCE_ID_BYTES_MAX {
        let reason = format!("{} bytes, at most {}", id.len(), limits::SOURCE_ID_BYTES_MAX);
        return Err(fields.problem("id", reason));
    }
    Ok(id)
}

fn kind(fields: &Fields<'_>, field: &str, name: &str) -> Result<&'static Kind, Problem> {
    let shown = || name.chars().take(64).collect::<String>();
    match kinds::find(name) {
        None => Err(fields.problem(field, format!("unknown kind `{}`; docs/events.md lists them", shown()))),
        Some(kind) if kind.writer != Writer::Source => {
            Err(fields.problem(field, format!("`{}` is canonical by keywatch alone", shown())))
        }
        Some(kind) => Ok(kind),
    }
}

fn refuse_unknown(fields: &Fields<'_>, known: &[&[&str]]) -> Result<(), Problem> {
    let unknown = fields.names().find(|name| !known.iter().any(|names| names.contains(&name.as_str())));
    match unknown {
        Some(name) => Err(fields.problem(name, "unknown field; what has no column belongs into `detail`")),
        None => Ok(()),
    }
}

fn fill(event: &mut Builder, kind: &Kind, fields: &Fields<'_>) -> Result<(), Problem> {
    // Most columns are absent, which a list of the names that are there tells sooner than the map.
    let names: Vec<&str> = fields.names().map(String::as_str).collect();
    let text = |name: &str| if names.contains(&name) { fields.text(name) } else { Ok(None) };
    let address = |name: &str| text(name).map(|text| text.map(in_canonical_form));
    event.actor(address("actor")?);
    event.session(text("session")?);
    event.device(text("device")?);
    event.ip(text("ip")?);
    event.country(country(fields)?);
    event.asn(fields.integer("asn")?);
    event.wallet(address("wallet")?);
    event.key(text("key")?);
    event.request(address("request")?);
    event.decision(text("decision")?);
    event.tx(address("tx")?);
    event.chain(text("chain")?.map(str::to_ascii_lowercase));
    event.asset(address("asset")?);
    event.from_address(address("from_address")?);
    event.to_address(address("to_address")?);
    event.amount_usd_cents(usd_cents(fields)?);
    event.outcome(outcome(kind, fields)?);
    event.reason(text("reason")?);
    if let Some(detail) = fields.value("detail") {
        Fields::at(detail, "detail")?;
        event.detail(detail);
    }
    event.amount(fields.amount("amount")?);
    Ok(())
}

/// ISO 3166-1 alpha-2, in capitals.
fn country(fields: &Fields<'_>) -> Result<Option<String>, Problem> {
    let Some(code) = fields.text("country")? else { return Ok(None) };
    if code.len() != 2 || !code.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(fields.problem("country", "must be a two-letter code of ISO 3166-1"));
    }
    Ok(Some(code.to_ascii_uppercase()))
}

fn usd_cents(fields: &Fields<'_>) -> Result<Option<i64>, Problem> {
    let text = match fields.value("amount_usd") {
        None => return Ok(None),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => fields.need_text("amount_usd")?.to_owned(),
    };
    parse_usd(&text).map(Some).map_err(|reason| fields.problem("amount_usd", reason))
}

fn outcome(kind: &Kind, fields: &Fields<'_>) -> Result<Option<String>, Problem> {
    let Some(outcome) = fields.text("outcome")? else { return Ok(None) };
    if kind.outcomes.contains(&outcome) {
        return Ok(Some(outcome.to_owned()));
    }
    let reason = match kind.outcomes {
        [] => format!("`{}` has no outcome", kind.name),
        words => format!("must be one of {} for `{}`", words.join(", "), kind.name),
    };
    Err(fields.problem("outcome", reason))
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;

    use super::*;

    const LINE: &str = r#"{"id":"s-1","kind":"session.posture","event_time":"2025-02-21T05:42:40Z","session":"s1","country":"ae","asn":64512,"amount":1,"amount_usd":12.5,"wallet":"0xAB","outcome":"compliant","detail":{"check":"disk"}}"#;

    fn read(body: &str) -> Reading {
        let origin = Origin { system: "cold".into(), source: "idp".into() };
        Events.read(&Context { origin: &origin, inventory: None }, body.as_bytes())
    }

    fn refusal(body: &str) -> (String, String) {
        let reading = read(body);
        assert!(reading.events.is_empty(), "{body} was accepted");
        (reading.rejects[0].field.clone(), reading.rejects[0].reason.clone())
    }

    #[test]
    fn a_line_becomes_an_event_of_the_credential() {
        let reading = read(LINE);
        assert_eq!(reading.rejects, []);
        let event = &reading.events[0];
        assert_eq!((event.system(), event.source(), event.kind()), ("cold", "idp", "session.posture"));
        assert_eq!((event.country(), event.asn(), event.amount_usd_cents()), (Some("AE"), Some(64512), Some(1250)));
        assert_eq!((event.wallet(), event.detail().as_str()), (Some("0xab"), r#"{"check":"disk"}"#));
        assert_eq!(event.time(), Instant::UNASSIGNED);
    }

    #[test]
    fn a_cloud_event_says_the_same() {
        let cloud = r#"{"specversion":"1.0","id":"s-1","source":"idp","type":"io.keywatch.session.posture","time":"2025-02-21T05:42:40Z","subject":"ignored","traceparent":"ignored","data":{"session":"s1","country":"ae","asn":64512,"amount":1,"amount_usd":12.5,"wallet":"0xAB","outcome":"compliant","detail":{"check":"disk"}}}"#;
        assert_eq!(read(cloud).events, read(LINE).events);
        let batch = format!("[{cloud},{}]", cloud.replace("s-1", "s-2"));
        assert_eq!(read(&batch).events.len(), 2);
        for (from, to, field) in [
            (r#""specversion":"1.0""#, r#""specversion":"0.3""#, "specversion"),
            (r#""time":"2025-02-21T05:42:40Z","#, "", "time"),
            (r#""source":"idp""#, r#""source":"a b""#, "source"),
            (r#""subject":"ignored""#, r#""system":"hot""#, "system"),
            (r#""source":"idp","#, "", "source"),
            (r#""session":"s1""#, r#""sesion":"s1""#, "data.sesion"),
            (r#""subject":"ignored""#, r#""data_base64":"AA==""#, "data_base64"),
            (r#""subject":"ignored""#, r#""datacontenttype":"text/xml""#, "datacontenttype"),
        ] {
            assert_eq!(refusal(&cloud.replace(from, to)).0, field);
        }
    }

    #[test]
    fn a_foreign_producer_is_kept_and_makes_the_identity() {
        let event = |source: &str| {
            let cloud = format!(
                r#"{{"specversion":"1.0","id":"e-1","source":"{source}","type":"session.presented","time":"2026-03-02T10:00:00Z","data":{{"session":"s-1","detail":{{"page":"/"}}}}}}"#
            );
            read(&cloud).events.remove(0)
        };
        let (one, other, own) = (event("https://idp.example/7"), event("https://idp.example/8"), event("idp"));
        assert_eq!(one.source(), "idp");
        assert_eq!(one.detail().as_str(), r#"{"cloudevent_source":"https://idp.example/7","page":"/"}"#);
        assert_eq!(own.detail().as_str(), r#"{"page":"/"}"#);
        assert!(one.event_id() != other.event_id() && one.event_id() != own.event_id());
    }

    #[test]
    fn data_may_be_base64_around_json() {
        let cloud = |data: &str| {
            let encoded = BASE64.encode(data);
            format!(
                r#"{{"specversion":"1.0","id":"e-1","source":"idp","type":"session.presented","time":"2026-03-02T10:00:00Z","data_base64":"{encoded}"}}"#
            )
        };
        assert_eq!(read(&cloud(r#"{"session":"s-1"}"#)).events[0].session(), Some("s-1"));
        for (data, said) in
            [("nope", "not valid JSON"), (r#"{"session":"a","session":"b"}"#, "session: is there twice")]
        {
            let (field, reason) = refusal(&cloud(data));
            assert_eq!(field, "data_base64");
            assert!(reason.contains(said), "{reason}");
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_refused() {
        let (field, reason) = refusal(&LINE.replace(r#""session":"s1""#, r#""session":"s1","session":"s2""#));
        assert_eq!(field, "session");
        assert!(reason.contains("twice"), "{reason}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (from, to, field, said) in [
            (r#""kind":"session.posture""#, r#""kind":"session.nonsense""#, "kind", "unknown kind"),
            (r#""kind":"session.posture""#, r#""kind":"tick""#, "kind", "keywatch alone"),
            (r#""kind":"session.posture""#, r#""kind":"finding.created""#, "kind", "keywatch alone"),
            (r#""id":"s-1","#, "", "id", "missing"),
            (r#""id":"s-1""#, r#""id":7"#, "id", "must be text, is a number"),
            (r#""event_time":"2025-02-21T05:42:40Z""#, r#""event_time":"yesterday""#, "event_time", "RFC 3339"),
            (r#""event_time":"2025-02-21T05:42:40Z""#, r#""event_time":"9999-01-01T00:00:00Z""#, "event_time", "2262"),
            (r#""asn":64512"#, r#""asn":99999999999999999999"#, "asn", "64-bit"),
            (r#""amount":1"#, r#""amount":1.5"#, "amount", "whole number"),
            (r#""amount":1"#, r#""amount":-1"#, "amount", "whole number"),
            (r#""amount_usd":12.5"#, r#""amount_usd":"12.555""#, "amount_usd", "two decimals"),
            (r#""amount_usd":12.5"#, r#""amount_usd":[1]"#, "amount_usd", "must be text"),
            (r#""outcome":"compliant""#, r#""outcome":"fine""#, "outcome", "compliant, not_compliant"),
            (r#""country":"ae""#, r#""country":"Emirates""#, "country", "two-letter"),
            (r#""session":"s1""#, r#""system":"hot""#, "system", "`cold` only"),
            (r#""session":"s1""#, r#""source":"opa""#, "source", "`idp` only"),
            (r#""session":"s1""#, r#""time":"2025-02-21T05:42:40Z""#, "time", "unknown field"),
            (r#"{"check":"disk"}"#, r#"["disk"]"#, "detail", "must be an object, is an array"),
        ] {
            let (named, reason) = refusal(&LINE.replace(from, to));
            assert_eq!(named, field, "{reason}");
            assert!(reason.contains(said), "{reason}");
        }
    }

    #[test]
    fn the_largest_word_stays_exact() {
        let word = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        let event = &read(&LINE.replace(r#""amount":1"#, &format!(r#""amount":{word}"#))).events[0];
        assert_eq!(event.amount().unwrap().to_string(), word);
        assert_eq!(event.detail().value()["amount_exact"], word);
    }
}
