//! A backup of a log: its records, copied under the key of that log and with the times that they have, become a log of the wall
//! clock once all of them are there. So the backup is gone on with in the place of the log. It copies no record itself.

use std::path::Path;

use super::Options;
use super::damage::Damage;
use super::directory;
use super::disk::Disk;
use super::head_file::{self, HeadFile, Heads};
use super::opening::await_closed;
use super::state;
use crate::{Clock, Error};

/// Gives the directory of a backup the key of the log in `from`: what was sealed with it is known again by whoever goes on with the
/// backup.
///
/// # Errors
/// [`Error::Storage`] where `to` has a log or a key already or `from` has none, [`Error::CannotWrite`], [`Error::InUse`].
pub fn begin_backup(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), Error> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let role = Options::new(Clock::Recorded).role;
    let _lock = directory::lock(to)?;
    if head_file::path(to).exists() || to.join("data").exists() {
        let problem = "there is a log already; name a directory without one".to_owned();
        return Err(Error::Storage { path: to.to_owned(), problem });
    }
    directory::copy_key(&directory::key_file(from, &role), &directory::key_file(to, &role))
}

/// Gives a log of recorded times that holds all records of the backup the wall clock.
///
/// # Errors
/// [`Error::InUse`] while it is open, [`Error::Damaged`], [`Error::Storage`] where there is no log, [`Error::CannotWrite`].
pub fn complete_backup(path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let _lock = directory::lock(path)?;
    await_closed(path)?;
    let key = directory::read_key(&directory::key_file(path, &Options::new(Clock::Recorded).role))?;
    let heads = head_file::read(path, &key).map_err(|file| Damage::from(file).of(path))?;
    let Some(heads) = heads else {
        let problem = "it has no head file, so that it is no log that was copied a moment ago".to_owned();
        return Err(Error::Storage { path: path.to_owned(), problem });
    };
    drop(HeadFile::open(path, &key, &Heads { clock: Clock::Wall, topics: heads.topics })?);
    let disk = Disk::open(path)?;
    let mut change = disk.change();
    state::put_clock(&mut change, Clock::Wall, &key);
    change.commit()
}

#[cfg(test)]
mod tests {
    use super::super::EmbeddedLog;
    use super::*;
    use crate::event::Origin;
    use crate::{Event, Instant, Log, Position, Topic};

    fn event(id: &str, time: i64) -> Event {
        let origin = Origin { system: "cold".to_owned(), source: "idp".to_owned() };
        let mut event = Event::builder(&origin, id, "source.heartbeat", Instant(time));
        event.time(Instant(time));
        event.build_own()
    }

    #[test]
    fn a_backup_has_the_times_and_the_key_and_is_gone_on_with_by_the_wall_clock() {
        let directory = tempfile::tempdir().unwrap();
        let [from, to] = ["log", "backup"].map(|name| directory.path().join(name));
        let log = EmbeddedLog::open(&from, Options::new(Clock::Wall)).unwrap();
        log.append(Topic::Events, vec![event("1", 1), event("2", 2)]).unwrap();
        let records = log.read(Topic::Events, Position(0), 9).unwrap();
        drop(log);
        begin_backup(&from, &to).unwrap();
        assert!(begin_backup(&from, &to).is_err(), "the key of a log is not written over");
        let copy = EmbeddedLog::open(&to, Options::new(Clock::Recorded)).unwrap();
        copy.append(Topic::Events, records.clone()).unwrap();
        drop(copy);
        complete_backup(&to).unwrap();
        let keys = [&from, &to].map(|place| std::fs::read_to_string(directory::key_file(place, "keywatch")).unwrap());
        assert_eq!(keys[0].trim(), keys[1].trim());
        std::fs::remove_file(directory::key_file(&to, "keywatch")).unwrap();
        assert!(begin_backup(&from, &to).is_err(), "a log whose key lies elsewhere gets none");
        std::fs::copy(directory::key_file(&from, "keywatch"), directory::key_file(&to, "keywatch")).unwrap();

        let log = EmbeddedLog::open(&to, Options::new(Clock::Wall)).unwrap();
        assert_eq!(log.read(Topic::Events, Position(0), 9).unwrap(), records, "with the times of the log");
        let appended = log.append(Topic::Events, vec![event("2", 2), event("3", 3)]).unwrap();
        assert_eq!((appended.first, appended.repeats), (Position(2), 1));
        assert!(appended.written[0].time() > records[1].time(), "log time goes on");
        drop(log);
        assert!(EmbeddedLog::open(&to, Options::new(Clock::Recorded)).is_err());
        assert!(EmbeddedLog::open(&to, Options::new(Clock::Wall)).is_ok());
    }
}
