//! Reads the inputs into the spool: files that are followed, or standard input. Runs on a thread of its own, which waits
//! where there is no room. Knows no network.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::condition::Condition;
use super::lines::{cut, is_blank, rest_of_line};
use super::spool::{Batch, Spool};
use super::tail::{Look, Tail};
use crate::limits::{
    AGENT_BATCH_BYTES_MAX, AGENT_BATCH_BYTES_MIN, AGENT_GATHER_SECONDS, AGENT_LOOK_MILLISECONDS, AGENT_READ_BYTES,
};

const LOOK: Duration = Duration::from_millis(AGENT_LOOK_MILLISECONDS);
const GATHER: Duration = Duration::from_secs(AGENT_GATHER_SECONDS);

/// Follows files until reading is to end; with `once`, to their ends.
///
/// # Errors
/// The spool cannot be written, or, with `once`, a file cannot be read.
pub(super) fn follow(mut tails: Vec<Tail>, once: bool, spool: &Spool, condition: &Condition) -> anyhow::Result<()> {
    loop {
        let (mut found, mut largest) = (false, 0);
        for tail in &mut tails {
            match tail.look(Instant::now(), condition) {
                Ok(Look::Lines(batch)) => {
                    found = true;
                    largest = largest.max(batch.lines.len());
                    if !spool.push(&batch, condition)? {
                        return Ok(());
                    }
                }
                Ok(Look::Again) => found = true,
                Ok(Look::Nothing) => {}
                Err(error) if once => return Err(error).with_context(|| format!("cannot read {}", tail.name())),
                Err(error) => condition.wrong(tail.name(), &format!("cannot read {}: {error}", tail.name())),
            }
        }
        if once && !found {
            return Ok(());
        }
        // Few lines at a time would fill the disk with small files.
        let are_few = (1..AGENT_BATCH_BYTES_MIN).contains(&largest) && is_behind(spool) && !once;
        let wait = if are_few {
            GATHER
        } else if found {
            Duration::ZERO
        } else {
            LOOK
        };
        if spool.pause(wait) {
            return Ok(());
        }
    }
}

/// Whether what was kept before is not taken yet.
fn is_behind(spool: &Spool) -> bool {
    spool.waiting().0 > 1
}

/// Reads standard input to its end, or until reading is to end.
///
/// # Errors
/// Standard input cannot be read, or the spool cannot be written.
pub(super) fn pipe(spool: &Spool, condition: &Condition) -> anyhow::Result<()> {
    // One that is read and one that is kept: who writes waits as soon as neither goes on.
    let (pieces, received) = sync_channel(1);
    thread::spawn(move || {
        loop {
            let mut piece = vec![0; AGENT_READ_BYTES];
            let read = io::stdin().read(&mut piece);
            let ended = !matches!(read, Ok(bytes) if bytes > 0);
            let read = read.map(|bytes| piece[..bytes].to_vec());
            if pieces.send(read).is_err() || ended {
                return;
            }
        }
    });
    keep(&received, spool, condition)
}

/// Cuts what comes into batches of lines.
fn keep(received: &Receiver<io::Result<Vec<u8>>>, spool: &Spool, condition: &Condition) -> anyhow::Result<()> {
    let (mut held, mut inside_line) = (Vec::new(), false);
    let mut since = Instant::now();
    loop {
        let piece = match received.recv_timeout(LOOK) {
            Ok(piece) => Some(piece.context("cannot read standard input")?),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Vec::new()),
        };
        let ended = piece.as_ref().is_some_and(Vec::is_empty);
        if held.is_empty() {
            since = Instant::now();
        }
        held.extend_from_slice(&piece.unwrap_or_default());
        let stopped = spool.pause(Duration::ZERO);
        let due =
            ended || stopped || held.len() >= AGENT_BATCH_BYTES_MIN || !is_behind(spool) || since.elapsed() >= GATHER;
        while due && let Some(lines) = take(&mut held, &mut inside_line, ended) {
            if !is_blank(&lines) && !spool.push(&Batch { input: None, lines }, condition)? {
                return Ok(());
            }
        }
        if ended || stopped {
            return Ok(());
        }
    }
}

/// Takes a batch out of what is held, if there is one.
fn take(held: &mut Vec<u8>, inside_line: &mut bool, ended: bool) -> Option<Vec<u8>> {
    if *inside_line {
        let (passed, line_ended) = rest_of_line(held);
        held.drain(..passed);
        *inside_line = !line_ended;
        if *inside_line {
            return None;
        }
    }
    debug_assert!(held.len() <= AGENT_BATCH_BYTES_MAX + AGENT_READ_BYTES, "a line of a batch's length is cut");
    let cut = cut(held, ended)?;
    *inside_line = cut.inside_line;
    Some(held.drain(..cut.end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the spool holds after these pieces came.
    async fn kept(pieces: &[&[u8]]) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let condition = Condition::default();
        let spool = Spool::open(directory.path(), 64 << 20).unwrap();
        let (sender, received) = sync_channel(pieces.len());
        pieces.iter().for_each(|piece| sender.send(Ok(piece.to_vec())).unwrap());
        drop(sender);
        keep(&received, &spool, &condition).unwrap();
        spool.finish();
        let mut kept = Vec::new();
        while let Some((number, lines)) = spool.next().await.unwrap() {
            kept.push(String::from_utf8(lines).unwrap());
            spool.done(number).unwrap();
        }
        kept
    }

    #[tokio::test]
    async fn lines_are_kept_as_they_come_and_none_is_torn() {
        assert_eq!(kept(&[b"one\ntw", b"o\nthree"]).await.concat(), "one\ntwo\nthree");
        assert!(kept(&[b" \n", b"\n"]).await.is_empty());
    }

    #[tokio::test]
    async fn p7_a_line_without_end_takes_one_batch() {
        let piece = vec![b'x'; AGENT_READ_BYTES];
        let mut pieces: Vec<&[u8]> = vec![piece.as_slice(); 2 * AGENT_BATCH_BYTES_MAX / AGENT_READ_BYTES];
        pieces.push(b"\nnext\n");
        let kept = kept(&pieces).await;
        assert_eq!((kept.len(), kept[0].len(), kept[1].as_str()), (2, AGENT_BATCH_BYTES_MAX, "next\n"));
    }
}
