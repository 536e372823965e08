//! A stream to keywatch: its address, who speaks, TLS, and the handshake. Knows no message.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use axum::http::{HeaderValue, Response, header};
use reqwest::Url;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::limits::{AGENT_ANSWER_BYTES_MAX, AGENT_CONNECT_SECONDS_MAX, STREAM_READ_BYTES, TOKEN_BYTES_MAX};
use crate::service::http::stream::message::PROTOCOL;
use crate::service::http::tls::read;

/// Where keywatch is, and who speaks to it.
#[derive(Debug, clap::Args)]
pub(super) struct Server {
    /// Address of keywatch
    #[arg(long, value_name = "URL", env = "KEYWATCH_URL", default_value = "http://127.0.0.1:8040")]
    url: String,
    /// Feed that reads the lines, as the credential has it; `osquery` with --osquery
    #[arg(long, value_name = "FEED", required_unless_present = "osquery")]
    feed: Option<String>,
    /// File with the token of the source
    #[arg(long, value_name = "FILE", env = "KEYWATCH_TOKEN_FILE", required_unless_present = "certificate_file")]
    token_file: Option<PathBuf>,
    /// File with a client certificate (PEM), in place of a token
    #[arg(long, value_name = "FILE", requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// File with its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    key_file: Option<PathBuf>,
    /// File with the authorities of keywatch's certificate (PEM), in place of those that the machine trusts
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// What a stream is opened to.
pub(super) struct Target {
    url: Url,
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// Bytes both ways, with TLS or without.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// An open stream.
pub(super) type Socket = WebSocketStream<Box<dyn Wire>>;

/// Why there is no stream.
#[derive(Debug)]
pub(super) enum Unopened {
    /// keywatch says no, and would say so again.
    Refused(String),
    /// It may work later.
    Failed(anyhow::Error),
}

impl Target {
    /// Reads the files of tokens and certificates.
    ///
    /// # Errors
    /// The address is none, would send a secret in the clear, or a file cannot be used.
    pub(super) fn new(server: &Server) -> anyhow::Result<Target> {
        let mut url = Url::parse(&server.url).with_context(|| format!("`{}` is no address", server.url))?;
        let scheme = match url.scheme() {
            "https" | "wss" => "wss",
            "http" | "ws" => "ws",
            _ => bail!("`{}` is neither https nor http", server.url),
        };
        let host = url.host_str().with_context(|| format!("`{}` names no host", server.url))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        ensure!(scheme == "wss" || is_loopback, "`{}` would send your token in the clear; use https", server.url);
        let port = url.port_or_known_default().context("an address has a port")?;
        let feed = server.feed.as_deref().unwrap_or("osquery");
        match url.path_segments_mut() {
            Ok(mut segments) => {
                segments.pop_if_empty().extend(["v1", "stream", feed]);
            }
            Err(()) => bail!("`{}` is no address", server.url),
        }
        // The scheme of a WebSocket's address is the other's: both are special schemes of the same kind.
        url.set_scheme(scheme).map_err(|()| anyhow!("`{}` is no address", server.url))?;
        let authorization = server.token_file.as_deref().map(read_token).transpose()?;
        let tls = if scheme == "wss" { Some((tls(server)?, ServerName::try_from(host.clone())?)) } else { None };
        ensure!(tls.is_some() || server.certificate_file.is_none(), "a client certificate is shown over https alone");
        Ok(Target { url, host, port, authorization, tls })
    }

    /// Its address.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// keywatch cannot be reached, or says no.
    pub(super) async fn open(&self) -> Result<Socket, Unopened> {
        let opened = timeout(Duration::from_secs(AGENT_CONNECT_SECONDS_MAX), self.connect()).await;
        opened.unwrap_or_else(|_| Err(Unopened::Failed(anyhow!("no answer in {AGENT_CONNECT_SECONDS_MAX} s"))))
    }

    async fn connect(&self) -> Result<Socket, Unopened> {
        let failed = |error: std::io::Error| Unopened::Failed(error.into());
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(failed)?;
        let _ = stream.set_nodelay(true);
        let wire: Box<dyn Wire> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await.map_err(failed)?),
        };
        let mut request = self.url.as_str().into_client_request().map_err(unopened)?;
        let headers = request.headers_mut();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
        if let Some(authorization) = &self.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(STREAM_READ_BYTES)
            .max_message_size(Some(AGENT_ANSWER_BYTES_MAX))
            .max_frame_size(Some(AGENT_ANSWER_BYTES_MAX));
        let (socket, _) = client_async_with_config(request, wire, Some(config)).await.map_err(unopened)?;
        Ok(socket)
    }
}

/// A refusal that stays one is told from what passes.
fn unopened(error: Error) -> Unopened {
    match error {
        Error::Http(answer) if [400, 401, 403, 404, 405].contains(&answer.status().as_u16()) => {
            Unopened::Refused(said(&answer))
        }
        Error::Http(answer) => Unopened::Failed(anyhow!(said(&answer))),
        error => Unopened::Failed(error.into()),
    }
}

/// What an answer of keywatch says.
fn said(answer: &Response<Option<Vec<u8>>>) -> String {
    let body: Option<Value> = answer.body().as_deref().and_then(|body| serde_json::from_slice(body).ok());
    let error = body.as_ref().and_then(|body| body["error"].as_str());
    match error {
        Some(error) => format!("keywatch answered {}: {error}", answer.status()),
        None => format!("{} was answered, not by a keywatch that has streams", answer.status()),
    }
}

fn tls(server: &Server) -> anyhow::Result<TlsConnector> {
    let builder = ClientConfig::builder();
    let builder = match &server.ca_file {
        None => builder.with_platform_verifier().context("the authorities that the machine trusts cannot be read")?,
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(file)? {
                roots.add(authority).with_context(|| file.display().to_string())?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut config = match (&server.certificate_file, &server.key_file) {
        (Some(certificate), Some(key)) => {
            let private = PrivateKeyDer::from_pem_slice(&read(key)?);
            let private = private.with_context(|| format!("{}: no private key in PEM", key.display()))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, private)
                .with_context(|| format!("{} and {} do not fit together", certificate.display(), key.display()))?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let all = all.with_context(|| format!("{} is not valid PEM", file.display()))?;
    ensure!(!all.is_empty(), "{} holds no certificate in PEM", file.display());
    Ok(all)
}

fn read_token(file: &Path) -> anyhow::Result<HeaderValue> {
    let token = String::from_utf8(read(file)?).with_context(|| format!("{} holds no token", file.display()))?;
    let token = token.trim();
    ensure!(!token.is_empty() && token.len() <= TOKEN_BYTES_MAX, "{} holds no token", file.display());
    let mut value =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| anyhow!("{} holds no token", file.display()))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, token: &str) -> anyhow::Result<Target> {
        // The provider of the process; another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, token).unwrap();
        let server = Server {
            url: url.to_owned(),
            feed: None,
            token_file: Some(token_file),
            certificate_file: None,
            key_file: None,
            ca_file: None,
        };
        Target::new(&server)
    }

    #[test]
    fn an_address_becomes_that_of_a_stream() {
        let http = target("http://127.0.0.1:8040", "secret\n").unwrap();
        assert_eq!((http.url.as_str(), http.port), ("ws://127.0.0.1:8040/v1/stream/osquery", 8040));
        assert_eq!(http.authorization.unwrap(), "Bearer secret");
        let https = target("https://kw.example/base/", "secret").unwrap();
        assert_eq!((https.url.as_str(), https.port), ("wss://kw.example/base/v1/stream/osquery", 443));
        assert!(https.tls.is_some() && http.tls.is_none());
    }

    #[test]
    fn tokens_do_not_travel_in_the_clear_and_files_hold_one() {
        for (url, token, said) in [
            ("http://kw.example", "secret", "in the clear"),
            ("ftp://127.0.0.1", "secret", "neither https nor http"),
            ("nonsense", "secret", "no address"),
            ("https://kw.example", " \n", "holds no token"),
            ("https://kw.example", "two\nlines", "holds no token"),
        ] {
            let error = format!("{:#}", target(url, token).err().unwrap());
            assert!(error.contains(said), "{url}: {error}");
        }
    }
}
