//! Who sends: each credential stands for one source of one system, read by one feed.
//!
//! | module | by what it is recognised |
//! |---|---|
//! | here | a bearer token (RFC 6750 §2.1), against the SHA-256 that the configuration lists; a client certificate |
//! | `signed` | a signature over the raw body |
//! | `replays` | the signed messages that were taken already |
//! | [`current`] | all of them as they are configured now |
//! | [`refused`], [`prints`] | those that are configured and taken no more, and fingerprints by which they are known |
//! | [`accepting`] | what of them a process says to take, where others evaluate |
//!
//! A token is hashed before it is compared, every entry is compared in constant time and none is skipped, so that the
//! time of an answer tells nothing of a token.

pub(crate) mod accepting;
pub(crate) mod current;
pub(crate) mod prints;
pub(crate) mod refused;
mod replays;
mod signed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, ensure};
use axum::http::HeaderMap;
use keywatch_ingest::feeds::events::Events;
use keywatch_ingest::feeds::mapping::installed::Installed;
use keywatch_ingest::{Feed, Problem};
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant};
use rustls::pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tokio::sync::watch;

use self::prints::{Refused, print, print_of_file, prints_of_secret};
use self::replays::Replays;
pub(super) use self::replays::{Claim, Repeated};
use self::signed::Signed;
pub(super) use self::signed::Unproven;
use super::turns::Turns;
use crate::limits::{SIGNED_WITHOUT_TIME_FUTURE_SECONDS_MAX, SIGNED_WITHOUT_TIME_SECONDS_MAX, TOKEN_BYTES_MAX};
use crate::service::config::credential::{self as config, matches};
use crate::service::source::Source;

/// The credentials as they are now.
pub(crate) type Current = watch::Receiver<Arc<Credentials>>;

/// A source that may send, by the feed it is read with.
pub(crate) struct Credential {
    /// The system and the source that its events are written under.
    pub(crate) origin: Origin,
    /// The one feed it may use.
    pub(crate) feed: &'static dyn Feed,
    /// The kinds it may write; empty for all that a source may write.
    kinds: Vec<String>,
    proof: Proof,
    /// Fingerprints of what it is recognised by.
    prints: Vec<String>,
    of_source: Arc<OfSource>,
}

/// What all credentials of a source share.
struct OfSource {
    /// Requests a second, as configured.
    rate: Option<u32>,
    turns: Turns,
    replays: Arc<Replays>,
}

enum Proof {
    /// SHA-256 of the tokens.
    Tokens(Vec<[u8; 32]>),
    Signed(Signed),
    /// SHA-256 of the certificate.
    Certificate([u8; 32]),
    /// A name that the certificate is for.
    Named(ServerName<'static>),
}

/// What a sender shows of itself before its body comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// SHA-256 of a bearer token.
    Token([u8; 32]),
    /// A certificate. TLS has checked who issued it.
    Certificate(CertificateDer<'static>),
}

impl Shown {
    /// The token that an `Authorization` header carries.
    pub(super) fn token(authorization: &[u8]) -> Option<Shown> {
        bearer(authorization).map(|token| Shown::Token(Sha256::digest(token).into()))
    }
}

/// All sources that may send.
#[derive(Default)]
pub(crate) struct Credentials {
    all: Vec<Arc<Credential>>,
    /// By system and name; also of those that may send no more, since what they had signed must stay known.
    sources: BTreeMap<(String, String), Arc<OfSource>>,
    refused: Refused,
}

impl Credentials {
    /// From the configuration; reads the files of secrets and keys.
    ///
    /// # Errors
    /// An unknown feed, a hash that is none, a file that cannot be read or holds nothing usable.
    pub(crate) fn new(configured: &[config::Credential], feeds: &Installed) -> anyhow::Result<Credentials> {
        Credentials::default().renewed(configured, feeds)
    }

    /// As configured now: its sources keep their turns and what was signed by them.
    ///
    /// # Errors
    /// As of [`Credentials::new`]; two sources know one secret.
    fn renewed(&self, configured: &[config::Credential], feeds: &Installed) -> anyhow::Result<Credentials> {
        let (mut all, mut sources) = (Vec::new(), self.sources.clone());
        for (index, one) in configured.iter().enumerate() {
            let same = configured.iter().filter(|other| (&other.system, &other.source) == (&one.system, &one.source));
            let rate = same.filter_map(|other| other.requests_per_second).min();
            let key = (one.system.clone(), one.source.clone());
            let of_source = match sources.get(&key) {
                Some(known) if known.rate == rate => Arc::clone(known),
                known => {
                    let replays = known.map(|known| Arc::clone(&known.replays)).unwrap_or_default();
                    Arc::new(OfSource { rate, turns: Turns::new(rate), replays })
                }
            };
            sources.insert(key, Arc::clone(&of_source));
            let credential = Credential::new(one, feeds, of_source);
            let credential = credential.with_context(|| format!("credentials[{index}] (source `{}`)", one.source))?;
            all.push(Arc::new(credential));
        }
        check_secrets(configured)?;
        Ok(Credentials { all, sources, refused: Arc::clone(&self.refused) })
    }

    /// The same, where these are refused and no others.
    fn refusing(&self, refused: Refused) -> Credentials {
        Credentials { all: self.all.clone(), sources: self.sources.clone(), refused }
    }

    /// Whether these are refused and no others.
    fn refuses(&self, refused: &Refused) -> bool {
        self.refused == *refused
    }

    /// Fingerprints of all that a source is recognised by, as far as it is not refused.
    fn prints(&self, system: &str, source: &str) -> BTreeSet<String> {
        let own = self.all.iter().filter(|one| one.origin.system == system && one.origin.source == source);
        own.flat_map(|one| &one.prints).filter(|print| !self.refuses_print(system, source, print)).cloned().collect()
    }

    /// The same of every source of a system, by name.
    fn taken(&self, system: &str) -> BTreeMap<String, BTreeSet<String>> {
        let own = self.all.iter().filter(|one| one.origin.system == system);
        let names: BTreeSet<&str> = own.map(|one| one.origin.source.as_str()).collect();
        names.into_iter().map(|name| (name.to_owned(), self.prints(system, name))).collect()
    }

    /// Whether a fingerprint is refused as that source's.
    fn refuses_print(&self, system: &str, source: &str, print: &str) -> bool {
        let of = |(of_system, of_source): &(String, String)| of_system == system && of_source == source;
        self.refused.iter().any(|(name, prints)| of(name) && prints.contains(print))
    }

    fn is_taken(&self, credential: &Credential) -> bool {
        let Origin { system, source } = &credential.origin;
        !credential.prints.iter().any(|print| self.refuses_print(system, source, print))
    }

    /// Every credential.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.all.iter().map(AsRef::as_ref)
    }

    /// The source that shows this.
    pub(super) fn find(&self, shown: &Shown) -> Option<&Arc<Credential>> {
        match shown {
            Shown::Token(presented) => self.with_token(presented),
            Shown::Certificate(certificate) => self.with_certificate(certificate),
        }
    }

    fn with_token(&self, presented: &[u8; 32]) -> Option<&Arc<Credential>> {
        let mut found = u32::MAX;
        for (index, credential) in (0u32..).zip(&self.all) {
            let Proof::Tokens(tokens) = &credential.proof else { continue };
            for token in tokens {
                let same: Choice = token.ct_eq(presented);
                found.conditional_assign(&index, same);
            }
        }
        let credential = self.all.get(usize::try_from(found).ok()?)?;
        // Of the two tokens of a source, one may be refused.
        let Origin { system, source } = &credential.origin;
        (!self.refuses_print(system, source, &print("token", presented))).then_some(credential)
    }

    fn with_certificate(&self, certificate: &CertificateDer<'_>) -> Option<&Arc<Credential>> {
        let digest: [u8; 32] = Sha256::digest(certificate).into();
        let parsed = rustls::server::ParsedCertificate::try_from(certificate).ok()?;
        let credential = self.all.iter().find(|credential| match &credential.proof {
            Proof::Certificate(own) => *own == digest,
            Proof::Named(name) => rustls::client::verify_server_name(&parsed, name).is_ok(),
            Proof::Tokens(_) | Proof::Signed(_) => false,
        });
        credential.filter(|credential| self.is_taken(credential))
    }

    /// The credentials of a source whose requests are signed.
    pub(super) fn signed(&self, feed: &str, system: &str, source: &str) -> Vec<Arc<Credential>> {
        let of = |credential: &&Arc<Credential>| {
            matches!(credential.proof, Proof::Signed(_))
                && credential.is_of(feed, system, source)
                && self.is_taken(credential)
        };
        self.all.iter().filter(of).cloned().collect()
    }
}

impl Credential {
    fn new(configured: &config::Credential, feeds: &Installed, of_source: Arc<OfSource>) -> anyhow::Result<Credential> {
        let origin = Origin { system: configured.system.clone(), source: configured.source.clone() };
        let proof = match (&configured.signature, &configured.client_certificate) {
            (Some(signature), _) => Proof::Signed(Signed::new(signature)?),
            (None, Some(config::ClientCertificate { name: Some(name), .. })) => {
                Proof::Named(ServerName::try_from(name.clone())?)
            }
            (None, Some(certificate)) => Proof::Certificate(digest(certificate.sha256.as_deref().unwrap_or_default())?),
            (None, None) => {
                Proof::Tokens(configured.token_sha256.iter().map(|text| digest(text)).collect::<anyhow::Result<_>>()?)
            }
        };
        let (feed, kinds) = (feeds.find(&configured.feed)?, configured.kinds.clone());
        let prints = prints(configured, &proof)?;
        Ok(Credential { origin, feed, kinds, proof, prints, of_source })
    }

    /// What its source says of itself: the same source with the same kinds, its words read as keywatch's own lines. Nobody is
    /// recognised by it.
    pub(super) fn of_itself(&self) -> Credential {
        Credential {
            origin: self.origin.clone(),
            feed: &Events,
            kinds: self.kinds.clone(),
            proof: Proof::Tokens(Vec::new()),
            prints: Vec::new(),
            of_source: Arc::clone(&self.of_source),
        }
    }

    /// Whose word it is, and by which feed it is read.
    pub(crate) fn source(&self) -> Source<'_> {
        Source { origin: &self.origin, feed: self.feed }
    }

    /// The turns of its source.
    pub(super) fn turns(&self) -> &Turns {
        &self.of_source.turns
    }

    /// Whether it is of that source.
    pub(super) fn is_of(&self, feed: &str, system: &str, source: &str) -> bool {
        self.feed.name() == feed && self.origin.system == system && self.origin.source == source
    }

    /// Whether both speak for one source, by one feed.
    pub(super) fn speaks_as(&self, other: &Credential) -> bool {
        self.is_of(other.feed.name(), &other.origin.system, &other.origin.source)
    }

    /// Whether its requests are answered as RFC 8935 says.
    pub(super) fn is_pushed_token(&self) -> bool {
        matches!(&self.proof, Proof::Signed(signed) if signed.is_pushed_token())
    }

    /// Whether a signed request is its source's; a claim says that the request cannot come again.
    pub(super) fn check(&self, headers: &HeaderMap, body: &[u8], now: Instant) -> Result<Option<Claim>, Unproven> {
        match &self.proof {
            Proof::Signed(signed) => signed.check(headers, body, now, &self.of_source.replays),
            _ => Err(Unproven::Refused("requests of this source are not signed".to_owned())),
        }
    }

    /// Whether an old request of it is refused whatever it holds: not so under a signature that holds no time.
    pub(crate) fn is_of_its_time(&self) -> bool {
        !matches!(&self.proof, Proof::Signed(signed) if !signed.is_of_its_time())
    }

    /// The kinds of events that its source can tell of.
    pub(crate) fn kinds(&self) -> BTreeSet<&'static str> {
        let mut kinds = self.feed.makes();
        kinds.retain(|kind| self.kinds.is_empty() || self.kinds.iter().any(|pattern| matches(pattern, kind)));
        kinds
    }

    /// Whether it may write an event: one of its kinds; and under a signature that holds no time, one so young that a replay
    /// is known by its id.
    pub(crate) fn judge(&self, event: &Event, now: Instant) -> Result<(), Problem> {
        if !self.kinds.is_empty() && !self.kinds.iter().any(|pattern| matches(pattern, event.kind())) {
            return Err(Problem::new("kind", format!("this credential may not write `{}`", event.kind())));
        }
        let (at, seconds) = (event.event_time(), |seconds: i64| seconds.saturating_mul(SECOND_NS));
        let too_old = at < now.saturating_add(seconds(-SIGNED_WITHOUT_TIME_SECONDS_MAX));
        let too_new = at > now.saturating_add(seconds(SIGNED_WITHOUT_TIME_FUTURE_SECONDS_MAX));
        if !self.is_of_its_time() && (too_old || too_new) {
            let reason = "the signature holds no time, so that a replay of an event that is so far from now could not be \
                          told from it; bring it in with `keywatch import`";
            return Err(Problem::new("event_time", reason));
        }
        Ok(())
    }
}

/// That no secret is known to two sources, in copies of its file or in another form either: each could write as the other. Keys of those who sign
/// are public, and a provider signs for all of its sources with the same.
fn check_secrets(configured: &[config::Credential]) -> anyhow::Result<()> {
    let mut owners = BTreeMap::new();
    for (index, one) in configured.iter().enumerate() {
        let source = (one.system.as_str(), one.source.as_str());
        for file in one.signature.iter().flat_map(config::Signature::secrets) {
            for form in prints_of_secret(file)? {
                let owner = *owners.entry(form).or_insert(source);
                ensure!(
                    owner == source,
                    "credentials[{index}] (source `{}`): signature.secret_files: {} holds a secret of source `{}` too; each \
                     source needs its own",
                    source.1,
                    file.display(),
                    owner.1
                );
            }
        }
    }
    Ok(())
}

/// Fingerprints of what a credential is recognised by.
fn prints(configured: &config::Credential, proof: &Proof) -> anyhow::Result<Vec<String>> {
    match proof {
        Proof::Tokens(tokens) => Ok(tokens.iter().map(|token| print("token", token)).collect()),
        Proof::Certificate(digest) => Ok(vec![print("certificate", digest)]),
        Proof::Named(name) => Ok(vec![print("name", name.to_str().to_ascii_lowercase().as_bytes())]),
        Proof::Signed(_) => {
            let files = configured.signature.iter().flat_map(config::Signature::files);
            files.map(|file| print_of_file(file)).collect()
        }
    }
}

fn digest(text: &str) -> anyhow::Result<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest)?;
    Ok(digest)
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110 §11.1).
pub(crate) fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    bearer_within(authorization, TOKEN_BYTES_MAX)
}

/// The same, where a token may have so many bytes.
pub(crate) fn bearer_within(authorization: &[u8], bytes_max: usize) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let token = token.trim_ascii();
    let fits = !token.is_empty() && token.len() <= bytes_max;
    (scheme.eq_ignore_ascii_case(b"bearer ") && fits).then_some(token)
}

#[cfg(test)]
mod tests;
