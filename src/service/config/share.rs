//! The configuration of a process that has one partition of those that processes share: what of the whole is about its
//! systems. The file is the one of the process that started it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::ensure;
use keywatch_store::Inventory;
use keywatch_store::log::kafka::partition_of;

use super::{Config, DecisionPoint, Delivery, Server, sql};

/// Checks that partitions can be shared under this configuration.
///
/// # Errors
/// Each names the field and what to write instead.
pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    if !config.log.share_partitions {
        return Ok(());
    }
    ensure!(
        !config.sql.enabled,
        "sql.enabled: with log.share_partitions every partition has a process of its own, and none is asked in SQL; ask \
         `keywatch query` on a copy, or a process with log.partition"
    );
    let fetching = config.decision_points.iter().find(|point| point.delivery == Delivery::Bundle);
    ensure!(
        fetching.is_none(),
        "decision_points: `{}` fetches bundles from one address, and with log.share_partitions its system moves; use \
         delivery = \"data\", or a process with log.partition",
        fetching.map(DecisionPoint::name).unwrap_or_default()
    );
    Ok(())
}

impl Config {
    /// The configuration and inventory of the process of one partition, which listens for the process that has started it.
    pub(crate) fn of_share(mut self, mut inventory: Inventory, partition: u32) -> (Config, Inventory) {
        self.data = self.log.data_of(partition, &self.data);
        (self.log.partition, self.log.share_partitions, self.log.is_share) = (partition, false, true);
        self.log.keep_systems(&mut inventory);
        let partitions = self.log.partitions;
        let is_here = |system: &str| partition_of(system, partitions) == partition;
        self.decision_points.retain(|point| is_here(&point.system));
        self.identity_providers.retain(|provider| is_here(&provider.system));
        self.signer_freezes.retain(|freeze| is_here(&freeze.system));
        self.chains.retain(|chain| is_here(&chain.system));
        self.pull.retain(|pull| is_here(&pull.system));
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        self.server = Server { listen: SocketAddr::new(own, 0), proxies: vec![own], ..Server::default() };
        self.sql = sql::Sql::default();
        (self, inventory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::config::log::LogConfig;

    // `cold` is in partition 0 of 2, `abc` in 1.
    const INVENTORY: &str = "[[systems]]\nid = \"cold\"\n[[systems]]\nid = \"abc\"\n";

    const CONFIG: &str = r#"
        data = "data"
        [log]
        kafka = "k:9092"
        partitions = 2
        share_partitions = true
        key_file = "role.key"
        [server]
        listen = "127.0.0.1:8040"
        [[decision_points]]
        system = "cold"
        opa = "http://127.0.0.1:8181"
        control_file = "control.json"
        [[chains]]
        system = "abc"
        source = "node"
        chain = "ethereum"
        endpoints = []
    "#;

    #[test]
    fn a_partition_has_what_is_of_its_systems() {
        let inventory = Inventory::parse("i.toml", INVENTORY).unwrap();
        let whole: Config = toml::from_str(CONFIG).unwrap();
        for (partition, system, points, chains) in [(0, "cold", 1, 0), (1, "abc", 0, 1)] {
            let (config, inventory) = whole.clone().of_share(inventory.clone(), partition);
            let systems: Vec<&str> = inventory.systems.iter().map(|system| system.id.as_str()).collect();
            assert_eq!(systems, [system]);
            assert_eq!((config.decision_points.len(), config.chains.len()), (points, chains));
            assert_eq!(config.data, std::path::Path::new("data").join(format!("partition-{partition}")));
            assert_eq!((config.log.partition, config.server.listen.port()), (partition, 0));
            assert!(config.log.check_partition(&inventory).is_ok() && !config.log.share_partitions);
        }
    }

    #[test]
    fn what_would_have_to_stay_in_one_place_is_refused() {
        let mut config: Config = toml::from_str(CONFIG).unwrap();
        check(&config).unwrap();
        config.sql.enabled = true;
        assert!(check(&config).unwrap_err().to_string().contains("none is asked in SQL"));
        config.sql.enabled = false;
        config.decision_points[0].delivery = Delivery::Bundle;
        let refused = check(&config).unwrap_err().to_string();
        assert!(refused.contains("`http://127.0.0.1:8181` fetches bundles"), "{refused}");
        config.log = LogConfig::default();
        check(&config).unwrap();
    }
}
