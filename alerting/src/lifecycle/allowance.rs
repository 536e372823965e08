//! Entries of the allow-list: findings of which somebody has said that they are false or meant, and of which people are not
//! told for a while. An entry is a silence that was made from a verdict. What sets it apart: it is as narrow as what was
//! judged, holds only once a second person agrees, covers nothing worse than the alert that it was made from and no
//! criticals, and may last longer. Findings are recorded, counted and responded to all the same.
//!
//! What was judged is the finding that the alert was last told with. Each side that it names is one of the entry: who, the
//! wallet, the destination, the amount at most, and facts such as the asset. Whoever asks may leave sides out, each by its
//! name; that is written down, and said to whoever is to agree.

use std::collections::BTreeSet;

use keywatch_store::{Instant, Severity};

use crate::lifecycle::alert::Alert;
use crate::lifecycle::handling::Verdict;
use crate::lifecycle::matcher::{Matcher, is_at_most, is_number};
use crate::lifecycle::silence::{Allowed, SilenceRequest};
use crate::lifecycle::state::AlertState;
use crate::limits::ALLOWANCE_NS_MAX;

/// What is asked for: findings like the one that an alert was last told with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowanceRequest {
    /// The alert.
    pub alert: String,
    /// Why.
    pub reason: String,
    /// Log time at which it ends.
    pub until: Instant,
    /// Sides that may be any others.
    pub any: BTreeSet<String>,
    /// The amount at most, in place of the one that was judged.
    pub amount_max: Option<String>,
}

/// What is to be allowed, from the verdict on an alert. `at` is log time, which is behind `now` between two records.
///
/// # Errors
/// Why no entry can be made of it, and what to do instead.
pub(crate) fn asked(
    state: &AlertState,
    wanted: &AllowanceRequest,
    (at, now): (Instant, Instant),
) -> Result<(SilenceRequest, Allowed), String> {
    let (alert, verdict) = judged(state, &wanted.alert)?;
    let mut matcher = alert.sides.clone();
    let of_any_asset = wanted.any.contains("asset");
    let limited = wanted.amount_max.as_ref().map(|most| limit(&mut matcher, most, of_any_asset));
    let amount = limited.transpose()?.flatten();
    widen(&mut matcher, wanted)?;
    let system = alert.system.clone();
    let known = state.silences().iter().find(|silence| {
        let stands = silence.holds(at) || (silence.is_waiting() && at < silence.request.until);
        let is_as_wide = silence.allows.as_ref().is_some_and(|allows| allows.any.is_superset(&wanted.any));
        is_as_wide && stands && silence.request.system == system && silence.request.matcher == matcher
    });
    if let Some(known) = known {
        return Err(format!("there is an entry for it already: {}", known.id));
    }
    let AllowanceRequest { reason, until, any, .. } = wanted;
    let request = SilenceRequest { system, matcher, reason: reason.clone(), until: *until, criticals: false };
    if let Some(problem) = request.problem_within(now, ALLOWANCE_NS_MAX, "an entry of the allow-list") {
        return Err(problem);
    }
    let allowed = Allowed {
        alert: alert.alert_id.clone(),
        verdict,
        severity: alert.severity,
        finding: Some(alert.finding.clone()),
        any: any.clone(),
        amount,
    };
    Ok((request, allowed))
}

/// The alert, and what was said of it, where an entry can be made from that.
fn judged<'a>(state: &'a AlertState, alert_id: &str) -> Result<(&'a Alert, Verdict), String> {
    let Some(alert) = state.alerts().find(|alert| alert.alert_id == alert_id) else {
        return Err(format!("`{alert_id}` is no alert: an entry is made from the verdict on one alert"));
    };
    let verdict = alert.verdict.filter(|verdict| matches!(verdict, Verdict::False | Verdict::Benign));
    let Some(verdict) = verdict else {
        return Err(
            "an entry is made from the verdict `false` or `benign`; resolve the alert with one first".to_owned()
        );
    };
    if alert.is_closed_by_keywatch() {
        return Err("keywatch resolved it, and nobody has judged it; resolve the alert with a verdict first".to_owned());
    }
    if alert.severity >= Severity::Critical {
        return Err(
            "criticals are not put on the allow-list: silence them for some hours, or change the rule".to_owned()
        );
    }
    if alert.sides.is_empty() {
        return Err("what was judged is not known any more; judge the next alert of the rule".to_owned());
    }
    Ok((alert, verdict))
}

/// Puts another amount in place of the one that was judged; that one, where the entry covers more then.
fn limit(matcher: &mut Matcher, most: &str, of_any_asset: bool) -> Result<Option<String>, String> {
    if !is_number(most) {
        return Err(format!("`amount_max`: `{most}` is not a whole number of base units"));
    }
    // Without an asset, no two amounts can be compared: any other is more.
    let exactly = matcher.amount.take();
    let comparable = exactly.is_none() && !of_any_asset;
    let Some(judged) = exactly.or_else(|| matcher.amount_max.take()) else {
        return Err("`amount_max`: what was judged names no amount".to_owned());
    };
    matcher.amount_max = Some(most.to_owned());
    Ok(Some(judged).filter(|judged| !comparable || !is_at_most(most, judged)))
}

/// Takes out the sides that may be any others.
fn widen(matcher: &mut Matcher, wanted: &AllowanceRequest) -> Result<(), String> {
    if wanted.amount_max.is_some() && wanted.any.contains("amount") {
        return Err("either `amount_max` or any amount, not both".to_owned());
    }
    // Before anything is taken out: these are the ones that there are.
    let sides: Vec<String> = matcher.sides().into_iter().map(str::to_owned).collect();
    for side in &wanted.any {
        if !matcher.widen(side) {
            let sides = sides.join(", ");
            return Err(format!(
                "`{side}` is no side of what was judged, so it cannot be any other; there are {sides}"
            ));
        }
    }
    // As much of another asset may be worth far more: of any asset, the amount has to be the same.
    if wanted.any.contains("asset") && wanted.amount_max.is_none() {
        matcher.amount = matcher.amount.take().or_else(|| matcher.amount_max.take());
    }
    Ok(())
}
