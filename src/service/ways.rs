//! `[[identity_providers]]` and `[[signer_freezes]]` of the configuration, made into the ways of alerting. Reads secret files;
//! sends nothing. A token is read again at each use, so that one that was replaced needs no restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use keywatch_alerting::Way;
use keywatch_alerting::response::ways::Token;
use keywatch_alerting::response::ways::caep::{Caep, CaepSettings, SubjectFormat};
use keywatch_alerting::response::ways::freeze::{Freeze, FreezeSettings};
use keywatch_alerting::response::ways::jws::TokenKey;
use keywatch_alerting::response::ways::planning::{Reach, WayRules, When};
use keywatch_alerting::response::ways::session_api::{GRAPH_URL, Provider, SessionApi, SessionApiSettings};
use keywatch_store::time::SECOND_NS;
use reqwest::Url;

use crate::clock;
use crate::service::client_credentials::{Client, secret};
use crate::service::config::way::{
    ClientCredentials, Ends, IdentityProvider, IdentityProviderKind, SignerFreeze, SubjectFormatName, WhenGone,
};
use crate::service::config::{Config, is_private};
use crate::service::receivers;
use crate::service::text_file::read;

/// Every way of the configuration.
///
/// # Errors
/// A secret file that cannot be read or holds no secret, an address that is refused, a field that is missing.
pub(crate) fn ways(config: &Config) -> anyhow::Result<Vec<Arc<dyn Way>>> {
    let providers = config
        .identity_providers
        .iter()
        .map(|provider| identity_provider(provider).with_context(|| format!("identity provider `{}`", provider.name)));
    let freezes = config
        .signer_freezes
        .iter()
        .map(|configured| freeze(configured).with_context(|| format!("signer freeze `{}`", configured.name)));
    providers.chain(freezes).collect()
}

fn identity_provider(configured: &IdentityProvider) -> anyhow::Result<Arc<dyn Way>> {
    let is_caep = configured.kind == IdentityProviderKind::Caep;
    let of_caep = [&configured.issuer, &configured.audience, &configured.key_id, &configured.subject_issuer];
    let any_of_caep = of_caep.into_iter().any(Option::is_some)
        || configured.key_file.is_some()
        || configured.subject_format.is_some();
    ensure!(is_caep || !any_of_caep, "issuer, audience, key_id, key_file and subject_…: only for kind = \"caep\"");
    let is_keycloak = configured.kind == IdentityProviderKind::Keycloak;
    ensure!(is_keycloak == configured.realm.is_some(), "realm: for kind = \"keycloak\", and for no other");
    let has_token = configured.token_file.is_some() || configured.client_credentials.is_some();
    let in_the_clear = has_token && configured.addresses.allow_plain_http;
    ensure!(
        !in_the_clear || configured.token_over_plain_http,
        "allow_plain_http lets the address be without TLS, not the token: use https, or say token_over_plain_http = true"
    );
    let reach = match configured.ends {
        Ends::Person => Reach::People,
        Ends::Session => Reach::Sessions,
    };
    let rules = WayRules {
        name: configured.name.clone(),
        system: configured.system.clone(),
        needs_approval: configured.approval,
        when: when(configured.when),
        reach,
        give_up_ns: hours(configured.give_up_hours),
    };
    if is_caep {
        return caep(configured, rules);
    }
    let token = token_of(configured)?.context("token_file: it lets nobody in without a token")?;
    let url = match (&configured.url, configured.kind) {
        (Some(url), _) => url.clone(),
        (None, IdentityProviderKind::Entra) => GRAPH_URL.to_owned(),
        (None, _) => anyhow::bail!("url: the base address of its API"),
    };
    let provider = match (configured.kind, &configured.realm) {
        (IdentityProviderKind::Keycloak, Some(realm)) => Provider::Keycloak { realm: realm.clone() },
        (IdentityProviderKind::Entra, _) => Provider::Entra,
        _ => Provider::Okta,
    };
    let addresses = configured.addresses.rules()?;
    let settings = SessionApiSettings { rules, provider, url, token, addresses };
    Ok(Arc::new(SessionApi::new(settings)?))
}

fn caep(configured: &IdentityProvider, rules: WayRules) -> anyhow::Result<Arc<dyn Way>> {
    let needed = |name: &str, field: &Option<String>| field.clone().with_context(|| format!("{name} is missing"));
    let subjects = match (configured.subject_format.unwrap_or_default(), &configured.subject_issuer) {
        (SubjectFormatName::IssSub, Some(issuer)) => SubjectFormat::IssSub { issuer: issuer.clone() },
        (SubjectFormatName::IssSub, None) => anyhow::bail!("subject_format = \"iss_sub\" needs subject_issuer"),
        (SubjectFormatName::Email, _) => SubjectFormat::Email,
        (SubjectFormatName::Opaque, _) => SubjectFormat::Opaque,
    };
    let file = configured.key_file.as_deref().context("key_file is missing")?;
    let key = TokenKey::from_pem(&needed("key_id", &configured.key_id)?, &read(file)?)
        .map_err(|problem| anyhow::anyhow!("{}: {problem}", file.display()))?;
    let settings = CaepSettings {
        rules,
        url: needed("url", &configured.url)?,
        issuer: needed("issuer", &configured.issuer)?,
        audience: needed("audience", &configured.audience)?,
        key,
        subjects,
        token: token_of(configured)?,
        addresses: configured.addresses.rules()?,
    };
    Ok(Arc::new(Caep::new(settings, Arc::new(clock::now))?))
}

/// What it lets keywatch in with: the token of a file, or one that a provider gives.
fn token_of(configured: &IdentityProvider) -> anyhow::Result<Option<Token>> {
    match (&configured.token_file, &configured.client_credentials) {
        (Some(_), Some(_)) => anyhow::bail!("a token comes from token_file or by client_credentials, not from both"),
        (Some(file), None) => token(file).map(Some),
        (None, Some(client)) => {
            let url = Url::parse(&client.token_url).context("client_credentials.token_url: is no address")?;
            ensure!(
                is_private(&url),
                "client_credentials.token_url: `{url}` would send the secret in the clear; use https"
            );
            let ClientCredentials { client_id, client_secret_file, scope, .. } = client.clone();
            secret(&client_secret_file)?;
            Client { url, id: client_id, secret_file: client_secret_file, scope }.token().map(Some)
        }
        (None, None) => Ok(None),
    }
}

fn freeze(configured: &SignerFreeze) -> anyhow::Result<Arc<dyn Way>> {
    let rules = WayRules {
        name: configured.name.clone(),
        system: configured.system.clone(),
        needs_approval: configured.approval,
        when: when(configured.when),
        reach: Reach::Wallets(configured.wallets.iter().cloned().collect()),
        give_up_ns: hours(configured.give_up_hours),
    };
    let settings = FreezeSettings {
        rules,
        url: configured.url.clone(),
        secrets: receivers::secrets(&configured.secret_files)?,
        addresses: configured.addresses.rules()?,
    };
    Ok(Arc::new(Freeze::new(settings, Arc::new(clock::now))?))
}

fn when(configured: WhenGone) -> When {
    match configured {
        WhenGone::Always => When::Always,
        WhenGone::Unreachable => When::Unreachable,
    }
}

fn hours(hours: u32) -> i64 {
    i64::from(hours).saturating_mul(3_600 * SECOND_NS)
}

/// The token of a file, as it stands there at each use. One that cannot be read leaves the last: it may be half written.
fn token(file: &Path) -> anyhow::Result<Token> {
    let last = Mutex::new(line(file)?);
    let file: PathBuf = file.to_owned();
    Ok(Arc::new(move || {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match line(&file) {
            Ok(token) => *last = token,
            Err(error) => tracing::warn!(%error, "a token cannot be read again; the last one is used"),
        }
        Ok(last.clone())
    }))
}

fn line(file: &Path) -> anyhow::Result<String> {
    let token = read(file)?.trim().to_owned();
    let is_token = !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
    ensure!(is_token, "{}: holds no token, or more than one", file.display());
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_changes_is_used_from_then_on_and_one_that_cannot_be_read_leaves_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("idp.token");
        assert!(token(&file).is_err(), "there is no file");
        std::fs::write(&file, "first\n").unwrap();
        let token = token(&file).unwrap();
        assert_eq!(token().unwrap(), "first");
        std::fs::write(&file, "second\n").unwrap();
        assert_eq!(token().unwrap(), "second");
        for broken in ["", "two\nlines"] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(token().unwrap(), "second", "{broken:?}");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(token().unwrap(), "second");
    }

    #[tokio::test]
    async fn a_token_by_client_credentials_is_asked_for_and_no_secret_goes_in_the_clear() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let answer = || async { "{\"access_token\":\"given\",\"expires_in\":300}" };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/token", axum::routing::post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("secret");
        std::fs::write(&file, "hush").unwrap();
        let of = |url: &str, more: &str| {
            let text = format!(
                "kind = 'okta'\nname = 'a'\nsystem = 'cold'\nurl = 'https://id.example'\n{more}\n\
                 client_credentials = {{ token_url = '{url}', client_id = 'keywatch', client_secret_file = '{}' }}",
                file.display()
            );
            token_of(&toml::from_str(&text).unwrap())
        };
        let problem = |made: anyhow::Result<Option<Token>>| format!("{:#}", made.err().unwrap());
        assert!(problem(of("http://id.example/token", "")).contains("in the clear"));
        assert!(problem(of(&url, "token_file = 'okta.token'")).contains("not from both"));
        let token = of(&url, "").unwrap().unwrap();
        let given = async {
            while token().as_deref() != Ok("given") {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), given).await.expect("it is asked for at once");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("t"), "token").unwrap();
        let head = format!(
            "name = 'a'\nsystem = 'cold'\nurl = 'https://id.example'\ntoken_file = '{}'\n",
            directory.path().join("t").display()
        );
        for (text, expected) in [
            ("kind = 'okta'", ""),
            ("kind = 'keycloak'\nrealm = 'custody'\nends = 'session'", ""),
            ("kind = 'keycloak'", "realm"),
            ("kind = 'okta'\nissuer = 'https://kw.example'", "only for kind = \"caep\""),
            ("kind = 'entra'\nends = 'session'", "ends no single session"),
            ("kind = 'caep'", "key_file is missing"),
            ("kind = 'okta'\naddresses = { allow_networks = ['ten'] }", "allow_networks"),
            ("kind = 'okta'\naddresses = { allow_plain_http = true }", "token_over_plain_http"),
            ("kind = 'okta'\naddresses = { allow_plain_http = true }\ntoken_over_plain_http = true", ""),
        ] {
            let configured: IdentityProvider = toml::from_str(&format!("{head}{text}")).unwrap();
            let error = identity_provider(&configured).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains(expected) && error.is_empty() == expected.is_empty(), "{text}\n{error}");
        }
    }
}
