//! Systems by number, and the log time through which each one's records have been seen.

use hashbrown::HashMap;

/// All systems of a log.
#[derive(Debug, Default)]
pub(crate) struct Systems {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
    complete: Vec<i64>,
    /// Those that came further in this run.
    advanced: Vec<u32>,
}

impl Systems {
    /// A new run begins.
    pub(crate) fn begin(&mut self) {
        self.advanced.clear();
    }

    /// Notes that the records of a system have been seen through `time`.
    pub(crate) fn note(&mut self, name: &str, time: i64) {
        let number = if let Some(number) = self.numbers.get(name) {
            *number
        } else {
            let number = u32::try_from(self.complete.len()).expect("systems are declared, so they are few");
            self.numbers.insert(name.to_owned(), number);
            self.names.push(name.to_owned());
            self.complete.push(i64::MIN);
            number
        };
        self.complete[number as usize] = time;
        self.advanced.push(number);
    }

    /// The number of a system that has been noted.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The name of a system.
    pub(crate) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// All systems by number: name, and log time through which it is complete.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, i64)> {
        self.names.iter().map(String::as_str).zip(self.complete.iter().copied())
    }

    /// Log time through which a system is complete.
    pub(crate) fn complete(&self, number: u32) -> i64 {
        self.complete[number as usize]
    }

    /// Systems that came further in this run.
    pub(crate) fn advanced(&self) -> &[u32] {
        &self.advanced
    }
}

/// How far one operator may go in a step: with all systems as far as the run came, or with one system to one row.
#[derive(Clone, Copy, Debug)]
pub(super) enum Progress<'a> {
    /// As far as the run came, less what the operators below hold back.
    Run { systems: &'a Systems, lag_ns: i64 },
    /// One system through the log time of one of its rows.
    Row { systems: &'a Systems, system: u32, time: i64 },
}

impl<'a> Progress<'a> {
    /// All systems, whether they came further or not.
    pub(super) fn systems(self) -> &'a Systems {
        match self {
            Progress::Run { systems, .. } | Progress::Row { systems, .. } => systems,
        }
    }

    /// Systems that came further.
    pub(super) fn advanced(&self) -> &[u32] {
        match self {
            Progress::Run { systems, .. } => systems.advanced(),
            Progress::Row { system, .. } => std::slice::from_ref(system),
        }
    }

    /// Log time through which a system's rows have come.
    pub(super) fn complete(self, system: u32) -> i64 {
        match self {
            Progress::Run { systems, lag_ns } => systems.complete(system).saturating_sub(lag_ns),
            Progress::Row { time, .. } => time,
        }
    }
}
