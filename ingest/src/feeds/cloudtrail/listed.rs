//! Which log files the proved digests of a trail list. Whoever can write into the bucket can put a file there that `CloudTrail`
//! never wrote: it lies among the others, and no digest lists it.
//!
//! Pure: when a digest has had time to come, its caller knows. It reads no file.

use std::collections::{BTreeMap, HashMap};

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;

use super::digest::Verified;
use super::trail::Gap;

/// What proved digests list.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// Log files, each with when its digest was written where it lies.
    files: HashMap<String, Instant>,
    /// The hours that are proved, by the place of their log files: begin and end, and when the digest was written.
    hours: BTreeMap<String, BTreeMap<(Instant, Instant), Instant>>,
}

impl Listed {
    /// Adds what a digest lists, which was written at that time.
    pub fn add(&mut self, digest: &Verified, written: Instant) {
        let place = place(&digest.object).replace("/CloudTrail-Digest/", "/CloudTrail/");
        self.hours.entry(place).or_default().insert((digest.begins, digest.ends), written);
        self.files.extend(digest.files.iter().map(|(object, _)| (object.clone(), written)));
    }

    /// Forgets digests that were written before.
    pub fn forget_before(&mut self, time: Instant) {
        self.files.retain(|_, written| *written >= time);
        self.hours.retain(|_, hours| {
            hours.retain(|_, written| *written >= time);
            !hours.is_empty()
        });
    }

    /// Whether a digest lists the log file.
    #[must_use]
    pub fn has(&self, object: &str) -> bool {
        self.files.contains_key(object)
    }

    /// Whether a digest speaks of that time in the place of the log file.
    #[must_use]
    pub fn covers(&self, object: &str, time: Instant) -> bool {
        let hours = self.hours.get(place(object));
        hours.is_some_and(|hours| hours.keys().any(|(begins, ends)| *begins <= time && time < *ends))
    }

    /// What there is to tell of a log file of that time that no digest lists: of one hour in one place in which nothing is proved,
    /// it is the same for all of its files.
    #[must_use]
    pub fn gap(&self, object: &str, written: Instant) -> Gap {
        let times = [Some(written), named_time(object)];
        if times.into_iter().flatten().any(|time| self.covers(object, time)) {
            let cause = format!("the log file of {written} is listed by no digest: who wrote it is not proved");
            return Gap::new(object, &cause, written, written);
        }
        let begins = Instant(written.0 - written.0.rem_euclid(HOUR_NS));
        let cause = format!("no digest proves the log files of {begins} in {}", place(object));
        Gap::new("the digest files", &cause, begins, begins.saturating_add(HOUR_NS))
    }
}

/// Nanoseconds that a digest speaks of.
const HOUR_NS: i64 = 3_600 * SECOND_NS;

/// The directory of an object without year, month and day: that of an account in a region.
fn place(object: &str) -> &str {
    object.rsplitn(5, '/').nth(4).unwrap_or_default()
}

/// When `CloudTrail` wrote a log file, by its name (`…_20250221T0510Z_….json.gz`).
#[must_use]
pub fn named_time(object: &str) -> Option<Instant> {
    let name = object.rsplit('/').next()?;
    let time = name.split('_').find(|part| {
        let bytes = part.as_bytes();
        bytes.len() == 14
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 => *byte == b'T',
                13 => *byte == b'Z',
                _ => byte.is_ascii_digit(),
            })
    })?;
    let [year, month, day, hour, minute] = [&time[..4], &time[4..6], &time[6..8], &time[9..11], &time[11..13]];
    format!("{year}-{month}-{day}T{hour}:{minute}:00Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGS: &str = "AWSLogs/1/CloudTrail/eu-central-1/2025/02/21/1_CloudTrail_eu-central-1_";

    fn at(time: &str) -> Instant {
        format!("2025-02-21T{time}:00Z").parse().unwrap()
    }

    fn log(time: &str) -> String {
        format!("{LOGS}20250221T{}Z_x.json.gz", time.replace(':', ""))
    }

    fn listed() -> Listed {
        let place = "AWSLogs/1/CloudTrail-Digest/eu-central-1/2025/02/21";
        let digest = Verified {
            object: format!("{place}/1_CloudTrail-Digest_eu-central-1_trail_eu-central-1_20250221T060000Z.json.gz"),
            begins: at("05:00"),
            ends: at("06:00"),
            files: vec![(log("05:10"), String::new())],
        };
        let mut listed = Listed::default();
        listed.add(&digest, at("06:05"));
        listed
    }

    #[test]
    fn a_log_file_that_no_digest_of_its_hour_lists_is_named() {
        let listed = listed();
        assert!(listed.has(&log("05:10")) && !listed.has(&log("05:30")));
        let gap = listed.gap(&log("05:30"), at("05:31"));
        let cause = "the log file of 2025-02-21T05:31:00Z is listed by no digest: who wrote it is not proved";
        assert_eq!((gap.missing, gap.cause.as_str(), gap.to), (log("05:30"), cause, at("05:31")));
        // A copy may say when it was copied; the name says the hour.
        assert_eq!(listed.gap(&log("05:30"), at("11:00")).missing, log("05:30"));
    }

    #[test]
    fn an_hour_of_a_place_of_which_no_digest_speaks_is_told_once() {
        let listed = listed();
        let gaps = ["08:10", "08:50"].map(|time| listed.gap(&log(time), at(time)));
        assert_eq!(gaps[0], gaps[1]);
        let expected = "no digest proves the log files of 2025-02-21T08:00:00Z in AWSLogs/1/CloudTrail/eu-central-1";
        assert_eq!((gaps[0].missing.as_str(), gaps[0].cause.as_str()), ("the digest files", expected));
        let other = log("05:30").replace("eu-central-1/", "eu-west-1/");
        assert!(listed.gap(&other, at("05:31")).cause.ends_with("in AWSLogs/1/CloudTrail/eu-west-1"));
    }

    #[test]
    fn digests_that_were_written_before_are_forgotten() {
        let mut listed = listed();
        listed.forget_before(at("06:05"));
        assert!(listed.has(&log("05:10")) && listed.covers(&log("05:10"), at("05:59")));
        listed.forget_before(at("06:06"));
        assert!(!listed.has(&log("05:10")) && !listed.covers(&log("05:10"), at("05:59")));
    }

    #[test]
    fn the_name_of_a_log_file_says_when_it_was_written() {
        assert_eq!(named_time(&log("05:10")), Some(at("05:10")));
        for name in ["a/b.json", "a/1_CloudTrail_r_20259999T0510Z_x.json.gz", "a/1_2025022é1T05Z_x.json", ""] {
            assert_eq!(named_time(name), None, "{name}");
        }
    }
}
