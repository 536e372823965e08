//! `keywatch chain`: follows the chains of a configuration without the rest of the service, reads a range of old blocks, and
//! says whether nodes can be followed.

mod event_file;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures::stream::{self, StreamExt};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Inventory, Log, line};
use tokio::sync::{Notify, watch};

use self::event_file::{EventFile, Progress};
use crate::limits::{BACKFILL_KEPT_BLOCKS, FOLLOW_FETCHES_MAX, SHUTDOWN_SECONDS_MAX};
use crate::service::chains::endpoints::Endpoints;
use crate::service::chains::follower::chain::{Chain, Fetched};
use crate::service::chains::node::{Class, Node, Trouble};
use crate::service::chains::start::{self, AnyChain};
use crate::service::config::{self, Config, Overrides};
use crate::service::declared::Current;
use crate::service::intake::Intake;
use crate::service::inventory_file;
use crate::service::metrics::Metrics;
use crate::service::serve;
use crate::{clock, output};

/// Follow chains, read old blocks, check nodes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch chain check                                   can the nodes of keywatch.toml be followed?
  keywatch chain backfill ethereum-node --from 21895000 --to 21895500 > events.jsonl
                                                         events of old blocks, e.g. of a wallet that was added
  keywatch chain backfill ethereum-node --from 19000000 --out events.jsonl
                                                         the same into a file; called again after an interruption, it goes on
  keywatch chain follow                                  blocks into the log, without rules, alerts and the front door

docs/chains.md says what is read and what is told. `keywatch run` follows the same chains beside everything else.
Exit codes: 0 done; 1 a node cannot be followed; 2 not done.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Read blocks into the log until it is stopped; no other keywatch may have the log open
    Follow(Place),
    /// Write the events of a range of blocks to standard output or a file, one a line
    Backfill(Range),
    /// Ask each node what it is, where it stands, and whether it answers everything that is asked of it
    Check(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "keywatch.toml", env = "KEYWATCH_CONFIG")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Debug, clap::Args)]
struct Range {
    /// The source of the chain, as [[chains]] names it
    #[arg(value_name = "SOURCE")]
    source: String,
    /// First block; on an interruption, go on from the one that was named
    #[arg(long, value_name = "HEIGHT")]
    from: u64,
    /// Last block [default: the newest]
    #[arg(long, value_name = "HEIGHT")]
    to: Option<u64>,
    /// File for the events; how far it goes is kept beside it in FILE.progress, and the same command goes on there
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// Runs the command.
///
/// # Errors
/// The configuration is wrong, the log cannot be opened or written, nodes do not answer.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let done = match &arguments.action {
        Action::Follow(place) => runtime.block_on(follow(place)),
        Action::Backfill(range) => runtime.block_on(backfill(range)),
        Action::Check(place) => runtime.block_on(check(place)),
    };
    runtime.shutdown_timeout(Duration::from_secs(SHUTDOWN_SECONDS_MAX));
    done
}

async fn follow(place: &Place) -> anyhow::Result<ExitCode> {
    let (config, inventory) = place.load()?;
    ensure!(
        config.log.kafka.is_empty(),
        "log.kafka: this command writes to the embedded log only; with a log on Kafka `keywatch run --role evaluate` follows \
         [[chains]] beside everything else"
    );
    let log = Arc::new(EmbeddedLog::open(&config.data, Options::new(Clock::Wall))?);
    let (stop, stopping) = watch::channel(false);
    serve::stop_on_signal(stop)?;
    let intake = Intake {
        log: Arc::<EmbeddedLog>::clone(&log),
        inventory: Current::new(inventory),
        metrics: Metrics::new(),
        appended: Arc::new(Notify::new()),
    };
    let log: Arc<dyn Log> = log;
    let intake = Arc::new(intake);
    // The next `keywatch run` writes into the log what is declared.
    let declared = inventory_file::follow(&config, &intake, false, None);
    let mut followers = start::followers(&config.chains, &log, &declared, &intake, &stopping)?;
    while let Some(ended) = followers.join_next().await {
        ended.context("a follower broke off; this is a defect of keywatch")??;
    }
    Ok(ExitCode::SUCCESS)
}

async fn backfill(range: &Range) -> anyhow::Result<ExitCode> {
    let (config, inventory) = range.place.load()?;
    let named = |chain: &&config::Chain| chain.source == range.source;
    let Some(configured) = config.chains.iter().find(named) else {
        let sources: Vec<&str> = config.chains.iter().map(|chain| chain.source.as_str()).collect();
        bail!("[[chains]] has no source `{}`; it has {}", range.source, sources.join(", "));
    };
    let system = inventory.system(&configured.system).context("the inventory has no such system")?;
    let endpoints = start::endpoints(configured, &Metrics::new())?;
    match start::configured(configured, system)? {
        AnyChain::Evm(chain) => read(chain.as_ref(), &endpoints, range).await,
        AnyChain::Bitcoin(chain) => read(&chain, &endpoints, range).await,
    }
}

async fn read<C: Chain>(chain: &C, endpoints: &Endpoints, range: &Range) -> anyhow::Result<ExitCode> {
    let begun = range.out.as_deref().map(EventFile::begun).transpose()?.flatten();
    let newest = endpoints.agreed(|node| async move { chain.head(&node).await }, u64::to_string).await?.answer;
    let to = range.to.or(begun.as_ref().map(|begun| begun.to)).unwrap_or(newest);
    ensure!(to <= newest, "--to: the newest block is {newest}");
    ensure!(range.from <= to, "--from: it is behind block {to}");
    let (mut next, mut events) = (range.from, 0);
    if let Some(begun) = &begun {
        check_begun(begun, range, to)?;
        output::note(&format!("{} blocks and {} events are there; it goes on", begun.next - begun.from, begun.events));
        (next, events) = (begun.next, begun.events);
        chain.take_used(&begun.used);
    }
    let mut file = range.out.as_deref().map(|path| opened(path, begun, range, to)).transpose()?;
    let mut out = output::buffered();
    let bar = output::progress(usize::try_from(to - range.from + 1).unwrap_or(usize::MAX));
    bar.set_position(next - range.from);
    let fetch = |height| async move { (height, block(chain, endpoints, height).await) };
    let mut fetching = stream::iter(next..=to).map(fetch).buffered(FOLLOW_FETCHES_MAX);
    while let Some((height, fetched)) = fetching.next().await {
        let mut fetched = fetched?;
        // A block before it may have shown addresses to be used that nobody watched when it was fetched.
        while chain.is_outgrown(&fetched) {
            fetched = block(chain, endpoints, height).await?;
        }
        for event in chain.news(&fetched, 0) {
            events += 1;
            match &mut file {
                Some(file) => writeln!(file, "{}", line::write(&event))?,
                None => writeln!(out, "{}", line::write(&event))?,
            }
        }
        if let Some(file) = &mut file
            && (height + 1).is_multiple_of(BACKFILL_KEPT_BLOCKS)
        {
            file.keep(height + 1, events, chain.used())?;
        }
        bar.inc(1);
    }
    out.flush()?;
    file.map_or(Ok(()), EventFile::finish)?;
    bar.finish_and_clear();
    output::note(&format!("{} blocks, {events} events", to - range.from + 1));
    Ok(ExitCode::SUCCESS)
}

/// A file that was begun goes on with the same range of the same source.
fn check_begun(begun: &Progress, range: &Range, to: u64) -> anyhow::Result<()> {
    let is_same = (begun.source.as_str(), begun.from, begun.to) == (range.source.as_str(), range.from, to);
    let Progress { source, from, to, .. } = begun;
    ensure!(is_same, "--out: it was begun for `{source}` --from {from} --to {to}; say the same, or name another file");
    Ok(())
}

fn opened(path: &Path, begun: Option<Progress>, range: &Range, to: u64) -> anyhow::Result<EventFile> {
    let file = match begun {
        Some(begun) => EventFile::go_on(path, begun),
        None => EventFile::create(path, &range.source, range.from, to),
    };
    file.context("--out")
}

/// A block as enough nodes have it.
async fn block<C: Chain>(chain: &C, endpoints: &Endpoints, height: u64) -> anyhow::Result<Fetched<C::Block>> {
    let mark =
        |fetched: &Option<Fetched<C::Block>>| fetched.as_ref().map_or_else(String::new, |fetched| chain.mark(fetched));
    let asked = endpoints.agreed(move |node| async move { chain.fetch(&node, height).await }, mark).await;
    let fetched = asked.map_err(anyhow::Error::from).and_then(|agreed| agreed.answer.context("no node has it"));
    fetched.with_context(|| format!("block {height} (go on with --from {height})"))
}

async fn check(place: &Place) -> anyhow::Result<ExitCode> {
    let (config, inventory) = place.load()?;
    ensure!(!config.chains.is_empty(), "{} has no [[chains]]", place.config.display());
    let mut fine = true;
    let mut rows = Vec::new();
    for configured in &config.chains {
        let system = inventory.system(&configured.system).context("the inventory has no such system")?;
        let chain = start::configured(configured, system)?;
        for node in start::endpoints(configured, &Metrics::new())?.nodes() {
            let looked = match &chain {
                AnyChain::Evm(chain) => look(chain.as_ref(), node).await,
                AnyChain::Bitcoin(chain) => look(chain, node).await,
            };
            fine &= looked.is_ok();
            let [height, age, said] =
                looked.unwrap_or_else(|trouble| [String::new(), String::new(), trouble.to_string()]);
            rows.push([configured.source.clone(), configured.chain.clone(), node.name().to_owned(), height, age, said]);
        }
    }
    output::line(&output::table(["source", "chain", "endpoint", "newest block", "age", "says"], rows))?;
    Ok(ExitCode::from(u8::from(!fine)))
}

/// Height and age of a node's newest block, read whole as a follower would.
async fn look<C: Chain>(chain: &C, node: &Node) -> Result<[String; 3], Trouble> {
    chain.check(node).await?;
    let head = chain.head(node).await?;
    let fetched = chain.fetch(node, head).await?;
    let fetched =
        fetched.ok_or_else(|| node.trouble(Class::Missing, "it does not have its own newest block".into()))?;
    let seconds = clock::now().unix_seconds() - fetched.at.time.unix_seconds();
    // What a block may be read without, and this one has to be.
    let problem = chain.asked(&fetched).problem().map(str::to_owned);
    Ok([head.to_string(), format!("{seconds} s"), problem.unwrap_or_else(|| "fine".to_owned())])
}

impl Place {
    fn load(&self) -> anyhow::Result<(Config, Inventory)> {
        config::load(&self.config, &self.overrides)
    }
}
