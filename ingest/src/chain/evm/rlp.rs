//! Recursive length prefix, as transactions, headers and receipts are hashed. Source: Yellow Paper, appendix B.

use alloy::primitives::U256;

/// Puts a number behind what is there: its bytes without leading zeros.
pub(super) fn put_number(out: &mut Vec<u8>, number: U256) {
    put(out, &number.to_be_bytes_trimmed_vec());
}

/// Puts a text of bytes; one small byte stands for itself.
pub(super) fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    if !matches!(bytes, [byte] if *byte < 0x80) {
        put_length(out, 0x80, bytes.len());
    }
    out.extend_from_slice(bytes);
}

/// Puts a list, of which `list` holds the entries.
pub(super) fn put_list(out: &mut Vec<u8>, list: &[u8]) {
    put_length(out, 0xc0, list.len());
    out.extend_from_slice(list);
}

/// A length up to 55 in one byte with what begins it, a longer one behind the number of its own bytes.
fn put_length(out: &mut Vec<u8>, begins: u8, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short <= 55 => out.push(begins + short),
        _ => {
            let digits = U256::from(length).to_be_bytes_trimmed_vec();
            out.push(begins + 55 + u8::try_from(digits.len()).expect("a length has at most eight bytes"));
            out.extend(digits);
        }
    }
}
