//! The tables of `pg_catalog` that tools read by themselves, as far as there is something to say: names, columns, types.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{MemTable, MemorySchemaProvider, SchemaProvider};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::SessionContext;
use pgwire::api::Type;

use super::{settings, values};

/// Object ids below this are PostgreSQL's own.
const FIRST_OID: usize = 16_384;

/// Object ids of the schemas, as PostgreSQL has them.
const PG_CATALOG: i64 = 11;
const PUBLIC: i64 = 2200;

/// The types that columns have.
static TYPES: [Type; 6] = [Type::BOOL, Type::INT8, Type::FLOAT8, Type::NUMERIC, Type::TEXT, Type::TIMESTAMPTZ];

/// The object id of the table at a place among all of them.
pub(super) fn oid(place: usize) -> i64 {
    i64::try_from(FIRST_OID + place).unwrap_or(i64::MAX)
}

/// Adds what drivers and tools ask a server about itself: constants as functions, and the tables.
///
/// # Errors
/// A column has no type in PostgreSQL.
pub(super) fn register(context: &SessionContext, user: &str, tables: &[(String, SchemaRef)]) -> anyhow::Result<()> {
    let version = format!("PostgreSQL 15.0 (keywatch {})", env!("CARGO_PKG_VERSION"));
    let text = |value: &str| ScalarValue::Utf8(Some(value.to_owned()));
    constant(context, "version", &[], &text(&version));
    constant(context, "current_database", &[], &text("keywatch"));
    constant(context, "current_schema", &[], &text("public"));
    constant(context, "current_user", &[], &text(user));
    constant(context, "pg_get_userbyid", &[DataType::Int64], &text("keywatch"));
    constant(context, "pg_table_is_visible", &[DataType::Int64], &ScalarValue::Boolean(Some(true)));
    for name in ["current_setting", "pg_catalog.current_setting"] {
        let body = Arc::new(settings::current);
        context.register_udf(create_udf(name, vec![DataType::Utf8], DataType::Utf8, Volatility::Stable, body));
    }
    let schema = MemorySchemaProvider::new();
    for (name, rows) in [
        ("pg_namespace", namespaces()?),
        ("pg_database", databases()?),
        ("pg_roles", roles(user)?),
        ("pg_type", types()?),
        ("pg_tables", names(tables)?),
        ("pg_class", classes(tables)?),
        ("pg_attribute", attributes(tables)?),
    ] {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        schema.register_table(name.to_owned(), Arc::new(table))?;
    }
    if let Some(catalog) = context.catalog("keywatch") {
        catalog.register_schema("pg_catalog", Arc::new(schema))?;
    }
    Ok(())
}

/// A function that says the same whatever it is given, with and without its schema before it.
fn constant(context: &SessionContext, name: &str, arguments: &[DataType], value: &ScalarValue) {
    let kind = value.data_type();
    for name in [name.to_owned(), format!("pg_catalog.{name}")] {
        let value = value.clone();
        let body = move |_: &[ColumnarValue]| Ok(ColumnarValue::Scalar(value.clone()));
        context.register_udf(create_udf(&name, arguments.to_vec(), kind.clone(), Volatility::Stable, Arc::new(body)));
    }
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<StringArray>())
}

fn integers(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

fn flags(values: impl IntoIterator<Item = bool>) -> ArrayRef {
    Arc::new(values.into_iter().map(Some).collect::<BooleanArray>())
}

fn namespaces() -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("oid", integers([PG_CATALOG, PUBLIC])),
        ("nspname", texts(["pg_catalog", "public"])),
    ])?)
}

fn databases() -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("oid", integers([1])),
        ("datname", texts(["keywatch"])),
        ("datistemplate", flags([false])),
        ("datallowconn", flags([true])),
    ])?)
}

fn roles(user: &str) -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("oid", integers([10])),
        ("rolname", texts([user])),
        ("rolsuper", flags([false])),
        ("rolcanlogin", flags([true])),
    ])?)
}

fn types() -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("oid", integers(TYPES.iter().map(|kind| i64::from(kind.oid())))),
        ("typname", texts(TYPES.iter().map(Type::name))),
        ("typnamespace", integers(TYPES.iter().map(|_| PG_CATALOG))),
        ("typtype", texts(TYPES.iter().map(|_| "b"))),
    ])?)
}

fn names(tables: &[(String, SchemaRef)]) -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("schemaname", texts(tables.iter().map(|_| "public"))),
        ("tablename", texts(tables.iter().map(|(name, _)| name.as_str()))),
        ("tableowner", texts(tables.iter().map(|_| "keywatch"))),
    ])?)
}

fn classes(tables: &[(String, SchemaRef)]) -> anyhow::Result<RecordBatch> {
    Ok(RecordBatch::try_from_iter([
        ("oid", integers((0..tables.len()).map(oid))),
        ("relname", texts(tables.iter().map(|(name, _)| name.as_str()))),
        ("relnamespace", integers(tables.iter().map(|_| PUBLIC))),
        ("relkind", texts(tables.iter().map(|_| "r"))),
        ("relowner", integers(tables.iter().map(|_| 10))),
        ("relpersistence", texts(tables.iter().map(|_| "p"))),
        ("relhasindex", flags(tables.iter().map(|_| false))),
        ("relispartition", flags(tables.iter().map(|_| false))),
    ])?)
}

fn attributes(tables: &[(String, SchemaRef)]) -> anyhow::Result<RecordBatch> {
    let (mut table, mut name, mut number, mut kind, mut required) = (vec![], vec![], vec![], vec![], vec![]);
    for (place, (_, schema)) in tables.iter().enumerate() {
        for ((at, field), of_field) in (1..).zip(schema.fields()).zip(values::types(schema)?) {
            table.push(oid(place));
            name.push(field.name().as_str());
            number.push(at);
            kind.push(i64::from(of_field.oid()));
            required.push(!field.is_nullable());
        }
    }
    let count = name.len();
    Ok(RecordBatch::try_from_iter([
        ("attrelid", integers(table)),
        ("attname", texts(name)),
        ("attnum", integers(number)),
        ("atttypid", integers(kind)),
        ("atttypmod", integers(vec![-1; count])),
        ("attnotnull", flags(required)),
        ("attisdropped", flags(vec![false; count])),
    ])?)
}
