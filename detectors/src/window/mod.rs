//! Windows over the log: the one stateful part of the engine. [`operator`] says how it works; the other modules are
//! its parts. It knows nothing of SQL text, rules or findings.

mod accumulator;
mod exec;
pub mod frame;
mod group;
mod keys;
mod node;
mod operator;
pub(crate) mod value;

pub(crate) use exec::{KeyedWindowExec, WindowCall, plan_operator, read_call, read_function, unalias};
pub(crate) use node::KeyedWindowNode;
pub(crate) use operator::Completeness;
pub(crate) use operator::Operator;
pub use operator::StateSize;
pub(crate) use value::is_supported;
