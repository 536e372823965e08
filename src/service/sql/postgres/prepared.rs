//! Questions with parameters: what drivers prepare, bind and execute.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use async_trait::async_trait;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::LogicalPlan;
use futures::{Sink, SinkExt};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::ExtendedQueryHandler;
use pgwire::api::results::{FieldInfo, Response};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Parse, ParseComplete, Sync as Synchronize, TARGET_TYPE_BYTE_PORTAL,
    TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use tokio::sync::OwnedSemaphorePermit;

use super::connection::{Connection, ending, not_too_long, sendable, without_rows};
use super::errors::{error, query_error};
use super::{answer, catalog, values};
use crate::limits::SQL_PREPARED_KILOBYTES_MAX;

/// The extended protocol of one client.
pub(super) struct Questions(pub(super) Arc<Connection>);

/// A question as it was prepared.
#[derive(Clone)]
pub(super) struct Prepared {
    sql: String,
    /// `None` where it needs none.
    plan: Option<LogicalPlan>,
    /// What the catalogue answers, where it is asked.
    answer: Option<RecordBatch>,
    /// In the order of their numbers.
    parameters: Vec<DataType>,
    /// Its room among what the client has prepared, free once it is closed.
    _room: Arc<OwnedSemaphorePermit>,
}

/// Plans what is prepared.
pub(super) struct Parser(Arc<Connection>);

#[async_trait]
impl QueryParser for Parser {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, _client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        not_too_long(sql)?;
        let kilobytes = u32::try_from(1 + sql.len() / 1024).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.prepared).try_acquire_many_owned(kilobytes);
        let room = room.map_err(|_| {
            let problem =
                format!("{SQL_PREPARED_KILOBYTES_MAX} kB of statements are prepared already; close some first");
            error("53200", problem)
        })?;
        let answer = catalog::answer(sql, self.0.session()?.tables()).map_err(query_error)?;
        let answered = answer.is_some() || without_rows(sql)?.is_some();
        let parameters = Vec::new();
        let without_plan = Prepared { sql: sql.to_owned(), plan: None, answer, parameters, _room: Arc::new(room) };
        if answered {
            return Ok(Some(without_plan));
        }
        let plan = self.0.plan(sql).await?;
        let mut numbered =
            plan.get_parameter_types().map_err(|error| query_error(error.into()))?.into_iter().collect::<Vec<_>>();
        numbered.sort_by_key(|(name, _)| name.trim_start_matches('$').parse::<usize>().unwrap_or(usize::MAX));
        let consecutive = numbered.iter().enumerate().all(|(index, (name, _))| *name == format!("${}", index + 1));
        if !consecutive {
            return Err(error("42P02", "parameters are $1, $2 and so on, without a gap"));
        }
        let asked = |index: usize| types.get(index).cloned().flatten().and_then(|kind| values::arrow(&kind));
        let parameters = numbered.into_iter().enumerate();
        let parameters =
            parameters.map(|(index, (_, kind))| kind.or_else(|| asked(index)).unwrap_or(DataType::Utf8View));
        sendable(plan.schema().as_arrow())?;
        Ok(Some(Prepared { parameters: parameters.collect(), plan: Some(plan), ..without_plan }))
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        prepared.parameters.iter().map(|kind| values::parameter_type(kind).map_err(query_error)).collect()
    }

    fn get_result_schema(&self, prepared: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        match (&prepared.plan, &prepared.answer) {
            (Some(plan), _) => values::fields(plan.schema().as_arrow(), format).map_err(query_error),
            (None, Some(rows)) => values::fields(&rows.schema(), format).map_err(query_error),
            (None, None) => Ok(Vec::new()),
        }
    }
}

#[async_trait]
impl ExtendedQueryHandler for Questions {
    type Statement = Prepared;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::new(Parser(Arc::clone(&self.0)))
    }

    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        self.0.opened().check_statement(&name)?;
        match StoredStatement::parse(&*client, &message, self.query_parser()).await? {
            Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
            None => client.portal_store().put_empty_statement(&name),
        }
        self.0.opened().prepared(name);
        client.send(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    async fn on_bind<C>(&self, client: &mut C, message: Bind) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let statement = message.statement_name.as_deref().unwrap_or(DEFAULT_NAME);
        let name = message.portal_name.as_deref().unwrap_or(DEFAULT_NAME);
        let bytes: usize = message.parameters.iter().flatten().map(|value| value[..].len()).sum();
        match client.portal_store().get_statement(statement) {
            Some(Entry::Value(statement)) => {
                let portal = Portal::try_new(&message, statement)?;
                self.0.opened().open(name, bytes)?;
                client.portal_store().put_portal(Arc::new(portal));
            }
            Some(Entry::Empty) if message.parameters.is_empty() => {
                self.0.opened().open(name, bytes)?;
                client.portal_store().put_empty_portal(name);
            }
            Some(Entry::Empty) => return Err(error("08P01", "parameters for a statement that is empty")),
            None => return Err(PgWireError::StatementNotFound(statement.to_owned())),
        }
        client.send(PgWireBackendMessage::BindComplete(BindComplete::new())).await?;
        Ok(())
    }

    /// Outside of a transaction no portal outlives its question, as with PostgreSQL ("Extended Query" of its protocol's
    /// message flow).
    async fn on_sync<C>(&self, client: &mut C, _message: Synchronize) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let status = client.transaction_status();
        if status == TransactionStatus::Transaction {
            client.portal_store().rm_portal(DEFAULT_NAME);
            self.0.opened().close_portal(DEFAULT_NAME);
        } else {
            client.portal_store().clear_portals();
            self.0.opened().close_portals();
        }
        client.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status))).await?;
        Ok(())
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        match message.target_type {
            TARGET_TYPE_BYTE_STATEMENT => {
                client.portal_store().rm_statement(name);
                self.0.opened().close_statement(name);
            }
            TARGET_TYPE_BYTE_PORTAL => {
                client.portal_store().rm_portal(name);
                self.0.opened().close_portal(name);
            }
            _ => {}
        }
        client.send(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Prepared>, _max_rows: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Prepared>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let Some(plan) = &prepared.plan else {
            if let Some(response) = without_rows(&prepared.sql)? {
                self.0.close(client.portal_store(), &prepared.sql, &response);
                return Ok(response);
            }
            let rows = prepared.answer.clone();
            let rows = rows.ok_or_else(|| error("XX000", "the catalogue has no such answer"))?;
            return answer::at_once(&rows, &portal.result_column_format);
        };
        let given: Vec<ScalarValue> = prepared
            .parameters
            .iter()
            .enumerate()
            .map(|(index, kind)| {
                let value = portal.parameters.get(index).and_then(Option::as_ref);
                let declared = portal.statement.parameter_types.get(index).cloned().flatten();
                values::parameter(
                    value.map(AsRef::as_ref),
                    kind,
                    declared,
                    values::is_binary(&portal.parameter_format, index),
                )
            })
            .collect::<anyhow::Result<_>>()
            .map_err(|problem| error("22P02", problem.to_string()))?;
        let asked = self.0.ask(&prepared.sql).await?;
        let (session, plan) = (Arc::clone(self.0.session()?), plan.clone());
        let planned = async move {
            let plan = if given.is_empty() { plan } else { plan.with_param_values(given)? };
            session.rows(plan).await
        };
        let rows = asked.within(planned).await?;
        answer::stream(rows, &portal.result_column_format, asked.ended_by(ending(&*client).await))
    }
}
