//! A real node of Bitcoin (btcd, regtest) on a loopback port of its own, stopped when it is dropped; and a wallet that it
//! mines for.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{
    Address, Amount, Block, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    ecdsa, transaction,
};
use reqwest::Client;
use serde_json::{Value, json};

/// A node.
pub(crate) struct Btcd {
    child: Child,
    port: u16,
    client: Client,
    _directory: tempfile::TempDir,
}

/// A key, and the address that pays it.
pub(crate) struct Wallet {
    key: SecretKey,
    public: CompressedPublicKey,
    /// The address (P2WPKH).
    pub(crate) address: Address,
}

impl Wallet {
    /// The wallet of a key that is this byte 32 times.
    pub(crate) fn of(byte: u8) -> Wallet {
        let key = SecretKey::from_slice(&[byte; 32]).unwrap();
        let public = CompressedPublicKey(key.public_key(&Secp256k1::new()));
        let address = Address::p2wpkh(&public, bitcoin::KnownHrp::Regtest);
        Wallet { key, public, address }
    }

    /// Spends coins of this wallet.
    pub(crate) fn spend(&self, coins: &[(OutPoint, TxOut)], outputs: &[(&Address, u64)]) -> Transaction {
        let output = |(to, units): &(&Address, u64)| TxOut {
            value: Amount::from_sat(*units),
            script_pubkey: to.script_pubkey(),
        };
        let input = |(at, _): &(OutPoint, TxOut)| TxIn {
            previous_output: *at,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        };
        let mut spending = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: coins.iter().map(input).collect(),
            output: outputs.iter().map(output).collect(),
        };
        let mut cache = SighashCache::new(spending.clone());
        for (index, (_, coin)) in coins.iter().enumerate() {
            let kind = EcdsaSighashType::All;
            let digest = cache.p2wpkh_signature_hash(index, &coin.script_pubkey, coin.value, kind).unwrap();
            let signature = Secp256k1::new().sign_ecdsa(&Message::from(digest), &self.key);
            let signature = ecdsa::Signature { signature, sighash_type: kind };
            spending.input[index].witness = Witness::p2wpkh(&signature, &self.public.0);
        }
        spending
    }
}

impl Btcd {
    /// Starts one that mines for `miner`, and waits until it answers.
    pub(crate) async fn start(miner: &Address) -> Btcd {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for _ in 0..5 {
            // The port is free when it is looked for and may be taken a moment later: then the next one.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let directory = tempfile::tempdir().unwrap();
            let mut command = Command::new(binary());
            command.args([
                "--regtest",
                "--notls",
                "--rpcuser=u",
                "--rpcpass=p",
                "--nolisten",
                "--nodnsseed",
                "--txindex",
            ]);
            command.arg(format!("--rpclisten=127.0.0.1:{port}")).arg(format!("--miningaddr={miner}"));
            for (option, folder) in [("datadir", "data"), ("logdir", "log")] {
                command.arg(format!("--{option}={}", directory.path().join(folder).display()));
            }
            command.arg(format!("--configfile={}", directory.path().join("none.conf").display()));
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut btcd = Btcd { child, port, client: Client::new(), _directory: directory };
            let answers = async {
                while btcd.child.try_wait().unwrap().is_none() {
                    if btcd.ask("getblockcount", json!([])).await.is_some() {
                        return true;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                false
            };
            if tokio::time::timeout(Duration::from_secs(30), answers).await == Ok(true) {
                return btcd;
            }
        }
        panic!("btcd did not start on any of five free ports");
    }

    /// Its address, with credentials.
    pub(crate) fn url(&self) -> String {
        format!("http://u:p@127.0.0.1:{}", self.port)
    }

    /// What it answers; it must.
    pub(crate) async fn rpc(&self, method: &str, parameters: Value) -> Value {
        let answer = self.ask(method, parameters.clone()).await.unwrap_or_else(|| panic!("{method} is not answered"));
        assert!(answer["error"].is_null(), "{method} {parameters}: {answer}");
        answer["result"].clone()
    }

    async fn ask(&self, method: &str, parameters: Value) -> Option<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let asked = self.client.post(format!("http://127.0.0.1:{}", self.port)).basic_auth("u", Some("p")).json(&body);
        asked.send().await.ok()?.json().await.ok()
    }

    /// Mines blocks; gives their hashes.
    pub(crate) async fn mine(&self, blocks: u32) -> Vec<String> {
        let hashes = self.rpc("generate", json!([blocks])).await;
        hashes.as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().to_owned()).collect()
    }

    /// Height of its newest block.
    pub(crate) async fn height(&self) -> u64 {
        self.rpc("getblockcount", json!([])).await.as_u64().unwrap()
    }

    /// The coin that a block made for its miner.
    pub(crate) async fn coin(&self, hash: &str) -> (OutPoint, TxOut) {
        let bytes = self.rpc("getblock", json!([hash, 0])).await;
        let block: Block = deserialize_hex(bytes.as_str().unwrap()).unwrap();
        let made = &block.txdata[0];
        (OutPoint::new(made.compute_txid(), 0), made.output[0].clone())
    }

    /// Hands it a transaction; gives the id.
    pub(crate) async fn send(&self, transaction: &Transaction) -> String {
        self.rpc("sendrawtransaction", json!([serialize_hex(transaction)])).await.as_str().unwrap().to_owned()
    }
}

/// The pinned binary: where `KEYWATCH_TEST_BTCD` says, else where `make tools` puts it.
fn binary() -> PathBuf {
    let pinned = include_str!("../../.ci/versions").lines().find_map(|line| line.strip_prefix("BTCD_VERSION="));
    let cache = || {
        let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
        Path::new(&home).join(".cache/keywatch/tools").join(format!("btcd-{}", pinned.unwrap())).join("btcd")
    };
    let binary = std::env::var_os("KEYWATCH_TEST_BTCD").map_or_else(cache, PathBuf::from);
    let place = binary.display();
    assert!(binary.is_file(), "btcd is not at {place}: `make tools` installs it, KEYWATCH_TEST_BTCD may name another");
    binary
}

impl Drop for Btcd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
