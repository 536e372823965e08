//! What a rule may not say is refused as it loads, by name, with what to write instead.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use keywatch_detectors::{Engine, Error, Settings};

fn refusal(sql: &str) -> String {
    let rules = [support::rule("t/refused", sql)];
    match Engine::new(&rules, &Settings::default()) {
        Ok(_) => panic!("accepted: {sql}"),
        Err(Error::Refused { construct, instead, .. }) => {
            assert!(instead.len() > 10, "{sql}: no advice");
            construct
        }
        Err(other) => panic!("{sql}: {other}"),
    }
}

fn window(call: &str, over: &str) -> String {
    format!("SELECT event_id, wallet AS entity, x FROM (SELECT *, {call} OVER ({over}) AS x FROM events)")
}

#[test]
fn each_construct_outside_the_language_is_named() {
    let by_time = "PARTITION BY wallet ORDER BY time";
    let day = format!("{by_time} RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW");
    for (sql, construct) in [
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
        (
                "SELECT event_id, entity FROM (SELECT e.*, d.label AS entity, count(*) OVER (PARTITION BY e.wallet ORDER BY e.time \
                 RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS n FROM events e JOIN destinations d ON \
                 lookalike_shape(d.address) = lookalike_shape(e.to_address)) WHERE n > 1"
                .to_owned(),
            "an inventory join below a window whose key is not unique",
        ),
    ] {
        let named = refusal(&sql);
        assert!(named.contains(construct), "{sql}\nnamed {named}, not {construct}");
    }
}

#[test]
fn bad_sql_is_told_with_its_place() {
    for (sql, said) in [
        ("SELEC event_id FROM events", "SELEC"),
        ("SELECT event_id, wallt AS entity FROM events", "wallt"),
        ("SELECT event_id, wallet AS entity FROM event", "event"),
        ("SELECT event_id, wallet AS entity FROM events WHERE amount = $limit", "limit"),
    ] {
        let error = Engine::new(&[support::rule("t/bad", sql)], &Settings::default()).unwrap_err().to_string();
        assert!(error.contains("t/bad") && error.contains(said), "{error}");
    }
}
