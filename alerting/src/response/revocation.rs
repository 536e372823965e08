//! The revocation document that a policy decision point reads at its data root `revocations`.
//!
//! It is a fold over `response.requested` records and nothing else, so that a restart publishes the same document. Names
//! that have expired in log time leave when the next response joins; what the document says never changes without its
//! sequence number. The hash of a document is made of the hash of the one before and of what changed, so that it costs the
//! same however long the list is. It knows no clock: `issued_at` is stamped by who publishes.

use std::collections::BTreeMap;

use keywatch_store::Instant;
use keywatch_store::event::CanonicalJson;
use keywatch_store::finding::Target;
use keywatch_store::log::TopicHead;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::limits::DOCUMENT_VALID_SECONDS;
use crate::response::intent::{Response, SECTIONS, Targets};

/// Why and since when a name is revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The alert it answers.
    pub alert_id: String,
    /// Log time of the decision, unix seconds. For a subject: sessions begun until then are cut.
    pub at: i64,
    /// Rule that asked for it.
    pub reason: String,
    /// Unix seconds of log time after which it may be forgotten; quarantines have none.
    pub expires_at: Option<i64>,
}

/// The document of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationDocument {
    /// The trusted environment.
    pub system: String,
    /// Responses it holds since the beginning; 0 when nothing was ever revoked.
    pub sequence: u64,
    /// Hash of the document before, hexadecimal; empty at sequence 0.
    pub prev_sha256: String,
    sha256: String,
    /// When it was stamped, unix seconds of the wall clock; 0 until [`RevocationDocument::stamped`].
    pub issued_at: i64,
    /// Where the events topic ended when it was stamped, and the first 16 digits of the hash of its last batch: a place
    /// outside that can tell later whether the log was cut.
    pub log_head: Option<(u64, String)>,
    /// MAC over what says which document it is, hexadecimal; made with each stamp.
    #[serde(skip)]
    mac: Option<String>,
    sections: BTreeMap<Target, BTreeMap<String, Entry>>,
}

impl RevocationDocument {
    /// The document of a system in which nothing is revoked.
    #[must_use]
    pub fn empty(system: &str) -> RevocationDocument {
        RevocationDocument { system: system.to_owned(), ..RevocationDocument::default() }
    }

    /// The entry of a name, expired or not.
    #[must_use]
    pub fn entry(&self, target: Target, name: &str) -> Option<&Entry> {
        self.sections.get(&target)?.get(name)
    }

    /// Whether a name is revoked, in whatever case it is written. Goes through the whole section.
    #[must_use]
    pub fn holds(&self, target: Target, name: &str) -> bool {
        let small = name.to_lowercase();
        self.sections.get(&target).is_some_and(|section| {
            section.contains_key(name) || section.keys().any(|revoked| revoked.to_lowercase() == small)
        })
    }

    /// Names in a section.
    #[must_use]
    pub fn len(&self, target: Target) -> usize {
        self.sections.get(&target).map_or(0, BTreeMap::len)
    }

    /// Whether nothing is revoked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.values().all(BTreeMap::is_empty)
    }

    /// The next document: what has expired by the response's log time leaves, its targets join.
    pub fn merge(&mut self, response: &Response) {
        let expired = self.expire(response.since());
        let mut joined = Vec::new();
        for (target, name) in response.targets.iter() {
            let forgettable = matches!(target, Target::Session | Target::Subject);
            let entry = Entry {
                alert_id: response.alert_id.clone(),
                at: response.since().unix_seconds(),
                reason: response.rule.clone(),
                expires_at: forgettable.then_some(response.sessions_until),
            };
            joined.push(json!([section_name(target), name, entry.to_value(target)]));
            self.sections.entry(target).or_default().insert(name.to_owned(), entry);
        }
        self.advance(&json!({ "joined": joined, "expired": expired }));
    }

    /// The next document, without these names: somebody let them in again.
    pub fn restore(&mut self, names: &Targets) {
        let mut left = Vec::new();
        for (target, name) in names.iter() {
            if self.sections.get_mut(&target).and_then(|section| section.remove(name)).is_some() {
                left.push(json!([section_name(target), name]));
            }
        }
        self.advance(&json!({ "restored": left }));
    }

    fn advance(&mut self, change: &Value) {
        self.prev_sha256 = self.sha256();
        self.sequence += 1;
        let step = json!({
            "system": self.system, "seq": self.sequence, "prev_sha256": self.prev_sha256, "change": change,
        });
        self.sha256 = digest(&step);
    }

    fn expire(&mut self, now: Instant) -> Vec<Value> {
        let mut expired = Vec::new();
        for (target, section) in &mut self.sections {
            section.retain(|name, entry| {
                let valid = entry.is_valid(now);
                if !valid {
                    expired.push(json!([section_name(*target), name]));
                }
                valid
            });
        }
        expired
    }

    /// The same document, stamped with the wall clock.
    #[must_use]
    pub fn stamped(mut self, issued_at: Instant) -> RevocationDocument {
        self.issued_at = issued_at.unix_seconds();
        self.mac = None;
        self
    }

    /// The same document with the head of the log beside its stamp.
    #[must_use]
    pub fn with_log_head(mut self, head: &TopicHead) -> RevocationDocument {
        self.log_head = Some((head.position.0, hex::encode(&head.hash[..8])));
        self
    }

    /// The same document with the MAC of its stamp, which whoever puts it in force has made.
    #[must_use]
    pub fn with_mac(mut self, mac: String) -> RevocationDocument {
        self.mac = Some(mac);
        self
    }

    /// Its hash, hexadecimal: of what changed and of the hash before, the stamp left out.
    #[must_use]
    pub fn sha256(&self) -> String {
        // Nothing changed before the first.
        if self.sequence == 0 { digest(&json!({ "system": self.system, "seq": 0 })) } else { self.sha256.clone() }
    }

    /// `<sequence>-<sha256>`, the revision of a bundle of it.
    #[must_use]
    pub fn revision(&self) -> String {
        format!("{}-{}", self.sequence, self.sha256())
    }

    /// What stands at the data root `revocations`. Every section is an object, empty ones too: a policy that misses one
    /// denies.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = self.sections_value();
        value["meta"] = self.meta_value();
        value
    }

    /// What stands at `revocations.meta`.
    #[must_use]
    pub fn meta_value(&self) -> Value {
        let mut meta = json!({
            "system": self.system, "seq": self.sequence, "sha256": self.sha256(), "prev_sha256": self.prev_sha256,
            "issued_at": self.issued_at, "expires_at": self.issued_at.saturating_add(DOCUMENT_VALID_SECONDS),
        });
        if let Some((position, hash)) = &self.log_head {
            meta["log_head"] = json!({ "position": position, "hash": hash });
        }
        if let Some(mac) = &self.mac {
            meta["mac"] = Value::from(mac.as_str());
        }
        meta
    }

    /// What stands at `revocations` besides `meta`. A name with capitals stands there in small letters as well, so that a
    /// policy finds it in one look-up however it is written. A name that no policy takes is left out.
    #[must_use]
    pub fn sections_value(&self) -> Value {
        let mut value = json!({});
        for target in SECTIONS {
            let mut section = serde_json::Map::new();
            for (name, entry) in self.sections.get(&target).into_iter().flatten().filter(|(name, _)| is_plain(name)) {
                let small = name.to_lowercase();
                let entry = entry.to_value(target);
                // A cut-off that was decided later cuts more, whichever way the name was written then.
                let earlier = |there: &Value| there["not_before"].as_i64() < entry["not_before"].as_i64();
                if section.get(&small).is_none_or(earlier) {
                    section.insert(small, entry.clone());
                }
                if section.get(name).is_none_or(earlier) {
                    section.insert(name.clone(), entry);
                }
            }
            value[section_name(target)] = Value::Object(section);
        }
        value
    }
}

/// Whether a name holds only what policies take in a name. They deny whoever brings another, and the hashes of bundles are
/// not agreed upon for such characters.
fn is_plain(name: &str) -> bool {
    !name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

fn digest(value: &Value) -> String {
    hex::encode(Sha256::digest(CanonicalJson::from(value).as_str().as_bytes()))
}

/// The key of a section in the document.
#[must_use]
pub fn section_name(target: Target) -> &'static str {
    match target {
        Target::Session => "sessions",
        Target::Subject => "subjects",
        Target::Device => "devices",
        Target::Request => "requests",
        Target::Wallet => "wallets",
    }
}

impl Entry {
    /// Whether it still counts at this log time.
    #[must_use]
    pub fn is_valid(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|until| now.unix_seconds() < until)
    }

    fn to_value(&self, target: Target) -> Value {
        let mut value = json!({ "alert_id": self.alert_id, "reason": self.reason });
        value[if target == Target::Subject { "not_before" } else { "at" }] = Value::from(self.at);
        if let Some(until) = self.expires_at {
            value["expires_at"] = Value::from(until);
        }
        value
    }
}
