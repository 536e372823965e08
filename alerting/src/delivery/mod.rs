//! How people are told: what they read, what is still to be delivered, and the destinations.
//!
//! Pure: [`message`] and [`deliveries`]. [`outbox`] retries, [`sink`] and [`webhook`] do I/O. It does not know why somebody
//! is told. A further destination is a [`sink::Sink`] here.
//!
//! | module | what it holds |
//! |---|---|
//! | [`message`] | what people read |
//! | [`deliveries`] | which notification each destination has had, a fold over the log |
//! | [`outbox`] | retries until a destination takes it |
//! | [`sink`], [`webhook`] | destinations |

pub mod deliveries;
pub mod message;
pub mod outbox;
pub mod sink;
pub mod webhook;
