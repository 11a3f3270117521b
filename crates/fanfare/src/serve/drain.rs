//! Waits until the read model has what the journal holds, so that a stopped process leaves it complete.

use std::time::Duration;

use fanfare_core::clock::Clock;
use fanfare_core::ports::Journal;
use fanfare_history::History;

/// An entry that is there is told at once, from memory or by one read of the file; when none came within this, there is none.
/// An error here only means that the read model catches up at the next start.
const QUIET: Duration = Duration::from_millis(100);

/// Ends when the journal has no entry behind what history has applied.
pub(super) async fn applied_what_is_there(history: &History, journal: &dyn Journal, clock: &dyn Clock) {
    let mut applied = history.applied();
    loop {
        let position = *applied.borrow_and_update();
        let Ok(mut reader) = journal.read(position).await else { return };
        let more = tokio::select! {
            biased;
            entries = reader.next(1) => entries.is_ok(),
            () = clock.sleep(QUIET) => false,
        };
        // Another position is told of when these entries, too, have been applied.
        if !more || applied.changed().await.is_err() {
            return;
        }
    }
}
