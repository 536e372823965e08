//! A node that answers with generated blocks: of the size of Ethereum's, a hundred and fifty transactions with four hundred
//! logs, none of them about anybody who is watched; or small ones, of which one in ten moves a token from the wallet and one to
//! it, and whose newest are left for others again and again. What it costs is told apart from what reading costs, since it only fills
//! in a text.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

use crate::support::anvil::ACCOUNTS;

/// Transactions of each large block.
pub(crate) const TRANSACTIONS: usize = 150;
/// Logs of each large block.
pub(crate) const LOGS: usize = 400;
/// Blocks of the small ones that are left each time.
pub(crate) const LEFT: u64 = 3;
/// Of so many small blocks the last one moves something from the wallet and to it, each in a transaction of its own.
pub(crate) const MOVES_EVERY: u64 = 10;
/// What it moves.
pub(crate) const MOVES: usize = 2;

const SMALL_TRANSACTIONS: usize = 6;
const SMALL_LOGS: usize = 8;
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
/// What a token answers that is asked what it calls itself: `GEN`.
const SYMBOL: &str = "\"0x47454e0000000000000000000000000000000000000000000000000000000000\"";

/// The blocks that it has, as texts with places for what is a block's own.
struct Chain {
    /// The newest.
    head: AtomicU64,
    /// Blocks that are made at once, as soon as somebody looks whether the newest is still the newest.
    stage: u64,
    /// The newest of all.
    last: u64,
    block: String,
    receipts: String,
    /// Of each block that moves something from the wallet and to it.
    moving: String,
}

/// Starts one whose newest block is `head`; gives its address. It ends with the runtime.
pub(crate) async fn start(head: u64) -> String {
    serve(Arc::new(large(head))).await
}

/// A large block and its receipts, as a node answers them.
pub(crate) fn answers(number: u64) -> [String; 2] {
    let chain = large(number);
    [&chain.block, &chain.receipts].map(|text| chain.of(text, number))
}

fn large(head: u64) -> Chain {
    let receipts = receipts(TRANSACTIONS, LOGS, 0).to_string();
    Chain {
        head: AtomicU64::new(head),
        stage: head,
        last: head,
        block: block(TRANSACTIONS).to_string(),
        moving: receipts.clone(),
        receipts,
    }
}

/// A node that makes small blocks as they are read.
pub(crate) struct Small {
    /// Its address.
    pub(crate) url: String,
    chain: Arc<Chain>,
}

impl Small {
    /// Its newest block. All of the stage before it are read, and stand in the log of whoever reads them.
    pub(crate) fn head(&self) -> u64 {
        self.chain.head.load(Ordering::Relaxed)
    }
}

/// Starts one that makes small blocks up to `last`, `stage` at a time. With each stage the last blocks of the one before are
/// left for others.
pub(crate) async fn start_small(stage: u64, last: u64) -> Small {
    let chain = Arc::new(Chain {
        head: AtomicU64::new(stage),
        stage,
        last,
        block: block(SMALL_TRANSACTIONS).to_string(),
        receipts: receipts(SMALL_TRANSACTIONS, SMALL_LOGS, 0).to_string(),
        moving: receipts(SMALL_TRANSACTIONS, SMALL_LOGS, MOVES).to_string(),
    });
    Small { url: serve(Arc::clone(&chain)).await, chain }
}

async fn serve(chain: Arc<Chain>) -> String {
    let router = Router::new().route("/", post(answer)).with_state(chain);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn answer(State(chain): State<Arc<Chain>>, body: String) -> String {
    let asked: Value = serde_json::from_str(&body).unwrap();
    match asked.as_array() {
        None => chain.one(&asked),
        Some(several) => {
            let answers: Vec<String> = several.iter().map(|one| chain.one(one)).collect();
            format!("[{}]", answers.join(","))
        }
    }
}

impl Chain {
    fn one(&self, asked: &Value) -> String {
        let first = asked["params"][0].as_str().unwrap_or_default();
        let method = asked["method"].as_str().unwrap();
        // Hashes end with the block's number.
        let digits = if method == "eth_getBlockReceipts" { first.get(6..) } else { first.strip_prefix("0x") };
        let number = u64::from_str_radix(digits.unwrap_or_default(), 16);
        let head = self.head.load(Ordering::Relaxed);
        let result = match (method, number) {
            ("eth_chainId", _) => "\"0x7a69\"".to_owned(),
            ("eth_blockNumber", _) => format!("\"{head:#x}\""),
            ("eth_getBlockByNumber", Ok(number)) if number <= head => {
                let block = self.of(&self.block, number);
                if number == head && head < self.last && asked["params"][1] == false {
                    self.head.store(head + self.stage, Ordering::Relaxed);
                }
                block
            }
            ("eth_getBlockReceipts", Ok(number)) if number.is_multiple_of(MOVES_EVERY) => self.of(&self.moving, number),
            ("eth_getBlockReceipts", Ok(number)) => self.of(&self.receipts, number),
            ("eth_call", _) => SYMBOL.to_owned(),
            ("eth_getBalance", _) => "\"0x0\"".to_owned(),
            _ => "null".to_owned(),
        };
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", asked["id"])
    }

    /// The digits of a block's hash: its number, behind what tells it from the one that was left for it.
    fn hash(&self, number: u64) -> String {
        let end = number.next_multiple_of(self.stage);
        let is_another = number > 0 && end - number < LEFT && end < self.head.load(Ordering::Relaxed);
        format!("b{:03x}{number:060x}", u8::from(is_another))
    }

    /// A text with what a block has of its own.
    fn of(&self, text: &str, number: u64) -> String {
        let own = [
            ("number", format!("{number:x}")),
            ("hash", self.hash(number)),
            ("parent", self.hash(number.saturating_sub(1))),
            ("tx", format!("a{number:015x}")),
            ("time", format!("{:x}", 0x67b7_a3f0 + 12 * number)),
        ];
        let mut whole = String::with_capacity(text.len() * 5 / 4);
        let mut pieces = text.split('@');
        whole.push_str(pieces.next().unwrap());
        for piece in pieces {
            let (place, filled) = own.iter().find(|(place, _)| piece.starts_with(place)).unwrap();
            whole.push_str(filled);
            whole.push_str(&piece[place.len()..]);
        }
        whole
    }
}

fn account(number: usize) -> String {
    format!("0x{:040x}", 0x1000_0000 + number)
}

fn block(transactions: usize) -> Value {
    let transaction = |index: usize| {
        json!({
            "blockHash": "0x@hash",
            "blockNumber": "0x@number",
            "hash": format!("0x@tx{index:048x}"),
            "transactionIndex": format!("{index:#x}"),
            "from": account(index),
            "to": account(index % 40 + 1000),
            "value": "0x2386f26fc10000",
            "input": format!("0xa9059cbb{:064x}{:064x}", index + 5000, 1_000_000 + index),
            "nonce": "0x11",
            "gas": "0x186a0",
            "gasPrice": "0x3b9aca00",
            "type": "0x2",
            "chainId": "0x7a69",
            "v": "0x1",
            "r": format!("0x{:064x}", index + 7),
            "s": format!("0x{:064x}", index + 9),
        })
    };
    json!({
        "hash": "0x@hash",
        "parentHash": "0x@parent",
        "number": "0x@number",
        "timestamp": "0x@time",
        "receiptsRoot": format!("0x{:064x}", 1),
        "logsBloom": format!("0x{}", "0".repeat(512)),
        "gasUsed": "0xe4e1c0",
        "transactions": (0..transactions).map(transaction).collect::<Vec<_>>(),
        "withdrawals": [],
    })
}

/// Receipts of a block, of whose logs the first `moves` are about the wallet.
fn receipts(transactions: usize, logs: usize, moves: usize) -> Value {
    let log = |number: usize, transaction: usize| {
        let mut topics = vec![TRANSFER.to_owned(), format!("0x{:064x}", number + 1), format!("0x{:064x}", number + 2)];
        if number < moves {
            topics[1 + number % 2] = format!("0x{:0>64}", &ACCOUNTS[0][2..]);
        }
        json!({
            "address": account(number % 40 + 1000),
            "topics": topics,
            "data": format!("0x{:064x}", 1_000_000 + number),
            "blockHash": "0x@hash",
            "blockNumber": "0x@number",
            "transactionHash": format!("0x@tx{transaction:048x}"),
            "logIndex": format!("{number:#x}"),
            "removed": false,
        })
    };
    let receipt = |index: usize| {
        let logs = (0..logs).filter(|number| number % transactions == index);
        json!({
            "transactionHash": format!("0x@tx{index:048x}"),
            "transactionIndex": format!("{index:#x}"),
            "blockHash": "0x@hash",
            "blockNumber": "0x@number",
            "from": account(index),
            "gasUsed": "0xfde8",
            "effectiveGasPrice": "0x3b9aca00",
            "status": "0x1",
            "type": "0x2",
            "logsBloom": format!("0x{}", "0".repeat(512)),
            "logs": logs.map(|number| log(number, index)).collect::<Vec<_>>(),
        })
    };
    Value::from((0..transactions).map(receipt).collect::<Vec<_>>())
}
