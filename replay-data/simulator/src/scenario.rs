//! What attacks there are: their names, the rules that are meant to see them, what happens.

use std::str::FromStr;

use crate::Error;

macro_rules! scenarios {
    ($($variant:ident $name:literal [$($rule:literal),+] $what:literal;)*) => {
        /// An attack that can be played.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "`what` says it for each")]
        pub enum Scenario { $($variant),* }

        impl Scenario {
            /// All, in the order of their names.
            pub const ALL: &[Scenario] = &[$(Scenario::$variant),*];

            /// As the command line and labels name it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Scenario::$variant => $name),* }
            }

            /// The shipped rules that are meant to see it.
            #[must_use]
            pub fn rules(self) -> &'static [&'static str] {
                match self { $(Scenario::$variant => &[$($rule),+]),* }
            }

            /// What happens, in a sentence.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Scenario::$variant => $what),* }
            }
        }
    };
}

scenarios! {
    AmountOutlier "amount-outlier" ["chain/amount_outlier"]
        "a wallet sends a thousand times its usual amount; the transaction is replaced before it is mined";
    BypassedPolicy "bypassed-policy" ["signing/signature_without_allow"]
        "signers approve a request that the decision point was never asked about";
    CodeReplaced "code-replaced" ["chain/implementation_changed"]
        "the implementation slot of a wallet is overwritten";
    ControlChanged "control-changed" ["chain/unapproved_control_change"]
        "a stranger becomes an owner of a wallet";
    Delegatecall "delegatecall" ["signing/first_delegatecall"]
        "a request that runs a stranger's code with the wallet's powers is filed";
    DisabledProtection "disabled-protection" ["session/posture_worsened"]
        "the disk of a device in use is no longer encrypted";
    DoubledApprover "doubled-approver" ["policy/duplicate_approver"]
        "a request is allowed on two approvals of one person";
    FactorReset "factor-reset" ["session/factor_changed_before_signing"]
        "a second factor is enrolled anew, then the decision point allows a request to its owner";
    FeeOutlier "fee-outlier" ["chain/fee_outlier", "chain/unordered_payment"]
        "a transaction that nobody ordered pays many times the usual fee; it is replaced before it is mined";
    ForgedConfirmation "forged-confirmation" ["signing/confirmation_mismatch"]
        "a confirmation recovers to somebody else than it is filed under";
    LookalikeDestination "lookalike-destination" ["chain/destination_lookalike"]
        "a request pays an address that shows the same ends as an approved one";
    MalformedInput "malformed-input" ["policy/malformed_input_allowed"]
        "the decision point allows a request whose amount is a text";
    NewDestination "new-destination" ["chain/unordered_payment"]
        "a wallet pays somebody it never paid, and nobody ordered it";
    NonceConflict "nonce-conflict" ["signing/nonce_conflict"]
        "a second request is filed under a nonce that has one";
    RequestAltered "request-altered" ["signing/request_altered", "chain/unordered_payment"]
        "what is signed and sent goes elsewhere than what was approved";
    RevivedSession "revived-session" ["session/use_after_end"]
        "a session is used after it has ended";
    RewrittenRecord "rewritten-record" ["source/conflict"]
        "a source says something else under an id that it used";
    SelfApproval "self-approval" ["policy/self_approval"]
        "a request is allowed on the approval of who made it";
    SourceSilenced "source-silenced" ["source/silent"]
        "the device management says nothing for half an hour";
    StolenSession "stolen-session" ["session/two_places"]
        "a session is used from another country";
    SwappedProposal "swapped-proposal" ["signing/proposal_hash_mismatch"]
        "a request is filed under a hash that its fields do not have";
    SweptCoins "swept-coins" ["chain/missing_change_output", "chain/unordered_payment"]
        "a transaction that nobody ordered takes all coins of a wallet and leaves no change; it is replaced before it is mined";
    UnknownExecutor "unknown-executor" ["signing/unknown_executor"]
        "a stranger sends a wallet's transaction; it is replaced before it is mined";
    UnsignedOutflow "unsigned-outflow" ["chain/outflow_without_signature", "chain/unordered_payment"]
        "value leaves a wallet by a transaction that no signer knows";
    WalletTakeover "wallet-takeover" ["signing/confirmation_mismatch", "signing/first_delegatecall", "signing/unknown_executor", "chain/implementation_changed", "chain/outflow_without_signature", "chain/unordered_payment", "chain/amount_outlier"]
        "the theft of 2025-02-21 in small: a forged confirmation, a delegatecall, new code, and everything leaves";
}

impl Scenario {
    /// All names.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        Scenario::ALL.iter().map(|scenario| scenario.name()).collect()
    }

    /// The scenarios of these names; `all` is every one.
    ///
    /// # Errors
    /// [`Error::UnknownScenario`].
    pub fn chosen<Name: AsRef<str>>(names: &[Name]) -> Result<Vec<Scenario>, Error> {
        let mut chosen = Vec::new();
        for name in names {
            match name.as_ref() {
                "all" => chosen.extend_from_slice(Scenario::ALL),
                name => chosen.push(name.parse()?),
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }
}

impl FromStr for Scenario {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Scenario::ALL.iter().find(|scenario| scenario.name() == name);
        found.copied().ok_or_else(|| Error::UnknownScenario { name: name.to_owned() })
    }
}
