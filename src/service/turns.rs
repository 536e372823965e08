//! What the loops of followers of chains and of sources that are asked have in common: why a turn could not be done, and that
//! nothing they wait for holds up a stop. What a turn is they know themselves.

use tokio::sync::watch;

/// Why a turn could not be done.
pub(crate) enum Failure<T> {
    /// Asking again may help.
    Trouble(T),
    /// The log does not take anything any more.
    Log(anyhow::Error),
}

impl<T> From<T> for Failure<T> {
    fn from(trouble: T) -> Failure<T> {
        Failure::Trouble(trouble)
    }
}

/// Returns when keywatch stops. Whoever would say so is gone: that is an end too.
pub(crate) async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// What comes of `work`, which is left where it is when keywatch stops: then `None`.
pub(crate) async fn unless_stopped<T>(
    stopping: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        () = stopped(stopping) => None,
        done = work => Some(done),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn nothing_that_is_waited_for_holds_up_a_stop() {
        let (stop, mut stopping) = watch::channel(false);
        assert_eq!(unless_stopped(&mut stopping, ready(1)).await, Some(1));
        stop.send_replace(true);
        assert_eq!(unless_stopped(&mut stopping, pending::<i32>()).await, None);
        assert_eq!(unless_stopped(&mut stopping, ready(1)).await, None, "also where it would be done at once");
        let (stop, mut stopping) = watch::channel(false);
        drop(stop);
        assert_eq!(unless_stopped(&mut stopping, pending::<i32>()).await, None, "nobody is left who could say so");
    }
}
