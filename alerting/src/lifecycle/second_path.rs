//! Findings about ways besides the decision point: that one is gone because no decision point answers, and that one can never
//! be carried out. Pure.

use keywatch_store::{EventId, Finding, Severity};

use crate::lifecycle::action::SOURCE;
use crate::lifecycle::self_monitoring::about_keywatch;
use crate::response::intent::{Does, Progress, Response, Step};
use crate::response::wording::describe_way;

/// The finding that no decision point answers and another way is gone, or waits for people; `None` for any other progress.
#[must_use]
pub fn unreachable(progress: &Progress) -> Option<Finding> {
    let response = &progress.response;
    let via = response.via.as_ref().filter(|via| via.unreachable)?;
    let mut finding = begun("keywatch/second_path", response, "planned");
    let asked = describe_way(via, response);
    finding.title = if progress.is_waiting() {
        format!("No decision point answers; to {asked} waits for a person: response {}", response.id)
    } else {
        format!("No decision point answers; keywatch goes another way: to {asked}")
    };
    finding.meaning =
        "The revocation stands in the log and is applied when a decision point returns. Until then what it \
                       names may go on, but for what another way stops."
            .to_owned();
    finding.runbook = format!(
        "If it waits for a person: keywatch responses show {0}, then approve or reject it.\n\
         Bring the decision point back.\n\
         That it was accepted there is no proof that anything is denied: look for signatures since.",
        response.id
    );
    Some(finding)
}

/// The finding that a response can never be carried out on its way; `None` for any other progress.
#[must_use]
pub fn given_up(progress: &Progress) -> Option<Finding> {
    let Step::GivenUp { reason } = &progress.step else { return None };
    let response = &progress.response;
    let via = response.via.as_ref()?;
    let mut finding = begun("keywatch/second_path_failed", response, "given_up");
    finding.severity = Severity::Critical;
    finding.title = format!("keywatch could NOT {}: {reason}", describe_way(via, response));
    finding.meaning =
        "It was decided, and it is not tried any more. What it names goes on unless the decision point denies it."
            .to_owned();
    finding.runbook = match via.does {
        Does::EndSessions => {
            "End the sessions of the person at the identity provider by hand.\n\
             Correct the token, the name or the address in the configuration."
        }
        Does::FreezeSigner => {
            "Stop signing for the wallet at the signer by hand.\n\
             Correct the secret or the address in the configuration."
        }
    }
    .to_owned();
    Some(finding)
}

/// It names what the response names, so that it joins the incident.
fn begun(rule: &str, response: &Response, what: &str) -> Finding {
    let anchor = EventId::derive(&response.system, SOURCE, &format!("response/{}/{what}", response.id));
    let mut finding = about_keywatch(rule, &response.system, &response.id, anchor, response.since());
    finding.session = response.targets.sessions.first().cloned();
    finding.wallet = response.targets.wallets.first().cloned();
    finding.actor.clone_from(&response.actor);
    finding
}
