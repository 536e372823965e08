//! What a filter asks of a count that looks ahead: "none", "at least three". The engine need not wait to the end of the
//! frame for such an answer, and must answer as if it had. And what a filter asks of the time of the next row: that it is
//! later than a deadline which the answered row names, and is then answered at that.

use keywatch_store::Event;

use super::dice::Dice;
use super::frame::Frame;
use super::term::{Row, Term, Value};

/// A count of a window compared with a small number.
#[derive(Clone)]
pub(crate) struct Demand {
    pub(crate) window: String,
    pub(crate) number: i128,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Equal,
    Below,
    AtMost,
    BelowReversed,
    Between,
    AtLeast,
    Above,
    /// Of either of the two nothing is certain before the other is.
    BelowOrLate,
}

impl Demand {
    pub(crate) fn generate(dice: &mut Dice, window: &str) -> Demand {
        let forms = [
            (6, Form::Equal),
            (3, Form::Below),
            (2, Form::AtMost),
            (1, Form::BelowReversed),
            (1, Form::Between),
            (2, Form::AtLeast),
            (1, Form::Above),
            (1, Form::BelowOrLate),
        ];
        let number = *dice.pick(&[0, 0, 0, 1, 1, 2, 3, 15, 16]);
        Demand { window: window.to_owned(), number, form: *dice.weighed(&forms) }
    }

    /// Whether fewer rows than so many satisfy it.
    pub(crate) fn wants_few(&self) -> bool {
        !matches!(self.form, Form::AtLeast | Form::Above)
    }

    pub(crate) fn sql(&self) -> String {
        let Demand { window, number, form } = self;
        match form {
            Form::Equal => format!("{window} = {number}"),
            Form::Below => format!("{window} < {number}"),
            Form::AtMost => format!("{window} <= {number}"),
            Form::BelowReversed => format!("{number} > {window}"),
            Form::Between => format!("{window} BETWEEN 0 AND {number}"),
            Form::AtLeast => format!("{window} >= {number}"),
            Form::Above => format!("{window} > {number}"),
            Form::BelowOrLate => format!("({window} < {number} OR late)"),
        }
    }

    pub(crate) fn is_met(&self, row: &Row) -> bool {
        let Value::Number(count) = row.columns[&self.window] else { return false };
        match self.form {
            Form::Equal => count == self.number,
            Form::Below | Form::BelowReversed => count < self.number,
            Form::AtMost | Form::Between => count <= self.number,
            Form::AtLeast => count >= self.number,
            Form::Above => count > self.number,
            Form::BelowOrLate => count < self.number || row.event.late(),
        }
    }
}

/// That no row comes by a time that depends on the answered row.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    /// Nanoseconds after a row of the kind, and after others.
    pub(crate) spans: [i64; 2],
    kind: &'static str,
    /// Whether a row at that very time comes in time.
    is_inclusive: bool,
    is_reversed: bool,
}

impl Deadline {
    /// The window whose time it is about.
    pub(crate) const WINDOW: &'static str = "heard_at";

    pub(crate) fn generate(dice: &mut Dice, spans: &[i64]) -> Deadline {
        let mut span = || *dice.pick(spans) - *dice.pick(&[0, 0, 0, 1]);
        let spans = [span(), span()];
        let kind = *dice.pick(&["decision", "chain.tx", "session.presented", "tick"]);
        Deadline { spans, kind, is_inclusive: dice.once_in(2), is_reversed: dice.once_in(3) }
    }

    fn span_ns(&self, event: &Event) -> i64 {
        self.spans[usize::from(event.kind() != self.kind)]
    }

    /// Nanoseconds after a row when nothing can change its answer any more: the end of the frame at the latest.
    pub(crate) fn waits_ns(&self, frame: Frame, event: &Event) -> i64 {
        let Frame::Range(_, end) = frame else { return 0 };
        (self.span_ns(event) - i64::from(!self.is_inclusive)).clamp(0, end)
    }

    pub(crate) fn sql(&self) -> String {
        let Deadline { spans: [one, other], kind, .. } = self;
        let time = format!(
            "time + CASE WHEN kind = '{kind}' THEN INTERVAL '{one} nanoseconds' ELSE INTERVAL '{other} nanoseconds' END"
        );
        let (column, later) = (Deadline::WINDOW, if self.is_inclusive { ">" } else { ">=" });
        match self.is_reversed {
            false => format!("({column} IS NULL OR {column} {later} {time})"),
            true => format!("({time} {} {column} OR {column} IS NULL)", later.replace('>', "<")),
        }
    }

    pub(crate) fn is_met(&self, row: &Row) -> bool {
        let Value::Number(heard_at) = row.columns[Deadline::WINDOW] else { return true };
        let deadline = i128::from(row.event.time().0) + i128::from(self.span_ns(&row.event));
        if self.is_inclusive { heard_at > deadline } else { heard_at >= deadline }
    }
}

/// A filter: a condition, and what it asks of counts besides.
#[derive(Clone, Default)]
pub(crate) struct Keeps {
    pub(crate) condition: Option<Term>,
    pub(crate) demands: Vec<Demand>,
    pub(crate) deadline: Option<Deadline>,
}

impl Keeps {
    /// The `WHERE`, if there is one.
    pub(crate) fn sql(&self) -> String {
        let demands = self.demands.iter().map(Demand::sql).chain(self.deadline.iter().map(Deadline::sql));
        let all: Vec<String> = self.condition.iter().map(|condition| condition.sql.clone()).chain(demands).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }

    pub(crate) fn keeps(&self, row: &Row) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.is_true(row))
            && self.demands.iter().all(|demand| demand.is_met(row))
            && self.deadline.as_ref().is_none_or(|deadline| deadline.is_met(row))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.condition.is_none() && self.demands.is_empty() && self.deadline.is_none()
    }
}
