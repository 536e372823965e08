//! Any DataFusion aggregate that can take a row back, as a state like our own: the general path, a row at a time.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column as ColumnExpr, Literal};

use super::{Factory, Refusal, Sliding};
use crate::window::value::{Column, Value, write};

/// A DataFusion aggregate as it was called.
#[derive(Debug)]
struct Call {
    function: Arc<AggregateUDF>,
    is_distinct: bool,
    schema: Schema,
    literals: Vec<Option<ScalarValue>>,
    output: FieldRef,
}

/// What computes a call of any DataFusion aggregate.
///
/// # Errors
/// When it works on floats, which drift, or cannot take rows back.
pub(crate) fn adapt(
    function: &Arc<AggregateUDF>,
    distinct: bool,
    argument_types: &[DataType],
    literals: &[Option<ScalarValue>],
    output: &DataType,
) -> std::result::Result<Factory, Refusal> {
    let name = function.name();
    let mut moving = argument_types.iter().zip(literals).filter(|(_, literal)| literal.is_none()).map(|(kind, _)| kind);
    if output.is_floating() || moving.any(DataType::is_floating) {
        return Err((
            format!("{name} over floating-point numbers"),
            "floats drift as rows leave the frame: CAST the argument to DECIMAL(38, 6), or take stddev, decayed_mean or quantile".to_owned(),
        ));
    }
    let field = |(index, kind): (usize, &DataType)| Field::new(index.to_string(), kind.clone(), true);
    let schema = Schema::new(argument_types.iter().enumerate().map(field).collect::<Vec<Field>>());
    let output = Arc::new(Field::new(name, output.clone(), true));
    let call = Call { function: function.clone(), is_distinct: distinct, schema, literals: literals.to_vec(), output };
    let slides = call.accumulator().is_ok_and(|accumulator| accumulator.supports_retract_batch());
    if !slides {
        return Err((
            format!("{name} as a window"),
            "it cannot let rows leave: take count, sum, avg, min, max, stddev, first_value, last_value or array_agg(x, limit)".to_owned(),
        ));
    }
    let call = Arc::new(call);
    let make = move |_| Box::new(Adapted { call: call.clone(), state: State::Fresh }) as Box<dyn Sliding>;
    Ok(Factory { is_constant_size: false, ..Factory::new(make) })
}

impl Call {
    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        let expr = |(index, literal): (usize, &Option<ScalarValue>)| match literal {
            Some(literal) => Arc::new(Literal::new(literal.clone())) as Arc<dyn PhysicalExpr>,
            None => Arc::new(ColumnExpr::new(&index.to_string(), index)),
        };
        let exprs: Vec<Arc<dyn PhysicalExpr>> = self.literals.iter().enumerate().map(expr).collect();
        self.function.create_sliding_accumulator(AccumulatorArgs {
            return_field: self.output.clone(),
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: self.function.name(),
            is_distinct: self.is_distinct,
            exprs: &exprs,
            expr_fields: self.schema.fields(),
        })
    }

    fn arrays(&self, args: &[Option<Value>]) -> Result<Vec<ArrayRef>> {
        let columns = args.iter().zip(&self.literals).zip(self.schema.fields());
        let array = |((value, literal), field): ((&Option<Value>, &Option<ScalarValue>), &FieldRef)| match literal {
            Some(literal) => literal.to_array(),
            None => write(std::slice::from_ref(value), field.data_type()),
        };
        columns.map(array).collect()
    }
}

/// A state of DataFusion's, or why it has none.
enum State {
    Fresh,
    Running(Box<dyn Accumulator>),
    Failed(String),
}

struct Adapted {
    call: Arc<Call>,
    state: State,
}

impl std::fmt::Debug for Adapted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Adapted({})", self.call.function.name())
    }
}

impl Adapted {
    fn running(&mut self) -> Result<&mut dyn Accumulator> {
        if matches!(self.state, State::Fresh) {
            self.state = State::Running(self.call.accumulator()?);
        }
        match &mut self.state {
            State::Running(accumulator) => Ok(accumulator.as_mut()),
            State::Failed(problem) => Err(DataFusionError::Execution(problem.clone())),
            State::Fresh => Err(DataFusionError::Internal("an accumulator was just made".to_owned())),
        }
    }

    /// What fails is told by the next answer, and by all after it.
    fn step(&mut self, args: &[Option<Value>], step: fn(&mut (dyn Accumulator + 'static), &[ArrayRef]) -> Result<()>) {
        let call = self.call.clone();
        let stepped = call.arrays(args).and_then(|arrays| step(self.running()?, &arrays));
        if let Err(error) = stepped {
            self.state = State::Failed(error.strip_backtrace());
        }
    }

    fn value(&mut self) -> Result<Option<Value>> {
        let answer = self.running()?.evaluate()?;
        Ok(Column::read(&answer.to_array()?)?.value(0))
    }
}

impl Sliding for Adapted {
    fn enter(&mut self, _time: i64, args: &[Option<Value>]) {
        self.step(args, Accumulator::update_batch);
    }

    fn leave(&mut self, _time: i64, args: &[Option<Value>]) {
        self.step(args, Accumulator::retract_batch);
    }

    fn answer(&mut self, _time: i64) -> std::result::Result<Option<Value>, String> {
        self.value().map_err(|error| error.strip_backtrace())
    }

    fn bytes(&self) -> usize {
        size_of_val(self) + if let State::Running(accumulator) = &self.state { accumulator.size() } else { 0 }
    }

    /// Nothing: it is only for frames that rows leave, which are filled again from their rows.
    fn save(&self) -> Vec<u8> {
        Vec::new()
    }

    fn load(&mut self, saved: &[u8]) -> std::result::Result<(), String> {
        if saved.is_empty() { Ok(()) } else { Err("this aggregate has no saved state".to_owned()) }
    }
}
