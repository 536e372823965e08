//! Which words of events and findings may become labels of metrics: those of the registry of kinds and of the inventory.
//! Whatever else a sender writes makes no further series.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use keywatch_store::{Event, Inventory, kinds};

use crate::limits::LABELLED_WALLETS_MAX;

/// What a wallet is called that nobody declared.
const UNDECLARED: &str = "undeclared";

/// What each wallet is called of a system with so many that their names would be too many series.
const DECLARED: &str = "declared";

/// What a word is called that the registry does not have.
const OTHER: &str = "other";

/// The wallets that are declared, by system.
#[derive(Default)]
pub(super) struct Labels {
    wallets: BTreeMap<String, BTreeSet<String>>,
}

/// System, wallet, kind and outcome, as labels.
pub(super) type EventLabels<'a> = [&'a str; 4];

impl Labels {
    /// Those of an inventory, beside those that were known.
    pub(super) fn declare(&mut self, inventory: &Inventory) {
        for system in &inventory.systems {
            let wallets = system.wallets.iter().map(|wallet| wallet.wallet.clone());
            self.wallets.entry(system.id.clone()).or_default().extend(wallets);
        }
    }

    /// Where the events tell of an inventory, its wallets.
    pub(super) fn observe(&mut self, events: &[Event]) {
        let activations = events.iter().filter(|event| event.kind() == "inventory.activated");
        for inventory in activations.filter_map(Inventory::from_activation) {
            self.declare(&inventory);
        }
    }

    /// A wallet as a label: empty where there is none, and not its own name where a system has very many.
    pub(super) fn wallet<'a>(&self, system: &str, wallet: Option<&'a str>) -> &'a str {
        let Some(wallet) = wallet else { return "" };
        match self.wallets.get(system) {
            Some(declared) if !declared.contains(wallet) => UNDECLARED,
            Some(declared) if declared.len() > LABELLED_WALLETS_MAX => DECLARED,
            Some(_) => wallet,
            None => UNDECLARED,
        }
    }

    /// How many events there are of each label set, ticks left out.
    pub(super) fn count<'a>(&self, events: &'a [Event]) -> HashMap<EventLabels<'a>, u64> {
        let mut counts = HashMap::new();
        for event in events.iter().filter(|event| event.kind() != "tick") {
            let kind = kinds::find(event.kind());
            let outcome = |word| kind.and_then(|kind| kind.outcomes.iter().find(|known| **known == word).copied());
            let outcome = event.outcome().map_or("", |word| outcome(word).unwrap_or(OTHER));
            let wallet = self.wallet(event.system(), event.wallet());
            *counts.entry([event.system(), wallet, kind.map_or(OTHER, |kind| kind.name), outcome]).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::Instant;
    use keywatch_store::event::Origin;
    use keywatch_store::inventory::{System, Wallet};

    use super::*;

    #[test]
    fn what_a_sender_makes_up_makes_no_series() {
        let mut labels = Labels::default();
        let declared = "[[systems]]\nid = \"cold\"\n[[systems.wallets]]\nwallet = \"0xa1\"\nchain = \"ethereum\"";
        labels.declare(&Inventory::parse("inventory", declared).unwrap());
        let origin = Origin { system: "cold".to_owned(), source: "pdp".to_owned() };
        let event = |id: &str, kind: &str, wallet: &str, outcome: &str| {
            let mut event = Event::builder(&origin, id, kind, Instant(0));
            event.wallet((!wallet.is_empty()).then(|| wallet.to_owned()));
            event.outcome((!outcome.is_empty()).then(|| outcome.to_owned()));
            event.build_own()
        };
        let events = [
            event("1", "decision", "0xa1", "allow"),
            event("2", "decision", "0xa1", "allow"),
            event("3", "decision", "made-up-1", "made-up"),
            event("4", "decision", "made-up-2", "made-up-too"),
            event("5", "source.heartbeat", "", ""),
            event("6", "tick", "", ""),
        ];
        let expected: HashMap<EventLabels<'_>, u64> = HashMap::from([
            (["cold", "0xa1", "decision", "allow"], 2),
            (["cold", "undeclared", "decision", "other"], 2),
            (["cold", "", "source.heartbeat", ""], 1),
        ]);
        assert_eq!(labels.count(&events), expected);
    }

    #[test]
    fn p7_of_a_system_with_very_many_wallets_none_has_a_series_of_its_own() {
        let mut labels = Labels::default();
        let system = |wallets: usize| System {
            id: "cold".to_owned(),
            wallets: (0..wallets).map(|number| Wallet { wallet: number.to_string(), ..Wallet::default() }).collect(),
            ..System::default()
        };
        labels.declare(&Inventory { systems: vec![system(LABELLED_WALLETS_MAX)] });
        let of = |labels: &Labels, wallet: &'static str| labels.wallet("cold", Some(wallet));
        assert_eq!((of(&labels, "7"), of(&labels, "x")), ("7", UNDECLARED));
        labels.declare(&Inventory { systems: vec![system(LABELLED_WALLETS_MAX + 1)] });
        assert_eq!((of(&labels, "7"), of(&labels, "x")), (DECLARED, UNDECLARED));
        assert_eq!((labels.wallet("cold", None), labels.wallet("warm", Some("7"))), ("", UNDECLARED));
    }
}
