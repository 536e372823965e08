//! Functions that show rows of the frame as they are: `array_agg` and `string_agg`. Those of a frame that
//! slides keep its values, since each may come to the front; those of a frame that only grows keep what they show.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Sliding;
use super::saved::{Reader, Writer};
use crate::window::value::Value;

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// The first so many, nulls among them, as a list.
    List(usize),
    /// The first so many that are not null, as one text.
    Joined(usize, Arc<str>),
}

/// What is kept of the rows in the frame.
#[derive(Debug)]
pub(super) struct RowsOfFrame {
    show: Show,
    /// Rows never leave.
    stays: bool,
    values: VecDeque<Option<Value>>,
    /// Bytes of the texts among them.
    text_bytes: usize,
}

impl RowsOfFrame {
    pub(super) fn new(show: Show, stays: bool) -> RowsOfFrame {
        RowsOfFrame { show, stays, values: VecDeque::new(), text_bytes: 0 }
    }

    fn takes(&self, value: Option<&Value>) -> bool {
        value.is_some() || !matches!(self.show, Show::Joined(..))
    }

    fn push(&mut self, value: Option<Value>) {
        self.text_bytes += text_bytes(value.as_ref());
        self.values.push_back(value);
    }

    fn pop(&mut self) {
        if let Some(value) = self.values.pop_front() {
            self.text_bytes -= text_bytes(value.as_ref());
        }
    }

    fn joined(&self, limit: usize, separator: &str) -> Value {
        let texts = self.values.iter().take(limit).filter_map(|value| match value {
            Some(Value::Text(text)) => Some(&**text),
            _ => None,
        });
        Value::Text(Arc::from(texts.collect::<Vec<_>>().join(separator)))
    }
}

fn text_bytes(value: Option<&Value>) -> usize {
    if let Some(Value::Text(text)) = value { text.len() + 2 * size_of::<usize>() } else { 0 }
}

impl Sliding for RowsOfFrame {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        let Some(value) = args.first().filter(|value| self.takes(value.as_ref())) else { return };
        let (Show::List(limit) | Show::Joined(limit, _)) = self.show;
        if !self.stays || self.values.len() < limit {
            self.push(value.clone());
        }
    }

    fn leave(&mut self, _time: i64, args: &[Option<Value>]) {
        if args.first().is_some_and(|value| self.takes(value.as_ref())) {
            self.pop();
        }
    }

    fn answer(&mut self, _time: i64) -> Result<Option<Value>, String> {
        Ok(match &self.show {
            _ if self.values.is_empty() => None,
            Show::List(limit) => Some(Value::List(self.values.iter().take(*limit).cloned().collect())),
            Show::Joined(limit, separator) => Some(self.joined(*limit, separator)),
        })
    }

    fn bytes(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<Option<Value>>() + self.text_bytes
    }

    fn save(&self) -> Vec<u8> {
        let writer = Writer::default().number(self.values.len() as u64);
        self.values.iter().fold(writer, |writer, value| writer.value(value.as_ref())).end()
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(saved);
        for _ in 0..reader.number::<usize>()? {
            let value = reader.value()?;
            self.push(value);
        }
        reader.end()
    }
}
