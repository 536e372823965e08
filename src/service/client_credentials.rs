//! Tokens that a provider gives keywatch for itself: by client credentials (RFC 6749, section 4.4). What a token is good for it
//! does not know.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_alerting::response::ways::Token;
use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::runtime::Handle;

use crate::clock;
use crate::limits::{TOKEN_LASTS_SECONDS, TOKEN_PROVIDER_BYTES_MAX, TOKEN_PROVIDER_SECONDS_MAX, TOKEN_RETRY_SECONDS};

/// What is asked for, and by whom.
pub(crate) struct Asked<'a> {
    /// Where the provider gives tokens.
    pub(crate) url: &'a Url,
    /// Who keywatch is to the provider.
    pub(crate) client_id: &'a str,
    /// What proves it.
    pub(crate) secret: &'a str,
    /// What the token is to be good for, in the provider's words; nothing for what it gives unasked.
    pub(crate) scope: &'a str,
}

/// What a provider answers.
#[derive(Deserialize)]
pub(crate) struct Granted {
    /// The token.
    pub(crate) access_token: String,
    /// For how many seconds it is good, where the provider says so.
    #[serde(default, deserialize_with = "seconds")]
    pub(crate) expires_in: Option<u32>,
}

/// A number of seconds, or its digits as a text: Microsoft Entra's first version says `"expires_in": "3599"`.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let said = match Option::<Value>::deserialize(deserializer)? {
        None => return Ok(None),
        Some(Value::String(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => text,
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => String::new(),
    };
    said.parse().map(Some).map_err(|_| D::Error::custom("expires_in: is no whole number of seconds"))
}

/// Asks the provider once.
///
/// # Errors
/// It does not answer, answers too much, or gives no token. No secret is told.
pub(crate) async fn ask(asked: Asked<'_>) -> anyhow::Result<Granted> {
    let Asked { url, client_id, secret, scope } = asked;
    let mut form = url.clone();
    form.query_pairs_mut().clear().append_pair("grant_type", "client_credentials");
    if !scope.is_empty() {
        form.query_pairs_mut().append_pair("scope", scope);
    }
    let form = form.query().unwrap_or_default().to_owned();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(TOKEN_PROVIDER_SECONDS_MAX));
    // Without TLS a proxy would read the secret, which is not to leave this machine.
    let client = if url.scheme() == "http" { client.no_proxy() } else { client }.build()?;
    let request = client.post(url.clone()).basic_auth(client_id, Some(secret)).body(form);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let mut answer = request.send().await.with_context(|| format!("{url} does not answer"))?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece);
        ensure!(body.len() <= TOKEN_PROVIDER_BYTES_MAX, "{url} answered too much");
    }
    if !status.is_success() {
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        bail!("{url} answered {status} {}", said["error"].as_str().unwrap_or_default());
    }
    serde_json::from_slice(&body).with_context(|| format!("{url} gave no token"))
}

/// The secret of a file, which may be replaced while keywatch runs.
///
/// # Errors
/// It cannot be read, or there is nothing in it.
pub(crate) fn secret(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let secret = text.trim();
    ensure!(!secret.is_empty(), "{} is empty", file.display());
    Ok(secret.to_owned())
}

/// Who keywatch is to a provider that it asks again and again.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Where the provider gives tokens.
    pub(crate) url: Url,
    /// Who keywatch is there.
    pub(crate) id: String,
    /// File with what proves it, read anew each time.
    pub(crate) secret_file: PathBuf,
    /// What tokens are to be good for.
    pub(crate) scope: String,
}

/// The last token, or why there is none.
struct Kept {
    token: Result<String, String>,
    expires: Instant,
}

impl Client {
    /// The token of now, asked for anew before it ends, for as long as somebody holds this.
    ///
    /// # Errors
    /// There is no runtime.
    pub(crate) fn token(self) -> anyhow::Result<Token> {
        let kept = Arc::new(Mutex::new(Kept {
            token: Err(format!("{} has given no token yet", self.url)),
            expires: Instant::UNASSIGNED,
        }));
        let runtime = Handle::try_current().context("a token is asked for beside everything else")?;
        runtime.spawn(self.keep(Arc::downgrade(&kept)));
        Ok(Arc::new(move || {
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.token.is_ok() && kept.expires <= clock::now() {
                return Err("the token has expired, and the provider gives no other".to_owned());
            }
            kept.token.clone()
        }))
    }

    async fn keep(self, kept: Weak<Mutex<Kept>>) {
        loop {
            let given = self.ask().await;
            let Some(kept) = kept.upgrade() else { return };
            let rest = note(&kept, given, &self.url);
            drop(kept);
            tokio::time::sleep(rest).await;
        }
    }

    async fn ask(&self) -> anyhow::Result<Granted> {
        let secret = secret(&self.secret_file)?;
        ask(Asked { url: &self.url, client_id: &self.id, secret: &secret, scope: &self.scope }).await
    }
}

/// Takes an answer; how long until the next question. A failure leaves the last token, which may still be good.
fn note(kept: &Mutex<Kept>, given: anyhow::Result<Granted>, url: &Url) -> Duration {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    match given {
        Ok(Granted { access_token, expires_in }) => {
            let seconds = expires_in.unwrap_or(TOKEN_LASTS_SECONDS);
            let lasts = i64::from(seconds).saturating_mul(SECOND_NS);
            *kept = Kept { token: Ok(access_token), expires: clock::now().saturating_add(lasts) };
            Duration::from_secs(u64::from(seconds) / 2).max(Duration::from_secs(TOKEN_RETRY_SECONDS))
        }
        Err(error) => {
            let problem = format!("{error:#}");
            tracing::warn!(%url, problem, "the provider gives no token");
            if kept.token.is_err() {
                kept.token = Err(problem);
            }
            Duration::from_secs(TOKEN_RETRY_SECONDS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_says_in_its_own_way_how_long_a_token_is_good() {
        let read = |said: &str| {
            let granted = serde_json::from_str::<Granted>(&format!("{{\"access_token\":\"t\"{said}}}"));
            granted.map(|granted| granted.expires_in).map_err(|error| error.to_string())
        };
        for (said, expected) in [
            ("", None),
            (",\"expires_in\":null", None),
            (",\"expires_in\":3599", Some(3_599)),
            (",\"expires_in\":\"3599\",\"ext_expires_in\":\"3599\"", Some(3_599)),
            (",\"expires_in\":0", Some(0)),
        ] {
            assert_eq!(read(said), Ok(expected), "{said}");
        }
        for said in
            ["\"soon\"", "\"\"", "\" 60\"", "\"+60\"", "\"4294967296\"", "-1", "1.5", "4294967296", "true", "[60]"]
        {
            let problem = read(&format!(",\"expires_in\":{said}")).unwrap_err();
            assert!(problem.contains("expires_in: is no whole number of seconds"), "{said}: {problem}");
        }
    }

    #[test]
    fn a_failure_leaves_the_last_token_for_as_long_as_it_is_good() {
        let url = Url::parse("https://id.example/token").unwrap();
        let kept = Mutex::new(Kept { token: Err("none yet".to_owned()), expires: Instant::UNASSIGNED });
        let token = || kept.lock().unwrap().token.clone();
        let retry = Duration::from_secs(TOKEN_RETRY_SECONDS);
        assert_eq!(note(&kept, Err(anyhow::anyhow!("down")), &url), retry);
        assert_eq!(token(), Err("down".to_owned()));
        let before = clock::now();
        let granted = |seconds| Ok(Granted { access_token: "t".to_owned(), expires_in: seconds });
        assert_eq!(note(&kept, granted(Some(3_600)), &url), Duration::from_mins(30));
        let expires = kept.lock().unwrap().expires;
        assert!(expires >= before.saturating_add(3_600 * SECOND_NS));
        assert_eq!(note(&kept, Err(anyhow::anyhow!("down")), &url), retry);
        assert_eq!(token(), Ok("t".to_owned()));
        assert_eq!(note(&kept, granted(Some(1)), &url), retry, "not more often than that");
    }
}
