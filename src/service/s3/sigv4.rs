//! AWS Signature Version 4 of a request to S3, in headers. Pure: keys and time are arguments.
//!
//! What is signed is the request in one form (method, path, query in order, headers, hash of the body), under a key that is
//! derived from the secret for one day, region and service.

use hmac::{Hmac, KeyInit, Mac};
use keywatch_store::Instant;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// What lets somebody into a bucket, as it stands in a file.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    access_key_id: String,
    secret_access_key: String,
    #[serde(default)]
    session_token: Option<String>,
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// `GET`, `PUT` or `DELETE`.
    pub(crate) method: &'a str,
    /// The host, with its port where that is not the scheme's.
    pub(crate) host: &'a str,
    /// The path, encoded.
    pub(crate) path: &'a str,
    /// The query, encoded, its names in order.
    pub(crate) query: &'a str,
    /// Where the bucket is.
    pub(crate) region: &'a str,
    /// What is sent; empty where nothing is.
    pub(crate) body: &'a [u8],
}

/// The headers that sign a request at that time.
pub(crate) fn headers(keys: &Keys, asked: Asked<'_>, now: Instant) -> Vec<(&'static str, String)> {
    let mut sent =
        vec![("host", asked.host.to_owned()), ("x-amz-content-sha256", hash(asked.body)), ("x-amz-date", basic(now))];
    sent.extend(keys.session_token.clone().map(|token| ("x-amz-security-token", token)));
    let authorization = authorization(keys, asked, &sent);
    // The client says the host itself.
    sent.remove(0);
    sent.push(("authorization", authorization));
    sent
}

/// What signs a request with these headers, which are in the order of their names; date and hash of the body are among them.
fn authorization(keys: &Keys, asked: Asked<'_>, sent: &[(&'static str, String)]) -> String {
    let value = |wanted: &str| sent.iter().find(|(name, _)| *name == wanted).map_or("", |(_, value)| value.as_str());
    let (time, payload) = (value("x-amz-date"), value("x-amz-content-sha256"));
    let day = time.get(..8).unwrap_or_default();
    let names: Vec<&str> = sent.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: Vec<String> = sent.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let lines = lines.join("\n");
    let Asked { method, path, query, region, .. } = asked;
    let request = format!("{method}\n{path}\n{query}\n{lines}\n\n{names}\n{payload}");
    let scope = format!("{day}/{region}/s3/aws4_request");
    let signed = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(request.as_bytes()));
    let parts = [day, region, "s3", "aws4_request", &signed];
    let first = format!("AWS4{}", keys.secret_access_key).into_bytes();
    let signature = parts.iter().fold(first, |key, part| tag(&key, part.as_bytes()));
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope},SignedHeaders={names},Signature={}",
        keys.access_key_id,
        hex::encode(signature)
    )
}

/// Percent-encoded as S3 wants it; a slash stays where it parts a path.
pub(crate) fn encoded(text: &str, keeps_slash: bool) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || keeps_slash && byte == b'/';
    let one = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

/// `20130524T000000Z`.
fn basic(time: Instant) -> String {
    let text = time.to_string();
    let seconds = text.get(..19).unwrap_or(&text);
    format!("{}Z", seconds.replace(['-', ':'], ""))
}

fn tag(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example_keys() -> Keys {
        Keys {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
        }
    }

    const LIST: Asked<'static> = Asked {
        method: "GET",
        host: "examplebucket.s3.amazonaws.com",
        path: "/",
        query: "max-keys=2&prefix=J",
        region: "us-east-1",
        body: b"",
    };

    /// The example of the service's own reference for listing a bucket.
    #[test]
    fn the_published_example_has_the_published_signature() {
        let keys = example_keys();
        let headers = headers(&keys, LIST, "2013-05-24T00:00:00Z".parse().unwrap());
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["x-amz-content-sha256", "x-amz-date", "authorization"]);
        assert_eq!(
            headers[2].1,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
             SignedHeaders=host;x-amz-content-sha256;x-amz-date,\
             Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
        let with_token = Keys { session_token: Some("t".into()), ..keys };
        let sent = super::headers(&with_token, LIST, Instant(1_500_000_000));
        assert!(sent.contains(&("x-amz-security-token", "t".to_owned())));
        assert!(sent.contains(&("x-amz-date", "19700101T000001Z".to_owned())), "{sent:?}");
    }

    /// The example of the same reference for writing an object, which signs two headers more than keywatch sends.
    #[test]
    fn the_published_example_of_a_body_has_the_published_signature() {
        let body = b"Welcome to Amazon S3.";
        let asked = Asked { method: "PUT", path: "/test%24file.text", query: "", body, ..LIST };
        let sent = [
            ("date", "Fri, 24 May 2013 00:00:00 GMT".to_owned()),
            ("host", asked.host.to_owned()),
            ("x-amz-content-sha256", hash(body)),
            ("x-amz-date", "20130524T000000Z".to_owned()),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY".to_owned()),
        ];
        assert_eq!(sent[2].1, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
        let signed = authorization(&example_keys(), asked, &sent);
        assert!(
            signed.ends_with("Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
            "{signed}"
        );
        let ours = headers(&example_keys(), asked, "2013-05-24T00:00:00Z".parse().unwrap());
        assert_eq!(ours[0], ("x-amz-content-sha256", sent[2].1.clone()), "the body is signed");
    }

    #[test]
    fn what_is_encoded_is_read_as_one_thing() {
        assert_eq!(encoded("AWSLogs/1/a b+ü~.gz", true), "AWSLogs/1/a%20b%2B%C3%BC~.gz");
        assert_eq!(encoded("a/b=", false), "a%2Fb%3D");
    }
}
