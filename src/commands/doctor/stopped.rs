//! The log of a keywatch that does not run: whether it can be opened, whose it is, and what the sources last said in it.

use std::collections::BTreeSet;

use keywatch_store::{Inventory, Log, Topic};

use super::report::Line;
use crate::clock;
use crate::commands::backtest::input::open_log;
use crate::limits::{CLOCK_SKEW_SECONDS_MAX, DOCTOR_RECORDS_MAX};
use crate::service::config::Config;
use crate::service::source_activity::Activity;

const AREA: &str = "log";

/// Looks at the log; `problem` is why keywatch did not answer at `url`.
pub(super) fn look(config: &Config, inventory: &Inventory, url: &str, problem: &str) -> (Vec<Line>, Option<Activity>) {
    let place = config.data.display().to_string();
    let service = Line::doubtful(
        "keywatch",
        url,
        format!("does not answer: {problem}"),
        "start it with `keywatch run`; where it runs, name its address with --url",
    );
    if !config.data.join("LOCK").is_file() {
        let advice = "the first start makes one; if there should be one, correct `data` in the configuration";
        return (vec![service, Line::doubtful(AREA, place, "there is none yet", advice)], None);
    }
    let read = || -> anyhow::Result<(String, Activity)> {
        let log = open_log(&config.data)?;
        let (events, conclusions) = (log.end(Topic::Events).0, log.end(Topic::Conclusions).0);
        Ok((format!("{events} events, {conclusions} conclusions"), Activity::of(&log, DOCTOR_RECORDS_MAX)?))
    };
    match read() {
        Ok((ends, heard)) => {
            let mut lines = vec![service];
            lines.extend(of_log(&place, &ends, &heard, inventory));
            (lines, Some(heard))
        }
        Err(error) => {
            let advice = "if keywatch has it open, name its address with --url; else `keywatch log check` says what is \
                          wrong with it (docs/damaged-log.md)";
            (vec![service, Line::wrong(AREA, place, format!("{error:#}"), advice)], None)
        }
    }
}

fn of_log(place: &str, ends: &str, heard: &Activity, inventory: &Inventory) -> Vec<Line> {
    let until = heard.until.map_or_else(|| "before anything was heard".to_owned(), |until| format!("at {until}"));
    let mut lines = vec![Line::fine(AREA, place, format!("{ends}, ends {until}"))];
    let systems: BTreeSet<&str> = heard.sources.iter().map(|said| said.system.as_str()).collect();
    for system in systems.into_iter().filter(|system| inventory.system(system).is_none()) {
        let advice = "it is the log of another inventory: correct `data` or `inventory`, or declare the system again";
        lines.push(Line::wrong(AREA, place, format!("holds records of `{system}`, which is not declared"), advice));
    }
    let ahead = heard.until.map_or(0, |until| until.unix_seconds() - clock::now().unix_seconds());
    if ahead > CLOCK_SKEW_SECONDS_MAX {
        let found = format!("this machine is {ahead} s behind the newest record of the log");
        lines.push(Line::wrong(
            "clock",
            "this machine",
            found,
            "set the clock and keep it by NTP before you start keywatch",
        ));
    }
    lines
}
