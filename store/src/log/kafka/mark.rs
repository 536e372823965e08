//! Which process was the last to take a partition over: its name stands beside committed offsets of a group of its own. The
//! brokers refuse a writer that was replaced in the same words as one whose transaction lasted too long; this tells them
//! apart. It fences nobody: that the brokers do. What follows from the marks is decided in [`super::takeover`].

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{self, KafkaConsumer};
use super::settings::Settings;
use super::takeover::{self, Marks};
use super::{kafka_partition, now};
use crate::Topic;

/// Milliseconds that the group has to be there, by the setting after which librdkafka waits for it no longer.
const MARK_MS_MAX: &str = "20000";

/// Until an attempt that failed is made again, at first; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// One of the two names that stand for a partition: each beside an offset of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Who takes the partition over.
    Claimed,
    /// Who has done so.
    Held,
}

impl Mark {
    fn topic(self) -> Topic {
        match self {
            Mark::Claimed => Topic::Conclusions,
            Mark::Held => Topic::Events,
        }
    }
}

/// The name of a process as it stands there.
pub(super) fn name(settings: &Settings, process: &str) -> String {
    takeover::name(settings.concluding, process)
}

/// Writes the name of that process.
pub(super) fn set(settings: &Settings, partition: u32, mark: Mark, process: &str) -> KafkaResult<()> {
    let mut place = TopicPartitionList::new();
    let mut element = place.add_partition(&settings.topic(mark.topic()), kafka_partition(partition));
    element.set_offset(Offset::Offset(0))?;
    element.set_metadata(name(settings, process));
    let consumer = connect(settings)?;
    let said = consumer.commit(&place, CommitMode::Sync);
    said.map_err(|error| match consumer.poll(Duration::ZERO) {
        // Where the group is not allowed, the commit itself says no more than that it was not in time.
        Some(Err(why)) => why,
        _ => error,
    })
}

/// The marks of a partition; none where nobody has made any, or the cluster has forgotten them.
pub(super) fn get(settings: &Settings, partition: u32, patience: Duration) -> KafkaResult<Marks> {
    let partition = kafka_partition(partition);
    let mut place = TopicPartitionList::new();
    for mark in [Mark::Claimed, Mark::Held] {
        place.add_partition(&settings.topic(mark.topic()), partition);
    }
    let committed = connect(settings)?.committed_offsets(place, patience)?;
    let of = |mark: Mark| -> KafkaResult<Option<String>> {
        let Some(found) = committed.find_partition(&settings.topic(mark.topic()), partition) else { return Ok(None) };
        found.error()?;
        Ok(matches!(found.offset(), Offset::Offset(_)).then(|| found.metadata().to_owned()))
    };
    Ok(Marks { claimed: of(Mark::Claimed)?, held: of(Mark::Held)? })
}

/// Attempts something for as long as that while it fails in a way that passes.
pub(super) fn persist<T>(patience: Duration, mut attempt: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let (until, mut pause) = (now() + patience, PAUSE_MIN);
    loop {
        match attempt() {
            Err(error) if !lasts(&error) && now() + pause < until => {
                let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(
                    %error,
                    pause_ms,
                    "which process has a partition can neither be asked nor noted just now; it is tried again"
                );
                std::thread::sleep(pause);
                pause = pause.saturating_mul(2).min(PAUSE_MAX);
            }
            ended => return ended,
        }
    }
}

/// Whether trying again is of no use: the client may not, or the cluster cannot. Whatever else fails may be over the next time,
/// above all brokers that do not answer in time and a coordinator that is elsewhere or still reads.
pub(super) fn lasts(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    is_forbidden(error)
        || matches!(error, KafkaError::ClientConfig(..) | KafkaError::Nul(_))
        || matches!(
            error.rdkafka_error_code(),
            Some(
                Code::InvalidArgument
                    | Code::InvalidCommitOffsetSize
                    | Code::InvalidGroupId
                    | Code::InvalidRequest
                    | Code::NotImplemented
                    | Code::OffsetMetadataTooLarge
                    | Code::UnsupportedFeature
                    | Code::UnsupportedForMessageFormat
                    | Code::UnsupportedSASLMechanism
                    | Code::UnsupportedVersion,
            )
        )
}

/// Whether an ACL or a password stands in the way, so that another process, with another name, may well do it.
pub(super) fn is_forbidden(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::ClusterAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::SaslAuthenticationFailed
                | Code::TopicAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
        )
    )
}

fn connect(settings: &Settings) -> KafkaResult<KafkaConsumer> {
    let mut config = settings.connection();
    config
        .set("group.id", settings.owner_group())
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", MARK_MS_MAX);
    context::consumer(&config, settings.tokens.as_ref())
}

#[cfg(test)]
mod tests {
    use super::super::settings::Concluding;
    use super::super::takeover::Finder;
    use super::*;
    use crate::Clock;

    #[test]
    fn who_only_finds_says_so_and_who_only_responds_has_a_place_of_its_own() {
        let of = |concluding| Settings { concluding, ..Settings::new("k:9092", Clock::Wall, "key") };
        let said = [Concluding::All, Concluding::Findings, Concluding::Responses].map(|concluding| {
            let settings = of(concluding);
            let mark = Some(name(&settings, "4711"));
            let marks = Marks { claimed: mark.clone(), held: mark };
            (settings.owner_id(3), settings.owner_group(), marks.finder() == Finder::FindsOnly)
        });
        let place = |more: &str| (format!("keywatch.partition-3{more}"), format!("keywatch.owner{more}"));
        let (finds, responds) = (place(""), place(".respond"));
        assert_eq!(said[0], (finds.0.clone(), finds.1.clone(), false));
        assert_eq!(said[1], (finds.0, finds.1, true), "it takes the place of who does both");
        assert_eq!(said[2], (responds.0, responds.1, false));
    }

    #[test]
    fn what_passes_is_tried_again_for_a_while_and_what_lasts_is_not() {
        use RDKafkaErrorCode as Code;
        let passing = [
            Code::OperationTimedOut,
            Code::RequestTimedOut,
            Code::CoordinatorLoadInProgress,
            Code::CoordinatorNotAvailable,
            Code::NotCoordinator,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::NetworkException,
        ];
        assert!(passing.iter().all(|code| !lasts(&KafkaError::OffsetFetch(*code))));
        let lasting = [Code::GroupAuthorizationFailed, Code::UnsupportedVersion, Code::InvalidGroupId];
        assert!(lasting.iter().all(|code| lasts(&KafkaError::ConsumerCommit(*code))));
        assert!(is_forbidden(&KafkaError::ConsumerCommit(Code::GroupAuthorizationFailed)));
        assert!(!is_forbidden(&KafkaError::ConsumerCommit(Code::UnsupportedVersion)));

        let attempts = |code: Code, failures: usize, patience: Duration| {
            let mut made = 0;
            let ended = persist(patience, || {
                made += 1;
                if made > failures { Ok(()) } else { Err(KafkaError::OffsetFetch(code)) }
            });
            (made, ended.is_ok())
        };
        let (long, short) = (Duration::from_mins(1), PAUSE_MIN / 2);
        assert_eq!(attempts(Code::CoordinatorNotAvailable, 2, long), (3, true));
        assert_eq!(attempts(Code::CoordinatorNotAvailable, 2, short), (1, false), "not for ever");
        assert_eq!(attempts(Code::GroupAuthorizationFailed, 2, long), (1, false));
    }
}
