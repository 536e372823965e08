//! Private keys in what is declared. An inventory needs none, goes into the log and into tables, and stands in messages: one
//! that holds a key is refused, on whatever chain, and nothing that is said of it shows the key. A raw key of 32 bytes looks
//! like any hash and is not told apart here.

use serde_json::Value;
use sha2::{Digest, Sha256};

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// First bytes of private keys in the wallet import format: Bitcoin and its test networks, Litecoin, Dogecoin and its test
/// network, Dash.
const VERSIONS: [u8; 6] = [0x80, 0xef, 0xb0, 0x9e, 0xf1, 0xcc];

/// What stands in a text in place of a key.
const HIDDEN: &str = "[private key]";

/// Where a declaration holds a private key, in words that do not show it.
pub(super) fn place(declared: &Value) -> Option<String> {
    let mut fields = declared.as_object().into_iter().flatten();
    fields.find_map(|(name, value)| place_in(name, value))
}

fn place_in(name: &str, value: &Value) -> Option<String> {
    let Value::Array(rows) = value else { return holds_key(value, false).then(|| format!("its `{name}`")) };
    rows.iter().enumerate().find_map(|(index, row)| {
        let mut columns = row.as_object().into_iter().flatten();
        let (column, _) = columns.find(|(column, cell)| holds_key(cell, *column == "descriptor"))?;
        Some(format!("entry {} of `{name}`: its `{column}`", index + 1))
    })
}

/// In a descriptor a key that was mistyped is one too: nothing else there has its form.
fn holds_key(value: &Value, by_form: bool) -> bool {
    match value {
        Value::String(text) => {
            let is_key = |word: &str| is_extended(word) || is_import(word, by_form);
            words(text).any(is_key) || text.contains("PRIVATE KEY-----") || text.contains("AGE-SECRET-KEY-1")
        }
        Value::Array(values) => values.iter().any(|value| holds_key(value, by_form)),
        Value::Object(values) => values
            .iter()
            .any(|(name, value)| holds_key(&Value::String(name.clone()), by_form) || holds_key(value, by_form)),
        _ => false,
    }
}

/// A text without what has the form of a private key.
pub(super) fn hidden(text: &str) -> String {
    let mut shown = text.to_owned();
    let keys: Vec<&str> = words(text).filter(|word| is_extended(word) || is_import(word, true)).collect();
    for key in keys {
        shown = shown.replace(key, HIDDEN);
    }
    // Keys in armour go over many lines.
    if shown.contains("PRIVATE KEY-----") || shown.contains("AGE-SECRET-KEY-1") {
        return format!("it cannot be read, and what is wrong is not shown: {HIDDEN}");
    }
    shown
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|next: char| !next.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// `xprv…` (BIP-32), and the first letters that SLIP-132 gives it for other scripts and networks.
fn is_extended(word: &str) -> bool {
    let mut letters = word.chars();
    let is_of_kind = letters.next().is_some_and(|first| "xtyzuvYZUV".contains(first)) && word[1..].starts_with("prv");
    is_of_kind && word.len() >= 8 && word.bytes().any(|next| next.is_ascii_digit())
}

/// A key in the wallet import format, or one that a passphrase encrypts (BIP-38): by the form alone, or with its checksum.
fn is_import(word: &str, by_form: bool) -> bool {
    let Some(bytes) = Some(word).filter(|word| matches!(word.len(), 51 | 52 | 58)).and_then(base58) else {
        return false;
    };
    if by_form {
        return true;
    }
    let Some((payload, checksum)) = bytes.split_last_chunk::<4>() else { return false };
    let is_key = match payload {
        [version, key @ ..] if key.len() == 32 => VERSIONS.contains(version),
        [version, key @ .., 1] if key.len() == 32 => VERSIONS.contains(version),
        [1, 0x42 | 0x43, rest @ ..] => rest.len() == 37,
        _ => false,
    };
    is_key && Sha256::digest(Sha256::digest(payload))[..4] == checksum[..]
}

/// The bytes of a text in base 58, without the zeros that it begins with.
fn base58(word: &str) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::new();
    for letter in word.bytes() {
        let mut carry = BASE58.iter().position(|known| *known == letter)?;
        for byte in &mut bytes {
            carry += usize::from(*byte) * 58;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(carry.to_le_bytes()[0]);
            carry >>= 8;
        }
    }
    bytes.reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The key 1, whose owner is everybody, in the forms of each network.
    const WIF: [&str; 4] = [
        "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn",
        "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf",
        "cMahea7zqjxrtgAbB7LSGbcQUr1uX1ojuat9jZodMN87JcbXMTcA",
        "91avARGdfge8E4tZfYLoxeJ5sGBdNJQH4kvjJoQFacbgwmaKkrx",
    ];

    #[test]
    fn a_private_key_is_found_wherever_it_stands_and_never_shown() {
        let xprv = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
        for key in WIF.into_iter().chain([xprv, "vprv9DMUxX4ShgxMLwVcCSJxgkfFRTaq3rCTaCwX3qTs1r6bUXGWcVVqtY5Vq6aXXX"]) {
            for text in [key.to_owned(), format!("wpkh({key})#abcdefgh"), format!("hot wallet, key={key};")] {
                let found = place(&json!({"id": "cold", "wallets": [{"wallet": "a"}, {"wallet": "b", "label": text}]}));
                assert_eq!(found.as_deref(), Some("entry 2 of `wallets`: its `label`"), "{text}");
                assert!(!hidden(&text).contains(&key[4..]), "{}", hidden(&text));
            }
            assert!(place(&json!({"sources": [{"verdicts": {key: "/result"}}]})).is_some());
            assert!(place(&json!({ "name": key })).is_some());
        }
        let pem = "-----BEGIN EC PRIVATE KEY-----\nMHQCAQEEIB\n-----END EC PRIVATE KEY-----";
        assert!(place(&json!({ "name": pem })).is_some() && !hidden(pem).contains("MHQC"));
    }

    #[test]
    fn what_only_looks_a_little_like_one_is_none() {
        let mistyped = WIF[0].replace('V', "W");
        let named = |column: &str, text: &str| place(&json!({"wallets": [{ column: text }]})).is_some();
        assert!(named("descriptor", &format!("wpkh({mistyped})")) && !named("label", &mistyped));
        for text in [
            "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr",
            "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH",
            "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V",
            "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf",
            "the xprv is with the custodian",
            "9WzDXwBbmkg8ZTbNMqUxvQRAyrZzDsGYdLVL9zYtAWWM",
            "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKYMNX",
        ] {
            assert!(!named("descriptor", text), "{text}");
            assert_eq!(hidden(text), text);
        }
    }
}
