//! One trial: several systems share a log, which is cut anywhere; the engine runs all rules over it at once, the oracles
//! each rule over each system alone. What differs is cut down to the smallest history that still differs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use keywatch_detectors::rule::Value;
use keywatch_detectors::{Decided, Engine, Rule, Settings};
use keywatch_store::inventory::TABLES;
use keywatch_store::{Event, Position, line};

use super::answer::{self, Answers};
use super::dice::Dice;
use super::history::{self, History, SECOND};
use super::naive;
use super::query::{Dialect, Query};
use super::stock::{self, Prepared, Stock};

/// A rule with what answers for it.
pub(crate) struct Subject {
    pub(crate) rule: Rule,
    settings: Settings,
    /// On stock DataFusion; what it says when it cannot plan the text.
    prepared: Result<Prepared, String>,
    reads_inventory: bool,
    query: Option<Query>,
}

impl Subject {
    /// A rule as written; stock DataFusion runs the same text.
    pub(crate) fn of_rule(stock: &Stock, rule: &Rule) -> Subject {
        let sql = stock::with_versions(&Settings::default().fill_in(rule).unwrap());
        Subject::new(stock, rule.clone(), &sql, None)
    }

    /// A generated rule, which the naive evaluator answers as well.
    pub(crate) fn of_query(stock: &Stock, id: &str, query: Query) -> Subject {
        let rule = rule(id, &query.sql(Dialect::Rules));
        let sql = query.sql(Dialect::Stock);
        Subject::new(stock, rule, &sql, Some(query))
    }

    /// A generated rule that the naive evaluator alone answers.
    pub(crate) fn of_query_alone(id: &str, query: Query) -> Subject {
        let (rule, settings) = (rule(id, &query.sql(Dialect::Rules)), Settings::default());
        let prepared = Err("not asked".to_owned());
        Subject { rule, settings, prepared, reads_inventory: false, query: Some(query) }
    }

    fn new(stock: &Stock, rule: Rule, sql: &str, query: Option<Query>) -> Subject {
        let prepared = stock.plan(sql).map_err(|error| error.strip_backtrace());
        let reads_inventory = TABLES.iter().any(|table| sql.contains(&format!("JOIN {} ", table.name)));
        Subject { rule, settings: Settings::default(), prepared, reads_inventory, query }
    }

    /// Has the engine run another rule, or one with other settings, than the oracles.
    pub(crate) fn falsified(mut self, rule: Rule, settings: Settings) -> Subject {
        (self.rule, self.settings) = (rule, settings);
        self
    }

    /// What the windows of a generated rule look ahead, by its grammar.
    fn following_ns(&self) -> Option<i64> {
        self.query.as_ref().map(Query::following_ns)
    }

    /// Nanoseconds after an event when it is decided. Where rows have deadlines of their own, those are told by the rule's
    /// grammar or, of the shipped rule that has them, by the inventory as of the event.
    fn waits_ns(&self, event: &Event, histories: &[History], ran: &Ran) -> i64 {
        let following_ns = ran.following_ns(&self.rule.id);
        if !ran.has_deadlines(&self.rule.id) {
            return following_ns;
        }
        if let Some(query) = &self.query {
            return query.waits_ns(event, following_ns).unwrap_or(following_ns);
        }
        let history = histories.iter().find(|history| history.system == event.system());
        let reigns = history.map(History::reigns).unwrap_or_default();
        let system = reigns.iter().rev().find(|(from, _)| *from <= event.time().0).map(|(_, system)| system);
        let source = system.and_then(|system| system.sources.iter().find(|source| source.source == event.source()));
        let announced_ns = history.map_or(0, |history| self.announced_ns(event, &history.events));
        source.map_or(following_ns, |source| {
            let patience_ns = (source.heartbeat_seconds + source.max_delay_seconds) * SECOND;
            (patience_ns + announced_ns).clamp(0, following_ns)
        })
    }

    /// Nanoseconds after an event that its source is waited for because it said that it goes down: from the announcement on, if
    /// that is its last status and the event comes before it counts as well again.
    fn announced_ns(&self, event: &Event, events: &[Event]) -> i64 {
        let nanoseconds = |name: &str| match self.rule.header.parameters.get(name).map(|parameter| &parameter.default) {
            Some(Value::Integer(seconds)) => *seconds * SECOND,
            _ => 0,
        };
        let is_status = |other: &&Event| {
            other.source() == event.source()
                && other.kind() == "source.status"
                && other.outcome().is_some()
                && other.time() <= event.time()
        };
        let status = events.iter().filter(is_status).max_by_key(|other| other.time());
        let Some(announced) = status.filter(|status| status.outcome() == Some("down")) else { return 0 };
        let since_ns = event.time().0 - announced.time().0;
        let counts = since_ns <= nanoseconds("well_again_seconds");
        if counts { (nanoseconds("announced_seconds") - since_ns).max(0) } else { 0 }
    }

    /// Why stock DataFusion cannot plan the rule.
    pub(crate) fn unplanned(&self) -> Option<&str> {
        self.prepared.as_ref().err().map(String::as_str)
    }

    /// What stock DataFusion answers for the anchors in `closed`: each inventory version for the anchors of its reign.
    fn of_stock(&self, stock: &Stock, history: &History, closed: &BTreeSet<String>) -> Option<Result<Answers, String>> {
        let prepared = self.prepared.as_ref().ok()?;
        let reigns = history.reigns();
        stock.show(history, &reigns);
        let mut answers = Answers::new();
        let versions = if self.reads_inventory { reigns.len() } else { 1 };
        for version in 0..versions {
            let until = reigns.get(version + 1).filter(|_| self.reads_inventory).map_or(i64::MAX, |(from, _)| *from);
            let reign = reigns[version].0..until;
            let anchors = history.events.iter().filter(|event| reign.contains(&event.time().0));
            let anchors: BTreeSet<String> = anchors.map(|event| event.event_id().to_string()).collect();
            stock.show_inventory(&reigns[version].1, version > 0);
            match stock.run(prepared) {
                Ok(rows) => answer::of_batches(&rows, &mut answers, |anchor| {
                    closed.contains(anchor) && anchors.contains(anchor)
                }),
                Err(error) => return Some(Err(error.strip_backtrace())),
            }
        }
        Some(Ok(answers))
    }

    /// How the findings of one system differ from what either oracle answers.
    fn difference(&self, stock: &Stock, history: &History, found: &[&Decided], ran: &Ran) -> Option<String> {
        let histories = std::slice::from_ref(history);
        let closed = answer::closed(history, |event| self.waits_ns(event, histories, ran));
        let of_stock = match self.of_stock(stock, history, &closed) {
            None => None,
            Some(Err(error)) => Some(format!("stock DataFusion fails: {error}")),
            Some(Ok(answers)) => answer::difference(found, &answers),
        };
        let naive = self.query.as_ref().and_then(|query| {
            let answers = naive::answers(query, history, &history.reigns(), &closed);
            answer::difference(found, &answers)
        });
        match (of_stock, naive, &self.query) {
            (None, None, _) => None,
            (Some(stock), None, None) => Some(format!("stock DataFusion differs: {stock}")),
            (Some(stock), None, Some(_)) => Some(format!("stock DataFusion differs, nested loops do not: {stock}")),
            (None, Some(naive), _) => Some(format!("nested loops differ, stock DataFusion does not: {naive}")),
            (Some(stock), Some(naive), _) => Some(format!("both differ: {stock}\n  nested loops: {naive}")),
        }
    }

    /// How the engine, given this rule and this history alone, differs.
    fn alone(&self, stock: &Stock, history: &History) -> Option<String> {
        let log = Log { events: history.events.clone(), cuts: Vec::new() };
        match log.run(std::slice::from_ref(&self.rule), &self.settings) {
            Err(problem) => Some(problem),
            Ok(ran) => self.difference(stock, history, &ran.found.iter().collect::<Vec<_>>(), &ran),
        }
    }
}

/// A log and where it is cut into batches.
pub(crate) struct Log {
    pub(crate) events: Vec<Event>,
    pub(crate) cuts: Vec<usize>,
}

/// What the engine made of a log.
pub(crate) struct Ran {
    engine: Engine,
    pub(crate) found: Vec<Decided>,
    pub(crate) parked: Vec<(String, String)>,
}

impl Ran {
    fn following_ns(&self, rule: &str) -> i64 {
        self.engine.explain(rule).unwrap().1
    }

    /// Whether rows of a rule are decided at times of their own.
    fn has_deadlines(&self, rule: &str) -> bool {
        self.engine.explain(rule).unwrap().0.contains(", certain ")
    }

    /// Whether one operator does for all windows of a rule.
    fn has_one_operator(&self, rule: &str) -> bool {
        self.engine.explain(rule).unwrap().0.matches("KeyedWindow: ").count() == 1
    }
}

impl Log {
    /// All rules in one engine.
    pub(crate) fn run(&self, rules: &[Rule], settings: &Settings) -> Result<Ran, String> {
        let mut engine = Engine::new(rules, settings).map_err(|error| format!("the engine refuses: {error}"))?;
        let (mut found, mut parked, mut from) = (Vec::new(), Vec::new(), 0);
        for to in self.cuts.iter().copied().chain([self.events.len()]) {
            let outcome =
                engine.run(Position(from as u64), &self.events[from..to]).map_err(|error| error.to_string())?;
            found.extend(outcome.findings);
            parked.extend(outcome.parked.into_iter().map(|parked| (parked.rule, parked.problem)));
            from = to;
        }
        Ok(Ran { engine, found, parked })
    }
}

/// What the engine finds with these settings, by system: anchors with their entities and facts.
pub(crate) fn found_with(
    rule: &Rule,
    settings: &Settings,
    histories: &[History],
) -> BTreeMap<String, BTreeSet<(String, String)>> {
    let events = histories.iter().flat_map(|history| history.events.iter().cloned()).collect();
    let ran = Log { events, cuts: Vec::new() }.run(std::slice::from_ref(rule), settings).unwrap();
    let mut found: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for Decided { finding, .. } in ran.found {
        found
            .entry(finding.system)
            .or_default()
            .insert((finding.anchor.to_string(), format!("{} {:?}", finding.entity, finding.facts)));
    }
    found
}

/// What a trial found.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) cases: usize,
    pub(crate) findings: BTreeMap<String, usize>,
    pub(crate) differences: Vec<Difference>,
}

/// One rule and one system for which engine and oracles differ.
pub(crate) struct Difference {
    pub(crate) rule: String,
    pub(crate) told: String,
}

/// Runs all subjects over a log of these histories. `falsify` may change the findings before they are compared.
pub(crate) fn run(
    stock: &Stock,
    dice: &mut Dice,
    subjects: &[Subject],
    histories: &[History],
    falsify: &dyn Fn(&mut Vec<Decided>),
) -> Tally {
    let events = history::interleave(dice, histories);
    let cuts = history::cuts(dice, events.len());
    let log = Log { events, cuts };
    let mut tally = Tally::default();
    let settings = merged(subjects);
    let rules: Vec<Rule> = subjects.iter().map(|subject| subject.rule.clone()).collect();
    let mut ran = log.run(&rules, &settings).unwrap_or_else(|_| {
        let (taken, refused) = rules.into_iter().partition::<Vec<Rule>, _>(|rule| refusal(rule, &settings).is_none());
        // Three levels of windows can look ahead for more than the language allows in all.
        let looks_too_far =
            |rule: &Rule| refusal(rule, &settings).is_some_and(|told| told.contains("together look ahead"));
        let refused = refused.into_iter().filter(|rule| !looks_too_far(rule));
        tally.differences.extend(refused.map(|rule| {
            let told = format!("refused: {}\n{}", refusal(&rule, &settings).unwrap_or_default(), rule.sql);
            Difference { rule: rule.id, told }
        }));
        log.run(&taken, &settings).expect("each of them is taken alone")
    });
    falsify(&mut ran.found);
    let waits_ns = |rule: &str, event: &Event| {
        let subject = subjects.iter().find(|subject| subject.rule.id == rule).expect("only subjects are run");
        subject.waits_ns(event, histories, &ran)
    };
    if let Some(told) = answer::check_decisions(&log.events, &ran.found, waits_ns) {
        tally.differences.push(Difference { rule: "decisions".to_owned(), told });
    }
    for subject in subjects.iter().filter(|subject| ran.engine.explain(&subject.rule.id).is_some()) {
        compare(stock, subject, histories, &ran, &mut tally);
    }
    tally
}

fn compare(stock: &Stock, subject: &Subject, histories: &[History], ran: &Ran, tally: &mut Tally) {
    let id = &subject.rule.id;
    let following_ns = ran.following_ns(id);
    // More is a finding later than it could be, and no wrong one; less would be, unless nothing is ever found.
    let fires = ran.found.iter().any(|decided| decided.finding.rule == *id);
    if let Some(right) = subject.following_ns().filter(|right| fires && *right > following_ns) {
        let told = format!("looks ahead {right} ns, explained as {following_ns}\n{}", subject.rule.sql);
        tally.differences.push(Difference { rule: id.clone(), told });
    }
    let is_timely = subject.query.as_ref().is_some_and(Query::is_timely);
    if is_timely && fires && ran.has_one_operator(id) && !ran.has_deadlines(id) {
        let told = format!("rows wait to the end of their frames\n{}", subject.rule.sql);
        tally.differences.push(Difference { rule: id.clone(), told });
    }
    let parked = ran.parked.iter().find(|(rule, _)| rule == id);
    for history in histories {
        let of_case = |decided: &&Decided| decided.finding.rule == *id && decided.finding.system == history.system;
        let found: Vec<&Decided> = ran.found.iter().filter(of_case).collect();
        tally.cases += 1;
        *tally.findings.entry(id.clone()).or_default() += found.len();
        let told = match parked {
            Some((_, problem)) => Some(format!("parked: {problem}")),
            None => subject.difference(stock, history, &found, ran),
        };
        if let Some(told) = told {
            tally.differences.push(Difference { rule: id.clone(), told: format!("{}: {told}", history.system) });
        }
    }
}

fn refusal(rule: &Rule, settings: &Settings) -> Option<String> {
    Engine::new(std::slice::from_ref(rule), settings).err().map(|error| error.to_string())
}

fn merged(subjects: &[Subject]) -> Settings {
    let mut settings = Settings::default();
    for subject in subjects {
        settings.parameters.extend(subject.settings.parameters.clone());
    }
    settings
}

/// The smallest part of a history for which the subject still differs when it is run alone.
pub(crate) fn shrink(stock: &Stock, subject: &Subject, history: &History) -> String {
    let Some(mut told) = subject.alone(stock, history) else {
        return "only in company: with other systems, other rules or these cuts".to_owned();
    };
    let mut smallest = history.clone();
    let mut size = smallest.events.len() / 2;
    while size > 0 {
        let mut from = 0;
        while from < smallest.events.len() {
            let mut fewer = smallest.clone();
            fewer.events.drain(from..(from + size).min(smallest.events.len()));
            match subject.alone(stock, &fewer) {
                Some(still) => (smallest, told) = (fewer, still),
                None => from += size,
            }
        }
        size /= 2;
    }
    let mut text = format!("smallest: {told}\n");
    for event in &smallest.events {
        let shown = line::write(event);
        writeln!(text, "  {}", String::from_utf8_lossy(shown.as_ref())).unwrap();
    }
    text
}

/// A rule of that SELECT, with the least front matter.
pub(crate) fn rule(id: &str, sql: &str) -> Rule {
    let front =
        "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n";
    Rule::parse(id, &format!("{front}{sql}")).unwrap()
}
