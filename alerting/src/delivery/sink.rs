//! Destinations of notifications. A sink makes one attempt; when to try again and what is written down about it is the
//! outbox's affair.

use std::io::Write;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use crate::delivery::message::{Notification, render};
use crate::delivery::pace::Pace;
use crate::error::{Error, Fate};

/// An attempt under way.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A destination.
pub trait Sink: Send + Sync {
    /// Its name, stable across restarts: what was delivered is recorded under it.
    fn name(&self) -> &str;

    /// How many attempts may be under way at once; 1 keeps the order.
    fn deliveries_max(&self) -> usize;

    /// How fast it may be given more, and when something that it does not take is put aside.
    fn pace(&self) -> Pace {
        Pace::unlimited()
    }

    /// Whether it has to hear again what stands: since it forgets, or to know that keywatch lives.
    fn repeats(&self) -> bool {
        false
    }

    /// Says again what stands: the heartbeat of a pager, and to a receiver that forgets every alert that is open.
    fn repeat<'a>(&'a self, standing: &'a [Notification]) -> Attempt<'a> {
        let _ = standing;
        Box::pin(async { Ok(()) })
    }

    /// Makes one attempt. Giving the same key twice must do no harm: delivery is at least once (promise P4).
    ///
    /// # Errors
    /// [`Error::Undelivered`] with what becomes of the notification.
    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a>;
}

/// Writes messages as text, e.g. to standard error or a file.
pub struct Terminal<W> {
    name: String,
    out: Mutex<W>,
}

impl<W: Write + Send> Terminal<W> {
    /// A sink of that name.
    pub fn new(name: &str, out: W) -> Terminal<W> {
        Terminal { name: name.to_owned(), out: Mutex::new(out) }
    }
}

impl<W: Write + Send> Sink for Terminal<W> {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliveries_max(&self) -> usize {
        1
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(async move {
            let text = render(notification);
            let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Error::Undelivered {
                destination: self.name.clone(),
                problem: error.to_string(),
                fate: Fate::Retry(None),
            })
        })
    }
}
