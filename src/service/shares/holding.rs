//! The partitions that this process has, and the process of each: started when the group gives a partition, ended before the
//! group is told that it is free, started again when it ends by itself. It knows neither Kafka nor what is asked of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use keywatch_store::log::kafka::LeaseChange;

use super::child::{Program, Running};
use crate::limits::{SHARE_END_SECONDS_MAX, SHARE_PAUSE_SECONDS_MAX, SHARE_STEADY_SECONDS};
use crate::service::http::handed::Secret;
use crate::service::readiness::Readiness;

/// The part of `/readyz` while the group has not said anything.
const GROUP: &str = "group";

/// The part of `/readyz` while a partition has no process that answers.
const PARTITIONS: &str = "partitions";

/// Where the process of a partition listens; `None` while it does not.
pub(super) type Places = BTreeMap<u32, Option<SocketAddr>>;

/// The partitions of this process.
pub(crate) struct Shares {
    program: Program,
    readiness: Arc<Readiness>,
    held: Mutex<BTreeMap<u32, Share>>,
}

/// A partition of this process.
struct Share {
    running: Option<Running>,
    /// When it was started the last time, or is to be.
    at: Instant,
    /// How often it ended by itself without having run well.
    failures: u32,
}

impl Share {
    fn new(now: Instant) -> Share {
        Share { running: None, at: now, failures: 0 }
    }

    /// Where its process listens. Once that one has ended, whoever else takes its port would be told what operators say.
    fn place(&mut self) -> Option<SocketAddr> {
        let running = self.running.as_mut()?;
        if running.ended().is_some() { None } else { running.address() }
    }

    /// It ended by itself, or could not be started: it is tried again after a while.
    fn failed(&mut self, now: Instant) -> Duration {
        let is_steady = now.saturating_duration_since(self.at) >= Duration::from_secs(SHARE_STEADY_SECONDS);
        self.failures = if is_steady { 0 } else { self.failures };
        let pause = Duration::from_secs((1_u64 << self.failures.min(10)).min(SHARE_PAUSE_SECONDS_MAX));
        self.running = None;
        self.failures += 1;
        self.at = now + pause;
        pause
    }

    fn look(&mut self, partition: u32, program: &Program, now: Instant) {
        if let Some(how) = self.running.as_mut().and_then(Running::ended) {
            let pause_seconds = self.failed(now).as_secs();
            tracing::error!(partition, how, pause_seconds, "the process of a partition ended; it is started again");
        }
        if self.running.is_some() || self.at > now {
            return;
        }
        self.at = now;
        match Running::start(program, partition) {
            Ok(running) => self.running = Some(running),
            Err(error) => {
                let (error, pause_seconds) = (format!("{error:#}"), self.failed(now).as_secs());
                tracing::error!(partition, error, pause_seconds, "the process of a partition was not started");
            }
        }
    }
}

impl Shares {
    /// None yet.
    pub(super) fn new(program: Program, readiness: Arc<Readiness>) -> Arc<Shares> {
        readiness.obstruct(GROUP, "waits for the other processes to agree on who has which partition");
        Arc::new(Shares { program, readiness, held: Mutex::default() })
    }

    /// What the processes of partitions know this one by.
    pub(super) fn secret(&self) -> &Secret {
        &self.program.secret
    }

    /// Does what the group says. What is given away has ended when this returns.
    pub(super) fn change(&self, change: LeaseChange) {
        match change {
            LeaseChange::Assigned(partitions) => {
                tracing::info!(?partitions, "partitions were given to this process");
                self.give(&partitions, Instant::now());
                self.look();
                self.readiness.clear(GROUP);
            }
            LeaseChange::Revoked(partitions) => {
                tracing::info!(?partitions, "partitions are given to another process");
                self.take(&partitions);
            }
            LeaseChange::Lost(partitions) => {
                tracing::warn!(?partitions, "partitions were given away while this process was not heard from");
                self.take(&partitions);
            }
        }
    }

    /// Starts what is to run and does not.
    pub(super) fn look(&self) {
        let now = Instant::now();
        let mut held = self.lock();
        held.iter_mut().for_each(|(partition, share)| share.look(*partition, &self.program, now));
        drop(held);
        let mute: Vec<String> = self
            .places()
            .into_iter()
            .filter(|(_, place)| place.is_none())
            .map(|(partition, _)| partition.to_string())
            .collect();
        if mute.is_empty() {
            self.readiness.clear(PARTITIONS);
        } else {
            self.readiness.obstruct(PARTITIONS, format!("{}: being started", mute.join(", ")));
        }
    }

    /// Ends all.
    pub(super) fn end(&self) {
        let partitions: Vec<u32> = self.lock().keys().copied().collect();
        self.take(&partitions);
    }

    /// Where the process of each partition listens.
    pub(super) fn places(&self) -> Places {
        self.lock().iter_mut().map(|(partition, share)| (*partition, share.place())).collect()
    }

    fn give(&self, partitions: &[u32], now: Instant) {
        let mut held = self.lock();
        for partition in partitions {
            held.entry(*partition).or_insert_with(|| Share::new(now));
        }
    }

    /// Whoever asks meanwhile hears that the partition is not here.
    fn take(&self, partitions: &[u32]) {
        let taken: Vec<Share> = {
            let mut held = self.lock();
            partitions.iter().filter_map(|partition| held.remove(partition)).collect()
        };
        let mut running: Vec<Running> = taken.into_iter().filter_map(|share| share.running).collect();
        running.iter_mut().for_each(Running::ask_to_end);
        let until = Instant::now() + Duration::from_secs(SHARE_END_SECONDS_MAX);
        running.into_iter().for_each(|running| running.end(until));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Share>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::metrics::Metrics;

    /// A shell in place of keywatch, which listens nowhere.
    fn shares(script: &str) -> (Arc<Shares>, Arc<Readiness>) {
        let readiness = Readiness::new(Metrics::new());
        let secret = Secret::random().unwrap();
        let program = Program { executable: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], secret };
        (Shares::new(program, Arc::clone(&readiness)), readiness)
    }

    #[test]
    fn what_the_group_gives_runs_until_it_takes_it() {
        let (shares, readiness) =
            shares("echo \"keywatch listens on http://127.0.0.1:$((4000 + $0))\"; cat >&2; exit 0");
        assert!(readiness.obstacles().contains_key(GROUP));
        shares.change(LeaseChange::Assigned(vec![0, 3]));
        let until = Instant::now() + Duration::from_secs(30);
        while !readiness.obstacles().is_empty() {
            assert!(Instant::now() < until, "{:?}", readiness.obstacles());
            shares.look();
        }
        let place = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(shares.places(), Places::from([(0, place(4000)), (3, place(4003))]));
        shares.change(LeaseChange::Revoked(vec![0]));
        assert_eq!(shares.places(), Places::from([(3, place(4003))]));
        shares.change(LeaseChange::Lost(vec![3]));
        shares.end();
        assert!(shares.places().is_empty());
    }

    #[test]
    fn the_port_of_a_process_that_ended_is_asked_no_more() {
        let (shares, _) = shares("echo 'keywatch listens on http://127.0.0.1:4711'; read secret; read ignored; exit 0");
        shares.change(LeaseChange::Assigned(vec![2]));
        let until = |expected: Option<SocketAddr>| {
            let until = Instant::now() + Duration::from_secs(30);
            while shares.places() != Places::from([(2, expected)]) {
                assert!(Instant::now() < until, "{:?}", shares.places());
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        until(Some(SocketAddr::from(([127, 0, 0, 1], 4711))));
        // It ends, and nobody has looked after it yet.
        shares.lock().get_mut(&2).and_then(|share| share.running.as_mut()).unwrap().ask_to_end();
        until(None);
    }

    #[test]
    fn what_ends_by_itself_is_tried_again_after_longer_and_longer() {
        let (mut share, begun) = (Share::new(Instant::now()), Instant::now());
        let pauses: Vec<u64> = (0..7).map(|_| share.failed(begun).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        let much_later = begun + Duration::from_secs(30 + SHARE_STEADY_SECONDS);
        assert_eq!(share.failed(much_later).as_secs(), 1, "it ran well meanwhile");
    }

    #[test]
    fn a_partition_whose_process_ends_stands_in_the_way_of_being_ready() {
        let (shares, readiness) = shares("exit 7");
        shares.change(LeaseChange::Assigned(vec![2]));
        assert_eq!(readiness.obstacles()[PARTITIONS], "2: being started");
        assert_eq!(shares.places(), Places::from([(2, None)]));
    }
}
