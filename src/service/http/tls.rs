//! TLS: the certificate and its key, the authorities of client certificates, and all of them anew when their files change.
//!
//! What is read anew serves the connections that come; those that are open go on. Files that do not fit together, as in the
//! middle of a change, leave what was there. Knows no source: which certificate is whose is for the credentials to say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::limits::{CONFIG_BYTES_MAX, TLS_RELOAD_SECONDS};
use crate::service::config;
use crate::service::metrics::Metrics;

/// The configuration of TLS as it is now.
pub(crate) type Current = watch::Receiver<Arc<ServerConfig>>;

/// Reads the files, which `place` of the configuration names, and goes on looking at them as long as somebody uses what it gives.
///
/// # Errors
/// A file cannot be read, or holds nothing usable.
pub(crate) fn start(configured: &config::Tls, place: &'static str, metrics: Arc<Metrics>) -> anyhow::Result<Current> {
    let files = Files::read(configured)?;
    let (sender, current) = watch::channel(files.server_config().context(place)?);
    let configured = configured.clone();
    tokio::spawn(async move { follow(&configured, files.digest(), &sender, &metrics).await });
    Ok(current)
}

async fn follow(
    configured: &config::Tls,
    mut seen: [u8; 32],
    sender: &watch::Sender<Arc<ServerConfig>>,
    metrics: &Metrics,
) {
    loop {
        tokio::select! {
            () = sender.closed() => return,
            () = sleep(Duration::from_secs(TLS_RELOAD_SECONDS)) => {}
        }
        // A file that is missing for a moment is looked at again.
        let Ok(files) = Files::read(configured) else { continue };
        if files.digest() == seen {
            continue;
        }
        seen = files.digest();
        let outcome = match files.server_config() {
            Ok(new) => {
                sender.send_replace(new);
                tracing::info!("the certificate was read anew");
                "taken"
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "the changed certificate is not usable; the one before stays");
                "refused"
            }
        };
        metrics.door_certificate_reloads.with_label_values(&[outcome]).inc();
    }
}

/// The files as they stood at one moment.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    fn read(configured: &config::Tls) -> anyhow::Result<Files> {
        Ok(Files {
            certificate: read(&configured.certificate_file)?,
            key: read(&configured.key_file)?,
            client_ca: configured.client_ca_file.as_deref().map(read).transpose()?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        for file in [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()].into_iter().flatten() {
            digest.update(Sha256::digest(file));
        }
        digest.finalize().into()
    }

    fn server_config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(authorities).context("client_ca_file")? {
                    roots.add(authority).context("client_ca_file")?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().context("client_ca_file")?)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&self.key).context("key_file: no private key in PEM")?;
        let chain = certificates(&self.certificate).context("certificate_file")?;
        let mut config =
            builder.with_single_cert(chain, key).context("certificate_file and key_file do not fit together")?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(pem: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().context("not valid PEM")?;
    ensure!(!all.is_empty(), "no certificate in PEM");
    Ok(all)
}

/// Reads a file of certificates, of a key or of a token.
///
/// # Errors
/// It cannot be read, or is larger than such a file is.
pub(crate) fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    ensure!(size <= CONFIG_BYTES_MAX, "{}: more than {CONFIG_BYTES_MAX} bytes", file.display());
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (Vec<u8>, Vec<u8>) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes())
    }

    #[test]
    fn files_that_do_not_fit_are_refused_with_the_reason() {
        let (certificate, key) = pair("one.example");
        let (_, other_key) = pair("two.example");
        let refused = |certificate: &[u8], key: &[u8], client_ca: Option<&[u8]>| {
            let client_ca = client_ca.map(<[u8]>::to_vec);
            let files = Files { certificate: certificate.to_vec(), key: key.to_vec(), client_ca };
            format!("{:#}", files.server_config().err().unwrap())
        };
        assert!(refused(b"", &key, None).contains("certificate_file: no certificate"));
        assert!(refused(&certificate, b"", None).contains("key_file: no private key"));
        assert!(refused(&certificate, &other_key, None).contains("do not fit together"));
        assert!(refused(&certificate, &key, Some(b"".as_slice())).contains("client_ca_file"));
        let whole = Files { certificate: certificate.clone(), key, client_ca: Some(certificate) };
        assert!(whole.server_config().is_ok());
    }
}
