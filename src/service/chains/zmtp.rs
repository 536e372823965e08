//! The side of `ZeroMQ`'s wire protocol that listens to a publisher: ZMTP 3.0 with the mechanism NULL, as a SUB socket. It knows
//! no topic and no chain.
//!
//! Source: `ZeroMQ` RFC 23 (ZMTP 3.0): greeting of 64 bytes, a READY command each way, then messages of one or more frames; a
//! subscription is a message of the byte 1 and the beginning of the topics that are wanted.

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, copy, sink};

use crate::limits::{ZMQ_FRAME_BYTES_MAX, ZMQ_KEPT_BYTES_MAX, ZMQ_PARTS_MAX};

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Signature, version 3.0, the mechanism, no server, and nothing.
const GREETING: [u8; 64] = {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    let (mechanism, mut at) = (MECHANISM, 0);
    while at < mechanism.len() {
        greeting[12 + at] = mechanism[at];
        at += 1;
    }
    greeting
};

const MECHANISM: &[u8; 4] = b"NULL";

/// `READY`, and the one property that has to be told: `Socket-Type` is `SUB`.
const READY: &[u8] = b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB";

/// A connection to a publisher.
pub(super) struct Subscriber<S> {
    stream: BufStream<S>,
}

/// A frame: its flags, and of its body what is kept.
struct Frame {
    flags: u8,
    body: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Subscriber<S> {
    /// Greets a publisher and asks for everything whose topic begins so.
    ///
    /// # Errors
    /// It does not speak the protocol, wants credentials, or publishes nothing.
    pub(super) async fn open(stream: S, topics: &[&str]) -> anyhow::Result<Subscriber<S>> {
        let mut subscriber = Subscriber { stream: BufStream::new(stream) };
        subscriber.stream.write_all(&GREETING).await?;
        subscriber.stream.flush().await?;
        let mut greeting = [0; 64];
        subscriber.stream.read_exact(&mut greeting).await.context("it does not greet")?;
        ensure!(greeting[0] == 0xff && greeting[9] == 0x7f && greeting[10] >= 3, "it does not speak ZMTP 3");
        let mechanism = greeting[12..32].split(|byte| *byte == 0).next();
        ensure!(mechanism == Some(&MECHANISM[..]), "it asks for a mechanism of security that is not spoken here");
        subscriber.send(COMMAND, READY).await?;
        let ready = subscriber.frame().await.context("it does not become ready")?;
        ensure!(ready.flags & COMMAND != 0 && ready.body.starts_with(b"\x05READY"), "it does not become ready");
        let kind = property(&ready.body[6..], b"Socket-Type");
        ensure!(kind.is_some_and(|kind| [&b"PUB"[..], &b"XPUB"[..]].contains(&kind)), "it is no publisher");
        for topic in topics {
            subscriber.send(0, &[&b"\x01"[..], topic.as_bytes()].concat()).await?;
        }
        Ok(subscriber)
    }

    /// The next message: the beginning of each of its parts.
    ///
    /// # Errors
    /// The connection ended, or what comes is none of the protocol.
    pub(super) async fn next(&mut self) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        loop {
            let Frame { flags, body } = self.frame().await?;
            if flags & COMMAND != 0 {
                ensure!(!body.starts_with(b"\x05ERROR"), "it says that something is wrong");
                continue;
            }
            parts.push(body);
            if flags & MORE == 0 {
                return Ok(parts);
            }
            ensure!(parts.len() < ZMQ_PARTS_MAX, "a message has more than {ZMQ_PARTS_MAX} parts");
        }
    }

    async fn frame(&mut self) -> anyhow::Result<Frame> {
        let flags = self.stream.read_u8().await?;
        if flags & !(MORE | LONG | COMMAND) != 0 {
            bail!("a frame has unknown flags");
        }
        let long = flags & LONG != 0;
        let length = if long { self.stream.read_u64().await? } else { u64::from(self.stream.read_u8().await?) };
        ensure!(length <= ZMQ_FRAME_BYTES_MAX, "a frame is longer than {ZMQ_FRAME_BYTES_MAX} bytes");
        let kept = length.min(ZMQ_KEPT_BYTES_MAX);
        let mut body = vec![0; usize::try_from(kept).context("what is kept of a frame is small")?];
        self.stream.read_exact(&mut body).await?;
        let rest = length - kept;
        let passed = copy(&mut (&mut self.stream).take(rest), &mut sink()).await?;
        ensure!(passed == rest, "the connection ended within a frame");
        Ok(Frame { flags, body })
    }

    /// Sends a short frame.
    async fn send(&mut self, flags: u8, body: &[u8]) -> anyhow::Result<()> {
        let length = u8::try_from(body.len()).context("what is sent is short")?;
        self.stream.write_all(&[flags, length]).await?;
        self.stream.write_all(body).await?;
        Ok(self.stream.flush().await?)
    }
}

/// A property of a READY command, behind its name. Names are told apart without regard to case.
fn property<'a>(mut properties: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    loop {
        let (length, rest) = properties.split_first()?;
        let (name, rest) = rest.split_at_checked(usize::from(*length))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        properties = rest;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// Plays a publisher that says these bytes and takes all that is said to it, until the other side hangs up.
    async fn against(said: &[u8]) -> (anyhow::Result<Vec<Vec<Vec<u8>>>>, Vec<u8>) {
        let (near, mut far): (DuplexStream, DuplexStream) = duplex(1 << 16);
        let said = said.to_vec();
        let publisher = tokio::spawn(async move {
            far.write_all(&said).await.unwrap();
            far.shutdown().await.unwrap();
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.unwrap();
            heard
        });
        let listening = async {
            let mut subscriber = Subscriber::open(near, &["hashblock", "sequence"]).await?;
            let mut messages = Vec::new();
            while let Ok(message) = subscriber.next().await {
                messages.push(message);
            }
            anyhow::Ok(messages)
        };
        (listening.await, publisher.await.unwrap())
    }

    fn greeting(mechanism: &[u8]) -> Vec<u8> {
        let mut greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01".to_vec();
        greeting.extend(mechanism);
        greeting.resize(64, 0);
        greeting
    }

    const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB";

    #[tokio::test]
    async fn it_greets_subscribes_and_reads_parts_long_and_short() {
        let mut said = greeting(b"NULL");
        said.extend(READY_PUB);
        said.extend(b"\x01\x09hashblock\x01\x02ab\x00\x04\x07\0\0\0");
        // A command between messages, and a part longer than is kept.
        said.extend(b"\x04\x06\x04PING\0");
        said.extend(b"\x01\x08rawblock\x03");
        said.extend(300_000_u64.to_be_bytes());
        said.resize(said.len() + 300_000, 5);
        said.extend(b"\x00\x04\x08\0\0\0");
        let (messages, heard) = against(&said).await;
        let messages = messages.unwrap();
        assert_eq!(messages[0], [b"hashblock".to_vec(), b"ab".to_vec(), vec![7, 0, 0, 0]]);
        assert_eq!((messages.len(), messages[1].len(), &messages[1][2]), (2, 3, &vec![8, 0, 0, 0]));
        assert!(messages[1][1].len() < 300_000, "no more is kept than is needed");
        assert_eq!(&heard[..10], b"\xff\0\0\0\0\0\0\0\0\x7f");
        assert_eq!(&heard[10..17], b"\x03\0NULL\0");
        assert_eq!(&heard[64..], b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB\0\x0a\x01hashblock\0\x09\x01sequence");
    }

    #[tokio::test]
    async fn what_is_no_publisher_is_told() {
        let ready =
            |kind: &[u8]| [&greeting(b"NULL")[..], &b"\x04\x1a\x05READY\x0bSocket-Type\0\0\0\x04"[..], kind].concat();
        for (said, why) in [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n".repeat(4), "does not speak ZMTP"),
            (greeting(b"CURVE"), "mechanism"),
            (ready(b"PUSH"), "no publisher"),
            ([&greeting(b"NULL")[..], &b"\x80\x00"[..]].concat(), "does not become ready"),
            (b"\xff".to_vec(), "does not greet"),
        ] {
            let error = format!("{:#}", against(&said).await.0.unwrap_err());
            assert!(error.contains(why), "{why}: {error}");
        }
        assert!(against(&ready(b"XPUB")).await.0.is_ok());
    }
}
