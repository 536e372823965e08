//! What a rule may not say is refused as it loads, by name, with what to write instead.

use keywatch_detectors::{Engine, Error, Settings};

use crate::support::rule;

/// The construct by which it is refused.
fn refusal(sql: &str) -> Result<String, String> {
    match Engine::new(&[rule("t/refused", sql)], &Settings::default()) {
        Ok(_) => Err(format!("accepted: {sql}")),
        Err(Error::Refused { instead, .. }) if instead.len() <= 10 => Err(format!("without advice: {sql}")),
        Err(Error::Refused { construct, .. }) => Ok(construct),
        Err(other) => Err(format!("{other}\n  {sql}")),
    }
}

/// Each of the rules is refused by the name beside it.
fn check_refused(rules: impl IntoIterator<Item = (String, &'static str)>) {
    let wrong = rules.into_iter().filter_map(|(sql, construct)| match refusal(&sql) {
        Ok(named) if named.contains(construct) => None,
        Ok(named) => Some(format!("named {named}, not {construct}: {sql}")),
        Err(problem) => Some(problem),
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_rule_may_join_two_hundred_comparisons() {
    let comparisons: Vec<String> = (0..200).map(|number| format!("lower(actor) LIKE '%a{number}%'")).collect();
    let sql = format!("SELECT event_id, actor AS entity FROM events WHERE {}", comparisons.join(" OR "));
    let rule = rule("t/long", &sql);
    assert!(Engine::new(std::slice::from_ref(&rule), &Settings::default()).is_ok());
}

#[test]
fn p7_what_goes_deeper_than_the_stack_is_refused_and_ends_no_process() {
    let chain = |count: usize| {
        let comparisons: Vec<String> = (0..count).map(|number| format!("(actor = 'a{number}' AND late)")).collect();
        comparisons.join(" OR ")
    };
    let within = |depth: usize| {
        let from = "SELECT event_id, actor, late, actor = 'a' AS known FROM events".to_owned();
        let further =
            |from: String, _| format!("SELECT event_id, actor, late, known OR {} AS known FROM ({from})", chain(60));
        (0..depth).fold(from, further)
    };
    let unions = ["SELECT event_id, actor AS entity FROM events"; 400].join(" UNION ALL ");
    let joins = (0..400).map(|number| format!(" JOIN wallets w{number} ON w{number}.wallet = e.wallet"));
    let joins: String = joins.collect();
    let one = "SELECT event_id, actor AS entity FROM events";
    let intersections = format!("{one} UNION {one}{}", format!(" INTERSECT {one}").repeat(400));
    let where_many = |condition: &str| format!("SELECT event_id, actor AS entity FROM events WHERE {condition}");
    let many = "of more than 256 operators within each other";
    check_refused([
        (where_many(&chain(300)), many),
        // As many as a file of a rule has room for.
        (where_many(&format!("{}late", "late OR ".repeat(30_000))), many),
        (where_many(&format!("late{}", " IS NOT NULL".repeat(20_000))), many),
        (format!("SELECT event_id, actor AS entity FROM ({}) WHERE known", within(5)), many),
        (unions, many),
        (intersections, many),
        (format!("SELECT e.event_id, e.actor AS entity FROM events e{joins}"), many),
        (format!("SELECT e.event_id, e.actor AS entity FROM (events e{joins})"), many),
    ]);
    let values: Vec<String> = (0..5_000).map(|number| format!("'a{number}'")).collect();
    let wide = rule("t/wide", &where_many(&format!("actor IN ({})", values.join(", "))));
    assert!(Engine::new(std::slice::from_ref(&wide), &Settings::default()).is_ok(), "wide is not deep");
}

fn window(call: &str, over: &str) -> String {
    format!("SELECT event_id, wallet AS entity, x FROM (SELECT *, {call} OVER ({over}) AS x FROM events)")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one long list")]
fn each_construct_outside_the_language_is_named() {
    let by_time = "PARTITION BY wallet ORDER BY time";
    let day = format!("{by_time} RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW");
    check_refused([
        ("SELECT max(event_id) AS event_id, wallet AS entity FROM events GROUP BY wallet".to_owned(), "GROUP BY"),
        ("SELECT event_id, wallet AS entity FROM events ORDER BY time".to_owned(), "ORDER BY"),
        ("SELECT event_id, wallet AS entity FROM events LIMIT 1".to_owned(), "LIMIT"),
        ("SELECT DISTINCT event_id, wallet AS entity FROM events".to_owned(), "DISTINCT"),
        (
            "SELECT event_id, wallet AS entity FROM events UNION ALL SELECT event_id, tx AS entity FROM events"
                .to_owned(),
            "UNION",
        ),
        (
            "SELECT a.event_id, a.wallet AS entity FROM events a JOIN events b ON a.tx = b.tx".to_owned(),
            "reading `events` more than once",
        ),
        ("SELECT wallet AS event_id, wallet AS entity FROM wallets".to_owned(), "a query that does not read `events`"),
        (
            "SELECT event_id, wallet AS entity FROM events WHERE wallet IN (SELECT wallet FROM wallets)".to_owned(),
            "a subquery in an expression",
        ),
        ("SELECT event_id, wallet AS entity FROM events WHERE time < now()".to_owned(), "now()"),
        ("SELECT event_id, wallet AS entity FROM events WHERE random() < 0.5".to_owned(), "random()"),
        ("SELECT event_id FROM events".to_owned(), "a SELECT without `entity`"),
        (
            "SELECT tx AS event_id, wallet AS entity FROM events".to_owned(),
            "a SELECT without the event's own `event_id`",
        ),
        ("SELECT event_id, wallet AS entity FROM (SELECT event_id, wallet FROM events)".to_owned(), "drops `system`"),
        (
            "SELECT e.event_id, e.wallet AS entity FROM events e JOIN wallets w ON w.threshold > 1".to_owned(),
            "a join without an equality",
        ),
        (
            "SELECT e.event_id, w.wallet AS entity FROM events e FULL JOIN wallets w ON w.wallet = e.wallet".to_owned(),
            "a Full join",
        ),
        (window("lead(tx)", by_time), "lead"),
        (window("ntile(4)", by_time), "ntile"),
        (window("cume_dist()", by_time), "cume_dist"),
        (window("stddev(CAST(asn AS DOUBLE))", &day), "stddev"),
        (window("median(asn)", &day), "median"),
        (window("array_agg(tx)", &day), "array_agg"),
        (window("string_agg(tx, ',')", &day), "string_agg"),
        (window("quantile(asn, 0.5)", &day), "quantile over a frame that rows leave"),
        (window("decayed_count(time, INTERVAL '1 day')", &day), "decayed_count over a frame that rows leave"),
        (
            window("decayed_count(event_time, INTERVAL '1 day')", &format!("{by_time} RANGE UNBOUNDED PRECEDING")),
            "decayed_count of another time than log time",
        ),
        (window("count(tx, asn)", &day), "count of several arguments"),
        (window("lag(tx, 2) IGNORE NULLS", by_time), "IGNOREs NULLS"),
        (window("nth_value(tx, 0)", &day), "nth_value of that row"),
        (
            "SELECT event_id, wallet AS entity FROM events WHERE time - event_time > INTERVAL '1 day'".to_owned(),
            "a comparison of a difference of times",
        ),
        (
            "SELECT event_id, wallet AS entity FROM events WHERE amount > CAST(asn AS DOUBLE)".to_owned(),
            "a comparison of an amount with a floating-point number",
        ),
        (window("count(DISTINCT tx)", &format!("{by_time} RANGE UNBOUNDED PRECEDING")), "UNBOUNDED PRECEDING"),
        (
            window("count(*)", &format!("{by_time} RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING")),
            "UNBOUNDED FOLLOWING",
        ),
        (window("count(*)", &format!("{by_time} ROWS BETWEEN CURRENT ROW AND 3 FOLLOWING")), "ROWS … FOLLOWING"),
        (window("count(*)", &format!("{by_time} GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW")), "GROUPS"),
        (
            window("count(*)", &format!("{by_time} RANGE BETWEEN INTERVAL '1 month' PRECEDING AND CURRENT ROW")),
            "months or years",
        ),
        (
            window("count(*)", &format!("{by_time} RANGE BETWEEN CURRENT ROW AND INTERVAL '2 days' FOLLOWING")),
            "looks ahead for more than a day",
        ),
        (window("count(*)", "PARTITION BY wallet ORDER BY event_time RANGE UNBOUNDED PRECEDING"), "order of log time"),
        (window("count(*)", "PARTITION BY wallet"), "order of log time"),
        (window("sum(CAST(asn AS DOUBLE))", &day), "floating-point"),
        (window("sum(DISTINCT asn)", &day), "sum(DISTINCT …)"),
        (window("avg(DISTINCT asn)", &day), "avg(DISTINCT …)"),
        (window("stddev(DISTINCT asn)", &day), "stddev(DISTINCT …)"),
        (window("first_value(DISTINCT asn)", &day), "first_value(DISTINCT …)"),
        (window("count(DISTINCT asn, tx)", &day), "count of several arguments"),
        (window("first_value(asn, tx)", &day), "first_value of several arguments"),
        (window("first_value(asn, 3)", &day), "first_value of several arguments"),
        (window("last_value(asn, 3)", &day), "last_value of several arguments"),
        (window("nth_value(tx, -1)", &day), "nth_value of that row"),
        (window("nth_value(tx, asn)", &day), "nth_value of a computed row"),
        (window("nth_value(tx, 1001)", &day), "nth_value of that row"),
        (window("lag(tx, 0)", by_time), "lag by that many rows"),
        (window("lag(asn, 1, 0)", by_time), "lag with a default"),
        (window("percent_rank()", by_time), "percent_rank"),
        (window("approx_distinct(tx)", &day), "approx_distinct"),
        (window("bit_and(asn)", &day), "bit_and"),
        (window("corr(asn, asn)", &day), "corr"),
        (window("quantile(asn, asn)", by_time), "quantile without a literal rank"),
        (window("decayed_count(time, INTERVAL '1 month')", by_time), "decayed_count with a half-life"),
        (window("min(CAST(time AS DATE))", &day), "a window over values of type Date32"),
        (window("count(*)", "ORDER BY time DESC"), "order of log time"),
        (window("count(*)", "ORDER BY time, kind"), "order of log time"),
        (window("count(*)", &format!("{by_time} RANGE BETWEEN 5 PRECEDING AND CURRENT ROW")), "a number without a unit"),
        (
            window("count(*)", &format!("{by_time} RANGE BETWEEN INTERVAL '500 days' PRECEDING AND CURRENT ROW")),
            "looks back for more than 400 days",
        ),
        (
            window("count(*)", &format!("{by_time} RANGE BETWEEN INTERVAL '3 s' FOLLOWING AND INTERVAL '1 s' FOLLOWING")),
            "ends before it starts",
        ),
        (window("count(*)", &format!("{by_time} ROWS BETWEEN 200000 PRECEDING AND CURRENT ROW")), "a ROWS frame of more"),
        (window("count(DISTINCT tx)", &format!("{by_time} ROWS UNBOUNDED PRECEDING")), "UNBOUNDED PRECEDING"),
        (window("count(*) FILTER (WHERE wallet IN (SELECT wallet FROM wallets))", &day), "a subquery in an expression"),
        (window("count(*) FILTER (WHERE time < now())", &day), "now()"),
        (window("count(*)", "PARTITION BY (SELECT max(threshold) FROM wallets) ORDER BY time"), "a subquery"),
        (
                "SELECT event_id, entity FROM (SELECT e.*, d.label AS entity, count(*) OVER (PARTITION BY e.wallet ORDER BY e.time \
                 RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS n FROM events e JOIN destinations d ON \
                 lookalike_shape(d.address) = lookalike_shape(e.to_address)) WHERE n > 1"
                .to_owned(),
            "an inventory join below a window whose key is not unique",
        ),
    ]);
}

/// `SELECT event_id, wallet AS entity FROM …` or `… WHERE …`.
fn rest(rest: &str) -> String {
    format!("SELECT event_id, wallet AS entity FROM {rest}")
}

#[test]
fn what_datafusion_would_pass_over_is_named_too() {
    check_refused([
        (rest("events TABLESAMPLE (10)"), "TABLESAMPLE"),
        (rest("(SELECT * FROM events ORDER BY time)"), "ORDER BY"),
        (rest("(SELECT * FROM events LIMIT 5)"), "LIMIT"),
        (rest("events OFFSET 1"), "LIMIT"),
        (rest("events FETCH FIRST 1 ROWS ONLY"), "FETCH"),
        (rest("events INTERSECT SELECT event_id, wallet AS entity FROM events"), "DISTINCT"),
        (rest("events WHERE count(*) OVER (ORDER BY time) > 1"), "a window in WHERE or JOIN"),
        (
            "SELECT e.event_id, e.wallet AS entity FROM events e JOIN wallets w ON w.wallet = e.wallet AND \
             count(*) OVER (ORDER BY e.time) > 1"
                .to_owned(),
            "a window in WHERE or JOIN",
        ),
        (
            "SELECT event_id, wallet AS entity, tx AS __system FROM events".to_owned(),
            "a result column named `__system`",
        ),
        (
            "SELECT event_id, wallet AS entity, detail_text(detail, tx) AS x FROM events".to_owned(),
            "a path that is computed",
        ),
        ("SELECT 'a' AS event_id, 'b' AS entity".to_owned(), "VALUES or SELECT without FROM"),
        ("INSERT INTO events SELECT * FROM events".to_owned(), "this statement"),
        ("EXPLAIN SELECT event_id, wallet AS entity FROM events".to_owned(), "EXPLAIN"),
        (
            "WITH RECURSIVE a AS (SELECT event_id, wallet FROM events UNION ALL SELECT event_id, wallet FROM a) \
             SELECT event_id, wallet AS entity FROM a"
                .to_owned(),
            "WITH RECURSIVE",
        ),
        (
            "SELECT e.event_id, e.wallet AS entity FROM events e JOIN \
             (SELECT wallet, count(*) AS n FROM owners GROUP BY wallet) x ON x.wallet = e.wallet"
                .to_owned(),
            "GROUP BY",
        ),
        (
            "SELECT e.event_id, e.wallet AS entity FROM events e LEFT ANTI JOIN wallets w ON w.wallet = e.wallet"
                .to_owned(),
            "a LeftAnti join",
        ),
    ]);
}

#[test]
fn comparisons_that_are_made_otherwise_than_they_read_are_refused_wherever_they_stand() {
    const APART: &str = "a comparison of a difference of times";
    const MIXED: &str = "a comparison of an amount with a floating-point number";
    let conditions = [
        ("time - event_time > INTERVAL '1 day'", APART),
        ("time - event_time BETWEEN INTERVAL '1 day' AND INTERVAL '3 days'", APART),
        ("time - event_time IN (INTERVAL '1 day')", APART),
        ("time - event_time IS DISTINCT FROM INTERVAL '1 day'", APART),
        ("CASE time - event_time WHEN INTERVAL '1 day' THEN true ELSE false END", APART),
        ("INTERVAL '1 day' < INTERVAL '25 hours'", APART),
        ("greatest(time - event_time, INTERVAL '1 day') IS NOT NULL", APART),
        ("amount > 1.5", MIXED),
        ("amount > 1.5 * amount", MIXED),
        ("amount BETWEEN 1.5 AND 2.5", MIXED),
        ("amount IN (1.5)", MIXED),
        ("amount IS DISTINCT FROM 1.5", MIXED),
        ("CASE amount WHEN 1.5 THEN true ELSE false END", MIXED),
        ("CASE WHEN late THEN amount ELSE 0.5 END > 1", MIXED),
        ("greatest(amount, 1.5) > 3", MIXED),
        ("coalesce(amount, 0.5) > 3", MIXED),
        ("ln(asn) > 2", "ln()"),
        ("power(asn, 2) > 2", "power()"),
        ("exp(asn) > 2", "exp()"),
        ("sin(asn) > 0", "sin()"),
    ];
    check_refused(conditions.map(|(condition, construct)| (rest(&format!("events WHERE {condition}")), construct)));
    let through = "SELECT event_id, wallet AS entity FROM (SELECT *, time - event_time AS d FROM events) WHERE d > INTERVAL '1 day'";
    check_refused([(through.to_owned(), APART)]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one long list")]
fn each_construct_of_the_language_loads() {
    let by_time = "PARTITION BY wallet ORDER BY time";
    let range = |bounds: &str| format!("{by_time} RANGE BETWEEN {bounds}");
    let day = range("INTERVAL '1 day' PRECEDING AND CURRENT ROW");
    let so_far = format!("{by_time} RANGE UNBOUNDED PRECEDING");
    let functions = [
        "count(*)",
        "count(tx)",
        "count(DISTINCT tx)",
        "sum(amount)",
        "avg(asn)",
        "min(amount)",
        "max(tx)",
        "first_value(tx)",
        "first_value(tx) IGNORE NULLS",
        "last_value(tx)",
        "last_value(tx) IGNORE NULLS",
        "nth_value(tx, 3)",
        "stddev(amount)",
        "stddev_pop(asn)",
        "var(amount)",
        "var_pop(asn)",
        "bool_and(late)",
        "bool_or(outcome = 'deny')",
        "array_agg(tx, 20)",
        "string_agg(tx, ', ', 20)",
        "bit_xor(asn)",
        "count(*) FILTER (WHERE outcome = 'allow')",
        "min(DISTINCT asn)",
    ];
    let unbounded = [
        "count(*)",
        "sum(amount)",
        "avg(amount)",
        "min(tx)",
        "max(tx)",
        "first_value(tx)",
        "last_value(tx)",
        "nth_value(tx, 3)",
        "array_agg(tx, 20)",
        "decayed_count(time, INTERVAL '7 days')",
        "decayed_rate(time, INTERVAL '7 days')",
        "decayed_mean(amount, time, INTERVAL '7 days')",
        "decayed_stddev(amount, time, INTERVAL '7 days')",
        "quantile(amount, 0.99)",
        "first_seen(time)",
        "last_seen(time)",
    ];
    let by_row = ["lag(tx)", "lag(tx, 3)", "lag(tx) IGNORE NULLS", "row_number()", "rank()", "dense_rank()"];
    let frames = [
        range("CURRENT ROW AND INTERVAL '1 day' FOLLOWING"),
        range("INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '5 minutes' FOLLOWING"),
        range("INTERVAL '5 minutes' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING"),
        range("INTERVAL '5 minutes' PRECEDING AND INTERVAL '30 seconds' FOLLOWING"),
        range("UNBOUNDED PRECEDING AND INTERVAL '1 hour' PRECEDING"),
        range("UNBOUNDED PRECEDING AND INTERVAL '1 hour' FOLLOWING"),
        format!("{by_time} ROWS BETWEEN 5 PRECEDING AND 1 PRECEDING"),
        format!("{by_time} ROWS UNBOUNDED PRECEDING"),
        format!("{by_time} ROWS 3 PRECEDING"),
        "PARTITION BY wallet, lower(to_address), asn > 5 ORDER BY time".to_owned(),
        "ORDER BY time".to_owned(),
    ];
    let whole = [
        "SELECT event_id, wallet AS entity, count(*) OVER (PARTITION BY wallet ORDER BY time) AS n FROM events",
        "SELECT event_id, wallet AS entity FROM events QUALIFY count(*) OVER (PARTITION BY wallet ORDER BY time) > 1",
        "WITH a AS (SELECT * FROM events) SELECT event_id, wallet AS entity FROM a",
        "SELECT event_id, wallet AS entity, n, m FROM (SELECT *, count(*) OVER w AS n, sum(amount) OVER w AS m FROM events \
         WINDOW w AS (PARTITION BY wallet ORDER BY time RANGE INTERVAL '1 hour' PRECEDING))",
        "SELECT event_id, wallet AS entity, y FROM (SELECT *, sum(x) OVER (PARTITION BY actor ORDER BY time \
         RANGE BETWEEN INTERVAL '1 minute' FOLLOWING AND INTERVAL '2 minutes' FOLLOWING) AS y FROM (SELECT *, count(*) \
         OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN CURRENT ROW AND INTERVAL '1 hour' FOLLOWING) AS x FROM events))",
        "SELECT event_id, entity FROM (SELECT e.*, w.wallet AS entity, count(*) OVER (PARTITION BY w.threshold ORDER BY e.time) \
         AS n FROM events e LEFT JOIN wallets w ON w.system = e.system AND w.wallet = e.wallet) WHERE n > 1",
        "SELECT e.event_id, e.wallet AS entity FROM wallets w RIGHT JOIN events e ON w.system = e.system AND w.wallet = e.wallet",
        "SELECT e.event_id, e.wallet AS entity FROM events e LEFT JOIN owners o ON o.system = e.system AND o.wallet = e.wallet \
         WHERE o.owner IS NULL AND e.time < e.event_time + INTERVAL '7 days' AND time - event_time > event_time - time",
        "SELECT event_id, wallet AS entity FROM events WHERE amount > CAST(1.5 AS DECIMAL(38, 6)) AND sqrt(asn) > 2.5",
        "SELECT event_id, wallet AS entity FROM events WHERE detail_text(detail, 'a.b') ~ '^x' AND detail_int(detail, 'c') > 1 \
         AND detail_bool(detail, 'd') AND detail_amount(detail, 'e') > amount AND lookalike_shape(to_address) <> 'x'",
        "SELECT event_id, wallet AS entity, z_score(amount, 5, 2) AS z, outlier_score(amount, 5, 2) AS o FROM events",
    ];
    let windows = functions.iter().map(|call| window(call, &day));
    let windows = windows.chain(unbounded.iter().map(|call| window(call, &so_far)));
    let windows = windows.chain(by_row.iter().map(|call| window(call, by_time)));
    let windows = windows.chain(frames.iter().map(|frame| window("count(*)", frame)));
    for sql in windows.chain(whole.map(str::to_owned)) {
        if let Err(error) = Engine::new(&[rule("t/taken", &sql)], &Settings::default()) {
            panic!("{sql}\n{error}");
        }
    }
}

#[test]
fn bad_sql_is_told_with_its_place() {
    for (sql, said) in [
        ("SELEC event_id FROM events", "SELEC"),
        ("SELECT event_id, wallt AS entity FROM events", "wallt"),
        ("SELECT event_id, wallet AS entity FROM event", "event"),
        ("SELECT event_id, wallet AS entity FROM events WHERE amount = $limit", "limit"),
        (
            "SELECT event_id, wallet AS entity, count(*) OVER (ORDER BY time ROWS 1 PRECEDING EXCLUDE TIES) FROM events",
            "EXCLUDE",
        ),
        (
            "SELECT event_id, wallet AS entity, percentile_cont(0.5) WITHIN GROUP (ORDER BY asn) OVER (ORDER BY time) FROM events",
            "WITHIN GROUP",
        ),
        ("SELECT event_id, wallet AS entity, lag(tx) FILTER (WHERE late) OVER (ORDER BY time) FROM events", "FILTER"),
        (
            "SELECT event_id, wallet AS entity, sum(count(*) OVER (ORDER BY time)) OVER (ORDER BY time) FROM events",
            "nested",
        ),
        ("SELECT event_id, wallet AS entity FROM events; SELECT 1", "single SQL statement"),
    ] {
        let error = Engine::new(&[rule("t/bad", sql)], &Settings::default()).unwrap_err().to_string();
        assert!(error.contains("t/bad") && error.contains(said), "{error}");
    }
}

/// The blocks of a page that are fenced as SQL.
fn snippets(page: &str) -> Vec<String> {
    let blocks = page.split("```sql\n").skip(1);
    blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned())).collect()
}

#[test]
fn what_the_documents_show_loads() {
    for (page, text) in
        [("rules.md", include_str!("../../docs/rules.md")), ("functions.md", include_str!("../../docs/functions.md"))]
    {
        let snippets = snippets(text);
        assert!(!snippets.is_empty(), "{page} shows no SQL");
        for sql in snippets {
            if let Err(error) = Engine::new(&[rule("t/shown", &sql)], &Settings::default()) {
                panic!("docs/{page}: {error}\n{sql}");
            }
        }
    }
}
