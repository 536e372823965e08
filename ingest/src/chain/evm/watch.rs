//! What is watched on an Ethereum chain: the wallets of a system and the tokens whose balances are compared, as the inventory
//! declares them.

use std::collections::{HashMap, HashSet};

use alloy::primitives::Address;
use keywatch_store::inventory::System;

use crate::chain::address::shown;
use crate::chain::registry;

/// The chain that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// As events and the inventory name it.
    pub name: String,
    /// Chain id (EIP-155).
    pub id: u64,
    /// Symbol of its own asset.
    pub asset: String,
}

/// Watched wallets and tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    wallets: HashMap<Address, Multisig>,
    /// Owners of those that are Safes.
    owners: HashMap<Address, Vec<Address>>,
    /// In the order of addresses.
    tokens: Vec<Address>,
    /// Those among them whose balances change although nobody moves any.
    rebasing: Vec<Address>,
    /// Everything else that the system names, wallets of its other chains among it.
    declared: HashSet<Address>,
    /// Those of the wallets that are for withdrawals of customers.
    customers: HashSet<Address>,
}

/// Whether storage of a wallet is laid out as a Safe's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Multisig {
    Safe,
    Unknown,
}

impl Watched {
    /// The wallets of `system` on the chain of that name. A wallet that is no address of such a chain is left out, and
    /// named in the second list.
    #[must_use]
    pub fn of(system: &System, chain: &str) -> (Watched, Vec<String>) {
        let mut watched = Watched::default();
        let mut unreadable = Vec::new();
        for declared in system.wallets.iter().filter(|wallet| wallet.chain.eq_ignore_ascii_case(chain)) {
            let safe = declared.technology.eq_ignore_ascii_case("safe") || !declared.implementation.is_empty();
            let layout = if safe { Multisig::Safe } else { Multisig::Unknown };
            match declared.wallet.parse::<Address>() {
                Ok(address) => {
                    watched.wallets.insert(address, layout);
                    watched.customers.extend((declared.purpose == "customer_withdrawals").then_some(address));
                }
                Err(_) => unreadable.push(shown(&declared.wallet)),
            }
        }
        for declared in &system.owners {
            // An owner may be the id of a key, which signs nothing on a chain.
            if let (Ok(safe), Ok(owner)) = (declared.wallet.parse::<Address>(), declared.owner.parse::<Address>())
                && watched.is_safe(&safe)
            {
                watched.owners.entry(safe).or_default().push(owner);
            }
        }
        let assets = system.assets.iter().filter(|asset| asset.chain.eq_ignore_ascii_case(chain));
        // What is no contract is the chain's own asset, or only a name.
        for asset in assets {
            let contract =
                registry::contract(chain, &asset.asset).and_then(|contract| contract.parse::<Address>().ok());
            watched.tokens.extend(contract);
            watched.rebasing.extend(contract.filter(|_| asset.rebases));
        }
        for tokens in [&mut watched.tokens, &mut watched.rebasing] {
            tokens.sort_unstable();
            tokens.dedup();
        }
        watched.declared = declared(system);
        (watched, unreadable)
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn has(&self, address: &Address) -> bool {
        self.wallets.contains_key(address)
    }

    /// Whether its storage is laid out as a Safe's.
    #[must_use]
    pub fn is_safe(&self, address: &Address) -> bool {
        self.wallets.get(address) == Some(&Multisig::Safe)
    }

    /// Who the inventory says may sign for a Safe; nobody where it says nothing.
    #[must_use]
    pub fn owners(&self, safe: &Address) -> &[Address] {
        self.owners.get(safe).map_or(&[], Vec::as_slice)
    }

    /// All of them, in the order of addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = self.wallets.keys().copied().collect();
        addresses.sort_unstable();
        addresses
    }

    /// Tokens that the inventory's assets declare, in the order of addresses.
    #[must_use]
    pub fn tokens(&self) -> &[Address] {
        &self.tokens
    }

    /// Those among them whose balances change although nobody moves any.
    #[must_use]
    pub fn rebasing(&self) -> &[Address] {
        &self.rebasing
    }

    /// Whether the inventory names an address, in whatever role.
    #[must_use]
    pub fn declares(&self, address: &Address) -> bool {
        self.has(address) || self.declared.contains(address) || self.tokens.contains(address)
    }

    /// Whether a wallet is for withdrawals of customers, which go to addresses that nobody has seen.
    #[must_use]
    pub fn pays_customers(&self, wallet: &Address) -> bool {
        self.customers.contains(wallet)
    }

    /// Whether there are no wallets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wallets.is_empty()
    }
}

/// The addresses that a system names besides tokens: whom it may pay, who may act for its wallets, and the wallets of all chains.
fn declared(system: &System) -> HashSet<Address> {
    let wallets = system.wallets.iter().flat_map(|wallet| [&wallet.wallet, &wallet.implementation]);
    let controls = system.modules.iter().map(|module| &module.module);
    let controls = controls.chain(system.owners.iter().map(|owner| &owner.owner));
    let called = system.libraries.iter().map(|library| &library.address);
    let paid = system.destinations.iter().map(|destination| &destination.address);
    let named = wallets.chain(controls).chain(called).chain(paid);
    named.filter_map(|text| text.parse().ok()).collect()
}
