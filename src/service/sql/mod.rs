//! SQL over everything that was recorded: questions, and nothing that changes something.
//!
//! | module | what it does |
//! |---|---|
//! | [`tables`] | which tables there are; whose rows a user sees |
//! | [`records`] | where the rows come from: a log with its segments, or files |
//! | [`pushdown`] | what the filters of a query ask of the log |
//! | [`events`] | the records of a topic as a table |
//! | [`made`], [`folds`] | findings, alerts, incidents, responses and the inventory, made of records |
//! | [`session`] | a query from its text to its rows, within limits |
//! | [`cells`] | values as texts and as JSON |
//! | [`postgres`] | the endpoint that speaks PostgreSQL's protocol |
//! | [`bounded`] | what keeps the parser and the planner from working without end |
//! | [`growth`] | what a query could make of a text, and of an expression |
//!
//! It reads a log through [`keywatch_store::Log`] and knows no backend. Rules are none of its business.

mod bounded;
pub(crate) mod cells;
mod events;
mod folds;
mod growth;
mod made;
pub(crate) mod postgres;
mod pushdown;
pub(crate) mod records;
pub(crate) mod session;
pub(crate) mod tables;
