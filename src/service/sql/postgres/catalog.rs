//! What `psql` asks about tables for `\d`, `\dt`, `\d NAME`, `\d+ NAME`, `\l` and `\dn`, and what the query builder of Grafana's data
//! source asks, answered as these very questions: their SQL is beyond DataFusion's. Simpler questions are answered from [`super::tables`].

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};

use super::{settings, tables, values};

/// What is wanted to know.
#[derive(Debug, PartialEq, Eq)]
enum Question<'a> {
    /// With a pattern, where there is one.
    Tables(Option<&'a str>),
    Databases,
    Schemas,
    Named(&'a str),
    About,
    /// Of the table of that number, with what `\d+` asks besides.
    Columns(&'a str, Vec<&'static str>),
    /// By Grafana.
    NamesOfTables,
    /// Of the table of that name, by Grafana.
    ColumnsNamed(&'a str),
    /// Policies, statistics, publications, inheritance: there are none.
    None,
}

/// What `\d+` asks about columns besides, in its order: how its question says it, and the name of the answer. Which of these it asks
/// hangs on its version.
const BESIDES: &[(&str, &str)] = &[
    ("a.attstorage", "attstorage"),
    ("a.attcompression", "attcompression"),
    ("a.attstattarget", "attstattarget"),
    ("pg_catalog.col_description(", "col_description"),
];

/// The answer to one of its questions over these tables; `None` for any other.
///
/// # Errors
/// A column has no type in PostgreSQL.
pub(super) fn answer(sql: &str, all: &[(String, SchemaRef)]) -> anyhow::Result<Option<RecordBatch>> {
    let text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(rows) = settings::show(sql)? {
        return Ok(Some(rows));
    }
    let Some(question) = Question::of(&text) else { return Ok(None) };
    let oid = |name: &str| all.iter().position(|(other, _)| other == name).map(|place| tables::oid(place).to_string());
    let same = |text: &str, count: usize| -> ArrayRef { Arc::new(StringArray::from(vec![text; count])) };
    let batch = match question {
        Question::Tables(pattern) => {
            let names = all.iter().map(|(name, _)| name);
            let found: Vec<&String> =
                names.filter(|name| pattern.is_none_or(|pattern| matches(name, pattern))).collect();
            let count = found.len();
            let shown: ArrayRef = Arc::new(found.into_iter().map(Some).collect::<StringArray>());
            let columns = [
                ("Schema", same("public", count)),
                ("Name", shown),
                ("Type", same("table", count)),
                ("Owner", same("keywatch", count)),
            ];
            RecordBatch::try_from_iter(columns)?
        }
        Question::Named(pattern) => {
            let names = all.iter().map(|(name, _)| name);
            let found: Vec<&String> = names.filter(|name| matches(name, pattern)).collect();
            let oids: StringArray = found.iter().map(|name| oid(name)).collect();
            let count = found.len();
            let shown: ArrayRef = Arc::new(found.into_iter().map(Some).collect::<StringArray>());
            RecordBatch::try_from_iter([
                ("oid", Arc::new(oids) as ArrayRef),
                ("nspname", same("public", count)),
                ("relname", shown),
            ])?
        }
        Question::About => about()?,
        Question::Databases => RecordBatch::try_from_iter([
            ("Name", same("keywatch", 1)),
            ("Owner", same("keywatch", 1)),
            ("Encoding", same("UTF8", 1)),
        ])?,
        Question::Schemas => RecordBatch::try_from_iter([("Name", same("public", 1)), ("Owner", same("keywatch", 1))])?,
        Question::Columns(wanted, besides) => {
            let found = all.iter().find(|(name, _)| oid(name).as_deref() == Some(wanted));
            found.map_or_else(|| columns(&Schema::empty(), &besides), |(_, schema)| columns(schema, &besides))?
        }
        Question::NamesOfTables => {
            let names: ArrayRef = Arc::new(all.iter().map(|(name, _)| Some(name)).collect::<StringArray>());
            RecordBatch::try_from_iter([("table", names)])?
        }
        Question::ColumnsNamed(wanted) => {
            let found = all.iter().find(|(name, _)| name == wanted);
            let (names, types) = found.map_or_else(|| named(&Schema::empty()), |(_, schema)| named(schema))?;
            RecordBatch::try_from_iter([("column", names), ("type", types)])?
        }
        Question::None => RecordBatch::try_from_iter([("none", same("", 0))])?,
    };
    Ok(Some(batch))
}

impl Question<'_> {
    fn of(text: &str) -> Option<Question<'_>> {
        let within = |from: &str, to: &str| text.split_once(from)?.1.split_once(to).map(|(inside, _)| inside);
        if text.starts_with("SELECT extversion FROM pg_extension") {
            return Some(Question::None);
        }
        if text.contains("quote_ident(table_name)") && text.contains("FROM information_schema.tables") {
            return Some(Question::NamesOfTables);
        }
        if text.starts_with("SELECT quote_ident(column_name) AS \"column\"") {
            // A table is named with its schema or without.
            let named = within("parse_ident('", "')");
            return named.map(|name| Question::ColumnsNamed(name.strip_prefix("public.").unwrap_or(name)));
        }
        let named = || within("c.relname OPERATOR(pg_catalog.~) '^(", ")$'");
        if text.contains("pg_catalog.pg_policy ") || text.contains("pg_catalog.pg_statistic_ext ") {
            return Some(Question::None);
        }
        if text.contains("pg_catalog.pg_publication ") || text.contains("pg_catalog.pg_inherits ") {
            return Some(Question::None);
        }
        if text.starts_with("SELECT n.nspname as \"Schema\", c.relname as \"Name\"")
            && text.contains("pg_catalog.pg_class")
        {
            let tables = within("c.relkind IN (", ")").is_some_and(|kinds| kinds.contains("'r'"));
            return Some(if tables { Question::Tables(named()) } else { Question::None });
        }
        if text.starts_with("SELECT d.datname as \"Name\"") {
            return Some(Question::Databases);
        }
        if text.starts_with("SELECT n.nspname AS \"Name\"") {
            return Some(Question::Schemas);
        }
        if text.starts_with("SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class") {
            return named().map(Question::Named);
        }
        if text.starts_with("SELECT c.relchecks, c.relkind") {
            return Some(Question::About);
        }
        if text.starts_with("SELECT a.attname, pg_catalog.format_type(") {
            let asked = BESIDES.iter().filter(|(asked, _)| text.contains(asked));
            let besides: Vec<&'static str> = asked.map(|(_, name)| *name).collect();
            return within("a.attrelid = '", "'").map(|oid| Question::Columns(oid, besides));
        }
        None
    }
}

/// Whether a name is what `psql` makes of a pattern: `*` has become `.*`, `?` has become `.`.
fn matches(name: &str, pattern: &str) -> bool {
    match pattern.strip_prefix(".*") {
        Some(rest) => name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(&name[at..], rest)),
        None => match (pattern.chars().next(), name.chars().next()) {
            (None, None) => true,
            (Some(wanted), Some(found)) if wanted == found || wanted == '.' => {
                matches(&name[found.len_utf8()..], &pattern[wanted.len_utf8()..])
            }
            _ => false,
        },
    }
}

/// A plain table without anything.
fn about() -> anyhow::Result<RecordBatch> {
    let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let no = || -> ArrayRef { Arc::new(BooleanArray::from(vec![false])) };
    let zero = || -> ArrayRef { Arc::new(Int64Array::from(vec![0])) };
    Ok(RecordBatch::try_from_iter([
        ("relchecks", zero()),
        ("relkind", text("r")),
        ("relhasindex", no()),
        ("relhasrules", no()),
        ("relhastriggers", no()),
        ("relrowsecurity", no()),
        ("relforcerowsecurity", no()),
        ("relhasoids", no()),
        ("relispartition", no()),
        ("options", text("")),
        ("reltablespace", zero()),
        ("reloftype", text("")),
        ("relpersistence", text("p")),
        ("relreplident", text("n")),
        ("amname", text("heap")),
    ])?)
}

/// The names of columns, and those of their types.
fn named(schema: &Schema) -> anyhow::Result<(ArrayRef, ArrayRef)> {
    let names: StringArray = schema.fields().iter().map(|field| Some(field.name())).collect();
    let types = values::types(schema)?.into_iter().map(|kind| match kind.name() {
        "timestamptz" => "timestamp with time zone".to_owned(),
        "int8" => "bigint".to_owned(),
        "float8" => "double precision".to_owned(),
        "bool" => "boolean".to_owned(),
        name => name.to_owned(),
    });
    let types: StringArray = types.map(Some).collect();
    Ok((Arc::new(names), Arc::new(types)))
}

fn columns(schema: &Schema, besides: &[&'static str]) -> anyhow::Result<RecordBatch> {
    let count = schema.fields().len();
    let empty = || -> ArrayRef { Arc::new(StringArray::from(vec![""; count])) };
    let none = || -> ArrayRef { Arc::new(StringArray::from(vec![None::<&str>; count])) };
    let (names, types) = named(schema)?;
    let required: BooleanArray = schema.fields().iter().map(|field| Some(!field.is_nullable())).collect();
    let plain = [
        ("attname", names, false),
        ("format_type", types, false),
        ("default", none(), true),
        ("attnotnull", Arc::new(required) as ArrayRef, false),
        ("attcollation", none(), true),
        ("attidentity", empty(), false),
        ("attgenerated", empty(), false),
    ];
    let besides = besides.iter().map(|name| match *name {
        // Stored plainly, which is what it says where nothing else is known.
        "attstorage" => (*name, Arc::new(StringArray::from(vec!["p"; count])) as ArrayRef, false),
        name => (name, none(), true),
    });
    Ok(RecordBatch::try_from_iter_with_nullable(plain.into_iter().chain(besides))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_psql_are_understood() {
        for (name, pattern, expected) in [
            ("events", "events", true),
            ("events", "ev.*", true),
            ("events", ".*", true),
            ("events", ".*s", true),
            ("events", "event.", true),
            ("events", "event", false),
            ("events", "x.*", false),
        ] {
            assert_eq!(matches(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn questions_of_psql_are_recognised() {
        let from = "FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace";
        let tables =
            format!("SELECT n.nspname as \"Schema\", c.relname as \"Name\" {from} WHERE c.relkind IN ('r','p','')");
        assert_eq!(Question::of(&tables), Some(Question::Tables(None)));
        let some = format!("{tables} AND c.relname OPERATOR(pg_catalog.~) '^(ev.*)$' COLLATE pg_catalog.default");
        assert_eq!(Question::of(&some), Some(Question::Tables(Some("ev.*"))));
        let views = tables.replace("'r','p',''", "'v',''");
        assert_eq!(Question::of(&views), Some(Question::None));
    }

    #[test]
    fn what_is_asked_of_columns_besides_is_answered_in_its_order() {
        let plain = "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attgenerated";
        let from = "FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16388' AND a.attnum > 0";
        assert_eq!(Question::of(&format!("{plain} {from}")), Some(Question::Columns("16388", Vec::new())));
        let more = "a.attstorage, CASE WHEN a.attstattarget=-1 THEN NULL ELSE a.attstattarget END AS attstattarget, \
                    pg_catalog.col_description(a.attrelid, a.attnum)";
        let besides = vec!["attstorage", "attstattarget", "col_description"];
        let asked = format!("{plain}, {more} {from}");
        assert_eq!(Question::of(&asked), Some(Question::Columns("16388", besides.clone())));
        let answered = columns(&Schema::empty(), &besides).unwrap();
        let names: Vec<String> = answered.schema().fields().iter().map(|field| field.name().clone()).collect();
        assert_eq!(names[6..], ["attgenerated", "attstorage", "attstattarget", "col_description"]);
    }

    #[test]
    fn questions_of_grafana_are_recognised() {
        let tables = "SELECT quote_ident(table_name) AS \"table\" FROM information_schema.tables WHERE x";
        assert_eq!(Question::of(tables), Some(Question::NamesOfTables));
        let columns = "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\" FROM information_schema.columns \
                       WHERE CASE WHEN array_length(parse_ident('events'),1) = 2 THEN x END";
        assert_eq!(Question::of(columns), Some(Question::ColumnsNamed("events")));
        let with_schema = columns.replace("'events'", "'public.events'");
        assert_eq!(Question::of(&with_schema), Some(Question::ColumnsNamed("events")));
        let extension = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
        assert_eq!(Question::of(extension), Some(Question::None));
    }

    #[test]
    fn other_questions_are_left_to_sql() {
        assert_eq!(Question::of("SELECT * FROM events"), None);
        assert_eq!(Question::of("SELECT relname FROM pg_catalog.pg_class"), None);
    }
}
