//! What the last look at an Open Policy Agent saw: hashes of its policies, its data and its configuration. They stand in the
//! cursor of the list, so that a change is found across a restart. It asks nobody and knows no content.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::limits::{PULL_POLICIES_MAX, PULL_POLICIES_TOLD_MAX, PULL_POLICY_ID_BYTES_MAX};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Config,
    Policies,
    Data,
}

impl Part {
    const ALL: [Part; 3] = [Part::Config, Part::Policies, Part::Data];

    /// The word for it in events and in the cursor.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Config => "config",
            Part::Policies => "policies",
            Part::Data => "data",
        }
    }

    fn named(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// A part as it was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) sha256: String,
    /// Of policies, the hash of each by its id.
    pub(super) members: BTreeMap<String, String>,
}

impl Digest {
    /// Of policies: the text of each, by id. An id may stand there twice.
    pub(super) fn of_policies<'a>(policies: impl IntoIterator<Item = (&'a str, &'a str)>) -> Digest {
        let policies = policies.into_iter().map(|(id, text)| (id.to_owned(), sha256(text.as_bytes())));
        let policies: Vec<(String, String)> = policies.collect();
        let members = policies.iter().map(|(id, hash)| (shortened(id), hash.clone())).collect();
        Digest { sha256: of_pairs(policies), members }
    }
}

/// SHA-256 in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Of ids and hashes, whatever their order. As JSON, so that no id can pass for two.
fn of_pairs(mut pairs: Vec<(String, String)>) -> String {
    pairs.sort();
    sha256(serde_json::json!(pairs).to_string().as_bytes())
}

/// An id that can stand in an event.
fn shortened(id: &str) -> String {
    if id.len() <= PULL_POLICY_ID_BYTES_MAX {
        return id.to_owned();
    }
    let end = (0..=PULL_POLICY_ID_BYTES_MAX / 2).rev().find(|end| id.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…{}", &id[..end], &sha256(id.as_bytes())[..16])
}

/// What the operator says that an OPA should hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expected {
    /// SHA-256 of the text of each policy, by id; all of them.
    policies: Option<BTreeMap<String, String>>,
    data: Option<String>,
    config: Option<String>,
}

impl Expected {
    /// Whether a part is what it should be.
    pub(super) fn verdict(&self, part: Part, digest: &Digest) -> Verdict {
        let wanted = match part {
            Part::Policies => self.policies.as_ref().map(|policies| {
                of_pairs(policies.iter().map(|(id, hash)| (id.clone(), hash.to_lowercase())).collect())
            }),
            Part::Data => self.data.as_ref().map(|hash| hash.to_lowercase()),
            Part::Config => self.config.as_ref().map(|hash| hash.to_lowercase()),
        };
        match wanted {
            None => Verdict::Undeclared,
            Some(wanted) if wanted == digest.sha256 => Verdict::Expected,
            Some(_) => Verdict::Unexpected,
        }
    }
}

/// Whether a part is what the operator says that it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is said of it.
    Undeclared,
    Expected,
    Unexpected,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Undeclared => "undeclared",
            Verdict::Expected => "expected",
            Verdict::Unexpected => "unexpected",
        }
    }

    fn named(name: &str) -> Verdict {
        let known = [Verdict::Expected, Verdict::Unexpected].into_iter().find(|verdict| verdict.name() == name);
        known.unwrap_or(Verdict::Undeclared)
    }
}

/// What is to be said of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// `seen`, `changed`, `expected` or `unexpected`.
    pub(super) outcome: &'static str,
    pub(super) sha256: String,
    /// The hash before, where it was another.
    pub(super) before: Option<String>,
    /// Ids of policies that came, went or are others; the first of them.
    pub(super) changed: Vec<String>,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    parts: BTreeMap<Part, (String, Verdict)>,
    policies: BTreeMap<String, String>,
    unread: BTreeSet<Part>,
}

impl Seen {
    /// As it stands in a cursor; what is not understood there is passed over.
    pub(super) fn read(lines: &[String]) -> Seen {
        let mut seen = Seen::default();
        for line in lines {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            match words.as_slice() {
                ["policy", hash, id] => {
                    seen.policies.insert((*id).to_owned(), (*hash).to_owned());
                }
                ["unread", part] => seen.unread.extend(Part::named(part)),
                [part, hash, verdict] => {
                    let verdict = Verdict::named(verdict);
                    seen.parts.extend(Part::named(part).map(|part| (part, ((*hash).to_owned(), verdict))));
                }
                _ => {}
            }
        }
        seen
    }

    /// As lines for a cursor.
    pub(super) fn write(&self) -> Vec<String> {
        let parts = self.parts.iter();
        let parts = parts.map(|(part, (hash, verdict))| format!("{} {hash} {}", part.name(), verdict.name()));
        let unread = self.unread.iter().map(|part| format!("unread {}", part.name()));
        let policies = self.policies.iter().map(|(id, hash)| format!("policy {hash} {id}"));
        parts.chain(unread).chain(policies).collect()
    }

    /// Takes a part as it is now. What is to be said of it, where that is new or `again` is asked for.
    pub(super) fn take(&mut self, part: Part, digest: Digest, verdict: Verdict, again: bool) -> Option<Said> {
        let before = self.parts.insert(part, (digest.sha256.clone(), verdict));
        let is_first = before.is_none();
        let is_judged_anew = before.as_ref().is_some_and(|(_, judged)| *judged != verdict);
        let before = before.map(|(hash, _)| hash).filter(|hash| *hash != digest.sha256);
        let changed = if part == Part::Policies { self.policies_now(digest.members, is_first) } else { Vec::new() };
        if !is_first && before.is_none() && !is_judged_anew && !again {
            return None;
        }
        let outcome = match verdict {
            Verdict::Undeclared if before.is_some() => "changed",
            Verdict::Undeclared => "seen",
            judged => judged.name(),
        };
        Some(Said { outcome, sha256: digest.sha256, before, changed })
    }

    /// Ids of policies that differ from those before, which are forgotten.
    fn policies_now(&mut self, now: BTreeMap<String, String>, is_first: bool) -> Vec<String> {
        let now: BTreeMap<String, String> = now.into_iter().take(PULL_POLICIES_MAX).collect();
        let ids: BTreeSet<&String> = now.keys().chain(self.policies.keys()).collect();
        let differing = ids.into_iter().filter(|id| now.get(*id) != self.policies.get(*id));
        let told = if is_first { 0 } else { PULL_POLICIES_TOLD_MAX };
        let changed = differing.take(told).cloned().collect();
        self.policies = now;
        changed
    }

    /// Notes that a part could not be read; whether that is new.
    pub(super) fn unreadable(&mut self, part: Part) -> bool {
        self.unread.insert(part)
    }

    /// Notes that a part was read; whether it could not be before.
    pub(super) fn readable(&mut self, part: Part) -> bool {
        self.unread.remove(&part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(texts: &[(&str, &str)]) -> Digest {
        Digest::of_policies(texts.iter().copied())
    }

    fn take(seen: &mut Seen, digest: &Digest, verdict: Verdict, again: bool) -> Option<Said> {
        seen.take(Part::Policies, digest.clone(), verdict, again)
    }

    #[test]
    fn a_change_is_told_once_with_the_hash_before_and_the_names_also_after_a_restart() {
        let (one, other) = (policies(&[("a", "x"), ("b", "y")]), policies(&[("a", "x"), ("b", "z"), ("c", "w")]));
        let mut seen = Seen::default();
        let first = take(&mut seen, &one, Verdict::Undeclared, false).unwrap();
        assert_eq!((first.outcome, first.before, first.changed), ("seen", None, Vec::new()));
        assert_eq!(take(&mut seen, &one, Verdict::Undeclared, false), None);
        let again = take(&mut seen, &one, Verdict::Undeclared, true).unwrap();
        assert_eq!((again.outcome, again.before), ("seen", None));

        seen = Seen::read(&seen.write());
        let changed = take(&mut seen, &other, Verdict::Undeclared, false).unwrap();
        assert_eq!((changed.outcome, changed.before.as_ref()), ("changed", Some(&one.sha256)));
        assert_eq!((changed.sha256, changed.changed), (other.sha256.clone(), vec!["b".to_owned(), "c".to_owned()]));
        assert_eq!(take(&mut seen, &other, Verdict::Undeclared, false), None);
        assert_eq!(take(&mut seen, &one, Verdict::Undeclared, false).unwrap().changed, ["b", "c"]);
    }

    #[test]
    fn what_is_expected_is_judged_anew_when_it_changes() {
        let digest = policies(&[("a.rego", "package a")]);
        let expected = |hash: &str| {
            let text = format!(r#"{{"policies": {{"a.rego": "{hash}"}}}}"#);
            serde_json::from_str::<Expected>(&text).unwrap().verdict(Part::Policies, &digest)
        };
        let right = sha256(b"package a").to_uppercase();
        assert_eq!((expected(&right), expected("00")), (Verdict::Expected, Verdict::Unexpected));
        assert_eq!(Expected::default().verdict(Part::Policies, &digest), Verdict::Undeclared);
        let further = policies(&[("a.rego", "package a"), ("b.rego", "package b")]);
        let one: Expected =
            serde_json::from_str(&format!(r#"{{"policies": {{"a.rego": "{}"}}}}"#, sha256(b"package a"))).unwrap();
        assert_eq!(one.verdict(Part::Policies, &further), Verdict::Unexpected, "one more is not what is expected");

        let mut seen = Seen::default();
        assert_eq!(take(&mut seen, &digest, Verdict::Unexpected, false).unwrap().outcome, "unexpected");
        seen = Seen::read(&seen.write());
        assert_eq!(take(&mut seen, &digest, Verdict::Unexpected, false), None);
        let judged = take(&mut seen, &digest, Verdict::Expected, false).unwrap();
        assert_eq!((judged.outcome, judged.before), ("expected", None));
        assert!(serde_json::from_str::<Expected>(r#"{"policy": {}}"#).is_err());
    }

    #[test]
    fn no_id_passes_for_two_policies_and_a_long_one_is_cut() {
        let one = policies(&[("a", "x"), ("b", "y")]);
        let posing = format!("a\",\"{}\"],[\"b", sha256(b"x"));
        let posing = policies(&[(posing.as_str(), "y")]);
        assert_ne!(one.sha256, posing.sha256);
        assert_ne!(one.sha256, policies(&[("a", "x"), ("b", "y"), ("b", "y")]).sha256);
        assert_eq!(one.sha256, policies(&[("b", "y"), ("a", "x")]).sha256);
        let long = "é".repeat(PULL_POLICY_ID_BYTES_MAX);
        let id = policies(&[(long.as_str(), "x")]).members.into_keys().next().unwrap();
        assert!(id.len() <= PULL_POLICY_ID_BYTES_MAX && id.starts_with('é'), "{id}");
    }

    #[test]
    fn what_cannot_be_read_any_more_is_told_once_and_forgets_nothing() {
        let digest = policies(&[("with a blank.rego", "x")]);
        let mut seen = Seen::default();
        take(&mut seen, &digest, Verdict::Undeclared, false).unwrap();
        assert!(seen.unreadable(Part::Policies) && !seen.unreadable(Part::Policies));
        let restored = Seen::read(&seen.write());
        assert_eq!(restored, seen);
        seen = restored;
        assert!(seen.readable(Part::Policies) && !seen.readable(Part::Policies));
        assert_eq!(take(&mut seen, &digest, Verdict::Undeclared, false), None);
        assert_eq!(Seen::read(&["nonsense".to_owned(), "other ab expected".to_owned()]), Seen::default());
    }
}
