//! A publisher of `ZeroMQ`, played by hand: what Bitcoin Core says at its `zmqpub` addresses, byte by byte.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A socket that publishes to one listener at a time.
pub(crate) struct Publisher {
    listener: TcpListener,
    listening: Option<TcpStream>,
}

impl Publisher {
    /// On a free port.
    pub(crate) async fn open() -> Publisher {
        Publisher { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), listening: None }
    }

    /// Its address.
    pub(crate) fn address(&self) -> String {
        format!("tcp://{}", self.listener.local_addr().unwrap())
    }

    /// Takes the next listener, hears that it speaks ZMTP 3.0 as a SUB socket, and waits until it has subscribed to `topics`.
    pub(crate) async fn subscribed(&mut self, topics: usize) {
        let accepted = tokio::time::timeout(Duration::from_secs(30), self.listener.accept()).await;
        let (mut stream, _) = accepted.expect("nobody listens").unwrap();
        let mut greeting = [0; 64];
        stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!((greeting[0], greeting[9], greeting[10]), (0xff, 0x7f, 3));
        assert_eq!(&greeting[12..17], b"NULL\0");
        let mut answer = [0; 64];
        answer[..11].copy_from_slice(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03");
        answer[12..16].copy_from_slice(b"NULL");
        stream.write_all(&answer).await.unwrap();
        let (flags, ready) = frame(&mut stream).await;
        assert_eq!((flags, &ready[..6]), (4, &b"\x05READY"[..]));
        assert!(ready.ends_with(b"Socket-Type\0\0\0\x03SUB"), "{ready:?}");
        stream.write_all(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03PUB").await.unwrap();
        for _ in 0..topics {
            let (flags, subscription) = frame(&mut stream).await;
            assert_eq!((flags, subscription[0]), (0, 1), "{subscription:?}");
        }
        self.listening = Some(stream);
    }

    /// Publishes a message of three parts.
    pub(crate) async fn publish(&mut self, topic: &str, body: &[u8], number: u32) {
        let mut message = Vec::new();
        for (flags, part) in [(1, topic.as_bytes()), (1, body), (0, &number.to_le_bytes()[..])] {
            message.extend([flags, u8::try_from(part.len()).unwrap()]);
            message.extend(part);
        }
        self.listening.as_mut().unwrap().write_all(&message).await.unwrap();
    }

    /// Hangs up.
    pub(crate) fn hang_up(&mut self) {
        self.listening = None;
    }
}

async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let (flags, length) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
    let mut body = vec![0; usize::from(length)];
    stream.read_exact(&mut body).await.unwrap();
    (flags, body)
}
