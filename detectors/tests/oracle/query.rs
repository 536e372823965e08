//! Generated rules: windows over windows with lookups between them, as SQL for the engine and for stock DataFusion.

use super::demand::{Deadline, Demand, Keeps};
use super::dice::Dice;
use super::frame::Frame;
use super::function::{Function, Language};
use super::stock::WALLETS_AS_OF;
use super::term::{self, Kind, Term};
use keywatch_store::Event;

#[derive(Clone)]
pub(crate) struct Window {
    pub(crate) name: String,
    pub(crate) function: Function,
    pub(crate) argument: Option<Term>,
    pub(crate) filter: Option<Term>,
    pub(crate) ignores_nulls: bool,
    pub(crate) keys: Vec<Term>,
    pub(crate) frame: Frame,
    pub(crate) kind: Kind,
    pub(crate) spelling: usize,
    /// Whether the rule returns it.
    pub(crate) is_shown: bool,
}

/// One SELECT: what it keeps of the rows below, and the windows over them.
#[derive(Clone)]
pub(crate) struct Level {
    pub(crate) keeps: Keeps,
    pub(crate) windows: Vec<Window>,
}

/// How `wallets` is joined above all windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    None,
    Left,
    Inner,
    /// With a condition besides the equalities.
    LeftOnThreshold,
}

#[derive(Clone)]
pub(crate) struct Query {
    /// Whether `wallets` is joined below all windows, giving `below`.
    pub(crate) joined_below: bool,
    pub(crate) levels: Vec<Level>,
    pub(crate) keeps: Keeps,
    pub(crate) lookup: Lookup,
}

/// Whose SQL: the engine's, or stock DataFusion's, where exact sums and averages are spelt out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Rules,
    Stock,
}

impl Query {
    pub(crate) fn generate(dice: &mut Dice, language: &Language, spans: &[i64]) -> Query {
        let joined_below = dice.once_in(6);
        let mut added = if joined_below { vec![("below".to_owned(), Kind::Integer)] } else { Vec::new() };
        let depth = *dice.weighed(&[(5, 1), (4, 2), (3, 3)]);
        let mut levels: Vec<Level> = Vec::new();
        for level in 0..depth {
            let keeps = filter(dice, 3, &added, levels.last_mut());
            levels.push(Level::generate(dice, language, spans, level, keeps, &mut added));
        }
        let mut keeps = filter(dice, 2, &added, levels.last_mut());
        if let Some(level) = levels.last_mut().filter(|_| dice.once_in(4)) {
            level.windows.push(Window::next(dice, spans));
            if dice.once_in(2) {
                level.windows.retain(|window| window.following_ns() == 0 || window.name == Deadline::WINDOW);
                keeps.demands.clear();
                keeps.condition = None;
            }
            keeps.deadline = Some(Deadline::generate(dice, spans));
        }
        let lookup =
            *dice.weighed(&[(6, Lookup::None), (1, Lookup::Left), (1, Lookup::Inner), (1, Lookup::LeftOnThreshold)]);
        Query { joined_below, levels, keeps, lookup }
    }

    /// All windows, from the lowest.
    pub(crate) fn windows(&self) -> impl Iterator<Item = &Window> {
        self.levels.iter().flat_map(|level| &level.windows)
    }

    /// Output columns besides anchor and entity, with their types.
    pub(crate) fn outputs(&self) -> Vec<(String, Kind)> {
        let shown = self.windows().filter(|window| window.is_shown);
        let mut outputs: Vec<_> = shown.map(|window| (window.name.clone(), window.kind)).collect();
        outputs.extend(self.joined_below.then(|| ("below".to_owned(), Kind::Integer)));
        outputs.extend((self.lookup != Lookup::None).then(|| ("above".to_owned(), Kind::Integer)));
        outputs
    }

    /// What the windows look ahead, level by level.
    pub(crate) fn following_ns(&self) -> i64 {
        self.levels.iter().map(Level::following_ns).sum()
    }

    /// Nanoseconds after a row when it is decided, where a deadline of its own decides it and without one it would be
    /// decided after `following_ns`: what the other windows look ahead comes before.
    pub(crate) fn waits_ns(&self, event: &Event, following_ns: i64) -> Option<i64> {
        let deadline = self.keeps.deadline.as_ref()?;
        let window = self.windows().find(|window| window.name == Deadline::WINDOW)?;
        Some(following_ns - window.following_ns() + deadline.waits_ns(window.frame, event))
    }

    /// Whether rows have to be decided at deadlines of their own: nothing else is awaited.
    pub(crate) fn is_timely(&self) -> bool {
        let mut ahead = self.windows().filter(|window| window.following_ns() > 0);
        self.keeps.deadline.is_some() && ahead.all(|window| window.name == Deadline::WINDOW)
    }

    pub(crate) fn sql(&self, dialect: Dialect) -> String {
        let base = match (self.joined_below, dialect) {
            (false, _) => "events".to_owned(),
            (true, Dialect::Rules) => "(SELECT e.*, w.threshold AS below FROM events e LEFT JOIN wallets w \
                ON w.system = e.system AND w.wallet = e.wallet)"
                .to_owned(),
            (true, Dialect::Stock) => format!(
                "(SELECT e.*, w.threshold AS below FROM events e LEFT JOIN {WALLETS_AS_OF} w \
                 ON w.wallet = e.wallet AND w.valid_from <= e.time AND e.time < w.valid_until)"
            ),
        };
        let top = self.levels.iter().fold(base, |below, level| level.sql(&below, dialect));
        let outputs: Vec<String> = self.outputs().into_iter().map(|(name, _)| format!(", {name}")).collect();
        let kept = self.keeps.sql();
        let join = match self.lookup {
            Lookup::None => {
                return format!("SELECT event_id, system AS entity{} FROM {top}{kept}", outputs.concat());
            }
            Lookup::Left => "LEFT JOIN wallets w ON w.system = e.system AND w.wallet = e.wallet",
            Lookup::Inner => "JOIN wallets w ON w.system = e.system AND w.wallet = e.wallet",
            Lookup::LeftOnThreshold => {
                "LEFT JOIN wallets w ON w.system = e.system AND w.wallet = e.wallet AND w.threshold > 1"
            }
        };
        let outputs = self.outputs().into_iter().map(|(name, _)| name);
        let columns: String =
            outputs.filter(|name| name != "above").flat_map(|name| [", e.".to_owned(), name]).collect();
        format!(
            "SELECT e.event_id, e.system AS entity{columns}, w.threshold AS above FROM (SELECT * FROM {top}{kept}) e {join}"
        )
    }
}

/// A filter above the windows of a level: one in `one_in` times a condition, and what it asks of counts that look ahead.
fn filter(dice: &mut Dice, one_in: usize, added: &[(String, Kind)], below: Option<&mut Level>) -> Keeps {
    let condition = dice.once_in(one_in).then(|| term::condition(dice, added));
    let mut demands = Vec::new();
    for window in below.into_iter().flat_map(|level| &mut level.windows).filter(|window| window.counts_ahead()) {
        if dice.below(3) > 0 {
            demands.push(Demand::generate(dice, &window.name));
        } else {
            // Else nothing might ask for it, and the engine would not even look ahead.
            window.is_shown = true;
        }
    }
    Keeps { condition, demands, deadline: None }
}

impl Level {
    fn generate(
        dice: &mut Dice,
        language: &Language,
        spans: &[i64],
        level: usize,
        keeps: Keeps,
        added: &mut Vec<(String, Kind)>,
    ) -> Level {
        let count = *dice.weighed(&[(3, 1), (3, 2), (2, 3), (1, 5)]);
        let mut windows: Vec<Window> = Vec::new();
        for number in 0..count {
            let mut window = Window::generate(dice, language, spans, format!("x{level}_{number}"), added);
            // Windows that share key or frame are what the engine groups.
            if let Some(other) = windows.last().filter(|_| dice.once_in(2)) {
                window.keys = other.keys.clone();
                if dice.once_in(2) && !(window.function == Function::CountDistinct && other.frame.is_unbounded()) {
                    window.frame = other.frame;
                }
            }
            windows.push(window);
        }
        added.extend(windows.iter().map(|window| (window.name.clone(), window.kind)));
        Level { keeps, windows }
    }

    fn following_ns(&self) -> i64 {
        self.windows.iter().map(Window::following_ns).max().unwrap_or(0)
    }

    fn sql(&self, below: &str, dialect: Dialect) -> String {
        let kept = self.keeps.sql();
        let named: Vec<&Window> = self.windows.iter().filter(|window| window.is_named()).collect();
        let names = named.iter().map(|window| format!("w_{} AS ({})", window.name, window.over()));
        let names = names.collect::<Vec<_>>().join(", ");
        let clause = if named.is_empty() { String::new() } else { format!(" WINDOW {names}") };
        let windows = self.windows.iter().map(|window| format!("{} AS {}", window.call(dialect), window.name));
        let windows = windows.collect::<Vec<_>>().join(", ");
        format!("(SELECT *, {windows} FROM {below}{kept}{clause})")
    }
}

impl Window {
    fn generate(dice: &mut Dice, language: &Language, spans: &[i64], name: String, added: &[(String, Kind)]) -> Window {
        let is_ahead = dice.once_in(4);
        let function = if is_ahead { *dice.pick(&[Function::CountRows, Function::Count]) } else { language.pick(dice) };
        let argument = match function {
            Function::CountRows | Function::RowNumber => None,
            Function::Sum | Function::Average => Some(term::any(dice, added, Kind::is_number)),
            Function::AllTrue | Function::AnyTrue => Some(term::any(dice, added, |kind| kind == Kind::Truth)),
            _ => Some(term::any(dice, added, |_| true)),
        };
        let takes_filter = !function.picks() && function != Function::RowNumber;
        let filter = (takes_filter && dice.once_in(2)).then(|| term::condition(dice, added));
        // Further back than one row, lag does not pass over nulls; the language says so.
        let passes_over_nulls = function.picks() && !matches!(function, Function::Lag(2..));
        let ignores_nulls = passes_over_nulls && dice.once_in(2);
        let kind = function.result(argument.as_ref().map(|argument| argument.kind));
        let frame = match is_ahead {
            true => Frame::ahead(dice, spans),
            false => Frame::generate(dice, spans, function != Function::CountDistinct),
        };
        let (keys, spelling) = (term::keys(dice, added), dice.below(24));
        let is_shown = !is_ahead || dice.once_in(3);
        Window { name, function, argument, filter, ignores_nulls, keys, frame, kind, spelling, is_shown }
    }

    /// The log time of the next row of its key.
    fn next(dice: &mut Dice, spans: &[i64]) -> Window {
        let Frame::Range(_, end) = Frame::ahead(dice, spans) else { unreachable!("it looks ahead") };
        let start = *dice.pick(&[1, 1, 1, 2, end]);
        Window {
            name: Deadline::WINDOW.to_owned(),
            function: Function::Min,
            argument: Some(term::log_time()),
            filter: dice.once_in(2).then(|| term::condition(dice, &[])),
            ignores_nulls: false,
            keys: term::keys(dice, &[]),
            frame: Frame::Range(Some(start.min(end)), end),
            kind: Kind::Time,
            spelling: dice.below(24),
            is_shown: false,
        }
    }

    /// Whether it counts rows that are still to come.
    fn counts_ahead(&self) -> bool {
        matches!(self.function, Function::CountRows | Function::Count) && self.following_ns() > 0
    }

    fn following_ns(&self) -> i64 {
        match self.frame {
            Frame::Range(_, end) if !self.function.has_no_frame() => end.max(0),
            _ => 0,
        }
    }

    fn is_named(&self) -> bool {
        self.spelling.is_multiple_of(4)
    }

    fn call(&self, dialect: Dialect) -> String {
        let over = if self.is_named() { format!("w_{}", self.name) } else { format!("({})", self.over()) };
        let filter = self.filter.as_ref().map(|filter| format!(" FILTER (WHERE {})", filter.sql)).unwrap_or_default();
        let nulls = if self.ignores_nulls { " IGNORE NULLS" } else { "" };
        let call = |argument: &str| format!("{}{nulls}{filter} OVER {over}", self.function.call(argument));
        let argument = self.argument.as_ref().map_or("*", |argument| argument.sql.as_str());
        let adds_up = matches!(self.function, Function::Sum | Function::Average);
        if dialect == Dialect::Rules || !adds_up {
            return call(argument);
        }
        exact(&call(&format!("CAST({argument} AS {})", self.wide())), self.kind)
    }

    /// The 256-bit type in which stock DataFusion adds up without overflow.
    fn wide(&self) -> String {
        let scale = match self.argument.as_ref().map(|argument| argument.kind) {
            Some(Kind::Decimal(_, scale)) => scale,
            _ => 0,
        };
        format!("DECIMAL(60, {scale})")
    }

    fn over(&self) -> String {
        let keys: Vec<&str> = self.keys.iter().map(|key| key.sql.as_str()).collect();
        let keys = if keys.is_empty() { String::new() } else { format!("PARTITION BY {} ", keys.join(", ")) };
        let order = if self.spelling.is_multiple_of(6) { "ORDER BY time ASC NULLS FIRST" } else { "ORDER BY time" };
        let frame = if self.function.has_no_frame() { String::new() } else { self.frame.sql(self.spelling) };
        format!("{keys}{order} {frame}").trim_end().to_owned()
    }
}

/// A 256-bit number, held at the ends of the type that the engine answers with.
fn exact(wide: &str, kind: Kind) -> String {
    let (low, high, name) = match kind {
        Kind::Decimal(precision, scale) => {
            let nines = "9".repeat(usize::from(precision));
            let (whole, part) = nines.split_at(usize::from(precision - scale));
            let high = if scale == 0 { nines.clone() } else { format!("{whole}.{part}") };
            (format!("-{high}"), high, format!("DECIMAL({precision}, {scale})"))
        }
        _ => (i64::MIN.to_string(), i64::MAX.to_string(), "BIGINT".to_owned()),
    };
    let scale = if let Kind::Decimal(_, scale) = kind { scale } else { 0 };
    let [low, high] = [low, high].map(|end| format!("CAST('{end}' AS DECIMAL(60, {scale}))"));
    format!("CAST(CASE WHEN {wide} > {high} THEN {high} WHEN {wide} < {low} THEN {low} ELSE {wide} END AS {name})")
}
