//! Promise P1 across restarts from a snapshot: an engine that takes over what another one remembered goes on as that one
//! would have, wherever the log is cut.

use crate::support::{event, rule, run_cut};
use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Decided, Engine, Rule, Settings};
use keywatch_store::{Amount, Event, Instant, Inventory, Position};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

/// Every kind of state: each function over a frame that rows leave, over one that they never leave, and over rows.
fn rules() -> Vec<Rule> {
    let spans = [
        ("back", "RANGE BETWEEN INTERVAL '4 seconds' PRECEDING AND CURRENT ROW"),
        ("around", "RANGE BETWEEN INTERVAL '3 seconds' PRECEDING AND INTERVAL '2 seconds' FOLLOWING"),
        ("early", "RANGE BETWEEN INTERVAL '9 seconds' PRECEDING AND INTERVAL '3 seconds' PRECEDING"),
        ("ever", "RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING"),
        ("rows", "ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING"),
    ];
    let calls = [
        "count(*)",
        "count(asn)",
        "sum(asn)",
        "avg(asn)",
        "min(asn)",
        "max(tx)",
        "first_value(tx)",
        "last_value(tx) IGNORE NULLS",
        "last_value(asn)",
        "nth_value(asn, 2)",
        "stddev(asn)",
        "bool_and(asn > 3)",
    ];
    let bounded = ["count(DISTINCT tx)", "string_agg(tx, ',', 3)"];
    let baselines = [
        "decayed_count(time, INTERVAL '5 seconds')",
        "decayed_mean(asn, time, INTERVAL '5 seconds')",
        "quantile(asn, 0.5)",
        "first_seen(time)",
        "last_seen(time)",
    ];
    let mut rules = Vec::new();
    for (name, frame) in spans {
        let more = if name == "ever" { &baselines[..] } else { &bounded };
        let calls: Vec<&str> = calls.iter().chain(more).copied().collect();
        let columns: Vec<String> = (0..calls.len()).map(|number| format!("x{number}")).collect();
        let windows: Vec<String> =
            calls.iter().zip(&columns).map(|(call, column)| format!("{call} OVER w AS {column}")).collect();
        let sql = format!(
            "SELECT event_id, system AS entity, {} FROM (SELECT *, {} FROM events WINDOW w AS (PARTITION BY wallet ORDER BY time {frame}))",
            columns.join(", "),
            windows.join(", ")
        );
        rules.push(rule(&format!("t/{name}"), &sql));
    }
    rules.push(rule(
        "t/few",
        "SELECT event_id, wallet AS entity FROM (SELECT *, count(*) OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN INTERVAL \
         '3 seconds' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING) AS n FROM events) WHERE n < 2 AND wallet IS NOT NULL",
    ));
    rules.push(rule(
        "t/frames",
        "SELECT event_id, system AS entity, a, b, c, d FROM (SELECT *, sum(asn) OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN \
         INTERVAL '2 seconds' PRECEDING AND CURRENT ROW) AS a, count(DISTINCT tx) OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN \
         INTERVAL '6 seconds' PRECEDING AND INTERVAL '1 second' PRECEDING) AS b, max(asn) OVER (PARTITION BY wallet ORDER BY time RANGE \
         BETWEEN INTERVAL '1 second' PRECEDING AND CURRENT ROW) AS c, last_value(tx) IGNORE NULLS OVER (PARTITION BY wallet ORDER BY \
         time RANGE BETWEEN INTERVAL '3 seconds' PRECEDING AND INTERVAL '1 second' PRECEDING) AS d FROM events)",
    ));
    rules.push(rule(
        "t/nested",
        "SELECT e.event_id, e.system AS entity, later, asn_before, w.threshold AS threshold FROM (SELECT *, count(*) OVER (PARTITION BY kind \
         ORDER BY time RANGE BETWEEN CURRENT ROW AND INTERVAL '3 seconds' FOLLOWING) AS later FROM (SELECT *, lag(asn) OVER (PARTITION BY \
         wallet ORDER BY time) AS asn_before FROM events)) AS e LEFT JOIN wallets AS w ON w.system = e.system AND w.wallet = e.wallet",
    ));
    rules
}

#[derive(Clone, Debug)]
struct Row {
    system: bool,
    wallet: Option<u8>,
    asn: Option<u8>,
    tx: Option<u8>,
    wait: i64,
    tick: bool,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let waits = prop_oneof![Just(1_i64), Just(SECOND), 0..3 * SECOND, Just(40 * SECOND)];
    let some = || prop::option::weighted(0.8, 0..5_u8);
    let row = (any::<bool>(), some(), some(), some(), waits, any::<bool>())
        .prop_map(|(system, wallet, asn, tx, wait, tick)| Row { system, wallet, asn, tx, wait, tick });
    prop::collection::vec(row, 1..40)
}

fn log(rows: &[Row]) -> Vec<Event> {
    let mut clocks = [1_000 * SECOND; 2];
    let mut events = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let system = ["one", "two"][usize::from(row.system)];
        let clock = &mut clocks[usize::from(row.system)];
        *clock += row.wait.max(1);
        let event = event(system, &index.to_string(), if row.tick { "tick" } else { "chain.tx" }, *clock);
        let (wallet, tx) = (row.wallet.map(|wallet| format!("w{wallet}")), row.tx.map(|tx| format!("0x{tx}")));
        events.push(event.changed(|event| event.wallet(wallet).asn(row.asn.map(i64::from)).tx(tx)));
        if index == rows.len() / 3 {
            *clock += 1;
            let text = format!(
                "[[systems]]\nid = \"{system}\"\n[[systems.wallets]]\nwallet = \"w1\"\nchain = \"c\"\nthreshold = 2\n"
            );
            events.extend(Inventory::parse("i.toml", &text).unwrap().activation(Instant(*clock)));
        }
    }
    events
}

fn shown(found: &[Decided]) -> Vec<String> {
    found.iter().map(|decided| serde_json::to_string(&decided.finding).unwrap()).collect()
}

/// As [`run_cut`], with a new engine after every cut, that is given the snapshot of the last.
fn run_restarted(rules: &[Rule], events: &[Event], cuts: &[usize]) -> Vec<Decided> {
    let mut engine = Engine::new(rules, &Settings::default()).unwrap();
    let (mut found, mut from) = (Vec::new(), 0);
    for to in cuts.iter().copied().chain([events.len()]) {
        let outcome = engine.run(Position(from as u64), &events[from..to]).unwrap();
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        found.extend(outcome.findings);
        from = to;
        let mut saved = Vec::new();
        engine.save(&mut saved).unwrap();
        engine = Engine::new(rules, &Settings::default()).unwrap();
        assert_eq!(engine.restore(saved.as_slice()).unwrap(), Vec::<String>::new());
        let mut again = Vec::new();
        engine.save(&mut again).unwrap();
        assert_eq!(again.len(), saved.len(), "what was restored is saved alike");
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn p1_a_restart_from_a_snapshot_anywhere_changes_no_finding((rows, seed) in (rows(), any::<u64>())) {
        let events = log(&rows);
        let cuts: Vec<usize> = (0..=events.len()).filter(|cut| (seed >> (cut % 64)).trailing_zeros() >= 2).collect();
        prop_assert_eq!(shown(&run_restarted(&rules(), &events, &cuts)), shown(&run_cut(&rules(), &events, &[])));
    }
}

#[test]
fn p1_a_restart_from_a_snapshot_at_every_record_changes_no_finding() {
    let rows: Vec<Row> = (0..30_u8)
        .map(|index| Row {
            system: index % 4 == 3,
            wallet: Some(index % 3),
            asn: (index % 5 != 0).then_some(index.wrapping_mul(37) % 11),
            tx: (index % 7 != 0).then_some(index % 4),
            wait: if index % 6 == 0 { 5 * SECOND } else { SECOND / 2 },
            tick: index % 3 == 0,
        })
        .collect();
    let events = log(&rows);
    let cuts: Vec<usize> = (1..events.len()).collect();
    let whole = shown(&run_cut(&rules(), &events, &[]));
    assert!(whole.len() > 100, "only {} findings", whole.len());
    assert_eq!(shown(&run_restarted(&rules(), &events, &cuts)), whole);
}

#[test]
fn p1_a_token_is_titled_by_what_it_said_before_wherever_the_log_is_cut() {
    const TOKEN: &str = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48";
    let front = "/*\nversion: 1\ntitle: \"{amount:asset} moved\"\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\n\
                 suppress_for: 1h\n*/\n";
    let sql = "SELECT event_id, wallet AS entity, chain, asset, amount FROM events WHERE kind = 'chain.transfer'";
    let rules = [Rule::parse("t/moved", &format!("{front}{sql}")).unwrap()];
    let moved = |number: i64| {
        let event = event("one", &format!("moved{number}"), "chain.transfer", number * SECOND);
        event.changed(|event| {
            event.wallet(format!("w{number}")).chain("base").asset(TOKEN).amount(Amount::from_u128(2_500_000))
        })
    };
    let said = |number: i64, symbol: &str| {
        let event = event("one", &format!("said{number}"), "chain.asset", number * SECOND);
        let detail = serde_json::json!({"token": TOKEN, "symbol": symbol, "decimals": 6});
        event.changed(|event| event.chain("base").outcome("said").detail(&detail))
    };
    let events =
        [moved(1), said(2, "USDC"), moved(3), said(4, "DAI"), moved(5), event("one", "tick", "tick", 6 * SECOND)];
    let whole = run_cut(&rules, &events, &[]);
    let titles: Vec<&str> = whole.iter().map(|decided| decided.finding.title.as_str()).collect();
    let units = format!("2500000 base units of {TOKEN} moved");
    assert_eq!(titles, [units.as_str(), "2.5 USDC?0xa0b8…eb48 moved", "2.5 USDC?0xa0b8…eb48 moved"]);
    for cut in 1..events.len() {
        assert_eq!(shown(&run_cut(&rules, &events, &[cut])), shown(&whole), "cut at {cut}");
        assert_eq!(shown(&run_restarted(&rules, &events, &[cut])), shown(&whole), "restarted at {cut}");
    }
}

/// The inventory of a system with ETH, whose price a source quotes, and GALA, whose price is declared.
fn declared(price_source: &str, second: i64) -> Event {
    let text = format!(
        "[[systems]]\nid = \"one\"\n[[systems.sources]]\nsource = \"source\"\nfeed = \"events\"\n[[systems.sources]]\n\
         source = \"other\"\nfeed = \"events\"\n[[systems.assets]]\nasset = \"ETH\"\nchain = \"ethereum\"\ndecimals = 18\n\
         price_source = \"{price_source}\"\n[[systems.assets]]\nasset = \"GALA\"\nchain = \"ethereum\"\ndecimals = 8\n\
         price = \"0.0125\""
    );
    Inventory::parse("i.toml", &text).unwrap().activation(Instant(second * SECOND)).remove(0)
}

fn quoted(price: &str, second: i64) -> Event {
    let event = event("one", &format!("quoted{second}"), "asset.price", second * SECOND);
    let detail = serde_json::json!({"price": price, "currency": "USD"});
    event.changed(|event| event.asset("ETH").chain("ethereum").detail(&detail))
}

fn spent(asset: &str, amount: u128, second: i64) -> Event {
    let event = event("one", &format!("spent{second}"), "chain.transfer", second * SECOND);
    event.changed(|event| {
        event.wallet(format!("w{second}")).chain("ethereum").asset(asset).amount(Amount::from_u128(amount))
    })
}

#[test]
fn p1_a_title_says_what_an_amount_was_worth_then_wherever_the_log_is_cut() {
    const HOUR: i64 = 3_600;
    const ETH: u128 = 1_000_000_000_000_000_000;
    let front = "/*\nversion: 1\ntitle: \"{amount:asset}\"\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\n\
                 suppress_for: 1h\n*/\n";
    let sql = "SELECT event_id, wallet AS entity, chain, asset, amount FROM (SELECT *, count(*) OVER (PARTITION BY wallet \
               ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '6 hours' FOLLOWING) AS n \
               FROM events) WHERE kind = 'chain.transfer' AND n = 0";
    let rules = [Rule::parse("t/spent", &format!("{front}{sql}")).unwrap()];
    let events = [
        declared("source", 1),
        spent("ETH", 2 * ETH, 2),
        quoted("3000", 3),
        spent("ETH", 2 * ETH, 4),
        // The rows before it are decided hours later, after this one.
        quoted("9000", HOUR),
        spent("ETH", 2 * ETH, HOUR + 1),
        spent("GALA", 78_488 * 100_000_000, HOUR + 2),
        spent("BTC", 5, HOUR + 3),
        event("one", "tick8", "tick", 8 * HOUR * SECOND),
        // A day and an hour after the last quote it holds no more.
        spent("ETH", 2 * ETH, 26 * HOUR),
        event("one", "tick33", "tick", 33 * HOUR * SECOND),
        quoted("4000", 50 * HOUR),
        spent("ETH", 2 * ETH, 51 * HOUR),
        // From here on somebody else is believed, who says nothing.
        declared("other", 52 * HOUR),
        quoted("5000", 53 * HOUR),
        spent("ETH", 2 * ETH, 54 * HOUR),
        event("one", "tick", "tick", 70 * HOUR * SECOND),
    ];
    let whole = run_cut(&rules, &events, &[]);
    let mut titles: Vec<_> =
        whole.iter().map(|decided| (decided.finding.time, decided.finding.title.as_str())).collect();
    titles.sort_unstable();
    let titles: Vec<&str> = titles.into_iter().map(|(_, title)| title).collect();
    let expected = [
        "2 ETH",
        "2 ETH (about 6,000 USD)",
        "2 ETH (about 18,000 USD)",
        "78,488 GALA (about 981 USD)",
        "0.00000005 BTC",
        "2 ETH",
        "2 ETH (about 8,000 USD)",
        "2 ETH",
    ];
    assert_eq!(titles, expected);
    let everywhere: Vec<usize> = (1..events.len()).collect();
    for cuts in (1..events.len()).map(|cut| vec![cut]).chain([everywhere]) {
        assert_eq!(shown(&run_cut(&rules, &events, &cuts)), shown(&whole), "cut at {cuts:?}");
        assert_eq!(shown(&run_restarted(&rules, &events, &cuts)), shown(&whole), "restarted at {cuts:?}");
    }
}

#[test]
fn a_changed_rule_is_not_in_the_snapshot_and_the_others_are() {
    let events = log(&[Row { system: true, wallet: Some(1), asn: Some(2), tx: None, wait: 1, tick: false }]);
    let mut engine = Engine::new(&rules(), &Settings::default()).unwrap();
    engine.run(Position(0), &events).unwrap();
    let mut saved = Vec::new();
    engine.save(&mut saved).unwrap();
    let mut changed = rules();
    changed[0] = rule("t/back", &changed[0].sql.replace("4 seconds", "5 seconds"));
    let mut engine = Engine::new(&changed, &Settings::default()).unwrap();
    assert_eq!(engine.restore(saved.as_slice()).unwrap(), ["t/back"]);
    assert!(engine.state_size().rows > 0);
}

#[test]
fn a_snapshot_that_is_cut_off_is_refused_wherever_that_is() {
    let mut engine = Engine::new(&shipped().unwrap(), &Settings::default()).unwrap();
    engine
        .run(Position(0), &log(&[Row { system: true, wallet: Some(1), asn: None, tx: None, wait: 1, tick: false }]))
        .unwrap();
    let mut saved = Vec::new();
    engine.save(&mut saved).unwrap();
    for length in (0..saved.len() - 8).step_by(saved.len() / 97 + 1) {
        let mut engine = Engine::new(&rules(), &Settings::default()).unwrap();
        assert!(engine.restore(&saved[..length]).is_err(), "cut to {length} of {} bytes", saved.len());
    }
}
