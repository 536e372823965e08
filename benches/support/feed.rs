//! Made-up events for single windows, a batch at a time into the same buffer, so that what makes them is neither timed nor
//! counted as memory. The same arguments give the same events.

use arrow::array::RecordBatch;
use keywatch_store::event::{Builder, Origin};
use keywatch_store::{Event, EventId, Instant, Position, schema};

const BEGIN_NS: i64 = 1_736_150_400_000_000_000;

/// How many there are of each, and how far apart events lie.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) sessions: u64,
    pub(crate) events: usize,
    pub(crate) apart_ns: i64,
    /// Whether actor, device, wallet, country and amount are there besides the session.
    pub(crate) full: bool,
}

pub(crate) struct Feed {
    shape: Shape,
    number: usize,
    events: Vec<Event>,
}

impl Feed {
    pub(crate) fn new(shape: Shape, batch: usize) -> Feed {
        let origin = Origin { system: "treasury".to_owned(), source: "idp".to_owned() };
        let event = Event::builder(&origin, "measured", "session.presented", Instant(BEGIN_NS)).build_own();
        Feed { shape, number: 0, events: vec![event; batch] }
    }

    /// From that event on.
    pub(crate) fn from(shape: Shape, batch: usize, number: usize) -> Feed {
        Feed { number, ..Feed::new(shape, batch) }
    }

    /// The next batch and the position of its first event.
    pub(crate) fn next(&mut self) -> Option<(Position, &[Event])> {
        let first = self.number;
        let length = self.events.len().min(self.shape.events - first);
        for (offset, event) in self.events[..length].iter_mut().enumerate() {
            *event = event.changed(|event| self.shape.fill(event, first + offset));
        }
        self.number += length;
        (length > 0).then(|| (Position(first as u64), &self.events[..length]))
    }

    pub(crate) fn next_batch(&mut self, columns: &[&str]) -> Option<RecordBatch> {
        let batch = schema::to_batch(self.next()?.1).unwrap();
        let schema = batch.schema();
        let indices: Vec<usize> = columns.iter().map(|column| schema.index_of(column).unwrap()).collect();
        Some(batch.project(&indices).unwrap())
    }

    /// Events given so far.
    pub(crate) fn given(&self) -> usize {
        self.number
    }
}

impl Shape {
    fn fill(self, event: &mut Builder, number: usize) -> &mut Builder {
        let time = Instant(BEGIN_NS + i64::try_from(number).unwrap() * self.apart_ns);
        event.time(time).event_time(time);
        let id = (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        event.event_id(EventId(id.to_be_bytes()));
        let chance = scattered(number as u64);
        event.session(format!("session-{:020}", chance % self.sessions));
        if self.full {
            let named = |name: &str, number: u64| Some(format!("{name}-{number:012}"));
            event.actor(named("person", scattered(chance) % 2_000));
            event.device(named("laptop", scattered(chance) % 3_000));
            event.wallet(named("wallet", scattered(chance ^ 1) % 200));
            event.country(["CH", "SG", "JP", "DE", "US", "GB", "KR"][usize::try_from(chance % 7).unwrap()]);
            event.amount_usd_cents(i64::try_from(scattered(chance ^ 2) % 1_000_000).unwrap());
        }
        event
    }
}

fn scattered(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
