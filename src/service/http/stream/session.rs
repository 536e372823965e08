//! One open stream: a message is read, brought into the log as the body of a request is, and answered; then the next. While
//! a message waits for its turn nothing is read, so that a full house is felt by who sends, and nothing is lost.

use std::sync::Arc;
use std::time::{self, Duration};

use axum::body::Bytes;
use futures::{SinkExt, StreamExt};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::transport::cloudevents::Envelope;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

use super::super::credentials::Current;
use super::super::credentials::{Credential, Shown};
use super::super::form::Form;
use super::super::ingest::store;
use super::super::listener::Caller;
use super::super::refusal::Refusal;
use super::super::server::Server;
use super::super::turns::{Busy, Memory};
use super::message::{Answer, Head, own_line};
use super::metered::{Metered, Overdue};
use crate::clock;
use crate::limits::{
    STREAM_CLOSE_SECONDS_MAX, STREAM_PING_SECONDS, STREAM_READ_BYTES, STREAM_RETRY_MILLISECONDS, STREAM_SECONDS_MAX,
};

/// A stream of a source.
pub(super) struct Session {
    server: Arc<Server>,
    credential: Arc<Credential>,
    /// The same source, when it speaks of itself.
    itself: Arc<Credential>,
    /// What it was recognised by.
    shown: Shown,
    /// Who may speak now.
    current: Current,
    caller: Caller,
    last: Option<u64>,
}

/// Why a stream ends.
#[derive(Debug)]
enum Ended {
    /// The other side closed it, or is gone.
    Left,
    /// keywatch stops.
    Stopping,
    /// It was open for a day.
    Old,
    /// What it was recognised by counts no more.
    Withdrawn,
    /// Nothing was heard.
    Idle,
    /// A message came too slowly.
    Slow,
    /// A message is larger than is accepted.
    TooLarge,
    /// What came is no WebSocket, or no message.
    Malformed(String),
    /// Somebody else has its place.
    Displaced,
    /// There is no memory, or the log takes nothing.
    Unavailable(String),
}

impl Ended {
    /// The name under which it is counted.
    fn name(&self) -> &'static str {
        match self {
            Ended::Left => "left",
            Ended::Stopping => "stopping",
            Ended::Old => "old",
            Ended::Withdrawn => "withdrawn",
            Ended::Idle => "idle",
            Ended::Slow => "slow",
            Ended::TooLarge => "too_large",
            Ended::Malformed(_) => "malformed",
            Ended::Displaced => "displaced",
            Ended::Unavailable(_) => "unavailable",
        }
    }

    /// What the other side is told (RFC 6455 §7.4).
    fn frame(&self) -> Option<(CloseCode, String)> {
        let said = |code, reason: &str| Some((code, reason.to_owned()));
        match self {
            Ended::Left | Ended::Displaced => None,
            Ended::Stopping => said(CloseCode::Away, "keywatch stops; connect again"),
            Ended::Old => said(CloseCode::Away, "a day is over; connect again"),
            Ended::Withdrawn => said(CloseCode::Policy, "these credentials are valid no more"),
            Ended::Idle => said(CloseCode::Away, "nothing was heard, not even an answer to a ping"),
            Ended::Slow => said(CloseCode::Policy, "the message came too slowly"),
            Ended::TooLarge => said(CloseCode::Size, "the message is larger than is accepted; send smaller ones"),
            Ended::Malformed(reason) => said(CloseCode::Policy, reason),
            Ended::Unavailable(reason) => said(CloseCode::Again, reason),
        }
    }
}

impl Session {
    pub(super) fn new(server: Arc<Server>, known: (Arc<Credential>, Shown), caller: Caller) -> Session {
        let (credential, shown) = known;
        let (itself, current) = (Arc::new(credential.of_itself()), server.credentials.clone());
        Session { server, credential, itself, shown, current, caller, last: None }
    }

    /// Serves until it ends, and says why.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S) {
        let metrics = Arc::clone(self.server.metrics());
        let open = metrics.door_streams.with_label_values(&[self.credential.feed.name()]);
        open.inc();
        let config = WebSocketConfig::default()
            .read_buffer_size(STREAM_READ_BYTES)
            .max_message_size(Some(BODY_BYTES_MAX))
            .max_frame_size(Some(BODY_BYTES_MAX));
        let stream = Metered::new(stream, self.memory());
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        let ended = self.serve(&mut socket).await;
        open.dec();
        metrics.door_streams_closed.with_label_values(&[ended.name()]).inc();
        tracing::debug!(source = self.credential.origin.source, ?ended, "a stream ended");
        close(&mut socket, &ended).await;
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&mut self, socket: &mut WebSocketStream<Metered<S>>) -> Ended {
        let (place, mut stopping) = (Arc::clone(&self.caller.place), self.caller.stopping.clone());
        let old = Instant::now() + Duration::from_secs(STREAM_SECONDS_MAX);
        let mut pings = interval(Duration::from_secs(STREAM_PING_SECONDS));
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = socket.get_ref().due();
            let served = tokio::select! {
                biased;
                () = place.lost() => Err(Ended::Displaced),
                () = stopped(&mut stopping) => Err(Ended::Stopping),
                () = changed(&mut self.current) => self.renew(),
                () = sleep_until(old) => Err(Ended::Old),
                () = sleep_until(due) => match socket.get_ref().overdue(Instant::now()) {
                    Some(Overdue::Idle) => Err(Ended::Idle),
                    Some(Overdue::Slow) => Err(Ended::Slow),
                    None => Ok(()),
                },
                _ = pings.tick() => socket.send(Message::Ping(Bytes::new())).await.map_err(|_| Ended::Left),
                heard = socket.next() => self.hear(socket, heard).await,
            };
            if let Err(ended) = served {
                return ended;
            }
        }
    }

    async fn hear<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut WebSocketStream<Metered<S>>,
        heard: Option<Result<Message, Error>>,
    ) -> Result<(), Ended> {
        match heard {
            None => Err(Ended::Left),
            Some(Err(error)) => Err(self.broken(&error, socket.get_ref().busy)),
            Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                socket.get_mut().control(payload.len(), || self.memory());
                Ok(())
            }
            // The answer to it is written with the next look, which finds the end.
            Some(Ok(Message::Close(_) | Message::Frame(_))) => Ok(()),
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                // Its bytes are the source's until it is answered.
                let _held = socket.get_mut().whole(self.memory());
                let answer = self.take(message.into_data()).await?;
                let outcome = [self.credential.feed.name(), answer.outcome()];
                self.server.metrics().stream_messages.with_label_values(&outcome).inc();
                socket.send(Message::text(answer.text())).await.map_err(|_| Ended::Left)?;
                socket.get_mut().resume();
                Ok(())
            }
        }
    }

    /// Goes on under what is configured now, if what the source showed still means it.
    fn renew(&mut self) -> Result<(), Ended> {
        if !self.current.has_changed().unwrap_or_default() {
            return Ok(());
        }
        let current = Arc::clone(&self.current.borrow_and_update());
        let credential = current.find(&self.shown).filter(|now| now.speaks_as(&self.credential));
        let credential = Arc::clone(credential.ok_or(Ended::Withdrawn)?);
        self.itself = Arc::new(credential.of_itself());
        self.credential = credential;
        Ok(())
    }

    fn memory(&self) -> Memory {
        self.credential.turns().memory(&self.server.shared)
    }

    fn broken(&self, error: &Error, busy: Option<Busy>) -> Ended {
        match (busy, error) {
            (Some(busy), _) => {
                self.server.count(&busy.into());
                Ended::Unavailable("too many bytes are on their way at once; connect again".to_owned())
            }
            (None, Error::Capacity(CapacityError::MessageTooLong { .. })) => Ended::TooLarge,
            (None, Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Ended::Left,
            (None, Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_)) => Ended::Malformed(error.to_string()),
            (None, _) => Ended::Left,
        }
    }

    /// Brings one message into the log.
    async fn take(&mut self, message: Bytes) -> Result<Answer, Ended> {
        let begun = time::Instant::now();
        let (head, records) = Head::read(&message).map_err(Ended::Malformed)?;
        let seq = head.seq;
        if self.last.is_some_and(|last| last >= seq) {
            return Err(Ended::Malformed(
                "the sequence number of a message is higher than that of the one before".to_owned(),
            ));
        }
        self.last = Some(seq);
        let (of_itself, body, encoding) = match head.heartbeat {
            Some(heartbeat) => (true, Bytes::from(own_line(seq, heartbeat, clock::now())), None),
            None => (false, message.slice(records..), head.encoding),
        };
        let _turn = self.turn().await?;
        let stored = loop {
            // Also while it waited for its turn.
            self.renew()?;
            let credential = if of_itself { &self.itself } else { &self.credential };
            let form = Form { encoding: encoding.clone(), envelope: Envelope::None };
            match store(Arc::clone(&self.server), credential, form, body.clone()).await {
                Err(Refusal::Busy(busy)) => self.wait(busy).await?,
                stored => break stored,
            }
        };
        let feed = self.credential.feed.name();
        self.server.metrics().ingest_latency.observe(&[feed], begun.elapsed());
        match stored {
            Ok(receipt) => Ok(Answer::Acknowledged { ack: seq, receipt }),
            Err(refusal) => {
                self.server.count(&refusal);
                if let Refusal::Unavailable(reason) = refusal {
                    return Err(Ended::Unavailable(reason));
                }
                Ok(Answer::Refused { refused: seq, error: refusal.message() })
            }
        }
    }

    /// A turn as a request has it, waited for.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Ended> {
        loop {
            match self.credential.turns().request(time::Instant::now()) {
                Ok(turn) => return Ok(turn),
                Err(busy) => self.wait(busy).await?,
            }
        }
    }

    async fn wait(&self, busy: Busy) -> Result<(), Ended> {
        let wait = match busy {
            Busy::Rate(wait) => wait,
            _ => Duration::from_millis(STREAM_RETRY_MILLISECONDS),
        };
        let mut stopping = self.caller.stopping.clone();
        tokio::select! {
            () = stopped(&mut stopping) => Err(Ended::Stopping),
            () = sleep(wait) => Ok(()),
        }
    }
}

/// Says why, and gives the other side time to read it: what it is still sending is thrown away meanwhile, since a
/// connection that is closed with bytes unread is reset, and the reason lost.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<Metered<S>>, ended: &Ended) {
    let Some((code, reason)) = ended.frame() else { return };
    // A close frame has room for 123 bytes.
    let reason = reason[..reason.floor_char_boundary(120)].to_owned();
    let closing = async {
        if socket.close(Some(CloseFrame { code, reason: reason.into() })).await.is_err() {
            return;
        }
        if matches!(ended, Ended::TooLarge | Ended::Malformed(_)) {
            // What comes now may stand in the middle of anything.
            let (mut thrown, stream) = ([0; 4096], socket.get_mut());
            while stream.discard(&mut thrown).await {}
        } else {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    // Who does not read it in time is cut without.
    let _ = timeout(Duration::from_secs(STREAM_CLOSE_SECONDS_MAX), closing).await;
}

/// Returns once credentials have changed that nobody has looked at yet.
async fn changed(current: &mut Current) {
    if current.changed().await.is_err() {
        // Nobody changes them any more.
        std::future::pending::<()>().await;
    }
    current.mark_changed();
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // Who says so lives until a signal comes.
    let _ = stopping.wait_for(|stop| *stop).await;
}
