//! Windows over the log: the one stateful part of the engine. [`operator`] says how it works; the other modules are
//! its parts. It knows nothing of SQL text, rules or findings.

mod accumulator;
mod batch_keys;
mod batches;
mod by_rows;
mod call;
mod delay_line;
mod describe;
mod due;
mod early;
mod eviction;
pub mod frame;
mod key_count;
mod keys;
mod limits;
mod node;
mod operator;
mod operator_plan;
mod queue;
mod ring;
mod rows;
mod saved;
mod shared;
mod state;
pub(crate) mod stored;
mod systems;
pub(crate) mod value;

pub(crate) use call::{Named, WindowCall, read_call, read_function, unalias};
pub use describe::{Group, Window, span};
pub use limits::Limits;
pub(crate) use limits::Lost;
pub(crate) use node::{Deadline, KeyedWindowNode};
pub(crate) use operator::Operator;
pub use operator::StateSize;
pub(crate) use operator_plan::{OperatorPlan, plan_operator};
pub(crate) use shared::Shared;
pub(crate) use systems::Systems;
pub(crate) use value::is_supported;
