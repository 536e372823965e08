//! A rule file looked at whole: everything that is wrong with it, with its line, whether or not its events are there yet.

use std::collections::BTreeMap;
use std::path::Path;

use keywatch_store::line;

use super::header::{Header, Parameter, comment};
use super::pack::{id_of, read_file};
use super::{Rule, Settings, file, views};
use crate::error::Error;
use crate::plan;

/// What one look at a rule file gives.
#[derive(Debug)]
pub struct Draft {
    /// `family/name`, from its path.
    pub id: String,
    /// The rule, where its front matter holds; without events where those are not there.
    pub rule: Option<Rule>,
    /// What is wrong, SQL first: the line of the `.sql` file where one is known, and the problem.
    pub problems: Vec<(Option<usize>, String)>,
    /// Event files that are not there yet.
    pub missing: Vec<String>,
}

/// Looks at a `.sql` file and the event files beside it.
///
/// # Errors
/// [`Error::File`] when the `.sql` file cannot be read.
pub fn inspect(file: &Path) -> Result<Draft, Error> {
    let mut draft = Draft::of(id_of(file), &read_file(file)?);
    draft.read_events(file);
    Ok(draft)
}

impl Draft {
    fn of(id: String, text: &str) -> Draft {
        let whole = file::split(&id, text);
        let rule = match &whole {
            Ok((header, sql)) => Some((header.clone(), sql.clone())),
            // The SQL can be looked at all the same, with what can be made out of the front matter.
            Err(_) => salvage(&id, text),
        };
        let mut draft = Draft { id, rule: None, problems: Vec::new(), missing: Vec::new() };
        if let Some((header, sql)) = rule {
            let rule = Rule { id: draft.id.clone(), header, sql, fires: Vec::new(), quiet: Vec::new() };
            draft.problems.extend(sql_problems(&rule, text));
            draft.rule = Some(rule).filter(|_| whole.is_ok());
        }
        if let Err(error) = whole {
            draft.problems.push((line_in_message(&error.to_string()), error.to_string()));
        }
        draft
    }

    fn read_events(&mut self, file: &Path) {
        for kind in ["fires", "quiet"] {
            let beside = file.with_extension(format!("{kind}.jsonl"));
            let name = beside.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !beside.exists() {
                self.missing.push(name);
                continue;
            }
            let text = match read_file(&beside) {
                Ok(text) => text,
                Err(error) => {
                    self.problems.push((None, error.to_string()));
                    continue;
                }
            };
            let mut events = Vec::new();
            for (number, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
                match line::read(text.as_bytes()) {
                    Ok(event) => events.push(event),
                    Err(error) => self.problems.push((None, format!("{name} line {}: {error}", number + 1))),
                }
            }
            if let Some(rule) = &mut self.rule {
                *(if kind == "fires" { &mut rule.fires } else { &mut rule.quiet }) = events;
            }
        }
    }
}

/// What is wrong with the SQL, each with the line in the file that it is about.
fn sql_problems(rule: &Rule, text: &str) -> Vec<(Option<usize>, String)> {
    let sql = match Settings::default().fill_in(rule) {
        Ok(sql) => sql,
        Err(error) => return vec![(line_of_words(&error.to_string(), text), error.to_string())],
    };
    let own = comment(text).map(|(_, sql)| sql).unwrap_or_default();
    let before = text.find(own).map_or(0, |start| text[..start].matches('\n').count());
    let added = rule.sql.matches('\n').count() - own.matches('\n').count().min(rule.sql.matches('\n').count());
    let problems = plan::problems(&rule.id, &sql).into_iter();
    problems
        .map(|error| {
            let message = error.to_string();
            let parsed = line_in_message(&message).and_then(|line| line.checked_sub(added)).map(|line| line + before);
            (parsed.or_else(|| line_of_words(&message, text)), message)
        })
        .collect()
}

/// `… at Line: 12, Column: 5` and `… at line 12 column 5`.
fn line_in_message(message: &str) -> Option<usize> {
    let lower = message.to_lowercase();
    let after = lower.split("line: ").nth(1).or_else(|| lower.split("at line ").nth(1))?;
    after.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The first line of the SQL that has a word which the message quotes.
fn line_of_words(message: &str, text: &str) -> Option<usize> {
    let start = text.find("*/").unwrap_or_default();
    let quoted = message.split(['`', '\'']).skip(1).step_by(2);
    let named = message.split("named ").nth(1).and_then(|rest| rest.split(['.', ' ', '\n']).next()).into_iter();
    let mut words = quoted.chain(named).map(|word| word.trim_matches('"')).filter(|word| word.len() > 2);
    let found = words.find_map(|word| text[start..].find(word))?;
    Some(text[..start + found].matches('\n').count() + 1)
}

/// The parts of a front matter that its SQL needs, where the whole does not hold.
fn salvage(id: &str, text: &str) -> Option<(Header, String)> {
    #[derive(serde::Deserialize)]
    struct Parts {
        #[serde(default)]
        uses: Vec<String>,
        #[serde(default)]
        parameters: BTreeMap<String, Parameter>,
    }
    let (yaml, sql) = comment(text).ok()?;
    let parts = serde_norway::from_str(yaml).unwrap_or(Parts { uses: Vec::new(), parameters: BTreeMap::new() });
    let stub = "version: 0\ntitle: x\nseverity: info\nentity: x\nmeaning: x\nrunbook: []\nsuppress_for: 1s\n";
    let mut header: Header = serde_norway::from_str(stub).ok()?;
    (header.uses, header.parameters) = (parts.uses, parts.parameters);
    let sql = views::apply(id, &mut header, sql).ok()?;
    Some((header, sql))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect_text(text: &str) -> Draft {
        Draft::of("family/name".to_owned(), text)
    }

    const FRONT: &str =
        "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n";

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_its_line() {
        let draft = inspect_text(&format!(
            "{FRONT}SELECT event_id, wallet AS entity\nFROM events\nWHERE kind = 'chain.transfr'\n  AND now() > time\nORDER BY time"
        ));
        let said: Vec<(Option<usize>, &str)> =
            draft.problems.iter().map(|(line, problem)| (*line, problem.as_str())).collect();
        assert_eq!(said.len(), 1, "ORDER BY hides what is bound later: {said:?}");
        let draft = inspect_text(&format!(
            "{FRONT}SELECT event_id, wallet AS entity\nFROM events\nWHERE kind = 'chain.transfr'\n  AND now() > time"
        ));
        let said: Vec<(Option<usize>, &str)> =
            draft.problems.iter().map(|(line, problem)| (*line, problem.as_str())).collect();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said.iter().any(|(_, problem)| problem.contains("now()")), "{said:?}");
        assert!(
            said.iter().any(|(line, problem)| *line == Some(12) && problem.contains("`chain.transfer`")),
            "{said:?}"
        );
    }

    #[test]
    fn front_matter_that_does_not_hold_does_not_hide_the_sql() {
        let draft =
            inspect_text(&format!("{}SELECT nonsense FROM evnts", FRONT.replace("severity: low", "severity: lw")));
        assert_eq!(draft.problems.len(), 2, "{:?}", draft.problems);
        assert!(
            draft.problems[0].1.contains("evnts") && draft.problems[0].1.contains("wallets"),
            "{:?}",
            draft.problems
        );
        assert_eq!(draft.problems[0].0, Some(10));
        assert!(draft.problems[1].1.contains("severity"));
    }

    #[test]
    fn a_parse_error_is_at_its_line_of_the_file() {
        let draft = inspect_text(&format!("{FRONT}SELECT event_id,\n  wallet AS entity\nFRM events"));
        assert_eq!(draft.problems[0].0, Some(12), "{:?}", draft.problems);
    }
}
