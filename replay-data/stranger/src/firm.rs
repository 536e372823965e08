//! What there is in a system: its sources, its wallets, its staff, and the inventory that declares them.
//!
//! The exchange declares everything that an inventory can say. The trading desk beside it is small: no ledger feeds
//! keywatch there, and its multisig asks no decision point, so that half of what could be joined is not there to be joined.

use crate::chance::Chance;
use crate::money::{self, Asset};
use crate::names::{self, Chain};
use crate::people::roster::Roster;
use crate::people::{Person, Role, hire};

/// How a source is declared, and how it really delivers.
pub(crate) struct Source {
    /// Its name.
    pub(crate) name: &'static str,
    /// Feed that reads it.
    pub(crate) feed: &'static str,
    /// Sources that one attacker could hold together.
    pub(crate) group: &'static str,
    /// Declared delay.
    pub(crate) max_delay_seconds: i64,
    /// Longest ordinary silence; 0 when silence is ordinary.
    pub(crate) heartbeat_seconds: i64,
    /// Seconds from one heartbeat to the next.
    pub(crate) beat_seconds: i64,
    /// Least and most usual delay, milliseconds.
    pub(crate) usual: (i64, i64),
}

/// Which source does what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources {
    pub(crate) ledger: &'static str,
    pub(crate) pdp: &'static str,
    pub(crate) signer: &'static str,
    pub(crate) multisig: &'static str,
    pub(crate) idp: &'static str,
    pub(crate) edr: &'static str,
    pub(crate) cloud: &'static str,
    pub(crate) vault: &'static str,
}

/// Names that both systems use for their own.
pub(crate) const SOURCES: Sources = Sources {
    ledger: "withdrawal-ledger",
    pdp: "opa",
    signer: "mpc-cluster",
    multisig: "safe-service",
    idp: "okta",
    edr: "edr",
    cloud: "cloudtrail",
    vault: "vault-log",
};

/// The source that follows a chain.
pub(crate) fn node(chain: Chain) -> &'static str {
    match chain {
        Chain::Bitcoin => "bitcoin-node",
        Chain::Ethereum => "ethereum-node",
        Chain::Tron => "tron-node",
        Chain::Solana => "solana-node",
    }
}

type Row = (&'static str, &'static str, &'static str, i64, i64, i64, (i64, i64));

/// Name, feed, group, declared delay, longest silence, time between heartbeats, usual delay in milliseconds.
const ALL: [Row; 11] = [
    ("withdrawal-ledger", "events", "ledger", 30, 300, 60, (200, 4_000)),
    ("opa", "opa", "pdp", 5, 120, 30, (100, 1_800)),
    ("mpc-cluster", "events", "signer", 15, 180, 60, (300, 3_000)),
    ("safe-service", "safe", "multisig", 60, 0, 0, (2_000, 40_000)),
    ("bitcoin-node", "events", "chain", 60, 300, 60, (500, 8_000)),
    ("ethereum-node", "events", "chain", 30, 180, 60, (500, 6_000)),
    ("tron-node", "events", "chain", 30, 180, 60, (500, 5_000)),
    ("solana-node", "events", "chain", 30, 180, 60, (300, 3_000)),
    ("okta", "events", "identity", 300, 600, 120, (5_000, 110_000)),
    ("edr", "events", "devices", 900, 1800, 600, (10_000, 240_000)),
    ("cloudtrail", "events", "cloud", 900, 0, 0, (60_000, 600_000)),
];
/// Written by hand after the vault is locked again.
const VAULT: Row = ("vault-log", "events", "vault", 6 * 3600, 0, 0, (1_000, 5_000));
/// What is written beside the payments: keywatch's own looks at the replicas, the gate that deployments pass.
const BESIDE: [Row; 3] = [
    ("opa-a-state", "opa_status", "pdp", 60, 0, 0, (0, 0)),
    ("opa-b-state", "opa_status", "pdp", 60, 0, 0, (0, 0)),
    ("deploy-gate", "github_oidc", "pipeline", 300, 0, 0, (1_000, 20_000)),
];
/// The register of tickets and emergencies: people write it, soon after or in the afternoon.
const REGISTER: Row = ("change-register", "custody", "register", 6 * 3600, 0, 0, (1_000, 9_000));

/// Replicas of the decision point.
pub(crate) const REPLICAS: [&str; 2] = ["opa-a", "opa-b"];
/// Sources that look at them.
pub(crate) const LOOKS: [&str; 2] = ["opa-a-state", "opa-b-state"];
/// The gate that deployments pass.
pub(crate) const GATE: &str = "deploy-gate";
/// The register of tickets.
pub(crate) const TICKETS: &str = "change-register";

fn source((name, feed, group, max_delay_seconds, heartbeat_seconds, beat_seconds, usual): Row) -> Source {
    Source { name, feed, group, max_delay_seconds, heartbeat_seconds, beat_seconds, usual }
}

/// A wallet.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    pub(crate) address: String,
    pub(crate) chain: Chain,
    pub(crate) temperature: &'static str,
    pub(crate) technology: &'static str,
    pub(crate) threshold: usize,
    pub(crate) purpose: &'static str,
    pub(crate) key: String,
    pub(crate) assets: &'static [Asset],
    pub(crate) signer: &'static str,
    pub(crate) ledger: &'static str,
    pub(crate) decision_point: &'static str,
    /// Address or key of each owner, with the index of who holds it.
    pub(crate) owners: Vec<(String, usize)>,
    pub(crate) implementation: String,
    pub(crate) version: &'static str,
}

/// A stretch of time in which a replica of the decision point answers nobody.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Its index in [`REPLICAS`].
    pub(crate) replica: usize,
    /// First instant.
    pub(crate) from: i64,
    /// The instant from which it answers again.
    pub(crate) to: i64,
    /// It is one of a pair in which both replicas restart, one after the other.
    pub(crate) is_planned: bool,
}

/// What others warn of, once somebody has imported it.
#[derive(Clone, Debug)]
pub(crate) struct Indicator {
    /// When it was imported.
    pub(crate) from: i64,
    /// What is warned of.
    pub(crate) name: String,
    /// Why.
    pub(crate) label: &'static str,
    /// Until when it counts, unix seconds.
    pub(crate) expires_at: i64,
    /// Who imported it.
    pub(crate) by: String,
}

/// A system.
pub(crate) struct Firm {
    /// Its number in the journal.
    pub(crate) system: usize,
    /// Its id.
    pub(crate) id: &'static str,
    /// What it is called.
    pub(crate) name: &'static str,
    /// Who tells what.
    pub(crate) sources: Sources,
    /// How they deliver.
    pub(crate) feeds: Vec<Source>,
    /// Wallets, by the constants of [`place`].
    pub(crate) wallets: Vec<Wallet>,
    /// Staff.
    pub(crate) people: Vec<Person>,
    /// Their sessions.
    pub(crate) roster: Roster,
    /// Counterparties whose addresses are approved.
    pub(crate) partners: Vec<(String, &'static str)>,
    /// Module of the treasury's multisig, if it has one.
    pub(crate) module: Option<String>,
    /// When a replica of the decision point is down.
    pub(crate) stops: Vec<Stop>,
    /// What is imported of others' warnings in the course of the history.
    pub(crate) indicators: Vec<Indicator>,
}

impl Firm {
    /// The replica that answers in place of one that is asked, which is itself while it is up.
    pub(crate) fn answering(&self, replica: &'static str, at: i64) -> &'static str {
        let is_down = |name: &str| {
            let mut stops = self.stops.iter().filter(|stop| REPLICAS[stop.replica] == name);
            stops.any(|stop| (stop.from..stop.to).contains(&at))
        };
        if is_down(replica) {
            return REPLICAS.into_iter().find(|other| !is_down(other)).unwrap_or(replica);
        }
        replica
    }
}

/// Where a wallet stands in [`Firm::wallets`].
pub(crate) mod place {
    pub(crate) const HOT_BITCOIN: usize = 0;
    pub(crate) const HOT_ETHEREUM: usize = 1;
    pub(crate) const HOT_TRON: usize = 2;
    pub(crate) const HOT_SOLANA: usize = 3;
    pub(crate) const TREASURY: usize = 4;
    pub(crate) const COLD_ETHEREUM: usize = 5;
    pub(crate) const COLD_BITCOIN: usize = 6;
    /// Those of the desk.
    pub(crate) const DESK_HOT: usize = 0;
    pub(crate) const DESK_SAFE: usize = 1;
}

/// The proxy's code of Safe 1.3.0, and that of 1.4.1.
pub(crate) const IMPLEMENTATIONS: [&str; 2] =
    ["0xd9db270c1b5e3bd161e8c8503c55ceabee709552", "0x41675c099f32341bf84bfc5382af534df5c7461a"];

/// The exchange.
pub(crate) fn exchange(system: usize, seed: u64) -> Firm {
    let mut chance = Chance::of(seed, "exchange");
    let people = hire(&mut chance, 0, 40, &[0, 1, 2, 0, 3, 2, 0, 4, 1, 0, 2, 5]);
    let keepers = keepers(&people);
    let hot = |chain: Chain, assets, chance: &mut Chance| Wallet {
        technology: "mpc",
        purpose: "customer_withdrawals",
        signer: SOURCES.signer,
        ledger: SOURCES.ledger,
        decision_point: SOURCES.pdp,
        threshold: 2,
        ..wallet(chain, "hot", assets, chance)
    };
    let mut wallets = vec![
        hot(Chain::Bitcoin, &[money::BTC], &mut chance),
        hot(Chain::Ethereum, &[money::ETH, money::USDT, money::USDC], &mut chance),
        hot(Chain::Tron, &[money::TRON_USDT, money::TRX], &mut chance),
        hot(Chain::Solana, &[money::SOL], &mut chance),
    ];
    let ledger = SOURCES.ledger;
    let treasury = safe("warm", "treasury", 3, &keepers[..5], &mut chance);
    wallets.push(Wallet { ledger, decision_point: SOURCES.pdp, ..treasury });
    let cold = safe("cold", "cold", 4, &keepers[2..8], &mut chance);
    wallets.push(Wallet { ledger, decision_point: SOURCES.pdp, ..cold });
    let held = keepers[1..6].iter().map(|keeper| (format!("02{}", names::digits(&mut chance, 64)), *keeper)).collect();
    let vault = wallet(Chain::Bitcoin, "cold", &[money::BTC], &mut chance);
    wallets.push(Wallet {
        technology: "p2wsh",
        purpose: "cold",
        threshold: 3,
        signer: "vault-log",
        ledger,
        owners: held,
        ..vault
    });
    let partners = [
        (Chain::Ethereum, "OTC desk, our account"),
        (Chain::Ethereum, "another exchange, our account"),
        (Chain::Bitcoin, "another exchange, our account"),
        (Chain::Ethereum, "staking provider"),
        (Chain::Tron, "market maker"),
    ];
    let partners = partners.map(|(chain, label)| (chain.address(&mut chance), label)).to_vec();
    let feeds = ALL.into_iter().chain([VAULT]).chain(BESIDE).chain([REGISTER]).map(source).collect();
    Firm {
        system,
        id: "exchange-1",
        name: "Exchange",
        sources: SOURCES,
        feeds,
        wallets,
        people,
        roster: Roster::default(),
        partners,
        module: None,
        stops: Vec::new(),
        indicators: Vec::new(),
    }
}

/// The trading desk.
pub(crate) fn desk(system: usize, seed: u64) -> Firm {
    let mut chance = Chance::of(seed, "desk");
    let people = hire(&mut chance, 48, 9, &[1, 0, 1]);
    let keepers = keepers(&people);
    let hot = Wallet {
        technology: "kms",
        threshold: 1,
        purpose: "customer_withdrawals",
        signer: SOURCES.signer,
        decision_point: SOURCES.pdp,
        ..wallet(Chain::Ethereum, "hot", &[money::ETH, money::USDT, money::USDC], &mut chance)
    };
    let safe = safe("warm", "treasury", 2, &keepers[..3], &mut chance);
    let partners =
        ["prime broker", "settlement account"].map(|label| (Chain::Ethereum.address(&mut chance), label)).to_vec();
    let kept = ["opa", "mpc-cluster", "safe-service", "ethereum-node", "okta", "edr", "cloudtrail"];
    let feeds = ALL.into_iter().filter(|row| kept.contains(&row.0)).chain(BESIDE).map(source).collect();
    let module = Some(Chain::Ethereum.address(&mut chance));
    Firm {
        system,
        id: "desk-1",
        name: "Trading desk",
        sources: SOURCES,
        feeds,
        wallets: vec![hot, safe],
        people,
        roster: Roster::default(),
        partners,
        module,
        stops: Vec::new(),
        indicators: Vec::new(),
    }
}

/// Custodians first, then administrators: those who hold keys.
fn keepers(people: &[Person]) -> Vec<usize> {
    let of = |role: Role| people.iter().enumerate().filter(move |(_, one)| one.role == role).map(|(index, _)| index);
    of(Role::Custodian).chain(of(Role::Administrator)).chain(of(Role::Analyst)).collect()
}

fn wallet(chain: Chain, temperature: &'static str, assets: &'static [Asset], chance: &mut Chance) -> Wallet {
    Wallet {
        address: chain.address(chance),
        chain,
        temperature,
        technology: "",
        threshold: 0,
        purpose: "",
        key: format!("key-{}-{}", chain.name(), names::digits(chance, 6)),
        assets,
        signer: "",
        ledger: "",
        decision_point: "",
        owners: Vec::new(),
        implementation: String::new(),
        version: "",
    }
}

fn safe(
    temperature: &'static str,
    purpose: &'static str,
    threshold: usize,
    keepers: &[usize],
    chance: &mut Chance,
) -> Wallet {
    let owners = keepers.iter().map(|keeper| (Chain::Ethereum.address(chance), *keeper)).collect();
    Wallet {
        technology: "safe",
        purpose,
        threshold,
        signer: SOURCES.multisig,
        owners,
        implementation: IMPLEMENTATIONS[0].to_owned(),
        version: "1.3.0",
        ..wallet(Chain::Ethereum, temperature, &[money::ETH, money::USDT, money::USDC], chance)
    }
}
