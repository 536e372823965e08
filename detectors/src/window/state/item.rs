//! What a function keeps of a row: a number where its argument is one, for that is smaller and quicker, else any value.

use super::Answers;
use crate::window::stored::Stored;
use crate::window::value::{Column, Value};

/// A value that some function keeps.
pub(in crate::window) trait Item: Clone + Default + Ord + Stored {
    /// The value of a row that the function counts.
    fn read(column: &Column, row: usize) -> Self;
    /// Answers with it, or with nothing.
    fn tell(item: Option<&Self>, answers: &mut Answers);
}

/// A number of a function that counts no nulls.
impl Item for i128 {
    fn read(column: &Column, row: usize) -> Self {
        column.number(row)
    }

    #[inline]
    fn tell(item: Option<&Self>, answers: &mut Answers) {
        answers.wide(item.copied());
    }
}

/// A number or none, of a function that counts nulls too.
impl Item for Option<i128> {
    fn read(column: &Column, row: usize) -> Self {
        column.is_valid(row).then(|| column.number(row))
    }

    #[inline]
    fn tell(item: Option<&Self>, answers: &mut Answers) {
        answers.wide(item.copied().flatten());
    }
}

impl Item for Option<Value> {
    fn read(column: &Column, row: usize) -> Self {
        column.value(row)
    }

    fn tell(item: Option<&Self>, answers: &mut Answers) {
        answers.value(item.cloned().flatten());
    }
}
