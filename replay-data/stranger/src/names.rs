//! Names that chains and services give: addresses, transactions, ids. Nothing here stands on any chain.

use crate::chance::Chance;

const HEX: &[u8] = b"0123456789abcdef";
const BASE58: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// A chain that the exchange pays on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chain {
    /// Outputs, fees by size.
    Bitcoin,
    /// Accounts and nonces.
    Ethereum,
    /// Accounts; where most dollar tokens of customers move.
    Tron,
    /// Accounts, fast.
    Solana,
}

impl Chain {
    /// As events and the inventory name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Chain::Bitcoin => "bitcoin",
            Chain::Ethereum => "ethereum",
            Chain::Tron => "tron",
            Chain::Solana => "solana",
        }
    }

    /// A fresh address in the chain's canonical form.
    pub(crate) fn address(self, chance: &mut Chance) -> String {
        match self {
            Chain::Bitcoin => format!("bc1q{}", letters(chance, BECH32, 38)),
            Chain::Ethereum => format!("0x{}", letters(chance, HEX, 40)),
            Chain::Tron => format!("T{}", letters(chance, BASE58, 33)),
            Chain::Solana => letters(chance, BASE58, 44),
        }
    }

    /// A fresh transaction.
    pub(crate) fn transaction(self, chance: &mut Chance) -> String {
        match self {
            Chain::Ethereum => format!("0x{}", letters(chance, HEX, 64)),
            Chain::Bitcoin | Chain::Tron => letters(chance, HEX, 64),
            Chain::Solana => letters(chance, BASE58, 88),
        }
    }

    /// Height of the chain at an instant in milliseconds; only its pace is true.
    pub(crate) fn block(self, at: i64) -> i64 {
        let since = at - 1_740_787_200_000;
        match self {
            Chain::Bitcoin => 885_800 + since / 600_000,
            Chain::Ethereum => 21_945_000 + since / 12_000,
            Chain::Tron => 70_050_000 + since / 3_000,
            Chain::Solana => 323_900_000 + since / 400,
        }
    }
}

/// An address that looks like another: the same four characters at either end.
pub(crate) fn lookalike(address: &str, chance: &mut Chance) -> String {
    let begin = if address.starts_with("0x") { 6 } else { 4 };
    let end = address.len() - 4;
    let alphabet = if address.starts_with("0x") { HEX } else { BASE58 };
    format!("{}{}{}", &address[..begin], letters(chance, alphabet, end - begin), &address[end..])
}

/// So many hexadecimal digits.
pub(crate) fn digits(chance: &mut Chance, length: usize) -> String {
    letters(chance, HEX, length)
}

/// 32 bytes as Safe names a transaction.
pub(crate) fn safe_hash(chance: &mut Chance) -> String {
    format!("0x{}", letters(chance, HEX, 64))
}

/// A random id in the form of RFC 9562.
pub(crate) fn uuid(chance: &mut Chance) -> String {
    let all = letters(chance, HEX, 30);
    format!("{}-{}-4{}-a{}-{}", &all[..8], &all[8..12], &all[12..15], &all[15..18], &all[18..])
}

fn letters(chance: &mut Chance, alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(*chance.pick(alphabet))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_length_that_their_chain_gives_them() {
        let mut chance = Chance::of(1, "names");
        let lengths = [Chain::Bitcoin, Chain::Ethereum, Chain::Tron, Chain::Solana]
            .map(|chain| (chain.address(&mut chance).len(), chain.transaction(&mut chance).len()));
        assert_eq!(lengths, [(42, 64), (42, 66), (34, 64), (44, 88)]);
        assert_eq!((uuid(&mut chance).len(), safe_hash(&mut chance).len()), (36, 66));
    }

    #[test]
    fn a_lookalike_has_both_ends_of_what_it_imitates() {
        let mut chance = Chance::of(2, "names");
        let address = Chain::Ethereum.address(&mut chance);
        let other = lookalike(&address, &mut chance);
        assert!(other != address && other.len() == address.len());
        assert_eq!((&other[..6], &other[38..]), (&address[..6], &address[38..]));
    }
}
