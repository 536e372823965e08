//! The endpoint for SQL of a running keywatch, asked by a real client: who is let in, what is refused, whose rows are seen,
//! and what a query may take. What tools ask is in [`tools`], what TLS is for in [`encrypted`].

mod encrypted;
mod tools;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use keywatch_store::event::Origin;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Amount, Clock, Event, Instant, Log, Topic};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

const PASSWORD: &str = "correct-horse-battery";

/// A keywatch that answers, killed when it is dropped.
struct Answering {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Answering {
    /// Over a log with five events of `cold` and three of `hot`.
    fn start() -> Answering {
        Answering::start_on("127.0.0.1:0", "", &[])
    }

    /// On an address, with more in the configuration's table `sql`, and with further files.
    fn start_on(listen: &str, more: &str, files: &[(&str, &str)]) -> Answering {
        let directory = tempfile::tempdir().unwrap();
        set_up(directory.path(), listen, more);
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
        command.arg("run").current_dir(directory.path()).env_remove("KEYWATCH_CONFIG").stdout(Stdio::piped());
        let mut child = command.stdin(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            said.read_line(line).unwrap();
        }
        // Whoever prints needs a reader.
        std::thread::spawn(move || said.lines().for_each(drop));
        let address = lines[1].trim().strip_prefix("keywatch answers SQL on postgresql://");
        let Some(address) = address.and_then(|address| address.split_once(':')).map(|(_, port)| port.to_owned()) else {
            child.kill().unwrap();
            panic!("keywatch did not come up, it said: {lines:?}");
        };
        Answering { child, address, _directory: directory }
    }

    async fn connect(&self, user: &str, password: &str) -> Result<Client, tokio_postgres::Error> {
        let port = self.address.split('/').next().unwrap();
        let config = format!("host=127.0.0.1 port={port} user={user} password={password} dbname=keywatch");
        let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
        // It ends with its client.
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set_up(directory: &Path, listen: &str, more: &str) {
    let write = |file: &str, text: &str| std::fs::write(directory.join(file), text).unwrap();
    let source = "[[systems.sources]]\nsource = \"idp\"\nfeed = \"events\"\n";
    write("inventory.toml", &format!("[[systems]]\nid = \"cold\"\n{source}[[systems]]\nid = \"hot\"\n{source}"));
    write("password", &format!("{PASSWORD}\n"));
    let credential = format!(
        "[[credentials]]\nsystem = \"cold\"\nsource = \"idp\"\nfeed = \"events\"\ntoken_sha256 = \"{}\"\n",
        "ab".repeat(32)
    );
    let operator = |name: &str, token: &str, system: &str, more: &str| {
        let token = token.repeat(32);
        format!(
            "[[operators]]\nname = \"{name}\"\ntoken_sha256 = \"{token}\"\nroles = [\"viewer\"]\n\
             systems = [\"{system}\"]\n{more}"
        )
    };
    let password = "sql_password_file = \"password\"\n";
    let operators =
        [operator("ann", "01", "*", password), operator("bob", "02", "hot", password), operator("cid", "03", "*", "")];
    let limits = "statement_seconds_max = 4\nmemory_megabytes_max = 16\n";
    let sql = format!("[sql]\nenabled = true\nlisten = \"{listen}\"\n{limits}{more}");
    write("keywatch.toml", &format!("[server]\nlisten = \"127.0.0.1:0\"\n{credential}{}{sql}", operators.concat()));
    let log = EmbeddedLog::open(directory.join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    let event = |number: i64| {
        let system = if number < 5 { "cold" } else { "hot" };
        let origin = Origin { system: system.to_owned(), source: "idp".to_owned() };
        let time = Instant("2025-02-21T05:42:40Z".parse::<Instant>().unwrap().0 + number);
        let mut event = Event::builder(&origin, &number.to_string(), "session.presented", time);
        event.actor(Some(format!("actor-{number}"))).amount(Amount::from_digits(&format!("1000{number}")).unwrap());
        event.build_own()
    };
    log.append(Topic::Events, (0..8).map(event).collect()).unwrap();
}

fn code(error: &tokio_postgres::Error) -> &SqlState {
    error.code().unwrap_or_else(|| panic!("no answer of the server: {error:?}"))
}

async fn texts(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect()),
        _ => None,
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_the_password_is_not_let_in() {
    let keywatch = Answering::start();
    // The operator `cid` has no password for SQL, and there is no `eve`.
    for (user, password) in [("ann", "wrong-horse-battery"), ("cid", PASSWORD), ("eve", PASSWORD), ("ann", "x")] {
        let refused = keywatch.connect(user, password).await.err().unwrap();
        assert_eq!(code(&refused), &SqlState::INVALID_PASSWORD, "{user}");
    }
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    assert_eq!(
        client.query_one("SELECT count(*) FROM events WHERE source = 'idp'", &[]).await.unwrap().get::<_, i64>(0),
        8
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_other_systems_are_not_seen_however_they_are_asked_for() {
    let keywatch = Answering::start();
    let (ann, bob) =
        (keywatch.connect("ann", PASSWORD).await.unwrap(), keywatch.connect("bob", PASSWORD).await.unwrap());
    let seen = |client, sql: &'static str| async move {
        texts(client, sql).await.into_iter().map(|row| row[0].clone().unwrap()).collect::<Vec<_>>()
    };
    let every = "SELECT DISTINCT system FROM events WHERE source = 'idp' ORDER BY system";
    assert_eq!(seen(&ann, every).await, ["cold", "hot"]);
    for sql in [
        every,
        "SELECT DISTINCT system FROM events WHERE source = 'idp' AND (system = 'cold' OR true)",
        "SELECT DISTINCT system FROM keywatch.public.events WHERE system IN ('cold', 'hot')",
        "WITH e AS (SELECT * FROM events) SELECT DISTINCT a.system FROM e a JOIN e b ON a.system <> 'x' WHERE a.source = 'idp'",
        "SELECT DISTINCT system FROM (SELECT system FROM events UNION ALL SELECT system FROM conclusions UNION ALL SELECT system FROM findings)",
        "SELECT id FROM (SELECT system AS id FROM systems)",
    ] {
        assert_eq!(seen(&bob, sql).await, ["hot"], "{sql}");
    }
    assert_eq!(seen(&bob, "SELECT count(*) FROM events WHERE system = 'cold'").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_refused_and_the_connection_goes_on() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    for sql in ["INSERT INTO events SELECT * FROM events", "DROP TABLE events", "COPY events TO '/tmp/x'", "SET a = 1"]
    {
        let refused = client.simple_query(sql).await.unwrap_err();
        assert_eq!(code(&refused), &SqlState::READ_ONLY_SQL_TRANSACTION, "{sql}");
        assert_eq!(code(&client.prepare(sql).await.unwrap_err()), &SqlState::READ_ONLY_SQL_TRANSACTION, "{sql}");
    }
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(texts(&client, "SELECT 1").await, [[Some("1".to_owned())]]);
    client.batch_execute("COMMIT").await.unwrap();
}

/// Whoever sees a system sees there what was asked about it, and by whom.
#[tokio::test(flavor = "multi_thread")]
async fn each_question_is_a_record_in_the_systems_it_was_about() {
    let keywatch = Answering::start();
    let (ann, bob) =
        (keywatch.connect("ann", PASSWORD).await.unwrap(), keywatch.connect("bob", PASSWORD).await.unwrap());
    texts(&ann, "SELECT 'of ann'").await;
    ann.query("SELECT 'prepared by ann'", &[]).await.unwrap();
    assert!(ann.simple_query("SELECT nothing FROM events").await.is_err());
    texts(&bob, "SELECT 'of bob'").await;
    let asked = "SELECT system, actor, detail_text(detail, 'name') FROM conclusions \
                 WHERE kind = 'operator.read' AND detail_text(detail, 'what') = 'sql' ORDER BY 1, 2, 3";
    let seen = |rows: Vec<Vec<Option<String>>>| -> Vec<[String; 3]> {
        let rows = rows.into_iter().map(|row| [0, 1, 2].map(|index| row[index].clone().unwrap()));
        // Those of this very question are there before it is answered.
        rows.filter(|[_, _, sql]| sql != asked).collect()
    };
    let row = |system: &str, actor: &str, sql: &str| [system, actor, sql].map(str::to_owned);
    let of_ann = ["SELECT 'of ann'", "SELECT 'prepared by ann'", "SELECT nothing FROM events"];
    let cold: Vec<_> = of_ann.iter().map(|sql| row("cold", "ann", sql)).collect();
    let mut hot: Vec<_> = of_ann.iter().map(|sql| row("hot", "ann", sql)).collect();
    hot.push(row("hot", "bob", "SELECT 'of bob'"));
    assert_eq!(seen(texts(&ann, asked).await), [cold, hot.clone()].concat());
    let in_hot: Vec<_> = seen(texts(&bob, asked).await);
    assert_eq!(in_hot, hot, "bob sees nothing of what was asked about another system");
}

/// How a question ends that its client cancels.
async fn cancelled(client: &Client, sql: &str) -> tokio_postgres::Error {
    let cancel = client.cancel_token();
    let asked = client.simple_query(sql);
    tokio::pin!(asked);
    loop {
        tokio::select! {
            answered = &mut asked => break answered.unwrap_err(),
            // Again and again: one that comes before its query is about nothing.
            () = tokio::time::sleep(Duration::from_millis(50)) => cancel.cancel_query(NoTls).await.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_a_query_that_would_eat_the_machine_ends() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let long =
        "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a.value * b.value = 7";
    let begun = std::time::Instant::now();
    assert_eq!(code(&client.simple_query(long).await.unwrap_err()), &SqlState::QUERY_CANCELED);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // What comes in order is grouped without remembering it; this does not.
    let filling = "x".repeat(500);
    let wide = format!(
        "SELECT count(DISTINCT concat(value * 7919 % 10000019, '{filling}')) FROM generate_series(1, 10000000)"
    );
    // On a busy machine its time may be over before its memory is: then it is asked again.
    let mut ends = Vec::new();
    while ends.len() < 5 && ends.last() != Some(&SqlState::OUT_OF_MEMORY) {
        ends.push(code(&client.simple_query(&wide).await.unwrap_err()).clone());
    }
    assert_eq!(ends.last(), Some(&SqlState::OUT_OF_MEMORY), "{ends:?}");

    // The question before lets go of its memory when its threads have ended, which may be a moment later; until then this one
    // may find none.
    let mut refused = cancelled(&client, long).await;
    for _ in 0..50 {
        if code(&refused) != &SqlState::OUT_OF_MEMORY {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        refused = cancelled(&client, long).await;
    }
    assert_eq!(code(&refused), &SqlState::QUERY_CANCELED);
    let said = refused.as_db_error().unwrap().message();
    assert!(!said.contains("took longer"), "it was the time and not the client that ended it: {said}");
    assert_eq!(texts(&client, "SELECT 1").await.len(), 1, "and the connection goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_a_question_that_goes_too_deep_is_refused_and_ends_no_process() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let chain = |count: usize| {
        let comparisons: Vec<String> = (0..count).map(|number| format!("lower(actor) LIKE '%a{number}%'")).collect();
        format!("SELECT count(*) FROM events WHERE {}", comparisons.join(" OR "))
    };
    // Each reads the one before twice, or what that makes of it.
    let doubled = |query: &str, end: &str| {
        let further =
            |with: String, n: usize| format!("{with}, a{} AS ({})", n + 1, query.replace('%', &n.to_string()));
        let with = (0..24).fold("WITH a0 AS (SELECT length(kind) AS x FROM events)".to_owned(), further);
        format!("{with} SELECT x FROM a24{end}")
    };
    let deep = format!("SELECT {}true", "true OR ".repeat(8_000));
    let update = format!("UPDATE events SET actor = 'a' WHERE {}true", "true OR ".repeat(8_000));
    for (question, said) in [
        (chain(300), "within each other"),
        (format!("EXPLAIN {deep}"), "within each other"),
        (deep, "within each other"),
        (update, "within each other"),
        (format!("{}SELECT 1", "EXPLAIN ".repeat(8_000)), "EXPLAIN in one statement"),
        // The parser would read what is within them twice, and twice within that.
        (format!("SELECT {}1{}", "ARRAY[".repeat(60), "]".repeat(60)), "60 brackets within each other"),
        (format!("SELECT 1 UNION SELECT 1{}", " INTERSECT SELECT 1".repeat(3_000)), "within each other"),
        (format!("SELECT 1 FROM (systems{})", " CROSS JOIN systems".repeat(3_000)), "within each other"),
        (format!("SELECT {}'1'", "INTERVAL ".repeat(7_000)), "7000 times INTERVAL"),
        (format!("SELECT NULL::int{}", "[]".repeat(30_000)), "29999 times ]["),
        (format!("SELECT {}1", "ARRAY<".repeat(10_000)), "10000 times ARRAY<"),
        // What follows each word is read once more, without a bracket.
        (format!("SELECT {}1 1", "CASE - ".repeat(24)), "write it plainer"),
        (format!("SELECT {}1 1{}", "POSITION(".repeat(20), ")".repeat(20)), "write it plainer"),
        (doubled("SELECT p.x FROM a% p, a% q", ""), "tables and queries are read"),
        (doubled("SELECT x + x AS x FROM a%", " WHERE x > 3"), "an expression consists of"),
    ] {
        for refused in [client.simple_query(&question).await.err(), client.prepare(&question).await.err()] {
            let refused = refused.unwrap();
            let message = refused.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
            assert!(message.contains(said), "{refused:?}");
        }
    }
    // On a busy machine it may take longer than a statement may take here, and then another time.
    let mut answered = client.simple_query(&chain(100)).await;
    for _ in 0..10 {
        if answered.as_ref().err().is_some_and(|error| code(error) == &SqlState::QUERY_CANCELED) {
            answered = client.simple_query(&chain(100)).await;
        }
    }
    answered.expect("that many have room, and all goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_what_a_client_prepares_has_a_limit_and_room_again_once_it_is_closed() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let long = format!("SELECT 1 /* {} */", "x".repeat(60 << 10));
    let (mut prepared, mut refused) = (Vec::new(), None);
    while refused.is_none() && prepared.len() < 100 {
        match client.prepare(&long).await {
            Ok(statement) => prepared.push(statement),
            Err(error) => refused = Some(error),
        }
    }
    let refused = refused.unwrap();
    assert!(refused.as_db_error().is_some_and(|error| error.message().contains("close some first")), "{refused:?}");
    drop(prepared);
    assert!(client.prepare(&long).await.is_ok());
}

/// What the server says of something that it refuses.
fn said(refused: &tokio_postgres::Error) -> &str {
    refused.as_db_error().map_or("nothing", DbError::message)
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_what_is_prepared_is_counted_as_what_is_asked() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let mut refused = None;
    for _ in 0..2_000 {
        if let Err(error) = client.prepare("SELECT 1").await {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("more than an operator may prepare at once");
    assert!(said(&refused).contains("too many questions"), "{refused:?}");
    let other = keywatch.connect("bob", PASSWORD).await.unwrap();
    assert!(other.prepare("SELECT 1").await.is_ok(), "another operator's are others");
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_what_is_prepared_waits_for_a_place_and_portals_have_a_limit() {
    let keywatch = Answering::start_on("127.0.0.1:0", "concurrent_max = 1\n", &[]);
    let mut client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let statement = client.prepare("SELECT * FROM generate_series(1, 10)").await.unwrap();
    let transaction = client.transaction().await.unwrap();
    let (mut portals, mut refused) = (Vec::new(), None);
    while refused.is_none() && portals.len() < 1_000 {
        match transaction.bind(&statement, &[]).await {
            Ok(portal) => portals.push(portal),
            Err(error) => refused = Some(error),
        }
    }
    let refused = refused.expect("more portals than a client has");
    assert!(said(&refused).contains("portals are open already"), "{refused:?}");
    drop((portals, transaction));

    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind(&statement, &[]).await.unwrap();
    assert_eq!(transaction.query_portal(&portal, 1).await.unwrap().len(), 1);
    // Its rows are not taken yet, so it has the only place.
    let other = keywatch.connect("bob", PASSWORD).await.unwrap();
    let refused = other.prepare("SELECT 1 + 1").await.unwrap_err();
    assert!(said(&refused).contains("as many queries as are allowed"), "{refused:?}");
    drop((portal, transaction));
    let until = std::time::Instant::now() + Duration::from_mins(1);
    while let Err(refused) = other.prepare("SELECT 1 + 1").await {
        assert!(std::time::Instant::now() < until, "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_end_with_their_transaction_and_deallocated_statements_leave_room() {
    let keywatch = Answering::start();
    let mut client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let statement = client.prepare("SELECT 1").await.unwrap();
    let mut kept = Vec::new();
    for _ in 0..3 {
        let transaction = client.transaction().await.unwrap();
        for _ in 0..40 {
            kept.push(transaction.bind(&statement, &[]).await.unwrap());
        }
        transaction.commit().await.unwrap();
    }
    drop((kept, statement));
    let long = format!("SELECT 1 /* {} */", "x".repeat(60 << 10));
    let mut prepared = Vec::new();
    for _ in 0..3 {
        for _ in 0..10 {
            prepared.push(client.prepare(&long).await.unwrap());
        }
        client.batch_execute("DEALLOCATE ALL").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_get_values_in_their_own_types() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let sql = "SELECT actor, event_time, late, CAST(amount AS text), 1.5::double AS half FROM events WHERE actor = $1 AND event_time >= $2";
    let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let rows = client.query(sql, &[&"actor-7", &since]).await.unwrap();
    let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    assert_eq!(row.get::<_, &str>(0), "actor-7");
    let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(1_740_116_560);
    assert_eq!(row.get::<_, SystemTime>(1), expected);
    assert!(!row.get::<_, bool>(2));
    assert_eq!((row.get::<_, &str>(3), row.get::<_, f64>(4)), ("10007", 1.5));
    let text = texts(&client, "SELECT event_time, amount, session FROM events WHERE actor = 'actor-0'").await;
    assert_eq!(text, [[Some("2025-02-21 05:42:40+00".to_owned()), Some("10000".to_owned()), None]]);
}

/// What tools ask `pg_catalog` in plain SQL.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_the_catalogue_are_answered() {
    let keywatch = Answering::start();
    let client = keywatch.connect("bob", PASSWORD).await.unwrap();
    let first =
        |rows: Vec<Vec<Option<String>>>| rows.into_iter().map(|row| row[0].clone().unwrap()).collect::<Vec<_>>();
    let tables = first(texts(&client, "SELECT tablename FROM pg_catalog.pg_tables ORDER BY 1").await);
    let classes = "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                   WHERE n.nspname = 'public' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1";
    assert_eq!(first(texts(&client, classes).await), tables);
    assert!(tables.contains(&"events".to_owned()) && tables.contains(&"incidents".to_owned()), "{tables:?}");
    let typed = "SELECT a.attname, t.typname FROM pg_catalog.pg_attribute a \
                 JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
                 WHERE c.relname = 'findings' AND a.attname IN ('late', 'amount', 'version', 'time', 'rule') ORDER BY 1";
    let found = texts(&client, typed).await;
    let found: Vec<[&str; 2]> = found.iter().map(|row| [0, 1].map(|index| row[index].as_deref().unwrap())).collect();
    let expected =
        [["amount", "numeric"], ["late", "bool"], ["rule", "text"], ["time", "timestamptz"], ["version", "int8"]];
    assert_eq!(found, expected);
    for (sql, expected) in [
        ("SELECT datname FROM pg_catalog.pg_database", "keywatch"),
        ("SELECT rolname FROM pg_catalog.pg_roles", "bob"),
        ("SELECT current_user", "bob"),
        ("SELECT current_database()", "keywatch"),
        ("SELECT pg_catalog.current_schema()", "public"),
    ] {
        assert_eq!(first(texts(&client, sql).await), [expected], "{sql}");
    }
}

/// The very questions that psql 15 sends for `\dt` and `\d events`.
#[tokio::test(flavor = "multi_thread")]
async fn psql_finds_tables_and_columns() {
    let keywatch = Answering::start();
    let client = keywatch.connect("ann", PASSWORD).await.unwrap();
    let from = "FROM pg_catalog.pg_class c\n     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n";
    let tables = texts(&client, &format!("SELECT n.nspname as \"Schema\",\n  c.relname as \"Name\",\n  'table' as \"Type\"\n{from}WHERE c.relkind IN ('r','p','')\nORDER BY 1,2;")).await;
    let names: Vec<&str> = tables.iter().map(|row| row[1].as_deref().unwrap()).collect();
    for name in ["alerts", "events", "findings", "incidents", "responses", "wallets"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let found = texts(&client, &format!("SELECT c.oid,\n  n.nspname,\n  c.relname\n{from}WHERE c.relname OPERATOR(pg_catalog.~) '^(events)$' COLLATE pg_catalog.default\nORDER BY 2, 3;")).await;
    let oid = found[0][0].clone().unwrap();
    let columns = texts(&client, &format!("SELECT a.attname,\n  pg_catalog.format_type(a.atttypid, a.atttypmod)\nFROM pg_catalog.pg_attribute a\nWHERE a.attrelid = '{oid}' AND a.attnum > 0")).await;
    let time = columns.iter().find(|row| row[0].as_deref() == Some("time")).unwrap();
    assert_eq!(time[1].as_deref(), Some("timestamp with time zone"));
    let about = texts(
        &client,
        &format!("SELECT c.relchecks, c.relkind, c.relhasindex\nFROM pg_catalog.pg_class c\nWHERE c.oid = '{oid}';"),
    )
    .await;
    assert_eq!(about[0][1].as_deref(), Some("r"));
    let policies = format!(
        "SELECT pol.polname, pol.polpermissive\nFROM pg_catalog.pg_policy pol\nWHERE pol.polrelid = '{oid}' ORDER BY 1;"
    );
    assert!(texts(&client, &policies).await.is_empty());
    let databases = texts(&client, "SELECT d.datname as \"Name\",\n  pg_catalog.pg_get_userbyid(d.datdba) as \"Owner\"\nFROM pg_catalog.pg_database d\nORDER BY 1;").await;
    assert_eq!(databases[0][0].as_deref(), Some("keywatch"));
    let prepared = client.query(&policies, &[]).await.unwrap();
    assert!(prepared.is_empty(), "and prepared, as drivers ask");
}
