//! Coverage: what each rule can see of each system. A link can be missing only where somebody would have told of it;
//! what nobody tells is shown here and is never paged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use keywatch_store::inventory::{System, Wallet};
use keywatch_store::{Event, Inventory, kinds};
use serde::{Deserialize, Deserializer, de};

use super::Rule;
use crate::limits;

/// What has to be seen of a system for a rule to judge it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// The source of a wallet's signatures.
    Signer,
    /// The source that follows a wallet on its chain.
    Node,
    /// The source that orders a wallet's payments.
    Ledger,
    /// The source of the decisions on a wallet's requests.
    DecisionPoint,
    /// Events of a kind (`session.posture`) or family (`session`).
    Kind(String),
}

impl Need {
    /// Whether an event of this kind fills the need.
    #[must_use]
    pub fn is_filled_by(&self, kind: &str) -> bool {
        let of = |family: &str| kind.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        match self {
            // What a key opens is no signature, and tells of none.
            Need::Signer => of("signing") && kind != "signing.unsealed",
            // That a node answers says nothing of whether its blocks are read.
            Need::Node => of("chain") && kind != "chain.head",
            Need::Ledger => kind == "custody.request",
            Need::DecisionPoint => kind == "decision",
            Need::Kind(name) => of(name),
        }
    }

    /// Whether the inventory names the wallet's source for it; kinds have none.
    fn is_declared(&self, wallet: &Wallet) -> bool {
        match self {
            Need::Signer => !wallet.signer.is_empty(),
            Need::Node => !wallet.node.is_empty(),
            Need::Ledger => !wallet.ledger.is_empty(),
            Need::DecisionPoint => !wallet.decision_point.is_empty(),
            Need::Kind(_) => false,
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Need::Signer => "signer",
            Need::Node => "node",
            Need::Ledger => "ledger",
            Need::DecisionPoint => "decision_point",
            Need::Kind(name) => name,
        })
    }
}

impl<'de> Deserialize<'de> for Need {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Need, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(match text.as_str() {
            "signer" => Need::Signer,
            "node" => Need::Node,
            "ledger" => Need::Ledger,
            "decision_point" => Need::DecisionPoint,
            _ => {
                let need = Need::Kind(text);
                if !kinds::KINDS.iter().any(|kind| need.is_filled_by(kind.name)) {
                    return Err(de::Error::custom(format!(
                        "needs: `{need}` is neither signer, node, ledger, decision_point nor a kind of event"
                    )));
                }
                need
            }
        })
    }
}

/// What was heard of a system: kinds, and which kinds of which wallet.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    kinds: BTreeSet<&'static str>,
    of_wallets: BTreeMap<String, BTreeSet<&'static str>>,
}

impl Observed {
    /// Takes note of an event; tells whether it is news.
    pub fn hear(&mut self, event: &Event) -> bool {
        let Some(kind) = kinds::find(event.kind()) else { return false };
        let news = self.kinds.insert(kind.name);
        let Some(wallet) = event.wallet() else { return news };
        if let Some(heard) = self.of_wallets.get_mut(wallet) {
            return heard.insert(kind.name) || news;
        }
        let room = self.of_wallets.len() < limits::COVERED_WALLETS_MAX;
        if room {
            self.of_wallets.insert(wallet.to_owned(), BTreeSet::from([kind.name]));
        }
        room || news
    }

    fn complete(&self, system: &System) -> System {
        let mut system = system.clone();
        if system.wallets.is_empty() {
            let named = |wallet: &String| Wallet { wallet: wallet.clone(), ..Wallet::default() };
            system.wallets = self.of_wallets.keys().map(named).collect();
        }
        system
    }

    fn has(&self, need: &Need) -> bool {
        self.kinds.iter().any(|kind| need.is_filled_by(kind))
    }

    fn has_of(&self, need: &Need, wallet: &str) -> bool {
        self.of_wallets.get(wallet).is_some_and(|kinds| kinds.iter().any(|kind| need.is_filled_by(kind)))
    }
}

/// The systems of a history, and what was heard of each.
#[derive(Clone, Debug, Default)]
pub struct ObservedSystems {
    /// As last declared, or else with nothing but their names.
    pub systems: BTreeMap<String, System>,
    heard: BTreeMap<String, Observed>,
}

impl ObservedSystems {
    /// Takes note of an event; tells whether it is news for some rule.
    pub fn take(&mut self, event: &Event) -> bool {
        let mut news = true;
        if let Some(heard) = self.heard.get_mut(event.system()) {
            news = heard.hear(event);
        } else {
            let id = event.system().to_owned();
            let unknown = || System { id: id.clone(), ..System::default() };
            self.systems.entry(id.clone()).or_insert_with(unknown);
            self.heard.entry(id).or_default().hear(event);
        }
        if event.kind() == "inventory.activated"
            && let Some(Inventory { systems }) = Inventory::from_activation(event)
        {
            self.declare(systems);
            news = true;
        }
        news
    }

    /// These systems are declared.
    pub fn declare(&mut self, systems: Vec<System>) {
        self.systems.extend(systems.into_iter().map(|system| (system.id.clone(), system)));
    }

    /// Each system with its wallets (those declared, or where none is, those that were heard of), and what was heard.
    pub fn each(&self) -> impl Iterator<Item = (System, Observed)> {
        self.systems.iter().map(|(id, system)| {
            let heard = self.heard.get(id).cloned().unwrap_or_default();
            (heard.complete(system), heard)
        })
    }
}

/// How much of a system a rule sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Visibility {
    /// Everything that it needs, of every wallet.
    Full,
    /// Some of it: `missing` says what is missing.
    Partial,
    /// Nothing that it could judge.
    None,
}

/// What a rule sees of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// How much.
    pub visibility: Visibility,
    /// What is missing: the need, and of how many wallets; nought where it is of the system as a whole.
    pub missing: Vec<(Need, usize)>,
}

/// What links of which wallets nobody tells of, among those that some rule needs; what is not seen is not paged.
#[must_use]
pub fn missing_links(rules: &[Rule], system: &System, heard: &Observed) -> BTreeMap<Need, Vec<String>> {
    let needed: BTreeSet<&Need> = rules.iter().flat_map(|rule| &rule.header.needs).collect();
    let mut missing = BTreeMap::new();
    for need in needed.into_iter().filter(|need| !matches!(need, Need::Kind(_))) {
        let lacks = |wallet: &&Wallet| !need.is_declared(wallet) && !heard.has_of(need, &wallet.wallet);
        let lacking: Vec<String> = system.wallets.iter().filter(lacks).map(|wallet| wallet.wallet.clone()).collect();
        if !lacking.is_empty() {
            missing.insert(need.clone(), lacking);
        }
    }
    missing
}

/// What a rule sees of a system, by what is declared and by what was heard. Declared wallets are those of the system;
/// [`ObservedSystems::each`] finds those of a system that declares none.
#[must_use]
pub fn coverage(rule: &Rule, system: &System, heard: &Observed) -> Coverage {
    let mut missing = Vec::new();
    let mut blind = false;
    // Wallets that nothing judges, whatever the others have.
    let mut unseen: BTreeSet<&str> = BTreeSet::new();
    for need in &rule.header.needs {
        if matches!(need, Need::Kind(_)) || system.wallets.is_empty() {
            if !heard.has(need) {
                missing.push((need.clone(), 0));
                blind = true;
            }
            continue;
        }
        let lacks = |wallet: &&Wallet| !need.is_declared(wallet) && !heard.has_of(need, &wallet.wallet);
        let lacking: Vec<&Wallet> = system.wallets.iter().filter(lacks).collect();
        if !lacking.is_empty() {
            missing.push((need.clone(), lacking.len()));
            unseen.extend(lacking.iter().map(|wallet| wallet.wallet.as_str()));
        }
    }
    blind |= !unseen.is_empty() && unseen.len() == system.wallets.len();
    let visibility = match (blind, missing.is_empty()) {
        (true, _) => Visibility::None,
        (false, false) => Visibility::Partial,
        (false, true) => Visibility::Full,
    };
    Coverage { visibility, missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(needs: &str) -> Rule {
        let text = format!(
            "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n\
             needs: {needs}\n*/\nSELECT event_id, wallet AS entity FROM events"
        );
        Rule::parse("family/name", &text).unwrap()
    }

    fn wallet(name: &str, signer: &str) -> Wallet {
        Wallet { wallet: name.to_owned(), chain: "ethereum".to_owned(), signer: signer.to_owned(), ..Wallet::default() }
    }

    #[test]
    fn a_node_that_answers_is_no_chain_that_is_read() {
        let filled =
            ["chain.head", "chain.progress", "chain.tx", "source.status"].map(|kind| Need::Node.is_filled_by(kind));
        assert_eq!(filled, [false, true, true, false]);
    }

    #[test]
    fn a_wallet_is_seen_where_its_source_is_declared_or_has_spoken() {
        let mut system = System { id: "s".to_owned(), ..System::default() };
        system.wallets = vec![wallet("a", "hsm"), wallet("b", "")];
        let needs_signer = rule("[signer]");
        let mut heard = Observed::default();
        let seen = coverage(&needs_signer, &system, &heard);
        assert_eq!(seen, Coverage { visibility: Visibility::Partial, missing: vec![(Need::Signer, 1)] });
        let signed = r#"{"event_id":"00000000000000000000000000000001","system":"s","time":"2026-01-01T00:00:00Z","event_time":"2026-01-01T00:00:00Z","source":"hsm","kind":"signing.signed","wallet":"b"}"#;
        let unsealed = signed.replace("signing.signed", "signing.unsealed");
        heard.hear(&keywatch_store::line::read(unsealed.as_bytes()).unwrap());
        assert_eq!(coverage(&needs_signer, &system, &heard).visibility, Visibility::Partial, "a key that decrypts");
        heard.hear(&keywatch_store::line::read(signed.as_bytes()).unwrap());
        assert_eq!(coverage(&needs_signer, &system, &heard).visibility, Visibility::Full);
        let blind = coverage(&rule("[signer, ledger]"), &system, &heard);
        assert_eq!(blind, Coverage { visibility: Visibility::None, missing: vec![(Need::Ledger, 2)] });
        assert_eq!(coverage(&rule("[session.posture]"), &system, &heard).visibility, Visibility::None);
        assert_eq!(coverage(&rule("[]"), &system, &heard).visibility, Visibility::Full);
    }

    #[test]
    fn a_need_that_nothing_fills_is_refused() {
        let text = "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n\
                    needs: [sesion]\n*/\nSELECT event_id FROM events";
        assert!(Rule::parse("family/name", text).unwrap_err().to_string().contains("sesion"));
    }
}
