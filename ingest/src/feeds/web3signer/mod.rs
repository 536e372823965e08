//! `Web3Signer`: lines of its access log. Which key was asked to sign, and whether it did.

mod line;

use super::table::Column::{Ip, Key, Reason};
use super::table::{About, Fact, Table, Words, on, pass};

const SIGN: &[&str] = &["POST /api/v1/eth1/sign/*", "POST /api/v1/eth2/sign/*", "POST /signer/v1/request_signature"];

const DONE: Fact = Fact::By(Words { from: "status", words: &[("2*", "success")], otherwise: Some("failed") });

/// The feed `web3signer`.
pub static WEB3SIGNER: Table = Table {
    name: "web3signer",
    about: About {
        title: "Web3Signer access log",
        what: "Signatures that a Web3Signer made or refused, with the identifier of the key, and changes of its keys over HTTP. \
               It logs no signature by itself: its access log is the only record of one.",
        format: "Consensys/web3signer, its log with `--access-logs-enabled` in the layout that it comes with: \
                 `time | thread | level | logger | message`, the message in the default format of Vert.x; or JSON with the names of \
                 the example",
        delivery: "Lines of its log; ship those of the logger `LoggerHandlerImpl`. Others are passed over, and lines without \
                   the layout, as those of a stack trace, are rejected. There is no id: the identity is a hash of time, \
                   thread, level and the whole message, or of the JSON record; equal lines are one.",
        traps: &[
            "The log says neither what was signed nor for whom: a signature is bound to a transaction by key, time and count.",
            "412 is the slashing protection that refused: `reason` is `slashing_protection`. 404 is a key that is not loaded, \
             400 a request that could not be read.",
            "Keys are loaded and deleted at `/eth/v1/keystores` and `/eth/v1/remotekeys`, and all anew at `/reload`.",
            "A path that does not begin with `/`, or that holds `//`, `/.` or `%`, is rejected: the signer may normalise it \
             into one that signs.",
            "Prevented signings and loaded signers are counted in its metrics, which this feed does not read.",
        ],
    },
    wrapper: None,
    decode: Some(line::decode),
    unfold: Some(|record| line::checked(&record)),
    select: "call",
    cases: &[
        on(SIGN, "signing.signed").and(&[("status", &["2*"])]).outcome(Fact::Is("success")),
        on(SIGN, "signing.failed"),
        on(
            &[
                "POST /eth/v1/keystores",
                "DELETE /eth/v1/keystores",
                "POST /eth/v1/remotekeys",
                "DELETE /eth/v1/remotekeys",
                "POST /reload",
            ],
            "control.key",
        )
        .outcome(DONE)
        .says(&[("act", Fact::At("call"))]),
        pass(&["*"]),
    ],
    id: &["#"],
    time: "time",
    columns: &[(Ip, "remote"), (Key, "key"), (Reason, "refusal")],
    facts: &[("status", Fact::At("status")), ("call", Fact::At("call"))],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, read, rejected};

    fn line(call: &str, status: &str) -> String {
        format!(
            "2025-02-21 05:42:40.788+00:00 | vert.x-worker-thread-3 | INFO  | LoggerHandlerImpl | \
             10.0.3.17 - - [Fri, 21 Feb 2025 05:42:40 GMT] \"{call} HTTP/1.1\" {status} 132 \"-\" \"a \"b\" c/1.0\" \"-\""
        )
    }

    fn one(call: &str, status: &str) -> keywatch_store::Event {
        let mut reading = read(&WEB3SIGNER, line(call, status).as_bytes());
        assert_eq!((reading.events.len(), &reading.rejects), (1, &Vec::new()), "{call}");
        reading.events.remove(0)
    }

    #[test]
    fn a_signature_has_its_key_and_where_it_was_asked_for() {
        let event = one("POST /api/v1/eth1/sign/0xAB01?x=1", "200");
        assert_eq!((event.kind(), event.outcome()), ("signing.signed", Some("success")));
        assert_eq!((event.key(), event.ip()), (Some("0xab01"), Some("10.0.3.17")));
        assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:40.788Z");
        assert_eq!(changed(&WEB3SIGNER, &[]).key(), Some("0xb9c5"));
    }

    #[test]
    fn a_refusal_says_why() {
        for (status, reason) in
            [("412", "slashing_protection"), ("404", "unknown_key"), ("400", "malformed"), ("500", "500")]
        {
            let event = one("POST /api/v1/eth2/sign/0xab01", status);
            assert_eq!((event.kind(), event.reason()), ("signing.failed", Some(reason)));
        }
    }

    #[test]
    fn keys_change_and_probes_are_passed_over() {
        for call in ["POST /reload", "DELETE /eth/v1/keystores"] {
            assert_eq!((one(call, "200").kind(), one(call, "200").outcome()), ("control.key", Some("success")));
        }
        assert_eq!(one("POST /reload", "403").outcome(), Some("failed"));
        for other in ["GET /upcheck", "GET /api/v1/eth1/publicKeys", "GET /api/v1/eth1/sign/0xab01"] {
            assert_eq!(read(&WEB3SIGNER, line(other, "200").as_bytes()).skipped, 1, "{other}");
        }
        let started = b"2025-02-21 05:42:40.788+00:00 | main | INFO  | Runner | Web3Signer has started";
        assert_eq!(read(&WEB3SIGNER, started).skipped, 1);
    }

    #[test]
    fn two_calls_that_differ_in_anything_are_two() {
        let id = |line: &str| read(&WEB3SIGNER, line.as_bytes()).events[0].event_id();
        let first = line("POST /api/v1/eth1/sign/0xab01", "200");
        assert_eq!(id(&first), id(&first));
        for other in [
            first.replace(" 132 ", " 133 "),
            first.replace("c/1.0", "c/1.1"),
            first.replace("0xab01 HTTP", "0xab01?x=1 HTTP"),
            first.replace("05:42:40 GMT", "05:42:41 GMT"),
        ] {
            assert_ne!(id(&first), id(&other), "{other}");
        }
    }

    #[test]
    fn a_path_that_could_become_another_is_refused() {
        for path in [
            "//api/v1/eth1/sign/0xab01",
            "/api//v1/eth1/sign/0xab01",
            "/api/v1/eth1/./sign/0xab01",
            "/x/../api/v1/eth1/sign/0xab01",
            "/api/v1/eth1/%73ign/0xab01",
            "http://signer/api/v1/eth1/sign/0xab01",
            "*",
        ] {
            let call = format!("POST {path}");
            let reading = read(&WEB3SIGNER, line(&call, "200").as_bytes());
            assert_eq!((reading.events.len(), reading.rejects.len()), (0, 1), "{path}");
            assert_eq!(reading.rejects[0].field, "call");
            assert!(reading.rejects[0].reason.contains("normalised"), "{}", reading.rejects[0].reason);
            assert_eq!(rejected(&WEB3SIGNER, &[("call", json!(call))]), "call");
        }
        // A query is no path.
        assert_eq!(one("POST /api/v1/eth1/sign/0xab01?next=%2F..//", "200").kind(), "signing.signed");
    }

    #[test]
    fn what_is_no_line_of_the_log_is_refused() {
        let good = line("POST /reload", "200");
        for (text, field) in [
            ("java.lang.IllegalStateException: no".to_owned(), "record"),
            ("at io.vertx.core.Future.get(Future.java:1)".to_owned(), "record"),
            (good.replace("2025-02-21 ", "21.02.2025 "), "time"),
            (good.replace("\" 200 132 ", "\" "), "message"),
            (good.replace(" - - [", " [").replace("POST /reload", "POST"), "message"),
        ] {
            let reading = read(&WEB3SIGNER, text.as_bytes());
            assert_eq!(reading.rejects.first().map(|reject| reject.field.as_str()), Some(field), "{text}");
        }
        assert_eq!(rejected(&WEB3SIGNER, &[("time", json!(null))]), "time");
        assert_eq!(rejected(&WEB3SIGNER, &[("call", json!(null))]), "call");
    }
}
