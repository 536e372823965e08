//! Who sends: bearer tokens (RFC 6750 §2.1) against the SHA-256 of the tokens that the configuration lists.
//!
//! A token is hashed before it is compared, every entry is compared in constant time and none is skipped, so that the
//! time of an answer tells nothing of a token. Knows nothing of HTTP and stores nothing.

use keywatch_ingest::Feed;
use keywatch_ingest::feeds::mapping::installed::Installed;
use keywatch_store::event::Origin;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::limits::TOKEN_BYTES_MAX;
use crate::service::config;

/// A source that may send, by the feed it is read with.
#[derive(Clone)]
pub(crate) struct Credential {
    /// The system and the source that its events are written under.
    pub(crate) origin: Origin,
    /// The one feed it may use.
    pub(crate) feed: &'static dyn Feed,
    token_sha256: [u8; 32],
}

/// All sources that may send.
pub(crate) struct Credentials(Vec<Credential>);

impl Credentials {
    /// From the configuration.
    ///
    /// # Errors
    /// An unknown feed, or a hash that is none.
    pub(crate) fn new(configured: &[config::Credential], feeds: &Installed) -> anyhow::Result<Credentials> {
        let credential = |configured| Credential::new(configured, feeds);
        configured.iter().map(credential).collect::<anyhow::Result<_>>().map(Credentials)
    }

    /// Every source that may send.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.0.iter()
    }

    /// The source whose token an `Authorization` header carries.
    pub(crate) fn find(&self, authorization: Option<&[u8]>) -> Option<&Credential> {
        let token = bearer(authorization?)?;
        let presented: [u8; 32] = Sha256::digest(token).into();
        let mut found = u32::MAX;
        for (index, credential) in (0u32..).zip(&self.0) {
            let same: Choice = credential.token_sha256.ct_eq(&presented);
            found.conditional_assign(&index, same);
        }
        self.0.get(usize::try_from(found).ok()?)
    }
}

impl Credential {
    fn new(configured: &config::Credential, feeds: &Installed) -> anyhow::Result<Credential> {
        let mut token_sha256 = [0; 32];
        hex::decode_to_slice(&configured.token_sha256, &mut token_sha256)?;
        let origin = Origin { system: configured.system.clone(), source: configured.source.clone() };
        Ok(Credential { origin, feed: feeds.find(&configured.feed)?, token_sha256 })
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110 §11.1).
pub(crate) fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = authorization.split_at_checked(7)?;
    let token = token.trim_ascii();
    let fits = !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
    (scheme.eq_ignore_ascii_case(b"bearer ") && fits).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        let configured = ["one", "two"].map(|token| config::Credential {
            system: "s".into(),
            source: format!("source-{token}"),
            feed: "events".into(),
            token_sha256: hex::encode(Sha256::digest(token)),
        });
        Credentials::new(&configured, &Installed::default()).unwrap()
    }

    #[test]
    fn only_a_listed_token_is_somebody() {
        for (header, source) in [
            ("Bearer one", Some("source-one")),
            ("bearer  two ", Some("source-two")),
            ("Bearer three", None),
            ("Bearer ", None),
            ("Bearer", None),
            ("Basic one", None),
            ("one", None),
            ("", None),
        ] {
            let credentials = credentials();
            let found = credentials.find(Some(header.as_bytes())).map(|found| found.origin.source.as_str());
            assert_eq!(found, source, "{header}");
        }
        assert!(credentials().find(None).is_none());
        assert!(credentials().find(Some(format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1)).as_bytes())).is_none());
    }
}
