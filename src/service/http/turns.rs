//! The turns of one source: requests at once and a second, bytes of bodies in memory, bodies in work.
//!
//! Each source waits for its own before it stands in the queue that all share, so that however many requests one of them
//! makes, only a few of them stand there, and nobody takes another's turn. All credentials of a source share its turns.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::bucket::{Bucket, Rate};
use crate::limits::{
    BODIES_BYTES_MAX, INGEST_CONCURRENT_MAX, INGEST_WAIT_SECONDS_MAX, SOURCE_BODIES_BYTES_MAX, SOURCE_IN_WORK_MAX,
    SOURCE_REQUESTS_BURST_SECONDS, SOURCE_REQUESTS_MAX, SOURCE_REQUESTS_PER_SECOND, SOURCE_STREAMS_MAX, STREAMS_MAX,
};

/// Bytes that one permit of memory stands for.
const UNIT_BYTES: usize = 1024;

/// What all sources share.
pub(crate) struct Shared {
    in_work: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Shared {
    /// All of it free.
    pub(crate) fn new() -> Shared {
        let bytes = Arc::new(Semaphore::new(BODIES_BYTES_MAX / UNIT_BYTES));
        let in_work = Arc::new(Semaphore::new(INGEST_CONCURRENT_MAX));
        Shared { in_work, bytes, streams: Arc::new(Semaphore::new(STREAMS_MAX)) }
    }
}

/// The turns of one source, or of the bodies of which nobody knows yet whose they are.
#[derive(Debug)]
pub(crate) struct Turns {
    requests: Arc<Semaphore>,
    rate: Mutex<Bucket>,
    in_work: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// Why there is no turn now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// The source has as many requests open as it may.
    Requests,
    /// The source asks more often than it may.
    Rate(Duration),
    /// The bodies that the source is sending are as large as they may be together.
    Bytes,
    /// The bodies of all sources are.
    Memory,
    /// The source has signed as many messages as can be remembered.
    Replays,
    /// The source has as many streams open as it may.
    Streams,
    /// All sources together have.
    AllStreams,
    /// Bodies in work did not come to an end in time.
    Work,
}

impl Turns {
    /// The turns of a source that may make `per_second` requests.
    pub(crate) fn new(per_second: Option<u32>) -> Turns {
        let per_second = per_second.unwrap_or(SOURCE_REQUESTS_PER_SECOND);
        let rate = Rate { per_second, burst: per_second.saturating_mul(SOURCE_REQUESTS_BURST_SECONDS) };
        Turns {
            requests: Arc::new(Semaphore::new(SOURCE_REQUESTS_MAX)),
            rate: Mutex::new(Bucket::full(rate, Instant::now())),
            in_work: Arc::new(Semaphore::new(SOURCE_IN_WORK_MAX)),
            bytes: Arc::new(Semaphore::new(SOURCE_BODIES_BYTES_MAX / UNIT_BYTES)),
            streams: Arc::new(Semaphore::new(SOURCE_STREAMS_MAX)),
        }
    }

    /// A turn for one stream, held until it is closed.
    pub(super) fn stream(&self, shared: &Shared) -> Result<[OwnedSemaphorePermit; 2], Busy> {
        let own = Arc::clone(&self.streams).try_acquire_owned().map_err(|_| Busy::Streams)?;
        Ok([own, Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| Busy::AllStreams)?])
    }

    /// A turn for one request, held until it is answered.
    pub(super) fn request(&self, now: Instant) -> Result<OwnedSemaphorePermit, Busy> {
        let turn = Arc::clone(&self.requests).try_acquire_owned().map_err(|_| Busy::Requests)?;
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).take(now).map_err(Busy::Rate)?;
        Ok(turn)
    }

    /// Memory for the bytes of one body, which grows as they come.
    pub(super) fn memory(&self, shared: &Shared) -> Memory {
        let own = Arc::clone(&self.bytes);
        Memory { own, shared: Arc::clone(&shared.bytes), held: None, bytes: 0 }
    }

    /// A turn for a body that is there: first among the source's own, then among all.
    pub(super) async fn work(&self, shared: &Shared) -> Result<[OwnedSemaphorePermit; 2], Busy> {
        let both = async {
            let own = Arc::clone(&self.in_work).acquire_owned().await.ok()?;
            Some([own, Arc::clone(&shared.in_work).acquire_owned().await.ok()?])
        };
        timeout(Duration::from_secs(INGEST_WAIT_SECONDS_MAX), both).await.ok().flatten().ok_or(Busy::Work)
    }
}

/// Memory that a body takes, free again when it is dropped.
pub(super) struct Memory {
    own: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    held: Option<[OwnedSemaphorePermit; 2]>,
    bytes: usize,
}

impl Memory {
    /// Room for `more` bytes.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), Busy> {
        let before = self.bytes.div_ceil(UNIT_BYTES);
        self.bytes = self.bytes.saturating_add(more);
        let units = u32::try_from(self.bytes.div_ceil(UNIT_BYTES) - before).map_err(|_| Busy::Bytes)?;
        if units == 0 {
            return Ok(());
        }
        let own = Arc::clone(&self.own).try_acquire_many_owned(units).map_err(|_| Busy::Bytes)?;
        let shared = Arc::clone(&self.shared).try_acquire_many_owned(units).map_err(|_| Busy::Memory)?;
        match &mut self.held {
            Some([own_held, shared_held]) => {
                own_held.merge(own);
                shared_held.merge(shared);
            }
            none => *none = Some([own, shared]),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn p7_requests_of_a_source_are_limited_at_once_and_a_second() {
        let turns = Turns::new(None);
        let now = Instant::now();
        let open: Vec<_> = (0..SOURCE_REQUESTS_MAX).map(|_| turns.request(now).unwrap()).collect();
        assert_eq!(turns.request(now).err(), Some(Busy::Requests));
        drop(open);
        let slow = Turns::new(Some(1));
        // From when it is full.
        let now = Instant::now();
        let burst = usize::try_from(SOURCE_REQUESTS_BURST_SECONDS).unwrap();
        assert!((0..burst).all(|_| slow.request(now).is_ok()));
        assert!(matches!(slow.request(now), Err(Busy::Rate(wait)) if wait <= Duration::from_secs(1)));
        assert!(slow.request(now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn p7_the_bodies_of_a_source_have_room_together_and_so_have_those_of_all() {
        let shared = Shared::new();
        let sources: Vec<Turns> = (0..=BODIES_BYTES_MAX / SOURCE_BODIES_BYTES_MAX).map(|_| Turns::new(None)).collect();
        let mut first = sources[0].memory(&shared);
        assert!((0..SOURCE_BODIES_BYTES_MAX / 1000).all(|_| first.grow(1000).is_ok()));
        assert_eq!(sources[0].memory(&shared).grow(1 << 20), Err(Busy::Bytes));
        drop(first);
        let (last, others) = sources.split_last().unwrap();
        let held: Vec<Memory> = others
            .iter()
            .map(|turns| {
                let mut memory = turns.memory(&shared);
                memory.grow(SOURCE_BODIES_BYTES_MAX).unwrap();
                memory
            })
            .collect();
        assert_eq!(last.memory(&shared).grow(1), Err(Busy::Memory));
        drop(held);
        assert_eq!(last.memory(&shared).grow(1), Ok(()));
    }

    #[test]
    fn p7_streams_of_a_source_are_limited_and_so_are_those_of_all() {
        let shared = Shared::new();
        let sources: Vec<Turns> = (0..=STREAMS_MAX / SOURCE_STREAMS_MAX).map(|_| Turns::new(None)).collect();
        let (last, others) = sources.split_last().unwrap();
        let mut open = Vec::new();
        for turns in others {
            open.extend((0..SOURCE_STREAMS_MAX).map(|_| turns.stream(&shared).unwrap()));
            assert_eq!(turns.stream(&shared).err(), Some(Busy::Streams));
        }
        assert_eq!(last.stream(&shared).err(), Some(Busy::AllStreams));
        open.pop();
        assert!(last.stream(&shared).is_ok());
    }

    #[tokio::test]
    async fn who_waits_for_himself_does_not_stand_in_the_way_of_others() {
        let shared = Shared::new();
        let (greedy, other) = (Turns::new(None), Turns::new(None));
        let mut held = Vec::new();
        for _ in 0..SOURCE_IN_WORK_MAX {
            held.push(greedy.work(&shared).await.unwrap());
        }
        let mut waiting = Box::pin(greedy.work(&shared));
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(other.work(&shared).now_or_never().is_some_and(|turn| turn.is_ok()));
        held.pop();
        assert!(waiting.await.is_ok());
    }
}
