//! Where somebody speaks from, and how much is heard from there: requests, and attempts that failed.
//!
//! A neighbour behind the same address is not made to pay: failed attempts cost the next failing one its answer, never a
//! source with valid credentials. The table is bounded; what leaves it is forgotten, and starts anew with a full allowance.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bucket::{Bucket, Rate};
use crate::limits::{
    ADDRESS_FAILURES_BURST, ADDRESS_FAILURES_PER_SECOND, ADDRESS_REQUESTS_BURST, ADDRESS_REQUESTS_PER_SECOND,
    ADDRESS_UNPROVEN_MAX, ADDRESSES_MAX,
};

/// An IPv4 address, or the /64 network of an IPv6 address, of which one holder has all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Address(IpAddr);

impl Address {
    /// The address, or the first one of the network.
    pub(super) fn ip(self) -> IpAddr {
        self.0
    }

    /// Whose address `ip` is.
    pub(crate) fn of(ip: IpAddr) -> Address {
        match ip.to_canonical() {
            v4 @ IpAddr::V4(_) => Address(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Address(IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)))
            }
        }
    }
}

/// What is heard from each address.
#[derive(Default)]
pub(crate) struct Addresses(Mutex<HashMap<Address, Heard>>);

struct Heard {
    requests: Bucket,
    failures: Bucket,
    unproven: usize,
    last: Instant,
}

const REQUESTS: Rate = Rate { per_second: ADDRESS_REQUESTS_PER_SECOND, burst: ADDRESS_REQUESTS_BURST };
const FAILURES: Rate = Rate { per_second: ADDRESS_FAILURES_PER_SECOND, burst: ADDRESS_FAILURES_BURST };

impl Addresses {
    /// One more request; otherwise when to come back.
    pub(super) fn request(&self, from: Address, now: Instant) -> Result<(), Duration> {
        self.with(from, now, |heard| heard.requests.take(now))
    }

    /// One more attempt that failed; otherwise when to come back.
    pub(super) fn failure(&self, from: Address, now: Instant) -> Result<(), Duration> {
        self.with(from, now, |heard| heard.failures.take(now))
    }

    /// Whether attempts of the address fail too often for another one that costs a body and a signature.
    pub(super) fn may_try(&self, from: Address, now: Instant) -> Result<(), Duration> {
        self.with(from, now, |heard| heard.failures.peek(now))
    }

    /// A turn to send a body of which nobody knows yet whose it is.
    pub(super) fn unproven(self: &Arc<Self>, from: Address, now: Instant) -> Option<Unproven> {
        let taken = self.with(from, now, |heard| {
            let free = heard.unproven < ADDRESS_UNPROVEN_MAX;
            heard.unproven += usize::from(free);
            free
        });
        taken.then(|| Unproven { addresses: Arc::clone(self), from })
    }

    fn with<T>(&self, from: Address, now: Instant, act: impl FnOnce(&mut Heard) -> T) -> T {
        let mut heard = self.lock();
        if heard.len() >= ADDRESSES_MAX && !heard.contains_key(&from) {
            forget(&mut heard, now);
        }
        let heard = heard.entry(from).or_insert_with(|| Heard {
            requests: Bucket::full(REQUESTS, now),
            failures: Bucket::full(FAILURES, now),
            unproven: 0,
            last: now,
        });
        heard.last = now;
        act(heard)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Address, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room: those who have their whole allowance back, and if none has, the half not heard for longest.
fn forget(heard: &mut HashMap<Address, Heard>, now: Instant) {
    let before = heard.len();
    heard.retain(|_, heard| heard.unproven > 0 || !(heard.requests.is_full(now) && heard.failures.is_full(now)));
    if heard.len() < before {
        return;
    }
    let mut times: Vec<Instant> = heard.values().map(|heard| heard.last).collect();
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    heard.retain(|_, heard| heard.unproven > 0 || heard.last > *median);
}

/// A turn that is over when it is dropped.
pub(super) struct Unproven {
    addresses: Arc<Addresses>,
    from: Address,
}

impl Drop for Unproven {
    fn drop(&mut self) {
        if let Some(heard) = self.addresses.lock().get_mut(&self.from) {
            heard.unproven = heard.unproven.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> Address {
        Address::of(IpAddr::V4(Ipv4Addr::from(number)))
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_a_mapped_one_is_its_ipv4() {
        let of = |text: &str| Address::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[test]
    fn each_address_has_its_own_allowance_and_gets_it_back() {
        let addresses = Addresses::default();
        let now = Instant::now();
        let fail = |from, now| addresses.failure(from, now);
        for _ in 0..ADDRESS_FAILURES_BURST {
            fail(address(1), now).unwrap();
        }
        let wait = fail(address(1), now).unwrap_err();
        assert!(wait > Duration::ZERO && addresses.may_try(address(1), now).is_err());
        assert!(fail(address(2), now).is_ok() && addresses.request(address(1), now).is_ok());
        assert!(fail(address(1), now + wait).is_ok());
    }

    #[test]
    fn unproven_bodies_are_few_at_once() {
        let addresses = Arc::new(Addresses::default());
        let now = Instant::now();
        let mut turns: Vec<Unproven> =
            (0..ADDRESS_UNPROVEN_MAX).map(|_| addresses.unproven(address(1), now).unwrap()).collect();
        assert!(addresses.unproven(address(1), now).is_none());
        assert!(addresses.unproven(address(2), now).is_some());
        turns.pop();
        assert!(addresses.unproven(address(1), now).is_some());
    }

    #[test]
    fn p7_the_table_of_addresses_is_bounded() {
        let addresses = Arc::new(Addresses::default());
        let start = Instant::now();
        for number in 0..u32::try_from(2 * ADDRESSES_MAX).unwrap() {
            let now = start + Duration::from_nanos(u64::from(number));
            addresses.failure(address(number), now).unwrap();
        }
        assert!(addresses.lock().len() <= ADDRESSES_MAX);
    }
}
