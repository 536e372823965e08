//! Rules on several threads. Each rule is run by one of them, the dearest first; what they find is put in order after.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::loaded::{Loaded, Ran};
use crate::limits::THREADED_ROWS_MIN;

/// Whether a batch of so many rows is worth several threads.
pub(super) fn is_large(rows: usize) -> bool {
    rows >= THREADED_ROWS_MIN
}

/// Does something with each of some items, on that many threads.
pub(super) fn each<T: Send>(items: BTreeSet<T>, threads: usize, act: &(dyn Fn(T) + Sync)) {
    let queue = Mutex::new(items.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || std::iter::from_fn(next).for_each(act);
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(work)));
        work();
    });
}

/// Runs the rules over one batch.
pub(super) fn run<'a>(
    mut rules: Vec<&'a mut Loaded>,
    threads: usize,
    rows: usize,
    one: &(dyn Fn(&mut Loaded) -> Ran + Sync),
) -> Vec<(&'a mut Loaded, Ran)> {
    let each = |loaded: &'a mut Loaded| {
        let ran = one(loaded);
        (loaded, ran)
    };
    if threads < 2 || !is_large(rows) {
        return rules.into_iter().map(each).collect();
    }
    rules.sort_by_key(|loaded| std::cmp::Reverse(loaded.busy));
    let queue = Mutex::new(rules.into_iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || std::iter::from_fn(next).map(each).collect::<Vec<_>>();
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    })
}
