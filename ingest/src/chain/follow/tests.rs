//! The cursor as blocks come and are left, and on its way back from the log.

use std::collections::BTreeSet;

use keywatch_store::Event;
use keywatch_store::event::Origin;

use super::*;
use crate::chain::health::Asked;
use crate::chain::holdings::Move;

fn origin() -> Origin {
    Origin { system: "cold".into(), source: "node".into() }
}

fn block(height: u64, hash: &str, parent: &str) -> BlockRef {
    BlockRef { height, hash: hash.into(), parent: parent.into(), time: Instant(1) }
}

fn cursor() -> Cursor {
    let mut cursor = Cursor::behind(10, "a10", 4);
    for (height, hash, parent) in [(11, "a11", "a10"), (12, "a12", "a11"), (13, "a13", "a12")] {
        cursor.take(&block(height, hash, parent));
    }
    cursor
}

#[test]
fn a_block_continues_only_behind_its_parent() {
    let cursor = cursor();
    assert_eq!(cursor.step(&block(14, "a14", "a13")), Step::Continues);
    assert_eq!(cursor.step(&block(14, "b14", "b13")), Step::Reorganises);
    assert_eq!(cursor.step(&block(15, "a15", "a13")), Step::Reorganises, "a block between them is missing");
}

#[test]
fn a_cursor_remembers_no_deeper_than_it_may_go_back() {
    let mut cursor = cursor();
    cursor.take(&block(14, "a14", "a13"));
    assert_eq!((cursor.oldest(), cursor.at(10), cursor.tip().height), (11, None, 14));
    assert_eq!(cursor.at(12).map(|read| read.hash.as_str()), Some("a12"));
}

#[test]
fn going_back_counts_and_names_what_is_left_the_newest_first() {
    let mut cursor = cursor();
    let left = cursor.rewind(11);
    assert_eq!(left.iter().map(|read| read.hash.as_str()).collect::<Vec<_>>(), ["a13", "a12"]);
    assert_eq!((cursor.tip().height, cursor.epoch()), (11, 1));
    cursor.take(&block(12, "a12", "a11"));
    assert_eq!(cursor.tip().epoch, 1, "a block that comes back is read anew");
}

fn restored(records: &[Event], depth_max: usize) -> Option<Cursor> {
    let mut restoring = Restoring::new("node", "ethereum", depth_max);
    records.iter().rev().any(|record| restoring.take(record));
    restoring.end()
}

#[test]
fn a_cursor_comes_back_from_its_records_at_every_point() {
    let mut cursor = Cursor::behind(10, "a10", 4);
    let mut records = vec![cursor.record(&origin(), "ethereum", 1, true, Instant(1))];
    let mut go = |cursor: &Cursor, blocks: usize| {
        records.push(cursor.record(&origin(), "ethereum", blocks, false, Instant(1)));
        assert_eq!(restored(&records, 4).as_ref(), Some(cursor));
    };
    cursor.take(&block(11, "a11", "a10"));
    cursor.take(&block(12, "a12", "a11"));
    go(&cursor, 2);
    cursor.take(&block(13, "a13", "a12"));
    assert!(!cursor.settle(9), "nothing was read of what is final");
    go(&cursor, 1);
    assert!(cursor.settle(11));
    cursor.rewind(11);
    go(&cursor, 0);
    cursor.take(&block(12, "b12", "a11"));
    go(&cursor, 1);
    cursor.rewind(11);
    go(&cursor, 0);
    cursor.take(&block(12, "a12", "a11"));
    cursor.take(&block(13, "a13", "a12"));
    cursor.watch("d1".into());
    cursor.take_used(Used::from([("w/0".to_owned(), 7)]));
    let mut asked = Asked::default();
    asked.fails("storage", "no state".into());
    cursor.unwell_mut().take(&asked);
    go(&cursor, 2);
    assert_eq!(cursor.declared(), "d1");
    assert_eq!(cursor.unwell().parts().collect::<Vec<_>>(), ["storage"]);
    assert_eq!(cursor.at(12).map(|read| read.epoch), Some(2));
}

#[test]
fn what_wallets_hold_comes_back_with_the_cursor_and_goes_back_with_it() {
    let moved = |made: u64, units: i64| Move { wallet: "w".to_owned(), made: Some(made), units, coinbase: 0 };
    let held = |cursor: &Cursor| cursor.holdings().wallets().map(|(_, held)| held.units).collect::<Vec<_>>();
    let mut cursor = Cursor::behind(10, "a10", 3);
    cursor.holdings_mut().watch(&BTreeSet::from(["w".to_owned()]), 10);
    let mut records = vec![cursor.record(&origin(), "ethereum", 1, true, Instant(1))];
    for (height, hash, parent, units) in
        [(11, "a11", "a10", 5), (12, "a12", "a11", 7), (13, "a13", "a12", -4), (14, "a14", "a13", 1)]
    {
        cursor.take(&block(height, hash, parent));
        cursor.holdings_mut().take(height, &[moved(11, units)]);
        records.push(cursor.record(&origin(), "ethereum", 1, false, Instant(1)));
        assert_eq!(restored(&records, 3).as_ref(), Some(&cursor));
    }
    assert_eq!(held(&cursor), [9]);
    let mut back = restored(&records, 3).unwrap();
    back.rewind(12);
    records.push(back.record(&origin(), "ethereum", 0, false, Instant(1)));
    assert_eq!((held(&back), held(&restored(&records, 3).unwrap())), (vec![12], vec![12]));
}

#[test]
fn a_reorganisation_may_reach_below_the_place_at_which_it_began() {
    let mut cursor = Cursor::behind(10, "a10", 4);
    cursor.remember(["a9", "a8", "a7", "a6"].map(str::to_owned));
    assert_eq!((cursor.oldest(), cursor.remembered(), cursor.is_full()), (7, 4, true));
    let record = cursor.record(&origin(), "ethereum", cursor.remembered(), true, Instant(1));
    assert_eq!(restored(&[record], 4).as_ref(), Some(&cursor));
    let left = cursor.rewind(8);
    assert_eq!(left.iter().map(|read| read.hash.as_str()).collect::<Vec<_>>(), ["a10", "a9"]);
    assert_eq!((cursor.settled(), cursor.step(&block(9, "b9", "a8"))), (None, Step::Continues));
    let mut young = Cursor::behind(1, "a1", 4);
    young.remember(["a0", "nothing"].map(str::to_owned));
    assert_eq!((young.oldest(), young.is_full()), (0, false));
}

#[test]
fn another_source_or_chain_has_another_cursor() {
    let record = cursor().record(&origin(), "base", 1, true, Instant(1));
    assert_eq!(restored(&[record], 4), None);
}
