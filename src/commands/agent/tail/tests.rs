//! What happens to files while they are followed, and while nobody follows them.

use std::fs;
use std::io::Write;

use tempfile::TempDir;

use super::*;

/// A directory with a log in it, and who follows the log.
struct Following {
    directory: TempDir,
    tail: Tail,
    condition: Condition,
    /// What the looks have brought.
    lines: String,
    /// The place behind it.
    place: Option<Place>,
}

impl Following {
    fn new() -> Following {
        let directory = tempfile::tempdir().unwrap();
        let tail = Tail::new(&directory.path().join("a.log"), true, None, Some(Duration::ZERO));
        Following { directory, tail, condition: Condition::default(), lines: String::new(), place: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.path(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Looks until there is nothing more.
    fn look(&mut self) {
        for _ in 0..100 {
            match self.tail.look(Instant::now(), &self.condition).unwrap() {
                Look::Lines(Batch { input, lines }) => {
                    let (name, place) = input.unwrap();
                    assert_eq!(name, self.tail.name());
                    self.place = Some(place);
                    self.lines.push_str(std::str::from_utf8(&lines).unwrap());
                }
                Look::Again => {}
                Look::Nothing => return,
            }
        }
        panic!("it looks without end");
    }

    /// As a new process follows it, from the place that was kept.
    fn restart(&mut self) {
        self.tail = Tail::new(&self.path("a.log"), true, self.place.clone(), Some(Duration::ZERO));
    }
}

/// Lines with those numbers, longer than what a file is known by.
fn numbered(numbers: std::ops::Range<u32>) -> String {
    let lines: Vec<String> = numbers.map(|number| format!("line {number:03} {}\n", "x".repeat(200))).collect();
    lines.concat()
}

#[test]
fn a_file_that_grows_is_read_line_by_line_once_it_is_there() {
    let mut following = Following::new();
    following.look();
    assert!(following.condition.problem().0.unwrap().contains("not there yet"));
    following.append("a.log", "one\ntw");
    following.look();
    assert_eq!((following.lines.as_str(), following.condition.problem().0), ("one\n", None));
    following.append("a.log", "o\n\n \nthree\n");
    following.look();
    assert_eq!(following.lines, "one\ntwo\n\n \nthree\n");
}

#[test]
fn a_renamed_file_is_read_to_its_end_and_then_the_new_one() {
    let mut following = Following::new();
    following.append("a.log", "one\n");
    following.look();
    following.append("a.log", "two\nthree without its end");
    following.rename("a.log", "a.log.1");
    // The new one is not there yet.
    following.look();
    assert_eq!(following.lines, "one\ntwo\n");
    following.append("a.log", "four\n");
    following.look();
    assert_eq!(following.lines, "one\ntwo\nthree without its endfour\n");
    assert_eq!(following.condition.problem().0, None);
}

#[test]
fn a_file_that_is_read_once_ends_with_its_last_line() {
    let mut following = Following::new();
    following.tail = Tail::new(&following.path("a.log"), true, None, None);
    following.append("a.log", "one\ntwo");
    following.look();
    assert_eq!(following.lines, "one\ntwo");
}

#[test]
fn rotations_while_nobody_follows_cost_no_line() {
    let mut following = Following::new();
    following.append("a.log", &numbered(0..3));
    following.look();
    following.append("a.log", &numbered(3..4));
    following.rename("a.log", "a.log.2");
    following.append("a.log.1", &numbered(4..6));
    following.append("a.log", &numbered(6..7));
    // What stands there besides is nobody's.
    following.append("a.log.lock", "1234\n");
    following.restart();
    following.look();
    assert_eq!(following.lines, numbered(0..7));
    following.append("a.log", &numbered(7..8));
    following.restart();
    following.look();
    assert_eq!((following.lines, following.condition.problem().0), (numbered(0..8), None));
}

#[test]
fn a_file_that_is_copied_and_truncated_is_read_to_its_end_in_the_copy() {
    let mut following = Following::new();
    following.append("a.log", &numbered(0..3));
    following.look();
    following.append("a.log", &numbered(3..5));
    fs::copy(following.path("a.log"), following.path("a.log.1")).unwrap();
    fs::File::create(following.path("a.log")).unwrap();
    following.append("a.log", &numbered(5..6));
    following.look();
    assert_eq!((following.lines, following.condition.problem().0), (numbered(0..6), None));
}

#[test]
fn what_cannot_be_found_again_is_said() {
    let mut following = Following::new();
    following.append("a.log", &numbered(0..3));
    following.look();
    fs::write(following.path("a.log"), "new\n").unwrap();
    following.look();
    assert_eq!(following.lines, numbered(0..3) + "new\n");
    let problem = following.condition.problem().0.unwrap();
    assert!(problem.contains("a.log was truncated or replaced after"), "{problem}");
    // As long as it was, and with other lines.
    let again = "new\n".len() as u64;
    assert_eq!(following.place.as_ref().map(|place| place.offset), Some(again));
    fs::write(following.path("a.log"), "old\nother\n").unwrap();
    following.look();
    assert_eq!(following.lines, numbered(0..3) + "new\nold\nother\n");
}

#[test]
fn p7_a_line_longer_than_a_batch_is_cut_and_what_follows_is_read() {
    let mut following = Following::new();
    following.append("a.log", &"x".repeat(AGENT_BATCH_BYTES_MAX + 10));
    following.look();
    assert_eq!(following.lines.len(), AGENT_BATCH_BYTES_MAX);
    following.append("a.log", "rest\nnext\n");
    // Killed in the middle of the line.
    following.restart();
    following.look();
    assert_eq!(&following.lines[AGENT_BATCH_BYTES_MAX..], "next\n");
}
