//! `first_seen` and `last_seen`: when a key was seen for the first and the last time, for ever.

use super::Sliding;
use super::saved::{Reader, Writer};
use crate::window::value::Value;

/// The earliest or the latest of the times.
#[derive(Debug)]
pub(super) struct Seen {
    is_last: bool,
    time: Option<i64>,
}

impl Seen {
    pub(super) fn new(is_last: bool) -> Seen {
        Seen { is_last, time: None }
    }
}

impl Sliding for Seen {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        let [Some(Value::Number(time))] = args else { return };
        let Ok(time) = i64::try_from(*time) else { return };
        let known = self.time.unwrap_or(time);
        self.time = Some(if self.is_last { known.max(time) } else { known.min(time) });
    }

    fn leave(&mut self, _time: i64, _args: &[Option<Value>]) {}

    fn answer(&mut self, _time: i64) -> Result<Option<Value>, String> {
        Ok(self.time.map(|time| Value::Number(i128::from(time))))
    }

    fn bytes(&self) -> usize {
        size_of_val(self)
    }

    fn save(&self) -> Vec<u8> {
        Writer::default().value(self.time.map(|time| Value::Number(i128::from(time))).as_ref()).end()
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(saved);
        self.time = match reader.value()? {
            Some(Value::Number(time)) => Some(i64::try_from(time).map_err(|error| error.to_string())?),
            _ => None,
        };
        reader.end()
    }
}
