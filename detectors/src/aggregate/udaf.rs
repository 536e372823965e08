//! The functions of this room as DataFusion aggregates, so that SQL binds to them: with integers and decimals as they
//! are, never coerced to floats, and with answers of types that compare exactly.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

use super::decayed::COUNT_SCALE;
use super::registry::sliding;
use super::stock::StockAccumulator;

/// Names, each with the other names of the same function.
const NAMES: [(&str, &[&str]); 15] = [
    ("var", &["var_samp", "var_sample"]),
    ("var_pop", &["var_population"]),
    ("stddev", &["stddev_samp"]),
    ("stddev_pop", &[]),
    ("bool_and", &[]),
    ("bool_or", &[]),
    ("array_agg", &[]),
    ("string_agg", &[]),
    ("decayed_count", &[]),
    ("decayed_rate", &[]),
    ("decayed_mean", &[]),
    ("decayed_stddev", &[]),
    ("quantile", &[]),
    ("first_seen", &[]),
    ("last_seen", &[]),
];

/// All of them.
pub(crate) fn udafs() -> Vec<AggregateUDF> {
    let all = NAMES.iter().map(|(name, others)| {
        AggregateUDF::new_from_impl(Aggregate {
            name,
            aliases: others.iter().map(|other| (*other).to_owned()).collect(),
            signature: Signature::variadic_any(Volatility::Immutable),
        })
    });
    all.collect()
}

/// One function. Which arguments it takes is told by `registry`, in better words than a signature has.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Aggregate {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let argument = arguments.first().unwrap_or(&DataType::Null);
        Ok(match self.name {
            "bool_and" | "bool_or" => DataType::Boolean,
            "array_agg" => DataType::List(Arc::new(Field::new_list_field(argument.clone(), true))),
            "string_agg" => DataType::Utf8,
            "decayed_count" | "decayed_rate" => DataType::Decimal128(19 + COUNT_SCALE, COUNT_SCALE.cast_signed()),
            "decayed_mean" => mean_type(argument),
            "quantile" | "first_seen" | "last_seen" => argument.clone(),
            _ => DataType::Float64,
        })
    }

    /// The answer over a frame without rows.
    fn default_value(&self, output: &DataType) -> Result<ScalarValue> {
        if matches!(self.name, "decayed_count" | "decayed_rate") {
            return ScalarValue::new_zero(output);
        }
        ScalarValue::try_from(output)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        stock(self.name, &args, true)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        stock(self.name, &args, false)
    }
}

fn stock(name: &str, args: &AccumulatorArgs, stays: bool) -> Result<Box<dyn Accumulator>> {
    let types: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
    let literals: Vec<Option<ScalarValue>> = args.exprs.iter().map(|expr| literal(expr.as_ref())).collect();
    let made = sliding(name, args.is_distinct, &types, &literals, args.return_type());
    let factory = made
        .ok_or_else(|| DataFusionError::Plan(format!("there is no aggregate `{name}`")))?
        .map_err(|(construct, instead)| DataFusionError::Plan(format!("{construct}: {instead}")))?;
    let is_literal = literals.iter().map(Option::is_some).collect();
    Ok(Box::new(StockAccumulator::new(&factory, stays, is_literal, args.return_type().clone())))
}

fn literal(expr: &dyn PhysicalExpr) -> Option<ScalarValue> {
    expr.downcast_ref::<Literal>().map(|literal| literal.value().clone())
}

/// Six more places as far as 38 digits allow, never at the cost of digits before the point: the mean of values is
/// compared with such values without overflow.
fn mean_type(argument: &DataType) -> DataType {
    match argument {
        DataType::Decimal128(precision, scale) => {
            let places = 38_u8.saturating_sub(*precision).min(6);
            DataType::Decimal128(precision + places, scale.saturating_add_unsigned(places))
        }
        _ => DataType::Decimal128(20 + 6, 6),
    }
}
