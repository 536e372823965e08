//! The keys of a batch's rows, written and hashed once for all windows that look at the same columns.
//!
//! A ring then only looks them up. Systems and sources, which are few, are told apart besides: each gets a number.

use std::hash::BuildHasher;
use std::sync::{Arc, LazyLock};

use arrow::array::UInt32Array;
use hashbrown::{DefaultHashBuilder, HashMap};

use super::value::{Column, Value};

/// One for the process, so that a hash can be shared; what is found does not depend on it.
static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);

/// A key as it is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) hash: u64,
    pub(super) bytes: &'a [u8],
}

impl Key<'_> {
    /// A key of those bytes.
    pub(super) fn new(bytes: &[u8]) -> Key<'_> {
        Key { hash: HASHER.hash_one(bytes), bytes }
    }
}

/// The keys of the rows of a batch.
#[derive(Debug)]
pub(crate) struct BatchKeys {
    /// For each row the number of its key.
    numbers: Vec<u32>,
    table: Arc<Written>,
}

/// Keys, by number.
#[derive(Debug, Default)]
struct Written {
    hashes: Vec<u64>,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Written {
    fn with_capacity(keys: usize) -> Written {
        let (hashes, ends) = (Vec::with_capacity(keys), Vec::with_capacity(keys));
        Written { hashes, ends, bytes: Vec::with_capacity(keys * EXPECTED_BYTES) }
    }

    fn bytes(&self, number: usize) -> &[u8] {
        let from = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[from..self.ends[number]]
    }

    /// Writes the next key behind the others.
    fn write(&mut self, columns: &[Column], row: usize) {
        write_key(columns, row, &mut self.bytes);
    }

    /// Keeps what was written as a key; gives its number.
    fn keep(&mut self) -> u32 {
        let from = self.ends.last().copied().unwrap_or(0);
        self.hashes.push(Key::new(&self.bytes[from..]).hash);
        self.ends.push(self.bytes.len());
        u32::try_from(self.hashes.len() - 1).expect("a run has fewer rows than 2^32")
    }

    /// Drops what was written and was no key of its own.
    fn drop_pending(&mut self) {
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// What was written and not yet kept.
    fn pending(&self) -> &[u8] {
        &self.bytes[self.ends.last().copied().unwrap_or(0)..]
    }
}

impl BatchKeys {
    /// The keys of rows by those columns. Rows one after the other with the same key share its number.
    pub(super) fn of_rows(columns: &[Column], rows: usize) -> BatchKeys {
        let mut written = Written::with_capacity(rows);
        let mut before = None;
        let numbers = (0..rows).map(|row| {
            written.write(columns, row);
            match before.filter(|before| written.bytes(*before as usize) == written.pending()) {
                Some(before) => {
                    written.drop_pending();
                    before
                }
                None => *before.insert(written.keep()),
            }
        });
        BatchKeys { numbers: numbers.collect(), table: Arc::new(written) }
    }

    /// As [`BatchKeys::of_rows`], but all rows with the same key share its number. For keys that are few.
    pub(super) fn told_apart(columns: &[Column], rows: usize) -> BatchKeys {
        let each = BatchKeys::of_rows(columns, rows);
        let mut written = Written::default();
        let mut number_of: HashMap<&[u8], u32> = HashMap::new();
        let mut number_in_table = Vec::with_capacity(each.len());
        for number in 0..each.len() {
            let key = each.table.bytes(number);
            number_in_table.push(*number_of.entry(key).or_insert_with(|| {
                written.bytes.extend_from_slice(key);
                written.keep()
            }));
        }
        let numbers = each.numbers.iter().map(|number| number_in_table[*number as usize]).collect();
        BatchKeys { numbers, table: Arc::new(written) }
    }

    /// Those of some of the rows.
    pub(super) fn take(&self, rows: &UInt32Array) -> BatchKeys {
        let numbers = rows.values().iter().map(|row| self.numbers[*row as usize]).collect();
        BatchKeys { numbers, table: Arc::clone(&self.table) }
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.numbers.len()
    }

    /// How many numbers there are; not each of them has a row here.
    pub(super) fn len(&self) -> usize {
        self.table.hashes.len()
    }

    /// Number of a row's key.
    #[inline]
    pub(super) fn number(&self, row: usize) -> usize {
        self.numbers[row] as usize
    }

    /// The key of a number.
    #[inline]
    pub(super) fn key(&self, number: usize) -> Key<'_> {
        Key { hash: self.table.hashes[number], bytes: self.table.bytes(number) }
    }

    /// The key of a number as text, where the only column is one of texts; empty for a null.
    pub(super) fn text(&self, number: usize) -> &str {
        let text = match self.table.bytes(number) {
            [LONG_TEXT, long @ ..] => long.get(size_of::<u32>()..).unwrap_or_default(),
            [_, short @ ..] => short,
            [] => &[],
        };
        std::str::from_utf8(text).unwrap_or_default()
    }
}

/// Mixes the number of a system into a hash, so that keys of one name in many systems do not meet.
pub(super) fn mixed(hash: u64, system: u32) -> u64 {
    hash ^ (u64::from(system) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Bytes that memory is taken for in advance, of a key.
const EXPECTED_BYTES: usize = 24;

/// Before a text of at least this many bytes stand `LONG_TEXT` and its length, before a shorter one a single byte: this
/// and its length together.
const LONG_TEXT_BYTES: usize = 128;
const LONG_TEXT: u8 = 1;

/// Appends the key of a row: each column with its kind and length, so that different keys differ.
fn write_key(columns: &[Column], row: usize, key: &mut Vec<u8>) {
    for column in columns {
        if let Column::Text(texts) = column {
            match column.is_valid(row).then(|| texts.value(row)) {
                None => key.push(0),
                Some(text) => write_text(text, key),
            }
            continue;
        }
        match column.value(row) {
            None => key.push(0),
            Some(Value::Number(number)) => {
                key.push(2);
                key.extend_from_slice(&number.to_le_bytes());
            }
            Some(Value::Boolean(boolean)) => key.push(3 + u8::from(boolean)),
            Some(Value::Text(text)) => write_text(&text, key),
            Some(Value::List(_)) => key.push(5),
        }
    }
}

fn write_text(text: &str, key: &mut Vec<u8>) {
    if let Ok(length) = u8::try_from(LONG_TEXT_BYTES + text.len()) {
        key.push(length);
    } else {
        key.push(LONG_TEXT);
        // No event has a text whose length does not fit; keys of such would still differ by their bytes.
        key.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    key.extend_from_slice(text.as_bytes());
}
