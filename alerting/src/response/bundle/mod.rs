//! The revocation document as a signed bundle that Open Policy Agents fetch (OPA documentation, Bundles).
//!
//! A [`BundleBoard`] holds the newest edition of one system, signed with every key that is configured, and answers those
//! who fetch it: at once, or when there is a newer one. Editions only go forward. It knows no HTTP and no log.
//!
//! | module | what it holds |
//! |---|---|
//! | `archive` | the files of a bundle as `tar.gz` |
//! | `signature` | keys, and the `.signatures.json` |

mod archive;
mod signature;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::timeout;

pub use signature::SigningKey;

use crate::Error;
use crate::response::revocation::RevocationDocument;
use archive::{Member, member};

/// The data root that bundles own, and nothing besides.
pub const ROOT: &str = "revocations";

/// A bundle as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Strong entity tag, without quotes.
    pub etag: String,
    /// The `tar.gz`.
    pub bytes: Arc<[u8]>,
}

/// What somebody who fetches gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// This is newer than what was known.
    New(Bundle),
    /// What was known is the newest still.
    Unchanged(String),
    /// Nothing was published yet.
    Nothing,
    /// No key of that name signs here.
    NoKey,
}

/// One document with one stamp, signed by every key.
struct Edition {
    sequence: u64,
    issued_at: i64,
    by_key: BTreeMap<String, Bundle>,
}

/// The part that a heartbeat leaves as it is: all entries, packed once.
struct Packed {
    revision: String,
    entries: Member,
}

/// The newest bundle of one system.
pub struct BundleBoard {
    /// The first signs where none is asked for by name.
    keys: Vec<SigningKey>,
    current: watch::Sender<Option<Arc<Edition>>>,
    /// Held while an edition is made, so that several replicas of one system make it once.
    packed: Mutex<Option<Packed>>,
}

impl BundleBoard {
    /// A board that signs with these keys, the newest first. While keys are changed over there are two.
    ///
    /// # Errors
    /// [`Error::BundleKey`] without a key, or where two have one name.
    pub fn new(keys: Vec<SigningKey>) -> Result<Arc<BundleBoard>, Error> {
        let refuse = |key: &str, problem: &str| Error::BundleKey { key: key.to_owned(), problem: problem.to_owned() };
        if keys.is_empty() {
            return Err(refuse("", "a bundle needs a key that signs it"));
        }
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].iter().any(|other| other.id() == key.id()) {
                return Err(refuse(key.id(), "there are two keys of that name"));
            }
        }
        Ok(Arc::new(BundleBoard { keys, current: watch::Sender::new(None), packed: Mutex::new(None) }))
    }

    /// Offers a document to all who fetch. One that is older than what is offered is refused, the same one is no news.
    ///
    /// # Errors
    /// [`Error::PdpRefused`] for an older document, [`Error::BundleKey`] when it cannot be signed.
    pub async fn put(self: &Arc<Self>, document: &RevocationDocument) -> Result<(), Error> {
        let (board, document) = (Arc::clone(self), document.clone());
        // Large lists take a while to pack, and nobody else should wait for that.
        let made = tokio::task::spawn_blocking(move || board.put_now(&document)).await;
        made.unwrap_or_else(|broken| Err(refused(format!("the bundle could not be made: {broken}"))))
    }

    fn put_now(&self, document: &RevocationDocument) -> Result<(), Error> {
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = self.current.borrow().as_deref() {
            let (was, is) = ((current.sequence, current.issued_at), (document.sequence, document.issued_at));
            if is == was {
                return Ok(());
            }
            if is < was {
                return Err(refused(format!("document {} of {} is offered already, {is:?} is older", was.0, was.1)));
            }
        }
        let edition = self.edition(document, &mut packed)?;
        self.current.send_replace(Some(Arc::new(edition)));
        Ok(())
    }

    fn edition(&self, document: &RevocationDocument, packed: &mut Option<Packed>) -> Result<Edition, Error> {
        let revision = document.revision();
        if packed.as_ref().is_none_or(|packed| packed.revision != revision) {
            let entries = member("revocations/data.json", &document.sections_value());
            *packed = Some(Packed { revision: revision.clone(), entries });
        }
        let entries = &packed.as_ref().expect("it was packed above").entries;
        let meta = document.meta_value();
        let manifest = json!({
            "revision": revision, "roots": [ROOT], "rego_version": 1, "metadata": meta,
        });
        let files = [entries, &member(".manifest", &manifest), &member("revocations/meta/data.json", &meta)];
        let mut by_key = BTreeMap::new();
        for key in &self.keys {
            let token = key.sign(&files, &document.system, document.issued_at)?;
            let signatures = member(".signatures.json", &json!({ "signatures": [token] }));
            let bytes: Arc<[u8]> = archive::join(&[files[0], files[1], files[2], &signatures]).into();
            let etag = hex::encode(&Sha256::digest(&bytes)[..16]);
            by_key.insert(key.id().to_owned(), Bundle { etag, bytes });
        }
        Ok(Edition { sequence: document.sequence, issued_at: document.issued_at, by_key })
    }

    /// The newest bundle, signed by the key of that name or else the first. Where one of `known` is the newest, waits for
    /// a newer one, but no longer than `wait`.
    pub async fn fetch(&self, key: Option<&str>, known: &[String], wait: Duration) -> Fetched {
        let key = key.unwrap_or_else(|| self.keys[0].id());
        let mut current = self.current.subscribe();
        let newest = |edition: &Option<Arc<Edition>>| match edition.as_deref().map(|edition| edition.by_key.get(key)) {
            None => Fetched::Nothing,
            Some(None) => Fetched::NoKey,
            Some(Some(bundle)) if known.contains(&bundle.etag) => Fetched::Unchanged(bundle.etag.clone()),
            Some(Some(bundle)) => Fetched::New(bundle.clone()),
        };
        let news = |edition: &Option<Arc<Edition>>| matches!(newest(edition), Fetched::New(_) | Fetched::NoKey);
        // Without news the wait ends by itself, and what there is is said.
        let _ = timeout(wait, current.wait_for(news)).await;
        newest(&current.borrow())
    }
}

fn refused(problem: String) -> Error {
    Error::PdpRefused { endpoint: "bundle".to_owned(), problem }
}

/// What of a value a signature covers: OPA hashes JSON files with sorted keys and without white space.
pub(crate) fn canonical(value: &Value) -> String {
    keywatch_store::event::CanonicalJson::from(value).as_str().to_owned()
}
