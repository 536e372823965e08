//! The endpoint that speaks PostgreSQL's protocol: operators with passwords, questions only, beyond this machine only in TLS.
//!
//! | module | what it does |
//! |---|---|
//! | [`encryption`] | TLS, and who has to use it |
//! | [`scram`] | who it is: SCRAM-SHA-256 (RFC 7677) |
//! | [`connection`], [`serving`] | what one client asks, and what it is answered; a connection from beginning to end |
//! | [`prepared`], [`opened`] | questions with parameters, and how many a client has |
//! | [`answer`] | rows as they come, within their time |
//! | [`values`], [`errors`] | types, values and errors as PostgreSQL has them |
//! | [`keeping`] | segments as the log grows |
//! | [`settings`] | what drivers set, and ask of the server |
//! | [`catalog`], [`tables`] | what `psql` and Grafana ask about tables; those of `pg_catalog` |
//!
//! It has threads of its own, so that no query holds up the front door or the rules. Of what systems an operator sees the
//! rows is applied where records are read, and not here. Every question is in the log before it is answered.

mod answer;
mod catalog;
mod connection;
mod encryption;
mod errors;
mod keeping;
mod opened;
mod prepared;
mod scram;
mod serving;
mod settings;
mod tables;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use keywatch_alerting::Executor;
use keywatch_store::log::segments::Segments;
use keywatch_store::{Inventory, Log};
use pgwire::api::ConnectionManager;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::limits::{
    SQL_BURST_MAX, SQL_CONNECTIONS_MAX, SQL_PASSWORD_BYTES_MIN, SQL_PER_SECOND_MAX, SQL_STACK_BYTES, SQL_THREADS,
};
use crate::output;
use crate::service::config::Config;
use crate::service::http::bucket::{Bucket, Rate};
use crate::service::metrics::Metrics;
use crate::service::operators::Configured;
use crate::service::sql::records::Records;
use crate::service::sql::session::Memory;
use crate::service::sql::tables::Scope;
use connection::Connection;
use encryption::Encryption;
use keeping::Keeping;
use scram::Verifier;

/// The endpoint while it serves; it ends when this is dropped.
#[derive(Default)]
pub(crate) struct Endpoint {
    runtime: Option<Runtime>,
    address: Option<SocketAddr>,
    _segments: Option<Keeping>,
}

/// What all connections share.
struct Shared {
    records: Arc<Records>,
    users: BTreeMap<String, Arc<User>>,
    memory: Memory,
    queries: Arc<Semaphore>,
    statement: Duration,
    connections: Arc<ConnectionManager>,
    /// Writes down who asked what.
    executor: Executor,
    /// Where it is configured.
    encryption: Option<Encryption>,
    /// What an unknown user is asked for, so that the answer does not tell that he is unknown.
    nobody: Verifier,
}

/// An operator who may ask.
struct User {
    name: String,
    scope: Scope,
    /// The declared systems in the scope: each has a record of what is asked.
    systems: Vec<String>,
    verifier: Verifier,
    /// What is left of the questions that are taken of one operator in a while.
    allowance: Mutex<Bucket>,
    /// The same of statements that are planned to be asked later: a driver prepares what it asks once.
    preparing: Mutex<Bucket>,
}

impl Endpoint {
    /// Serves the log; nothing where it is off.
    ///
    /// # Errors
    /// A password cannot be read or is too short, the address cannot be listened on.
    pub(crate) async fn start(
        config: &Config,
        (log, segments): (Arc<dyn Log>, Arc<Segments>),
        inventory: &Inventory,
        executor: &Executor,
        metrics: &Arc<Metrics>,
    ) -> anyhow::Result<Endpoint> {
        let sql = &config.sql;
        if !sql.enabled {
            return Ok(Endpoint::default());
        }
        let shared = Arc::new(Shared {
            records: Arc::new(Records::Log(log, segments)),
            users: users(&config.operators, inventory)?,
            memory: Memory::of_bytes(sql.memory_megabytes_max << 20),
            queries: Arc::new(Semaphore::new(sql.concurrent_max)),
            statement: Duration::from_secs(sql.statement_seconds_max),
            connections: Arc::default(),
            executor: executor.clone(),
            encryption: Encryption::of(sql, metrics)?,
            nobody: Verifier::nobody()?,
        });
        let listener =
            TcpListener::bind(sql.listen).await.with_context(|| format!("cannot listen on {}", sql.listen))?;
        let address = listener.local_addr()?;
        let listener = listener.into_std()?;
        let segments = Keeping::start(Arc::clone(&shared.records)).context("cannot start the threads of SQL")?;
        // After everything that can fail: a runtime must not be dropped on threads of another.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SQL_THREADS)
            .thread_name("sql")
            .thread_stack_size(SQL_STACK_BYTES)
            .enable_all()
            .build()
            .context("cannot start the threads of SQL")?;
        runtime.spawn(accept(listener, shared));
        Ok(Endpoint { runtime: Some(runtime), address: Some(address), _segments: Some(segments) })
    }

    /// Says where it answers, if it does.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn say(&self) -> std::io::Result<()> {
        let Some(address) = self.address else { return Ok(()) };
        output::line(&format!("keywatch answers SQL on postgresql://{address}/keywatch"))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A query under way reads and holds nothing that has to be put in order.
            runtime.shutdown_background();
        }
    }
}

/// The operators with a password for SQL, by name.
fn users(operators: &[Configured], inventory: &Inventory) -> anyhow::Result<BTreeMap<String, Arc<User>>> {
    let mut users = BTreeMap::new();
    for operator in operators {
        let Some(file) = &operator.sql_password_file else { continue };
        let name = operator.name.clone();
        let verifier = password(file).with_context(|| format!("operators: sql_password_file of `{name}`"))?;
        let scope = Scope(operator.only_systems().cloned());
        let declared = inventory.systems.iter().map(|system| system.id.clone());
        let systems = declared.filter(|system| scope.holds(system)).collect();
        let rate = Rate { per_second: SQL_PER_SECOND_MAX, burst: SQL_BURST_MAX };
        let full = || Mutex::new(Bucket::full(rate, std::time::Instant::now()));
        let (allowance, preparing) = (full(), full());
        users.insert(name.clone(), Arc::new(User { name, scope, systems, verifier, allowance, preparing }));
    }
    Ok(users)
}

fn password(file: &Path) -> anyhow::Result<Verifier> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let password = text.trim_end_matches(['\r', '\n']);
    let named = file.display();
    ensure!(
        password.len() >= SQL_PASSWORD_BYTES_MIN && password.bytes().all(|byte| byte.is_ascii_graphic()),
        "{named} has to hold at least {SQL_PASSWORD_BYTES_MIN} printable ASCII characters without spaces, e.g. of \
         `openssl rand -hex 16`"
    );
    Verifier::of(password)
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the endpoint for SQL could not be opened"),
    };
    let room = Arc::new(Semaphore::new(SQL_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((socket, peer)) => {
                let connection = Connection::new(Arc::clone(&shared), peer);
                tokio::spawn(async move {
                    connection.serve(socket).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for SQL was not taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
