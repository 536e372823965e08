"""The dashboards: which questions they answer, with which metrics."""

from parts import ALARM, WARN, bars, board, lines, new, number, quantile, rate, rows

SYSTEM = 'system=~"$system"'
WALLET = 'system=~"$system",wallet=~"$wallet"'
CRITICAL = new("keywatch_rule_findings_total", f'{SYSTEM},severity="critical"', ("system", "rule"), "$__interval") + " > 0"


def events(kind, more="", by=(), over="$__range"):
    """How many events of a kind there were; `kind` is a regular expression."""
    return new("keywatch_events_total", f'{WALLET},kind=~"{kind}"{more}', by, over)


def findings(rules, by=("rule",), more="", over="$__range"):
    """How many findings of rules there were; `rules` is a regular expression."""
    return new("keywatch_rule_findings_total", f'{WALLET},rule=~"{rules}"{more}', by, over)


def open_incidents(severity, steps):
    return number(
        f"Open incidents: {severity}", "Incidents that may still grow, by the worst severity of their alerts.",
        f'sum(keywatch_incidents_open{{{SYSTEM},severity="{severity}"}}) or vector(0)', steps=steps,
        links=[("The incidents", f"${{page}}?severity={severity}")])


def overview():
    stages = [("keywatch_detection_delay_seconds", "detect"), ("keywatch_finding_latency_seconds", "find"),
              ("keywatch_handled_latency_seconds", "handle"), ("keywatch_alert_latency_seconds", "alert"),
              ("keywatch_notification_latency_seconds", "tell people"),
              ("keywatch_enforcement_latency_seconds", "cut off"), ("keywatch_verification_latency_seconds", "prove"),
              ("keywatch_response_latency_seconds", "cut off and prove")]
    medians = " or ".join(
        f'label_replace({quantile(0.5, metric, over="$__range")}, "stage", "{stage}", "", "")' for metric, stage in stages)
    worst = " or ".join(
        f'label_replace({quantile(0.99, metric, over="$__range")}, "stage", "{stage}", "", "")' for metric, stage in stages)
    return board("soc", "SOC overview", "What is open, what was found last, how fast we are, and who is silent.", CRITICAL, [
        open_incidents("critical", ALARM), open_incidents("high", WARN), open_incidents("medium", WARN),
        number("Revocations not yet proved", "Decided, and no probe has shown yet that they work.",
               "sum(keywatch_responses_open)", steps=WARN),
        number("keywatch is ready", "1 when every part is ready; /readyz says which is not.", "min(keywatch_ready)",
               steps=[(None, "#D55E00"), (1, "#0072B2")]),
        number("Notifications waiting", "Alerts that a destination has not taken yet.",
               "sum(keywatch_outbox_waiting)", steps=WARN),
        lines("Findings", "New findings by severity.", [
            (new("keywatch_rule_findings_total", SYSTEM, ("severity",), "$__interval"), "{{severity}}")], stack=True),
        rows("Newest findings by rule", "What was found in the time range.",
             new("keywatch_rule_findings_total", SYSTEM, ("system", "wallet", "rule", "severity")) + " > 0"),
        bars("How long each step takes: half of the time", "Medians over the time range, from the fact to the proof.",
             medians, "{{stage}}", unit="s"),
        bars("How long each step takes: at worst", "99 of 100 were faster.", worst, "{{stage}}", unit="s"),
        bars("Silence of sources", "Seconds since a source last sent something that was taken.",
             f"sort_desc(keywatch:source_silence_seconds{{{SYSTEM}}})", "{{system}} {{source}}", unit="s"),
    ])


def custody():
    return board("custody", "Chain of custody", "Session, decision, request, approval, signature, transaction: every link "
                 "has to be there, once, and to say the same as its neighbours.", CRITICAL, [
        number("Sessions", "Opened at the identity provider.",
               new("keywatch_events_total", f'{SYSTEM},kind="session.started",outcome!="failure"'), width=3),
        number("Ordered", "Payments that the business asked for.", events("custody.request"), width=3),
        number("Allowed", "Decisions of the policy decision point that allow.", events("decision", ',outcome="allow"'), width=3),
        number("Requested", "Signatures that were asked for.", events("signing.requested"), width=3),
        number("Approved", "Approvals of people and signers.", events("signing.approved"), width=3),
        number("Signed", "Requests with their full signature.", events("signing.signed"), width=3),
        number("Transactions", "Seen on a chain.", events("chain.tx"), width=3),
        number("Mismatches", "Requests and approvals that do not fit what they are filed under.",
               events("signing.(requested|approved)", ',outcome="mismatch"'), steps=ALARM, width=3),
        bars("Links by wallet", "Events of the chain of custody; a wallet with signatures and no decision stands out.",
             events("custody.request|decision|signing.requested|signing.approved|signing.signed|chain.tx", "",
                    ("wallet", "kind")), "{{wallet}} {{kind}}", width=12, height=12),
        rows("Links that do not fit, by wallet and rule", "Findings of rules that hold a link against its neighbour.",
             findings("signing/.*|chain/.*|policy/.*", ("wallet", "rule", "severity")) + " > 0", height=12),
        lines("Decisions, signatures and transactions over time", "The three should go together.", [
            (events("decision|signing.signed|chain.tx", "", ("kind",), "$__interval"), "{{kind}}")], width=24),
    ], wallet=True, hours=24)


def sessions():
    def of(kind, more="", by=()):
        return new("keywatch_events_total", f'{SYSTEM},kind=~"{kind}"{more}', by)
    return board("sessions", "Sessions and posture", "Who works with keys, from which devices, and whether those are sound.",
                 CRITICAL, [
        number("Opened", "Sessions opened.", of("session.started", ',outcome!="failure"')),
        number("Failed", "Sessions that could not be opened.", of("session.started", ',outcome="failure"'), steps=WARN),
        number("Used", "Uses of sessions.", of("session.presented")),
        number("Second factor passed by", "A second factor was failed or bypassed.",
               of("session.mfa", ',outcome=~"failure|bypass"'), steps=WARN),
        number("Not compliant", "Reports of a device that is not as it should be.",
               of("session.posture", ',outcome="not_compliant"'), steps=ALARM),
        number("Revoked by the identity provider", "Sessions that it says it has ended.", of("session.revoked")),
        lines("Posture of devices", "Reports by outcome.", [
            (new("keywatch_events_total", f'{SYSTEM},kind="session.posture"', ("outcome",), "$__interval"), "{{outcome}}")],
            stack=True),
        bars("Events of sessions", "By kind.", of("session.*", "", ("kind",)), "{{kind}}", width=12),
        rows("Found about sessions", "By rule.", new("keywatch_rule_findings_total", f'{SYSTEM},rule=~"session/.*"',
             ("system", "rule", "severity")) + " > 0", width=24),
    ], hours=24)


def signing():
    spoiled = events("signing.signed", ',outcome="failed"')
    return board("signing", "Signing", "Requests, approvals and signatures, and whether they are whose they say.", CRITICAL, [
        number("Requested", "Signatures that were asked for.", events("signing.requested")),
        number("Approved", "Approvals.", events("signing.approved")),
        number("Rejected", "Requests that a person or signer rejected.", events("signing.rejected")),
        number("Signed", "Requests with their full signature.", events("signing.signed")),
        number("Failed", "Signers that could not or would not sign, and signatures that failed.",
               f'({events("signing.failed")} or vector(0)) + ({spoiled} or vector(0))',
               steps=WARN),
        number("Mismatches", "Approvals that do not fit what they are filed under.",
               events("signing.approved", ',outcome="mismatch"'), steps=ALARM),
        lines("Approvals by how they verify", "`verified`: the signature recovers to who is said to have signed.", [
            (events("signing.approved", "", ("outcome",), "$__interval"), "{{outcome}}")], stack=True),
        bars("Requests and signatures by wallet", "By kind.", events("signing.*", "", ("wallet", "kind")),
             "{{wallet}} {{kind}}", width=12),
        bars("Rounds of multi-party signing", "By outcome.", events("signing.round", "", ("outcome",)), "{{outcome}}"),
        rows("Found about signing", "By rule.", findings("signing/.*", ("wallet", "rule", "severity")) + " > 0", width=16),
    ], wallet=True, hours=24)


def chains():
    return board("chains", "Chains", "What leaves, what was signed for it, and how late chains are heard.", CRITICAL, [
        number("Transactions", "Of declared wallets.", events("chain.tx")),
        number("Failed", "Transactions that failed on their chain.", events("chain.tx", ',outcome="failed"'), steps=WARN),
        number("Transfers", "Movements of value from and to wallets.", events("chain.transfer")),
        number("Contracts changed", "Implementation, owner, threshold, module or guard of a wallet.",
               events("chain.contract"), steps=ALARM),
        number("Without a signature", "Outflows for which no signature is known.",
               findings("chain/outflow_without_signature", ()), steps=ALARM),
        number("Foreign modules", "A module acted for a wallet, without its owners.", events("chain.module_tx"), steps=WARN),
        lines("Transactions and transfers", "By kind.", [
            (events("chain.*", "", ("kind",), "$__interval"), "{{kind}}")]),
        lines("How late events are heard", "From the time that the source says until the log has it, by feed: at worst.", [
            (quantile(0.99, "keywatch_event_delay_seconds", "", ("feed",)), "{{feed}}")], unit="s", log=True),
        bars("By wallet", "Events of chains.", events("chain.*", "", ("wallet", "kind")), "{{wallet}} {{kind}}", width=12),
        rows("Found about chains", "By rule.", findings("chain/.*", ("wallet", "rule", "severity")) + " > 0"),
        number("Waiting for a block", "Transactions of watched wallets in the pools of nodes.", "sum(keywatch_chain_waiting)"),
        lines("Blocks behind the nodes", "How far the follower of a chain is behind its nodes.", [
            ("keywatch_chain_head - keywatch_chain_height", "{{chain}} {{source}}")], width=10),
        lines("Newest block of each node", "As the node says; one that stands or stays behind is left out where others suffice.", [
            ("keywatch_chain_endpoint_head", "{{chain}} {{endpoint}}")], width=10),
        lines("Blocks read", "A second.", [(rate("keywatch_chain_blocks_total", "", ("chain", "source")), "{{chain}} {{source}}")]),
        lines("Requests to nodes", "A second; a batch counts as many as it holds.", [
            (rate("keywatch_chain_requests_total", "", ("chain", "endpoint")), "{{chain}} {{endpoint}}")]),
        bars("Trouble with nodes", "By node and class.",
             new("keywatch_chain_errors_total", "", ("chain", "endpoint", "class")), "{{chain}} {{endpoint}} {{class}}", width=12, steps=WARN),
        bars("Reorganisations", "Followed, with what was said of the blocks taken back.",
             new("keywatch_chain_reorgs_total", "", ("chain", "source")), "{{chain}} {{source}}", width=12, steps=WARN),
        bars("Waiting and not looked at", "Too many waiting transactions came at once.",
             new("keywatch_chain_waiting_skipped_total", "", ("chain", "source")), "{{chain}} {{source}}", width=12, steps=WARN),
    ], wallet=True, hours=24)


def pdp():
    return board("pdp", "PDP", "What the policy decision point answers, and whether it carries out what keywatch asks.",
                 CRITICAL, [
        number("Decisions", "All of them.", events("decision")),
        number("Denied", "Decisions that deny.", events("decision", ',outcome="deny"')),
        number("Errors", "Decisions that ended in an error or in nothing.", events("decision", ',outcome=~"error|undefined"'),
               steps=WARN),
        number("Revocations open", "Decided and not yet shown to work.", "sum(keywatch_responses_open)", steps=WARN),
        number("Not shown to work", "Revocations whose probe was not denied.",
               new("keywatch_response_verifications_total", 'degree="unconfirmed"'), steps=ALARM),
        number("Attempts failed", "The decision point did not take a revocation.",
               new("keywatch_responses_total", 'step="failed"'), steps=WARN),
        lines("Decisions by outcome", "Over time.", [(events("decision", "", ("outcome",), "$__interval"), "{{outcome}}")],
              stack=True),
        bars("Decisions by wallet", "By outcome.", events("decision", "", ("wallet", "outcome")), "{{wallet}} {{outcome}}",
             width=12),
        bars("Revocations by step", "proposed: a person is asked. requested: to be carried out.",
             new("keywatch_responses_total", "", ("step",)), "{{step}}"),
        bars("Revocations by proof", "Which degree of effect a probe has shown.",
             new("keywatch_response_verifications_total", "", ("degree",)), "{{degree}}"),
        lines("How long a revocation takes", "99 of 100 were faster; marks lead to alerts.", [
            (quantile(0.99, "keywatch_enforcement_latency_seconds"), "until published"),
            (quantile(0.99, "keywatch_verification_latency_seconds"), "until proved"),
            (quantile(0.99, "keywatch_response_latency_seconds"), "together"),
            ("keywatch:response_latency_seconds:p99_1d", "together, of a day")], unit="s", width=8, exemplars=True),
        rows("Found about decisions", "By rule.", findings("policy/.*", ("wallet", "rule", "severity")) + " > 0", width=16),
        bars("Canaries", "Questions with known answers, by replica and outcome.",
             new("keywatch_pdp_canaries_total", "", ("source", "outcome")), "{{source}} {{outcome}}"),
    ], wallet=True, hours=24)


def pipeline():
    return board("pipeline", "Pipeline", "keywatch itself: what comes in, what the rules cost, and what is late.", CRITICAL, [
        number("Version", "Of the running keywatch.", "keywatch_build_info", legend="{{version}}", width=3),
        number("Rules", "That are evaluated.", "sum(keywatch_rules_active)", width=3),
        number("Parked", "Rules that failed and see nothing until they are back.", "sum(keywatch_rule_parked) or vector(0)",
               steps=ALARM, width=3),
        number("Behind", "Events in the log that no rule has seen.", "sum(keywatch_engine_lag_records)",
               steps=[(None, "#0072B2"), (1000, "#E69F00"), (10000, "#D55E00")], width=3),
        number("Room on the disk", "Share of the log's file system that is free.", "min(keywatch:data_free:ratio)",
               unit="percentunit", steps=[(None, "#D55E00"), (0.1, "#E69F00"), (0.2, "#0072B2")], width=3, none="unknown"),
        number("Free", "Bytes that can still be written.", "min(keywatch_data_free_bytes)", unit="bytes", width=3),
        number("Size", "Of the log's file system.", "min(keywatch_data_size_bytes)", unit="bytes", width=3),
        number("Without credentials", "Requests of nobody that is known.", new("keywatch_ingest_unauthenticated_total"),
               steps=WARN, width=3),
        lines("Events taken", "A second, by source.", [
            (f"keywatch:ingest_events:rate5m{{{SYSTEM}}}", "{{system}} {{source}}")], unit="eps"),
        lines("Bytes taken", "A second, by feed.", [(rate("keywatch_ingest_bytes_total", "", ("feed",)), "{{feed}}")], unit="Bps"),
        bars("Rejected", "Records that could not be understood.", new("keywatch_ingest_rejects_total", SYSTEM, ("source", "feed")),
             "{{source}} {{feed}}", width=6, steps=WARN),
        bars("Repeated", "Events that the log had.", new("keywatch_ingest_repeats_total", SYSTEM, ("source", "feed")),
             "{{source}} {{feed}}", width=6),
        bars("Contradicted", "Other content under a known id.", new("keywatch_ingest_conflicts_total", SYSTEM, ("source", "feed")),
             "{{source}} {{feed}}", width=6, steps=ALARM),
        bars("Nothing of the feed's", "Records that were passed over.", new("keywatch_ingest_skipped_total", SYSTEM, ("source", "feed")),
             "{{source}} {{feed}}", width=6),
        bars("Events", "In the time range, by source.", new("keywatch_ingest_events_total", SYSTEM, ("source", "feed")),
             "{{source}} {{feed}}"),
        bars("Answers", "Of authenticated sources, by status.", new("keywatch_ingest_requests_total", "", ("feed", "status")),
             "{{feed}} {{status}}"),
        bars("Silence against what is declared", "1 is the longest that is ordinary.",
             f"keywatch:source_silence_seconds{{{SYSTEM}}} / on (system, source) "
             "max by (system, source) (keywatch_source_heartbeat_seconds)", "{{system}} {{source}}",
             unit="percentunit", steps=[(None, "#0072B2"), (1, "#D55E00")]),
        bars("Refused at the door", "By reason; docs/front-door.md says what each means.",
             new("keywatch_door_refusals_total", "", ("reason",)), "{{reason}}", width=6, steps=WARN),
        number("Connections", "That are open at the front door.", "sum(keywatch_door_connections)", width=3),
        number("Operators without a token", "Requests to the API of nobody that is known.",
               new("keywatch_api_unauthenticated_total"), steps=WARN, width=3),
        bars("Connections cut", "By reason.", new("keywatch_door_connections_cut_total", "", ("reason",)), "{{reason}}", width=6,
             steps=WARN),
        bars("Certificates changed", "By outcome.", new("keywatch_door_certificate_reloads_total", "", ("outcome",)), "{{outcome}}",
             width=6),
        bars("Credentials changed", "By outcome; those that were refused left the ones before.",
             new("keywatch_door_credential_reloads_total", "", ("outcome",)), "{{outcome}}", width=6),
        bars("Streams", "WebSockets of sources that are open, by feed.", "sum by (feed) (keywatch_door_streams)", "{{feed}}", width=6),
        bars("Messages on streams", "By what they were answered.",
             new("keywatch_stream_messages_total", "", ("feed", "outcome")), "{{feed}} {{outcome}}", width=6),
        bars("Streams closed", "By reason; docs/front-door.md says what each means.",
             new("keywatch_door_streams_closed_total", "", ("reason",)), "{{reason}}", width=6, steps=WARN),
        bars("Asked by operators", "Requests to the API.", new("keywatch_api_requests_total", "", ("method", "status")),
             "{{method}} {{status}}", width=16, height=4),
        bars("Trouble with sources that are asked", "By source and class.",
             new("keywatch_pull_errors_total", SYSTEM, ("source", "class")), "{{source}} {{class}}", height=4, steps=WARN),
        lines("Latency at worst", "99 of 100 were faster: request to answer, append, a batch through the rules, append to finding.", [
            (quantile(0.99, "keywatch_ingest_latency_seconds"), "request to answer"),
            ('keywatch:log_append_latency_seconds:p99_5m{topic="events"}', "append"),
            (quantile(0.99, "keywatch_engine_run_latency_seconds"), "batch through the rules"),
            ("keywatch:finding_latency_seconds:p99_5m", "append to finding")], unit="s", exemplars=True, log=True),
        lines("Records through the rules", "A second.", [("sum(rate(keywatch_engine_records_total[$__rate_interval]))", "records")],
              unit="eps"),
        lines("Records written", "A second, by topic.", [(rate("keywatch_log_records_total", "", ("topic",)), "{{topic}}")], unit="eps",
              width=8),
        bars("Appends that failed", "By topic.", new("keywatch_log_failures_total", "", ("topic",)), "{{topic}}", steps=ALARM),
        rows("The log's end", "Position, and the first six bytes of the hash: written down, they tell whether it was cut.",
             'label_replace(keywatch_log_head_position, "what", "position", "", "") or '
             'label_replace(keywatch_log_head_hash, "what", "hash", "", "")', width=8, by_rule=False),
        number("Written by others", "Messages in the topics of a log on Kafka that no role of keywatch wrote.",
               new("keywatch_log_foreign_messages_total"), steps=ALARM, width=4),
        number("Of a later version", "Messages of a log on Kafka that this version cannot read; the copy here lacks them.",
               "sum(keywatch_log_later_messages)", steps=ALARM, width=4),
        number("Kept in the spool", "Events that are durable on one machine and not yet with Kafka.", "sum(keywatch_spool_records)",
               steps=WARN, width=8),
        number("Size of the spool", "What it takes of log.spool_megabytes.", "sum(keywatch_spool_bytes)", unit="bytes", width=8),
        bars("Not yet read from Kafka", "Messages at the end of a topic that the copy here lacks.", "keywatch_log_lag_messages", "{{topic}}",
             width=5, height=4, steps=[(None, "#0072B2"), (10000, "#D55E00")]),
        bars("From Kafka to the copy", "99 of 100 records were there faster.",
             quantile(0.99, "keywatch_log_fold_latency_seconds", "", ("topic",), "$__range") + " > 0", "{{topic}}", unit="s", width=5,
             height=4),
        bars("Transactions", "By outcome; fenced: another process has the partition.",
             new("keywatch_log_transactions_total", "", ("outcome",)), "{{outcome}}", width=5, height=4),
        number("Rebalances", "Times that partitions of intake topics came or went.", new("keywatch_intake_rebalances_total"), width=3),
        number("Kafka is away", "Processes whose brokers do not answer.", "sum(keywatch_log_cluster_down)", steps=ALARM, width=3),
        number("In the spool since", "How long ago the first of it came.",
               "max((time() - keywatch_spool_since_timestamp_seconds) and keywatch_spool_since_timestamp_seconds > 0)", unit="s",
               steps=WARN, width=3),
        number("Log time behind the clock", "By topic; ticks come every minute at least.", "time() - keywatch_log_head_time", unit="s",
               legend="{{topic}}", width=4),
        number("State kept", "How long ago.", "time() - keywatch_snapshot_timestamp_seconds", unit="s", legend="{{state}}", width=4),
        bars("Snapshots of windows", "By outcome.", new("keywatch_snapshots_total", "", ("outcome",)), "{{outcome}}", width=5, height=4),
        bars("Snapshots of alerting", "By outcome.", new("keywatch_alerting_snapshots_total", "", ("outcome",)), "{{outcome}}", width=5,
             height=4),
        bars("State in the bucket", "Of log.state, by state and outcome; fetched: it came from there.",
             new("keywatch_state_store_snapshots_total", "", ("state", "outcome")), "{{state}} {{outcome}}", width=6, height=4),
        bars("What rules cost", "Seconds of processor time a second: the ten dearest.",
             "topk(10, sum by (rule) (rate(keywatch_rule_processor_seconds_total[5m])))", "{{rule}}", unit="s", height=10),
        bars("What rules remember", "Bytes: the ten largest.", "topk(10, sum by (rule) (keywatch_rule_window_bytes))", "{{rule}}",
             unit="bytes", height=10),
        bars("Rows that rules remember", "The ten with the most.", "topk(10, sum by (rule) (keywatch_rule_window_rows))", "{{rule}}",
             height=10),
        bars("What rules see", "Rules by system: 2 everything, 1 some, 0 nothing that they could judge.",
             f'count by (system, level) (count_values by (system, rule) ("level", keywatch_rule_coverage{{{SYSTEM}}}))',
             "{{system}} {{level}}"),
        rows("Gaps", "Failures after which a rule was parked, tries to take it back, records it went on without, windows that forgot.",
             'label_replace(sum by (rule) (keywatch_rule_parks_total), "what", "parked", "", "") or '
             'label_replace(sum by (rule) (keywatch_rule_retries_total), "what", "tried", "", "") or '
             'label_replace(sum by (rule) (keywatch_rule_skipped_total), "what", "skipped", "", "") or '
             'label_replace(sum by (rule) (keywatch_rule_limited_total), "what", "limited", "", "")', width=16),
        bars("Notifications", "Attempts by outcome.", new("keywatch_notifications_total", "", ("destination", "outcome")),
             "{{destination}} {{outcome}}"),
        bars("Waiting in the outbox", "Alerts that a destination has not taken.", "keywatch_outbox_waiting", "{{destination}}",
             steps=WARN),
        bars("Oldest in the outbox", "Seconds since it was decided.",
             "(time() - keywatch_outbox_oldest_timestamp_seconds) and keywatch_outbox_waiting > 0", "{{destination}}", unit="s",
             steps=[(None, "#0072B2"), (60, "#D55E00")]),
        bars("Destinations that are down", "1 while one fails again and again.", "keywatch_receiver_down", "{{destination}}", width=6,
             steps=WARN),
        bars("Put aside", "Notifications that can be redriven.", "keywatch_dead_letters", "{{destination}}", width=6, steps=WARN),
        bars("Silence of destinations", "Seconds since one last took a notification.",
             "time() - keywatch_receiver_last_timestamp_seconds", "{{destination}}", unit="s", width=6),
        bars("Heartbeats", "Seconds since a destination that gets heartbeats last took one.",
             "time() - keywatch_receiver_heartbeat_timestamp_seconds", "{{destination}}", unit="s", width=6,
             steps=[(None, "#0072B2"), (180, "#D55E00")]),
    ])


def noise():
    opened = new("keywatch_alerts_total", 'step="opened"')
    return board("noise", "Noise", "What people are told, how often, and by which rule: what is told too often is not read.",
                 CRITICAL, [
        number("Alerts", "Opened.", opened),
        number("Told again", "Because they became worse.", new("keywatch_alerts_total", 'step="updated"')),
        number("Counted quietly", "Findings on an open alert.", new("keywatch_alerts_total", 'step="suppressed"')),
        number("Findings for each alert opened", "What grouping saves.",
               f'{new("keywatch_rule_findings_total")} / ({opened} > 0)',
               width=6, decimals=1, none="none"),
        number("Told people", "Notifications that were taken.", new("keywatch_notifications_total", 'outcome="delivered"'), width=6),
        bars("Alerts by rule", "The noisiest first.",
             f'sort_desc({new("keywatch_alerts_total", "", ("rule", "step"))})', "{{rule}} {{step}}", width=12, height=14),
        rows("Findings by rule and severity", "Before grouping.",
             new("keywatch_rule_findings_total", SYSTEM, ("rule", "severity")) + " > 0", height=14),
        lines("Alerts over time", "By step.", [(new("keywatch_alerts_total", "", ("step",), "$__interval"), "{{step}}")],
              stack=True, width=24),
    ], hours=24 * 7)


BOARDS = [overview, custody, sessions, signing, chains, pdp, pipeline, noise]
