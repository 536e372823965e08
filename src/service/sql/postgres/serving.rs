//! One connection from its beginning to its end: what pgwire calls for it, and when it is cut off.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use pgwire::api::PgWireServerHandlers;
use pgwire::api::auth::StartupHandler;
use pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connection::Connection;
use super::prepared::Questions;
use crate::limits::SQL_GRACE_SECONDS;

impl Connection {
    /// Serves until the client goes, or does not take what it asked for.
    pub(super) async fn serve(self: &Arc<Connection>, socket: TcpStream) {
        let handlers = Handlers(Arc::clone(self));
        let served = async {
            match &self.shared.encryption {
                Some(encryption) => Box::pin(encryption.serve(socket, handlers)).await,
                None => pgwire::tokio::process_socket(socket, None, handlers).await,
            }
        };
        tokio::select! {
            served = served => if let Err(error) = served {
                tracing::debug!(peer = %self.peer, %error, "a connection for SQL broke off");
            },
            () = self.overdue() => tracing::warn!(peer = %self.peer, "a client of SQL did not take its rows in time"),
        }
    }

    /// Returns when a query is long past its time: its client takes no rows, so that it cannot be told.
    async fn overdue(&self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        loop {
            tick.tick().await;
            let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
            if until.is_some_and(|until| until + Duration::from_secs(SQL_GRACE_SECONDS) < Instant::now()) {
                return;
            }
        }
    }
}

struct Handlers(Arc<Connection>);

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.0)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::new(Questions(Arc::clone(&self.0)))
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.0)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::new(DefaultCancelHandler::new(Arc::clone(&self.0.shared.connections)))
    }
}
