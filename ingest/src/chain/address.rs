//! The canonical form of addresses, hashes and ids, so that equal ones are equal text whatever a source writes; and the form
//! of EIP-55, for services that insist on it.

use std::borrow::Cow;

use alloy::primitives::Address;

/// The canonical form of an address, hash or id: lower case where its form ignores case (hexadecimal with `0x`,
/// bech32 in capitals, BIP-173), otherwise as it is.
#[must_use]
pub fn canonical(text: &str) -> String {
    in_canonical_form(text).into_owned()
}

/// As [`canonical`], where a text that has this form already is the form.
#[must_use]
pub(crate) fn in_canonical_form(text: &str) -> Cow<'_, str> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let ignores_case = match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => text.starts_with("BC1") && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
    };
    if ignores_case { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
}

/// An address of Ethereum or one of its relatives with the capitals of EIP-55; `None` where it is none.
#[must_use]
pub fn checksummed(text: &str) -> Option<String> {
    let address: Address = text.parse().ok()?;
    Some(address.to_checksum(None))
}

/// Whether a text is 32 bytes in hexadecimal. No address of the chains that are known here is, and a private key is.
#[must_use]
pub fn may_be_key(text: &str) -> bool {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What is declared as an address and is none, as messages show it.
#[must_use]
pub fn shown(text: &str) -> String {
    if may_be_key(text) { "64 hexadecimal digits, which may be a private key".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_private_key_is_not_shown() {
        let key = "1".repeat(64);
        for text in [key.clone(), format!("0x{key}"), format!("0X{key}")] {
            assert!(may_be_key(&text) && !shown(&text).contains("111"));
        }
        for text in ["0x7e5f4552091a69125d5dfcb7b8c2659029395bdf", "treasury", &"1".repeat(63)] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn an_address_is_written_with_its_checksum() {
        let kept = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(checksummed(&kept.to_lowercase()).as_deref(), Some(kept));
        assert_eq!(checksummed("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), None);
    }

    #[test]
    fn an_address_has_one_canonical_form() {
        for (given, kept) in [
            ("0xD5F7838F5C461fefF7FE49ea5ebaF7728bB0ADfa", "0xd5f7838f5c461feff7fe49ea5ebaf7728bb0adfa"),
            ("0XAB", "0xab"),
            ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
            ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"),
            ("Vault-A", "Vault-A"),
            ("0xNotHex", "0xNotHex"),
        ] {
            assert_eq!(canonical(given), kept);
        }
    }
}
