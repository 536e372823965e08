//! `[oidc.sign_in]` of the configuration: how people sign in on the page by the identity provider. Data and its checks.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use reqwest::Url;
use serde::Deserialize;

use super::is_private;

/// Where the provider sends people back to, on any host that browsers know keywatch by.
pub(crate) const CALLBACK_PATH: &str = "/page/sign-in/callback";

/// How people sign in on the page.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    /// Who keywatch is at the provider; `aud` of the ID tokens that it gives.
    pub(crate) client_id: String,
    /// File with what proves it, read anew each time; none for a public client.
    pub(crate) client_secret_file: Option<PathBuf>,
    /// How that is sent.
    #[serde(default)]
    pub(crate) client_authentication: ClientAuthentication,
    /// Where the provider sends people back to, letter by letter as it stands there.
    pub(crate) redirect_uri: String,
    /// What is asked for; `openid` is among it.
    #[serde(default = "scopes")]
    pub(crate) scopes: Vec<String>,
    /// Where people sign in; without it, the provider's discovery document says so.
    pub(crate) authorization_url: Option<String>,
    /// Where codes are exchanged; without it, the provider's discovery document says so.
    pub(crate) token_url: Option<String>,
    /// Networks of your own in which the provider is, in CIDR notation.
    #[serde(default)]
    pub(crate) allow_networks: Vec<String>,
}

/// How a client proves who it is (`OpenID Connect` Core 1.0, section 9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClientAuthentication {
    /// `client_secret_basic`: in a header.
    #[default]
    Basic,
    /// `client_secret_post`: in the form.
    Post,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(str::to_owned).to_vec()
}

impl SignIn {
    /// Where people sign in and where codes are exchanged, in that order; `None` where the provider is asked for it.
    ///
    /// # Errors
    /// One of them is missing, is no address, or has no TLS.
    pub(crate) fn endpoints(&self) -> anyhow::Result<Option<[Url; 2]>> {
        match (&self.authorization_url, &self.token_url) {
            (None, None) => Ok(None),
            (Some(authorization), Some(token)) => {
                let authorization = private(authorization).context("authorization_url")?;
                Ok(Some([authorization, private(token).context("token_url")?]))
            }
            _ => anyhow::bail!(
                "authorization_url and token_url: give both, or none where the issuer's document names them"
            ),
        }
    }
}

/// Where an issuer describes itself (`OpenID Connect` Discovery 1.0, section 4).
///
/// # Errors
/// The issuer is no address, or has no TLS.
pub(crate) fn discovery_url(issuer: &str) -> anyhow::Result<Url> {
    private(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
}

/// An address over which nobody in between can read or change anything.
///
/// # Errors
/// It is none.
pub(crate) fn private(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text).with_context(|| format!("`{text}` is no address"))?;
    ensure!(is_private(&url), "`{url}` could be read and changed on its way; use https");
    Ok(url)
}

/// Checks it.
///
/// # Errors
/// Each names the field and what to write instead.
pub(super) fn check(configured: &SignIn, issuer: &str) -> anyhow::Result<()> {
    ensure!(!configured.client_id.trim().is_empty(), "client_id: is empty");
    let has_secret = configured.client_secret_file.is_some();
    let is_default = configured.client_authentication == ClientAuthentication::default();
    ensure!(has_secret || is_default, "client_authentication: a public client, without client_secret_file, has none");
    let redirect = private(&configured.redirect_uri).context("redirect_uri")?;
    let is_bare = redirect.query().is_none() && redirect.fragment().is_none() && redirect.username().is_empty();
    ensure!(
        is_bare && redirect.path() == CALLBACK_PATH,
        "redirect_uri: must end with {CALLBACK_PATH}, e.g. https://keywatch.example.net{CALLBACK_PATH}"
    );
    // RFC 6749, appendix A.4.
    let is_scope = |scope: &String| {
        !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
    };
    ensure!(configured.scopes.iter().all(is_scope), "scopes: one word each");
    ensure!(configured.scopes.iter().any(|scope| scope == "openid"), "scopes: without `openid` there is no ID token");
    if configured.endpoints()?.is_none() {
        discovery_url(issuer).context("without authorization_url and token_url the issuer is asked for them")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        const ISSUER: &str = "https://id.example/realms/custody/";
        let good = || SignIn {
            client_id: "keywatch-page".into(),
            client_secret_file: None,
            client_authentication: ClientAuthentication::Basic,
            redirect_uri: "https://keywatch.example.net/page/sign-in/callback".into(),
            scopes: scopes(),
            authorization_url: None,
            token_url: None,
            allow_networks: Vec::new(),
        };
        check(&good(), ISSUER).unwrap();
        check(&SignIn { redirect_uri: "http://127.0.0.1:8040/page/sign-in/callback".into(), ..good() }, ISSUER)
            .unwrap();
        let endpoints = |authorization: &str, token: &str| SignIn {
            authorization_url: Some(authorization.to_owned()),
            token_url: Some(token.to_owned()),
            ..good()
        };
        check(&endpoints("https://id.example/authorize", "https://id.example/token"), "any words").unwrap();
        let back_to = |redirect_uri: &str| SignIn { redirect_uri: redirect_uri.to_owned(), ..good() };
        for (wrong, expected) in [
            (SignIn { client_id: " ".into(), ..good() }, "client_id"),
            (SignIn { client_authentication: ClientAuthentication::Post, ..good() }, "a public client"),
            (back_to("http://keywatch.example.net/page/sign-in/callback"), "use https"),
            (back_to("https://keywatch.example.net/page"), "must end with /page/sign-in/callback"),
            (back_to("https://keywatch.example.net/page/sign-in/callback?a=b"), "must end with"),
            (back_to("callback"), "is no address"),
            (SignIn { scopes: vec!["openid email".into()], ..good() }, "one word each"),
            (SignIn { scopes: vec!["email".into()], ..good() }, "without `openid`"),
            (SignIn { token_url: Some("https://id.example/token".into()), ..good() }, "give both"),
            (endpoints("http://id.example/authorize", "https://id.example/token"), "authorization_url"),
            (endpoints("https://id.example/authorize", "http://id.example/token"), "token_url"),
        ] {
            let problem = format!("{:#}", check(&wrong, ISSUER).unwrap_err());
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(format!("{:#}", check(&good(), "http://id.example").unwrap_err()).contains("the issuer is asked"));
        assert_eq!(
            discovery_url(ISSUER).unwrap().as_str(),
            "https://id.example/realms/custody/.well-known/openid-configuration"
        );
    }
}
