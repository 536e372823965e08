//! Slack, incoming webhooks. The address is the secret. Texts are plain, so that what an attacker wrote becomes neither a
//! link nor a mention. Slack knows no key, so a notification may come twice there; and it is chat: never the only way in
//! which people on call are reached.

use reqwest::Url;
use serde_json::{Value, json};

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{Answer, HttpClient, Request, fate, parse_url};
use crate::delivery::message::{Notification, headline, render};
use crate::delivery::pace::Pace;
use crate::delivery::sink::{Attempt, Sink};
use crate::error::{Error, Fate};

const SECTION_CHARS_MAX: usize = 2_900;

/// How it is configured.
#[derive(Clone, Default)]
pub struct SlackSettings {
    /// Name of the receiver.
    pub name: String,
    /// The secret address.
    pub url: String,
    /// Where it may be.
    pub addresses: AddressRules,
    /// What it stands; Slack takes about one a second.
    pub pace: Pace,
}

/// The sink.
pub struct Slack {
    http: HttpClient,
    url: Url,
    pace: Pace,
}

impl Slack {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed.
    pub fn new(settings: SlackSettings) -> Result<Slack, Error> {
        let SlackSettings { name, url, addresses, pace } = settings;
        let url = parse_url(&name, url.trim())?;
        let http = HttpClient::new(&name, &[&url], &addresses)?;
        Ok(Slack { http, url, pace })
    }

    async fn send(&self, notification: &Notification) -> Result<(), Error> {
        let answer = self.http.send(request(&self.url, notification)).await?;
        if answer.status == 200 && answer.body != "ok" {
            let problem = format!("it answered 200 and not `ok`: {}", answer.body);
            return Err(self.http.undelivered(&problem, Fate::Retry(None)));
        }
        self.http.settle(&answer, meaning(&answer))
    }
}

impl Sink for Slack {
    fn name(&self) -> &str {
        self.http.name()
    }

    /// One after the other: a channel is read from top to bottom.
    fn deliveries_max(&self) -> usize {
        1
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(self.send(notification))
    }
}

/// 410 says that the channel is archived: another try helps once it is not.
fn meaning(answer: &Answer) -> Fate {
    if answer.status == 410 { Fate::Dead } else { fate(answer) }
}

/// The request of a notification.
#[must_use]
pub fn request(url: &Url, notification: &Notification) -> Request {
    let headers = vec![("content-type", "application/json".to_owned())];
    Request { url: url.clone(), headers, body: message(notification).to_string().into_bytes() }
}

/// The message: a headline for the notification on a phone, and all of it as plain text.
#[must_use]
pub fn message(notification: &Notification) -> Value {
    let mut text: String = render(notification).chars().take(SECTION_CHARS_MAX).collect();
    if text.chars().count() == SECTION_CHARS_MAX {
        text.push('…');
    }
    json!({
        "text": escape(&headline(notification)),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [{ "type": "section", "text": { "type": "plain_text", "text": text, "emoji": false } }],
    })
}

/// As Slack asks: what is left of `<` and `>` could be a link or a mention.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
