//! `keywatch agent`: ships the lines of files that grow, or of its standard input, to a running keywatch over a stream
//! (docs/agent.md). Every line is in the log once, whatever happens to the network, to keywatch or to the agent.
//!
//! | module | what it does |
//! |---|---|
//! | [`inputs`] | reads files and standard input, on a thread of its own |
//! | [`tail`], [`place`], [`lines`] | a file that is followed; where it was left; where lines end |
//! | [`spool`] | what was read and is not acknowledged, on disk |
//! | [`sender`], [`connection`] | sends it; the stream to keywatch |
//! | [`condition`] | what the agent says of itself |
//!
//! Nothing here knows what a line means: the feed at the other end reads it.

mod condition;
mod connection;
mod inputs;
mod lines;
mod place;
mod sender;
mod spool;
mod tail;

use std::path::{PathBuf, absolute};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use tokio::sync::watch;

use self::condition::Condition;
use self::connection::{Server, Target};
use self::sender::{Sender, Sent};
use self::spool::Spool;
use self::tail::Tail;
use crate::limits::{AGENT_FILES_MAX, AGENT_ROTATED_SECONDS};
use crate::output::{self, LogFormat};
use crate::service::serve::stop_on_signal;

/// Files that osquery's logger plugin `filesystem` writes.
const OSQUERY_FILES: [&str; 2] = ["osqueryd.results.log", "osqueryd.snapshots.log"];

/// Ship the lines of growing files, or of standard input, to a running keywatch.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch agent --url https://kw.example:8040 --feed events --token-file token --file /var/log/signer.jsonl
  keywatch agent --url https://kw.example:8040 --token-file token --osquery /var/log/osquery
  journalctl -f -o json -u signer | keywatch agent --feed signer-journal --token-file token
  keywatch agent --feed events --token-file token --file old.jsonl --once

Files are followed through renames and truncations. What keywatch has not acknowledged is kept in the directory of \
--state, up to --buffer-mib; when that is full nothing more is read, and the agent says so. Killed and started again it \
goes on where it was. It needs no root, only the right to read its files.
A line is one record of the feed; keywatch keeps one that it cannot understand as a reject.

Exit codes: 0 everything is sent, or it was told to stop; 1 everything is sent, and keywatch rejected records, or it was \
told to stop before --once or standard input was sent; 2 not done.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// File whose lines are sent, from its beginning; may be given several times. Standard input without any
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Directory with the result logs of osquery
    #[arg(long, value_name = "DIR")]
    osquery: Option<PathBuf>,
    /// Directory for what is not acknowledged, and for how far each file was read; one agent each
    #[arg(long, value_name = "DIR", default_value = "keywatch-agent")]
    state: PathBuf,
    /// Most that is kept there, in MiB
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(2..=1_048_576))]
    buffer_mib: u64,
    /// Seconds between two heartbeats of the source
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    heartbeat_seconds: u64,
    /// Send what is there now, and exit
    #[arg(long)]
    once: bool,
    /// How log lines on standard error are written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl Arguments {
    /// As they are known wherever the agent is started.
    fn paths(&self) -> anyhow::Result<Vec<PathBuf>> {
        let of_osquery = self.osquery.iter().flat_map(|directory| OSQUERY_FILES.map(|name| directory.join(name)));
        let paths = self.files.iter().cloned().chain(of_osquery);
        paths.map(|path| absolute(&path).with_context(|| path.display().to_string())).collect()
    }

    fn check(&self, paths: &[PathBuf]) -> anyhow::Result<()> {
        ensure!(
            paths.len() <= AGENT_FILES_MAX,
            "more than {AGENT_FILES_MAX} files; start a further agent for the rest"
        );
        for (index, path) in paths.iter().enumerate() {
            ensure!(!paths[..index].contains(path), "{} is given twice", path.display());
        }
        if let Some(directory) = &self.osquery {
            ensure!(directory.is_dir(), "{} is no directory", directory.display());
        } else if self.once {
            for path in paths {
                ensure!(path.is_file(), "{} is no file", path.display());
            }
        }
        Ok(())
    }
}

/// Runs the command.
///
/// # Errors
/// An argument is wrong, keywatch refuses the agent, or the directory of its state cannot be used.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    output::start_logging("info", arguments.log_format);
    let paths = arguments.paths()?;
    arguments.check(&paths)?;
    let target = Target::new(&arguments.server)?;
    let spool = Arc::new(Spool::open(&arguments.state, arguments.buffer_mib << 20)?);
    let condition = Arc::new(Condition::default());
    let ends = arguments.once || paths.is_empty();
    let reader = read(arguments, paths, &spool, &condition)?;
    let sender = Sender {
        target: &target,
        spool: &spool,
        condition: &condition,
        heartbeat: Duration::from_secs(arguments.heartbeat_seconds),
        sent: Sent::default(),
    };
    // One thread is enough to wait for a network.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let sent = runtime.block_on(async {
        let (stop, stopping) = watch::channel(false);
        stop_on_signal(stop)?;
        sender.run(stopping).await
    });
    spool.stop();
    let read = reader.join().map_err(|_| anyhow!("reading broke off; this is a defect of keywatch"))?;
    let sent = sent?;
    read?;
    let (waiting, _) = spool.waiting();
    tracing::info!(events = sent.events, repeats = sent.repeats, rejected = sent.rejected, waiting, "done");
    let is_as_it_should_be = sent.rejected == 0 && !(ends && waiting > 0);
    Ok(if is_as_it_should_be { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Reads the inputs, on a thread that ends when they have ended or reading is to end.
fn read(
    arguments: &Arguments,
    paths: Vec<PathBuf>,
    spool: &Arc<Spool>,
    condition: &Arc<Condition>,
) -> anyhow::Result<thread::JoinHandle<anyhow::Result<()>>> {
    let (spool, condition) = (Arc::clone(spool), Arc::clone(condition));
    let once = arguments.once;
    let patience = (!once).then_some(Duration::from_secs(AGENT_ROTATED_SECONDS));
    let reading = move || {
        let read = if paths.is_empty() {
            inputs::pipe(&spool, &condition)
        } else {
            let tail = |path: &PathBuf| {
                // Which files osquery writes depends on its queries.
                let expected = !OSQUERY_FILES.iter().any(|name| path.ends_with(name));
                Tail::new(path, expected, spool.place(&path.display().to_string()), patience)
            };
            inputs::follow(paths.iter().map(tail).collect(), once, &spool, &condition)
        };
        // Whether it has ended or failed: what is kept is sent.
        spool.finish();
        read
    };
    thread::Builder::new().name("inputs".to_owned()).spawn(reading).context("cannot start a thread")
}
