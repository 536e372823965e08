//! Inventories with very many wallets, as records of a log: what is declared comes back whole, and a log goes by it.

use keywatch_store::event::Origin;
use keywatch_store::inventory::{Source, System, Wallet};
use keywatch_store::limits::LINE_BYTES_MAX;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, Instant, Inventory, Log, Position, Topic, line};
use sha2::{Digest, Sha256};

use crate::support::open;

const SECOND_NS: i64 = 1_000_000_000;
const WALLETS: usize = 12_000;

/// One system with so many wallets, and a source whose records may be a minute late.
fn declared(wallets: usize) -> Inventory {
    let wallet = |number: usize| Wallet {
        wallet: format!("0x{}", hex::encode(&Sha256::digest(number.to_be_bytes())[..20])),
        chain: "ethereum".into(),
        technology: "mpc".into(),
        threshold: 2,
        purpose: "customer_withdrawals".into(),
        signer: "signer".into(),
        node: "node".into(),
        ..Wallet::default()
    };
    let source = |source: &str| Source {
        source: source.into(),
        feed: "events".into(),
        max_delay_seconds: 60,
        ..Source::default()
    };
    let system = System {
        id: "cold".into(),
        wallets: (0..wallets).map(wallet).collect(),
        sources: vec![source("signer"), source("node")],
        ..System::default()
    };
    Inventory { systems: vec![system] }
}

fn heard(id: &str, event_time: i64, time: i64) -> Event {
    let origin = Origin { system: "cold".into(), source: "signer".into() };
    let mut event = Event::builder(&origin, id, "source.heartbeat", Instant(event_time));
    event.time(Instant(time)).build_own()
}

#[test]
fn twelve_thousand_wallets_go_through_a_log_and_come_back() {
    let inventory = declared(WALLETS);
    let activation = inventory.activation(Instant(1000 * SECOND_NS));
    assert_eq!(activation.len(), 1);
    assert!(line::write(&activation[0]).len() <= LINE_BYTES_MAX);
    let heartbeats = [(1000, 1001), (1000, 1059), (1000, 1062)];
    let later = heartbeats
        .iter()
        .map(|(said, heard_at)| heard(&format!("heartbeat {heard_at}"), said * SECOND_NS, heard_at * SECOND_NS));
    let events: Vec<Event> = activation.iter().cloned().chain(later).collect();

    let directory = tempfile::tempdir().unwrap();
    let (embedded, memory) = (open(directory.path()), MemoryLog::new());
    embedded.append(Topic::Events, events.clone()).unwrap();
    memory.append(Topic::Events, events).unwrap();
    let check = |log: &dyn Log| {
        let read = log.read(Topic::Events, Position(0), 10).unwrap();
        assert_eq!(read[0], activation[0]);
        assert_eq!(Inventory::from_activation(&read[0]).as_ref(), Some(&inventory));
        // The delay that is declared is known, though the declaration is packed.
        assert_eq!(read[1..].iter().map(Event::late).collect::<Vec<_>>(), [false, false, true]);
    };
    check(&memory);
    check(&embedded);
    drop(embedded);
    check(&open(directory.path()));
}
