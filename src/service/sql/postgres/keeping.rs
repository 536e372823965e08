//! Makes segments as the log grows, so that no query waits for them: on a thread of its own that lets others go first. It
//! knows nothing of queries.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use keywatch_store::Topic;

use super::answer::yielding;
use crate::limits::SQL_INDEX_SECONDS;
use crate::service::sql::records::Records;

/// The thread; it ends when this is dropped.
pub(super) struct Keeping {
    /// Nothing is sent; that it is gone says to end.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeping {
    /// Starts it.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(records: Arc<Records>) -> io::Result<Keeping> {
        let (stop, stopped) = sync_channel(0);
        let thread = Builder::new().name("sql-segments".to_owned()).spawn(move || keep(&records, &stopped))?;
        Ok(Keeping { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends within a segment. Where it panicked there is nothing left to end.
            let _ = thread.join();
        }
    }
}

fn keep(records: &Records, stopped: &Receiver<()>) {
    yielding();
    let Records::Log(log, segments) = records else { return };
    let go_on = |_| match stopped.try_recv() {
        Err(TryRecvError::Empty) => ControlFlow::Continue(()),
        Ok(()) | Err(TryRecvError::Disconnected) => ControlFlow::Break(()),
    };
    loop {
        for topic in Topic::ALL {
            if let Err(error) = segments.catch_up(&**log, topic, go_on) {
                tracing::warn!(%error, "segments of the log were not made; queries read more than needed");
            }
        }
        match stopped.recv_timeout(Duration::from_secs(SQL_INDEX_SECONDS)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
