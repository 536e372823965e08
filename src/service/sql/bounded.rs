//! What bounds the work of whoever parses and plans a text, where its length does not: PostgreSQL's dialect for a parser that
//! gives up, words that the parser goes down into without counting them, and tables that are read again and again.

use std::any::TypeId;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

use anyhow::ensure;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::limits::{SQL_TRIES_MAX, SQL_UNCOUNTED_MAX};

const POSTGRES: PostgreSqlDialect = PostgreSqlDialect {};

/// PostgreSQL's dialect, for one text. Where a word such as CASE begins nothing, the parser reads it as a name and what follows
/// once more; many of them within each other, with brackets or without, and it never ends. So expressions that it begins to
/// read are counted.
#[derive(Debug)]
pub(super) struct Bounded {
    left: Cell<usize>,
    gave_up: Cell<bool>,
}

impl Default for Bounded {
    fn default() -> Bounded {
        Bounded { left: Cell::new(SQL_TRIES_MAX), gave_up: Cell::new(false) }
    }
}

impl Bounded {
    /// Whether the parser read it to its end; what it says of a text on which it gave up, means nothing.
    ///
    /// # Errors
    /// It gave up.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        ensure!(
            !self.gave_up.get(),
            "its expressions were begun more than {SQL_TRIES_MAX} times, where each function that another one begins with doubles \
             that; write it plainer"
        );
        Ok(())
    }
}

macro_rules! as_postgres {
    ($($name:ident),* $(,)?) => { $(fn $name(&self) -> bool { POSTGRES.$name() })* };
}

/// All that PostgreSQL's own says otherwise than the default; a test holds the two against each other.
impl Dialect for Bounded {
    as_postgres!(
        supports_unicode_string_literal,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_create_index_with_clause,
        supports_explain_with_utility_options,
        supports_listen_notify,
        supports_factorial_operator,
        supports_bitwise_shift_operators,
        supports_comment_on,
        supports_load_extension,
        supports_named_fn_args_with_colon_operator,
        supports_named_fn_args_with_expr_name,
        supports_empty_projections,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_numeric_literal_underscores,
        supports_array_typedef_with_brackets,
        supports_geometric_types,
        supports_set_names,
        supports_alter_column_type_using,
        supports_notnull_operator,
        supports_interval_options,
        supports_insert_table_alias,
        supports_create_table_like_parenthesized,
        supports_select_wildcard_with_alias,
        supports_comma_separated_trim,
        supports_xml_expressions,
        supports_comment_optimizer_hint,
    );

    fn dialect(&self) -> TypeId {
        POSTGRES.dialect()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        POSTGRES.identifier_quote_style(identifier)
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        POSTGRES.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        POSTGRES.is_identifier_part(ch)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        POSTGRES.is_reserved_for_identifier(kw)
    }

    fn is_custom_operator_part(&self, ch: char) -> bool {
        POSTGRES.is_custom_operator_part(ch)
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        POSTGRES.get_next_precedence(parser)
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        POSTGRES.prec_value(prec)
    }

    /// Asked at each expression that the parser begins. No other error ends all that it tries.
    fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        if left > 0 {
            return None;
        }
        self.gave_up.set(true);
        Some(Err(ParserError::RecursionLimitExceeded))
    }
}

/// Whether there are few enough of what the parser and the planner go down into without counting it: `INTERVAL INTERVAL '1'`,
/// `ARRAY<ARRAY<int>>`, `int[][]`.
///
/// # Errors
/// Says of what there are too many.
pub(super) fn check_uncounted(sql: &str) -> anyhow::Result<()> {
    let mut tokens = Tokenizer::new(&POSTGRES, sql).tokenize().unwrap_or_default();
    tokens.retain(|token| !matches!(token, Token::Whitespace(_)));
    let is = |token: &Token, keyword: Keyword| matches!(token, Token::Word(word) if word.keyword == keyword);
    let intervals = tokens.iter().filter(|token| is(token, Keyword::INTERVAL)).count();
    let pairs = |wanted: &dyn Fn(&Token, &Token) -> bool| {
        tokens.windows(2).filter(|pair| matches!(pair, [one, next] if wanted(one, next))).count()
    };
    let arrays = pairs(&|one: &Token, next: &Token| is(one, Keyword::ARRAY) && *next == Token::Lt);
    let again = pairs(&|one: &Token, next: &Token| *one == Token::RBracket && *next == Token::LBracket);
    for (count, what) in [(intervals, "INTERVAL"), (arrays, "ARRAY<"), (again, "][")] {
        ensure!(
            count <= SQL_UNCOUNTED_MAX,
            "{count} times {what} in one statement, at most {SQL_UNCOUNTED_MAX} are taken"
        );
    }
    Ok(())
}

/// How many tables and queries a statement reads, where what is named by WITH counts wherever it is read: each that reads the
/// one before twice doubles what is planned. A name counts as the most that was ever called so.
pub(super) fn reads(statement: &Statement) -> u64 {
    let mut reads = Reads { open: vec![OfQuery { reads: 0, named: VecDeque::new() }], named: BTreeMap::new() };
    let ControlFlow::Continue(()) = statement.visit(&mut reads) else { return u64::MAX };
    reads.open.first().map_or(0, |whole| whole.reads)
}

struct Reads {
    /// The statement, then each query that is open, the outermost first.
    open: Vec<OfQuery>,
    /// What those named by WITH read, by name.
    named: BTreeMap<String, u64>,
}

struct OfQuery {
    reads: u64,
    /// Names of its WITH whose queries are still to come; they come before anything else that is within it.
    named: VecDeque<String>,
}

impl Visitor for Reads {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        let named = named.map(|cte| cte.alias.name.value.to_lowercase()).collect();
        self.open.push(OfQuery { reads: 1, named });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let reads = self.open.pop().map_or(0, |done| done.reads);
        let Some(above) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        match above.named.pop_front() {
            Some(name) => {
                let most = self.named.entry(name).or_default();
                *most = reads.max(*most);
            }
            None => above.reads = above.reads.saturating_add(reads),
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.0.last().and_then(|part| part.as_ident());
        let known = name.and_then(|name| self.named.get(&name.value.to_lowercase())).copied();
        if let Some(query) = self.open.last_mut() {
            query.reads = query.reads.saturating_add(known.unwrap_or(1));
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::limits::SQL_STACK_BYTES;

    #[test]
    fn a_text_is_read_as_by_the_dialect_itself() {
        for sql in [
            "SELECT \"A\".b AS ü$1, 1_000, E'\\n', U&'\\0061', n'x', $$text$$ FROM a.b /* /* */ */ AS c -- x",
            "SELECT DISTINCT ON (a) a, count(*) FILTER (WHERE b NOTNULL) FROM t GROUP BY (a, b), () ORDER BY 1 NULLS LAST",
            "SELECT INTERVAL '1 day', INTERVAL '1' DAY, x::int[], ARRAY[1, 2][1], extract('epoch' FROM t), 1 << 2, 5 !",
            "SELECT json_object('a': 1, 'b' VALUE 2), f(a => 1), a -> 'b' ->> 'c' || 'd', x ~* 'y', a @> b, xml '<a/>'",
            "SELECT FROM t WHERE a COLLATE \"C\" < 'b' AND NOT b AND c AT TIME ZONE 'UTC' BETWEEN 1 AND 2 OR d % 2 ^ 3 = 1",
            "EXPLAIN (ANALYZE, VERBOSE) SELECT case, interval FROM t",
            "INSERT INTO a AS b (c) VALUES (1) RETURNING c",
            "SET NAMES 'UTF8'",
            "SELECT a b c",
        ] {
            let (own, other) = (Bounded::default(), PostgreSqlDialect {});
            assert_eq!(Parser::parse_sql(&own, sql), Parser::parse_sql(&other, sql), "{sql}");
            own.check().unwrap();
        }
    }

    #[test]
    fn a_parser_that_would_not_end_gives_up() {
        let held = thread::Builder::new().stack_size(SQL_STACK_BYTES).spawn(texts_without_end);
        held.unwrap().join().unwrap();
    }

    /// On a stack as the endpoint has it: so deep a text takes more than what a test has.
    fn texts_without_end() {
        for sql in [
            format!("SELECT {}1 1", "CASE - ".repeat(24)),
            format!("SELECT {}1 1{}", "POSITION(".repeat(20), ")".repeat(20)),
            format!("SELECT {}1{}", "CAST(CASE(".repeat(10), "))".repeat(10)),
        ] {
            let own = Bounded::default();
            assert!(Parser::parse_sql(&own, &sql).is_err(), "{sql}");
            assert!(own.check().is_err(), "{sql}");
        }
        for (functions, taken) in [(14, true), (15, false)] {
            let own = Bounded::default();
            let (begin, end) = ("coalesce(".repeat(functions), ", 'x')".repeat(functions));
            assert_eq!(Parser::parse_sql(&own, &format!("SELECT {begin}kind{end} FROM events")).is_ok(), taken);
            assert_eq!(own.check().is_ok(), taken, "as docs/sql.md says");
        }
        let own = Bounded::default();
        let many = format!("SELECT 1 IN ({}1)", "1,".repeat(32_000));
        Parser::parse_sql(&own, &many).unwrap();
        own.check().unwrap();
    }

    #[test]
    fn what_is_read_again_counts_again() {
        let reads_of = |sql: &str| {
            let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
            reads(&statements[0])
        };
        assert_eq!(reads_of("SELECT 1"), 1);
        assert_eq!(reads_of("SELECT 1 FROM a, b JOIN c ON true"), 4);
        assert_eq!(reads_of("SELECT 1 FROM a WHERE x IN (SELECT x FROM b)"), 4);
        assert_eq!(reads_of("WITH a AS (SELECT 1 FROM t) SELECT 1 FROM a p, A q"), 5, "each time that it is read");
        assert_eq!(reads_of("WITH a AS (SELECT 1), b AS (SELECT 1 FROM a p, a q) SELECT 1 FROM b p, b q"), 7);
        assert_eq!(reads_of("SELECT 1 FROM (WITH a AS (SELECT 1 FROM t) SELECT 1 FROM a p, a q) x"), 6, "and within");
        let doubled = (1..40).map(|n| format!(", a{n} AS (SELECT p.x FROM a{} p, a{} q)", n - 1, n - 1));
        let doubled = doubled.collect::<String>();
        assert!(reads_of(&format!("WITH a0 AS (SELECT 1 x){doubled} SELECT 1 FROM a39")) > 1 << 39);
    }

    #[test]
    fn what_the_parser_does_not_count_is_counted() {
        let few = "SELECT now() - INTERVAL '1 day', x::int[][], ARRAY[1, 2][1], 'INTERVAL' FROM events";
        check_uncounted(few).unwrap();
        for (again, said) in [("INTERVAL ", "INTERVAL"), ("Array<", "ARRAY<"), ("[ ]", "][")] {
            let error = check_uncounted(&format!("SELECT x{}", again.repeat(66))).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
