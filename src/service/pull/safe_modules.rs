//! What modules did for a Safe, as its transaction service lists it (`GET /api/v1/safes/{address}/module-transactions/`):
//! the newest first, page by page, until a page reaches back behind what is known.
//!
//! While a list is gone through the time of the newest record stays where it was, so that one that is broken off is gone
//! through again.

use std::sync::{Mutex, PoisonError};

use keywatch_store::Instant;
use reqwest::Url;
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::puller::{Page, Pull};
use super::safe::query_of;
use super::service::{Class, Service, Trouble};
use crate::limits::PULL_SAFE_RECORDS;

/// The transactions of a wallet's modules.
pub(super) struct SafeModules {
    service: Service,
    wallet: String,
    overlap_nanoseconds: i64,
    /// The newest in the pages of the list that is being gone through.
    seen: Mutex<Option<Instant>>,
}

impl SafeModules {
    /// Those of a wallet, its address with the capitals of EIP-55.
    pub(super) fn new(service: Service, wallet: String, overlap_nanoseconds: i64) -> SafeModules {
        SafeModules { service, wallet, overlap_nanoseconds, seen: Mutex::default() }
    }

    fn url(&self, cursor: &Cursor) -> Result<Url, Trouble> {
        let mut url = self.service.at(&format!("/api/v1/safes/{}/module-transactions/", self.wallet))?;
        let first = format!("limit={PULL_SAFE_RECORDS}");
        url.set_query(Some(cursor.next.as_deref().unwrap_or(&first)));
        Ok(url)
    }
}

impl Pull for SafeModules {
    async fn page(&self, cursor: &Cursor, _: Instant) -> Result<Page, Trouble> {
        let answer = self.service.get(self.url(cursor)?).await?;
        let rest = answer.rest();
        let Listed { body, next, oldest, newest } = listed(&answer.body)?;
        let known = cursor.newest.map(|newest| Instant(newest.0.saturating_sub(self.overlap_nanoseconds)));
        let reaches_back = oldest.zip(known).is_some_and(|(oldest, known)| oldest < known);
        let next = next.filter(|_| !reaches_back);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = (*seen).max(newest);
        let newest = if next.is_none() { seen.take() } else { None };
        Ok(Page { body, newest, next, rest, ..Page::default() })
    }
}

/// A page as the feed reads it.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    body: Vec<u8>,
    next: Option<String>,
    oldest: Option<Instant>,
    newest: Option<Instant>,
}

/// In the list of modules' transactions alone a record does not say what it is.
fn listed(body: &[u8]) -> Result<Listed, Trouble> {
    let malformed = |problem: String| Trouble::new(Class::Malformed, format!("it answers with no list: {problem}"));
    let mut page: Value = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let next = page["next"].as_str().map(query_of).transpose()?;
    let results = page.get_mut("results").and_then(Value::as_array_mut);
    let results = results.ok_or_else(|| malformed("`results` is missing".to_owned()))?;
    let mut times = Vec::new();
    for record in results.iter_mut().filter_map(Value::as_object_mut) {
        record.entry("txType").or_insert_with(|| json!("MODULE_TRANSACTION"));
        let time = record.get("executionDate").and_then(Value::as_str).and_then(|text| text.parse::<Instant>().ok());
        times.extend(time);
    }
    let (oldest, newest) = (times.iter().min().copied(), times.iter().max().copied());
    Ok(Listed { body: page.to_string().into_bytes(), next, oldest, newest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_what_it_is_and_a_page_how_far_it_reaches() {
        let body = json!({
            "next": "http://elsewhere.example/?limit=100&offset=100",
            "results": [
                { "executionDate": "2025-02-21T14:00:00Z", "module": "0x01" },
                { "executionDate": "2025-02-20T14:00:00Z", "txType": "MODULE_TRANSACTION" },
                { "executionDate": 7 },
            ],
        });
        let page = listed(body.to_string().as_bytes()).unwrap();
        let time = |text: &str| Some(text.parse::<Instant>().unwrap());
        assert_eq!((page.oldest, page.newest), (time("2025-02-20T14:00:00Z"), time("2025-02-21T14:00:00Z")));
        assert_eq!(page.next.as_deref(), Some("limit=100&offset=100"));
        let read: Value = serde_json::from_slice(&page.body).unwrap();
        assert!(read["results"].as_array().unwrap().iter().all(|record| record["txType"] == "MODULE_TRANSACTION"));
        assert_eq!(listed(b"[]").unwrap_err().class, Class::Malformed);
        assert_eq!(listed(b"{}").unwrap_err().class, Class::Malformed);
    }
}
