//! `keywatch-stranger`: writes a history of honest days, or the table of the noise that backtests of some gave.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use keywatch_stranger::{History, Request, Size, noise};

const USAGE: &str = "\
usage: keywatch-stranger --seed N [--days 30] [--start 2025-03-01] [--size small|exchange] --out DIR
       keywatch-stranger --noise REPORT.json ...

Writes DIR/events.jsonl and DIR/inventory.toml, which `keywatch backtest DIR` reads; or prints how many alerts the reports of
`keywatch backtest --format json` hold, by rule, week and system.";

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(told) => {
            // A reader that has gone away is no error of ours.
            let _ = std::io::stdout().write_all(told.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Vec<String>) -> Result<String, String> {
    if arguments.first().is_some_and(|first| first == "--noise") {
        return report(&arguments[1..]);
    }
    let mut asked = Asked { seed: None, days: 30, start: "2025-03-01".to_owned(), size: Size::Exchange, out: None };
    let mut arguments = arguments.into_iter();
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{name}` has no value\n{USAGE}"))?;
        asked.take(&name, value)?;
    }
    asked.write()
}

struct Asked {
    seed: Option<u64>,
    days: i64,
    start: String,
    size: Size,
    out: Option<PathBuf>,
}

impl Asked {
    fn take(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "--seed" => self.seed = Some(value.parse().map_err(|_| format!("`{value}` is no seed: a whole number"))?),
            "--days" => self.days = value.parse().map_err(|_| format!("`{value}` is no number of days"))?,
            "--start" => self.start = value,
            "--out" => self.out = Some(PathBuf::from(value)),
            "--size" => {
                self.size = match value.as_str() {
                    "small" => Size::Small,
                    "exchange" => Size::Exchange,
                    _ => return Err(format!("`{value}` is no size: small or exchange")),
                }
            }
            _ => return Err(format!("`{name}` is not known\n{USAGE}")),
        }
        Ok(())
    }

    fn write(self) -> Result<String, String> {
        let (Some(seed), Some(out)) = (self.seed, self.out) else { return Err(USAGE.to_owned()) };
        let history = History::new(&Request::new(seed, &self.start, self.days, self.size)?)?;
        let told = |error: std::io::Error| format!("cannot write {}: {error}", out.display());
        fs::create_dir_all(&out).map_err(told)?;
        fs::write(out.join("inventory.toml"), &history.inventory).map_err(told)?;
        let lines = history.lines();
        let mut file = BufWriter::new(File::create(out.join("events.jsonl")).map_err(told)?);
        history.write(&mut file).and_then(|()| file.flush()).map_err(told)?;
        Ok(format!("{}: {lines} events of seed {seed}\n", out.display()))
    }
}

fn report(files: &[String]) -> Result<String, String> {
    let read = |file: &String| fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"));
    let reports: Vec<String> = files.iter().map(read).collect::<Result<_, _>>()?;
    noise::table(&reports)
}
