//! AWS VPC flow logs: who spoke with whom, summed up over minutes.

mod line;

use super::table::Column::Ip;
use super::table::{About, Fact, Table, Words, on, pass};

/// The feed `vpc_flow`.
pub static VPC_FLOW: Table = Table {
    name: "vpc_flow",
    about: About {
        title: "VPC flow logs",
        what: "Flows between addresses, as a `session.network` each, and minutes that were not recorded, as a `source.status`.",
        format: "AWS, flow log records of version 2 (14 fields); or JSON with the names of the fields, \
                 in which more of them may stand",
        delivery: "S3 or CloudWatch, summed up over 1 to 10 minutes and later still. There is no id: the identity is a hash of the \
                   record, the same for a line and its JSON where that has numbers as numbers.",
        traps: &[
            "Fields stand in the order of the subscription: a line of another number of fields than 14 needs JSON \
             with their names, and is rejected otherwise.",
            "`SKIPDATA` is a blind spot and becomes `source.status`, degraded; `NODATA` is silence and is passed over.",
            "A flow has no beginning and end of a connection: `start` and `end` are of the window.",
        ],
    },
    wrapper: None,
    decode: Some(line::decode),
    unfold: None,
    select: "log-status | log_status",
    cases: &[
        pass(&["NODATA", "log-status"]),
        on(&["SKIPDATA"], "source.status")
            .outcome(Fact::Is("degraded"))
            .says(&[("interface", Fact::At("interface-id | interface_id"))]),
        on(&["OK"], "session.network"),
    ],
    id: &["#"],
    time: "start",
    columns: &[(Ip, "srcaddr")],
    facts: &[
        ("from", Fact::At("pkt-srcaddr | srcaddr")),
        ("to", Fact::At("pkt-dstaddr | dstaddr")),
        ("from_port", Fact::At("srcport")),
        ("to_port", Fact::At("dstport")),
        ("protocol", Fact::At("protocol")),
        ("bytes", Fact::At("bytes")),
        ("packets", Fact::At("packets")),
        ("direction", Fact::At("flow-direction | flow_direction")),
        ("interface", Fact::At("interface-id | interface_id")),
        (
            "action",
            Fact::By(Words { from: "action", words: &[("ACCEPT", "accept"), ("REJECT", "reject")], otherwise: None }),
        ),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, read};

    const LINE: &str = "2 111122223333 eni-0a1b 10.0.9.4 10.0.3.17 51122 443 6 12 4096 1740116560 1740116620 ACCEPT OK";

    #[test]
    fn a_line_and_its_json_say_the_same() {
        let reading = read(&VPC_FLOW, format!("{LINE}\n").as_bytes());
        assert_eq!(reading.rejects, []);
        let event = &reading.events[0];
        assert_eq!((event.kind(), event.ip()), ("session.network", Some("10.0.9.4")));
        assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:40Z");
        let detail = event.detail().value();
        assert_eq!(
            (&detail["to"], &detail["to_port"], &detail["action"]),
            (&json!("10.0.3.17"), &json!(443), &json!("accept"))
        );
        assert_eq!(reading.events, [changed(&VPC_FLOW, &[])]);
    }

    #[test]
    fn a_blind_spot_is_told_and_silence_passed_over() {
        let body = "2 1 eni-1 - - - - - - - 1740116560 1740116620 - SKIPDATA\n2 1 eni-1 - - - - - - - 1740116560 1740116620 - NODATA\n";
        let reading = read(&VPC_FLOW, body.as_bytes());
        assert_eq!((reading.events.len(), reading.skipped), (1, 1));
        assert_eq!((reading.events[0].kind(), reading.events[0].outcome()), ("source.status", Some("degraded")));
    }

    #[test]
    fn a_header_is_no_flow_and_another_order_is_refused() {
        let header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
        let reading = read(&VPC_FLOW, format!("{header}\n{LINE}\n{LINE} vpc-1\nnonsense\n").as_bytes());
        assert_eq!((reading.events.len(), reading.skipped, reading.rejects.len()), (1, 1, 2));
    }

    #[test]
    fn an_unknown_state_is_passed_over_and_a_bad_time_refused() {
        let unknown = read(&VPC_FLOW, LINE.replace(" OK", " NEW").as_bytes());
        assert_eq!((unknown.events.len(), unknown.rejects.len(), unknown.skipped), (0, 0, 1));
        let reading = read(&VPC_FLOW, LINE.replace("1740116560", "5").as_bytes());
        assert_eq!(reading.rejects[0].field, "start");
    }
}
