//! What an inventory file may say, entry by entry. Every entry but a system is one row of the table of its name.
//!
//! A field that came later is left out when it is empty, so that a declaration keeps its hash when keywatch learns a word.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::by_name::ByName;

/// What a wallet may be for.
pub const PURPOSES: [&str; 3] = ["customer_withdrawals", "treasury", "cold"];

macro_rules! rows {
    ($($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident : $kind:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_meta])* pub $field: $kind),* }
    )*};
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

rows! {
    /// One trusted environment, with everything declared about it.
    System {
        /// Identifier, the partition key of the log.
        id: String,
        /// Display name.
        #[serde(default)]
        name: String,
        /// `self_custody`, `qualified_service_provider` or `full_system`.
        #[serde(default)]
        designation: String,
        /// 1, 2 or 3.
        #[serde(default)]
        ccss_level: i64,
        /// Currency of the prices of its assets, ISO 4217; `USD` where it is nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        currency: String,
        /// Wallets.
        #[serde(default)]
        wallets: Vec<Wallet>,
        /// Who may sign.
        #[serde(default)]
        owners: Vec<Owner>,
        /// Modules that may act for wallets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        modules: Vec<Module>,
        /// Contracts that wallets may delegate to.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        libraries: Vec<Library>,
        /// Amounts from which on more is asked for a payment.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        limits: Vec<Limit>,
        /// Assets, so that people read their amounts in the units that they know.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        assets: Vec<Asset>,
        /// Approved destinations.
        #[serde(default)]
        destinations: Vec<Destination>,
        /// Networks of the company.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        networks: Vec<Network>,
        /// What others warn of.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        indicators: Vec<Indicator>,
        /// People and service accounts.
        #[serde(default)]
        people: Vec<Person>,
        /// Expected sources.
        #[serde(default)]
        sources: Vec<Source>,
        /// Where its wallets stand, for who looks one up.
        #[serde(skip)]
        by_name: ByName,
    }
    /// A wallet.
    Wallet {
        /// Address or vault id.
        wallet: String,
        /// Chain name.
        chain: String,
        /// `hot`, `warm` or `cold`.
        #[serde(default)]
        temperature: String,
        /// `safe`, `mpc`, `hsm`, `kms`, `p2sh` …
        #[serde(default)]
        technology: String,
        /// Signatures needed.
        #[serde(default)]
        threshold: i64,
        /// Approved implementation contract.
        #[serde(default)]
        implementation: String,
        /// Version of the multisig contract.
        #[serde(default)]
        contract_version: String,
        /// One of [`PURPOSES`], or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        purpose: String,
        /// Source whose records hold every signature of the wallet, or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        signer: String,
        /// Source that follows the wallet on its chain, or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        node: String,
        /// Source that orders every payment of the wallet, or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        ledger: String,
        /// Source of the decisions that every signature needs, or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        decision_point: String,
        /// Block from which on the wallet is read when it is added while its chain is followed; 0 for none.
        #[serde(default, skip_serializing_if = "is_zero")]
        first_block: i64,
        /// Descriptor of its addresses with its checksum, for a wallet of Bitcoin that has many, or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        descriptor: String,
        /// Addresses of the descriptor that are watched ahead of the last one used; 0 for the usual number.
        #[serde(default, skip_serializing_if = "is_zero")]
        gap_limit: i64,
    }
    /// A module that may act for a multisig wallet.
    Module {
        /// The wallet.
        wallet: String,
        /// Its address.
        module: String,
        /// What it is for.
        #[serde(default)]
        label: String,
    }
    /// A contract that wallets may delegate to.
    Library {
        /// Its address.
        address: String,
        /// What it is.
        #[serde(default)]
        label: String,
    }
    /// An amount of an asset from which on a payment of a wallet needs more than one below it.
    Limit {
        /// The wallet.
        wallet: String,
        /// Asset symbol or contract, as its events name it.
        asset: String,
        /// Base units, decimal digits.
        amount: String,
        /// What is asked for from there on.
        #[serde(default)]
        label: String,
    }
    /// An asset, as people call it and count it.
    Asset {
        /// Symbol or contract, as its events name it.
        asset: String,
        /// Chain name.
        chain: String,
        /// What people call it; nothing where `asset` is that already.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        symbol: String,
        /// Digits of an amount in base units that stand behind the point.
        decimals: i64,
        /// Whether balances of it change although nobody moves any.
        #[serde(default, skip_serializing_if = "is_false")]
        rebases: bool,
        /// What a whole unit is worth in the system's currency, a decimal number, or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        price: String,
        /// Source that quotes what a whole unit is worth (`asset.price`), or nothing.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        price_source: String,
    }
    /// A network of the company or of a provider of it.
    Network {
        /// CIDR block, or `AS` and a number.
        network: String,
        /// Where its addresses seem to be; empty when they change.
        #[serde(default)]
        country: String,
        /// `office`, `vpn`, `relay` or `datacentre`.
        #[serde(default)]
        purpose: String,
    }
    /// A signer of a wallet.
    Owner {
        /// The wallet.
        wallet: String,
        /// Address or key id.
        owner: String,
        /// Who holds it.
        #[serde(default)]
        person: String,
    }
    /// An approved destination.
    Destination {
        /// The address.
        address: String,
        /// Whose it is.
        #[serde(default)]
        label: String,
    }
    /// Something that others warn of, as events name it.
    Indicator {
        /// An address of a chain or of the internet, a session, a transaction or a device.
        indicator: String,
        /// Why it is warned of.
        #[serde(default)]
        label: String,
        /// Until when it counts, unix seconds; 0 for good.
        #[serde(default)]
        expires_at: i64,
        /// Who imported it.
        #[serde(default)]
        imported_by: String,
    }
    /// A person or service account.
    Person {
        /// As sessions and decisions name them.
        subject: String,
        /// `custodian`, `analyst`, `administrator` or `service`.
        role: String,
    }
    /// An expected source.
    Source {
        /// The authenticated source.
        source: String,
        /// Feed that reads it.
        feed: String,
        /// Sources that one attacker could hold together.
        #[serde(default)]
        trust_group: String,
        /// Documented delivery delay, seconds.
        #[serde(default)]
        max_delay_seconds: i64,
        /// Longest ordinary silence, seconds; 0 when silence is ordinary.
        #[serde(default)]
        heartbeat_seconds: i64,
        /// For decisions: where in a result the verdict stands, as decision path → JSON pointer (RFC 6901). Paths that
        /// are not named are read as the feed does by itself.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        verdicts: BTreeMap<String, String>,
    }
}
