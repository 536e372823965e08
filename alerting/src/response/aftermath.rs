//! What is heard of a revocation's targets after probes were denied: that their sessions were closed, that they sign no more,
//! or that something they asked for was allowed nevertheless. Pure; it is folded from the events of others.

use keywatch_store::finding::Target;
use keywatch_store::{Event, Instant};

use crate::limits::{AFTERMATH_GRACE_NS, NO_SIGNATURE_NS};
use crate::response::intent::{Aftermath, Degree, Progress, Step, Targets};

/// Whether the kind is one that [`witness`] learns from.
#[must_use]
pub fn concerns(kind: &str) -> bool {
    matches!(kind, "decision" | "session.ended" | "session.revoked" | "signing.signed")
}

/// Takes in an event of the system of a response; `revoked` says that it names anything that is revoked there.
pub(crate) fn witness(progress: &mut Progress, event: &Event, revoked: bool) {
    let targets = &progress.response.targets;
    let aftermath = &mut progress.aftermath;
    if event.kind().starts_with("session.") {
        let closed = event.session().filter(|session| targets.sessions.contains(*session));
        aftermath.closed.extend(closed.map(str::to_owned));
        return;
    }
    let Some(verified) = aftermath.verified else { return };
    // Clocks of two machines differ, and something may have been under way.
    let since = verified.saturating_add(AFTERMATH_GRACE_NS);
    if event.event_time() <= since || event.late() {
        return;
    }
    let is_target = revoked && names(targets, event);
    if event.kind() == "signing.signed" {
        aftermath.signer_heard = Some(event.time());
        // Who has signed in again since may go on, but then nothing can be claimed of them.
        let by_target = event
            .actor()
            .is_some_and(|actor| targets.subjects.iter().any(|subject| subject.to_lowercase() == actor.to_lowercase()));
        if (is_target || by_target) && aftermath.signed.is_none() {
            aftermath.signed = Some(event.event_id());
        }
    } else if is_target && event.outcome() == Some("allow") && aftermath.allowed.is_none() {
        aftermath.allowed = Some((event.event_id(), event.time()));
    }
}

/// What an event names that can be revoked. People are left out: who has signed in again since may go on.
pub(crate) fn named(event: &Event) -> [(Target, Option<&str>); 4] {
    [
        (Target::Session, event.session()),
        (Target::Device, event.device()),
        (Target::Request, event.request()),
        (Target::Wallet, event.wallet()),
    ]
}

/// Whether an event names a target.
pub(crate) fn names(targets: &Targets, event: &Event) -> bool {
    let small = |name: &str| name.to_lowercase();
    named(event).into_iter().any(|(target, name)| {
        name.is_some_and(|name| targets.section(target).iter().any(|revoked| small(revoked) == small(name)))
    })
}

/// Further degrees that hold at this log time and are not recorded, each with a reason.
#[must_use]
pub fn further(progress: &Progress, now: Instant) -> Vec<(Degree, String)> {
    let Step::Verified { degree, .. } = progress.step else { return Vec::new() };
    if degree == Degree::Unconfirmed {
        return Vec::new();
    }
    let Aftermath { verified, closed, signer_heard, signed, allowed, recorded } = &progress.aftermath;
    let sessions = &progress.response.targets.sessions;
    let mut further = Vec::new();
    if !sessions.is_empty() && sessions.is_subset(closed) && !recorded.contains(&Degree::ClosedAtPep) {
        further.push((Degree::ClosedAtPep, format!("closed since: {} of {} sessions", closed.len(), sessions.len())));
    }
    let quiet = verified.map(|verified| verified.saturating_add(NO_SIGNATURE_NS)).filter(|quiet| *quiet <= now);
    let clean = signed.is_none() && allowed.is_none() && !recorded.contains(&Degree::NoSignatureSince);
    if let (Some(quiet), Some(heard), true) = (quiet, signer_heard, clean)
        && *heard >= quiet
    {
        let reason = format!("signatures were heard until {heard}, none of a target");
        further.push((Degree::NoSignatureSince, reason));
    }
    further
}
