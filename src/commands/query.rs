//! `keywatch query`: SQL over a log that is not running, or over files of event lines.
//!
//! Reads arguments and shows rows; what a query may say and how it is read stands in [`crate::service::sql`].

use std::io::{BufWriter, Stdout, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use indicatif::ProgressBar;
use keywatch_store::{Log, Topic};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::time::{Instant as Deadline, timeout_at};

use super::backtest::input::{lacks, open_log};
use crate::limits::{QUERY_PROGRESS_MILLISECONDS, QUERY_ROW_GROUP_ROWS_MAX, QUERY_ROWS_SHOWN_MAX, SQL_STACK_BYTES};
use crate::output;
use crate::service::sql::cells::Cells;
use crate::service::sql::records::{Reading, Records};
use crate::service::sql::session::{Memory, Session};
use crate::service::sql::tables::Scope;

/// Ask a log, or files of event lines, in SQL.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch query \"SELECT kind, count(*) FROM events GROUP BY kind ORDER BY 2 DESC\" keywatch-data
  keywatch query \"SELECT time, kind, actor, wallet FROM events WHERE session = 's-1' ORDER BY time\" keywatch-data
  keywatch query --format csv \"SELECT * FROM findings WHERE severity = 'critical'\" keywatch-data > findings.csv
  keywatch query \"SELECT count(*) FROM events\" replay-data/2025-02-bybit

Tables: events, conclusions, findings, alerts, incidents, responses, and those of the inventory (docs/sql.md). Nothing is \
changed but segments/ in the log's directory, which says what need not be read; it can be deleted.
Exit codes: 0 answered; 2 not answered.")]
pub(crate) struct Arguments {
    /// One question: SELECT, WITH, EXPLAIN or SHOW
    sql: String,
    /// A log's directory, or files of event lines, or directories with an events.jsonl
    #[arg(value_name = "PATH", default_value = "keywatch-data")]
    paths: Vec<PathBuf>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Rows that a table shows; the other formats write all
    #[arg(long, value_name = "N", default_value_t = QUERY_ROWS_SHOWN_MAX)]
    rows: usize,
    /// Seconds after which the query is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
    /// Megabytes that sorting, grouping and joining may take
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    memory: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// RFC 4180, with a heading
    Csv,
    /// One JSON object a line
    Json,
    /// An Apache Parquet file, with the types of the columns
    Parquet,
}

/// Where rows go as they come.
enum Writer {
    Table { rows: Vec<Vec<String>>, most: usize },
    Csv(BufWriter<Stdout>),
    Json(BufWriter<Stdout>, SchemaRef),
    Parquet(Box<ArrowWriter<BufWriter<Stdout>>>),
}

/// Runs the command.
///
/// # Errors
/// The paths cannot be read, the query is none or takes more than it may.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let records = Arc::new(find(&arguments.paths)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(SQL_STACK_BYTES).build();
    let runtime = runtime.context("cannot start threads")?;
    let begun = Instant::now();
    let work = || runtime.block_on(answer(arguments, &records));
    let answered = thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(SQL_STACK_BYTES);
        let running = builder.spawn_scoped(scope, work).context("cannot start a thread")?;
        running.join().unwrap_or_else(|_| Err(anyhow!("the query broke off; this is a defect of keywatch")))
    });
    // A thread that still reads sees at its next batch that nobody listens.
    runtime.shutdown_timeout(Duration::from_secs(5));
    let (rows, reading) = answered?;
    output::note(&format!(
        "{rows} rows in {:.3} s; {} records read, {} not",
        begun.elapsed().as_secs_f64(),
        reading.read(),
        reading.skipped()
    ));
    Ok(ExitCode::SUCCESS)
}

/// A log with its segments brought up to date, or files.
fn find(paths: &[PathBuf]) -> anyhow::Result<Records> {
    if let [path] = paths
        && path.join("LOCK").is_file()
        && path.join("data").is_dir()
    {
        let log = open_log(path)?;
        for said in lacks(path, Topic::ALL.map(|topic| log.end(topic)))? {
            output::note(&format!("{}: {said}", path.display()));
        }
        let segments = Arc::new(log.segments());
        for topic in Topic::ALL {
            let bar = output::progress(usize::try_from(log.end(topic).0).unwrap_or(usize::MAX));
            segments.catch_up(&log, topic, |records| {
                bar.inc(records);
                ControlFlow::Continue(())
            })?;
            bar.finish_and_clear();
        }
        return Ok(Records::Log(Arc::new(log), segments));
    }
    let file = |path: &PathBuf| {
        let inside = path.join("events.jsonl");
        let file = if path.is_dir() { inside } else { path.clone() };
        let named = path.display();
        ensure!(path.exists(), "{named}: there is no such file or directory");
        ensure!(
            file.is_file(),
            "{named} is neither a log that keywatch wrote (LOCK and data), nor a file of event lines, nor a directory \
             with an events.jsonl; several paths are read only where all are files"
        );
        Ok(file)
    };
    paths.iter().map(file).collect::<anyhow::Result<_>>().map(Records::Files)
}

async fn answer(arguments: &Arguments, records: &Arc<Records>) -> anyhow::Result<(usize, Arc<Reading>)> {
    let session = Session::new(records, &Scope::default(), &Memory::of_bytes(arguments.memory << 20))?;
    let until = Deadline::now() + Duration::from_secs(arguments.timeout);
    let too_long = || anyhow!("the query took longer than {} s; ask for less, or give it --timeout", arguments.timeout);
    let asked = async { session.rows(session.plan(&arguments.sql).await?).await };
    let stream = timeout_at(until, asked).await.map_err(|_| too_long())??;
    let reading = session.reading();
    let bar = Bar::new(Arc::clone(&reading));
    let shown = timeout_at(until, show(arguments, stream)).await.map_err(|_| too_long());
    bar.end().await;
    Ok((shown??, reading))
}

async fn show(arguments: &Arguments, mut stream: SendableRecordBatchStream) -> anyhow::Result<usize> {
    let schema = stream.schema();
    let mut rows = 0;
    let mut writer = Writer::new(arguments, &schema)?;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(|error| anyhow!("{}", error.strip_backtrace()))?;
        rows += batch.num_rows();
        if writer.write(&batch)?.is_break() {
            break;
        }
    }
    writer.end(&schema)?;
    if arguments.format == Format::Table && rows > arguments.rows {
        output::note(&format!("only the first {} rows are shown; --rows or --format shows more", arguments.rows));
        return Ok(arguments.rows);
    }
    Ok(rows)
}

impl Writer {
    fn new(arguments: &Arguments, schema: &SchemaRef) -> anyhow::Result<Writer> {
        Ok(match arguments.format {
            Format::Table => Writer::Table { rows: Vec::new(), most: arguments.rows },
            Format::Csv => {
                let mut out = output::buffered();
                let headings = schema.fields().iter().map(|field| quoted(field.name()));
                writeln!(out, "{}", headings.collect::<Vec<_>>().join(","))?;
                Writer::Csv(out)
            }
            Format::Json => Writer::Json(output::buffered(), Arc::clone(schema)),
            Format::Parquet => {
                ensure!(!output::is_terminal(), "a Parquet file is no text: let it go to a file (`> rows.parquet`)");
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(QUERY_ROW_GROUP_ROWS_MAX))
                    .build();
                let out = output::buffered();
                Writer::Parquet(Box::new(ArrowWriter::try_new(out, Arc::clone(schema), Some(properties))?))
            }
        })
    }

    /// Takes a batch; no further one is asked for once enough is shown.
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<ControlFlow<()>> {
        match self {
            Writer::Table { rows, most } => {
                let room = most.saturating_sub(rows.len());
                rows.extend(texts(batch, room)?);
                // Whether there are more is known by the first that is not shown.
                return Ok(if batch.num_rows() > room { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
            }
            Writer::Csv(out) => write_csv(out, batch)?,
            Writer::Json(out, schema) => write_json(out, schema, batch)?,
            Writer::Parquet(writer) => writer.write(batch)?,
        }
        Ok(ControlFlow::Continue(()))
    }

    fn end(self, schema: &SchemaRef) -> anyhow::Result<()> {
        match self {
            Writer::Table { rows, .. } => {
                let headings: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
                output::line(&output::rows(&headings, rows))?;
            }
            Writer::Csv(mut out) | Writer::Json(mut out, _) => out.flush()?,
            Writer::Parquet(writer) => writer.into_inner()?.flush()?,
        }
        Ok(())
    }
}

fn texts(batch: &RecordBatch, most: usize) -> anyhow::Result<Vec<Vec<String>>> {
    let cells = Cells::of(batch)?;
    let rows = 0..batch.num_rows().min(most);
    Ok(rows.map(|row| cells.row(row).map(Option::unwrap_or_default).collect()).collect())
}

fn write_csv(out: &mut impl Write, batch: &RecordBatch) -> anyhow::Result<()> {
    let cells = Cells::of(batch)?;
    for row in 0..batch.num_rows() {
        let row: Vec<String> = cells.row(row).map(|cell| quoted(&cell.unwrap_or_default())).collect();
        writeln!(out, "{}", row.join(","))?;
    }
    Ok(())
}

/// A field of RFC 4180.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn write_json(out: &mut impl Write, schema: &SchemaRef, batch: &RecordBatch) -> anyhow::Result<()> {
    let cells = Cells::of(batch)?;
    for row in 0..batch.num_rows() {
        let names = schema.fields().iter().map(|field| field.name().clone());
        let object: serde_json::Map<_, _> = names.zip(cells.json(row)).collect();
        serde_json::to_writer(&mut *out, &object)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Moves a bar while records are read.
struct Bar {
    bar: ProgressBar,
    moving: tokio::task::JoinHandle<()>,
}

impl Bar {
    fn new(reading: Arc<Reading>) -> Bar {
        let bar = output::progress_of_records();
        let moved = bar.clone();
        let moving = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(QUERY_PROGRESS_MILLISECONDS));
            // The first tick comes at once, and a short query shows no bar.
            tick.tick().await;
            loop {
                tick.tick().await;
                if reading.planned() > 0 {
                    moved.set_length(reading.planned());
                }
                moved.set_position(reading.read());
            }
        });
        Bar { bar, moving }
    }

    async fn end(self) {
        self.moving.abort();
        // It was only asked to end.
        let _ = self.moving.await;
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_quoted_where_it_has_to_be() {
        assert_eq!(["a", "a,b", "say \"a\"", "a\nb"].map(quoted), ["a", "\"a,b\"", "\"say \"\"a\"\"\"", "\"a\nb\""]);
    }

    #[test]
    fn what_is_no_log_and_no_file_is_named() {
        let error = find(&[PathBuf::from("nowhere")]).err().unwrap().to_string();
        assert_eq!(error, "nowhere: there is no such file or directory");
        let empty = tempfile::tempdir().unwrap();
        let error = find(&[empty.path().to_owned()]).err().unwrap().to_string();
        assert!(error.contains(" is neither a log that keywatch wrote"), "{error}");
    }
}
