//! The only place that prints. Standard output carries results, standard error carries messages about them.
//!
//! Text that comes from outside is shown with its control characters escaped, so that a record cannot write to the
//! terminal of who looks at it. Nothing here decides what the messages are.

use std::io::{self, IsTerminal, Write};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use tracing_subscriber::EnvFilter;

/// Characters that no column of a table is narrowed below: ids stay on one line, to be copied.
const COLUMN_CHARS_MIN: u16 = 34;

/// Characters beside the content of a column.
const PADDING_CHARS: u16 = 2;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to standard error. `KEYWATCH_LOG` selects what is logged (`info`, `keywatch=debug`, …); `level` holds
/// where it is not set.
pub(crate) fn start_logging(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_env("KEYWATCH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    // A second start (there is none outside tests) keeps the first.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

/// Writes one line of results.
///
/// # Errors
/// Standard output is closed or full.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = stdout();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")
}

/// Writes text of results as it is.
///
/// # Errors
/// Standard output is closed or full.
pub(crate) fn text(text: &str) -> io::Result<()> {
    stdout().write_all(text.as_bytes())
}

/// A buffer before standard output, for many lines; the caller flushes it.
pub(crate) fn buffered() -> io::BufWriter<io::Stdout> {
    io::BufWriter::with_capacity(1 << 16, stdout())
}

/// Says something beside the results. A closed standard error is nobody's loss.
pub(crate) fn note(text: &str) {
    let _ = writeln!(stderr(), "{}", printable(text));
}

/// Says why a command could not be carried out: the chain of causes, on one line.
pub(crate) fn failure(error: &anyhow::Error) {
    note(&format!("keywatch: {error:#}"));
}

/// Whether the error is only that nobody reads the results any more (`keywatch … | head`).
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref::<io::Error>().map(io::Error::kind);
    error.chain().any(|cause| kind(cause) == Some(io::ErrorKind::BrokenPipe))
}

/// Where the terminal sink writes pages: beside the results and the log lines.
pub(crate) fn notifications() -> io::Stderr {
    stderr()
}

/// Whether standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    stdout().is_terminal()
}

/// A table under its headings. On a terminal that is too narrow for it, its widest columns take several lines.
pub(crate) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    fit(&mut table, terminal_columns());
    table.to_string()
}

/// As [`table`], with as many columns as there are headings.
pub(crate) fn rows(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|heading| printable(heading)));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    fit(&mut table, terminal_columns());
    table.to_string()
}

/// Narrows the widest columns until the table fits; one that cannot stays as wide as it is.
fn fit(table: &mut Table, terminal: Option<u16>) {
    let widths = table.column_max_content_widths();
    let Some(widest) = terminal.and_then(|columns| widest(&widths, columns)) else { return };
    for column in table.column_iter_mut() {
        let bound = Width::Fixed(widest.saturating_add(PADDING_CHARS));
        column.set_constraint(ColumnConstraint::UpperBoundary(bound));
    }
}

/// How wide a column may be at most, so that all of them fit; `None` where they fit as they are, or not at all.
fn widest(widths: &[u16], terminal: u16) -> Option<u16> {
    let column = |width: u16, most: u16| u32::from(width.min(most)) + u32::from(PADDING_CHARS);
    let taken = |most: u16| widths.iter().map(|width| column(*width, most)).sum::<u32>();
    let fits = |most: &u16| taken(*most) <= u32::from(terminal);
    let most = widths.iter().copied().max().filter(|most| !fits(most))?;
    (COLUMN_CHARS_MIN..most).rev().find(fits)
}

/// Columns of the terminal, where standard output is one that says so.
fn terminal_columns() -> Option<u16> {
    let out = stdout();
    let size = if out.is_terminal() { rustix::termios::tcgetwinsize(&out).ok() } else { None };
    size.map(|size| size.ws_col).filter(|columns| *columns > 0)
}

/// A bar on standard error for `records` of long work; nothing is drawn where standard error is no terminal.
pub(crate) fn progress(records: usize) -> indicatif::ProgressBar {
    let style = "{bar:30} {human_pos}/{human_len} records, {per_sec}, {eta} left";
    let bar = indicatif::ProgressBar::new(records as u64);
    bar.with_style(indicatif::ProgressStyle::with_template(style).expect("the template is a constant"))
}

/// A bar on standard error for `bytes` of input, or what was read so far where nobody knows how much there is.
pub(crate) fn progress_of_bytes(bytes: Option<u64>) -> indicatif::ProgressBar {
    let (style, bar) = match bytes {
        Some(bytes) => {
            ("{bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left", indicatif::ProgressBar::new(bytes))
        }
        None => ("{spinner} {bytes}, {bytes_per_sec}", indicatif::ProgressBar::no_length()),
    };
    bar.with_style(indicatif::ProgressStyle::with_template(style).expect("the template is a constant"))
}

/// A count on standard error of records that nobody knows the number of.
pub(crate) fn progress_of_records() -> indicatif::ProgressBar {
    let style = "{spinner} {human_pos} records, {per_sec}";
    let bar = indicatif::ProgressBar::no_length();
    bar.with_style(indicatif::ProgressStyle::with_template(style).expect("the template is a constant"))
}

/// The text with control characters escaped, line feeds and tabs kept.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && !matches!(character, '\n' | '\t') {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[expect(clippy::disallowed_methods, reason = "this module is where printing happens")]
fn stdout() -> io::Stdout {
    io::stdout()
}

#[expect(clippy::disallowed_methods, reason = "this module is where printing happens")]
fn stderr() -> io::Stderr {
    io::stderr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\tc\u{9b}d"), "a\\u{1b}[2Jb\n\tc\\u{9b}d");
        assert!(table(["who"], [["\u{7}me".to_owned()]]).contains("\\u{7}me"));
    }

    #[test]
    fn the_widest_columns_are_narrowed_until_a_table_fits_and_ids_stay_whole() {
        assert_eq!(widest(&[32, 8, 100], 200), None, "it fits");
        assert_eq!(widest(&[32, 8, 100], 120), Some(74));
        assert_eq!(widest(&[32, 90, 100], 150), Some(56), "both of them");
        assert_eq!(widest(&[32, 8, 100], 60), None, "an id would be cut");
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        let id = "e0b7054d6e6bc2baa8b166e7a82c8507";
        let words = "word ".repeat(30);
        table.add_row([id, words.as_str()]);
        fit(&mut table, Some(80));
        let shown = table.to_string();
        assert!(shown.contains(id) && shown.lines().count() > 2, "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    }

    #[test]
    fn a_closed_reader_is_distinguished_from_a_full_disk() {
        let error = |kind| anyhow::Error::from(io::Error::from(kind)).context("cannot write");
        assert!(is_broken_pipe(&error(io::ErrorKind::BrokenPipe)));
        assert!(!is_broken_pipe(&error(io::ErrorKind::StorageFull)));
    }
}
