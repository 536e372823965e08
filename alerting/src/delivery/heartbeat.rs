//! A dead man's switch beside a receiver: an address that is asked every minute, and whose owner pages when that stops. It is
//! what `PagerDuty`, Slack and mail lack, since they page when something comes and never when nothing does. It is asked only
//! while keywatch lives and its receiver takes what it is given, so that its silence says as much as a page. Who is paged
//! by the silence, and after how long, stands at the other side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use reqwest::{Method, Url};

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{HttpClient, Request, parse_url};
use crate::delivery::message::Notification;
use crate::delivery::pace::Pace;
use crate::delivery::sink::{Attempt, Sink};
use crate::error::{Error, Fate};
use crate::limits::RECEIVER_DOWN_FAILURES;

/// What keeps keywatch from working, where something does. It is asked before each heartbeat.
pub type Obstacle = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// How it is configured.
pub struct HeartbeatSettings {
    /// The address, which is mostly a secret.
    pub url: String,
    /// Where it may be.
    pub addresses: AddressRules,
    /// What keeps keywatch from working.
    pub obstacle: Obstacle,
}

/// A receiver with its heartbeat.
pub struct Heartbeat {
    sink: Arc<dyn Sink>,
    http: HttpClient,
    url: Url,
    obstacle: Obstacle,
    /// Attempts at the receiver that failed one after the other. Something that was refused for good counts as three.
    failures: AtomicU32,
}

impl Heartbeat {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed.
    pub fn of(sink: Arc<dyn Sink>, settings: HeartbeatSettings) -> Result<Heartbeat, Error> {
        let HeartbeatSettings { url, addresses, obstacle } = settings;
        let url = parse_url(sink.name(), url.trim())?;
        let http = HttpClient::new(sink.name(), &[&url], &addresses)?;
        Ok(Heartbeat { sink, http, url, obstacle, failures: AtomicU32::new(0) })
    }

    fn withheld_because(&self) -> Option<String> {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures >= RECEIVER_DOWN_FAILURES {
            return Some("the receiver took nothing, or refused for good".to_owned());
        }
        (self.obstacle)()
    }

    async fn beat(&self) -> Result<(), Error> {
        if let Some(because) = self.withheld_because() {
            return Err(self.http.undelivered(&format!("its heartbeat is withheld: {because}"), Fate::Retry(None)));
        }
        let request = Request { url: self.url.clone(), headers: Vec::new(), body: Vec::new() };
        let (answer, _) = self.http.exchange(Method::GET, request).await?;
        self.http.settle(&answer, Fate::Retry(None))
    }
}

impl Sink for Heartbeat {
    fn name(&self) -> &str {
        self.sink.name()
    }

    fn deliveries_max(&self) -> usize {
        self.sink.deliveries_max()
    }

    fn pace(&self) -> Pace {
        self.sink.pace()
    }

    fn repeats(&self) -> bool {
        true
    }

    fn repeat<'a>(&'a self, standing: &'a [Notification]) -> Attempt<'a> {
        Box::pin(async move {
            if self.sink.repeats() {
                self.sink.repeat(standing).await?;
            }
            self.beat().await
        })
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(async move {
            let delivered = self.sink.deliver(notification).await;
            match &delivered {
                Ok(()) => self.failures.store(0, Ordering::Relaxed),
                // It is not tried again, so that no second and third failure would say it: somebody was not told.
                Err(Error::Undelivered { fate: Fate::Dead | Fate::Gone, .. }) => {
                    self.failures.store(RECEIVER_DOWN_FAILURES, Ordering::Relaxed);
                }
                Err(_) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                }
            }
            delivered
        })
    }
}
