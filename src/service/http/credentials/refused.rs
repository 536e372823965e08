//! Credentials that are configured and taken no more, since somebody declared them stolen. They are known by fingerprints,
//! which stand in the log and tell nothing of a secret. Who declares what is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use keywatch_alerting::RefusedBySource;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Current;
use super::prints::Refused;
use crate::limits::API_WAIT_SECONDS_MAX;

/// The front door, as far as operators change it.
pub(crate) struct Refusing {
    sender: watch::Sender<Refused>,
    credentials: Current,
}

impl Refusing {
    /// Over the credentials that look at what `sender` says.
    pub(crate) fn new(sender: watch::Sender<Refused>, credentials: Current) -> Refusing {
        Refusing { sender, credentials }
    }

    /// Where nobody sends.
    pub(crate) fn nobody() -> Refusing {
        Refusing::new(watch::channel(Refused::default()).0, watch::channel(Arc::default()).1)
    }

    /// Fingerprints of all that the sources of a system are recognised by now, by name, as far as it is not refused.
    pub(crate) fn taken(&self, system: &str) -> BTreeMap<String, BTreeSet<String>> {
        self.credentials.borrow().taken(system)
    }

    /// Refuses what `refused` says and nothing else, and returns once the front door does; `false` where it has not within a
    /// while. `refused` is asked while nobody else changes it, so that of two that come at once none undoes the other.
    pub(crate) async fn refuse(&self, refused: impl FnOnce() -> RefusedBySource) -> bool {
        self.sender.send_modify(|now| *now = Refused::new(refused()));
        let mut credentials = self.credentials.clone();
        // Somebody else may have gone further meanwhile.
        let taken = credentials.wait_for(|now| now.refuses(&self.sender.borrow()));
        // Where nobody is let in, nobody has to be refused.
        timeout(Duration::from_secs(API_WAIT_SECONDS_MAX), taken).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Credentials;
    use super::*;

    #[tokio::test]
    async fn who_is_overtaken_by_another_declaration_waits_for_no_door_that_never_comes() {
        let (sender, mut refused) = watch::channel(Refused::default());
        let (door, credentials) = watch::channel(Arc::new(Credentials::default()));
        tokio::spawn(async move {
            while refused.changed().await.is_ok() {
                let now = Arc::clone(&refused.borrow_and_update());
                let before = Arc::clone(&door.borrow());
                door.send_replace(Arc::new(before.refusing(now)));
            }
        });
        let refusing = Refusing::new(sender, credentials);
        let prints = |names: &[&str]| {
            let prints = names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
            RefusedBySource::from([(("cold".to_owned(), "idp".to_owned()), prints)])
        };
        let (one, both) = (prints(&["one"]), prints(&["one", "two"]));
        // There is one thread: both have said what they refuse before the door looks.
        let (first, second) = tokio::join!(refusing.refuse(|| one), refusing.refuse(|| both));
        assert!(first && second);
    }
}
