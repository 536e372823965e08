//! Signing in at the identity provider: `OpenID Connect`'s authorization code flow with PKCE (`OpenID Connect` Core 1.0, section 3.1;
//! RFC 7636). Where people are sent, and which ID token their code is exchanged for; whose that is it does not know.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use keywatch_alerting::delivery::guard::{AddressRules, GuardedResolver};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::Deserialize;
use serde_json::Value;
use subtle::ConstantTimeEq;
use tokio::sync::{Mutex, Semaphore};

use super::attempt::{Attempt, Attempts};
use crate::clock;
use crate::limits::{
    OIDC_ANSWER_SECONDS_MAX, OIDC_KEYS_BYTES_MAX, OIDC_KEYS_SECONDS, OIDC_KEYS_SECONDS_MIN,
    OIDC_SIGN_INS_CONCURRENT_MAX, TOKEN_PROVIDER_BYTES_MAX,
};
use crate::service::client_credentials::secret;
use crate::service::config::sign_in::{self as config, ClientAuthentication, discovery_url, private};
use crate::service::receivers::address_rules;

/// Why nobody has signed in. What stands in it is for the log: nothing of it is secret, and nothing is shown to a stranger.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The provider does not answer, or not as agreed.
    Unreachable(String),
    /// The provider does not take the code, or what keywatch says of itself.
    Refused(String),
    /// Its ID token is not what was agreed.
    Token(String),
    /// It is somebody, who may do nothing here.
    NotGranted(String),
    /// Too many sign in at once.
    Busy,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Unreachable(why) | Trouble::Refused(why) | Trouble::Token(why) | Trouble::NotGranted(why) => {
                f.write_str(why)
            }
            Trouble::Busy => write!(f, "{OIDC_SIGN_INS_CONCURRENT_MAX} sign in already"),
        }
    }
}

/// How people sign in at the provider.
pub(crate) struct SignIn {
    configured: config::SignIn,
    issuer: String,
    /// The host on which they do, for people to read.
    host: String,
    rules: AddressRules,
    client: Client,
    attempts: Attempts,
    found: Mutex<Found>,
    turns: Semaphore,
}

/// Where people sign in, and where codes are exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoints {
    authorization: Url,
    token: Url,
}

/// What is known of the endpoints.
#[derive(Default)]
struct Found {
    endpoints: Option<Endpoints>,
    /// When they were found; never for those of the configuration, which hold for ever.
    at: Option<Instant>,
    /// When the provider was asked last.
    asked: Option<Instant>,
}

impl Found {
    /// Whether to ask now: what is known is old, and nobody has asked just before.
    fn is_due(&self, now: Instant) -> bool {
        let passed = |since: Option<Instant>, seconds: u64| {
            since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(seconds))
        };
        let is_old = if self.at.is_some() { passed(self.at, OIDC_KEYS_SECONDS) } else { self.endpoints.is_none() };
        is_old && passed(self.asked, OIDC_KEYS_SECONDS_MIN)
    }
}

/// What an issuer says of itself (`OpenID Connect` Discovery 1.0, section 3), as far as it is asked for.
#[derive(Deserialize)]
struct Described {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
}

/// What a code is exchanged for (`OpenID Connect` Core 1.0, section 3.1.3.3), as far as it is used.
#[derive(Deserialize)]
struct Exchanged {
    id_token: String,
}

impl SignIn {
    /// From the configuration, which was checked. It asks nobody yet.
    ///
    /// # Errors
    /// A network, an address or a secret that cannot be used, or there is no randomness.
    pub(crate) fn new(configured: &config::SignIn, issuer: &str) -> anyhow::Result<SignIn> {
        let rules = address_rules(&configured.allow_networks, false)?;
        if let Some(file) = &configured.client_secret_file {
            secret(file)?;
        }
        let known = configured.endpoints()?;
        let shown = match &known {
            Some([authorization, _]) => authorization.clone(),
            None => discovery_url(issuer)?,
        };
        let endpoints = known.map(|[authorization, token]| Endpoints { authorization, token });
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            // A proxy would connect for us, to addresses that nobody looked at.
            .no_proxy()
            .dns_resolver(GuardedResolver(rules.clone()))
            .timeout(Duration::from_secs(OIDC_ANSWER_SECONDS_MAX))
            .build()?;
        Ok(SignIn {
            configured: configured.clone(),
            issuer: issuer.to_owned(),
            host: shown.host_str().unwrap_or_default().to_owned(),
            rules,
            client,
            attempts: Attempts::new()?,
            found: Mutex::new(Found { endpoints, ..Found::default() }),
            turns: Semaphore::new(OIDC_SIGN_INS_CONCURRENT_MAX),
        })
    }

    /// Where people sign in, for them to read.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Who keywatch is at the provider.
    pub(crate) fn client_id(&self) -> &str {
        &self.configured.client_id
    }

    /// Whether the provider sends people back over TLS, whatever is said of the connection that arrives here.
    pub(crate) fn comes_back_over_tls(&self) -> bool {
        Url::parse(&self.configured.redirect_uri).is_ok_and(|url| url.scheme() == "https")
    }

    /// Whether an answer is this issuer's, where it says whose it is (RFC 9207).
    pub(crate) fn is_of_issuer(&self, issuer: Option<&str>) -> bool {
        issuer.is_none_or(|issuer| issuer == self.issuer)
    }

    /// Begins to sign somebody in who wants to go on to `onward`: where to send them, and what their browser is to keep.
    ///
    /// # Errors
    /// [`Trouble::Unreachable`].
    pub(crate) async fn begin(&self, onward: &str) -> Result<(Url, String), Trouble> {
        let unreachable = |error: anyhow::Error| Trouble::Unreachable(format!("{error:#}"));
        let Endpoints { authorization: mut url, .. } = self.endpoints().await.map_err(unreachable)?;
        let attempt = self.attempts.begin(onward, clock::now()).map_err(unreachable)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.configured.client_id)
            .append_pair("redirect_uri", &self.configured.redirect_uri)
            .append_pair("scope", &self.configured.scopes.join(" "))
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok((url, attempt.cookie))
    }

    /// The attempt with which a browser comes back; `None` where it is not the one that was sent, or too late.
    pub(crate) fn resume(&self, cookie: &str, state: &str) -> Option<Attempt> {
        self.attempts.resume(cookie, state, clock::now())
    }

    /// The ID token for a code.
    ///
    /// # Errors
    /// [`Trouble::Busy`], [`Trouble::Unreachable`] or [`Trouble::Refused`].
    pub(crate) async fn exchange(&self, code: &str, attempt: &Attempt) -> Result<String, Trouble> {
        let _turn = self.turns.try_acquire().map_err(|_| Trouble::Busy)?;
        let unreachable = |error: anyhow::Error| Trouble::Unreachable(format!("{error:#}"));
        let endpoints = self.endpoints().await.map_err(unreachable)?;
        let request = self.token_request(&endpoints.token, code, attempt).map_err(unreachable)?;
        let (status, body) =
            self.send(request, &endpoints.token, TOKEN_PROVIDER_BYTES_MAX).await.map_err(unreachable)?;
        if status.is_client_error() {
            let said: Value = serde_json::from_slice(&body).unwrap_or_default();
            let why: String = said["error"].as_str().unwrap_or_default().chars().take(64).collect();
            return Err(Trouble::Refused(format!("it answered {status} {}", why.escape_debug())));
        }
        if !status.is_success() {
            return Err(Trouble::Unreachable(format!("it answered {status}")));
        }
        let exchanged: Result<Exchanged, _> = serde_json::from_slice(&body);
        // What it says otherwise may be secret.
        exchanged.map(|exchanged| exchanged.id_token).map_err(|_| Trouble::Token("it gave no ID token".to_owned()))
    }

    fn token_request(&self, url: &Url, code: &str, attempt: &Attempt) -> anyhow::Result<RequestBuilder> {
        let config::SignIn { client_id, client_secret_file, client_authentication, redirect_uri, .. } =
            &self.configured;
        let secret = client_secret_file.as_deref().map(secret).transpose()?;
        let request = self.client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri.as_str()),
            ("code_verifier", attempt.verifier.as_str()),
        ];
        let request = match (&secret, client_authentication) {
            // Each of them in the form of a form (RFC 6749, section 2.3.1). Some refuse who says twice who they are.
            (Some(secret), ClientAuthentication::Basic) => {
                request.basic_auth(escaped(client_id), Some(escaped(secret)))
            }
            (secret, _) => {
                fields.push(("client_id", client_id.as_str()));
                fields.extend(secret.as_ref().map(|secret| ("client_secret", secret.as_str())));
                request
            }
        };
        Ok(request.body(form(&fields)))
    }

    /// Where the provider is asked for what; its own word for it is good for a while, and longer where it does not answer.
    async fn endpoints(&self) -> anyhow::Result<Endpoints> {
        let mut found = self.found.lock().await;
        let now = Instant::now();
        if found.is_due(now) {
            found.asked = Some(now);
            match self.describe().await {
                Ok(endpoints) => (found.endpoints, found.at) = (Some(endpoints), Some(now)),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(issuer = self.issuer, error, "the issuer does not say where people sign in");
                }
            }
        }
        found.endpoints.clone().context("the issuer has not said where people sign in")
    }

    async fn describe(&self) -> anyhow::Result<Endpoints> {
        let url = discovery_url(&self.issuer)?;
        let request = self.client.get(url.clone()).header("accept", "application/json");
        let (status, body) = self.send(request, &url, OIDC_KEYS_BYTES_MAX).await?;
        ensure!(status.is_success(), "{url} answered {status}");
        let Described { issuer, authorization_endpoint, token_endpoint } =
            serde_json::from_slice(&body).with_context(|| format!("{url} is no discovery document"))?;
        ensure!(issuer == self.issuer, "{url} is of another issuer than the one that was agreed");
        let authorization = private(&authorization_endpoint).context("authorization_endpoint")?;
        Ok(Endpoints { authorization, token: private(&token_endpoint).context("token_endpoint")? })
    }

    /// What is answered, where it is no longer than `bytes_max`. The address is looked at here where it is no name, which the
    /// resolver would see.
    async fn send(
        &self,
        request: RequestBuilder,
        url: &Url,
        bytes_max: usize,
    ) -> anyhow::Result<(reqwest::StatusCode, Vec<u8>)> {
        if let Err(problem) = self.rules.check_url(url) {
            bail!("{problem}");
        }
        let mut answer = request.send().await.with_context(|| format!("{url} does not answer"))?;
        let (status, mut body) = (answer.status(), Vec::new());
        while let Some(chunk) = answer.chunk().await.with_context(|| format!("{url} breaks off"))? {
            body.extend_from_slice(&chunk);
            ensure!(body.len() <= bytes_max, "{url} answered with more than {bytes_max} bytes");
        }
        Ok((status, body))
    }
}

/// Checks what an ID token says beyond what every token does (`OpenID Connect` Core 1.0, section 3.1.3.7): that it is of this
/// attempt, and for keywatch where it is for others as well.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check_id_token(claims: &Value, client_id: &str, nonce: &str) -> Result<(), String> {
    let said = claims["nonce"].as_str().unwrap_or_default();
    if !bool::from(said.as_bytes().ct_eq(nonce.as_bytes())) {
        return Err("`nonce` is not that of this attempt".to_owned());
    }
    let is_for_several = claims["aud"].as_array().is_some_and(|audiences| audiences.len() > 1);
    match claims.get("azp") {
        None if is_for_several => Err("`aud` names several, and there is no `azp`".to_owned()),
        Some(party) if party.as_str() != Some(client_id) => Err("`azp` is another client".to_owned()),
        _ => Ok(()),
    }
}

/// Fields as `application/x-www-form-urlencoded`.
fn form(fields: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://form/").expect("it is an address");
    url.query_pairs_mut().extend_pairs(fields);
    url.query().unwrap_or_default().to_owned()
}

/// A text as a value in such a form.
fn escaped(text: &str) -> String {
    form(&[("", text)]).trim_start_matches('=').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_id_token_is_of_the_attempt_and_for_keywatch() {
        let check = |claims: &Value| check_id_token(claims, "keywatch", "n");
        for good in [
            json!({ "nonce": "n", "aud": "keywatch" }),
            json!({ "nonce": "n", "aud": ["keywatch"], "azp": "keywatch" }),
            json!({ "nonce": "n", "aud": ["keywatch", "other"], "azp": "keywatch" }),
        ] {
            assert_eq!(check(&good), Ok(()), "{good}");
        }
        for (claims, said) in [
            (json!({ "aud": "keywatch" }), "`nonce`"),
            (json!({ "nonce": "", "aud": "keywatch" }), "`nonce`"),
            (json!({ "nonce": "m", "aud": "keywatch" }), "`nonce`"),
            (json!({ "nonce": ["n"], "aud": "keywatch" }), "`nonce`"),
            (json!({ "nonce": "n", "aud": ["keywatch", "other"] }), "no `azp`"),
            (json!({ "nonce": "n", "aud": "keywatch", "azp": "other" }), "another client"),
            (json!({ "nonce": "n", "aud": "keywatch", "azp": null }), "another client"),
        ] {
            assert!(check(&claims).unwrap_err().contains(said), "{claims}");
        }
    }

    #[test]
    fn what_is_not_known_is_asked_for_and_not_again_at_once() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        assert!(Found::default().is_due(now));
        let in_vain = Found { asked: Some(now), ..Found::default() };
        assert!(!in_vain.is_due(after(14)) && in_vain.is_due(after(15)));
        let url = Url::parse("https://id.example/").unwrap();
        let endpoints = Some(Endpoints { authorization: url.clone(), token: url });
        let found = Found { endpoints: endpoints.clone(), at: Some(now), asked: Some(now) };
        assert!(!found.is_due(after(599)) && found.is_due(after(600)));
        assert!(!Found { endpoints, ..Found::default() }.is_due(after(10_000)), "the configuration's word stands");
    }

    #[test]
    fn fields_and_secrets_are_escaped_as_in_a_form() {
        assert_eq!(form(&[("code", "a&b=c d"), ("state", "ü")]), "code=a%26b%3Dc+d&state=%C3%BC");
        assert_eq!(escaped("a:b~c=d"), "a%3Ab%7Ec%3Dd");
        assert_eq!(escaped("=a"), "%3Da");
    }
}
