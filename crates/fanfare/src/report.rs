//! The one error type of the binary: what happened, to what, what to do, and the exit code.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use fanfare_runtime::tasks;

use crate::config::Problems;

/// Why the process ends without having done what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    what: String,
    advice: Option<String>,
    code: u8,
}

impl Report {
    /// Something could not be done; exit code 1.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None, code: 1 }
    }

    /// Something could not be done, because of an error; exit code 1.
    pub(crate) fn because(what: impl fmt::Display, error: &dyn Error) -> Self {
        Self::new(format!("{what}: {}", tasks::report(error)))
    }

    /// The configuration is wrong; exit code 2, as for a wrong command line.
    pub(crate) fn configuration(problems: &Problems) -> Self {
        Self { what: format!("the configuration is wrong\n{problems}"), advice: None, code: 2 }
    }

    /// What was asked for makes no sense; exit code 2, as for a wrong command line.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None, code: 2 }
    }

    /// Adds what to do about it.
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fanfare: {}", self.what.replace('\n', "\n  "))?;
        match &self.advice {
            Some(advice) => write!(f, "\n  {advice}"),
            None => Ok(()),
        }
    }
}
