//! The ids by which the embedded log recognises repeats, beyond those in memory: an index on disk, behind filters.
//!
//! [`crate::log::admission`] holds the ids of the last records. When they are many they are handed over, as one
//! *generation*, and a thread of its own puts them into the index; until that is done they are answered for from memory.
//! An id that is nowhere costs a look at a few filters of ten bits an id; one that is found is judged by its log time, as
//! in memory, so that the answer is the same wherever it comes from.
//!
//! | module | what it holds |
//! |---|---|
//! | [`index`] | a topic's ids: the generation under way, then the disk |
//! | [`disk`] | sorted tables on the storage crate; what is forgotten leaves when they are merged |
//! | [`marker`] | through which batch of the log the index reaches |
//!
//! The index is made of the log and can be made again. It is never believed against the log: it counts only if the log
//! holds the batch that it reaches to, and each entry carries a MAC of the writer's key, since a forged one would have an
//! event taken for a repeat.

mod disk;
mod index;
mod marker;

pub(crate) use disk::IdDisk;
pub(crate) use index::{Generation, TopicIds};
pub(crate) use marker::{Marker, Place, Stretch};

#[cfg(test)]
mod tests;
