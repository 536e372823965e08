//! HTTPS: certificates that change while keywatch runs, and clients that are known by theirs.

use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use reqwest::{Client, Identity, StatusCode};

use super::site::{Site, Source, bearer, heartbeat};
use crate::support::command::{err, keywatch};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and its key, both PEM.
fn issued(by: &Authority, name: &str, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.extended_key_usages = vec![purpose];
    (params.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

fn server(by: &Authority) -> (String, String) {
    issued(by, "127.0.0.1", ExtendedKeyUsagePurpose::ServerAuth)
}

fn client_of(by: &Authority, name: &str) -> (String, String) {
    issued(by, name, ExtendedKeyUsagePurpose::ClientAuth)
}

fn trusting(authority: &Authority, shown: Option<&(String, String)>) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let builder = Client::builder().tls_certs_only([root]).timeout(Duration::from_secs(20));
    let shown = shown.map(|(certificate, key)| Identity::from_pem(format!("{key}{certificate}").as_bytes()).unwrap());
    shown.into_iter().fold(builder, reqwest::ClientBuilder::identity).build().unwrap()
}

const TLS: &str = "[server.tls]\ncertificate_file = 'crt'\nkey_file = 'key'\n";

#[tokio::test]
async fn a_changed_certificate_is_taken_while_keywatch_runs() {
    let (first, second) = (authority(), authority());
    let (certificate, key) = server(&first);
    let token = bearer("token");
    let files = [("crt", certificate.as_bytes()), ("key", key.as_bytes())];
    let site = Site::start(&[Source("cold", "idp", "events", &token)], TLS, &files);
    assert!(site.keywatch.url.starts_with("https://"), "{}", site.keywatch.url);
    let send = async |client: Client, id: &str| {
        let request = client.post(site.url("/v1/ingest/events")).bearer_auth("token").body(heartbeat(id));
        request.send().await.map(|answer| answer.status())
    };
    assert_eq!(send(trusting(&first, None), "1").await.unwrap(), StatusCode::OK);
    assert!(send(trusting(&second, None), "2").await.is_err());
    // A certificate whose key has not come yet changes nothing.
    let (certificate, key) = server(&second);
    std::fs::write(site.directory.path().join("crt"), certificate).unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let scraped = trusting(&first, None).get(site.url("/metrics")).send().await.unwrap().text().await.unwrap();
        if scraped.contains("keywatch_door_certificate_reloads_total{outcome=\"refused\"} 1") {
            break;
        }
        assert!(Instant::now() < until, "the certificate without its key was not looked at within a minute");
    }
    assert_eq!(send(trusting(&first, None), "3").await.unwrap(), StatusCode::OK);
    std::fs::write(site.directory.path().join("key"), key).unwrap();
    while send(trusting(&second, None), "4").await.is_err() {
        assert!(Instant::now() < until, "the new certificate was not taken within a minute");
    }
    assert!(send(trusting(&first, None), "5").await.is_err());
    assert_eq!(site.stop().len(), 3);
}

#[tokio::test]
async fn p8_a_client_is_known_by_its_certificate() {
    let (own, clients, foreign) = (authority(), authority(), authority());
    let (certificate, key) = server(&own);
    let pinned = client_of(&clients, "agent.example");
    let digest = {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        use sha2::{Digest, Sha256};
        hex::encode(Sha256::digest(CertificateDer::from_pem_slice(pinned.0.as_bytes()).unwrap()))
    };
    let named = "client_certificate = { name = 'mpc-1.example' }";
    let pin = format!("client_certificate = {{ sha256 = '{digest}' }}");
    let sources = [Source("hot", "mpc-1", "events", named), Source("cold", "agent", "events", &pin)];
    let server = format!("{TLS}client_ca_file = 'clients'\n");
    let authorities = clients.pem();
    let files = [("crt", certificate.as_bytes()), ("key", key.as_bytes()), ("clients", authorities.as_bytes())];
    let site = Site::start(&sources, &server, &files);
    let send = async |shown: Option<&(String, String)>, id: &str| {
        let request = trusting(&own, shown).post(site.url("/v1/ingest/events")).body(heartbeat(id));
        request.send().await.map(|answer| answer.status())
    };
    assert_eq!(send(Some(&client_of(&clients, "mpc-1.example")), "1").await.unwrap(), StatusCode::OK);
    // The next certificate of that name needs no change of the configuration, the pinned one is that one alone.
    assert_eq!(send(Some(&client_of(&clients, "mpc-1.example")), "2").await.unwrap(), StatusCode::OK);
    assert_eq!(send(Some(&pinned), "3").await.unwrap(), StatusCode::OK);
    let another = client_of(&clients, "agent.example");
    assert_eq!(send(Some(&another), "4").await.unwrap(), StatusCode::UNAUTHORIZED);
    assert_eq!(send(None, "5").await.unwrap(), StatusCode::UNAUTHORIZED);
    assert!(send(Some(&client_of(&foreign, "mpc-1.example")), "6").await.is_err());
    let events = site.stop();
    let from: Vec<(&str, &str)> = events.iter().map(|event| (event.system(), event.source())).collect();
    assert_eq!(from, [("hot", "mpc-1"), ("hot", "mpc-1"), ("cold", "agent")]);
}

#[tokio::test]
async fn p8_an_agent_speaks_over_tls_and_is_known_by_its_certificate() {
    let (own, clients) = (authority(), authority());
    let (certificate, key) = server(&own);
    let (shown, shown_key) = client_of(&clients, "mpc-1.example");
    let sources = [Source("hot", "mpc-1", "events", "client_certificate = { name = 'mpc-1.example' }")];
    let (trusted, authorities, line) = (own.pem(), clients.pem(), heartbeat("1"));
    let files = [
        ("crt", certificate.as_bytes()),
        ("key", key.as_bytes()),
        ("clients", authorities.as_bytes()),
        ("own", trusted.as_bytes()),
        ("shown", shown.as_bytes()),
        ("shown.key", shown_key.as_bytes()),
        ("lines", line.as_bytes()),
    ];
    let site = Site::start(&sources, &format!("{TLS}client_ca_file = 'clients'\n"), &files);
    let url = site.keywatch.url.as_str();
    let arguments = ["agent", "--url", url, "--feed", "events", "--file", "lines", "--once", "--ca-file", "own"];
    let shown = ["--certificate-file", "shown", "--key-file", "shown.key"];
    let ended = keywatch(site.directory.path(), &[&arguments[..], &shown].concat(), b"");
    assert_eq!(ended.status.code(), Some(0), "{}", err(&ended));
    let events = site.stop();
    let from: Vec<(&str, &str)> = events.iter().map(|event| (event.system(), event.source())).collect();
    // The line, and that the agent is alive.
    assert_eq!(from, [("hot", "mpc-1"); 2]);
}
