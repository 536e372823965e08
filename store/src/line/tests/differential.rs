//! Every line is read as the general reader reads it: the same event or the same words of refusal.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::*;

/// Signs and pieces of text at which readers differ.
const PIECES: &[&str] = &[
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    " ",
    "\t",
    "\n",
    "\u{0}",
    "\u{1f}",
    "\u{7f}",
    "é",
    "\u{10ffff}",
    "0",
    "-",
    "-0",
    "1.50",
    "1e5",
    "1E+05",
    "01",
    "1.",
    ".5",
    "null",
    "true",
    "false",
    "late",
    "\\n",
    "\\u0041",
    "\\u0000",
    "\\ud800",
    "\"a\":1",
    "\"a\":{}",
    ",\"late\":false",
    ",\"late\":true",
    ",\"actor\":null",
    ",\"actor\":\"\"",
    ",\"asn\":-0",
    ",\"asn\":-7",
    ",\"asn\":9223372036854775807",
    ",\"detail\":{}",
    ",\"detail\":{ }",
    ",\"detail\":[]",
    ",\"detail\":{\"b\":1,\"a\":2}",
    ",\"detail\":{\"a\":1,\"a\":2}",
    ",\"detail\":{\"a\":[1,-2.50,{\"x\":null}],\"b\":\"\\\"\"}",
    ",\"detail\":{\"$serde_json::private::Number\":\"1\"}",
    ",\"detail\":{\"$serde_json::private::RawValue\":\"{}\"}",
    ",\"detail\":{\"a\":{\"$serde_json::private::Number\":\"7\"}}",
    ",\"amount\":\"007\"",
    ",\"amount\":7",
    ",\"amount_usd\":\"-0.5\"",
    ",\"amount_usd\":\"92233720368547758.08\"",
    ",\"time\":\"2025-01-01T00:00:00+01:00\"",
    ",\"time\":\"1970-01-01T00:00:00.0Z\"",
    ",\"system\":\"\"",
    ",\"unknown\":1",
];

fn in_order(text: &str) -> Option<Event> {
    let mut columns = Columns::BLANK;
    ordered::read(text, 0, &mut columns).map(|()| Event::within(columns, Arc::new(text.to_owned())))
}

fn same(line: &[u8]) -> Result<(), TestCaseError> {
    let Ok(text) = std::str::from_utf8(line) else {
        prop_assert!(read(line).is_err());
        return Ok(());
    };
    let general = general::read(text).and_then(|event| event.to_builder().check().map(|()| event));
    let said = |read: Result<Event, Error>| read.map_err(|error| error.to_string());
    prop_assert_eq!(said(read(line)), said(general), "{}", text);
    let many = Arc::new(format!("é\n{text}\n"));
    prop_assert_eq!(said(read_within(&many, 3..3 + text.len())), said(read(line)), "{}", text);
    for read in [plain::read(text, |_| None), in_order(text)].into_iter().flatten() {
        prop_assert_eq!(Ok(read), said(general::read_kept(text)), "{}", text);
    }
    if let Some(plain) = plain::read(text, scan::other_detail) {
        prop_assert_eq!(Ok(plain), said(general::read(text)), "{}", text);
    }
    Ok(())
}

fn any_value() -> impl Strategy<Value = String> {
    let text = prop_oneof!["[a-z$]{0,4}", "\\PC{0,4}", "[\u{0}-\u{7f}]{0,4}"];
    let text = text.prop_map(|text| Value::from(text).to_string()).boxed();
    let number =
        prop_oneof!["-?[0-9]{1,3}", "-?[0-9]{1,40}(\\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?", Just("-0".to_owned())];
    let scalar = prop_oneof![text.clone(), number, "true|false|null"];
    let blank = prop_oneof![9 => Just(""), 1 => Just(" "), 1 => Just("\n")];
    scalar.prop_recursive(5, 32, 5, move |value| {
        let entry = (text.clone(), blank.clone(), value.clone())
            .prop_map(|(key, blank, value)| format!("{key}:{blank}{value}"));
        prop_oneof![
            prop::collection::vec(value, 0..5).prop_map(|values| format!("[{}]", values.join(","))),
            (prop::collection::vec(entry, 0..5), any::<bool>()).prop_map(|(mut entries, sorted)| {
                if sorted {
                    entries.sort();
                }
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

/// The fields of a line in another order, with blanks between them.
fn shuffled(line: &str, order: &[Index], blanks: bool) -> String {
    let Value::Object(fields) = serde_json::from_str::<Value>(line).unwrap() else { unreachable!() };
    let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
    let mut said = Vec::new();
    for at in order.iter().cycle() {
        if fields.is_empty() {
            break;
        }
        let (name, value) = fields.swap_remove(at.index(fields.len()));
        said.push(if blanks { format!("\"{name}\" : {value}") } else { format!("\"{name}\":{value}") });
    }
    format!("{{{}}}", said.join(if blanks { ", " } else { "," }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn written_lines(event in any_event()) {
        same(write(&event).as_bytes())?;
    }

    #[test]
    fn fields_in_any_order(event in any_event(), order in prop::collection::vec(any::<Index>(), 1..8), blanks: bool) {
        same(shuffled(&write(&event), &order, blanks).as_bytes())?;
        same(shuffled(LINE, &order, blanks).as_bytes())?;
    }

    #[test]
    fn details_of_any_form(detail in any_value()) {
        same(LINE.replace(r#"{"a":1,"b":[true,null]}"#, &detail).as_bytes())?;
    }

    #[test]
    fn lines_with_pieces_put_in(edits in prop::collection::vec((any::<Index>(), 0..3_usize, any::<Index>()), 1..4)) {
        let mut line = LINE.as_bytes().to_vec();
        for (at, removed, piece) in edits {
            let at = at.index(line.len());
            let end = (at + removed).min(line.len());
            line.splice(at..end, PIECES[piece.index(PIECES.len())].bytes());
        }
        same(&line)?;
    }

    #[test]
    fn lines_with_any_byte_put_in(at in any::<Index>(), byte: u8) {
        let mut line = LINE.as_bytes().to_vec();
        let at = at.index(line.len());
        line[at] = byte;
        same(&line)?;
    }
}

#[test]
fn every_piece_between_two_fields_and_before_the_end() {
    for piece in PIECES {
        for (at, _) in LINE.match_indices([',', '}', ':', '"']) {
            same(format!("{}{piece}{}", &LINE[..at], &LINE[at..]).as_bytes()).unwrap();
        }
    }
}

/// A text may end at any place of a block of the line, and a sign that ends it otherwise may stand at any.
#[test]
fn texts_of_every_length_with_every_sign_at_their_end() {
    for length in 0..200 {
        for sign in ["", "\\", "\\\"", "\\\\", "\u{1f}", "\u{7f}", "é", "\u{10ffff}", "\"", "\0"] {
            let text = format!("{}{sign}", "x".repeat(length));
            same(LINE.replace("mismatch", &text).as_bytes()).unwrap();
            same(LINE.replace(r#""a":1"#, &format!(r#""{text}":"{text}""#)).as_bytes()).unwrap();
        }
    }
}

#[test]
fn every_beginning_of_a_line() {
    for end in 0..=LINE.len() {
        same(&LINE.as_bytes()[..end]).unwrap();
    }
}

#[test]
fn details_as_deep_as_the_readers_go() {
    for depth in [1, 30, 31, 32, 33, 34, 125, 126, 127, 128, 129, 1000] {
        let lists = format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        for detail in [lists, objects] {
            same(LINE.replace(r#"{"a":1,"b":[true,null]}"#, &detail).as_bytes()).unwrap();
        }
    }
}

/// Without this the comparison could hold because the other readers read nothing.
#[test]
fn a_written_line_is_in_order_and_plain() {
    assert!(in_order(LINE).is_some());
    assert!(plain::read(LINE, |_| None).is_some());
    assert!(plain::read(&LINE.replace(',', ", "), scan::other_detail).is_some());
}
