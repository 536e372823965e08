//! The keys of one ring: partition key → slot, a small number under which the accumulators remember it.
//!
//! A key's last row is the only thing that keeps it: when that is older than any frame reaches, a hand that goes round
//! the slots, a few steps for each row that comes, frees it.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::census::Census;
use super::value::{Column, Value};

/// Number of a key's slot.
pub(super) type Slot = u32;

/// No slot: a key of which nothing is remembered.
pub(super) const NO_SLOT: Slot = u32::MAX;

const VACANT: u32 = u32::MAX;

/// All keys of one ring.
#[derive(Debug, Default)]
pub(super) struct Keys {
    hasher: DefaultHashBuilder,
    table: HashTable<Slot>,
    bytes: Vec<Box<[u8]>>,
    hashes: Vec<u64>,
    /// Lane of each slot's system; `VACANT` when the slot is free.
    lanes: Vec<u32>,
    /// Log time of the last row of each key.
    last: Vec<i64>,
    /// Number of the source of the last row of each key.
    sources: Vec<u16>,
    census: Census,
    free: Vec<Slot>,
    hand: usize,
    key_bytes: usize,
}

impl Keys {
    /// The slot of a key, if anything is remembered of it.
    pub(super) fn find(&self, lane: u32, key: &[u8]) -> Slot {
        self.lookup(lane, key, self.hasher.hash_one(key)).unwrap_or(NO_SLOT)
    }

    /// The slot of a key that has a row at `time`, and whether it is new.
    pub(super) fn refer(&mut self, lane: u32, key: &[u8], time: i64, source: u16) -> (Slot, bool) {
        let hash = self.hasher.hash_one(key);
        let found = self.lookup(lane, key, hash);
        let slot = found.unwrap_or_else(|| self.insert(lane, key, hash));
        let before = found.map(|slot| self.last[slot as usize]);
        self.census.count(lane, before, time);
        self.last[slot as usize] = time;
        self.sources[slot as usize] = source;
        (slot, found.is_none())
    }

    /// For how long a key matters after its last row; `None` for good. To be said before the first key comes.
    pub(super) fn reach(mut self, reach_ns: Option<i64>) -> Keys {
        self.census = Census::new(reach_ns);
        self
    }

    /// How many keys of a lane matter at a log time: a number that depends on the log alone, whatever the hand has freed.
    pub(super) fn living(&mut self, lane: u32, time: i64) -> usize {
        self.census.living(lane, time)
    }

    /// At least as many as the keys that matter in any one lane.
    pub(super) fn most_living(&self) -> usize {
        self.census.most()
    }

    /// No row of a lane comes any more before `time`.
    pub(super) fn expire(&mut self, lane: usize, time: i64) {
        self.census.expire(lane, time);
    }

    /// Number of the source of a key's last row.
    pub(super) fn source(&self, slot: Slot) -> u16 {
        self.sources[slot as usize]
    }

    /// Forgets a key before its time.
    pub(super) fn lose(&mut self, slot: Slot) {
        let index = slot as usize;
        self.census.forget(self.lanes[index], self.last[index]);
        self.remove(slot);
    }

    /// Slots of live keys, in ascending order.
    pub(super) fn live(&self) -> impl Iterator<Item = Slot> {
        (0..).zip(&self.lanes).filter(|(_, lane)| **lane != VACANT).map(|(slot, _)| slot)
    }

    pub(super) fn key(&self, slot: Slot) -> &[u8] {
        &self.bytes[slot as usize]
    }

    pub(super) fn lane(&self, slot: Slot) -> u32 {
        self.lanes[slot as usize]
    }

    /// Log time of its last row.
    pub(super) fn last(&self, slot: Slot) -> i64 {
        self.last[slot as usize]
    }

    /// Slots that have been given out, those that are free again included.
    pub(super) fn slots(&self) -> Slot {
        Slot::try_from(self.lanes.len()).expect("slots are numbered by 32 bits")
    }

    /// Live keys.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Bytes of keys and slots, without what accumulators remember.
    pub(super) fn bytes(&self) -> usize {
        let a_slot = size_of::<Box<[u8]>>() + size_of::<u64>() + size_of::<u32>() + size_of::<i64>() + size_of::<u16>();
        self.bytes.capacity() * a_slot + self.key_bytes + self.table.capacity() * (size_of::<Slot>() + 1)
    }

    /// Moves the hand on by `steps` slots and frees those whose last row is before `horizon(lane)`.
    pub(super) fn sweep(&mut self, steps: usize, horizon: impl Fn(u32) -> i64, mut freed: impl FnMut(Slot)) {
        for _ in 0..steps.min(self.lanes.len()) {
            self.hand = if self.hand + 1 < self.lanes.len() { self.hand + 1 } else { 0 };
            let lane = self.lanes[self.hand];
            let last = self.last[self.hand];
            if lane != VACANT && last < horizon(lane) && self.census.is_gone(lane, last) {
                let slot = Slot::try_from(self.hand).expect("slots are numbered by 32 bits");
                self.remove(slot);
                freed(slot);
            }
        }
    }

    fn lookup(&self, lane: u32, key: &[u8], hash: u64) -> Option<Slot> {
        let same = |slot: &Slot| {
            let slot = *slot as usize;
            self.hashes[slot] == hash && self.lanes[slot] == lane && *self.bytes[slot] == *key
        };
        self.table.find(hash, same).copied()
    }

    fn insert(&mut self, lane: u32, key: &[u8], hash: u64) -> Slot {
        self.key_bytes += key.len();
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = Slot::try_from(self.lanes.len()).ok().filter(|slot| *slot != NO_SLOT);
            self.bytes.push(Box::default());
            self.hashes.push(0);
            self.lanes.push(VACANT);
            self.last.push(i64::MIN);
            self.sources.push(0);
            slot.expect("slots are numbered by 32 bits")
        });
        let index = slot as usize;
        self.bytes[index] = key.into();
        self.hashes[index] = hash;
        self.lanes[index] = lane;
        let hashes = &self.hashes;
        self.table.insert_unique(hash, slot, |other| hashes[*other as usize]);
        slot
    }

    fn remove(&mut self, slot: Slot) {
        let index = slot as usize;
        if let Ok(entry) = self.table.find_entry(self.hashes[index], |other| *other == slot) {
            entry.remove();
        }
        self.key_bytes -= self.bytes[index].len();
        self.bytes[index] = Box::default();
        self.lanes[index] = VACANT;
        self.free.push(slot);
        if self.table.capacity() > 1024 && self.table.len() * 8 < self.table.capacity() {
            let hashes = &self.hashes;
            self.table.shrink_to(self.table.len() * 2, |other| hashes[*other as usize]);
        }
    }
}

/// Writes the key of a row: each column with its kind and length, so that different keys differ.
pub(super) fn write_key(columns: &[Column], row: usize, key: &mut Vec<u8>) {
    key.clear();
    for column in columns {
        if let Column::Text(texts) = column {
            match column.is_valid(row).then(|| texts.value(row)) {
                None => key.push(0),
                Some(text) => write_text(text, key),
            }
            continue;
        }
        match column.value(row) {
            None => key.push(0),
            Some(Value::Number(number)) => {
                key.push(2);
                key.extend_from_slice(&number.to_le_bytes());
            }
            Some(Value::Boolean(boolean)) => key.push(3 + u8::from(boolean)),
            Some(Value::Text(text)) => write_text(&text, key),
            Some(Value::List(_)) => key.push(5),
        }
    }
}

fn write_text(text: &str, key: &mut Vec<u8>) {
    key.push(1);
    key.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_as_long_as_its_last_row_is_in_reach() {
        let mut keys = Keys::default().reach(Some(0));
        let (a, new) = keys.refer(0, b"a", 10, 0);
        assert!(new);
        let (b, _) = keys.refer(0, b"b", 20, 0);
        assert_eq!(keys.refer(0, b"a", 15, 0), (a, false));
        assert_ne!(keys.refer(1, b"a", 99, 0).0, a, "another system's key of the same name");
        keys.expire(0, 20);
        keys.sweep(3, |_| 20, |freed| assert_eq!(freed, a));
        assert_eq!((keys.len(), keys.find(0, b"a"), keys.find(0, b"b")), (2, NO_SLOT, b));
        assert_eq!(keys.refer(0, b"c", 30, 0), (a, true), "a freed slot is used again");
    }
}
