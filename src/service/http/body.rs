//! A body as it comes: within its size, in the memory that its sender may take, and not slower than a minimum rate.
//!
//! A sender that stops costs a few seconds, one that goes on gets as long as its bytes need. Knows no source and no format.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::refusal::Refusal;
use super::turns::Memory;
use crate::limits::{BODY_BYTES_PER_SECOND_MIN, BODY_GRACE_SECONDS, BODY_SECONDS_MAX};

/// Receives a body of at most `bytes_max` bytes.
///
/// # Errors
/// [`Refusal::TooLarge`], [`Refusal::Slow`], [`Refusal::Broken`], or what [`Memory`] says.
pub(super) async fn receive(
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
    memory: &mut Memory,
) -> Result<Vec<u8>, Refusal> {
    let too_large = || Refusal::TooLarge(format!("more than {bytes_max} bytes; send smaller batches"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > bytes_max as u64) {
        return Err(too_large());
    }
    let begun = Instant::now();
    let mut received = Vec::new();
    let mut pieces = body.into_data_stream();
    loop {
        let piece = timeout_at(deadline(begun, received.len()), pieces.next()).await;
        let Some(piece) = piece.map_err(|_| Refusal::Slow)? else { return Ok(received) };
        let piece = piece.map_err(|error| Refusal::Broken(error.to_string()))?;
        if received.len().saturating_add(piece.len()) > bytes_max {
            return Err(too_large());
        }
        memory.grow(piece.len())?;
        received.extend_from_slice(&piece);
    }
}

/// Until when the next bytes must have come: the grace, and what the bytes so far take at the minimum rate.
pub(super) fn deadline(begun: Instant, received: usize) -> Instant {
    let earned = received as u64 / BODY_BYTES_PER_SECOND_MIN;
    begun + Duration::from_secs(BODY_SECONDS_MAX.min(BODY_GRACE_SECONDS + earned))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Bytes;
    use futures::stream;

    use super::*;
    use crate::service::http::turns::{Shared, Turns};

    fn pieces(piece: &'static [u8], count: usize) -> Body {
        Body::from_stream(stream::iter(0..count).map(move |_| Ok::<_, Infallible>(Bytes::from_static(piece))))
    }

    async fn receive_of(body: Body, bytes_max: usize) -> Result<usize, Refusal> {
        let mut memory = Turns::new(None).memory(&Shared::new());
        receive(&HeaderMap::new(), body, bytes_max, &mut memory).await.map(|body| body.len())
    }

    #[test]
    fn p7_a_body_gets_the_time_that_its_bytes_need() {
        let begun = Instant::now();
        let seconds = |received: u64| (deadline(begun, usize::try_from(received).unwrap()) - begun).as_secs();
        assert_eq!(seconds(0), BODY_GRACE_SECONDS);
        assert_eq!(seconds(BODY_BYTES_PER_SECOND_MIN - 1), BODY_GRACE_SECONDS);
        assert_eq!(seconds(20 * BODY_BYTES_PER_SECOND_MIN), BODY_GRACE_SECONDS + 20);
        assert_eq!(seconds(10_000 * BODY_BYTES_PER_SECOND_MIN), BODY_SECONDS_MAX);
    }

    #[tokio::test]
    async fn p7_a_body_of_unknown_length_ends_at_its_cap() {
        let refused = receive_of(pieces(b"0123456789", 11), 100).await;
        assert!(matches!(refused, Err(Refusal::TooLarge(_))));
        assert_eq!(receive_of(pieces(b"0123456789", 10), 100).await.unwrap(), 100);
    }
}
