//! One client: who it is, what it asks, what it is answered.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use futures::Sink;
use futures::channel::oneshot::Receiver;
use pgwire::api::auth::{
    AuthDriver, AuthOutcome, DefaultServerParameterProvider, StartupHandler, protocol_negotiation,
    save_startup_parameters_to_metadata,
};
use pgwire::api::portal::Format;
use pgwire::api::query::SimpleQueryHandler;
use pgwire::api::results::{Response, Tag};
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, ConnectionHandle, METADATA_USER};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::answer::{self, Asked};
use super::errors::{error, query_error};
use super::opened::Opened;
use super::scram::Scram;
use super::settings::{self, Deallocated};
use super::{Shared, User, catalog, tables, values};
use crate::clock;
use crate::limits::{SQL_PREPARED_KILOBYTES_MAX, SQL_REFUSAL_MILLISECONDS, SQL_TEXT_BYTES_MAX, SQL_WAIT_SECONDS_MAX};
use crate::service::http::bucket::Bucket;
use crate::service::sql::session::Session;

/// A client.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: SocketAddr,
    driver: AuthDriver<Arc<DefaultServerParameterProvider>, Arc<User>>,
    user: OnceLock<Arc<User>>,
    session: OnceLock<Arc<Session>>,
    /// Kilobytes of what it may prepare yet.
    pub(super) prepared: Arc<Semaphore>,
    /// What it has by name.
    opened: Mutex<Opened>,
    /// When the query under way has to be over.
    pub(super) until: Arc<Mutex<Option<Instant>>>,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>, peer: SocketAddr) -> Arc<Connection> {
        let mut parameters = DefaultServerParameterProvider::default();
        parameters.server_version = format!("15.0 (keywatch {})", env!("CARGO_PKG_VERSION"));
        parameters.is_superuser = false;
        parameters.default_transaction_read_only = true;
        let driver = AuthDriver::new(Arc::new(parameters)).with_connection_manager(Arc::clone(&shared.connections));
        let (user, session) = (OnceLock::new(), OnceLock::new());
        let prepared = Arc::new(Semaphore::new(SQL_PREPARED_KILOBYTES_MAX));
        let opened = Mutex::default();
        Arc::new(Connection { shared, peer, driver, user, session, prepared, opened, until: Arc::default() })
    }

    /// What it has by name.
    pub(super) fn opened(&self) -> MutexGuard<'_, Opened> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes what ends with a text that was answered: with a transaction all portals, and the statements that it names.
    pub(super) fn close<S: PortalStore>(&self, store: &S, sql: &str, response: &Response) {
        let mut opened = self.opened();
        if matches!(response, Response::TransactionEnd(_)) {
            store.clear_portals();
            opened.close_portals();
        }
        let closed = match settings::deallocated(sql) {
            Some(Deallocated::All) => opened.close_statements(),
            Some(Deallocated::One(name)) => BTreeSet::from([name]),
            None => return,
        };
        for name in closed {
            store.rm_statement(&name);
            opened.close_statement(&name);
        }
    }

    /// What the user sees.
    pub(super) fn session(&self) -> PgWireResult<&Arc<Session>> {
        if let Some(session) = self.session.get() {
            return Ok(session);
        }
        let user = self.user.get().ok_or(PgWireError::UserNameRequired)?;
        let session = Session::new(&self.shared.records, &user.scope, &self.shared.memory).map_err(query_error)?;
        tables::register(session.context(), &user.name, session.tables()).map_err(query_error)?;
        Ok(self.session.get_or_init(|| Arc::new(session)))
    }

    /// Leave to ask, within the time that a statement has. What is asked is in the log before it is answered.
    pub(super) async fn ask(&self, sql: &str) -> PgWireResult<Asked> {
        let user = self.user.get().ok_or(PgWireError::UserNameRequired)?;
        let place = self.place(user, &user.allowance, sql).await?;
        self.write_down(user, sql).await?;
        let reading = self.session()?.reading();
        Asked::new(&user.name, sql, self.shared.statement, place, &self.until, reading)
    }

    /// A place among the queries that are under way, where the user has something left of an allowance.
    async fn place(&self, user: &User, allowance: &Mutex<Bucket>, sql: &str) -> PgWireResult<OwnedSemaphorePermit> {
        let allowed = allowance.lock().unwrap_or_else(PoisonError::into_inner).take(std::time::Instant::now());
        if let Err(wait) = allowed {
            let problem = format!("too many questions; ask again in {} ms", wait.as_millis());
            return Err(error("53400", problem));
        }
        let waited = Duration::from_secs(SQL_WAIT_SECONDS_MAX);
        let place = tokio::time::timeout(waited, Arc::clone(&self.shared.queries).acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            tracing::warn!(user = user.name, sql, "a query was refused: as many as are allowed are under way");
            return Err(error("53300", "as many queries as are allowed are under way; ask again later"));
        };
        Ok(place)
    }

    /// Leaves a record in each system whose rows may be seen; without it there is no answer.
    async fn write_down(&self, user: &Arc<User>, sql: &str) -> PgWireResult<()> {
        let (executor, user, sql) = (self.shared.executor.clone(), Arc::clone(user), sql.to_owned());
        let written = tokio::task::spawn_blocking(move || {
            executor.record_question(&user.systems, &user.name, &sql, clock::now())
        });
        let problem = match written.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(problem)) => problem.to_string(),
            Err(problem) => problem.to_string(),
        };
        tracing::error!(problem, "a question could not be written down and is not answered");
        Err(error("58030", "the question could not be written down, so it is not answered"))
    }

    /// The plan of a question that is prepared, made away from the threads that serve connections. It takes a place as a query does,
    /// which is free once the planning has ended, also where nobody waits for it any more.
    pub(super) async fn plan(&self, sql: &str) -> PgWireResult<LogicalPlan> {
        let user = self.user.get().ok_or(PgWireError::UserNameRequired)?;
        let place = self.place(user, &user.preparing, sql).await?;
        let (session, sql) = (Arc::clone(self.session()?), sql.to_owned());
        let planned = tokio::task::spawn_blocking(move || {
            let _place = place;
            Handle::current().block_on(session.plan(&sql))
        });
        let planned = tokio::time::timeout(self.shared.statement, planned).await;
        let planned = planned.map_err(|_| error("57014", "planning the query took too long; ask for less"))?;
        planned.map_err(|_| error("XX000", "planning broke off; this is a defect of keywatch"))?.map_err(query_error)
    }

    async fn answer(&self, client: &impl ClientInfo, sql: &str) -> PgWireResult<Response> {
        not_too_long(sql)?;
        if let Some(response) = without_rows(sql)? {
            return Ok(response);
        }
        if let Some(rows) = catalog::answer(sql, self.session()?.tables()).map_err(query_error)? {
            return answer::at_once(&rows, &Format::UnifiedText);
        }
        let asked = self.ask(sql).await?;
        let (session, sql) = (Arc::clone(self.session()?), sql.to_owned());
        let planned = async move { session.rows(session.plan(&sql).await?).await };
        let rows = asked.within(planned).await?;
        answer::stream(rows, &Format::UnifiedText, asked.ended_by(ending(client).await))
    }
}

/// What becomes ready when the client asks to end its question: pgwire itself listens only until the rows begin.
///
/// It takes the place of pgwire's own receiver, which would see that as a request to end. So this has to be the last thing
/// that a handler awaits, and it is not put off.
pub(super) async fn ending(client: &impl ClientInfo) -> Option<Receiver<()>> {
    let handle = client.session_extensions().get::<Arc<ConnectionHandle>>()?;
    Some(unconstrained(handle.start_query()).await)
}

/// The answer to what drivers send by themselves and that has no rows; `None` for anything else.
///
/// # Errors
/// A setting is not what it asks for.
pub(super) fn without_rows(sql: &str) -> PgWireResult<Option<Response>> {
    match of_transactions(sql) {
        Some(response) => Ok(Some(response)),
        None => settings::set(sql),
    }
}

/// `BEGIN` and `COMMIT`, which drivers send by themselves: with nothing that changes, every statement is a transaction.
fn of_transactions(sql: &str) -> Option<Response> {
    let text = sql.trim().trim_end_matches(';').trim().to_uppercase();
    let word = text.split_whitespace().next().unwrap_or_default();
    let rest = text.split_whitespace().skip(1).all(|word| {
        matches!(
            word.trim_end_matches(','),
            "TRANSACTION"
                | "WORK"
                | "READ"
                | "ONLY"
                | "WRITE"
                | "ISOLATION"
                | "LEVEL"
                | "COMMITTED"
                | "REPEATABLE"
                | "SERIALIZABLE"
                | "UNCOMMITTED"
        )
    });
    match word {
        "BEGIN" if rest => Some(Response::TransactionStart(Tag::new("BEGIN"))),
        "START" if rest => Some(Response::TransactionStart(Tag::new("START TRANSACTION"))),
        "COMMIT" | "END" if rest => Some(Response::TransactionEnd(Tag::new("COMMIT"))),
        "ROLLBACK" | "ABORT" if rest => Some(Response::TransactionEnd(Tag::new("ROLLBACK"))),
        _ => None,
    }
}

/// Refuses a text before anything is made of it that takes as much again.
pub(super) fn not_too_long(sql: &str) -> PgWireResult<()> {
    if sql.len() > SQL_TEXT_BYTES_MAX {
        return Err(error("54000", format!("{} bytes of SQL, at most {SQL_TEXT_BYTES_MAX} are taken", sql.len())));
    }
    Ok(())
}

#[async_trait]
impl StartupHandler for Connection {
    async fn on_startup<C>(&self, client: &mut C, message: PgWireFrontendMessage) -> PgWireResult<()>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let outcome = match message {
            PgWireFrontendMessage::Startup(ref startup) => {
                protocol_negotiation(client, startup).await?;
                save_startup_parameters_to_metadata(client, startup);
                let name = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
                let scram = Scram::new(&name, self.shared.users.get(&name).cloned(), &self.shared.nobody);
                self.driver.begin_authentication(client, Box::new(scram)).await?
            }
            PgWireFrontendMessage::PasswordMessageFamily(message) => {
                match self.driver.advance_authentication(client, message).await {
                    Err(refused) => {
                        let user = client.metadata().get(METADATA_USER).cloned().unwrap_or_default();
                        tracing::warn!(user, peer = %self.peer, ?refused, "a client of SQL was not let in");
                        // So that passwords are not tried by the thousand.
                        tokio::time::sleep(Duration::from_millis(SQL_REFUSAL_MILLISECONDS)).await;
                        return Err(refused);
                    }
                    Ok(outcome) => outcome,
                }
            }
            _ => return Ok(()),
        };
        let AuthOutcome::Authenticated { identity, final_message } = outcome else { return Ok(()) };
        let user = identity.ok_or(PgWireError::UserNameRequired)?;
        tracing::info!(user = user.name, peer = %self.peer, "a client of SQL");
        let _ = self.user.set(user);
        self.driver.complete_authentication(client, final_message).await
    }
}

#[async_trait]
impl SimpleQueryHandler for Connection {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let response = self.answer(&*client, query).await?;
        self.close(client.portal_store(), query, &response);
        Ok(vec![response])
    }
}

/// Whether every column of a result has a type that can be sent.
pub(super) fn sendable(schema: &arrow::datatypes::Schema) -> PgWireResult<()> {
    values::types(schema).map(drop).map_err(query_error)
}
