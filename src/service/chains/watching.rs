//! A chain as it is watched now, made of what the inventory declares, and made anew when that changes. It asks no node.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use keywatch_store::inventory::System;
use tokio::sync::watch;

use crate::service::inventory_file::Declared;

/// Makes a chain that watches what a system declares.
pub(crate) type Make<C> = Arc<dyn Fn(&System) -> anyhow::Result<C> + Send + Sync>;

/// A chain that is watched.
pub(crate) struct Watching<C> {
    /// With all of its wallets.
    pub(crate) chain: Arc<C>,
    /// What declares them.
    pub(crate) system: Arc<System>,
    /// What tells that from other declarations.
    pub(crate) digest: Arc<str>,
    /// As the configuration names it.
    name: String,
    make: Make<C>,
}

impl<C> Clone for Watching<C> {
    fn clone(&self) -> Watching<C> {
        let Watching { chain, system, digest, name, make } = self;
        Watching {
            chain: Arc::clone(chain),
            system: Arc::clone(system),
            digest: Arc::clone(digest),
            name: name.clone(),
            make: Arc::clone(make),
        }
    }
}

impl<C> Watching<C> {
    /// The chain `name` of a system.
    ///
    /// # Errors
    /// The chain cannot be made.
    pub(crate) fn new(name: &str, system: &System, make: Make<C>) -> anyhow::Result<Watching<C>> {
        let chain = Arc::new(make(system)?);
        let digest: Arc<str> = Arc::from(system.digest());
        Ok(Watching { chain, system: Arc::new(system.clone()), digest, name: name.to_owned(), make })
    }

    /// The chain with some of its wallets watched; those that are not declared any more are left out. The others are known as
    /// addresses of the system all the same.
    ///
    /// # Errors
    /// The chain cannot be made.
    pub(crate) fn only(&self, wallets: &[String]) -> anyhow::Result<C> {
        let mut system = System::clone(&self.system);
        let wanted: HashSet<&str> = wallets.iter().map(String::as_str).collect();
        let others = system.wallets.iter_mut().filter(|wallet| !wanted.contains(wallet.wallet.as_str()));
        others.for_each(|wallet| wallet.chain.clear());
        (self.make)(&system)
    }

    /// Wallets of the chain that were not declared `before`, each with the first block that is declared to be read for it.
    pub(crate) fn added(&self, before: &System) -> Vec<(String, u64)> {
        let known: HashSet<&str> = before.wallets.iter().map(|wallet| wallet.wallet.as_str()).collect();
        let here = self.system.wallets.iter().filter(|wallet| wallet.chain.eq_ignore_ascii_case(&self.name));
        let new = here.filter(|wallet| !known.contains(wallet.wallet.as_str()));
        new.map(|wallet| (wallet.wallet.clone(), u64::try_from(wallet.first_block).unwrap_or_default())).collect()
    }

    /// Wallets of the chain that had another descriptor `before`, and with it other addresses under the same name.
    pub(crate) fn changed(&self, before: &System) -> Vec<String> {
        let descriptors = before.wallets.iter().map(|wallet| (wallet.wallet.as_str(), wallet.descriptor.as_str()));
        let descriptors: HashMap<&str, &str> = descriptors.collect();
        let had_another = |name: &str, descriptor: &str| descriptors.get(name).is_some_and(|had| *had != descriptor);
        let here = self.system.wallets.iter().filter(|wallet| wallet.chain.eq_ignore_ascii_case(&self.name));
        let changed = here.filter(|wallet| had_another(&wallet.wallet, &wallet.descriptor));
        changed.map(|wallet| wallet.wallet.clone()).collect()
    }
}

/// Makes the chain anew whenever what is declared of its system changes, as long as somebody follows it.
pub(crate) fn follow<C: Send + Sync + 'static>(
    first: Watching<C>,
    mut declared: Declared,
) -> watch::Receiver<Watching<C>> {
    let (sender, watching) = watch::channel(first);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sender.closed() => return,
                changed = declared.changed() => if changed.is_err() { return },
            }
            let inventory = Arc::clone(&declared.borrow_and_update());
            let now = sender.borrow().clone();
            let Some(system) = inventory.system(&now.system.id).filter(|system| **system != *now.system) else {
                continue;
            };
            match Watching::new(&now.name, system, now.make) {
                Ok(next) => _ = sender.send_replace(next),
                Err(error) => {
                    tracing::error!(chain = now.name, %error, "the wallets that are watched stay as they were");
                }
            }
        }
    });
    watching
}

#[cfg(test)]
mod tests {
    use keywatch_store::Inventory;
    use keywatch_store::inventory::Wallet;

    use super::*;

    fn system(wallets: &[(&str, &str, i64)]) -> System {
        let wallet = |(wallet, chain, first_block): &(&str, &str, i64)| Wallet {
            wallet: (*wallet).to_owned(),
            chain: (*chain).to_owned(),
            first_block: *first_block,
            ..Wallet::default()
        };
        System { id: "cold".into(), wallets: wallets.iter().map(wallet).collect(), ..System::default() }
    }

    /// A chain that is only the names of its wallets, which are those of any chain.
    #[expect(clippy::unnecessary_wraps, reason = "what makes a chain may fail")]
    fn names(system: &System) -> anyhow::Result<Vec<String>> {
        let watched = system.wallets.iter().filter(|wallet| !wallet.chain.is_empty());
        Ok(watched.map(|wallet| wallet.wallet.clone()).collect())
    }

    #[tokio::test]
    async fn what_is_declared_anew_is_watched_and_what_was_added_is_known() {
        let first: Watching<Vec<String>> =
            Watching::new("base", &system(&[("a", "base", 3)]), Arc::new(names)).unwrap();
        let (sender, declared) = watch::channel(Arc::new(Inventory::default()));
        let mut watching = follow(first.clone(), declared);
        let grown = system(&[("a", "base", 3), ("b", "Base", 7), ("c", "ethereum", 7), ("d", "base", 0)]);
        sender.send_replace(Arc::new(Inventory { systems: vec![grown] }));
        watching.changed().await.unwrap();
        let next = watching.borrow_and_update().clone();
        assert_eq!(*next.chain, ["a", "b", "c", "d"]);
        assert_eq!(next.added(&first.system), [("b".to_owned(), 7), ("d".to_owned(), 0)]);
        assert_eq!(next.only(&["b".to_owned(), "gone".to_owned()]).unwrap(), ["b"]);
        assert!(next.changed(&first.system).is_empty());
    }

    #[test]
    fn wallets_whose_old_blocks_are_not_read_are_known_in_them_all_the_same() {
        let declared = system(&[("a", "base", 0), ("b", "base", 0)]);
        let all: Watching<System> =
            Watching::new("base", &declared, Arc::new(|system: &System| anyhow::Ok(system.clone()))).unwrap();
        let only = all.only(&["b".to_owned()]).unwrap();
        let wallets: Vec<(&str, &str)> =
            only.wallets.iter().map(|wallet| (wallet.wallet.as_str(), wallet.chain.as_str())).collect();
        assert_eq!(wallets, [("a", ""), ("b", "base")]);
    }

    #[test]
    fn a_wallet_with_another_descriptor_has_changed() {
        let before = system(&[("a", "bitcoin", 0), ("b", "bitcoin", 0), ("c", "base", 0)]);
        let mut now = before.clone();
        now.wallets[1].descriptor = "wpkh(B)".to_owned();
        now.wallets[2].descriptor = "wpkh(C)".to_owned();
        let next: Watching<Vec<String>> = Watching::new("bitcoin", &now, Arc::new(names)).unwrap();
        assert_eq!(next.changed(&before), ["b"]);
        assert!(next.changed(&now).is_empty());
    }
}
