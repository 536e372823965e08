//! Partitions that processes share: a consumer group gives each process some of them, and the process runs this program once
//! more for each, with that partition alone. What is asked of it is asked of those.
//!
//! A process for each partition, and not a thread: what evaluates has one log, one position and one state, as on the embedded
//! log; what fails, ends or is replaced in one partition does not touch another
//! (`docs/decisions/0004-partitions-that-move.md`).
//!
//! | module | what it does |
//! |---|---|
//! | [`holding`] | the partitions that are here, and when their processes begin and end |
//! | [`child`] | one such process, seen from outside and from inside |
//! | [`front`], [`asked`] | what is asked over HTTP, and of whom |
//! | [`answers`], [`scrape`] | answers of several as one |

mod answers;
mod asked;
pub(crate) mod child;
mod front;
mod holding;
mod scrape;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use keywatch_store::Clock;
use keywatch_store::log::kafka::{Concluding, Lease};
use tokio::sync::watch;
use tokio::task::{block_in_place, spawn_blocking};

use self::child::Program;
use self::front::Front;
use self::holding::Shares;
use crate::limits::{ADDRESS_CONNECTIONS_MAX, CONNECTIONS_MAX, SHARES_LOOK_MS};
use crate::service::config::Config;
use crate::service::http::listener::Door;
use crate::service::http::places::Places;
use crate::service::http::tls;
use crate::service::metrics::Metrics;
use crate::service::readiness::Readiness;
use crate::service::receivers::check_heartbeats_of_partitions;
use crate::service::serve::{listen, shutdown_deadline, stop_on_signal};

/// Has partitions and serves until a signal to stop; the processes of its partitions end before it leaves the group.
///
/// # Errors
/// Partitions would share one heartbeat; the cluster does not answer, a topic does not fit or the group may not be joined; the
/// address cannot be listened on.
pub(crate) async fn share(config: &Config, program: Program, metrics: Arc<Metrics>) -> anyhow::Result<()> {
    metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    metrics.watch_disk(&config.data);
    // Who only finds sends none, and need not have the files in which their addresses stand.
    if config.log.partitions > 1 && config.log.concluding != Concluding::Findings {
        check_heartbeats_of_partitions(&config.heartbeats)?;
    }
    let readiness = Readiness::new(Arc::clone(&metrics));
    let (stop, stopping) = watch::channel(false);
    stop_on_signal(stop.clone())?;
    let settings = config.log.settings(&config.data, Clock::Wall)?;
    let shares = Shares::new(program, Arc::clone(&readiness));
    let told = Arc::clone(&shares);
    let lease = block_in_place(|| Lease::join(&settings, move |change| told.change(change)))?;
    let (is_secure, partitions) = (config.server.is_over_tls(), config.log.partitions);
    let front = Front::new(Arc::clone(&shares), partitions, is_secure, readiness, Arc::clone(&metrics))?;
    let until = stopping.clone();
    let holding = spawn_blocking(move || hold(lease, &shares, &until));
    let held = async {
        let held = holding.await;
        stop.send_replace(true);
        held.context("what holds partitions broke off; this is a defect of keywatch")?
    };
    let served = async {
        let served = serve(config, front, metrics, stopping).await;
        stop.send_replace(true);
        served
    };
    let (held, served) = tokio::join!(held, served);
    held.and(served)?;
    tracing::info!("stopped");
    Ok(())
}

/// Stays in the group, and has its partitions, until `stopping` becomes true.
fn hold(lease: Lease, shares: &Shares, stopping: &watch::Receiver<bool>) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    while outcome.is_ok() && !*stopping.borrow() {
        outcome = lease.poll(Duration::from_millis(SHARES_LOOK_MS));
        shares.look();
    }
    shares.end();
    // Others get the partitions only now.
    drop(lease);
    outcome.map_err(anyhow::Error::from)
}

async fn serve(
    config: &Config,
    front: Arc<Front>,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let tls = config.server.tls.as_ref().map(|tls| tls::start(tls, "server.tls", Arc::clone(&metrics))).transpose()?;
    let door = Door {
        listener: listen(config).await?,
        places: Places::new(CONNECTIONS_MAX, ADDRESS_CONNECTIONS_MAX, config.server.proxies.clone()),
        router: front::router(front),
        tls,
        metrics,
    };
    tokio::select! {
        () = door.serve(stopping.clone()) => {}
        () = shutdown_deadline(stopping) => tracing::warn!("requests were still open when the time for them was over"),
    }
    Ok(())
}
