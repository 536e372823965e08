//! `keywatch run` as a process: rules that fail, restarts with and without what was kept, floods.
//!
//! | module | what it proves |
//! |---|---|
//! | [`isolation`] | P3: a rule that fails is parked, comes back and misses nothing |
//! | [`restarts`] | P1: windows go on from a snapshot; an older, a damaged or no snapshot changes no finding |
//! | [`age`] | how long a start takes over an old log; a measurement |
//! | [`theft`] | how long a theft takes to page among ten thousand findings in a minute; a measurement |
//! | [`flood`] | whoever asks for metrics all day takes nothing from the evaluator |
//!
//! [`machine`] is a machine with rules of its own; what it ran leaves a log, which is read in the end.

mod age;
mod flood;
mod isolation;
pub(crate) mod machine;
mod restarts;
mod theft;
