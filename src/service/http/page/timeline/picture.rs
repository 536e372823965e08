//! Lanes, marks and links of one row as SVG. Rows stand below each other without a space, so that their pictures are one.
//!
//! What is wrong is red and has a shape of its own: a cross in a mark, a dashed line, a hollow mark for what is missing.

use maud::{Markup, html};

use super::links::Link;
use super::{LANES, Lane, Mark, Row};

/// Width of a lane.
const LANE: u32 = 22;

/// Where the first lane stands.
const MARGIN: u32 = 14;

/// How far below the top of its row a mark stands.
const HEIGHT: u32 = 21;

/// Half a mark.
const HALF: u32 = 7;

/// Width of all lanes; the style leaves as much room.
pub(super) const WIDTH: u32 = 2 * MARGIN + 4 * LANE;

/// Where a lane stands.
pub(super) fn x(lane: Lane) -> u32 {
    MARGIN + LANE * LANES.iter().position(|of| *of == lane).map_or(0, |index| u32::try_from(index).unwrap_or(0))
}

/// What a line of the list shows: a row by its number, or a pause before a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Row(usize),
    Before(usize),
}

/// The picture of a line.
pub(super) fn picture(line: Line, rows: &[Row], links: &[Link]) -> Markup {
    html! {
        svg.lanes width=(WIDTH) height="100%" aria-hidden="true" focusable="false" {
            @for lane in LANES { line.lane x1=(x(lane)) x2=(x(lane)) y1="0" y2="100%" {} }
            @for link in links { (segment(line, *link, rows)) }
            @if let Line::Row(index) = line {
                (missing(&rows[index]))
                (mark(&rows[index]))
            }
        }
    }
}

/// What of a link runs through a line.
fn segment(line: Line, link: Link, rows: &[Row]) -> Markup {
    let class = if link.good { "link" } else { "link wrong" };
    // One that does not agree runs beside those that do.
    let beside = if link.good { 0 } else { 3 };
    let (from, to) = (x(rows[link.from].lane) + beside, x(rows[link.to].lane));
    let through = match line {
        Line::Row(index) => link.from < index && index < link.to,
        Line::Before(index) => link.from < index && index <= link.to,
    };
    html! {
        @if line == Line::Row(link.from) {
            line.(class) x1=(from) x2=(from) y1=(HEIGHT) y2="100%" {}
        } @else if through {
            line.(class) x1=(from) x2=(from) y1="0" y2="100%" {}
        } @else if line == Line::Row(link.to) {
            path.(class) d=(format!("M{from} 0 C{from} {HEIGHT} {to} 0 {to} {HEIGHT}")) {}
        }
    }
}

/// A hollow mark where something ought to be, and the line that is not there.
fn missing(row: &Row) -> Markup {
    let Some((lane, _)) = row.missing else { return html! {} };
    let (at, to) = (x(lane), x(row.lane));
    html! {
        line.link.wrong.absent x1=(at) x2=(to) y1=(HEIGHT) y2=(HEIGHT) {}
        circle.absent cx=(at) cy=(HEIGHT) r=(HALF) {}
        text.inside.absent x=(at) y=(HEIGHT + 4) text-anchor="middle" { "?" }
    }
}

fn mark(row: &Row) -> Markup {
    let (x, y) = (x(row.lane), HEIGHT);
    let class = match row.mark {
        Mark::Good => "mark",
        Mark::Evidence => "mark evidence",
        Mark::Bad => "mark bad",
        Mark::Found => "mark found",
        Mark::Done => "mark done",
    };
    let half = if row.mark == Mark::Bad { HALF + 2 } else { HALF };
    let inside = match row.mark {
        Mark::Bad => "✕",
        Mark::Found => "!",
        Mark::Done => "✓",
        Mark::Good | Mark::Evidence => "",
    };
    html! {
        path.(class) d=(outline(row.lane, row.mark, x, y, half)) {}
        @if !inside.is_empty() {
            text.inside x=(x) y=(y + 4) text-anchor="middle" { (inside) }
        }
    }
}

/// A shape for each lane, and one for what is found.
fn outline(lane: Lane, mark: Mark, x: u32, y: u32, half: u32) -> String {
    let (left, right, top, bottom) = (x - half, x + half, y - half, y + half);
    let circle = || format!("M{left} {y}A{half} {half} 0 1 1 {right} {y}A{half} {half} 0 1 1 {left} {y}Z");
    match (lane, mark) {
        (_, Mark::Found) => format!("M{x} {}L{} {bottom}L{} {bottom}Z", top - 2, right + 2, left - 2),
        (Lane::Session | Lane::Keywatch, _) => circle(),
        (Lane::Decision, _) => format!("M{x} {}L{} {y}L{x} {}L{} {y}Z", top - 1, right + 1, bottom + 1, left - 1),
        (Lane::Signing, _) => format!("M{left} {top}H{right}V{bottom}H{left}Z"),
        (Lane::Chain, _) => {
            let (inner_left, inner_right) = (x - half / 2, x + half / 2);
            format!("M{left} {y}L{inner_left} {top}H{inner_right}L{right} {y}L{inner_right} {bottom}H{inner_left}Z")
        }
    }
}
