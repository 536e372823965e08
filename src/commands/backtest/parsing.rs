//! Event lines parsed on several threads and taken in their order.
//!
//! ```text
//! cut into pieces ──▶ parser 0 ──▶┐
//!        (turn by     parser 1 ──▶├─ taken turn by turn, so in the order of the file
//!         turn)       parser 2 ──▶┘
//! ```
//!
//! Every piece goes to the parser whose turn it is, and is taken from it when it is its turn again: no piece overtakes
//! another, and nothing has to be sorted. What waits before and after a parser is bounded.

use std::io::{self, BufRead};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::anyhow;
use keywatch_store::Event;
use keywatch_store::limits::LINE_BYTES_MAX;
use keywatch_store::log::admission::{ContentHash, Fingerprint};

use crate::event_files::{parse, parse_within, read_line};
use crate::limits::{BACKTEST_PARSERS_MAX, BACKTEST_PIECE_BYTES, BACKTEST_PIECES_MAX};

/// One line that is not blank, with all that can be said of it alone.
pub(super) struct Line {
    /// Its number in the file, from 1.
    pub(super) number: usize,
    /// The event and the hash of its content, or the field at fault and why.
    pub(super) event: Result<(Event, Fingerprint), String>,
}

/// Some lines of a file.
struct Piece {
    /// The number of the first, from 1.
    number: usize,
    text: Vec<u8>,
    /// Where each ends in `text`, and how long it was in the file.
    lines: Vec<(usize, usize)>,
}

/// Hands every line of `input` that is not blank to `take`, in the order of the file.
///
/// # Errors
/// The input cannot be read, or what `take` says; nothing more is taken then.
pub(super) fn each_line(
    input: impl BufRead + Send,
    content: &ContentHash,
    mut take: impl FnMut(Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let parser = || {
            let (out, pieces) = sync_channel::<Piece>(BACKTEST_PIECES_MAX);
            let (lines, parsed) = sync_channel::<Vec<Line>>(BACKTEST_PIECES_MAX);
            // Nobody takes lines any more once one of them could not be taken.
            scope.spawn(move || pieces.iter().try_for_each(|piece| lines.send(piece.parse(content))));
            (out, parsed)
        };
        let (outs, parsed): (Vec<_>, Vec<_>) = (0..parsers()).map(|_| parser()).unzip();
        let cutting = scope.spawn(move || cut(input, &outs));
        let taken = take_in_turn(&parsed, &mut take);
        // Parsers and the cutting thread must not wait for lines to be taken.
        drop(parsed);
        let cut = cutting.join().map_err(|_| anyhow!("the thread that cuts lines panicked"))?;
        taken?;
        Ok(cut?)
    })
}

/// One core is left for the rules.
fn parsers() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_sub(1).clamp(1, BACKTEST_PARSERS_MAX)
}

fn take_in_turn(
    parsed: &[Receiver<Vec<Line>>],
    take: &mut impl FnMut(Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for parser in parsed.iter().cycle() {
        // The first parser without a further piece is followed only by such.
        let Ok(lines) = parser.recv() else { return Ok(()) };
        lines.into_iter().try_for_each(&mut *take)?;
    }
    Ok(())
}

fn cut(mut input: impl BufRead, parsers: &[SyncSender<Piece>]) -> io::Result<()> {
    let mut number = 1;
    for parser in parsers.iter().cycle() {
        let piece = Piece::read(&mut input, number)?;
        number += piece.lines.len();
        if piece.lines.is_empty() || parser.send(piece).is_err() {
            break;
        }
    }
    Ok(())
}

impl Piece {
    /// The next lines; none at the end of the input.
    fn read(input: &mut impl BufRead, number: usize) -> io::Result<Piece> {
        let text = Vec::with_capacity(BACKTEST_PIECE_BYTES + BACKTEST_PIECE_BYTES / 4);
        let mut piece = Piece { number, text, lines: Vec::new() };
        while piece.text.len() < BACKTEST_PIECE_BYTES {
            match read_line(input, &mut piece.text, LINE_BYTES_MAX + 2)? {
                0 => break,
                length => piece.lines.push((piece.text.len(), length)),
            }
        }
        Ok(piece)
    }

    fn parse(self, content: &ContentHash) -> Vec<Line> {
        let Piece { number, text, lines } = self;
        match String::from_utf8(text) {
            Ok(text) => {
                let texts = Arc::new(text);
                parse_lines(number, &lines, texts.as_bytes(), content, |range, length| {
                    parse_within(&texts, range, length)
                })
            }
            // Some line of it is no text, which is said of that line alone.
            Err(error) => {
                let text = error.into_bytes();
                parse_lines(number, &lines, &text, content, |range, length| parse(&text[range], length))
            }
        }
    }
}

/// Reads every line that is not blank; `lines` are as in [`Piece`].
fn parse_lines(
    first: usize,
    lines: &[(usize, usize)],
    text: &[u8],
    content: &ContentHash,
    read: impl Fn(Range<usize>, usize) -> Result<Event, String>,
) -> Vec<Line> {
    let mut parsed = Vec::with_capacity(lines.len());
    let mut begin = 0;
    for (number, (end, length)) in (first..).zip(lines) {
        let range = begin..*end;
        begin = *end;
        if !text[range.clone()].iter().all(u8::is_ascii_whitespace) {
            let event = read(range, *length).map(|event| {
                let hash = content.of(&event);
                (event, hash)
            });
            parsed.push(Line { number, event });
        }
    }
    parsed
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;

    use super::*;

    /// More than all pieces under way hold, with a blank line before each hundredth.
    fn text(lines: usize) -> String {
        let line = |number: usize| {
            let blank = if number.is_multiple_of(100) { "\n" } else { "" };
            format!(
                "{blank}{{\"event_id\":\"{number:032x}\",\"system\":\"s\",\"event_time\":\"2025-02-21T00:00:00Z\",\
                 \"source\":\"a\",\"kind\":\"source.heartbeat\"}}\n"
            )
        };
        (0..lines).map(line).collect()
    }

    #[test]
    fn lines_are_taken_in_their_order_with_their_numbers() {
        let (text, mut taken) = (text(60_000), 0_usize);
        each_line(text.as_bytes(), &ContentHash::default(), |line| {
            assert_eq!(line.number, taken + taken / 100 + 2);
            assert_eq!(line.event.unwrap().0.event_id().to_string(), format!("{taken:032x}"));
            taken += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(taken, 60_000);
    }

    #[test]
    fn who_takes_no_more_ends_it() {
        let (text, mut taken) = (text(60_000), 0);
        let stopped = each_line(text.as_bytes(), &ContentHash::default(), |_| {
            taken += 1;
            ensure!(taken < 5, "enough");
            Ok(())
        });
        assert_eq!((stopped.unwrap_err().to_string(), taken), ("enough".to_owned(), 5));
    }

    #[test]
    fn p7_a_line_beyond_the_limit_is_reported_with_its_length() {
        let text = format!("{}\n{}", "x".repeat(LINE_BYTES_MAX * 2), text(1));
        let mut taken = Vec::new();
        each_line(text.as_bytes(), &ContentHash::default(), |line| {
            taken.push((line.number, line.event.map_err(|problem| problem.contains("2097153 bytes, at most")).is_ok()));
            Ok(())
        })
        .unwrap();
        assert_eq!(taken, [(1, false), (3, true)]);
    }
}
