//! `PagerDuty` Events, API v2 (`events-API-v2` of its developer documentation): trigger, acknowledge, resolve.
//!
//! The `dedup_key` is the key of the page: that of the incident for the first. A further page has a further one, since nobody
//! is notified of an alert that is acknowledged: what has become worse must not hide behind it. The outcome of a response is
//! added to the last page. Acknowledging and resolving go to every page of the incident, which is also the `group`. Whoever
//! changes the routing key orphans what is open.

use std::time::Duration;

use keywatch_store::Severity;
use reqwest::Url;
use serde_json::{Value, json};

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{Answer, HttpClient, Request, fate, parse_url, refused};
use crate::delivery::message::{Notification, headline};
use crate::delivery::occasion::SentPage;
use crate::delivery::pace::Pace;
use crate::delivery::sink::{Attempt, Sink};
use crate::delivery::webhook::bounded_data;
use crate::error::{Error, Fate};
use crate::lifecycle::handling::Status;
use crate::limits::DELIVERIES_AT_ONCE_MAX;

/// Where events go unless configured.
pub const EVENTS_URL: &str = "https://events.pagerduty.com/v2/enqueue";

const SUMMARY_CHARS_MAX: usize = 1_024;
const ROUTING_KEY_CHARS: usize = 32;

/// Wait after a 429 that does not say for how long.
const LIMITED: Duration = Duration::from_mins(1);

/// How it is configured.
#[derive(Clone, Default)]
pub struct PagerDutySettings {
    /// Name of the receiver.
    pub name: String,
    /// Where events go; [`EVENTS_URL`] where none is given.
    pub url: Option<String>,
    /// The integration's routing key.
    pub routing_key: String,
    /// Where it may be.
    pub addresses: AddressRules,
    /// What it stands.
    pub pace: Pace,
}

/// The sink.
pub struct PagerDuty {
    http: HttpClient,
    url: Url,
    routing_key: String,
    pace: Pace,
}

impl PagerDuty {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed, or a key that is none.
    pub fn new(settings: PagerDutySettings) -> Result<PagerDuty, Error> {
        let PagerDutySettings { name, url, routing_key, addresses, pace } = settings;
        let url = parse_url(&name, url.as_deref().unwrap_or(EVENTS_URL))?;
        let http = HttpClient::new(&name, &[&url], &addresses)?;
        let whole = routing_key.len() == ROUTING_KEY_CHARS && routing_key.chars().all(|c| c.is_ascii_alphanumeric());
        if !whole {
            return Err(refused(
                &name,
                "a routing key has 32 letters and digits; take it from an Events API v2 integration",
            ));
        }
        Ok(PagerDuty { http, url, routing_key, pace })
    }

    async fn send(&self, notification: &Notification) -> Result<(), Error> {
        for event in events(notification, &self.routing_key) {
            let answer = self.http.send(request(&self.url, &event)).await?;
            self.http.settle(&answer, meaning(&answer))?;
        }
        Ok(())
    }
}

impl Sink for PagerDuty {
    fn name(&self) -> &str {
        self.http.name()
    }

    fn deliveries_max(&self) -> usize {
        DELIVERIES_AT_ONCE_MAX
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(self.send(notification))
    }
}

fn meaning(answer: &Answer) -> Fate {
    match fate(answer) {
        Fate::Retry(None) if answer.status == 429 => Fate::Retry(Some(LIMITED)),
        other => other,
    }
}

/// The request of an event.
#[must_use]
pub fn request(url: &Url, event: &Value) -> Request {
    let headers = vec![("content-type", "application/json".to_owned())];
    Request { url: url.clone(), headers, body: event.to_string().into_bytes() }
}

/// The events of a notification, in their order.
#[must_use]
pub fn events(notification: &Notification, routing_key: &str) -> Vec<Value> {
    let action = match (notification.status, notification.kind) {
        (Status::Resolved, _) => "resolve",
        (Status::Acknowledged, "alert.acknowledged") => "acknowledge",
        _ => return vec![trigger(notification, routing_key)],
    };
    let event = |page: &SentPage| json!({ "routing_key": routing_key, "event_action": action, "dedup_key": page.key });
    notification.pages.iter().map(event).collect()
}

fn trigger(notification: &Notification, routing_key: &str) -> Value {
    let n = notification;
    let told = n.pages.last().filter(|_| matches!(n.kind, "response.verified" | "alert.test")).map(|page| &page.key);
    let summary: String = headline(n).chars().take(SUMMARY_CHARS_MAX).collect();
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": told.unwrap_or(&n.key),
        "client": "keywatch",
        "payload": {
            "summary": summary,
            "source": n.system,
            "severity": severity(n.severity),
            "timestamp": n.when,
            "component": n.entity,
            "group": n.incident,
            "class": n.rule,
            "custom_details": bounded_data(n),
        },
    })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_without_a_time_is_waited_for_and_a_wrong_event_is_not_sent_again() {
        let answer = |status, retry_after| Answer { status, retry_after, body: String::new() };
        let seven = Some(Duration::from_secs(7));
        assert_eq!(meaning(&answer(429, None)), Fate::Retry(Some(LIMITED)));
        assert_eq!(meaning(&answer(429, seven)), Fate::Retry(seven));
        assert_eq!(meaning(&answer(500, None)), Fate::Retry(None));
        assert_eq!(meaning(&answer(400, None)), Fate::Dead);
    }
}
