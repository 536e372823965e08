//! Sessions ended over the API of an identity provider: Okta, Microsoft Entra, Keycloak. A session that is ended by itself
//! goes by the identity provider's own id of it. Ending what has ended does no harm.

use keywatch_store::finding::Target;
use reqwest::{Method, Url};
use serde_json::Value;

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{HttpClient, Request, parse_url, refused};
use crate::delivery::sink::Attempt;
use crate::error::{Error, Fate};
use crate::response::ways::planning::{Reach, WayRules};
use crate::response::ways::{Asked, Token, Way, below, meaning};

/// Microsoft Graph, unless another cloud's is configured.
pub const GRAPH_URL: &str = "https://graph.microsoft.com";

/// Whose API it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Okta; the base address is that of the organisation.
    Okta,
    /// Microsoft Entra, over Microsoft Graph. It knows no single session.
    Entra,
    /// Keycloak; the base address is what stands before `/admin`.
    Keycloak {
        /// The realm.
        realm: String,
    },
}

/// How an identity provider is configured.
pub struct SessionApiSettings {
    /// Which responses go there, and when.
    pub rules: WayRules,
    /// Whose API it is.
    pub provider: Provider,
    /// Its base address.
    pub url: String,
    /// What it lets us in with.
    pub token: Token,
    /// Where it may be.
    pub addresses: AddressRules,
}

/// The way.
pub struct SessionApi {
    http: HttpClient,
    url: Url,
    settings: SessionApiSettings,
}

impl SessionApi {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed, or for what the API cannot do.
    pub fn new(settings: SessionApiSettings) -> Result<SessionApi, Error> {
        let name = &settings.rules.name;
        if settings.provider == Provider::Entra && settings.rules.reach == Reach::Sessions {
            return Err(refused(name, "Microsoft Entra ends no single session; write ends = \"person\""));
        }
        let url = parse_url(name, &settings.url)?;
        let http = HttpClient::new(name, &[&url], &settings.addresses)?;
        Ok(SessionApi { http, url, settings })
    }

    async fn end(&self, asked: Asked<'_>) -> Result<(), Error> {
        let token = (self.settings.token)().map_err(|problem| self.http.undelivered(&problem, Fate::Retry(None)))?;
        let authorization = authorization(&self.settings.provider, &token);
        let person = match (&self.settings.provider, asked.target) {
            (Provider::Keycloak { realm }, Target::Subject) => self.user(realm, asked.name, &authorization).await?,
            _ => asked.name.to_owned(),
        };
        let Some((method, url)) = call(&self.settings.provider, &self.url, asked.target, &person) else {
            return Err(self.http.undelivered(&format!("`{person}` cannot be a name there"), Fate::Dead));
        };
        let (answer, body) = self.http.exchange(method, request(url, &authorization)).await?;
        if answer.status == 404 {
            let problem =
                "it answered 404: it knows no such name; the session may have ended, or go by another name there";
            return Err(self.http.undelivered(problem, Fate::Dead));
        }
        let said: Value = serde_json::from_slice(&body).unwrap_or_default();
        if answer.status == 200 && said["value"] == false {
            return Err(self.http.undelivered("it answered 200, and that it did nothing", Fate::Retry(None)));
        }
        self.http.settle(&answer, meaning(&answer))
    }

    /// Keycloak's id of a person. It is asked for by name, then by address of the mail; one that is such an id stands for
    /// itself.
    async fn user(&self, realm: &str, name: &str, authorization: &str) -> Result<String, Error> {
        if is_uuid(name) {
            return Ok(name.to_owned());
        }
        for by in ["username", "email"] {
            let mut url = below(&self.url, &["admin", "realms", realm, "users"])
                .ok_or_else(|| self.http.undelivered("the realm cannot be one", Fate::Dead))?;
            url.query_pairs_mut().append_pair(by, name).append_pair("exact", "true").append_pair("max", "2");
            let (answer, body) = self.http.exchange(Method::GET, request(url, authorization)).await?;
            self.http.settle(&answer, meaning(&answer))?;
            let found: Value = serde_json::from_slice(&body).unwrap_or_default();
            let users = found.as_array().map(Vec::as_slice).unwrap_or_default();
            match users {
                [] => {}
                [user] => {
                    let id = user["id"].as_str().filter(|id| is_uuid(id));
                    let id = id.ok_or_else(|| self.http.undelivered("it names a person without an id", Fate::Dead))?;
                    return Ok(id.to_owned());
                }
                _ => return Err(self.http.undelivered(&format!("it knows several `{name}`"), Fate::Dead)),
            }
        }
        Err(self.http.undelivered(&format!("it knows nobody called `{name}`"), Fate::Dead))
    }
}

impl Way for SessionApi {
    fn rules(&self) -> &WayRules {
        &self.settings.rules
    }

    fn ask<'a>(&'a self, asked: Asked<'a>) -> Attempt<'a> {
        Box::pin(self.end(asked))
    }
}

/// Okta's own tokens have a scheme of their own; an access token has two full stops.
fn authorization(provider: &Provider, token: &str) -> String {
    let own = *provider == Provider::Okta && token.matches('.').count() != 2;
    format!("{} {token}", if own { "SSWS" } else { "Bearer" })
}

fn request(url: Url, authorization: &str) -> Request {
    let headers = vec![("accept", "application/json".to_owned()), ("authorization", authorization.to_owned())];
    Request { url, headers, body: Vec::new() }
}

/// What ends a session, or all sessions of a person.
fn call(provider: &Provider, base: &Url, target: Target, name: &str) -> Option<(Method, Url)> {
    let session = target == Target::Session;
    match provider {
        Provider::Okta if session => Some((Method::DELETE, below(base, &["api", "v1", "sessions", name])?)),
        Provider::Okta => {
            let mut url = below(base, &["api", "v1", "users", name, "sessions"])?;
            // Else what was got with the session goes on without it.
            url.query_pairs_mut().append_pair("oauthTokens", "true");
            Some((Method::DELETE, url))
        }
        Provider::Entra if session => None,
        Provider::Entra => Some((Method::POST, below(base, &["v1.0", "users", name, "revokeSignInSessions"])?)),
        Provider::Keycloak { realm } if session => {
            Some((Method::DELETE, below(base, &["admin", "realms", realm, "sessions", name])?))
        }
        Provider::Keycloak { realm } => {
            Some((Method::POST, below(base, &["admin", "realms", realm, "users", name, "logout"])?))
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts
            .iter()
            .zip(lengths)
            .all(|(part, length)| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_is_asked_as_it_is_written() {
        let base = Url::parse("https://id.example").unwrap();
        let keycloak = Provider::Keycloak { realm: "custody".into() };
        for (provider, target, expected) in [
            (&Provider::Okta, Target::Session, "DELETE https://id.example/api/v1/sessions/x"),
            (&Provider::Okta, Target::Subject, "DELETE https://id.example/api/v1/users/x/sessions?oauthTokens=true"),
            (&Provider::Entra, Target::Subject, "POST https://id.example/v1.0/users/x/revokeSignInSessions"),
            (&keycloak, Target::Session, "DELETE https://id.example/admin/realms/custody/sessions/x"),
            (&keycloak, Target::Subject, "POST https://id.example/admin/realms/custody/users/x/logout"),
        ] {
            let (method, url) = call(provider, &base, target, "x").unwrap();
            assert_eq!(format!("{method} {url}"), expected);
        }
        assert!(call(&Provider::Entra, &base, Target::Session, "x").is_none());
        assert!(call(&Provider::Okta, &base, Target::Subject, "..").is_none());
    }

    #[test]
    fn a_token_goes_with_its_own_scheme() {
        assert_eq!(authorization(&Provider::Okta, "00abc"), "SSWS 00abc");
        assert_eq!(authorization(&Provider::Okta, "a.b.c"), "Bearer a.b.c");
        assert_eq!(authorization(&Provider::Entra, "abc"), "Bearer abc");
    }

    #[test]
    fn an_id_is_told_from_a_name() {
        assert!(is_uuid("9f3b1a52-0c1d-4e5f-8a7b-6c5d4e3f2a1b"));
        assert!(
            !is_uuid("ann") && !is_uuid("9f3b1a52-0c1d-4e5f-8a7b") && !is_uuid("9f3b1a52-0c1d-4e5f-8a7b-6c5d4e3f2a1z")
        );
    }
}
