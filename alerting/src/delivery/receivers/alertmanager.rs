//! Alertmanager, API v2 (`POST /api/v2/alerts`, `api/v2/openapi.yaml` of prometheus/alertmanager).
//!
//! An alert there is its set of labels, so nothing that changes stands in one. A page is an alert: its rule, system and
//! severity, its incident, by which pages are grouped, and its own key, since Alertmanager notifies of what is new and not of
//! annotations that changed. The last page of an incident stands; those that it has replaced are ended in the same request.
//!
//! Alertmanager forgets what is not said again, so what stands is said again every minute, and that something has ended for a
//! quarter of an hour. Every replica is told; they agree among themselves. Each minute it also gets the alert
//! `KeywatchHeartbeat`, which ends when keywatch does.

use std::collections::BTreeMap;

use futures::future::join_all;
use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use reqwest::Url;
use serde_json::{Value, json};

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{HttpClient, Request, fate, parse_url, refused};
use crate::delivery::message::Notification;
use crate::delivery::occasion::SentPage;
use crate::delivery::pace::Pace;
use crate::delivery::sink::{Attempt, Sink};
use crate::delivery::webhook::WallClock;
use crate::error::Error;
use crate::lifecycle::handling::Status;
use crate::limits::{ALERTMANAGER_BATCH_MAX, DELIVERIES_AT_ONCE_MAX};

/// How long an alert stands there without being said again. That keywatch stops must not look like the end of a theft.
const STANDS_NS: i64 = 3_600 * SECOND_NS;

/// As long for the heartbeat, whose end is to be noticed: five times missed.
const HEARTBEAT_NS: i64 = 5 * 60 * SECOND_NS;

/// How it is configured.
#[derive(Clone, Default)]
pub struct AlertmanagerSettings {
    /// Name of the receiver.
    pub name: String,
    /// Base addresses of the replicas, each of them and no load balancer before them.
    pub urls: Vec<String>,
    /// Bearer token, where one is asked for.
    pub token: Option<String>,
    /// Where they may be.
    pub addresses: AddressRules,
    /// What they stand.
    pub pace: Pace,
}

/// The sink.
pub struct Alertmanager {
    http: HttpClient,
    urls: Vec<Url>,
    token: Option<String>,
    pace: Pace,
    clock: WallClock,
}

impl Alertmanager {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed.
    pub fn new(settings: AlertmanagerSettings, clock: WallClock) -> Result<Alertmanager, Error> {
        let AlertmanagerSettings { name, urls, token, addresses, pace } = settings;
        if urls.is_empty() {
            return Err(refused(&name, "urls: names no replica"));
        }
        let endpoint = |text: &String| parse_url(&name, &format!("{}/api/v2/alerts", text.trim_end_matches('/')));
        let urls: Vec<Url> = urls.iter().map(endpoint).collect::<Result<_, Error>>()?;
        let http = HttpClient::new(&name, &urls.iter().collect::<Vec<_>>(), &addresses)?;
        Ok(Alertmanager { http, urls, token, pace, clock })
    }

    /// Tells every replica; it is enough that one takes it, since they tell each other, and the others are told again
    /// with what stands.
    async fn post(&self, alerts: &[Value]) -> Result<(), Error> {
        let mut failed = None;
        let mut taken = false;
        // At once: one that is silent delays no other.
        let answers = join_all(self.urls.iter().map(|url| self.post_to(url, alerts))).await;
        for (url, answer) in self.urls.iter().zip(answers) {
            match answer {
                Ok(()) => taken = true,
                Err(error) => {
                    tracing::warn!(destination = self.http.name(), replica = ?url.host_str(), %error, "a replica failed");
                    failed = Some(error);
                }
            }
        }
        failed.filter(|_| !taken).map_or(Ok(()), Err)
    }

    async fn post_to(&self, url: &Url, alerts: &[Value]) -> Result<(), Error> {
        // One alert that it does not like fails all of a request.
        for batch in alerts.chunks(ALERTMANAGER_BATCH_MAX) {
            let answer = self.http.send(request(url, self.token.as_deref(), batch)).await?;
            self.http.settle(&answer, fate(&answer))?;
        }
        Ok(())
    }
}

impl Sink for Alertmanager {
    fn name(&self) -> &str {
        self.http.name()
    }

    fn deliveries_max(&self) -> usize {
        DELIVERIES_AT_ONCE_MAX
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn repeats(&self) -> bool {
        true
    }

    fn repeat<'a>(&'a self, standing: &'a [Notification]) -> Attempt<'a> {
        let now = (self.clock)();
        let mut all = vec![heartbeat(now)];
        all.extend(standing.iter().flat_map(|notification| alerts(notification, now)));
        Box::pin(async move { self.post(&all).await })
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        let alerts = alerts(notification, (self.clock)());
        Box::pin(async move { self.post(&alerts).await })
    }
}

/// The request to one replica.
#[must_use]
pub fn request(url: &Url, token: Option<&str>, alerts: &[Value]) -> Request {
    let mut headers = vec![("content-type", "application/json".to_owned())];
    headers.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
    Request { url: url.clone(), headers, body: json!(alerts).to_string().into_bytes() }
}

/// What a notification is there: the last page of its incident, and those before it, ended. `now` is the wall clock's, since
/// Alertmanager compares with its own.
#[must_use]
pub fn alerts(notification: &Notification, now: Instant) -> Vec<Value> {
    let ended = now.max(notification.when);
    let is_over = notification.status == Status::Resolved;
    let stands_until = if is_over { ended } else { ended.saturating_add(STANDS_NS) };
    let last = notification.pages.len().saturating_sub(1);
    let ends = |index: usize| if index == last { stands_until } else { ended };
    let pages = notification.pages.iter().enumerate();
    pages.map(|(index, page)| alert(notification, page, ends(index))).rev().collect()
}

fn alert(notification: &Notification, page: &SentPage, ends: Instant) -> Value {
    let n = notification;
    let labels = json!({
        "alertname": page.rule,
        "system": n.system,
        "incident": page.incident,
        "page": page.key,
        "severity": page.severity.to_string(),
        "service": "keywatch",
    });
    let mut annotations: BTreeMap<&str, String> = n.about.clone();
    annotations.extend([
        ("summary", n.title.clone()),
        ("description", n.meaning.clone()),
        ("runbook", n.runbook.clone()),
        ("did", n.did.join("\n")),
        ("again", n.again.join("; ")),
        ("entity", n.entity.clone()),
        ("story", n.story.join("\n")),
        ("alert_id", n.alert_id.clone()),
        ("evidence", n.evidence.first().cloned().unwrap_or_default()),
    ]);
    annotations.retain(|_, text| !text.is_empty());
    json!({ "labels": labels, "annotations": annotations, "startsAt": n.when, "endsAt": ends })
}

fn heartbeat(now: Instant) -> Value {
    json!({
        "labels": { "alertname": "KeywatchHeartbeat", "severity": "none", "service": "keywatch" },
        "annotations": { "summary": "keywatch lives. Page when this ends." },
        "startsAt": now,
        "endsAt": now.saturating_add(HEARTBEAT_NS),
    })
}
