//! A bucket of S3 as a place of logs: what lies below a prefix, and an object. Two requests (`ListObjectsV2`, `GetObject`). It
//! knows no format, and waits for answers on the thread that asks.

use std::path::Path;

use anyhow::{Context, ensure};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_store::Instant;
use reqwest::header::HeaderMap;
use tokio::runtime::Handle;

use super::objects::{Entry, Object, Part, Unread};
use crate::limits::{PULL_ANSWER_SECONDS_MAX, PULL_TRAIL_ANSWERS_MAX};
use crate::service::s3::bucket::{Bucket, Failure, address};
use crate::service::s3::sigv4::encoded;
use crate::service::s3::xml::{each, inner, unescaped};

/// A bucket.
#[derive(Clone, Debug)]
pub(crate) struct S3 {
    bucket: Bucket,
}

impl S3 {
    /// Prepares a client; nothing is sent yet. `base` is the bucket's own address.
    ///
    /// # Errors
    /// The address is none, or would show what lies in the bucket to everybody on the way.
    pub(crate) fn new(base: &str, region: &str, keys_file: &Path, allow_plain_http: bool) -> anyhow::Result<S3> {
        // What stands behind a question mark may be a signature, which is not repeated.
        ensure!(!base.contains('?'), "url: write the bucket's address alone; the keys belong into token_file");
        let base = address(base, allow_plain_http).context("url")?;
        Ok(S3 { bucket: Bucket::new(base, region, keys_file, PULL_ANSWER_SECONDS_MAX)? })
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
            let (answer, _) = self.get("", &query).map_err(Unread::into_words).map_err(anyhow::Error::msg)?;
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
        let (body, headers) = self.get(key, "")?;
        let signature = headers.get("x-amz-meta-signature").and_then(|value| value.to_str().ok());
        Ok((body, Some(signature.unwrap_or_default().to_owned())))
    }

    /// A part of an object as it lies there; empty behind its end.
    pub(super) fn part(&self, key: &str, part: Part) -> Result<Vec<u8>, Unread> {
        let part = self.bucket.part(key, part.range(), BODY_BYTES_MAX);
        Handle::current().block_on(part).map_err(unread)
    }

    fn get(&self, key: &str, query: &str) -> Result<(Vec<u8>, HeaderMap), Unread> {
        // The thread is one that may wait.
        Handle::current().block_on(self.bucket.get(key, query, BODY_BYTES_MAX)).map_err(unread)
    }
}

fn unread(failure: Failure) -> Unread {
    match failure {
        Failure::Missing => Unread::No("is missing".to_owned()),
        Failure::Whole => Unread::No("is not given in parts".to_owned()),
        Failure::TooLong(bytes_max) => Unread::Large(format!("has more than {bytes_max} bytes")),
        Failure::Refused(problem) | Failure::Later(problem) => Unread::Later(format!("cannot be read: {problem}")),
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
