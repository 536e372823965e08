//! A function whose answer matters to nobody: what its frame decides is known otherwise ([`crate::window::early`]).

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::{Accumulate, Answers, At};
use crate::window::keys::Slot;
use crate::window::stored::to_bytes;

/// Remembers nothing, and answers null.
#[derive(Debug, Default)]
pub(in crate::window) struct Unasked;

impl Accumulate for Unasked {
    fn open(&mut self, _: Slot) {}

    fn enter(&mut self, _: usize, _: Slot, _: i64) {}

    fn leave(&mut self, _: usize, _: Slot, _: i64) {}

    fn answer(&mut self, _: usize, _: Slot, _: At, answers: &mut Answers) -> Result<()> {
        answers.value(None);
        Ok(())
    }

    fn bytes(&self) -> usize {
        0
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        to_bytes(slots.iter().map(|_| &0_u8))
    }

    fn load_cells(&mut self, _: &ArrayRef) -> Result<()> {
        Ok(())
    }
}
