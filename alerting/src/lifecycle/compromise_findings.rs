//! Findings about credentials that somebody else had: that one was declared, that somebody wants that taken back, that it is.
//! Whoever may say whose word counts could blind keywatch with it, so that nobody does it unseen.

use keywatch_store::{EventId, Finding, Instant, Severity};

use crate::lifecycle::action::SOURCE;
use crate::lifecycle::compromise::Compromise;
use crate::lifecycle::self_monitoring::about_keywatch;
use crate::limits::{COMPROMISES_ALONE_MAX, COMPROMISES_ALONE_REPEATED_MAX};
use crate::policy::routes::COMPROMISED_RULE;

/// What is to be told of a compromise as it stands: one finding for each step.
pub(crate) fn about(compromise: &Compromise) -> impl Iterator<Item = Finding> {
    let asked =
        compromise.restore_asked.as_ref().map(|(by, reason, at)| restore_asked(compromise, (by.as_str(), *at), reason));
    let restored = compromise.restored_by.as_ref().map(|(by, at)| restored(compromise, (by.as_str(), *at)));
    let first = if compromise.waits { declaration_asked(compromise) } else { declared(compromise) };
    std::iter::once(first).chain(asked).chain(restored)
}

fn declaration_asked(compromise: &Compromise) -> Finding {
    let request = &compromise.request;
    let mut finding = begun(compromise, "asked", (compromise.by.as_str(), compromise.at));
    finding.title = format!("{} wants the credential of {} declared stolen", compromise.by, request.source);
    finding.meaning = format!(
        "Within an hour {} has declared as much as one person does alone: {COMPROMISES_ALONE_MAX} sources, or one of them \
         {COMPROMISES_ALONE_REPEATED_MAX} times. Whoever could take the word of all sources away would blind keywatch, so that \
         nothing follows from this one until another administrator declares the same. The reason given: {}",
        compromise.by, request.reason
    );
    finding.runbook = "Ask, by another way than their account, whether it is they who declare this.\n\
                       If it is, declare the same: keywatch sources compromised.\n\
                       If not, treat their account as stolen, and take back with a second person what it has declared."
        .to_owned();
    finding
}

fn declared(compromise: &Compromise) -> Finding {
    let request = &compromise.request;
    let until = match (request.until, compromise.refused.is_empty()) {
        (Some(end), _) => format!("to {end}"),
        (None, true) => "on".to_owned(),
        (None, false) => "to a minute after every process that takes events in has refused it".to_owned(),
    };
    let with = compromise.asked_by.as_ref().map(|first| format!("{first} and ")).unwrap_or_default();
    let mut finding = begun(compromise, "declared", (compromise.by.as_str(), compromise.at));
    finding.title =
        format!("{with}{} declares the credential of {} stolen since {}", compromise.by, request.source, request.since);
    let refused = match compromise.refused.len() {
        0 => "No credential is refused because of it.".to_owned(),
        count => format!("{count} of its credentials are refused from now on; it writes again under new ones."),
    };
    let shared = shared_with(compromise).map(|others| format!(" {others}")).unwrap_or_default();
    finding.meaning = format!(
        "What it wrote from {} {until} may be somebody else's: it is shown as tainted, and no revocation goes without a person \
         on its word. {refused}{shared} The reason given: {}",
        request.since, request.reason
    );
    finding.runbook = "Give the source another credential, and take the old one out of the configuration.\n\
                       Go through the findings that rest on it: keywatch sources affected.\n\
                       If nobody knows of it, take it back with a second person and ask whose token was used."
        .to_owned();
    finding
}

fn restore_asked(compromise: &Compromise, (by, at): (&str, Instant), reason: &str) -> Finding {
    let mut finding = begun(compromise, "restore_asked", (by, at));
    finding.title =
        format!("{by} asks to trust what {} wrote since {} again", compromise.request.source, since(compromise));
    finding.meaning = format!("A second person has to agree. The reason given: {reason}");
    finding.runbook = "If nobody knows of it, leave it be and ask whose token was used.".to_owned();
    finding
}

fn restored(compromise: &Compromise, (by, at): (&str, Instant)) -> Finding {
    let first = compromise.restore_asked.as_ref().map(|(first, ..)| first.as_str()).unwrap_or_default();
    let mut finding = begun(compromise, "restored", (by, at));
    finding.title =
        format!("{first} and {by} trust what {} wrote since {} again", compromise.request.source, since(compromise));
    finding.meaning =
        "Its events count as any other's, and its credentials are taken again, as far as the configuration has \
                       them. If one of them was stolen after all, whoever has it may write."
            .to_owned();
    finding.runbook = "If nobody knows of it, declare it again and ask whose tokens were used.".to_owned();
    finding
}

/// Who else is recognised by what is refused, if anybody is.
fn shared_with(compromise: &Compromise) -> Option<String> {
    let names: Vec<&str> = compromise.shared_with.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!(
            "What is refused was also accepted for {}, of which it is still taken: declare them too if they share it. If they \
             do not, a process that takes events in has said what is not so.",
            names.join(", ")
        )
    })
}

fn since(compromise: &Compromise) -> Instant {
    compromise.request.since
}

fn begun(compromise: &Compromise, step: &str, (by, at): (&str, Instant)) -> Finding {
    let Compromise { id, request, .. } = compromise;
    let anchor = EventId::derive(&request.system, SOURCE, &format!("compromise/{id}/{step}"));
    let mut finding = about_keywatch(COMPROMISED_RULE, &request.system, id, anchor, at);
    finding.severity = Severity::High;
    // Each step is news, however soon it comes.
    finding.suppress_ns = 0;
    finding.actor = Some(by.to_owned());
    finding
}
