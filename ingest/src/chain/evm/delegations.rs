//! Accounts that let the code of a contract run as themselves (EIP-7702): who said so in a transaction, and what the account's
//! own code says of it. Anybody may send what an account signed, also what is used up: where the account's code was read, only
//! what stands there is told.

use alloy::primitives::{Address, B256, Signature, U256, keccak256};
use keywatch_store::{Event, Instant};
use serde_json::json;

use super::events::{Decoder, Place, address, complete};
use super::rpc::{Authorization, Block, Transaction};
use super::state::{Looked, State};
use crate::limits::AUTHORIZATIONS_MAX;

/// What an account signed in a transaction of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Number of the transaction in its block.
    pub transaction: usize,
    /// Chain it is for (EIP-155), or 0 for all.
    pub chain_id: u64,
    /// Who signed it.
    pub authority: Address,
    /// Whose code is to run; the zero address for nobody's.
    pub to: Address,
    /// The account's number that it uses.
    pub nonce: u64,
}

/// A signature with an `s` above it says nothing (EIP-2).
const HALF_ORDER: U256 =
    U256::from_limbs([0xdfe9_2f46_681b_20a0, 0x5d57_6e73_57a4_501d, 0xffff_ffff_ffff_ffff, 0x7fff_ffff_ffff_ffff]);

/// What begins what is signed.
const MAGIC: u8 = 0x05;

/// The delegations that the transactions of a block carry. Those that nobody signed are passed over, as the chain does.
#[must_use]
pub fn delegations(block: &Block) -> Vec<Delegation> {
    let carried = block.transactions.iter().enumerate();
    carried.flat_map(|(number, sent)| of(sent, number, usize::MAX)).collect()
}

/// Those of one transaction, which has that number; of its list no more than `most` are looked at.
fn of(sent: &Transaction, transaction: usize, most: usize) -> impl Iterator<Item = Delegation> {
    sent.authorization_list.iter().flatten().take(most).filter_map(move |said| {
        let chain_id = u64::try_from(said.chain_id).ok()?;
        let authority = authority(said, chain_id)?;
        Some(Delegation { transaction, chain_id, authority, to: said.address, nonce: said.nonce })
    })
}

fn authority(said: &Authorization, chain_id: u64) -> Option<Address> {
    if said.s > HALF_ORDER {
        return None;
    }
    let signature = Signature::new(said.r, said.s, said.parity()?);
    signature.recover_address_from_prehash(&signed(chain_id, said.address, said.nonce)).ok()
}

/// The hash that an account signs: of the list of chain, address and number in RLP. It has at most 39 bytes.
fn signed(chain_id: u64, to: Address, nonce: u64) -> B256 {
    let mut list = Vec::new();
    append(&mut list, digits(&chain_id.to_be_bytes()));
    append(&mut list, to.as_slice());
    append(&mut list, digits(&nonce.to_be_bytes()));
    let mut message = vec![MAGIC, 0xc0 + length(&list)];
    message.extend(list);
    keccak256(message)
}

fn append(list: &mut Vec<u8>, item: &[u8]) {
    if !matches!(item, [byte] if *byte < 0x80) {
        list.push(0x80 + length(item));
    }
    list.extend(item);
}

fn length(bytes: &[u8]) -> u8 {
    u8::try_from(bytes.len()).expect("a list of three short items is short")
}

/// A number without the zeros that it begins with.
fn digits(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// Whose code runs as an account whose own code is this: `0xef0100` and an address.
#[must_use]
pub fn designated(code: &[u8]) -> Option<Address> {
    let address: [u8; 20] = code.strip_prefix(&[0xef, 0x01, 0x00])?.try_into().ok()?;
    Some(address.into())
}

impl Decoder<'_> {
    /// What watched accounts signed into a waiting transaction, of as many as are looked at: each costs the recovery of a key,
    /// and anybody makes such lists. Of one number of an account the first takes effect, however often the list has it.
    #[must_use]
    pub fn delegating(&self, transaction: &Transaction) -> Vec<Delegation> {
        let mut first: Vec<Delegation> = Vec::new();
        for delegation in of(transaction, 0, AUTHORIZATIONS_MAX).filter(|delegation| self.holds_here(delegation)) {
            let number = (delegation.authority, delegation.nonce);
            if first.iter().all(|before| (before.authority, before.nonce) != number) {
                first.push(delegation);
            }
        }
        first
    }

    /// The event of what a watched account signed into a transaction that waits, seen at `time`.
    #[must_use]
    pub fn will_delegate(&self, transaction: &Transaction, delegation: &Delegation, time: Instant) -> Event {
        let (authority, tx) = (address(delegation.authority), format!("{:#x}", transaction.hash));
        let number = delegation.nonce;
        let id = format!("chain.contract/{}/pool/{tx}/{authority}/{number}/{}", self.network.name, time.nanoseconds());
        let mut event = Event::builder(self.origin, &id, "chain.contract", time);
        event.wallet(authority).chain(&self.network.name).tx(tx).outcome("unconfirmed");
        event.actor(address(transaction.from));
        event.detail(&json!({"change": "implementation", "after": address(delegation.to)})).build_own()
    }

    /// Whether it is a watched account's and for this chain.
    fn holds_here(&self, delegation: &Delegation) -> bool {
        let is_here = delegation.chain_id == 0 || delegation.chain_id == self.network.id;
        is_here && self.watched.has(&delegation.authority)
    }
}

/// The event of a delegation of a watched account, where it took effect as far as that is known.
pub(super) fn told(
    decoder: &Decoder<'_>,
    place: &Place<'_>,
    delegation: &Delegation,
    number: usize,
    looked: &[Looked],
) -> Option<Event> {
    let Delegation { authority, to, .. } = *delegation;
    if !decoder.holds_here(delegation) {
        return None;
    }
    let looked = looked.iter().find(|looked| looked.wallet == authority);
    let delegate = |state: &State| state.delegate.unwrap_or_default();
    if looked.is_some_and(|looked| delegate(&looked.after) != to || delegate(&looked.before) == to) {
        return None;
    }
    let mut event = decoder.event(place, "chain.contract", authority, &format!("delegation/{number}"));
    event.actor(place.tx.map(|(transaction, _)| address(transaction.from)));
    let mut detail = json!({"change": "implementation", "after": address(to)});
    if let Some(looked) = looked {
        detail["before"] = json!(address(delegate(&looked.before)));
    }
    Some(complete(&mut event, place, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_designated_by_its_code() {
        let code = |text: &str| designated(&alloy::primitives::hex::decode(text).unwrap());
        let to = Address::repeat_byte(0x99);
        assert_eq!(code(&format!("ef0100{}", "99".repeat(20))), Some(to));
        assert_eq!(code(&format!("ef0100{}", "99".repeat(19))), None);
        assert_eq!((code(""), code("6000")), (None, None));
    }

    #[test]
    fn whoever_signed_is_recovered() {
        // Made with the key 1 by an implementation of its own.
        let signer: Address = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".parse().unwrap();
        let r = "0xd47644539acec3da5e3ecf5fe8863c628a9c97e8b71e9ea9167a6f4f83c03c32";
        for (chain_id, nonce, parity, s) in [
            (1, 5, 0, "0x70a080d2b27c61d4cec876d5f331921ca474506b1d2afec274ccb54a2d9ed5c8"),
            (0, 0, 0, "0x9e74401b2f9a17d2c14110e46fe6d971d3ac758f6af650a92c8bee437327437"),
            (8453, 300, 1, "0x5ac7003a41a9dd9d4f515fc775bceb86f3acfd1846ea7f6a26a91ce7dcca96bd"),
        ] {
            let said = |nonce: u64, s: &str| -> Authorization {
                let said = json!({
                    "chainId": format!("{chain_id:#x}"), "address": format!("{:#x}", Address::repeat_byte(0x99)),
                    "nonce": format!("{nonce:#x}"), "yParity": format!("{parity:#x}"), "r": r, "s": s,
                });
                serde_json::from_str(&said.to_string()).unwrap()
            };
            assert_eq!(authority(&said(nonce, s), chain_id), Some(signer), "chain {chain_id}");
            assert_ne!(authority(&said(nonce + 1, s), chain_id), Some(signer));
            let renamed = |v: u64| Authorization { y_parity: None, v: Some(U256::from(v)), ..said(nonce, s) };
            assert_eq!(authority(&renamed(parity), chain_id), Some(signer), "as some nodes write it");
            assert_eq!(authority(&renamed(27 + parity), chain_id), Some(signer));
            assert_eq!(authority(&Authorization { v: None, ..renamed(parity) }, chain_id), None);
            let high = U256::MAX;
            assert_eq!(authority(&said(nonce, &format!("{high:#x}")), chain_id), None);
        }
    }
}
