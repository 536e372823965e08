//! Who a pipeline ran as when it deployed: the claims of GitHub's OIDC token, posted by what accepted it.
//!
//! It verifies no token: whoever accepted it for a deployment did, or should have. It does not know which workflows may
//! deploy; that is a rule's question.

use super::table::Column::{Actor, Request};
use super::table::{About, Fact, Table, Words, on, pass};

/// The feed `github_oidc`.
pub static GITHUB_OIDC: Table = Table {
    name: "github_oidc",
    about: About {
        title: "CI run identity (GitHub OIDC)",
        what: "A deployment and the run that made it: repository, reference, workflow, environment, who started it, on whose \
               runner, and which artifact it put where.",
        format: "GitHub Actions, OpenID Connect claims of `https://token.actions.githubusercontent.com`, in `claims`; beside \
                 them `artifact`, `target`, `result`, `at`",
        delivery: "Posted by the cloud's token exchange, the deployment gate or the cluster's admission, once it has verified \
                   the token. The identity is `jti` and a hash of the record.",
        traps: &[
            "Claims are of whoever signed: keywatch gets them from what verified the token. One of another issuer is passed over.",
            "All claims are text, `ref_protected` too; `true` as a boolean is read alike.",
            "`workflow_ref` is the workflow that was started, `job_workflow_ref` the one that asked for the token: with a \
             reusable workflow they differ, and it is the second that a gate has to pin.",
            "`sub` has another form where a job has an environment; `environment` stands by itself and is absent where there is \
             none.",
            "`pull_request` runs code of somebody who could not merge it.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: None,
    select: "claims.iss",
    cases: &[
        on(
            &["https://token.actions.githubusercontent.com", "https://token.actions.githubusercontent.com/*"],
            "control.deploy",
        )
        .outcome(Fact::By(Words {
            from: "result",
            words: &[("", "success"), ("success", "success")],
            otherwise: Some("failed"),
        })),
        pass(&["*"]),
    ],
    id: &["claims.jti", "#"],
    time: "at | claims.iat",
    columns: &[(Actor, "claims.actor"), (Request, "claims.run_id")],
    facts: &[
        ("act", Fact::Is("deploy")),
        ("target", Fact::At("target")),
        ("artifact", Fact::At("artifact")),
        ("repository", Fact::At("claims.repository")),
        ("ref", Fact::At("claims.ref")),
        (
            "ref_protected",
            Fact::By(Words {
                from: "claims.ref_protected",
                words: &[("true", "yes"), ("", "unknown")],
                otherwise: Some("no"),
            }),
        ),
        ("workflow", Fact::At("claims.job_workflow_ref | claims.workflow_ref")),
        ("environment", Fact::At("claims.environment")),
        ("trigger", Fact::At("claims.event_name")),
        ("commit", Fact::At("claims.sha")),
        ("runner", Fact::At("claims.runner_environment")),
        ("attempt", Fact::At("claims.run_attempt")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, read, rejected};

    #[test]
    fn a_deployment_is_told_with_the_run_that_made_it() {
        let event = changed(&GITHUB_OIDC, &[]);
        assert_eq!((event.kind(), event.outcome(), event.actor()), ("control.deploy", Some("success"), Some("dana")));
        let detail = event.detail().value();
        assert_eq!((&detail["ref_protected"], &detail["environment"]), (&json!("yes"), &json!("production")));
        assert_eq!(detail["workflow"], "exchange/release/.github/workflows/deploy.yml@refs/heads/main");
        for (claim, told) in
            [(json!("false"), "no"), (json!(true), "yes"), (json!(null), "unknown"), (json!("TRUE"), "no")]
        {
            let event = changed(&GITHUB_OIDC, &[("claims.ref_protected", claim)]);
            assert_eq!(event.detail().value()["ref_protected"], told);
        }
    }

    #[test]
    fn claims_of_another_issuer_are_nothing_and_those_without_an_id_are_refused() {
        for issuer in ["https://token.actions.githubusercontent.com.evil.example", "https://gitlab.com"] {
            let record = example_with(&GITHUB_OIDC, &[("claims.iss", json!(issuer))]);
            assert_eq!(read(&GITHUB_OIDC, record.to_string().as_bytes()).skipped, 1, "{issuer}");
        }
        assert_eq!(rejected(&GITHUB_OIDC, &[("claims.jti", json!(null))]), "claims.jti");
    }
}
