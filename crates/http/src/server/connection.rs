//! One connection, from its acceptance to its end.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fanfare_runtime::Shutdown;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ServerConfig;
use super::edge::{Activity, Edge};
use super::socket::Socket;

/// How long a connection closed under an unfinished request body is still read from.
const LINGER_TIME: Duration = Duration::from_secs(2);
/// How many bytes are read from it: twice the largest batch.
const LINGER_BYTES: usize = 2 * fanfare_core::event::MAX_BATCH_BYTES;

/// What all connections of a listener share.
pub(super) struct Connections {
    router: Router,
    protocols: auto::Builder<StreamTasks>,
    idle_after: Duration,
    body_timeout: Duration,
    shutdown: Shutdown,
    abort: CancellationToken,
}

impl Connections {
    pub(super) fn new(
        router: Router,
        config: &ServerConfig,
        tasks: TaskTracker,
        shutdown: Shutdown,
        abort: CancellationToken,
    ) -> Arc<Self> {
        let mut protocols = auto::Builder::new(StreamTasks { tasks, abort: abort.clone() });
        protocols
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(config.header_timeout.get())
            .max_buf_size(usize::try_from(config.max_header_bytes).unwrap_or(usize::MAX).max(8 * 1024));
        // Floods of resets (CVE-2023-44487, CVE-2025-8671) are bounded by hyper's and h2's defaults, which stay.
        protocols
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(config.max_streams.max(1))
            .max_header_list_size(config.max_header_bytes);
        Arc::new(Self {
            router,
            protocols,
            idle_after: config.header_timeout.get(),
            body_timeout: config.body_timeout.get(),
            shutdown,
            abort,
        })
    }

    /// Serves one connection until it ends, in whatever way.
    pub(super) async fn serve(&self, stream: TcpStream) {
        // Answers are written whole, so waiting to fill a segment would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let activity = Arc::new(Activity::default());
        let socket = Socket::new(stream, self.body_timeout, Arc::clone(&activity));
        let edge = Edge::new(self.router.clone(), Arc::clone(&activity), self.body_timeout);
        self.speak(socket, edge, &activity).await;
        if let Some(stream) = activity.take_stream_to_linger_on() {
            let linger = tokio::time::timeout(LINGER_TIME, linger(stream));
            // Not worth delaying a shutdown for.
            let _ = self.shutdown.run_until_cancelled(linger).await;
        }
    }

    async fn speak(&self, socket: Socket, edge: Edge, activity: &Activity) {
        let mut connection = pin!(self.protocols.serve_connection(socket, edge));
        let mut idle = pin!(activity.idle(self.idle_after));
        let mut closing = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error = %fanfare_runtime::tasks::report(&*error), "a connection broke");
                    }
                    return;
                }
                () = self.abort.cancelled() => return,
                // Closes at once if there is no request in flight, else after it.
                () = self.shutdown.cancelled(), if !closing => {
                    connection.as_mut().graceful_shutdown();
                    closing = true;
                }
                () = idle.as_mut() => {
                    // Told to close, and still here without a request: the client does not answer.
                    if closing {
                        return;
                    }
                    connection.as_mut().graceful_shutdown();
                    closing = true;
                    idle.set(activity.idle(self.idle_after));
                }
            }
        }
    }
}

/// Reads on for a moment after the answer, although nobody wants the bytes: closing a socket with unread bytes resets the
/// connection, and the reset overtakes the answer that says why the body was refused.
async fn linger(mut stream: TcpStream) -> std::io::Result<()> {
    stream.shutdown().await?;
    let mut scrap = vec![0; 16 * 1024];
    let mut left = LINGER_BYTES;
    while left > 0 {
        stream.readable().await?;
        match stream.try_read(&mut scrap) {
            Ok(0) => break,
            Ok(read) => left = left.saturating_sub(read),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Runs the streams of HTTP/2 connections as tasks of the listener, so that they end when it does.
#[derive(Clone)]
struct StreamTasks {
    tasks: TaskTracker,
    abort: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for StreamTasks
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let abort = self.abort.clone();
        self.tasks.spawn(async move {
            abort.run_until_cancelled(stream).await;
        });
    }
}
