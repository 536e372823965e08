//! Finding and responding in processes of their own. Of each kind one has a partition; one that does both has it alone. And
//! since both write conclusions, a transaction that one of them has open hides what the other has committed behind it: who
//! has to know what stands there waits until nothing is open.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;

use super::context::KafkaConsumer;
use super::producer::{Appends, Producer};
use super::settings::{Concluding, Settings};
use super::{CLUSTER_PATIENCE, kafka_partition, mark, now, unreachable};
use crate::{Error, Topic};

/// How long who responds waits for who finds, as when both are started together.
const FINDER_PATIENCE: Duration = Duration::from_mins(1);

/// Until it is looked at again.
const PAUSE: Duration = Duration::from_millis(200);

/// For a process that finds and responds, once it has a partition: one that only responds is refused from then on.
///
/// # Errors
/// [`Error::Unreachable`].
pub(super) fn replace_responder(settings: &Settings, partition: u32, appends: &Arc<Appends>) -> Result<(), Error> {
    let responding = Settings { concluding: Concluding::Deeds, ..settings.clone() };
    let failed = |error: KafkaError| unreachable(settings, &error);
    match mark::get(&responding, partition, CLUSTER_PATIENCE) {
        // There never was one, or not for days.
        Ok(None) => return Ok(()),
        Ok(Some(_)) => {}
        // Groups do not work, and who only responds does not start without.
        Err(error) => {
            tracing::debug!(%error, "it is not known whether another process responds");
            return Ok(());
        }
    }
    mark::set(&responding, partition, appends.instance()).map_err(failed)?;
    let producer = Producer::connect(&responding, &responding.owner(partition), Arc::clone(appends))?;
    producer.client.init_transactions(CLUSTER_PATIENCE).map_err(failed)
}

/// For a process that only responds, before it takes a partition: whoever finds there has to leave that to it.
///
/// # Errors
/// [`Error::KafkaTopic`] when nobody does after a while, [`Error::Unreachable`].
pub(super) fn await_finder(settings: &Settings, partition: u32) -> Result<(), Error> {
    let finding = Settings { concluding: Concluding::Findings, ..settings.clone() };
    let until = now() + FINDER_PATIENCE;
    loop {
        let finder = mark::get(&finding, partition, CLUSTER_PATIENCE).map_err(|error| unreachable(settings, &error))?;
        if finder.as_deref().is_some_and(mark::only_finds) {
            return Ok(());
        }
        if now() >= until {
            let last = if finder.is_some() { "the last one there responds by itself" } else { "none was there" };
            let problem = format!(
                "no process with --role detect has partition {partition} ({last}): start it first, and --role respond \
                 beside it"
            );
            return Err(Error::KafkaTopic { topic: settings.topic(Topic::Conclusions), problem });
        }
        tracing::info!(partition, "waits for the process with --role detect");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until every transaction that stands in the conclusions by now has ended. Brokers end those that nobody does.
///
/// # Errors
/// [`Error::Unreachable`]: brokers do not answer, or one is open for longer than that.
pub(super) fn await_settled(settings: &Settings, partition: u32, patience: Duration) -> Result<(), Error> {
    let name = settings.topic(Topic::Conclusions);
    let connect = |topic: Topic| settings.connect_consumer(topic).map_err(|error| unreachable(settings, &error));
    let end = |consumer: &KafkaConsumer| {
        let marks = consumer.fetch_watermarks(&name, kafka_partition(partition), patience.min(CLUSTER_PATIENCE));
        marks.map(|(_, end)| end).map_err(|error| unreachable(settings, &error))
    };
    // Who reads events sees open transactions too, so that it is told of the true end; the other one of the first that is open.
    let written = end(&connect(Topic::Events)?)?;
    let committed = connect(Topic::Conclusions)?;
    let until = now() + patience;
    while end(&committed)? < written {
        if now() >= until {
            let why = format!("a transaction of another process is open in {name}, and hides what stands behind it");
            return Err(unreachable(settings, &why));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
