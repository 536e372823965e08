//! Finding and responding in processes of their own. Of each kind one has a partition; one that does both has it alone. And
//! since both write conclusions, a transaction that one of them has open hides what the other has committed behind it: who
//! has to know what stands there waits until nothing is open.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;

use super::context::KafkaConsumer;
use super::mark::{self, Mark};
use super::producer::{Appends, Producer};
use super::settings::{Concluding, Settings};
use super::takeover::{Finder, Marks, Standing, Step, may_take_again, standing};
use super::{CLUSTER_PATIENCE, kafka_partition, now, unreachable};
use crate::{Error, Topic};

/// How long who responds waits for who finds, as when both are started together.
const FINDER_PATIENCE: Duration = Duration::from_mins(1);

/// Until it is looked at again.
const PAUSE: Duration = Duration::from_millis(200);

/// A process that takes a partition over, by the steps of [`super::takeover`].
pub(super) struct Taking<'a> {
    pub(super) settings: &'a Settings,
    pub(super) partition: u32,
    pub(super) appends: &'a Arc<Appends>,
    /// How long marks are tried to be made and read while that fails in a way that passes.
    pub(super) patience: Duration,
    /// How long one question after them lasts.
    pub(super) call: Duration,
}

impl Taking<'_> {
    /// Takes the steps with the client that is to write from then on; whether they could be noted. Where they cannot, in a cluster
    /// without groups, nobody can, and those that only respond do not start.
    ///
    /// # Errors
    /// [`Error::Unreachable`]; [`Error::KafkaTopic`] when keywatch may not, another process has taken the partition meanwhile, or
    /// who only responds finds nobody who only finds.
    pub(super) fn take(&self, steps: &[Step], producer: &Producer) -> Result<bool, Error> {
        let (mut marked, mut has_responder) = (true, false);
        for step in steps {
            match step {
                Step::AwaitFinder => self.await_finder()?,
                Step::Claim => marked = self.claim()?,
                Step::Fence => fence(self.settings, self.partition, producer)?,
                Step::Look if marked => self.look()?,
                Step::AskResponder if marked => has_responder = self.marks(&self.responding())?.claimed.is_some(),
                Step::ClaimResponder if has_responder => {
                    let responding = self.responding();
                    self.marking(|| mark::set(&responding, self.partition, Mark::Claimed, self.appends.instance()))?;
                }
                Step::FenceResponder if has_responder => {
                    let responding = self.responding();
                    let config = responding.owner(self.partition);
                    let producer = Producer::connect(&responding, &config, Arc::clone(self.appends))?;
                    fence(&responding, self.partition, &producer)?;
                }
                Step::Hold if marked => {
                    self.marking(|| mark::set(self.settings, self.partition, Mark::Held, self.appends.instance()))?;
                }
                Step::Look | Step::AskResponder | Step::ClaimResponder | Step::FenceResponder | Step::Hold => {}
            }
        }
        Ok(marked)
    }

    /// Whether the process has the partition as things are.
    ///
    /// # Errors
    /// The marks cannot be read, for now or at all.
    pub(super) fn standing(&self) -> Result<Standing, Error> {
        let name = mark::name(self.settings, self.appends.instance());
        let own = self.marks(self.settings)?;
        let finders = match self.settings.concluding {
            Concluding::Responses => Some(self.marks(&self.finding())?),
            Concluding::All | Concluding::Findings => None,
        };
        Ok(standing(&name, &own, finders.as_ref()))
    }

    /// Whether a process that had the partition may take it over from itself.
    ///
    /// # Errors
    /// The marks cannot be read, for now or at all.
    pub(super) fn may_take_again(&self) -> Result<bool, Error> {
        Ok(may_take_again(&self.marks(self.settings)?, self.standing()?))
    }

    /// Waits until it is known whether the process has the partition.
    fn look(&self) -> Result<(), Error> {
        let until = now() + FINDER_PATIENCE;
        loop {
            match self.standing()? {
                Standing::Has => return Ok(()),
                Standing::Replaced => {
                    let why = "it took the partition over while this one did";
                    return Err(replaced(self.settings, self.partition, why));
                }
                Standing::Undecided if now() >= until => return Err(unreachable(self.settings, &UNDECIDED)),
                Standing::Undecided => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Notes that the process takes the partition over, before the one that has it is refused, so that it finds why; whether that
    /// can be noted at all.
    fn claim(&self) -> Result<bool, Error> {
        let claim = || mark::set(self.settings, self.partition, Mark::Claimed, self.appends.instance());
        let Err(error) = mark::persist(self.patience, claim) else { return Ok(true) };
        let group = self.settings.owner_group();
        if !mark::lasts(&error) {
            return Err(unreachable(self.settings, &error));
        }
        let has_to_be = match self.settings.concluding {
            Concluding::Responses => true,
            // Another process may be allowed to, and would respond beside this one.
            Concluding::All => mark::is_forbidden(&error),
            Concluding::Findings => false,
        };
        if has_to_be {
            let problem = format!(
                "it cannot be noted which process responds to partition {}, and without that two might: allow keywatch's \
                 principal Read on group {group} ({error})",
                self.partition
            );
            return Err(Error::KafkaTopic { topic: self.settings.topic(Topic::Conclusions), problem });
        }
        tracing::warn!(
            %error,
            "it cannot be noted which process has partition {}, so that this one ends when the brokers give up a transaction of \
             its; groups have to work in the cluster, and keywatch's principal needs Read on group {group}",
            self.partition
        );
        Ok(false)
    }

    /// Waits for a process that only finds: it leaves to this one what is to be done.
    fn await_finder(&self) -> Result<(), Error> {
        let until = now() + FINDER_PATIENCE;
        loop {
            let finder = self.marks(&self.finding())?.finder();
            if finder == Finder::FindsOnly {
                return Ok(());
            }
            if now() >= until {
                let last = match finder {
                    Finder::DoesBoth => "the last one there responds by itself",
                    Finder::TakesOver => "one is about to take it, or is of an earlier version",
                    Finder::Nobody | Finder::FindsOnly => "none was there",
                };
                let problem = format!(
                    "no process with --role detect has partition {} ({last}): start it first, and --role respond beside it",
                    self.partition
                );
                return Err(Error::KafkaTopic { topic: self.settings.topic(Topic::Conclusions), problem });
            }
            tracing::info!(partition = self.partition, "waits for the process with --role detect");
            std::thread::sleep(PAUSE);
        }
    }

    fn marks(&self, of: &Settings) -> Result<Marks, Error> {
        self.marking(|| mark::get(of, self.partition, self.call))
    }

    /// Tries for a while to read or make a mark that has to be known.
    fn marking<T>(&self, attempt: impl FnMut() -> KafkaResult<T>) -> Result<T, Error> {
        mark::persist(self.patience, attempt).map_err(|error| {
            if !mark::lasts(&error) {
                return unreachable(self.settings, &error);
            }
            let problem = format!(
                "it cannot be known which process has partition {}: {error}; allow keywatch's principal Read on the groups {}.owner \
                 and {}.owner.respond",
                self.partition, self.settings.topic_prefix, self.settings.topic_prefix
            );
            Error::KafkaTopic { topic: self.settings.topic(Topic::Conclusions), problem }
        })
    }

    fn finding(&self) -> Settings {
        Settings { concluding: Concluding::Findings, ..self.settings.clone() }
    }

    fn responding(&self) -> Settings {
        Settings { concluding: Concluding::Responses, ..self.settings.clone() }
    }
}

/// What is said while a process that finds takes a partition over.
pub(super) const UNDECIDED: &str =
    "a process that finds is taking the partition over just now, and until it has, another one may respond";

/// Why a process concludes no more.
pub(super) fn replaced(settings: &Settings, partition: u32, why: &str) -> Error {
    let problem = format!(
        "this process can conclude no more for partition {partition}: another one has it, or the brokers gave this one up ({why}); \
         what is running elsewhere goes on, so stop this one or start it again to take over"
    );
    Error::KafkaTopic { topic: settings.topic(Topic::Conclusions), problem }
}

/// Has the brokers refuse whoever wrote under the same name.
fn fence(settings: &Settings, partition: u32, producer: &Producer) -> Result<(), Error> {
    producer.client.init_transactions(CLUSTER_PATIENCE).map_err(|error: KafkaError| match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => Error::KafkaTopic {
            topic: settings.topic(Topic::Conclusions),
            problem: format!(
                "allow keywatch's principal Write and Describe on transactional id {}",
                settings.owner_id(partition)
            ),
        },
        _ => unreachable(settings, &error),
    })
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
