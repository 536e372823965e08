//! Limits of sources that keywatch asks itself.

/// Seconds that a service which is pulled may take to answer.
pub(crate) const PULL_ANSWER_SECONDS_MAX: u64 = 30;

/// Seconds that a service is left alone at most after a failure, or because it asks for it.
pub(crate) const PULL_REST_SECONDS_MAX: u64 = 900;

/// Milliseconds between two pages of a list.
pub(crate) const PULL_PAGE_MILLISECONDS: u64 = 50;

/// Seconds after which a list that has nothing new says that it was asked: the heartbeat of its source.
pub(crate) const PULL_SAID_SECONDS: i64 = 60;

/// Records of a source, taken lately, that are known without asking the log.
pub(crate) const PULL_KNOWN_MAX: usize = 50_000;

/// Records of a page of Okta's System Log; what it gives at most.
pub(crate) const PULL_OKTA_RECORDS: usize = 1_000;

/// Transactions of a page of the Safe transaction service.
pub(crate) const PULL_SAFE_RECORDS: usize = 100;

/// Security event tokens that are asked for at once.
pub(crate) const PULL_TOKENS_MAX: usize = 100;

/// Bytes of the place where a list goes on, as a service names it.
pub(crate) const PULL_PLACE_BYTES_MAX: usize = 4_096;

/// Seconds after which a file of a log sink that cannot be read, while others can, is told and passed over.
pub(crate) const PULL_SINK_WAITS_SECONDS_MAX: i64 = 86_400;

/// Bytes of a file of a log sink that is read in parts, since it is larger than a body; what is behind them is told as rejected.
pub(crate) const PULL_SINK_FILE_BYTES_MAX: u64 = 1 << 30;

/// Bytes of such a part: few enough records for one body.
pub(crate) const PULL_SINK_PART_BYTES: usize = 4 << 20;

/// Seconds within which a file of a log sink may have grown without another time: its times are whole seconds, and clocks differ.
pub(crate) const PULL_SINK_SETTLED_SECONDS: i64 = 5;

/// Files of a bucket that one list keeps, the oldest first; the next list has the others.
pub(crate) const PULL_TRAIL_FILES_MAX: usize = 1_000_000;

/// Files and directories of a bucket that are looked at in one look, those of old days among them.
pub(crate) const PULL_TRAIL_LOOKED_MAX: usize = 20_000_000;

/// Answers that the list of one place of a bucket may have.
pub(crate) const PULL_TRAIL_ANSWERS_MAX: usize = 100_000;

/// Directories inside one another in a bucket that are looked at. Azure writes sixteen where a resource is part of another.
pub(crate) const PULL_TRAIL_DEPTH_MAX: usize = 32;

/// Seconds after which a trail without a new digest file is told; `CloudTrail` writes one each hour, also of nothing.
pub(crate) const PULL_TRAIL_DIGEST_SECONDS_MAX: i64 = 3 * 3_600;

/// Seconds after which a log file that no digest of a trail lists is told; not longer than digests are seen back.
pub(crate) const PULL_TRAIL_LISTED_SECONDS_MAX: i64 = PULL_TRAIL_DIGEST_SECONDS_MAX + 3_600;

/// Bytes of the id of a security event token.
pub(crate) const PULL_TOKEN_ID_BYTES_MAX: usize = 512;

/// Objects of a trail that wait for being readable.
pub(crate) const PULL_TRAIL_ASIDE_MAX: usize = 1_000;

/// Seconds until the next object of a trail is tried where two in a row could not be read.
pub(crate) const PULL_TRAIL_NEXT_SECONDS: u64 = 1;

/// Tries of an object after which it is told as one that cannot be read.
pub(crate) const PULL_TRAIL_TRIES: u32 = 4;

/// Seconds that these tries last at least.
pub(crate) const PULL_TRAIL_TRIES_SECONDS: i64 = 900;

/// Seconds between the first and the second try of an object; each pause is twice as long as the one before.
pub(crate) const PULL_TRAIL_PAUSE_SECONDS: i64 = 60;

/// Seconds between two tries at most.
pub(crate) const PULL_TRAIL_PAUSE_SECONDS_MAX: i64 = 3_600;

/// Gaps of a trail that one look tells; the next one tells the others.
pub(crate) const PULL_TRAIL_GAPS: usize = 256;

/// Policies of an Open Policy Agent whose hashes are kept by name; what differs beyond shows in the hash of all alone.
pub(crate) const PULL_POLICIES_MAX: usize = 200;

/// Names of changed policies that one event tells.
pub(crate) const PULL_POLICIES_TOLD_MAX: usize = 20;

/// Bytes of the id of a policy in an event.
pub(crate) const PULL_POLICY_ID_BYTES_MAX: usize = 256;

/// Seconds after which what an Open Policy Agent holds is said again although nothing changed, so that replicas can be compared.
pub(crate) const PULL_STATE_SAID_SECONDS: i64 = 600;

/// Bytes of the file with what an Open Policy Agent should hold.
pub(crate) const PULL_EXPECTED_BYTES_MAX: u64 = 1 << 20;

/// Seconds that a canary is waited for: all of a look together leave room for three looks in the ten minutes of the rule.
pub(crate) const PULL_CANARY_SECONDS_MAX: u64 = 10;

/// Questions that one Open Policy Agent is asked at each look.
pub(crate) const PULL_CANARIES_MAX: usize = 16;

/// Bytes of an answer to such a question that are kept.
pub(crate) const PULL_CANARY_ANSWER_BYTES_MAX: usize = 1_024;
