//! The inventory file, read anew when it has changed: what is declared now goes into the log, where rules and alerts find it,
//! to the followers of chains, and to whoever reads it at each use. A file in the middle of a change is waited for; one that
//! does not agree with the configuration leaves what was there. Knows no chain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Inventory};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::clock;
use crate::limits::INVENTORY_RELOAD_SECONDS;
use crate::service::config::{self, Config};
use crate::service::evaluation::system_records;
use crate::service::intake::Intake;
use crate::service::readiness::Readiness;

/// As `/readyz` names the file.
const PART: &str = "inventory";

/// What is declared now.
pub(crate) type Declared = watch::Receiver<Arc<Inventory>>;

/// Goes on looking at the file as long as somebody uses what it gives. `records` says whether a change is written into the
/// log, which one process does. `readiness` is told as long as the file is not used.
pub(crate) fn follow(
    config: &Config,
    intake: &Arc<Intake>,
    records: bool,
    readiness: Option<&Arc<Readiness>>,
) -> Declared {
    let (sender, declared) = watch::channel(intake.inventory.now());
    let file = File { config: config.clone(), intake: Arc::clone(intake), records, readiness: readiness.cloned() };
    tokio::spawn(async move { file.follow(&sender).await });
    declared
}

struct File {
    config: Config,
    intake: Arc<Intake>,
    records: bool,
    readiness: Option<Arc<Readiness>>,
}

impl File {
    async fn follow(&self, sender: &watch::Sender<Arc<Inventory>>) {
        let (mut seen, mut taken) = (None, None);
        loop {
            tokio::select! {
                () = sender.closed() => return,
                () = sleep(Duration::from_secs(INVENTORY_RELOAD_SECONDS)) => {}
            }
            let found = self.stamp();
            // One that is being written is another at the next look.
            let is_settled = found.is_some() && found == seen;
            seen = found;
            if !is_settled || found == taken {
                continue;
            }
            let before = Arc::clone(&sender.borrow());
            match read(&self.config, &before) {
                Ok(None) => self.tell(true),
                Ok(Some(inventory)) => {
                    if let Err(error) = self.record(&before, &inventory).await {
                        tracing::error!("the changed inventory is not in the log yet: {error:#}");
                        continue;
                    }
                    let inventory = Arc::new(inventory);
                    self.intake.inventory.set(Arc::clone(&inventory));
                    sender.send_replace(inventory);
                    self.tell(true);
                    tracing::info!("the inventory was read anew");
                }
                Err(error) => {
                    self.tell(false);
                    tracing::error!("the changed inventory is not used; the one before stays: {error:#}");
                }
            }
            taken = found;
        }
    }

    /// Whether the file is what is used. Anybody may ask whether keywatch is ready, so that it is not said there what is wrong.
    fn tell(&self, is_used: bool) {
        let Some(readiness) = &self.readiness else { return };
        if is_used {
            readiness.settle(PART);
        } else {
            let said = "the changed file is not used, and what was declared before stays; the log of the process and \
                        `keywatch doctor` say why";
            readiness.warn(PART, said);
        }
    }

    /// What tells the file from the one before.
    fn stamp(&self) -> Option<(SystemTime, u64)> {
        let metadata = fs::metadata(&self.config.inventory).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    async fn record(&self, before: &Inventory, inventory: &Inventory) -> anyhow::Result<()> {
        if !self.records {
            return Ok(());
        }
        let activations = activations(before, inventory);
        for system in &inventory.systems {
            let events: Vec<Event> = activations.iter().filter(|event| event.system() == system.id).cloned().collect();
            if events.is_empty() {
                continue;
            }
            let intake = Arc::clone(&self.intake);
            let origin = Origin { system: system.id.clone(), source: "keywatch".to_owned() };
            let written = spawn_blocking(move || intake.accept_followed(&origin, "inventory", events)).await;
            written.context("an append broke off")??;
        }
        Ok(())
    }
}

/// What is declared, where that is something else than `before`.
fn read(config: &Config, before: &Inventory) -> anyhow::Result<Option<Inventory>> {
    let all = config::read_inventory(&config.inventory)?;
    let mut inventory = all.clone();
    config.log.keep_systems(&mut inventory);
    if inventory == *before {
        return Ok(None);
    }
    config::check(config, &all)?;
    ensure!(ids(&inventory) == ids(before), "a system was added or taken away, which needs a restart");
    Ok(Some(inventory))
}

fn ids(inventory: &Inventory) -> BTreeSet<&str> {
    inventory.systems.iter().map(|system| system.id.as_str()).collect()
}

/// What the log lacks, which has what was declared before.
fn activations(before: &Inventory, inventory: &Inventory) -> Vec<Event> {
    let now = clock::now();
    let activated = before.activation(now).into_iter().filter(|event| event.kind() == "inventory.activated");
    let last: BTreeMap<String, String> =
        activated.map(|event| (event.system().to_owned(), system_records::digest(&event))).collect();
    system_records::activations(&last, inventory, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [[chains]]
        system = "cold"
        source = "node"
        chain = "ethereum"
        endpoints = [{ name = "own", url = "http://127.0.0.1:8545" }]
    "#;

    const INVENTORY: &str = r#"
        [[systems]]
        id = "cold"
        [[systems.sources]]
        source = "node"
        feed = "chain"
        [[systems]]
        id = "warm"
    "#;

    const WALLET: &str = r#"
        [[systems.wallets]]
        wallet = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4"
        chain = "ethereum"
    "#;

    #[test]
    fn what_has_changed_is_taken_where_it_agrees_with_the_configuration() {
        let directory = tempfile::tempdir().unwrap();
        let config: Config = toml::from_str(CONFIG).unwrap();
        let config = Config { inventory: directory.path().join("inventory.toml"), ..config };
        let before = Inventory::parse("i.toml", INVENTORY).unwrap();
        let reread = |text: &str| {
            fs::write(&config.inventory, text).unwrap();
            read(&config, &before)
        };
        assert!(reread(INVENTORY).unwrap().is_none());
        let changed = reread(&format!("{INVENTORY}{WALLET}")).unwrap().unwrap();
        assert_eq!(changed.systems[1].wallets.len(), 1);
        let kinds: Vec<(String, String)> = activations(&before, &changed)
            .iter()
            .map(|event| (event.system().to_owned(), event.kind().to_owned()))
            .collect();
        assert_eq!(kinds, [("warm".to_owned(), "inventory.activated".to_owned())], "the other system is as it was");
        for (text, said) in [
            (INVENTORY.replace("warm", "hot"), "needs a restart"),
            (INVENTORY.replace("\"chain\"", "\"safe\""), "feed = \"chain\""),
            (INVENTORY.replace("feed", "fed"), "fed"),
        ] {
            let error = format!("{:#}", reread(&text).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
    }
}
