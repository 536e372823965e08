//! What goes when an operator's limits are reached.
//!
//! A limit is one of each system and group of windows, so that one system's flood costs no other system anything. At the
//! limit the source with the most rows (or keys) there loses the oldest eighth of its own: a source that floods forgets
//! itself, and another's evidence stays. Which rows go depends on the log alone (promise P1): near a limit rows are gone
//! through one by one, and keys are counted by log time ([`super::key_count`]). What is lost is told, so that it can be
//! recorded and alerted: an answer whose frame reaches into the lost span may count too few.

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::filter;
use datafusion::error::Result;

use super::keys::Slot;
use super::limits::{LOST_SHARE, Limits, Lost, flooding};
use super::operator::Operator;
use super::ring::{Lane, Ring, RingCall};
use super::rows::Row;
use super::state::{Cursor, State};
use super::systems::Systems;

impl Operator {
    /// What had to go since this was last asked.
    pub(crate) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    /// Sets what it may remember.
    pub(crate) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether no limit can be reached by that many rows more.
    pub(super) fn has_room(&self, rows: usize) -> bool {
        let Limits { rows_max, keys_max, waiting_max } = self.limits;
        let ring_fits = |ring: &Ring| {
            let longest = ring.lanes.iter().map(|lane| lane.rows.len()).max().unwrap_or(0);
            longest + rows <= rows_max && ring.keys.most_living() + rows <= keys_max
        };
        self.rings.iter().all(ring_fits)
            && self.by_rows.iter().all(|ring| ring.keys.most_living() + rows <= keys_max)
            && self.delay.longest() + rows <= waiting_max
    }

    /// Lets go of what is too much after a row of a system at `time`.
    pub(super) fn keep_limits(&mut self, system: u32, time: i64, systems: &Systems) -> Result<()> {
        let Some(lane) = self.lanes.get(&system).copied() else { return Ok(()) };
        let mut lost = Vec::new();
        if self.delay.waiting(lane) > self.limits.waiting_max
            && let Some((count, source, from, to)) = self.delay.lose(lane)
        {
            lost.push(("waiting", String::new(), count, source, from, to));
            self.wait_again();
        }
        // Further than the rings have come: only the lane's next step takes its rows there.
        let horizon = self.delay.first_time(lane).unwrap_or(time.saturating_add(1));
        let limits = self.limits;
        for ring in &mut self.rings {
            if ring.lanes.get(lane).is_some_and(|lane| lane.rows.len() > limits.rows_max)
                && let Some((count, source, from, to)) = ring.lose_rows(lane)?
            {
                lost.push(("rows", ring.shown.clone(), count, source, from, to));
            }
            let number = u32::try_from(lane).expect("systems are declared, so they are few");
            if ring.keys.living(number, time) > limits.keys_max
                && let Some((count, source, from, to)) = ring.lose_keys(number, horizon)?
            {
                lost.push(("keys", ring.shown.clone(), count, source, from, to));
            }
        }
        for ring in &mut self.by_rows {
            let number = u32::try_from(lane).expect("systems are declared, so they are few");
            if ring.keys.living(number, time) > limits.keys_max {
                let oldest = oldest_keys(&ring.keys, number, i64::MAX);
                let ends = oldest
                    .first()
                    .zip(oldest.last())
                    .map(|(first, last)| (ring.keys.last(*first), ring.keys.last(*last)));
                let source = oldest.first().map(|slot| ring.keys.source(*slot));
                oldest.iter().for_each(|slot| ring.lose(*slot));
                if let (Some((from, to)), Some(source)) = (ends, source) {
                    lost.push(("keys", ring.shown.clone(), oldest.len(), source, from, to));
                }
            }
        }
        for (what, group, count, source, from, to) in lost {
            let source = self.sources.iter().find(|(_, number)| **number == source).map(|(name, _)| name.clone());
            let (system, source) = (systems.name(system).to_owned(), source.unwrap_or_else(|| "others".to_owned()));
            self.lost.push(Lost { system, source, what, group, count, from, to });
        }
        Ok(())
    }
}

/// The oldest eighth of the keys of the source that has most of them in a lane, of those whose last row is before
/// `horizon`; by last row, then by name. Keys that are out of reach and not freed yet are none.
fn oldest_keys(keys: &super::keys::Keys, lane: u32, horizon: i64) -> Vec<Slot> {
    let known = || keys.live().filter(|slot| keys.lane(*slot) == lane && !keys.is_gone(*slot));
    let Some(source) = flooding(known().map(|slot| keys.source(slot))) else { return Vec::new() };
    let mut own: Vec<Slot> = known().filter(|slot| keys.source(*slot) == source).collect();
    own.sort_by(|one, other| (keys.last(*one), keys.key(*one)).cmp(&(keys.last(*other), keys.key(*other))));
    let share = (own.len() / LOST_SHARE).max(1);
    own.into_iter().take(share).take_while(|slot| keys.last(*slot) < horizon).collect()
}

impl Ring {
    /// The flooding source's oldest rows of a lane go: how many, whose, from when to when.
    fn lose_rows(&mut self, lane: usize) -> Result<Option<(usize, u16, i64, i64)>> {
        let rows = self.lanes[lane].all();
        let Some(source) = flooding(rows.iter().map(|row| row.source)) else { return Ok(None) };
        let own = rows.iter().filter(|row| row.source == source).count();
        let going = rows.iter().filter(|row| row.source == source).take((own / LOST_SHARE).max(1));
        let (count, from, to) = going
            .fold((0, i64::MAX, i64::MIN), |(count, from, to), row| (count + 1, from.min(row.time), to.max(row.time)));
        self.keep(&|number, row: &Row| number != lane || row.source != source || row.time > to)?;
        Ok(Some((count, source, from, to)))
    }

    /// The flooding source's oldest keys of a lane go, with their rows.
    fn lose_keys(&mut self, lane: u32, horizon: i64) -> Result<Option<(usize, u16, i64, i64)>> {
        let oldest = oldest_keys(&self.keys, lane, horizon);
        let (Some(first), Some(last)) = (oldest.first(), oldest.last()) else { return Ok(None) };
        let told = (oldest.len(), self.keys.source(*first), self.keys.last(*first), self.keys.last(*last));
        let gone: std::collections::BTreeSet<Slot> = oldest.iter().copied().collect();
        self.keep(&|_, row: &Row| !gone.contains(&row.slot))?;
        for slot in oldest {
            self.keys.lose(slot);
            self.open(slot);
        }
        Ok(Some(told))
    }

    /// Keeps those rows only, and rebuilds what functions remember of them.
    fn keep(&mut self, wanted: &dyn Fn(usize, &Row) -> bool) -> Result<()> {
        let slots = self.keys.slots();
        let Ring { calls, lanes, frames, .. } = self;
        let kept: Vec<Lane> = (0..).zip(lanes.iter()).map(|(number, lane)| lane.kept(number, wanted)).collect();
        for (number, call) in (0_u32..).zip(calls) {
            call.rebuild(1 << number, frames[call.frame], slots, lanes, &kept, wanted)?;
        }
        *lanes = kept;
        Ok(())
    }
}

impl Lane {
    fn kept(&self, number: usize, wanted: &dyn Fn(usize, &Row) -> bool) -> Lane {
        let first = self.rows.first();
        let before = |to: u64| {
            let rows = self.rows.slice(first, to.max(first));
            rows.iter().filter(|row| wanted(number, row)).count() as u64
        };
        let cursor = |cursor: &Cursor| Cursor { entered: before(cursor.entered), left: before(cursor.left) };
        let mut kept = Lane { cursors: self.cursors.iter().map(cursor).collect(), ..Lane::default() };
        self.all().iter().filter(|row| wanted(number, row)).for_each(|row| kept.rows.push(*row));
        kept
    }
}

impl RingCall {
    fn rebuild(
        &mut self,
        bit: u16,
        frame: super::frame::Frame,
        slots: Slot,
        before: &[Lane],
        kept: &[Lane],
        wanted: &dyn Fn(usize, &Row) -> bool,
    ) -> Result<()> {
        let mut fresh = State::new(&self.call, frame);
        (0..slots).for_each(|slot| fresh.open(slot));
        if !self.leaves {
            fresh.load_cells(&self.state.save_cells(&(0..slots).collect::<Vec<_>>()))?;
        }
        if let Some((lanes, values)) = self.state.save_inputs() {
            let rows = before.iter().enumerate().flat_map(|(number, lane)| {
                self.rows_of(lane).iter().filter(move |row| row.calls & bit != 0).map(move |row| (number, row))
            });
            let (keep, slots): (Vec<bool>, Vec<Slot>) =
                rows.map(|(number, row)| (wanted(number, row), row.slot)).unzip();
            let keep = BooleanArray::from(keep);
            let only = |array: &dyn Array| -> Result<ArrayRef> { Ok(filter(array, &keep)?) };
            let (lanes, slots) = (only(&UInt32Array::from(lanes))?, only(&UInt32Array::from(slots))?);
            let numbers = |array: &ArrayRef| {
                use arrow::array::AsArray;
                array.as_primitive::<arrow::datatypes::UInt32Type>().values().to_vec()
            };
            fresh.load_inputs(&numbers(&lanes), &numbers(&slots), &only(values.as_ref())?)?;
        }
        for (number, lane) in kept.iter().enumerate() {
            for row in self.rows_inside(lane).iter().filter(|row| row.calls & bit != 0) {
                fresh.enter(number, row.slot, row.time);
            }
        }
        self.state = fresh;
        Ok(())
    }
}
