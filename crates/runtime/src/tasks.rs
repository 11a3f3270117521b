//! Supervised tasks: each has a name, stops on the shutdown token, and its end is observed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tells a task that it is to stop.
pub type Shutdown = CancellationToken;

/// A task that ended although nobody had asked it to.
#[derive(Debug, thiserror::Error)]
#[error("task {name} {how}")]
pub struct TaskFailure {
    /// The task's name.
    pub name: &'static str,
    /// How it ended.
    pub how: HowEnded,
}

/// How a task ended unasked.
#[derive(Debug, thiserror::Error)]
pub enum HowEnded {
    /// It returned an error.
    #[error("failed: {0}")]
    Failed(String),
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It returned as if it had been asked to stop.
    #[error("ended unasked")]
    Returned,
}

/// Where tasks run, if not on the tokio runtime that they are started in.
pub trait Executor: fmt::Debug + Send + Sync {
    /// Runs a task, beginning later than this returns.
    fn spawn(&self, name: &'static str, task: Pin<Box<dyn Future<Output = ()> + Send>>);
}

/// A group of tasks that start together and stop together.
#[derive(Clone, Debug)]
pub struct Tasks {
    executor: Option<Arc<dyn Executor>>,
    tracker: TaskTracker,
    shutdown: Shutdown,
    running: Arc<Mutex<Vec<&'static str>>>,
    failures: mpsc::UnboundedSender<TaskFailure>,
}

/// Where the failures of several groups come together.
#[derive(Debug)]
pub struct Failures {
    sender: mpsc::UnboundedSender<TaskFailure>,
    receiver: mpsc::UnboundedReceiver<TaskFailure>,
}

impl Failures {
    /// A new meeting point.
    pub fn new() -> Self {
        // Unbounded, but each task sends at most once.
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { sender, receiver }
    }

    /// A new group whose failures come here.
    pub fn group(&self) -> Tasks {
        self.group_on(None)
    }

    /// The same, its tasks running on an executor of their own.
    pub fn group_on(&self, executor: Option<Arc<dyn Executor>>) -> Tasks {
        Tasks {
            executor,
            tracker: TaskTracker::new(),
            shutdown: Shutdown::new(),
            running: Arc::default(),
            failures: self.sender.clone(),
        }
    }

    /// Waits for a task that ends unasked.
    pub async fn first(&mut self) -> TaskFailure {
        match self.receiver.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }
}

impl Default for Failures {
    fn default() -> Self {
        Self::new()
    }
}

impl Tasks {
    /// The token that tells this group's tasks to stop.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Starts a task that runs until the shutdown token is cancelled. If it ends before that, in whatever way, the process
    /// is told and stops: a service of which a part has died is worse than one that restarts.
    pub fn spawn<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let (shutdown, running, failures) = (self.shutdown.clone(), Arc::clone(&self.running), self.failures.clone());
        running.lock().push(name);
        self.run(name, async move {
            let ended = std::panic::AssertUnwindSafe(task).catch_unwind().await;
            {
                let mut running = running.lock();
                if let Some(at) = running.iter().position(|other| *other == name) {
                    running.swap_remove(at);
                }
            }
            let how = match ended {
                Ok(Ok(())) if shutdown.is_cancelled() => return,
                Ok(Ok(())) => HowEnded::Returned,
                Ok(Err(error)) => HowEnded::Failed(report(&error)),
                Err(panic) => HowEnded::Panicked(panic_text(&*panic)),
            };
            tracing::error!(task = name, %how, "a task ended");
            // The receiver is gone when the process is already stopping for another failure.
            let _ = failures.send(TaskFailure { name, how });
        });
    }

    /// Starts a task that may end by itself, such as the consumer of one partition; failing or panicking is a failure.
    pub fn spawn_until_done<F, E>(&self, name: &'static str, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        let failures = self.failures.clone();
        self.spawn_work(name, async move {
            if let Err(error) = task.await {
                let how = HowEnded::Failed(report(&error));
                tracing::error!(task = name, %how, "a task ended");
                let _ = failures.send(TaskFailure { name, how });
            }
        });
    }

    /// Starts a short piece of work that ends by itself, such as one delivery. A panic in it is a failure like any other.
    pub fn spawn_work<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let failures = self.failures.clone();
        // What is several kilobytes large is moved once, not with each of the futures that are put around it.
        let work = Box::pin(work);
        self.run(name, async move {
            if let Err(panic) = std::panic::AssertUnwindSafe(work).catch_unwind().await {
                let how = HowEnded::Panicked(panic_text(&*panic));
                tracing::error!(task = name, %how, "a piece of work ended");
                let _ = failures.send(TaskFailure { name, how });
            }
        });
    }

    fn run(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        match &self.executor {
            Some(executor) => executor.spawn(name, Box::pin(self.tracker.track_future(task))),
            None => drop(self.tracker.spawn(task)),
        }
    }

    /// Whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Tells all tasks to stop and waits for them, at most `grace`.
    ///
    /// # Errors
    /// The names of the tasks that were still running then.
    pub async fn stop(&self, grace: Duration) -> Result<(), Vec<&'static str>> {
        self.shutdown.cancel();
        self.tracker.close();
        match tokio::time::timeout(grace, self.tracker.wait()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.running.lock().clone()),
        }
    }
}

/// An error with its causes, in one line.
pub fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some libraries repeat their cause in their own message.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_unasked_is_reported_and_one_that_stops_is_not() {
        let mut failures = Failures::new();
        let tasks = failures.group();
        let shutdown = tasks.shutdown();
        tasks.spawn("patient", async move {
            shutdown.cancelled().await;
            Ok::<(), std::io::Error>(())
        });
        tasks.spawn("broken", async { Err(std::io::Error::other("no")) });
        assert_eq!(failures.first().await.to_string(), "task broken failed: no");
        tasks.spawn("jumpy", async {
            if true {
                panic!("boo")
            }
            Ok::<(), std::io::Error>(())
        });
        assert_eq!(failures.first().await.to_string(), "task jumpy panicked: boo");
        tasks.stop(Duration::from_secs(10)).await.unwrap();
        assert!(failures.first().now_or_never().is_none());
    }
}
