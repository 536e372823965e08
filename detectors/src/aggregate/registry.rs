//! A call as it is written → what computes it. What cannot be computed exactly, or not in bounded state, is refused
//! here, with what to write instead.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;

use super::decayed::{DecayedCount, DecayedMoments, Moment};
use super::moments::{Moments, Spread};
use super::quantile::{Quantile, RANK_ONE};
use super::rows::{RowsOfFrame, Show};
use super::seen::Seen;
use super::truth::Truth;
use super::{Factory, Refusal};
use crate::limits::{FRAME_ROWS_SHOWN_MAX, HALF_LIFE_NS_MAX, HALF_LIFE_NS_MIN};

/// One call: its name, and of each argument the type and, where the SQL has one, the literal.
struct Call<'a> {
    name: &'a str,
    types: &'a [DataType],
    literals: &'a [Option<ScalarValue>],
}

/// What computes a call of that name; `None` when it is not a function of this room. `literals[i]` is argument `i`
/// when it stands in the SQL as a literal, `output` the type that the call was bound to.
pub(crate) fn sliding(
    name: &str,
    distinct: bool,
    argument_types: &[DataType],
    literals: &[Option<ScalarValue>],
    output: &DataType,
) -> Option<Result<Factory, Refusal>> {
    let name = name.to_ascii_lowercase();
    let call = Call { name: &name, types: argument_types, literals };
    let made = match name.as_str() {
        "var" | "var_samp" | "var_sample" => call.spread(false, true),
        "var_pop" | "var_population" => call.spread(false, false),
        "stddev" | "stddev_samp" => call.spread(true, true),
        "stddev_pop" => call.spread(true, false),
        "bool_and" => call.truth(true),
        "bool_or" => call.truth(false),
        "array_agg" => call.array_agg(),
        "string_agg" => call.string_agg(),
        "decayed_count" => call.decayed_count(false),
        "decayed_rate" => call.decayed_count(true),
        "decayed_mean" => call.decayed_mean(output),
        "decayed_stddev" => call.decayed_stddev(),
        "quantile" => call.quantile(),
        "first_seen" => call.seen(false),
        "last_seen" => call.seen(true),
        "approx_distinct" => refuse("approx_distinct", APPROX_DISTINCT),
        _ => return None,
    };
    let is_indifferent = matches!(name.as_str(), "bool_and" | "bool_or" | "first_seen" | "last_seen");
    if distinct && !is_indifferent {
        return Some(refuse(&format!("{name}(DISTINCT …)"), "leave DISTINCT out: all rows of the frame count"));
    }
    Some(made)
}

const APPROX_DISTINCT: &str = "its estimate needs logarithms, which differ between machines: write count(DISTINCT x) over RANGE BETWEEN INTERVAL '…' PRECEDING AND CURRENT ROW";
const HALF_LIFE: &str = "write it as a literal between a second and 400 days, e.g. INTERVAL '7 days'";

fn refuse<T>(construct: &str, instead: &str) -> Result<T, Refusal> {
    Err((construct.to_owned(), instead.to_owned()))
}

impl Call<'_> {
    fn refuse<T>(&self, what: &str, instead: &str) -> Result<T, Refusal> {
        refuse(&format!("{} {what}", self.name), instead)
    }

    fn expect_arguments(&self, counts: &[usize], usage: &str) -> Result<(), Refusal> {
        if counts.contains(&self.types.len()) {
            return Ok(());
        }
        self.refuse(&format!("with {} arguments", self.types.len()), &format!("write {usage}"))
    }

    /// Decimal places of the argument at `index`, which must be an integer or a decimal.
    fn scale(&self, index: usize) -> Result<i8, Refusal> {
        match &self.types[index] {
            DataType::Decimal128(_, scale) => Ok(*scale),
            DataType::Null => Ok(0),
            kind if kind.is_integer() => Ok(0),
            kind if kind.is_floating() => self.refuse(
                "of floating-point numbers",
                "floats drift and differ between machines: CAST the argument to DECIMAL(38, 6) first",
            ),
            kind => self.refuse(&format!("of values of type {kind}"), "take integers or decimals"),
        }
    }

    fn scale_of_places(&self, index: usize) -> Result<u32, Refusal> {
        match u32::try_from(self.scale(index)?) {
            Ok(scale) => Ok(scale),
            Err(_) => self.refuse("of a decimal with a negative scale", "CAST the argument to DECIMAL(38, 0)"),
        }
    }

    fn expect_time(&self, index: usize) -> Result<(), Refusal> {
        match &self.types[index] {
            DataType::Timestamp(TimeUnit::Nanosecond, _) | DataType::Null => Ok(()),
            kind => self.refuse(&format!("with a time of type {kind}"), "take the events' own `time`"),
        }
    }

    fn literal(&self, index: usize) -> Option<&ScalarValue> {
        self.literals.get(index)?.as_ref().filter(|literal| !literal.is_null())
    }

    fn half_life(&self, index: usize) -> Result<u64, Refusal> {
        let ns = self.literal(index).and_then(nanoseconds);
        match ns.filter(|ns| (HALF_LIFE_NS_MIN..=HALF_LIFE_NS_MAX).contains(ns)) {
            Some(ns) => Ok(ns.unsigned_abs()),
            None => self.refuse("with a half-life that is no such literal", HALF_LIFE),
        }
    }

    fn limit(&self, index: usize) -> Result<usize, Refusal> {
        let limit = self.literal(index).and_then(whole).and_then(|limit| usize::try_from(limit).ok());
        match limit.filter(|limit| (1..=FRAME_ROWS_SHOWN_MAX).contains(limit)) {
            Some(limit) => Ok(limit),
            None => self.refuse(
                "without a literal limit",
                &format!("give as the last argument how many are shown at most, 1 to {FRAME_ROWS_SHOWN_MAX}"),
            ),
        }
    }

    fn spread(&self, is_root: bool, is_sample: bool) -> Result<Factory, Refusal> {
        self.expect_arguments(&[1], &format!("{}(x)", self.name))?;
        let scale = self.scale(0)?;
        let spread = Spread { is_root, is_sample };
        Ok(Factory::new(move |_| Box::new(Moments::new(spread, scale))))
    }

    fn truth(&self, all: bool) -> Result<Factory, Refusal> {
        self.expect_arguments(&[1], &format!("{}(condition)", self.name))?;
        match &self.types[0] {
            DataType::Boolean | DataType::Null => Ok(Factory::new(move |_| Box::new(Truth::new(all)))),
            kind => {
                self.refuse(&format!("of values of type {kind}"), "write a condition, e.g. bool_or(outcome = 'deny')")
            }
        }
    }

    fn array_agg(&self) -> Result<Factory, Refusal> {
        self.expect_arguments(&[2], "array_agg(x, limit), e.g. array_agg(session, 20)")?;
        let show = Show::List(self.limit(1)?);
        Ok(Factory::new(move |stays| Box::new(RowsOfFrame::new(show.clone(), stays))))
    }

    fn string_agg(&self) -> Result<Factory, Refusal> {
        self.expect_arguments(&[3], "string_agg(x, separator, limit), e.g. string_agg(session, ', ', 20)")?;
        if !matches!(self.types[0], DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null) {
            return self.refuse(&format!("of values of type {}", self.types[0]), "CAST the argument to TEXT first");
        }
        let Some(separator) = self.literal(1).and_then(|literal| literal.try_as_str().flatten()) else {
            return self.refuse("without a literal separator", "write it into the rule, e.g. ', '");
        };
        let show = Show::Joined(self.limit(2)?, Arc::from(separator));
        Ok(Factory::new(move |stays| Box::new(RowsOfFrame::new(show.clone(), stays))))
    }

    fn decayed_count(&self, is_rate: bool) -> Result<Factory, Refusal> {
        self.expect_arguments(&[2, 3], &format!("{}(time, INTERVAL '7 days')", self.name))?;
        self.expect_time(0)?;
        let half_life = self.half_life(1)?;
        if self.types.get(2).is_some_and(|kind| !matches!(kind, DataType::Boolean | DataType::Null)) {
            return self.refuse(
                "with a third argument that is no condition",
                "write which rows count, e.g. outcome = 'allow'",
            );
        }
        Ok(Factory::baseline(move || Box::new(DecayedCount::new(half_life, is_rate))))
    }

    fn decayed(&self, moment: Moment) -> Result<Factory, Refusal> {
        self.expect_time(1)?;
        let half_life = self.half_life(2)?;
        Ok(Factory::baseline(move || Box::new(DecayedMoments::new(half_life, moment))))
    }

    fn decayed_mean(&self, output: &DataType) -> Result<Factory, Refusal> {
        self.expect_arguments(&[3], "decayed_mean(x, time, INTERVAL '7 days')")?;
        let scale = self.scale_of_places(0)?;
        let places = scale_of(output).and_then(|places| places.checked_sub(scale)).unwrap_or(0);
        self.decayed(Moment::Mean { places })
    }

    fn decayed_stddev(&self) -> Result<Factory, Refusal> {
        self.expect_arguments(&[3], "decayed_stddev(x, time, INTERVAL '7 days')")?;
        self.decayed(Moment::Deviation { scale: self.scale_of_places(0)? })
    }

    fn quantile(&self) -> Result<Factory, Refusal> {
        self.expect_arguments(&[2], "quantile(x, p), e.g. quantile(amount, 0.99)")?;
        self.scale(0)?;
        match self.literal(1).and_then(millionths) {
            Some(rank) => Ok(Factory::baseline(move || Box::new(Quantile::new(rank)))),
            None => self.refuse("without a literal rank", "write it as a number from 0 to 1, e.g. 0.99"),
        }
    }

    fn seen(&self, is_last: bool) -> Result<Factory, Refusal> {
        self.expect_arguments(&[1], &format!("{}(time)", self.name))?;
        self.expect_time(0)?;
        Ok(Factory::baseline(move || Box::new(Seen::new(is_last))))
    }
}

/// Decimal places of a type.
fn scale_of(kind: &DataType) -> Option<u32> {
    if let DataType::Decimal128(_, scale) = kind { u32::try_from(*scale).ok() } else { None }
}

/// A whole number.
fn whole(literal: &ScalarValue) -> Option<i128> {
    match literal.cast_to(&DataType::Int64).ok()? {
        ScalarValue::Int64(Some(number)) if literal.data_type().is_integer() => Some(i128::from(number)),
        _ => None,
    }
}

/// A rank from 0 to 1, read to six places.
fn millionths(literal: &ScalarValue) -> Option<u64> {
    if !literal.data_type().is_numeric() {
        return None;
    }
    match literal.cast_to(&DataType::Decimal128(38, 6)).ok()? {
        ScalarValue::Decimal128(Some(rank), _, _) => u64::try_from(rank).ok().filter(|rank| *rank <= RANK_ONE),
        _ => None,
    }
}

/// An interval without months, in nanoseconds.
fn nanoseconds(literal: &ScalarValue) -> Option<i64> {
    const DAY_NS: i64 = 86_400 * 1_000_000_000;
    let (days, nanoseconds) = match literal {
        ScalarValue::IntervalMonthDayNano(Some(interval)) if interval.months == 0 => {
            (interval.days, interval.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(interval)) => {
            (interval.days, i64::from(interval.milliseconds).checked_mul(1_000_000)?)
        }
        ScalarValue::DurationNanosecond(Some(nanoseconds)) => (0, *nanoseconds),
        _ => return None,
    };
    i64::from(days).checked_mul(DAY_NS)?.checked_add(nanoseconds)
}
