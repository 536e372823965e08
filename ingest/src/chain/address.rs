//! The canonical form of addresses, hashes and ids, so that equal ones are equal text whatever a source writes.

/// The canonical form of an address, hash or id: lower case where its form ignores case (hexadecimal with `0x`,
/// bech32 in capitals, BIP-173), otherwise as it is.
#[must_use]
pub fn canonical(text: &str) -> String {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let ignores_case = match hexadecimal {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => text.starts_with("BC1") && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
    };
    if ignores_case { text.to_ascii_lowercase() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
