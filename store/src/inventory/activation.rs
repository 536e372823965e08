//! What is declared of a system as its record of the log, and back. A long declaration stands there compressed, so that a
//! system with very many wallets has one record like any other: rules and alerts see all of it from the same log time on.
//!
//! The packed form is the canonical JSON of the declaration as zlib (RFC 1950) in base64 (RFC 4648 §4). `sha256` is of that
//! JSON in either form.

use std::io::{self, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::declared::System;
use super::tables::TABLES;
use crate::event::{CanonicalJson, Origin};
use crate::limits::{ACTIVATION_ROOM_BYTES, DECLARED_BYTES_MAX, DECLARED_PLAIN_BYTES_MAX, LINE_BYTES_MAX};
use crate::{Event, Instant, line};

/// A declaration as it is written.
struct Written {
    /// As JSON.
    value: Value,
    /// The canonical text of that.
    text: CanonicalJson,
}

impl Written {
    fn of(system: &System) -> Written {
        let value = json!(system);
        let text = CanonicalJson::from(&value);
        Written { value, text }
    }

    fn digest(&self) -> String {
        digest_of(self.text.as_str())
    }

    /// The `inventory.activated` of the system of that id.
    fn record(&self, id: &str, time: Instant) -> (Event, String) {
        let digest = self.digest();
        let detail = if self.text.as_str().len() > DECLARED_PLAIN_BYTES_MAX {
            json!({ "packed": packed(self.text.as_str()), "sha256": digest })
        } else {
            json!({ "declared": self.value, "sha256": digest })
        };
        let origin = Origin { system: id.to_owned(), source: "keywatch".to_owned() };
        let mut activated = Event::builder(&origin, &format!("inventory/{digest}/{time}"), "inventory.activated", time);
        activated.time(time).detail(&detail);
        (activated.build_own(), digest)
    }
}

/// The hash of a declaration.
pub(super) fn digest(system: &System) -> String {
    Written::of(system).digest()
}

/// The `inventory.activated` of a system, and the hash of what is declared.
pub(super) fn record(system: &System, time: Instant) -> (Event, String) {
    Written::of(system).record(&system.id, time)
}

/// What an `inventory.activated` declares; `None` when the record does not hold it, or not all of it.
pub(super) fn read(event: &Event) -> Option<System> {
    let mut detail = event.detail().value();
    if let Some(declared) = detail.get_mut("declared") {
        return System::deserialize(declared.take()).ok();
    }
    let text = unpacked(detail["packed"].as_str()?)?;
    // What breaks off is not always noticed by whoever unpacks it.
    if detail["sha256"] != digest_of(&text) {
        return None;
    }
    serde_json::from_str(&text).ok()
}

/// Whether a declaration has room in the log, where one that has none could not be activated.
///
/// # Errors
/// How long it is, how much there is room for, and about how many of its entries that are.
pub(super) fn check(system: &System) -> Result<(), String> {
    let written = Written::of(system);
    let length = written.text.as_str().len();
    if length <= DECLARED_PLAIN_BYTES_MAX {
        return Ok(());
    }
    if length > DECLARED_BYTES_MAX {
        return Err(too_long(system, "as JSON", length, DECLARED_BYTES_MAX));
    }
    let bytes = line::write(&written.record(&system.id, Instant(1)).0).len();
    let most = LINE_BYTES_MAX - ACTIVATION_ROOM_BYTES;
    if bytes > most { Err(too_long(system, "compressed, as a record of the log", bytes, most)) } else { Ok(()) }
}

fn too_long(system: &System, form: &str, bytes: usize, most: usize) -> String {
    let counts = TABLES.iter().map(|table| (table.name, system.rows(table.name).len()));
    let (table, count) = counts.max_by_key(|(_, count)| *count).unwrap_or_default();
    let fit = count.saturating_mul(most) / bytes.max(1);
    format!(
        "what is declared of it takes {bytes} bytes {form}, of which there is room for {most}: about {fit} of its {count} \
         entries of `{table}` fit; declare the others in a system of their own"
    )
}

fn digest_of(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn packed(text: &str) -> String {
    let compressed = || -> io::Result<Vec<u8>> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes())?;
        encoder.finish()
    };
    STANDARD.encode(compressed().expect("bytes in memory take everything"))
}

/// `None` for what is no such text, or is longer than any that is written.
fn unpacked(packed: &str) -> Option<String> {
    let compressed = STANDARD.decode(packed).ok()?;
    let cap = u64::try_from(DECLARED_BYTES_MAX).ok()?.saturating_add(1);
    let mut text = String::new();
    ZlibDecoder::new(compressed.as_slice()).take(cap).read_to_string(&mut text).ok()?;
    (text.len() <= DECLARED_BYTES_MAX).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inventory;
    use crate::inventory::{Source, Wallet};

    /// Addresses of a chain, which nothing compresses as well as their names.
    fn address(number: usize) -> String {
        format!("0x{}", hex::encode(&Sha256::digest(number.to_be_bytes())[..20]))
    }

    /// A system with so many wallets, of which as much is declared as of those in use.
    fn system(wallets: usize) -> System {
        let source =
            |source: &str, feed: &str| Source { source: source.into(), feed: feed.into(), ..Source::default() };
        let wallet = |number: usize| Wallet {
            wallet: address(number),
            chain: "ethereum".into(),
            temperature: ["hot", "warm", "cold"][number % 3].into(),
            technology: ["mpc", "safe", "hsm"][number / 3 % 3].into(),
            threshold: i64::try_from(number % 5 + 1).unwrap(),
            purpose: ["customer_withdrawals", "treasury", "cold"][number / 5 % 3].into(),
            signer: "custody-platform".into(),
            node: "ethereum-node".into(),
            first_block: i64::try_from(20_000_000 + number * 7).unwrap(),
            ..Wallet::default()
        };
        System {
            id: "cold".into(),
            wallets: (0..wallets).map(wallet).collect(),
            sources: vec![source("custody-platform", "fireblocks"), source("ethereum-node", "chain")],
            ..System::default()
        }
    }

    fn with_detail(event: &Event, detail: &Value) -> Event {
        event.changed(|event| event.detail(detail))
    }

    #[test]
    fn twelve_thousand_wallets_are_one_record_and_come_back_from_it() {
        let system = system(12_000);
        assert_eq!(system.check(), Ok(()));
        let (event, digest) = record(&system, Instant(5));
        let line = line::write(&event);
        assert!(line.len() < LINE_BYTES_MAX * 3 / 4, "{} bytes", line.len());
        let detail = event.detail().value();
        assert!(detail.get("declared").is_none());
        assert_eq!(detail["sha256"], digest);
        assert_eq!(
            (digest.clone(), digest),
            (system.digest(), digest_of(CanonicalJson::from(&json!(system)).as_str()))
        );
        let read_back = line::read(line.as_bytes()).unwrap();
        assert_eq!(read(&read_back).as_ref(), Some(&system));
        assert_eq!(Inventory::from_activation(&read_back).unwrap().systems, std::slice::from_ref(&system));
        for table in TABLES {
            assert_eq!(system.batch(table).unwrap().num_rows(), system.rows(table.name).len());
        }
        assert_eq!(system.rows("wallets").last().unwrap()["wallet"], address(11_999));
    }

    #[test]
    fn what_is_short_stands_there_as_it_is() {
        let system = system(500);
        let (event, digest) = record(&system, Instant(5));
        let declared = json!({ "declared": json!(system), "sha256": digest });
        assert_eq!(event.detail().as_str(), CanonicalJson::from(&declared).as_str());
        assert_eq!(read(&event), Some(system));
    }

    #[test]
    fn what_is_long_is_read_in_the_form_of_before_too() {
        let system = system(2_000);
        let (event, digest) = record(&system, Instant(5));
        assert!(event.detail().value()["packed"].is_string());
        let before = with_detail(&event, &json!({ "declared": json!(system), "sha256": digest }));
        assert_eq!(read(&before), Some(system));
    }

    #[test]
    fn a_damaged_record_declares_nothing() {
        let (event, digest) = record(&system(2_000), Instant(5));
        let whole = event.detail().value()["packed"].as_str().unwrap().to_owned();
        assert!(read(&with_detail(&event, &json!({ "packed": whole, "sha256": digest }))).is_some());
        let other = |letter: u8| if letter == b'A' { "B" } else { "A" };
        for place in [0, 5, whole.len() / 3, whole.len() / 2, whole.len() / 4 * 3] {
            let mut changed = whole.clone();
            changed.replace_range(place..=place, other(whole.as_bytes()[place]));
            assert_eq!(read(&with_detail(&event, &json!({ "packed": changed, "sha256": digest }))), None, "{place}");
        }
        for cut in ["", "no base64!", &whole[..whole.len() / 8 * 4]] {
            assert_eq!(read(&with_detail(&event, &json!({ "packed": cut, "sha256": digest }))), None);
        }
        for text in ["[]", "{}", "{\"id\":1}", "{\"id\":\"a\",\"unknown\":1}"] {
            assert_eq!(read(&with_detail(&event, &json!({ "packed": packed(text), "sha256": digest_of(text) }))), None);
        }
        let another = digest_of("another");
        let unsaid = [json!({ "packed": whole }), json!({ "packed": whole, "sha256": another })];
        for detail in unsaid.into_iter().chain([json!({}), json!({ "packed": 5 })]) {
            assert_eq!(read(&with_detail(&event, &detail)), None);
        }
    }

    #[test]
    fn p7_what_unpacks_to_more_than_is_ever_declared_declares_nothing() {
        let padded = |bytes: usize| format!("{{\"id\":\"a\"{}}}", " ".repeat(bytes - 10));
        let (event, _) = record(&system(1), Instant(5));
        for (bytes, is_read) in [(DECLARED_BYTES_MAX, true), (DECLARED_BYTES_MAX + 1, false)] {
            let text = padded(bytes);
            assert_eq!(text.len(), bytes);
            let detail = json!({ "packed": packed(&text), "sha256": digest_of(&text) });
            assert_eq!(read(&with_detail(&event, &detail)).is_some(), is_read, "{bytes}");
        }
    }

    #[test]
    fn what_has_no_room_is_refused_with_how_much_has() {
        let large = system(40_000);
        let problem = large.check().unwrap_err();
        let numbers: Vec<usize> =
            problem.split(|next: char| !next.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        let [bytes, most, fit, count] = numbers[..] else { panic!("{problem}") };
        assert!(bytes > most && most < LINE_BYTES_MAX && most > LINE_BYTES_MAX - 1024, "{problem}");
        assert!(count == 40_000 && (15_000..40_000).contains(&fit), "{problem}");
        assert!(problem.contains("`wallets`") && problem.contains("system of their own"), "{problem}");
        // Some fewer than it says do fit.
        assert_eq!(system(fit * 9 / 10).check(), Ok(()));
        let text = Inventory { systems: vec![large] };
        let error = Inventory::parse("i.toml", &toml::to_string(&text).unwrap()).unwrap_err().to_string();
        assert!(
            error.starts_with("i.toml: ") && error.contains("system `cold`: what is declared of it takes"),
            "{error}"
        );
    }
}
