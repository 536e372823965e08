//! One attempt to sign in: what goes along to the identity provider and has to come back. Nothing is kept of it here, so that
//! nobody can push others' attempts out: the browser has a cookie with a random text, and all else is derived from that with a
//! key of this process. Pure but for randomness; takes the time as an argument.
//!
//! The cookie is `<unix seconds>.<random>.<where to go on>`. Whoever has it knows neither what of it stands in the provider's
//! address nor the code verifier.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use keywatch_store::Instant;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::limits::{OIDC_SIGN_IN_PATH_BYTES_MAX, OIDC_SIGN_IN_SECONDS_MAX};

/// Bytes of the key, and of the random text.
const RANDOM_BYTES: usize = 32;

/// What attempts are derived with.
pub(crate) struct Attempts([u8; RANDOM_BYTES]);

/// An attempt.
pub(crate) struct Attempt {
    /// What the browser keeps meanwhile.
    pub(crate) cookie: String,
    /// `state`: comes back with the code, from the browser that was sent (RFC 6749, section 10.12).
    pub(crate) state: String,
    /// `nonce`: stands in the ID token of this attempt and in no other.
    pub(crate) nonce: String,
    /// `code_verifier`: who exchanges the code is who asked for it (RFC 7636).
    pub(crate) verifier: String,
    /// Where to go on.
    pub(crate) onward: String,
}

impl Attempts {
    /// With a new key.
    ///
    /// # Errors
    /// There is no randomness on this machine.
    pub(crate) fn new() -> anyhow::Result<Attempts> {
        random().map(Attempts)
    }

    /// A new attempt of somebody who wants to go on to `onward`.
    ///
    /// # Errors
    /// As [`Attempts::new`].
    pub(crate) fn begin(&self, onward: &str, now: Instant) -> anyhow::Result<Attempt> {
        let onward = if onward.len() <= OIDC_SIGN_IN_PATH_BYTES_MAX { onward } else { "" };
        let random = hex::encode(random()?);
        let cookie = format!("{}.{random}.{}", now.unix_seconds(), BASE64.encode(onward));
        Ok(self.derive(cookie, onward.to_owned()))
    }

    /// The attempt of a browser with this cookie, where it comes back in time and with the `state` that it was sent with.
    pub(crate) fn resume(&self, cookie: &str, state: &str, now: Instant) -> Option<Attempt> {
        let (begun, rest) = cookie.split_once('.')?;
        let (_, onward) = rest.split_once('.')?;
        let passed = now.unix_seconds().checked_sub(begun.parse().ok()?)?;
        if !u64::try_from(passed).is_ok_and(|passed| passed <= OIDC_SIGN_IN_SECONDS_MAX) {
            return None;
        }
        let onward = String::from_utf8(BASE64.decode(onward).ok()?).ok()?;
        let attempt = self.derive(cookie.to_owned(), onward);
        bool::from(attempt.state.as_bytes().ct_eq(state.as_bytes())).then_some(attempt)
    }

    fn derive(&self, cookie: String, onward: String) -> Attempt {
        let [state, nonce, verifier] = ["state", "nonce", "verifier"].map(|what| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
            mac.update(what.as_bytes());
            mac.update(b".");
            mac.update(cookie.as_bytes());
            BASE64.encode(mac.finalize().into_bytes())
        });
        Attempt { cookie, state, nonce, verifier, onward }
    }
}

impl Attempt {
    /// `code_challenge` by the method `S256`.
    pub(crate) fn challenge(&self) -> String {
        BASE64.encode(Sha256::digest(&self.verifier))
    }
}

fn random() -> anyhow::Result<[u8; RANDOM_BYTES]> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("there is no randomness on this machine: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_unix_seconds(1_740_116_560 + seconds).unwrap()
    }

    #[test]
    fn who_comes_back_in_time_with_what_they_were_sent_with_goes_on() {
        let attempts = Attempts::new().unwrap();
        let begun = attempts.begin("/page/incidents/a%2Fb?c=d", at(0)).unwrap();
        let resumed = attempts.resume(&begun.cookie, &begun.state, at(600)).unwrap();
        assert_eq!(resumed.onward, "/page/incidents/a%2Fb?c=d");
        assert_eq!((&resumed.nonce, &resumed.verifier), (&begun.nonce, &begun.verifier));
        // RFC 7636, section 4.1: 43 characters at least, all of them unreserved.
        assert!(begun.verifier.len() == 43 && begun.challenge().len() == 43 && begun.challenge() != begun.verifier);
        assert!(begun.state != begun.nonce && begun.nonce != begun.verifier && begun.state != begun.verifier);
        let long = attempts.begin(&"/page?a=".repeat(1_000), at(0)).unwrap();
        assert!(long.onward.is_empty() && long.cookie.len() < 200);
    }

    #[test]
    fn nobody_else_does() {
        let (attempts, others) = (Attempts::new().unwrap(), Attempts::new().unwrap());
        let [one, other] = [(); 2].map(|()| attempts.begin("/page", at(0)).unwrap());
        let (begun, _) = one.cookie.split_once('.').unwrap();
        let later = one.cookie.replacen(begun, &(begun.parse::<i64>().unwrap() + 1).to_string(), 1);
        let elsewhere = format!("{}A", one.cookie);
        let (cookie_of_one, state_of_one) = (one.cookie.as_str(), one.state.as_str());
        for (what, cookie, state, seconds) in [
            ("too late", cookie_of_one, state_of_one, 601),
            ("before it began", cookie_of_one, state_of_one, -1),
            ("another attempt's state", cookie_of_one, other.state.as_str(), 1),
            ("no state", cookie_of_one, "", 1),
            ("another browser's cookie", other.cookie.as_str(), state_of_one, 1),
            ("a time of its own", later.as_str(), state_of_one, 1),
            ("another place", elsewhere.as_str(), state_of_one, 1),
            ("no cookie", "", state_of_one, 1),
            ("no time", "soon.a.b", state_of_one, 1),
        ] {
            assert!(attempts.resume(cookie, state, at(seconds)).is_none(), "{what}");
        }
        assert!(others.resume(&one.cookie, &one.state, at(1)).is_none(), "another process");
    }
}
