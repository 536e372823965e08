//! The seal of a revocation document: a MAC over what says which document it is, with the key under which this keywatch
//! writes its log. Who may write at a decision point, but has not that key, can put a document there that says any sequence
//! number, and cannot make one that counts as the successor of ours.
//!
//! It knows no decision point and no file.

use keywatch_store::event::CanonicalJson;
use keywatch_store::log::hash_chain::Key;
use serde_json::{Value, json};

/// Keeps the seal apart from all else that is signed with the same key.
const NAME: &[u8] = b"revocation document 1";

/// The fields of `revocations.meta` that are sealed. Where the log ended is left out, as it is where documents are compared.
const SEALED: [&str; 6] = ["system", "seq", "sha256", "prev_sha256", "issued_at", "expires_at"];

/// Bytes of a MAC.
const MAC_BYTES: usize = 32;

/// What seals the revocation documents of one keywatch, and knows its own again.
#[derive(Clone, Debug)]
pub struct Seal {
    key: Key,
}

impl Seal {
    /// With the key of the role that writes the log.
    #[must_use]
    pub fn new(key: Key) -> Seal {
        Seal { key }
    }

    /// The MAC over what stands, or is to stand, at `revocations.meta`: 64 hexadecimal digits.
    #[must_use]
    pub fn mac(&self, meta: &Value) -> String {
        let content = sealed(meta);
        let with_mac = self.key.seal_value(NAME, content.as_bytes());
        hex::encode(&with_mac[content.len()..])
    }

    /// Whether what stands at `revocations.meta` was sealed with this key, for this system.
    #[must_use]
    pub fn is_ours(&self, system: &str, meta: &Value) -> bool {
        let Some(mac) = meta["mac"].as_str().and_then(|mac| hex::decode(mac).ok()) else { return false };
        let with_mac = [sealed(meta).as_bytes(), &mac].concat();
        // A MAC of another length would move the place where the content ends.
        mac.len() == MAC_BYTES && meta["system"] == system && self.key.open_value(NAME, &with_mac).is_some()
    }
}

/// The sealed fields as canonical JSON; one that is missing is `null`.
fn sealed(meta: &Value) -> String {
    let mut fields = json!({});
    for field in SEALED {
        fields[field] = meta[field].clone();
    }
    CanonicalJson::from(&fields).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(sequence: u64) -> Value {
        json!({
            "system": "cold", "seq": sequence, "sha256": "ab", "prev_sha256": "cd", "issued_at": 1_740_116_560,
            "expires_at": 1_740_116_680, "log_head": { "position": 7, "hash": "ef" },
        })
    }

    fn sealed_by(seal: &Seal, mut meta: Value) -> Value {
        meta["mac"] = Value::from(seal.mac(&meta));
        meta
    }

    #[test]
    fn only_the_same_key_makes_a_document_of_ours() {
        let (ours, other) = (Seal::new(Key::new(&[1; 32])), Seal::new(Key::new(&[2; 32])));
        let document = sealed_by(&ours, meta(7));
        assert!(ours.is_ours("cold", &document));
        assert!(!other.is_ours("cold", &document));
        assert!(!ours.is_ours("warm", &document), "the document of another system is none of this one");
        assert!(!ours.is_ours("cold", &meta(7)), "no MAC");
    }

    #[test]
    fn a_mac_of_one_document_does_for_no_other() {
        let seal = Seal::new(Key::new(&[1; 32]));
        let document = sealed_by(&seal, meta(7));
        let changes = [
            ("seq", json!(u64::MAX)),
            ("seq", json!("7")),
            ("sha256", json!("00")),
            ("prev_sha256", json!("00")),
            ("issued_at", json!(1)),
            ("expires_at", json!(1)),
            ("system", json!("warm")),
            ("mac", json!("")),
            ("mac", json!("zz")),
            ("mac", Value::Null),
        ];
        for (field, value) in changes {
            let mut changed = document.clone();
            changed[field] = value;
            assert!(!seal.is_ours("cold", &changed), "{field}: {changed}");
        }
        for broken in [Value::Null, json!([]), json!("meta"), json!({ "mac": 7 })] {
            assert!(!seal.is_ours("cold", &broken), "{broken}");
        }
        let mut elsewhere = document.clone();
        elsewhere["log_head"] = json!({ "position": 9, "hash": "ab" });
        assert!(seal.is_ours("cold", &elsewhere), "where the log ended is not sealed");
    }
}
