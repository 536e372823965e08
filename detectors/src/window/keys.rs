//! The keys of one ring: partition key → slot, a small number under which the accumulators remember it.
//!
//! A key's last row is the only thing that keeps it: when that is older than any frame reaches, a hand that goes round
//! the slots as log time goes on frees it.

use hashbrown::HashTable;

use super::batch_keys::{Key, mixed};
use super::key_count::KeyCount;

/// Number of a key's slot.
pub(super) type Slot = u32;

/// No slot: a key of which nothing is remembered.
pub(super) const NO_SLOT: Slot = u32::MAX;

const VACANT: u32 = u32::MAX;

/// All keys of one ring.
#[derive(Debug, Default)]
pub(super) struct Keys {
    table: HashTable<Slot>,
    entries: Vec<Entry>,
    key_count: KeyCount,
    free: Vec<Slot>,
    hand: usize,
    /// Bytes of keys that have no room in their entry.
    long_bytes: usize,
}

/// What is known of one key, all in one cache line: a lookup is two reads from far away, of the table and of this.
#[derive(Debug)]
struct Entry {
    hash: u64,
    /// Log time of its last row.
    last: i64,
    /// Lane of its system; `VACANT` when the slot is free.
    lane: u32,
    /// Number of the source of its last row.
    source: u16,
    bytes: KeyBytes,
}

impl Entry {
    const VACANT: Entry = Entry {
        hash: 0,
        last: i64::MIN,
        lane: VACANT,
        source: 0,
        bytes: KeyBytes::Short { length: 0, bytes: [0; SHORT_BYTES_MAX] },
    };
}

/// Bytes of a key that has room in its entry: a UUID as text does.
const SHORT_BYTES_MAX: usize = 38;

#[derive(Debug)]
enum KeyBytes {
    Short { length: u8, bytes: [u8; SHORT_BYTES_MAX] },
    Long(Box<[u8]>),
}

impl KeyBytes {
    fn new(key: &[u8]) -> KeyBytes {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match (u8::try_from(key.len()), bytes.get_mut(..key.len())) {
            (Ok(length), Some(short)) => {
                short.copy_from_slice(key);
                KeyBytes::Short { length, bytes }
            }
            _ => KeyBytes::Long(key.into()),
        }
    }

    fn get(&self) -> &[u8] {
        match self {
            KeyBytes::Short { length, bytes } => &bytes[..usize::from(*length)],
            KeyBytes::Long(bytes) => bytes,
        }
    }

    /// Bytes outside the entry.
    fn outside(&self) -> usize {
        match self {
            KeyBytes::Short { .. } => 0,
            KeyBytes::Long(bytes) => bytes.len(),
        }
    }
}

impl Keys {
    /// The slot of a key, if anything is remembered of it.
    pub(super) fn find(&self, lane: u32, key: Key<'_>) -> Slot {
        self.lookup(lane, key).unwrap_or(NO_SLOT)
    }

    /// The slot of a key that has a row at `time`, and whether it is new.
    pub(super) fn refer(&mut self, lane: u32, key: Key<'_>, time: i64, source: u16) -> (Slot, bool) {
        if let Some(slot) = self.lookup(lane, key) {
            let entry = &mut self.entries[slot as usize];
            self.key_count.count(lane, Some(entry.last), time);
            (entry.last, entry.source) = (time, source);
            return (slot, false);
        }
        let slot = self.insert(lane, key);
        self.key_count.count(lane, None, time);
        let entry = &mut self.entries[slot as usize];
        (entry.last, entry.source) = (time, source);
        (slot, true)
    }

    /// For how long a key matters after its last row; `None` for good. To be said before the first key comes.
    pub(super) fn reach(mut self, reach_ns: Option<i64>) -> Keys {
        self.key_count = KeyCount::new(reach_ns);
        self
    }

    /// How many keys of a lane matter at a log time: a number that depends on the log alone, whatever the hand has freed.
    pub(super) fn living(&mut self, lane: u32, time: i64) -> usize {
        self.key_count.living(lane, time)
    }

    /// At least as many as the keys that matter in any one lane.
    pub(super) fn most_living(&self) -> usize {
        self.key_count.most()
    }

    /// No row of a lane comes any more before `time`.
    pub(super) fn expire(&mut self, lane: usize, time: i64) {
        self.key_count.expire(lane, time);
    }

    /// Whether a key is out of reach, by the log time of its lane, and only waits to be freed.
    pub(super) fn is_gone(&self, slot: Slot) -> bool {
        let entry = &self.entries[slot as usize];
        self.key_count.is_gone(entry.lane, entry.last)
    }

    /// Number of the source of a key's last row.
    pub(super) fn source(&self, slot: Slot) -> u16 {
        self.entries[slot as usize].source
    }

    /// Forgets a key before its time.
    pub(super) fn lose(&mut self, slot: Slot) {
        let entry = &self.entries[slot as usize];
        self.key_count.forget(entry.lane, entry.last);
        self.remove(slot);
    }

    /// Slots of live keys, in ascending order.
    pub(super) fn live(&self) -> impl Iterator<Item = Slot> {
        (0..).zip(&self.entries).filter(|(_, entry)| entry.lane != VACANT).map(|(slot, _)| slot)
    }

    pub(super) fn key(&self, slot: Slot) -> &[u8] {
        self.entries[slot as usize].bytes.get()
    }

    pub(super) fn lane(&self, slot: Slot) -> u32 {
        self.entries[slot as usize].lane
    }

    /// Log time of its last row.
    pub(super) fn last(&self, slot: Slot) -> i64 {
        self.entries[slot as usize].last
    }

    /// Slots that have been given out, those that are free again included.
    pub(super) fn slots(&self) -> Slot {
        Slot::try_from(self.entries.len()).expect("slots are numbered by 32 bits")
    }

    /// Live keys.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes of keys and slots, without what accumulators remember.
    pub(super) fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.long_bytes + self.table.capacity() * (size_of::<Slot>() + 1)
    }

    /// Moves the hand on by `steps` slots and frees those whose last row is before `horizon(lane)`.
    pub(super) fn sweep(&mut self, steps: usize, horizon: impl Fn(u32) -> i64) {
        for _ in 0..steps.min(self.entries.len()) {
            self.hand = if self.hand + 1 < self.entries.len() { self.hand + 1 } else { 0 };
            let Entry { lane, last, .. } = self.entries[self.hand];
            if lane != VACANT && last < horizon(lane) && self.key_count.is_gone(lane, last) {
                let slot = Slot::try_from(self.hand).expect("slots are numbered by 32 bits");
                self.remove(slot);
            }
        }
    }

    fn lookup(&self, lane: u32, key: Key<'_>) -> Option<Slot> {
        let hash = mixed(key.hash, lane);
        let same = |slot: &Slot| {
            let entry = &self.entries[*slot as usize];
            entry.hash == hash && entry.lane == lane && entry.bytes.get() == key.bytes
        };
        self.table.find(hash, same).copied()
    }

    fn insert(&mut self, lane: u32, key: Key<'_>) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = Slot::try_from(self.entries.len()).ok().filter(|slot| *slot != NO_SLOT);
            self.entries.push(Entry::VACANT);
            slot.expect("slots are numbered by 32 bits")
        });
        let (hash, bytes) = (mixed(key.hash, lane), KeyBytes::new(key.bytes));
        self.long_bytes += bytes.outside();
        self.entries[slot as usize] = Entry { hash, lane, bytes, ..Entry::VACANT };
        let entries = &self.entries;
        self.table.insert_unique(hash, slot, |other| entries[*other as usize].hash);
        slot
    }

    fn remove(&mut self, slot: Slot) {
        let gone = std::mem::replace(&mut self.entries[slot as usize], Entry::VACANT);
        if let Ok(entry) = self.table.find_entry(gone.hash, |other| *other == slot) {
            entry.remove();
        }
        self.long_bytes -= gone.bytes.outside();
        self.free.push(slot);
        if self.table.capacity() > 1024 && self.table.len() * 8 < self.table.capacity() {
            let entries = &self.entries;
            self.table.shrink_to(self.table.len() * 2, |other| entries[*other as usize].hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lies_in_one_cache_line() {
        assert_eq!(size_of::<Entry>(), 64);
        for length in [0, 1, SHORT_BYTES_MAX, SHORT_BYTES_MAX + 1, 300] {
            let key = vec![7; length];
            assert_eq!(KeyBytes::new(&key).get(), key);
        }
    }

    #[test]
    fn a_key_lives_as_long_as_its_last_row_is_in_reach() {
        let mut keys = Keys::default().reach(Some(0));
        let (a, new) = keys.refer(0, Key::new(b"a"), 10, 0);
        assert!(new);
        let (b, _) = keys.refer(0, Key::new(b"b"), 20, 0);
        assert_eq!(keys.refer(0, Key::new(b"a"), 15, 0), (a, false));
        assert_ne!(keys.refer(1, Key::new(b"a"), 99, 0).0, a, "another system's key of the same name");
        keys.expire(0, 20);
        keys.sweep(3, |_| 20);
        assert_eq!((keys.len(), keys.find(0, Key::new(b"a")), keys.find(0, Key::new(b"b"))), (2, NO_SLOT, b));
        assert_eq!(keys.refer(0, Key::new(b"c"), 30, 0), (a, true), "a freed slot is used again");
    }
}
