//! Lines round trip, and what is no line is told with its field.

mod differential;

use proptest::prelude::*;

use super::general::{UsdText, Wire};
use super::*;
use crate::event::{Origin, TextColumn};
use crate::{Amount, Instant};

const LINE: &str = concat!(
    r#"{"event_id":"000102030405060708090a0b0c0d0e0f","system":"s","time":"2025-02-21T05:42:40.788469Z","#,
    r#""event_time":"2025-02-21T05:42:40.788469Z","source":"safe","kind":"signing.approved","late":true,"#,
    r#""actor":"a","asn":64512,"amount":"115792089237316195423570985008687907853269984665640564039457584007913129639935","#,
    r#""amount_usd":"-12.05","outcome":"mismatch","detail":{"a":1,"b":[true,null]}}"#
);

#[test]
fn a_line_is_read_and_written_byte_for_byte() {
    assert_eq!(write(&read(LINE.as_bytes()).unwrap()), LINE);
}

/// The line as serde writes it.
fn oracle(event: &Event) -> String {
    fn text(value: Option<&str>) -> Option<Cow<'_, str>> {
        value.map(Cow::Borrowed)
    }
    let raw = (!event.detail().is_empty()).then(|| serde_json::from_str(event.detail().as_str()).unwrap());
    let wire = Wire {
        event_id: event.event_id(),
        system: Cow::Borrowed(event.system()),
        time: event.time(),
        event_time: event.event_time(),
        source: Cow::Borrowed(event.source()),
        kind: Cow::Borrowed(event.kind()),
        late: event.late(),
        actor: text(event.actor()),
        session: text(event.session()),
        device: text(event.device()),
        ip: text(event.ip()),
        country: text(event.country()),
        asn: event.asn(),
        wallet: text(event.wallet()),
        key: text(event.key()),
        request: text(event.request()),
        decision: text(event.decision()),
        tx: text(event.tx()),
        chain: text(event.chain()),
        asset: text(event.asset()),
        from_address: text(event.from_address()),
        to_address: text(event.to_address()),
        amount: event.amount().cloned(),
        amount_usd: event.amount_usd_cents().map(UsdText),
        outcome: text(event.outcome()),
        reason: text(event.reason()),
        detail: raw,
    };
    serde_json::to_string(&wire).unwrap()
}

/// The line as a log reads it, within a text that holds more.
fn kept(line: &str) -> Result<Event, Error> {
    read_kept(&Arc::new(format!("before\n{line}\nbehind")), 7..7 + line.len())
}

/// What may stand in a log.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let text = prop_oneof!["[a-z0-9]{1,8}", "\\PC{0,6}", "[\u{0}-\u{7f}\\\\\"]{0,6}"];
    let texts = prop::collection::vec(prop::option::of(text), 19);
    (
        texts,
        any::<i64>(),
        any::<i64>(),
        any::<bool>(),
        any::<Option<i64>>(),
        any::<Option<i64>>(),
        any::<Option<u128>>(),
    )
        .prop_map(|(texts, time, event_time, late, asn, cents, amount)| {
            let mut texts = texts.into_iter();
            let mut text = || texts.next().flatten();
            let origin = Origin { system: text().unwrap_or_default(), source: text().unwrap_or_default() };
            let mut event = Event::builder(&origin, "id", "decision", Instant(event_time));
            if let Some(said) = text() {
                event.detail(&serde_json::json!({ "said": said }));
            }
            for column in &TextColumn::ALL[3..] {
                event.text(*column, text());
            }
            event.time(Instant(time)).late(late).asn(asn);
            event.amount(amount.map(Amount::from_u128)).amount_usd_cents(cents);
            // What stands in a log may be more than what a feed may say: no names, say.
            event.take_event()
        })
}

proptest! {
    #[test]
    fn a_line_is_what_serde_writes_and_reads_back(event in any_event()) {
        let line = write(&event);
        prop_assert_eq!(&line, &oracle(&event));
        prop_assert_eq!(kept(&line).unwrap(), event);
    }
}

#[test]
fn what_is_wrong_names_its_field() {
    for (from, to, field, problem) in [
        (r#""asn":64512"#, r#""asn":"x""#, "asn", "invalid type"),
        (r#""asn":64512"#, r#""asn":99999999999999999999"#, "asn", ""),
        (r#""amount_usd":"-12.05""#, r#""amount_usd":"12.055""#, "amount_usd", "two decimals"),
        ("signing.approved", "signing.nonsense", "kind", "unknown kind"),
        (r#""actor":"a""#, r#""actress":"a""#, "actress", "unknown field"),
        (r#""event_time":"2025-02-21T05:42:40.788469Z""#, r#""event_time":"yesterday""#, "event_time", "RFC 3339"),
        (r#""detail":{"a":1,"b":[true,null]}"#, r#""detail":[1]"#, "detail", "object"),
        (r#""system":"s""#, r#""system":"""#, "system", "empty"),
        ("null]}}", "null]}", "line", "EOF"),
    ] {
        let Err(Error::Line { field: named, problem: said }) = read(LINE.replace(from, to).as_bytes()) else {
            panic!("{to} was accepted");
        };
        assert_eq!(named, field, "{said}");
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn size_and_encoding_are_checked_before_parsing() {
    assert!(read(&vec![b' '; limits::LINE_BYTES_MAX + 1]).unwrap_err().to_string().contains("bytes"));
    assert!(read(b"{\"event_id\":\"\xff\"}").unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn a_text_beyond_the_limit_is_refused() {
    for field in [r#""system":"s""#, r#""source":"safe""#, r#""actor":"a""#, r#""outcome":"mismatch""#] {
        let (name, _) = field.split_once(':').unwrap();
        for (more, accepted) in [(0, true), (1, false)] {
            let text = "x".repeat(limits::TEXT_BYTES_MAX + more);
            let line = LINE.replace(field, &format!(r#"{name}:"{text}""#));
            assert_eq!(read(line.as_bytes()).is_ok(), accepted, "{name}");
            assert_eq!(read(line.replace(',', ", ").as_bytes()).is_ok(), accepted, "{name}");
        }
    }
}

#[test]
fn dollars_are_exact() {
    for (text, cents) in [("0.01", 1), ("-0.10", -10), ("12", 1200), ("12.5", 1250), ("1500000000.00", 150_000_000_000)]
    {
        assert_eq!(parse_usd(text), Ok(cents));
        assert_eq!(parse_usd(&format_usd(cents)), Ok(cents));
    }
    for text in ["", ".", "1.", "1e3", "--1", "99999999999999999999"] {
        assert!(parse_usd(text).is_err(), "{text}");
    }
}
