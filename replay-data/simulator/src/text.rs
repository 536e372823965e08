//! Names and addresses as text, without the formatting machinery: they are made for every event.

use crate::random::belonging;

const DIGITS: &[u8; 16] = b"0123456789abcdef";
/// The characters of Bech32 data (BIP 173).
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// `prefix` and a decimal number.
pub(crate) fn numbered(prefix: &str, number: u64) -> String {
    let mut text = String::with_capacity(prefix.len() + 12);
    text.push_str(prefix);
    push_decimal(&mut text, number);
    text
}

/// Appends a decimal number.
pub(crate) fn push_decimal(text: &mut String, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            break;
        }
    }
    digits[at..].iter().for_each(|digit| text.push(char::from(*digit)));
}

/// An Ethereum address: 20 bytes.
pub(crate) fn address(salt: u64, number: u64) -> String {
    hexadecimal("0x", salt, number, 40)
}

/// A hash of 32 bytes with `prefix`.
pub(crate) fn hash(prefix: &str, salt: u64, number: u64) -> String {
    hexadecimal(prefix, salt, number, 64)
}

fn hexadecimal(prefix: &str, salt: u64, number: u64, digits: usize) -> String {
    characters(prefix, salt, number, digits, 4, |bits| DIGITS[usize::from(bits & 15)])
}

/// A Bitcoin address as it looks, without a valid checksum: nobody shall pay it.
pub(crate) fn bitcoin_address(salt: u64, number: u64) -> String {
    characters("bc1q", salt, number, 38, 5, |bits| BECH32[usize::from(bits & 31)])
}

fn characters(prefix: &str, salt: u64, number: u64, count: usize, bits: u32, of: fn(u8) -> u8) -> String {
    let mut text = String::with_capacity(prefix.len() + count);
    text.push_str(prefix);
    let each = 64 / bits;
    let (mut word, mut left, mut topic) = (0, 0, 0_u64);
    for _ in 0..count {
        if left == 0 {
            word = belonging(salt.wrapping_add(topic), number);
            (left, topic) = (each, topic + 1);
        }
        let [low, ..] = word.to_le_bytes();
        text.push(char::from(of(low)));
        word >>= bits;
        left -= 1;
    }
    text
}

/// An address that begins and ends as `address` does and is another one between.
pub(crate) fn lookalike(address: &str, salt: u64, number: u64) -> String {
    const SHOWN: usize = 4;
    let other = self::address(salt, number);
    let (begin, end) = (2 + SHOWN, address.len() - SHOWN);
    [&address[..begin], &other[begin..end], &address[end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses_are_well_formed() {
        assert_eq!(numbered("p-", 0), "p-0");
        assert_eq!(numbered("p-", 18_446_744_073_709_551_615), "p-18446744073709551615");
        assert_eq!(address(1, 2).len(), 42);
        assert_ne!(address(1, 2), address(1, 3));
        assert_ne!(address(1, 2), address(2, 2));
        assert_eq!(bitcoin_address(1, 2).len(), 42);
    }

    #[test]
    fn a_lookalike_shows_the_same_ends_and_is_another() {
        let genuine = address(1, 2);
        let imitation = lookalike(&genuine, 9, 9);
        assert_ne!(genuine, imitation);
        assert_eq!((&genuine[..6], &genuine[38..]), (&imitation[..6], &imitation[38..]));
    }
}
