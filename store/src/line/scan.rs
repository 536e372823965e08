//! Scans over JSON text that tell whether it is in the form keywatch writes, without making anything of it.
//!
//! Each of them may say no to text that is in that form after all (escapes, deep nesting): then the general reader
//! decides. None says yes to text that the general reader would refuse or write otherwise.

use memchr::memchr2;
use serde_json::Value;

use crate::event::Detail;

/// Objects and lists within each other that a scan goes through.
const DEPTH_MAX: usize = 32;

/// Whether `text` holds a control character. In JSON none stands within a text, and outside only as white space.
///
/// The whole is looked at without leaving early, which the compiler turns into comparisons of many bytes at once.
pub(super) fn has_control(text: &str) -> bool {
    text.bytes().fold(0, |found, byte| found | u8::from(byte < b' ')) != 0
}

/// Whether `text` stands in JSON as it is.
pub(super) fn needs_no_escape(text: &str) -> bool {
    let escaped = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    text.bytes().fold(0, |found, byte| found | escaped(byte)) == 0
}

/// The length of the text that begins after a quote and ends before the next, if it holds no escape. That there is no
/// control character has been seen to.
pub(super) fn quoted(bytes: &[u8]) -> Option<usize> {
    memchr2(b'"', b'\\', bytes).filter(|length| bytes[*length] == b'"')
}

/// The length of the canonical JSON object that `bytes`, which hold no control character, begin with.
pub(super) fn canonical_object(bytes: &[u8]) -> Option<usize> {
    let mut scan = Canonical { bytes, at: 0 };
    scan.expect(b'{')?;
    scan.object(DEPTH_MAX)?;
    Some(scan.at)
}

/// A detail in any other form, and the length of its text; `None` for what is no object.
pub(super) fn other_detail(text: &str) -> Option<(Detail, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    value.is_object().then(|| (Detail::from(&value), values.byte_offset()))
}

struct Canonical<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Canonical<'a> {
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
        let rest = &self.bytes[self.at..];
        let length = quoted(rest)?;
        self.at += length + 1;
        Some(&rest[..length])
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
