//! Names and spans of time as people say them, for the demo and the web page. Knows no event.

use keywatch_store::time::SECOND_NS;
use serde_json::Value;

/// Characters of an address or hash that are shown.
const NAME_SHOWN: usize = 10;

/// An address or hash by its beginning; other names as they are, and of a person the whole address of their e-mail.
pub(crate) fn short(name: &str) -> String {
    if name.len() > 20 && name.is_ascii() && !name.contains('@') {
        format!("{}…", &name[..NAME_SHOWN])
    } else {
        name.to_owned()
    }
}

/// A sentence with its addresses and hashes shortened.
pub(crate) fn shortened(sentence: &str) -> String {
    let words = sentence.split(' ').map(|word| {
        let end = word.trim_end_matches([',', ';', ':', '.']);
        format!("{}{}", short(end), &word[end.len()..])
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Nanoseconds as people say them: `8 h 33 min 31 s`.
pub(crate) fn span(nanoseconds: i64) -> String {
    let seconds = nanoseconds / SECOND_NS;
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let shown: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).take(3).map(|(count, unit)| format!("{count} {unit}")).collect();
    if shown.is_empty() { "0 s".to_owned() } else { shown.join(" ") }
}

/// What a person did about an incident, after their name: an entry of its history, as the API has it.
pub(crate) fn did(entry: &Value) -> String {
    let said = |field: &str| entry[field].as_str().unwrap_or_default();
    match said("act") {
        "acknowledge" => "acknowledged it".to_owned(),
        "assign" if said("assignee").is_empty() => "gave it back".to_owned(),
        "assign" => format!("gave it to {}", said("assignee")),
        "comment" => format!("said: {}", said("comment")),
        "resolve" => format!("called it {}: {}", said("verdict"), said("reason")),
        "reopen" => format!("opened it again: {}", said("reason")),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_somebody_did_is_a_sentence_after_their_name() {
        for (entry, said) in [
            (json!({ "act": "acknowledge" }), "acknowledged it"),
            (json!({ "act": "assign", "assignee": "bob" }), "gave it to bob"),
            (json!({ "act": "assign", "assignee": null }), "gave it back"),
            (json!({ "act": "comment", "comment": "who is it?" }), "said: who is it?"),
            (json!({ "act": "resolve", "verdict": "benign", "reason": "a drill" }), "called it benign: a drill"),
            (json!({ "act": "reopen", "reason": "no drill" }), "opened it again: no drill"),
        ] {
            assert_eq!(did(&entry), said);
        }
    }

    #[test]
    fn a_sentence_keeps_its_words_and_loses_its_hashes() {
        let long = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4";
        assert_eq!(
            shortened(&format!("Wallet {long}, moves 401,346 ETH, so: {long}")),
            "Wallet 0x1db92e2e…, moves 401,346 ETH, so: 0x1db92e2e…"
        );
        assert_eq!(shortened("erin.of.the.desk@firm.example signs"), "erin.of.the.desk@firm.example signs");
    }

    #[test]
    fn spans_are_shown_with_at_most_three_units() {
        assert_eq!(span(30_811 * SECOND_NS), "8 h 33 min 31 s");
        assert_eq!(span(156 * SECOND_NS), "2 min 36 s");
        assert_eq!(span(0), "0 s");
    }
}
