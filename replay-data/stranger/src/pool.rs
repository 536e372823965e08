//! What waits for its block: numbers of an account in the order of sending, what a node's pool shows, and what is stuck.
//!
//! A signer gives out an account's numbers as it signs, and blocks take them in that order: one that waits holds up all that
//! come after it (BoltzExchange/boltz-backend#1201), while other wallets go on. How often, by what operators tell:
//! * three of a hundred are never in the pool of our own node, because they went through a private relay or another provider; one
//!   in seven of those takes minutes (a relay waits for a builder of its own);
//! * one of a thousand is lost by the provider that had accepted it, until the sender notices that nothing moves and sends the
//!   same bytes again, ten minutes to an hour and a half later;
//! * one of a hundred that are sent into congestion stays there for one to five hours, since the fee was estimated a block too
//!   early and nobody raised it; half of these leave the pool of the node meanwhile, which keeps what pays most.

use std::collections::BTreeMap;

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, node};
use crate::journal::{Entry, Journal};
use crate::names::Chain;
use crate::season::Season;

/// The number before the first one of a history.
const NUMBERS_BEFORE: i64 = 48_000;

/// One number of an account, and what was told of it.
#[derive(Debug)]
struct Sending {
    wallet: usize,
    nonce: i64,
    sent: i64,
    mined: i64,
    /// What names the number.
    numbered: Vec<Entry>,
    /// What happens with or after its block.
    settled: Vec<Entry>,
    /// What was told of it last.
    told: Option<Event>,
    /// A pool was heard to hold it.
    is_shown: bool,
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Shown by the pool, mined in time.
    Usual,
    /// Not shown, and mined after so long.
    Unseen(i64),
    /// Accepted by a provider and lost, until it is sent again after so long.
    Lost(i64),
    /// Shown, and mined after so long.
    Stuck(i64),
}

impl Fate {
    fn of(congestion: i64, chance: &mut Chance) -> Fate {
        match chance.below(1000) {
            0 => Fate::Lost(chance.between(8, 90) * MINUTE),
            1..=30 => Fate::Unseen(if chance.thousandths(150) { chance.between(2, 9) * MINUTE } else { 0 }),
            31..=40 if congestion > 400 => Fate::Stuck(chance.between(60, 300) * MINUTE),
            _ => Fate::Usual,
        }
    }

    /// How much later than the usual it is mined.
    fn delay(self) -> i64 {
        match self {
            Fate::Usual => 0,
            Fate::Unseen(by) | Fate::Lost(by) | Fate::Stuck(by) => by,
        }
    }
}

/// Everything that was sent.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    sendings: Vec<Sending>,
    aside: Vec<(Event, i64)>,
}

impl Pool {
    /// A signature for a number of a wallet, by the first or by a further transaction.
    pub(crate) fn sent(&mut self, wallet: usize, nonce: i64, at: i64, entry: Entry) {
        match self.sendings.last_mut() {
            Some(last) if (last.wallet, last.nonce) == (wallet, nonce) => last.numbered.push(entry),
            _ => self.sendings.push(Sending {
                wallet,
                nonce,
                sent: at,
                mined: at,
                numbered: vec![entry],
                settled: Vec::new(),
                told: None,
                is_shown: false,
            }),
        }
    }

    /// A node told of a transaction of the number that was sent last.
    pub(crate) fn told(&mut self, entry: Entry, event: Event, is_final: bool, at: i64) {
        let Some(last) = self.sendings.last_mut() else { return };
        if is_final {
            last.mined = at;
            last.settled.push(entry);
            last.told = Some(event);
        } else {
            last.numbered.push(entry);
            last.is_shown = true;
        }
    }

    /// What was told because that number was in a block.
    pub(crate) fn settled(&mut self, entries: Vec<Entry>) {
        if let Some(last) = self.sendings.last_mut() {
            last.settled.extend(entries);
        }
    }

    /// A transaction whose place another one took.
    pub(crate) fn replaced(&mut self, event: Event, at: i64) {
        self.aside.push((event, at));
    }

    /// Gives out the numbers in the order of sending, puts off what had to wait, and gives what the pool shows besides.
    pub(crate) fn settle(
        self,
        firm: &Firm,
        season: &Season,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> Vec<(Event, i64)> {
        let Pool { sendings, mut aside } = self;
        let mut accounts: BTreeMap<usize, Vec<Sending>> = BTreeMap::new();
        for sending in sendings {
            accounts.entry(sending.wallet).or_default().push(sending);
        }
        for (wallet, mut account) in accounts {
            account.sort_by_key(|sending| sending.sent);
            let address = firm.wallets[wallet].address.as_str();
            let mut queue = Queue { address, last: NUMBERS_BEFORE, free: i64::MIN, hidden: None };
            for sending in &account {
                let (day, hour) = (sending.sent.div_euclid(DAY), sending.sent.rem_euclid(DAY) / HOUR);
                let fate = Fate::of(season.fee_percent(day, hour), chance);
                queue.take(sending, fate, journal, &mut aside, chance);
            }
        }
        aside
    }
}

/// An account's numbers, one after the other.
struct Queue<'a> {
    address: &'a str,
    last: i64,
    /// When the block of the last one was made.
    free: i64,
    /// A number that no pool shows, and until when.
    hidden: Option<(i64, i64)>,
}

impl Queue<'_> {
    fn take(
        &mut self,
        sending: &Sending,
        fate: Fate,
        journal: &mut Journal,
        aside: &mut Vec<(Event, i64)>,
        chance: &mut Chance,
    ) {
        self.last += 1;
        // One that was told while it waited was seen by our own node.
        let fate = if sending.is_shown { Fate::Usual } else { fate };
        let mined = (sending.mined + fate.delay()).max(self.free);
        self.free = mined;
        self.amend(sending, mined, journal);
        let Some(told) = &sending.told else { return };
        let shown = told.clone().without("block").with("nonce", self.last);
        let shown = shown.say(Column::Outcome, "unconfirmed").say(Column::Reason, "");
        match fate {
            Fate::Usual | Fate::Stuck(_) => {
                let seen = sending.sent + chance.between(300, 2_000);
                self.miss(&shown, seen, aside, chance);
                if !sending.is_shown && seen < mined {
                    aside.push((shown, seen));
                }
                if matches!(fate, Fate::Stuck(_)) && chance.thousandths(500) {
                    let gone = sending.sent + (mined - sending.sent) * chance.between(40, 90) / 100;
                    aside.push((self.about("chain.dropped", told).say(Column::Outcome, "gone"), gone));
                }
            }
            Fate::Lost(after) => {
                let again = sending.sent + after;
                aside.push((shown, again + SECOND));
                self.hidden = Some((self.last, again));
            }
            Fate::Unseen(_) => self.hidden = Some((self.last, mined)),
        }
    }

    /// What was told gets its true number, and its true block where another one took it.
    fn amend(&self, sending: &Sending, mined: i64, journal: &mut Journal) {
        let number = |of: i64| format!(r#""nonce":{of}"#);
        let block = |at: i64| format!(r#""block":{}"#, Chain::Ethereum.block(at));
        let numbers = (number(sending.nonce), number(self.last));
        for entry in &sending.numbered {
            journal.put_off(*entry, 0, std::slice::from_ref(&numbers));
        }
        let both = [numbers, (block(sending.mined), block(mined))];
        for entry in &sending.settled {
            journal.put_off(*entry, mined - sending.mined, &both);
        }
    }

    /// A transaction is seen to wait behind a number that nobody has shown.
    fn miss(&self, shown: &Event, seen: i64, aside: &mut Vec<(Event, i64)>, chance: &mut Chance) {
        let Some((missing, until)) = self.hidden else { return };
        let at = seen + chance.between(2, 20) * SECOND;
        if at < until {
            let event = self.about("chain.nonce_missing", shown);
            let event = event.with("nonce", self.last).with("missing", missing).with("next", missing);
            aside.push((event, at));
        }
    }

    /// A record about a transaction that was told.
    fn about(&self, kind: &'static str, told: &Event) -> Event {
        let event = Event::new(node(Chain::Ethereum), kind).say(Column::Wallet, self.address);
        let event = event.say(Column::Chain, Chain::Ethereum.name()).say(Column::FromAddress, self.address);
        let event = event.say(Column::Actor, self.address);
        event.say(Column::Tx, told.column(Column::Tx).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::firm;

    #[test]
    fn numbers_follow_the_order_of_sending_and_blocks_that_of_the_numbers() {
        let firm = firm::desk(0, 1);
        let season = Season::new(1, 20_148, 3);
        let mut journal = Journal::new(1, vec![firm.id]);
        let mut pool = Pool::default();
        for number in 0..400 {
            // Of each two the second is sent first: the first one waits for people.
            let nonce = NUMBERS_BEFORE + 1 + number;
            let sent = 20_148 * DAY + (number / 2 * 5 + 1 - number % 2) * MINUTE;
            let signed = Event::new("mpc-cluster", "signing.signed").with("nonce", nonce);
            let entry = journal.tell(0, signed, sent);
            pool.sent(0, nonce, sent, entry);
            let mined = sent + 16 * SECOND;
            let event = Event::new("ethereum-node", "chain.tx").say(Column::Tx, number).with("nonce", nonce);
            let event = event.with("block", Chain::Ethereum.block(mined));
            let entry = journal.tell(0, event.clone(), mined);
            pool.told(entry, event, true, mined);
        }
        let waited = pool.settle(&firm, &season, &mut journal, &mut Chance::of(1, "pool"));
        let shown = waited.iter().filter(|(event, _)| event.column(Column::Outcome) == Some("unconfirmed")).count();
        assert!((350..400).contains(&shown), "{shown} of 400 were shown while they waited");
        let mut text = Vec::new();
        journal.write(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mined = lines.filter(|line| line["kind"] == "chain.tx").map(|line| {
            let of = |name: &str| line["detail"][name].as_i64().unwrap();
            (of("nonce"), of("block"), line["tx"].as_str().unwrap().to_owned())
        });
        let mut mined: Vec<(i64, i64, String)> = mined.collect();
        mined.sort();
        assert!(
            (1..).zip(&mined).all(|(nth, (nonce, ..))| *nonce == NUMBERS_BEFORE + nth),
            "a number is missing or twice"
        );
        assert!(mined.windows(2).all(|two| two[0].1 <= two[1].1), "a block took a number before the one below it");
        assert_eq!((mined[0].2.as_str(), mined[1].2.as_str()), ("1", "0"), "the one sent first has the first number");
    }
}
