//! What a process does of all that there is to do, and what its configuration has to have for that.

use anyhow::ensure;
use keywatch_store::Inventory;
use keywatch_store::log::kafka::Concluding;

use crate::service::config::Config;

/// A part of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Everything
    #[default]
    All,
    /// Takes events in, over HTTP and from intake topics, and writes them to the log on Kafka
    Ingest,
    /// Reads the log on Kafka, evaluates the rules, tells and revokes: detect and respond in one
    Evaluate,
    /// Reads the log on Kafka, evaluates the rules and records what they find; it tells and revokes nothing
    Detect,
    /// Reads the log on Kafka, tells what a process with `detect` has found, and revokes; it answers operators
    Respond,
}

impl Role {
    /// Whether it takes events in.
    pub(crate) fn takes_in(self) -> bool {
        matches!(self, Role::All | Role::Ingest)
    }

    /// Whether it reads the log and concludes.
    pub(crate) fn evaluates(self) -> bool {
        self != Role::Ingest
    }

    /// Whether it runs the rules, and writes what keywatch says of systems: ticks, what is declared, what chains and services
    /// that are asked say.
    pub(crate) fn finds(self) -> bool {
        matches!(self, Role::All | Role::Evaluate | Role::Detect)
    }

    /// Whether it does something about what is found, and answers operators.
    pub(crate) fn responds(self) -> bool {
        matches!(self, Role::All | Role::Evaluate | Role::Respond)
    }

    /// Which conclusions it writes.
    pub(crate) fn concluding(self) -> Concluding {
        match self {
            Role::All | Role::Ingest | Role::Evaluate => Concluding::All,
            Role::Detect => Concluding::Findings,
            Role::Respond => Concluding::Responses,
        }
    }

    /// What it is called on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Ingest => "ingest",
            Role::Evaluate => "evaluate",
            Role::Detect => "detect",
            Role::Respond => "respond",
        }
    }

    /// Checks that a configuration does for this role.
    ///
    /// # Errors
    /// Names the field and what to write instead.
    pub(crate) fn check(self, config: &Config, inventory: &Inventory) -> anyhow::Result<()> {
        ensure!(
            self.evaluates() || config.chains.is_empty(),
            "[[chains]]: a follower reads its place back from the log, which --role ingest does not read; leave chains to \
             --role evaluate"
        );
        ensure!(
            self.evaluates() || config.pull.is_empty(),
            "[[pull]]: who asks a service reads its place back from the log, which --role ingest does not read; leave it to \
             --role evaluate"
        );
        let is_silent = config.credentials.is_empty() && config.intake.topics.is_empty();
        let is_heard = !is_silent || !config.chains.is_empty() || !config.pull.is_empty();
        ensure!(
            is_heard || !self.takes_in(),
            "no [[credentials]], [[intake.topics]], [[chains]] or [[pull]]: nothing would be heard; add one for each source \
             (`keywatch run --print-config` has an example of each)"
        );
        ensure!(
            self == Role::All || !config.log.kafka.is_empty(),
            "--role: the embedded log has one process; name brokers in log.kafka for more"
        );
        ensure!(
            self != Role::All || !config.log.share_partitions,
            "--role: processes that share partitions evaluate and take nothing in; run --role evaluate, and \
             --role ingest beside it"
        );
        // A key that each draws for itself would make what one writes foreign to the other.
        ensure!(
            self.concluding() == Concluding::All || !config.log.key_file.as_os_str().is_empty(),
            "log.key_file: --role detect and --role respond read what the other writes; name a file that is the same for both, \
             or a key for each, with the other one's in log.other_keys"
        );
        let has_one = self.evaluates() && !config.log.share_partitions;
        if has_one { config.log.check_partition(inventory) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::config::log::LogConfig;

    #[test]
    fn every_part_is_done_by_one_of_the_roles_apart() {
        use clap::ValueEnum;
        for (role, finds, responds) in [
            (Role::Ingest, false, false),
            (Role::Detect, true, false),
            (Role::Respond, false, true),
            (Role::All, true, true),
        ] {
            assert_eq!((role.finds(), role.responds()), (finds, responds), "{role:?}");
        }
        for role in Role::value_variants() {
            assert_eq!(role.to_possible_value().unwrap().get_name(), role.name());
        }
    }

    #[test]
    fn who_takes_in_needs_sources_and_who_evaluates_needs_their_partition() {
        let inventory = Inventory::parse("i.toml", "[[systems]]\nid = \"abc\"").unwrap();
        let log = LogConfig { kafka: "k:9092".into(), partitions: 2, ..LogConfig::default() };
        let mut config = Config { log, ..Config::default() };
        let said = |role: Role, config: &Config| role.check(config, &inventory).unwrap_err().to_string();
        assert!(said(Role::Ingest, &config).contains("nothing would be heard"));
        assert!(said(Role::Evaluate, &config).contains("`abc` belongs to partition 1"));
        let chain = "system = 'abc'\nsource = 'node'\nchain = 'ethereum'\nendpoints = []";
        config.chains = vec![toml::from_str(chain).unwrap()];
        assert!(said(Role::Ingest, &config).contains("leave chains to --role evaluate"));
        config.log.partition = 1;
        assert!(Role::Evaluate.check(&config, &inventory).is_ok());
        config.log.share_partitions = true;
        assert!(Role::Evaluate.check(&config, &inventory).is_ok(), "they have the systems of all partitions");
        assert!(said(Role::All, &config).contains("--role ingest beside it"));
        for role in [Role::Detect, Role::Respond] {
            assert!(said(role, &config).contains("a file that is the same for both"));
        }
        config.log.key_file = "role.key".into();
        assert!(Role::Detect.check(&config, &inventory).is_ok() && Role::Respond.check(&config, &inventory).is_ok());
        config.log = LogConfig::default();
        assert!(said(Role::Evaluate, &config).contains("name brokers in log.kafka"));
    }
}
