//! Rows to a client, as they come from the query, until its time is over.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::channel::oneshot::Receiver;
use futures::{StreamExt, stream as streams};
use pgwire::api::portal::Format;
use pgwire::api::results::{QueryResponse, Response};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::data::DataRow;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::errors::{error, query_error};
use super::values;
use crate::limits::{SQL_NICE, SQL_STACK_BYTES};
use crate::service::sql::records::Reading;
use crate::service::sql::session::partitions;

/// A question under way, with threads of its own. When it is dropped the service's log has a line about it, and its place is
/// free as soon as its threads have ended: a step that compares everything with everything is not left in its midst.
pub(super) struct Asked {
    user: String,
    sql: String,
    begun: Instant,
    until: Instant,
    allowed: Duration,
    rows: u64,
    outcome: &'static str,
    running: Arc<Mutex<Option<Instant>>>,
    ending: Option<Receiver<()>>,
    reading: Arc<Reading>,
    read_before: u64,
    threads: Option<Runtime>,
}

impl Asked {
    /// Of a user, in a place, within the time that is allowed; `running` says until when.
    pub(super) fn new(
        user: &str,
        sql: &str,
        allowed: Duration,
        place: OwnedSemaphorePermit,
        running: &Arc<Mutex<Option<Instant>>>,
        reading: Arc<Reading>,
    ) -> PgWireResult<Asked> {
        let threads = threads(place).map_err(|problem| error("53000", format!("no threads for it: {problem}")))?;
        let until = Instant::now() + allowed;
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
        Ok(Asked {
            user: user.to_owned(),
            sql: sql.to_owned(),
            begun: Instant::now(),
            until,
            allowed,
            rows: 0,
            outcome: "not answered",
            running: Arc::clone(running),
            ending: None,
            read_before: reading.read(),
            reading,
            threads: Some(threads),
        })
    }

    /// What `work` gives on the threads of the question, if it does in time.
    pub(super) async fn within<T: Send + 'static>(
        &self,
        work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
    ) -> PgWireResult<T> {
        let Some(threads) = &self.threads else { return Err(error("XX000", "the question has ended")) };
        let done = timeout_at(self.until, threads.spawn(work)).await.map_err(|_| self.too_long())?;
        done.map_err(|_| error("XX000", "the query broke off; this is a defect of keywatch"))?.map_err(query_error)
    }

    /// Has `ending` end it once rows are sent.
    pub(super) fn ended_by(mut self, ending: Option<Receiver<()>>) -> Asked {
        self.ending = ending;
        self
    }

    /// Returns when its client asks to end it.
    async fn ended(&mut self) {
        if let Some(ending) = &mut self.ending
            && ending.await.is_ok()
        {
            return;
        }
        // The client has gone on to its next question, so this one cannot be meant any more.
        self.ending = None;
        std::future::pending::<()>().await;
    }

    fn too_long(&self) -> PgWireError {
        error("57014", format!("the query took longer than {} s; ask for less", self.allowed.as_secs()))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
        tracing::info!(
            user = self.user,
            sql = self.sql,
            outcome = self.outcome,
            rows = self.rows,
            records = self.reading.read() - self.read_before,
            milliseconds = self.begun.elapsed().as_millis(),
            "a query"
        );
    }
}

/// Threads for one question, that let others go first. They hold its place: it is free once the last of them has ended.
fn threads(place: OwnedSemaphorePermit) -> std::io::Result<Runtime> {
    let place = Arc::new(place);
    Builder::new_multi_thread()
        .worker_threads(partitions())
        .thread_name("sql-query")
        .thread_stack_size(SQL_STACK_BYTES)
        .enable_time()
        .on_thread_start(yielding)
        .on_thread_stop(move || drop(Arc::clone(&place)))
        .build()
}

/// Has this thread go after those of the rules and of the front door.
pub(super) fn yielding() {
    // On Linux this is the thread's own; elsewhere it would be that of the whole process.
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::nice(SQL_NICE)
    {
        tracing::debug!(%error, "a query's threads are as urgent as all others");
    }
}

struct State {
    stream: SendableRecordBatchStream,
    formats: Vec<bool>,
    waiting: VecDeque<DataRow>,
    asked: Asked,
    over: bool,
}

/// The answer whose rows come from `stream`.
pub(super) fn stream(stream: SendableRecordBatchStream, format: &Format, asked: Asked) -> PgWireResult<Response> {
    let schema = stream.schema();
    let fields = values::fields(&schema, Some(format)).map_err(query_error)?;
    let formats = values::binary(&schema, format);
    let state = State { stream, formats, waiting: VecDeque::new(), asked, over: false };
    Ok(Response::Query(QueryResponse::new(Arc::new(fields), streams::unfold(state, next))))
}

async fn next(mut state: State) -> Option<(PgWireResult<DataRow>, State)> {
    loop {
        if let Some(row) = state.waiting.pop_front() {
            state.asked.rows += 1;
            return Some((Ok(row), state));
        }
        if state.over {
            return None;
        }
        let until = state.asked.until;
        let step = tokio::select! {
            () = state.asked.ended() => Err(error("57014", "the query was ended, as its client asked")),
            step = timeout_at(until, state.stream.next()) => step.map_err(|_| state.asked.too_long()),
        };
        let failed = match step {
            Err(failed) => failed,
            Ok(None) => {
                state.asked.outcome = "answered";
                return None;
            }
            Ok(Some(Err(error))) => query_error(anyhow!("{}", error.strip_backtrace())),
            Ok(Some(Ok(batch))) => match values::rows(&batch, &state.formats) {
                Ok(rows) => {
                    state.waiting = rows.into();
                    continue;
                }
                Err(error) => query_error(error),
            },
        };
        state.over = true;
        state.asked.outcome = "failed";
        return Some((Err(failed), state));
    }
}

/// The answer whose rows are there.
pub(super) fn at_once(batch: &RecordBatch, format: &Format) -> PgWireResult<Response> {
    let fields = values::fields(&batch.schema(), Some(format)).map_err(query_error)?;
    let rows = values::rows(batch, &values::binary(&batch.schema(), format)).map_err(query_error)?;
    Ok(Response::Query(QueryResponse::new(Arc::new(fields), streams::iter(rows.into_iter().map(Ok)))))
}
