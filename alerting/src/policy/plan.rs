//! What a finding deserves. Pure: the same finding, state and policy give the same actions.
//!
//! Every finding ends in exactly one alert record (opened, updated or suppressed), so that a finding without one is a
//! finding that is still to be planned. Responses come before it: keywatch first writes down what it is going to do.

use std::collections::BTreeSet;

use keywatch_store::finding::{Proof, Target};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Finding, Instant, Severity};

use crate::lifecycle::action::{Action, AlertRecord, derive_id};
use crate::lifecycle::alert::{Alert, alert_id};
use crate::lifecycle::incident::Joined;
use crate::lifecycle::paging::{Circumstances, Page, Paging};
use crate::lifecycle::state::AlertState;
use crate::lifecycle::switch::Mode;
use crate::limits::{CORROBORATION_NS, REVOKED_NAMES_MAX};
use crate::policy::routes::{COMPROMISED_RULE, Escalation, LOWERED_RULE, SILENCED_RULE, receivers};
use crate::policy::settings::Policy;
use crate::response::intent::{Response, Targets};
use crate::response::responses::{Spending, uses_reserve};

/// Decides on one finding. Nothing is returned for a finding that was planned before.
#[must_use]
pub fn plan(finding: &Finding, state: &AlertState, policy: &Policy) -> Vec<Action> {
    if state.is_planned(finding) {
        return Vec::new();
    }
    let incident = state.incidents().join(finding);
    let alert = state.alert(finding);
    let alert =
        alert.filter(|alert| finding.decided < alert.quiet_until || is_awaited(alert, finding, &incident, state));
    let alert_id = alert.map_or_else(|| alert_id(finding), |alert| alert.alert_id.clone());
    let mut actions = respond(finding, &alert_id, &incident, state, policy);
    let [revoked, proposed] = has_responded(finding, state);
    let proposed = proposed || actions.iter().any(|action| matches!(action, Action::Propose(_)));
    let done = Done { responded: !actions.is_empty() || revoked || proposed, proposed };
    actions.extend(tell(finding, alert_id, alert, incident, done, (state, policy)));
    actions
}

/// Whether an alert waits for this finding: the transaction that it saw was taken back, and is in another block again. Nobody has
/// judged it, and the finding is of its incident.
fn is_awaited(alert: &Alert, finding: &Finding, incident: &Joined<'_>, state: &AlertState) -> bool {
    let of_it = state.incidents().resolve(&alert.incident);
    (of_it == incident.id || incident.merges.iter().any(|id| id == of_it))
        && alert.verdict.is_none()
        && state.on_chain().is_found_again(alert, finding)
}

/// Whether a revocation and a proposal for this finding stand in the log, though its alert record does not: keywatch
/// stopped in between.
fn has_responded(finding: &Finding, state: &AlertState) -> [bool; 2] {
    ["revoke", "propose"].map(|kind| state.responses().get(&response_id(finding, kind)).is_some())
}

/// What is done beside telling.
#[derive(Clone, Copy)]
struct Done {
    responded: bool,
    proposed: bool,
}

fn tell(
    finding: &Finding,
    alert_id: String,
    alert: Option<&Alert>,
    incident: Joined<'_>,
    done: Done,
    (state, policy): (&AlertState, &Policy),
) -> Vec<Action> {
    let before = incident.before.as_deref();
    let silence = state.silences().covering(finding).map(|silence| silence.id.clone());
    // A silence that nobody hears of, or a revocation taken back, would be a way to work unseen.
    let lowers =
        [SILENCED_RULE, COMPROMISED_RULE, LOWERED_RULE, "keywatch/response_undone"].contains(&finding.rule.as_str());
    let is_heard = finding.severity >= policy.notify_from || lowers;
    let off = switched_off(finding, state);
    let may_be_told = is_heard && silence.is_none() && off.is_none();
    let circumstances = Circumstances {
        status: before.map(|incident| incident.handling.status),
        news: alert.is_none(),
        responded: done.responded,
        proposed: done.proposed,
    };
    let none = Paging::default();
    let paging = before.map_or(&none, |incident| &incident.paging);
    let page = if may_be_told { paging.judge(finding, circumstances) } else { Page::No };
    let (notify, due, causes) = match page {
        Page::No => (false, None, BTreeSet::new()),
        Page::Now(causes) => (true, None, causes),
        Page::Later(causes, due) => (false, Some(due), causes),
    };
    let suppressed = alert.is_some() && !notify && due.is_none();
    let key = paging.next_key(&incident.id);
    let (destinations, escalations) = if notify || due.is_some() {
        who_is_told(finding, &incident, notify, (state, policy))
    } else {
        (Vec::new(), Vec::new())
    };
    let tainted = state.compromises().taint(&finding.system, &finding.source, finding.time);
    let record = AlertRecord {
        alert_id: alert_id.clone(),
        key: key.clone(),
        incident: incident.id,
        merges: incident.merges,
        causes: causes.into_iter().collect(),
        notify,
        due,
        paged: None,
        tainted,
        on_chain: state.on_chain().of(finding),
        silence,
        off,
        destinations,
        escalations,
        finding: if suppressed { lean(finding) } else { told(finding, tainted) },
    };
    let mut actions = vec![match alert {
        None => Action::OpenAlert(record),
        Some(_) if suppressed => Action::Suppress(record),
        Some(_) => Action::UpdateAlert(record),
    }];
    if notify {
        actions.push(Action::Notify { alert_id, key });
    }
    actions
}

/// Whom a page goes to, and whom it goes on to: as the routes say, whoever it went on to already while nobody has
/// acknowledged it, and, where it is told `now`, whoever was to be told of what waits to be told with it.
fn who_is_told(
    finding: &Finding,
    incident: &Joined<'_>,
    now: bool,
    (state, policy): (&AlertState, &Policy),
) -> (Vec<String>, Vec<Escalation>) {
    let (mut destinations, escalations) = receivers(finding, &policy.routes, &policy.destinations);
    let known = std::iter::once(&incident.id).chain(&incident.merges);
    for name in known.flat_map(|id| state.deliveries().escalated_to(id)) {
        if policy.destinations.contains(name) && !destinations.contains(name) {
            destinations.push(name.clone());
        }
    }
    let waiting = incident.before.as_deref().and_then(|before| before.paging.waiting.as_deref()).filter(|_| now);
    match waiting {
        Some(waiting) => waiting.record.joined_by(&destinations, &escalations),
        None => (destinations, escalations),
    }
}

/// The pages that are due in a system at `now`: of each incident whose news have waited long enough.
#[must_use]
pub fn due(state: &AlertState, system: &str, now: Instant) -> Vec<AlertRecord> {
    let due = state.incidents().iter().filter(|incident| incident.system == system && incident.is_due(now));
    due.filter_map(|incident| {
        let waiting = incident.paging.waiting.as_deref()?;
        Some(AlertRecord {
            key: incident.paging.next_key(&incident.id),
            incident: incident.id.clone(),
            merges: Vec::new(),
            causes: waiting.causes.iter().copied().collect(),
            notify: true,
            due: None,
            paged: Some(waiting.due),
            ..waiting.record.clone()
        })
    })
    .collect()
}

/// As people are told of it: whose word it may be comes first.
fn told(finding: &Finding, tainted: bool) -> Finding {
    let mut told = finding.clone();
    if tainted {
        let source = &finding.source;
        told.meaning = format!(
            "The credential of {source} was stolen when this was written, so that somebody else may have written it. {}",
            finding.meaning
        );
    }
    told
}

/// What tells it apart and links it stays; what its `finding.created` holds anyway goes.
fn lean(finding: &Finding) -> Finding {
    Finding {
        meaning: String::new(),
        runbook: String::new(),
        evidence: vec![finding.anchor],
        facts: std::collections::BTreeMap::new(),
        ..finding.clone()
    }
}

fn respond(
    finding: &Finding,
    alert_id: &str,
    incident: &Joined<'_>,
    state: &AlertState,
    policy: &Policy,
) -> Vec<Action> {
    if switched_off(finding, state).is_some() {
        return Vec::new();
    }
    let now = finding.decided;
    let responses = state.responses();
    let still_free =
        |target: Target, name: &str| !responses.is_revoked(&finding.system, target, name, now, finding.suppress_ns);
    let mut wanted = Targets::asked_by(finding).filtered(still_free);
    let merged = incident.before.iter().flat_map(|before| &before.merged);
    let ids: Vec<&str> =
        std::iter::once(&incident.id).chain(&incident.merges).chain(merged).map(String::as_str).collect();
    // What nobody can approve any more waits for nobody: it neither stands for what is asked now nor is released.
    let waits = |proposal: &&Response| now <= policy.approvals.expires(proposal.decided);
    let proposals = responses.proposals(&ids).filter(waits);
    let proposals: Vec<&Response> =
        proposals.filter(|proposal| is_about_it(proposal, finding, incident, state)).collect();
    let base = |kind: &str, targets: Targets, why: String| Response {
        id: response_id(finding, kind),
        system: finding.system.clone(),
        alert_id: alert_id.to_owned(),
        incident: incident.id.clone(),
        finding_id: finding.id.clone(),
        rule: finding.rule.clone(),
        source: finding.source.clone(),
        severity: finding.severity,
        late: finding.late,
        decided: now,
        sessions_until: now.saturating_add(policy.session_lifetime_seconds.saturating_mul(SECOND_NS)).unix_seconds(),
        targets,
        actor: finding.actor.clone(),
        over_limit: false,
        why,
        releases: Vec::new(),
        approved_by: None,
        approved: None,
        via: None,
    };
    let alone = match in_an_emergency(finding, &wanted, state) {
        Some(reason) => Err(reason),
        None => may_act_alone(finding, incident, (state, policy)),
    };
    match alone {
        Ok(why) => {
            let is_released = |proposal: &&Response| is_releasable(proposal, finding, incident, (state, policy));
            let released: Vec<&Response> = proposals.into_iter().filter(is_released).collect();
            for proposal in &released {
                wanted.extend(&proposal.targets.filtered(still_free));
            }
            if wanted.is_empty() {
                return Vec::new();
            }
            if let Err(reason) = within_budget(finding, &wanted, state, policy) {
                let over_limit = |targets| Response { over_limit: true, ..base("propose", targets, reason) };
                return propose(&wanted, &released, over_limit);
            }
            let releases = released.into_iter().map(|proposal| proposal.id.clone()).collect();
            vec![Action::Revoke(Response { releases, ..base("revoke", wanted, why) })]
        }
        Err(reason) => propose(&wanted, &proposals, |targets| base("propose", targets, reason)),
    }
}

/// What switched the finding's rule off, where something did.
fn switched_off(finding: &Finding, state: &AlertState) -> Option<String> {
    let lowered = state.switches().lowered(&finding.system, &finding.rule, finding.decided);
    lowered.filter(|switch| switch.request.to == Mode::Off).map(|switch| switch.id.clone())
}

/// A proposal for what is not proposed already.
fn propose(wanted: &Targets, open: &[&Response], proposal: impl FnOnce(Targets) -> Response) -> Vec<Action> {
    let waits = |target: Target, name: &str| open.iter().any(|open| open.targets.section(target).contains(name));
    let targets = wanted.filtered(|target, name| !waits(target, name));
    if targets.is_empty() { Vec::new() } else { vec![Action::Propose(proposal(targets))] }
}

/// Why nothing is revoked without a person, where it would cut off somebody who works in an emergency. Only a case that no
/// thief may have made up counts.
fn in_an_emergency(finding: &Finding, wanted: &Targets, state: &AlertState) -> Option<String> {
    let person = finding.actor.as_deref().filter(|_| wanted.cut_off() > 0)?;
    has_emergency(&finding.system, person, finding.decided, state)
        .then(|| format!("{person} has emergency access by a case that is open; a person has to agree"))
}

/// The same, of a proposal that would be released at `now`.
fn cuts_off_in_an_emergency(proposal: &Response, now: Instant, state: &AlertState) -> bool {
    let person = proposal.actor.as_deref().filter(|_| proposal.targets.cut_off() > 0);
    person.is_some_and(|person| has_emergency(&proposal.system, person, now, state))
}

fn has_emergency(system: &str, person: &str, now: Instant, state: &AlertState) -> bool {
    let rests_on = state.break_glass().case_of(system, person, now);
    rests_on.is_some_and(|words| !words.iter().any(|(source, at)| state.compromises().taint(system, source, *at)))
}

/// Why keywatch may revoke without a person, or why it may not.
fn may_act_alone(
    finding: &Finding,
    incident: &Joined<'_>,
    (state, policy): (&AlertState, &Policy),
) -> Result<String, String> {
    if let Some(shadow) = in_shadow((finding.system.as_str(), finding.rule.as_str()), finding.decided, (state, policy))
    {
        return Err(shadow);
    }
    if finding.late {
        return Err("the evidence came late; late evidence never revokes without a person".to_owned());
    }
    if state.compromises().taint(&finding.system, &finding.source, finding.time) {
        let source = &finding.source;
        return Err(format!(
            "the credential of {source} was stolen then; tainted evidence never revokes without a person"
        ));
    }
    if finding.proof == Proof::Itself && finding.severity == Severity::Critical {
        return Ok("the evidence proves itself".to_owned());
    }
    let groups = agreeing_groups(finding, incident, (state, policy));
    if groups.len() < 2 {
        return Err("one trust group alone says so; a second, independent one or a person has to agree".to_owned());
    }
    if finding.severity < Severity::High {
        return Err(format!("a finding of severity {} revokes nothing without a person", finding.severity));
    }
    let groups: Vec<&str> = groups.into_iter().collect();
    Ok(format!("independent trust groups agree: {}", groups.join(", ")))
}

/// Trust groups whose sources spoke late enough to be speaking of the same thing, in what of the incident shares a name with the
/// finding. A source whose credential was stolen when it spoke counts for none.
fn agreeing_groups<'a>(
    finding: &Finding,
    incident: &Joined<'_>,
    (state, policy): (&AlertState, &'a Policy),
) -> BTreeSet<&'a str> {
    let recent = |time: &Instant| time.saturating_add(CORROBORATION_NS) >= finding.decided;
    let witnesses = incident
        .witnesses
        .iter()
        .filter(|(source, time)| recent(time) && !state.compromises().distrusts(&finding.system, source, **time));
    witnesses.filter_map(|(source, _)| policy.trust_group(&finding.system, source)).collect()
}

/// Why a rule revokes nothing without a person at `now`, whatever its evidence.
fn in_shadow((system, rule): (&str, &str), now: Instant, (state, policy): (&AlertState, &Policy)) -> Option<String> {
    let is_switched = || state.switches().lowered(system, rule, now).is_some();
    let switched = || is_switched().then(|| format!("shadow mode of {rule}: it revokes nothing without a person"));
    policy.in_shadow(system, rule).or_else(switched)
}

/// Whether a proposal is about what the finding is about, by a name that they share. Of another wallet that was emptied in the same
/// hours the finding says nothing.
fn is_about_it(proposal: &Response, finding: &Finding, incident: &Joined<'_>, state: &AlertState) -> bool {
    proposal.finding_id == finding.id
        || state.matter_of(&proposal.alert_id).is_some_and(|matter| incident.matters.contains(matter))
}

/// Proposals become deeds only when trust groups agree: a finding that proves itself says nothing of other findings. What a rule
/// in shadow or one that is off has proposed waits for a person, whoever agrees with it.
fn is_releasable(
    proposal: &Response,
    finding: &Finding,
    incident: &Joined<'_>,
    (state, policy): (&AlertState, &Policy),
) -> bool {
    proposal.system == finding.system
        && !proposal.late
        && in_shadow((proposal.system.as_str(), proposal.rule.as_str()), finding.decided, (state, policy)).is_none()
        && !cuts_off_in_an_emergency(proposal, finding.decided, state)
        && !state.compromises().distrusts(&proposal.system, &proposal.source, proposal.decided)
        && proposal.severity >= Severity::High
        && agreeing_groups(finding, incident, (state, policy)).len() >= 2
}

fn within_budget(finding: &Finding, wanted: &Targets, state: &AlertState, policy: &Policy) -> Result<(), String> {
    let responses = state.responses();
    for (target, _) in wanted.iter() {
        let names = responses.revoked_names(&finding.system, target) + wanted.section(target).len();
        if names > REVOKED_NAMES_MAX {
            return Err(format!("the revocation document is full: {REVOKED_NAMES_MAX} names in one section"));
        }
    }
    let now = finding.decided;
    let Spending { system, rule, source, minute, cut } =
        responses.spending(&finding.system, &finding.rule, &finding.source, now);
    let budgets = policy.budgets;
    let critical = uses_reserve(finding.severity);
    let reserve = if critical { 0 } else { budgets.reserved_for_critical };
    let for_it = |budget: usize| if critical { budget } else { budget / 2 };
    let spent = [
        ("rule's budget of an hour", rule, budgets.rule_per_hour),
        ("source's budget of an hour", source, budgets.source_per_hour),
        ("system's budget of an hour", system, budgets.system_per_hour.saturating_sub(reserve)),
        ("system's budget of a minute", minute, for_it(budgets.system_per_minute)),
    ];
    if let Some((whose, spent, _)) = spent.into_iter().find(|(_, spent, budget)| spent >= budget) {
        return Err(format!("the {whose} is spent: {spent} revocations"));
    }
    let open = state.sessions().count(&finding.system, now);
    let share = for_it(open.saturating_mul(budgets.share_of_sessions_percent) / 100).max(budgets.share_applies_above);
    let would_be = cut + wanted.cut_off();
    if wanted.cut_off() > 0 && would_be > share {
        return Err(format!(
            "{would_be} sessions, people and devices would be cut off within an hour, of {open} open sessions; \
             {share} may be without a person"
        ));
    }
    Ok(())
}

/// The id of the response that `finding` causes.
fn response_id(finding: &Finding, kind: &str) -> String {
    derive_id(&["response", kind, &finding.id])
}
