//! The transcript on the terminal: one line for what happens, what is found, what is done. The same with and without a terminal; colour
//! only on one.

use std::time::Duration;

use keywatch_alerting::{Action, Notification};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant, Inventory, Severity};

use super::narration;
use super::storyline::Storyline;
use crate::incident::Story;
use crate::output;
use crate::service::evaluation::pipeline::Handled;
use crate::wording::{shortened, span};

/// What is written before each line.
const HAPPENS: &str = "        ";
const FOUND: &str = " FOUND  ";
const DONE: &str = " DONE   ";

#[derive(Clone, Copy)]
enum Colour {
    Plain,
    Dim,
    Red,
    Yellow,
    Green,
    Bold,
}

/// The title.
pub(crate) fn opening(story: &Story) -> anyhow::Result<()> {
    write(Colour::Bold, &format!("\nkeywatch demo: {}", story.title))?;
    write(
        Colour::Dim,
        "The records of the day, public or reconstructed, go through keywatch as if it had been there. Times are UTC.\n",
    )
}

/// The history before the story, and what was found in it.
pub(crate) fn history(events: &[Event], found: &[Handled], took: Duration) -> anyhow::Result<()> {
    let Some((first, last)) = events.first().zip(events.last()) else { return Ok(()) };
    let happened = events.iter().filter(|event| event.kind() != "tick").count();
    let text = format!(
        "{} to {}: {happened} records of ordinary business through every rule in {:.1} s: {}",
        day(first.time()),
        day(last.time()),
        took.as_secs_f64(),
        if found.is_empty() { "nothing found".to_owned() } else { format!("{} findings", found.len()) }
    );
    write(if found.is_empty() { Colour::Green } else { Colour::Yellow }, &text)?;
    for handled in found {
        write(
            Colour::Yellow,
            &format!("{}{FOUND}{} {}", stamp(handled.finding.time), handled.finding.rule, handled.finding.title),
        )?;
    }
    Ok(())
}

/// Time in which nothing happens.
pub(crate) fn pause(from: Instant, to: Instant) -> anyhow::Result<()> {
    let minutes = to.0.saturating_sub(from.0) / (60 * SECOND_NS);
    if minutes < 20 {
        return Ok(());
    }
    write(Colour::Dim, &format!("{:>16}… {} pass …", "", span(to.0.saturating_sub(from.0))))
}

/// An event, and what the decision point decides on it now.
pub(crate) fn event(event: &Event, inventory: &Inventory, decision_now: Option<bool>) -> anyhow::Result<()> {
    let Some(words) = narration::sentence(event, inventory) else { return Ok(()) };
    write(Colour::Plain, &format!("{}{HAPPENS}{}", stamp(event.time()), output::printable(&words)))?;
    if decision_now == Some(false) {
        done("so it was. Asked now, the policy says NO: payment and wallet are held")?;
    }
    Ok(())
}

/// A finding, and how long before the loss it was made.
pub(crate) fn finding(handled: &Handled, story: &Story) -> anyhow::Result<()> {
    let finding = &handled.finding;
    let colour = if finding.severity >= Severity::Critical { Colour::Red } else { Colour::Yellow };
    let lead = story.lost_at.0.saturating_sub(finding.decided.0);
    let lead = if lead > 0 { format!("{} before the loss", span(lead)) } else { "too late".to_owned() };
    let text = format!("{} [{}, {}, {lead}]", shortened(&finding.title), finding.severity, finding.rule);
    write(colour, &format!("{}{FOUND}{}", stamp(finding.decided), output::printable(&text)))?;
    if handled.actions.iter().all(|action| matches!(action, Action::Suppress(_))) && !handled.actions.is_empty() {
        done("counted on the open alert, nobody is told twice")?;
    }
    Ok(())
}

/// A notification, of a finding that is shown or not, and what was done by then that was not said before.
pub(crate) fn notification(page: &Notification, shown: bool, story: &mut Storyline) -> anyhow::Result<()> {
    // A page without a response says so in words; the transcript shows what was done.
    let did = page.did.iter().filter(|did| !page.said.is_empty() && !did.starts_with("signatures and approvals"));
    // A proposal that was made again is no news.
    let did = did.filter(|did| shown || !did.starts_with("proposes"));
    let did: Vec<&String> = did.filter(|did| story.is_news(did)).collect();
    if did.is_empty() {
        return if shown { done("people are told") } else { Ok(()) };
    }
    for did in did {
        let text = shortened(did);
        match text.split_once("; denied_at_pdp: probes") {
            Some((what, _)) => {
                done(&format!("people are told; {what}: tried out, and refused, while a healthy session still works"))?;
            }
            None => done(&format!("people are told; {text}"))?,
        }
    }
    Ok(())
}

fn done(text: &str) -> anyhow::Result<()> {
    write(Colour::Green, &format!("{:15}{DONE}{}", "", output::printable(text)))
}

/// A line of the summary.
pub(crate) fn plain(text: &str) -> anyhow::Result<()> {
    write(Colour::Plain, text)
}

/// A heading of the summary.
pub(crate) fn heading(text: &str) -> anyhow::Result<()> {
    write(Colour::Bold, text)
}

fn stamp(time: Instant) -> String {
    let text = time.to_string();
    let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
    format!("{} {} ", date.get(5..).unwrap_or(date), clock.get(..8).unwrap_or(clock))
}

fn day(time: Instant) -> String {
    time.to_string().chars().take(10).collect()
}

fn write(colour: Colour, text: &str) -> anyhow::Result<()> {
    let code = match colour {
        Colour::Plain => "",
        Colour::Dim => "2",
        Colour::Red => "1;31",
        Colour::Yellow => "33",
        Colour::Green => "32",
        Colour::Bold => "1",
    };
    if code.is_empty() || !output::is_terminal() {
        output::line(text)?;
    } else {
        output::line(&format!("\u{1b}[{code}m{text}\u{1b}[0m"))?;
    }
    Ok(())
}
