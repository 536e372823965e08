//! Sends what the spool holds, the oldest first, and lets it go once keywatch has it; says how the agent is in between; and
//! connects again for as long as it takes.

use std::time::Duration;

use anyhow::bail;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::Message;

use super::condition::Condition;
use super::connection::{Socket, Target, Unopened};
use super::spool::Spool;
use crate::limits::{
    AGENT_ANSWER_SECONDS_MAX, AGENT_RETRY_MILLISECONDS_MIN, AGENT_RETRY_SECONDS_MAX, AGENT_SILENCE_SECONDS_MAX,
    STREAM_CLOSE_SECONDS_MAX,
};
use crate::service::turns::stopped;

/// Who sends.
pub(super) struct Sender<'a> {
    pub(super) target: &'a Target,
    pub(super) spool: &'a Spool,
    pub(super) condition: &'a Condition,
    /// Time between two heartbeats.
    pub(super) heartbeat: Duration,
    /// What became of what was sent.
    pub(super) sent: Sent,
}

/// Counts of what keywatch has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Events that were new.
    pub(super) events: u64,
    /// Events that the log had already.
    pub(super) repeats: u64,
    /// Records that could not be understood.
    pub(super) rejected: u64,
}

/// Why a stream is over.
#[derive(Debug)]
enum Over {
    /// All of it is sent, and no more will come.
    Finished,
    /// The agent is to stop.
    Stopped,
    /// It was cut.
    Cut(String),
}

/// An answer, as far as an agent reads it.
#[derive(Debug, Deserialize)]
struct Answer {
    ack: Option<u64>,
    refused: Option<u64>,
    #[serde(default)]
    error: String,
    #[serde(default)]
    events: u64,
    #[serde(default)]
    repeats: u64,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    rejects: Vec<Reject>,
}

#[derive(Debug, Deserialize)]
struct Reject {
    field: String,
    reason: String,
}

impl Sender<'_> {
    /// Sends until everything is sent or the agent is to stop.
    ///
    /// # Errors
    /// keywatch refuses the agent at its first attempt, or refuses a batch; the spool cannot be read or written.
    pub(super) async fn run(mut self, mut stopping: watch::Receiver<bool>) -> anyhow::Result<Sent> {
        let mut waits = retries();
        let mut connected = false;
        loop {
            let opened = tokio::select! {
                biased;
                () = stopped(&mut stopping) => return Ok(self.sent),
                opened = self.target.open() => opened,
            };
            let cut = match opened {
                Ok(socket) => {
                    connected = true;
                    self.condition.right("connection");
                    tracing::info!(url = %self.target.url(), "connected");
                    match self.talk(socket, &mut stopping, &mut waits).await? {
                        Over::Finished | Over::Stopped => return Ok(self.sent),
                        Over::Cut(reason) => reason,
                    }
                }
                // What is refused from the start is a mistake that somebody should see; later on it may be one of keywatch.
                Err(Unopened::Refused(reason)) if !connected => bail!("{reason} ({})", self.target.url()),
                Err(Unopened::Refused(reason)) => reason,
                Err(Unopened::Failed(error)) => format!("{error:#}"),
            };
            self.condition.wrong("connection", &format!("no stream to {}: {cut}", self.target.url()));
            let wait = waits.next().unwrap_or(Duration::from_secs(AGENT_RETRY_SECONDS_MAX));
            tokio::select! {
                () = stopped(&mut stopping) => return Ok(self.sent),
                () = sleep(wait) => {}
            }
        }
    }

    async fn talk(
        &mut self,
        mut socket: Socket,
        stopping: &mut watch::Receiver<bool>,
        waits: &mut ExponentialBackoff,
    ) -> anyhow::Result<Over> {
        let mut heartbeats = interval(self.heartbeat);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seq, mut heard) = (0, Instant::now());
        loop {
            let silent = heard + Duration::from_secs(AGENT_SILENCE_SECONDS_MAX);
            let (batch, told, message) = tokio::select! {
                biased;
                () = stopped(stopping) => return Ok(close(socket, Over::Stopped).await),
                found = socket.next() => {
                    if let Some(reason) = ended(found) {
                        return Ok(Over::Cut(reason));
                    }
                    heard = Instant::now();
                    continue;
                },
                () = sleep_until(silent) => return Ok(Over::Cut("nothing was heard, not even a ping".to_owned())),
                _ = heartbeats.tick() => {
                    seq += 1;
                    let (message, told) = self.heartbeat(seq);
                    (None, told, message)
                }
                next = self.spool.next() => match next? {
                    None => return Ok(close(socket, Over::Finished).await),
                    Some((number, lines)) => {
                        seq += 1;
                        let head = format!("{{\"seq\":{seq}}}\n");
                        (Some(number), 0, Message::binary([head.as_bytes(), &lines].concat()))
                    }
                },
            };
            let answer = match exchange(&mut socket, message, stopping).await {
                Ok(answer) => answer,
                Err(over) => return Ok(over),
            };
            heard = Instant::now();
            self.settle(&answer, seq, batch, told)?;
            // It works: the next cut is a new one.
            *waits = retries();
        }
    }

    /// What the agent says of itself, and the last notice that is in it.
    fn heartbeat(&self, seq: u64) -> (Message, u64) {
        let (problem, told) = self.condition.problem();
        let (batches, bytes) = self.spool.waiting();
        let heartbeat = json!({
            "agent": concat!("keywatch ", env!("CARGO_PKG_VERSION")),
            "waiting_batches": batches,
            "waiting_bytes": bytes,
            "problem": problem,
        });
        (Message::text(json!({ "seq": seq, "heartbeat": heartbeat }).to_string()), told)
    }

    /// Lets go what keywatch has.
    fn settle(&mut self, answer: &Answer, seq: u64, batch: Option<u64>, told: u64) -> anyhow::Result<()> {
        if answer.refused == Some(seq) {
            bail!("keywatch refused a message, and would refuse it again: {}", answer.error);
        }
        if answer.ack != Some(seq) {
            bail!("keywatch answered something else than was asked; are both of one version?");
        }
        if let Some(first) = answer.rejects.first() {
            let reason = format!("{}: {}", first.field, first.reason);
            tracing::warn!(
                rejected = answer.rejected,
                reason,
                "records could not be understood; they are kept as rejects"
            );
        }
        match batch {
            Some(number) => {
                self.spool.done(number)?;
                self.sent.events += answer.events.saturating_sub(answer.repeats);
                self.sent.repeats += answer.repeats;
                self.sent.rejected += answer.rejected;
            }
            None => self.condition.told(told),
        }
        Ok(())
    }
}

/// Sends a message and waits for the answer to it; pings are answered meanwhile.
async fn exchange(socket: &mut Socket, message: Message, stopping: &mut watch::Receiver<bool>) -> Result<Answer, Over> {
    tokio::select! {
        biased;
        // What was sent may be in the log; it is sent again next time.
        () = stopped(stopping) => Err(Over::Stopped),
        answered = timeout(Duration::from_secs(AGENT_ANSWER_SECONDS_MAX), ask(socket, message)) => {
            answered.unwrap_or_else(|_| Err(Over::Cut(format!("no answer in {AGENT_ANSWER_SECONDS_MAX} s"))))
        }
    }
}

async fn ask(socket: &mut Socket, message: Message) -> Result<Answer, Over> {
    socket.send(message).await.map_err(|error| Over::Cut(error.to_string()))?;
    loop {
        let found = socket.next().await;
        if let Some(Ok(Message::Text(text))) = &found {
            return serde_json::from_str(text).map_err(|error| Over::Cut(format!("an answer that is none: {error}")));
        }
        if let Some(reason) = ended(found) {
            return Err(Over::Cut(reason));
        }
    }
}

/// Why the stream is over, if it is.
fn ended(found: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> Option<String> {
    match found {
        None => Some("the connection was closed".to_owned()),
        Some(Err(error)) => Some(error.to_string()),
        Some(Ok(Message::Close(Some(frame)))) => Some(format!("keywatch closed it: {} ({})", frame.reason, frame.code)),
        Some(Ok(Message::Close(None))) => Some("keywatch closed it".to_owned()),
        Some(Ok(_)) => None,
    }
}

async fn close(mut socket: Socket, over: Over) -> Over {
    let closing = async {
        if socket.close(None).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // Everything that was sent is acknowledged; how the connection ends changes nothing.
    let _ = timeout(Duration::from_secs(STREAM_CLOSE_SECONDS_MAX), closing).await;
    over
}

/// Waits between two attempts, with chance in them, so that agents that were cut together do not come back together.
fn retries() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(AGENT_RETRY_MILLISECONDS_MIN))
        .with_max_delay(Duration::from_secs(AGENT_RETRY_SECONDS_MAX))
        .without_max_times()
        .with_jitter()
        .build()
}
