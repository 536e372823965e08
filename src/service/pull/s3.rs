//! A bucket of S3: what lies below a prefix, and an object. Two requests (`ListObjectsV2`, `GetObject`), signed with the keys of
//! a file that is read anew for each. It knows no format, and waits for answers on the thread that asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_store::Instant;
use reqwest::header::RANGE;
use reqwest::{Client, StatusCode, Url, redirect};
use tokio::runtime::Handle;

use super::objects::{Entry, Object, Part, Unread};
use super::sigv4::{Asked, Keys, encoded, headers};
use crate::clock;
use crate::limits::{PULL_ANSWER_SECONDS_MAX, PULL_TRAIL_ANSWERS_MAX};

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct S3 {
    client: Client,
    base: Url,
    region: String,
    keys_file: PathBuf,
}

impl S3 {
    /// Prepares a client; nothing is sent yet. `base` is the bucket's own address.
    ///
    /// # Errors
    /// The address is none, or would show what lies in the bucket to everybody on the way.
    pub(crate) fn new(base: &str, region: &str, keys_file: &Path, allow_plain_http: bool) -> anyhow::Result<S3> {
        // What stands behind a question mark may be a signature, which is not repeated.
        ensure!(!base.contains('?'), "url: write the bucket's address alone; the keys belong into token_file");
        let base = Url::parse(base).with_context(|| format!("url: `{base}` is no address"))?;
        ensure!(base.host_str().is_some(), "url: `{base}` names no host");
        let is_plain = base.scheme() == "http" && allow_plain_http;
        ensure!(base.scheme() == "https" || is_plain, "url: has to be https, or allow_plain_http = true");
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(PULL_ANSWER_SECONDS_MAX))
            .build()?;
        Ok(S3 { client, base, region: region.to_owned(), keys_file: keys_file.to_owned() })
    }

    /// What lies directly below a prefix, which is empty or ends with a slash.
    ///
    /// # Errors
    /// It cannot be asked, or that of `each`.
    pub(super) fn list(&self, prefix: &str, each: &mut dyn FnMut(Entry) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut next: Option<String> = None;
        for _ in 0..PULL_TRAIL_ANSWERS_MAX {
            let token = next.map(|token| format!("continuation-token={}&", encoded(&token, false)));
            let query =
                format!("{}delimiter=%2F&list-type=2&prefix={}", token.unwrap_or_default(), encoded(prefix, false));
            let (answer, _) = self.get("", &query, None).map_err(Unread::into_words).map_err(anyhow::Error::msg)?;
            let text = String::from_utf8(answer).context("its list is no UTF-8")?;
            listed(&text)?.into_iter().try_for_each(&mut *each)?;
            next = inner(&text, "NextContinuationToken").map(unescaped);
            if next.is_none() || inner(&text, "IsTruncated") != Some("true") {
                return Ok(());
            }
        }
        Err(anyhow::anyhow!("its list has no end"))
    }

    /// An object as it lies there, and `x-amz-meta-signature`; empty where it has none, which is no signature of anything.
    pub(super) fn object(&self, key: &str) -> Result<(Vec<u8>, Option<String>), Unread> {
        self.get(key, "", None)
    }

    /// A part of an object as it lies there; empty behind its end.
    pub(super) fn part(&self, key: &str, part: Part) -> Result<Vec<u8>, Unread> {
        self.get(key, "", Some(part)).map(|(body, _)| body)
    }

    fn get(&self, key: &str, query: &str, part: Option<Part>) -> Result<(Vec<u8>, Option<String>), Unread> {
        // The thread is one that may wait.
        Handle::current().block_on(self.ask(key, query, part))
    }

    async fn ask(&self, key: &str, query: &str, part: Option<Part>) -> Result<(Vec<u8>, Option<String>), Unread> {
        let later = |problem: String| Unread::Later(format!("cannot be read: {problem}"));
        let keys = self.keys().map_err(|error| later(format!("{error:#}")))?;
        let path = format!("{}/{}", self.base.path().trim_end_matches('/'), encoded(key, true));
        let mut url = self.base.clone();
        url.set_path(&path);
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let host = self.base.host_str().unwrap_or_default();
        let host = self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let asked = Asked { host: &host, path: &path, query, region: &self.region };
        let mut request = self.client.get(url);
        for (name, value) in headers(&keys, asked, clock::now()) {
            request = request.header(name, value);
        }
        if let Some(part) = part {
            request = request.header(RANGE, part.range());
        }
        let broken = |error: reqwest::Error| later(error.without_url().to_string());
        let mut answer = request.send().await.map_err(broken)?;
        match (answer.status(), part.is_some()) {
            (StatusCode::OK, false) | (StatusCode::PARTIAL_CONTENT, true) => {}
            (StatusCode::RANGE_NOT_SATISFIABLE, true) => return Ok((Vec::new(), None)),
            (StatusCode::OK, true) => return Err(Unread::No("is not given in parts".to_owned())),
            (StatusCode::NOT_FOUND, _) => return Err(Unread::No("is missing".to_owned())),
            (status, _) => return Err(later(format!("the bucket answers {status}"))),
        }
        let signature = answer.headers().get("x-amz-meta-signature").and_then(|value| value.to_str().ok());
        let signature = Some(signature.unwrap_or_default().to_owned());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Unread::Large(format!("has more than {BODY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, signature))
    }

    fn keys(&self) -> anyhow::Result<Keys> {
        let file = self.keys_file.display();
        let text = fs::read_to_string(&self.keys_file).with_context(|| format!("cannot read {file}"))?;
        // What is wrong is said without the line, which may be the secret's.
        toml::from_str(&text).map_err(|error| anyhow::anyhow!("{file}: {}", error.message()))
    }
}

/// The objects and the prefixes of a `ListBucketResult`.
fn listed(text: &str) -> anyhow::Result<Vec<Entry>> {
    ensure!(text.contains("<ListBucketResult"), "it answers with no list of a bucket");
    let mut entries = Vec::new();
    for object in each(text, "Contents") {
        let key = inner(object, "Key").map(unescaped).context("its list has an object without a key")?;
        let written = inner(object, "LastModified").and_then(|time| time.parse::<Instant>().ok());
        let written = written.with_context(|| format!("its list does not say when {key} was written"))?;
        entries.push(Entry::File(Object { written, key }));
    }
    for prefix in each(text, "CommonPrefixes") {
        let prefix = inner(prefix, "Prefix").map(unescaped).context("its list has a prefix without a name")?;
        // A name may be empty (`a//b`); what begins with a slash has no place below the bucket's own.
        let place = prefix.strip_suffix('/').unwrap_or(&prefix);
        entries.extend((!place.is_empty()).then(|| Entry::Directory(place.to_owned())));
    }
    Ok(entries)
}

/// What stands between the tags of each element of that name. The service writes no attributes there.
pub(super) fn each<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(&open)?;
        let (inside, behind) = behind.split_once(&close)?;
        rest = behind;
        Some(inside)
    })
}

/// What stands within the first element of that name.
pub(super) fn inner<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    each(text, name).next()
}

/// The text that was written with the entities of XML.
pub(super) fn unescaped(text: &str) -> String {
    let known = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#13;", "\r"), ("&amp;", "&")];
    known.into_iter().fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p8_a_signature_in_an_address_is_not_repeated() {
        let signed = "https://b.example/?X-Amz-Signature=s3cret";
        let told = S3::new(signed, "auto", Path::new("keys"), false).unwrap_err().to_string();
        assert!(told.contains("token_file") && !told.contains("s3cret"), "{told}");
    }

    #[test]
    fn a_list_is_read_as_the_service_writes_it() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult \
            xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>trail</Name><Prefix>a/</Prefix><IsTruncated>true</IsTruncated>\
            <NextContinuationToken>1/w&amp;x==</NextContinuationToken><Contents><Key>a/b&amp;&lt;c.json.gz</Key>\
            <LastModified>2025-02-21T06:10:00.000Z</LastModified><Size>7</Size></Contents>\
            <CommonPrefixes><Prefix>a/2025/</Prefix></CommonPrefixes></ListBucketResult>";
        let written = "2025-02-21T06:10:00Z".parse().unwrap();
        let file = Entry::File(Object { written, key: "a/b&<c.json.gz".into() });
        assert_eq!(listed(text).unwrap(), [file, Entry::Directory("a/2025".into())]);
        assert_eq!(inner(text, "NextContinuationToken").map(unescaped).as_deref(), Some("1/w&x=="));
        let empty = ["/", "a//"].map(|prefix| format!("<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>"));
        let empty = format!("<ListBucketResult>{}</ListBucketResult>", empty.concat());
        assert_eq!(listed(&empty).unwrap(), [Entry::Directory("a/".into())], "and not `a` once more");
        assert!(listed("<Error><Code>AccessDenied</Code></Error>").is_err());
        assert!(listed("<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>").is_err());
    }
}
