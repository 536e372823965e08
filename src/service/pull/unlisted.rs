//! Log files of a trail that no proved digest lists although the digests of their time have come. Pure: which digests are proved
//! it is told, and time is an argument.

use std::collections::BTreeMap;

use keywatch_ingest::feeds::cloudtrail::listed::Listed;
use keywatch_ingest::feeds::cloudtrail::trail::{Gap, is_log};
use keywatch_store::Instant;

use super::objects::Object;
use crate::limits::PULL_TRAIL_GAPS;

/// What digests list, and what they should.
#[derive(Default)]
pub(super) struct Unlisted {
    /// What proved digests list.
    pub(super) listed: Listed,
    /// Log files that have to be listed by now.
    settled: Vec<Object>,
    /// What was told, and of which time it is.
    told: BTreeMap<(String, String), Instant>,
}

impl Unlisted {
    /// Takes what lies there: what was written before `from` is forgotten, and what was written after `until` waits for its digest.
    pub(super) fn look(&mut self, objects: &[Object], from: Instant, until: Instant) {
        self.listed.forget_before(from);
        self.told.retain(|_, to| *to >= from);
        let settled = objects.iter().filter(|object| is_log(&object.key) && (from..=until).contains(&object.written));
        self.settled = settled.cloned().collect();
    }

    /// What was not told yet, at most as much as one look may tell. Whoever calls it has read all digests that lie there.
    pub(super) fn gaps(&mut self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for object in std::mem::take(&mut self.settled) {
            if gaps.len() >= PULL_TRAIL_GAPS || self.listed.has(&object.key) {
                continue;
            }
            let gap = self.listed.gap(&object.key, object.written);
            if self.told.insert((gap.missing.clone(), gap.cause.clone()), gap.to).is_none() {
                gaps.push(gap);
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use keywatch_ingest::feeds::cloudtrail::digest::Verified;

    use super::*;

    const PLACE: &str = "AWSLogs/1/CloudTrail/r/2025/02/21";

    fn at(time: &str) -> Instant {
        format!("2025-02-21T{time}:00Z").parse().unwrap()
    }

    fn log(name: &str, written: &str) -> Object {
        Object { written: at(written), key: format!("{PLACE}/{name}.json.gz") }
    }

    fn unlisted(objects: &[Object]) -> Unlisted {
        let digest = Verified {
            object: "AWSLogs/1/CloudTrail-Digest/r/2025/02/21/d.json.gz".to_owned(),
            begins: at("05:00"),
            ends: at("06:00"),
            files: vec![(log("listed", "05:10").key, String::new())],
        };
        let mut unlisted = Unlisted::default();
        unlisted.listed.add(&digest, at("06:05"));
        unlisted.look(objects, at("04:00"), at("08:00"));
        unlisted
    }

    #[test]
    fn a_file_that_somebody_put_there_is_told_once_its_digest_had_time_to_come() {
        let objects = [log("listed", "05:10"), log("forged", "05:20"), log("young", "08:01"), log("old", "03:59")];
        let mut unlisted = unlisted(&objects);
        let gaps = unlisted.gaps();
        assert_eq!(gaps.iter().map(|gap| gap.missing.as_str()).collect::<Vec<_>>(), [objects[1].key.as_str()]);
        unlisted.look(&objects, at("04:00"), at("08:00"));
        assert!(unlisted.gaps().is_empty(), "it is told once");
    }

    #[test]
    fn p7_what_one_look_does_not_tell_the_next_one_does() {
        let forged: Vec<Object> = (0..=PULL_TRAIL_GAPS).map(|number| log(&number.to_string(), "05:20")).collect();
        let mut unlisted = unlisted(&forged);
        assert_eq!(unlisted.gaps().len(), PULL_TRAIL_GAPS);
        unlisted.look(&forged, at("04:00"), at("08:00"));
        let rest = unlisted.gaps();
        assert_eq!((rest.len(), &rest[0].missing), (1, &forged[PULL_TRAIL_GAPS].key));
    }
}
