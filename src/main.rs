//! The `keywatch` command. This file reads the command line and turns outcomes into exit codes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`commands`] | one module a subcommand: arguments in, words out |
//! | [`service`] | what `keywatch run` is made of |
//! | [`explanation`] | what a rule means and how it is run |
//! | [`incident`], [`event_files`] | incidents of `replay-data/`; event lines and inventories as files hold them |
//! | [`output`], [`clock`], [`limits`] | what is printed, what time it is, what is bounded |
//! | [`words`] | names, amounts and spans as people say them |
//!
//! The binary wires and decides nothing: what an event, a rule or an alert is stands in the rooms.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod clock;
mod commands;
mod event_files;
mod explanation;
mod incident;
mod limits;
mod output;
mod rule_files;
mod service;
mod wording;

use commands::{
    agent, backtest, chain, deliveries, demo, detectors, doctor, feeds, import, indicators, init, log, operator, pdp,
    query, replay, run, simulate,
};

/// Events are made of many short texts, taken and given back by the million: with it, reading lines and running rules over
/// them takes half the time that it takes with the allocator of glibc (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Watches the environment in which crypto-custody keys are used, and cuts the session when something stops adding up.
///
/// keywatch joins what happens around a signature (session, policy decision, signing request, approvals, signature,
/// transaction) into one append-only log, runs rules over it, tells people within a second, and revokes the session at
/// the policy decision point, with proof.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 110,
    after_help = "\
Start here:
  keywatch demo                          the Bybit theft of 2025-02-21, caught
  keywatch replay replay-data/2025-02-bybit --check
                                         its records, and are the findings right?
  keywatch detectors list                the rules
  keywatch backtest LOG                  what they would have found and cost over your history
  keywatch import --feed safe --system cold FILE
                                         your own records as event lines
  keywatch init FILE --output DIR        an inventory and a configuration proposed from them
  keywatch run --print-config            a configuration for your own machine
  keywatch agent --file LOG              ships what a machine writes to a running keywatch
  keywatch doctor                        is everything there, and does every source speak?
  keywatch chain check                   can the nodes of its chains be followed?
  keywatch alerts list                   what it has found, and who sees to it
  keywatch responses list                what it has stopped, and what waits for you
  keywatch sources list                  who may send, and when each was last heard
  keywatch query \"SELECT count(*) FROM events\" keywatch-data
                                         SQL over a log or over event lines
  keywatch deliveries test RECEIVER      does a page arrive?
  keywatch log check keywatch-data       is the log whole?

Exit codes: 0 done; 1 done, and something is not as it should be (a check
differs, a record was rejected); 2 not done.
KEYWATCH_LOG selects log lines on standard error, e.g. KEYWATCH_LOG=debug."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Replay(replay::Arguments),
    Backtest(backtest::Arguments),
    Run(run::Arguments),
    Agent(agent::Arguments),
    Import(import::Arguments),
    Indicators(indicators::Arguments),
    Init(init::Arguments),
    Chain(chain::Arguments),
    Feeds(feeds::Arguments),
    Log(log::Arguments),
    Query(query::Arguments),
    Pdp(pdp::Arguments),
    Detectors(detectors::Arguments),
    Deliveries(deliveries::Arguments),
    Doctor(doctor::Arguments),
    Simulate(simulate::Arguments),
    Alerts(operator::AlertsArguments),
    Incidents(operator::IncidentsArguments),
    Responses(operator::ResponsesArguments),
    Sessions(operator::SessionsArguments),
    Sources(operator::SourcesArguments),
    About(operator::AboutArguments),
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    // Nothing else in this process chooses a cryptography provider, so the first choice stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = match &command {
        Command::Run(arguments) => run::run(arguments),
        Command::Agent(arguments) => agent::run(arguments),
        other => {
            // A client of Kafka calls the end of a partition an error; what is one is the command's to say.
            output::start_logging("warn,rdkafka::client=off", output::LogFormat::Text);
            offline(other)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error);
            ExitCode::from(2)
        }
    }
}

fn offline(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(arguments) => demo::run(arguments),
        Command::Replay(arguments) => replay::run(arguments),
        Command::Backtest(arguments) => backtest::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Indicators(arguments) => indicators::run(arguments),
        Command::Init(arguments) => init::run(arguments),
        Command::Chain(arguments) => chain::run(arguments),
        Command::Feeds(arguments) => feeds::run(arguments),
        Command::Log(arguments) => log::run(arguments),
        Command::Query(arguments) => query::run(arguments),
        Command::Pdp(arguments) => pdp::run(arguments),
        Command::Detectors(arguments) => detectors::run(arguments),
        Command::Deliveries(arguments) => deliveries::run(arguments),
        Command::Doctor(arguments) => doctor::run(arguments),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Run(arguments) => run::run(arguments),
        Command::Agent(arguments) => agent::run(arguments),
        Command::Alerts(arguments) => operator::alerts(arguments),
        Command::Incidents(arguments) => operator::incidents(arguments),
        Command::Responses(arguments) => operator::responses(arguments),
        Command::Sessions(arguments) => operator::sessions(arguments),
        Command::Sources(arguments) => operator::sources(arguments),
        Command::About(arguments) => operator::about(arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_subcommand_says_what_it_is_for_and_shows_an_example() {
        for command in CommandLine::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name} has no description");
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains(&format!("keywatch {name}")), "{name} shows no example");
        }
    }
}
