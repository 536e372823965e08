//! Wallets that the inventory declares by a descriptor (BIP-380 to 389): one address after another of each of its branches, as
//! many ahead of the last one that was paid as its gap says. It knows no transaction; what was paid, [`super::watch`] sees.

use bitcoin::secp256k1::{Secp256k1, VerifyOnly};
use bitcoin::{Network, NetworkKind, ScriptBuf};
use keywatch_store::inventory::Wallet;
use miniscript::descriptor::Wildcard;
use miniscript::{Descriptor, DescriptorPublicKey, ForEachKey};

use crate::limits::{DESCRIPTOR_BRANCHES_MAX, DESCRIPTOR_GAP_MAX, DESCRIPTOR_INDEX_MAX};

/// Addresses ahead of the last one that was paid, where the inventory says no number.
const GAP: u32 = 20;

/// Addresses of a wallet that follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// Its name: the wallet's, and a number.
    pub name: String,
    /// The wallet, as the inventory names it.
    pub wallet: String,
    descriptor: Descriptor<DescriptorPublicKey>,
    /// Whether there is more than one.
    is_ranged: bool,
    gap: u32,
    used: u32,
    /// The next index that has no script yet.
    next: u32,
}

/// The branches of a declared wallet; none where it is declared without a descriptor.
///
/// # Errors
/// What is wrong with the descriptor, without showing it: it tells all of the wallet's addresses.
pub fn branches(wallet: &Wallet, network: Network) -> Result<Vec<Branch>, String> {
    if wallet.descriptor.is_empty() {
        return Ok(Vec::new());
    }
    let gap = if wallet.gap_limit == 0 { GAP } else { u32::try_from(wallet.gap_limit).unwrap_or(u32::MAX) };
    if gap > DESCRIPTOR_GAP_MAX {
        return Err(format!("its gap_limit is above {DESCRIPTOR_GAP_MAX}"));
    }
    if !wallet.descriptor.contains('#') {
        return Err("its descriptor has no checksum; take it with the `#` and the eight characters behind".into());
    }
    let unreadable = |_| "its descriptor cannot be read: a part of it, or its checksum, is wrong".to_owned();
    let whole = wallet.descriptor.parse::<Descriptor<DescriptorPublicKey>>().map_err(unreadable)?;
    whole.sanity_check().map_err(|_| "its descriptor can be spent in ways that no wallet makes".to_owned())?;
    let kind = NetworkKind::from(network);
    let of_network = |key: &DescriptorPublicKey| match key {
        DescriptorPublicKey::Single(_) => true,
        DescriptorPublicKey::XPub(key) => key.xkey.network == kind,
        DescriptorPublicKey::MultiXPub(key) => key.xkey.network == kind,
    };
    if !whole.for_each_key(of_network) {
        return Err("its descriptor has keys of another network".into());
    }
    // Asked before anything is derived: miniscript panics at such a step.
    let is_hardened = |key: &DescriptorPublicKey| match key {
        DescriptorPublicKey::Single(_) => false,
        DescriptorPublicKey::XPub(one) => key.has_hardened_step() || one.wildcard == Wildcard::Hardened,
        DescriptorPublicKey::MultiXPub(some) => key.has_hardened_step() || some.wildcard == Wildcard::Hardened,
    };
    if whole.for_any_key(is_hardened) {
        return Err("its addresses cannot be derived without private keys".into());
    }
    let singles = whole.into_single_descriptors().map_err(unreadable)?;
    if singles.len() > DESCRIPTOR_BRANCHES_MAX {
        return Err(format!("its descriptor has more than {DESCRIPTOR_BRANCHES_MAX} branches"));
    }
    let mut branches = Vec::with_capacity(singles.len());
    for (number, descriptor) in singles.into_iter().enumerate() {
        let (name, is_ranged) = (format!("{}/{number}", wallet.wallet), descriptor.has_wildcard());
        let branch = Branch { name, wallet: wallet.wallet.clone(), descriptor, is_ranged, gap, used: 0, next: 0 };
        // What is derived once is derived always.
        branch.script(&Secp256k1::verification_only(), 0).ok_or("its addresses cannot be derived")?;
        branches.push(branch);
    }
    Ok(branches)
}

impl Branch {
    /// How many of its addresses are used.
    #[must_use]
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Whether an address that was paid is further than those that were.
    #[must_use]
    pub fn is_new(&self, index: u32) -> bool {
        self.is_ranged && index >= self.used
    }

    /// Takes `used` addresses for used, where that is more than before.
    pub(super) fn use_up_to(&mut self, used: u32) {
        self.used = self.used.max(used.min(DESCRIPTOR_INDEX_MAX));
    }

    /// The scripts that are not known yet, as far as the gap reaches.
    pub(super) fn more(&mut self) -> Vec<(u32, ScriptBuf)> {
        let end = if self.is_ranged { self.used.saturating_add(self.gap).min(DESCRIPTOR_INDEX_MAX) } else { 1 };
        let secp = Secp256k1::verification_only();
        // One index in 2^127 has no key; it has no address either.
        let scripts = (self.next..end).filter_map(|index| Some((index, self.script(&secp, index)?))).collect();
        self.next = self.next.max(end);
        scripts
    }

    fn script(&self, secp: &Secp256k1<VerifyOnly>, index: u32) -> Option<ScriptBuf> {
        Some(self.descriptor.derived_descriptor(secp, index).ok()?.script_pubkey())
    }
}
