//! State as bytes, for snapshots: little-endian, without padding, in the order of the fields.

use std::sync::Arc;

use ruint::Uint;

use crate::window::value::Value;

/// Writes a state.
#[derive(Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn number(mut self, number: impl Into<i128>) -> Writer {
        self.0.extend(number.into().to_le_bytes());
        self
    }

    pub(super) fn wide<const BITS: usize, const LIMBS: usize>(mut self, number: Uint<BITS, LIMBS>) -> Writer {
        self.0.extend(number.into_limbs().iter().flat_map(|limb| limb.to_le_bytes()));
        self
    }

    pub(super) fn value(mut self, value: Option<&Value>) -> Writer {
        match value {
            None | Some(Value::List(_)) => self.0.push(0),
            Some(Value::Boolean(truth)) => self.0.push(1 + u8::from(*truth)),
            Some(Value::Number(number)) => {
                self.0.push(3);
                return self.number(*number);
            }
            Some(Value::Text(text)) => {
                self.0.push(4);
                return self.bytes(text.as_bytes());
            }
        }
        self
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Writer {
        self = self.number(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    pub(super) fn end(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a state; every part can be too short.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or("a saved state is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], String> {
        Ok(self.take(LENGTH)?.try_into().expect("as many as were taken"))
    }

    pub(super) fn number<T: TryFrom<i128>>(&mut self) -> Result<T, String> {
        T::try_from(i128::from_le_bytes(self.array()?)).map_err(|_| "a saved state holds a number out of range".into())
    }

    pub(super) fn wide<const BITS: usize, const LIMBS: usize>(&mut self) -> Result<Uint<BITS, LIMBS>, String> {
        let mut limbs = [0; LIMBS];
        for limb in &mut limbs {
            *limb = u64::from_le_bytes(self.array()?);
        }
        Ok(Uint::from_limbs(limbs))
    }

    pub(super) fn value(&mut self) -> Result<Option<Value>, String> {
        Ok(match self.array::<1>()?[0] {
            0 => None,
            kind @ (1 | 2) => Some(Value::Boolean(kind == 2)),
            3 => Some(Value::Number(self.number()?)),
            4 => Some(Value::Text(Arc::from(std::str::from_utf8(self.bytes()?).map_err(|error| error.to_string())?))),
            _ => return Err("a saved state holds a value of an unknown kind".to_owned()),
        })
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.number::<usize>()?;
        self.take(length)
    }

    /// # Errors
    /// When something is left.
    pub(super) fn end(self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err("a saved state is too long".to_owned()) }
    }
}
