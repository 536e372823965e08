//! How people are told: what they read, what is still to be delivered, and the destinations.
//!
//! Pure: [`message`], [`occasion`], [`deliveries`], [`standing`] and [`pace`]. [`outbox`] retries; a destination is a [`sink::Sink`]:
//! [`webhook`], [`receivers`]. It does not know why somebody is told. A further destination is a module in [`receivers`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`message`] | what people read |
//! | [`deliveries`], [`standing`] | which notification each destination has had, and what stands; folds over the log |
//! | [`occasion`] | what a destination is to be told, and why |
//! | [`pace`], `failing_receiver` | when a receiver is tried; one that fails, as people are told of it |
//! | [`outbox`] | one queue a receiver, until it has taken what it is to be told |
//! | [`sink`], [`webhook`], [`receivers`] | destinations |
//! | [`http`], [`guard`] | requests as all of them make them; which addresses they may connect to |
//! | [`heartbeat`] | a dead man's switch beside a receiver |
//! | [`template`] | titles and bodies in the operator's own words |
//! | [`trial`] | a notification that says that it is a test |

pub mod deliveries;
pub(crate) mod failing_receiver;
pub mod guard;
pub mod heartbeat;
pub mod http;
pub mod message;
pub mod occasion;
pub mod outbox;
pub mod pace;
pub mod receivers;
pub mod sink;
pub mod standing;
pub mod template;
pub mod trial;
pub mod webhook;
