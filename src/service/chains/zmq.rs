//! What nodes of Bitcoin announce over `ZeroMQ`: blocks and waiting transactions.
//!
//! An announcement wakes who follows the chain or its pool and says nothing: what is new is read over JSON-RPC as ever. Whoever
//! holds the address can hide nothing and invent nothing, only be silent; and nodes are polled meanwhile. Each topic counts its
//! announcements, so that lost ones are seen; they wake too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::zmtp::Subscriber;
use crate::limits::{
    HEADS_WAKE_MILLISECONDS_MIN, NODE_CALL_SECONDS_MAX, NODE_REST_SECONDS_MAX, NODE_REST_SECONDS_MIN,
    ZMQ_POOL_WAKE_MILLISECONDS_MIN, ZMQ_SILENCE_SECONDS_MAX,
};
use crate::service::metrics::Metrics;
use crate::service::turns::stopped;

/// Topics of Bitcoin Core, each a beginning of none of the others.
const TOPICS: [&str; 5] = ["hashblock", "rawblock", "hashtx", "rawtx", "sequence"];

/// A node that announces over `ZeroMQ`.
pub(crate) struct Announcements {
    chain: String,
    /// What it is called.
    endpoint: String,
    host: String,
    port: u16,
    metrics: Arc<Metrics>,
}

/// Who is woken.
pub(crate) struct Wakes {
    /// Of blocks.
    pub(crate) blocks: Arc<Notify>,
    /// Of waiting transactions, where they are watched.
    pub(crate) pool: Option<Arc<Notify>>,
}

/// What an announcement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Block,
    Transaction,
}

/// The newest number of each topic, on one connection.
#[derive(Default)]
struct Numbers {
    newest: HashMap<&'static str, u32>,
    /// Whether it was said that some were lost: who announces decides how often that is so, and shall fill no disk with it.
    is_told: bool,
}

impl Announcements {
    /// Those of the node `endpoint`, at `tcp://` and a host with a port; nothing is sent yet.
    ///
    /// # Errors
    /// The address is none.
    pub(crate) fn new(
        chain: &str,
        endpoint: &str,
        address: &str,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Announcements> {
        let (host, port) = parsed(address).context("its zmq address has to be tcp://, a host, a colon and a port")?;
        Ok(Announcements { chain: chain.to_owned(), endpoint: endpoint.to_owned(), host, port, metrics })
    }

    /// Wakes at everything that is announced, until `stopping` becomes true. A connection that cannot be had is tried again.
    pub(crate) async fn run(self, wakes: Wakes, mut stopping: watch::Receiver<bool>) {
        let (blocks, pool) = (Notify::new(), Notify::new());
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => {}
            () = paced(&blocks, Some(&wakes.blocks), HEADS_WAKE_MILLISECONDS_MIN) => {}
            () = paced(&pool, wakes.pool.as_ref(), ZMQ_POOL_WAKE_MILLISECONDS_MIN) => {}
            () = self.keep_listening(&blocks, &pool) => {}
        }
    }

    async fn keep_listening(&self, blocks: &Notify, pool: &Notify) {
        let (chain, endpoint) = (self.chain.as_str(), self.endpoint.as_str());
        let mut failures = 0_u32;
        loop {
            let mut announced = false;
            let ended = self.listen(blocks, pool, &mut announced).await;
            if announced {
                failures = 0;
            }
            if let Err(error) = ended {
                // Once until it works again.
                if failures == 0 {
                    tracing::warn!(
                        chain,
                        endpoint,
                        "nothing is announced over ZeroMQ, and nodes are polled: {error:#}"
                    );
                }
                failures = failures.saturating_add(1);
            }
            let doubled = NODE_REST_SECONDS_MIN.saturating_mul(1 << failures.min(10));
            sleep(Duration::from_secs(doubled.min(NODE_REST_SECONDS_MAX))).await;
        }
    }

    /// Listens until the connection ends, which is why it never gives anything else than an error.
    async fn listen(&self, blocks: &Notify, pool: &Notify, announced: &mut bool) -> anyhow::Result<()> {
        let opening = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            Subscriber::open(stream, &TOPICS).await
        };
        let opened = timeout(Duration::from_secs(NODE_CALL_SECONDS_MAX), opening).await;
        let mut subscriber = opened.context("the node does not answer")??;
        // What it announced while nobody listened is looked for.
        blocks.notify_one();
        pool.notify_one();
        let mut numbers = Numbers::default();
        loop {
            let heard = timeout(Duration::from_secs(ZMQ_SILENCE_SECONDS_MAX), subscriber.next()).await;
            let message = heard.context("nothing was heard of the node")??;
            let Some((topic, about, number)) = announcement(&message) else { continue };
            if !*announced {
                tracing::info!(chain = self.chain, endpoint = self.endpoint, "blocks are announced over ZeroMQ");
            }
            *announced = true;
            let lost = numbers.lost(topic, number);
            if lost > 0 {
                self.note_lost(topic, lost, &mut numbers);
            }
            if about == About::Block || lost > 0 {
                blocks.notify_one();
            }
            if about == About::Transaction || lost > 0 {
                pool.notify_one();
            }
        }
    }

    /// Counts that announcements were lost, and says so once on each connection.
    fn note_lost(&self, topic: &str, lost: u32, numbers: &mut Numbers) {
        if !std::mem::replace(&mut numbers.is_told, true) {
            tracing::warn!(chain = self.chain, endpoint = self.endpoint, topic, lost, "announcements were lost");
        }
        let labels = [self.chain.as_str(), self.endpoint.as_str(), "announcements_lost"];
        self.metrics.chain_errors.with_label_values(&labels).inc();
    }
}

impl Numbers {
    /// How many announcements stand between this one and the one before. One that comes twice, as from a node that is told twice
    /// to announce at the same address, is none that was lost.
    fn lost(&mut self, topic: &'static str, number: u32) -> u32 {
        let before = self.newest.insert(topic, number).filter(|before| *before != number);
        before.map_or(0, |before| number.wrapping_sub(before).wrapping_sub(1))
    }
}

/// Passes on that something is new, and no more often than is heeded. Where nobody wants to know, it passes on nothing.
async fn paced(news: &Notify, wake: Option<&Arc<Notify>>, milliseconds_min: u64) {
    loop {
        news.notified().await;
        if let Some(wake) = wake {
            wake.notify_one();
        }
        sleep(Duration::from_millis(milliseconds_min)).await;
    }
}

/// What a message announces, and its number in its topic; nothing where it is none of Bitcoin Core's.
fn announcement(message: &[Vec<u8>]) -> Option<(&'static str, About, u32)> {
    let [topic, body, number] = message else { return None };
    let topic = TOPICS.into_iter().find(|known| known.as_bytes() == topic)?;
    let number = u32::from_le_bytes(number.as_slice().try_into().ok()?);
    let about = match topic {
        "hashblock" | "rawblock" => About::Block,
        // A hash, and a letter: a block is connected or disconnected, a transaction added or removed.
        "sequence" if matches!(body.get(32), Some(b'C' | b'D')) => About::Block,
        _ => About::Transaction,
    };
    Some((topic, about, number))
}

fn parsed(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.trim().strip_prefix("tcp://")?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host == "*" {
        return None;
    }
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, body: &[u8], number: u32) -> Vec<Vec<u8>> {
        vec![topic.as_bytes().to_vec(), body.to_vec(), number.to_le_bytes().to_vec()]
    }

    #[test]
    fn announcements_are_told_apart() {
        let of = |topic, body: &[u8]| announcement(&message(topic, body, 9)).map(|(_, about, number)| (about, number));
        let with = |letter: u8| [&[1; 32][..], &[letter][..]].concat();
        assert_eq!(of("hashblock", &[1; 32]), Some((About::Block, 9)));
        assert_eq!(of("rawtx", &[]), Some((About::Transaction, 9)));
        assert_eq!(of("sequence", &with(b'D')), Some((About::Block, 9)));
        assert_eq!(of("sequence", &with(b'A')), Some((About::Transaction, 9)));
        assert_eq!(of("hashblocks", &[]), None);
        assert_eq!(announcement(&message("rawtx", &[], 9)[..2]), None);
    }

    #[test]
    fn lost_announcements_are_counted_by_topic() {
        let mut numbers = Numbers::default();
        let seen = [
            ("rawtx", 5),
            ("rawtx", 6),
            ("rawtx", 6),
            ("hashblock", 0),
            ("rawtx", 9),
            ("hashblock", u32::MAX),
            ("hashblock", 0),
        ];
        let lost = seen.map(|(topic, number)| numbers.lost(topic, number));
        assert_eq!(lost, [0, 0, 0, 0, 2, u32::MAX - 1, 0], "one comes twice, and a number comes round");
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(parsed("tcp://127.0.0.1:28332"), Some(("127.0.0.1".into(), 28332)));
        assert_eq!(parsed("tcp://[::1]:28332"), Some(("::1".into(), 28332)));
        for address in ["127.0.0.1:28332", "tcp://127.0.0.1", "ipc:///tmp/socket", "tcp://*:28332", "tcp://:1"] {
            assert_eq!(parsed(address), None, "{address}");
        }
    }
}
