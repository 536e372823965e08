//! A query from its text to its rows: only what asks is planned, within a limit of memory. DataFusion does the work.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{anyhow, bail, ensure};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::config::Dialect;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{AggregateUDF, LogicalPlan, ScalarUDF};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::Statement as Sql;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use futures::StreamExt;
use keywatch_detectors::is_deeper;
use keywatch_store::Topic;
use keywatch_store::inventory::TABLES;
use keywatch_store::log::segments::Kinds;

use super::bounded::{Bounded, check_uncounted, reads};
use super::events::EventTable;
use super::folds::{Folded, Shown};
use super::growth;
use super::made::{Declared, Findings, MadeTable, Recipe, Rows, of_findings, schema};
use super::pushdown;
use super::records::{Reading, Records};
use super::tables::{FINDINGS, Scope};
use crate::limits::{
    SQL_BRACKETS_MAX, SQL_EXPLAINS_MAX, SQL_LEVELS_MAX, SQL_PARTITIONS_MAX, SQL_READS_MAX, SQL_TEXT_BYTES_MAX,
    SQL_WAITING_BATCHES_MAX,
};

/// Functions whose result is as long as they are told, whatever they are given. A text that is needed that long can be had
/// elsewhere.
const BOUNDLESS: [&str; 5] = ["repeat", "lpad", "rpad", "replace", "regexp_replace"];

/// Who asks, of what.
pub(crate) struct Session {
    context: SessionContext,
    /// Names and columns, by name.
    tables: Vec<(String, SchemaRef)>,
    reading: Arc<Reading>,
}

/// Parts of a query that run at once.
pub(crate) fn partitions() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(SQL_PARTITIONS_MAX)
}

/// Memory that queries share.
#[derive(Clone)]
pub(crate) struct Memory(Arc<dyn MemoryPool>);

impl Memory {
    /// Of that many bytes.
    pub(crate) fn of_bytes(bytes: usize) -> Memory {
        Memory(Arc::new(GreedyMemoryPool::new(bytes)))
    }
}

impl Session {
    /// Over the records that are in `scope`.
    ///
    /// # Errors
    /// DataFusion cannot be set up.
    pub(crate) fn new(records: &Arc<Records>, scope: &Scope, memory: &Memory) -> anyhow::Result<Session> {
        let mut config = SessionConfig::new()
            .with_target_partitions(partitions())
            .with_information_schema(true)
            .with_default_catalog_and_schema("keywatch", "public");
        config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
        // They could grow what they give from turn to turn.
        config.options_mut().execution.enable_recursive_ctes = false;
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&memory.0))
            .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled))
            .build_arc()?;
        let state = SessionStateBuilder::new().with_config(config).with_runtime_env(runtime).with_default_features();
        let context = SessionContext::new_with_state(state.build());
        let (scalars, aggregates) = keywatch_detectors::functions();
        scalars.into_iter().for_each(|function: ScalarUDF| context.register_udf(function));
        aggregates.into_iter().for_each(|function: AggregateUDF| context.register_udaf(function));
        BOUNDLESS.into_iter().for_each(|name| context.deregister_udf(name));
        let mut session = Session { context, tables: Vec::new(), reading: Arc::default() };
        session.register(records, scope)?;
        Ok(session)
    }

    fn register(&mut self, records: &Arc<Records>, scope: &Scope) -> anyhow::Result<()> {
        for (name, topic) in [("events", Topic::Events), ("conclusions", Topic::Conclusions)] {
            let (records, reading, scope) = (Arc::clone(records), Arc::clone(&self.reading), scope.clone());
            self.add(name, Arc::new(EventTable { records, topic, scope, reading }))?;
        }
        for recipe in recipes() {
            let (records, reading, scope) = (Arc::clone(records), Arc::clone(&self.reading), scope.clone());
            self.add(recipe.name, Arc::new(MadeTable { records, recipe, scope, reading }))?;
        }
        self.tables.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(())
    }

    fn add(&mut self, name: &str, table: Arc<dyn TableProvider>) -> anyhow::Result<()> {
        self.tables.push((name.to_owned(), table.schema()));
        self.context.register_table(name, table)?;
        Ok(())
    }

    /// Names and columns of the tables, by name.
    pub(crate) fn tables(&self) -> &[(String, SchemaRef)] {
        &self.tables
    }

    /// DataFusion's side of it, for further functions and tables.
    pub(crate) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// How far the reading is.
    pub(crate) fn reading(&self) -> Arc<Reading> {
        Arc::clone(&self.reading)
    }

    /// The plan of one question.
    ///
    /// # Errors
    /// What is wrong with it, or that it is none.
    pub(crate) async fn plan(&self, sql: &str) -> anyhow::Result<LogicalPlan> {
        let statement = parse(sql)?;
        let plan = self.context.state().statement_to_plan(statement).await.map_err(|error| said_once(&error))?;
        let only_asks = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_asks.verify_plan(&plan).map_err(|error| anyhow!("{}; {ONLY_QUESTIONS}", error.strip_backtrace()))?;
        growth::check(&plan)?;
        Ok(plan)
    }

    /// Its rows, as they come.
    ///
    /// # Errors
    /// It cannot be planned or begun.
    pub(crate) async fn rows(&self, plan: LogicalPlan) -> anyhow::Result<SendableRecordBatchStream> {
        let mut rows = self.context.execute_logical_plan(plan).await?.execute_stream().await?;
        // A task of its own, so that whoever waits with a clock is not held up by a step that takes long.
        let mut stream = RecordBatchReceiverStreamBuilder::new(rows.schema(), SQL_WAITING_BATCHES_MAX);
        let out = stream.tx();
        stream.spawn(async move {
            while let Some(batch) = rows.next().await {
                if out.send(batch).await.is_err() {
                    break;
                }
            }
            Ok(())
        });
        Ok(stream.build())
    }
}

const ONLY_QUESTIONS: &str = "keywatch answers questions and changes nothing: SELECT, WITH, EXPLAIN and SHOW are taken";

/// What DataFusion says is wrong, without where in DataFusion it was found. Its text tells its causes already; as a chain of causes
/// it would be told twice or thrice.
fn said_once(error: &DataFusionError) -> anyhow::Error {
    let said = error.strip_backtrace();
    let said = said.strip_prefix("Error during planning: ").unwrap_or(&said);
    if let Some(parsed) = said.strip_prefix("SQL error: ParserError(\"").and_then(|rest| rest.strip_suffix("\")")) {
        return anyhow!("{}", parsed.replace("\\\"", "\""));
    }
    match said.strip_prefix("table 'keywatch.public.").and_then(|rest| rest.strip_suffix("' not found")) {
        Some(table) => anyhow!("table `{table}` not found; SHOW TABLES lists those there are"),
        None => anyhow!("{said}"),
    }
}

/// The one statement of a text, if it is a question.
fn parse(sql: &str) -> anyhow::Result<Statement> {
    ensure!(sql.len() <= SQL_TEXT_BYTES_MAX, "{} bytes of SQL, at most {SQL_TEXT_BYTES_MAX} are taken", sql.len());
    let words = sql.split(|character: char| !character.is_alphanumeric());
    let explains = words.filter(|word| word.eq_ignore_ascii_case("explain")).count();
    ensure!(explains <= SQL_EXPLAINS_MAX, "{explains} EXPLAIN in one statement, at most {SQL_EXPLAINS_MAX} are taken");
    let dialect = PostgreSqlDialect {};
    let open = brackets_within(sql, dialect);
    ensure!(open <= SQL_BRACKETS_MAX, "{open} brackets within each other, at most {SQL_BRACKETS_MAX} are taken");
    check_uncounted(sql)?;
    let bounded = Bounded::default();
    let parser = DFParserBuilder::new(sql).with_dialect(&bounded).build();
    let mut parser = parser.map_err(|error| said_once(&error))?;
    let parsed = parser.parse_statements();
    bounded.check()?;
    let mut statements = parsed.map_err(|error| said_once(&error))?;
    ensure!(statements.len() <= 1, "{} statements at once; ask one after the other", statements.len());
    let Some(statement) = statements.pop_front() else { bail!("there is no statement") };
    // Before anything goes down into it: whoever overflows a stack ends the process, with all that watches.
    ensure!(
        !is_deep(&statement),
        "more than {SQL_LEVELS_MAX} operators, tables or UNIONs within each other; compare one column with many values by IN"
    );
    let read = read(&statement);
    ensure!(
        read <= SQL_READS_MAX,
        "{read} tables and queries are read, those of WITH each time that they are named; at most {SQL_READS_MAX} are"
    );
    let asks = match &statement {
        Statement::Statement(statement) => matches!(
            **statement,
            Sql::Query(_)
                | Sql::Explain { .. }
                | Sql::ExplainTable { .. }
                | Sql::ShowVariable { .. }
                | Sql::ShowTables { .. }
                | Sql::ShowColumns { .. }
        ),
        Statement::Explain(_) => true,
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    };
    let name = statement.to_string();
    let name = name.split_whitespace().next().unwrap_or_default().to_uppercase();
    ensure!(asks, "{name} is refused; {ONLY_QUESTIONS}");
    Ok(statement)
}

/// How many brackets of a text are open at once. A text that has no tokens is told by the parser what is wrong.
fn brackets_within(sql: &str, dialect: PostgreSqlDialect) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for token in Tokenizer::new(&dialect, sql).tokenize().unwrap_or_default() {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => open += 1,
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

fn is_deep(statement: &Statement) -> bool {
    match statement {
        Statement::Statement(statement) => is_deeper(statement, SQL_LEVELS_MAX),
        Statement::Explain(explain) => is_deep(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => false,
    }
}

fn read(statement: &Statement) -> u64 {
    match statement {
        Statement::Statement(statement) => reads(statement),
        Statement::Explain(explain) => read(&explain.statement),
        Statement::CreateExternalTable(_) | Statement::CopyTo(_) | Statement::Reset(_) => 0,
    }
}

fn recipes() -> Vec<Recipe> {
    let recipe = |name, schema, topic, kinds, make: Arc<dyn Fn() -> Box<dyn Rows> + Send + Sync>| {
        let sources: pushdown::Sources = pushdown::of_system;
        Recipe { name, schema, topic, kinds, sources, make }
    };
    let found = schema(&FINDINGS);
    let findings = {
        let schema = Arc::clone(&found);
        let make = move || -> Box<dyn Rows> {
            Box::new(Findings { table: &FINDINGS, schema: Arc::clone(&schema), rows: Vec::new() })
        };
        recipe("findings", found, Topic::Conclusions, Kinds::named(&["finding.created"]), Arc::new(make))
    };
    let mut all = vec![Recipe { sources: of_findings, ..findings }];
    let alerts = Kinds { beginnings: vec!["alert.".to_owned()], ..Kinds::named(&["incident.paged"]) };
    let responses = Kinds { beginnings: vec!["response.".to_owned()], ..Kinds::default() };
    for (shown, topic, kinds) in [
        (Shown::Alerts, Topic::Conclusions, alerts.clone()),
        (Shown::Incidents, Topic::Conclusions, alerts),
        (Shown::Responses, Topic::Events, responses),
    ] {
        let columns = schema(shown.table());
        let schema = Arc::clone(&columns);
        let make = move || -> Box<dyn Rows> { Box::new(Folded::new(shown, Arc::clone(&schema))) };
        all.push(recipe(shown.table().name, columns, topic, kinds, Arc::new(make)));
    }
    all.extend(TABLES.iter().map(|table| {
        let make = move || -> Box<dyn Rows> { Box::new(Declared { table, systems: BTreeMap::new() }) };
        let kinds = Kinds::named(&["inventory.activated"]);
        recipe(table.name, table.schema(), Topic::Events, kinds, Arc::new(make))
    }));
    all
}
