//! The real `psql`, Python's drivers, and what JDBC, poolers and Grafana's data source send by themselves. A machine without
//! `psql` or the drivers leaves their test out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tokio_postgres::error::SqlState;

use super::{Answering, PASSWORD, code, texts};
use crate::dashboards::left_out;
use crate::support::installed::installed;
use crate::support::tools::cached;
use crate::support::tree;

/// What `psql` does with a command, as a user with a password.
fn psql(psql: &Path, keywatch: &Answering, (user, password): (&str, &str), command: &str) -> Output {
    asked(psql, keywatch, &format!("user={user} password={password}"), command)
}

/// What `psql` does with a command, with more said of the connection.
pub(super) fn asked(psql: &Path, keywatch: &Answering, connection: &str, command: &str) -> Output {
    let port = keywatch.address.split('/').next().unwrap();
    let connection = format!("host=127.0.0.1 port={port} dbname=keywatch connect_timeout=30 {connection}");
    let mut asked = Command::new(psql);
    asked.args(["-X", "-A", "-t", "-d", &connection, "-c", command]).env("PGPASSFILE", "/dev/null");
    asked.env_remove("PGSSLMODE").env_remove("PGOPTIONS").stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_real_psql_asks_and_is_refused() {
    let Some(tool) = installed("KEYWATCH_TEST_PSQL", &["psql"], "postgresql-client") else { return };
    let keywatch = Answering::start();
    let (ann, bob) = (("ann", PASSWORD), ("bob", PASSWORD));
    let said = |user, command: &str| {
        let output = psql(&tool, &keywatch, user, command);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{command}: {error}");
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = |user, command: &str| {
        let output = psql(&tool, &keywatch, user, command);
        assert!(!output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stderr).unwrap()
    };
    let tables = said(ann, "\\dt");
    for name in ["events", "findings", "incidents", "wallets"] {
        assert!(tables.contains(&format!("public|{name}|table|")), "no {name} in {tables}");
    }
    let columns = said(ann, "\\d events");
    for column in ["event_id|text||not null", "time|timestamp with time zone||not null", "amount|numeric"] {
        assert!(columns.contains(column), "no {column} in {columns}");
    }
    let more = said(ann, "\\d+ events");
    assert!(more.contains("event_id|text||not null") && more.contains("|plain|"), "{more}");
    let actors = "SELECT actor FROM events WHERE system = 'hot' AND source = 'idp' ORDER BY actor";
    assert_eq!(said(ann, actors), "actor-5\nactor-6\nactor-7\n");
    assert_eq!(said(bob, actors), "actor-5\nactor-6\nactor-7\n");
    assert_eq!(said(bob, "SELECT count(*) FROM events WHERE system = 'cold'"), "0\n");
    assert_eq!(said(ann, "SET extra_float_digits = 3"), "SET\n");
    assert_eq!(said(ann, "SHOW server_version_num"), "150000\n");
    assert!(refused(ann, "DROP TABLE events").contains("DROP is refused"));
    assert!(refused(ann, "SET TimeZone = 'Asia/Singapore'").contains("timezone is `UTC` here"));
    let wrong = refused(("ann", "wrong-horse-battery"), "SELECT 1");
    assert!(wrong.to_lowercase().contains("password authentication failed"), "{wrong}");
}

/// The Python that has the drivers: where `KEYWATCH_TEST_SQL_DRIVERS` says, else where `make sql-drivers` puts it.
fn python() -> Option<PathBuf> {
    let python = cached("KEYWATCH_TEST_SQL_DRIVERS", "sql-drivers/bin/python");
    let is_there = python.is_file();
    if !is_there {
        left_out(&format!("no Python with drivers at {} (`make sql-drivers`)", python.display()));
    }
    is_there.then_some(python)
}

#[test]
fn pythons_drivers_ask_and_are_refused() {
    let Some(python) = python() else { return };
    let keywatch = Answering::start();
    let port = keywatch.address.split('/').next().unwrap();
    let script = tree::root().join("tests/sql/drivers/ask.py");
    let mut asked = Command::new(python);
    let output = asked.arg(script).args([port, PASSWORD]).stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let expected = "pg8000 actor-3 2025-02-21T05:42:40+00:00\npg8000 refused 25006\n\
                    psycopg actor-3 2025-02-21T05:42:40+00:00\npsycopg refused 25006\npsycopg 8\n";
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drivers_set_by_themselves_is_answered() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    for sql in [
        "SET extra_float_digits = 3",
        "SET application_name = 'PostgreSQL JDBC Driver'",
        "SET client_encoding TO 'UTF8'",
        "SET datestyle TO 'ISO'",
        "SET search_path TO public",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "DISCARD ALL",
    ] {
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        client.execute(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}, prepared: {error:?}"));
    }
    for (sql, expected) in [
        ("SHOW server_version_num", "150000"),
        ("SHOW standard_conforming_strings", "on"),
        ("SHOW TRANSACTION ISOLATION LEVEL", "read committed"),
        ("SELECT current_setting('search_path')", "public"),
        ("SELECT pg_catalog.current_setting('TimeZone')", "UTC"),
    ] {
        assert_eq!(texts(&client, sql).await, [[Some(expected.to_owned())]], "{sql}");
        assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, &str>(0), expected, "{sql}, prepared");
    }
    for sql in ["SET client_encoding = 'LATIN1'", "SET TimeZone = 'Asia/Singapore'"] {
        let refused = client.batch_execute(sql).await.unwrap_err();
        assert_eq!(code(&refused), &SqlState::INVALID_PARAMETER_VALUE, "{sql}");
    }
    assert_eq!(texts(&client, "SELECT 1").await, [[Some("1".to_owned())]], "and the connection goes on");
}

/// The questions of its query builder, and those of panels as it sends them once its macros are filled in.
#[tokio::test(flavor = "multi_thread")]
async fn grafanas_data_source_is_answered() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let version = "SELECT current_setting('server_version_num')::int/100 as version";
    assert_eq!(texts(&client, version).await, [[Some("1500".to_owned())]]);
    let extension = "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'";
    assert!(texts(&client, extension).await.is_empty());
    let path = "quote_ident(table_schema) IN (SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END \
                FROM string_to_array(current_setting('search_path'),',') s)";
    let tables = format!(
        "SELECT\n  CASE WHEN {path}\n  THEN quote_ident(table_name)\n  ELSE quote_ident(table_schema) END AS \"table\"\n  \
         FROM information_schema.tables\n  WHERE quote_ident(table_schema) NOT IN ('information_schema')"
    );
    let names: Vec<Vec<Option<String>>> = texts(&client, &tables).await;
    assert!(names.contains(&vec![Some("incidents".to_owned())]), "{names:?}");
    let columns = "SELECT quote_ident(column_name) AS \"column\", data_type AS \"type\"\n  FROM information_schema.columns\n  \
                   WHERE CASE WHEN array_length(parse_ident('events'),1) = 2 THEN x END";
    let columns = texts(&client, columns).await;
    let time = [Some("event_time".to_owned()), Some("timestamp with time zone".to_owned())];
    assert!(columns.contains(&time.to_vec()), "{columns:?}");

    let hour = "event_time BETWEEN '2025-02-21T05:00:00Z' AND '2025-02-21T06:00:00.123Z'";
    let counted = format!("SELECT system, count(*) FROM events WHERE {hour} AND source = 'idp' GROUP BY 1 ORDER BY 1");
    let row = |name: &str, value: &str| vec![Some(name.to_owned()), Some(value.to_owned())];
    assert_eq!(texts(&client, &counted).await, [row("cold", "5"), row("hot", "3")]);
    let grouped = format!(
        "SELECT floor(extract(epoch from event_time)/300)*300 AS \"time\", count(*) FROM events \
         WHERE {hour} AND source = 'idp' GROUP BY 1 ORDER BY 1"
    );
    let grouped = client.query_one(&grouped, &[]).await.unwrap();
    // 05:40, of 2025-02-21T05:42:40Z.
    assert_eq!((grouped.get::<_, f64>(0), grouped.get::<_, i64>(1)), (1_740_116_400.0, 8));
}
