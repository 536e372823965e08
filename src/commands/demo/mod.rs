//! `keywatch demo`: an incident through the running pipeline, at many times its own pace.
//!
//! | module | what it does |
//! |---|---|
//! | [`environment`] | the pipeline on embedded parts |
//! | [`playback`] | feeds the records in, one by one, at their own pace |
//! | [`stage`] | the page over it, where that is asked for |
//! | [`transcript`] | the lines that are shown while it plays |
//! | [`storyline`] | which of them belong on one screen |
//! | [`narration`] | one event as a sentence |
//! | [`summary`] | the summary at the end, and the proof |
//! | [`elsewhere`] | its sources' records to a running keywatch, as if it happened now |

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};

use crate::incident::Incident;

mod elsewhere;
pub(crate) mod environment;
mod narration;
mod playback;
mod served_page;
mod storyline;
mod summary;
mod transcript;

/// Watch a real theft being caught: the incident's records run through the live pipeline.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch demo                                    the Bybit theft of 2025-02-21
  keywatch demo --incident 2024-05-dmm-bitcoin     the DMM Bitcoin theft of 2024-05-31
  keywatch demo --speed 100000                     faster
  keywatch demo --serve                            on the web page too, which stays until ctrl-c
  keywatch demo --all                              every record and every finding, not the story alone
  keywatch demo --data /tmp/demo                   keep the log, to look at it afterwards
  keywatch demo --to http://127.0.0.1:8040 --tokens tokens.toml
                                                   what its sources said, to a keywatch that runs

With --to, times are moved so that the loss is now; what is found, told and stopped is seen there. Else everything runs in \
this process: the embedded log, the rules, and a policy decision point with keywatch's own Rego \
policies. Nothing leaves the machine. It ends by itself, also without a terminal, unless the page is served.")]
pub(crate) struct Arguments {
    /// Incident to play: a folder of replay-data
    #[arg(long, value_name = "NAME", default_value = "2025-02-bybit")]
    pub(crate) incident: String,
    /// How many times faster than it happened; pauses where the story does, for three seconds at most
    #[arg(long, value_name = "N", default_value_t = 240.0)]
    pub(crate) speed: f64,
    /// Serve the web page of it too, on a port of 127.0.0.1: an address and a token to sign in with are printed
    #[arg(long)]
    pub(crate) serve: bool,
    /// Show every record and every finding, not the story alone
    #[arg(long)]
    pub(crate) all: bool,
    /// Directory for the log, new or empty, kept afterwards [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Send what its sources said to the keywatch at this address instead, which has to know its system and sources
    #[arg(long, value_name = "URL", requires = "tokens", conflicts_with_all = ["speed", "all", "data", "serve"])]
    pub(crate) to: Option<String>,
    /// File with a line `source = "token"` for each of its sources
    #[arg(long, value_name = "FILE", requires = "to")]
    pub(crate) tokens: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being done.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    ensure!(arguments.speed.is_finite() && arguments.speed > 0.0, "--speed must be above zero");
    let incident = Incident::find(&arguments.incident)?;
    if let (Some(url), Some(tokens)) = (&arguments.to, &arguments.tokens) {
        elsewhere::send(&incident, url, tokens)?;
        return Ok(ExitCode::SUCCESS);
    }
    let temporary = tempfile::tempdir().context("cannot make a temporary directory; name one with --data")?;
    let data = arguments.data.clone().unwrap_or_else(|| temporary.path().join("log"));
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    runtime.block_on(playback::play(&incident, &data, arguments.speed, arguments.all, arguments.serve))?;
    if arguments.data.is_some() {
        crate::output::line(&format!("The log is kept in {}.", data.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
