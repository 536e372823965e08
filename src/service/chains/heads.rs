//! New blocks as nodes of Ethereum and its relatives announce them over a WebSocket (`eth_subscribe`, `newHeads`).
//!
//! An announcement wakes the follower and says nothing: what is new is read over JSON-RPC as ever, so that whoever holds the
//! socket can hide no block and invent none. One that ends or is silent is opened anew, and the nodes are polled meanwhile.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::{SinkExt, StreamExt};
use reqwest::Url;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::limits::{
    HEADS_MESSAGE_BYTES_MAX, HEADS_SILENCE_SECONDS_MAX, HEADS_WAKE_MILLISECONDS_MIN, NODE_CALL_SECONDS_MAX,
    NODE_REST_SECONDS_MAX, NODE_REST_SECONDS_MIN,
};
use crate::service::turns::unless_stopped;

/// Bytes both ways, with TLS or without.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

type Socket = WebSocketStream<Box<dyn Wire>>;

/// A node that announces its blocks.
pub(crate) struct Heads {
    /// What it is called.
    endpoint: String,
    chain: String,
    /// Never shown, since it may hold a key.
    url: Url,
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Heads {
    /// Those of the node `endpoint`; nothing is sent yet.
    ///
    /// # Errors
    /// The address is none of a WebSocket.
    pub(crate) fn new(chain: &str, endpoint: &str, url: Url) -> anyhow::Result<Heads> {
        ensure!(["ws", "wss"].contains(&url.scheme()), "its ws address has to begin with ws:// or wss://");
        ensure!(url.username().is_empty() && url.password().is_none(), "a password in a ws address is not sent");
        let host = url.host_str().context("its ws address names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().context("its ws address has no port")?;
        let tls = if url.scheme() == "wss" { Some((tls()?, ServerName::try_from(host.clone())?)) } else { None };
        Ok(Heads { endpoint: endpoint.to_owned(), chain: chain.to_owned(), url, host, port, tls })
    }

    /// Wakes whoever follows the chain at every block that is announced, until `stopping` becomes true. A socket that cannot be
    /// had is tried again.
    pub(crate) async fn run(self, wake: Arc<Notify>, mut stopping: watch::Receiver<bool>) {
        unless_stopped(&mut stopping, self.keep_listening(&wake)).await;
    }

    async fn keep_listening(&self, wake: &Notify) {
        let (chain, endpoint) = (self.chain.as_str(), self.endpoint.as_str());
        let mut failures = 0_u32;
        loop {
            let mut announced = false;
            let ended = self.listen(wake, &mut announced).await;
            if announced {
                failures = 0;
            }
            if let Err(error) = ended {
                // Once until it works again.
                if failures == 0 {
                    tracing::warn!(chain, endpoint, "blocks are not announced, and nodes are polled: {error:#}");
                }
                failures = failures.saturating_add(1);
            }
            let doubled = NODE_REST_SECONDS_MIN.saturating_mul(1 << failures.min(10));
            sleep(Duration::from_secs(doubled.min(NODE_REST_SECONDS_MAX))).await;
        }
    }

    /// Listens until the socket ends, which is why it never gives anything else than an error.
    async fn listen(&self, wake: &Notify, announced: &mut bool) -> anyhow::Result<()> {
        let opened = timeout(Duration::from_secs(NODE_CALL_SECONDS_MAX), self.open()).await;
        let mut socket = opened.context("the node does not answer")??;
        let mut is_asked = false;
        loop {
            let heard = timeout(Duration::from_secs(HEADS_SILENCE_SECONDS_MAX), socket.next()).await;
            let Ok(heard) = heard else {
                ensure!(!is_asked, "nothing was heard of the node");
                is_asked = true;
                socket.send(Message::Ping(Vec::<u8>::new().into())).await?;
                continue;
            };
            is_asked = false;
            match heard.context("the node closed the socket")?? {
                Message::Text(text) if is_news(text.as_str())? => {
                    if !*announced {
                        tracing::info!(chain = self.chain, endpoint = self.endpoint, "blocks are announced");
                    }
                    *announced = true;
                    wake.notify_one();
                    // Whoever announces more than there is gets no more looks for it.
                    sleep(Duration::from_millis(HEADS_WAKE_MILLISECONDS_MIN)).await;
                }
                Message::Close(_) => bail!("the node closed the socket"),
                _ => {}
            }
        }
    }

    async fn open(&self) -> anyhow::Result<Socket> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let _ = stream.set_nodelay(true);
        let wire: Box<dyn Wire> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await?),
        };
        let request = self.url.as_str().into_client_request()?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(HEADS_MESSAGE_BYTES_MAX))
            .max_frame_size(Some(HEADS_MESSAGE_BYTES_MAX));
        let (mut socket, _) = client_async_with_config(request, wire, Some(config)).await?;
        let ask = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]});
        socket.send(Message::text(ask.to_string())).await?;
        Ok(socket)
    }
}

fn tls() -> anyhow::Result<TlsConnector> {
    let builder = ClientConfig::builder().with_platform_verifier();
    let builder = builder.context("the authorities that the machine trusts cannot be read")?;
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Whether something may be new: a block was announced, or blocks will be from now on.
///
/// # Errors
/// The node does not announce any.
fn is_news(text: &str) -> anyhow::Result<bool> {
    let message: Value = serde_json::from_str(text).context("the node says no JSON")?;
    if let Some(error) = message.get("error") {
        bail!("the node refuses: code {}", error["code"].as_i64().unwrap_or_default());
    }
    Ok(message["method"] == "eth_subscription" || message["result"].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_announcement_wakes_nobody() {
        let announced = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"result":{"number":"0x1"}}}"#;
        assert!(is_news(announced).unwrap());
        assert!(is_news(r#"{"jsonrpc":"2.0","id":1,"result":"0x7"}"#).unwrap(), "subscribed");
        assert!(!is_news(r#"{"jsonrpc":"2.0","method":"something"}"#).unwrap());
        let refused = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"secret"}}"#;
        let error = is_news(refused).unwrap_err().to_string();
        assert!(error.contains("-32601") && !error.contains("secret"), "{error}");
        assert!(is_news("nonsense").is_err());
        let long = is_news(r#"{"error":{"code":"secret"}}"#).unwrap_err().to_string();
        assert!(!long.contains("secret"), "a code is a number: {long}");
    }

    #[test]
    fn an_address_is_one_of_a_socket() {
        // The provider of the process; another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let heads = |url: &str| Heads::new("ethereum", "own", url.parse().unwrap());
        let plain = heads("ws://[::1]:8546/key").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls.is_some()), ("::1", 8546, false));
        let secure = heads("wss://node.example/key").unwrap();
        assert_eq!((secure.host.as_str(), secure.port, secure.tls.is_some()), ("node.example", 443, true));
        for (url, said) in [("https://node.example", "ws://"), ("ws://me:secret@node.example", "is not sent")] {
            let error = heads(url).err().unwrap().to_string();
            assert!(error.contains(said) && !error.contains("secret"), "{error}");
        }
    }
}
