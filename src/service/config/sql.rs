//! The endpoint for SQL as configured. Who may ask stands with the operators.

use std::net::SocketAddr;

use anyhow::ensure;
use serde::Deserialize;

use super::Tls;
use crate::service::operators;

/// The endpoint for SQL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sql {
    /// Whether it is served.
    pub(crate) enabled: bool,
    /// Address to listen on; of this machine where there is no TLS.
    pub(crate) listen: SocketAddr,
    /// TLS; clients from elsewhere have to use it.
    pub(crate) tls: Option<Tls>,
    /// Seconds that a statement may take.
    pub(crate) statement_seconds_max: u64,
    /// Megabytes that all statements together may take for sorting, grouping and joining.
    pub(crate) memory_megabytes_max: usize,
    /// Statements at once.
    pub(crate) concurrent_max: usize,
}

impl Default for Sql {
    fn default() -> Self {
        Sql {
            enabled: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 8041)),
            tls: None,
            statement_seconds_max: 30,
            memory_megabytes_max: 512,
            concurrent_max: 4,
        }
    }
}

/// Checks that it can be served, and that somebody could ask.
///
/// # Errors
/// Each names the field and what to write instead.
pub(crate) fn check(sql: &Sql, operators: &[operators::Configured]) -> anyhow::Result<()> {
    if !sql.enabled {
        return Ok(());
    }
    ensure!(
        sql.listen.ip().is_loopback() || sql.tls.is_some(),
        "sql.listen: {} is reachable from other machines and rows travel in the clear; add [sql.tls], or listen on \
         127.0.0.1 and let clients come through ssh",
        sql.listen
    );
    ensure!(
        sql.tls.as_ref().is_none_or(|tls| tls.client_ca_file.is_none()),
        "sql.tls: client_ca_file: who asks is known by a password; leave it out"
    );
    ensure!(
        operators.iter().any(|operator| operator.sql_password_file.is_some()),
        "sql: nobody could ask; give an operator an sql_password_file in [[operators]]"
    );
    ensure!(
        sql.statement_seconds_max > 0 && sql.memory_megabytes_max > 0 && sql.concurrent_max > 0,
        "sql: a limit is 0, with which no statement could be answered"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_served_is_named() {
        let operator = |password: Option<&str>| operators::Configured {
            name: "ann".into(),
            aliases: [].into(),
            token_sha256: "ab".repeat(32),
            sql_password_file: password.map(Into::into),
            roles: [operators::Role::Viewer].into(),
            systems: ["*".into()].into(),
        };
        let (ann, without) = ([operator(Some("ann.password"))], [operator(None)]);
        let on = || Sql { enabled: true, ..Sql::default() };
        check(&on(), &ann).unwrap();
        check(&Sql::default(), &without).unwrap();
        let problem = |sql: &Sql, operators: &[operators::Configured]| check(sql, operators).unwrap_err().to_string();
        assert!(problem(&on(), &without).contains("nobody could ask"));
        assert!(problem(&Sql { listen: ([0, 0, 0, 0], 1).into(), ..on() }, &ann).contains("in the clear"));
        let tls = Tls { certificate_file: "crt".into(), key_file: "key".into(), client_ca_file: None };
        let beyond = || Sql { listen: ([0, 0, 0, 0], 1).into(), tls: Some(tls.clone()), ..on() };
        check(&beyond(), &ann).unwrap();
        let with_clients = Tls { client_ca_file: Some("ca".into()), ..tls.clone() };
        assert!(problem(&Sql { tls: Some(with_clients), ..beyond() }, &ann).contains("client_ca_file"));
        for sql in [
            Sql { concurrent_max: 0, ..on() },
            Sql { memory_megabytes_max: 0, ..on() },
            Sql { statement_seconds_max: 0, ..on() },
        ] {
            assert!(problem(&sql, &ann).contains("a limit is 0"));
        }
    }
}
