//! Sources that keywatch asks itself: services that page, cut answers off and ask for patience lose nothing and tell nothing
//! twice, also where keywatch is killed between two pages.

mod caep;
mod okta;
mod opa_state;
mod safe;
mod scripted;
mod sink;
mod trail;

use crate::running::machine::{Machine, Rule};

/// A machine that pulls; `sources` are those of the inventory, `pull` what the configuration says of them.
fn pulling(sources: &str, pull: &str) -> Machine {
    let machine = Machine::with_this_rule_alone(Rule {
        id: "own/presented",
        sql: "SELECT event_id, actor AS entity, actor, session FROM events WHERE kind = 'session.presented'",
    });
    for (file, more) in [("inventory.toml", sources), ("keywatch.toml", pull)] {
        let text = std::fs::read_to_string(machine.path(file)).unwrap();
        std::fs::write(machine.path(file), format!("{text}\n{more}")).unwrap();
    }
    machine
}
