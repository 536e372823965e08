//! TLS of the endpoint: what a client opens with, and what becomes of one that would go on in the clear. TLS ends here; what was
//! in it goes over a pair of sockets of this process to what speaks the protocol. Knows no user and no question.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pgwire::api::PgWireServerHandlers;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional, sink};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limits::{SQL_GRACE_SECONDS, SQL_OPENING_BYTES_MAX, SQL_OPENING_SECONDS_MAX};
use crate::service::config::sql::Sql;
use crate::service::http::tls::{self, Current};
use crate::service::metrics::Metrics;

/// Bytes that say how a client opens: a length, and a number that stands where the version of the protocol would.
const HEAD_BYTES: usize = 8;

/// "May I encrypt?"
const TLS: u32 = 80_877_103;
/// "May I encrypt by GSSAPI?"
const GSS: u32 = 80_877_104;
/// "End the query of another connection", which holds nothing but that connection's secret. libpq sends it in the clear.
const CANCEL: u32 = 80_877_102;

/// TLS as it is configured.
pub(super) struct Encryption {
    current: Current,
    /// Whether who does not ask for it is served too: on an address of this machine.
    plain: bool,
}

/// How a client goes on.
enum Opened {
    Plain(TcpStream, [u8; HEAD_BYTES]),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Encryption {
    /// Reads the files; `None` where none are configured.
    ///
    /// # Errors
    /// A file cannot be read, or holds nothing usable.
    pub(super) fn of(sql: &Sql, metrics: &Arc<Metrics>) -> anyhow::Result<Option<Encryption>> {
        let Some(files) = &sql.tls else { return Ok(None) };
        let current = tls::start(files, "sql.tls", Arc::clone(metrics))?;
        Ok(Some(Encryption { current, plain: sql.listen.ip().is_loopback() }))
    }

    /// Serves a client until it goes.
    ///
    /// # Errors
    /// It does not encrypt though it has to, or breaks off.
    pub(super) async fn serve(&self, socket: TcpStream, handlers: impl PgWireServerHandlers) -> io::Result<()> {
        socket.set_nodelay(true)?;
        let opened = timeout(Duration::from_secs(SQL_OPENING_SECONDS_MAX), self.open(socket)).await;
        match opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
            Opened::Plain(socket, head) => behind(socket, &head, handlers).await,
            Opened::Encrypted(stream) => behind(stream, &[], handlers).await,
        }
    }

    async fn open(&self, mut socket: TcpStream) -> io::Result<Opened> {
        // Exactly these bytes: what comes after them in the clear is no part of what is encrypted.
        let mut head = [0; HEAD_BYTES];
        socket.read_exact(&mut head).await?;
        if asked(head) == GSS {
            socket.write_all(b"N").await?;
            socket.read_exact(&mut head).await?;
        }
        match asked(head) {
            TLS => {
                socket.write_all(b"S").await?;
                Ok(Opened::Encrypted(Box::new(self.acceptor().accept(socket).await?)))
            }
            CANCEL => Ok(Opened::Plain(socket, head)),
            _ if self.plain => Ok(Opened::Plain(socket, head)),
            _ => {
                // What is left unread would break the connection off before the client has read why.
                let left = u64::from(length(head)).min(SQL_OPENING_BYTES_MAX).saturating_sub(HEAD_BYTES as u64);
                copy(&mut (&mut socket).take(left), &mut sink()).await?;
                socket.write_all(&refusal()).await?;
                socket.shutdown().await?;
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "it does not encrypt"))
            }
        }
    }

    /// With the certificate as it is now. Clients that name a protocol name this one.
    fn acceptor(&self) -> TlsAcceptor {
        let current = Arc::clone(&self.current.borrow());
        let mut config = ServerConfig::clone(&current);
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// The number in the second half of a head.
fn asked([_, _, _, _, number @ ..]: [u8; HEAD_BYTES]) -> u32 {
    u32::from_be_bytes(number)
}

/// How long what the head begins is, itself included.
fn length([length @ .., _, _, _, _]: [u8; HEAD_BYTES]) -> u32 {
    u32::from_be_bytes(length)
}

/// The error that a client is told that would go on in the clear.
fn refusal() -> Vec<u8> {
    let fields = "SFATAL\0VFATAL\0C28000\0Mthis server asks for TLS; connect with sslmode=require or better\0\0";
    // The length counts itself.
    let bytes = u32::try_from(fields.len() + 4).unwrap_or(u32::MAX);
    [&b"E"[..], &bytes.to_be_bytes(), fields.as_bytes()].concat()
}

/// Serves what comes out of `outside`, after what was read of it already.
async fn behind(
    mut outside: impl AsyncRead + AsyncWrite + Unpin,
    head: &[u8],
    handlers: impl PgWireServerHandlers,
) -> io::Result<()> {
    let (mut inside, answering) = UnixStream::pair()?;
    inside.write_all(head).await?;
    let served = pgwire::tokio::server::process_socket_unix(answering, handlers);
    let copied = copy_bidirectional(&mut outside, &mut inside);
    tokio::pin!(served, copied);
    tokio::select! {
        ended = &mut served => {
            // What was said last has to go out still; who does not take it has had its time.
            let _ = timeout(Duration::from_secs(SQL_GRACE_SECONDS), copied).await;
            ended
        }
        gone = &mut copied => gone.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_whole_message() {
        let message = refusal();
        assert_eq!(message[0], b'E');
        let bytes = u32::from_be_bytes([message[1], message[2], message[3], message[4]]);
        assert_eq!(usize::try_from(bytes).unwrap(), message.len() - 1);
        assert!(message.ends_with(b"\0\0"));
    }

    #[test]
    fn the_head_says_what_is_asked() {
        // As PostgreSQL's documents write it: the numbers are 1234 in the upper half, 5678 to 5680 in the lower.
        let head = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
        assert_eq!((length(head), asked(head)), (8, TLS));
        assert_eq!((TLS >> 16, TLS & 0xffff), (1234, 5679));
        assert_eq!((GSS & 0xffff, CANCEL & 0xffff), (5680, 5678));
    }
}
