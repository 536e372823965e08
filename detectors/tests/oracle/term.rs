//! Terms of generated rules: each is SQL text and, for the naive evaluator, a function of a row.

use std::collections::BTreeMap;
use std::rc::Rc;

use keywatch_store::{Event, Instant};

use super::dice::Dice;
use super::scalar;

/// A value; decimals and instants are numbers of their smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Number(i128),
    Text(String),
    Truth(bool),
}

/// The SQL type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Decimal(u8, u8),
    Time,
    Text,
    Truth,
}

impl Kind {
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Kind::Integer | Kind::Decimal(..))
    }
}

/// A row on its way up: the event and what windows and lookups have added.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) event: Rc<Event>,
    pub(crate) columns: BTreeMap<String, Value>,
}

/// An expression over one row.
#[derive(Clone)]
pub(crate) struct Term {
    pub(crate) sql: String,
    pub(crate) kind: Kind,
    pub(crate) eval: Rc<dyn Fn(&Row) -> Value>,
}

impl Term {
    fn new(sql: &str, kind: Kind, eval: impl Fn(&Row) -> Value + 'static) -> Term {
        Term { sql: sql.to_owned(), kind, eval: Rc::new(eval) }
    }

    /// The column of that name that a window or a lookup has added.
    pub(crate) fn added(name: &str, kind: Kind) -> Term {
        let column = name.to_owned();
        Term::new(name, kind, move |row| row.columns[&column].clone())
    }

    pub(crate) fn is_true(&self, row: &Row) -> bool {
        (self.eval)(row) == Value::Truth(true)
    }
}

fn text(value: Option<&str>) -> Value {
    value.map_or(Value::Null, |text| Value::Text(text.to_owned()))
}

fn number(value: Option<impl Into<i128>>) -> Value {
    value.map_or(Value::Null, |number| Value::Number(number.into()))
}

fn map_number(value: &Value, map: impl Fn(i128) -> Value) -> Value {
    if let Value::Number(number) = value { map(*number) } else { Value::Null }
}

fn column(sql: &str, get: fn(&Event) -> Option<&str>) -> Term {
    Term::new(sql, Kind::Text, move |row| text(get(&row.event)))
}

/// Terms over the event alone.
fn of_event() -> Vec<Term> {
    let asn = |row: &Row| number(row.event.asn());
    let amount = |row: &Row| number(row.event.amount().map(keywatch_store::Amount::saturated));
    vec![
        Term::new("asn", Kind::Integer, asn),
        Term::new("amount", Kind::Decimal(38, 0), amount),
        Term::new("amount_usd", Kind::Decimal(38, 2), |row| number(row.event.amount_usd_cents())),
        Term::new("event_time", Kind::Time, |row| number(Some(row.event.event_time().0))),
        log_time(),
        Term::new("late", Kind::Truth, |row| Value::Truth(row.event.late())),
        Term::new("event_id", Kind::Text, |row| Value::Text(row.event.event_id().to_string())),
        column("kind", |event| Some(event.kind())),
        column("outcome", keywatch_store::Event::outcome),
        column("wallet", keywatch_store::Event::wallet),
        column("session", keywatch_store::Event::session),
        column("request", keywatch_store::Event::request),
        column("reason", keywatch_store::Event::reason),
        Term::new("asn / 3", Kind::Integer, move |row| map_number(&asn(row), |asn| Value::Number(asn / 3))),
        Term::new("asn % 2", Kind::Integer, move |row| map_number(&asn(row), |asn| Value::Number(asn % 2))),
        Term::new("amount > 100", Kind::Truth, move |row| map_number(&amount(row), |units| Value::Truth(units > 100))),
        Term::new("CASE WHEN kind = 'decision' THEN asn END", Kind::Integer, move |row| {
            if row.event.kind() == "decision" { asn(row) } else { Value::Null }
        }),
        Term::new("coalesce(request, tx)", Kind::Text, |row| text(row.event.request().or(row.event.tx()))),
        Term::new("upper(outcome)", Kind::Text, |row| text(row.event.outcome().map(str::to_uppercase).as_deref())),
        Term::new("detail_int(detail, 'nonce')", Kind::Integer, |row| {
            let nonce = scalar::at_path(row.event.detail().as_str(), "nonce").and_then(|text| text.parse::<i64>().ok());
            number(nonce)
        }),
        Term::new("detail_text(detail, 'call.name')", Kind::Text, |row| {
            text(scalar::at_path(row.event.detail().as_str(), "call.name").as_deref())
        }),
    ]
}

/// The log time of the event.
pub(crate) fn log_time() -> Term {
    Term::new("time", Kind::Time, |row| number(Some(row.event.time().0)))
}

/// A term over the event and the columns added so far.
pub(crate) fn any(dice: &mut Dice, added: &[(String, Kind)], wanted: fn(Kind) -> bool) -> Term {
    let added: Vec<Term> = added.iter().map(|(name, kind)| Term::added(name, *kind)).collect();
    let pool = if dice.once_in(2) && added.iter().any(|term| wanted(term.kind)) { added } else { of_event() };
    let fitting: Vec<Term> = pool.into_iter().filter(|term| wanted(term.kind)).collect();
    dice.pick(&fitting).clone()
}

/// What a window is partitioned by: nothing, a column or two, an expression, what a window below has found.
pub(crate) fn keys(dice: &mut Dice, added: &[(String, Kind)]) -> Vec<Term> {
    let named = ["wallet", "kind", "session", "outcome", "late", "asn", "asn % 2", "amount", "coalesce(request, tx)"];
    let pool: Vec<Term> = of_event().into_iter().filter(|term| named.contains(&term.sql.as_str())).collect();
    let count = *dice.weighed(&[(2, 0), (8, 1), (4, 2), (1, 3)]);
    let mut keys: Vec<Term> = (0..count).map(|_| dice.pick(&pool).clone()).collect();
    if !added.is_empty() && dice.once_in(4) {
        keys.push(any(dice, added, |_| true));
    }
    keys
}

/// A condition over the event and the columns added so far, in three-valued logic.
pub(crate) fn condition(dice: &mut Dice, added: &[(String, Kind)]) -> Term {
    match dice.below(9) {
        0 => {
            let (one, other) = (simple(dice, added), simple(dice, added));
            let sql = format!("({} OR {})", one.sql, other.sql);
            Term::new(&sql, Kind::Truth, move |row| either(&(one.eval)(row), &(other.eval)(row)))
        }
        1 => {
            let (one, other) = (simple(dice, added), simple(dice, added));
            let sql = format!("({} AND {})", one.sql, other.sql);
            let not = |value| if let Value::Truth(truth) = value { Value::Truth(!truth) } else { value };
            Term::new(&sql, Kind::Truth, move |row| not(either(&not((one.eval)(row)), &not((other.eval)(row)))))
        }
        _ => simple(dice, added),
    }
}

fn either(one: &Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Truth(true), _) | (_, Value::Truth(true)) => Value::Truth(true),
        (Value::Truth(false), Value::Truth(false)) => Value::Truth(false),
        _ => Value::Null,
    }
}

fn simple(dice: &mut Dice, added: &[(String, Kind)]) -> Term {
    if !added.is_empty() && dice.once_in(2) {
        return over_added(dice, added);
    }
    let kind = *dice.pick(&["decision", "chain.tx", "session.presented", "tick", "signing.signed"]);
    match dice.below(8) {
        0 => Term::new(&format!("kind = '{kind}'"), Kind::Truth, move |row| Value::Truth(row.event.kind() == kind)),
        1 => Term::new(&format!("kind <> '{kind}'"), Kind::Truth, move |row| Value::Truth(row.event.kind() != kind)),
        2 => Term::new("outcome = 'allow'", Kind::Truth, |row| {
            row.event.outcome().map_or(Value::Null, |outcome| Value::Truth(outcome == "allow"))
        }),
        3 => Term::new("(outcome IS DISTINCT FROM 'failed')", Kind::Truth, |row| {
            Value::Truth(row.event.outcome() != Some("failed"))
        }),
        4 => Term::new("wallet IS NOT NULL", Kind::Truth, |row| Value::Truth(row.event.wallet().is_some())),
        5 => Term::new("asn > 64501", Kind::Truth, |row| {
            row.event.asn().map_or(Value::Null, |asn| Value::Truth(asn > 64_501))
        }),
        6 => Term::new("late", Kind::Truth, |row| Value::Truth(row.event.late())),
        _ => Term::new("session IS NULL", Kind::Truth, |row| Value::Truth(row.event.session().is_none())),
    }
}

fn over_added(dice: &mut Dice, added: &[(String, Kind)]) -> Term {
    let (name, kind) = dice.pick(added).clone();
    let found = Term::added(&name, kind);
    if kind == Kind::Integer {
        let bound = *dice.pick(&[0_i128, 1, 2, 5, 64_501]);
        let eval = move |row: &Row| map_number(&(found.eval)(row), |number| Value::Truth(number > bound));
        return Term::new(&format!("{name} > {bound}"), Kind::Truth, eval);
    }
    Term::new(&format!("{name} IS NOT NULL"), Kind::Truth, move |row| Value::Truth((found.eval)(row) != Value::Null))
}

/// A value as the text of a finding.
pub(crate) fn shown(value: &Value, kind: Kind) -> Option<String> {
    Some(match (value, kind) {
        (Value::Null, _) => return None,
        (Value::Number(nanoseconds), Kind::Time) => Instant(i64::try_from(*nanoseconds).unwrap()).to_string(),
        (Value::Number(units), Kind::Decimal(_, scale)) if scale > 0 => decimal(*units, scale),
        (Value::Number(number), _) => number.to_string(),
        (Value::Text(text), _) => text.clone(),
        (Value::Truth(truth), _) => truth.to_string(),
    })
}

fn decimal(units: i128, scale: u8) -> String {
    let (sign, one) = (if units < 0 { "-" } else { "" }, 10_u128.pow(u32::from(scale)));
    let size = units.unsigned_abs();
    format!("{sign}{}.{:0width$}", size / one, size % one, width = usize::from(scale))
}
