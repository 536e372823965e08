//! Promise P5 over a whole theft: the process ends anywhere and starts again on the same log on disk; in the end
//! everything was found, told and revoked as without it, and each thing once.

use std::path::Path;
use std::sync::Arc;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Topic};

use super::process::{FailingLog, Outcome, Process};
use super::recording::{Incident, bybit};

/// How a run of the process ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// After everything was done about these steps.
    After(usize),
    /// When the records of this step stand in the log and no rule has seen them yet.
    Unseen(usize),
    /// At this append of that step.
    AtAppend(usize, usize),
}

/// The incident in the pieces that are appended at once: what was before the story, then up to each thing that happens.
fn steps(incident: &Incident) -> Vec<Vec<Event>> {
    let (past, story) =
        incident.events.split_at(incident.events.partition_point(|event| event.time() < incident.begins));
    let mut steps = vec![past.to_vec(), Vec::new()];
    for event in story {
        steps.last_mut().unwrap().push(event.clone());
        if event.kind() != "tick" {
            steps.push(Vec::new());
        }
    }
    steps
}

/// What a run goes on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The log alone.
    TheLog,
    /// The state of alerting that was kept after the last step that was done whole, and the log since.
    WhatWasKept,
}

/// One run of the process over the log in that directory: it takes in the steps from `from` on, and gives what it has come to, or the
/// step with which the next run has to go on.
fn run(directory: &Path, incident: &Incident, on: Start, from: usize, end: Option<End>) -> Result<Outcome, usize> {
    let file = directory.join("alerting.kept");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let log = EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap();
        let log = Arc::new(FailingLog::new(log));
        let first = incident.events[0].time();
        let kept = (on == Start::WhatWasKept && from > 0).then(|| std::fs::read(&file).unwrap());
        let mut process =
            Process::begin(Arc::clone(&log) as _, incident.system(), first, kept.as_deref()).await.unwrap();
        process.catch_up().await.unwrap();
        for (index, step) in steps(incident).into_iter().enumerate().skip(from) {
            if let Some(End::AtAppend(at, appends)) = end
                && at == index
            {
                log.dies_after(appends);
            }
            if log.append(Topic::Events, step).is_err() {
                return Err(index);
            }
            if matches!(end, Some(End::Unseen(at)) if at == index) {
                return Err(index + 1);
            }
            if process.catch_up().await.is_err() || process.heartbeat().await.is_err() {
                return Err(index);
            }
            process.idle().await;
            std::fs::write(&file, process.keep()).unwrap();
            if matches!(end, Some(End::After(at) | End::AtAppend(at, _)) if at == index) {
                return Err(index + 1);
            }
        }
        Ok(process.came_to())
    });
    // What is still under way ends with the runtime, unfinished, as it would with the process.
    drop(runtime);
    outcome
}

/// All runs, each but the last with its end.
fn runs(incident: &Incident, on: Start, ends: &[End]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let mut from = 0;
    for end in ends {
        from = run(directory.path(), incident, on, from, Some(*end)).expect_err("it ends before the story does");
    }
    run(directory.path(), incident, on, from, None).expect("the last run comes to the end of the story")
}

/// Everything that is told stands there once, and everything that was found was decided upon.
fn each_once(outcome: &Outcome) {
    let mut ids: Vec<&str> = outcome.findings.iter().map(|finding| finding.id.as_str()).collect();
    ids.sort_unstable();
    assert!(ids.array_windows().all(|[one, next]| one != next), "a finding stands there twice");
    assert!(outcome.alerts.values().chain(outcome.told.values()).all(|count| *count == 1), "{:?}", outcome.alerts);
    assert_eq!(outcome.alerts.len(), outcome.findings.len(), "one alert record a finding");
}

/// The steps of the things that a restart could come between, by the log time with which they begin.
fn critical_steps(incident: &Incident) -> Vec<usize> {
    let moments = [
        "2025-02-21T05:42:40.788469Z",
        "2025-02-21T13:44:22.889083Z",
        "2025-02-21T14:13:35Z",
        "2025-02-21T14:13:35.000000003Z",
        "2025-02-21T14:15:23Z",
        "2025-02-21T14:16:11.000000003Z",
    ];
    let steps = steps(incident);
    let step_of = |moment: &str| {
        let ends_with = |step: &Vec<Event>| step.last().is_some_and(|event| event.time().to_string() == moment);
        steps.iter().position(ends_with).unwrap_or_else(|| panic!("nothing happens at {moment}"))
    };
    moments.map(step_of).into()
}

/// Keys of what people were told. A page that went out while its response was under way is followed by one that says
/// what came of it, and whether that is so is a matter of moments: those are left out.
fn pages(outcome: &Outcome) -> Vec<&str> {
    let follows = |key: &str| outcome.responses.values().any(|(_, status)| key.ends_with(&format!("-{status}")));
    outcome.told.keys().map(String::as_str).filter(|key| !follows(key)).collect()
}

fn same(outcome: &Outcome, uninterrupted: &Outcome, ends: &[End]) {
    each_once(outcome);
    // Those of rules come in one order; keywatch's own are told with a record or a heartbeat, which a start brings forward.
    let ids = |outcome: &Outcome, own: bool| {
        let of_kind = outcome.findings.iter().filter(|finding| finding.rule.starts_with("keywatch/") == own);
        of_kind.map(|finding| format!("{} {}", finding.rule, finding.id)).collect::<Vec<_>>()
    };
    for own in [false, true] {
        assert_eq!(ids(outcome, own), ids(uninterrupted, own), "{ends:?}");
    }
    assert_eq!(outcome.alerts, uninterrupted.alerts, "{ends:?}");
    assert_eq!(pages(outcome), pages(uninterrupted), "{ends:?}");
    let responses = |outcome: &Outcome| {
        let short = outcome
            .responses
            .iter()
            .map(|(id, (response, status))| (id.clone(), response.targets.clone(), status.clone()));
        short.collect::<Vec<_>>()
    };
    assert_eq!(responses(outcome), responses(uninterrupted), "{ends:?}");
}

#[test]
fn p5_a_restart_anywhere_in_the_theft_finds_tells_and_revokes_the_same_each_once() {
    let incident = bybit();
    let uninterrupted = runs(&incident, Start::TheLog, &[]);
    each_once(&uninterrupted);
    let own: Vec<&str> = uninterrupted.findings.iter().map(|finding| finding.rule.as_str()).collect();
    let own: Vec<&str> = own.into_iter().filter(|rule| rule.starts_with("keywatch/")).collect();
    // What was recorded goes on as it did, also where the session is cut.
    assert_eq!(own, ["keywatch/allowed_after_revocation"]);
    assert_eq!(uninterrupted.findings.len(), incident.expected.len() + own.len());
    let degrees: Vec<&str> = uninterrupted.responses.values().map(|(_, status)| status.as_str()).collect();
    assert!(degrees.contains(&"denied_at_pdp"), "{degrees:?}");
    let steps = critical_steps(&incident);
    let many: Vec<End> = steps.iter().map(|step| End::After(*step)).collect();
    for on in [Start::TheLog, Start::WhatWasKept] {
        for step in &steps {
            for end in [End::Unseen(*step), End::After(*step)] {
                same(&runs(&incident, on, &[end]), &uninterrupted, &[end]);
            }
        }
        same(&runs(&incident, on, &many), &uninterrupted, &many);
    }
}

#[test]
fn p5_a_death_at_any_append_about_the_first_critical_finding_leaves_nothing_undone_or_done_twice() {
    let incident = bybit();
    let uninterrupted = runs(&incident, Start::TheLog, &[]);
    let step = critical_steps(&incident)[0];
    let mut deaths = 0;
    for (appends, on) in (0..9).flat_map(|appends| [(appends, Start::TheLog), (appends, Start::WhatWasKept)]) {
        let end = End::AtAppend(step, appends);
        let directory = tempfile::tempdir().unwrap();
        let next = run(directory.path(), &incident, on, 0, Some(end)).expect_err("it ends before the story does");
        deaths += usize::from(next == step);
        let outcome = run(directory.path(), &incident, on, next, None).expect("it comes to the end of the story");
        same(&outcome, &uninterrupted, &[end]);
    }
    assert!(
        deaths >= 10,
        "died {deaths} times before all was done: records, finding, intent, alert, published, probed"
    );
}
