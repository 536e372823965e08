//! The tables that rules may join, with their columns and keys; `docs/inventory.md` is generated from them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// A table that rules may join.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Name in SQL.
    pub name: &'static str,
    /// What a row is.
    pub meaning: &'static str,
    /// Columns that, together with `system`, identify a row.
    pub key: &'static [&'static str],
    /// Columns besides `system`: name, type, meaning.
    pub columns: &'static [(&'static str, Cell, &'static str)],
}

/// Type of an inventory column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// UTF-8 text.
    Text,
    /// 64-bit integer.
    Integer,
    /// True or false.
    Boolean,
}

/// The tables.
pub const TABLES: &[Table] = &[
    Table {
        name: "systems",
        meaning: "trusted environments",
        key: &[],
        columns: &[
            ("name", Cell::Text, "display name"),
            ("designation", Cell::Text, "self_custody, qualified_service_provider, full_system"),
            ("ccss_level", Cell::Integer, "1, 2 or 3"),
            ("currency", Cell::Text, "currency of the prices of its assets, ISO 4217; USD where none is declared"),
        ],
    },
    Table {
        name: "wallets",
        meaning: "wallets of the system",
        key: &["wallet"],
        columns: &[
            ("wallet", Cell::Text, "address or vault id"),
            ("chain", Cell::Text, "chain name"),
            ("temperature", Cell::Text, "hot, warm, cold"),
            ("technology", Cell::Text, "safe, mpc, hsm, kms, p2sh …"),
            ("threshold", Cell::Integer, "signatures needed"),
            ("implementation", Cell::Text, "approved implementation contract"),
            ("contract_version", Cell::Text, "version of the multisig contract, e.g. 1.1.1"),
            ("purpose", Cell::Text, "customer_withdrawals, treasury, cold, or nothing"),
            ("signer", Cell::Text, "source whose records hold every signature of the wallet"),
            ("node", Cell::Text, "source that follows the wallet on its chain"),
            ("ledger", Cell::Text, "source that orders every payment of the wallet"),
            ("decision_point", Cell::Text, "source of the decisions that every signature needs"),
            (
                "first_block",
                Cell::Integer,
                "block from which on it is read when it is added while its chain is followed",
            ),
            (
                "descriptor",
                Cell::Text,
                "descriptor of its addresses with its checksum, for a Bitcoin wallet that has many",
            ),
            (
                "gap_limit",
                Cell::Integer,
                "addresses of it that are watched ahead of the last one used; 20 where it is 0",
            ),
        ],
    },
    Table {
        name: "modules",
        meaning: "modules that may act for a multisig wallet without its owners",
        key: &["wallet", "module"],
        columns: &[
            ("wallet", Cell::Text, "the wallet"),
            ("module", Cell::Text, "address of the module"),
            ("label", Cell::Text, "what it is for"),
        ],
    },
    Table {
        name: "libraries",
        meaning: "contracts that wallets may delegate to, besides the batching contracts of the multisig itself",
        key: &["address"],
        columns: &[("address", Cell::Text, "the contract"), ("label", Cell::Text, "what it is")],
    },
    Table {
        name: "limits",
        meaning: "amounts from which on a payment of a wallet needs more than one below it",
        key: &["wallet", "asset"],
        columns: &[
            ("wallet", Cell::Text, "the wallet"),
            ("asset", Cell::Text, "asset symbol or contract, as its events name it"),
            ("amount", Cell::Text, "base units, decimal digits: `CAST(amount AS DECIMAL(38, 0))`"),
            ("label", Cell::Text, "what is asked for from there on"),
        ],
    },
    Table {
        name: "assets",
        meaning: "assets: titles of findings say their amounts in these units (`ETH`, `BTC` and the own assets of other \
                  well-known chains need no row)",
        key: &["asset", "chain"],
        columns: &[
            ("asset", Cell::Text, "symbol or contract, as its events name it"),
            ("chain", Cell::Text, "chain name"),
            ("symbol", Cell::Text, "what people call it; nothing where `asset` is that already"),
            ("decimals", Cell::Integer, "digits of an amount that stand behind the point"),
            ("rebases", Cell::Boolean, "true for a token whose balances change although nobody moves any"),
            (
                "price",
                Cell::Text,
                "what a whole unit is worth in the system's currency, a decimal number of up to 18 digits before and behind \
                 the point: titles then say the value too, and nothing else changes",
            ),
            (
                "price_source",
                Cell::Text,
                "in place of a price, the source that quotes it as `asset.price`; a quote holds for a day",
            ),
        ],
    },
    Table {
        name: "networks",
        meaning: "networks of the company and of its providers: a person who speaks from there has not travelled",
        key: &["network"],
        columns: &[
            ("network", Cell::Text, "CIDR block (192.0.2.0/24, 2001:db8::/32) or autonomous system (AS64500)"),
            ("country", Cell::Text, "where its addresses seem to be, ISO 3166-1; nothing when they change"),
            ("purpose", Cell::Text, "office, vpn, relay (egress that wanders between countries), datacentre"),
        ],
    },
    Table {
        name: "owners",
        meaning: "who may sign for a wallet",
        key: &["wallet", "owner"],
        columns: &[
            ("wallet", Cell::Text, "the wallet"),
            ("owner", Cell::Text, "address or key id of the signer"),
            ("person", Cell::Text, "who holds it"),
        ],
    },
    Table {
        name: "destinations",
        meaning: "approved destinations",
        key: &["address"],
        columns: &[("address", Cell::Text, "the address"), ("label", Cell::Text, "whose it is")],
    },
    Table {
        name: "indicators",
        meaning: "what others warn of, as events name it",
        key: &["indicator"],
        columns: &[
            ("indicator", Cell::Text, "address of a chain or of the internet, session, transaction or device"),
            ("label", Cell::Text, "why it is warned of"),
            ("expires_at", Cell::Integer, "until when it counts, unix seconds; 0 for good"),
            ("imported_by", Cell::Text, "who imported it"),
        ],
    },
    Table {
        name: "people",
        meaning: "people and service accounts",
        key: &["subject"],
        columns: &[
            ("subject", Cell::Text, "as sessions and decisions name them"),
            ("role", Cell::Text, "custodian, analyst, administrator, service"),
        ],
    },
    Table {
        name: "sources",
        meaning: "sources that are expected to speak",
        key: &["source"],
        columns: &[
            ("source", Cell::Text, "the authenticated source"),
            ("feed", Cell::Text, "feed that reads it"),
            ("trust_group", Cell::Text, "sources that one attacker could hold together"),
            (
                "max_delay_seconds",
                Cell::Integer,
                "documented delivery delay; what comes later is `late`, which at 0 nearly everything is",
            ),
            (
                "heartbeat_seconds",
                Cell::Integer,
                "longest ordinary silence; at 0, and above a day, silence is ordinary",
            ),
        ],
    },
];

/// Looks a table up.
#[must_use]
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

impl Table {
    /// Arrow schema: `system`, then the columns, all nullable but `system`.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let mut fields = vec![Field::new("system", DataType::Utf8View, false)];
        fields.extend(self.columns.iter().map(|(name, cell, _)| {
            let kind = match cell {
                Cell::Text => DataType::Utf8View,
                Cell::Integer => DataType::Int64,
                Cell::Boolean => DataType::Boolean,
            };
            Field::new(*name, kind, true)
        }));
        Arc::new(Schema::new(fields))
    }
}
