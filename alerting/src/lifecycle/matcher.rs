//! Which findings are meant: a rule, what it is about, and the sides that a finding names. Knows nothing of who says so, or
//! for how long.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::Finding;
use serde::{Deserialize, Serialize};

/// Facts that say who, whereby, from where or to what. All others count something, or are of one occurrence alone.
const NAMED_FACTS: [&str; 42] = [
    "act",
    "artifact",
    "asker",
    "asn",
    "asset",
    "call_name",
    "chain",
    "change",
    "country",
    "country_before",
    "endpoint",
    "failed_check",
    "fault",
    "granted_by",
    "granted_right",
    "how_it_went",
    "implementation_now",
    "ip",
    "key",
    "level_now",
    "module",
    "network",
    "one_sha256",
    "other_sha256",
    "path",
    "place",
    "place_before",
    "place_now",
    "replica",
    "repository",
    "second_person",
    "selector",
    "sha256",
    "signer",
    "signer_recovered",
    "spender",
    "symbol",
    "target",
    "used_as",
    "value_now",
    "way",
    "workflow",
];

/// Which findings are meant: those for which everything that is said holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matcher {
    /// Rule id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Wallet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// Person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Source of the anchor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Exactly this amount, base units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// This amount at most, base units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_max: Option<String>,
    /// Facts, each with its value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl Matcher {
    /// Everything that `finding` names. A session counts where nobody is known to be in it, since a person has another one
    /// tomorrow. Amounts are compared where the asset is known, and have to be the same where it is not.
    pub(crate) fn narrowest(finding: &Finding) -> Matcher {
        let named = finding.facts.iter().filter(|(name, _)| NAMED_FACTS.contains(&name.as_str()));
        let facts: BTreeMap<String, String> = named.map(|(name, value)| (name.clone(), value.clone())).collect();
        let is_comparable = facts.contains_key("asset") && finding.amount.as_deref().is_some_and(is_number);
        let (amount, amount_max) = match finding.amount.clone() {
            most if is_comparable => (None, most),
            same => (same, None),
        };
        Matcher {
            rule: Some(finding.rule.clone()),
            entity: Some(finding.entity.clone()),
            wallet: finding.wallet.clone(),
            actor: finding.actor.clone(),
            session: finding.session.clone().filter(|_| finding.actor.is_none()),
            device: finding.device.clone(),
            destination: finding.to_address.clone(),
            source: Some(finding.source.clone()),
            amount,
            amount_max,
            facts,
        }
    }

    /// Takes a side out, so that any is meant; whether there was one of that name. Rule and entity are none.
    pub(crate) fn widen(&mut self, side: &str) -> bool {
        let taken = match side {
            "wallet" => self.wallet.take(),
            "actor" => self.actor.take(),
            "session" => self.session.take(),
            "device" => self.device.take(),
            "destination" => self.destination.take(),
            "source" => self.source.take(),
            "amount" => self.amount.take().or_else(|| self.amount_max.take()),
            fact => self.facts.remove(fact),
        };
        taken.is_some()
    }

    /// The sides that [`Matcher::widen`] takes out.
    pub(crate) fn sides(&self) -> BTreeSet<&str> {
        let amount = self.amount.as_ref().or(self.amount_max.as_ref());
        let own = [
            ("wallet", self.wallet.as_ref()),
            ("actor", self.actor.as_ref()),
            ("session", self.session.as_ref()),
            ("device", self.device.as_ref()),
            ("destination", self.destination.as_ref()),
            ("source", self.source.as_ref()),
            ("amount", amount),
        ];
        let own = own.into_iter().filter_map(|(name, value)| value.map(|_| name));
        own.chain(self.facts.keys().map(String::as_str)).collect()
    }

    fn parts<'a>(&'a self, finding: &'a Finding) -> [(&'a Option<String>, Option<&'a str>); 9] {
        [
            (&self.rule, Some(finding.rule.as_str())),
            (&self.entity, Some(finding.entity.as_str())),
            (&self.wallet, finding.wallet.as_deref()),
            (&self.actor, finding.actor.as_deref()),
            (&self.session, finding.session.as_deref()),
            (&self.device, finding.device.as_deref()),
            (&self.destination, finding.to_address.as_deref()),
            (&self.source, Some(finding.source.as_str())),
            (&self.amount, finding.amount.as_deref()),
        ]
    }

    /// Whether the finding is meant.
    pub(crate) fn matches(&self, finding: &Finding) -> bool {
        let most = self.amount_max.as_ref();
        self.parts(finding).into_iter().all(|(wanted, found)| wanted.is_none() || wanted.as_deref() == found)
            && most.is_none_or(|most| finding.amount.as_deref().is_some_and(|amount| is_at_most(amount, most)))
            && self.facts.iter().all(|(name, value)| finding.facts.get(name) == Some(value))
    }

    /// Whether it names nothing of what findings are told apart by.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Matcher { amount: self.amount.clone(), amount_max: self.amount_max.clone(), ..Matcher::default() }
    }

    /// Everything that it says, each as a text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &String> {
        let own = [
            &self.rule,
            &self.entity,
            &self.wallet,
            &self.actor,
            &self.session,
            &self.device,
            &self.destination,
            &self.source,
            &self.amount,
            &self.amount_max,
        ];
        own.into_iter().flatten().chain(self.facts.keys()).chain(self.facts.values())
    }

    /// What is wrong with its amount.
    pub(crate) fn problem(&self) -> Option<String> {
        let wrong = self.amount_max.as_ref().filter(|most| !is_number(most))?;
        Some(format!("`amount_max`: `{wrong}` is not a whole number of base units"))
    }

    /// In words, for people. A session's id may let whoever reads it in, so that it is not said.
    #[must_use]
    pub fn words(&self) -> String {
        let session = self.session.as_ref().map(|_| "that was judged".to_owned());
        let most = self.amount_max.as_ref().map(|most| format!("up to {most}"));
        let own = [
            ("rule", &self.rule),
            ("entity", &self.entity),
            ("wallet", &self.wallet),
            ("actor", &self.actor),
            ("session", &session),
            ("device", &self.device),
            ("destination", &self.destination),
            ("source", &self.source),
            ("amount", &self.amount),
            ("amount", &most),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        let facts = self.facts.iter().map(|(name, value)| format!("{name} {value}"));
        own.chain(facts).collect::<Vec<_>>().join(", ")
    }
}

/// Whether it is a whole number of base units.
pub(crate) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a number, however long, is no greater than another one.
pub(crate) fn is_at_most(number: &str, most: &str) -> bool {
    if !is_number(number) || !is_number(most) {
        return false;
    }
    let [number, most] = [number, most].map(|digits| digits.trim_start_matches('0'));
    (number.len(), number) <= (most.len(), most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_compared_however_long_they_are() {
        let long = "1".repeat(78);
        for (number, most, expected) in [
            ("9", "10", true),
            ("10", "10", true),
            ("0010", "10", true),
            ("11", "10", false),
            ("0", "0", true),
            (long.as_str(), long.as_str(), true),
            (long.as_str(), "2", false),
            ("", "10", false),
            ("-1", "10", false),
            ("1.5", "10", false),
        ] {
            assert_eq!(is_at_most(number, most), expected, "{number} {most}");
        }
    }

    #[test]
    fn a_matcher_of_old_reads_as_it_was_and_a_new_one_comes_back() {
        let old: Matcher = serde_json::from_str(r#"{"rule":"r","entity":"e"}"#).unwrap();
        assert_eq!(old, Matcher { rule: Some("r".into()), entity: Some("e".into()), ..Matcher::default() });
        assert_eq!(serde_json::to_string(&old).unwrap(), r#"{"rule":"r","entity":"e"}"#);
        let new = Matcher {
            amount_max: Some("7".into()),
            facts: BTreeMap::from([("asset".into(), "eth".into())]),
            session: Some("s-secret".into()),
            ..old
        };
        assert_eq!(serde_json::from_str::<Matcher>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
        assert_eq!(new.words(), "rule r, entity e, session that was judged, amount up to 7, asset eth");
    }
}
