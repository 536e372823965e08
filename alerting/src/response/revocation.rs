//! The revocation document that a policy decision point reads at its data root `revocations`.
//!
//! It is a fold over `response.requested` records and nothing else, so that a restart publishes the same document. Names
//! that have expired in log time leave when the next response joins; what the document says never changes without its
//! sequence number. Each document carries the hash of the one before. It knows no clock: `issued_at` is stamped by who
//! publishes.

use std::collections::BTreeMap;

use keywatch_store::Instant;
use keywatch_store::event::CanonicalJson;
use keywatch_store::finding::Target;
use keywatch_store::log::TopicHead;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::response::intent::{Response, SECTIONS};

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
    /// SHA-256 of the document before, hexadecimal; empty at sequence 0.
    pub prev_sha256: String,
    /// When it was stamped, unix seconds of the wall clock; 0 until [`RevocationDocument::stamped`].
    pub issued_at: i64,
    /// Where the events topic ended when it was stamped, and the first 16 digits of the hash of its last batch: a place
    /// outside that can tell later whether the log was cut.
    pub log_head: Option<(u64, String)>,
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
        self.prev_sha256 = self.sha256();
        self.sequence += 1;
        self.expire(response.decided);
        for (target, name) in response.targets.iter() {
            let forgettable = matches!(target, Target::Session | Target::Subject);
            let entry = Entry {
                alert_id: response.alert_id.clone(),
                at: response.decided.unix_seconds(),
                reason: response.rule.clone(),
                expires_at: forgettable.then_some(response.sessions_until),
            };
            self.sections.entry(target).or_default().insert(name.to_owned(), entry);
        }
    }

    fn expire(&mut self, now: Instant) {
        for section in self.sections.values_mut() {
            section.retain(|_, entry| entry.is_valid(now));
        }
    }

    /// The same document, stamped with the wall clock.
    #[must_use]
    pub fn stamped(mut self, issued_at: Instant) -> RevocationDocument {
        self.issued_at = issued_at.unix_seconds();
        self
    }

    /// The same document with the head of the log beside its stamp.
    #[must_use]
    pub fn with_log_head(mut self, head: &TopicHead) -> RevocationDocument {
        self.log_head = Some((head.position.0, hex::encode(&head.hash[..8])));
        self
    }

    /// SHA-256 of the content as canonical JSON, the stamp left out, hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut content = self.to_value();
        if let Some(meta) = content["meta"].as_object_mut() {
            meta.remove("issued_at");
            meta.remove("log_head");
        }
        hex::encode(Sha256::digest(CanonicalJson::from(&content).as_str().as_bytes()))
    }

    /// `<sequence>-<sha256>`, the revision a bundle of it would carry.
    #[must_use]
    pub fn revision(&self) -> String {
        format!("{}-{}", self.sequence, self.sha256())
    }

    /// What stands at the data root `revocations`. Every section is an object, empty ones too: a policy that misses one
    /// denies.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = json!({ "meta": {
            "system": self.system, "seq": self.sequence, "issued_at": self.issued_at, "prev_sha256": self.prev_sha256,
        }});
        if let Some((position, hash)) = &self.log_head {
            value["meta"]["log_head"] = json!({ "position": position, "hash": hash });
        }
        for target in SECTIONS {
            let entries = self.sections.get(&target).into_iter().flatten();
            let section: serde_json::Map<String, Value> =
                entries.map(|(name, entry)| (name.clone(), entry.to_value(target))).collect();
            value[section_name(target)] = Value::Object(section);
        }
        value
    }
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
