//! What wallets hold, on chains where the blocks say all that moves: told at the rhythm of balances, and held now and then
//! against what a node lists, where that is configured. What is counted and what differs is decided in
//! `keywatch_ingest::chain::holdings`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keywatch_ingest::chain::follow::{ReadRef, Used};
use keywatch_ingest::chain::holdings::{Difference, Held, Listed};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Chain, Failure, Follower};
use crate::clock;
use crate::limits::HOLDINGS_TOLD_SECONDS;
use crate::service::chains::endpoints::Endpoints;
use crate::service::chains::node::{Node, Trouble};

/// What a node says to the question for all coins of the watched wallets.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scan {
    /// Those.
    Listed(Listed),
    /// It does not know the question.
    Unknown,
    /// It cannot tell this time, and why.
    Failed(String),
}

/// What was told of what wallets hold, and when it is told again.
#[derive(Default)]
pub(super) struct Telling {
    told: BTreeMap<String, (Sum, Instant)>,
    due: Option<Instant>,
}

/// What a wallet holds, and the base units of it that cannot be spent yet.
type Sum = (Held, i64);

/// Lists that nodes are asked for.
#[derive(Default)]
pub(super) struct Scanning {
    /// The one that is asked for; it ends with the follower.
    task: JoinSet<Scan>,
    due: Option<Instant>,
    /// What was watched when it was asked for: the declaration, and the addresses of descriptors that were used.
    of: (String, Used),
    /// Whether it was said that a node does not know the question; it is asked again, since another one may answer then.
    is_unknown: bool,
    /// What was told to differ, by wallet.
    told: BTreeMap<String, Difference>,
}

impl Telling {
    /// Whether a wallet's sum is told: it is another than was told last, or that is long ago.
    fn tells(&self, wallet: &str, sum: &Sum, now: Instant) -> bool {
        let again = Duration::from_secs(HOLDINGS_TOLD_SECONDS);
        self.told.get(wallet).is_none_or(|(before, at)| before != sum || now.duration_since(*at) >= again)
    }
}

impl<C: Chain> Follower<C> {
    /// Counts what the wallets hold that are watched now.
    pub(super) fn hold(&mut self) {
        let names = self.chain.wallets();
        let Some(cursor) = &mut self.cursor else { return };
        let tip = cursor.tip().height;
        let left_out = cursor.holdings_mut().watch(&names, tip);
        if left_out > 0 {
            tracing::warn!(chain = self.chain.name(), left_out, "too many wallets: what these hold is not told");
        }
    }

    /// What these wallets held was of other addresses than they have now.
    pub(super) fn forget(&mut self, wallets: &[String]) {
        let Some(cursor) = &mut self.cursor else { return };
        wallets.iter().for_each(|wallet| cursor.holdings_mut().forget(wallet));
    }

    /// After a reorganisation, what was told may be taken back.
    pub(super) fn tell_anew(&mut self) {
        self.telling = Telling::default();
    }

    /// Tells what wallets hold where that is due: each whose sum has changed since it was told, and each once a day.
    pub(super) async fn tell_holdings(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let is_due = self.telling.due.is_none_or(|due| due <= now);
        if self.pace.balances == Duration::ZERO || !is_due || self.cursor().holdings().is_empty() {
            return Ok(());
        }
        self.telling.due = now.checked_add(self.pace.balances);
        let watched = self.chain.wallets();
        self.telling.told.retain(|wallet, _| watched.contains(wallet));
        let (at, time) = (self.cursor().tip().clone(), clock::now());
        let holdings = self.cursor().holdings();
        let sums = holdings.wallets().map(|(wallet, held)| (wallet, (*held, holdings.immature(wallet, at.height))));
        let changed: Vec<(String, Sum)> = sums
            .filter(|(wallet, sum)| self.telling.tells(wallet, sum, now))
            .map(|(wallet, sum)| (wallet.to_owned(), sum))
            .collect();
        let event = |(wallet, (held, immature)): &(String, Sum)| self.chain.held(&at, wallet, held, *immature, time);
        let events: Vec<_> = changed.iter().filter_map(event).collect();
        self.telling.told.extend(changed.into_iter().map(|(wallet, sum)| (wallet, (sum, now))));
        if events.is_empty() { Ok(()) } else { self.write(events).await.map_err(Failure::Log) }
    }

    /// Asks for a list of all coins where that is due, beside everything else, and takes the one that has come.
    pub(super) async fn scan(&mut self) -> Result<(), Failure> {
        if let Some(done) = self.scanning.task.try_join_next() {
            // One that broke off is asked for again at its time.
            return match done.ok() {
                Some(Scan::Listed(listed)) => {
                    self.scanning.is_unknown = false;
                    self.compare(&listed).await
                }
                Some(Scan::Unknown) => {
                    if !std::mem::replace(&mut self.scanning.is_unknown, true) {
                        tracing::warn!(
                            chain = self.chain.name(),
                            "a node does not know scantxoutset: what wallets hold is compared with nothing until one does"
                        );
                    }
                    Ok(())
                }
                Some(Scan::Failed(problem)) => {
                    tracing::warn!(chain = self.chain.name(), problem, "what wallets hold is not compared this time");
                    Ok(())
                }
                None => Ok(()),
            };
        }
        let now = Instant::now();
        let is_due = self.scanning.due.is_none_or(|due| due <= now) && self.scanning.task.is_empty();
        if self.pace.scan == Duration::ZERO || !is_due {
            return Ok(());
        }
        if self.cursor().holdings().is_empty() {
            return Ok(());
        }
        self.scanning.due = now.checked_add(self.pace.scan);
        self.scanning.of = self.scanned();
        let (chain, endpoints) = (Arc::clone(&self.chain), Arc::clone(&self.endpoints));
        self.scanning.task.spawn(async move { asked(chain.as_ref(), &endpoints).await });
        Ok(())
    }

    /// What a list is of that is asked for now.
    fn scanned(&self) -> (String, Used) {
        (self.backfill.declared(), self.chain.used())
    }

    /// Tells of which wallets a list says something else than the blocks; where it agrees at the newest block, all coins of a
    /// wallet are counted from now on. A list of a block that is not remembered says nothing, nor does one of other addresses than
    /// are watched by now.
    async fn compare(&mut self, listed: &Listed) -> Result<(), Failure> {
        if self.scanning.of != self.scanned() {
            return Ok(());
        }
        let Some(at) = self.cursor().at(listed.height).filter(|read| read.hash == listed.hash).cloned() else {
            return Ok(());
        };
        let differences = self.cursor().holdings().differences(listed);
        let differs = |wallet: &str| differences.iter().any(|difference| difference.wallet == wallet);
        if at == *self.cursor().tip() {
            let wallets = self.cursor().holdings().wallets();
            let agreed: Vec<String> =
                wallets.map(|(wallet, _)| wallet.to_owned()).filter(|wallet| !differs(wallet)).collect();
            for wallet in agreed {
                self.cursor_mut().holdings_mut().adopt(&wallet, listed);
            }
        }
        self.tell_differences(&at, differences).await
    }

    async fn tell_differences(&mut self, at: &ReadRef, differences: Vec<Difference>) -> Result<(), Failure> {
        let time = clock::now();
        let known = &self.scanning.told;
        let is_new =
            |difference: &&Difference| known.get(&difference.wallet).is_none_or(|told| told.gap() != difference.gap());
        let new = differences.iter().filter(is_new);
        let events: Vec<_> = new.filter_map(|difference| self.chain.differs(at, difference, time)).collect();
        self.scanning.told =
            differences.into_iter().map(|difference| (difference.wallet.clone(), difference)).collect();
        if events.is_empty() { Ok(()) } else { self.write(events).await.map_err(Failure::Log) }
    }
}

/// What enough nodes list. Nodes that fail at this are as well as before for everything else.
async fn asked<C: Chain>(chain: &C, endpoints: &Endpoints) -> Scan {
    let ask = |node: Arc<Node>| async move {
        chain.sure(&node).await?;
        Ok::<Scan, Trouble>(match chain.scan(&node).await {
            Ok(Some(listed)) => Scan::Listed(listed),
            Ok(None) => Scan::Unknown,
            Err(trouble) => Scan::Failed(trouble.to_string()),
        })
    };
    let mark = |scan: &Scan| format!("{scan:?}");
    match endpoints.agreed(ask, mark).await {
        Ok(agreed) => agreed.answer,
        Err(trouble) => Scan::Failed(trouble.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_told_when_it_changes_and_once_a_day() {
        let now = Instant::now();
        let held = |units| (Held { since: 1, units }, 0);
        let mut telling = Telling::default();
        assert!(telling.tells("w", &held(0), now), "a first sum is told, also of nothing");
        telling.told.insert("w".to_owned(), (held(5), now));
        assert!(telling.tells("w", &held(6), now) && telling.tells("v", &held(5), now));
        assert!(!telling.tells("w", &held(5), now));
        assert!(telling.tells("w", &(held(5).0, 3), now), "less or more of it can be spent");
        let day = Duration::from_secs(HOLDINGS_TOLD_SECONDS);
        assert!(telling.tells("w", &held(5), now + day) && !telling.tells("w", &held(5), now + day / 2));
    }
}
