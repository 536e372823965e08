//! The event: one flat record for everything that a feed, keywatch itself or a rule says.
//!
//! An event is made without a log time; [`crate::log::admission`] gives it one. Nothing here reads a clock.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Amount, Instant};

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

/// Canonical JSON text of an object: keys sorted, no white space. The rest of an event that has no column.
///
/// The empty object, which most events have, is kept as no text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Detail(String);

const EMPTY: &str = "{}";

impl Detail {
    /// Takes text that is canonical already, because [`Detail::as_str`] gave it before it was kept.
    pub(crate) fn from_canonical(text: &str) -> Detail {
        Detail(if text == EMPTY { String::new() } else { text.to_owned() })
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { EMPTY } else { &self.0 }
    }

    /// The parsed object.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a detail is valid JSON by construction")]
    pub fn value(&self) -> Value {
        serde_json::from_str(self.as_str()).expect("a detail is valid JSON by construction")
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Detail").field(&self.as_str()).finish()
    }
}

impl From<&Value> for Detail {
    fn from(value: &Value) -> Self {
        let mut text = String::new();
        write_canonical(value, &mut text);
        if text == EMPTY {
            text.clear();
        }
        Detail(text)
    }
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// Who speaks: the authenticated credential of a feed and the system it may write for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The CCSS trusted environment; the partition key of the log.
    pub system: String,
    /// The authenticated source, as the inventory names it.
    pub source: String,
}

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Derived from system, source and the source's own id.
    pub event_id: EventId,
    /// The trusted environment it belongs to.
    pub system: String,
    /// Log time, nanoseconds UTC; [`Instant::UNASSIGNED`] until a log admits it.
    pub time: Instant,
    /// What the source claims, nanoseconds UTC.
    pub event_time: Instant,
    /// The authenticated source.
    pub source: String,
    /// A name of the registry in [`crate::kinds`].
    pub kind: String,
    /// Older on arrival than its source's declared delay.
    pub late: bool,
    /// Person or principal.
    pub actor: Option<String>,
    /// Session id at the identity provider.
    pub session: Option<String>,
    /// Device id.
    pub device: Option<String>,
    /// Address the actor came from.
    pub ip: Option<String>,
    /// ISO 3166-1 alpha-2 country of `ip`.
    pub country: Option<String>,
    /// Autonomous system number of `ip`.
    pub asn: Option<i64>,
    /// Wallet (address or vault id) acted upon, lower case where the chain's form is case-insensitive.
    pub wallet: Option<String>,
    /// Key id.
    pub key: Option<String>,
    /// Signing request (safeTxHash, Fireblocks transaction id …).
    pub request: Option<String>,
    /// Decision id of the policy decision point.
    pub decision: Option<String>,
    /// Transaction hash on the chain.
    pub tx: Option<String>,
    /// Chain name, e.g. `ethereum`, `bitcoin`.
    pub chain: Option<String>,
    /// Asset symbol or contract.
    pub asset: Option<String>,
    /// Where value comes from.
    pub from_address: Option<String>,
    /// Where value effectively goes to.
    pub to_address: Option<String>,
    /// Base units.
    pub amount: Option<Amount>,
    /// US cents.
    pub amount_usd_cents: Option<i64>,
    /// How it went; the words are listed for each kind in the registry.
    pub outcome: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Everything else, as canonical JSON.
    pub detail: Detail,
}

impl Event {
    /// An event of `kind` that `origin` calls `source_id`, with nothing else said yet.
    #[must_use]
    pub fn new(origin: &Origin, source_id: &str, kind: &str, event_time: Instant) -> Event {
        Event {
            event_id: EventId::derive(&origin.system, &origin.source, source_id),
            system: origin.system.clone(),
            event_time,
            source: origin.source.clone(),
            kind: kind.to_owned(),
            ..Event::blank()
        }
    }

    /// An event that says nothing, not even who speaks: to be filled in.
    #[must_use]
    pub fn blank() -> Event {
        Event {
            event_id: EventId::default(),
            system: String::new(),
            time: Instant::UNASSIGNED,
            event_time: Instant::UNASSIGNED,
            source: String::new(),
            kind: String::new(),
            late: false,
            actor: None,
            session: None,
            device: None,
            ip: None,
            country: None,
            asn: None,
            wallet: None,
            key: None,
            request: None,
            decision: None,
            tx: None,
            chain: None,
            asset: None,
            from_address: None,
            to_address: None,
            amount: None,
            amount_usd_cents: None,
            outcome: None,
            reason: None,
            detail: Detail::default(),
        }
    }

    /// Puts an amount into its column and, when the column saturates, its exact digits into the detail.
    pub fn set_amount(&mut self, amount: Amount) {
        if let Some(digits) = amount.beyond_column() {
            let mut detail = self.detail.value();
            detail[crate::amount::EXACT_KEY] = Value::from(digits);
            self.detail = Detail::from(&detail);
        }
        self.amount = Some(amount);
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

    #[test]
    fn an_empty_detail_is_the_same_wherever_it_comes_from() {
        let empty = serde_json::json!({});
        for detail in [Detail::from(&empty), Detail::from_canonical("{}"), Detail::default()] {
            assert_eq!(detail, Detail::default());
            assert_eq!((detail.as_str(), detail.is_empty(), detail.value()), ("{}", true, empty.clone()));
        }
    }

    #[test]
    fn detail_is_canonical_whatever_the_order_of_its_keys() {
        let one: Value = serde_json::from_str(r#"{"b": 1, "a": {"y": [1, 2], "x": null}}"#).unwrap();
        assert_eq!(Detail::from(&one).as_str(), r#"{"a":{"x":null,"y":[1,2]},"b":1}"#);
    }
}
