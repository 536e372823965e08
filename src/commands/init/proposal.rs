//! What was seen, as an inventory to be read by people: names with how often they were seen. What only names something stands
//! there; what would give somebody or something a right (owners, destinations, trust groups) is commented out, since a history
//! may have an attacker in it. It is one that keywatch can read as it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use keywatch_ingest::feeds;

use super::seen::{Seen, SeenDestination, SeenSource, SeenSystem, SeenWallet};
use crate::limits::{INIT_DESTINATION_DAYS_MIN, INIT_DESTINATIONS_SHOWN_MAX};
use crate::wording::span;

const HEAD: &str = "\
# Proposed by `keywatch init` from what was seen; docs/inventory.md says what every field means. Read it before you use it: a
# history may have an attacker in it. What gives somebody or something a right is commented out. Uncomment what is yours.
";

/// The inventory.
pub(super) fn inventory(seen: &Seen) -> String {
    let mut text = HEAD.to_owned();
    if seen.left_out > 0 {
        let _ = writeln!(text, "# {} names were left out: too many, or no plain text.", seen.left_out);
    }
    for (id, system) in &seen.systems {
        let _ = write!(text, "\n# {} events.\n[[systems]]\nid = {}\n", system.events, quoted(id));
        sources(&mut text, system);
        for (name, wallet) in &system.wallets {
            self::wallet(&mut text, name, wallet, system);
        }
        people(&mut text, system);
        destinations(&mut text, system);
    }
    text
}

fn sources(text: &mut String, system: &SeenSystem) {
    for (name, SeenSource { events, silence, .. }) in &system.sources {
        let feed = if feeds::find(name).is_ok() { name.as_str() } else { "events" };
        let _ = write!(
            text,
            "\n# {events} events; it was silent for {} at most.\n[[systems.sources]]\nsource = {}\nfeed = {}\n\
             # trust_group = \"\"        # sources that one attacker could hold together; without it, it corroborates nothing\n\
             # heartbeat_seconds = {}   # a longer silence is told of; above 86400 none is\n\
             # max_delay_seconds = 0     # what comes later counts as late, which without it is nearly all: see what its way takes\n",
            span(*silence),
            quoted(name),
            quoted(feed),
            (silence / 500_000_000).max(60),
        );
    }
}

fn wallet(text: &mut String, name: &str, wallet: &SeenWallet, system: &SeenSystem) {
    let chain = wallet.chains.iter().max_by_key(|(chain, named)| (**named, Reverse(*chain)));
    let chain = chain.map(|(chain, _)| chain.as_str()).unwrap_or_default();
    let _ = write!(
        text,
        "\n# {} events.\n[[systems.wallets]]\nwallet = {}\nchain = {}\n# temperature = \"cold\"\n# technology = \"safe\"\n\
         # threshold = 0\n",
        wallet.events,
        quoted(name),
        quoted(chain),
    );
    for (field, sources) in
        [("signer", &wallet.signed_by), ("node", &wallet.followed_by), ("decision_point", &wallet.decided_by)]
    {
        one_source(text, field, sources, system);
    }
    for (owner, approved) in &wallet.approved_by {
        let _ = write!(
            text,
            "# approved {approved} requests:\n# [[systems.owners]]\n# wallet = {}\n# owner = {}\n# person = \"\"\n",
            quoted(name),
            quoted(owner),
        );
    }
}

/// Where one source alone speaks of it, it is the one. What is no source of the system cannot be named.
fn one_source(text: &mut String, field: &str, sources: &BTreeSet<String>, system: &SeenSystem) {
    let declared = sources.iter().filter(|source| system.sources.contains_key(*source));
    let named: Vec<String> = declared.map(|source| quoted(source)).collect();
    match named.as_slice() {
        [] => {}
        [only] => {
            let _ = writeln!(text, "{field} = {only}");
        }
        several => {
            let _ = writeln!(text, "# {field} = {}", several.join(" or "));
        }
    }
}

fn people(text: &mut String, system: &SeenSystem) {
    for (name, person) in &system.people {
        let role = if person.approvals > 0 { "custodian" } else { "analyst" };
        let _ = write!(
            text,
            "\n# {} sessions, {} approvals.\n[[systems.people]]\nsubject = {}\nrole = \"{role}\"\n",
            person.sessions,
            person.approvals,
            quoted(name),
        );
    }
}

fn destinations(text: &mut String, system: &SeenSystem) {
    let is_own = |address: &str| system.wallets.keys().any(|wallet| wallet.eq_ignore_ascii_case(address));
    let is_habit = |(address, paid): &(&String, &SeenDestination)| {
        paid.days.len() >= INIT_DESTINATION_DAYS_MIN && !is_own(address)
    };
    let paid: &BTreeMap<String, SeenDestination> = &system.destinations;
    let mut often: Vec<(&String, &SeenDestination)> = paid.iter().filter(is_habit).collect();
    often.sort_by_key(|(address, paid)| (Reverse(paid.payments), *address));
    let _ = writeln!(
        text,
        "\n# {} destinations, of which {} were paid on {INIT_DESTINATION_DAYS_MIN} days or more.",
        paid.len(),
        often.len()
    );
    for (address, paid) in often.into_iter().take(INIT_DESTINATIONS_SHOWN_MAX) {
        let _ = write!(
            text,
            "# paid {} times on {} days:\n# [[systems.destinations]]\n# address = {}\n# label = \"\"\n",
            paid.payments,
            paid.days.len(),
            quoted(address),
        );
    }
}

/// A text as TOML has it, on one line: names hold no control characters.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use keywatch_store::Inventory;

    use super::super::seen::SeenPerson;
    use super::*;

    #[test]
    fn it_can_be_read_as_it_is_and_once_its_comments_are_taken_and_gives_no_right_by_itself() {
        let wallet = SeenWallet {
            events: 7,
            chains: [("ethereum".to_owned(), 7)].into(),
            signed_by: ["safe".to_owned()].into(),
            followed_by: ["safe".to_owned(), "idp \"x\" # y".to_owned()].into(),
            decided_by: ["nobody".to_owned()].into(),
            approved_by: [("0xkey".to_owned(), 3)].into(),
        };
        let paid = |days: &[i64]| SeenDestination { payments: 9, days: days.iter().copied().collect() };
        let system = SeenSystem {
            events: 20,
            sources: [("safe".to_owned(), SeenSource::default()), ("idp \"x\" # y".to_owned(), SeenSource::default())]
                .into(),
            wallets: [("0xa".to_owned(), wallet)].into(),
            people: [("ann".to_owned(), SeenPerson { sessions: 2, approvals: 1 })].into(),
            destinations: [
                ("0xb".to_owned(), paid(&[1, 2])),
                ("0xonce".to_owned(), paid(&[1])),
                ("0xA".to_owned(), paid(&[1, 2])),
            ]
            .into(),
        };
        let seen = Seen { systems: [("cold".to_owned(), system)].into(), left_out: 1 };
        let text = inventory(&seen);
        let read = Inventory::parse("proposed", &text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let cold = read.system("cold").unwrap();
        let sources: Vec<(&str, &str)> =
            cold.sources.iter().map(|source| (source.source.as_str(), source.feed.as_str())).collect();
        assert_eq!(sources, [("idp \"x\" # y", "events"), ("safe", "safe")]);
        let wallet = &cold.wallets[0];
        let named = [&wallet.signer, &wallet.node, &wallet.decision_point, &wallet.chain].map(String::as_str);
        assert_eq!(named, ["safe", "", "", "ethereum"]);
        assert_eq!((cold.people[0].subject.as_str(), cold.people[0].role.as_str()), ("ann", "custodian"));
        assert!(cold.owners.is_empty() && cold.destinations.is_empty());
        assert!(cold.sources.iter().all(|source| source.trust_group.is_empty()));
        assert!(
            text.contains("# address = \"0xb\"") && !text.contains("0xonce") && !text.contains("\"0xA\""),
            "{text}"
        );

        let is_entry = |line: &&str| {
            ["# [[", "# address", "# label", "# wallet =", "# owner", "# person ="]
                .iter()
                .any(|begin| line.starts_with(begin))
        };
        let taken: Vec<&str> = text.lines().map(|line| if is_entry(&line) { &line[2..] } else { line }).collect();
        let read = Inventory::parse("taken", &taken.join("\n")).unwrap();
        let cold = read.system("cold").unwrap();
        assert_eq!((cold.owners[0].owner.as_str(), cold.destinations[0].address.as_str()), ("0xkey", "0xb"));
    }
}
