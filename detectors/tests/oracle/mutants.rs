//! Wrong engines, so as to see that the oracle notices: each mutation is one error that a rewrite of the engine could
//! make, played by giving the engine another rule than the oracles.

use keywatch_detectors::limits::{FOLLOWING_NS_MAX, PRECEDING_NS_MAX};

use super::demand::{Demand, Keeps};
use super::dice::Dice;
use super::frame::Frame;
use super::function::Function;
use super::history::SECOND;
use super::query::{Lookup, Query, Window};

/// A mutation: its name, and the query with the error in it if the query has what it takes.
pub(crate) type Mutation = (&'static str, fn(&mut Dice, &mut Query) -> bool);

pub(crate) const MUTATIONS: [Mutation; 20] = [
    ("the start of a frame lies 1 ns earlier", |dice, query| shift(dice, query, -1, 0)),
    ("the start of a frame lies 1 ns later", |dice, query| shift(dice, query, 1, 0)),
    ("the end of a frame lies 1 ns earlier", |dice, query| shift(dice, query, 0, -1)),
    ("the end of a frame lies 1 ns later", |dice, query| shift(dice, query, 0, 1)),
    ("a ROWS frame begins a row later", |dice, query| {
        let has = |window: &Window| matches!((window.function, window.frame), (function, Frame::Rows(Some(start), end)) if start > end && !function.has_no_frame());
        let later = |window: &mut Window| {
            if let Frame::Rows(Some(start), _) = &mut window.frame {
                *start -= 1;
            }
        };
        change(dice, query, has, later)
    }),
    ("a FILTER is forgotten", |dice, query| {
        change(dice, query, |window| window.filter.is_some(), |window| window.filter = None)
    }),
    ("a part of the key is forgotten", |dice, query| {
        change(dice, query, |window| !window.keys.is_empty(), |window| drop(window.keys.pop()))
    }),
    ("nulls are counted", |dice, query| {
        change(
            dice,
            query,
            |window| window.function == Function::Count,
            |window| {
                (window.function, window.argument) = (Function::CountRows, None);
            },
        )
    }),
    ("distinct values are counted each time", |dice, query| {
        become_(dice, query, Function::CountDistinct, Function::Count)
    }),
    ("the largest for the smallest", |dice, query| become_(dice, query, Function::Min, Function::Max)),
    ("the last for the first", |dice, query| become_(dice, query, Function::First, Function::Last)),
    ("nulls are passed over", |dice, query| {
        let has =
            |window: &Window| matches!(window.function, Function::First | Function::Last) && !window.ignores_nulls;
        change(dice, query, has, |window| window.ignores_nulls = true)
    }),
    ("lag by one row more", |dice, query| {
        let more = |window: &mut Window| {
            if let Function::Lag(rows) = &mut window.function {
                (*rows, window.spelling) = (*rows + 1, 1);
            }
        };
        change(dice, query, |window| is_lag(window.function), more)
    }),
    ("rows that never leave leave after 90 days", |dice, query| {
        let has = |window: &Window| matches!((window.function, window.frame), (function, Frame::Range(None, end)) if end >= 0 && !function.has_no_frame());
        let bounded = |window: &mut Window| {
            if let Frame::Range(start, _) = &mut window.frame {
                *start = Some(-90 * 86_400 * SECOND);
            }
        };
        change(dice, query, has, bounded)
    }),
    ("a filter between windows is forgotten", |_, query| {
        let Some(level) = query.levels.iter_mut().skip(1).find(|level| !level.keeps.is_empty()) else { return false };
        level.keeps = Keeps::default();
        true
    }),
    ("a row is rejected by one row fewer than there have to be", |dice, query| {
        let filters = query.levels.iter_mut().map(|level| &mut level.keeps).chain([&mut query.keeps]);
        let demands =
            filters.flat_map(|keeps| &mut keeps.demands).filter(|demand| demand.wants_few() && demand.number > 0);
        let mut demands: Vec<&mut Demand> = demands.collect();
        if demands.is_empty() {
            return false;
        }
        let index = dice.below(demands.len());
        demands[index].number -= 1;
        true
    }),
    ("a row that was rejected comes back when its frame is over", |_, query| {
        let filters = [&mut query.keeps];
        let demands =
            filters.into_iter().map(|keeps| &mut keeps.demands).find(|demands| demands.iter().any(Demand::wants_few));
        let Some(demands) = demands else { return false };
        demands.retain(|demand| !demand.wants_few());
        true
    }),
    ("a deadline lies 1 ns later", |_, query| {
        let Some(deadline) = &mut query.keeps.deadline else { return false };
        deadline.spans = deadline.spans.map(|span| span + 1);
        true
    }),
    ("all rows have the deadline of some", |_, query| {
        let Some(deadline) = query.keeps.deadline.as_mut().filter(|deadline| deadline.spans[0] != deadline.spans[1])
        else {
            return false;
        };
        deadline.spans[1] = deadline.spans[0];
        true
    }),
    ("an inner join keeps what it does not find", |_, query| {
        let is_inner = query.lookup == Lookup::Inner;
        query.lookup = Lookup::Left;
        is_inner
    }),
];

fn is_lag(function: Function) -> bool {
    matches!(function, Function::Lag(_))
}

fn become_(dice: &mut Dice, query: &mut Query, from: Function, to: Function) -> bool {
    change(dice, query, move |window| window.function == from, move |window| window.function = to)
}

/// Changes one of the windows that can be changed so.
fn change(dice: &mut Dice, query: &mut Query, has: impl Fn(&Window) -> bool, apply: impl Fn(&mut Window)) -> bool {
    let windows = query.levels.iter_mut().flat_map(|level| &mut level.windows);
    let mut fitting: Vec<&mut Window> = windows.filter(|window| has(window)).collect();
    if fitting.is_empty() {
        return false;
    }
    let index = dice.below(fitting.len());
    apply(fitting[index]);
    true
}

fn shift(dice: &mut Dice, query: &mut Query, start_ns: i64, end_ns: i64) -> bool {
    let has = |window: &Window| match window.frame {
        Frame::Range(Some(start), end) => {
            let (start, end) = (start + start_ns, end + end_ns);
            !window.function.has_no_frame() && start <= end && end <= FOLLOWING_NS_MAX && start >= -PRECEDING_NS_MAX
        }
        Frame::Range(None, end) => start_ns == 0 && !window.function.has_no_frame() && end + end_ns <= FOLLOWING_NS_MAX,
        Frame::Rows(..) => false,
    };
    let apply = |window: &mut Window| {
        if let Frame::Range(start, end) = &mut window.frame {
            *start = start.map(|start| start + start_ns);
            *end += end_ns;
        }
    };
    change(dice, query, has, apply)
}
