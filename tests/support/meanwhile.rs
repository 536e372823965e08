//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

/// The most that is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until `done` says so; fails after half a minute.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut done: impl FnMut() -> F) {
    let until = Instant::now() + PATIENCE;
    while !done().await {
        assert!(Instant::now() < until, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
