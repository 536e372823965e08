//! What holds for every feed that is a table, and for a table made for the purpose.

use keywatch_store::event::Origin;
use keywatch_store::{Event, Inventory, kinds};
use serde_json::{Value, json};

use super::Column::{Actor, AmountUsd, Asn, Country, Ip, Session, Wallet};
use super::*;
use crate::feeds::TABLES;
use crate::limits;

const PLAIN: Table = Table {
    name: "plain",
    about: About { title: "", what: "", format: "", delivery: "", traps: &[] },
    wrapper: None,
    decode: None,
    unfold: None,
    select: "type",
    cases: &[
        pass(&["noise"]),
        on(&["login"], "session.started").outcome(Fact::By(Words {
            from: "result",
            words: &[("", "success"), ("OK", "success")],
            otherwise: Some("failure"),
        })),
        on(&["factor.*"], "session.mfa_changed").and(&[("deleted", &["true"])]).says(&[("change", Fact::Is("delete"))]),
        on(&["factor.*"], "session.mfa_changed").says(&[("change", Fact::Is("create"))]),
        on(&["lock"], "session.revoked").done_to("locked"),
        pass(&["use"]).and(&[("target", &["*"])]),
        on(&["use"], "session.presented").and(&[("target", &[""])]).outcome(Fact::Is("success")),
    ],
    id: &["id"],
    time: "at",
    columns: &[
        (Actor, "user"),
        (Session, "root | session"),
        (Ip, "ip"),
        (Country, "country"),
        (Asn, "asn"),
        (Wallet, "wallet"),
        (AmountUsd, "usd"),
    ],
    facts: &[("agent", Fact::At("agent"))],
    hidden: &["phone"],
    finish: None,
    example: "{}",
};

fn reading(record: &Value) -> Reading {
    let origin = Origin { system: "cold".into(), source: "plain".into() };
    let inventory =
        Inventory::parse("i", "[[systems]]\nid = \"cold\"\n[[systems.wallets]]\nwallet = \"0xab\"\nchain = \"base\"")
            .unwrap();
    PLAIN.read(&Context { origin: &origin, inventory: Some(&inventory) }, record.to_string().as_bytes())
}

fn with(more: &Value) -> Value {
    let mut record = json!({"type": "login", "id": "1", "at": 1_740_116_560});
    for (name, value) in more.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

fn one(more: &Value) -> Event {
    let mut reading = reading(&with(more));
    assert_eq!(reading.rejects, []);
    reading.events.remove(0)
}

#[test]
fn fields_fill_columns_in_the_form_of_the_column() {
    let event = one(&json!({
        "user": "a@b.example", "session": 77, "root": "", "ip": "203.0.113.7:9", "country": "Germany", "asn": "AS64500",
        "wallet": "0xAB", "usd": "12.345", "agent": {"os": "x", "token": "s3cret"}, "phone": "+1", "new": [1],
    }));
    let columns = [event.actor(), event.session(), event.ip(), event.country(), event.wallet(), event.chain()];
    assert_eq!(columns, ["a@b.example", "77", "203.0.113.7", "DE", "0xab", "base"].map(Some));
    assert_eq!((event.asn(), event.amount_usd_cents()), (Some(64500), Some(1235)));
    let detail = event.detail().value();
    assert_eq!(detail["agent"], json!({"os": "x", "token": "***"}));
    assert_eq!((&detail["record"]["phone"], &detail["record"]["new"]), (&json!("***"), &json!([1])));
}

#[test]
fn the_first_case_that_fits_counts() {
    let change = |more| one(&more).detail().value()["change"].clone();
    assert_eq!(change(json!({"type": "factor.totp", "deleted": true})), "delete");
    assert_eq!(change(json!({"type": "factor.totp", "deleted": false})), "create");
    for (result, outcome) in [(json!(null), "success"), (json!("OK"), "success"), (json!("x"), "failure")] {
        assert_eq!(one(&json!({ "result": result })).outcome(), Some(outcome));
    }
    for passed in ["noise", "unheard of"] {
        let reading = reading(&with(&json!({ "type": passed })));
        assert_eq!((reading.skipped, reading.rejects.len()), (1, 0));
    }
}

#[test]
fn what_somebody_did_to_another_is_not_of_the_others_session() {
    let lock = |locked: &str| {
        one(
            &json!({"type": "lock", "user": "arn:aws:iam::1:user/dana", "session": "s-1", "ip": "203.0.113.7", "locked": locked}),
        )
    };
    let other = lock("eve");
    assert_eq!((other.actor(), other.session(), other.ip()), (Some("eve"), None, None));
    assert_eq!(other.detail().value()["by"], "arn:aws:iam::1:user/dana");
    let own = lock("dana");
    assert_eq!(
        (own.actor(), own.session(), own.ip()),
        (Some("arn:aws:iam::1:user/dana"), Some("s-1"), Some("203.0.113.7"))
    );
    assert_eq!(own.detail().value()["by"], Value::Null);
    assert_eq!(lock("").actor(), Some("arn:aws:iam::1:user/dana"));
}

#[test]
fn a_name_that_the_caller_chose_is_not_the_person() {
    let role = "arn:aws:sts::1:assumed-role/admin/dana";
    let chosen = one(&json!({"type": "lock", "user": role, "session": "s-1", "locked": "dana"}));
    assert_eq!((chosen.actor(), chosen.session()), (Some("dana"), None));
    assert_eq!(chosen.detail().value()["by"], role);
    let unknown = one(&json!({"type": "lock", "locked": "dana"}));
    assert_eq!((unknown.actor(), unknown.detail().value().get("by")), (Some("dana"), None));
}

#[test]
fn a_word_of_another_type_is_neither_absent_nor_a_word() {
    for wrong in [json!({}), json!([7]), json!({"code": 7})] {
        assert_eq!(reading(&with(&json!({ "result": wrong }))).rejects[0].field, "result");
        let factor = json!({"type": "factor.totp", "deleted": wrong});
        assert_eq!(reading(&with(&factor)).rejects[0].field, "deleted");
    }
}

#[test]
fn whether_something_is_there_is_asked_of_any_type() {
    for target in [json!({}), json!([7]), json!("t"), json!(false)] {
        let reading = reading(&with(&json!({"type": "use", "target": target})));
        assert_eq!((reading.skipped, &reading.rejects), (1, &Vec::new()), "{target}");
    }
    for nothing in [json!(null), json!(""), json!("-")] {
        assert_eq!(one(&json!({"type": "use", "target": nothing})).kind(), "session.presented");
    }
}

#[test]
fn every_column_has_its_name_and_takes_its_form() {
    for (column, text, name) in [
        (Asn, "64500", "asn"),
        (Column::Amount, "7", "amount"),
        (AmountUsd, "1", "amount_usd"),
        (Column::Reason, "why", "reason"),
        (Ip, "203.0.113.7", "ip"),
    ] {
        let origin = Origin { system: "cold".into(), source: "plain".into() };
        let context = Context { origin: &origin, inventory: None };
        let mut draft = Draft::new(&context, "1", "session.started", keywatch_store::Instant(1));
        draft.set(column, text).unwrap();
        draft.outcome(Some("success"));
        let event = draft.event(&context).unwrap();
        assert_eq!(event.reason(), (column == Column::Reason).then_some("why"), "{name}");
        assert_eq!(event.asn().is_some(), column == Asn, "{name}");
        assert_eq!(event.amount().is_some(), column == Column::Amount, "{name}");
        assert_eq!(event.amount_usd_cents().is_some(), column == AmountUsd, "{name}");
        assert_eq!(column.name(), name);
    }
}

#[test]
fn what_is_needed_and_wrong_is_named() {
    for (more, field) in [
        (json!({"type": null}), "type"),
        (json!({"id": {}}), "id"),
        (json!({"at": "now"}), "at"),
        (json!({"at": 5}), "at"),
        (json!({"user": ["a"]}), "user"),
        (json!({"usd": "NaN"}), "usd"),
        (json!({"session": "x".repeat(5000)}), "session"),
    ] {
        assert_eq!(reading(&with(&more)).rejects[0].field, field, "{more}");
    }
    assert_eq!(reading(&json!([[]])).rejects[0].field, "record");
    let unknown = one(&json!({"country": "Atlantis", "ip": "AWS Internal", "asn": "?"}));
    assert_eq!((unknown.country(), unknown.ip(), unknown.asn()), (None, None, None));
    assert_eq!(unknown.detail().value()["country_name"], "Atlantis");
}

#[test]
fn what_is_personal_is_hidden_in_rejects_too() {
    let reading =
        reading(&with(&json!({"at": "now", "phone": {"number": "+49 1"}, "password": "s3cret", "plain": "p"})));
    let raw = &reading.rejects[0].raw;
    assert!(raw.contains("\"phone\":***") && raw.contains("\"plain\":\"p\""), "{raw}");
    assert!(!raw.contains("+49") && !raw.contains("s3cret"), "{raw}");
}

#[test]
fn what_is_personal_is_hidden_in_facts_too() {
    let event = one(&json!({"agent": {"os": "x", "phone": {"number": "+49 1"}}}));
    assert_eq!(event.detail().value()["agent"], json!({"os": "x", "phone": "***"}));
}

#[test]
fn p7_a_reject_stays_within_its_size_when_masks_are_longer() {
    let body = format!("{{\"type\":\"login\",\"x\":\"{}\"}}", "phone=1&".repeat(2000));
    let origin = Origin { system: "cold".into(), source: "plain".into() };
    let reading = PLAIN.read(&Context { origin: &origin, inventory: None }, body.as_bytes());
    assert_eq!(reading.rejects[0].raw.len(), keywatch_store::limits::REJECT_RAW_BYTES_MAX);
    assert!(!reading.rejects[0].raw.contains("phone=1"));
}

#[test]
fn what_is_kept_is_capped() {
    let event = one(&json!({"new": "x".repeat(100_000), "agent": "y".repeat(10_000)}));
    let detail = event.detail().value();
    assert_eq!(detail["left_out"], json!(["new"]));
    assert_eq!(detail["agent"].as_str().map(str::len), Some(limits::FACT_BYTES_MAX));
}

#[test]
fn every_table_names_kinds_and_words_of_the_registry() {
    for table in TABLES {
        for case in table.cases {
            let Some(kind) = case.kind else { continue };
            let kind = kinds::find(kind).unwrap_or_else(|| panic!("{}: {kind}", table.name));
            assert_eq!(kind.writer, kinds::Writer::Source, "{}: {}", table.name, kind.name);
            let words: Vec<&str> = match case.outcome {
                Some(Fact::Is(word)) => vec![word],
                Some(Fact::By(words)) => words.words.iter().map(|(_, ours)| *ours).chain(words.otherwise).collect(),
                Some(Fact::At(_)) | None => Vec::new(),
            };
            for word in words {
                assert!(kind.outcomes.contains(&word), "{}: {} has no outcome `{word}`", table.name, kind.name);
            }
        }
    }
}

#[test]
fn every_example_gives_one_event() {
    let origin = Origin { system: "cold".into(), source: "x".into() };
    for table in TABLES {
        let reading = table.read(&Context { origin: &origin, inventory: None }, table.example.as_bytes());
        assert_eq!((reading.events.len(), &reading.rejects), (1, &Vec::new()), "{}", table.name);
    }
}
