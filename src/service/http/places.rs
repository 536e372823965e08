//! The places of connections: how many there are, and who gives his up when somebody new finds none free.
//!
//! An idle connection costs its holder nothing, so it may keep nobody out: a new one takes the place of another that is not
//! at work, first of all at the address that holds the most. What is being read for a source that was recognised is never
//! cut. Knows nothing of sockets, HTTP or time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::address::Address;

/// All places of the door.
pub(crate) struct Places {
    state: Mutex<State>,
    door_max: usize,
    address_max: usize,
    proxies: Vec<IpAddr>,
}

/// What the holder of a place is at. Who is less far is cut first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    /// Nothing was asked, or not yet as a whole.
    Idle,
    /// A body of which nobody knows yet whether it is a source's.
    Unproven,
    /// A request of a source that was recognised.
    Admitted,
}

#[derive(Default)]
struct State {
    next: u64,
    held: BTreeMap<u64, Held>,
    /// Places of each address that is no proxy's.
    of_address: HashMap<Address, usize>,
}

struct Held {
    /// `None` for a proxy's, which stands for many.
    address: Option<Address>,
    work: Work,
    /// Grows with each change of `work`: of two that idle, the smaller idles longer.
    since: u64,
    leave: Arc<Notify>,
}

/// A place that is held, free again when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    id: u64,
    /// Whose connection it is; `None` for a proxy's, which stands for many.
    pub(super) address: Option<Address>,
    leave: Arc<Notify>,
    asked: AtomicBool,
}

/// No place is free, and all are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// All that the address may hold.
    Address,
    /// All of the door.
    Door,
}

impl Full {
    /// Its name among the reasons that are counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Full::Address => "address_full",
            Full::Door => "door_full",
        }
    }
}

impl Places {
    /// `door_max` in all, `address_max` of them for one address that is not among `proxies`.
    pub(crate) fn new(door_max: usize, address_max: usize, proxies: Vec<IpAddr>) -> Arc<Places> {
        Arc::new(Places { state: Mutex::default(), door_max, address_max, proxies })
    }

    /// Takes a place for a connection from `from`; says too whether another connection had to leave for it.
    pub(super) fn enter(self: &Arc<Self>, from: IpAddr) -> Result<(Place, Option<Full>), Full> {
        let address = (!self.proxies.contains(&from.to_canonical())).then(|| Address::of(from));
        let mut state = self.lock();
        let full = if state.weight(address) >= self.address_max {
            Some(Full::Address)
        } else {
            (state.held.len() >= self.door_max).then_some(Full::Door)
        };
        if let Some(full) = full {
            let of = address.filter(|_| full == Full::Address);
            state.displace(of).ok_or(full)?;
        }
        let id = state.tick();
        let leave = Arc::new(Notify::new());
        state.held.insert(id, Held { address, work: Work::Idle, since: id, leave: Arc::clone(&leave) });
        if let Some(address) = address {
            *state.of_address.entry(address).or_default() += 1;
        }
        drop(state);
        Ok((Place { places: Arc::clone(self), id, address, leave, asked: AtomicBool::new(false) }, full))
    }

    /// Places that are held.
    pub(super) fn held(&self) -> usize {
        self.lock().held.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Places of an address; none for a proxy, so that it is cut last.
    fn weight(&self, address: Option<Address>) -> usize {
        address.and_then(|address| self.of_address.get(&address).copied()).unwrap_or_default()
    }

    /// Cuts one connection that is not admitted, of `of` or of the address that holds the most; `None` if there is none.
    fn displace(&mut self, of: Option<Address>) -> Option<()> {
        let may_go = |held: &Held| held.work != Work::Admitted && (of.is_none() || held.address == of);
        let candidates = self.held.iter().filter(|(_, held)| may_go(held));
        let chosen = candidates.min_by_key(|(_, held)| (Reverse(self.weight(held.address)), held.work, held.since));
        let chosen = *chosen?.0;
        self.remove(chosen)?.leave.notify_one();
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.held.remove(&id)?;
        if let Some(address) = held.address
            && let Some(count) = self.of_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&address);
            }
        }
        Some(held)
    }
}

impl Place {
    /// Returns once somebody else has the place: the connection is to be cut.
    pub(super) async fn lost(&self) {
        self.leave.notified().await;
    }

    /// Whether a whole head of a request ever came.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// A head has come.
    pub(super) fn mark_asked(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// A body is received of which nobody knows yet whose it is.
    pub(super) fn mark_unproven(&self) {
        self.work(Work::Unproven);
    }

    /// The source was recognised.
    pub(super) fn mark_admitted(&self) {
        self.work(Work::Admitted);
    }

    /// The request was answered.
    pub(super) fn mark_idle(&self) {
        self.work(Work::Idle);
    }

    fn work(&self, work: Work) {
        let mut state = self.places.lock();
        let since = state.tick();
        if let Some(held) = state.held.get_mut(&self.id) {
            (held.work, held.since) = (work, since);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
    }

    async fn is_lost(place: &Place) -> bool {
        tokio::select! {
            biased;
            () = place.lost() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn p7_at_its_cap_an_address_displaces_its_own_that_idles_longest() {
        let places = Places::new(10, 2, Vec::new());
        let enter = |last| places.enter(ip(last)).map(|(place, _)| place);
        let (first, second, other) = (enter(1).unwrap(), enter(1).unwrap(), enter(2).unwrap());
        first.mark_admitted();
        first.mark_idle();
        let third = enter(1).unwrap();
        assert!(is_lost(&second).await && !is_lost(&first).await && !is_lost(&other).await);
        assert_eq!(places.held(), 3);
        // A place that was lost frees nothing when it is dropped.
        drop(second);
        assert_eq!(places.held(), 3);
        first.mark_admitted();
        third.mark_admitted();
        assert_eq!(places.enter(ip(1)).err(), Some(Full::Address));
        drop(third);
        assert!(enter(1).is_ok() && !is_lost(&first).await);
    }

    #[tokio::test]
    async fn p7_a_full_door_is_opened_by_who_holds_most_and_never_by_who_is_at_work() {
        let places = Places::new(4, 3, Vec::new());
        let enter = |last| places.enter(ip(last)).map(|(place, _)| place);
        let (quiet, many) = (enter(1).unwrap(), [enter(2).unwrap(), enter(2).unwrap(), enter(2).unwrap()]);
        many[0].mark_unproven();
        let new = enter(3).unwrap();
        assert!(is_lost(&many[1]).await && !is_lost(&many[0]).await && !is_lost(&quiet).await);
        for place in [&new, &quiet, &many[0], &many[2]] {
            place.mark_admitted();
        }
        assert_eq!(places.enter(ip(4)).err(), Some(Full::Door));
        many[0].mark_unproven();
        assert!(enter(4).is_ok() && is_lost(&many[0]).await);
    }

    #[tokio::test]
    async fn a_proxy_holds_as_many_as_there_are() {
        let places = Places::new(4, 1, vec![ip(1)]);
        let held: Vec<Place> = (0..4).map(|_| places.enter(ip(1)).unwrap().0).collect();
        assert!(places.enter(ip(2)).is_ok());
        assert!(is_lost(&held[0]).await);
    }
}
