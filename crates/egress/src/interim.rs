//! Interim answers (1xx): skipped, and counted, since a receiver may send them as fast as they can be read and never come to
//! the point.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::Notify;

/// How many there may be before the answer: far more than any receiver has reason to send.
const MOST: u32 = 100;

/// Those of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interim(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    count: AtomicU32,
    too_many: Notify,
}

impl Interim {
    /// Counts those that come to this request.
    pub(crate) fn watch<B>(&self, request: &mut http::Request<B>) {
        let seen = Arc::clone(&self.0);
        hyper::ext::on_informational(request, move |_| {
            if seen.count.fetch_add(1, Ordering::Relaxed) == MOST {
                seen.too_many.notify_one();
            }
        });
    }

    /// Waits until there are too many; says so.
    pub(crate) async fn too_many(&self) -> String {
        self.0.too_many.notified().await;
        format!("more than {MOST} interim answers came, and no answer")
    }
}
