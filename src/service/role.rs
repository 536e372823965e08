//! What a process does of all that there is to do, and what its configuration has to have for that.

use anyhow::ensure;
use keywatch_store::Inventory;

use crate::service::config::Config;

/// A part of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Everything
    #[default]
    All,
    /// Takes events in, over HTTP and from intake topics, and writes them to the log on Kafka
    Ingest,
    /// Reads the log on Kafka, evaluates the rules, tells and revokes
    Evaluate,
}

impl Role {
    /// Whether it takes events in.
    pub(crate) fn takes_in(self) -> bool {
        self != Role::Evaluate
    }

    /// Whether it reads the log and concludes.
    pub(crate) fn evaluates(self) -> bool {
        self != Role::Ingest
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
            "no [[credentials]], [[intake.topics]], [[chains]] or [[pull]]: nothing would be heard; add one for each source"
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
        let has_one = self.evaluates() && !config.log.share_partitions;
        if has_one { config.log.check_partition(inventory) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::log::LogConfig;

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
        config.log = LogConfig::default();
        assert!(said(Role::Evaluate, &config).contains("name brokers in log.kafka"));
    }
}
