//! Scalar functions that judge a value by its baseline. Differences of integers and decimals are exact and rounded once
//! to a float; the one or two operations after that are those of IEEE 754.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, i256};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::rational::{Wide, power_of_ten, quotient};
use crate::window::value::{Column, Value};

/// All of them.
pub(crate) fn scalars() -> Vec<ScalarUDF> {
    let score = |name, factor| {
        let signature = Signature::any(3, Volatility::Immutable);
        ScalarUDF::new_from_impl(Score { name, factor: Factor(factor), signature })
    };
    // The median absolute deviation of a normal distribution is 0.6745 standard deviations.
    vec![score("z_score", 1.0), score("outlier_score", 0.6745)]
}

/// `factor · (x − centre) / width`; null when anything is null or no number, or the width is not above zero.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Score {
    name: &'static str,
    factor: Factor,
    signature: Signature,
}

/// A float that is compared by its bits.
#[derive(Clone, Copy, Debug)]
struct Factor(f64);

impl PartialEq for Factor {
    fn eq(&self, other: &Factor) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Factor {}

impl std::hash::Hash for Factor {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl ScalarUDFImpl for Score {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.iter().find(|kind| !is_number(kind)) {
            None => Ok(DataType::Float64),
            Some(kind) => Err(DataFusionError::Plan(format!("{} takes three numbers, not a {kind}", self.name))),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let operand = |value: &ColumnarValue| Operand::read(&value.clone().into_array(args.number_rows)?);
        let operands = args.args.iter().map(operand).collect::<Result<Vec<Operand>>>()?;
        let [value, centre, width] = operands.as_slice() else {
            return Err(DataFusionError::Plan(format!("{} takes three numbers", self.name)));
        };
        let scores = (0..args.number_rows).map(|row| self.score(value.at(row)?, centre.at(row)?, width.at(row)?));
        Ok(ColumnarValue::Array(Arc::new(scores.collect::<Float64Array>())))
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating() || matches!(kind, DataType::Decimal128(_, 0..) | DataType::Null)
}

impl Score {
    fn score(&self, value: Number, centre: Number, width: Number) -> Option<f64> {
        let width = width.as_float();
        let score = self.factor.0 * difference(value, centre) / width;
        (width > 0.0 && !score.is_nan()).then(|| score.clamp(f64::MIN, f64::MAX))
    }
}

/// A column of numbers.
enum Operand {
    Exact(Column, u32),
    Float(Float64Array),
}

/// One of them.
#[derive(Clone, Copy)]
enum Number {
    /// Units and decimal places.
    Exact(i128, u32),
    Float(f64),
}

impl Operand {
    fn read(array: &ArrayRef) -> Result<Operand> {
        Ok(match array.data_type() {
            kind if kind.is_floating() => {
                Operand::Float(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            DataType::Decimal128(_, scale) => Operand::Exact(Column::read(array)?, u32::from(scale.unsigned_abs())),
            _ => Operand::Exact(Column::read(array)?, 0),
        })
    }

    fn at(&self, row: usize) -> Option<Number> {
        match self {
            Operand::Exact(column, scale) => match column.value(row) {
                Some(Value::Number(units)) => Some(Number::Exact(units, *scale)),
                _ => None,
            },
            Operand::Float(array) => array.is_valid(row).then(|| Number::Float(array.value(row))),
        }
    }
}

impl Number {
    fn as_float(self) -> f64 {
        match self {
            Number::Exact(units, scale) => decimal(i256::from_i128(units), scale),
            Number::Float(float) => float,
        }
    }
}

fn difference(left: Number, right: Number) -> f64 {
    match (left, right) {
        (Number::Exact(left, left_scale), Number::Exact(right, right_scale)) => {
            let scale = left_scale.max(right_scale);
            let at_scale =
                |units, own: u32| i256::from_i128(units).wrapping_mul(i256::from_i128(10_i128.pow(scale - own)));
            decimal(at_scale(left, left_scale).wrapping_sub(at_scale(right, right_scale)), scale)
        }
        _ => left.as_float() - right.as_float(),
    }
}

/// `units / 10^scale`, rounded once.
fn decimal(units: i256, scale: u32) -> f64 {
    let magnitude = quotient(Wide::from_le_slice(&units.wrapping_abs().to_le_bytes()), power_of_ten(scale));
    if units.is_negative() { -magnitude } else { magnitude }
}
