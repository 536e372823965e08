//! A container of Azure's blob storage: what lies below a prefix, and a blob. Two requests (`List Blobs`, `Get Blob`), each under
//! a shared access signature out of a file that is read anew for each. It knows no format, and waits for answers on the thread
//! that asks.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use jiff::fmt::rfc2822::DateTimeParser;
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_store::Instant;
use reqwest::header::RANGE;
use reqwest::{Client, StatusCode, Url};
use tokio::runtime::Handle;

use super::objects::{Entry, Object, Part, Unread};
use super::service::address_and_client;
use crate::limits::{PULL_TRAIL_ANSWERS_MAX, TOKEN_BYTES_MAX};
use crate::service::s3::bucket::is_asked_for;
use crate::service::s3::sigv4::encoded;
use crate::service::s3::xml::{each, inner, unescaped};

/// A container.
#[derive(Clone, Debug)]
pub(crate) struct AzureBlob {
    client: Client,
    base: Url,
    token_file: PathBuf,
}

impl AzureBlob {
    /// Prepares a client; nothing is sent yet. `base` is the container's own address.
    ///
    /// # Errors
    /// The address is none, or would show the signature to everybody on the way.
    pub(crate) fn new(base: &str, token_file: &Path, allow_plain_http: bool) -> anyhow::Result<AzureBlob> {
        // What stands behind a question mark may be the signature, which is not repeated.
        ensure!(!base.contains('?'), "url: write the container's address alone; the signature belongs into token_file");
        let (base, client) = address_and_client(base, allow_plain_http)?;
        Ok(AzureBlob { client, base, token_file: token_file.to_owned() })
    }

    /// What lies directly below a prefix, which is empty or ends with a slash.
    ///
    /// # Errors
    /// It cannot be asked, or that of `each`.
    pub(super) fn list(&self, prefix: &str, each: &mut dyn FnMut(Entry) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let mut next: Option<String> = None;
        for _ in 0..PULL_TRAIL_ANSWERS_MAX {
            let marker = next.map(|marker| format!("&marker={}", encoded(&marker, false)));
            let query = format!(
                "restype=container&comp=list&delimiter=%2F&prefix={}{}",
                encoded(prefix, false),
                marker.unwrap_or_default()
            );
            let answer = self.get("", &query, None).map_err(Unread::into_words).map_err(anyhow::Error::msg)?;
            let text = String::from_utf8(answer).context("its list is no UTF-8")?;
            listed(&text)?.into_iter().try_for_each(&mut *each)?;
            next = inner(&text, "NextMarker").filter(|marker| !marker.is_empty()).map(unescaped);
            if next.is_none() {
                return Ok(());
            }
        }
        Err(anyhow::anyhow!("its list has no end"))
    }

    /// A blob as it lies there.
    pub(super) fn object(&self, key: &str) -> Result<Vec<u8>, Unread> {
        self.get(key, "", None)
    }

    /// A part of a blob as it lies there; empty behind its end.
    pub(super) fn part(&self, key: &str, part: Part) -> Result<Vec<u8>, Unread> {
        self.get(key, "", Some(part))
    }

    fn get(&self, key: &str, query: &str, part: Option<Part>) -> Result<Vec<u8>, Unread> {
        // The thread is one that may wait.
        Handle::current().block_on(self.ask(key, query, part))
    }

    async fn ask(&self, key: &str, query: &str, part: Option<Part>) -> Result<Vec<u8>, Unread> {
        let later = |problem: String| Unread::Later(format!("cannot be read: {problem}"));
        let signature = self.signature().map_err(|error| later(format!("{error:#}")))?;
        let mut url = self.base.clone();
        let place = self.base.path().trim_end_matches('/');
        // The container itself has no slash behind it.
        let path = if key.is_empty() { place.to_owned() } else { format!("{place}/{}", encoded(key, true)) };
        url.set_path(&path);
        let join = if query.is_empty() { "" } else { "&" };
        url.set_query(Some(&format!("{query}{join}{signature}")));
        let broken = |error: reqwest::Error| later(error.without_url().to_string());
        let request = self.client.get(url);
        let request = part.iter().fold(request, |request, part| request.header(RANGE, part.range()));
        let mut answer = request.send().await.map_err(broken)?;
        match (answer.status(), part.is_some()) {
            (StatusCode::OK, false) => {}
            (StatusCode::PARTIAL_CONTENT, true)
                if part.is_some_and(|part| is_asked_for(&part.range(), answer.headers())) => {}
            (StatusCode::RANGE_NOT_SATISFIABLE, true) => return Ok(Vec::new()),
            (StatusCode::OK | StatusCode::PARTIAL_CONTENT, true) => {
                return Err(Unread::No("is not given in parts".to_owned()));
            }
            (StatusCode::NOT_FOUND, _) => return Err(Unread::No("is missing".to_owned())),
            (status, _) => return Err(later(format!("the storage answers {status}"))),
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Unread::Large(format!("has more than {BODY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// The shared access signature as it stands in its file now: a query, with or without its question mark.
    fn signature(&self) -> anyhow::Result<String> {
        let file = self.token_file.display();
        let text = fs::read_to_string(&self.token_file).with_context(|| format!("cannot read {file}"))?;
        let signature = text.trim().trim_start_matches('?');
        let is_one = signature.split('&').any(|part| part.starts_with("sig="));
        let is_query = signature.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        ensure!(is_one && is_query && signature.len() <= TOKEN_BYTES_MAX, "{file} holds no shared access signature");
        Ok(signature.to_owned())
    }
}

/// The blobs and the prefixes of an `EnumerationResults`.
fn listed(text: &str) -> anyhow::Result<Vec<Entry>> {
    ensure!(text.contains("<EnumerationResults"), "it answers with no list of a container");
    let mut entries = Vec::new();
    for blob in each(text, "Blob") {
        let key = name(blob).context("its list has a blob without a name")?;
        let written = inner(blob, "Last-Modified").and_then(written);
        let written = written.with_context(|| format!("its list does not say when {key} was written"))?;
        entries.push(Entry::File(Object { written, key }));
    }
    for prefix in each(text, "BlobPrefix") {
        let prefix = name(prefix).context("its list has a prefix without a name")?;
        let place = prefix.strip_suffix('/').unwrap_or(&prefix);
        entries.extend((!place.is_empty()).then(|| Entry::Directory(place.to_owned())));
    }
    Ok(entries)
}

/// The name of a blob or prefix. One with characters that XML does not have (U+FFFE, U+FFFF) is written as in an address.
fn name(element: &str) -> Option<String> {
    if let Some(name) = inner(element, "Name") {
        return Some(unescaped(name));
    }
    let (_, behind) = element.split_once("<Name Encoded=\"true\">")?;
    let (name, _) = behind.split_once("</Name>")?;
    let mut parts = name.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (code, text) = part.split_at_checked(2)?;
        bytes.extend(hex::decode(code).ok()?);
        bytes.extend_from_slice(text.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The time of a header, which the service writes into its list too.
fn written(date: &str) -> Option<Instant> {
    Instant::from_unix_seconds(DateTimeParser::new().parse_timestamp(date).ok()?.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_the_service_writes_it() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults \
            ServiceEndpoint=\"https://a.blob.core.windows.net/\" ContainerName=\"insights-activity-logs\"><Prefix>r/</Prefix>\
            <Delimiter>/</Delimiter><Blobs><Blob><Name>r/PT1H&amp;.json</Name><Properties><Creation-Time>Fri, 21 Feb 2025 05:00:07 \
            GMT</Creation-Time><Last-Modified>Fri, 21 Feb 2025 06:10:00 GMT</Last-Modified><Content-Length>7</Content-Length>\
            </Properties></Blob><BlobPrefix><Name>r/y=2025/</Name></BlobPrefix></Blobs><NextMarker>2!92!x</NextMarker>\
            </EnumerationResults>";
        let written = "2025-02-21T06:10:00Z".parse().unwrap();
        let file = Entry::File(Object { written, key: "r/PT1H&.json".into() });
        assert_eq!(listed(text).unwrap(), [file, Entry::Directory("r/y=2025".into())]);
        assert_eq!(inner(text, "NextMarker"), Some("2!92!x"));
        assert!(listed("<Error><Code>AuthenticationFailed</Code></Error>").is_err());
        assert!(listed("<EnumerationResults><Blob><Name>a</Name></Blob></EnumerationResults>").is_err());
    }

    #[test]
    fn a_name_that_xml_cannot_hold_stops_no_list() {
        let blob = |name: &str| format!("<Name Encoded=\"true\">{name}</Name><Properties></Properties>");
        assert_eq!(name(&blob("r%2Fa%EF%BF%BE.json")).as_deref(), Some("r/a\u{fffe}.json"));
        assert_eq!(name("<Name>a%2F&amp;</Name>").as_deref(), Some("a%2F&"));
        for wrong in ["a%", "a%2", "a%2x", "a%\u{20ac}", "%FF"] {
            assert_eq!(name(&blob(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn p8_a_signature_is_one_and_stands_in_no_address_that_is_told() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sas");
        let told = AzureBlob::new("https://a.example/c?sig=s3cret", &file, false).unwrap_err().to_string();
        assert!(told.contains("token_file") && !told.contains("s3cret"), "{told}");
        assert!(AzureBlob::new("http://a.example/c", &file, false).is_err());
        let container = AzureBlob::new("https://a.example/c", &file, false).unwrap();
        assert!(container.signature().is_err(), "there is no file");
        for (text, read) in
            [("?sv=2022-11-02&sig=a%2Bb%3D\n", Some("sv=2022-11-02&sig=a%2Bb%3D")), ("sv=1", None), ("sig=a b", None)]
        {
            fs::write(&file, text).unwrap();
            assert_eq!(container.signature().ok().as_deref(), read, "{text}");
        }
    }
}
