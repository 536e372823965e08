//! What is asked of nodes about the balances of tokens: each on both sides of a block, many in one request. Which are asked
//! for, and what the answers mean, is decided in `keywatch_ingest::chain::evm::tokens`.

use alloy::primitives::{Address, B256, Bytes, U256};
use keywatch_ingest::chain::evm::Block;
use keywatch_ingest::chain::evm::tokens::{self, Held};
use keywatch_ingest::chain::health::Asked;
use serde_json::{Value, json};

use super::node::{Class, Node, Trouble};
use crate::limits::NODE_BATCH_MAX;

/// Asks for the balances of wallets in tokens before a block and after it. A token that does not say what a wallet holds stops
/// nobody: it is left out, and `asked` has why.
pub(super) async fn held(
    node: &Node,
    block: &Block,
    pairs: &[(Address, Address)],
    asked: &mut Asked,
) -> Result<Vec<Held>, Trouble> {
    let mut held = Vec::with_capacity(pairs.len());
    for piece in pairs.chunks(NODE_BATCH_MAX / 2) {
        let sides = |pair: &(Address, Address)| [question(pair, &block.parent_hash), question(pair, &block.hash)];
        let questions: Vec<(&str, Value)> = piece.iter().flat_map(sides).collect();
        let answers = match node.batch::<String>(&questions).await {
            Ok(answers) => answers,
            // An answer as long as no node may give is the tokens' doing.
            Err(trouble) if trouble.class == Class::Malformed => {
                piece.iter().for_each(|(_, token)| asked.fails(&part(token), format!("balances of tokens: {trouble}")));
                continue;
            }
            Err(trouble) => return Err(trouble),
        };
        for ((wallet, token), sides) in piece.iter().zip(answers.chunks_exact(2)) {
            let read = balance(node, &sides[0]).and_then(|before| Ok((before, balance(node, &sides[1])?)));
            match read {
                Ok((before, after)) => {
                    asked.answers(&part(token));
                    held.push(Held { wallet: *wallet, token: *token, before, after });
                }
                Err(trouble) if matches!(trouble.class, Class::Rpc | Class::Missing | Class::Malformed) => {
                    let problem = format!("token {token:#x} does not tell what {wallet:#x} holds: {trouble}");
                    asked.fails(&part(token), problem);
                }
                Err(trouble) => return Err(trouble),
            }
        }
    }
    Ok(held)
}

/// What balances of a token are called among the parts of a block.
pub(super) fn part(token: &Address) -> String {
    format!("{token:#x}")
}

/// Whether a token tells at a block what a wallet holds.
pub(super) async fn tells(node: &Node, pair: &(Address, Address), block: &B256) -> Result<bool, Trouble> {
    let answers = node.batch::<String>(&[question(pair, block)]).await?;
    Ok(answers.iter().all(|answer| balance(node, answer).is_ok()))
}

fn question((wallet, token): &(Address, Address), block: &B256) -> (&'static str, Value) {
    let call = json!({"to": format!("{token:#x}"), "data": tokens::question(wallet).to_string()});
    ("eth_call", json!([call, {"blockHash": format!("{block:#x}")}]))
}

fn balance(node: &Node, answer: &Result<Option<String>, Trouble>) -> Result<U256, Trouble> {
    let missing = || node.trouble(Class::Missing, "eth_call answers null".into());
    let text = answer.as_ref().map_err(Trouble::clone)?.as_ref().ok_or_else(missing)?;
    let malformed = |problem: String| node.trouble(Class::Malformed, problem);
    let bytes = text.parse::<Bytes>().map_err(|error| malformed(format!("{error}")))?;
    tokens::units(&bytes).ok_or_else(|| malformed(format!("balanceOf answers {} bytes", bytes.len())))
}
