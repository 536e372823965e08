//! Operators whom an identity provider names: bearer tokens of one pinned issuer for one audience. Its keys are fetched beside
//! the requests, so that nobody waits for the provider and nobody makes keywatch ask it more often. Tokens of the configuration
//! stay beside these: they are for the day on which the provider is down, or the attacker's.
//!
//! | module | what it does |
//! |---|---|
//! | [`sign_in`] | how people sign in at the provider for the page, and what they come back with |
//! | [`attempt`] | what ties one attempt to the browser that began it |

pub(crate) mod attempt;
pub(crate) mod sign_in;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, ensure};
use keywatch_ingest::signature::token::{Expected, bearer_token};
use keywatch_ingest::signature::{Algorithm, Keys, Refused};
use keywatch_store::Instant;
use reqwest::{Client, Url, redirect};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::limits::{
    OIDC_ANSWER_SECONDS_MAX, OIDC_KEYS_BYTES_MAX, OIDC_KEYS_NS_MAX, OIDC_KEYS_SECONDS, OIDC_KEYS_SECONDS_MIN,
    OIDC_NAME_BYTES_MAX, OIDC_TOKEN_SECONDS_MAX,
};
use crate::service::config::oidc::{self, Grant};
use crate::service::operators::{Configured, Operator};
use attempt::Attempt;
use sign_in::{SignIn, Trouble, check_id_token};

/// Why nobody is believed.
const NO_KEYS: &str = "the keys of the issuer are not known, or too old";

/// The identity provider that names operators.
pub(crate) struct Oidc {
    configured: oidc::Oidc,
    algorithms: Vec<Algorithm>,
    client: Client,
    keys_url: Url,
    /// What its tokens have to be, with its keys and when these were fetched.
    expected: RwLock<Option<(Arc<Expected>, Instant)>>,
    /// Somebody came with a token that these keys do not explain.
    wanted: Notify,
    /// They were asked for, and may have changed.
    looked: Notify,
    /// How people sign in on the page.
    sign_in: Option<SignIn>,
    /// Names of the configuration's operators, by each name of theirs in small letters.
    local: BTreeMap<String, Local>,
}

/// A name that the configuration has for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Local {
    /// The name of an operator, which is not the provider's to give.
    Own,
    /// Another name of this operator.
    AliasOf(String),
}

impl Oidc {
    /// From the configuration, which was checked. It has no keys yet.
    ///
    /// # Errors
    /// An address or a client that cannot be used.
    pub(crate) fn new(configured: &oidc::Oidc, operators: &[Configured]) -> anyhow::Result<Oidc> {
        let keys_url = oidc::keys_url(configured)?;
        let client =
            Client::builder().redirect(redirect::Policy::none()).timeout(Duration::from_secs(OIDC_ANSWER_SECONDS_MAX));
        // Without TLS a proxy could change the keys, which are not to leave this machine.
        let client = if keys_url.scheme() == "http" { client.no_proxy() } else { client }.build()?;
        let mut local = BTreeMap::new();
        for operator in operators {
            for alias in &operator.aliases {
                local.insert(alias.to_lowercase(), Local::AliasOf(operator.name.clone()));
            }
            local.insert(operator.name.to_lowercase(), Local::Own);
        }
        let sign_in = configured.sign_in.as_ref().map(|sign_in| SignIn::new(sign_in, &configured.issuer));
        Ok(Oidc {
            sign_in: sign_in.transpose().context("sign_in")?,
            looked: Notify::new(),
            algorithms: configured.algorithms.iter().filter_map(|name| Algorithm::named(name)).collect(),
            keys_url,
            configured: configured.clone(),
            client,
            expected: RwLock::default(),
            wanted: Notify::new(),
            local,
        })
    }

    /// The provider of the configuration, whose keys are fetched until `stopping` becomes true; `None` where there is none.
    ///
    /// # Errors
    /// As [`Oidc::new`].
    pub(crate) fn start(
        configured: Option<&oidc::Oidc>,
        operators: &[Configured],
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<Option<Arc<Oidc>>> {
        let Some(configured) = configured else { return Ok(None) };
        let oidc = Arc::new(Oidc::new(configured, operators).context("oidc")?);
        tokio::spawn(Arc::clone(&oidc).keep(stopping));
        Ok(Some(oidc))
    }

    /// The operator whose token this is.
    ///
    /// # Errors
    /// Why it is nobody's; nothing of it is secret.
    pub(crate) fn operator(&self, token: &[u8], now: Instant) -> Result<Operator, String> {
        let expected = self.expected(now).ok_or(NO_KEYS)?;
        let claims = self.claims(&expected, token, now).map_err(|refused| {
            // It may be signed with a key that is new.
            self.wanted.notify_one();
            refused.to_string()
        })?;
        self.granted(&claims)
    }

    /// How people sign in on the page, where they may.
    pub(crate) fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// The operator whose ID token of this attempt this is, and for how long it is good. Where it is signed with a key that is
    /// not known, or none are, the keys are waited for: the provider has just given it.
    ///
    /// # Errors
    /// [`Trouble::Token`] or [`Trouble::NotGranted`].
    pub(crate) async fn signed_in(
        &self,
        sign_in: &SignIn,
        token: &str,
        attempt: &Attempt,
    ) -> Result<(Operator, Duration), Trouble> {
        let client_id = sign_in.client_id();
        let looked = self.looked.notified();
        let claims = match self.id_token(client_id, token) {
            Err(refused) if refused.as_ref().is_none_or(Refused::is_of_unknown_key) => {
                self.wanted.notify_one();
                // Where nothing has changed by then, the next look says why.
                let _ = timeout(Duration::from_secs(OIDC_KEYS_SECONDS_MIN + OIDC_ANSWER_SECONDS_MAX), looked).await;
                self.id_token(client_id, token)
            }
            claims => claims,
        };
        let why = |refused: Option<Refused>| refused.map_or_else(|| NO_KEYS.to_owned(), |refused| refused.to_string());
        let claims = claims.map_err(|refused| Trouble::Token(why(refused)))?;
        check_id_token(&claims, client_id, &attempt.nonce).map_err(Trouble::Token)?;
        let operator = self.granted(&claims).map_err(Trouble::NotGranted)?;
        let expires = claims["exp"].as_i64().unwrap_or_default();
        let seconds = u64::try_from(expires.saturating_sub(clock::now().unix_seconds())).unwrap_or_default();
        if seconds == 0 {
            return Err(Trouble::Token("it has expired".to_owned()));
        }
        Ok((operator, Duration::from_secs(seconds)))
    }

    /// The claims of an ID token for this client; `None` as the reason where no keys are known.
    fn id_token(&self, client_id: &str, token: &str) -> Result<Value, Option<Refused>> {
        let now = clock::now();
        let Some(expected) = self.expected(now) else { return Err(None) };
        let expected = Expected { audience: client_id.to_owned(), ..Expected::clone(&expected) };
        self.claims(&expected, token.as_bytes(), now).map_err(Some)
    }

    fn claims(&self, expected: &Expected, token: &[u8], now: Instant) -> Result<Value, Refused> {
        let skew = i64::from(self.configured.clock_skew_seconds);
        bearer_token(expected, token, (skew, OIDC_TOKEN_SECONDS_MAX), now)
    }

    /// Who somebody with these claims is, and what they may do.
    fn granted(&self, claims: &Value) -> Result<Operator, String> {
        let name = self.name(claims)?;
        let fits = |grant: &&Grant| has(claims, &grant.claim, &grant.value);
        let granted = self.configured.grants.iter().find(fits);
        let Grant { roles, systems, .. } = granted.ok_or_else(|| format!("no grant fits {name}"))?;
        Ok(Operator::new(name, roles.clone(), systems.clone()))
    }

    fn expected(&self, now: Instant) -> Option<Arc<Expected>> {
        let expected = self.expected.read().unwrap_or_else(PoisonError::into_inner);
        let known = expected.as_ref().filter(|(_, fetched)| now <= fetched.saturating_add(OIDC_KEYS_NS_MAX));
        known.map(|(expected, _)| Arc::clone(expected))
    }

    /// The name that stands in records. One that another operator has would make two people one, or one two.
    fn name(&self, claims: &Value) -> Result<String, String> {
        let claim = &self.configured.name_claim;
        let name = at(claims, claim).and_then(Value::as_str).ok_or_else(|| format!("`{claim}` is no text"))?;
        let is_name = !name.is_empty() && name.trim() == name && name.len() <= OIDC_NAME_BYTES_MAX;
        if !is_name || name.chars().any(char::is_control) || name.eq_ignore_ascii_case("keywatch") {
            return Err(format!("`{claim}` is no name"));
        }
        // Some providers say it as a text.
        let is_yes = |verified: &Value| verified.as_bool() == Some(true) || verified.as_str() == Some("true");
        if claim == "email" && !claims.get("email_verified").is_none_or(is_yes) {
            return Err("nobody has verified that `email`".to_owned());
        }
        match self.local.get(&name.to_lowercase()) {
            None => Ok(name.to_owned()),
            Some(Local::AliasOf(operator)) => Ok(operator.clone()),
            Some(Local::Own) => Err(format!("an operator of the configuration is called {name}")),
        }
    }

    /// Fetches the keys now and again, and when somebody comes with a token that they do not explain.
    async fn keep(self: Arc<Oidc>, mut stopping: watch::Receiver<bool>) {
        loop {
            match self.fetch().await {
                Ok(keys) => self.adopt(keys, clock::now()),
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(url = %self.keys_url, error, "the keys of the issuer of operators' tokens cannot be fetched");
                }
            }
            self.looked.notify_waiters();
            let rest = Duration::from_secs(OIDC_KEYS_SECONDS - OIDC_KEYS_SECONDS_MIN);
            tokio::select! {
                () = stopped(&mut stopping) => return,
                () = sleep(Duration::from_secs(OIDC_KEYS_SECONDS_MIN)) => {}
            }
            if self.expected(clock::now()).is_some() {
                tokio::select! {
                    () = stopped(&mut stopping) => return,
                    () = sleep(rest) => {}
                    () = self.wanted.notified() => {}
                }
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<Keys> {
        let request = self.client.get(self.keys_url.clone()).header("accept", "application/json");
        let mut answer = request.send().await.map_err(reqwest::Error::without_url)?;
        ensure!(answer.status().is_success(), "it answered {}", answer.status());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            ensure!(body.len() <= OIDC_KEYS_BYTES_MAX, "it answered with more than {OIDC_KEYS_BYTES_MAX} bytes");
        }
        Ok(Keys::parse(&body)?)
    }

    fn adopt(&self, keys: Keys, now: Instant) {
        let expected = Expected {
            keys,
            algorithms: self.algorithms.clone(),
            issuer: self.configured.issuer.clone(),
            audience: self.configured.audience.clone(),
        };
        *self.expected.write().unwrap_or_else(PoisonError::into_inner) = Some((Arc::new(expected), now));
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender lives until a signal comes.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// A claim: of that name as it is, or `b` within `a` for `a.b`.
fn at<'a>(claims: &'a Value, claim: &str) -> Option<&'a Value> {
    claims.get(claim).or_else(|| claim.split('.').try_fold(claims, |value, name| value.get(name)))
}

/// Whether a claim is that text, or a list with it.
fn has(claims: &Value, claim: &str, value: &str) -> bool {
    match at(claims, claim) {
        Some(Value::String(text)) => text == value,
        Some(Value::Array(texts)) => texts.iter().any(|text| text.as_str() == Some(value)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
