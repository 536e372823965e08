//! A trail as it lies in a bucket, or in a directory that is a copy of one: each digest file names the one before it and gives
//! its signature, and that one lists the log files of its hour. What is missing, was changed or has no digest is a gap.
//!
//! The signature of a digest stands in the metadata of its object, which copies do not have; the digest after it says it too.
//! So a copy proves an hour once the next digest is there, and the newest hour not yet; the bucket itself proves it. Pure: who calls it reads the
//! objects. It does not know whether keys are those of the account's region, nor that a trail has ended. A digest that names none
//! before it begins a chain; nothing is said of what was before, unless its caller knows an earlier digest of the same trail.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::digest::{Signed, Verified, sha256, verify};
use crate::feeds::fields::Fields;
use crate::limits::{NAME_BYTES_MAX, REASON_BYTES_MAX, SOURCE_ID_BYTES_MAX, TRAIL_GAPS_MAX};
use crate::reject::capped;
use crate::{Problem, feeds, mask};

/// Public keys of `CloudTrail` by fingerprint, as `aws cloudtrail list-public-keys` prints them.
#[derive(Clone, Debug)]
pub struct PublicKeys(BTreeMap<String, Vec<u8>>);

impl PublicKeys {
    /// Reads `{"PublicKeyList":[{"Fingerprint":…,"Value":…}]}`; a value is PKCS #1 DER in base64.
    ///
    /// # Errors
    /// It is none, or holds no key.
    pub fn parse(json: &[u8]) -> Result<PublicKeys, Problem> {
        let parsed = feeds::strict_json(json)?;
        let fields = Fields::of(&parsed)?;
        let listed = fields.value("PublicKeyList").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| fields.missing("PublicKeyList"))?;
        let mut keys = BTreeMap::new();
        for key in listed {
            let key = Fields::at(key, "PublicKeyList")?;
            let value = BASE64.decode(key.need_text("Value")?).map_err(|_| key.problem("Value", "is not base64"))?;
            keys.insert(key.need_text("Fingerprint")?.to_ascii_lowercase(), value);
        }
        if keys.is_empty() {
            return Err(fields.problem("PublicKeyList", "holds no key"));
        }
        Ok(PublicKeys(keys))
    }
}

/// What cannot be proved to be there as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The object, or in words what is missing.
    pub missing: String,
    /// What is wrong with it.
    pub cause: String,
    /// Records from here on may be missing.
    pub from: Instant,
    /// Up to here.
    pub to: Instant,
}

impl Gap {
    /// What a stranger names is cut, so that the record fits the log.
    #[must_use]
    pub fn new(missing: &str, cause: &str, from: Instant, to: Instant) -> Gap {
        Gap { missing: capped(missing, SOURCE_ID_BYTES_MAX), cause: capped(cause, REASON_BYTES_MAX), from, to }
    }

    /// The record of it. The same gap has the same id whenever it is found.
    #[must_use]
    pub fn event(&self, origin: &Origin) -> Event {
        let Gap { missing, cause, from, to } = self;
        let mut event = Event::builder(origin, &format!("gap/{missing}/{cause}"), "source.gap", *to);
        let detail =
            json!({"missing": missing, "cause": cause, "from_time": from.to_string(), "to_time": to.to_string()});
        event.reason(format!("{missing}: {cause}")).detail(&detail).build_own()
    }
}

/// What a digest proves of the hour before its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hour {
    /// Log files that are as their digest lists them.
    pub proved: usize,
    /// What is not.
    pub gaps: Vec<Gap>,
    /// Digests that verified, with what they list.
    pub verified: Vec<Verified>,
}

/// Whether an object is a digest file, by the place that `CloudTrail` gives it.
#[must_use]
pub fn is_digest(object: &str) -> bool {
    object.contains("/CloudTrail-Digest/") && is_file(object)
}

/// Whether an object is a file of records.
#[must_use]
pub fn is_log(object: &str) -> bool {
    object.contains("/CloudTrail/") && is_file(object)
}

/// What the digests of one trail in one region have in common: their directory without the day, their name without the time.
/// Those that were written [later](is_backfill) are a chain of their own.
#[must_use]
pub fn chain(digest: &str) -> String {
    let name = digest.rsplit('/').next().unwrap_or_default();
    let name = name.strip_suffix(BACKFILL).unwrap_or(name);
    let name = name.rsplit_once('_').map_or(name, |(name, _)| name);
    // Before the name stand year, month and day.
    let place = digest.rsplitn(5, '/').nth(4).unwrap_or_default();
    format!("{place}/{name}{}", if is_backfill(digest) { BACKFILL } else { "" })
}

/// Whether a digest lists log files that were late for the digest of their hour. There is one where that happens and not each
/// hour.
#[must_use]
pub fn is_backfill(digest: &str) -> bool {
    digest.ends_with(BACKFILL)
}

/// How the name of such a digest ends.
const BACKFILL: &str = "_backfill.json.gz";

fn is_file(object: &str) -> bool {
    [".json.gz", ".json"].iter().any(|end| object.ends_with(end))
}

/// Proves the hour before a digest: the digest of that hour by what this one says of it, its log files by their hashes. `read`
/// gives an object uncompressed, or says in words why it cannot. A digest that begins a chain proves nothing. Where `before` is the
/// last one before it that lies there, it has to name that one or a newer: whoever forges a digest would begin a chain, or go on
/// from an old one.
///
/// # Errors
/// This digest is none.
pub fn hour_before(
    keys: &PublicKeys,
    (object, digest): (&str, &[u8]),
    before: Option<&str>,
    read: &dyn Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Hour, Problem> {
    let parsed = feeds::strict_json(digest)?;
    let fields = Fields::of(&parsed)?;
    let begins = fields.need_time("digestStartTime")?;
    let named = fields.text("previousDigestS3Object")?;
    let mut hour = Hour::default();
    let is_passed_over = before.is_some_and(|before| named.is_none_or(|named| named < before));
    if is_passed_over && !is_backfill(object) {
        let cause = "the digest passes over the one before it that lies there";
        hour.gaps.push(Gap::new(object, cause, begins.saturating_add(-HOUR_NS), begins));
    }
    let Some(previous) = named else { return Ok(hour) };
    let signature = fields.need_text("previousDigestSignature")?;
    let hash = fields.need_text("previousDigestHashValue")?.to_ascii_lowercase();
    let verified = read(previous).and_then(|content| proved(keys, (previous, &content), signature, &hash));
    let verified = match verified {
        Ok(verified) => verified,
        // How long it was nobody knows; one digest is an hour's.
        Err(cause) => {
            let from = begins.saturating_add(-HOUR_NS);
            hour.gaps.push(Gap::new(previous, &format!("the digest {cause}"), from, begins));
            return Ok(hour);
        }
    };
    let ends = verified.ends;
    if ends != begins && !is_backfill(object) {
        let cause = format!("no digest speaks of {ends} to {begins}");
        hour.gaps.push(Gap::new(previous, &cause, ends.min(begins), begins));
    }
    hour.take(verified, read);
    Ok(hour)
}

/// Proves the hour of a digest by its own signature, where whoever has read `object` knows it from the object's metadata.
///
/// # Errors
/// This digest is none.
pub fn own_hour(
    keys: &PublicKeys,
    (object, digest): (&str, &[u8]),
    signature: &str,
    read: &dyn Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Hour, Problem> {
    let parsed = feeds::strict_json(digest)?;
    let fields = Fields::of(&parsed)?;
    let (begins, ends) = (fields.need_time("digestStartTime")?, fields.need_time("digestEndTime")?);
    let mut hour = Hour::default();
    match signed(keys, (object, digest), signature) {
        Ok(verified) => hour.take(verified, read),
        Err(cause) => hour.gaps.push(Gap::new(object, &format!("the digest {cause}"), begins, ends)),
    }
    Ok(hour)
}

impl Hour {
    /// Holds the log files of a digest against it.
    fn take(&mut self, verified: Verified, read: &dyn Fn(&str) -> Result<Vec<u8>, String>) {
        for (object, listed) in &verified.files {
            match read(object).and_then(|content| same(&content, listed)) {
                Ok(()) => self.proved += 1,
                Err(_) if self.gaps.len() >= TRAIL_GAPS_MAX => {}
                Err(cause) => {
                    let cause = format!("the log file {cause}");
                    self.gaps.push(Gap::new(object, &cause, verified.begins, verified.ends));
                }
            }
        }
        self.verified.push(verified);
    }
}

/// Nanoseconds that a digest speaks of.
const HOUR_NS: i64 = 3_600 * 1_000_000_000;

fn same(content: &[u8], listed: &str) -> Result<(), String> {
    if sha256(content) == listed { Ok(()) } else { Err("is not the one that its digest lists".to_owned()) }
}

/// A digest by what the one after it says: its hash, and its signature under the key that it names.
fn proved(
    keys: &PublicKeys,
    (object, content): (&str, &[u8]),
    signature: &str,
    hash: &str,
) -> Result<Verified, String> {
    if sha256(content) != hash {
        return Err("is not the one that the digest after it names".to_owned());
    }
    signed(keys, (object, content), signature)
}

/// A digest by its signature, under the key that it names, where it was written for the place at which it lies. The keys are
/// those of a region: without its place, a digest of anybody's account there would stand for this one's.
fn signed(keys: &PublicKeys, (object, content): (&str, &[u8]), signature: &str) -> Result<Verified, String> {
    let in_words = |problem: Problem| format!("does not verify: {}: {}", problem.field, problem.reason);
    let parsed = feeds::strict_json(content).map_err(in_words)?;
    let fields = Fields::of(&parsed).map_err(in_words)?;
    let fingerprint = fields.need_text("digestPublicKeyFingerprint").map_err(in_words)?.to_ascii_lowercase();
    let key = keys.0.get(&fingerprint).ok_or_else(|| {
        let shown = mask::text(&capped(&fingerprint, NAME_BYTES_MAX));
        format!("does not verify: no public key of the fingerprint {shown} is known")
    })?;
    let verified = verify(key, Signed { content, signature }, None).map_err(in_words)?;
    if fields.need_text("digestS3Object").map_err(in_words)? != object {
        return Err("was written for another place".to_owned());
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Four digests and the log files of two hours, signed with OpenSSL.
    struct Trail {
        keys: PublicKeys,
        objects: BTreeMap<String, String>,
    }

    impl Trail {
        fn new() -> Trail {
            let trail: Value = serde_json::from_str(include_str!("trail.json")).unwrap();
            let keys = PublicKeys::parse(trail["keys"].to_string().as_bytes()).unwrap();
            Trail { keys, objects: serde_json::from_value(trail["objects"].clone()).unwrap() }
        }

        fn objects(&self, is: impl Fn(&str) -> bool) -> Vec<String> {
            self.objects.keys().filter(|object| is(object)).cloned().collect()
        }

        /// The hour before the digest of that number.
        fn hour(&self, number: usize) -> Hour {
            self.hour_before(&self.objects(is_digest)[number])
        }

        fn hour_before(&self, digest: &str) -> Hour {
            hour_before(&self.keys, (digest, self.objects[digest].as_bytes()), None, &|object| {
                let content = self.objects.get(object).ok_or("is missing")?;
                Ok(content.clone().into_bytes())
            })
            .unwrap()
        }

        fn causes(&self, number: usize) -> Vec<String> {
            self.hour(number).gaps.into_iter().map(|gap| gap.cause).collect()
        }
    }

    #[test]
    fn every_hour_is_proved_by_the_digest_after_it() {
        let trail = Trail::new();
        assert_eq!((trail.objects(is_digest).len(), trail.objects(is_log).len()), (4, 2));
        let proved: Vec<usize> = (0..4).map(|number| trail.hour(number).proved).collect();
        assert_eq!(proved, [0, 0, 1, 1], "the first begins the chain, the second follows an hour without files");
        assert!((0..4).all(|number| trail.hour(number).gaps.is_empty()));
    }

    #[test]
    fn a_log_file_that_is_missing_or_changed_is_a_gap_of_its_hour() {
        let mut trail = Trail::new();
        let logs = trail.objects(is_log);
        trail.objects.remove(&logs[0]);
        let content = trail.objects[&logs[1]].replace("2025-02-21", "2025-02-22");
        trail.objects.insert(logs[1].clone(), content);
        let gaps = trail.hour(2).gaps;
        let times = (gaps[0].from.to_string(), gaps[0].to.to_string());
        assert_eq!(times, ("2025-02-21T05:00:00Z".to_owned(), "2025-02-21T06:00:00Z".to_owned()));
        assert_eq!((gaps.len(), gaps[0].missing.as_str()), (1, logs[0].as_str()));
        assert_eq!(trail.causes(2), ["the log file is missing"]);
        assert_eq!(trail.causes(3), ["the log file is not the one that its digest lists"]);
        let origin = Origin { system: "cold".into(), source: "trail".into() };
        let event = gaps[0].event(&origin);
        assert_eq!((event.kind(), event.event_id()), ("source.gap", trail.hour(2).gaps[0].event(&origin).event_id()));
        assert_eq!(event.detail().value()["missing"], json!(logs[0]));
    }

    #[test]
    fn a_digest_that_is_missing_changed_or_of_another_key_is_a_gap() {
        let (mut trail, whole) = (Trail::new(), Trail::new());
        let digests = trail.objects(is_digest);
        trail.objects.remove(&digests[1]);
        let causes = |trail: &Trail, digest: usize| -> Vec<String> {
            trail.hour_before(&digests[digest]).gaps.into_iter().map(|gap| gap.cause).collect()
        };
        assert_eq!(causes(&trail, 2), ["the digest is missing"]);
        // A log file taken out of the list, and the digest after it made to fit.
        let shorter = whole.objects[&digests[2]].replace("\"hashAlgorithm\"", "\"hash_algorithm\"");
        trail.objects.insert(digests[2].clone(), shorter.clone());
        assert_eq!(causes(&trail, 3), ["the digest is not the one that the digest after it names"]);
        let fitting = whole.objects[&digests[3]]
            .replace(&sha256(whole.objects[&digests[2]].as_bytes()), &sha256(shorter.as_bytes()));
        trail.objects.insert(digests[3].clone(), fitting);
        assert_eq!(causes(&trail, 3), ["the digest does not verify: signature: is not of this digest"]);
        let mut other = Trail::new();
        let (_, key) = other.keys.0.pop_first().unwrap();
        other.keys.0.insert("00".to_owned(), key);
        assert!(other.causes(3)[0].contains("no public key of the fingerprint"), "{:?}", other.causes(3));
    }

    #[test]
    fn a_digest_that_passes_over_the_one_before_it_is_a_gap() {
        let trail = Trail::new();
        let digests = trail.objects(is_digest);
        let read = |object: &str| -> Result<Vec<u8>, String> { Ok(trail.objects[object].clone().into_bytes()) };
        let gaps = |number: usize, before: usize| {
            // Nobody signed it: put where the last one lies, it begins a chain, or goes on from an old one.
            let forged = (digests[3].as_str(), trail.objects[&digests[number]].as_bytes());
            hour_before(&trail.keys, forged, Some(&digests[before]), &read).unwrap().gaps
        };
        for number in [0, 1, 2] {
            let found = gaps(number, 2);
            let [gap] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!(
                (gap.missing.as_str(), gap.cause.contains("passes over")),
                (digests[3].as_str(), true),
                "{number}"
            );
        }
        assert_eq!((gaps(3, 2).len(), gaps(3, 1).len()), (0, 0), "the one before it may not lie there yet");
        // What was late comes when it comes.
        let late = digests[3].replace(".json.gz", BACKFILL);
        let late = hour_before(&trail.keys, (&late, trail.objects[&digests[0]].as_bytes()), Some(&digests[2]), &read);
        assert_eq!(late.unwrap(), Hour::default());
    }

    #[test]
    fn the_digests_of_one_trail_in_one_region_are_a_chain() {
        let digests = Trail::new().objects(is_digest);
        let chains: BTreeSet<String> = digests.iter().map(|digest| chain(digest)).collect();
        let expected = "AWSLogs/111122223333/CloudTrail-Digest/eu-central-1/\
                        111122223333_CloudTrail-Digest_eu-central-1_trail_eu-central-1";
        assert_eq!(chains, BTreeSet::from([expected.to_owned()]));
        assert_ne!(chain(&digests[0].replace("eu-central-1", "eu-west-1")), expected);
        assert_eq!(chain(&digests[0].replace(".json.gz", BACKFILL)), format!("{expected}{BACKFILL}"));
        assert_eq!(chain("d.json"), "/d.json");
    }

    #[test]
    fn an_hour_without_a_digest_is_a_gap_although_the_chain_is_whole() {
        let trail = Trail::new();
        let last = &trail.objects[&trail.objects(is_digest)[3]];
        let late = last.replace("2025-02-21T07:00:00Z", "2025-02-21T09:00:00Z");
        let read = |object: &str| -> Result<Vec<u8>, String> { Ok(trail.objects[object].clone().into_bytes()) };
        let hour = hour_before(&trail.keys, ("late", late.as_bytes()), None, &read).unwrap();
        let [gap] = hour.gaps.as_slice() else { panic!("{:?}", hour.gaps) };
        assert_eq!(gap.cause, "no digest speaks of 2025-02-21T07:00:00Z to 2025-02-21T09:00:00Z");
    }

    #[test]
    fn a_digest_with_its_own_signature_proves_its_own_hour() {
        let mut trail = Trail::new();
        let digests = trail.objects(is_digest);
        let after: Value = serde_json::from_str(&trail.objects[&digests[3]]).unwrap();
        let signature = after["previousDigestSignature"].as_str().unwrap().to_owned();
        let own = |trail: &Trail, signature: &str| {
            let read = |object: &str| -> Result<Vec<u8>, String> {
                Ok(trail.objects.get(object).ok_or("is missing")?.clone().into_bytes())
            };
            let digest = (digests[2].as_str(), trail.objects[&digests[2]].as_bytes());
            own_hour(&trail.keys, digest, signature, &read).unwrap()
        };
        let proved = own(&trail, &signature);
        assert_eq!((proved.proved, proved.gaps.len(), proved.verified[0].object.as_str()), (1, 0, digests[2].as_str()));
        assert_eq!(own(&trail, &signature.replace('0', "1")).gaps[0].missing, digests[2]);
        // A digest that is signed, and lies where another belongs.
        let elsewhere = (digests[3].as_str(), trail.objects[&digests[2]].as_bytes());
        let read = |_: &str| -> Result<Vec<u8>, String> { Err("is missing".to_owned()) };
        let moved = own_hour(&trail.keys, elsewhere, &signature, &read).unwrap();
        assert_eq!((moved.proved, moved.gaps[0].cause.as_str()), (0, "the digest was written for another place"));
        let logs = trail.objects(is_log);
        trail.objects.remove(&logs[1]);
        // The same record as the digest after it gives.
        assert_eq!(own(&trail, &signature).gaps, trail.hour(3).gaps);
        assert_eq!(trail.hour(3).gaps.len(), 1);
    }

    #[test]
    fn what_is_no_digest_or_no_list_of_keys_is_named() {
        let keys = Trail::new().keys;
        let read = |_: &str| -> Result<Vec<u8>, String> { Err("is missing".to_owned()) };
        for (digest, field) in [("{}", "digestStartTime"), ("[]", "record")] {
            assert_eq!(hour_before(&keys, ("d", digest.as_bytes()), None, &read).unwrap_err().field, field, "{digest}");
        }
        for (keys, field) in [
            ("{}", "PublicKeyList"),
            (r#"{"PublicKeyList":[]}"#, "PublicKeyList"),
            (r#"{"PublicKeyList":[{"Fingerprint":"a","Value":"?"}]}"#, "PublicKeyList.Value"),
        ] {
            assert_eq!(PublicKeys::parse(keys.as_bytes()).unwrap_err().field, field, "{keys}");
        }
    }
}
