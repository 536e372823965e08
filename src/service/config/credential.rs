//! Who may send, and by what it is recognised: `[[credentials]]` of the configuration. Checks what stands there; opens no
//! file.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use keywatch_ingest::feeds::mapping::installed::Installed;
use keywatch_ingest::signature::Algorithm;
use keywatch_store::Inventory;
use keywatch_store::inventory::System;
use keywatch_store::kinds;
use serde::{Deserialize, Deserializer};

use crate::limits::{CREDENTIAL_SECRETS_MAX, SOURCE_REQUESTS_PER_SECOND_MAX};

/// A source that may send, and the one way in which it is recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credential {
    /// The system it may write for.
    pub(crate) system: String,
    /// Its name, as the inventory has it.
    pub(crate) source: String,
    /// The one feed it may use.
    pub(crate) feed: String,
    /// The kinds of events it may write, `session.*` for a family; all that a source may write where there are none.
    #[serde(default)]
    pub(crate) kinds: Vec<String>,
    /// Requests a second.
    pub(crate) requests_per_second: Option<u32>,
    /// SHA-256 of its bearer token, 64 hexadecimal digits; two while it is changed.
    #[serde(default, deserialize_with = "one_or_several")]
    pub(crate) token_sha256: Vec<String>,
    /// Signed requests.
    pub(crate) signature: Option<Signature>,
    /// A certificate of a client.
    pub(crate) client_certificate: Option<ClientCertificate>,
}

/// How a sender signs. Only schemes over the raw body.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "scheme", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Signature {
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks {
        /// Files with one `whsec_…` each.
        secret_files: Vec<PathBuf>,
    },
    /// A header with the hexadecimal HMAC-SHA-256 of the body: `BitGo`, Kolide.
    BodyHmac {
        /// Name of the header.
        header: String,
        /// Files with one secret each.
        secret_files: Vec<PathBuf>,
    },
    /// A header with a detached JWS over the body: Fireblocks.
    DetachedJws {
        /// Name of the header.
        header: String,
        /// File with the sender's public keys, a JSON Web Key Set.
        keys_file: PathBuf,
        /// Algorithms that the sender uses.
        algorithms: Vec<String>,
    },
    /// The body is a signed security event token (RFC 8935).
    SecurityEventToken {
        /// File with the issuer's public keys, a JSON Web Key Set.
        keys_file: PathBuf,
        /// Algorithms that the issuer uses.
        algorithms: Vec<String>,
        /// `iss` of its tokens.
        issuer: String,
        /// `aud` of its tokens.
        audience: String,
    },
}

/// Which certificate of a client, issued by one of `server.tls.client_ca_file`. One of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ClientCertificate {
    /// SHA-256 of the certificate (DER), 64 hexadecimal digits.
    pub(crate) sha256: Option<String>,
    /// A DNS name that the certificate is for.
    pub(crate) name: Option<String>,
}

impl Signature {
    /// The files it points to.
    pub(super) fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Signature::StandardWebhooks { secret_files } | Signature::BodyHmac { secret_files, .. } => {
                secret_files.iter_mut().collect()
            }
            Signature::DetachedJws { keys_file, .. } | Signature::SecurityEventToken { keys_file, .. } => {
                vec![keys_file]
            }
        }
    }

    /// The same, to be read.
    pub(crate) fn files(&self) -> &[PathBuf] {
        match self {
            Signature::StandardWebhooks { secret_files } | Signature::BodyHmac { secret_files, .. } => secret_files,
            Signature::DetachedJws { keys_file, .. } | Signature::SecurityEventToken { keys_file, .. } => {
                std::slice::from_ref(keys_file)
            }
        }
    }

    /// Files with secrets that both sides know.
    pub(crate) fn secrets(&self) -> &[PathBuf] {
        match self {
            Signature::StandardWebhooks { secret_files } | Signature::BodyHmac { secret_files, .. } => secret_files,
            Signature::DetachedJws { .. } | Signature::SecurityEventToken { .. } => &[],
        }
    }

    fn check(&self) -> anyhow::Result<()> {
        match self {
            Signature::StandardWebhooks { secret_files } => check_secrets(secret_files),
            Signature::BodyHmac { header, secret_files } => {
                check_header(header)?;
                check_secrets(secret_files)
            }
            Signature::DetachedJws { header, algorithms, .. } => {
                check_header(header)?;
                check_algorithms(algorithms)
            }
            Signature::SecurityEventToken { algorithms, issuer, audience, .. } => {
                ensure!(!issuer.is_empty() && !audience.is_empty(), "signature: issuer and audience must be named");
                check_algorithms(algorithms)
            }
        }
    }
}

fn check_secrets(files: &[PathBuf]) -> anyhow::Result<()> {
    ensure!(!files.is_empty(), "signature.secret_files: names no file");
    let few = files.len() <= CREDENTIAL_SECRETS_MAX;
    ensure!(few, "signature.secret_files: at most {CREDENTIAL_SECRETS_MAX}, the new one and the old one");
    Ok(())
}

fn check_header(name: &str) -> anyhow::Result<()> {
    let known = axum::http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    ensure!(known, "signature.header: `{name}` is no name of a header");
    Ok(())
}

fn check_algorithms(names: &[String]) -> anyhow::Result<()> {
    ensure!(!names.is_empty(), "signature.algorithms: names none; RS256, RS512, ES256, EdDSA");
    let unknown = names.iter().find(|name| Algorithm::named(name).is_none());
    unknown.map_or(Ok(()), |name| bail!("signature.algorithms: `{name}` is none of RS256, RS512, ES256, EdDSA"))
}

/// Checks all credentials, each for itself and among one another.
///
/// # Errors
/// Each names the place, and what to write instead.
pub(super) fn check(
    credentials: &[Credential],
    feeds: &Installed,
    inventory: &Inventory,
    client_ca: bool,
) -> anyhow::Result<()> {
    for (index, credential) in credentials.iter().enumerate() {
        let place = || format!("credentials[{index}] (source `{}`)", credential.source);
        check_binding(credential, feeds, inventory).with_context(place)?;
        check_proof(credential, client_ca).with_context(place)?;
        for earlier in &credentials[..index] {
            check_pair(earlier, credential).with_context(place)?;
        }
    }
    Ok(())
}

/// Checks that the inventory declares a source, and that this is the feed that reads it.
///
/// # Errors
/// Names the field and what there is instead.
pub(crate) fn check_source(
    [system, source, feed]: [&str; 3],
    feeds: &Installed,
    inventory: &Inventory,
) -> anyhow::Result<()> {
    feeds.find(feed)?;
    let known = || inventory.systems.iter().map(|system| system.id.as_str()).collect::<Vec<_>>().join(", ");
    let Some(system) = inventory.system(system) else {
        bail!("system: the inventory has no `{system}`; it has {}", known());
    };
    let Some(declared) = system.sources.iter().find(|declared| declared.source == source) else {
        bail!("source: the inventory's system `{}` has none of that name; it has {}", system.id, source_names(system));
    };
    let reads = &declared.feed;
    ensure!(reads == feed, "feed: the inventory says that this source is read by `{reads}`, not `{feed}`");
    Ok(())
}

/// That it is bound to what the inventory declares.
fn check_binding(credential: &Credential, feeds: &Installed, inventory: &Inventory) -> anyhow::Result<()> {
    check_source([&credential.system, &credential.source, &credential.feed], feeds, inventory)?;
    for pattern in &credential.kinds {
        let is_known = kinds::KINDS.iter().any(|kind| matches(pattern, kind.name));
        ensure!(is_known, "kinds: there is no kind `{pattern}`; docs/events.md lists them, `session.*` means a family");
    }
    let rate = credential.requests_per_second.unwrap_or(1);
    let within = (1..=SOURCE_REQUESTS_PER_SECOND_MAX).contains(&rate);
    ensure!(within, "requests_per_second: must be from 1 to {SOURCE_REQUESTS_PER_SECOND_MAX}");
    Ok(())
}

/// Whether a pattern means a kind: its name, or its family before `.*`.
pub(crate) fn matches(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix(".*") {
        Some(family) => kind.split_once('.').is_some_and(|(of, _)| of == family),
        None => pattern == kind,
    }
}

/// That there is one way to recognise it, and that it is whole.
fn check_proof(credential: &Credential, client_ca: bool) -> anyhow::Result<()> {
    let ways = usize::from(!credential.token_sha256.is_empty())
        + usize::from(credential.signature.is_some())
        + usize::from(credential.client_certificate.is_some());
    ensure!(ways == 1, "needs one of token_sha256, signature and client_certificate, has {ways}");
    let few = credential.token_sha256.len() <= CREDENTIAL_SECRETS_MAX;
    ensure!(few, "token_sha256: at most {CREDENTIAL_SECRETS_MAX}, the new one and the old one");
    for token in &credential.token_sha256 {
        check_digest("token_sha256", token)?;
    }
    if let Some(signature) = &credential.signature {
        signature.check()?;
    }
    let Some(certificate) = &credential.client_certificate else { return Ok(()) };
    ensure!(
        client_ca,
        "client_certificate: needs server.tls.client_ca_file, the authority that such certificates are of"
    );
    match (&certificate.sha256, &certificate.name) {
        (Some(digest), None) => check_digest("client_certificate.sha256", digest),
        (None, Some(name)) => {
            let is_name = rustls::pki_types::DnsName::try_from(name.as_str()).is_ok();
            ensure!(is_name, "client_certificate.name: `{name}` is no DNS name");
            Ok(())
        }
        _ => bail!("client_certificate: needs one of sha256 and name"),
    }
}

fn check_digest(field: &str, text: &str) -> anyhow::Result<()> {
    let digest = hex::decode(text).unwrap_or_default();
    ensure!(digest.len() == 32, "{field}: not 64 hexadecimal digits");
    ensure!(digest.iter().any(|byte| *byte != 0), "{field}: this is the example's; put the hash of a token of yours");
    Ok(())
}

/// That no secret means two sources.
fn check_pair(earlier: &Credential, later: &Credential) -> anyhow::Result<()> {
    let same = |one: &String, other: &String| one.eq_ignore_ascii_case(other);
    let twice = later.token_sha256.iter().any(|token| earlier.token_sha256.iter().any(|other| same(token, other)));
    ensure!(!twice, "token_sha256 is used twice; each source needs its own");
    let own = |one: &Credential| {
        let shown = one.client_certificate.as_ref()?;
        shown.sha256.as_ref().or(shown.name.as_ref()).map(|text| text.to_ascii_lowercase())
    };
    let twice = own(later).is_some() && own(later) == own(earlier);
    ensure!(!twice, "client_certificate is used twice; each source needs its own");
    let is_other = (&earlier.system, &earlier.source) != (&later.system, &later.source);
    let secrets = |one: &Credential| one.signature.as_ref().map(Signature::secrets).unwrap_or_default().to_vec();
    let shared = is_other && secrets(later).iter().any(|file| secrets(earlier).contains(file));
    ensure!(!shared, "signature.secret_files: a file is another source's too; each source needs its own");
    Ok(())
}

fn source_names(system: &System) -> String {
    system.sources.iter().map(|source| source.source.as_str()).collect::<Vec<_>>().join(", ")
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a list of texts")]
    enum Written {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Written::deserialize(deserializer)? {
        Written::One(one) => vec![one],
        Written::Several(several) => several,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVENTORY: &str = r#"
        [[systems]]
        id = "cold"
        sources = [{ source = "a", feed = "events" }, { source = "b", feed = "events" }]
    "#;

    fn check_text(proof: &str) -> Result<Vec<Credential>, String> {
        #[derive(Deserialize)]
        struct File {
            credentials: Vec<Credential>,
        }
        let bound = |source: &str| format!("[[credentials]]\nsystem='cold'\nsource='{source}'\nfeed='events'\n");
        let text = format!("{}{}", bound("a"), proof.replace("[b]\n", &bound("b")));
        let file: File = toml::from_str(&text).map_err(|error| error.to_string())?;
        let inventory = Inventory::parse("i.toml", INVENTORY).unwrap();
        check(&file.credentials, &Installed::default(), &inventory, true).map_err(|error| format!("{error:#}"))?;
        Ok(file.credentials)
    }

    fn hash(of: &str) -> String {
        of.repeat(32)
    }

    #[test]
    fn each_way_to_be_recognised_can_be_written() {
        for proof in [
            format!("token_sha256 = '{}'", hash("ab")),
            format!("token_sha256 = ['{}', '{}']\nkinds = ['session.*', 'source.heartbeat']", hash("ab"), hash("cd")),
            "signature = { scheme = 'standard-webhooks', secret_files = ['new', 'old'] }".to_owned(),
            "signature = { scheme = 'body-hmac', header = 'x-signature-sha256', secret_files = ['s'] }".to_owned(),
            "[credentials.signature]\nscheme = 'detached-jws'\nheader = 'Fireblocks-Webhook-Signature'\nkeys_file = 'k'\n\
             algorithms = ['RS512']"
                .to_owned(),
            "[credentials.signature]\nscheme = 'security-event-token'\nkeys_file = 'k'\nalgorithms = ['RS256']\n\
             issuer = 'https://i'\naudience = 'https://a'"
                .to_owned(),
            format!("client_certificate = {{ sha256 = '{}' }}\nrequests_per_second = 5", hash("ab")),
            "client_certificate = { name = 'mpc-1.example' }".to_owned(),
        ] {
            let read = check_text(&proof);
            assert!(read.is_ok(), "{proof}: {read:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        let token = format!("token_sha256 = '{}'\n", hash("ab"));
        let signature = |rest: &str| format!("signature = {{ {rest} }}");
        for (proof, said) in [
            (String::new(), "needs one of token_sha256, signature and client_certificate, has 0"),
            (format!("{token}client_certificate = {{ name = 'a.example' }}"), "has 2"),
            ("token_sha256 = ['secret']".into(), "64 hexadecimal"),
            (
                format!("token_sha256 = ['{}', '{}', '{}']", hash("01"), hash("02"), hash("03")),
                "the new one and the old",
            ),
            (format!("token_sha256 = '{}'", hash("00")), "the example's"),
            ("token_sha256 = 7".into(), "a text or a list"),
            (format!("{token}[b]\n{token}"), "used twice"),
            (format!("{token}kinds = ['session']"), "no kind `session`"),
            (format!("{token}kinds = ['sessions.*']"), "no kind `sessions.*`"),
            (format!("{token}requests_per_second = 0"), "from 1 to"),
            (signature("scheme = 'md5'"), "unknown variant `md5`"),
            (signature("scheme = 'standard-webhooks', secret_files = []"), "names no file"),
            (signature("scheme = 'standard-webhooks', secret_files = ['a', 'b', 'c']"), "at most 2"),
            (signature("scheme = 'standard-webhooks', secret_file = 'a'"), "secret_file"),
            (signature("scheme = 'body-hmac', header = 'a b', secret_files = ['a']"), "no name of a header"),
            (
                signature("scheme = 'detached-jws', header = 'x', keys_file = 'k', algorithms = ['none']"),
                "`none` is none of",
            ),
            (signature("scheme = 'detached-jws', header = 'x', keys_file = 'k', algorithms = []"), "names none"),
            ("client_certificate = {}".into(), "one of sha256 and name"),
            ("client_certificate = { name = 'a b' }".into(), "no DNS name"),
        ] {
            let refused = check_text(&proof).unwrap_err();
            assert!(refused.contains(said), "{proof}: {refused}");
        }
    }

    #[test]
    fn a_family_is_not_a_beginning() {
        assert!(matches("session.*", "session.started") && matches("session.started", "session.started"));
        assert!(!matches("sess.*", "session.started") && !matches("session.*", "sessionx.a") && !matches("*", "tick"));
    }
}
