//! An operator into a snapshot and out of it.
//!
//! Kept are the keys that frames still reach, the rows of each ring with the values that functions keep for them, how
//! far each frame has come, the rows on hold, and the cells that rows do not rebuild. Slots are numbered anew, without
//! gaps. What a function remembers of rows that will leave is rebuilt by letting them enter again.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, PrimitiveArray, StringArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{ArrowPrimitiveType, Int64Type, UInt16Type, UInt32Type, UInt64Type};
use datafusion::error::Result;

use super::batch_keys::Key;
use super::by_rows::ByRows;
use super::delay_line::{All, Delay};
use super::keys::{Keys, Slot};
use super::operator::Operator;
use super::operator_plan::RingPlan;
use super::ring::{Lane, Ring, RingCall};
use super::rows::Row;
use super::state::Cursor;
use super::stored::{Saved, Tables, column, damaged, from_bytes, to_bytes};
use super::systems::Systems;

fn numbers<T: ArrowPrimitiveType>(saved: &Saved, table: &str, name: &str) -> Result<PrimitiveArray<T>> {
    let found = column(saved, table, name)?.as_primitive_opt::<T>().cloned();
    found.ok_or_else(|| damaged("a column of another type"))
}

fn array<T: Array + 'static>(array: T) -> ArrayRef {
    Arc::new(array)
}

impl Operator {
    /// Writes everything that it remembers; `name` tells its tables from those of others.
    pub(crate) fn save(&self, name: &str, systems: &Systems, tables: &mut Tables<'_>) -> Result<()> {
        let mut lanes: Vec<(&u32, &usize)> = self.lanes.iter().collect();
        lanes.sort_by_key(|(_, lane)| **lane);
        let names = lanes.iter().map(|(system, _)| Some(systems.name(**system)));
        tables.write(
            &format!("{name}/lanes"),
            vec![
                ("system", array(names.collect::<StringArray>())),
                ("horizon", array(Int64Array::from(self.horizons.clone()))),
            ],
        )?;
        let mut sources: Vec<(&String, &u16)> = self.sources.iter().collect();
        sources.sort_by_key(|(_, number)| **number);
        let sources = sources.into_iter().map(|(name, _)| Some(name)).collect::<StringArray>();
        tables.write(&format!("{name}/sources"), vec![("source", array(sources))])?;
        let mut renumbered = Vec::new();
        for (number, ring) in self.rings.iter().enumerate() {
            renumbered.push(ring.save(&format!("{name}/ring/{number}"), tables)?);
        }
        for (number, ring) in self.by_rows.iter().enumerate() {
            ring.save(&format!("{name}/rows/{number}"), tables)?;
        }
        self.delay.save(&format!("{name}/delay"), &renumbered, tables)
    }

    /// Takes over what [`Operator::save`] wrote; the operator must be fresh.
    pub(crate) fn load(&mut self, name: &str, systems: &Systems, saved: &Saved) -> Result<()> {
        let names = column(saved, &format!("{name}/lanes"), "system")?.as_string::<i32>().clone();
        for (lane, system) in names.iter().flatten().enumerate() {
            let number = systems.number(system).ok_or_else(|| damaged("a system that is not in it"))?;
            self.lanes.insert(number, lane);
        }
        self.horizons = numbers::<Int64Type>(saved, &format!("{name}/lanes"), "horizon")?.values().to_vec();
        let sources = column(saved, &format!("{name}/sources"), "source")?.as_string::<i32>().clone();
        self.sources = sources.iter().flatten().map(str::to_owned).zip(0..).collect();
        for (number, ring) in self.rings.iter_mut().enumerate() {
            ring.load(&format!("{name}/ring/{number}"), saved)?;
        }
        for (number, ring) in self.by_rows.iter_mut().enumerate() {
            ring.load(&format!("{name}/rows/{number}"), saved)?;
        }
        self.delay.load(&format!("{name}/delay"), saved)?;
        self.wait_again();
        Ok(())
    }
}

impl Keys {
    /// Writes the live keys and gives their slots in the order in which they will be numbered.
    fn save(&self, name: &str, tables: &mut Tables<'_>) -> Result<Vec<Slot>> {
        let slots: Vec<Slot> = self.live().collect();
        let lanes = slots.iter().map(|slot| self.lane(*slot));
        let last = slots.iter().map(|slot| self.last(*slot));
        let keys = slots.iter().map(|slot| Some(self.key(*slot)));
        tables.write(
            &format!("{name}/keys"),
            vec![
                ("lane", array(UInt32Array::from_iter_values(lanes))),
                ("last", array(Int64Array::from_iter_values(last))),
                ("source", array(UInt16Array::from_iter_values(slots.iter().map(|slot| self.source(*slot))))),
                ("key", array(keys.collect::<arrow::array::LargeBinaryArray>())),
            ],
        )?;
        Ok(slots)
    }

    fn load(&mut self, name: &str, saved: &Saved) -> Result<usize> {
        let table = format!("{name}/keys");
        let keys = column(saved, &table, "key")?;
        let keys = keys.as_binary_opt::<i64>().ok_or_else(|| damaged("a column of another type"))?;
        let lanes = numbers::<UInt32Type>(saved, &table, "lane")?;
        let last = numbers::<Int64Type>(saved, &table, "last")?;
        let sources = numbers::<UInt16Type>(saved, &table, "source")?;
        for row in 0..keys.len() {
            self.refer(lanes.value(row), Key::new(keys.value(row)), last.value(row), sources.value(row));
        }
        Ok(keys.len())
    }
}

/// New numbers of slots by old ones.
fn renumber(slots: &[Slot]) -> Vec<Slot> {
    let mut renumbered = vec![Slot::MAX; slots.iter().max().map_or(0, |slot| *slot as usize + 1)];
    for (new, old) in (0..).zip(slots) {
        renumbered[*old as usize] = new;
    }
    renumbered
}

impl Ring {
    /// Moves what is alive into a ring that has no other slots, as it would out of a snapshot; gives the new numbers of
    /// slots by old ones.
    pub(super) fn move_together(&mut self, plan: &RingPlan) -> Result<Vec<Slot>> {
        let mut saved = Saved::new();
        let renumbered = self.save("moved", &mut Tables::in_memory(&mut saved))?;
        *self = Ring::new(plan);
        self.load("moved", &saved)?;
        Ok(renumbered)
    }

    fn save(&self, name: &str, tables: &mut Tables<'_>) -> Result<Vec<Slot>> {
        let slots = self.keys.save(name, tables)?;
        let renumbered = renumber(&slots);
        let rows = || (0_u32..).zip(&self.lanes).flat_map(|(lane, rows)| rows.all().iter().map(move |row| (lane, row)));
        tables.write(
            &format!("{name}/ring"),
            vec![
                ("lane", array(UInt32Array::from_iter_values(rows().map(|(lane, _)| lane)))),
                ("time", array(Int64Array::from_iter_values(rows().map(|(_, row)| row.time)))),
                ("slot", array(UInt32Array::from_iter_values(rows().map(|(_, row)| renumbered[row.slot as usize])))),
                ("calls", array(UInt16Array::from_iter_values(rows().map(|(_, row)| row.calls)))),
                ("source", array(UInt16Array::from_iter_values(rows().map(|(_, row)| row.source)))),
            ],
        )?;
        self.save_cursors(name, tables)?;
        for (number, call) in self.calls.iter().enumerate() {
            call.save(&format!("{name}/call/{number}"), &slots, tables)?;
        }
        for (watch, cells) in self.early.iter().flat_map(|early| early.save_cells(&slots)).enumerate() {
            tables.write(&format!("{name}/early/{watch}"), vec![("cell", cells)])?;
        }
        Ok(renumbered)
    }

    /// How far each frame has come, counted from the first row that is kept.
    fn save_cursors(&self, name: &str, tables: &mut Tables<'_>) -> Result<()> {
        let cursors = self.lanes.iter().flat_map(|lane| {
            let first = lane.rows.first();
            lane.cursors.iter().map(move |cursor| (cursor.entered.max(first) - first, cursor.left.max(first) - first))
        });
        let (entered, left): (Vec<u64>, Vec<u64>) = cursors.unzip();
        let lanes = self.lanes.iter().map(|lane| lane.cursors.len() as u64);
        tables.write(&format!("{name}/lanes"), vec![("frames", array(UInt64Array::from_iter_values(lanes)))])?;
        tables.write(
            &format!("{name}/cursors"),
            vec![("entered", array(UInt64Array::from(entered))), ("left", array(UInt64Array::from(left)))],
        )
    }

    fn load(&mut self, name: &str, saved: &Saved) -> Result<()> {
        let keys = self.keys.load(name, saved)?;
        let table = format!("{name}/ring");
        let lanes = numbers::<UInt32Type>(saved, &table, "lane")?;
        let times = numbers::<Int64Type>(saved, &table, "time")?;
        let slots = numbers::<UInt32Type>(saved, &table, "slot")?;
        let calls = numbers::<UInt16Type>(saved, &table, "calls")?;
        let sources = numbers::<UInt16Type>(saved, &table, "source")?;
        self.load_cursors(name, saved)?;
        for row in 0..lanes.len() {
            let entry = Row {
                time: times.value(row),
                slot: slots.value(row),
                calls: calls.value(row),
                source: sources.value(row),
            };
            let lane = self.lanes.get_mut(lanes.value(row) as usize).filter(|_| (entry.slot as usize) < keys);
            lane.ok_or_else(|| damaged("a row of no lane or key"))?.rows.push(entry);
        }
        let Ring { calls, lanes, .. } = self;
        for (number, call) in calls.iter_mut().enumerate() {
            call.load(&format!("{name}/call/{number}"), 1 << number, keys, lanes, saved)?;
        }
        self.load_early(name, keys, saved)
    }

    /// What is watched for waiting rows; those come last.
    fn load_early(&mut self, name: &str, keys: usize, saved: &Saved) -> Result<()> {
        let Some(early) = &mut self.early else { return Ok(()) };
        let slots = Slot::try_from(keys).map_err(|_| damaged("too many keys"))?;
        (0..slots).for_each(|slot| early.open(slot));
        for watch in 0..early.watches() {
            let cells = column(saved, &format!("{name}/early/{watch}"), "cell")?;
            if cells.len() != keys {
                return Err(damaged("cells of another number"));
            }
            early.load_cells(watch, cells)?;
        }
        Ok(())
    }

    fn load_cursors(&mut self, name: &str, saved: &Saved) -> Result<()> {
        let frames = numbers::<UInt64Type>(saved, &format!("{name}/lanes"), "frames")?;
        let entered = numbers::<UInt64Type>(saved, &format!("{name}/cursors"), "entered")?;
        let left = numbers::<UInt64Type>(saved, &format!("{name}/cursors"), "left")?;
        let cursors = entered.values().iter().zip(left.values());
        let mut cursors = cursors.map(|(entered, left)| Cursor { entered: *entered, left: *left });
        for frames in frames.values() {
            let count = usize::try_from(*frames).map_err(|_| damaged("too many frames"))?;
            self.lanes.push(Lane { cursors: cursors.by_ref().take(count).collect(), ..Lane::default() });
        }
        Ok(())
    }
}

impl RingCall {
    fn save(&self, name: &str, slots: &[Slot], tables: &mut Tables<'_>) -> Result<()> {
        if !self.leaves {
            tables.write(&format!("{name}/cells"), vec![("cell", self.state.save_cells(slots))])?;
        }
        match self.state.save_inputs() {
            Some((lanes, values)) => {
                let columns = vec![("lane", array(UInt32Array::from(lanes))), ("value", values)];
                tables.write(&format!("{name}/inputs"), columns)
            }
            None => Ok(()),
        }
    }

    fn load(&mut self, name: &str, bit: u16, keys: usize, rings: &[Lane], saved: &Saved) -> Result<()> {
        let keys = Slot::try_from(keys).map_err(|_| damaged("too many keys"))?;
        (0..keys).for_each(|slot| self.state.open(slot));
        if !self.leaves {
            let cells = column(saved, &format!("{name}/cells"), "cell")?;
            if cells.len() != keys as usize {
                return Err(damaged("cells of another number"));
            }
            self.state.load_cells(cells)?;
        }
        let inputs = format!("{name}/inputs");
        if saved.contains_key(&inputs) {
            let lanes = numbers::<UInt32Type>(saved, &inputs, "lane")?;
            let rows = rings.iter().flat_map(|lane| self.rows_of(lane)).filter(|row| row.calls & bit != 0);
            let slots: Vec<Slot> = rows.map(|row| row.slot).collect();
            self.state.load_inputs(lanes.values(), &slots, column(saved, &inputs, "value")?)?;
        }
        for (number, lane) in rings.iter().enumerate() {
            for row in self.rows_inside(lane).iter().filter(|row| row.calls & bit != 0) {
                self.state.enter(number, row.slot, row.time);
            }
        }
        Ok(())
    }
}

impl ByRows {
    fn save(&self, name: &str, tables: &mut Tables<'_>) -> Result<()> {
        let slots = self.keys.save(name, tables)?;
        let windows = slots.iter().map(|slot| self.saved_windows(*slot)).collect::<Vec<_>>();
        tables.write(&format!("{name}/windows"), vec![("rows", to_bytes(windows.iter()))])
    }

    fn load(&mut self, name: &str, saved: &Saved) -> Result<()> {
        let keys = self.keys.load(name, saved)?;
        let windows = from_bytes(column(saved, &format!("{name}/windows"), "rows")?)?;
        if windows.len() != keys {
            return Err(damaged("windows of another number"));
        }
        windows.into_iter().try_for_each(|windows| self.load_windows(windows))
    }
}

impl Delay {
    fn save(&self, name: &str, renumbered: &[Vec<Slot>], tables: &mut Tables<'_>) -> Result<()> {
        let All { lanes, times, dues, sources, slots, rows } = self.all(renumbered)?;
        tables.write(
            &format!("{name}/waiting"),
            vec![
                ("lane", array(UInt32Array::from(lanes))),
                ("time", array(Int64Array::from(times))),
                ("due", array(Int64Array::from(dues))),
                ("source", array(UInt16Array::from(sources))),
            ],
        )?;
        tables.write(&format!("{name}/slots"), vec![("slot", array(UInt32Array::from(slots)))])?;
        rows.map_or(Ok(()), |rows| tables.write_batch(&format!("{name}/rows"), &rows))
    }

    fn load(&mut self, name: &str, saved: &Saved) -> Result<()> {
        let Some(rows) = saved.get(&format!("{name}/rows")) else { return Ok(()) };
        let table = format!("{name}/waiting");
        self.fill(&All {
            lanes: numbers::<UInt32Type>(saved, &table, "lane")?.values().to_vec(),
            times: numbers::<Int64Type>(saved, &table, "time")?.values().to_vec(),
            dues: numbers::<Int64Type>(saved, &table, "due")?.values().to_vec(),
            sources: numbers::<UInt16Type>(saved, &table, "source")?.values().to_vec(),
            slots: numbers::<UInt32Type>(saved, &format!("{name}/slots"), "slot")?.values().to_vec(),
            rows: Some(rows.clone()),
        })
    }
}
