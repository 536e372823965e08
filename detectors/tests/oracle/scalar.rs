//! The scalar functions of the rule language once more, from what it says of them: the detail is parsed whole and walked,
//! networks are told from addresses bit by bit, distances go by the sines of the system.

use std::net::IpAddr;
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
        udf("is_multisend", vec![DataType::Utf8], DataType::Boolean, batches, truths),
        udf("is_relay", vec![DataType::Int64], DataType::Boolean, relays, truths),
        udf("in_network", vec![DataType::Utf8, DataType::Int64, DataType::Utf8], DataType::Boolean, networks, truths),
        udf("least_km", two(), DataType::Int64, distances, |texts| {
            let numbers = texts.into_iter().map(|text| text.and_then(|text| text.parse::<i64>().ok()));
            Ok(Arc::new(numbers.collect::<Int64Array>()))
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

#[expect(clippy::unnecessary_wraps, reason = "the shape of a writer that can fail")]
fn truths(texts: Texts) -> Result<ArrayRef> {
    let truths = texts.into_iter().map(|text| text.map(|text| text == "true"));
    Ok(Arc::new(truths.collect::<BooleanArray>()))
}

/// Of each row, the texts of its arguments; a literal stands for all rows.
fn rows(arguments: &[ArrayRef]) -> impl Iterator<Item = Vec<Option<&str>>> {
    let length = arguments.iter().map(Array::len).max().unwrap_or_default();
    (0..length).map(move |row| arguments.iter().map(|column| text_at(column, row)).collect())
}

fn text_at(column: &ArrayRef, row: usize) -> Option<&str> {
    let column = column.as_string::<i32>();
    let row = if column.len() == 1 { 0 } else { row };
    column.is_valid(row).then(|| column.value(row))
}

/// The list of batching contracts is data, and read where it stands.
fn batches(arguments: &[ArrayRef]) -> Texts {
    let known = |address: &str| keywatch_store::multisend::is_deployment(address).to_string();
    rows(arguments).map(|row| row[0].map(known)).collect()
}

/// Cloudflare, Akamai and Fastly; Zscaler, Netskope, Palo Alto Networks and Cisco Umbrella.
fn relays(arguments: &[ArrayRef]) -> Texts {
    let known = ["13335", "36183", "54113", "22616", "53813", "62044", "55256", "54538", "36692"];
    rows(arguments).map(|row| row[0].map(|number| known.contains(&number).to_string())).collect()
}

fn networks(arguments: &[ArrayRef]) -> Texts {
    rows(arguments).map(|row| row[2].map(|network| is_inside(row[0], row[1], network).to_string())).collect()
}

/// Whether somebody at that address, or of that autonomous system, is in a network.
fn is_inside(ip: Option<&str>, asn: Option<&str>, network: &str) -> bool {
    if let Some(number) = network.to_ascii_uppercase().strip_prefix("AS") {
        return asn == Some(number);
    }
    let bits = |address: &str| -> Option<String> {
        match address.parse::<IpAddr>().ok()?.to_canonical() {
            IpAddr::V4(address) => Some(format!("4{:032b}", address.to_bits())),
            IpAddr::V6(address) => Some(format!("6{:0128b}", address.to_bits())),
        }
    };
    let Some((block, length)) = network.split_once('/') else { return false };
    let (Some(block), Some(ip), Ok(length)) = (bits(block), ip.and_then(bits), length.parse::<usize>()) else {
        return false;
    };
    block.get(..=length).is_some_and(|prefix| ip.starts_with(prefix))
}

/// Latitude and longitude of the middle and the radius of the countries that occur here: degrees and kilometres.
const COUNTRIES: [(&str, f64, f64, f64); 7] = [
    ("CH", 46.5, 8.2, 189.0),
    ("DE", 51.1, 10.5, 454.0),
    ("FR", 46.6, 1.9, 553.0),
    ("GB", 54.3, -3.7, 500.0),
    ("RO", 45.6, 25.0, 383.0),
    ("SG", 1.3, 103.8, 32.0),
    ("US", 42.1, -96.1, 2372.0),
];

fn distances(arguments: &[ArrayRef]) -> Texts {
    rows(arguments).map(|row| Some(apart(row[0]?, row[1]?)?.to_string())).collect()
}

/// Whole kilometres between two countries, through the earth.
fn apart(one: &str, other: &str) -> Option<i64> {
    if one == other {
        return Some(0);
    }
    let find = |code: &str| {
        let found = COUNTRIES.iter().find(|(known, ..)| *known == code);
        assert!(found.is_some() || code.len() != 2, "{code} needs a line in COUNTRIES");
        found
    };
    let (one, other) = (find(one)?, find(other)?);
    let angle = {
        let ((a, b), (c, d)) = ((one.1.to_radians(), one.2.to_radians()), (other.1.to_radians(), other.2.to_radians()));
        (a.sin() * c.sin() + a.cos() * c.cos() * (b - d).cos()).acos()
    };
    let chord = 2.0 * 6_371.0 * (angle / 2.0).sin();
    #[expect(clippy::cast_possible_truncation, reason = "within the earth's diameter")]
    let apart = (chord - one.3 - other.3).max(0.0).floor() as i64;
    Some(apart)
}
