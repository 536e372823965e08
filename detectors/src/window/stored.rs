//! Window state as bytes, and bytes as tables: what a snapshot is made of.
//!
//! A snapshot is a row of Arrow IPC streams (Apache Arrow Columnar Format 1.5, "IPC Streaming Format"), one a table,
//! each with its name in the metadata of its schema. What has a column of its own is kept in one; the cells of
//! functions, which differ in kind, are kept as bytes by [`Stored`].

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, LargeBinaryArray, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Schema, i256};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use datafusion::error::{DataFusionError, Result};

use super::value::Value;

/// Key of a table's name in the metadata of its schema.
const NAME: &str = "keywatch.table";

/// Writes tables one after the other.
pub(crate) struct Tables<'a> {
    out: Out<'a>,
}

enum Out<'a> {
    Stream(&'a mut dyn Write),
    Memory(&'a mut Saved),
}

impl<'a> Tables<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Tables<'a> {
        Tables { out: Out::Stream(out) }
    }

    /// Keeps them in memory, as they would be read.
    pub(crate) fn in_memory(saved: &'a mut Saved) -> Tables<'a> {
        Tables { out: Out::Memory(saved) }
    }

    /// Writes a table of those columns.
    pub(crate) fn write(&mut self, name: &str, columns: Vec<(&str, ArrayRef)>) -> Result<()> {
        let nullable = columns.into_iter().map(|(name, array)| (name, array, true));
        self.write_batch(name, &RecordBatch::try_from_iter_with_nullable(nullable)?)
    }

    /// Writes a table.
    pub(crate) fn write_batch(&mut self, name: &str, rows: &RecordBatch) -> Result<()> {
        let out = match &mut self.out {
            Out::Stream(out) => out,
            Out::Memory(saved) => {
                saved.insert(name.to_owned(), rows.clone());
                return Ok(());
            }
        };
        let metadata = HashMap::from([(NAME.to_owned(), name.to_owned())]);
        let schema = Arc::new(Schema::new(rows.schema().fields().clone()).with_metadata(metadata));
        let rows = RecordBatch::try_new(schema.clone(), rows.columns().to_vec())?;
        let mut writer = StreamWriter::try_new(out, &schema)?;
        writer.write(&rows)?;
        Ok(writer.finish()?)
    }
}

/// Reads the next table: its name and rows.
///
/// # Errors
/// When it is none, or cut off.
pub(crate) fn read_table(mut input: &mut dyn Read) -> Result<(String, RecordBatch)> {
    let mut reader = StreamReader::try_new(&mut input, None)?;
    let name = reader.schema().metadata().get(NAME).cloned();
    let name = name.ok_or_else(|| damaged("a table without a name"))?;
    let rows = reader.next().ok_or_else(|| damaged("a table without rows"))??;
    if reader.next().is_some() {
        return Err(damaged("a table with too many batches"));
    }
    Ok((name, rows))
}

/// The tables of one owner, by name.
pub(crate) type Saved = HashMap<String, RecordBatch>;

/// A column of a saved table.
pub(crate) fn column<'a>(saved: &'a Saved, table: &str, column: &str) -> Result<&'a ArrayRef> {
    let found = saved.get(table).and_then(|rows| rows.column_by_name(column));
    found.ok_or_else(|| damaged(&format!("no column `{column}` of a table `{table}`")))
}

pub(crate) fn damaged(problem: &str) -> DataFusionError {
    DataFusionError::Execution(format!("the snapshot is damaged: {problem}"))
}

/// Items as one column of bytes.
pub(crate) fn to_bytes<'a, T: Stored + 'a>(items: impl Iterator<Item = &'a T>) -> ArrayRef {
    let (mut bytes, mut ends) = (Vec::new(), vec![0]);
    for item in items {
        item.store(&mut bytes);
        ends.push(i64::try_from(bytes.len()).expect("a snapshot is smaller than 2^63 bytes"));
    }
    let ends = OffsetBuffer::new(ends.into());
    Arc::new(LargeBinaryArray::new(ends, bytes.into(), None))
}

/// Items from a column of bytes.
pub(crate) fn from_bytes<T: Stored>(column: &ArrayRef) -> Result<Vec<T>> {
    let column = column.as_binary_opt::<i64>().ok_or_else(|| damaged("a column that should hold bytes"))?;
    let items = (0..column.len()).map(|row| {
        let mut bytes = column.value(row);
        let item = T::recall(&mut bytes)?;
        if bytes.is_empty() { Ok(item) } else { Err(damaged("bytes left over")) }
    });
    items.collect()
}

/// Something that can be kept as bytes; little-endian.
pub(crate) trait Stored: Sized {
    /// Appends itself.
    fn store(&self, out: &mut Vec<u8>);
    /// Takes itself off the front.
    fn recall(bytes: &mut &[u8]) -> Result<Self>;
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count).ok_or_else(|| damaged("bytes cut off"))?;
    *bytes = rest;
    Ok(taken)
}

macro_rules! stored_numbers {
    ($($number:ty),*) => {$(
        impl Stored for $number {
            fn store(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn recall(bytes: &mut &[u8]) -> Result<Self> {
                let taken = take(bytes, size_of::<$number>())?;
                Ok(<$number>::from_le_bytes(taken.try_into().map_err(|_| damaged("a number cut off"))?))
            }
        }
    )*};
}

stored_numbers!(u8, u16, u32, u64, i64, i128, i256);

impl Stored for String {
    fn store(&self, out: &mut Vec<u8>) {
        (self.len() as u64).store(out);
        out.extend_from_slice(self.as_bytes());
    }

    fn recall(bytes: &mut &[u8]) -> Result<Self> {
        let length = usize::try_from(u64::recall(bytes)?).map_err(|_| damaged("a length out of range"))?;
        String::from_utf8(take(bytes, length)?.to_vec()).map_err(|_| damaged("text that is not UTF-8"))
    }
}

impl Stored for Option<i128> {
    fn store(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        self.unwrap_or_default().store(out);
    }

    fn recall(bytes: &mut &[u8]) -> Result<Self> {
        let is_some = u8::recall(bytes)? != 0;
        Ok(Some(i128::recall(bytes)?).filter(|_| is_some))
    }
}

impl Stored for Option<Value> {
    fn store(&self, out: &mut Vec<u8>) {
        match self {
            None | Some(Value::List(_)) => out.push(0),
            Some(Value::Text(text)) => {
                out.push(1);
                text.to_string().store(out);
            }
            Some(Value::Number(number)) => {
                out.push(2);
                number.store(out);
            }
            Some(Value::Boolean(boolean)) => out.push(3 + u8::from(*boolean)),
        }
    }

    fn recall(bytes: &mut &[u8]) -> Result<Self> {
        Ok(match u8::recall(bytes)? {
            0 => None,
            1 => Some(Value::Text(String::recall(bytes)?.into())),
            2 => Some(Value::Number(i128::recall(bytes)?)),
            3 => Some(Value::Boolean(false)),
            4 => Some(Value::Boolean(true)),
            _ => return Err(damaged("a value of no known kind")),
        })
    }
}

impl<T: Stored> Stored for Vec<T> {
    fn store(&self, out: &mut Vec<u8>) {
        (self.len() as u64).store(out);
        self.iter().for_each(|item| item.store(out));
    }

    fn recall(bytes: &mut &[u8]) -> Result<Self> {
        (0..u64::recall(bytes)?).map(|_| T::recall(bytes)).collect()
    }
}

impl<T: Stored + Clone> Stored for Box<[T]> {
    fn store(&self, out: &mut Vec<u8>) {
        (self.len() as u64).store(out);
        self.iter().for_each(|item| item.store(out));
    }

    fn recall(bytes: &mut &[u8]) -> Result<Self> {
        Ok(Vec::recall(bytes)?.into_boxed_slice())
    }
}

impl<A: Stored, B: Stored> Stored for (A, B) {
    fn store(&self, out: &mut Vec<u8>) {
        self.0.store(out);
        self.1.store(out);
    }

    fn recall(bytes: &mut &[u8]) -> Result<Self> {
        Ok((A::recall(bytes)?, B::recall(bytes)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back_and_what_is_cut_off_is_noticed() {
        let items: Vec<(Option<Value>, Vec<i64>)> = vec![
            (None, vec![]),
            (Some(Value::Text("ä".into())), vec![i64::MIN, 0, i64::MAX]),
            (Some(Value::Number(i128::MIN)), vec![1]),
            (Some(Value::Boolean(true)), vec![2]),
        ];
        let column = to_bytes(items.iter());
        assert_eq!(from_bytes::<(Option<Value>, Vec<i64>)>(&column).unwrap(), items);
        assert!(from_bytes::<(Option<Value>, Vec<u64>)>(&to_bytes([1_u8].iter())).is_err());
        assert!(from_bytes::<u8>(&to_bytes([1_u16].iter())).is_err());
        let mut file = Vec::new();
        Tables::new(&mut file).write("one", vec![("bytes", column.clone())]).unwrap();
        Tables::new(&mut file).write("two", vec![("bytes", column)]).unwrap();
        let mut rest = file.as_slice();
        assert_eq!(read_table(&mut rest).unwrap().0, "one");
        assert_eq!(read_table(&mut rest).unwrap().0, "two");
        assert!(read_table(&mut &file[..file.len() / 3]).is_err());
    }
}
