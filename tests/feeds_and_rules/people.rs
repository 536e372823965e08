//! Records about people, what they sign on with, and their sessions.

use super::{Drive, drive, example, line};

/// What was said of a session, and a decision that let it through.
pub(super) fn sessions() -> Vec<Drive> {
    let fell = line(
        "ssf",
        r#"{"iss":"https://idp.example/","jti":"j1","iat":1740100001,"aud":"a","sub_id":{"format":"complex","user":{"format":"email","email":"dana@exchange.example"},"session":{"format":"opaque","id":"idxRoot1"}},"events":{"https://schemas.openid.net/secevent/caep/event-type/assurance-level-change":{"event_timestamp":1740100000,"current_level":"nist-aal1","previous_level":"nist-aal2","change_direction":"decrease"}}}"#,
    );
    let quiet = ("\"decrease\"", "\"increase\"");
    vec![
        drive(
            "session/assurance_fell",
            &[fell.clone(), example("authzen", &[("\"decision\":false", "\"decision\":true")])],
            quiet,
        ),
        drive("session/assurance_fell", &[fell, example("cerbos", &[])], quiet),
    ]
}

/// What a device was found to be, and a decision that let it through.
pub(super) fn devices() -> Vec<Drive> {
    let allowed =
        |device: &str| example("authzen", &[("\"decision\":false", "\"decision\":true"), ("\"mac-dana\"", device)]);
    let joined = "\"groupAddedDevicesIds\":[12],\"groupRemovedDevicesIds\":[]";
    let left = "\"groupAddedDevicesIds\":[],\"groupRemovedDevicesIds\":[12]";
    vec![
        drive(
            "session/allowed_while_not_compliant",
            &[example("fleet", &[]), allowed("\"mac-dana\"")],
            ("\"hostname\":\"mac-dana\"", "\"hostname\":\"mac-olaf\""),
        ),
        drive("session/allowed_while_not_compliant", &[example("jamf", &[]), allowed("\"12\"")], (joined, left)),
        drive(
            "session/allowed_while_not_compliant",
            &[example("kolide", &[]), allowed("\"C02XYZ\"")],
            ("issues.new", "issues.resolved"),
        ),
        drive(
            "session/posture_worsened",
            &[
                example("okta", &[("guo4a5u7YAHhjXrMK0g4", "564D8F3A-2E11-4C6B-9C1D-0A7E7F7B1D42")]),
                example("osquery", &[]),
                example(
                    "osquery",
                    &[
                        ("1740116560", "1740117160"),
                        ("\"counter\":12", "\"counter\":13"),
                        ("\"encrypted\":\"1\"", "\"encrypted\":\"0\""),
                    ],
                ),
            ],
            ("\"encrypted\":\"0\"", "\"encrypted\":\"1\""),
        ),
    ]
}

/// Who signed on from where and with what, and what was let through for them afterwards.
pub(super) fn sign_ons() -> Vec<Drive> {
    let registered = r#"{"id":"Directory_9f1c_1","category":"UserManagement","activityDisplayName":"User registered security info","activityDateTime":"2025-02-21T05:30:00Z","result":"success","resultReason":"User registered Authenticator App","loggedByService":"Authentication Methods","initiatedBy":{"user":{"userPrincipalName":"dana@exchange.example"}},"targetResources":[{"type":"User","id":"u-77","userPrincipalName":"dana@exchange.example"}]}"#;
    let elsewhere = [
        ("5a759b0100", "5a759b0200"),
        ("s-001", "s-002"),
        ("05:42:40", "06:42:40"),
        ("\"DE\"", "\"SG\""),
        ("203.0.113.7", "198.51.100.9"),
        ("64501", "64502"),
    ];
    let added = [
        ("user.login", "mfa.add"),
        ("T1000I", "T1006I"),
        ("\"user\":\"dana\"", "\"user\":\"dana@exchange.example\""),
        ("05:42:40.788", "05:40:00.788"),
    ];
    vec![
        drive(
            "session/impossible_travel",
            &[example("entra", &[]), example("entra", &elsewhere)],
            ("\"SG\"", "\"DE\""),
        ),
        drive(
            "session/factor_changed_before_signing",
            &[line("entra", registered), example("cerbos", &[])],
            ("User registered", "User reviewed"),
        ),
        drive(
            "session/factor_changed_before_signing",
            &[example("teleport", &added), example("cerbos", &[])],
            ("mfa.add", "mfa_auth_challenge.create"),
        ),
        drive(
            "session/use_after_end",
            &[
                example("okta", &[("user.session.start", "user.session.end")]),
                example(
                    "envoy",
                    &[(
                        "\"DownstreamEnd\"",
                        "\"DownstreamEnd\",\"custom_tags\":{\"session_id\":\"idxZ2nmWgKjQ6yPBPR4Nc5Vxw\"}",
                    )],
                ),
            ],
            ("\"response_code\":200", "\"response_code\":403"),
        ),
    ]
}
