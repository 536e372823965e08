//! A node that answers with generated blocks of the size of Ethereum's: a hundred and fifty transactions with four hundred logs,
//! none of them about anybody who is watched. What it costs is told apart from what reading costs, since it only fills in a
//! text.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

/// Transactions of each block.
pub(crate) const TRANSACTIONS: usize = 150;
/// Logs of each block.
pub(crate) const LOGS: usize = 400;

const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// Texts of a block and of its receipts, with places for what is its own.
struct Texts {
    head: u64,
    block: String,
    receipts: String,
}

/// Starts one whose newest block is `head`; gives its address. It ends with the runtime.
pub(crate) async fn start(head: u64) -> String {
    let texts = Arc::new(Texts { head, block: block().to_string(), receipts: receipts().to_string() });
    let router = Router::new().route("/", post(answer)).with_state(texts);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn answer(State(texts): State<Arc<Texts>>, body: String) -> String {
    let asked: Value = serde_json::from_str(&body).unwrap();
    match asked.as_array() {
        None => texts.one(&asked),
        Some(several) => {
            let answers: Vec<String> = several.iter().map(|one| texts.one(one)).collect();
            format!("[{}]", answers.join(","))
        }
    }
}

impl Texts {
    fn one(&self, asked: &Value) -> String {
        let first = asked["params"][0].as_str().unwrap_or_default();
        let method = asked["method"].as_str().unwrap();
        // Hashes are a letter and the block's number.
        let digits = first.strip_prefix(if method == "eth_getBlockReceipts" { "0xb" } else { "0x" });
        let number = u64::from_str_radix(digits.unwrap_or_default(), 16);
        let result = match (method, number) {
            ("eth_chainId", _) => "\"0x7a69\"".to_owned(),
            ("eth_blockNumber", _) => format!("\"{:#x}\"", self.head),
            ("eth_getBlockByNumber", Ok(number)) if number <= self.head => of(&self.block, number),
            ("eth_getBlockReceipts", Ok(number)) => of(&self.receipts, number),
            _ => "null".to_owned(),
        };
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{result}}}", asked["id"])
    }
}

/// A text with what a block has of its own.
fn of(text: &str, number: u64) -> String {
    let parent = number.saturating_sub(1);
    let text = text.replace("@number", &format!("{number:x}")).replace("@hash", &format!("b{number:063x}"));
    text.replace("@parent", &format!("b{parent:063x}")).replace("@tx", &format!("a{number:015x}"))
}

fn account(number: usize) -> String {
    format!("0x{:040x}", 0x1000_0000 + number)
}

fn block() -> Value {
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
        "timestamp": "0x67b7a3f0",
        "receiptsRoot": format!("0x{:064x}", 1),
        "logsBloom": format!("0x{}", "0".repeat(512)),
        "gasUsed": "0xe4e1c0",
        "transactions": (0..TRANSACTIONS).map(transaction).collect::<Vec<_>>(),
        "withdrawals": [],
    })
}

fn receipts() -> Value {
    let log = |number: usize, transaction: usize| {
        json!({
            "address": account(number % 40 + 1000),
            "topics": [TRANSFER, format!("0x{:064x}", number + 1), format!("0x{:064x}", number + 2)],
            "data": format!("0x{:064x}", 1_000_000 + number),
            "blockHash": "0x@hash",
            "blockNumber": "0x@number",
            "transactionHash": format!("0x@tx{transaction:048x}"),
            "logIndex": format!("{number:#x}"),
            "removed": false,
        })
    };
    let receipt = |index: usize| {
        let logs = (0..LOGS).filter(|number| number % TRANSACTIONS == index);
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
    Value::from((0..TRANSACTIONS).map(receipt).collect::<Vec<_>>())
}
