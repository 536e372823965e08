//! The SQL functions of our own: typed reading of `detail`, and the shape that imitated addresses copy.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use keywatch_store::inventory::Network;
use memchr::memmem::Finder;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::geography;

/// Autonomous systems whose addresses say where a relay stands and not where a person is: Cloudflare (WARP, iCloud
/// Private Relay), Akamai and Fastly (iCloud Private Relay), Zscaler, Netskope, Palo Alto Networks, Cisco Umbrella.
const RELAYS: [i64; 9] = [13_335, 36_183, 54_113, 22_616, 53_813, 62_044, 55_256, 54_538, 36_692];

/// All of them.
pub(crate) fn all() -> Vec<ScalarUDF> {
    let text = |name, output, make: fn(&mut dyn Iterator<Item = Option<&str>>) -> Result<ArrayRef>| {
        detail_function(name, output, make)
    };
    vec![
        text("detail_text", DataType::Utf8View, |raw| {
            Ok(Arc::new(raw.map(|raw| raw.and_then(as_text)).collect::<StringViewArray>()))
        }),
        text("detail_int", DataType::Int64, |raw| {
            Ok(Arc::new(raw.map(|raw| raw.and_then(as_text)?.parse().ok()).collect::<Int64Array>()))
        }),
        text("detail_bool", DataType::Boolean, |raw| {
            Ok(Arc::new(raw.map(|raw| raw.and_then(as_text)?.parse().ok()).collect::<BooleanArray>()))
        }),
        text("detail_amount", DataType::Decimal128(38, 0), |raw| {
            let amounts = raw.map(|raw| {
                let digits = as_text(raw?)?;
                keywatch_store::Amount::from_digits(&digits).ok().map(|amount| amount.saturated())
            });
            Ok(Arc::new(amounts.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?))
        }),
        function("is_multisend", &[DataType::Utf8View], DataType::Boolean, is_multisend),
        function(
            "in_network",
            &[DataType::Utf8View, DataType::Int64, DataType::Utf8View],
            DataType::Boolean,
            in_network,
        ),
        function("least_km", &[DataType::Utf8View, DataType::Utf8View], DataType::Int64, least_km),
        function("is_relay", &[DataType::Int64], DataType::Boolean, is_relay),
        function("lookalike_shape", &[DataType::Utf8View], DataType::Utf8View, |arguments| {
            let addresses = strings(&arguments[0], 1)?;
            let shapes = addresses.as_string_view().iter().map(|address| address.and_then(lookalike_shape));
            Ok(ColumnarValue::Array(Arc::new(shapes.collect::<StringViewArray>())))
        }),
    ]
}

fn function(
    name: &str,
    inputs: &[DataType],
    output: DataType,
    body: fn(&[ColumnarValue]) -> Result<ColumnarValue>,
) -> ScalarUDF {
    create_udf(name, inputs.to_vec(), output, Volatility::Immutable, Arc::new(body))
}

fn is_multisend(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let addresses = strings(&arguments[0], 1)?;
    let known = addresses.as_string_view().iter().map(|address| address.map(keywatch_store::multisend::is_deployment));
    Ok(ColumnarValue::Array(Arc::new(known.collect::<BooleanArray>())))
}

fn least_km(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let rows = rows(arguments);
    let (one, other) = (strings(&arguments[0], rows)?, strings(&arguments[1], rows)?);
    let pairs = one.as_string_view().iter().zip(other.as_string_view());
    let apart = pairs.map(|(one, other)| geography::least_km(one?, other?));
    Ok(ColumnarValue::Array(Arc::new(apart.collect::<Int64Array>())))
}

fn is_relay(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let systems = cast(&arguments[0].clone().into_array(rows(arguments))?, &DataType::Int64)?;
    let relays = systems.as_primitive::<Int64Type>().iter().map(|asn| asn.map(|asn| RELAYS.contains(&asn)));
    Ok(ColumnarValue::Array(Arc::new(relays.collect::<BooleanArray>())))
}

fn detail_function(
    name: &str,
    output: DataType,
    make: fn(&mut dyn Iterator<Item = Option<&str>>) -> Result<ArrayRef>,
) -> ScalarUDF {
    let called = name.to_owned();
    let body = move |arguments: &[ColumnarValue]| -> Result<ColumnarValue> {
        let [detail, ColumnarValue::Scalar(path)] = arguments else {
            return Err(DataFusionError::Plan(format!("{called}(detail, 'path') takes a literal path")));
        };
        let path = Path::new(path.try_as_str().flatten().unwrap_or_default());
        let rows = match detail {
            ColumnarValue::Array(array) => array.len(),
            ColumnarValue::Scalar(_) => 1,
        };
        let details = strings(detail, rows)?;
        let mut raw = details.as_string_view().iter().map(|detail| path.find(detail?));
        Ok(ColumnarValue::Array(make(&mut raw)?))
    };
    create_udf(name, vec![DataType::Utf8View, DataType::Utf8View], output, Volatility::Immutable, Arc::new(body))
}

/// `in_network(ip, asn, network)`: whether a speaker with that address and autonomous system is in a declared network.
fn in_network(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let rows = rows(arguments);
    let (ips, networks) = (strings(&arguments[0], rows)?, strings(&arguments[2], rows)?);
    let systems = cast(&arguments[1].clone().into_array(rows)?, &DataType::Int64)?;
    let speakers = ips.as_string_view().iter().zip(systems.as_primitive::<Int64Type>());
    let inside = speakers.zip(networks.as_string_view()).map(|((ip, asn), network)| {
        network.map(|network| network.parse::<Network>().is_ok_and(|network| network.contains(ip, asn)))
    });
    Ok(ColumnarValue::Array(Arc::new(inside.collect::<BooleanArray>())))
}

/// Rows of a call: those of its first column, or one where all arguments are literals.
fn rows(arguments: &[ColumnarValue]) -> usize {
    let lengths = arguments.iter().find_map(|argument| match argument {
        ColumnarValue::Array(array) => Some(array.len()),
        ColumnarValue::Scalar(_) => None,
    });
    lengths.unwrap_or(1)
}

fn strings(value: &ColumnarValue, rows: usize) -> Result<ArrayRef> {
    Ok(cast(&value.clone().into_array(rows)?, &DataType::Utf8View)?)
}

/// A dotted path into an object: the names of members.
struct Path<'p> {
    names: Vec<(&'p str, Finder<'p>)>,
}

impl<'p> Path<'p> {
    fn new(path: &'p str) -> Path<'p> {
        Path { names: path.split('.').map(|name| (name, Finder::new(name))).collect() }
    }

    /// The raw JSON there; `None` when there is nothing.
    fn find<'a>(&self, json: &'a str) -> Option<&'a str> {
        self.names.iter().try_fold(json, |json, (key, finder)| {
            if !may_hold(json, finder) {
                return None;
            }
            let mut found = None;
            // Reading ends at the member: what comes after it is not asked for, and that it was left is no problem.
            let _ = serde_json::Deserializer::from_str(json).deserialize_map(Member { key, found: &mut found });
            found.map(RawValue::get)
        })
    }
}

/// Whether an object may have a member of that name. Most have not, and need not be parsed to see it: without an escape,
/// a name stands in JSON as it is.
fn may_hold(json: &str, name: &Finder<'_>) -> bool {
    let quoted = |at: usize| at > 0 && json.as_bytes()[at - 1] == b'"';
    name.find_iter(json.as_bytes()).any(quoted) || json.contains('\\')
}

/// JSON as text: a string without its quotes, other scalars and containers as they stand, null as nothing.
fn as_text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) if !text.contains('\\') => Some(Cow::Borrowed(text)),
        Some(_) => serde_json::from_str(raw).ok().map(Cow::Owned),
        None if raw == "null" => None,
        None => Some(Cow::Borrowed(raw)),
    }
}

/// Looks for one member of an object, whose names differ.
struct Member<'k, 'f, 'de> {
    key: &'k str,
    found: &'f mut Option<&'de RawValue>,
}

impl<'de> Visitor<'de> for Member<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.key {
                *self.found = Some(map.next_value()?);
                break;
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// The characters of an address that an imitation copies, because people compare them: for hexadecimal (`0x`) the first
/// four and last four digits; for bech32 the prefix, the first four and last four; for base58 the first five and last
/// two. Hexadecimal and bech32 ignore case.
pub(crate) fn lookalike_shape(address: &str) -> Option<String> {
    let lower = address.to_ascii_lowercase();
    let (prefix, body, first, last) = if let Some(digits) = lower.strip_prefix("0x") {
        ("0x", digits, 4, 4)
    } else if let Some((prefix, data)) =
        lower.split_once('1').filter(|(prefix, _)| matches!(*prefix, "bc" | "tb" | "bcrt" | "ltc"))
    {
        (prefix, data, 4, 4)
    } else {
        ("", address, 5, 2)
    };
    let characters: Vec<char> = body.chars().collect();
    if characters.len() < first + last + 4 {
        return None;
    }
    let head: String = characters[..first].iter().collect();
    let tail: String = characters[characters.len() - last..].iter().collect();
    Some(format!("{prefix}{head}…{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_finds_what_is_there_and_nothing_else() {
        let json = r#"{"a":{"b":[1,2],"c":null,"d":"x\"y"},"e":7}"#;
        let text = |path| Path::new(path).find(json).and_then(as_text);
        assert_eq!(text("a.b").as_deref(), Some("[1,2]"));
        assert_eq!(text("a.d").as_deref(), Some("x\"y"));
        assert_eq!(text("e").as_deref(), Some("7"));
        assert_eq!(text("a.c"), None);
        assert_eq!(text("a.b.c"), None);
        assert_eq!(text("z"), None);
        assert_eq!(Path::new("b").find(r#"{"a":"b"}"#), None, "a value is no name");
        assert_eq!(Path::new("a").find(r#"{"\u0061":1}"#), Some("1"), "an escaped name is one too");
    }

    #[test]
    fn an_imitation_has_the_shape_of_what_it_imitates() {
        let shape = |address| lookalike_shape(address).unwrap();
        assert_eq!(shape("1B6rJRfjTXwEy36SCs5zofGMmdv2kdZw7P"), shape("1B6rJ6ZKfZmkqMyBGe5KR27oWkEbQdNM7P"));
        assert_eq!(
            shape("0xABCD000000000000000000000000000000001234"),
            shape("0xabcd111111111111111111111111111111111234")
        );
        assert_ne!(
            shape("0xabcd000000000000000000000000000000001234"),
            shape("0xabce000000000000000000000000000000001234")
        );
        assert_eq!(lookalike_shape("short"), None);
    }
}
