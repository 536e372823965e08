//! Entries of the allow-list: findings of one rule about one thing, of which somebody has said that they are false or meant,
//! and of which people are not told for a while. An entry is a silence that was made from a verdict. What sets it apart: it
//! names a rule and what it is about, holds only once a second person agrees, covers nothing worse than the alert that it
//! was made from and no criticals, and may last longer. Findings are recorded, counted and responded to all the same.

use keywatch_store::{Instant, Severity};

use crate::lifecycle::handling::Verdict;
use crate::lifecycle::silence::{Allowed, Matcher, SilenceRequest};
use crate::lifecycle::state::AlertState;
use crate::limits::ALLOWANCE_NS_MAX;

/// What is to be allowed, from the verdict on an alert. `at` is log time, which is behind `now` between two records.
///
/// # Errors
/// Why no entry can be made of it, and what to do instead.
pub(crate) fn asked(
    state: &AlertState,
    alert_id: &str,
    reason: &str,
    until: Instant,
    (at, now): (Instant, Instant),
) -> Result<(SilenceRequest, Allowed), String> {
    let Some(alert) = state.alerts().find(|alert| alert.alert_id == alert_id) else {
        return Err(format!("`{alert_id}` is no alert: an entry is made from the verdict on one alert"));
    };
    let verdict = alert.verdict.filter(|verdict| matches!(verdict, Verdict::False | Verdict::Benign));
    let Some(verdict) = verdict else {
        return Err(
            "an entry is made from the verdict `false` or `benign`; resolve the alert with one first".to_owned()
        );
    };
    if alert.severity >= Severity::Critical {
        return Err(
            "criticals are not put on the allow-list: silence them for some hours, or change the rule".to_owned()
        );
    }
    let matcher = Matcher { rule: Some(alert.rule.clone()), entity: Some(alert.entity.clone()), ..Matcher::default() };
    let system = alert.system.clone();
    let known = state.silences().iter().find(|silence| {
        let stands = silence.holds(at) || (silence.is_waiting() && at < silence.request.until);
        silence.allows.is_some() && stands && silence.request.system == system && silence.request.matcher == matcher
    });
    if let Some(known) = known {
        return Err(format!("there is an entry for it already: {}", known.id));
    }
    let request = SilenceRequest { system, matcher, reason: reason.to_owned(), until, criticals: false };
    if let Some(problem) = request.problem_within(now, ALLOWANCE_NS_MAX, "an entry of the allow-list") {
        return Err(problem);
    }
    Ok((request, Allowed { alert: alert_id.to_owned(), verdict, severity: alert.severity }))
}
