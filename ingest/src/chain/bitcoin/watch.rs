//! What is watched on a chain of Bitcoin: the scripts of a system's wallets, and which inputs may spend from them.

use std::collections::HashMap;

use bitcoin::address::NetworkUnchecked;
use bitcoin::hashes::Hash;
use bitcoin::{Address, Network, PubkeyHash, Script, ScriptBuf, TxIn, WPubkeyHash};
use keywatch_store::inventory::System;

/// The network that a chain's name means: `bitcoin`, or `bitcoin-` with `testnet4`, `signet` or `regtest`.
#[must_use]
pub fn network(chain: &str) -> Option<Network> {
    Some(match chain.to_ascii_lowercase().as_str() {
        "bitcoin" => Network::Bitcoin,
        "bitcoin-testnet4" => Network::Testnet4,
        "bitcoin-signet" => Network::Signet,
        "bitcoin-regtest" => Network::Regtest,
        _ => return None,
    })
}

/// Watched wallets: what pays them, and their addresses as the inventory has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    wallets: HashMap<ScriptBuf, String>,
    /// Whether one of them may be spent from without naming its key.
    taproot: bool,
}

impl Watched {
    /// The wallets of `system` on a chain. A wallet that is no address of its network is left out, and named in the second
    /// list.
    #[must_use]
    pub fn of(system: &System, chain: &str, network: Network) -> (Watched, Vec<String>) {
        let mut watched = Watched::default();
        let mut unreadable = Vec::new();
        for declared in system.wallets.iter().filter(|wallet| wallet.chain.eq_ignore_ascii_case(chain)) {
            let address = declared.wallet.parse::<Address<NetworkUnchecked>>().ok();
            match address.and_then(|address| address.require_network(network).ok()) {
                Some(address) => {
                    let script = address.script_pubkey();
                    watched.taproot |= script.is_p2tr();
                    watched.wallets.insert(script, declared.wallet.clone());
                }
                None => unreadable.push(declared.wallet.clone()),
            }
        }
        (watched, unreadable)
    }

    /// The wallet that a script pays.
    #[must_use]
    pub fn wallet(&self, script: &Script) -> Option<&str> {
        self.wallets.get(script).map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wallets.is_empty()
    }

    /// Whether an input may spend a coin of a watched wallet. What it reveals (a key or a script) has to hash to what the
    /// coin names, so that hardly any other input is looked up. A Taproot key path reveals nothing: where such a wallet is
    /// watched, every input of its shape may be one.
    #[must_use]
    pub fn may_spend(&self, input: &TxIn) -> bool {
        revealed(input).is_some_and(|scripts| scripts.iter().any(|script| self.wallets.contains_key(script)))
            || self.taproot && input.script_sig.is_empty() && may_be_taproot(input)
    }
}

/// Scripts that the coin of an input may have: what is revealed last is a key or a script.
fn revealed(input: &TxIn) -> Option<[ScriptBuf; 2]> {
    if let Some(pushed) = last_push(&input.script_sig) {
        let script = Script::from_bytes(&pushed).script_hash();
        return Some([ScriptBuf::new_p2sh(&script), ScriptBuf::new_p2pkh(&PubkeyHash::hash(&pushed))]);
    }
    let last = input.witness.last()?;
    let script = Script::from_bytes(last).wscript_hash();
    Some([ScriptBuf::new_p2wsh(&script), ScriptBuf::new_p2wpkh(&WPubkeyHash::hash(last))])
}

fn last_push(script: &Script) -> Option<Vec<u8>> {
    let pushes = script
        .instructions()
        .map_while(Result::ok)
        .filter_map(|instruction| instruction.push_bytes().map(|bytes| bytes.as_bytes().to_vec()));
    pushes.last()
}

fn may_be_taproot(input: &TxIn) -> bool {
    let signature = |index: usize| input.witness.nth(index).is_some_and(|item| matches!(item.len(), 64 | 65));
    input.witness.len() == 1 && signature(0) || input.witness.len() >= 2
}
