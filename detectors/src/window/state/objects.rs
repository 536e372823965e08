//! Everything else: one object a key, which rows enter and leave.

use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::inputs::Inputs;
use super::{Accumulate, Answers, At, cell_mut, failed, open_cell};
use crate::aggregate::{Factory, Sliding};
use crate::window::keys::Slot;
use crate::window::stored::{damaged, from_bytes, to_bytes};
use crate::window::value::Value;

/// The objects of a function that has no state of its own kind.
#[derive(Debug)]
pub(in crate::window) struct Objects {
    factory: Arc<Factory>,
    of_slots: Vec<Option<Box<dyn Sliding>>>,
    pub(super) inputs: Inputs<Box<[Option<Value>]>>,
}

impl Objects {
    pub(super) fn new(factory: Arc<Factory>, keeps: bool) -> Objects {
        Objects { factory, of_slots: Vec::new(), inputs: Inputs::new(keeps) }
    }

    fn object(&mut self, slot: Slot) -> &mut dyn Sliding {
        let stays = !self.inputs.keeps();
        self.of_slots[slot as usize].get_or_insert_with(|| self.factory.fresh(stays)).as_mut()
    }
}

impl Accumulate for Objects {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.of_slots, slot);
    }

    fn enter(&mut self, lane: usize, slot: Slot, time: i64) {
        if self.inputs.keeps() {
            let number = self.inputs.enter(lane);
            let object = self.of_slots[slot as usize].get_or_insert_with(|| self.factory.fresh(false));
            object.enter(time, self.inputs.get(lane, number));
        } else {
            let arguments = self.inputs.enter_and_take(lane);
            self.object(slot).enter(time, &arguments);
        }
    }

    fn leave(&mut self, lane: usize, slot: Slot, time: i64) {
        let (_, arguments) = self.inputs.leave(lane);
        self.object(slot).leave(time, &arguments);
    }

    fn answer(&mut self, _: usize, slot: Slot, at: At, answers: &mut Answers) -> Result<()> {
        let answer = match cell_mut(&mut self.of_slots, slot).and_then(Option::as_mut) {
            Some(object) => object.answer(at.time),
            None => self.factory.fresh(!self.inputs.keeps()).answer(at.time),
        };
        answers.value(answer.map_err(failed)?);
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        let object = |slot: &Slot| self.of_slots[*slot as usize].as_ref();
        let cells = slots.iter().map(|slot| object(slot).map(|object| object.save()).into_iter().collect::<Vec<_>>());
        to_bytes(cells.collect::<Vec<Vec<Vec<u8>>>>().iter())
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        let cells: Vec<Vec<Vec<u8>>> = from_bytes(cells)?;
        let load = |saved: Vec<Vec<u8>>| {
            let load = |saved: Vec<u8>| {
                let mut object = self.factory.fresh(true);
                object.load(&saved).map_err(|problem| damaged(&problem))?;
                Ok(object)
            };
            saved.into_iter().next().map(load).transpose()
        };
        self.of_slots = cells.into_iter().map(load).collect::<Result<_>>()?;
        Ok(())
    }

    save_inputs_as_they_are!();

    fn bytes(&self) -> usize {
        let objects: usize = self.of_slots.iter().flatten().map(|object| object.bytes()).sum();
        self.of_slots.capacity() * size_of::<Option<Box<dyn Sliding>>>() + objects + self.inputs.bytes()
    }
}
