//! The Safe transaction service, over the real records of the wallet that was emptied on 2025-02-21; and the status of an
//! Open Policy Agent, which has no list.

use std::collections::BTreeSet;

use keywatch_store::Instant;
use reqwest::Url;
use serde_json::{Value, json};

use super::pulling;
use super::scripted::{Asked, Fault, Scripted};

const PAGE: usize = 5;

const WALLET: &str = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4";

fn records() -> Vec<Value> {
    let text = include_str!("../../replay-data/2025-02-bybit/sources/safe-transaction-service.json");
    let page: Value = serde_json::from_str(text).unwrap();
    page["results"].as_array().unwrap().clone()
}

fn changed(record: &Value) -> Instant {
    record["modified"].as_str().unwrap().parse().unwrap()
}

/// What a module did, as the list of modules' transactions has it.
fn modules() -> Value {
    json!({ "count": 1, "next": null, "results": [{
        "executionDate": "2025-03-02T10:00:00Z", "blockNumber": 5, "isSuccessful": true, "safe": WALLET,
        "transactionHash": format!("0x{}", "ab".repeat(32)), "module": format!("0x{}", "1".repeat(40)),
        "to": format!("0x{}", "2".repeat(40)), "value": "1000", "data": null, "operation": 0, "moduleTransactionId": "i1",
    }] })
}

/// A page in the order of changes; the service names the next one at an address that is not its own.
fn page(records: &[Value], query: &str) -> (Option<String>, String) {
    let url = Url::parse(&format!("http://safe/?{query}")).unwrap();
    let given = |name: &str| {
        let pair = url.query_pairs().find(|(given, _)| given == name);
        pair.map(|(_, value)| value.into_owned())
    };
    if query == "limit=100" {
        return (None, modules().to_string());
    }
    assert_eq!(given("ordering").as_deref(), Some("modified"), "{query}");
    let since: Option<Instant> = given("modified__gte").map(|text| text.parse().unwrap());
    let mut own: Vec<&Value> =
        records.iter().filter(|record| since.is_none_or(|since| changed(record) >= since)).collect();
    own.sort_by_key(|record| changed(record));
    let offset: usize = given("offset").map_or(0, |text| text.parse().unwrap());
    let rest = own.get(offset..).unwrap_or_default();
    let more = rest.len() > PAGE;
    let next = more.then(|| format!("http://elsewhere.example/list?ordering=modified&offset={}", offset + PAGE));
    let results: Vec<&&Value> = rest.iter().take(PAGE).collect();
    (None, json!({ "count": own.len(), "next": next, "previous": null, "results": results }).to_string())
}

#[tokio::test]
async fn p2_every_transaction_of_a_safe_is_told_once_with_its_signatures_checked() {
    let records = records();
    let count = records.len();
    assert!(count > 2 * PAGE, "there are pages");
    let faults = [Fault::None, Fault::Cut];
    let service = Scripted::start(&faults, move |query, _| page(&records, query)).await;
    let pull = format!(
        "[[pull]]\nsystem = \"cold\"\nsource = \"safe\"\nkind = \"safe_transaction_service\"\nurl = \"{}\"\n\
         allow_plain_http = true\nchain = \"ethereum\"\npoll_seconds = 1\n",
        service.url
    );
    let inventory = format!(
        "[[systems.sources]]\nsource = \"safe\"\nfeed = \"safe\"\n[[systems.wallets]]\n\
         wallet = \"{WALLET}\"\nchain = \"ethereum\"\ntechnology = \"safe\"\n\
         contract_version = \"1.1.1\"\n"
    );
    let machine = pulling(&inventory, &pull);
    let running = machine.start().await;
    // The second of each shows that what the first brought is durable.
    let twice = |asked: &[Asked], words: &str| asked.iter().filter(|asked| asked.query.contains(words)).count() >= 2;
    service.until(|asked| twice(asked, "modified__gte")).await;
    let modules = |asked: &&Asked| asked.query == "limit=100";
    let before = service.asked().iter().filter(modules).count();
    service.until(|asked| asked.iter().filter(modules).count() >= before + 2).await;
    running.stop();

    let asked = service.asked();
    let paths: BTreeSet<&str> = asked.iter().map(|asked| asked.path.as_str()).collect();
    let list = |name: &str| format!("/api/v1/safes/0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4/{name}/");
    let expected = [list("module-transactions"), list("multisig-transactions")];
    assert_eq!(paths, expected.iter().map(String::as_str).collect());
    assert!(asked.iter().all(|asked| asked.authorization.is_empty()));
    let events = machine.record().events;
    let requests = events.iter().filter(|event| event.kind() == "signing.requested");
    let requests: Vec<&str> = requests.map(|event| event.request().unwrap()).collect();
    assert_eq!((requests.len(), requests.iter().collect::<BTreeSet<_>>().len()), (count, count));
    assert_eq!(events.iter().filter(|event| event.kind() == "chain.module_tx").count(), 1);
    let mismatches = events.iter().filter(|event| event.outcome() == Some("mismatch")).count();
    assert!(mismatches >= 3, "three owners signed what they were not shown");
}

#[tokio::test]
async fn a_status_that_stays_the_same_is_one_record() {
    let mut status: Value =
        serde_json::from_str(include_str!("../../ingest/src/feeds/opa_status/example.json")).unwrap();
    status["metrics"]["prometheus"]["counter_decision_logs_dropped_rate_limit_exceeded"] = json!(7);
    let body = json!({ "result": status }).to_string();
    let opa = Scripted::start(&[], move |_, _| (None, body.clone())).await;
    let pull = format!(
        "[[pull]]\nsystem = \"cold\"\nsource = \"opa\"\nkind = \"opa_status\"\nurl = \"{}\"\nallow_plain_http = true\n\
         poll_seconds = 1\n",
        opa.url
    );
    let machine = pulling("[[systems.sources]]\nsource = \"opa\"\nfeed = \"opa_status\"\n", &pull);
    let running = machine.start().await;
    opa.until(|asked| asked.len() >= 3).await;
    running.stop();
    assert!(opa.asked().iter().all(|asked| asked.path == "/v1/status"));
    let events = machine.record().events;
    let told: Vec<_> = events.iter().filter(|event| event.kind() == "source.status").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].outcome(), told[0].reason()), (Some("degraded"), Some("7 decisions lost")));
}
