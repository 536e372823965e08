//! A real node of Bitcoin (btcd, regtest) on a loopback port of its own, stopped when it is dropped; and a wallet that it
//! mines for.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{
    Address, Amount, CompressedPublicKey, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, ecdsa,
    transaction,
};
use serde_json::json;

use super::bitcoin::Bitcoin;
use super::tools::{cached, version};

/// A node.
pub(crate) struct Btcd(Bitcoin);

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
        let command = |port: u16, directory: &Path| {
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
                command.arg(format!("--{option}={}", directory.join(folder).display()));
            }
            command.arg(format!("--configfile={}", directory.join("none.conf").display()));
            command
        };
        Btcd(Bitcoin::start("btcd", command).await)
    }

    /// Hands it a transaction; gives the id.
    pub(crate) async fn send(&self, transaction: &Transaction) -> String {
        self.rpc("sendrawtransaction", json!([serialize_hex(transaction)])).await.as_str().unwrap().to_owned()
    }
}

/// The pinned binary: where `KEYWATCH_TEST_BTCD` says, else where `make tools` puts it.
fn binary() -> PathBuf {
    let binary = cached("KEYWATCH_TEST_BTCD", &format!("btcd-{}/btcd", version("BTCD_VERSION")));
    let place = binary.display();
    assert!(binary.is_file(), "btcd is not at {place}: `make tools` installs it, KEYWATCH_TEST_BTCD may name another");
    binary
}

impl Deref for Btcd {
    type Target = Bitcoin;

    fn deref(&self) -> &Bitcoin {
        &self.0
    }
}
