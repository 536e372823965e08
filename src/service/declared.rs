//! What is declared now, for whoever asks at each use: feeds that read a body, and the API's words for amounts and its coverage.
//! It reads no file; who does, hands over what changed.

use std::sync::{Arc, PoisonError, RwLock};

use keywatch_store::Inventory;

/// The newest inventory.
pub(crate) struct Current(RwLock<Arc<Inventory>>);

impl Current {
    /// One that is declared from the start.
    pub(crate) fn new(inventory: Inventory) -> Arc<Current> {
        Arc::new(Current(RwLock::new(Arc::new(inventory))))
    }

    /// What is declared now.
    pub(crate) fn now(&self) -> Arc<Inventory> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Declares something else.
    pub(crate) fn set(&self, inventory: Arc<Inventory>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = inventory;
    }
}
