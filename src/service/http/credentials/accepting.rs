//! What a process that takes events in for others to evaluate says of itself in the log: by which fingerprints it recognises
//! each source. So whoever declares a credential stolen knows which there are, and when the last process ceased to take it.
//! Each word is written after what was taken before it, by the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, anyhow};
use keywatch_store::event::Origin;
use keywatch_store::{Error, Event, LogWriter, Topic};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Credentials;
use crate::clock;

/// The file in the data directory by which a process keeps its name over restarts, and of which sources it spoke.
const FILE: &str = "accepting.json";

/// System and source.
type Source = (String, String);

/// What the log knows of this process.
pub(crate) struct Accepting {
    log: Arc<dyn LogWriter>,
    file: PathBuf,
    said: Mutex<Said>,
}

/// What is kept: also what a process before had said has to be taken back.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    process: String,
    sources: BTreeSet<Source>,
}

struct Said {
    kept: Kept,
    /// Since the start.
    by_source: BTreeMap<Source, BTreeSet<String>>,
    /// Whether it has said that it takes nothing any more.
    is_over: bool,
}

impl Accepting {
    /// A process of that role. Its name stands in `data`, and is drawn where there is none.
    ///
    /// # Errors
    /// The file can neither be read nor written, or there is no randomness on this machine.
    pub(crate) fn new(role: &str, data: &Path, log: Arc<dyn LogWriter>) -> anyhow::Result<Arc<Accepting>> {
        let file = data.join(FILE);
        let kept = fs::read(&file).ok().and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok());
        let kept = match kept.filter(|kept| !kept.process.is_empty()) {
            Some(kept) => kept,
            None => Kept { process: format!("{role}-{}", drawn()?), ..Kept::default() },
        };
        kept.write(&file).with_context(|| format!("cannot write {}", file.display()))?;
        let said = Said { kept, by_source: BTreeMap::new(), is_over: false };
        Ok(Arc::new(Accepting { log, file, said: Mutex::new(said) }))
    }

    /// Says what is taken, as far as the log does not know it; returns once the log has it.
    ///
    /// # Errors
    /// The log did not take it. What it took is known, and the rest is said the next time.
    pub(crate) fn say(&self, credentials: &Credentials) -> Result<(), Error> {
        let mut said = self.said();
        if said.is_over {
            return Ok(());
        }
        let sources: BTreeSet<Source> = said.kept.sources.iter().chain(credentials.sources.keys()).cloned().collect();
        for source in sources {
            let prints = credentials.prints(&source.0, &source.1);
            self.say_of(&mut said, source, prints)?;
        }
        Ok(())
    }

    /// Says that nothing is taken any more.
    ///
    /// # Errors
    /// The log did not take it.
    pub(crate) fn end(&self) -> Result<(), Error> {
        let mut said = self.said();
        said.is_over = true;
        let sources: Vec<Source> = said.by_source.keys().cloned().collect();
        sources.into_iter().try_for_each(|source| self.say_of(&mut said, source, BTreeSet::new()))
    }

    fn say_of(&self, said: &mut Said, source: Source, prints: BTreeSet<String>) -> Result<(), Error> {
        if said.by_source.get(&source) == Some(&prints) {
            return Ok(());
        }
        // Before it is said, so that no start forgets to take it back.
        if said.kept.sources.insert(source.clone())
            && let Err(error) = said.kept.write(&self.file)
        {
            said.kept.sources.remove(&source);
            return Err(Error::CannotWrite { path: self.file.clone(), problem: error.to_string() });
        }
        let ((system, of), now) = (&source, clock::now());
        let process = &said.kept.process;
        let origin = Origin { system: system.clone(), source: "keywatch".to_owned() };
        let id = format!("credential.accepted/{process}/{of}/{now}");
        let mut event = Event::builder(&origin, &id, "credential.accepted", now);
        event.detail(&json!({ "of": of, "process": process, "prints": prints }));
        self.log.write(Topic::Events, vec![event.build_own()])?;
        said.by_source.insert(source, prints);
        Ok(())
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn write(&self, file: &Path) -> std::io::Result<()> {
        let draft = file.with_extension("draft");
        fs::write(&draft, serde_json::to_vec(self)?)?;
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(&draft, file)
    }
}

/// 16 hexadecimal digits that no other process has.
fn drawn() -> anyhow::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("there is no randomness on this machine: {error}"))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use keywatch_alerting::RefusedBySource;
    use keywatch_ingest::feeds::mapping::installed::Installed;
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Log, Position};

    use super::super::prints::Refused;
    use super::*;

    fn credentials(token: &str) -> Credentials {
        let configured = format!("system = 'cold'\nsource = 'idp'\nfeed = 'events'\ntoken_sha256 = '{token}'");
        Credentials::new(&[toml::from_str(&configured).unwrap()], &Installed::default()).unwrap()
    }

    /// The processes that spoke, each with how many fingerprints it takes.
    fn words(log: &MemoryLog) -> Vec<(String, usize)> {
        let events = log.read(Topic::Events, Position(0), usize::MAX).unwrap();
        let words = events.iter().map(|event| event.detail().value());
        let word = |word: serde_json::Value| {
            assert_eq!(word["of"], "idp");
            (word["process"].as_str().unwrap().to_owned(), word["prints"].as_array().unwrap().len())
        };
        words.map(word).collect()
    }

    #[test]
    fn it_says_what_it_takes_once_and_again_when_that_changes() {
        let directory = tempfile::tempdir().unwrap();
        let log = Arc::new(MemoryLog::new());
        let begun = || Accepting::new("ingest", directory.path(), Arc::<MemoryLog>::clone(&log)).unwrap();
        let (one, taken) = (begun(), credentials(&"a".repeat(64)));
        one.say(&taken).unwrap();
        one.say(&taken).unwrap();
        assert_eq!(words(&log).iter().map(|(_, prints)| *prints).collect::<Vec<_>>(), [1]);
        let refused = (("cold".to_owned(), "idp".to_owned()), taken.prints("cold", "idp"));
        let refused = RefusedBySource::from([refused]);
        let refusing = taken.refusing(Refused::new(refused));
        one.say(&refusing).unwrap();
        assert_eq!(words(&log).last().unwrap().1, 0, "it is refused");
        one.say(&taken).unwrap();
        one.end().unwrap();
        one.say(&taken).unwrap();
        assert_eq!(words(&log).iter().map(|(_, prints)| *prints).collect::<Vec<_>>(), [1, 0, 1, 0], "it has ended");
        // After a start it is the same one.
        begun().say(&taken).unwrap();
        let names: BTreeSet<String> = words(&log).into_iter().map(|(process, _)| process).collect();
        assert!(names.len() == 1 && names.iter().all(|name| name.starts_with("ingest-")), "{names:?}");
    }
}
