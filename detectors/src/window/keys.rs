//! The keys of one group: partition key → what is remembered of it. A key vanishes when nothing refers to it any more.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::accumulator::{Accumulator, Input};

/// Index of a key's slot.
pub(crate) type KeyId = usize;

/// What is remembered of one key.
#[derive(Debug)]
pub(crate) struct Slot {
    bytes: Box<[u8]>,
    hash: u64,
    references: usize,
    pub(crate) accumulators: Vec<Accumulator>,
    /// Rows of a `ROWS` frame and how many of them, from the front, have entered.
    pub(crate) ring: VecDeque<Box<[Input]>>,
    pub(crate) entered: usize,
}

/// All keys of one group.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    hasher: DefaultHashBuilder,
    table: HashTable<KeyId>,
    slots: Vec<Option<Slot>>,
    free: Vec<KeyId>,
}

impl Keys {
    /// Finds or makes the slot of `bytes` and counts one more reference to it.
    pub(crate) fn refer(&mut self, bytes: &[u8], fresh: impl FnOnce() -> Vec<Accumulator>) -> KeyId {
        let hash = self.hasher.hash_one(bytes);
        let slots = &self.slots;
        let same = |id: &KeyId| slots[*id].as_ref().is_some_and(|slot| *slot.bytes == *bytes);
        let id = match self.table.find(hash, same) {
            Some(id) => *id,
            None => self.insert(bytes, hash, fresh()),
        };
        self.slot(id).references += 1;
        id
    }

    /// Gives one reference back; the key is freed with its last.
    pub(crate) fn release(&mut self, id: KeyId) {
        let slot = self.slot(id);
        slot.references -= 1;
        if slot.references > 0 {
            return;
        }
        let hash = slot.hash;
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.slots[id] = None;
        self.free.push(id);
    }

    /// The slot of a key that is referred to.
    pub(crate) fn slot(&mut self, id: KeyId) -> &mut Slot {
        self.slots[id].as_mut().expect("a key that is referred to has a slot")
    }

    /// Live keys.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    fn insert(&mut self, bytes: &[u8], hash: u64, accumulators: Vec<Accumulator>) -> KeyId {
        let slot = Slot { bytes: bytes.into(), hash, references: 0, accumulators, ring: VecDeque::new(), entered: 0 };
        let id = if let Some(id) = self.free.pop() {
            self.slots[id] = Some(slot);
            id
        } else {
            self.slots.push(Some(slot));
            self.slots.len() - 1
        };
        let slots = &self.slots;
        self.table.insert_unique(hash, id, |other| slots[*other].as_ref().map_or(0, |slot| slot.hash));
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_lives_as_long_as_it_is_referred_to() {
        let mut keys = Keys::default();
        let a = keys.refer(b"a", Vec::new);
        let b = keys.refer(b"b", Vec::new);
        assert_eq!(keys.refer(b"a", Vec::new), a);
        assert_ne!(a, b);
        keys.release(a);
        assert_eq!(keys.len(), 2);
        keys.release(a);
        assert_eq!(keys.len(), 1);
        assert_eq!(keys.refer(b"c", Vec::new), a, "a freed slot is used again");
    }
}
