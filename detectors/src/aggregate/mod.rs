//! Aggregates of windows beyond those that the window operator counts itself: exact spread, rows of the frame, and
//! baselines that remember a key for ever in a state of fixed size. `docs/functions.md` says what each computes.
//!
//! | module | what it holds |
//! |---|---|
//! | `registry` | a call as written → what computes it, or what to write instead |
//! | `udaf`, `stock` | the same functions as DataFusion knows them: to bind SQL, and to run in its own windows |
//! | `moments`, `truth`, `rows` | functions of any frame |
//! | `decayed`, `quantile`, `seen` | baselines: from `UNBOUNDED PRECEDING`, O(1) state a key |
//! | `adapted` | any DataFusion aggregate that can take a row back |
//! | `scores` | scalar functions that judge a value by its baseline |
//! | `halving`, `rational`, `saved` | 2^(−Δt/h), one rounding to a float, state as bytes |
//!
//! All of it is integers until one correctly rounded step at the end (promise P1): no logarithm, no power, no sum of
//! floats. It knows nothing of frames, keys or FILTER: rows that count enter, and leave in the same order.

mod adapted;
mod decayed;
mod halving;
mod moments;
mod quantile;
mod rational;
mod registry;
mod rows;
mod saved;
mod scores;
mod seen;
mod stock;
#[cfg(test)]
mod tests;
mod truth;
mod udaf;

use std::fmt;
use std::sync::Arc;

use crate::window::value::Value;

pub(crate) use adapted::adapt;
pub(crate) use registry::sliding;
pub(crate) use scores::scalars;
pub(crate) use udaf::udafs;

/// What one key remembers for one function.
pub(crate) trait Sliding: fmt::Debug + Send {
    /// A row of log time `time` (ns) enters; `args` are the call's arguments (nulls included; rows excluded by FILTER
    /// never come). What stands in the place of an argument that is a literal is not looked at.
    fn enter(&mut self, time: i64, args: &[Option<Value>]);

    /// The oldest row that entered leaves, with the same arguments. Never called for functions whose `leaves` is false.
    fn leave(&mut self, time: i64, args: &[Option<Value>]);

    /// The answer for the row of log time `time`. It changes nothing that later answers depend on.
    fn answer(&mut self, time: i64) -> Result<Option<Value>, String>;

    /// Heap and inline bytes, about.
    fn bytes(&self) -> usize;

    /// State of functions that never leave, for a snapshot; `load` of it into a fresh one gives the same answers ever
    /// after.
    fn save(&self) -> Vec<u8>;

    /// Takes over what `save` gave.
    ///
    /// # Errors
    /// When it is not that, in words.
    fn load(&mut self, saved: &[u8]) -> Result<(), String>;
}

/// Which argument of a function must be the log time of the rows, counted from 0.
pub(crate) fn time_argument(name: &str) -> Option<usize> {
    match name {
        "decayed_count" | "decayed_rate" | "first_seen" | "last_seen" => Some(0),
        "decayed_mean" | "decayed_stddev" => Some(1),
        _ => None,
    }
}

/// A construct and what to write instead.
pub(crate) type Refusal = (String, String);

type Make = dyn Fn(bool) -> Box<dyn Sliding> + Send + Sync;

/// Makes the states of one call, one a key.
#[derive(Clone)]
pub(crate) struct Factory {
    /// Whether rows can leave. Without, it is a baseline, for frames from `UNBOUNDED PRECEDING` only.
    pub(crate) leaves: bool,
    /// Whether its state is O(1) a key when rows never leave, so that `UNBOUNDED PRECEDING` may be allowed.
    pub(crate) is_constant_size: bool,
    make: Arc<Make>,
}

impl Factory {
    fn new(make: impl Fn(bool) -> Box<dyn Sliding> + Send + Sync + 'static) -> Factory {
        Factory { leaves: true, is_constant_size: true, make: Arc::new(make) }
    }

    fn baseline(make: impl Fn() -> Box<dyn Sliding> + Send + Sync + 'static) -> Factory {
        Factory { leaves: false, ..Factory::new(move |_| make()) }
    }

    /// A state without rows. `stays`: the frame is from `UNBOUNDED PRECEDING`, so that rows never leave.
    pub(crate) fn fresh(&self, stays: bool) -> Box<dyn Sliding> {
        (self.make)(stays)
    }

    /// Why a frame is not for this function, if it is not.
    pub(crate) fn refuse_frame(&self, name: &str, is_unbounded: bool) -> Option<Refusal> {
        if !self.leaves && !is_unbounded {
            return Some((
                format!("{name} over a frame that rows leave"),
                "a baseline is for ever: write RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW; its half-life forgets"
                    .to_owned(),
            ));
        }
        (!self.is_constant_size && is_unbounded).then(|| {
            (
                format!("{name} over UNBOUNDED PRECEDING"),
                "it would keep every row of a key for ever: write RANGE BETWEEN INTERVAL '…' PRECEDING AND CURRENT ROW"
                    .to_owned(),
            )
        })
    }
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factory").field("leaves", &self.leaves).finish_non_exhaustive()
    }
}
