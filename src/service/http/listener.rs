//! Connections: accepts them, gives each a place, and serves HTTP on it until it ends, is cut or keywatch stops.
//!
//! A connection that does not send the head of a request in time is cut, and so is one whose reader stops. Knows nothing of
//! what is asked.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::address::Address;
use super::places::{Place, Places};
use super::tls::Current;
use crate::limits::{FIRST_HEAD_SECONDS_MAX, HEAD_BYTES_MAX, HEAD_SECONDS_MAX, WRITE_STALL_SECONDS_MAX};
use crate::service::metrics::Metrics;
use crate::service::turns::stopped;

/// How long to wait where the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The door: where connections come in, and what they are served.
pub(crate) struct Door {
    /// Where it listens.
    pub(crate) listener: TcpListener,
    /// How many connections it holds.
    pub(crate) places: Arc<Places>,
    /// What is served.
    pub(crate) router: Router,
    /// TLS as it is configured now; without it, plain HTTP.
    pub(crate) tls: Option<Current>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
}

/// Who is at the other end of the connection that a request came over.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) place: Arc<Place>,
    /// Whose address is limited: that of the place, or the one for whom the request was handed on.
    pub(super) address: Option<Address>,
    /// The certificate that the client has shown, issued by one of the authorities of the configuration.
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// Says when keywatch stops.
    pub(super) stopping: watch::Receiver<bool>,
    /// Held as long as somebody goes on with the connection after an upgrade; its place is kept until then.
    _open: mpsc::Sender<Infallible>,
}

impl Caller {
    /// Whoever holds a place; and what ends when nobody goes on with the connection any more.
    pub(super) fn new(place: Place, stopping: watch::Receiver<bool>) -> (Caller, mpsc::Receiver<Infallible>) {
        let (open, closed) = mpsc::channel(1);
        let address = place.address;
        (Caller { place: Arc::new(place), address, certificate: None, stopping, _open: open }, closed)
    }
}

impl Door {
    /// Serves until `stopping` says so, and then until the requests that are open are answered.
    pub(crate) async fn serve(self, mut stopping: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let until = stopping.clone();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => self.admit(stream, from, &until, &mut connections),
                    // The connection was gone, or there is no descriptor for it: those there are go on and give theirs back.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => self.show(),
                () = stopped(&mut stopping) => break,
            }
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }

    fn admit(&self, stream: TcpStream, from: SocketAddr, until: &watch::Receiver<bool>, served: &mut JoinSet<()>) {
        let refused = |reason| self.metrics.door_connections_cut.with_label_values(&[reason]).inc();
        let place = match self.places.enter(from.ip()) {
            Ok((place, displaced)) => {
                if let Some(full) = displaced {
                    refused(full.name());
                }
                place
            }
            Err(full) => return refused(full.name()),
        };
        // An answer is one small write; waiting for more to send with it helps nobody.
        let _ = stream.set_nodelay(true);
        let (router, until, metrics) = (self.router.clone(), until.clone(), Arc::clone(&self.metrics));
        let tls = self.tls.as_ref().map(|tls| Arc::clone(&tls.borrow()));
        served.spawn(async move {
            let (mut caller, mut closed) = Caller::new(place, until.clone());
            let Some(tls) = tls else {
                serve_connection(stream, caller, router, until).await;
                let _ = closed.recv().await;
                return;
            };
            let Some(stream) = shake_hands(stream, tls, &caller.place).await else {
                return metrics.door_connections_cut.with_label_values(&["handshake"]).inc();
            };
            let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            caller.certificate = shown.cloned();
            serve_connection(stream, caller, router, until).await;
            // What goes on after an upgrade is over once nobody could send here any more.
            let _ = closed.recv().await;
        });
        self.show();
    }

    fn show(&self) {
        let held = i64::try_from(self.places.held()).unwrap_or(i64::MAX);
        self.metrics.door_connections.with_label_values::<&str>(&[]).set(held);
    }
}

/// Agrees on TLS; `None` if that fails, takes too long or costs somebody else's place.
async fn shake_hands(stream: TcpStream, tls: Arc<ServerConfig>, place: &Place) -> Option<TlsStream<TcpStream>> {
    let agreed = timeout(Duration::from_secs(FIRST_HEAD_SECONDS_MAX), TlsAcceptor::from(tls).accept(stream));
    tokio::select! {
        biased;
        () = place.lost() => None,
        agreed = agreed => agreed.ok()?.ok(),
    }
}

async fn serve_connection<S>(stream: S, caller: Caller, router: Router, mut until: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let place = Arc::clone(&caller.place);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        caller.place.mark_asked();
        request.extensions_mut().insert(caller.clone());
        let answer = TowerToHyperService::new(router.clone()).call(request);
        let place = Arc::clone(&caller.place);
        async move {
            let answer: Result<Response, Infallible> = answer.await;
            place.mark_idle();
            answer
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEAD_SECONDS_MAX));
    http.max_buf_size(HEAD_BYTES_MAX);
    let stream = TokioIo::new(Unstalled::new(stream, Duration::from_secs(WRITE_STALL_SECONDS_MAX)));
    let mut connection = pin!(http.serve_connection(stream, service).with_upgrades());
    let mut first_head = pin!(sleep(Duration::from_secs(FIRST_HEAD_SECONDS_MAX)));
    let (mut waiting, mut open) = (true, true);
    loop {
        tokio::select! {
            biased;
            () = place.lost() => return,
            () = first_head.as_mut(), if waiting => {
                waiting = false;
                if !place.has_asked() {
                    return;
                }
            }
            // What a connection ends with is its peer's affair.
            _ = connection.as_mut() => return,
            () = stopped(&mut until), if open => {
                open = false;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A stream that fails once its reader has taken nothing for too long.
struct Unstalled<S> {
    stream: S,
    stall_max: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Unstalled<S> {
    fn new(stream: S, stall_max: Duration) -> Unstalled<S> {
        Unstalled { stream, stall_max, stalled: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.or_stalled(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.or_stalled(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.or_stalled(cx, shut)
    }
}

impl<S> Unstalled<S> {
    fn or_stalled<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stall_max = self.stall_max;
        ready!(self.stalled.get_or_insert_with(|| Box::pin(sleep(stall_max))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn p7_a_reader_that_stops_is_cut() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = Unstalled::new(ours, Duration::from_millis(500));
        let read = tokio::spawn(async move {
            theirs.read_exact(&mut [0; 40]).await.unwrap();
            theirs
        });
        ours.write_all(&[0; 48]).await.unwrap();
        let _open = read.await.unwrap();
        let stalled = ours.write_all(&[0; 9]).await.unwrap_err();
        assert_eq!(stalled.kind(), io::ErrorKind::TimedOut);
    }
}
