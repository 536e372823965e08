//! `detail_text`, `detail_int`, `detail_bool`, `detail_amount` and `lookalike_shape` once more, from what the rule
//! language says of them: the detail is parsed whole and walked.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use serde_json::Value;

/// The functions, to be registered in the session of stock DataFusion.
pub(crate) fn all() -> Vec<ScalarUDF> {
    let two = || vec![DataType::Utf8, DataType::Utf8];
    let amounts = |texts: Texts| {
        let units = texts.into_iter().map(|text| text.and_then(|text| amount(&text)));
        Ok(Arc::new(units.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?) as ArrayRef)
    };
    vec![
        udf("detail_text", two(), DataType::Utf8, details, |texts| {
            Ok(Arc::new(texts.into_iter().collect::<StringArray>()))
        }),
        udf("detail_int", two(), DataType::Int64, details, |texts| {
            let numbers = texts.into_iter().map(|text| text.and_then(|text| text.parse::<i64>().ok()));
            Ok(Arc::new(numbers.collect::<Int64Array>()))
        }),
        udf("detail_bool", two(), DataType::Boolean, details, |texts| {
            let truths = texts.into_iter().map(|text| text.and_then(|text| text.parse::<bool>().ok()));
            Ok(Arc::new(truths.collect::<BooleanArray>()))
        }),
        udf("detail_amount", two(), DataType::Decimal128(38, 0), details, amounts),
        udf("lookalike_shape", vec![DataType::Utf8], DataType::Utf8, shapes, |texts| {
            Ok(Arc::new(texts.into_iter().collect::<StringArray>()))
        }),
    ]
}

type Texts = Vec<Option<String>>;

fn udf(
    name: &str,
    takes: Vec<DataType>,
    gives: DataType,
    read: fn(&[ArrayRef]) -> Texts,
    write: impl Fn(Texts) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let body = move |arguments: &[ColumnarValue]| {
        let arrays = ColumnarValue::values_to_arrays(arguments)?;
        let texts = arrays.iter().map(|array| Ok(cast(array, &DataType::Utf8)?)).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array(write(read(&texts))?))
    };
    create_udf(name, takes, gives, Volatility::Immutable, Arc::new(body))
}

fn details(arguments: &[ArrayRef]) -> Texts {
    let (details, paths) = (arguments[0].as_string::<i32>(), arguments[1].as_string::<i32>());
    // One path stands for all rows.
    let path = |row: usize| paths.value(if paths.len() == 1 { 0 } else { row });
    details.iter().enumerate().map(|(row, detail)| at_path(detail?, path(row))).collect()
}

/// What stands at a dotted path, as text: strings bare, null as nothing, all else as canonical JSON.
pub(crate) fn at_path(detail: &str, path: &str) -> Option<String> {
    let root: Value = serde_json::from_str(detail).ok()?;
    let found = path.split('.').try_fold(&root, |value, key| value.as_object()?.get(key))?;
    match found {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn amount(text: &str) -> Option<i128> {
    let digits = text.trim_start_matches('0');
    let whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && digits.len() <= 78;
    let limit = 10_i128.pow(38) - 1;
    whole.then(|| if digits.is_empty() { 0 } else { digits.parse().unwrap_or(limit).min(limit) })
}

fn shapes(arguments: &[ArrayRef]) -> Texts {
    arguments[0].as_string::<i32>().iter().map(|address| shape(address?)).collect()
}

/// What people compare of an address, when at least four characters are left out between head and tail.
fn shape(address: &str) -> Option<String> {
    let small = address.to_ascii_lowercase();
    let bech32 = ["bc1", "tb1", "bcrt1", "ltc1"].into_iter().find(|prefix| small.starts_with(prefix));
    let (prefix, body, head, tail) = match (small.strip_prefix("0x"), bech32) {
        (Some(digits), _) => ("0x", digits, 4, 4),
        (None, Some(prefix)) => (prefix.trim_end_matches('1'), &small[prefix.len()..], 4, 4),
        _ => ("", address, 5, 2),
    };
    let length = body.chars().count();
    let first: String = body.chars().take(head).collect();
    let last: String = body.chars().skip(length.saturating_sub(tail)).collect();
    (length >= head + tail + 4).then(|| format!("{prefix}{first}…{last}"))
}
