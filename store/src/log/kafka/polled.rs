//! What librdkafka gives whoever polls: the append time of a message, and errors, of which some pass. Knows no event.

use rdkafka::Timestamp;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use crate::{Error, Instant};

/// When the brokers appended a message, if they say so.
pub(super) fn append_time(message: &BorrowedMessage<'_>) -> Option<Instant> {
    match message.timestamp() {
        Timestamp::LogAppendTime(milliseconds) => Some(Instant(milliseconds.saturating_mul(1_000_000))),
        Timestamp::CreateTime(_) | Timestamp::NotAvailable => None,
    }
}

/// Errors of connections pass; what is wrong with a topic does not.
pub(super) fn judge(topic: &str, error: &KafkaError) -> Result<(), Error> {
    use RDKafkaErrorCode as Code;
    let lasts = matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::TopicAuthorizationFailed
                | Code::Fatal,
        )
    );
    if lasts {
        return Err(Error::KafkaTopic { topic: topic.to_owned(), problem: error.to_string() });
    }
    // librdkafka tells of connections by itself, and not for every attempt.
    tracing::debug!(%error, "Kafka");
    Ok(())
}
