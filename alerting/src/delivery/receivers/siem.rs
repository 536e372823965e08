//! Lines to a SIEM: appended to a file that a shipper follows, or over TCP or TLS. Each line is a JSON object, an OCSF
//! finding, or CEF within syslog.
//!
//! A file is synced before a line counts as taken. Over TCP nobody says that a line was stored: the connection is closed
//! for writing after it, and what breaks before the other side has closed its own counts as not taken. Where that is not
//! enough, a file with a shipper that acknowledges is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keywatch_store::Instant;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use serde_json::json;
use tokio::fs::OpenOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::delivery::guard::AddressRules;
use crate::delivery::http::refused;
use crate::delivery::message::Notification;
use crate::delivery::pace::Pace;
use crate::delivery::receivers::cef::{cef, framed, syslog};
use crate::delivery::receivers::ocsf::detection_finding;
use crate::delivery::sink::{Attempt, Sink};
use crate::delivery::webhook::WallClock;
use crate::error::{Error, Fate};
use crate::limits::ATTEMPT_SECONDS_MAX;

/// How long the other side has for closing a connection after a line. One that keeps it open has taken the line.
const CLOSING: Duration = Duration::from_secs(2);

/// What a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineFormat {
    /// A JSON object a line, as webhooks have it.
    #[default]
    Json,
    /// An OCSF Detection Finding a line.
    Ocsf,
    /// CEF in a syslog message: a line in a file, framed by its length over TCP.
    Cef,
}

/// How a connection is protected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LineTls {
    /// Not at all: this machine only, unless that is allowed.
    #[default]
    None,
    /// By TLS; certificate authorities of the system are trusted.
    System,
    /// By TLS; only the certificate authorities of a PEM file are trusted.
    Only(PathBuf),
}

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineTarget {
    /// A file, made where it is not there.
    File(PathBuf),
    /// A host and port.
    Tcp {
        /// Name or address.
        host: String,
        /// Port.
        port: u16,
        /// How lines are protected on their way.
        tls: LineTls,
    },
}

/// How it is configured.
#[derive(Clone, Debug)]
pub struct SiemSettings {
    /// Name of the receiver.
    pub name: String,
    /// Where lines go.
    pub target: LineTarget,
    /// What a line is.
    pub format: LineFormat,
    /// Where it may be.
    pub addresses: AddressRules,
    /// What it stands.
    pub pace: Pace,
}

/// The sink.
pub struct Siem {
    settings: SiemSettings,
    tls: Option<TlsConnector>,
    clock: WallClock,
}

impl Siem {
    /// Reads the certificates; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Destination`] for certificates that cannot be read, and for TCP without TLS to another machine.
    pub fn new(settings: SiemSettings, clock: WallClock) -> Result<Siem, Error> {
        let refuse = |problem: String| refused(&settings.name, problem);
        let tls = match &settings.target {
            LineTarget::Tcp { tls: LineTls::System, .. } => Some(connector(None).map_err(refuse)?),
            LineTarget::Tcp { tls: LineTls::Only(file), .. } => Some(connector(Some(file)).map_err(refuse)?),
            LineTarget::Tcp { host, tls: LineTls::None, .. } => {
                let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|host| host.is_loopback());
                if !here && !settings.addresses.allow_plain_http {
                    return Err(refuse("lines would leave the machine unprotected; set tls = true".to_owned()));
                }
                None
            }
            LineTarget::File(_) => None,
        };
        Ok(Siem { settings, tls, clock })
    }

    async fn send(&self, notification: &Notification) -> Result<(), Error> {
        let bytes = line(notification, &self.settings, (self.clock)());
        let sending = async {
            match &self.settings.target {
                LineTarget::File(path) => append(path, &bytes).await,
                LineTarget::Tcp { host, port, .. } => self.write_to(host, *port, &bytes).await,
            }
        };
        let sent = timeout(Duration::from_secs(ATTEMPT_SECONDS_MAX), sending).await;
        let outcome = sent.unwrap_or_else(|_| Err(std::io::Error::other("no end in time")));
        outcome.map_err(|error| Error::Undelivered {
            destination: self.settings.name.clone(),
            problem: error.to_string(),
            fate: Fate::Retry(None),
        })
    }

    async fn write_to(&self, host: &str, port: u16, bytes: &[u8]) -> std::io::Result<()> {
        let addresses = self.settings.addresses.resolve(host, port).await?;
        let stream = TcpStream::connect(addresses.as_slice()).await?;
        match &self.tls {
            None => write_and_close(stream, bytes).await,
            Some(connector) => {
                let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
                write_and_close(connector.connect(name, stream).await?, bytes).await
            }
        }
    }
}

impl Sink for Siem {
    fn name(&self) -> &str {
        &self.settings.name
    }

    /// One after the other, so that lines keep their order.
    fn deliveries_max(&self) -> usize {
        1
    }

    fn pace(&self) -> Pace {
        self.settings.pace
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(self.send(notification))
    }
}

/// What is sent for a notification.
#[must_use]
pub fn line(notification: &Notification, settings: &SiemSettings, now: Instant) -> Vec<u8> {
    let text = match settings.format {
        LineFormat::Json => {
            json!({ "type": notification.kind, "timestamp": notification.when, "data": notification }).to_string()
        }
        LineFormat::Ocsf => detection_finding(notification).to_string(),
        LineFormat::Cef => {
            let message = syslog(notification, now, &cef(notification));
            match settings.target {
                LineTarget::Tcp { .. } => return framed(&message),
                LineTarget::File(_) => message,
            }
        }
    };
    format!("{text}\n").into_bytes()
}

fn connector(authorities: Option<&std::path::Path>) -> Result<TlsConnector, String> {
    let Some(file) = authorities else {
        let config = ClientConfig::with_platform_verifier().map_err(|error| error.to_string())?;
        return Ok(TlsConnector::from(Arc::new(config)));
    };
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"holds no certificate"));
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn append(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path).await?;
    file.write_all(bytes).await?;
    file.flush().await?;
    file.sync_data().await
}

async fn write_and_close(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await?;
    stream.shutdown().await?;
    let mut said = [0; 1_024];
    match timeout(CLOSING, stream.read(&mut said)).await {
        // Its end, a banner, or nothing: it has not thrown the line away.
        Ok(Ok(_)) | Err(_) => Ok(()),
        // A TLS peer that closes without saying so has taken the line all the same.
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(()),
        Ok(Err(error)) => Err(error),
    }
}
