//! What a follower keeps in memory of the blocks that it read, and what its log holds in the end, over many blocks of which the
//! newest are left for others again and again. The follower runs alone: what rules keep of events is theirs.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::generated::{self, LEFT, MOVES, MOVES_EVERY, Small};
use super::watcher::{Watcher, of_kind, standing};

/// How long so many blocks may take as are read between two looks at memory.
const PATIENCE: Duration = Duration::from_mins(5);
/// KiB that a follower may grow by over two thousand blocks: what nodes answer for these has thirty thousand.
const GROWN_KIB_MAX: u64 = 24 * 1024;

/// `keywatch chain follow`; killed without warning when it is dropped.
struct Following(Child);

impl Following {
    fn start(watcher: &Watcher) -> Following {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
        command.args(["chain", "follow"]).current_dir(watcher.path()).env_remove("KEYWATCH_CONFIG");
        Following(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Resident memory, KiB.
    fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Waits until a block is read.
    async fn until_read(&mut self, node: &Small, height: u64) {
        let begun = Instant::now();
        while node.head() <= height {
            assert!(self.0.try_wait().unwrap().is_none(), "the follower has ended");
            assert!(begun.elapsed() < PATIENCE, "block {height} is not read, and the newest is {}", node.head());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Follows small blocks, `stage` at a time, up to the height `last`; gives the resident memory at each multiple of `look`,
/// KiB, with which and the height `tell` is called, and the machine with the log.
pub(crate) async fn followed(stage: u64, look: u64, last: u64, tell: impl Fn(u64, u64)) -> (Vec<u64>, Watcher) {
    let node = generated::start_small(stage, last + stage).await;
    let watcher = Watcher::new(&[("generated", node.url.clone())], "");
    watcher.configure("requests_per_second = 2000", "requests_per_second = 1000000");
    let mut following = Following::start(&watcher);
    let mut memory = Vec::new();
    for height in (1..=last / look).map(|number| number * look) {
        following.until_read(&node, height).await;
        memory.push(following.memory_kib());
        tell(height, memory[memory.len() - 1]);
    }
    (memory, watcher)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_keeps_nothing_of_the_blocks_that_it_read_and_misses_none() {
    const STAGE: u64 = 500;
    let (memory, watcher) = followed(STAGE, 1000, 3000, |_, _| {}).await;
    let grown = memory[2].saturating_sub(memory[0]);
    assert!(grown < GROWN_KIB_MAX, "it grows by {grown} KiB: {memory:?}");

    // It was killed behind any of its appends.
    let events = watcher.told();
    let tip = of_kind(&events, "chain.progress").last().unwrap().detail().value()["block"].as_u64().unwrap();
    let reorganisations = of_kind(&events, "chain.reorg");
    assert!(reorganisations.len() as u64 >= 3000 / STAGE - 1, "{} reorganisations", reorganisations.len());
    assert!(reorganisations.iter().all(|event| event.detail().value()["depth"] == LEFT));
    // Transactions of blocks that are left are included again.
    let stand: Vec<usize> = standing(&events, "chain.transfer").into_values().collect();
    assert_eq!(stand, vec![1; MOVES * usize::try_from(tip / MOVES_EVERY).unwrap()]);
}
