//! The sources that may send or are asked: when keywatch last heard of each, and how long it may be silent.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Json;
use keywatch_ingest::Feed;
use keywatch_store::event::Origin;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Instant, Inventory};
use serde_json::{Value, json};

use super::{Answer, Api, Caller, parameters, parsed};
use crate::clock;
use crate::limits::SOURCES_RECORDS_MAX;
use crate::service::http::credentials::Credentials;
use crate::service::source_activity::Activity;

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
    /// The kinds of events that it can tell of.
    pub(crate) kinds: BTreeSet<&'static str>,
}

impl Source {
    /// Those that have a credential and those that are asked (system, name and feed), each once.
    pub(crate) fn all<'a>(
        credentials: &Credentials,
        asked: impl Iterator<Item = (&'a str, &'a str, &'static dyn Feed)>,
        inventory: &Inventory,
    ) -> Vec<Source> {
        let declared = |system: &str, source: &str| {
            let sources = inventory.system(system).map(|system| system.sources.iter());
            sources.into_iter().flatten().find(|declared| declared.source == source)
        };
        let view = |system: &str, name: &str, feed: &'static str, kinds| Source {
            system: system.to_owned(),
            name: name.to_owned(),
            feed,
            heartbeat_seconds: declared(system, name)
                .map(|source| source.heartbeat_seconds)
                .filter(|seconds| *seconds > 0),
            kinds,
        };
        let sent = credentials.iter().map(|credential| {
            let Origin { system, source } = &credential.origin;
            view(system, source, credential.feed.name(), credential.kinds())
        });
        let asked = asked.map(|(system, name, feed)| view(system, name, feed.name(), feed.makes()));
        let mut sources: Vec<Source> = sent.chain(asked).collect();
        sources.sort_by(|one, other| (&one.system, &one.name, one.feed).cmp(&(&other.system, &other.name, other.feed)));
        sources.dedup_by(|one, other| {
            let same = (&one.system, &one.name, one.feed) == (&other.system, &other.name, other.feed);
            if same {
                other.kinds.append(&mut one.kinds);
            }
            same
        });
        sources
    }
}

/// `GET /v1/sources`: since the process began; a source that has not spoken since is as old as the process. With
/// `newest=true` also what every source said in the newest records of the log.
pub(super) async fn list(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let looks = parsed::<bool>(&parameters(&uri, &["newest"])?, "newest")?.unwrap_or(false);
    let now = clock::now();
    let own = api.known.sources.iter().filter(|source| operator.sees(&source.system));
    let views: Vec<Value> = own.map(|source| view(&api, source, now)).collect();
    let mut answer = json!({ "sources": views });
    if looks {
        let heard = api.away(|api| Ok(Activity::of(api.log.as_ref(), SOURCES_RECORDS_MAX)?)).await?;
        answer["said"] = json!(heard.of_systems(|system| operator.sees(system)));
    }
    Ok(Json(answer))
}

fn view(api: &Api, source: &Source, now: Instant) -> Value {
    let Source { system, name, feed, heartbeat_seconds, .. } = source;
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
