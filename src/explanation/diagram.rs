//! A rule's steps as a tree, and the frames of its windows on a line of time. 100 columns wide; nothing is drawn to
//! scale, but what is longer is drawn longer.

use keywatch_detectors::window::frame::Frame;
use keywatch_detectors::window::{Group, Window, span};
use keywatch_detectors::{Description, Step, Windows};

/// Columns of a drawing.
const WIDTH: usize = 100;

/// What the signs of [`timelines`] mean.
pub(crate) const SIGNS: &str = "* the row, | an end, ) ( an end that leaves the row out, < no start";

/// The steps as a tree.
pub(crate) fn tree(description: &Description) -> Vec<String> {
    let mut lines = wrapped("events   ", "         ", &given(description));
    for step in &description.steps {
        lines.push("│".to_owned());
        match step {
            Step::Keep(conditions) => lines.extend(labelled("keep", conditions)),
            Step::Compute(columns) => {
                let columns: Vec<String> = columns.iter().map(|(name, expr)| format!("{name} = {expr}")).collect();
                lines.extend(labelled("compute", &columns));
            }
            Step::Lookup { table, on, keeps_unmatched } => {
                let rest = if *keeps_unmatched { "a row without a match stays" } else { "a row without a match goes" };
                let on = format!("{table} ON {}; {rest}", on.join(" AND "));
                lines.extend(labelled("look up", &[on]));
            }
            Step::Windows(windows) => lines.extend(windows_lines(windows)),
        }
    }
    let decided = match description.following_ns {
        0 => "with the event itself".to_owned(),
        ns if has_deadlines(description) => {
            format!("with the first record at or after its deadline, {} later at most", span(ns))
        }
        ns => format!("with the first record at or after {} later", span(ns)),
    };
    lines.extend(["│".to_owned(), format!("└ finding {decided}")]);
    lines
}

/// Whether rows are decided at times of their own.
pub(crate) fn has_deadlines(description: &Description) -> bool {
    description.steps.iter().any(|step| matches!(step, Step::Windows(windows) if windows.deadline.is_some()))
}

/// The events that a rule is given, in words.
pub(crate) fn given(description: &Description) -> String {
    match &description.kinds {
        None => "of all kinds".to_owned(),
        Some(kinds) => kinds.join(", "),
    }
}

fn labelled(label: &str, items: &[String]) -> Vec<String> {
    let first = format!("├ {label:<8}");
    let next = format!("│ {:<8}", "");
    let label_of = |index: usize| if index == 0 { &first } else { &next };
    items.iter().enumerate().flat_map(|(index, item)| wrapped(label_of(index), &format!("{next}  "), item)).collect()
}

fn windows_lines(windows: &Windows) -> Vec<String> {
    let mut lines = labelled("windows", &[answered(windows)]);
    for (index, group) in windows.groups.iter().enumerate() {
        let (branch, trunk) = if index + 1 < windows.groups.len() { ("├", "│") } else { ("└", " ") };
        lines.extend(wrapped(&format!("│ {branch} key "), &format!("│ {trunk}     "), &group.key));
        lines.extend(group_lines(group, &format!("│ {trunk}   ")));
    }
    lines
}

/// Which rows are answered, and when.
pub(crate) fn answered(windows: &Windows) -> String {
    let which = if windows.answered.is_empty() { "every row".to_owned() } else { windows.answered.join(" AND ") };
    let when = match (windows.waits_ns, &windows.deadline) {
        (0, _) => "at once".to_owned(),
        (ns, None) => format!("{} later", span(ns)),
        (ns, Some(deadline)) => format!("at {deadline}, {} later at most", span(ns)),
    };
    format!("answered: {which}; {when}")
}

fn group_lines(group: &Group, indent: &str) -> Vec<String> {
    let times = timelines(&group.windows);
    let name = group.windows.iter().map(|window| window.name.chars().count()).max().unwrap_or(0);
    let time = times.iter().map(|time| time.chars().count()).max().unwrap_or(0);
    let lines = group.windows.iter().zip(&times).flat_map(|(window, line)| {
        let first = format!("{indent}{:<name$}  {line:<time$}  ", window.name);
        if first.chars().count() + window.function.chars().count() <= WIDTH {
            return vec![format!("{first}{}", window.function)];
        }
        let below = format!("{indent}{:name$}  ", "");
        let head = std::iter::once(first.trim_end().to_owned());
        head.chain(wrapped(&below, &format!("{below}  "), &window.function)).collect()
    });
    lines.collect()
}

/// The frames of windows on one line of time: the rows `*` stand under each other.
pub(crate) fn timelines(windows: &[Window]) -> Vec<String> {
    let sides: Vec<(String, String)> =
        windows.iter().map(|window| (before(window.frame), after(window.frame))).collect();
    let width = sides.iter().map(|(before, _)| before.chars().count()).max().unwrap_or(0);
    sides.iter().map(|(before, after)| format!("{before:>width$}*{after}")).collect()
}

fn before(frame: Frame) -> String {
    match frame {
        Frame::Range { start_ns: None, end_ns } => format!("<--so far--{}", end_before(end_ns)),
        Frame::Range { start_ns: Some(start_ns), end_ns } if start_ns < 0 => {
            let length = end_ns.min(0).saturating_sub(start_ns);
            // The nanosecond that a frame stops short of its row is not worth naming.
            let length = if end_ns == -1 { length.saturating_add(1) } else { length };
            format!("|{}{}", drawn(length), end_before(end_ns))
        }
        Frame::Range { .. } => String::new(),
        Frame::Rows { start: None, end } => format!("<--all rows--{}", rows_before(end)),
        Frame::Rows { start: Some(start), end } if start == end && end > 0 => rows_before(end).replace('|', "|row|"),
        Frame::Rows { start: Some(0), .. } => String::new(),
        Frame::Rows { start: Some(start), end } => {
            format!("|--{}--{}", rows(start + u64::from(end == 0) - end), rows_before(end))
        }
    }
}

fn end_before(end_ns: i64) -> String {
    match end_ns {
        0.. => String::new(),
        -1 => ")".to_owned(),
        _ => format!("| {} ", span(end_ns.saturating_neg())),
    }
}

fn rows_before(end: u64) -> String {
    match end {
        0 => String::new(),
        1 => "| ".to_owned(),
        end => format!("| {} ", rows(end - 1)),
    }
}

fn rows(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

fn after(frame: Frame) -> String {
    let Frame::Range { start_ns, end_ns: end_ns @ 1.. } = frame else { return String::new() };
    match start_ns {
        Some(1) => format!("({}|", drawn(end_ns)),
        Some(start_ns @ 2..) => format!(" {} |{}|", span(start_ns), drawn(end_ns - start_ns)),
        _ => format!("{}|", drawn(end_ns)),
    }
}

/// A length of time with its name in the middle.
fn drawn(ns: i64) -> String {
    const MINUTE_NS: i64 = 60_000_000_000;
    let side = match ns / MINUTE_NS {
        0 => "-",
        1..60 => "--",
        60..1_440 => "---",
        1_440..10_080 => "----",
        _ => "------",
    };
    format!("{side}{}{side}", span(ns))
}

/// Text after `first`, its further lines after `next`, none wider than a drawing where words allow.
pub(crate) fn wrapped(first: &str, next: &str, text: &str) -> Vec<String> {
    let (mut lines, mut line, mut is_empty) = (Vec::new(), first.to_owned(), true);
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, next.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_frame_is_drawn_around_its_row() {
        let range = |start_ns, end_ns| Frame::Range { start_ns, end_ns };
        let rows = |start, end| Frame::Rows { start, end };
        let drawn = |frame| format!("{}*{}", before(frame), after(frame));
        for (frame, line) in [
            (range(Some(-86_400 * SECOND), 0), "|----24h----*"),
            (range(Some(-300 * SECOND), 30 * SECOND), "|--5m--*-30s-|"),
            (range(Some(-3_600 * SECOND), -1), "|---1h---)*"),
            (range(Some(-7_200 * SECOND), -3_600 * SECOND), "|---1h---| 1h *"),
            (range(Some(1), 900 * SECOND), "*(--15m--|"),
            (range(Some(60 * SECOND), 120 * SECOND), "* 1m |--1m--|"),
            (range(None, -1), "<--so far--)*"),
            (range(None, 0), "<--so far--*"),
            (range(Some(0), 0), "*"),
            (rows(Some(3), 0), "|--4 rows--*"),
            (rows(Some(3), 1), "|--2 rows--| *"),
            (rows(Some(1), 1), "|row| *"),
            (rows(Some(3), 3), "|row| 2 rows *"),
            (rows(None, 0), "<--all rows--*"),
        ] {
            assert_eq!(drawn(frame), line);
        }
    }

    #[test]
    fn long_text_is_wrapped_at_words() {
        let lines = wrapped("├ ", "│   ", &"word ".repeat(60));
        assert!(lines.len() > 2 && lines.iter().all(|line| line.chars().count() <= WIDTH), "{lines:?}");
        assert!(lines[1].starts_with("│   word"), "{lines:?}");
    }
}
