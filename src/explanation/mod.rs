//! What a rule means and how it is run, in words and drawings, for the command line and the web page. Asks the engine how it
//! planned the rule; knows no log.

use std::fmt::Write;

use keywatch_detectors::rule::Value;
use keywatch_detectors::window::{Window, span};
use keywatch_detectors::{Description, Rule, Step, Windows};
use keywatch_store::finding::{Proof, Target};
use keywatch_store::time::SECOND_NS;

pub(crate) mod diagram;

/// What a rule means, what to do, and what is declared of it.
///
/// # Errors
/// None: a text takes what is written.
pub(crate) fn meaning(rule: &Rule, description: &Description) -> Result<String, std::fmt::Error> {
    let header = &rule.header;
    let mut text = String::new();
    writeln!(text, "{} (version {}, {})\n\n{}", rule.id, header.version, header.severity, header.title)?;
    writeln!(text, "\n{}", header.meaning.trim())?;
    section(&mut text, "What to do", &header.runbook)?;
    section(&mut text, "When it may fire without anything being wrong", &header.false_positives)?;
    writeln!(text, "\nEntity: {}", header.entity)?;
    writeln!(text, "Asks to cut or hold: {}", targets(&header.response))?;
    let alone = match header.proof {
        Proof::Itself => "yes, its evidence proves itself",
        Proof::Corroborated => "when a second, independent trust group agrees",
    };
    writeln!(text, "May be acted upon without a person: {alone}")?;
    writeln!(text, "Told again for the same entity after: {} s", header.suppress_ns / SECOND_NS)?;
    let at_most = if diagram::has_deadlines(description) { "at most " } else { "" };
    writeln!(text, "Decided after the event: {at_most}{} s", description.following_ns / SECOND_NS)?;
    writeln!(text, "CCSS: {}   ATT&CK: {}", header.ccss.join(", "), header.attack.join(", "))?;
    if !header.parameters.is_empty() {
        writeln!(text, "\nParameters:")?;
    }
    for (name, parameter) in &header.parameters {
        writeln!(text, "  {name} = {}: {}", shown(&parameter.default), parameter.meaning)?;
    }
    Ok(text)
}

fn section(text: &mut String, heading: &str, items: &[String]) -> std::fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{heading}:")?;
    items.iter().enumerate().try_for_each(|(index, item)| writeln!(text, "  {}. {}", index + 1, item.trim()))
}

/// How a rule is run: drawn, step by step, and its windows.
///
/// # Errors
/// As [`meaning`].
pub(crate) fn how_it_runs(description: &Description) -> Result<String, std::fmt::Error> {
    let mut text = String::from("\nHow it runs:\n\n");
    for line in diagram::tree(description) {
        writeln!(text, "  {line}")?;
    }
    writeln!(text, "\nStep by step:\n")?;
    let kinds = match &description.kinds {
        None => "It is given every event: nothing in its WHERE says of which kind it must be.".to_owned(),
        Some(_) => format!(
            "It is given the events of these kinds, and not started on others: {}.",
            diagram::given(description)
        ),
    };
    let steps = std::iter::once(format!("{kinds} It reads their {}.", description.columns.join(", ")));
    for (index, step) in steps.chain(description.steps.iter().map(in_words)).enumerate() {
        for line in diagram::wrapped(&format!("  {}. ", index + 1), "     ", &step) {
            writeln!(text, "{line}")?;
        }
    }
    if all_windows(description).next().is_some() {
        writeln!(text, "\nWindows, by partition key ({}):", diagram::SIGNS)?;
    }
    for windows in all_windows(description) {
        describe_windows(&mut text, windows)?;
    }
    Ok(text)
}

/// The windows of a rule, step by step.
pub(crate) fn all_windows(description: &Description) -> impl Iterator<Item = &Windows> {
    description.steps.iter().filter_map(|step| match step {
        Step::Windows(windows) => Some(windows),
        _ => None,
    })
}

fn in_words(step: &Step) -> String {
    match step {
        Step::Keep(conditions) => format!("It goes on with rows for which {}.", conditions.join(", and ")),
        Step::Compute(columns) => {
            let columns: Vec<String> = columns.iter().map(|(name, expr)| format!("{name} as {expr}")).collect();
            format!("It computes {}.", columns.join("; "))
        }
        Step::Lookup { table, on, keeps_unmatched } => {
            let rest =
                if *keeps_unmatched { "Rows without a match stay, with nulls" } else { "Rows without a match go" };
            let on = on.join(" and ");
            format!("It looks each row up in the inventory's {table} as of the row's time, where {on}. {rest}.")
        }
        Step::Windows(windows) => {
            let count: usize = windows.groups.iter().map(|group| group.windows.len()).sum();
            let keys = windows.groups.len();
            let which = match windows.answered.as_slice() {
                [] => "Every row is answered".to_owned(),
                answered => {
                    format!("Every row may count, but answered are those for which {}", answered.join(", and "))
                }
            };
            let when = match (windows.waits_ns, &windows.deadline) {
                (0, _) => "at once".to_owned(),
                (ns, None) => format!("when the log is complete through {} after it", span(ns)),
                (ns, Some(deadline)) => {
                    format!("when the log is complete through {deadline}, or through {} after it", span(ns))
                }
            };
            format!(
                "It looks at {count} {}, in {keys} {}. {which}, {when}.",
                plural("window", count),
                plural("group", keys)
            )
        }
    }
}

fn plural(noun: &str, count: usize) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

fn describe_windows(text: &mut String, windows: &Windows) -> std::fmt::Result {
    for group in &windows.groups {
        writeln!(text, "\n  {}", group.key)?;
        let (row, key) = (group.row_bytes, group.key_bytes);
        let row = if group.keeps_rows { format!("a row takes {row} bytes, ") } else { String::new() };
        let cost = format!("Keeps {}. For all windows below {row}a key takes {key} bytes and its text.", group.kept);
        for line in diagram::wrapped("    ", "    ", &cost) {
            writeln!(text, "{line}")?;
        }
        for (window, time) in group.windows.iter().zip(diagram::timelines(&group.windows)) {
            writeln!(text, "    {}  {time}", window.name)?;
            for line in diagram::wrapped("      ", "        ", &window.function) {
                writeln!(text, "{line}")?;
            }
            writeln!(text, "      {}", state(window))?;
        }
    }
    Ok(())
}

/// What a window keeps, and what that takes.
fn state(window: &Window) -> String {
    let kept = match window.most {
        Some(most @ 2..) => format!("the last {most} times only: nothing above {most} is asked"),
        _ => window.state.to_owned(),
    };
    let row = if window.row_bytes > 0 {
        format!("{} more bytes a row", window.row_bytes)
    } else {
        "nothing more a row".to_owned()
    };
    format!("{kept}; {row}, {} bytes a key", window.key_bytes)
}

/// A value of a parameter.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Integer(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::List(texts) => texts.join(", "),
    }
}

/// What a rule asks to be stopped.
pub(crate) fn targets(response: &[Target]) -> String {
    let names: Vec<String> = response.iter().map(|target| format!("{target:?}").to_lowercase()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
