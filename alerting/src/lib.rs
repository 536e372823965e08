//! From finding to action: decides what a finding deserves, then does it and proves it.
//!
//! [`plan()`] is pure. [`Executor`] performs: it writes every intent to the log, tells people, revokes at the policy
//! decision point, probes, and writes down what happened. Its state, [`AlertState`], is a fold over the log and nothing
//! else. This room knows nothing of SQL and of raw feeds.
//!
//! | module | what it holds | what it does not know |
//! |---|---|---|
//! | [`policy`] | what a finding deserves: pure | how it is done |
//! | [`lifecycle`] | alerts and incidents, a fold over the log, and its records | destinations, decision points |
//! | [`delivery`] | messages, outbox, destinations | why somebody is told |
//! | [`response`] | revocation, quarantine, decision points, proof | whether to respond |
//! | [`executor`] | all of it together: it performs and decides nothing | |

pub mod delivery;
pub mod error;
pub mod executor;
pub mod lifecycle;
pub mod limits;
pub mod policy;
pub mod response;

pub use delivery::deliveries::DeadLetter;
pub use delivery::guard::{AddressRules, Network};
pub use delivery::message::Notification;
pub use delivery::outbox::{ReceiverStatus, Schedule};
pub use delivery::pace::Pace;
pub use delivery::sink::{Sink, Terminal};
pub use delivery::webhook::{Secret, Webhook, WebhookSettings};
pub use error::{Error, Fate};
pub use executor::{Approval, Dependencies, Executor, Operated, ResponseView, Undoing, is_early};
pub use lifecycle::action::{Action, AlertRecord, Cause};
pub use lifecycle::alert::Alert;
pub use lifecycle::allowance::AllowanceRequest;
pub use lifecycle::compromise::{Compromise, CompromiseRequest, Compromises, RefusedBySource, Rests};
pub use lifecycle::grounds::Unconfirmed;
pub use lifecycle::handling::{Act, Status, Verdict};
pub use lifecycle::history::{AlertSummary, History};
pub use lifecycle::incident::{Incident, Shared};
pub use lifecycle::matcher::Matcher;
pub use lifecycle::protection::Protection;
pub use lifecycle::saved::{Folded, Saved};
pub use lifecycle::silence::{Silence, SilenceRequest};
pub use lifecycle::state::AlertState;
pub use lifecycle::switch::{Mode, Switch, SwitchRequest};
pub use policy::plan::plan;
pub use policy::routes::{Escalation, Route};
pub use policy::settings::Policy;
pub use response::bundle::{BundleBoard, SigningKey};
pub use response::intent::{Degree, Progress, Response, Ruled, Ruling, Step, Targets};
pub use response::pdp::{Decision, EmbeddedPdp, OpaPdp, OpaSettings, PolicyDecisionPoint, Reevaluation};
pub use response::replicas::{EnforcementPoint, Replica};
pub use response::revocation::RevocationDocument;
pub use response::seal::Seal;
pub use response::ways::Way;
