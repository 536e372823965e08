//! CAEP `session-revoked` (CAEP 1.0) as a security event token (RFC 8417), pushed to a receiver of shared signals (RFC
//! 8935): one token for each name, signed anew at each attempt, its `jti` the same, so that a receiver takes it once.

use keywatch_store::Instant;
use keywatch_store::finding::Target;
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{HttpClient, Request, parse_url};
use crate::delivery::sink::Attempt;
use crate::delivery::webhook::WallClock;
use crate::error::{Error, Fate};
use crate::lifecycle::action::derive_id;
use crate::response::intent::{Response, word};
use crate::response::ways::jws::TokenKey;
use crate::response::ways::planning::WayRules;
use crate::response::ways::{Asked, Token, Way, meaning};

/// The event.
pub const SESSION_REVOKED: &str = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";

/// How a person is named to the receiver (RFC 9493).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectFormat {
    /// By the address of their mail, which is their name here.
    Email,
    /// By issuer and subject: the identity provider's own identifier, and their name here.
    IssSub {
        /// The issuer.
        issuer: String,
    },
    /// By their name here and nothing else.
    Opaque,
}

/// How a receiver is configured.
pub struct CaepSettings {
    /// Which responses go there, and when.
    pub rules: WayRules,
    /// Where tokens are pushed to.
    pub url: String,
    /// `iss`, as the receiver knows keywatch.
    pub issuer: String,
    /// `aud`, as the receiver calls itself.
    pub audience: String,
    /// What signs.
    pub key: TokenKey,
    /// How people are named.
    pub subjects: SubjectFormat,
    /// What the receiver asks for in `Authorization`, where it asks for something.
    pub token: Option<Token>,
    /// Where it may be.
    pub addresses: AddressRules,
}

/// The way.
pub struct Caep {
    http: HttpClient,
    url: Url,
    settings: CaepSettings,
    clock: WallClock,
}

impl Caep {
    /// Prepares a client; nothing is sent yet. `clock` dates each token.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed.
    pub fn new(settings: CaepSettings, clock: WallClock) -> Result<Caep, Error> {
        let url = parse_url(&settings.rules.name, &settings.url)?;
        let http = HttpClient::new(&settings.rules.name, &[&url], &settings.addresses)?;
        Ok(Caep { http, url, settings, clock })
    }

    fn subject(&self, asked: &Asked<'_>) -> Result<Value, String> {
        let person = |name: &str| match &self.settings.subjects {
            SubjectFormat::Email if !name.contains('@') => {
                Err(format!("`{name}` is no address of a mail; see subject_format"))
            }
            SubjectFormat::Email => Ok(json!({ "format": "email", "email": name })),
            SubjectFormat::IssSub { issuer } => Ok(json!({ "format": "iss_sub", "iss": issuer, "sub": name })),
            SubjectFormat::Opaque => Ok(json!({ "format": "opaque", "id": name })),
        };
        if asked.target != Target::Session {
            return person(asked.name);
        }
        // Whose session it is stands in it where that can be said: a receiver may look for it by the person.
        let mut subject = json!({ "format": "complex", "session": { "format": "opaque", "id": asked.name } });
        let only = asked.response.targets.sessions.len() == 1;
        if let Some(Ok(user)) = asked.response.actor.as_deref().filter(|_| only).map(person) {
            subject["user"] = user;
        }
        Ok(subject)
    }

    fn token(&self, asked: &Asked<'_>) -> Result<String, String> {
        let settings = &self.settings;
        let subject = self.subject(asked)?;
        settings.key.sign("secevent+jwt", &claims(settings, asked, &subject, (self.clock)()))
    }

    async fn push(&self, asked: Asked<'_>) -> Result<(), Error> {
        let token = self.token(&asked).map_err(|problem| self.http.undelivered(&problem, Fate::Dead))?;
        let mut headers =
            vec![("content-type", "application/secevent+jwt".to_owned()), ("accept", "application/json".to_owned())];
        if let Some(token) = &self.settings.token {
            let token = token().map_err(|problem| self.http.undelivered(&problem, Fate::Retry(None)))?;
            headers.push(("authorization", format!("Bearer {token}")));
        }
        let request = Request { url: self.url.clone(), headers, body: token.into_bytes() };
        let (answer, body) = self.http.exchange(Method::POST, request).await?;
        let fate =
            if is_refused_token(answer.status, &body) { Fate::Retry(answer.retry_after) } else { meaning(&answer) };
        self.http.settle(&answer, fate)
    }
}

impl Way for Caep {
    fn rules(&self) -> &WayRules {
        &self.settings.rules
    }

    fn ask<'a>(&'a self, asked: Asked<'a>) -> Attempt<'a> {
        Box::pin(self.push(asked))
    }
}

/// The claims of a token. `sub` and `exp` may not stand in one.
fn claims(settings: &CaepSettings, asked: &Asked<'_>, subject: &Value, now: Instant) -> Value {
    let Response { id, rule, via, approved_by, .. } = asked.response;
    let who = if approved_by.is_some() { "admin" } else { "policy" };
    let event = json!({
        "event_timestamp": asked.response.since().unix_seconds(),
        "initiating_entity": who,
        "reason_admin": { "en": format!("keywatch: rule {rule}, response {id}") },
    });
    json!({
        "iss": settings.issuer,
        "aud": settings.audience,
        "iat": now.unix_seconds(),
        "jti": derive_id(&["set", id, word(asked.target), asked.name]),
        "txn": via.as_ref().map_or(id, |via| &via.of),
        "sub_id": subject,
        "events": { SESSION_REVOKED: event },
    })
}

/// RFC 8935 answers 400 to everything. What our own `Authorization` is about can be put right in a file, and the receiver
/// may learn a key.
fn is_refused_token(status: u16, body: &[u8]) -> bool {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    status == 400 && matches!(said["err"].as_str(), Some("authentication_failed" | "access_denied" | "invalid_key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_that_does_not_know_us_yet_is_asked_again() {
        assert!(is_refused_token(400, br#"{"err":"invalid_key","description":"unknown kid"}"#));
        assert!(is_refused_token(400, br#"{"err":"authentication_failed"}"#));
        for (status, body) in [(400, r#"{"err":"invalid_audience"}"#), (400, "no"), (404, r#"{"err":"invalid_key"}"#)] {
            assert!(!is_refused_token(status, body.as_bytes()), "{body}");
        }
    }
}
