//! Nodes: which blocks are final, and one of several that stands still for a while.
//!
//! Ethereum's blocks become final by epochs of 32, two epochs behind the newest; in one month of six that takes half an hour
//! longer, as it did on the main chain in May 2023. Of Bitcoin six blocks are waited for. Of two nodes of a chain one stops
//! naming new blocks every week, for three to forty minutes: a full disk, a client that has lost its peers, an upgrade that
//! nobody announced. The other one goes on.

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, node};
use crate::journal::Journal;
use crate::names::{self, Chain};
use crate::season::Season;

/// An epoch of Ethereum.
const EPOCH: i64 = 32 * 12 * SECOND;

/// Tells them of the chains that a firm follows.
pub(crate) fn tell(firm: &Firm, season: &Season, (from, to): (i64, i64), journal: &mut Journal, chance: &mut Chance) {
    for chain in [Chain::Ethereum, Chain::Bitcoin] {
        if !firm.feeds.iter().any(|feed| feed.name == node(chain)) {
            continue;
        }
        finality(firm, chain, (from, to), journal, chance);
        for _ in 0..(season.days + 3) / 7 {
            let stands = from + chance.between(0, season.days * DAY - HOUR);
            let moves = stands + chance.between(3, 40) * MINUTE;
            let second = format!("{}-2", chain.name());
            for (outcome, reason, at) in [("degraded", "no new block", stands), ("ok", "", moves)] {
                let event = Event::new(node(chain), "source.status").say(Column::Outcome, outcome);
                let event = event.say(Column::Reason, reason).with("replica", second.as_str());
                journal.note(firm.system, event, at);
            }
        }
    }
}

fn finality(firm: &Firm, chain: Chain, (from, to): (i64, i64), journal: &mut Journal, chance: &mut Chance) {
    let stalls = chance.thousandths(170).then(|| from + chance.between(0, (to - from - HOUR).max(0)));
    let mut last = 0;
    let mut at = from + chance.between(0, 6 * MINUTE);
    while at < to {
        let behind = if chain == Chain::Bitcoin { 5 } else { 64 + at / (12 * SECOND) % 32 };
        let block = chain.block(at) - behind;
        let is_stalled =
            chain == Chain::Ethereum && stalls.is_some_and(|stall| (stall..stall + 30 * MINUTE).contains(&at));
        if block > last && !is_stalled {
            let hash = names::digits(chance, 64);
            let hash = if chain == Chain::Ethereum { format!("0x{hash}") } else { hash };
            let event = Event::new(node(chain), "chain.finality").say(Column::Chain, chain.name());
            let event = event.say(Column::Outcome, "final").with("block", block).with("block_hash", hash);
            journal.tell(firm.system, event.with("epoch", 0), at);
            last = block;
        }
        at += if chain == Chain::Bitcoin { chance.around(8 * MINUTE) } else { EPOCH };
    }
}
