//! `count(DISTINCT)`: one table of (key, value) for all keys of the ring, and for each key how many of them are inside.

use std::hash::BuildHasher;

use arrow::array::ArrayRef;
use datafusion::error::Result;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::inputs::Inputs;
use super::{Accumulate, Answers, At, cell, open_cell};
use crate::window::keys::Slot;
use crate::window::stored::{from_bytes, to_bytes};
use crate::window::value::Value;

/// Different values of each key that are inside.
#[derive(Debug)]
pub(in crate::window) struct Distinct {
    inside_of: Vec<i64>,
    /// Rows refer to their value by its entry.
    inputs: Inputs<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

/// One value of one key.
#[derive(Debug)]
struct Entry {
    slot: Slot,
    value: Option<Value>,
    /// Rows with it that are remembered, and those of them that are inside.
    rows: u32,
    inside: u32,
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct {
            inside_of: Vec::new(),
            inputs: Inputs::new(true),
            entries: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Distinct {
    pub(super) fn admit(&mut self, lane: usize, slot: Slot, value: Option<Value>) {
        let hash = self.hasher.hash_one((slot, &value));
        let entries = &self.entries;
        let same = |id: &u32| entries[*id as usize].slot == slot && entries[*id as usize].value == value;
        let id = match self.table.find(hash, same) {
            Some(id) => *id,
            None => self.insert(hash, Entry { slot, value, rows: 0, inside: 0 }),
        };
        self.entries[id as usize].rows += 1;
        self.inputs.admit(lane, id);
    }

    fn insert(&mut self, hash: u64, entry: Entry) -> u32 {
        let id = if let Some(id) = self.free.pop() {
            self.entries[id as usize] = entry;
            id
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).expect("fewer values than rows, and those are limited")
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |id: &u32| hasher.hash_one((entries[*id as usize].slot, &entries[*id as usize].value));
        self.table.insert_unique(hash, id, hash_of);
        id
    }

    fn release(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        entry.rows -= 1;
        if entry.rows == 0 {
            let hash = self.hasher.hash_one((entry.slot, &entry.value));
            entry.value = None;
            if let Ok(found) = self.table.find_entry(hash, |other| *other == id) {
                found.remove();
            }
            self.free.push(id);
        }
    }
}

impl Accumulate for Distinct {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.inside_of, slot);
    }

    fn enter(&mut self, lane: usize, slot: Slot, _: i64) {
        let number = self.inputs.enter(lane);
        let entry = &mut self.entries[*self.inputs.get(lane, number) as usize];
        entry.inside += 1;
        self.inside_of[slot as usize] += i64::from(entry.inside == 1);
    }

    fn leave(&mut self, lane: usize, slot: Slot, _: i64) {
        let (_, id) = self.inputs.leave(lane);
        let entry = &mut self.entries[id as usize];
        entry.inside -= 1;
        self.inside_of[slot as usize] -= i64::from(entry.inside == 0);
        self.release(id);
    }

    fn answer(&mut self, _: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        answers.number(cell(&self.inside_of, slot).copied().unwrap_or(0));
        Ok(())
    }

    fn save_cells(&self, _: &[Slot]) -> ArrayRef {
        to_bytes::<u8>(std::iter::empty())
    }

    fn load_cells(&mut self, _: &ArrayRef) -> Result<()> {
        Ok(())
    }

    fn save_inputs(&self) -> Option<(Vec<u32>, ArrayRef)> {
        let (lanes, ids) = self.inputs.items();
        let values = ids.into_iter().map(|id| &self.entries[*id as usize].value);
        Some((lanes, to_bytes(values)))
    }

    fn load_inputs(&mut self, lanes: &[u32], slots: &[Slot], values: &ArrayRef) -> Result<()> {
        for ((lane, slot), value) in lanes.iter().zip(slots).zip(from_bytes::<Option<Value>>(values)?) {
            self.admit(*lane as usize, *slot, value);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let texts =
            self.entries.iter().map(|entry| if let Some(Value::Text(text)) = &entry.value { text.len() } else { 0 });
        self.inside_of.capacity() * size_of::<i64>()
            + self.inputs.bytes()
            + self.entries.capacity() * size_of::<Entry>()
            + self.table.capacity() * (size_of::<u32>() + 1)
            + texts.sum::<usize>()
    }
}
