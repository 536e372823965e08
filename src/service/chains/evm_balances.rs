//! What is asked of nodes about balances that are read at a rhythm: each of one wallet and asset at one block, many in one
//! request. Which are asked for, and what the answers mean, is decided in `keywatch_ingest::chain::evm::rhythm`.

use alloy::primitives::{Bytes, U256};
use keywatch_ingest::chain::evm::rhythm::Pair;
use keywatch_ingest::chain::evm::tokens;
use serde_json::{Value, json};

use super::node::{Class, Node, Trouble};
use crate::limits::NODE_BATCH_MAX;

/// Asks for balances at the block of that hash. A token that does not say what a wallet holds stops nobody: it is `None`.
///
/// # Errors
/// The node does not answer, or asks for a rest.
pub(super) async fn read(node: &Node, hash: &str, pairs: &[Pair]) -> Result<Vec<Option<U256>>, Trouble> {
    let mut read = Vec::with_capacity(pairs.len());
    for piece in pairs.chunks(NODE_BATCH_MAX) {
        let questions: Vec<(&str, Value)> = piece.iter().map(|pair| question(pair, hash)).collect();
        let answers = match node.batch::<String>(&questions).await {
            Ok(answers) => answers,
            // An answer as long as no node may give is the tokens' doing.
            Err(trouble) if trouble.class == Class::Malformed => {
                read.extend(piece.iter().map(|_| None));
                continue;
            }
            Err(trouble) => return Err(trouble),
        };
        for (pair, answer) in piece.iter().zip(answers) {
            match answer {
                Ok(answer) => read.push(answer.and_then(|text| units(pair, &text))),
                Err(trouble) if matches!(trouble.class, Class::Rpc | Class::Missing | Class::Malformed) => {
                    read.push(None);
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }
    Ok(read)
}

fn question(pair: &Pair, hash: &str) -> (&'static str, Value) {
    let at = json!({ "blockHash": hash });
    let Some(token) = pair.token else {
        return ("eth_getBalance", json!([format!("{:#x}", pair.wallet), at]));
    };
    let data = tokens::question(&pair.wallet).to_string();
    ("eth_call", json!([{"to": format!("{token:#x}"), "data": data}, at]))
}

/// A quantity for the chain's own asset, the bytes that a contract answers for a token.
fn units(pair: &Pair, text: &str) -> Option<U256> {
    match pair.token {
        None => text.parse().ok(),
        Some(_) => tokens::units(&text.parse::<Bytes>().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;

    #[test]
    fn balances_are_asked_for_and_read_in_the_form_of_each_asset() {
        let wallet = Address::repeat_byte(0x11);
        let (native, held) = (Pair { wallet, token: None }, Pair { wallet, token: Some(Address::repeat_byte(0x33)) });
        let (method, asked) = question(&native, "0xab");
        assert_eq!((method, &asked[0]), ("eth_getBalance", &json!(format!("{wallet:#x}"))));
        let (method, asked) = question(&held, "0xab");
        assert_eq!((method, &asked[1]), ("eth_call", &json!({"blockHash": "0xab"})));
        assert_eq!(asked[0]["to"], json!(format!("{:#x}", Address::repeat_byte(0x33))));
        let word = format!("0x{:064x}", 98);
        assert_eq!((units(&native, "0x62"), units(&held, &word)), (Some(U256::from(98)), Some(U256::from(98))));
        assert_eq!((units(&native, "nonsense"), units(&held, "0x62")), (None, None));
    }
}
