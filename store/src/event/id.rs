//! The identity of an event.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Identity of an event: the first 16 bytes of
/// SHA-256(`system` ‖ 0x00 ‖ `source` ‖ 0x00 ‖ the source's own id), written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId(pub [u8; 16]);

impl EventId {
    /// The id of what `source` calls `source_id` within `system`. `source` is the authenticated credential.
    #[must_use]
    pub fn derive(system: &str, source: &str, source_id: &str) -> EventId {
        let mut hasher = Sha256::new();
        for part in [system.as_bytes(), b"\0", source.as_bytes(), b"\0", source_id.as_bytes()] {
            hasher.update(part);
        }
        let digest = hasher.finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        EventId(id)
    }

    /// The id as 32 hexadecimal digits, without an allocation.
    pub fn write_digits(self, digits: &mut [u8; 32]) -> &str {
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [byte >> 4, byte & 15].map(|value| HEX_DIGITS[usize::from(value)]);
        }
        std::str::from_utf8(digits).expect("digits are ASCII")
    }
}

const HEX_DIGITS: [u8; 16] = *b"0123456789abcdef";

/// No value of a hexadecimal digit.
const NO_HEX: u8 = 0x80;

/// The value of each byte as a hexadecimal digit. An id is read for every event, which by a table takes a
/// fraction of what the general crate needs.
const HEX_VALUES: [u8; 256] = {
    let mut values = [NO_HEX; 256];
    let mut value = 0;
    while value < 16 {
        values[HEX_DIGITS[value as usize] as usize] = value;
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.write_digits(&mut [0; 32]))
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("`{text}` is not 32 hexadecimal digits");
        let (pairs, _) = text.as_bytes().as_chunks::<2>();
        let mut id = [0; 16];
        let mut wrong = u8::from(text.len() != 32);
        for (byte, [high, low]) in id.iter_mut().zip(pairs) {
            let (high, low) = (HEX_VALUES[usize::from(*high)], HEX_VALUES[usize::from(*low)]);
            wrong |= (high | low) & NO_HEX;
            *byte = high << 4 | low;
        }
        if wrong != 0 {
            return Err(refuse());
        }
        Ok(EventId(id))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_each_part_and_on_where_parts_end() {
        let id = EventId::derive("s", "a", "b1");
        assert_eq!(id, EventId::derive("s", "a", "b1"));
        assert_ne!(id, EventId::derive("s", "ab", "1"));
        assert_ne!(id, EventId::derive("s2", "a", "b1"));
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
    }

    #[test]
    fn an_id_is_read_as_the_general_crate_reads_it() {
        let id = "00ff7f80a5c3deadbeefDEADBEEF0123";
        for (at, _) in id.char_indices() {
            for sign in (0..=0x7f).map(char::from).chain(['é']) {
                let mut text = id.to_owned();
                text.replace_range(at..=at, &sign.to_string());
                let mut bytes = [0; 16];
                let read = hex::decode_to_slice(&text, &mut bytes).ok().map(|()| EventId(bytes));
                assert_eq!(text.parse().ok(), read, "{text}");
            }
        }
        for text in ["", &id[1..], &format!("{id}0"), &format!("{id}00")] {
            assert_eq!(text.parse::<EventId>().unwrap_err(), format!("`{text}` is not 32 hexadecimal digits"));
        }
    }
}
