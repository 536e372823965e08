//! Who can be asked at an instant: the sessions that people have open, and where each speaks from meanwhile.

use crate::calendar::MINUTE;
use crate::event::{Column, Event};
use crate::networks::Egress;

/// A session as others see it.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// Index of the person in the firm.
    pub(crate) person: usize,
    /// Who.
    pub(crate) subject: String,
    /// Session id.
    pub(crate) session: String,
    /// Device.
    pub(crate) device: String,
    /// First instant.
    pub(crate) from: i64,
    /// Last instant.
    pub(crate) to: i64,
    /// Where it speaks from, from each instant on.
    pub(crate) moves: Vec<(i64, Egress)>,
    /// Whether payments are handled in it: on a laptop, at work.
    pub(crate) is_at_work: bool,
}

impl Span {
    /// Where it speaks from at an instant.
    pub(crate) fn egress(&self, at: i64) -> Option<&Egress> {
        self.moves.iter().rev().find(|(from, _)| *from <= at).or(self.moves.first()).map(|(_, egress)| egress)
    }

    /// Fills in who acts, in which session, from where.
    pub(crate) fn say(&self, event: Event, at: i64) -> Event {
        let event = event.say(Column::Actor, &self.subject).say(Column::Session, &self.session);
        let event = event.say(Column::Device, &self.device);
        match self.egress(at) {
            Some(egress) => egress.say(event),
            None => event,
        }
    }
}

/// All sessions, by their first instant once sorted.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    spans: Vec<Span>,
}

impl Roster {
    /// Adds a session.
    pub(crate) fn add(&mut self, span: Span) {
        self.spans.push(span);
    }

    /// Brings the sessions into the order of time.
    pub(crate) fn sort(&mut self) {
        self.spans.sort_by(|one, other| (one.from, &one.session).cmp(&(other.from, &other.session)));
    }

    /// All sessions.
    pub(crate) fn all(&self) -> &[Span] {
        &self.spans
    }

    /// The session in which somebody of `wanted` can act first at or after `at`, and when: whoever is there already, or
    /// else whoever comes first, settled for some minutes.
    pub(crate) fn next(&self, at: i64, wanted: impl Fn(usize) -> bool) -> Option<(i64, &Span)> {
        let able = |span: &&Span| span.is_at_work && span.to > at + 2 * MINUTE && wanted(span.person);
        // Sessions last less than a day, so that the search need not begin at the first.
        let begin = self.spans.partition_point(|span| span.from < at - 26 * 60 * MINUTE);
        let able = self.spans[begin..].iter().filter(able);
        let when = |span: &Span| at.max(span.from + 4 * MINUTE);
        able.filter(|span| when(span) + MINUTE < span.to).map(|span| (when(span), span)).min_by_key(|(when, span)| {
            // Among those who are there the work goes round.
            (*when, (span.person * 7 + usize::try_from(at / MINUTE).unwrap_or_default()) % 13, span.person)
        })
    }
}
