//! Tokens that brokers want under OAUTHBEARER: from a file that somebody else keeps fresh, or from a provider (`OpenID Connect`)
//! by client credentials. What a token is good for it does not know.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use anyhow::{Context, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keywatch_store::Instant;
use keywatch_store::log::kafka::{Token, TokenSource};
use reqwest::Url;
use serde::Deserialize;

use crate::clock;
use crate::service::client_credentials::{self, Asked, secret};

/// `oauth` of `[log]` and `[intake]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OauthConfig {
    /// A file with a token, read again whenever one is asked for.
    pub(crate) token_file: PathBuf,
    /// Where the provider gives tokens.
    pub(crate) token_url: String,
    /// Who keywatch is to the provider.
    pub(crate) client_id: String,
    /// File with the secret that proves it.
    pub(crate) client_secret_file: PathBuf,
    /// What the token is to be good for, in the provider's words.
    pub(crate) scope: String,
}

/// What a token says of itself.
#[derive(Deserialize)]
struct Claims {
    /// Seconds.
    exp: i64,
    sub: Option<String>,
}

impl OauthConfig {
    /// The paths in it that are meant from where the file is.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.token_file, &mut self.client_secret_file].into_iter().filter(|file| !file.as_os_str().is_empty())
    }

    /// Whether nothing is said.
    pub(crate) fn is_empty(&self) -> bool {
        *self == OauthConfig::default()
    }

    /// Checks it beside the settings of librdkafka, both of `[section]`.
    ///
    /// # Errors
    /// Names the field and what to write instead.
    pub(crate) fn check(&self, section: &str, client: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let names = ["sasl.mechanism", "sasl.mechanisms"];
        let is_asked = names.iter().any(|name| client.get(*name).is_some_and(|mechanism| mechanism == "OAUTHBEARER"));
        if self.is_empty() {
            ensure!(
                !is_asked,
                "{section}.oauth: nothing says where tokens of OAUTHBEARER come from; name token_file, or token_url"
            );
            return Ok(());
        }
        ensure!(is_asked, "{section}.oauth: tokens are for \"sasl.mechanism\" = \"OAUTHBEARER\" in {section}.client");
        if !self.token_file.as_os_str().is_empty() {
            let alone = OauthConfig { token_file: self.token_file.clone(), ..OauthConfig::default() };
            ensure!(*self == alone, "{section}.oauth: a token comes from token_file or from token_url, not from both");
            return Ok(());
        }
        ensure!(!self.client_id.is_empty(), "{section}.oauth.client_id: the provider wants to know who asks");
        ensure!(
            !self.client_secret_file.as_os_str().is_empty(),
            "{section}.oauth.client_secret_file: name a file with the client's secret"
        );
        self.url().with_context(|| format!("{section}.oauth.token_url")).map(drop)
    }

    fn url(&self) -> anyhow::Result<Url> {
        let url = Url::parse(&self.token_url).with_context(|| format!("`{}` is no address", self.token_url))?;
        let is_bare = url.username().is_empty() && url.password().is_none();
        ensure!(is_bare, "credentials do not belong into the address; put the secret into client_secret_file");
        let is_loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let is_safe = url.scheme() == "https" || url.scheme() == "http" && is_loopback;
        ensure!(is_safe, "`{}` would send the secret in the clear; use https", self.token_url);
        Ok(url)
    }

    /// What gives tokens; `None` where none are wanted.
    pub(crate) fn source(&self) -> Option<TokenSource> {
        let config = (!self.is_empty()).then(|| self.clone())?;
        Some(TokenSource::new(move || config.token().map_err(|error| format!("{error:#}"))))
    }

    fn token(&self) -> anyhow::Result<Token> {
        if !self.token_file.as_os_str().is_empty() {
            let file = self.token_file.display();
            let token = secret(&self.token_file)?;
            let claims = claims(&token).with_context(|| format!("{file} holds no token that says when it expires"))?;
            return Ok(kafka_token(token, Some(claims), None));
        }
        // A thread of its own: clients of Kafka ask on whichever, on one of a runtime too.
        let asked = self.clone();
        let asking = thread::Builder::new().name("kafka-token".to_owned()).spawn(move || asked.ask());
        asking.context("cannot start a thread")?.join().map_err(|_| anyhow!("asking for a token panicked"))?
    }

    /// Asks the provider (RFC 6749, section 4.4).
    fn ask(&self) -> anyhow::Result<Token> {
        let (url, secret) = (self.url()?, secret(&self.client_secret_file)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let asked = Asked { url: &url, client_id: &self.client_id, secret: &secret, scope: &self.scope };
        let answer = runtime.block_on(client_credentials::ask(asked))?;
        let claims = claims(&answer.access_token);
        ensure!(
            claims.is_some() || answer.expires_in.is_some(),
            "{} gave a token and does not say when it expires",
            self.token_url
        );
        Ok(kafka_token(answer.access_token, claims, answer.expires_in))
    }
}

/// A token with what it says of itself, or what its provider said of it.
fn kafka_token(value: String, claims: Option<Claims>, seconds: Option<u32>) -> Token {
    const SECOND_NS: i64 = 1_000_000_000;
    let lasting = i64::from(seconds.unwrap_or_default()).saturating_mul(SECOND_NS);
    let said = claims.as_ref().map(|claims| Instant(claims.exp.saturating_mul(SECOND_NS)));
    let expires = said.unwrap_or_else(|| clock::now().saturating_add(lasting));
    let principal = claims.and_then(|claims| claims.sub).unwrap_or_else(|| "keywatch".to_owned());
    Token { value, principal, expires }
}

/// What a JSON Web Token says. Nothing is checked: that is the brokers' business.
fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?.trim_end_matches('=');
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use axum::Router;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::{IntoResponse, Json, Response};
    use serde_json::json;

    use super::*;

    type Spoil = fn(&mut OauthConfig);

    fn jwt(claims: &serde_json::Value) -> String {
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({ "alg": "RS256" })), part(claims))
    }

    fn of_provider(url: &str, secret: &Path) -> OauthConfig {
        OauthConfig {
            token_url: url.to_owned(),
            client_id: "key watch".to_owned(),
            client_secret_file: secret.to_owned(),
            scope: "kafka write".to_owned(),
            ..OauthConfig::default()
        }
    }

    /// A provider that gives whoever asks rightly a token of which it says how long it lasts.
    async fn provider(headers: HeaderMap, body: String) -> Response {
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("key watch:hush"));
        if headers["authorization"] != basic {
            return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
        }
        assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(body, "grant_type=client_credentials&scope=kafka+write");
        Json(json!({ "access_token": "opaque", "token_type": "Bearer", "expires_in": 300 })).into_response()
    }

    async fn ask(config: &OauthConfig) -> anyhow::Result<Token> {
        let config = config.clone();
        tokio::task::spawn_blocking(move || config.token()).await.unwrap()
    }

    #[tokio::test]
    async fn a_provider_gives_a_token_for_the_clients_credentials() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(provider)).await });
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        let config = of_provider(&url, &secret);
        let absent = format!("{:#}", ask(&config).await.unwrap_err());
        assert!(absent.contains("cannot read"), "{absent}");
        std::fs::write(&secret, "hush\n").unwrap();
        let before = clock::now();
        let token = ask(&config).await.unwrap();
        assert_eq!((token.value.as_str(), token.principal.as_str()), ("opaque", "keywatch"));
        let lasts = token.expires.0 - before.0;
        assert!((300_000_000_000..330_000_000_000).contains(&lasts), "{lasts} ns");
        std::fs::write(&secret, "wrong").unwrap();
        let refused = format!("{:#}", ask(&config).await.unwrap_err());
        assert!(
            refused.contains("401") && refused.contains("invalid_client") && !refused.contains("wrong"),
            "{refused}"
        );
    }

    #[test]
    fn a_file_is_read_whenever_a_token_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let config = OauthConfig { token_file: directory.path().join("token"), ..OauthConfig::default() };
        for (sub, exp) in [("one", 1_900_000_000_i64), ("two", 1_900_000_600)] {
            let given = jwt(&json!({ "sub": sub, "exp": exp }));
            std::fs::write(&config.token_file, format!("{given}\n")).unwrap();
            let expires = Instant(exp * 1_000_000_000);
            assert_eq!(config.token().unwrap(), Token { value: given, principal: sub.to_owned(), expires });
        }
        std::fs::write(&config.token_file, "opaque").unwrap();
        let refused = config.token().unwrap_err().to_string();
        assert!(refused.contains("says when it expires") && !refused.contains("opaque"), "{refused}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let client = BTreeMap::from([("sasl.mechanism".to_owned(), "OAUTHBEARER".to_owned())]);
        let whole = of_provider("https://idp.example/token", Path::new("secret"));
        assert!(whole.check("log", &client).is_ok() && OauthConfig::default().check("log", &BTreeMap::new()).is_ok());
        let unasked = whole.check("log", &BTreeMap::new()).unwrap_err().to_string();
        assert!(unasked.contains("OAUTHBEARER"), "{unasked}");
        let cases: [(Spoil, &str); 7] = [
            (|c| *c = OauthConfig::default(), "nothing says where tokens"),
            (|c| c.token_file = "token".into(), "not from both"),
            (|c| c.client_id.clear(), "client_id"),
            (|c| c.client_secret_file.clear(), "client_secret_file"),
            (|c| c.token_url = "http://idp.example/token".into(), "use https"),
            (|c| c.token_url = "idp".into(), "no address"),
            (|c| c.token_url = "https://a:b@idp.example/token".into(), "credentials do not belong"),
        ];
        for (spoil, expected) in cases {
            let mut config = whole.clone();
            spoil(&mut config);
            let error = format!("{:#}", config.check("log", &client).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
