//! What windows and alerting remember, in the bucket that `log.state` names: a start fetches what is newer there than in its own
//! directory, and what is kept in the directory from then on goes there too. Rules wait for neither.
//!
//! A bucket is nobody's disk: what lies there counts only with the MAC of the role's key, for the partition and the position that
//! it is asked for. It costs time where it is gone, damaged, older or another's, and changes no answer.
//!
//! | module | what it does |
//! |---|---|
//! | [`manifest`] | the object that says which parts a snapshot has, and proves them |
//! | [`remote`] | the snapshots of one state in the bucket: sent, fetched, deleted when they are old |
//! | [`uploads`] | the thread that sends them |

mod manifest;
mod remote;
#[cfg(test)]
mod tests;
pub(crate) mod uploads;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use keywatch_store::Log;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout_at};

use crate::limits::STATE_FETCH_SECONDS_MAX;
use crate::service::config::log::LogConfig;
use crate::service::evaluation::snapshot_files::SnapshotFiles;
use crate::service::metrics::Metrics;
use crate::service::state_place::bucket_of;
use manifest::Key;
use remote::{Fetched, Pace, Remote, Unfetched};
use uploads::{Kept, State, Uploads};

/// The files of each state, where they are written.
pub(crate) type Files = [(State, SnapshotFiles); 2];

/// Fetches what is newer in the bucket than here, and begins to send what is written from now on. `None` where the
/// configuration names no bucket. One that does not answer is waited for a while, and said.
///
/// # Errors
/// The key of the role cannot be read; a snapshot there has seen more than the log holds; there is no thread for it.
pub(crate) fn take_over(
    config: &LogConfig,
    files: &Files,
    log: &dyn Log,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Option<Uploads>> {
    if bucket_of(&config.state).is_none() {
        return Ok(None);
    }
    let there = || -> anyhow::Result<BTreeMap<State, Kept>> {
        let of = |(state, files): &(State, SnapshotFiles)| {
            let remote = remote(config, &files.directory_name())?;
            Ok((*state, Kept { remote, files: files.clone() }))
        };
        files.iter().map(of).collect()
    };
    let fetching = || -> anyhow::Result<()> { runtime()?.block_on(fetch(&there()?, log, metrics)) };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("state-fetch".to_owned());
        let running = builder.spawn_scoped(scope, fetching).context("cannot start a thread")?;
        running.join().unwrap_or_else(|_| Err(anyhow!("the fetching of state broke off; this is a defect of keywatch")))
    })?;
    // A client of its own: connections belong to the thread that made them.
    Uploads::start(there()?, Arc::clone(metrics)).map(Some)
}

/// Where the bucket has the snapshots of one directory.
fn remote(config: &LogConfig, directory: &str) -> anyhow::Result<Remote> {
    let (name, prefix) = bucket_of(&config.state).context("log.state: names no bucket")?;
    let place = format!("{}/{directory}", config.state_name());
    let above = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok(Remote {
        bucket: config.state_store.bucket(name)?,
        shown: format!("s3://{name}/{above}{place}/"),
        prefix: format!("{above}{place}/"),
        place,
        key: Key::read(&config.key_file)?,
        pace: Pace::default(),
    })
}

/// For the one thread that asks.
fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot wait for a bucket")
}

async fn fetch(kept: &BTreeMap<State, Kept>, log: &dyn Log, metrics: &Metrics) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(STATE_FETCH_SECONDS_MAX);
    for (state, Kept { remote, files }) in kept {
        let count = |outcome: &str, times: usize| {
            metrics.state_store.with_label_values(&[state.name(), outcome]).inc_by(times as u64);
        };
        let fetched = timeout_at(until, remote.fetch(files, log)).await;
        match fetched.unwrap_or_else(|_| Err(Unfetched::Unreachable("it takes too long".to_owned()))) {
            Ok(Fetched { position, rejected }) => {
                count("rejected", rejected);
                count("fetched", usize::from(position.is_some()));
                let position = position.map(|position| position.0);
                tracing::info!(place = remote.shown, position, "the bucket was asked for a snapshot");
            }
            Err(Unfetched::TooNew(short)) => return Err(short.into()),
            Err(Unfetched::Rejected(problem) | Unfetched::Unreachable(problem)) => {
                count("unreachable", 1);
                let place = &remote.shown;
                tracing::error!(
                    place,
                    problem,
                    "the bucket of log.state cannot be read: this start goes on from its own directory, or from the log, \
                     which takes longer"
                );
                // Who does not answer once is not waited for twice.
                return Ok(());
            }
        }
    }
    Ok(())
}
