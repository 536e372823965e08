//! What does not add up: rules as SQL, and the engine that runs them over the log.
//!
//! | module | what it holds |
//! |---|---|
//! | [`rule`] | a rule as written: front matter, SQL, parameters, the events it fires and stays quiet on |
//! | `plan` | SQL text → a physical plan that is run once for each batch; what a rule may say |
//! | `aggregate` | the functions of windows beyond counting, exact: spread, rows of the frame, baselines |
//! | [`window`] | `KeyedWindow`, the only thing that remembers |
//! | `lookup` | inventory joins, as of each row's own time |
//! | [`engine`] | all rules over the log: batches in, findings out |
//! | [`check`] | a rule against its own events |
//!
//! This room knows nothing of clocks, of the network, of files other than rules, and of who is told.

mod aggregate;
pub mod check;
pub mod engine;
pub mod error;
pub mod limits;
mod lookup;
mod plan;
pub mod rule;
pub mod window;

use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
pub use engine::Description;
pub use engine::{Caught, Decided, Engine, Lost, Outcome, Parked, Retry, Skipped, Stopwatch, Usage};
pub use error::Error;
pub use plan::depth::is_deeper;
pub use plan::describe::{Step, Windows};
pub use rule::{Rule, Settings};
pub use window::{Limits, StateSize};

/// Every SQL function of our own, as DataFusion knows it: to ask the same of stock DataFusion over recorded history.
#[must_use]
pub fn functions() -> (Vec<ScalarUDF>, Vec<AggregateUDF>) {
    (plan::scalar_functions(), aggregate::udafs())
}
