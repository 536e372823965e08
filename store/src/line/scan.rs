//! Scans over JSON text that tell whether it is in the form keywatch writes, without making anything of it.
//!
//! Each of them may say no to text that is in that form after all (escapes, deep nesting): then the general reader
//! decides. None says yes to text that the general reader would refuse or write otherwise.

use serde_json::Value;

use super::signs::Signs;
use crate::event::CanonicalJson;

/// Objects and lists within each other that a scan goes through.
const DEPTH_MAX: usize = 32;

/// Where the canonical JSON object ends that begins at `begin`.
pub(super) fn canonical_object<'a>(bytes: &'a [u8], begin: usize, signs: &mut Signs<'a>) -> Option<usize> {
    let mut scan = Canonical { bytes, at: begin, signs };
    scan.expect(b'{')?;
    scan.object(DEPTH_MAX)?;
    Some(scan.at)
}

/// A detail in any other form, and the length of its text; `None` for what is no object.
pub(super) fn other_detail(text: &str) -> Option<(CanonicalJson, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    value.is_object().then(|| (CanonicalJson::from(&value), values.byte_offset()))
}

/// A whole number as JSON has it and its length, where it needs no more than 18 digits; what follows is not looked at.
pub(super) fn integer(bytes: &[u8]) -> Option<(i64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let rest = &bytes[usize::from(negative)..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=18).contains(&digits).then_some(())?;
    (rest[0] != b'0' || digits == 1 && !negative).then_some(())?;
    let value = rest[..digits].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some((if negative { -value } else { value }, usize::from(negative) + digits))
}

struct Canonical<'a, 's> {
    bytes: &'a [u8],
    at: usize,
    signs: &'s mut Signs<'a>,
}

impl<'a> Canonical<'a, '_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.takes(byte).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let (begin, end) = (self.at, self.signs.end_of_text(self.at)?);
        self.at = end + 1;
        Some(&self.bytes[begin..end])
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.text().map(|_| ()),
            b'{' => {
                self.at += 1;
                self.object(depth.checked_sub(1)?)
            }
            b'[' => {
                self.at += 1;
                self.list(depth.checked_sub(1)?)
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Keys ascend, so none stands twice. The JSON reader gives keys that begin with a dollar sign a meaning of its own.
    fn object(&mut self, depth: usize) -> Option<()> {
        if self.takes(b'}') {
            return Some(());
        }
        let mut before: Option<&[u8]> = None;
        loop {
            let key = self.text()?;
            if before.is_some_and(|before| before >= key) || key.first() == Some(&b'$') {
                return None;
            }
            before = Some(key);
            self.expect(b':')?;
            self.value(depth)?;
            if self.takes(b'}') {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        if self.takes(b']') {
            return Some(());
        }
        loop {
            self.value(depth)?;
            if self.takes(b']') {
                return Some(());
            }
            self.expect(b',')?;
        }
    }

    /// A number without an exponent, which has several forms.
    fn number(&mut self) -> Option<()> {
        self.takes(b'-');
        if !self.takes(b'0') {
            self.digits()?;
        }
        if self.takes(b'.') {
            self.digits()?;
        }
        (!matches!(self.peek(), Some(b'0'..=b'9' | b'e' | b'E' | b'.'))).then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(())
    }
}
