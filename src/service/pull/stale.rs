//! Chains of digests of a trail to which none was added for hours: a trail of many regions has one in each. Pure: what lies
//! there it is told, and time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_ingest::feeds::cloudtrail::trail::{Gap, chain, is_backfill, is_digest};
use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;

use super::objects::Object;
use crate::limits::{PULL_TRAIL_DIGEST_SECONDS_MAX, PULL_TRAIL_GAPS};

/// What has stopped, and what of it was told.
#[derive(Default)]
pub(super) struct Stale {
    late: Vec<Object>,
    told: BTreeSet<String>,
}

impl Stale {
    /// Takes what lies there, all of it up to now.
    pub(super) fn look(&mut self, objects: &[Object], now: Instant) {
        let digests = objects.iter().filter(|object| is_digest(&object.key) && !is_backfill(&object.key));
        let last: BTreeMap<String, &Object> = digests.map(|object| (chain(&object.key), object)).collect();
        let is_late = |last: &&Object| now.0.saturating_sub(last.written.0) > PULL_TRAIL_DIGEST_SECONDS_MAX * SECOND_NS;
        self.late = last.into_values().filter(is_late).cloned().collect();
        let late: BTreeSet<&String> = self.late.iter().map(|last| &last.key).collect();
        self.told.retain(|key| late.contains(key));
    }

    /// What was not told yet, at most as much as one look may tell; the same record for as long as it is the same digest.
    pub(super) fn gaps(&mut self) -> Vec<Gap> {
        let mut gaps = Vec::new();
        for last in std::mem::take(&mut self.late) {
            if gaps.len() < PULL_TRAIL_GAPS && self.told.insert(last.key.clone()) {
                gaps.push(Gap {
                    missing: "the digest files".to_owned(),
                    cause: format!("none has come since {} of {}", last.key, last.written),
                    from: last.written,
                    to: last.written.saturating_add(PULL_TRAIL_DIGEST_SECONDS_MAX * SECOND_NS),
                });
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(chain: usize, written: i64) -> Object {
        let place = format!("AWSLogs/{chain}/CloudTrail-Digest/r/2025/02/21");
        let key = format!("{place}/{chain}_CloudTrail-Digest_r_t_r_20250221T0{written}0000Z.json.gz");
        Object { written: Instant(written * 3_600 * SECOND_NS), key }
    }

    #[test]
    fn p7_what_one_look_does_not_tell_the_next_one_does_and_each_once() {
        let digests: Vec<Object> = (0..=PULL_TRAIL_GAPS).map(|chain| digest(chain, 1)).collect();
        assert!(digests.iter().all(|digest| is_digest(&digest.key)));
        let at = |hours: i64| Instant(hours * 3_600 * SECOND_NS);
        let mut stale = Stale::default();
        stale.look(&digests, at(4));
        assert!(stale.gaps().is_empty(), "not yet");
        let told = [5, 6, 7].map(|hours| {
            stale.look(&digests, at(hours));
            stale.gaps().len()
        });
        assert_eq!(told, [PULL_TRAIL_GAPS, 1, 0]);
        // One goes on, and stops again.
        let more: Vec<Object> = digests.iter().cloned().chain([digest(0, 7)]).collect();
        stale.look(&more, at(8));
        assert!(stale.gaps().is_empty());
        stale.look(&more, at(11));
        let gaps = stale.gaps();
        assert!(gaps.len() == 1 && gaps[0].cause.contains("T070000Z"), "{gaps:?}");
    }
}
