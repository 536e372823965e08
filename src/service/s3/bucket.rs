//! A bucket: an object is read, written or deleted, or a list is asked for, in one signed request each. It tries nothing twice,
//! and knows neither keys nor lists.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};

use super::sigv4::{Asked, Keys, encoded, headers};
use crate::clock;
use crate::limits::S3_CONNECT_SECONDS_MAX;

/// A bucket, and the keys to it.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    client: Client,
    base: Url,
    region: String,
    keys_file: PathBuf,
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such object.
    Missing,
    /// It has more bytes than that.
    TooLong(usize),
    /// It is not given in parts.
    Whole,
    /// Asking again will not help while nothing is changed.
    Refused(String),
    /// Asking again may help.
    Later(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Missing => f.write_str("it is not in the bucket"),
            Failure::Whole => f.write_str("it is not given in parts"),
            Failure::TooLong(bytes_max) => write!(f, "it has more than {bytes_max} bytes"),
            Failure::Refused(problem) | Failure::Later(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for Failure {}

/// The address of a bucket.
///
/// # Errors
/// It is none, or would show what lies in the bucket to everybody on the way.
pub(crate) fn address(base: &str, allow_plain_http: bool) -> anyhow::Result<Url> {
    let base = Url::parse(base).with_context(|| format!("`{base}` is no address"))?;
    ensure!(base.host_str().is_some(), "`{base}` names no host");
    let is_plain = base.scheme() == "http" && allow_plain_http;
    ensure!(base.scheme() == "https" || is_plain, "has to be https, or allow_plain_http = true");
    Ok(base)
}

impl Bucket {
    /// Prepares a client; nothing is sent yet. `base` is the bucket's own address, and a request with its answer may take
    /// that many seconds.
    ///
    /// # Errors
    /// There is no client to be had.
    pub(crate) fn new(base: Url, region: &str, keys_file: &Path, seconds_max: u64) -> anyhow::Result<Bucket> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_secs(S3_CONNECT_SECONDS_MAX))
            .timeout(Duration::from_secs(seconds_max))
            .build()?;
        Ok(Bucket { client, base, region: region.to_owned(), keys_file: keys_file.to_owned() })
    }

    /// An object, or with an empty key what the bucket answers to a query, whose names are in order; and its headers.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn get(&self, key: &str, query: &str, bytes_max: usize) -> Result<(Vec<u8>, HeaderMap), Failure> {
        let answer = self.ask(Method::GET, key, query, Vec::new(), None).await?;
        let headers = answer.headers().clone();
        Ok((body_of(answer, bytes_max).await?, headers))
    }

    /// A part of an object, `range` as the header of HTTP says it; empty behind its end. Where it is shorter than that, the object
    /// ends there.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn part(&self, key: &str, range: String, bytes_max: usize) -> Result<Vec<u8>, Failure> {
        let answer = self.ask(Method::GET, key, "", Vec::new(), Some(range.clone())).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if is_asked_for(&range, answer.headers()) => body_of(answer, bytes_max).await,
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Vec::new()),
            _ => Err(Failure::Whole),
        }
    }

    /// Writes an object in the place of one that may lie there.
    ///
    /// # Errors
    /// Why not; it may be there all the same.
    pub(crate) async fn put(&self, key: &str, body: Vec<u8>) -> Result<(), Failure> {
        self.ask(Method::PUT, key, "", body, None).await.map(drop)
    }

    /// Deletes an object. One that is not there is none to the service either.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn delete(&self, key: &str) -> Result<(), Failure> {
        match self.ask(Method::DELETE, key, "", Vec::new(), None).await {
            Ok(_) | Err(Failure::Missing) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn ask(
        &self,
        method: Method,
        key: &str,
        query: &str,
        body: Vec<u8>,
        range: Option<String>,
    ) -> Result<Response, Failure> {
        let is_part = range.is_some();
        let keys = self.keys().map_err(|error| Failure::Refused(format!("{error:#}")))?;
        let path = format!("{}/{}", self.base.path().trim_end_matches('/'), encoded(key, true));
        let mut url = self.base.clone();
        url.set_path(&path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let host = self.base.host_str().unwrap_or_default();
        let host = self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let asked =
            Asked { method: method.as_str(), host: &host, path: &path, query, region: &self.region, body: &body };
        let signed = headers(&keys, asked, clock::now());
        let mut request = self.client.request(method, url);
        for (name, value) in signed {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let answer = request.send().await.map_err(broken)?;
        match answer.status() {
            status if status.is_success() => Ok(answer),
            StatusCode::RANGE_NOT_SATISFIABLE if is_part => Ok(answer),
            StatusCode::NOT_FOUND => Err(Failure::Missing),
            status => {
                let is_busy = status.is_server_error()
                    || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
                let problem = format!("the bucket answers {status}");
                Err(if is_busy { Failure::Later(problem) } else { Failure::Refused(problem) })
            }
        }
    }

    fn keys(&self) -> anyhow::Result<Keys> {
        let file = self.keys_file.display();
        let text = fs::read_to_string(&self.keys_file).with_context(|| format!("cannot read {file}"))?;
        // What is wrong is said without the line, which may be the secret's.
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("{file}: {}", error.message()))
    }
}

/// Whether an answer has the part that was asked for, as it says itself, up to the end of the object at least (RFC 9110 §14.4): a
/// service may give less, and what it leaves out would be taken for not there.
pub(crate) fn is_asked_for(range: &str, answered: &HeaderMap) -> bool {
    let answered = answered.get(CONTENT_RANGE).and_then(|range| range.to_str().ok()).unwrap_or_default();
    let asked = range.strip_prefix("bytes=").and_then(|asked| asked.split_once('-'));
    let given = answered.strip_prefix("bytes ").and_then(|given| given.split_once('/'));
    let (Some((from, to)), Some((given, length))) = (asked, given) else { return false };
    let Some((first, last)) = given.split_once('-') else { return false };
    let end = last.parse::<u64>().ok().and_then(|last| last.checked_add(1));
    first == from && (last == to || end.is_some() && length.parse::<u64>().ok() == end)
}

async fn body_of(mut answer: Response, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Failure::TooLong(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An answer that did not come, or not to its end. The address is known to whoever reads that.
fn broken(error: reqwest::Error) -> Failure {
    Failure::Later(error.without_url().to_string())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{HeaderMap as Sent, HeaderValue, Uri};
    use tokio::net::TcpListener;

    use super::*;

    /// Gives a part of an object of ten bytes to whoever asks for one; of `less`, two bytes, and `whole` as a whole.
    fn answer(uri: &Uri, sent: &Sent) -> (StatusCode, Sent, String) {
        let (content, mut said) = ("0123456789", Sent::new());
        let range = sent.get("range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
        let range = range.map(|(from, to)| (from.parse::<usize>().unwrap(), to.parse::<usize>().unwrap()));
        let Some((from, to)) = range.filter(|_| uri.path() != "/b/whole") else {
            return (StatusCode::OK, said, content.to_owned());
        };
        let end = (to + 1).min(content.len());
        let end = if uri.path() == "/b/less" { end.min(from + 2) } else { end };
        if from >= end {
            return (StatusCode::RANGE_NOT_SATISFIABLE, said, "<Error/>".to_owned());
        }
        let given = format!("bytes {from}-{}/{}", end - 1, content.len());
        said.insert(CONTENT_RANGE, HeaderValue::from_str(&given).unwrap());
        (StatusCode::PARTIAL_CONTENT, said, content[from..end].to_owned())
    }

    #[tokio::test]
    async fn a_part_is_what_was_asked_for_and_nothing_behind_the_end() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/b", listener.local_addr().unwrap());
        let router = Router::new().fallback(|uri: Uri, sent: Sent| async move { answer(&uri, &sent) });
        tokio::spawn(async move { axum::serve(listener, router).await });
        let keys = tempfile::NamedTempFile::new().unwrap();
        fs::write(keys.path(), "access_key_id = \"a\"\nsecret_access_key = \"s\"\n").unwrap();
        let bucket = Bucket::new(address(&base, true).unwrap(), "auto", keys.path(), 30).unwrap();
        let part = async |key: &str, range: &str, bytes_max| bucket.part(key, range.to_owned(), bytes_max).await;
        assert_eq!(part("a", "bytes=2-5", 10).await, Ok(b"2345".to_vec()));
        assert_eq!(part("a", "bytes=8-11", 10).await, Ok(b"89".to_vec()));
        assert_eq!(part("a", "bytes=10-13", 10).await, Ok(Vec::new()), "the answer to that is no content");
        assert_eq!(part("a", "bytes=2-5", 3).await, Err(Failure::TooLong(3)));
        assert_eq!(part("whole", "bytes=2-5", 10).await, Err(Failure::Whole), "its beginning is not taken for byte 2");
        assert_eq!(part("less", "bytes=2-5", 10).await, Err(Failure::Whole), "more follows");
        assert_eq!(part("less", "bytes=8-11", 10).await, Ok(b"89".to_vec()));
        assert_eq!(bucket.get("a", "", 10).await.unwrap().0, b"0123456789");
    }

    #[test]
    fn an_address_is_one_that_nobody_else_reads() {
        assert_eq!(address("https://b.example/c", false).unwrap().path(), "/c");
        assert!(address("http://127.0.0.1:9000/c", true).is_ok());
        for (base, expected) in [("http://b.example", "has to be https"), ("b", "is no address"), ("data:x", "no host")]
        {
            let told = format!("{:#}", address(base, false).unwrap_err());
            assert!(told.contains(expected), "{told}");
        }
    }
}
