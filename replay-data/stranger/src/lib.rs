//! A stranger's honest month: what an exchange and a trading desk tell about themselves while nobody steals anything.
//!
//! It is written apart from the rules and from the simulator beside it, and shares neither code nor rates with them, so that
//! what rules find in it was not agreed upon. Everything in it is honest; whatever is found is noise.
//!
//! | module | what it holds |
//! |---|---|
//! | `firm`, `inventory`, `networks` | who there is, what they declare, where they speak from |
//! | `season` | what kind of day it is |
//! | `people` | working days, travel, devices, factors, posture |
//! | `customers`, `business`, `payments`, `chains`, `counter` | orders, decisions, signatures, what becomes of them on chains |
//! | `decision` | a decision with its input |
//! | `treasury`, `multisig`, `ceremonies` | owners and what they sign |
//! | `deposits` | what comes in, asked for or not |
//! | `changes` | pipelines, hand-overs, the auditor |
//! | `pool`, `tokens`, `nodes` | what waits for its block, what tokens call themselves, which blocks are final |
//! | `replicas`, `looks` | what replicas of the decision point hold, and what looking at them finds |
//! | `keys`, `emergencies`, `warnings` | shares made anew, access in an emergency, what others warn of |
//! | `infrastructure` | heartbeats, ticks, stops, late deliveries |
//! | `journal`, `event`, `names`, `money`, `calendar`, `chance`, `digest` | how it is written down |
//! | `noise` | how many alerts a backtest of it gave |

mod business;
mod calendar;
mod ceremonies;
mod chains;
mod chance;
mod changes;
mod counter;
mod customers;
mod decision;
mod deposits;
mod digest;
mod emergencies;
mod event;
mod firm;
mod infrastructure;
mod inventory;
mod journal;
mod keys;
mod limits;
mod looks;
mod money;
mod multisig;
mod names;
mod networks;
mod nodes;
pub mod noise;
mod payments;
mod people;
mod pool;
mod replicas;
mod season;
mod tokens;
mod treasury;
mod warnings;

use std::io::{self, Write};

use calendar::{DAY, HOUR};
use ceremonies::Ceremonies;
use chance::Chance;
use customers::Customers;
use deposits::Unasked;
use event::Event;
use firm::{Firm, place};
use infrastructure::Infrastructure;
use inventory::Register;
use journal::Journal;
use multisig::Multisig;
use payments::Cashier;
use people::travel::Absences;
use replicas::Replicas;
use season::Season;

/// Time after the last day in which what was begun is finished and nothing new is.
const TAIL: i64 = 6 * HOUR;

/// How much there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The trading desk alone.
    Small,
    /// The exchange, and the desk as a second system.
    Exchange,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    seed: u64,
    first: i64,
    days: i64,
    size: Size,
}

impl Request {
    /// So many days from a date such as `2025-03-01` on.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(seed: u64, start: &str, days: i64, size: Size) -> Result<Request, String> {
        let first = calendar::parse_day(start).ok_or_else(|| format!("`{start}` is no date such as 2025-03-01"))?;
        if !(1..=limits::DAYS_MAX).contains(&days) {
            return Err(format!("{days} days: at least 1 and at most {} can be asked for", limits::DAYS_MAX));
        }
        Ok(Request { seed, first, days, size })
    }
}

/// A history.
pub struct History {
    journal: Journal,
    /// The file `inventory.toml`.
    pub inventory: String,
}

impl History {
    /// The history of a request.
    ///
    /// # Errors
    /// It would have too many lines.
    pub fn new(request: &Request) -> Result<History, String> {
        let seed = request.seed;
        let mut firms = match request.size {
            Size::Small => vec![firm::desk(0, seed)],
            Size::Exchange => vec![firm::exchange(0, seed), firm::desk(1, seed)],
        };
        let mut journal = Journal::new(seed, firms.iter().map(|firm| firm.id).collect());
        let season = Season::new(seed, request.first, request.days);
        let mut declared = Vec::new();
        let mut played = Vec::new();
        for firm in &mut firms {
            played.push(play(firm, seed, &season, &mut journal));
            declared.push(Register::of(firm).declared(firm, i64::MIN));
        }
        // What stands beside the payments comes after all of them, so that it moves nothing of theirs.
        for (firm, played) in firms.iter().zip(played) {
            beside(firm, seed, &season, played, &mut journal);
        }
        if journal.len() > limits::LINES_MAX {
            return Err(format!(
                "{} lines, at most {} are written: ask for fewer days",
                journal.len(),
                limits::LINES_MAX
            ));
        }
        Ok(History { journal, inventory: inventory::file(&declared) })
    }

    /// Event lines so far.
    pub fn lines(&self) -> usize {
        self.journal.len()
    }

    /// Writes the event lines.
    ///
    /// # Errors
    /// What writing says.
    pub fn write(self, out: &mut impl Write) -> io::Result<()> {
        self.journal.write(out)
    }
}

/// What the rest of a history goes by, once the payments are made.
struct Played {
    infrastructure: Infrastructure,
    ceremonies: Ceremonies,
    /// When policies were published.
    published: Vec<i64>,
    /// Tokens that nobody asked for.
    unasked: Vec<Unasked>,
    /// What pools showed, and when.
    waited: Vec<(Event, i64)>,
}

fn play(firm: &mut Firm, seed: u64, season: &Season, journal: &mut Journal) -> Played {
    let id = firm.id;
    let stream = |name: &str| Chance::of(seed, &format!("{id}/{name}"));
    firm.stops = replicas::stops(season, &mut stream("stops"));
    firm.indicators = warnings::plan(firm, season, &mut stream("warnings"));
    let infrastructure = Infrastructure::plan(firm, season, journal, &mut stream("infrastructure"));
    let absences = Absences::plan(&firm.people, season, &mut stream("absences"));
    let devices = people::devices::plan(&mut firm.people, season, &mut stream("devices"));
    people::days::tell(firm, season, &absences, journal, &mut stream("days"));
    let firm = &*firm;
    people::devices::tell(firm, &devices, journal, &mut stream("factors"));
    people::posture::tell(firm, journal, &mut stream("posture"));
    let mut customers = Customers::of(firm, &mut stream("customers"));
    let mut cashier = Cashier::new(firm, season, &infrastructure, journal, stream("payments"));
    counter::play(&mut cashier, &mut customers);
    let waited = cashier.settle(&mut stream("pool"));
    let unasked = deposits::tell(firm, season, journal, &mut stream("deposits"));
    let mut chance = stream("treasury");
    let safes: &[usize] =
        if firm.module.is_some() { &[place::DESK_SAFE] } else { &[place::TREASURY, place::COLD_ETHEREUM] };
    let mut safes: Vec<Multisig<'_>> =
        safes.iter().map(|safe| Multisig::new(firm, *safe, &infrastructure, &mut chance)).collect();
    let mut ceremonies = Ceremonies::plan(firm, season, &mut chance);
    let works = treasury::Works { firm, season, infrastructure: &infrastructure };
    works.play(&mut safes, &mut ceremonies, journal, &mut chance);
    let published = changes::tell(firm, season, &absences, journal, &mut stream("changes"));
    let span = span(season);
    infrastructure.tell(firm, span, journal, &mut stream("machines"));
    journal.keep(firm.system, span);
    Played { infrastructure, ceremonies, published, unasked, waited }
}

/// What stands beside the payments: pools, tokens, nodes, the decision point's replicas, keys, emergencies, warnings.
fn beside(firm: &Firm, seed: u64, season: &Season, played: Played, journal: &mut Journal) {
    let stream = |name: &str| Chance::of(seed, &format!("{}/{name}", firm.id));
    let Played { infrastructure, ceremonies, published, unasked, waited } = played;
    let span = span(season);
    let replicas = Replicas::plan(firm, season, &published, &mut stream("replicas"));
    for (event, at) in waited.into_iter().chain(replicas.records.iter().cloned()) {
        journal.tell(firm.system, event, at);
    }
    looks::tell(firm, season, &replicas, &infrastructure, span, journal, &mut stream("looks"));
    tokens::tell(firm, season, &unasked, journal, &mut stream("tokens"));
    nodes::tell(firm, season, span, journal, &mut stream("nodes"));
    keys::tell(firm, season, journal, &mut stream("keys"));
    emergencies::tell(firm, season, journal, &mut stream("emergencies"));
    warnings::tell(firm, season, &ceremonies, journal, &mut stream("dust"));
    journal.keep(firm.system, span);
}

/// First and last instant of a history.
fn span(season: &Season) -> (i64, i64) {
    (season.first * DAY, (season.first + season.days) * DAY + TAIL)
}
