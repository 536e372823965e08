//! Okta's System Log (`GET /api/v1/logs`): in the order of time from an overlap before the newest record, page by page along
//! `rel="next"`, until a page is empty.
//!
//! Records appear late, so the list is asked for again from some minutes before the newest one; what was taken is known by
//! its `uuid`.

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use reqwest::Url;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::cursor::Cursor;
use super::puller::{Page, Pull};
use super::service::{Class, Service, Trouble};
use crate::limits::PULL_OKTA_RECORDS;

/// The System Log of an organisation.
pub(super) struct Okta {
    pub(super) service: Service,
    /// Where to begin where nothing was pulled yet; now, where it is not said.
    pub(super) start: Option<Instant>,
    /// How far before the newest record the list is asked for again.
    pub(super) overlap_nanoseconds: i64,
}

impl Pull for Okta {
    async fn page(&self, cursor: &Cursor, now: Instant) -> Result<Page, Trouble> {
        let since = cursor.newest.map_or_else(
            || self.start.unwrap_or(now),
            |newest| Instant(newest.0.saturating_sub(self.overlap_nanoseconds)),
        );
        let url = match &cursor.next {
            // One that was kept before `url` changed is no place any more: the list is asked for anew.
            Some(next) => self.service.named(next).map_err(|trouble| Trouble { class: Class::Gone, ..trouble })?,
            None => self.first(since)?,
        };
        let answer = self.service.get(url).await?;
        let (records, newest) = looked_through(&answer.body)?;
        let next = answer.place()?.filter(|_| records > 0);
        // One that names a place elsewhere would give this page again and again.
        if let Some(next) = &next {
            self.service.named(next)?;
        }
        let rest = answer.rest();
        // An organisation in which nothing happens is not asked from a later time at each poll.
        let newest = newest.max(cursor.newest).or(Some(since));
        Ok(Page { body: answer.body, newest, next, rest, ..Page::default() })
    }
}

impl Okta {
    fn first(&self, since: Instant) -> Result<Url, Trouble> {
        let mut url = self.service.at("/api/v1/logs")?;
        let milliseconds = Instant(since.0 - since.0.rem_euclid(SECOND_NS / 1000));
        url.query_pairs_mut()
            .append_pair("since", &milliseconds.to_string())
            .append_pair("sortOrder", "ASCENDING")
            .append_pair("limit", &PULL_OKTA_RECORDS.to_string());
        Ok(url)
    }
}

/// How many records a page holds, and the newest time that one of them says.
fn looked_through(body: &[u8]) -> Result<(usize, Option<Instant>), Trouble> {
    #[derive(Deserialize)]
    struct Stamp {
        published: Instant,
    }
    let records: Vec<&RawValue> = serde_json::from_slice(body)
        .map_err(|error| Trouble::new(Class::Malformed, format!("it answers with no list of events: {error}")))?;
    // One without a time is for the feed to refuse.
    let times = records.iter().filter_map(|record| serde_json::from_str::<Stamp>(record.get()).ok());
    Ok((records.len(), times.map(|stamp| stamp.published).max()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_at_another_address_is_asked_for_by_nobody_and_given_up() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let service = Service::new("https://new.example", None, "SSWS", false).unwrap();
        let okta = Okta { service, start: None, overlap_nanoseconds: 0 };
        let cursor = Cursor { next: Some("https://old.example/api/v1/logs?after=7".to_owned()), ..Cursor::default() };
        let trouble = okta.page(&cursor, Instant(1)).await.unwrap_err();
        assert_eq!(trouble.class, Class::Gone, "{trouble}");
    }

    #[test]
    fn a_page_says_how_much_it_holds_and_how_far_it_reaches() {
        let body =
            br#"[{"published":"2025-02-21T05:12:03.417Z"},{"published":"2025-02-21T05:12:04Z"},{"published":7},5]"#;
        let newest = "2025-02-21T05:12:04Z".parse().unwrap();
        assert_eq!(looked_through(body).unwrap(), (4, Some(newest)));
        assert_eq!(looked_through(b"[]").unwrap(), (0, None));
        for wrong in [&b"{\"errorCode\":\"E0000011\"}"[..], b"[{]", b""] {
            assert_eq!(looked_through(wrong).unwrap_err().class, Class::Malformed);
        }
    }
}
