//! A request as it came, to be asked of the processes of partitions, and what one of them answers. It does not know which.

use std::net::SocketAddr;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::PathAndQuery;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use keywatch_store::log::kafka::partition_of;
use reqwest::Url;
use serde_json::Value;

use super::answers::Wanted;
use crate::limits::{API_BODY_BYTES_MAX, API_LIST_DEFAULT};
use crate::service::http::handed::{CALLER, Secret};

/// Names the partition that is asked.
pub(super) const PARTITION: &str = "keywatch-partition";

/// Headers of one connection (RFC 9110, section 7.6.1), and what follows from the body.
const OF_THE_CONNECTION: [&str; 7] =
    ["connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];

/// A request.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: PathAndQuery,
    headers: HeaderMap,
    body: Bytes,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asked {
    /// Reads a request; `None` where its body is larger than any that the API takes. `is_secure` says that it came over TLS, and
    /// `secret` lets the processes of partitions believe from which address.
    pub(super) async fn read(request: Request, is_secure: bool, secret: &Secret) -> Option<Asked> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, API_BODY_BYTES_MAX).await.ok()?;
        let mut headers = without_connection(parts.headers);
        // What somebody outside writes there is his word alone.
        headers.remove(CALLER);
        headers.extend(secret.header(&parts.extensions).map(|caller| (HeaderName::from_static(CALLER), caller)));
        if is_secure {
            headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        }
        let path = parts.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Some(Asked { method: parts.method, path, headers, body })
    }

    /// Whether a person looks at the page.
    pub(super) fn is_of_page(&self) -> bool {
        let path = self.path.path();
        path == "/" || path == "/page" || path.starts_with("/page/")
    }

    /// The partition that is named: by a header, or by the cookie of who looks at the page.
    ///
    /// # Errors
    /// What is named is no number.
    pub(super) fn partition(&self) -> Result<Option<u32>, std::num::ParseIntError> {
        if let Some(named) = self.headers.get(PARTITION) {
            return named.to_str().unwrap_or_default().trim().parse().map(Some);
        }
        let cookies = self.headers.get_all(header::COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let chosen = pairs.find(|(name, _)| *name == PARTITION);
        Ok(chosen.filter(|_| self.is_of_page()).and_then(|(_, value)| value.parse().ok()))
    }

    /// The partition of the system that the body names.
    pub(super) fn partition_of_system(&self, partitions: u32) -> Option<u32> {
        let body: Value = serde_json::from_slice(&self.body).ok()?;
        Some(partition_of(body["system"].as_str()?, partitions))
    }

    /// What of a list is wanted; `None` for what does not begin at its beginning.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        // What has no limit is shown as a whole.
        let is_list = ["/v1/incidents", "/v1/alerts", "/v1/responses"].contains(&self.path.path());
        let limit = if is_list { API_LIST_DEFAULT } else { usize::MAX };
        let mut wanted = Wanted { limit, is_newest_first: false };
        let url = Url::parse(&format!("http://keywatch{}", self.path)).ok()?;
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                // The partitions refuse what is no number.
                "limit" => wanted.limit = value.parse().unwrap_or(wanted.limit),
                "order" => wanted.is_newest_first = value == "newest",
                "offset" if value != "0" => return None,
                _ => {}
            }
        }
        Some(wanted)
    }

    /// Asks a process.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn send(&self, client: &reqwest::Client, place: SocketAddr) -> Result<Answer, reqwest::Error> {
        let request = client.request(self.method.clone(), format!("http://{place}{}", self.path));
        let answered = request.headers(self.headers.clone()).body(self.body.clone()).send().await?;
        let (status, headers) = (answered.status(), without_connection(answered.headers().clone()));
        Ok(Answer { status, headers, body: answered.bytes().await? })
    }
}

impl Answer {
    /// The same answer with another body of JSON.
    pub(super) fn saying(mut self, value: &Value) -> Answer {
        self.body = value.to_string().into();
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

fn without_connection(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &'static str, headers: &[(&'static str, &'static str)], body: &'static str) -> Asked {
        let headers =
            headers.iter().map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let (headers, path) = (headers.collect(), PathAndQuery::from_static(path));
        Asked { method: Method::GET, path, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn a_partition_is_named_by_a_header_and_for_the_page_by_a_cookie() {
        let cookie = ("cookie", "other=9; keywatch-partition=3");
        assert_eq!(asked("/v1/handover", &[], "").partition(), Ok(None));
        assert_eq!(asked("/v1/handover", &[cookie], "").partition(), Ok(None), "a program says what it means");
        assert_eq!(asked("/v1/handover", &[(PARTITION, " 2 "), cookie], "").partition(), Ok(Some(2)));
        assert!(asked("/v1/handover", &[(PARTITION, "two")], "").partition().is_err());
        assert_eq!(asked("/page/incidents/a1?x=1", &[cookie], "").partition(), Ok(Some(3)));
        assert_eq!(asked("/", &[("cookie", "keywatch-partition=none")], "").partition(), Ok(None));
        assert!(!asked("/pages", &[], "").is_of_page());
    }

    #[tokio::test]
    async fn p8_nobody_outside_says_for_whom_he_asks() {
        let request = axum::http::Request::builder().uri("/v1/alerts").header(CALLER, "guessed 192.0.2.7");
        let request = request.header("accept", "*/*").body(Body::empty()).unwrap();
        let asked = Asked::read(request, false, &Secret::random().unwrap()).await.unwrap();
        assert!(!asked.headers.contains_key(CALLER) && asked.headers.contains_key("accept"));
    }

    #[test]
    fn the_system_of_a_body_and_the_shape_of_a_list_are_read() {
        assert_eq!(asked("/v1/silences", &[], r#"{"system":"abc","rule":"a/b"}"#).partition_of_system(48), Some(27));
        assert_eq!(asked("/v1/silences", &[], "no JSON").partition_of_system(48), None);
        let wanted = |path| asked(path, &[], "").wanted();
        let usual = Wanted { limit: API_LIST_DEFAULT, is_newest_first: false };
        assert_eq!(wanted("/v1/alerts"), Some(usual));
        assert_eq!(wanted("/v1/alerts?offset=0&severity=high"), Some(usual));
        assert_eq!(wanted("/v1/alerts?limit=5&order=newest"), Some(Wanted { limit: 5, is_newest_first: true }));
        assert_eq!(wanted("/v1/alerts?offset=100"), None);
        assert_eq!(wanted("/v1/handover?since=x").map(|wanted| wanted.limit), Some(usize::MAX));
    }
}
