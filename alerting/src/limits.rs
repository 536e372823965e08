//! Every hard limit of this room, with its unit in the name (promise P7).

/// One hour of log time: the span of the revocation budgets.
pub const BUDGET_SPAN_NS: i64 = 3_600 * 1_000_000_000;

/// One minute of log time: the span of the shortest budget.
pub const MINUTE_NS: i64 = 60 * 1_000_000_000;

/// Time after a verified revocation within which an allow or a signature of a target is put down to clocks that differ.
pub const AFTERMATH_GRACE_NS: i64 = 30 * 1_000_000_000;

/// Log time after a verified revocation for which signers must be heard without a signature of a target.
pub const NO_SIGNATURE_NS: i64 = 15 * 60 * 1_000_000_000;

/// Log time for which it is heard what comes after a verified revocation.
pub const AFTERMATH_HEARD_NS: i64 = 86_400 * 1_000_000_000;

/// Identities of controls that sign never, and signatures of them, that are remembered in one system.
pub const CONTROL_IDENTITIES_MAX: usize = 64;

/// Log time for which a session counts as open that was not said to have ended.
pub const ACTIVE_SESSION_NS: i64 = 86_400 * 1_000_000_000;

/// Open sessions of one system that are remembered.
pub const ACTIVE_SESSIONS_MAX: usize = 100_000;

/// Log time since its last finding after which an incident takes in no more; what findings share leads to it as long after
/// the last that had it, and a quiet alert of it is kept as long.
pub const INCIDENT_OPEN_NS: i64 = 72 * 3_600 * 1_000_000_000;

/// Log time for which what a chain says of a transaction, high or worse, takes in the next that is said of one of another wallet
/// of the system.
pub const SPREE_NS: i64 = 3 * 3_600 * 1_000_000_000;

/// Log time within which two trust groups must speak to corroborate each other.
pub const CORROBORATION_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// Log time for which a finished response is remembered.
pub const RESPONSE_KEPT_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Alert records between two sweeps of what can no longer matter.
pub const SWEEP_RECORDS: u64 = 1_024;

/// Wallets, destinations and sessions that an alert remembers; beyond these a new one no longer pages again.
pub const ALERT_MEMBERS_MAX: usize = 1_024;

/// Events of blocks that an alert remembers it stands on; one that stands on more is never unconfirmed.
pub const ALERT_EVENTS_MAX: usize = 256;

/// Events of chains of one system that are remembered at each log time, so that it is known which findings hang on them. Twice as
/// many are kept: what is known of a log time is the same as long as no more than these are read beyond it.
pub const CHAIN_EVENTS_MAX: usize = 20_000;

/// Events that were taken back in one system and are remembered at each log time; twice as many are kept.
pub const RETRACTED_MAX: usize = 10_000;

/// Alerts whose events were taken back that are written down at once.
pub const RETRACTIONS_AT_ONCE_MAX: usize = 1_024;

/// Log time for which it is remembered that an event was taken back: an alert whose blocks are not final by then stays unconfirmed.
pub const RETRACTED_KEPT_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// Names in one section of the revocation document; a response beyond them waits for a person.
pub const REVOKED_NAMES_MAX: usize = 100_000;

/// Log time for which the planning of a finding is remembered, so that none is planned twice: as long as a response, about
/// which there may be a finding, and a day.
pub const FINDING_KEPT_NS: i64 = RESPONSE_KEPT_NS + 86_400 * 1_000_000_000;

/// Findings whose planning is remembered; beyond these the oldest of the system with the most are forgotten.
pub const FINDINGS_REMEMBERED_MAX: usize = 200_000;

/// Last allowed inputs that are remembered for probing.
pub const PROBE_INPUTS_MAX: usize = 20_000;

/// Bytes of one remembered input.
pub const PROBE_INPUT_BYTES_MAX: usize = 16 * 1_024;

/// Bytes of all remembered inputs.
pub const PROBE_INPUTS_BYTES_MAX: usize = 32 << 20;

/// Decision ids of our own probes that are remembered.
pub const PROBE_IDS_MAX: usize = 20_000;

/// Records read from the log at once while the state is rebuilt.
pub const FOLD_RECORDS: usize = 4_096;

/// Milliseconds that one call to a policy decision point may take.
pub const PDP_CALL_MS_MAX: u64 = 3_000;

/// Milliseconds that reading what stands at a decision point may hold up a revocation.
pub const PDP_LOOK_MS_MAX: u64 = 1_000;

/// Seconds for which a stamp of the revocation document is good; the policy denies with an older one.
pub const DOCUMENT_VALID_SECONDS: i64 = 120;

/// Bytes of a revocation document that is read back from a decision point.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// Milliseconds between two looks at whether a decision point has activated a bundle.
pub const ACTIVATION_LOOK_MS: u64 = 10;

/// Milliseconds for which a page waits to learn what came of its revocation.
pub const PAGE_HELD_MS_MAX: u64 = 4_000;

/// Bytes of a policy decision point's answer that are read.
pub const PDP_ANSWER_BYTES_MAX: usize = 1 << 20;

/// Seconds that one attempt at a receiver may take.
pub const ATTEMPT_SECONDS_MAX: u64 = 15;

/// Bytes of a receiver's answer that are read.
pub const RECEIVER_ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// Characters of a receiver's answer that are recorded.
pub const RECEIVER_ANSWER_CHARS_MAX: usize = 200;

/// Addresses of one name that are looked at.
pub const RECEIVER_ADDRESSES_MAX: usize = 32;

/// Bytes of a webhook's body (Standard Webhooks 1.0.0 asks for less than 20 kB).
pub const WEBHOOK_BODY_BYTES_MAX: usize = 20_000;

/// Longest wait, in seconds, that a `Retry-After` may ask for.
pub const RETRY_AFTER_SECONDS_MAX: u64 = 3_600;

/// Attempts that one receiver has under way at once.
pub const DELIVERIES_AT_ONCE_MAX: usize = 8;

/// Attempts at one receiver in a minute, unless configured.
pub const RECEIVER_PER_MINUTE: u32 = 600;

/// Hours after its first failure for which a notification is tried, unless configured.
pub const GIVE_UP_HOURS: u64 = 72;

/// Failures in a row after which a receiver counts as down.
pub const RECEIVER_DOWN_FAILURES: u32 = 3;

/// Dead letters that are remembered for redriving; beyond these the oldest are forgotten.
pub const DEAD_LETTERS_MAX: usize = 10_000;

/// Incidents that were told and are remembered as standing; beyond these the least severe and oldest is forgotten.
pub const STANDING_INCIDENTS_MAX: usize = 5_000;

/// Pages of one incident that are remembered, so that all of them can be resolved; beyond these the oldest are forgotten.
pub const STANDING_KEYS_MAX: usize = 64;

/// Log time for which it is said again that an alert is resolved.
pub const RESOLVED_SAID_AGAIN_NS: i64 = 15 * 60 * 1_000_000_000;

/// Alerts in one request to an Alertmanager.
pub const ALERTMANAGER_BATCH_MAX: usize = 64;

/// Seconds between two times that what stands is said again, and between two heartbeats.
pub const REPEAT_SECONDS: u64 = 60;

/// Evidence ids and facts that a notification shows.
pub const NOTIFICATION_ITEMS_MAX: usize = 50;

/// Alerts of an incident that a notification tells of, the worst.
pub const NOTIFICATION_STORY_MAX: usize = 20;

/// Log time after a response within which its further ways are planned, nanoseconds: a day.
pub const WAY_PLANNED_NS: i64 = 86_400 * 1_000_000_000;

/// Log time for which a name that a way has accepted is not asked of it again, nanoseconds: ten minutes. Who signs in anew
/// after that is ended anew.
pub const WAY_COVERED_NS: i64 = 600 * 1_000_000_000;

/// Hours after which a way that was not accepted is given up, unless the configuration says otherwise.
pub const WAY_GIVE_UP_HOURS: u32 = 24;

/// Bytes of a template of titles or bodies.
pub const TEMPLATE_BYTES_MAX: usize = 4_096;

/// Characters of one text of a notification.
pub const NOTIFICATION_TEXT_CHARS_MAX: usize = 2_000;

/// Log time for which news of an incident are gathered after a page, unless they are urgent.
pub const GATHER_NS: i64 = 600 * 1_000_000_000;

/// Wallets, destinations and sessions that are remembered of an incident, and assets; beyond these a new one pages each time.
pub const INCIDENT_MEMBERS_MAX: usize = 1_024;

/// Incidents that are remembered; beyond these the least severe and oldest are forgotten.
pub const INCIDENTS_KEPT_MAX: usize = 5_000;

/// Log time since its last finding for which an incident is remembered that somebody handled.
pub const INCIDENT_KEPT_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Alerts of one incident that are remembered once they are quiet; beyond these the oldest are forgotten.
pub const INCIDENT_ALERTS_MAX: usize = 1_000;

/// What operators did about an incident that is remembered; the log has the rest.
pub const HANDLING_ENTRIES_MAX: usize = 200;

/// Bytes of a comment or reason.
pub const OPERATION_TEXT_BYTES_MAX: usize = 4_000;

/// Log time for which a silence may hold that leaves criticals alone.
pub const SILENCE_NS_MAX: i64 = 30 * 86_400 * 1_000_000_000;

/// Log time for which a silence may hold that covers criticals.
pub const SILENCE_CRITICAL_NS_MAX: i64 = 4 * 3_600 * 1_000_000_000;

/// Silences that are remembered; no more are taken.
pub const SILENCES_MAX: usize = 1_000;

/// How long after somebody asked for a silence it is still told of, where that was missed, nanoseconds of log time: as long as
/// it is known whether it was.
pub const SILENCE_UNTOLD_NS: i64 = RESPONSE_KEPT_NS;

/// Bytes of one text of a silence.
pub const SILENCE_TEXT_BYTES_MAX: usize = 1_000;

/// Log time for which a rule may be switched off or into shadow while keywatch runs, nanoseconds: two weeks.
pub const SWITCH_NS_MAX: i64 = 14 * 86_400 * 1_000_000_000;

/// Rules switched off or into shadow that are remembered; no more are taken.
pub const SWITCHES_MAX: usize = 500;

/// Log time after its end for which it is remembered that a rule was switched, nanoseconds: thirty days.
pub const SWITCHES_KEPT_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Compromises of credentials that are remembered; no more are taken.
pub const COMPROMISES_MAX: usize = 500;

/// Sources of which one person alone declares within [`COMPROMISES_ALONE_NS`] that their credentials were stolen; whoever could
/// take everybody's word away would blind keywatch. Of a further one a second person has to declare the same.
pub const COMPROMISES_ALONE_MAX: usize = 3;

/// Declarations that one person makes alone within the same time, of however few sources: whoever could fill
/// [`COMPROMISES_MAX`] would keep everybody else from declaring any.
pub const COMPROMISES_ALONE_REPEATED_MAX: usize = 20;

/// Nanoseconds of log time over which these are counted.
pub const COMPROMISES_ALONE_NS: i64 = 3_600 * 1_000_000_000;

/// Nanoseconds of log time for which a declaration waits for the second person.
pub const COMPROMISE_ASKED_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// Sources by processes that take events in, of which it is known by what they are recognised.
pub const DOORS_MAX: usize = 10_000;

/// What one process said of one source that is told apart; what is older is held together.
pub const DOOR_STATEMENTS_MAX: usize = 16;

/// Fingerprints of one statement.
pub const DOOR_PRINTS_MAX: usize = 100;

/// Bytes of one of them; they have half as many.
pub const DOOR_PRINT_BYTES_MAX: usize = 64;

/// Fingerprints that other processes say, of all that a declaration refuses: it has to fit in a record whatever they say.
pub const COMPROMISE_PRINTS_MAX: usize = 4_096;

/// Other sources that a declaration names, since they were recognised by the same.
pub const COMPROMISE_SHARED_MAX: usize = 100;

/// Nanoseconds of log time after the credential was refused by everybody that its events are still tainted: what was on its way
/// then was taken under it.
pub const COMPROMISE_AFTER_NS: i64 = 60 * 1_000_000_000;

/// Nanoseconds of log time for which a source's word counts no more after its tainted events: a rule may look ahead, so that
/// a finding about the last of them is decided later.
pub const COMPROMISE_WITNESS_NS: i64 = 15 * 60 * 1_000_000_000;

/// Log time after which emergency access exempts nobody any more, nanoseconds: an emergency that lasts longer is opened anew.
pub const BREAK_GLASS_NS_MAX: i64 = 24 * 3_600 * 1_000_000_000;

/// Cases of emergency access that are open at once.
pub const BREAK_GLASS_CASES_MAX: usize = 1_000;

/// People of the register that are remembered.
pub const REGISTERED_PEOPLE_MAX: usize = 10_000;

/// Rules that are named where a start has lowered what they may do.
pub const PROTECTION_NAMES_SHOWN_MAX: usize = 12;

/// Changes of the inventory of one system that protect less and are remembered; the newest, so that several within half a minute
/// are all told.
pub const DECLARATION_CHANGES_MAX: usize = 32;

/// Sources of the findings of one alert that are told apart.
pub const ALERT_SOURCES_MAX: usize = 16;

/// Nanoseconds of log time that an entry of the allow-list lasts at most: what was meant in spring is looked at again in summer.
pub const ALLOWANCE_NS_MAX: i64 = 90 * 86_400 * 1_000_000_000;

/// Seconds that an append to the log may last before nobody waits for their turn behind it.
pub const APPEND_SECONDS_MAX: u64 = 8;

/// Own responses that are remembered while it is not known whether the log has them.
pub const RESPONSES_IN_DOUBT_MAX: usize = 10_000;

/// Milliseconds until what came of a delivery is written down again where the log did not take it, at first.
pub const RECORD_PAUSE_MS_MIN: u64 = 100;

/// Milliseconds to which that pause grows.
pub const RECORD_PAUSE_MS_MAX: u64 = 10_000;

/// Nanoseconds by which a finding may say that it was decided after anything that is known of its system: the clocks of brokers
/// differ. One that says more is not acted upon, and one that says less holds those behind it up no longer than that.
pub const FINDING_EARLY_NS_MAX: i64 = 60 * 1_000_000_000;

/// Findings that are recorded and wait for the process that responds. At that many, who finds stands still.
pub const UNPLANNED_MAX: usize = 50_000;
