//! What is watched on a chain of Bitcoin: the scripts of a system's wallets, and which inputs may spend from them.

use std::collections::{BTreeSet, HashMap};

use bitcoin::address::NetworkUnchecked;
use bitcoin::hashes::Hash;
use bitcoin::script::Instruction;
use bitcoin::{Address, Network, PubkeyHash, Script, ScriptBuf, Transaction, TxIn, WPubkeyHash};
use keywatch_store::inventory::System;

use super::descriptor::{self, Branch};
use crate::chain::address::shown;
use crate::chain::follow::Used;

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

/// Watched wallets: what pays them, and their names as the inventory has them. That is the address where it declares one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    wallets: HashMap<ScriptBuf, String>,
    /// Whether one of them may be spent from without naming its key.
    taproot: bool,
    branches: Vec<Branch>,
    /// Scripts of the branches: which one, and the number in it.
    derived: HashMap<ScriptBuf, (usize, u32)>,
}

impl Watched {
    /// The wallets of `system` on a chain. A wallet that is no address of its network and has no descriptor of it is left out,
    /// and named in the second list.
    #[must_use]
    pub fn of(system: &System, chain: &str, network: Network) -> (Watched, Vec<String>) {
        let mut watched = Watched::default();
        let mut unreadable = Vec::new();
        for declared in system.wallets.iter().filter(|wallet| wallet.chain.eq_ignore_ascii_case(chain)) {
            match descriptor::branches(declared, network) {
                Ok(branches) if branches.is_empty() => {}
                Ok(branches) => {
                    watched.branches.extend(branches);
                    continue;
                }
                Err(problem) => {
                    unreadable.push(format!("{}: {problem}", declared.wallet));
                    continue;
                }
            }
            let address = declared.wallet.parse::<Address<NetworkUnchecked>>().ok();
            match address.and_then(|address| address.require_network(network).ok()) {
                Some(address) => {
                    let script = address.script_pubkey();
                    watched.taproot |= script.is_p2tr();
                    watched.wallets.insert(script, declared.wallet.clone());
                }
                None => unreadable.push(shown(&declared.wallet)),
            }
        }
        watched.derive();
        (watched, unreadable)
    }

    /// Watches what the gaps of descriptors reach by now.
    fn derive(&mut self) {
        for (number, branch) in self.branches.iter_mut().enumerate() {
            for (index, script) in branch.more() {
                self.taproot |= script.is_p2tr();
                self.wallets.insert(script.clone(), branch.wallet.clone());
                self.derived.insert(script, (number, index));
            }
        }
    }

    /// Addresses of descriptors that these transactions pay and that are further than those that were paid before.
    fn newly_used<'a>(&'a self, transactions: &'a [Transaction]) -> impl Iterator<Item = (usize, u32)> + 'a {
        let outputs = transactions.iter().flat_map(|transaction| &transaction.output);
        let paid = outputs.filter_map(move |output| self.derived.get(&output.script_pubkey).copied());
        paid.filter(move |(number, index)| self.branches[*number].is_new(*index))
    }

    /// Whether more addresses are to be watched from these transactions on.
    #[must_use]
    pub fn grows(&self, transactions: &[Transaction]) -> bool {
        !self.derived.is_empty() && self.newly_used(transactions).next().is_some()
    }

    /// Watches as many addresses ahead of those that these transactions pay as the gaps of their descriptors say.
    pub fn grow(&mut self, transactions: &[Transaction]) {
        loop {
            let used: Vec<(usize, u32)> = self.newly_used(transactions).collect();
            if used.is_empty() {
                return;
            }
            for (number, index) in used {
                self.branches[number].use_up_to(index.saturating_add(1));
            }
            // What is watched now may have been paid here too.
            self.derive();
        }
    }

    /// How many addresses of descriptors are used.
    #[must_use]
    pub fn used(&self) -> Used {
        let used = self.branches.iter().filter(|branch| branch.used() > 0);
        used.map(|branch| (branch.name.clone(), branch.used())).collect()
    }

    /// Takes so many for used; says whether that are more than before.
    pub fn take_used(&mut self, used: &Used) -> bool {
        let before = self.used();
        for branch in &mut self.branches {
            branch.use_up_to(used.get(&branch.name).copied().unwrap_or_default());
        }
        self.derive();
        self.used() != before
    }

    /// The wallet that a script pays.
    #[must_use]
    pub fn wallet(&self, script: &Script) -> Option<&str> {
        self.wallets.get(script).map(String::as_str)
    }

    /// The names of the wallets.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.wallets.values().cloned().collect()
    }

    /// All scripts that pay them.
    pub fn scripts(&self) -> impl Iterator<Item = &Script> {
        self.wallets.keys().map(ScriptBuf::as_script)
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
        revealed(input).iter().any(|script| self.wallets.contains_key(script))
            || self.taproot && input.script_sig.is_empty() && may_be_taproot(input)
    }
}

/// Scripts that the coin of an input may have. A witness reveals a key or a script last, and so does a script that only
/// pushes. A coin that is paid to a key's hash may be spent by a script that pushes more behind the key and drops it again
/// (a miner may take it, though no node relays it), so each key that is pushed is looked at.
fn revealed(input: &TxIn) -> Vec<ScriptBuf> {
    let pushes = input.script_sig.instructions().map_while(Result::ok);
    let mut scripts = Vec::new();
    let mut last = None;
    for pushed in pushes.filter_map(pushed) {
        if matches!(pushed.len(), 33 | 65) {
            scripts.push(ScriptBuf::new_p2pkh(&PubkeyHash::hash(pushed)));
        }
        last = Some(pushed);
    }
    if let Some(pushed) = last {
        scripts.push(ScriptBuf::new_p2sh(&Script::from_bytes(pushed).script_hash()));
    } else if let Some(last) = input.witness.last() {
        scripts.push(ScriptBuf::new_p2wsh(&Script::from_bytes(last).wscript_hash()));
        scripts.push(ScriptBuf::new_p2wpkh(&WPubkeyHash::hash(last)));
    }
    scripts
}

/// The script of the coin that an input spends, as the input alone shows it: of the one form that its bytes have where they
/// are spent as usual. A Taproot key or script, and a bare key or bare keys, show nothing that names the coin.
pub(super) fn shown_by(input: &TxIn) -> Option<ScriptBuf> {
    let is_key = |bytes: &[u8]| matches!((bytes.len(), bytes.first()), (33, Some(2 | 3)) | (65, Some(4)));
    let is_signature = |bytes: &[u8]| matches!(bytes.len(), 9..=73) && bytes.first() == Some(&0x30);
    let instructions: Option<Vec<_>> = input.script_sig.instructions().map(|read| pushed(read.ok()?)).collect();
    let pushes: Vec<&[u8]> = instructions?;
    let witness = &input.witness;
    match (pushes.as_slice(), witness.last()) {
        ([], Some(key)) if witness.len() == 2 && key.len() == 33 && is_key(key) => {
            Some(ScriptBuf::new_p2wpkh(&WPubkeyHash::hash(key)))
        }
        ([], Some(_)) if may_be_taproot_script(input) => None,
        ([], Some(script)) => Some(ScriptBuf::new_p2wsh(&Script::from_bytes(script).wscript_hash())),
        ([_, key], None) if is_key(key) => Some(ScriptBuf::new_p2pkh(&PubkeyHash::hash(key))),
        ([.., script], _) if !is_signature(script) => {
            Some(ScriptBuf::new_p2sh(&Script::from_bytes(script).script_hash()))
        }
        _ => None,
    }
}

/// Whether a witness may be that of a Taproot coin: one signature, or a control block or an annex at its end (BIP-341).
fn may_be_taproot_script(input: &TxIn) -> bool {
    let last = input.witness.last().unwrap_or_default();
    let is_control = last.len() % 32 == 1 && last.len() >= 33 && last.first().is_some_and(|first| *first >= 0xc0);
    let is_alone = input.witness.len() == 1 && matches!(last.len(), 64 | 65);
    is_alone || is_control || input.witness.len() >= 2 && last.first() == Some(&0x50)
}

/// What an instruction of a script pushes.
pub(super) fn pushed(instruction: Instruction<'_>) -> Option<&[u8]> {
    match instruction {
        Instruction::PushBytes(bytes) => Some(bytes.as_bytes()),
        Instruction::Op(_) => None,
    }
}

fn may_be_taproot(input: &TxIn) -> bool {
    let signature = |index: usize| input.witness.nth(index).is_some_and(|item| matches!(item.len(), 64 | 65));
    input.witness.len() == 1 && signature(0) || input.witness.len() >= 2
}
