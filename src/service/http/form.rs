//! What the headers of a request say of its body: its type, how it is packed, and whether CloudEvents are around it. Judged
//! before the body is received, so that what nobody understands costs no transfer.

use axum::http::{HeaderMap, HeaderName, header};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::transport::body;
use keywatch_ingest::transport::cloudevents::Envelope;

use super::refusal::Refusal;

/// Content types that carry records.
const TYPES: [&str; 7] = [
    "application/json",
    "application/x-ndjson",
    "application/jsonl",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "application/secevent+jwt",
    "text/plain",
];

/// How a body came.
pub(super) struct Form {
    /// `Content-Encoding`.
    pub(super) encoding: Option<String>,
    /// CloudEvents around what the feed reads.
    pub(super) envelope: Envelope,
}

impl Form {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`], or [`Refusal::Broken`] for attributes of CloudEvents that are malformed.
    pub(super) fn of(headers: &HeaderMap) -> Result<Form, Refusal> {
        let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
        let content_type = text(header::CONTENT_TYPE);
        if let Some(sent) = &content_type {
            let essence = sent.split(';').next().unwrap_or_default().trim();
            if !TYPES.iter().any(|known| known.eq_ignore_ascii_case(essence)) {
                let message = format!("content-type `{essence}` is not understood; send {}", TYPES.join(", "));
                return Err(Refusal::Unsupported(message));
            }
        }
        let encoding = text(header::CONTENT_ENCODING);
        // Judged on nothing at all: an encoding is understood or not.
        if let Err(error @ keywatch_ingest::Error::Encoding { .. }) =
            body::decode(encoding.as_deref(), b"", BODY_BYTES_MAX)
        {
            return Err(Refusal::Unsupported(error.to_string()));
        }
        let all = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let envelope = Envelope::of(content_type.as_deref(), all);
        let envelope = envelope.map_err(|problem| Refusal::Broken(problem.to_string()))?;
        Ok(Form { encoding, envelope })
    }
}
