//! `keywatch import`: foreign files → event lines on standard output; what could not be read → standard error.
//!
//! Reads with the feeds that the HTTP front door uses, or with a mapping file. Stores nothing and reads no clock.

use std::cmp::Ordering;
use std::io::{BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use keywatch_ingest::limits::{BODY_BYTES_MAX, RECORD_BYTES_MAX, RECORDS_MAX};
use keywatch_ingest::{Context, Feed, Problem, Reading, Reject, feeds};
use keywatch_store::event::Origin;
use keywatch_store::{Inventory, line};

use crate::event_files::read_line;
use crate::limits::{IMPORT_PIECE_BYTES_MAX, IMPORT_PIECE_LINES_MAX, IMPORT_REJECTS_SHOWN_MAX};
use crate::output;
use crate::service::config;

mod files;
mod shares;
mod trail;

use shares::Shares;

/// Turn foreign files into keywatch event lines.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch import --feed safe --system cold --inventory inventory.toml multisig-transactions.json > events.jsonl
  keywatch import --feed cloudtrail --system cold --trail-keys keys.json trail-bucket/ > events.jsonl
  keywatch import --mapping badges.toml --system cold badges.jsonl.zst > events.jsonl
  keywatch import --feed safe --system cold safe.json | keywatch replay -
  keywatch import --feed okta --system cold --dry-run system-log/

Event lines go to standard output, one JSON object a line (docs/events.md says what stands in them). Counts and rejected \
records go to standard error as FILE:LINE: FIELD: REASON. Exit code: 0 everything was read, 1 some records were rejected, \
2 nothing could be done.

A file is one JSON value, an array, an object that holds the array as its service delivers it, or JSON lines. JSON lines \
may be of any length; anything else may have 32 MiB. Files may be compressed with gzip or Zstandard. A directory stands for \
all files in it that are not hidden, by name. Digest files of CloudTrail are no records: with --trail-keys, each directory is \
taken for a trail's bucket, its digests are held against one another and against the log files, and what does not agree is a \
source.gap.

With --dry-run no event lines are written. Standard output says instead which share of the records was accepted (not rejected) \
and which was understood (became events), and how many events of which kinds they became; the rest is nothing of the feed's.
A file that is refused whole is told as a file: what it holds is in no share.")]
#[command(group(clap::ArgGroup::new("format").required(true).args(["feed", "mapping"])))]
pub(crate) struct Arguments {
    /// Format of the files: safe, opa, events, okta, cloudtrail … (`keywatch feeds list` lists them all)
    #[arg(long, value_name = "NAME")]
    feed: Option<String>,
    /// Mapping file that says what the records mean (docs/mapping.md)
    #[arg(long, value_name = "FILE")]
    mapping: Option<PathBuf>,
    /// System that the events belong to [default: the inventory's, where it has one]
    #[arg(long, value_name = "SYSTEM")]
    system: Option<String>,
    /// Source that the events are written under [default: the inventory's source of that feed, else the feed's name]
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// Inventory: contract versions and chains of wallets come from here
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Public keys of trails, as `aws cloudtrail list-public-keys` prints them: proves the log files of directories
    #[arg(long, value_name = "FILE")]
    trail_keys: Option<PathBuf>,
    /// Write no event lines: say which shares of the records are accepted and understood, and what they become
    #[arg(long, conflicts_with = "trail_keys")]
    dry_run: bool,
    /// Files and directories to read, `-` for standard input
    #[arg(required = true, value_name = "FILE|DIR")]
    files: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, an inventory or mapping that is wrong, an unknown feed, a closed standard output.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let feed: &dyn Feed = match (&arguments.feed, &arguments.mapping) {
        (_, Some(mapping)) => config::read_mapping(mapping)?.into_feed(),
        (feed, None) => feeds::find(feed.as_deref().unwrap_or_default())?,
    };
    let inventory = arguments.inventory.as_deref().map(config::read_inventory).transpose()?;
    let origin = origin(arguments, feed, inventory.as_ref())?;
    let context = Context { origin: &origin, inventory: inventory.as_ref() };
    let keys = arguments.trail_keys.as_deref().map(|file| trail::keys(file, feed)).transpose()?;
    let mut files = files::listed(&arguments.files)?;
    let digests = trail::take_digests(feed, &mut files);
    let bar = files::progress(&files);
    let shares = arguments.dry_run.then(Shares::default);
    let mut import = Import { feed, context, out: output::buffered(), counts: Counts::default(), shares, bar };
    for file in &files {
        import.file(file).with_context(|| format!("cannot import {}", file.display()))?;
    }
    let gaps = match &keys {
        Some(keys) => trail::prove(keys, &arguments.files, &origin, &mut import.out)?,
        None => trail::say_unproved(digests),
    };
    import.out.flush()?;
    import.bar.finish_and_clear();
    if let Some(shares) = &import.shares {
        output::line(&shares.told(&import.counts))?;
    }
    let Counts { files, records, events, skipped, rejects, .. } = import.counts;
    let skipped = if skipped > 0 { format!(", {skipped} skipped (nothing of this feed's)") } else { String::new() };
    output::note(&format!("{files} files, {records} records, {events} events, {rejects} rejects{skipped}"));
    Ok(ExitCode::from(u8::from(rejects + gaps > 0)))
}

fn origin(arguments: &Arguments, feed: &dyn Feed, inventory: Option<&Inventory>) -> anyhow::Result<Origin> {
    let systems = inventory.map(|inventory| inventory.systems.as_slice()).unwrap_or_default();
    let system = match (&arguments.system, systems) {
        (Some(system), []) => system.clone(),
        (Some(system), _) if systems.iter().any(|declared| declared.id == *system) => system.clone(),
        (Some(system), _) => bail!("the inventory has no system `{system}`"),
        (None, [only]) => only.id.clone(),
        (None, _) => bail!("name the system that the events belong to: --system SYSTEM"),
    };
    let declared = systems.iter().find(|declared| declared.id == system).map(|declared| declared.sources.as_slice());
    let of_feed: Vec<_> = declared.unwrap_or_default().iter().filter(|source| source.feed == feed.name()).collect();
    let source = match (&arguments.source, of_feed.as_slice()) {
        (Some(source), _) => source.clone(),
        (None, [only]) => only.source.clone(),
        (None, []) => feed.name().to_owned(),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|source| source.source.as_str()).collect();
            bail!("the inventory has several sources of this feed; name one: --source {}", names.join("|"))
        }
    };
    Ok(Origin { system, source })
}

#[derive(Default)]
struct Counts {
    files: usize,
    records: usize,
    events: usize,
    skipped: usize,
    rejects: usize,
    /// Files, or pieces of them, of which it is not known how many records they hold: refused whole, or cut. Each is one of
    /// `rejects`.
    unread: usize,
    /// How many of `records` stand for them.
    unread_records: usize,
}

struct Import<'a, W> {
    feed: &'a dyn Feed,
    context: Context<'a>,
    out: W,
    counts: Counts,
    /// Where events are counted and not written.
    shares: Option<Shares>,
    bar: ProgressBar,
}

impl<W: Write> Import<'_, W> {
    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        self.counts.files += 1;
        let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        let (reader, damage) = files::open(path, &self.bar)?;
        self.stream(&name, reader)?;
        if let Some(damage) = damage.take() {
            let reject =
                Reject::new(&Problem::new("file", format!("{damage}; what stands before was read")), None, &[]);
            self.reject(&name, &reject, 0);
            self.counts.records += 1;
            self.unread(1);
        }
        Ok(())
    }

    fn unread(&mut self, records: usize) {
        self.counts.unread += 1;
        self.counts.unread_records += records;
    }

    /// Reads a stream as one body where it fits, else line by line.
    fn stream(&mut self, name: &str, mut reader: impl BufRead) -> anyhow::Result<()> {
        let mut start = Vec::new();
        reader.by_ref().take(BODY_BYTES_MAX as u64 + 1).read_to_end(&mut start)?;
        let lines = start.split(|byte| *byte == b'\n').count();
        // A first line that ends no value begins one that goes over several lines.
        let first = start.trim_ascii_start();
        let first_line = first.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let is_one_value = first.first() == Some(&b'[') || matches!(first_line.last(), Some(b'{' | b'[' | b','));
        if start.len() <= BODY_BYTES_MAX && (lines <= RECORDS_MAX || is_one_value) {
            return self.piece(name, &start, 0);
        }
        self.lines(name, start.as_slice().chain(reader))
    }

    fn lines(&mut self, name: &str, mut reader: impl BufRead) -> anyhow::Result<()> {
        let (mut piece, mut first_line, mut lines) = (Vec::new(), 0, 0);
        loop {
            let begun = piece.len();
            let whole = read_line(&mut reader, &mut piece, RECORD_BYTES_MAX + 2)?;
            let ended = piece.len() == begun;
            if whole > RECORD_BYTES_MAX + 1 {
                let problem = Problem::new("record", format!("{whole} bytes, at most {RECORD_BYTES_MAX}"));
                let reject = Reject::new(&problem, Some(1), &piece[begun..]);
                self.reject(name, &reject, first_line + lines);
                self.counts.records += 1;
                // An empty line in its place, so that the lines after it keep their numbers.
                piece.truncate(begun);
                piece.push(b'\n');
            }
            lines += usize::from(!ended);
            if ended || piece.len() >= IMPORT_PIECE_BYTES_MAX || lines >= IMPORT_PIECE_LINES_MAX {
                self.piece(name, &piece, first_line)?;
                first_line += lines;
                (piece, lines) = (Vec::new(), 0);
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Reads a piece; one whose records become too many parts is read in halves.
    fn piece(&mut self, name: &str, piece: &[u8], lines_before: usize) -> anyhow::Result<()> {
        let reading = self.feed.read(&self.context, piece);
        if let Some(at) = is_refused_whole(&reading).then(|| middle(piece)).flatten() {
            let (first, second) = piece.split_at(at);
            let lines = first.split(|byte| *byte == b'\n').count() - 1;
            self.piece(name, first, lines_before)?;
            return self.piece(name, second, lines_before + lines);
        }
        for event in &reading.events {
            match &mut self.shares {
                Some(shares) => shares.count(event),
                None => writeln!(self.out, "{}", line::write(event))?,
            }
        }
        for reject in &reading.rejects {
            self.reject(name, reject, lines_before);
        }
        if is_refused_whole(&reading) && reading.events.is_empty() {
            self.unread(reading.records);
        }
        self.counts.records += reading.records;
        self.counts.events += reading.events.len();
        self.counts.skipped += reading.skipped;
        Ok(())
    }

    fn reject(&mut self, name: &str, reject: &Reject, lines_before: usize) {
        self.counts.rejects += 1;
        let Reject { line, field, reason, .. } = reject;
        let note = |text: &str| self.bar.suspend(|| output::note(text));
        match (self.counts.rejects.cmp(&IMPORT_REJECTS_SHOWN_MAX), line) {
            (Ordering::Greater, _) => {}
            (_, Some(line)) => note(&format!("{name}:{}: {field}: {reason}", lines_before + line)),
            (_, None) => note(&format!("{name}: {field}: {reason}")),
        }
        if self.counts.rejects == IMPORT_REJECTS_SHOWN_MAX {
            note("further rejects are counted and not shown");
        }
    }
}

fn is_refused_whole(reading: &Reading) -> bool {
    matches!(reading.rejects.as_slice(), [reject] if reject.line.is_none())
}

/// Where a line begins a record and the one before it ended one, as near after the middle as there is, else before it.
fn middle(piece: &[u8]) -> Option<usize> {
    let begins = |at: &usize| piece[at - 2..=*at] == *b"}\n{";
    let half = (piece.len() / 2).max(2);
    (half..piece.len()).find(begins).or_else(|| (2..half).rev().find(begins))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import_lines(feed: &str, text: &[u8]) -> (Counts, String) {
        let origin = Origin { system: "s".into(), source: feed.into() };
        let mut import = Import {
            feed: feeds::find(feed).unwrap(),
            context: Context { origin: &origin, inventory: None },
            out: Vec::new(),
            counts: Counts::default(),
            shares: None,
            bar: ProgressBar::hidden(),
        };
        import.lines("test", text).unwrap();
        (import.counts, String::from_utf8(import.out).unwrap())
    }

    fn heartbeat(id: usize) -> String {
        format!("{{\"id\":\"{id}\",\"kind\":\"source.heartbeat\",\"event_time\":\"2025-02-21T00:00:00Z\"}}\n")
    }

    #[test]
    fn lines_beyond_one_piece_and_a_line_beyond_all_limits_cost_nothing_else() {
        let mut text: Vec<u8> = (0..IMPORT_PIECE_LINES_MAX + 3).flat_map(|id| heartbeat(id).into_bytes()).collect();
        text.extend(std::iter::repeat_n(b'x', RECORD_BYTES_MAX * 3));
        text.push(b'\n');
        text.extend(heartbeat(999_999).bytes());
        let (counts, out) = import_lines("events", &text);
        assert_eq!(counts.events, IMPORT_PIECE_LINES_MAX + 4);
        assert_eq!(counts.rejects, 1);
        assert_eq!(counts.records, IMPORT_PIECE_LINES_MAX + 5);
        assert_eq!(out.lines().count(), counts.events);
        for line in out.lines() {
            line::read(line.as_bytes()).unwrap();
        }
    }

    #[test]
    fn lines_that_become_too_many_parts_are_read_in_halves() {
        let hosts: Vec<_> = (0..4000).map(|id| serde_json::json!({ "id": id })).collect();
        let notice = |policy: usize| {
            let policy = serde_json::json!({"id": policy, "name": "p"});
            format!("{}\n", serde_json::json!({"timestamp": "2025-02-21T00:00:00Z", "policy": policy, "hosts": hosts}))
        };
        let text: String = (0..15).map(notice).chain(["{}\n".to_owned()]).collect();
        let (counts, _) = import_lines("fleet", text.as_bytes());
        assert_eq!((counts.events, counts.rejects, counts.records), (60_000, 1, 60_001));
    }

    #[test]
    fn a_last_line_needs_no_line_feed() {
        let (counts, _) = import_lines("events", heartbeat(1).trim_end().as_bytes());
        assert_eq!((counts.events, counts.rejects), (1, 0));
    }
}
