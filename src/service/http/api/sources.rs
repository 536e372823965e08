//! The sources that may send: when keywatch last heard of each, and how long it may be silent.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Json;
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Instant, Inventory};
use serde_json::{Value, json};

use super::{Answer, Api, Caller};
use crate::clock;
use crate::service::http::credentials::Credentials;

/// A source as it is configured and declared.
pub(crate) struct Source {
    /// Its system.
    pub(crate) system: String,
    /// Its name in that system.
    pub(crate) name: String,
    /// What reads it.
    pub(crate) feed: &'static str,
    /// Seconds after which it counts as silent, where the inventory says so.
    pub(crate) heartbeat_seconds: Option<i64>,
}

impl Source {
    /// Those that have a credential, each once.
    pub(crate) fn all(credentials: &Credentials, inventory: &Inventory) -> Vec<Source> {
        let declared = |system: &str, source: &str| {
            let sources = inventory.system(system).map(|system| system.sources.iter());
            sources.into_iter().flatten().find(|declared| declared.source == source)
        };
        let view = |origin: &Origin, feed: &'static str| Source {
            system: origin.system.clone(),
            name: origin.source.clone(),
            feed,
            heartbeat_seconds: declared(&origin.system, &origin.source)
                .map(|source| source.heartbeat_seconds)
                .filter(|seconds| *seconds > 0),
        };
        let all = credentials.iter().map(|credential| view(&credential.origin, credential.feed.name()));
        let mut sources: Vec<Source> = all.collect();
        sources.sort_by(|one, other| (&one.system, &one.name, one.feed).cmp(&(&other.system, &other.name, other.feed)));
        sources.dedup_by(|one, other| (&one.system, &one.name, one.feed) == (&other.system, &other.name, other.feed));
        sources
    }
}

/// `GET /v1/sources`: since the process began; a source that has not spoken since is as old as the process.
pub(super) async fn list(State(api): State<Arc<Api>>, Extension(operator): Caller) -> Answer {
    let now = clock::now();
    let own = api.known.sources.iter().filter(|source| operator.sees(&source.system));
    let views: Vec<Value> = own.map(|source| view(&api, source, now)).collect();
    Ok(Json(json!({ "sources": views })))
}

fn view(api: &Api, source: &Source, now: Instant) -> Value {
    let Source { system, name, feed, heartbeat_seconds } = source;
    let heard = api.metrics.source_last.with_label_values(&[system.as_str(), name.as_str(), *feed]).get();
    let quiet = now.unix_seconds().saturating_sub(heard).max(0);
    let silent = heartbeat_seconds.is_some_and(|most| quiet > most);
    json!({
        "system": system,
        "source": name,
        "feed": feed,
        "heard": Instant(heard.saturating_mul(SECOND_NS)),
        "quiet_seconds": quiet,
        "heartbeat_seconds": heartbeat_seconds,
        "silent": silent,
    })
}
