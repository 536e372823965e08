//! What the custodian's own offices record: orders, entries, ceremonies, grants, approved changes, drills, reviews, people,
//! risk, and access in an emergency. One documented JSON shape for whatever system holds them.
//!
//! It believes whoever posts a record, and does not know whether an order was meant or a person is who they say.

use serde_json::Value;

use super::table::Column::{
    Actor, Amount, AmountUsd, Asset, Chain, Device, Key, Reason, Request, Session, ToAddress, Wallet,
};
use super::table::{About, Draft, Fact, Finish, Table, on, path, value};
use crate::Problem;

const ACT: (&str, Fact) = ("act", Fact::At("type"));

/// The feed `custody`.
pub static CUSTODY: Table = Table {
    name: "custody",
    about: About {
        title: "Custody records",
        what: "The withdrawal ledger (what customers and treasury ordered, amended, withdrew), entries to vaults, ceremonies, \
               grants and revocations of access, approved changes, drills, reviews of providers, the personnel register, risk \
               scores, and access in an emergency. Chain, signer and sessions are held against them.",
        format: "keywatch's own fields, as on this page",
        delivery: "Posted by the system that keeps the records, each under a source of its own (the ledger is declared for its \
                   wallets in the inventory), or imported. The identity is `id`, one for each record and not for each order.",
        traps: &[
            "An amendment is an order opened again under its own name: `order` is the same, `id` is new, and the last amount \
             holds. Whoever withdraws it repeats wallet, destination and asset.",
            "An order needs `order`, `wallet` and `to`, and one that is opened or amended an `amount` in base units: without \
             them no payment can be held against it, so that it is refused here and not lost.",
            "A type that is not on this page is refused: a record must not vanish for a spelling.",
            "Access in an emergency is opened by one person together with another (`with`). The same name twice, in whatever \
             case, is one person: `detail.two_people` is false.",
            "A grant or revocation belongs to the person it is of; who gave it is `detail.by`.",
            "Risk is a level; the score beside it is a number for whoever wants to see it.",
        ],
    },
    wrapper: Some("records"),
    decode: None,
    unfold: Some(|record| known(&record).map(|()| vec![record])),
    select: "type",
    cases: &[
        on(&["order.opened", "order.amended"], "custody.request")
            .outcome(Fact::Is("open"))
            .says(&[ACT, ("ordered_by", Fact::At("ordered_by"))]),
        on(&["order.withdrawn"], "custody.request").outcome(Fact::Is("cancelled")).says(&[ACT]),
        on(&["order.settled"], "custody.request").outcome(Fact::Is("done")).says(&[ACT]),
        on(&["access.entered", "access.left"], "custody.access").done_to("person").says(&[
            ACT,
            ("place", Fact::At("place")),
            ("with", Fact::At("with")),
        ]),
        on(&["access.refused"], "custody.access")
            .done_to("person")
            .outcome(Fact::Is("failure"))
            .says(&[ACT, ("place", Fact::At("place"))]),
        on(&["ceremony.opened"], "custody.ceremony").outcome(Fact::Is("open")).says(CEREMONY),
        on(&["ceremony.closed"], "custody.ceremony").outcome(Fact::Is("done")).says(CEREMONY),
        on(&["ceremony.aborted"], "custody.ceremony").outcome(Fact::Is("aborted")).says(CEREMONY),
        on(&["grant.given"], "custody.grant").outcome(Fact::Is("granted")).done_to("person").says(GRANT),
        on(&["grant.revoked"], "custody.grant").outcome(Fact::Is("revoked")).done_to("person").says(GRANT),
        on(&["change.opened"], "custody.change").outcome(Fact::Is("open")).says(CHANGE),
        on(&["change.closed"], "custody.change").outcome(Fact::Is("done")).says(CHANGE),
        on(&["change.withdrawn"], "custody.change").outcome(Fact::Is("cancelled")).says(CHANGE),
        on(&["drill.passed"], "custody.drill").outcome(Fact::Is("passed")).says(&[("about", Fact::At("about"))]),
        on(&["drill.failed"], "custody.drill").outcome(Fact::Is("failed")).says(&[("about", Fact::At("about"))]),
        on(&["review.passed"], "custody.review").outcome(Fact::Is("passed")).says(REVIEW),
        on(&["review.failed"], "custody.review").outcome(Fact::Is("failed")).says(REVIEW),
        on(&["person.registered", "person.changed"], "custody.person")
            .outcome(Fact::Is("active"))
            .done_to("person")
            .says(PERSON),
        on(&["person.left"], "custody.person").outcome(Fact::Is("inactive")).done_to("person").says(PERSON),
        on(&["risk.low"], "session.risk").outcome(Fact::Is("low")).says(SCORE),
        on(&["risk.medium"], "session.risk").outcome(Fact::Is("medium")).says(SCORE),
        on(&["risk.high"], "session.risk").outcome(Fact::Is("high")).says(SCORE),
        on(&["break_glass.opened"], "custody.break_glass").outcome(Fact::Is("open")).says(BREAK_GLASS),
        on(&["break_glass.closed"], "custody.break_glass").outcome(Fact::Is("closed")).says(BREAK_GLASS),
    ],
    id: &["id"],
    time: "at",
    columns: &[
        (Actor, "by | person"),
        (Session, "session"),
        (Device, "device"),
        (Wallet, "wallet"),
        (Key, "key"),
        (Request, "order | ticket | name"),
        (Chain, "chain"),
        (Asset, "asset"),
        (ToAddress, "to"),
        (Amount, "amount"),
        (AmountUsd, "amount_usd"),
        (Reason, "reason"),
    ],
    facts: &[],
    hidden: &["birth_date", "address", "phone", "national_id"],
    finish: Some(Finish(|_, record, draft| complete(record, draft))),
    example: include_str!("example.json"),
};

const CEREMONY: &[(&str, Fact)] = &[
    ("purpose", Fact::At("purpose")),
    ("place", Fact::At("place")),
    ("people", Fact::At("people")),
    ("ticket", Fact::At("ticket")),
];

const GRANT: &[(&str, Fact)] =
    &[("right", Fact::At("right")), ("ticket", Fact::At("ticket")), ("until", Fact::At("until"))];

const CHANGE: &[(&str, Fact)] =
    &[("ticket", Fact::At("ticket")), ("about", Fact::At("about")), ("approved_by", Fact::At("approved_by"))];

const REVIEW: &[(&str, Fact)] = &[("provider", Fact::At("provider")), ("until", Fact::At("until"))];

const PERSON: &[(&str, Fact)] = &[
    ("role", Fact::At("role")),
    ("checked_until", Fact::At("checked_until")),
    ("duties_signed", Fact::At("duties_signed")),
];

const SCORE: &[(&str, Fact)] = &[("score", Fact::At("score"))];

const BREAK_GLASS: &[(&str, Fact)] = &[("with", Fact::At("with")), ("about", Fact::At("about"))];

/// That the type is one of the table's.
fn known(record: &Value) -> Result<(), Problem> {
    let Some(named) = path::find(record, "type").and_then(Value::as_str) else { return Ok(()) };
    if CUSTODY.cases.iter().any(|case| case.is.contains(&named)) {
        return Ok(());
    }
    Err(Problem::new(
        "type",
        format!("`{}` is no custody record; docs/feeds/custody.md has all", value::shortened(named)),
    ))
}

/// What each record must have to mean anything, and whether an emergency has two people.
fn complete(record: &Value, draft: &mut Draft) -> Result<(), Problem> {
    let named = value::need(record, "type")?;
    let (family, act) = named.split_once('.').unwrap_or((named, ""));
    let needed: &[&str] = match (family, act) {
        ("order", "opened" | "amended") => &["order", "wallet", "to", "amount"],
        ("order", _) => &["order", "wallet", "to"],
        ("access", _) => &["person", "place"],
        ("ceremony", _) => &["name", "purpose"],
        ("grant", _) => &["person", "right"],
        ("change", _) => &["by", "ticket"],
        ("drill", _) => &["about"],
        ("review", _) => &["provider"],
        ("person", _) => &["person"],
        ("risk", _) => &["session | person"],
        ("break_glass", "opened") => &["by", "reason"],
        _ => &["by"],
    };
    for path in needed {
        value::need(record, path)?;
    }
    if let Some(score) = path::find(record, "score").filter(|score| !score.is_number()) {
        return Err(Problem::new("score", format!("must be a number, is {}", super::fields::with_article(score))));
    }
    if family == "break_glass" {
        let named = |path: &str| -> Result<Option<String>, Problem> {
            Ok(value::text(record, path)?.map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()))
        };
        let (one, other) = (named("by")?, named("with")?);
        draft.detail.insert("two_people".to_owned(), Value::from(one.is_some() && other.is_some() && one != other));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, one, rejected};

    #[test]
    fn an_order_is_opened_amended_and_withdrawn_under_its_name() {
        for (word, outcome) in
            [("opened", "open"), ("amended", "open"), ("withdrawn", "cancelled"), ("settled", "done")]
        {
            let event = changed(&CUSTODY, &[("type", json!(format!("order.{word}")))]);
            assert_eq!(
                (event.kind(), event.outcome(), event.request()),
                ("custody.request", Some(outcome), Some("w-4711"))
            );
            assert_eq!(
                (event.to_address(), event.asset()),
                (Some("0x88a1493366d48225fc3cefbdae9ebb23e323ade3"), Some("ETH"))
            );
        }
        for (field, kinds) in [("wallet", "all"), ("to", "all"), ("order", "all"), ("amount", "opened")] {
            assert_eq!(rejected(&CUSTODY, &[(field, json!(null))]), field);
            let withdrawn = [("type", json!("order.withdrawn")), (field, json!(null))];
            if kinds == "all" {
                assert_eq!(rejected(&CUSTODY, &withdrawn), field);
            } else {
                changed(&CUSTODY, &withdrawn);
            }
        }
        assert_eq!(rejected(&CUSTODY, &[("amount", json!("-5"))]), "amount");
    }

    #[test]
    fn a_type_that_is_misspelled_is_refused() {
        for word in ["order.open", "orders.opened", "grant", ""] {
            assert_eq!(rejected(&CUSTODY, &[("type", json!(word))]), "type", "{word}");
        }
    }

    #[test]
    fn a_grant_belongs_to_the_person_it_is_of() {
        let grant = |act: &str| {
            one(
                &CUSTODY,
                &json!({"type": format!("grant.{act}"), "id": "1", "at": 1_740_116_560, "by": "ann", "person": "bob",
                        "right": "signer", "wallet": "0xAB", "ticket": "T-1"}),
            )
        };
        let (given, revoked) = (grant("given"), grant("revoked"));
        assert_eq!((given.kind(), given.actor(), given.outcome()), ("custody.grant", Some("bob"), Some("granted")));
        assert_eq!(given.detail().value()["by"], "ann");
        assert_eq!((revoked.outcome(), revoked.detail().value()["ticket"].clone()), (Some("revoked"), json!("T-1")));
    }

    #[test]
    fn what_is_written_down_of_a_person_is_the_persons() {
        for act in ["access.entered", "access.refused", "person.left"] {
            let record = json!({"type": act, "id": "1", "at": 1_740_116_560, "by": "guard", "person": "carl",
                                "place": "vault-1"});
            let event = one(&CUSTODY, &record);
            assert_eq!((event.actor(), &event.detail().value()["by"]), (Some("carl"), &json!("guard")), "{act}");
        }
    }

    #[test]
    fn an_emergency_that_nobody_opened_is_no_two_peoples() {
        let record = json!({"type": "break_glass.opened", "id": "1", "at": 1_740_116_560, "by": " ", "with": "bob",
                            "reason": "idp down"});
        assert_eq!(one(&CUSTODY, &record).detail().value()["two_people"], false);
    }

    #[test]
    fn one_name_twice_is_one_person() {
        let opened = |with: Value| {
            let record = json!({"type": "break_glass.opened", "id": "1", "at": 1_740_116_560, "by": "Ann@x.example",
                                "with": with, "reason": "idp down"});
            one(&CUSTODY, &record).detail().value()["two_people"].clone()
        };
        assert_eq!(opened(json!("bob@x.example")), true);
        for alone in [json!("ann@X.example "), json!(null), json!(" ")] {
            assert_eq!(opened(alone.clone()), false, "{alone}");
        }
    }

    #[test]
    fn a_score_is_a_number_and_of_somebody() {
        let risk = |more: Value| {
            let mut record =
                json!({"type": "risk.high", "id": "1", "at": 1_740_116_560, "session": "s-1", "score": 91.5});
            record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            crate::feeds::sample::read(&CUSTODY, record.to_string().as_bytes())
        };
        let scored = risk(json!({})).events.remove(0);
        assert_eq!((scored.kind(), scored.outcome(), scored.session()), ("session.risk", Some("high"), Some("s-1")));
        assert_eq!(scored.detail().value()["score"], json!(91.5));
        assert_eq!(risk(json!({"score": "91"})).rejects[0].field, "score");
        assert_eq!(risk(json!({"session": null})).rejects[0].field, "session | person");
    }
}
