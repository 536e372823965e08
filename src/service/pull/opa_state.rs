//! What an Open Policy Agent holds: its policies (`GET /v1/policies`), its data and its configuration (`GET /v1/config`),
//! hashed at each look and forgotten. A change is told with the hash before; what it should be may stand in a file of the
//! operator. Canaries are asked at the same look.
//!
//! Data are hashed where they are (`POST /v1/query`): an answer that held them would be in the decision log, too. The
//! revocations and what keywatch's own policy makes of them are left out, since they change with each revocation and with
//! time. An Open Policy Agent whose program was exchanged can answer whatever it likes here; canaries and decisions that are
//! asked again tell of that.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keywatch_store::event::{CanonicalJson, Origin};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::canary::Canary;
use super::cursor::Cursor;
use super::opa_seen::{Digest, Expected, Part, Said, Seen, sha256};
use super::puller::{Page, Pull};
use super::service::{Class, Service, Trouble};
use crate::limits::{PULL_EXPECTED_BYTES_MAX, PULL_STATE_SAID_SECONDS};
use crate::service::metrics::Metrics;

/// Asks for the hash of all data but the revocations; the rest of `keywatch` is anybody's.
const DATA_QUERY: &str = "hash := crypto.sha256(json.marshal([object.remove(data, {\"revocations\", \"keywatch\"}), \
                          object.remove(object.get(data, \"keywatch\", {}), {\"revocations\"})]))";

/// A replica.
pub(super) struct OpaState {
    pub(super) service: Service,
    /// Who it is written under.
    pub(super) origin: Origin,
    /// File with what it should hold.
    pub(super) expected_file: Option<PathBuf>,
    pub(super) canaries: Vec<Canary>,
    pub(super) metrics: Arc<Metrics>,
}

impl Pull for OpaState {
    async fn page(&self, cursor: &Cursor, now: Instant) -> Result<Page, Trouble> {
        let expected = self.expected_file.as_deref().map(expected).transpose()?.unwrap_or_default();
        let (config, replica) = match self.config().await {
            Ok((digest, replica)) => (Ok(digest), replica),
            Err(trouble) => (Err(trouble), None),
        };
        let parts = [(Part::Config, config), (Part::Policies, self.policies().await), (Part::Data, self.data().await)];
        let mut is_heard = parts.iter().any(|(_, read)| read.is_ok());
        let mut events = Vec::new();
        for canary in &self.canaries {
            let answered = canary.ask(&self.service, &self.origin, now).await;
            let labels = [self.origin.system.as_str(), self.origin.source.as_str(), answered.outcome];
            self.metrics.pdp_canaries.with_label_values(&labels).inc();
            is_heard |= answered.outcome != "unanswered";
            events.push(answered.event);
        }
        let mut seen = Seen::read(&cursor.taken);
        let is_due = |said: Instant| now.0.saturating_sub(said.0) >= PULL_STATE_SAID_SECONDS * SECOND_NS;
        let again = cursor.newest.is_none_or(is_due);
        for (part, read) in parts {
            match read {
                Ok(digest) => {
                    if seen.readable(part) {
                        events.push(self.status(part, "ok", None, now));
                    }
                    let verdict = expected.verdict(part, &digest);
                    let said = seen.take(part, digest, verdict, again);
                    events.extend(said.map(|said| self.state(part, &said, replica.as_deref(), now)));
                }
                // One that answers nothing at all is told of as any source is.
                Err(trouble) if !is_heard => return Err(trouble),
                Err(trouble) => {
                    if seen.unreadable(part) {
                        events.push(self.status(part, "degraded", Some(trouble.to_string()), now));
                    }
                    let labels = [self.origin.system.as_str(), self.origin.source.as_str(), trouble.class.name()];
                    self.metrics.pull_errors.with_label_values(&labels).inc();
                }
            }
        }
        Ok(Page { events, newest: again.then_some(now), taken: seen.write(), ..Page::default() })
    }
}

impl OpaState {
    /// The configuration, and the id of the process, which is another after each start and so no part of it.
    async fn config(&self) -> Result<(Digest, Option<String>), Trouble> {
        let answer = self.service.get(self.service.at("/v1/config")?).await?;
        let mut answer: Value = parsed(&answer.body)?;
        let config = answer.get_mut("result").filter(|config| config.is_object());
        let config = config.ok_or_else(|| Trouble::new(Class::Malformed, "it answers with no configuration"))?;
        let labels = config.get_mut("labels").and_then(Value::as_object_mut);
        let id = labels.and_then(|labels| labels.remove("id"));
        let hash = sha256(CanonicalJson::from(&*config).as_str().as_bytes());
        let replica = id.as_ref().and_then(Value::as_str).map(str::to_owned);
        Ok((Digest { sha256: hash, ..Digest::default() }, replica))
    }

    async fn policies(&self) -> Result<Digest, Trouble> {
        #[derive(Deserialize)]
        struct Listed {
            result: Vec<Policy>,
        }
        #[derive(Deserialize)]
        struct Policy {
            id: String,
            raw: String,
        }
        let answer = self.service.get(self.service.at("/v1/policies")?).await?;
        let listed: Listed = parsed(&answer.body)?;
        Ok(Digest::of_policies(listed.result.iter().map(|policy| (policy.id.as_str(), policy.raw.as_str()))))
    }

    async fn data(&self) -> Result<Digest, Trouble> {
        let answer = self.service.post(self.service.at("/v1/query")?, &json!({ "query": DATA_QUERY })).await?;
        let answer: Value = parsed(&answer.body)?;
        let hash = answer["result"][0]["hash"].as_str().unwrap_or_default();
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Trouble::new(Class::Malformed, "it answers with no hash of its data"));
        }
        Ok(Digest { sha256: hash.to_lowercase(), ..Digest::default() })
    }

    fn state(&self, part: Part, said: &Said, replica: Option<&str>, now: Instant) -> Event {
        let id = format!("state/{}/{}", part.name(), now.nanoseconds());
        let mut event = Event::builder(&self.origin, &id, "pdp.state", now);
        let mut detail = json!({ "part": part.name(), "sha256": said.sha256 });
        for (name, value) in [("before", said.before.as_deref()), ("replica", replica)] {
            if let Some(value) = value {
                detail[name] = Value::from(value);
            }
        }
        if !said.changed.is_empty() {
            detail["policies"] = Value::from(said.changed.join(", "));
        }
        event.outcome(said.outcome).detail(&detail);
        event.build_own()
    }

    /// Whether a part can be read, said of that part alone.
    fn status(&self, part: Part, outcome: &str, reason: Option<String>, now: Instant) -> Event {
        let id = format!("status/{}/{}", part.name(), now.nanoseconds());
        let mut event = Event::builder(&self.origin, &id, "source.status", now);
        event.outcome(outcome).reason(reason).detail(&json!({ "interface": part.name() }));
        event.build_own()
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body)
        .map_err(|error| Trouble::new(Class::Malformed, format!("it answers with something else: {error}")))
}

/// What it should hold, as the file says it now.
fn expected(file: &Path) -> Result<Expected, Trouble> {
    let refused = |problem: String| Trouble::new(Class::Malformed, format!("{}: {problem}", file.display()));
    let mut text = Vec::new();
    let open = File::open(file).and_then(|file| file.take(PULL_EXPECTED_BYTES_MAX + 1).read_to_end(&mut text));
    open.map_err(|error| refused(error.to_string()))?;
    if text.len() as u64 > PULL_EXPECTED_BYTES_MAX {
        return Err(refused(format!("holds more than {PULL_EXPECTED_BYTES_MAX} bytes")));
    }
    serde_json::from_slice(&text).map_err(|error| refused(error.to_string()))
}
