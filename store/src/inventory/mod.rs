//! The inventory: what an organisation declares about its systems. Written as TOML, activated as records of the log,
//! one `inventory.activated` a system, so that rules see the inventory as of their row's own time.
//!
//! Every entry is one row of a table that rules may join; [`TABLES`] lists them with their keys. Addresses of chains
//! with case-insensitive forms become lower case when a file is read, as the feeds write them.

mod activation;
mod assets;
mod by_name;
mod declared;
mod network;
mod prices;
mod private_keys;
mod quotes;
mod tables;
mod written;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use assets::{amount_as_said, amount_in_words, grouped};
pub use by_name::ByName;
pub use declared::{
    Asset, Destination, Indicator, Library, Limit, Module, Network as DeclaredNetwork, Owner, PURPOSES, Person, Source,
    System, Wallet,
};
pub use network::Network;
pub use prices::Price;
pub use quotes::{Quote, QuotedAsset, Quotes};
pub use tables::{Cell, TABLES, Table, table};

use crate::event::Origin;
use crate::time::SECOND_NS;
use crate::{Amount, Error, Event, Instant};

/// Wallets that are gone through one by one.
const FEW_WALLETS: usize = 32;

/// Everything declared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// Trusted environments.
    #[serde(default)]
    pub systems: Vec<System>,
}

impl Inventory {
    /// Reads TOML; `file` is how errors name it.
    ///
    /// # Errors
    /// [`Error::Inventory`] with line, field and problem: bad TOML, an unknown field, an empty or doubled key, more of a
    /// system than has room in the log.
    pub fn parse(file: &str, text: &str) -> Result<Inventory, Error> {
        let refuse =
            |problem: String| Error::Inventory { file: file.to_owned(), problem: private_keys::hidden(&problem) };
        let mut inventory: Inventory =
            toml::from_str(text).map_err(|error| refuse(error.to_string().trim_end().to_owned()))?;
        for system in &mut inventory.systems {
            system.write_as_events();
            system.check().map_err(|problem| refuse(format!("system `{}`: {problem}", system.id)))?;
        }
        let mut ids: Vec<&str> = inventory.systems.iter().map(|system| system.id.as_str()).collect();
        ids.sort_unstable();
        if let Some([twice, _]) = ids.array_windows().find(|[one, next]| one == next) {
            return Err(refuse(format!("system `{twice}` is declared twice")));
        }
        Ok(inventory)
    }

    /// The system of that id.
    #[must_use]
    pub fn system(&self, id: &str) -> Option<&System> {
        self.systems.iter().find(|system| system.id == id)
    }

    /// Declared delay of each source of a system, nanoseconds.
    #[must_use]
    pub fn delays(&self, system: &str) -> HashMap<String, i64> {
        let sources = self.system(system).map(|system| system.sources.as_slice()).unwrap_or_default();
        sources
            .iter()
            .map(|source| (source.source.clone(), source.max_delay_seconds.saturating_mul(SECOND_NS)))
            .collect()
    }

    /// The records that activate this inventory at `time`: for each system one `inventory.activated`, then one
    /// `source.expected` for each source with a heartbeat. The id is the content's hash and the time's, so that
    /// activating the same inventory again later is a new record.
    #[must_use]
    pub fn activation(&self, time: Instant) -> Vec<Event> {
        self.systems.iter().flat_map(|system| system.activation(time)).collect()
    }

    /// Reads an `inventory.activated` back, in either form; `None` when the record does not hold one.
    #[must_use]
    pub fn from_activation(event: &Event) -> Option<Inventory> {
        Some(Inventory { systems: vec![activation::read(event)?] })
    }
}

impl System {
    fn check(&self) -> Result<(), String> {
        if self.id.is_empty() {
            return Err("`id` is empty".to_owned());
        }
        // What is declared goes into the log and into tables, whoever reads it and whatever chain it is of.
        if let Some(place) = private_keys::place(&json!(self)) {
            return Err(format!(
                "{place} holds a private key; declare it with public ones, and take the key as known to whoever could \
                 read this file"
            ));
        }
        for table in TABLES {
            let mut keys = Vec::new();
            for row in self.rows(table.name) {
                let key: Vec<String> =
                    table.key.iter().map(|column| row[*column].as_str().unwrap_or_default().to_owned()).collect();
                if key.iter().any(String::is_empty) {
                    return Err(format!("an entry of `{}` has an empty `{}`", table.name, table.key.join("` or `")));
                }
                keys.push(key);
            }
            keys.sort();
            if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(format!("`{}` has {} twice", table.name, pair[0].join(" ")));
            }
        }
        if self.sources.iter().any(|source| source.max_delay_seconds < 0 || source.heartbeat_seconds < 0) {
            return Err("a source has a negative delay or heartbeat".to_owned());
        }
        for network in &self.networks {
            network.network.parse::<Network>().map_err(|problem| format!("`networks`: {problem}"))?;
        }
        if let Some(indicator) = self.indicators.iter().find(|indicator| indicator.expires_at < 0) {
            return Err(format!("`indicators`: `{}` expires before 1970; 0 is never", indicator.indicator));
        }
        for limit in &self.limits {
            if limit.amount.len() > 38 || Amount::from_digits(&limit.amount).is_err() {
                return Err(format!("`limits`: `{}` is no amount in base units of up to 38 digits", limit.amount));
            }
        }
        if let Some(asset) = self.assets.iter().find(|asset| !(0..=38).contains(&asset.decimals)) {
            return Err(format!("`assets`: `{}` has {} decimals; 0 to 38", asset.asset, asset.decimals));
        }
        self.check_prices()?;
        self.wallets.iter().try_for_each(|wallet| self.check_wallet(wallet))?;
        activation::check(self)
    }

    /// A wallet's sources have to be declared themselves: a misspelt one would never be heard, and what it should have
    /// said would never be missed.
    fn check_wallet(&self, wallet: &Wallet) -> Result<(), String> {
        let name = &wallet.wallet;
        if !wallet.purpose.is_empty() && !PURPOSES.contains(&wallet.purpose.as_str()) {
            let known = PURPOSES.join(", ");
            return Err(format!("wallet {name}: purpose `{}` is none of {known}", wallet.purpose));
        }
        if wallet.first_block < 0 {
            return Err(format!("wallet {name}: first_block {} is below 0", wallet.first_block));
        }
        if wallet.gap_limit < 0 {
            return Err(format!("wallet {name}: gap_limit {} is below 0", wallet.gap_limit));
        }
        for (role, source) in wallet.sources() {
            if !self.sources.iter().any(|declared| declared.source == source) {
                return Err(format!("wallet {name}: its {role} `{source}` is not among the system's sources"));
            }
        }
        Ok(())
    }

    /// The wallet of that name, whatever the case of its letters; the first one where several have it. Feeds ask it for each
    /// record. Once it was asked for, the wallets do not change any more: who changes them does so in a copy.
    #[must_use]
    pub fn wallet(&self, name: &str) -> Option<&Wallet> {
        let is_it = |wallet: &&Wallet| wallet.wallet.eq_ignore_ascii_case(name);
        if self.wallets.len() <= FEW_WALLETS {
            return self.wallets.iter().find(is_it);
        }
        let place = self.by_name.place(name, self.wallets.iter().map(|wallet| wallet.wallet.as_str()))?;
        self.wallets.get(place).filter(is_it)
    }

    /// The rows of one table as JSON objects, `system` included.
    #[must_use]
    pub fn rows(&self, table: &str) -> Vec<Map<String, Value>> {
        let values = match table {
            "systems" => json!([{
                "name": self.name,
                "designation": self.designation,
                "ccss_level": self.ccss_level,
                "currency": self.price_currency(),
            }]),
            "wallets" => json!(self.wallets),
            "owners" => json!(self.owners),
            "modules" => json!(self.modules),
            "libraries" => json!(self.libraries),
            "limits" => json!(self.limits),
            "assets" => json!(self.assets),
            "destinations" => json!(self.destinations),
            "networks" => json!(self.networks),
            "indicators" => json!(self.indicators),
            "people" => json!(self.people),
            "sources" => json!(self.sources),
            _ => json!([]),
        };
        let Value::Array(values) = values else { return Vec::new() };
        let objects = values.into_iter().filter_map(|value| match value {
            Value::Object(row) => Some(row),
            _ => None,
        });
        objects
            .map(|mut row| {
                row.insert("system".to_owned(), Value::from(self.id.as_str()));
                row
            })
            .collect()
    }

    /// One table as an Arrow batch.
    ///
    /// # Errors
    /// [`Error::Arrow`] when a column outgrows 2 GiB.
    pub fn batch(&self, table: &Table) -> Result<RecordBatch, Error> {
        let rows = self.rows(table.name);
        let schema = table.schema();
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            let cells = rows.iter().map(|row| row.get(field.name()));
            match field.data_type() {
                DataType::Int64 => Arc::new(cells.map(|cell| cell.and_then(Value::as_i64)).collect::<Int64Array>()),
                DataType::Boolean => {
                    Arc::new(cells.map(|cell| cell.and_then(Value::as_bool)).collect::<BooleanArray>())
                }
                _ => Arc::new(cells.map(|cell| cell.and_then(Value::as_str)).collect::<StringViewArray>()),
            }
        });
        let columns: Vec<ArrayRef> = columns.collect();
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    /// What tells this declaration from others: the `sha256` of its `inventory.activated`.
    #[must_use]
    pub fn digest(&self) -> String {
        activation::digest(self)
    }

    fn activation(&self, time: Instant) -> Vec<Event> {
        let (activated, digest) = activation::record(self, time);
        let mut events = vec![activated];
        for source in self.sources.iter().filter(|source| source.heartbeat_seconds > 0) {
            let origin = Origin { system: self.id.clone(), source: source.source.clone() };
            let mut expected = Event::builder(&origin, &format!("expected/{digest}/{time}"), "source.expected", time);
            expected.time(time).detail(&json!({ "heartbeat_seconds": source.heartbeat_seconds }));
            events.push(expected.build_own());
        }
        events
    }
}

impl Wallet {
    /// The sources that are declared for it, each with its role.
    pub fn sources(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let roles = [
            ("signer", &self.signer),
            ("node", &self.node),
            ("ledger", &self.ledger),
            ("decision_point", &self.decision_point),
        ];
        roles.into_iter().filter(|(_, source)| !source.is_empty()).map(|(role, source)| (role, source.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str = r#"
        [[systems]]
        id = "cold"
        [[systems.wallets]]
        wallet = "0xabc"
        chain = "ethereum"
        threshold = 3
        [[systems.sources]]
        source = "opa"
        feed = "opa"
        max_delay_seconds = 600
        heartbeat_seconds = 60
    "#;

    #[test]
    fn an_activation_holds_the_whole_inventory() {
        let inventory = Inventory::parse("i.toml", TOML).unwrap();
        let events = inventory.activation(Instant(5));
        assert_eq!(events.len(), 2);
        assert_eq!(Inventory::from_activation(&events[0]), Some(inventory));
        assert_eq!(events[1].kind(), "source.expected");
    }

    #[test]
    fn every_table_becomes_a_batch_of_its_schema() {
        let inventory = Inventory::parse("i.toml", TOML).unwrap();
        for table in TABLES {
            let batch = inventory.systems[0].batch(table).unwrap();
            assert_eq!(batch.schema(), table.schema());
            assert_eq!(batch.num_rows(), inventory.systems[0].rows(table.name).len());
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, said) in [
            (TOML.replace("threshold", "treshold"), "treshold"),
            (TOML.replace("threshold = 3", "threshold = \"3\""), "line 7"),
            (TOML.replace("0xabc", ""), "empty `wallet`"),
            (format!("{TOML}\n[[systems]]\nid = \"cold\""), "twice"),
            (TOML.replace("threshold = 3", "purpose = \"fun\""), "purpose `fun` is none of customer_withdrawals"),
            (TOML.replace("threshold = 3", "signer = \"opb\""), "its signer `opb` is not among"),
            (TOML.replace("threshold = 3", "first_block = -1"), "first_block -1 is below 0"),
            (
                TOML.replace("threshold = 3", "descriptor = \"wpkh([73c5da0a/84h]xprv9s21/*)#qf45pmyh\""),
                "entry 1 of `wallets`: its `descriptor` holds a private key; declare it",
            ),
            (
                TOML.replace("0xabc", "5HpHagT65TZzG1PH3CSu63k8DbpvD8s5ip4nEB3kEsreAnchuDf"),
                "entry 1 of `wallets`: its `wallet` holds a private key",
            ),
            (
                TOML.replace("threshold = 3", "treshold = \"KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn\""),
                "treshold",
            ),
            (
                format!("{TOML}\n[[systems.assets]]\nasset = \"GALA\"\nchain = \"ethereum\"\ndecimals = 39"),
                "`GALA` has 39 decimals",
            ),
            (
                format!("{TOML}\n[[systems.limits]]\nwallet = \"0xabc\"\nasset = \"ETH\"\namount = \"1.5\""),
                "`1.5` is no amount",
            ),
            (
                format!("{TOML}\n[[systems.indicators]]\nindicator = \"0xbad\"\nexpires_at = -1"),
                "`0xbad` expires before 1970",
            ),
            (format!("{TOML}\n[[systems.networks]]\nnetwork = \"10.0.0.0/33\""), "10.0.0.0/33"),
        ] {
            let error = Inventory::parse("i.toml", &text).unwrap_err().to_string();
            assert!(error.starts_with("i.toml: ") && error.contains(said), "{error}");
            assert!(!["xprv9", "5HpHag", "KwDiBf"].iter().any(|key| error.contains(key)), "{error}");
        }
    }

    fn with_wallets(wallets: usize) -> System {
        let wallet = |number: usize| Wallet { wallet: format!("0xAb{number}"), ..Wallet::default() };
        System { id: "cold".into(), wallets: (0..wallets).map(wallet).collect(), ..System::default() }
    }

    #[test]
    fn a_wallet_is_found_among_few_and_among_many_alike() {
        for count in [0, 1, FEW_WALLETS, FEW_WALLETS + 1, 5 * FEW_WALLETS] {
            let mut system = with_wallets(count);
            // As in the inventory of an operator who writes one address twice, in two forms.
            let again = Wallet { wallet: "0xAB0".into(), chain: "second".into(), ..Wallet::default() };
            system.wallets.extend((count > 0).then_some(again));
            for number in 0..count {
                for name in [format!("0xab{number}"), format!("0xAB{number}"), format!("0xAb{number}")] {
                    assert_eq!(system.wallet(&name), Some(&system.wallets[number]), "{name} of {count}");
                }
            }
            for name in ["", "0xab", "0xabx", "0xab99999"] {
                assert_eq!(system.wallet(name), None, "{name} of {count}");
            }
        }
    }

    #[test]
    fn where_wallets_stand_is_no_part_of_what_is_declared() {
        let (asked, other) = (with_wallets(100), with_wallets(100));
        assert!(asked.wallet("0xab99").is_some());
        assert_eq!((&asked, asked.digest()), (&other, other.digest()));
        assert_eq!(json!(asked), json!(other));
        let mut changed = asked.clone();
        changed.wallets[99].wallet = "0xcd".into();
        assert!(changed.wallet("0xab99").is_none() && changed.wallet("0xCD").is_some());
    }
}
