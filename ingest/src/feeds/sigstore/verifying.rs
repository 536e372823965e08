//! The feed `sigstore` of an installation that trusts somebody: what a verifier says counts only with a bundle that
//! verifies here too.
//!
//! `detail.verified` says whether, and `detail.not_verified` why not. It makes nothing good that the verifier refused, and
//! knows no artifact but by its digest.

use std::collections::BTreeSet;

use keywatch_store::Instant;
use serde_json::Value;

use super::SIGSTORE;
use super::trust::Trust;
use super::verify::{self, Signer};
use crate::feeds::table::Column::{Actor, Reason};
use crate::feeds::table::{Draft, path};
use crate::reject::capped;
use crate::{Context, Feed, Problem, Reading, limits};

/// The feed with whom it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifying(Trust);

impl Verifying {
    /// The feed that verifies against this.
    #[must_use]
    pub fn new(trust: Trust) -> Verifying {
        Verifying(trust)
    }

    /// The feed for as long as the process runs, as the ones built in are.
    #[must_use]
    pub fn into_feed(self) -> &'static Verifying {
        Box::leak(Box::new(self))
    }

    fn complete(&self, context: &Context<'_>, record: &Value, draft: &mut Draft) -> Result<(), Problem> {
        let said = path::find(record, "result").and_then(Value::as_str);
        let found = match path::find(record, "bundle") {
            None => Err("no bundle came with the result".to_owned()),
            Some(_) if draft.detail.contains_key("signed_artifact") => {
                Err("the bundle signs another artifact".to_owned())
            }
            Some(bundle) => {
                let repository = path::find(record, "name").and_then(Value::as_str);
                verify::bundle(bundle, &self.0, &context.origin.system, repository)
            }
        };
        draft.detail.insert("verified".to_owned(), Value::from(found.is_ok()));
        match found {
            Ok(verified) => {
                let signed_at = verified.at.and_then(Instant::from_unix_seconds).map(|at| at.to_string());
                draft.detail.insert("signed_at".to_owned(), Value::from(signed_at));
                signed_by(verified.signer, draft)?;
            }
            Err(reason) => {
                let reason = capped(&reason, limits::FACT_BYTES_MAX);
                if said == Some("verified") {
                    draft.outcome(Some("failed"));
                    let why = format!("the bundle does not verify: {reason}");
                    draft.set(Reason, &why).map_err(|reason| Problem::new("reason", reason))?;
                }
                draft.detail.insert("not_verified".to_owned(), Value::from(reason));
            }
        }
        Ok(())
    }
}

/// Says who signed in place of what the record claims.
fn signed_by(signer: Signer, draft: &mut Draft) -> Result<(), Problem> {
    // What a record claims of an identity is nobody's word where a key signed.
    draft.detail.remove("identity");
    draft.detail.remove("issuer");
    let name = match signer {
        Signer::Identity { subject, issuer } => {
            draft.detail.insert("identity".to_owned(), Value::from(subject.as_str()));
            draft.detail.insert("issuer".to_owned(), Value::from(issuer));
            subject
        }
        Signer::Key(name) => format!("key:{name}"),
    };
    draft.set(Actor, &name).map_err(|reason| Problem::new("identity", reason))?;
    draft.detail.insert("signer".to_owned(), Value::from(name));
    Ok(())
}

impl Feed for Verifying {
    fn name(&self) -> &'static str {
        SIGSTORE.name
    }

    fn makes(&self) -> BTreeSet<&'static str> {
        SIGSTORE.kinds()
    }

    fn read(&self, context: &Context<'_>, body: &[u8]) -> Reading {
        SIGSTORE.read_and(context, body, &|record, draft| self.complete(context, record, draft))
    }
}

#[cfg(test)]
mod keys_tests;
#[cfg(test)]
mod tests;
