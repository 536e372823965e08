//! Countries by the names that services write, as codes of ISO 3166-1. Names are those of the time zone database
//! (`iso3166.tab`, public domain) and the usual others of the same countries.
//!
//! It does not check that two letters are a code that was given out, and knows names in English only.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The code in capitals: of a code, or of an English name in any case; `None` for anything else.
pub(super) fn code(text: &str) -> Option<String> {
    static BY_NAME: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
        let rows = include_str!("countries.txt").lines().filter_map(|line| line.split_once('\t'));
        rows.map(|(code, name)| (name.to_lowercase(), code)).collect()
    });
    let text = text.trim();
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        let code = text.to_ascii_uppercase();
        return Some(if code == "UK" { "GB".to_owned() } else { code });
    }
    BY_NAME.get(&text.to_lowercase()).map(|code| (*code).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_codes() {
        for (text, read) in [
            ("United States", Some("US")),
            ("united kingdom", Some("GB")),
            ("UK", Some("GB")),
            ("de", Some("DE")),
            ("South Korea", Some("KR")),
            ("Bosnia and Herzegovina", Some("BA")),
            ("Czechia", Some("CZ")),
            ("Atlantis", None),
            ("", None),
        ] {
            assert_eq!(code(text).as_deref(), read, "{text}");
        }
    }
}
