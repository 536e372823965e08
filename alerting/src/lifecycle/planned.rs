//! Findings on which was decided, so that none is decided on twice. Each is remembered for a span of its own system's log
//! time; what the engine finds again after a restart is left out before it comes here.

use std::collections::{BTreeMap, HashSet, VecDeque};

use keywatch_store::{Finding, Instant};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::limits::{FINDING_KEPT_NS, FINDINGS_REMEMBERED_MAX};

/// The findings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Planned {
    keys: HashSet<u128>,
    /// When each was settled, by system, in the order of the log.
    systems: BTreeMap<String, VecDeque<(i64, u128)>>,
}

impl Planned {
    /// Whether it was decided on.
    #[must_use]
    pub fn contains(&self, finding_id: &str) -> bool {
        self.keys.contains(&key(finding_id))
    }

    /// It was decided on.
    pub(crate) fn insert(&mut self, finding: &Finding) {
        let key = key(&finding.id);
        if !self.keys.insert(key) {
            return;
        }
        self.systems.entry(finding.system.clone()).or_default().push_back((finding.decided.0, key));
        if self.keys.len() > FINDINGS_REMEMBERED_MAX
            && let Some(most) = self.systems.values_mut().max_by_key(|order| order.len())
            && let Some((_, oldest)) = most.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    /// Forgets what was settled long before `now` in `system`.
    pub(crate) fn sweep(&mut self, system: &str, now: Instant) {
        let Some(order) = self.systems.get_mut(system) else { return };
        let keys = &mut self.keys;
        order.retain(|(decided, key)| {
            let kept = Instant(*decided).saturating_add(FINDING_KEPT_NS) >= now;
            if !kept {
                keys.remove(key);
            }
            kept
        });
    }
}

/// The 128 bits that the id of a finding is.
fn key(finding_id: &str) -> u128 {
    let digits = (finding_id.len() == 32).then(|| u128::from_str_radix(finding_id, 16).ok()).flatten();
    digits.unwrap_or_else(|| {
        let digest: [u8; 32] = Sha256::digest(finding_id.as_bytes()).into();
        u128::from_be_bytes(*digest.first_chunk().expect("a digest has more than 16 bytes"))
    })
}

impl Serialize for Planned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.systems.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Planned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Planned, D::Error> {
        let systems: BTreeMap<String, VecDeque<(i64, u128)>> = BTreeMap::deserialize(deserializer)?;
        let keys = systems.values().flatten().map(|(_, key)| *key).collect();
        Ok(Planned { keys, systems })
    }
}
