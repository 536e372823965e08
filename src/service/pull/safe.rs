//! The Safe transaction service (`GET /api/v1/safes/{address}/multisig-transactions/`): the transactions of one wallet in the
//! order in which they were changed, from an overlap before the newest change, page by page.
//!
//! A transaction changes with each confirmation and when it is executed; its events are known by their ids. The place of a
//! next page is taken from the service as a query alone, so that no other address is ever asked.

use keywatch_store::Instant;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cursor::Cursor;
use super::puller::{Page, Pull};
use super::service::{Class, Service, Trouble, kept};
use crate::limits::PULL_SAFE_RECORDS;

/// The transactions of a wallet.
pub(super) struct Safe {
    pub(super) service: Service,
    /// Its address with the capitals of EIP-55, which the service insists on.
    pub(super) wallet: String,
    /// Where to begin where nothing was pulled yet; at the beginning, where it is not said.
    pub(super) start: Option<Instant>,
    /// How far before the newest change the list is asked for again.
    pub(super) overlap_nanoseconds: i64,
}

impl Pull for Safe {
    async fn page(&self, cursor: &Cursor, _: Instant) -> Result<Page, Trouble> {
        let url = self.url(cursor)?;
        let answer = self.service.get(url).await?;
        let (next, newest) = looked_through(&answer.body)?;
        Ok(Page { rest: answer.rest(), newest, next, body: answer.body, ..Page::default() })
    }
}

impl Safe {
    fn url(&self, cursor: &Cursor) -> Result<Url, Trouble> {
        let mut url = self.service.at(&format!("/api/v1/safes/{}/multisig-transactions/", self.wallet))?;
        if let Some(query) = &cursor.next {
            url.set_query(Some(query));
            return Ok(url);
        }
        let overlapped = |newest: Instant| Instant(newest.0.saturating_sub(self.overlap_nanoseconds));
        let since = cursor.newest.map(overlapped).or(self.start);
        let mut query = url.query_pairs_mut();
        query.append_pair("ordering", "modified").append_pair("limit", &PULL_SAFE_RECORDS.to_string());
        if let Some(since) = since {
            query.append_pair("modified__gte", &since.to_string());
        }
        drop(query);
        Ok(url)
    }
}

/// The query of the next page, and the time of the newest change.
fn looked_through(body: &[u8]) -> Result<(Option<String>, Option<Instant>), Trouble> {
    #[derive(Deserialize)]
    struct Listed<'a> {
        #[serde(default)]
        next: Option<String>,
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Stamp {
        modified: Instant,
    }
    let listed: Listed<'_> = serde_json::from_slice(body)
        .map_err(|error| Trouble::new(Class::Malformed, format!("it answers with no list of transactions: {error}")))?;
    let next = listed.next.as_deref().map(query_of).transpose()?;
    let times = listed.results.iter().filter_map(|record| serde_json::from_str::<Stamp>(record.get()).ok());
    Ok((next, times.map(|stamp| stamp.modified).max()))
}

/// The query of an address that the service names.
pub(super) fn query_of(address: &str) -> Result<String, Trouble> {
    let query = Url::parse(address).ok().and_then(|url| url.query().map(str::to_owned));
    kept(&query.ok_or_else(|| Trouble::new(Class::Malformed, "its next page is nowhere"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PULL_PLACE_BYTES_MAX;

    fn safe() -> Safe {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Safe {
            service: Service::new("https://safe.example/tx-service/eth", None, "Bearer", false).unwrap(),
            wallet: "0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4".into(),
            start: None,
            overlap_nanoseconds: 60_000_000_000,
        }
    }

    #[test]
    fn the_list_is_asked_for_by_what_changed_and_goes_on_at_its_own_address() {
        let at = |cursor: &Cursor| safe().url(cursor).unwrap().to_string();
        let place = "https://safe.example/tx-service/eth/api/v1/safes/0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4\
                     /multisig-transactions/";
        assert_eq!(at(&Cursor::default()), format!("{place}?ordering=modified&limit=100"));
        let newest = Some("2025-02-21T05:13:00Z".parse().unwrap());
        let since = at(&Cursor { newest, ..Cursor::default() });
        assert_eq!(since, format!("{place}?ordering=modified&limit=100&modified__gte=2025-02-21T05%3A12%3A00Z"));
        let body = br#"{"count":2,"next":"http://evil.example/other?limit=100&offset=100","results":[{"modified":"2025-02-21T05:13:00Z"},{}]}"#;
        let (next, seen) = looked_through(body).unwrap();
        assert_eq!((next.as_deref(), seen), (Some("limit=100&offset=100"), newest));
        assert_eq!(at(&Cursor { next, ..Cursor::default() }), format!("{place}?limit=100&offset=100"));
        assert_eq!(looked_through(b"[]").unwrap_err().class, Class::Malformed);
        let book = format!("https://safe.example/?cursor={}", "a".repeat(PULL_PLACE_BYTES_MAX));
        assert_eq!(query_of(&book).unwrap_err().class, Class::Malformed, "it would stand in the log");
    }
}
