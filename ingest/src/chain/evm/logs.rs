//! What contracts say in logs: tokens that move, allowances, Safes that execute, control that changes.
//!
//! Whether a parameter is indexed differs between tokens and between versions of contracts, and changes nothing of what it
//! means: topics and data are read as one row of 32-byte words. Anybody can make a contract say anything about anybody:
//! what tokens say is told under the contract's own address, unless it is a well-known one, and what changes control is
//! heard from the wallet itself only.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolEvent;
use keywatch_store::Event;
use serde_json::{Value, json};

use super::events::{Decoder, Place, address, amount, complete};
use super::rpc::{Log, Receipt};
use super::watch::Watched;
use crate::chain::registry;
use crate::limits::BATCH_TOKENS_MAX;

mod signature {
    #![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated from the contracts' own definitions")]
    alloy::sol! {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
        event ApprovalForAll(address indexed owner, address indexed operator, bool approved);
        event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value);
        event TransferBatch(address indexed operator, address indexed from, address indexed to, uint256[] ids, uint256[] values);
        event Deposit(address indexed dst, uint256 wad);
        event Withdrawal(address indexed src, uint256 wad);
        event ExecutionSuccess(bytes32 txHash, uint256 payment);
        event ExecutionFailure(bytes32 txHash, uint256 payment);
        event ExecutionFromModuleSuccess(address indexed module);
        event ExecutionFromModuleFailure(address indexed module);
        event AddedOwner(address owner);
        event RemovedOwner(address owner);
        event ChangedThreshold(uint256 threshold);
        event EnabledModule(address module);
        event DisabledModule(address module);
        event ChangedGuard(address guard);
        event ChangedModuleGuard(address moduleGuard);
        event ChangedFallbackHandler(address handler);
        event ChangedMasterCopy(address masterCopy);
        event Upgraded(address indexed implementation);
        event BeaconUpgraded(address indexed beacon);
        event AdminChanged(address previousAdmin, address newAdmin);
        event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);
    }
}
use signature as s;

mod permit2 {
    #![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated from the contract's own definitions")]
    alloy::sol! {
        event Approval(address indexed owner, address indexed token, address indexed spender, uint160 amount, uint48 expiration);
        event Permit(address indexed owner, address indexed token, address indexed spender, uint160 amount, uint48 expiration, uint48 nonce);
        event Lockdown(address indexed owner, address token, address spender);
    }
}

/// The contract by which wallets let others take any token that they let it take: it has the same address on every chain.
/// What others say of the same kind counts for nothing.
pub(super) const PERMIT2: Address = alloy::primitives::address!("0x000000000022d473030f116ddee9f6b43ac78ba3");

/// One thing that a contract said about a watched wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Units of a token moved.
    Moved { log: u64, part: usize, token: Address, from: Address, to: Address, units: U256, token_id: Option<U256> },
    /// The chain's own asset became units of a token, or `back` from them.
    Wrapped { log: u64, token: Address, wallet: Address, units: U256, back: bool },
    /// Somebody may take units of a token; all tokens of a collection where nothing is said.
    Allowed { log: u64, token: Address, owner: Address, spender: Address, units: Option<U256>, token_id: Option<U256> },
    /// Somebody may take units of a token through Permit2, until `expires` (unix seconds).
    Permitted { log: u64, token: Address, owner: Address, spender: Address, units: U256, expires: u64 },
    /// A Safe executed what its owners signed.
    Executed { safe: Address, hash: B256, succeeded: bool },
    /// A Safe executed what a module asked.
    ExecutedByModule { safe: Address, module: Address, succeeded: bool },
    /// Who controls a wallet, or what it runs, changed.
    Changed { log: u64, wallet: Address, change: &'static str, before: Option<String>, after: Option<String> },
}

/// Everything that the logs of a transaction say about watched wallets, in their order.
pub(super) fn said(receipt: &Receipt, watched: &Watched) -> Vec<Said> {
    let mut said = Vec::new();
    for log in &receipt.logs {
        if let Some((signature, words)) = words(log) {
            if watched.has(&log.address) {
                said.extend(of_wallet(log, signature, &words));
            }
            if log.address == PERMIT2 {
                said.extend(of_permit2(log, signature, &words, watched));
            } else {
                of_token(log, signature, &words, watched, &mut said);
            }
        }
    }
    said
}

/// The signature of a log, and its parameters in their order.
fn words(log: &Log) -> Option<(B256, Vec<B256>)> {
    let (signature, indexed) = log.topics.split_first()?;
    let data = log.data.chunks_exact(32).map(B256::from_slice);
    Some((*signature, indexed.iter().copied().chain(data).collect()))
}

fn of_wallet(log: &Log, signature: B256, words: &[B256]) -> Option<Said> {
    let wallet = log.address;
    let account = |index: usize| words.get(index).map(|word| Address::from_word(*word));
    let said = |index: usize| account(index).map(address);
    let changed = |change, before, after| Some(Said::Changed { log: log.log_index, wallet, change, before, after });
    match signature {
        s::ExecutionSuccess::SIGNATURE_HASH => {
            Some(Said::Executed { safe: wallet, hash: *words.first()?, succeeded: true })
        }
        s::ExecutionFailure::SIGNATURE_HASH => {
            Some(Said::Executed { safe: wallet, hash: *words.first()?, succeeded: false })
        }
        s::ExecutionFromModuleSuccess::SIGNATURE_HASH => {
            Some(Said::ExecutedByModule { safe: wallet, module: account(0)?, succeeded: true })
        }
        s::ExecutionFromModuleFailure::SIGNATURE_HASH => {
            Some(Said::ExecutedByModule { safe: wallet, module: account(0)?, succeeded: false })
        }
        s::AddedOwner::SIGNATURE_HASH => changed("owner_added", None, said(0)),
        s::RemovedOwner::SIGNATURE_HASH => changed("owner_removed", said(0), None),
        s::ChangedThreshold::SIGNATURE_HASH => {
            changed("threshold", None, words.first().map(|word| U256::from_be_bytes(word.0).to_string()))
        }
        s::EnabledModule::SIGNATURE_HASH => changed("module", None, said(0)),
        s::DisabledModule::SIGNATURE_HASH => changed("module_removed", said(0), None),
        s::ChangedGuard::SIGNATURE_HASH => changed("guard", None, said(0)),
        s::ChangedModuleGuard::SIGNATURE_HASH => changed("module_guard", None, said(0)),
        s::ChangedFallbackHandler::SIGNATURE_HASH => changed("fallback_handler", None, said(0)),
        s::ChangedMasterCopy::SIGNATURE_HASH | s::Upgraded::SIGNATURE_HASH => changed("implementation", None, said(0)),
        s::BeaconUpgraded::SIGNATURE_HASH => changed("beacon", None, said(0)),
        s::AdminChanged::SIGNATURE_HASH => changed("admin", said(0), said(1)),
        s::OwnershipTransferred::SIGNATURE_HASH => changed("owner", said(0), said(1)),
        _ => None,
    }
}

fn of_permit2(log: &Log, signature: B256, words: &[B256], watched: &Watched) -> Option<Said> {
    let account = |index: usize| words.get(index).map(|word| Address::from_word(*word));
    let number_at = |index: usize| words.get(index).map(|word| U256::from_be_bytes(word.0));
    let (owner, token, spender) = (account(0).filter(|owner| watched.has(owner))?, account(1)?, account(2)?);
    let (units, expires) = match signature {
        permit2::Approval::SIGNATURE_HASH | permit2::Permit::SIGNATURE_HASH => (number_at(3)?, number_at(4)?),
        permit2::Lockdown::SIGNATURE_HASH => (U256::ZERO, U256::ZERO),
        _ => return None,
    };
    let expires = u64::try_from(expires).unwrap_or(u64::MAX);
    Some(Said::Permitted { log: log.log_index, token, owner, spender, units, expires })
}

fn of_token(log: &Log, signature: B256, words: &[B256], watched: &Watched, said: &mut Vec<Said>) {
    let (token, number) = (log.address, log.log_index);
    let account = |index: usize| words.get(index).map_or(Address::ZERO, |word| Address::from_word(*word));
    let number_at = |index: usize| words.get(index).map(|word| U256::from_be_bytes(word.0));
    let concerns = |one: Address, other: Address| watched.has(&one) || watched.has(&other);
    // The parameters of a token without ids and of one with them differ only in whether the last is indexed.
    let identified = log.topics.len() == 4;
    let moved = |from, to, units, token_id, part| Said::Moved { log: number, part, token, from, to, units, token_id };
    let wrapped = |wallet, units, back| Said::Wrapped { log: number, token, wallet, units, back };
    match (signature, words.len()) {
        (s::Transfer::SIGNATURE_HASH, 3..) if concerns(account(0), account(1)) => {
            let last = number_at(2).unwrap_or_default();
            let (units, id) = if identified { (U256::ONE, Some(last)) } else { (last, None) };
            said.push(moved(account(0), account(1), units, id, 0));
        }
        (s::TransferSingle::SIGNATURE_HASH, 5..) if concerns(account(1), account(2)) => {
            said.push(moved(account(1), account(2), number_at(4).unwrap_or_default(), number_at(3), 0));
        }
        (s::TransferBatch::SIGNATURE_HASH, 5..) if concerns(account(1), account(2)) => {
            for (part, (id, units)) in batch(&words[3..]).enumerate() {
                said.push(moved(account(1), account(2), units, Some(id), part));
            }
        }
        (s::Deposit::SIGNATURE_HASH, 2..) if watched.has(&account(0)) => {
            said.push(wrapped(account(0), number_at(1).unwrap_or_default(), false));
        }
        (s::Withdrawal::SIGNATURE_HASH, 2..) if watched.has(&account(0)) => {
            said.push(wrapped(account(0), number_at(1).unwrap_or_default(), true));
        }
        (s::Approval::SIGNATURE_HASH, 3..) if watched.has(&account(0)) => {
            let last = number_at(2);
            let (units, token_id) = if identified { (Some(U256::ONE), last) } else { (last, None) };
            said.push(Said::Allowed { log: number, token, owner: account(0), spender: account(1), units, token_id });
        }
        (s::ApprovalForAll::SIGNATURE_HASH, 3..) if watched.has(&account(0)) => {
            let units = number_at(2).filter(U256::is_zero);
            said.push(Said::Allowed {
                log: number,
                token,
                owner: account(0),
                spender: account(1),
                units,
                token_id: None,
            });
        }
        _ => {}
    }
}

/// Ids and amounts of a batch: two lists, of which the first two words say where they begin.
fn batch(words: &[B256]) -> impl Iterator<Item = (U256, U256)> {
    let word = |word: &B256| U256::from_be_bytes(word.0);
    list(words, 0).iter().zip(list(words, 1)).map(move |(id, units)| (word(id), word(units)))
}

fn list(words: &[B256], index: usize) -> &[B256] {
    let number = |word: &B256| usize::try_from(U256::from_be_bytes(word.0)).unwrap_or(usize::MAX);
    let begin = words.get(index).map_or(usize::MAX, number) / 32;
    let length = words.get(begin).map_or(0, number).min(BATCH_TOKENS_MAX);
    words.get(begin.saturating_add(1)..).map_or(&[], |rest| &rest[..length.min(rest.len())])
}

impl Said {
    /// Whom an allowance of `owner` lets take everything.
    pub(super) fn unlimited_spender(&self, owner: Address) -> Option<Address> {
        match *self {
            Said::Allowed { owner: by, spender, units, token_id: None, .. } if by == owner => {
                units.is_none_or(|units| units.bit(255)).then_some(spender)
            }
            // Its amounts have 160 bits.
            Said::Permitted { owner: by, spender, units, .. } if by == owner => units.bit(159).then_some(spender),
            _ => None,
        }
    }

    /// What is told of it. Executions are told with their calls, by [`Decoder::block`]. `acting` are the accounts that the
    /// transaction acts for: who sent it, and the watched Safes that executed in it.
    pub(super) fn events(&self, decoder: &Decoder<'_>, place: &Place<'_>, acting: &[Address]) -> Vec<Event> {
        match self {
            Said::Moved { .. } => self.moves(decoder, place, acting),
            Said::Wrapped { .. } => self.wrapping(decoder, place).into_iter().collect(),
            Said::Allowed { .. } => self.allowance(decoder, place).into_iter().collect(),
            Said::Permitted { .. } => self.permission(decoder, place).into_iter().collect(),
            Said::Changed { log, wallet, change, before, after } => {
                let mut event = decoder.event(place, "chain.contract", *wallet, &format!("log/{log}"));
                let mut detail = json!({ "change": change });
                for (name, value) in [("before", before), ("after", after)] {
                    if let Some(value) = value {
                        detail[name] = json!(value);
                    }
                }
                vec![complete(&mut event, place, detail)]
            }
            Said::Executed { .. } | Said::ExecutedByModule { .. } => Vec::new(),
        }
    }

    fn moves(&self, decoder: &Decoder<'_>, place: &Place<'_>, acting: &[Address]) -> Vec<Event> {
        let Said::Moved { log, part, token, from, to, units, token_id } = self else { return Vec::new() };
        let sides = [("out", from), ("in", to)].into_iter().filter(|(_, wallet)| decoder.watched.has(wallet));
        let told = sides.map(|(direction, wallet)| {
            let id = format!("log/{log}/{part}/{direction}");
            let mut event = decoder.event(place, "chain.transfer", *wallet, &id);
            event.from_address(address(*from)).to_address(address(*to)).outcome("success");
            event.asset(registry::token(&decoder.network.name, &address(*token))).amount(amount(*units));
            let mut detail = json!({"direction": direction, "token": address(*token)});
            put_id(&mut detail, *token_id);
            // More than nothing may be a theft by an allowance, which the wallet does not sign for either.
            if direction == "out" && units.is_zero() && !acting.contains(wallet) {
                detail["unsigned"] = json!(true);
            }
            complete(&mut event, place, detail)
        });
        told.collect()
    }

    /// Wrapping is a matter of one known contract; another that speaks of it may mean anything.
    fn wrapping(&self, decoder: &Decoder<'_>, place: &Place<'_>) -> Option<Event> {
        let Said::Wrapped { log, token, wallet, units, back } = self else { return None };
        let asset = registry::token(&decoder.network.name, &address(*token));
        let (direction, from, to) = if *back { ("out", wallet, token) } else { ("in", token, wallet) };
        let mut event = decoder.event(place, "chain.transfer", *wallet, &format!("log/{log}/0/{direction}"));
        event.from_address(address(*from)).to_address(address(*to)).outcome("success");
        event.asset(&asset).amount(amount(*units));
        let detail = json!({"direction": direction, "token": address(*token)});
        (asset == "WETH").then(|| complete(&mut event, place, detail))
    }

    fn allowance(&self, decoder: &Decoder<'_>, place: &Place<'_>) -> Option<Event> {
        let Said::Allowed { log, token, owner, spender, units, token_id } = self else { return None };
        let mut event = decoder.event(place, "chain.approval", *owner, &format!("log/{log}"));
        event.from_address(address(*owner)).to_address(address(*spender));
        event.asset(registry::token(&decoder.network.name, &address(*token))).amount(units.map(amount));
        let revoked = units.is_some_and(|units| units.is_zero());
        event.outcome(if revoked { "revoked" } else { "granted" });
        let mut detail = json!({"token": address(*token)});
        put_id(&mut detail, *token_id);
        if let Some(spender) = self.unlimited_spender(*owner) {
            detail["unlimited_spender"] = json!(address(spender));
        }
        Some(complete(&mut event, place, detail))
    }
}

impl Said {
    fn permission(&self, decoder: &Decoder<'_>, place: &Place<'_>) -> Option<Event> {
        let Said::Permitted { log, token, owner, spender, units, expires } = self else { return None };
        let mut event = decoder.event(place, "chain.approval", *owner, &format!("log/{log}"));
        event.from_address(address(*owner)).to_address(address(*spender));
        event.asset(registry::token(&decoder.network.name, &address(*token))).amount(amount(*units));
        event.outcome(if units.is_zero() { "revoked" } else { "granted" });
        let mut detail = json!({"token": address(*token), "through": address(PERMIT2)});
        if !units.is_zero() {
            detail["expires_at"] = json!(expires);
        }
        if let Some(spender) = self.unlimited_spender(*owner) {
            detail["unlimited_spender"] = json!(address(spender));
        }
        Some(complete(&mut event, place, detail))
    }
}

fn put_id(detail: &mut Value, token_id: Option<U256>) {
    if let Some(id) = token_id {
        detail["token_id"] = json!(id.to_string());
    }
}
