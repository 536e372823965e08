//! Sources that keywatch asks itself: `[[pull]]` of the configuration. What stands there is checked where pullers are started.

use std::path::PathBuf;

use keywatch_alerting::response::pdp::DECISION_PATH;
use keywatch_store::Instant;
use serde::Deserialize;
use serde_json::Value;

/// A source that is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pull {
    /// The system that the events are of.
    pub(crate) system: String,
    /// The source that they are written under, as the inventory names it.
    pub(crate) source: String,
    /// What is asked.
    pub(crate) kind: Kind,
    /// Base address of the service; of a CAEP transmitter the address that is polled.
    #[serde(default)]
    pub(crate) url: String,
    /// Region of a bucket.
    #[serde(default)]
    pub(crate) region: Option<String>,
    /// Directory that is a copy of a bucket.
    #[serde(default)]
    pub(crate) directory: Option<PathBuf>,
    /// File with its token. It is read again for each request.
    #[serde(default)]
    pub(crate) token_file: Option<PathBuf>,
    /// Seconds between two looks, where there is nothing more at once.
    #[serde(default = "poll_seconds")]
    pub(crate) poll_seconds: u64,
    /// How far before its newest record a list is asked for again, since records appear late.
    #[serde(default = "overlap_seconds")]
    pub(crate) overlap_seconds: u64,
    /// Where to begin where nothing was pulled before.
    #[serde(default)]
    pub(crate) start: Option<Instant>,
    /// Lets it be asked without TLS.
    #[serde(default)]
    pub(crate) allow_plain_http: bool,
    /// The chain that a Safe transaction service is of.
    #[serde(default)]
    pub(crate) chain: Option<String>,
    /// File with public keys: of the issuer of security event tokens, a JSON Web Key Set; of a trail, as
    /// `aws cloudtrail list-public-keys` prints them.
    #[serde(default)]
    pub(crate) keys_file: Option<PathBuf>,
    /// Algorithms that it signs with.
    #[serde(default)]
    pub(crate) algorithms: Vec<String>,
    /// `iss` of its tokens.
    #[serde(default)]
    pub(crate) issuer: Option<String>,
    /// `aud` of its tokens.
    #[serde(default)]
    pub(crate) audience: Option<String>,
    /// File with what policies, data and configuration of an Open Policy Agent should be. It is read again at each look.
    #[serde(default)]
    pub(crate) expected_file: Option<PathBuf>,
    /// Questions that an Open Policy Agent is asked at each look.
    #[serde(default)]
    pub(crate) canaries: Vec<Canary>,
}

/// A question with a known answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Canary {
    /// What people are told of it.
    pub(crate) name: String,
    /// Path of the decision, without a leading slash.
    #[serde(default = "canary_path")]
    pub(crate) path: String,
    /// File with the input, JSON.
    pub(crate) input_file: PathBuf,
    /// What has to be answered.
    pub(crate) answer: Value,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Okta's System Log.
    OktaSystemLog,
    /// Security event tokens (RFC 8936).
    CaepPoll,
    /// The Safe transaction service.
    SafeTransactionService,
    /// The status of an Open Policy Agent.
    OpaStatus,
    /// Policies, data and configuration of an Open Policy Agent.
    OpaState,
    /// AWS `CloudTrail` in a directory that is a copy of its bucket.
    CloudtrailDirectory,
    /// AWS `CloudTrail` in its bucket.
    CloudtrailS3,
    /// Google Cloud audit logs in the bucket of a log sink.
    GcpAuditGcs,
    /// Key Vault and activity logs in a container of Azure.
    AzureBlob,
    /// Microsoft Entra's logs in a container of Azure.
    EntraBlob,
}

impl Kind {
    /// The word in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::OktaSystemLog => "okta_system_log",
            Kind::CaepPoll => "caep_poll",
            Kind::SafeTransactionService => "safe_transaction_service",
            Kind::OpaStatus => "opa_status",
            Kind::OpaState => "opa_state",
            Kind::CloudtrailDirectory => "cloudtrail_directory",
            Kind::CloudtrailS3 => "cloudtrail_s3",
            Kind::GcpAuditGcs => "gcp_audit_gcs",
            Kind::AzureBlob => "azure_blob",
            Kind::EntraBlob => "entra_blob",
        }
    }

    /// The feed that reads it.
    pub(crate) fn feed(self) -> &'static str {
        match self {
            Kind::OktaSystemLog => "okta",
            Kind::CaepPoll => "ssf",
            Kind::SafeTransactionService => "safe",
            Kind::OpaStatus | Kind::OpaState => "opa_status",
            Kind::CloudtrailDirectory | Kind::CloudtrailS3 => "cloudtrail",
            Kind::GcpAuditGcs => "gcp_audit",
            Kind::AzureBlob => "azure",
            Kind::EntraBlob => "entra",
        }
    }
}

impl Pull {
    /// The files it points to.
    pub(super) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let inputs = self.canaries.iter_mut().map(|canary| &mut canary.input_file);
        let files = self.token_file.iter_mut().chain(&mut self.keys_file).chain(&mut self.directory);
        files.chain(&mut self.expected_file).chain(inputs)
    }
}

fn canary_path() -> String {
    DECISION_PATH.to_owned()
}

fn poll_seconds() -> u64 {
    10
}

fn overlap_seconds() -> u64 {
    300
}
