//! What may come next, and what is under way: sessions, movements, rhythms, releases. How each goes on stands in `session`,
//! `request`, `background` and `attack`.

use crate::Scenario;
use crate::campaign::Play;
use crate::system::batches;

/// What may come next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Somebody signs on.
    SignOn(usize),
    Session(Session),
    /// The business asks for something.
    Ask(usize),
    Request(Box<Request>),
    /// A chain goes on.
    Noise(usize),
    /// A risk is rated, a policy changed, a room entered.
    Upkeep(usize),
    /// A source says that it is there, or time goes on.
    Regular(usize, Upkeep),
    /// New system software reaches devices.
    Release(usize, Release),
    /// The next attack; how often its time was put off.
    Attack(u64),
    /// A silence is over.
    Heard(usize, u64),
}

/// A session on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) system: usize,
    pub(crate) person: u64,
    pub(crate) number: u64,
    pub(crate) begun: i64,
    pub(crate) until: i64,
    pub(crate) uses: u64,
    pub(crate) stage: SessionStage,
    /// Uses left when something happens to it.
    pub(crate) turn: u64,
    pub(crate) play: Option<Play>,
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionStage {
    Start,
    Factor,
    System,
    Disk,
    Network,
    Use,
    End,
    /// After the end, in an attack only.
    Beyond,
}

/// A movement on its way.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) system: usize,
    pub(crate) wallet: u64,
    pub(crate) number: u64,
    /// Of the wallet; given when it is filed, or before if it shares another's.
    pub(crate) nonce: Option<u64>,
    pub(crate) destination: Destination,
    pub(crate) amount: u128,
    pub(crate) fee_rate: u64,
    pub(crate) stage: RequestStage,
    /// Custodians of the desk, by place, who are to approve; the first of them may have to be this one.
    pub(crate) approvers: [u64; 3],
    pub(crate) first_must: bool,
    pub(crate) analyst: u64,
    pub(crate) approved: u64,
    pub(crate) refused: bool,
    pub(crate) play: Option<Play>,
}

/// Where value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    /// An approved one of the wallet.
    Approved(u64),
    /// Nobody knows it.
    Stranger(u64),
    /// It looks like an approved one.
    Lookalike(u64, u64),
    /// The wallet itself: an empty call that uses the nonce up.
    Itself,
}

/// Where a movement stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestStage {
    Ask,
    File,
    Decide,
    Approve,
    Sign,
    Broadcast,
    Mine,
    Move,
    Close,
}

impl Request {
    /// Whether it is played as part of this attack.
    pub(crate) fn is(&self, scenario: Scenario) -> bool {
        self.play.is_some_and(|play| play.scenario == scenario)
    }

    /// Whether the business asks for it; a thief asks nobody.
    pub(crate) fn is_ordered(&self) -> bool {
        ![Scenario::NewDestination, Scenario::FeeOutlier, Scenario::SweptCoins]
            .iter()
            .any(|scenario| self.is(*scenario))
    }

    /// A number for its strangers, apart from those that are numbered as they come.
    pub(crate) fn stranger(&self) -> u64 {
        self.number | 1 << 40
    }

    /// Whether it runs other code with the wallet's powers.
    pub(crate) fn delegates(&self) -> bool {
        let usually = batches(self.wallet) && self.destination != Destination::Itself;
        usually || self.is(Scenario::Delegatecall) || self.is(Scenario::WalletTakeover)
    }
}

/// What comes in an even rhythm.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Upkeep {
    Tick,
    /// Of the source with this index.
    Heartbeat(usize),
}

/// A release of system software on its way through the devices.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    /// The next of so many devices is looked at.
    Wave { left: u64 },
    /// A device has taken the update.
    Updated { worker: usize },
}
