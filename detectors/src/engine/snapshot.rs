//! The engine's memory on disk: what every window remembers, at one position of the log.
//!
//! A snapshot is tables in Arrow's IPC format, one after the other ([`crate::window::stored`]): first one that says what
//! it is, then the systems, their inventories, what tokens call themselves and what is quoted for assets, then the tables of each
//! rule after a table that names it. A rule is known by its fingerprint, a hash of its SQL with parameters filled in, of its plan and
//! of the format; a rule that has another one is not in the snapshot, and is rebuilt from the log while the others go on.
//!
//! Whoever writes one keeps it beside the position of the next record, puts it in place as a whole and checks that it is
//! whole: this module checks what it reads, but knows no checksum.

use std::io::{Read, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use datafusion::error::Result;
use keywatch_store::inventory::{Quote, System};
use keywatch_store::{Instant, Position};

use super::Engine;
use super::fingerprint::FORMAT;
use super::loaded::Loaded;
use crate::error::Error;
use crate::plan::token_names::TokenName;
use crate::window::Systems;
use crate::window::stored::{Saved, Tables, column, damaged, read_table};

impl Engine {
    /// Writes what the windows remember. Parked rules are left out.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when it cannot be written.
    pub fn save(&self, mut out: impl Write) -> std::result::Result<(), Error> {
        self.write(&mut Tables::new(&mut out)).map_err(|source| Error::Snapshot { source })
    }

    /// Takes over what [`Engine::save`] wrote, and gives the rules that are not in it: they remember nothing, and are
    /// parked until somebody takes them through the log ([`super::Retry`]). The engine must be fresh.
    ///
    /// # Errors
    /// [`Error::Snapshot`] when it is damaged or of another format; the engine must be thrown away then.
    pub fn restore(&mut self, mut input: impl Read) -> std::result::Result<Vec<String>, Error> {
        let missing = self.read(&mut input).map_err(|source| Error::Snapshot { source })?;
        for loaded in self.rules.iter_mut().filter(|loaded| missing.contains(&loaded.rule.id)) {
            loaded.park("it is not in the snapshot".to_owned(), Position::default());
        }
        Ok(missing)
    }

    fn write(&self, tables: &mut Tables<'_>) -> Result<()> {
        tables.write("format", vec![("format", text([FORMAT]))])?;
        let (names, complete): (Vec<&str>, Vec<i64>) = self.systems.all().unzip();
        tables.write("systems", vec![("system", text(names)), ("complete", Arc::new(Int64Array::from(complete)))])?;
        let versions: Vec<_> = self.inventories.all();
        let declared = versions.iter().map(|version| serde_json::to_string(&version.system));
        let declared: Vec<String> =
            declared.collect::<std::result::Result<_, _>>().map_err(|error| damaged(&error.to_string()))?;
        let from = versions.iter().map(|version| version.from.0);
        tables.write(
            "inventories",
            vec![
                ("declared", text(declared.iter().map(String::as_str))),
                ("from", Arc::new(Int64Array::from_iter_values(from))),
            ],
        )?;
        self.write_said(tables)?;
        self.write_quotes(tables)?;
        for loaded in self.rules.iter().filter(|loaded| !loaded.parked) {
            let bisects = if loaded.bisects { "yes" } else { "no" };
            let columns =
                vec![("fingerprint", text([loaded.fingerprint.as_str()]) as ArrayRef), ("sifts", text([bisects]))];
            tables.write("rule", columns)?;
            for (number, operator) in loaded.planned.pipeline.operators().enumerate() {
                operator.save(&number.to_string(), &self.systems, tables)?;
            }
        }
        tables.write("end", vec![("rules", text([""]))])
    }

    fn write_said(&self, tables: &mut Tables<'_>) -> Result<()> {
        let said: Vec<_> = self.inventories.said.all().collect();
        let numbers = |number: fn(&TokenName) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(said.iter().map(|(_, _, name)| number(name))))
        };
        tables.write(
            "tokens",
            vec![
                ("system", text(said.iter().map(|(system, _, _)| *system))),
                ("token", text(said.iter().map(|(_, (token, _), _)| token.as_str()))),
                ("chain", text(said.iter().map(|(_, (_, chain), _)| chain.as_str()))),
                ("symbol", text(said.iter().map(|(_, _, name)| name.symbol.as_str()))),
                ("decimals", numbers(|name| i64::from(name.decimals))),
                ("from", numbers(|name| name.from.0)),
            ],
        )
    }

    fn write_quotes(&self, tables: &mut Tables<'_>) -> Result<()> {
        let quotes: Vec<_> = self.inventories.quotes.all().collect();
        let prices: Vec<String> = quotes.iter().map(|(_, _, quote)| quote.price.to_string()).collect();
        let from = quotes.iter().map(|(_, _, quote)| quote.from.0);
        tables.write(
            "quotes",
            vec![
                ("system", text(quotes.iter().map(|(system, _, _)| *system))),
                ("asset", text(quotes.iter().map(|(_, (asset, _), _)| asset.as_str()))),
                ("chain", text(quotes.iter().map(|(_, (_, chain), _)| chain.as_str()))),
                ("source", text(quotes.iter().map(|(_, _, quote)| quote.source.as_str()))),
                ("currency", text(quotes.iter().map(|(_, _, quote)| quote.currency.as_str()))),
                ("price", text(prices.iter().map(String::as_str))),
                ("from", Arc::new(Int64Array::from_iter_values(from))),
            ],
        )
    }

    fn read(&mut self, input: &mut dyn Read) -> Result<Vec<String>> {
        let mut head = Saved::new();
        for name in ["format", "systems", "inventories", "tokens", "quotes"] {
            let (found, rows) = read_table(input)?;
            if found != name {
                return Err(damaged(&format!("`{found}` where `{name}` should be")));
            }
            head.insert(found, rows);
        }
        if texts(&head, "format", "format")?.first().map(String::as_str) != Some(FORMAT) {
            return Err(damaged("it is of another format"));
        }
        self.read_systems(&head)?;
        self.read_said(&head)?;
        self.read_quotes(&head)?;
        self.read_rules(input)
    }

    fn read_systems(&mut self, head: &Saved) -> Result<()> {
        let complete = column(head, "systems", "complete")?.as_primitive::<Int64Type>().clone();
        for (name, complete) in texts(head, "systems", "system")?.iter().zip(complete.values()) {
            self.systems.note(name, *complete);
        }
        let from = column(head, "inventories", "from")?.as_primitive::<Int64Type>().clone();
        for (declared, from) in texts(head, "inventories", "declared")?.iter().zip(from.values()) {
            let system: System = serde_json::from_str(declared).map_err(|error| damaged(&error.to_string()))?;
            self.inventories.activate(Instant(*from), system);
        }
        Ok(())
    }

    fn read_said(&mut self, head: &Saved) -> Result<()> {
        let columns = ["system", "token", "chain", "symbol"].map(|name| texts(head, "tokens", name));
        let [systems, tokens, chains, symbols] = columns;
        let (systems, tokens, chains, symbols) = (systems?, tokens?, chains?, symbols?);
        let decimals = column(head, "tokens", "decimals")?.as_primitive::<Int64Type>().clone();
        let from = column(head, "tokens", "from")?.as_primitive::<Int64Type>().clone();
        for (row, system) in systems.iter().enumerate() {
            let name = TokenName {
                from: Instant(from.value(row)),
                symbol: symbols[row].clone(),
                decimals: u8::try_from(decimals.value(row)).map_err(|error| damaged(&error.to_string()))?,
            };
            self.inventories.said.put(system, (tokens[row].clone(), chains[row].clone()), name);
        }
        Ok(())
    }

    fn read_quotes(&mut self, head: &Saved) -> Result<()> {
        let columns =
            ["system", "asset", "chain", "source", "currency", "price"].map(|name| texts(head, "quotes", name));
        let [systems, assets, chains, sources, currencies, prices] = columns;
        let (systems, assets, chains) = (systems?, assets?, chains?);
        let (sources, currencies, prices) = (sources?, currencies?, prices?);
        let from = column(head, "quotes", "from")?.as_primitive::<Int64Type>().clone();
        for (row, system) in systems.iter().enumerate() {
            let quote = Quote {
                from: Instant(from.value(row)),
                source: sources[row].clone(),
                currency: currencies[row].clone(),
                price: prices[row].parse().map_err(|problem: String| damaged(&problem))?,
            };
            self.inventories.quotes.put(system, (assets[row].clone(), chains[row].clone()), quote);
        }
        Ok(())
    }

    fn read_rules(&mut self, input: &mut dyn Read) -> Result<Vec<String>> {
        let mut missing: Vec<String> = self.rules.iter().map(|loaded| loaded.rule.id.clone()).collect();
        let mut current: Option<String> = None;
        let mut saved = Saved::new();
        loop {
            let (name, rows) = read_table(input)?;
            if name != "rule" && name != "end" {
                saved.insert(name, rows);
                continue;
            }
            let known = |loaded: &&mut Loaded| Some(&loaded.fingerprint) == current.as_ref();
            if let Some(loaded) = self.rules.iter_mut().find(known) {
                loaded.bisects = texts(&saved, "rule", "sifts")?.iter().any(|bisects| bisects == "yes");
                loaded.load(&self.systems, &saved)?;
                missing.retain(|rule| *rule != loaded.rule.id);
            }
            saved.clear();
            if name == "end" {
                return Ok(missing);
            }
            saved.insert(name, rows);
            current = texts(&saved, "rule", "fingerprint")?.pop();
        }
    }
}

impl Loaded {
    fn load(&mut self, systems: &Systems, saved: &Saved) -> Result<()> {
        for (number, operator) in self.planned.pipeline.operators_mut().enumerate() {
            operator.load(&number.to_string(), systems, saved)?;
        }
        Ok(())
    }
}

fn text<'a>(texts: impl IntoIterator<Item = &'a str>) -> Arc<StringArray> {
    Arc::new(texts.into_iter().map(Some).collect())
}

fn texts(saved: &Saved, table: &str, name: &str) -> Result<Vec<String>> {
    let texts = column(saved, table, name)?;
    let texts = texts.as_string_opt::<i32>().ok_or_else(|| damaged("a column of another type"))?;
    Ok((0..texts.len()).map(|row| texts.value(row).to_owned()).collect())
}
