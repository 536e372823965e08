//! Functions over windows: how they are written, and what type they answer with.

use keywatch_detectors::{Engine, Settings};

use super::dice::Dice;
use super::term::Kind;
use super::trial;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    CountRows,
    Count,
    CountDistinct,
    Sum,
    Average,
    Min,
    Max,
    First,
    Last,
    Lag(usize),
    Nth(usize),
    AllTrue,
    AnyTrue,
    RowNumber,
}

/// The functions that the engine takes, with how often each is generated.
pub(crate) struct Language(Vec<(usize, Function)>);

/// Those of the language of today, then those that it may get: they are generated once the engine takes them.
const FUNCTIONS: [(usize, Function); 16] = [
    (6, Function::CountRows),
    (4, Function::Count),
    (4, Function::CountDistinct),
    (6, Function::Sum),
    (4, Function::Average),
    (4, Function::Min),
    (4, Function::Max),
    (4, Function::First),
    (4, Function::Last),
    (1, Function::Lag(1)),
    (1, Function::Lag(2)),
    (1, Function::Lag(7)),
    (2, Function::Nth(2)),
    (2, Function::AllTrue),
    (2, Function::AnyTrue),
    (2, Function::RowNumber),
];

impl Language {
    /// Asks the engine for each function.
    pub(crate) fn of_engine() -> Language {
        let takes = |function: Function| {
            let call = function.call("late");
            let frame = if function == Function::RowNumber { "" } else { " ROWS 2 PRECEDING" };
            let sql = format!(
                "SELECT event_id, kind AS entity, x FROM (SELECT *, {call} OVER (ORDER BY time{frame}) AS x FROM events)"
            );
            let sql =
                if matches!(function, Function::Sum | Function::Average) { sql.replace("late", "asn") } else { sql };
            Engine::new(&[trial::rule("g/probe", &sql)], &Settings::default()).is_ok()
        };
        Language(FUNCTIONS.into_iter().filter(|(_, function)| takes(*function)).collect())
    }

    pub(crate) fn pick(&self, dice: &mut Dice) -> Function {
        *dice.weighed(&self.0)
    }

    /// The functions as written in a rule.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(|(_, function)| function.call("x")).collect()
    }
}

impl Function {
    /// The call as written, without its window.
    pub(crate) fn call(self, argument: &str) -> String {
        match self {
            Function::CountRows => "count(*)".to_owned(),
            Function::Count => format!("count({argument})"),
            Function::CountDistinct => format!("count(DISTINCT {argument})"),
            Function::Sum => format!("sum({argument})"),
            Function::Average => format!("avg({argument})"),
            Function::Min => format!("min({argument})"),
            Function::Max => format!("max({argument})"),
            Function::First => format!("first_value({argument})"),
            Function::Last => format!("last_value({argument})"),
            Function::Lag(1) => format!("lag({argument})"),
            Function::Lag(rows) => format!("lag({argument}, {rows})"),
            Function::Nth(row) => format!("nth_value({argument}, {row})"),
            Function::AllTrue => format!("bool_and({argument})"),
            Function::AnyTrue => format!("bool_or({argument})"),
            Function::RowNumber => "row_number()".to_owned(),
        }
    }

    /// Whether it picks a row of the frame: it may pass over nulls, and takes no FILTER.
    pub(crate) fn picks(self) -> bool {
        matches!(self, Function::First | Function::Last | Function::Lag(_) | Function::Nth(_))
    }

    /// Whether the frame means nothing to it: it looks at the rows of the key so far.
    pub(crate) fn has_no_frame(self) -> bool {
        matches!(self, Function::Lag(_) | Function::RowNumber)
    }

    /// The type of what it answers.
    pub(crate) fn result(self, argument: Option<Kind>) -> Kind {
        match (self, argument) {
            (Function::CountRows | Function::Count | Function::CountDistinct | Function::RowNumber, _) | (_, None) => {
                Kind::Integer
            }
            (Function::Sum, Some(Kind::Decimal(precision, scale))) => Kind::Decimal((precision + 10).min(38), scale),
            (Function::Average, Some(Kind::Integer)) => Kind::Decimal(24, 4),
            (Function::Average, Some(Kind::Decimal(precision, scale))) => {
                Kind::Decimal((precision + 4).min(38), (scale + 4).min(38))
            }
            (_, Some(kind)) => kind,
        }
    }
}
