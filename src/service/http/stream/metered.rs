//! The bytes of a stream as they come: counted against the memory of their source before a message is whole, and timed, so
//! that a message that comes too slowly and a sender that has gone are told from one that has nothing to say.
//!
//! What is read ahead of a message is not counted apart; it is less than one read. Knows no message.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::super::body::deadline;
use super::super::turns::{Busy, Memory};
use crate::limits::STREAM_IDLE_SECONDS_MAX;

/// Bytes around the payload of a ping or pong of a client: its frame's head, and the mask (RFC 6455 §5.2).
const CONTROL_FRAME_BYTES: usize = 6;

/// A stream whose bytes are counted.
pub(super) struct Metered<S> {
    stream: S,
    memory: Memory,
    /// Bytes of a message that is not whole yet, and since when they come.
    pending: usize,
    begun: Option<Instant>,
    heard: Instant,
    /// Why no more bytes were taken.
    pub(super) busy: Option<Busy>,
}

/// Why a stream cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Nothing was heard for too long.
    Idle,
    /// A message comes too slowly.
    Slow,
}

impl<S> Metered<S> {
    /// Counts from now on into `memory`.
    pub(super) fn new(stream: S, memory: Memory) -> Metered<S> {
        Metered { stream, memory, pending: 0, begun: None, heard: Instant::now(), busy: None }
    }

    /// A message is whole: gives the memory that it takes; what comes next counts into `next`.
    pub(super) fn whole(&mut self, next: Memory) -> Memory {
        (self.pending, self.begun) = (0, None);
        std::mem::replace(&mut self.memory, next)
    }

    /// A ping or pong with so many bytes of payload has come: it is no part of a message. With nothing else on its way, what
    /// comes next counts into `next`.
    pub(super) fn control(&mut self, payload_bytes: usize, next: impl FnOnce() -> Memory) {
        self.pending = self.pending.saturating_sub(payload_bytes + CONTROL_FRAME_BYTES);
        if self.pending == 0 {
            self.whole(next());
        }
    }

    /// While nobody read, nothing could be heard.
    pub(super) fn resume(&mut self) {
        self.heard = Instant::now();
    }

    /// When to look again whether something is overdue.
    pub(super) fn due(&self) -> Instant {
        let idle = self.heard + Duration::from_secs(STREAM_IDLE_SECONDS_MAX);
        self.begun.map_or(idle, |begun| idle.min(deadline(begun, self.pending)))
    }

    /// What is overdue now.
    pub(super) fn overdue(&self, now: Instant) -> Option<Overdue> {
        if self.heard + Duration::from_secs(STREAM_IDLE_SECONDS_MAX) <= now {
            return Some(Overdue::Idle);
        }
        self.begun.is_some_and(|begun| deadline(begun, self.pending) <= now).then_some(Overdue::Slow)
    }

    fn count(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        self.heard = Instant::now();
        self.begun.get_or_insert(self.heard);
        self.pending = self.pending.saturating_add(bytes);
        self.memory.grow(bytes).map_err(|busy| {
            self.busy = Some(busy);
            io::Error::other("there is no memory for what is sent")
        })
    }
}

impl<S: AsyncRead + Unpin> Metered<S> {
    /// Reads what nobody wants any more; false once nothing comes.
    pub(super) async fn discard(&mut self, buffer: &mut [u8]) -> bool {
        self.stream.read(buffer).await.is_ok_and(|read| read > 0)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.count(buffer.filled().len() - before))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{BODY_BYTES_PER_SECOND_MIN, BODY_GRACE_SECONDS, SOURCE_BODIES_BYTES_MAX};
    use crate::service::http::turns::{Shared, Turns};

    fn metered(bytes: &[u8]) -> Metered<&[u8]> {
        Metered::new(bytes, memory())
    }

    fn memory() -> Memory {
        Turns::new(None).memory(&Shared::new())
    }

    #[tokio::test]
    async fn p7_a_message_that_comes_too_slowly_is_told_from_silence() {
        let second = Duration::from_secs(1);
        let mut stream = metered(&[0; 100]);
        let begun = Instant::now();
        assert_eq!(stream.overdue(begun), None);
        // An answer to a ping leaves nothing on its way: the next is due when the sender has gone.
        stream.read_exact(&mut [0; 10]).await.unwrap();
        stream.control(4, memory);
        assert!(stream.due() >= begun + Duration::from_secs(STREAM_IDLE_SECONDS_MAX));
        // One in the middle of a message leaves the message where it was.
        stream.read_exact(&mut [0; 30]).await.unwrap();
        stream.control(4, memory);
        let late = Instant::now() + Duration::from_secs(BODY_GRACE_SECONDS) + second;
        assert!(late < begun + Duration::from_secs(STREAM_IDLE_SECONDS_MAX));
        assert_eq!(stream.overdue(late), Some(Overdue::Slow));
        stream.whole(memory());
        assert_eq!(stream.overdue(late), None);
        let gone = Instant::now() + Duration::from_secs(STREAM_IDLE_SECONDS_MAX) + second;
        assert_eq!(stream.overdue(gone), Some(Overdue::Idle));
        const { assert!(BODY_BYTES_PER_SECOND_MIN > 30, "thirty bytes earn no second") };
    }

    #[tokio::test]
    async fn p7_what_comes_takes_its_sources_memory() {
        let (turns, shared) = (Turns::new(None), Shared::new());
        let mut held = turns.memory(&shared);
        held.grow(SOURCE_BODIES_BYTES_MAX - 1024).unwrap();
        let sent = [0; 4096];
        let mut stream = Metered::new(sent.as_slice(), turns.memory(&shared));
        stream.read_exact(&mut [0; 1024]).await.unwrap();
        let first = stream.whole(turns.memory(&shared));
        assert!(stream.read_exact(&mut [0; 1024]).await.is_err());
        assert_eq!(stream.busy, Some(Busy::Bytes));
        drop(first);
        assert!(turns.memory(&shared).grow(1024).is_ok());
    }
}
