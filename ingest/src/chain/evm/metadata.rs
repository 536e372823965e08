//! What token contracts say of themselves: symbol and decimals. Anybody can make a token that calls itself anything, so it is
//! told under the contract's address, and changes no name of an event: what the inventory declares wins.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use keywatch_store::Event;
use serde_json::{Value, json};

use super::events::{Decoder, Place, address};
use super::rpc::Receipt;
use super::watch::Watched;
use crate::chain::registry;
use crate::limits::SYMBOL_LETTERS_MAX;

/// What a contract answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The contract.
    pub token: Address,
    /// What it calls itself; letters beyond ASCII are written as their numbers.
    pub symbol: Option<String>,
    /// Digits of an amount behind the point.
    pub decimals: Option<u8>,
}

/// Tokens that moved from or to watched wallets, in the order of addresses; well-known ones are known.
#[must_use]
pub fn moved(receipts: &[Receipt], watched: &Watched, chain: &str) -> Vec<Address> {
    let transfer = keccak256(b"Transfer(address,address,uint256)");
    let logs = receipts.iter().flat_map(|receipt| &receipt.logs);
    // With a fourth topic it is one token of a collection.
    let moves = logs.filter(|log| log.topics.len() == 3 && log.topics[0] == transfer);
    let ours = moves.filter(|log| log.topics[1..].iter().any(|side: &B256| watched.has(&Address::from_word(*side))));
    let tokens: BTreeSet<Address> = ours.map(|log| log.address).collect();
    let is_unknown = |token: &Address| registry::token(chain, &address(*token)) == address(*token);
    tokens.into_iter().filter(is_unknown).collect()
}

/// The calls that ask a contract: `symbol()` and `decimals()`.
#[must_use]
pub fn questions() -> [Bytes; 2] {
    [&b"symbol()"[..], b"decimals()"].map(|signature| Bytes::copy_from_slice(&keccak256(signature)[..4]))
}

/// The symbol that a contract answers: a text, or 32 bytes with zeros behind it, as older contracts do.
#[must_use]
pub fn symbol(answer: &Bytes) -> Option<String> {
    let number = |word: &[u8]| usize::try_from(U256::from_be_slice(word)).ok();
    let bytes = match answer.len() {
        32 => &answer[..],
        64.. => {
            let length_at = number(&answer[..32])?;
            let text_at = length_at.checked_add(32)?;
            let length = number(answer.get(length_at..text_at)?)?;
            answer.get(text_at..text_at.checked_add(length)?)?
        }
        _ => return None,
    };
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
    let shown: String = text.chars().take(SYMBOL_LETTERS_MAX).flat_map(char::escape_default).collect();
    (!shown.is_empty()).then_some(shown)
}

/// How a symbol with letters beyond ASCII reads, where each of those looks like one of ASCII or like nothing.
#[must_use]
pub fn reads_as(symbol: &str) -> Option<String> {
    let (mut read, mut rest) = (String::new(), symbol);
    while let Some((before, after)) = rest.split_once("\\u{") {
        let (digits, behind) = after.split_once('}')?;
        let letter = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?;
        read.push_str(before);
        if !is_unseen(letter) {
            read.push(looks_like(letter)?);
        }
        rest = behind;
    }
    read.push_str(rest);
    (rest.len() < symbol.len()).then_some(read)
}

/// Letters that show nothing: joiners, marks of the direction of text, variants and tags.
fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{feff}')
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(letter, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e01ef}')
}

/// Letters of Cyrillic and Greek, and signs of money, by what they look like in most fonts.
const ALIKE: [(char, &str); 26] = [
    ('A', "\u{410}\u{391}"),
    ('B', "\u{412}\u{392}"),
    ('C', "\u{421}\u{3f9}"),
    ('E', "\u{415}\u{395}"),
    ('H', "\u{41d}\u{397}"),
    ('I', "\u{406}\u{399}"),
    ('J', "\u{408}"),
    ('K', "\u{41a}\u{39a}"),
    ('M', "\u{41c}\u{39c}"),
    ('N', "\u{39d}"),
    ('O', "\u{41e}\u{39f}"),
    ('P', "\u{420}\u{3a1}"),
    ('S', "\u{405}"),
    ('T', "\u{422}\u{3a4}\u{20ae}"),
    ('X', "\u{425}\u{3a7}"),
    ('Y', "\u{4ae}\u{3a5}"),
    ('Z', "\u{396}"),
    ('a', "\u{430}"),
    ('c', "\u{441}"),
    ('d', "\u{501}"),
    ('e', "\u{435}"),
    ('i', "\u{456}\u{131}"),
    ('o', "\u{43e}\u{3bf}"),
    ('p', "\u{440}"),
    ('s', "\u{455}"),
    ('x', "\u{445}"),
];

fn looks_like(letter: char) -> Option<char> {
    // Wide forms of ASCII, as East Asian texts have them.
    if ('\u{ff01}'..='\u{ff5e}').contains(&letter) {
        return char::from_u32(u32::from(letter) - 0xfee0);
    }
    if matches!(letter, '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}') {
        return Some(' ');
    }
    ALIKE.iter().find(|(_, letters)| letters.contains(letter)).map(|(plain, _)| *plain)
}

/// The decimals that a contract answers.
#[must_use]
pub fn decimals(answer: &Bytes) -> Option<u8> {
    if answer.len() != 32 {
        return None;
    }
    u8::try_from(U256::from_be_slice(answer)).ok()
}

/// What is told of it.
pub(super) fn event(decoder: &Decoder<'_>, place: &Place<'_>, said: &Metadata) -> Event {
    let (chain, token) = (decoder.network.name.as_str(), address(said.token));
    let id = format!("asset/{chain}/{}/{:#x}/{token}", place.epoch, place.hash);
    let mut event = Event::builder(decoder.origin, &id, "chain.asset", place.time);
    let disguised = said.symbol.as_ref().is_some_and(|symbol| symbol.contains('\\'));
    event.chain(chain).asset(registry::token(chain, &token)).outcome(if disguised { "disguised" } else { "said" });
    let mut detail = json!({"token": token, "block": place.height});
    detail["block_hash"] = json!(format!("{:#x}", place.hash));
    detail["epoch"] = json!(place.epoch);
    let answers = [
        ("symbol", said.symbol.as_deref().map(Value::from)),
        ("reads_as", said.symbol.as_deref().and_then(reads_as).map(Value::from)),
        ("decimals", said.decimals.map(Value::from)),
    ];
    for (name, value) in answers {
        if let Some(value) = value {
            detail[name] = value;
        }
    }
    event.detail(&detail).build_own()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: u64, text: &[u8]) -> Bytes {
        let mut answer = U256::from(32).to_be_bytes_vec();
        answer.extend(U256::from(length).to_be_bytes_vec());
        answer.extend(text);
        answer.resize(answer.len().next_multiple_of(32), 0);
        answer.into()
    }

    #[test]
    fn a_symbol_is_read_in_both_forms_and_never_believed_to_be_short_or_plain() {
        let mut word = [0; 32];
        word[..3].copy_from_slice(b"MKR");
        assert_eq!(symbol(&Bytes::copy_from_slice(&word)).as_deref(), Some("MKR"));
        assert_eq!(symbol(&text(4, b"GALA")).as_deref(), Some("GALA"));
        // A letter of another alphabet that looks the same.
        assert_eq!(symbol(&text(5, "U\u{405}DT".as_bytes())).as_deref(), Some("U\\u{405}DT"));
        assert_eq!(symbol(&text(40, &[b'A'; 40])).map(|symbol| symbol.len()), Some(SYMBOL_LETTERS_MAX));
        for refused in [text(0, b""), text(5000, b"GALA"), text(2, &[0xff, 0xfe]), Bytes::new(), Bytes::from(vec![1])] {
            assert_eq!(symbol(&refused), None, "{refused}");
        }
        let mut far = text(4, b"GALA").to_vec();
        far[..32].fill(0xff);
        assert_eq!(symbol(&far.into()), None);
    }

    #[test]
    fn decimals_are_a_small_number() {
        let answer = |number: u64| decimals(&U256::from(number).to_be_bytes_vec().into());
        assert_eq!((answer(18), answer(0), answer(255), answer(256)), (Some(18), Some(0), Some(255), None));
        assert_eq!(decimals(&Bytes::new()), None);
    }

    #[test]
    fn contracts_are_asked_in_their_own_form() {
        assert_eq!(questions().map(|call| call.to_string()), ["0x95d89b41", "0x313ce567"]);
    }

    #[test]
    fn letters_that_look_alike_are_read_and_others_are_not() {
        let read = |symbol: &str| reads_as(&symbol.chars().flat_map(char::escape_default).collect::<String>());
        for (symbol, read_as) in [
            ("U\u{405}DT", Some("USDT")),
            ("\u{ff35}\u{ff33}\u{ff24}C", Some("USDC")),
            ("US\u{200b}DC", Some("USDC")),
            ("US\u{200f}DC", Some("USDC")),
            ("\u{2066}USDC\u{2069}\u{a0}", Some("USDC ")),
            ("USD\u{20ae}", Some("USDT")),
            ("\u{441}b\u{415}TH", Some("cbETH")),
            ("\u{1f680}MOON", None),
            ("USDC", None),
        ] {
            assert_eq!(read(symbol).as_deref(), read_as, "{symbol}");
        }
    }
}
