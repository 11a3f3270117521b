//! Reads from the file, beside the writer: a few connections, each used by one short read at a time, on threads that
//! may block.

use std::path::Path;
use std::sync::Arc;

use fanfare_core::ports::StoreResult;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{OpenError, closed, store_error};
use crate::writer::Failed;

/// The reading connections. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    /// As many permits as connections.
    free: Arc<Semaphore>,
}

/// A connection that goes back when this is dropped, whatever became of the read; after it goes the permit.
struct Borrowed {
    idle: Arc<Mutex<Vec<Connection>>>,
    connection: Option<Connection>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().push(connection);
        }
    }
}

impl Readers {
    /// Opens that many connections.
    pub(crate) fn open(path: &Path, count: usize) -> Result<Self, OpenError> {
        let connections = (0..count).map(|_| crate::database::open_reader(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(connections)), free: Arc::new(Semaphore::new(count)) })
    }

    /// Runs one short read, in a transaction of its own: it sees everything that was committed before.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        doing: &'static str,
        read: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StoreResult<T> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| closed(doing))?;
        let connection = self.idle.lock().pop();
        let mut borrowed = Borrowed { idle: Arc::clone(&self.idle), connection, _permit: permit };
        // If this future is dropped the read still ends by itself.
        let reading = tokio::task::spawn_blocking(move || match &mut borrowed.connection {
            Some(connection) => in_transaction(connection, read),
            None => Err(Failed::Alone(closed(doing))),
        });
        match reading.await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(Failed::Alone(error))) => Err(error),
            Ok(Err(Failed::Batch(error))) => Err(store_error(doing, error)),
            Err(_) => Err(closed(doing)),
        }
    }

    /// Closes the connections; reads after this answer `Unavailable`.
    pub(crate) fn close(&self) {
        self.free.close();
        self.idle.lock().clear();
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    read: impl FnOnce(&Connection) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let transaction = connection.transaction()?;
    let result = read(&transaction)?;
    transaction.commit()?;
    Ok(result)
}
