//! ECDSA signatures that an input shows, as the two numbers that they are.
//!
//! Two signatures of one key with the same `r` and another `s` give the key away to everybody. Whether there are two is for
//! rules to find; here they are only read. Schnorr signatures (BIP-340) are not: their `r` is made from what is signed.

use bitcoin::TxIn;
use bitcoin::ecdsa::Signature;

use super::watch::pushed;

/// A signature, each half as 64 hexadecimal digits. `s` is the smaller of the two that say the same (BIP-62), so that a
/// signature that somebody turned over is still known as the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Halves {
    pub(super) r: String,
    pub(super) s: String,
}

/// The signatures of an input, in the order in which they stand.
pub(super) fn of(input: &TxIn) -> Vec<Halves> {
    let pushes = input.script_sig.instructions().map_while(Result::ok);
    pushes.filter_map(pushed).chain(input.witness.iter()).filter_map(halves).collect()
}

fn halves(bytes: &[u8]) -> Option<Halves> {
    let mut signature = Signature::from_slice(bytes).ok()?.signature;
    signature.normalize_s();
    let compact = signature.serialize_compact();
    let (r, s) = compact.split_at(32);
    Some(Halves { r: hex(r), s: hex(s) })
}

fn hex(bytes: &[u8]) -> String {
    alloy::primitives::hex::encode(bytes)
}
