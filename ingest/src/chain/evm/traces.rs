//! Calls within a transaction, as a tracer tells them: native value that they move, and what watched Safes are asked.
//!
//! What a call that failed did is undone with all that it called, and is passed over.

use alloy::primitives::{Address, Bytes, U256};

use super::rpc::CallFrame;
use super::watch::Watched;

/// Native value that moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) value: U256,
    /// Calls around it; 0 is the transaction itself.
    pub(super) depth: usize,
}

/// A call to a watched wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) input: Bytes,
}

/// What is of interest in the calls of a transaction, its outermost one left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Walk {
    pub(super) moved: Vec<Moved>,
    pub(super) asked: Vec<Asking>,
}

/// Goes through the calls of a transaction in the order in which they were made.
pub(super) fn walk(whole: &CallFrame, watched: &Watched) -> Walk {
    let mut walk = Walk::default();
    if whole.error.is_some() {
        return walk;
    }
    // A stack of our own: calls may be a thousand deep.
    let mut open: Vec<(&CallFrame, usize)> = whole.calls.iter().rev().map(|call| (call, 1)).collect();
    while let Some((call, depth)) = open.pop() {
        if call.error.is_some() {
            continue;
        }
        walk.take(call, depth, watched);
        open.extend(call.calls.iter().rev().map(|call| (call, depth + 1)));
    }
    walk
}

impl Walk {
    fn take(&mut self, call: &CallFrame, depth: usize, watched: &Watched) {
        let (Some(from), Some(to)) = (call.from, call.to) else { return };
        let value = call.value.unwrap_or_default();
        // A delegatecall shows the value of the call around it, and moves none.
        let moves = ["CALL", "CREATE", "CREATE2", "SELFDESTRUCT"].contains(&call.kind.as_str());
        if moves && !value.is_zero() && (watched.has(&from) || watched.has(&to)) {
            self.moved.push(Moved { from, to, value, depth });
        }
        if call.kind == "CALL"
            && watched.has(&to)
            && let Some(input) = &call.input
        {
            self.asked.push(Asking { from, to, input: input.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::inventory::{System, Wallet};

    use super::*;

    const WALLET: Address = Address::repeat_byte(0x11);
    const OTHER: Address = Address::repeat_byte(0x22);

    fn watched() -> Watched {
        let wallet = Wallet { wallet: format!("{WALLET:#x}"), chain: "ethereum".into(), ..Wallet::default() };
        Watched::of(&System { wallets: vec![wallet], ..System::default() }, "ethereum").0
    }

    fn call(kind: &str, from: Address, to: Address, value: u64) -> CallFrame {
        let (from, to, value) = (Some(from), Some(to), Some(U256::from(value)));
        CallFrame { kind: kind.into(), from, to, value, ..CallFrame::default() }
    }

    #[test]
    fn value_moves_in_calls_that_stand_and_in_no_delegation() {
        let mut failed = call("CALL", WALLET, OTHER, 5);
        failed.error = Some("execution reverted".into());
        failed.calls = vec![call("CALL", WALLET, OTHER, 6)];
        let mut inner = call("DELEGATECALL", WALLET, OTHER, 7);
        inner.calls = vec![call("CALL", WALLET, OTHER, 8), call("CALL", OTHER, OTHER, 9)];
        let whole = CallFrame {
            calls: vec![failed, inner, call("SELFDESTRUCT", OTHER, WALLET, 1)],
            ..call("CALL", OTHER, WALLET, 0)
        };
        let walk = walk(&whole, &watched());
        let told: Vec<(u64, usize)> = walk.moved.iter().map(|moved| (moved.value.to(), moved.depth)).collect();
        assert_eq!(told, [(8, 2), (1, 1)]);
    }

    #[test]
    fn a_transaction_that_failed_moved_nothing() {
        let mut whole = call("CALL", OTHER, OTHER, 0);
        whole.calls = vec![call("CALL", WALLET, OTHER, 5)];
        assert_eq!(walk(&whole, &watched()).moved.len(), 1);
        whole.error = Some("out of gas".into());
        assert_eq!(walk(&whole, &watched()), Walk::default());
    }
}
