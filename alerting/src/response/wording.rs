//! What a response is about, as people read it: names of targets with session ids shortened, what is asked for on another
//! way, and text without what could move a terminal's cursor.

use keywatch_store::finding::Target;
use sha2::{Digest, Sha256};

use crate::limits::NOTIFICATION_TEXT_CHARS_MAX;
use crate::response::intent::{Does, Response, Targets, Via, word};

/// The targets in words, sessions shortened.
#[must_use]
pub fn name_targets(targets: &Targets) -> String {
    let names: Vec<String> =
        targets.iter().map(|(target, name)| format!("{} {}", word(target), strip(&short(target, name)))).collect();
    names.join(", ")
}

/// A name as messages show it: session ids are often bearer secrets, so enough to recognise one and not enough to use it.
#[must_use]
pub fn short(target: Target, name: &str) -> String {
    if target == Target::Session { short_session(name) } else { name.to_owned() }
}

/// The first characters of a session id and a hash of all of it.
#[must_use]
pub fn short_session(session: &str) -> String {
    let digest = hex::encode(&Sha256::digest(session.as_bytes())[..4]);
    let shown = (session.chars().count() / 3).min(8);
    format!("{}…#{digest}", session.chars().take(shown).collect::<String>())
}

/// What the way is asked for, in words.
#[must_use]
pub fn describe_way(via: &Via, response: &Response) -> String {
    let names = name_targets(&response.targets);
    match via.does {
        Does::EndSessions => format!("end sessions of {names} at {}", via.way),
        Does::FreezeSigner => format!("stop signing for {names} at {}", via.way),
    }
}

/// Takes out what could move a terminal's cursor or turn the direction of text, and cuts to length.
pub(crate) fn strip(text: &str) -> String {
    let harmless = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c != '\n' && (c.is_control() || turns) { '\u{fffd}' } else { c }
    };
    let mut stripped: String = text.chars().take(NOTIFICATION_TEXT_CHARS_MAX).map(harmless).collect();
    if text.chars().nth(NOTIFICATION_TEXT_CHARS_MAX).is_some() {
        stripped.push('…');
    }
    stripped
}
