//! What stands in the storage of watched contracts before and after a block. Some changes of control announce themselves in
//! no log: code that a wallet delegates to writes its slots directly, as in the theft from Bybit. So the slots that say who
//! controls a wallet and what it runs are compared.
//!
//! Sources: ERC-1967 (proxies); Safe contracts 1.1.1 to 1.5.0: `SafeStorage.sol` (slots 0 to 4), and the slots of guard,
//! module guard and fallback handler, which are named by a hash of their name.

use std::collections::HashSet;
use std::sync::LazyLock;

use alloy::primitives::{Address, B256, U256, keccak256};
use keywatch_store::Event;
use serde_json::json;

use super::events::{Decoder, Place, address, complete};
use super::rpc::{Block, CallFrame, Receipt, Trace};
use super::watch::Watched;
use crate::limits::WALLETS_COMPARED_MAX;

/// A slot that is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What has changed when it has.
    pub change: &'static str,
    /// Where it is.
    pub slot: B256,
    /// Whether only a Safe has it.
    safe: bool,
    holds: Holds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Address,
    Number,
}

/// Both sides of a block of one contract: values of [`slots`], in their order, its code and its balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The contract.
    pub wallet: Address,
    /// Before the block.
    pub before: State,
    /// After it.
    pub after: State,
}

/// What stands in a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Values of [`slots`].
    pub values: Vec<B256>,
    /// Hash of its code.
    pub code: B256,
    /// Whose code runs as it, for an account that has none of its own (EIP-7702).
    pub delegate: Option<Address>,
    /// Base units of the chain's own asset.
    pub balance: U256,
}

/// The first entry of a Safe's list of owners or modules, which is kept as a mapping: an entry that is added comes first.
fn first_of_list(mapping: u8) -> B256 {
    let sentinel = B256::with_last_byte(1);
    keccak256([sentinel.0, B256::with_last_byte(mapping).0].concat())
}

static SLOTS: LazyLock<Vec<Slot>> = LazyLock::new(|| {
    let named = |name: &str| keccak256(name.as_bytes());
    let proxy = |name: &str| B256::from(U256::from_be_bytes(named(name).0) - U256::ONE);
    let slot = |change, slot, safe, holds| Slot { change, slot, safe, holds };
    vec![
        slot("implementation", proxy("eip1967.proxy.implementation"), false, Holds::Address),
        slot("admin", proxy("eip1967.proxy.admin"), false, Holds::Address),
        slot("beacon", proxy("eip1967.proxy.beacon"), false, Holds::Address),
        slot("implementation", B256::ZERO, true, Holds::Address),
        slot("module", first_of_list(1), true, Holds::Address),
        slot("owner_added", first_of_list(2), true, Holds::Address),
        slot("threshold", B256::with_last_byte(4), true, Holds::Number),
        slot("guard", named("guard_manager.guard.address"), true, Holds::Address),
        slot("module_guard", named("module_manager.module_guard.address"), true, Holds::Address),
        slot("fallback_handler", named("fallback_manager.handler.address"), true, Holds::Address),
    ]
});

/// The slots that are compared of a wallet.
pub fn slots(safe: bool) -> impl Iterator<Item = &'static Slot> {
    SLOTS.iter().filter(move |slot| safe || !slot.safe)
}

/// Watched wallets whose code may have run in a block: what sent or received a transaction, spoke in a log, or was called
/// where calls are known.
#[must_use]
pub fn touched(block: &Block, receipts: &[Receipt], traces: Option<&[Trace]>, watched: &Watched) -> Vec<Address> {
    let ends = block.transactions.iter().flat_map(|sent| [Some(sent.from), sent.to]).flatten();
    let spoke = receipts.iter().flat_map(|receipt| receipt.logs.iter().map(|log| log.address));
    let mut touched: Vec<Address> = ends.chain(spoke).filter(|address| watched.has(address)).collect();
    let mut open: Vec<&CallFrame> = traces.into_iter().flatten().map(|trace| &trace.result).collect();
    while let Some(call) = open.pop() {
        touched.extend([call.from, call.to].into_iter().flatten().filter(|address| watched.has(address)));
        open.extend(&call.calls);
    }
    touched.sort_unstable();
    touched.dedup();
    touched
}

/// As many of `touched` as are compared, and how many are left out. What sent something, spoke, or was called with data comes
/// first: code that is only paid has the least to run.
#[must_use]
pub fn bounded(block: &Block, receipts: &[Receipt], mut touched: Vec<Address>) -> (Vec<Address>, usize) {
    let left_out = touched.len().saturating_sub(WALLETS_COMPARED_MAX);
    if left_out > 0 {
        let sent = block.transactions.iter().map(|sent| sent.from);
        let called = block.transactions.iter().filter(|sent| !sent.input.is_empty()).filter_map(|sent| sent.to);
        let spoke = receipts.iter().flat_map(|receipt| receipt.logs.iter().map(|log| log.address));
        let acted: HashSet<Address> = sent.chain(called).chain(spoke).collect();
        touched.sort_by_key(|wallet| !acted.contains(wallet));
        touched.truncate(WALLETS_COMPARED_MAX);
        touched.sort_unstable();
    }
    (touched, left_out)
}

/// What has changed and was not told by a log of the same block.
pub(super) fn changes(decoder: &Decoder<'_>, place: &Place<'_>, looked: &Looked, told: &[Event]) -> Vec<Event> {
    let wallet = address(looked.wallet);
    let mut events = Vec::new();
    let mut differs = |change: &str, slot: Option<B256>, before: String, after: String| {
        let at = slot.map_or_else(|| "code".to_owned(), |slot| format!("{slot:#x}"));
        let mut event = decoder.event(place, "chain.contract", looked.wallet, &format!("slot/{at}"));
        let mut detail = json!({"change": change, "before": before, "after": after});
        if let Some(slot) = slot {
            detail["slot"] = json!(format!("{slot:#x}"));
        }
        events.push(complete(&mut event, place, detail));
    };
    let sides = looked.before.values.iter().zip(&looked.after.values);
    for (slot, (before, after)) in slots(decoder.watched.is_safe(&looked.wallet)).zip(sides) {
        if before != after && !is_told(told, &wallet, slot, &slot.shown(after)) {
            differs(slot.change, Some(slot.slot), slot.shown(before), slot.shown(after));
        }
    }
    let (before, after) = (&looked.before, &looked.after);
    if before.delegate != after.delegate {
        let shown = |delegate: Option<Address>| address(delegate.unwrap_or_default());
        let now = shown(after.delegate);
        if !tells(told, &wallet, &["implementation"], Some(&now)) {
            differs("implementation", None, shown(before.delegate), now);
        }
    } else if before.code != after.code {
        differs("code", None, format!("{:#x}", before.code), format!("{:#x}", after.code));
    }
    events
}

/// The first of a list changes with an entry that is added and, at times, with one that is removed: any log of the list
/// tells of it.
fn is_told(told: &[Event], wallet: &str, slot: &Slot, after: &str) -> bool {
    let list: &[&str] = match slot.change {
        "module" => &["module", "module_removed"],
        "owner_added" => &["owner_added", "owner_removed"],
        _ => &[],
    };
    tells(told, wallet, list, None) || tells(told, wallet, &[slot.change], Some(after))
}

/// Whether an event tells that one of these things of a wallet changed, to `after` where that is asked for.
fn tells(told: &[Event], wallet: &str, changes: &[&str], after: Option<&str>) -> bool {
    told.iter().filter(|event| event.kind() == "chain.contract" && event.wallet() == Some(wallet)).any(|event| {
        let detail = event.detail().value();
        let change = detail["change"].as_str().unwrap_or_default();
        changes.contains(&change) && after.is_none_or(|after| detail["after"] == after)
    })
}

impl Slot {
    fn shown(&self, value: &B256) -> String {
        match self.holds {
            Holds::Number => U256::from_be_bytes(value.0).to_string(),
            // What is no address is shown as it stands.
            Holds::Address if value[..12].iter().all(|byte| *byte == 0) => address(Address::from_word(*value)),
            Holds::Address => format!("{value:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_where_the_contracts_have_them() {
        let expected = [
            "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc",
            "0xb53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103",
            "0xa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50",
            "0x0000000000000000000000000000000000000000000000000000000000000000",
            "0xcc69885fda6bcc1a4ace058b4a62bf5e179ea78fd58a1ccd71c22cc9b688792f",
            "0xe90b7bceb6e7df5418fb78d8ee546e97c83a08bbccc01a0644d599ccd2a7c2e0",
            "0x0000000000000000000000000000000000000000000000000000000000000004",
            "0x4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8",
            "0xb104e0b93118902c651344349b610029d694cfdec91c589c91ebafbcd0289947",
            "0x6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5",
        ];
        assert_eq!(slots(true).map(|slot| format!("{:#x}", slot.slot)).collect::<Vec<_>>(), expected);
        assert_eq!(slots(false).count(), 3);
    }
}
