//! `bool_and` and `bool_or` over a frame: how many were true and how many false. Nulls are ignored.

use super::Sliding;
use super::saved::{Reader, Writer};
use crate::window::value::Value;

/// What is kept of the rows in the frame.
#[derive(Debug)]
pub(super) struct Truth {
    /// Whether all must be true, else any.
    all: bool,
    yes: u64,
    no: u64,
}

impl Truth {
    pub(super) fn new(all: bool) -> Truth {
        Truth { all, yes: 0, no: 0 }
    }

    fn count(&mut self, args: &[Option<Value>]) -> Option<&mut u64> {
        match args {
            [Some(Value::Boolean(true))] => Some(&mut self.yes),
            [Some(Value::Boolean(false))] => Some(&mut self.no),
            _ => None,
        }
    }
}

impl Sliding for Truth {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        if let Some(count) = self.count(args) {
            *count += 1;
        }
    }

    fn leave(&mut self, _time: i64, args: &[Option<Value>]) {
        if let Some(count) = self.count(args) {
            *count -= 1;
        }
    }

    fn answer(&mut self, _time: i64) -> Result<Option<Value>, String> {
        let truth = if self.all { self.no == 0 } else { self.yes > 0 };
        Ok((self.yes + self.no > 0).then_some(Value::Boolean(truth)))
    }

    fn bytes(&self) -> usize {
        size_of_val(self)
    }

    fn save(&self) -> Vec<u8> {
        Writer::default().number(self.yes).number(self.no).end()
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(saved);
        (self.yes, self.no) = (reader.number()?, reader.number()?);
        reader.end()
    }
}
