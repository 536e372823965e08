//! The inventory: what a firm declares, as a file for the first day and as a record whenever it changes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::digest::sha256;
use crate::event::Event;
use crate::firm::{Firm, Indicator, Source, Wallet, node, place};
use crate::journal::Journal;
use crate::networks;

/// What changes of a firm in the course of a history.
#[derive(Clone, Debug)]
pub(crate) struct Register {
    /// Wallets as they are declared now.
    pub(crate) wallets: Vec<Wallet>,
    /// Approved addresses of others.
    pub(crate) partners: Vec<(String, &'static str)>,
    /// Contracts that wallets may delegate to.
    pub(crate) libraries: Vec<(String, &'static str)>,
}

impl Register {
    /// That of the first day.
    pub(crate) fn of(firm: &Firm) -> Register {
        Register { wallets: firm.wallets.clone(), partners: firm.partners.clone(), libraries: Vec::new() }
    }

    /// What the inventory says, with the warnings that were imported until then.
    pub(crate) fn declared(&self, firm: &Firm, at: i64) -> Value {
        let owners = self.wallets.iter().flat_map(|wallet| wallet.owners.iter().map(move |owner| (wallet, owner)));
        let owners = owners.map(|(wallet, (owner, who))| {
            json!({ "wallet": wallet.address, "owner": owner, "person": firm.people[*who].subject })
        });
        let own = self.wallets.iter().map(|wallet| json!({ "address": wallet.address, "label": "own wallet" }));
        let partners = self.partners.iter().map(|(address, label)| json!({ "address": address, "label": label }));
        let people = firm.people.iter().map(|one| json!({ "subject": one.subject, "role": one.role.name() }));
        let services = ["payout-engine", "terraform", "policy-pipeline", "control.account"];
        let services = services.iter().map(|name| json!({ "subject": name, "role": "service" }));
        let mut declared = json!({
            "id": firm.id,
            "name": firm.name,
            "designation": "full_system",
            "ccss_level": 2,
            "wallets": self.wallets.iter().map(declared_wallet).collect::<Vec<Value>>(),
            "owners": owners.collect::<Vec<Value>>(),
            "destinations": own.chain(partners).collect::<Vec<Value>>(),
            "networks": networks::declared(),
            "people": people.chain(services).collect::<Vec<Value>>(),
            "sources": firm.feeds.iter().map(declared_source).collect::<Vec<Value>>(),
        });
        if let Some(module) = &firm.module {
            let safe = &self.wallets[place::DESK_SAFE].address;
            declared["modules"] = json!([{ "wallet": safe, "module": module, "label": "allowance for fees" }]);
        }
        if firm.module.is_none() {
            declared["assets"] = assets(&self.wallets);
        }
        let imported = firm.indicators.iter().filter(|indicator| indicator.from <= at);
        let imported: Vec<Value> = imported.map(declared_indicator).collect();
        if !imported.is_empty() {
            declared["indicators"] = Value::from(imported);
        }
        if !self.libraries.is_empty() {
            let library = |(address, label): &(String, &str)| json!({ "address": address, "label": label });
            declared["libraries"] = self.libraries.iter().map(library).collect();
        }
        declared
    }

    /// It is activated at `at`.
    pub(crate) fn activate(&self, firm: &Firm, at: i64, journal: &mut Journal) {
        let declared = self.declared(firm, at);
        let digest = sha256(&declared.to_string());
        let activated = Event::new("keywatch", "inventory.activated").with("declared", declared).with("sha256", digest);
        journal.note(firm.system, activated, at);
        for source in firm.feeds.iter().filter(|source| source.heartbeat_seconds > 0) {
            let expected =
                Event::new(source.name, "source.expected").with("heartbeat_seconds", source.heartbeat_seconds);
            journal.note(firm.system, expected, at);
        }
    }
}

fn declared_wallet(wallet: &Wallet) -> Value {
    let mut row = json!({
        "wallet": wallet.address,
        "chain": wallet.chain.name(),
        "temperature": wallet.temperature,
        "technology": wallet.technology,
        "threshold": wallet.threshold,
        "implementation": wallet.implementation,
        "contract_version": wallet.version,
        "node": node(wallet.chain),
    });
    let optional = [
        ("purpose", wallet.purpose),
        ("signer", wallet.signer),
        ("ledger", wallet.ledger),
        ("decision_point", wallet.decision_point),
    ];
    for (name, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        row[name] = Value::from(value);
    }
    row
}

/// Every asset but those that need no row.
fn assets(wallets: &[Wallet]) -> Value {
    let all: BTreeMap<(&str, &str), u32> = wallets
        .iter()
        .flat_map(|wallet| wallet.assets)
        .map(|asset| ((asset.symbol, asset.chain.name()), asset.decimals))
        .filter(|((symbol, _), _)| !["BTC", "ETH"].contains(symbol))
        .collect();
    let row = |(name, decimals): ((&str, &str), u32)| {
        let (asset, chain) = name;
        json!({ "asset": asset, "chain": chain, "decimals": decimals })
    };
    all.into_iter().map(row).collect()
}

fn declared_indicator(indicator: &Indicator) -> Value {
    json!({
        "indicator": indicator.name,
        "label": indicator.label,
        "expires_at": indicator.expires_at,
        "imported_by": indicator.by,
    })
}

fn declared_source(source: &Source) -> Value {
    json!({
        "source": source.name,
        "feed": source.feed,
        "trust_group": source.group,
        "max_delay_seconds": source.max_delay_seconds,
        "heartbeat_seconds": source.heartbeat_seconds,
    })
}

/// The file `inventory.toml` of several systems.
pub(crate) fn file(systems: &[Value]) -> String {
    let mut text = "# What the imagined company declares on the first day. Changes stand in the events.\n".to_owned();
    for system in systems.iter().filter_map(Value::as_object) {
        text += "\n[[systems]]\n";
        text += &fields(system);
        for (table, rows) in system.iter().filter_map(|(name, value)| Some((name, value.as_array()?))) {
            for row in rows.iter().filter_map(Value::as_object) {
                text.extend(["\n[[systems.", table, "]]\n", &fields(row)]);
            }
        }
    }
    text
}

/// Texts here need no escape beyond those that JSON and TOML share.
fn fields(row: &Map<String, Value>) -> String {
    let plain = row.iter().filter(|(_, value)| !value.is_array());
    plain.flat_map(|(name, value)| [name.clone(), " = ".to_owned(), value.to_string(), "\n".to_owned()]).collect()
}
