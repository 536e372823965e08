//! SQL over TLS: who encrypts is served, and beyond this machine nobody else is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

use super::tools::asked;
use super::{Answering, PASSWORD};
use crate::support::installed::installed;

const TLS: &str = "[sql.tls]\ncertificate_file = \"crt\"\nkey_file = \"key\"\n";

/// "May I encrypt?", as PostgreSQL's protocol has it: a length, and 1234 and 5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// An authority, and a certificate of it for 127.0.0.1 with its key, all PEM.
fn issued() -> [String; 3] {
    let named = |name: &str| {
        let mut distinguished = DistinguishedName::new();
        distinguished.push(DnType::CommonName, name);
        distinguished
    };
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = named("an authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name = named("keywatch");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    [authority.pem(), params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem()]
}

fn start(listen: &str, [authority, certificate, key]: &[String; 3]) -> Answering {
    Answering::start_on(
        listen,
        TLS,
        &[("ca", authority.as_str()), ("crt", certificate.as_str()), ("key", key.as_str())],
    )
}

fn open(keywatch: &Answering) -> TcpStream {
    let port: u16 = keywatch.address.split('/').next().unwrap().parse().unwrap();
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// What a client sends that does not ask for encryption: the version of the protocol, and who it is.
fn startup() -> Vec<u8> {
    let body = [&[0, 3, 0, 0][..], b"user\0ann\0database\0keywatch\0\0"].concat();
    let length = u32::try_from(body.len() + 4).unwrap();
    [&length.to_be_bytes()[..], &body].concat()
}

#[test]
fn beyond_this_machine_nobody_is_served_in_the_clear() {
    let keywatch = start("0.0.0.0:0", &issued());
    let mut plain = open(&keywatch);
    plain.write_all(&startup()).unwrap();
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(answer.first() == Some(&b'E') && text.contains("C28000\0") && text.contains("sslmode=require"), "{text}");

    let mut asking = open(&keywatch);
    asking.write_all(&SSL_REQUEST).unwrap();
    let mut answer = [0];
    asking.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"S");
    // What is no TLS after that gets no further.
    asking.write_all(&startup()).unwrap();
    let mut answer = Vec::new();
    // An alert, or the end; and nothing of the protocol.
    let _ = asking.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"R") && !answer.starts_with(b"E"), "{answer:?}");
}

#[test]
fn on_this_machine_both_are_served() {
    let keywatch = start("127.0.0.1:0", &issued());
    let mut plain = open(&keywatch);
    plain.write_all(&startup()).unwrap();
    let mut answer = [0];
    plain.read_exact(&mut answer).unwrap();
    assert_eq!(answer, *b"R", "it is asked for its password");
}

#[test]
fn the_real_psql_checks_the_certificate_and_asks_over_tls() {
    let Some(psql) = installed("KEYWATCH_TEST_PSQL", &["psql"], "postgresql-client") else { return };
    let (files, others) = (issued(), issued());
    let keywatch = start("0.0.0.0:0", &files);
    let here = tempfile::tempdir().unwrap();
    let [own, other] = [("own.pem", &files[0]), ("other.pem", &others[0])].map(|(name, authority)| {
        std::fs::write(here.path().join(name), authority).unwrap();
        here.path().join(name).display().to_string()
    });
    let user = format!("user=ann password={PASSWORD}");
    let question = "SELECT count(*) FROM events WHERE source = 'idp'";
    let with = |mode: &str| asked(&psql, &keywatch, &format!("{user} {mode}"), question);
    let answered = with(&format!("sslmode=verify-ca sslrootcert={own}"));
    let said = String::from_utf8_lossy(&answered.stderr);
    assert!(answered.status.success(), "{said}");
    assert_eq!(String::from_utf8(answered.stdout).unwrap(), "8\n");
    let wrong = with(&format!("sslmode=verify-ca sslrootcert={other}"));
    assert!(!wrong.status.success(), "another authority's");
    let plain = with("sslmode=disable");
    let said = String::from_utf8_lossy(&plain.stderr);
    assert!(!plain.status.success() && said.contains("sslmode=require"), "{said}");
}
