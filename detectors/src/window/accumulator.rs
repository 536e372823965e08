//! The functions of [`super::state`] as objects, one a key, for `ROWS` frames.

use std::collections::VecDeque;

use arrow::datatypes::{DataType, i256};
use hashbrown::HashMap;

use super::operator_plan::{Call, Function};
use super::state::{average, saturate};
use super::stored::Stored;
use super::value::Value;
use crate::aggregate::Sliding;

/// What one key remembers of its last rows for one function.
#[derive(Debug)]
pub(super) struct Accumulator {
    state: State,
    /// Whether rows leave; where they do not, only what can still matter is kept.
    leaves: bool,
}

#[derive(Debug)]
enum State {
    Count(i64),
    Distinct(HashMap<Value, u64>),
    Sum {
        sum: i256,
        count: i64,
        average: Option<(DataType, DataType)>,
    },
    /// Candidates in order, each with the ordinal of its row; the front is the extreme.
    Extreme {
        candidates: VecDeque<(u64, Value)>,
        entered: u64,
        left: u64,
        is_max: bool,
    },
    Nth {
        values: VecDeque<Option<Value>>,
        nth: usize,
    },
    Last {
        values: VecDeque<Option<Value>>,
    },
}

impl Accumulator {
    pub(super) fn new(call: &Call, leaves: bool) -> Accumulator {
        let extreme = |is_max| State::Extreme { candidates: VecDeque::new(), entered: 0, left: 0, is_max };
        let sum = |average| State::Sum { sum: i256::ZERO, count: 0, average };
        let state = match &call.function {
            Function::CountDistinct => State::Distinct(HashMap::new()),
            Function::Sum => sum(None),
            Function::Average => sum(Some((call.arguments[0].clone(), call.output.clone()))),
            Function::Min => extreme(false),
            Function::Max => extreme(true),
            Function::Nth(nth) => State::Nth { values: VecDeque::new(), nth: *nth },
            Function::Last => State::Last { values: VecDeque::new() },
            Function::Count | Function::Other(_) => State::Count(0),
        };
        Accumulator { state, leaves }
    }
}

impl Sliding for Accumulator {
    fn enter(&mut self, _: i64, arguments: &[Option<Value>]) {
        let leaves = self.leaves;
        match (&mut self.state, &arguments[0]) {
            (State::Count(count), _) => *count += 1,
            (State::Distinct(counts), Some(value)) => *counts.entry_ref(value).or_insert(0) += 1,
            (State::Sum { sum, count, .. }, Some(Value::Number(number))) => {
                *sum = sum.wrapping_add(i256::from_i128(*number));
                *count += 1;
            }
            (State::Extreme { candidates, entered, is_max, .. }, Some(value)) => {
                let beaten = |other: &Value| if *is_max { other <= value } else { other >= value };
                while candidates.back().is_some_and(|(_, other)| beaten(other)) {
                    candidates.pop_back();
                }
                if leaves || candidates.is_empty() {
                    candidates.push_back((*entered, value.clone()));
                }
                *entered += 1;
            }
            (State::Nth { values, nth }, value) if leaves || values.len() <= *nth => values.push_back(value.clone()),
            (State::Last { values }, value) => {
                if !leaves {
                    values.clear();
                }
                values.push_back(value.clone());
            }
            _ => {}
        }
    }

    fn leave(&mut self, _: i64, arguments: &[Option<Value>]) {
        match (&mut self.state, &arguments[0]) {
            (State::Count(count), _) => *count -= 1,
            (State::Distinct(counts), Some(value)) => {
                if let Some(count) = counts.get_mut(value) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(value);
                    }
                }
            }
            (State::Sum { sum, count, .. }, Some(Value::Number(number))) => {
                *sum = sum.wrapping_sub(i256::from_i128(*number));
                *count -= 1;
            }
            (State::Extreme { candidates, left, .. }, Some(_)) => {
                if candidates.front().is_some_and(|(ordinal, _)| ordinal == left) {
                    candidates.pop_front();
                }
                *left += 1;
            }
            (State::Nth { values, .. } | State::Last { values }, _) => {
                values.pop_front();
            }
            _ => {}
        }
    }

    fn answer(&mut self, _: i64) -> Result<Option<Value>, String> {
        Ok(match &self.state {
            State::Count(count) => Some(Value::Number(i128::from(*count))),
            State::Distinct(counts) => Some(Value::Number(counts.len() as i128)),
            State::Sum { count: 0, .. } => None,
            State::Sum { sum, average: None, .. } => Some(Value::Number(saturate(*sum))),
            State::Sum { sum, count, average: Some((argument, output)) } => {
                Some(Value::Number(average(*sum, *count, argument, output)))
            }
            State::Extreme { candidates, .. } => candidates.front().map(|(_, value)| value.clone()),
            State::Nth { values, nth } => values.get(*nth).cloned().flatten(),
            State::Last { values } => values.back().cloned().flatten(),
        })
    }

    fn bytes(&self) -> usize {
        size_of::<Accumulator>()
            + match &self.state {
                State::Count(_) | State::Sum { .. } => 0,
                State::Distinct(counts) => counts.capacity() * size_of::<(Value, u64)>(),
                State::Extreme { candidates, .. } => candidates.capacity() * size_of::<(u64, Value)>(),
                State::Nth { values, .. } | State::Last { values } => values.capacity() * size_of::<Option<Value>>(),
            }
    }

    /// Of a function whose rows never leave; of others the rows rebuild it.
    fn save(&self) -> Vec<u8> {
        let mut saved = Vec::new();
        match &self.state {
            State::Count(count) => count.store(&mut saved),
            State::Distinct(_) => {}
            State::Sum { sum, count, .. } => (*sum, *count).store(&mut saved),
            State::Extreme { candidates, .. } => {
                candidates.front().map(|(_, value)| value.clone()).store(&mut saved);
            }
            State::Nth { values, .. } | State::Last { values } => {
                values.iter().cloned().collect::<Vec<Option<Value>>>().store(&mut saved);
            }
        }
        saved
    }

    fn load(&mut self, mut saved: &[u8]) -> Result<(), String> {
        let saved = &mut saved;
        let loaded = match &mut self.state {
            State::Count(count) => i64::recall(saved).map(|saved| *count = saved),
            State::Distinct(_) => Ok(()),
            State::Sum { sum, count, .. } => <(i256, i64)>::recall(saved).map(|saved| (*sum, *count) = saved),
            State::Extreme { candidates, .. } => Option::<Value>::recall(saved)
                .map(|value| *candidates = value.map(|value| (0, value)).into_iter().collect()),
            State::Nth { values, .. } | State::Last { values } => {
                Vec::<Option<Value>>::recall(saved).map(|saved| *values = saved.into())
            }
        };
        loaded.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: i128) -> Value {
        Value::Number(number)
    }

    fn slide(function: Function, numbers: &[i128], width: usize) -> Vec<Option<Value>> {
        let decimal = DataType::Decimal128(38, 0);
        let call = Call {
            function,
            counts_nulls: false,
            ignore_nulls: false,
            arguments: vec![decimal.clone()],
            output: decimal,
            enough: None,
            rejected_at: None,
            is_deadline: false,
            column: 0,
        };
        let mut accumulator = Accumulator::new(&call, true);
        let mut answers = Vec::new();
        for (row, entering) in numbers.iter().enumerate() {
            accumulator.enter(0, &[Some(number(*entering))]);
            if row >= width {
                accumulator.leave(0, &[Some(number(numbers[row - width]))]);
            }
            answers.push(accumulator.answer(0).unwrap());
        }
        answers
    }

    #[test]
    fn a_sliding_sum_does_not_drift() {
        let answers = slide(Function::Sum, &[10_000_000_000_000_000, 1, 1], 2);
        assert_eq!(answers[2], Some(Value::Number(2)));
    }

    #[test]
    fn a_sum_saturates_and_comes_back() {
        let largest = keywatch_store::amount::AMOUNT_MAX;
        let answers = slide(Function::Sum, &[largest, largest, largest, 0, 0, 5], 3);
        assert_eq!(answers[5], Some(Value::Number(5)));
        assert!(answers[2] > Some(Value::Number(largest)));
    }

    #[test]
    fn extremes_follow_the_frame() {
        let max: Vec<Option<Value>> = slide(Function::Max, &[3, 1, 2, 0, 0], 2);
        assert_eq!(max, [3, 3, 2, 2, 0].map(|max| Some(Value::Number(max))));
        let min: Vec<Option<Value>> = slide(Function::Min, &[1, 1, 2, 3, 3], 2);
        assert_eq!(min, [1, 1, 1, 2, 3].map(|min| Some(Value::Number(min))));
    }
}
