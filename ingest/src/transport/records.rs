//! Cuts a body into records without trusting it: one JSON value, an array of them, JSON lines, or an object that holds
//! the array under a known name. The cut goes by brackets, strings and lines alone, in one pass, so that a record that
//! is no valid JSON is still a record of its own and its neighbours are read. It knows no feed and makes no event.

use serde::de::IgnoredAny;

use crate::{Problem, limits};

/// One record's bytes, and the line of the body on which they begin (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) line: usize,
    pub(crate) bytes: &'a [u8],
    /// The array around the record ended before its closing bracket.
    pub(crate) cut: bool,
}

/// The records of a body; an object with the member `wrapper` stands for the array in it.
///
/// # Errors
/// The body holds more bytes or records than are accepted.
pub(crate) fn cut<'a>(body: &'a [u8], wrapper: Option<&str>) -> Result<Vec<Record<'a>>, Problem> {
    if body.len() > limits::BODY_BYTES_MAX {
        let reason = format!("{} bytes, at most {}; send smaller batches", body.len(), limits::BODY_BYTES_MAX);
        return Err(Problem::new("body", reason));
    }
    let mut cutter = Cutter { body, wrapper, records: Vec::new(), counted_to: 0, line: 1 };
    if cutter.body() {
        return Ok(cutter.records);
    }
    let reason = format!("more than {} records; send smaller batches", limits::RECORDS_MAX);
    Err(Problem::new("body", reason))
}

/// What the bytes of JSON text tell without being read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    /// How deep brackets stand inside one another.
    pub(crate) nesting: usize,
    /// Members of all objects, if the text is JSON: colons outside of strings.
    pub(crate) members: usize,
    /// A name has an escape in it or begins with `$`, so that what it says takes a reader to tell.
    pub(crate) has_odd_name: bool,
}

/// The outline of a text, of which a line feed ends a string that was never closed.
pub(crate) fn outline(bytes: &[u8]) -> Outline {
    let mut outline = Outline::default();
    let (mut depth, mut is_odd) = (0_usize, false);
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => is_odd = skip_string(&mut rest),
            b'{' | b'[' => {
                depth += 1;
                outline.nesting = outline.nesting.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' => {
                outline.members += 1;
                outline.has_odd_name |= is_odd;
            }
            _ => {}
        }
    }
    outline
}

/// Bytes of the line that `bytes` begins with, and how deep brackets stand after it when they stand `depth` deep before; its
/// end ends a string too.
fn line(bytes: &[u8], mut depth: usize) -> (usize, usize) {
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        let mut last = *byte;
        match byte {
            b'"' => {
                _ = skip_string(&mut rest);
                last = bytes[bytes.len() - rest.len() - 1];
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if last == b'\n' {
            return (bytes.len() - rest.len() - 1, depth);
        }
    }
    (bytes.len(), depth)
}

/// Goes past the end of a string; gives whether it has an escape in it or begins with `$`.
fn skip_string(rest: &mut std::slice::Iter<'_, u8>) -> bool {
    let mut is_odd = rest.as_slice().first() == Some(&b'$');
    while let Some(b'\\') = rest.nth(first_sign(rest.as_slice())) {
        is_odd = true;
        if rest.next() == Some(&b'\n') {
            break;
        }
    }
    is_odd
}

/// Where the first quote, backslash or line feed stands, found for eight bytes at a time, since most bytes of most bodies
/// stand in strings; the number of bytes when there is none.
fn first_sign(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = places(word, b'"') | places(word, b'\\') | places(word, b'\n');
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let sign = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
    words.len() * 8 + sign.unwrap_or(rest.len())
}

/// The highest bit of each byte of a word that is `byte`; beyond the first of them it may be set of others too.
fn places(word: u64, byte: u8) -> u64 {
    const LOWEST: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    let zero_where_equal = word ^ (LOWEST * u64::from(byte));
    zero_where_equal.wrapping_sub(LOWEST) & !zero_where_equal & HIGHEST
}

struct Cutter<'a, 'w> {
    body: &'a [u8],
    wrapper: Option<&'w str>,
    records: Vec<Record<'a>>,
    /// How far lines were counted, and the line there.
    counted_to: usize,
    line: usize,
}

impl Cutter<'_, '_> {
    /// Cuts the whole body; `false` when there are too many records.
    fn body(&mut self) -> bool {
        let mut at = if self.body.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        if let Some(start) = self.next_solid(at)
            && self.body[start] != b'['
            && is_one_value(&self.body[start..])
        {
            at = self.value(start, self.body.len());
        }
        while let Some(start) = self.next_solid(at) {
            at = if self.body[start] == b'[' { self.array(start, self.body.len()) } else { self.lines(start) };
            if self.records.len() > limits::RECORDS_MAX {
                return false;
            }
        }
        true
    }

    /// Position of the first byte from `at` on that is no white space.
    fn next_solid(&self, at: usize) -> Option<usize> {
        self.body[at..].iter().position(|byte| !byte.is_ascii_whitespace()).map(|offset| at + offset)
    }

    /// Cuts the array that opens at `open` and lies before `end`; gives the position after it.
    fn array(&mut self, open: usize, end: usize) -> usize {
        let body = self.body;
        let mut rest = body[open + 1..end].iter();
        let (mut start, mut depth) = (open + 1, 0_usize);
        while let Some(byte) = rest.next() {
            let index = end - rest.len() - 1;
            match byte {
                b'"' => _ = skip_string(&mut rest),
                b']' if depth == 0 => {
                    let nothing_in_it = start == open + 1 && self.next_solid(start) == Some(index);
                    if !nothing_in_it {
                        self.push(start, index, false);
                    }
                    return index + 1;
                }
                b',' if depth == 0 => {
                    self.push(start, index, false);
                    start = index + 1;
                    if self.records.len() > limits::RECORDS_MAX {
                        return end;
                    }
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        self.push(start, end, true);
        end
    }

    /// Takes one value, or the array within it when it is a wrapper; gives `end`.
    fn value(&mut self, start: usize, end: usize) -> usize {
        match self.wrapper.and_then(|name| array_member(&self.body[start..end], name)) {
            Some(offset) => {
                self.array(start + offset, end);
            }
            None => self.push(start, end, false),
        }
        end
    }

    /// Takes JSON lines up to the next array at the start of a line. A value may run over several lines as long as
    /// they are indented or close it.
    fn lines(&mut self, start: usize) -> usize {
        let mut depth = 0;
        let mut at = start;
        loop {
            let (length, after) = line(&self.body[at..], depth);
            let end = at + length;
            depth = after;
            at = (end + 1).min(self.body.len());
            let opens_another = self.body.get(at).is_none_or(|byte| matches!(byte, b'{' | b'['));
            if depth == 0 || opens_another {
                self.value(start, end);
                return at;
            }
        }
    }

    fn push(&mut self, start: usize, end: usize, cut: bool) {
        let from = self.next_solid(start).map_or(end, |solid| solid.min(end));
        if from >= self.counted_to {
            let passed = self.body[self.counted_to..from].iter();
            // Of no more bytes than a body has, so that nothing wraps.
            self.line += passed.fold(0_usize, |lines, byte| lines.wrapping_add(usize::from(*byte == b'\n')));
            self.counted_to = from;
        }
        self.records.push(Record { line: self.line, bytes: self.body[from..end].trim_ascii_end(), cut });
    }
}

fn is_one_value(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Position of the array that an object holds directly under `name`.
fn array_member(object: &[u8], name: &str) -> Option<usize> {
    if object.first() != Some(&b'{') {
        return None;
    }
    // Few records are wrappers, and a text is searched faster than it is scanned.
    if std::str::from_utf8(object).is_ok_and(|text| !text.contains(name)) {
        return None;
    }
    let mut depth = 0_usize;
    let mut rest = object.iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => {
                if depth == 1
                    && let Some(value) = value_of(name, rest.as_slice())
                {
                    return value.starts_with(b"[").then(|| object.len() - value.len());
                }
                _ = skip_string(&mut rest);
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// What follows a name and its colon in a text that begins behind the opening quote of a name.
fn value_of<'a>(name: &str, text: &'a [u8]) -> Option<&'a [u8]> {
    let after = text.strip_prefix(name.as_bytes())?.strip_prefix(b"\"")?;
    Some(after.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(body: &str) -> Vec<(usize, String)> {
        let records = cut(body.as_bytes(), Some("results")).unwrap();
        records.iter().map(|record| (record.line, String::from_utf8(record.bytes.to_vec()).unwrap())).collect()
    }

    #[test]
    fn a_body_is_cut_into_its_records() {
        for (body, expected) in [
            ("", vec![]),
            (" [ ] ", vec![]),
            (r#"{"a":1}"#, vec![(1, r#"{"a":1}"#)]),
            ("{\n \"a\": 1\n}\n", vec![(1, "{\n \"a\": 1\n}")]),
            ("{\"a\":1}\n\n{\"b\":[\"]},\"]}\r\n", vec![(1, "{\"a\":1}"), (3, "{\"b\":[\"]},\"]}")]),
            ("[{\"a\":1},\n {\"b\":2}]", vec![(1, "{\"a\":1}"), (2, "{\"b\":2}")]),
            ("[1]\n[2]", vec![(1, "1"), (2, "2")]),
            ("{\"count\":2,\"results\":[{\"a\":1},{\"b\":2}],\"next\":null}", vec![(1, "{\"a\":1}"), (1, "{\"b\":2}")]),
            ("{\"results\":\"text\"}", vec![(1, "{\"results\":\"text\"}")]),
            ("{\"a\":{\"results\":[1]}}", vec![(1, "{\"a\":{\"results\":[1]}}")]),
            ("\u{feff}{\"a\":1}", vec![(1, "{\"a\":1}")]),
        ] {
            let expected: Vec<(usize, String)> = expected.into_iter().map(|(line, text)| (line, text.into())).collect();
            assert_eq!(pieces(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_broken_stays_within_its_record() {
        for (body, expected) in [
            ("[{\"a\":1},{nope},{\"b\":2}]", vec!["{\"a\":1}", "{nope}", "{\"b\":2}"]),
            ("{\"a\":1}\n{\"b\":\nnope\n{\"c\":3}", vec!["{\"a\":1}", "{\"b\":\nnope", "{\"c\":3}"]),
            ("nope\nnor this\n{\"c\":3}", vec!["nope", "nor this", "{\"c\":3}"]),
            ("{\"a\": \"not closed\n{\"c\":3}", vec!["{\"a\": \"not closed", "{\"c\":3}"]),
            ("[{\"a\":1},,{\"b\":2}]", vec!["{\"a\":1}", "", "{\"b\":2}"]),
            ("{\"a\":1} tail\n{\"b\":2}", vec!["{\"a\":1} tail", "{\"b\":2}"]),
            ("{\"results\":[{\"a\":1},{nope}]}", vec!["{\"a\":1}", "{nope}"]),
        ] {
            let texts: Vec<String> = pieces(body).into_iter().map(|(_, text)| text).collect();
            assert_eq!(texts, expected, "{body}");
        }
    }

    #[test]
    fn a_body_cut_short_says_so() {
        let records = cut(b"[{\"a\":1},{\"b\":2}", None).unwrap();
        assert_eq!(records.iter().map(|record| record.cut).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn an_array_cut_short_within_a_line_ends_with_the_line() {
        let records = cut(b"{\"results\":[1,2\n{\"a\":1}\n", Some("results")).unwrap();
        let found: Vec<(&[u8], bool)> = records.iter().map(|record| (record.bytes, record.cut)).collect();
        assert_eq!(found, [(b"1".as_slice(), false), (b"2", true), (b"{\"a\":1}", false)]);
    }

    #[test]
    fn an_outline_is_told_by_the_bytes_alone() {
        for (text, nesting, members, has_odd_name) in [
            ("7", 0, 0, false),
            (r#"{"a":[{"b":1},{"c":"x:{\"y"}]}"#, 3, 3, false),
            (r#"{"a":"$:\"","b":"\\"}"#, 1, 2, false),
            (r#"{"a":{"$b":1}}"#, 2, 2, true),
            (r#"{"\u0061" : 1}"#, 1, 1, true),
            ("{\"a\n[[", 3, 0, false),
            ("{\"a\\\n[[", 3, 0, false),
            ("]]{", 1, 0, false),
        ] {
            assert_eq!(outline(text.as_bytes()), Outline { nesting, members, has_odd_name }, "{text}");
        }
    }

    #[test]
    fn the_first_sign_is_found_wherever_it_stands() {
        for sign in [b'"', b'\\', b'\n'] {
            for at in 0..20 {
                for other in [b'!', b'#', b'[', b']', 0x0b, 0x09, 0xa2, 0xff, 0] {
                    let mut bytes = [other; 20];
                    assert_eq!(first_sign(&bytes), 20);
                    bytes[at..].fill(sign);
                    assert_eq!((first_sign(&bytes), first_sign(&bytes[..at])), (at, at));
                }
            }
        }
    }

    #[test]
    fn too_many_records_are_refused_as_a_whole() {
        let lines = "1\n".repeat(limits::RECORDS_MAX + 1);
        assert!(cut(lines.as_bytes(), None).is_err());
        assert!(cut(&lines.as_bytes()[2..], None).is_ok());
        assert!(cut(format!("[{}1]", "1,".repeat(limits::RECORDS_MAX)).as_bytes(), None).is_err());
    }
}
