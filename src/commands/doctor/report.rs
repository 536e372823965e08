//! What was found: a line each, which says what to do where something is wrong. Knows nothing of how it was found.

use serde::Serialize;
use serde_json::json;

use crate::output;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Fine,
    /// Somebody should know.
    Doubtful,
    /// Something has to be done.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) area: &'static str,
    pub(super) name: String,
    pub(super) state: State,
    pub(super) found: String,
    /// What to do about it.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Line {
    /// It is as it should be.
    pub(super) fn fine(area: &'static str, name: impl Into<String>, found: impl Into<String>) -> Line {
        Line { area, name: name.into(), state: State::Fine, found: found.into(), advice: None }
    }

    /// Somebody should know it.
    pub(super) fn doubtful(
        area: &'static str,
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Line {
        Line { state: State::Doubtful, advice: Some(advice.into()), ..Line::fine(area, name, found) }
    }

    /// It is wrong.
    pub(super) fn wrong(
        area: &'static str,
        name: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Line {
        Line { state: State::Wrong, advice: Some(advice.into()), ..Line::fine(area, name, found) }
    }
}

/// Everything that was looked at.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// `running` or `stopped`; empty where it was not looked.
    pub(super) service: &'static str,
    lines: Vec<Line>,
}

impl Report {
    /// One more.
    pub(super) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Several more.
    pub(super) fn add_all(&mut self, lines: Vec<Line>) {
        self.lines.extend(lines);
    }

    /// One more, where there is one.
    pub(super) fn extend(&mut self, line: Option<Line>) {
        self.lines.extend(line);
    }

    /// Whether something has to be done.
    pub(super) fn is_wrong(&self) -> bool {
        self.count(State::Wrong) > 0
    }

    fn count(&self, state: State) -> usize {
        self.lines.iter().filter(|line| line.state == state).count()
    }

    /// Prints it.
    ///
    /// # Errors
    /// Standard output is closed or full.
    pub(super) fn show(&self, as_json: bool) -> anyhow::Result<()> {
        let (wrong, doubtful) = (self.count(State::Wrong), self.count(State::Doubtful));
        if as_json {
            let report = json!({ "service": self.service, "wrong": wrong, "doubtful": doubtful, "lines": self.lines });
            output::line(&serde_json::to_string_pretty(&report)?)?;
            return Ok(());
        }
        output::line(&self.table())?;
        output::line(&format!("{} looked at, {wrong} wrong, {doubtful} doubtful", self.lines.len()))?;
        Ok(())
    }

    fn table(&self) -> String {
        let row = |line: &Line| {
            let state = match line.state {
                State::Fine => "",
                State::Doubtful => "doubtful",
                State::Wrong => "WRONG",
            };
            let advice = line.advice.clone().unwrap_or_default();
            [state.to_owned(), line.area.to_owned(), line.name.clone(), line.found.clone(), advice]
        };
        output::table(["", "what", "name", "found", "what to do"], self.lines.iter().map(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_wrong_where_one_line_is_and_every_such_line_says_what_to_do() {
        let mut report = Report::default();
        report.add(Line::fine("log", "data", "whole"));
        report.add(Line::doubtful("source", "idp", "one reject", "look at it"));
        assert!(!report.is_wrong());
        report.add(Line::wrong("source", "opa\u{1b}[2J", "silent", "start it"));
        assert!(report.is_wrong());
        let table = report.table();
        assert!(table.contains("WRONG") && table.contains("start it") && table.contains("doubtful"), "{table}");
        assert!(!table.contains('\u{1b}'), "names come from files: {table}");
    }
}
