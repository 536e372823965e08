//! The policy decision point, as revocation needs it: something that takes the revocation document and answers queries.

mod embedded;
mod opa;
mod reevaluation;

use std::pin::Pin;

use serde_json::Value;
use sha2::{Digest, Sha256};

pub use embedded::EmbeddedPdp;
pub(crate) use opa::chain;
pub use opa::{Delivery, OpaPdp, OpaSettings};
pub use reevaluation::Reevaluation;

use crate::Error;
use crate::response::bundle::canonical;
use crate::response::revocation::RevocationDocument;

/// The path of the decision, without a leading slash.
pub const DECISION_PATH: &str = "wallet/signing/allow";

/// A call to a policy decision point under way.
pub type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the input is allowed. An undefined answer or one that is not a boolean is a denial.
    pub allow: bool,
    /// Under which id the decision was logged; absent where the decision point logs none.
    pub decision_id: Option<String>,
    /// Sequence number of the revocation document in force, where the decision point says so.
    pub sequence: Option<u64>,
}

/// What a decision point says that it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldDocument {
    /// Sequence number of its revocation document; `None` when it has none.
    pub sequence: Option<u64>,
    /// Its stamp, unix seconds.
    pub issued_at: Option<i64>,
    /// Hash of all of the document as it stands there.
    pub content_sha256: String,
}

impl HeldDocument {
    /// Of a document as it stands at a decision point. Where the log ended is left out: two documents of one second may
    /// differ in that alone.
    #[must_use]
    pub fn of(document: &Value) -> HeldDocument {
        let mut content = document.clone();
        if let Some(meta) = content.get_mut("meta").and_then(Value::as_object_mut) {
            meta.remove("log_head");
        }
        let content_sha256 = hex::encode(Sha256::digest(canonical(&content).as_bytes()));
        let meta = &document["meta"];
        HeldDocument { sequence: meta["seq"].as_u64(), issued_at: meta["issued_at"].as_i64(), content_sha256 }
    }

    /// Whether nothing at all stands there.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == HeldDocument::default() || *self == HeldDocument::of(&Value::Null)
    }
}

/// A policy decision point.
pub trait PolicyDecisionPoint: Send + Sync {
    /// Puts the document in force, in place of the one before.
    ///
    /// # Errors
    /// [`Error::PdpSilent`] or [`Error::PdpRefused`]; the document may be in force or not.
    fn publish<'a>(&'a self, document: &'a RevocationDocument) -> Call<'a, ()>;

    /// Whether what is published is offered to be fetched, so that it can be while the decision point does not answer.
    fn fetches(&self) -> bool {
        false
    }

    /// Asks whether `input` is allowed.
    ///
    /// # Errors
    /// [`Error::PdpSilent`] or [`Error::PdpRefused`] when there is no answer; a denial is an answer.
    fn ask<'a>(&'a self, input: &'a Value) -> Call<'a, Decision>;

    /// What stands at `revocations.meta` there now, `null` where nothing does; `None` where it cannot be looked into.
    ///
    /// # Errors
    /// [`Error::PdpSilent`] or [`Error::PdpRefused`] when there is no answer.
    fn meta(&self) -> Call<'_, Option<Value>> {
        Box::pin(async { Ok(None) })
    }

    /// What it holds now; `None` where it cannot be looked into.
    ///
    /// # Errors
    /// [`Error::PdpSilent`] or [`Error::PdpRefused`] when there is no answer.
    fn held(&self) -> Call<'_, Option<HeldDocument>> {
        Box::pin(async { Ok(None) })
    }
}
