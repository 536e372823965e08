//! A signed request to a signer's service to stop signing for a wallet, as Standard Webhooks 1.0.0 asks: the id is the same at
//! every attempt. keywatch freezes and never thaws: that is for people at the signer.

use reqwest::{Method, Url};
use serde_json::json;

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{HttpClient, parse_url, refused};
use crate::delivery::sink::Attempt;
use crate::delivery::webhook::{Secret, WallClock, signed};
use crate::error::Error;
use crate::lifecycle::action::derive_id;
use crate::response::intent::Response;
use crate::response::ways::planning::WayRules;
use crate::response::ways::{Asked, Way, meaning};

/// `type` of the request.
pub const FREEZE: &str = "signer.freeze";

/// How a signer's service is configured.
pub struct FreezeSettings {
    /// Which responses go there, and when.
    pub rules: WayRules,
    /// Its address.
    pub url: String,
    /// Secrets; each signs, the newest first.
    pub secrets: Vec<Secret>,
    /// Where it may be.
    pub addresses: AddressRules,
}

/// The way.
pub struct Freeze {
    http: HttpClient,
    url: Url,
    settings: FreezeSettings,
    clock: WallClock,
}

impl Freeze {
    /// Prepares a client; nothing is sent yet. `clock` dates each attempt.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed or without a secret.
    pub fn new(settings: FreezeSettings, clock: WallClock) -> Result<Freeze, Error> {
        let name = &settings.rules.name;
        let url = parse_url(name, &settings.url)?;
        let http = HttpClient::new(name, &[&url], &settings.addresses)?;
        if settings.secrets.is_empty() {
            return Err(refused(name, "has no secret; a request that is not signed can be forged"));
        }
        Ok(Freeze { http, url, settings, clock })
    }

    async fn post(&self, asked: Asked<'_>) -> Result<(), Error> {
        let Response { id, system, incident, finding_id, rule, severity, why, approved_by, .. } = asked.response;
        let data = json!({
            "system": system,
            "wallet": asked.name,
            "response": id,
            "incident": incident,
            "finding": finding_id,
            "rule": rule,
            "severity": severity,
            "why": why,
            "approved_by": approved_by,
        });
        let body = json!({ "type": FREEZE, "timestamp": asked.response.since(), "data": data });
        let key = derive_id(&["freeze", id, asked.name]);
        let body = body.to_string().into_bytes();
        let request = signed(&self.url, &key, (self.clock)(), body, &self.settings.secrets);
        let (answer, _) = self.http.exchange(Method::POST, request).await?;
        self.http.settle(&answer, meaning(&answer))
    }
}

impl Way for Freeze {
    fn rules(&self) -> &WayRules {
        &self.settings.rules
    }

    fn ask<'a>(&'a self, asked: Asked<'a>) -> Attempt<'a> {
        Box::pin(self.post(asked))
    }
}
