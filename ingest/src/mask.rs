//! Hides what looks like a secret in bytes that are kept or shown: values of telling names, bearer tokens, JSON Web
//! Tokens, private keys. Works on text that need not be valid JSON, since it is mostly used on what did not parse.

use std::borrow::Cow;

use keywatch_store::event::{CanonicalJson, Place};
use serde_json::Value;

/// What stands in place of a secret.
pub(crate) const MASK: &str = "***";

/// Words that, standing in a name, say that its value is secret, by what they begin with: most words of most names begin
/// otherwise.
fn secret_words(first: u8) -> &'static [&'static str] {
    match first.to_ascii_lowercase() {
        b'a' => &["apikey", "authorization"],
        b'b' => &["bearer"],
        b'c' => &["cookie", "credential", "credentials"],
        b'j' => &["jwt"],
        b'm' => &["mnemonic"],
        b'p' => &["passphrase", "passwd", "password", "privatekey", "pwd"],
        b's' => &["secret", "secrets", "seed"],
        b't' => &["token", "tokens"],
        _ => &[],
    }
}

/// Pairs of words that say so only together.
const SECRET_PAIRS: &[(&str, &str)] = &[("private", "key"), ("api", "key"), ("access", "key"), ("signing", "key")];

/// Names that contain such a word and hold a contract's address, a token's number, or what kind of token or credential
/// it is, for how long and for what.
const PUBLIC_NAMES: &[&str] = &[
    "credentialType",
    "credential_type",
    "gasToken",
    "gas_token",
    "tokenAddress",
    "tokenId",
    "token_address",
    "token_id",
    "token_policies",
    "token_ttl",
    "token_type",
];

/// Whether a member of that name holds a secret. It is asked of every name of every record, so it makes nothing.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let mut before: &[u8] = b"";
    let says_so = words(name).any(|word| {
        let pair = std::mem::replace(&mut before, word);
        is_secret_word(word) || is_secret_pair(pair, word)
    });
    says_so && !PUBLIC_NAMES.contains(&name)
}

fn is_secret_word(word: &[u8]) -> bool {
    let is = |secret: &&str| word.eq_ignore_ascii_case(secret.as_bytes());
    word.first().is_some_and(|first| secret_words(*first).iter().any(is))
}

fn is_secret_pair(first: &[u8], second: &[u8]) -> bool {
    let is = |(one, other): &(&str, &str)| {
        second.eq_ignore_ascii_case(other.as_bytes()) && first.eq_ignore_ascii_case(one.as_bytes())
    };
    SECRET_PAIRS.iter().any(is)
}

/// Whether a text could announce a secret: it holds what stands between a name and its value, or begins one. One pass over
/// the bytes of every text of every record.
pub(crate) fn may_hold_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, byte)| match byte {
        b':' | b'=' => true,
        b'e' => bytes[at..].starts_with(b"eyJ"),
        b'-' => bytes[at..].starts_with(BEGIN),
        b'b' | b'B' => bytes.get(at..at + 7).is_some_and(|word| word.eq_ignore_ascii_case(b"bearer ")),
        _ => false,
    })
}

/// What a key as text begins with (RFC 7468).
const BEGIN: &[u8] = b"-----BEGIN";

/// Replaces the values of secret names within a JSON value, and what follows a secret option in a command line that is an
/// array.
pub(crate) fn values(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if is_secret_name(name) {
                    *member = Value::from(MASK);
                } else {
                    values(member);
                }
            }
        }
        Value::Array(items) => {
            arguments(items);
            items.iter_mut().for_each(values);
        }
        _ => {}
    }
}

/// The text of a value as [`values`] leaves it.
pub(crate) fn shown(value: &Value) -> CanonicalJson {
    CanonicalJson::with(value, &|place, _| is_secret(place).then_some(Cow::Borrowed(MASK)))
}

/// Whether what stands there is secret by what stands before it.
pub(crate) fn is_secret(place: Place<'_>) -> bool {
    match place {
        Place::Whole => false,
        Place::Member(name) => is_secret_name(name),
        Place::Item(before) => before.is_some_and(announces_secret),
    }
}

/// Replaces what follows an option that announces a secret: `--password`, `s3cret`.
fn arguments(items: &mut [Value]) {
    let mut announced = false;
    for item in items {
        let announces = announces_secret(item);
        if announced {
            *item = Value::from(MASK);
        }
        announced = announces;
    }
}

/// Whether what follows an item of a list is secret.
fn announces_secret(item: &Value) -> bool {
    item.as_str().is_some_and(is_secret_option)
}

/// Whether an argument is an option by itself whose value is secret, and not one that holds its value too.
fn is_secret_option(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains(['=', ' ']) && is_secret_name(argument.trim_start_matches('-'))
}

/// `text` with secrets masked.
pub(crate) fn text(text: &str) -> String {
    text_and(text, &[])
}

/// `text` with secrets and the values of further names masked.
pub(crate) fn text_and(text: &str, hidden: &[&str]) -> String {
    without_secrets(text, hidden).unwrap_or_else(|| text.to_owned())
}

/// As [`text_and`]; `None` for a text in which there is nothing to mask.
pub(crate) fn without_secrets(text: &str, hidden: &[&str]) -> Option<String> {
    let mut masked: Option<String> = None;
    let (mut copied, mut at) = (0, 0);
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let word = word_length(rest);
        if let Some((shown, secret)) = secret_at(rest, word, hidden) {
            let masked = masked.get_or_insert_with(|| String::with_capacity(text.len()));
            masked.push_str(&text[copied..at + shown]);
            masked.push_str(MASK);
            at += shown + secret;
            copied = at;
        } else {
            at += word.max(character.len_utf8());
        }
    }
    if let Some(masked) = &mut masked {
        masked.push_str(&text[copied..]);
    }
    masked
}

/// If a secret is announced at the start of `text`, which begins with a word of that length: the length of the announcement
/// and of the secret.
fn secret_at(text: &str, word_length: usize, hidden: &[&str]) -> Option<(usize, usize)> {
    if let Some(after) = text.strip_prefix("-----BEGIN ") {
        let end = after.find("-----END").unwrap_or(after.len());
        return after[..end].lines().next()?.contains("PRIVATE KEY").then(|| (text.len() - after.len(), end));
    }
    let (word, after) = text.split_at(word_length);
    if word.starts_with("eyJ") && after.starts_with('.') {
        let length = text.bytes().position(|byte| !is_word(byte) && byte != b'.').unwrap_or(text.len());
        return Some((0, length));
    }
    if word.eq_ignore_ascii_case("bearer") && after.starts_with(' ') {
        let value = after.trim_start_matches(' ');
        return Some((text.len() - value.len(), unquoted_length(value, &[' '])));
    }
    // What may stand between a name and its value.
    let may_be_name = !word.is_empty() && after.starts_with(['"', '\'', '\\', ' ', '\t', ':', '=']);
    if !may_be_name || !(is_secret_name(word) || hidden.contains(&word)) {
        return None;
    }
    value_after(after).map(|(shown, hidden)| (word.len() + shown, hidden))
}

/// The value after a name: `": "x"`, `=x`, `: Bearer x`. Lengths of what stands between and of the value.
fn value_after(text: &str) -> Option<(usize, usize)> {
    let separator = text.trim_start_matches(['"', '\'', '\\', ' ', '\t']);
    let value = separator.strip_prefix([':', '='])?.trim_start_matches([' ', '\t', '\r', '\n']);
    let unescaped = value.trim_start_matches('\\');
    let backslashes = value.len() - unescaped.len();
    let shown = text.len() - value.len();
    match unescaped.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inside = &unescaped[1..];
            Some((shown + backslashes + 1, quoted_length(inside, quote, backslashes)))
        }
        Some('{' | '[') => Some((shown, bracketed_length(value))),
        _ => Some((shown, unquoted_length(value, &[]))),
    }
}

/// Bytes up to the quote that has as many backslashes before it as the opening one.
fn quoted_length(text: &str, quote: char, backslashes: usize) -> usize {
    let mut run = 0;
    for (index, character) in text.char_indices() {
        if character == quote && run <= backslashes {
            return index - run;
        }
        run = if character == '\\' { run + 1 } else { 0 };
    }
    text.len()
}

fn bracketed_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    text.len()
}

fn unquoted_length(text: &str, also: &[char]) -> usize {
    let ends = |character: char| ",;&}]\"\n\r".contains(character) || also.contains(&character);
    text.find(ends).unwrap_or(text.len())
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn word_length(text: &str) -> usize {
    // A leading `-----BEGIN` is looked at on its own and must not be swallowed by the word before it.
    let bytes = text.as_bytes();
    let length = bytes.iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len());
    let begins = |window: &[u8]| window[0] == BEGIN[0] && window == BEGIN;
    match bytes[..length].windows(BEGIN.len()).position(begins) {
        Some(position) if position > 0 => position,
        _ => length,
    }
}

/// `sessionToken` → session, Token; `X-Api-Key` → X, Api, Key.
fn words(name: &str) -> impl Iterator<Item = &[u8]> {
    let goes_on = |pair: &[u8]| {
        pair[1].is_ascii_alphanumeric() && (pair[0].is_ascii_uppercase() || !pair[1].is_ascii_uppercase())
    };
    let mut rest = name.as_bytes();
    std::iter::from_fn(move || {
        let begin = rest.iter().position(u8::is_ascii_alphanumeric)?;
        let word = &rest[begin..];
        let length = 1 + word.windows(2).take_while(|pair| goes_on(pair)).count();
        rest = &word[length..];
        Some(&word[..length])
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_and_the_rest_is_kept() {
        for (given, kept) in [
            (r#"{"user":"a","password":"hun\"ter2","x":1}"#, r#"{"user":"a","password":"***","x":1}"#),
            (r#"{"sessionToken": 12345, "x": 1}"#, r#"{"sessionToken": ***, "x": 1}"#),
            (r#"{"secrets":["a","b"],"x":1}"#, r#"{"secrets":***,"x":1}"#),
            (r#"{\"api_key\":\"abc\",\"x\":1}"#, r#"{\"api_key\":\"***\",\"x\":1}"#),
            ("Authorization: Bearer abc.def\nHost: x", "Authorization: ***\nHost: x"),
            ("got bearer abcdef here", "got bearer *** here"),
            ("t=eyJhbGciOi.J9.sig_-nature&y=2", "t=***&y=2"),
            ("user=a&client_secret=b&c=d", "user=a&client_secret=***&c=d"),
            (
                "k: -----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----",
                "k: -----BEGIN ***-----END EC PRIVATE KEY-----",
            ),
            (r#"{"password":"cut of"#, r#"{"password":"***"#),
            (r#"{"gasToken":"0x00","to":"0x11"}"#, r#"{"gasToken":"0x00","to":"0x11"}"#),
            (r#"{"nonsense": "ünï", "tokenize": 1}"#, r#"{"nonsense": "ünï", "tokenize": 1}"#),
            ("ü=1&password=ü&x=ü\ttoken \t: a, b", "ü=1&password=***&x=ü\ttoken \t: ***, b"),
            ("password", "password"),
            ("password.x=1 token", "password.x=1 token"),
        ] {
            assert_eq!(text(given), kept);
            assert_eq!(without_secrets(given, &[]).is_some(), given != kept, "{given}");
        }
    }

    #[test]
    fn members_of_a_value_are_masked_by_name() {
        let mut value = json!({"a": [{"access_token": "x", "b": 1}], "privateKey": {"d": "y"}});
        let shown = shown(&value);
        values(&mut value);
        assert_eq!(shown, CanonicalJson::from(&value));
        assert_eq!(value, json!({"a": [{"access_token": "***", "b": 1}], "privateKey": "***"}));
    }

    #[test]
    fn what_follows_a_secret_option_is_masked() {
        for (given, kept) in [
            (json!(["vault", "--token", "s3cret", "read"]), json!(["vault", "--token", "***", "read"])),
            (json!(["-password", "--api-key", "s3cret"]), json!(["-password", "***", "***"])),
            (json!(["--token", 7, 8]), json!(["--token", "***", 8])),
            (json!([["--client-secret", "s3cret"]]), json!([["--client-secret", "***"]])),
            (json!(["a", "--token"]), json!(["a", "--token"])),
            (json!(["--token_type", "batch"]), json!(["--token_type", "batch"])),
            (json!(["--password=x", "kept"]), json!(["--password=x", "kept"])),
            (json!(["- a token was lost", "kept"]), json!(["- a token was lost", "kept"])),
            (json!(["password", "kept"]), json!(["password", "kept"])),
        ] {
            let mut value = given.clone();
            values(&mut value);
            assert_eq!(value, kept, "{given}");
            assert_eq!(shown(&given), CanonicalJson::from(&kept), "{given}");
        }
    }

    #[test]
    fn a_name_is_split_where_its_words_end() {
        for (name, split) in [
            ("sessionToken", "session Token"),
            ("X-Api-Key", "X Api Key"),
            ("ABCToken", "ABCToken"),
            ("key2Value__x", "key2 Value x"),
            ("straße", "stra e"),
            ("--", ""),
            ("", ""),
        ] {
            let words: Vec<&str> = words(name).map(|word| std::str::from_utf8(word).unwrap()).collect();
            assert_eq!(words.join(" "), split, "{name}");
        }
        for (name, secret) in [
            ("PRIVATE_KEY", true),
            ("signing-key", true),
            ("keySigning", false),
            ("apiVersionKey", false),
            ("ApiKey", true),
            ("apikey", true),
            ("x_PrivateKey_y", true),
            ("tokenize", false),
            ("Bearer", true),
        ] {
            assert_eq!(is_secret_name(name), secret, "{name}");
        }
    }

    #[test]
    fn a_text_that_may_announce_a_secret_is_told() {
        for (text, may) in [
            ("plain words", false),
            ("a=b", true),
            ("a: b", true),
            ("so eyJhbGciOi.J9", true),
            ("eyewitness", false),
            ("x-----BEGIN", true),
            ("-----END", false),
            ("a BEARER abc", true),
            ("bearer", false),
            ("ü bearerü", false),
        ] {
            assert_eq!(may_hold_secret(text), may, "{text}");
        }
    }

    #[test]
    fn what_kind_of_token_it_is_is_no_secret() {
        for name in ["token_type", "token_ttl", "token_policies", "credential_type", "credentialType", "tokenId"] {
            assert!(!is_secret_name(name), "{name}");
        }
        for name in ["token", "token_value", "credentials", "credential"] {
            assert!(is_secret_name(name), "{name}");
        }
    }
}
