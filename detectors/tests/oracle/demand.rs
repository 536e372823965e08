//! What a filter asks of a count that looks ahead: "none", "at least three". The engine need not wait to the end of the
//! frame for such an answer, and must answer as if it had.

use super::dice::Dice;
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

/// A filter: a condition, and what it asks of counts besides.
#[derive(Clone, Default)]
pub(crate) struct Keeps {
    pub(crate) condition: Option<Term>,
    pub(crate) demands: Vec<Demand>,
}

impl Keeps {
    /// The `WHERE`, if there is one.
    pub(crate) fn sql(&self) -> String {
        let demands = self.demands.iter().map(Demand::sql);
        let all: Vec<String> = self.condition.iter().map(|condition| condition.sql.clone()).chain(demands).collect();
        if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) }
    }

    pub(crate) fn keeps(&self, row: &Row) -> bool {
        self.condition.as_ref().is_none_or(|condition| condition.is_true(row))
            && self.demands.iter().all(|demand| demand.is_met(row))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.condition.is_none() && self.demands.is_empty()
    }
}
