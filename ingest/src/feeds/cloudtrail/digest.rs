//! The digest files with which `CloudTrail` proves that its log files are all there and unchanged, hour by hour.
//!
//! Source of the format: AWS `CloudTrail` user guide, digest file structure and custom implementations of its validation. What
//! is signed is, in four lines, the end of the digest's hour, its place (`bucket/object`), its SHA-256 in hexadecimal and the
//! signature of the digest before it. Pure: whoever fetches the files hands over their bytes as they are after gzip.
//!
//! [`super::trail`] calls it for a whole trail. Records come in whether or not a digest lists them. It fetches neither files nor
//! keys, does not check that a key is AWS's or of the time of the digest, that a chain begins where a trail did, or that it has
//! gone on until now, and reads no record.

use alloy::primitives::hex;
use keywatch_store::Instant;
use ring::digest::{SHA256, digest};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use crate::feeds::fields::Fields;
use crate::{Problem, feeds};

/// A digest file and the signature that stands in its object's metadata.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The file, uncompressed.
    pub content: &'a [u8],
    /// `x-amz-meta-signature`, hexadecimal.
    pub signature: &'a str,
}

/// What a digest that verified says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where it lies, as was signed.
    pub object: String,
    /// From here on it speaks of all log files.
    pub begins: Instant,
    /// Up to here.
    pub ends: Instant,
    /// The log files by object, with their SHA-256 in lower case.
    pub files: Vec<(String, String)>,
}

/// Checks a digest with the public key of its fingerprint (PKCS #1 DER), and that it continues the one before it.
///
/// # Errors
/// The field that does not agree; `digestStartTime` when hours are missing between the two.
pub fn verify(key_der: &[u8], signed: Signed<'_>, previous: Option<Signed<'_>>) -> Result<Verified, Problem> {
    let parsed = feeds::strict_json(signed.content)?;
    let fields = Fields::of(&parsed)?;
    if fields.need_text("digestSignatureAlgorithm")? != "SHA256withRSA" {
        return Err(fields.problem("digestSignatureAlgorithm", "must be SHA256withRSA"));
    }
    let before = fields.text("previousDigestSignature")?;
    let data = format!(
        "{}\n{}/{}\n{}\n{}",
        fields.need_text("digestEndTime")?,
        fields.need_text("digestS3Bucket")?,
        fields.need_text("digestS3Object")?,
        sha256(signed.content),
        before.unwrap_or("null"),
    );
    let signature = hex::decode(signed.signature).map_err(|_| Problem::new("signature", "is not hexadecimal"))?;
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key_der);
    key.verify(data.as_bytes(), &signature).map_err(|_| Problem::new("signature", "is not of this digest"))?;
    if let Some(previous) = previous {
        continues(&fields, previous)?;
    }
    Ok(Verified {
        object: fields.need_text("digestS3Object")?.to_owned(),
        begins: fields.need_time("digestStartTime")?,
        ends: fields.need_time("digestEndTime")?,
        files: files(&fields)?,
    })
}

/// Whether a log file is the one that a digest lists.
#[must_use]
pub fn is_listed(verified: &Verified, object: &str, content: &[u8]) -> bool {
    let hash = sha256(content);
    verified.files.iter().any(|(listed, sha256)| listed == object && *sha256 == hash)
}

/// That a digest names the one before it by signature and hash, and begins where that one ends.
fn continues(fields: &Fields<'_>, previous: Signed<'_>) -> Result<(), Problem> {
    let said = |name| fields.text(name).map(|text| text.unwrap_or_default().to_ascii_lowercase());
    if said("previousDigestSignature")? != previous.signature.to_ascii_lowercase() {
        return Err(fields.problem("previousDigestSignature", "is not that of the digest before it"));
    }
    if said("previousDigestHashValue")? != sha256(previous.content) {
        return Err(fields.problem("previousDigestHashValue", "is not that of the digest before it"));
    }
    let before = feeds::strict_json(previous.content)?;
    let ended = Fields::of(&before)?.need_time("digestEndTime")?;
    let begins = fields.need_time("digestStartTime")?;
    if begins != ended {
        return Err(
            fields.problem("digestStartTime", format!("is {begins}, and the digest before it ends {ended}: a gap"))
        );
    }
    Ok(())
}

fn files(fields: &Fields<'_>) -> Result<Vec<(String, String)>, Problem> {
    let listed = fields.value("logFiles").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| fields.missing("logFiles"))?;
    let file = |file: &Value| {
        let file = Fields::at(file, "logFiles")?;
        Ok((file.need_text("s3Object")?.to_owned(), file.need_text("hashValue")?.to_ascii_lowercase()))
    };
    listed.iter().map(file).collect()
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two digests of one chain, signed with OpenSSL.
    fn chain() -> (Vec<u8>, [(String, String); 2]) {
        let chain: Value = serde_json::from_str(include_str!("digests.json")).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let digest =
            |index: usize| (text(&chain["digests"][index]["content"]), text(&chain["digests"][index]["signature"]));
        (hex::decode(text(&chain["key"])).unwrap(), [digest(0), digest(1)])
    }

    fn signed((content, signature): &(String, String)) -> Signed<'_> {
        Signed { content: content.as_bytes(), signature }
    }

    #[test]
    fn a_chain_verifies_link_by_link() {
        let (key, [first, second]) = chain();
        verify(&key, signed(&first), None).unwrap();
        let verified = verify(&key, signed(&second), Some(signed(&first))).unwrap();
        assert_eq!(verified.ends.to_string(), "2025-02-21T06:42:40Z");
        assert!(is_listed(&verified, "AWSLogs/1/CloudTrail/b.json.gz", br#"{"Records":[]}"#));
        assert!(!is_listed(&verified, "AWSLogs/1/CloudTrail/b.json.gz", br#"{"Records":[ ]}"#));
        assert!(!is_listed(&verified, "AWSLogs/1/CloudTrail/c.json.gz", br#"{"Records":[]}"#));
    }

    #[test]
    fn what_was_changed_or_left_out_is_named() {
        let (key, [first, second]) = chain();
        let changed = (second.0.replace("b.json.gz", "x.json.gz"), second.1.clone());
        assert_eq!(verify(&key, signed(&changed), Some(signed(&first))).unwrap_err().field, "signature");
        // The second is its own predecessor nowhere.
        assert_eq!(verify(&key, signed(&second), Some(signed(&second))).unwrap_err().field, "previousDigestSignature");
        let rewritten = (first.0.replace("digestEndTime", "digestEndTime "), first.1.clone());
        assert_eq!(
            verify(&key, signed(&second), Some(signed(&rewritten))).unwrap_err().field,
            "previousDigestHashValue"
        );
        let swapped = (second.0.clone(), first.1.clone());
        assert_eq!(verify(&key, signed(&swapped), None).unwrap_err().field, "signature");
        let algorithm = (first.0.replace("SHA256withRSA", "SHA1withRSA"), first.1);
        assert_eq!(verify(&key, signed(&algorithm), None).unwrap_err().field, "digestSignatureAlgorithm");
    }

    #[test]
    fn an_hour_without_a_digest_is_a_gap() {
        let (key, [_, second]) = chain();
        let chain: Value = serde_json::from_str(include_str!("digests.json")).unwrap();
        let late = &chain["late"];
        let late = (late["content"].as_str().unwrap().to_owned(), late["signature"].as_str().unwrap().to_owned());
        let problem = verify(&key, signed(&late), Some(signed(&second))).unwrap_err();
        assert_eq!(problem.field, "digestStartTime");
        assert!(problem.reason.contains("a gap"));
    }
}
