//! What can be wrong with a configuration, and how it is told: which option, where it was set, what is allowed.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the file, on this line (from 1).
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// In this environment variable.
    Variable(String),
    /// With this flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Origin::Variable(name) => write!(f, "environment variable {name}"),
            Origin::Flag(flag) => write!(f, "command line, {flag}"),
        }
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The file is not TOML.
    #[error("{origin}: not valid TOML: {why}")]
    Syntax {
        /// Where.
        origin: Origin,
        /// Why not.
        why: String,
    },
    /// There is no such option or variable.
    #[error("{origin}: there is no option `{name}`{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// Where.
        origin: Origin,
        /// What was written.
        name: String,
        /// What may have been meant.
        nearest: Option<String>,
    },
    /// There is such an option, but what is set there is not a value for it.
    #[error("{origin}: {option} = {value}: {allowed}")]
    Value {
        /// Where.
        origin: Origin,
        /// The option.
        option: String,
        /// The value, unless it is a secret.
        value: Shown,
        /// What is allowed.
        allowed: String,
    },
    /// Two options do not go together.
    #[error("{0}")]
    Together(String),
}

/// A value as an error message shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As it is.
    Plainly(String),
    /// It is a secret.
    Secret,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown::Plainly(text) => f.write_str(text),
            Shown::Secret => f.write_str("(not shown)"),
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// Everything that is wrong with the configuration; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
