//! Accumulators: what a key remembers of the rows inside its frame. Rows enter and leave in order, each in O(1)
//! amortised; nothing drifts, since sums are 256-bit integers.

use std::collections::VecDeque;

use arrow::datatypes::{DataType, i256};
use hashbrown::HashMap;

use super::value::Value;

/// What is computed over a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Function {
    Count,
    CountDistinct,
    Sum,
    Average,
    Min,
    Max,
    /// First value in frame order; `lag` is the first value of a frame of one row.
    First,
    Last,
}

impl Function {
    /// Whether its state is O(1) a key when rows never leave.
    pub(crate) fn is_constant_size(self) -> bool {
        self != Function::CountDistinct
    }

    /// Whether it adds its arguments up.
    pub(crate) fn adds_up(self) -> bool {
        matches!(self, Function::Sum | Function::Average)
    }

    /// Whether a null argument is a value to it.
    pub(crate) fn respects_nulls(self) -> bool {
        matches!(self, Function::First | Function::Last)
    }
}

/// What one row brings to one function: nothing (filtered out, or a null that it ignores), or a value.
pub(crate) type Input = Option<Option<Value>>;

/// The state of one function for one key.
#[derive(Debug)]
pub(crate) enum Accumulator {
    Count(i64),
    Distinct(HashMap<Value, u64>),
    Sum {
        sum: i256,
        count: i64,
    },
    /// Candidates in order, each with the ordinal of its row; the front is the extreme.
    Extreme {
        candidates: VecDeque<(u64, Value)>,
        entered: u64,
        left: u64,
        is_max: bool,
    },
    Ends {
        values: VecDeque<Option<Value>>,
        keep_front: bool,
    },
}

impl Accumulator {
    pub(crate) fn new(function: Function) -> Accumulator {
        match function {
            Function::Count => Accumulator::Count(0),
            Function::CountDistinct => Accumulator::Distinct(HashMap::new()),
            Function::Sum | Function::Average => Accumulator::Sum { sum: i256::ZERO, count: 0 },
            Function::Min | Function::Max => Accumulator::Extreme {
                candidates: VecDeque::new(),
                entered: 0,
                left: 0,
                is_max: function == Function::Max,
            },
            Function::First => Accumulator::Ends { values: VecDeque::new(), keep_front: true },
            Function::Last => Accumulator::Ends { values: VecDeque::new(), keep_front: false },
        }
    }

    /// A row enters. `stays` says that rows never leave, so that only what can still matter is kept.
    pub(crate) fn enter(&mut self, input: &Input, stays: bool) {
        let Some(input) = input else { return };
        match (self, input) {
            (Accumulator::Count(count), _) => *count += 1,
            (Accumulator::Distinct(counts), Some(value)) => *counts.entry_ref(value).or_insert(0) += 1,
            (Accumulator::Sum { sum, count }, Some(Value::Number(number))) => {
                *sum = sum.wrapping_add(i256::from_i128(*number));
                *count += 1;
            }
            (Accumulator::Extreme { candidates, entered, is_max, .. }, Some(value)) => {
                let beaten = |other: &Value| if *is_max { other <= value } else { other >= value };
                while candidates.back().is_some_and(|(_, other)| beaten(other)) {
                    candidates.pop_back();
                }
                if !stays || candidates.is_empty() {
                    candidates.push_back((*entered, value.clone()));
                }
                *entered += 1;
            }
            (Accumulator::Ends { values, keep_front }, value) => {
                if stays && *keep_front && !values.is_empty() {
                    return;
                }
                if stays && !*keep_front {
                    values.clear();
                }
                values.push_back(value.clone());
            }
            _ => {}
        }
    }

    /// The oldest row leaves.
    pub(crate) fn leave(&mut self, input: &Input) {
        let Some(input) = input else { return };
        match (self, input) {
            (Accumulator::Count(count), _) => *count -= 1,
            (Accumulator::Distinct(counts), Some(value)) => {
                if let Some(count) = counts.get_mut(value) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(value);
                    }
                }
            }
            (Accumulator::Sum { sum, count }, Some(Value::Number(number))) => {
                *sum = sum.wrapping_sub(i256::from_i128(*number));
                *count -= 1;
            }
            (Accumulator::Extreme { candidates, left, .. }, Some(_)) => {
                if candidates.front().is_some_and(|(ordinal, _)| ordinal == left) {
                    candidates.pop_front();
                }
                *left += 1;
            }
            (Accumulator::Ends { values, .. }, _) => {
                values.pop_front();
            }
            _ => {}
        }
    }

    /// The answer for the frame as it stands.
    pub(crate) fn answer(&self, function: Function, argument: &DataType, output: &DataType) -> Option<Value> {
        match self {
            Accumulator::Count(count) => Some(Value::Number(i128::from(*count))),
            Accumulator::Distinct(counts) => Some(Value::Number(counts.len() as i128)),
            Accumulator::Sum { count: 0, .. } => None,
            Accumulator::Sum { sum, .. } if function == Function::Sum => Some(Value::Number(saturate(*sum))),
            Accumulator::Sum { sum, count } => Some(average(*sum, *count, argument, output)),
            Accumulator::Extreme { candidates, .. } => candidates.front().map(|(_, value)| value.clone()),
            Accumulator::Ends { values, keep_front: true } => values.front().cloned().flatten(),
            Accumulator::Ends { values, keep_front: false } => values.back().cloned().flatten(),
        }
    }
}

/// A sum never wraps: above 128 bits it holds at the end of the range, and the column's type saturates further.
fn saturate(sum: i256) -> i128 {
    sum.to_i128().unwrap_or(if sum.is_negative() { i128::MIN } else { i128::MAX })
}

/// Sum by count, truncated at the scale of the output. Only decimals come here: an average of integers is planned as one.
fn average(sum: i256, count: i64, argument: &DataType, output: &DataType) -> Value {
    let scale_of = |kind: &DataType| if let DataType::Decimal128(_, scale) = kind { *scale } else { 0 };
    let places = scale_of(output).saturating_sub(scale_of(argument)).max(0);
    let scale = i256::from_i128(10_i128.pow(u32::from(places.cast_unsigned())));
    let scaled = sum.checked_mul(scale).unwrap_or(sum);
    Value::Number(saturate(scaled.wrapping_div(i256::from_i128(i128::from(count)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: i128) -> Value {
        Value::Number(number)
    }

    fn slide(function: Function, numbers: &[i128], width: usize) -> Vec<Option<Value>> {
        let mut accumulator = Accumulator::new(function);
        let decimal = DataType::Decimal128(38, 0);
        let mut answers = Vec::new();
        for (row, entering) in numbers.iter().enumerate() {
            accumulator.enter(&Some(Some(number(*entering))), false);
            if row >= width {
                accumulator.leave(&Some(Some(number(numbers[row - width]))));
            }
            answers.push(accumulator.answer(function, &decimal, &decimal));
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
