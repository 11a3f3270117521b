//! Reads the layers, lays them over each other, and checks the result.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use toml::{Table, Value};

use super::Config;
use super::environment::{self, Environment};
use super::file;
use super::options::{self, Options};
use super::problem::{Origin, Problem, Problems, Shown};
use super::ranges;

/// An option and its value as text: how the environment and the command line set options.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The option's path.
    pub(crate) path: String,
    /// The value.
    pub(crate) text: String,
    /// Where it was set.
    pub(crate) origin: Origin,
}

impl Setting {
    /// What a flag of the command line sets.
    pub(crate) fn flag(flag: &'static str, path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), origin: Origin::Flag(flag) }
    }
}

/// The options that were set, each with where: what an error has to name.
pub(super) type Origins = BTreeMap<String, Origin>;

/// The configuration of a process, and where each value of it comes from.
#[derive(Debug)]
pub(crate) struct Effective {
    /// The configuration.
    pub(crate) config: Config,
    /// Every option in order of its path: its value, and where that was set; `None`: it is the default.
    pub(super) values: Vec<(String, Value, Option<Origin>)>,
}

/// Reads the layers, lays them over each other and checks the whole.
///
/// # Errors
/// Everything that is wrong with it, not only the first thing.
pub(crate) fn effective(
    file: Option<PathBuf>,
    environment: &dyn Environment,
    command_line: Vec<Setting>,
) -> Result<Effective, Problems> {
    let options = Options::of_this_build();
    let mut problems = Vec::new();
    let mut layers = Layers { options: &options, table: options.defaults(), origins: Origins::new() };
    let file = file.or_else(|| file_of(environment));
    for set in file.map(|path| file::read(&path, &options, &mut problems)).unwrap_or_default() {
        layers.lay(set.path, set.value, set.origin);
    }
    for setting in environment::read(environment, &options, &mut problems) {
        layers.lay_text(setting, &mut problems);
    }
    for setting in command_line {
        layers.lay_text(setting, &mut problems);
    }
    layers.take_out_of_range(&mut problems);
    let config = match layers.read(&mut problems) {
        Some(config) if problems.is_empty() => layers.check(config)?,
        _ => return Err(Problems(problems)),
    };
    Ok(Effective { config, values: layers.values() })
}

fn file_of(environment: &dyn Environment) -> Option<PathBuf> {
    let value: Option<OsString> =
        environment.variables().into_iter().find(|(name, _)| name == environment::FILE).map(|(_, value)| value);
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

struct Layers<'a> {
    options: &'a Options,
    table: Table,
    origins: Origins,
}

impl Layers<'_> {
    fn lay(&mut self, path: String, value: Value, origin: Origin) {
        options::set(&mut self.table, &path, value);
        self.origins.insert(path, origin);
    }

    fn lay_text(&mut self, setting: Setting, problems: &mut Vec<Problem>) {
        let Setting { path, text, origin } = setting;
        let Some(default) = self.options.default_of(&path) else {
            let value = Shown::Plainly(text);
            problems.push(match self.options.first_of_section(&path) {
                Some(first) => {
                    let allowed = format!("it is a section: name one of its options, such as {first}");
                    Problem::Value { origin, option: path, value, allowed }
                }
                None => Problem::Unknown { origin, nearest: self.options.nearest(&path), name: path },
            });
            return;
        };
        match environment::value_of(&path, &text, default) {
            Ok(value) => self.lay(path, value, origin),
            Err((value, allowed)) => problems.push(Problem::Value { origin, option: path, value, allowed }),
        }
    }

    fn refuse(&self, path: &str, allowed: String, problems: &mut Vec<Problem>) {
        // The defaults are as they have to be, as tests hold, so what is not was set somewhere.
        if let (Some(origin), Some(value)) = (self.origins.get(path), get(&self.table, path)) {
            let (origin, option, value) = (origin.clone(), path.to_owned(), file::shown(path, value));
            problems.push(Problem::Value { origin, option, value, allowed });
        }
    }

    /// What is out of its range is told of, and made the default again, so that what else is wrong comes to light too.
    fn take_out_of_range(&mut self, problems: &mut Vec<Problem>) {
        for (path, allowed) in ranges::out_of_range(&self.table, &self.origins) {
            self.refuse(path, allowed, problems);
            if let Some(default) = self.options.default_of(path) {
                options::set(&mut self.table, path, default.clone());
            }
        }
    }

    fn values(&self) -> Vec<(String, Value, Option<Origin>)> {
        let value = |path: &str| {
            let value = get(&self.table, path)?.clone();
            Some((path.to_owned(), value, self.origins.get(path).cloned()))
        };
        self.options.paths().filter_map(value).collect()
    }

    fn check(&self, config: Config) -> Result<Config, Problems> {
        let (wrong, together) = ranges::check(&config);
        let mut problems = Vec::new();
        for (path, allowed) in wrong {
            self.refuse(path, allowed, &mut problems);
        }
        problems.extend(together.into_iter().map(Problem::Together));
        if problems.is_empty() { Ok(config) } else { Err(Problems(problems)) }
    }

    /// Reads the whole; if that fails, each option that was set alone over the defaults, to tell which of them are wrong.
    fn read(&self, problems: &mut Vec<Problem>) -> Option<Config> {
        let error = match self.table.clone().try_into::<Config>() {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let before = problems.len();
        for path in self.origins.keys() {
            let Some(value) = get(&self.table, path) else { continue };
            let mut alone = self.options.defaults();
            options::set(&mut alone, path, value.clone());
            if let Err(error) = alone.try_into::<Config>() {
                self.refuse(path, allowed(error.message()), problems);
            }
        }
        if problems.len() == before {
            problems.push(Problem::Together(error.message().to_owned()));
        }
        None
    }
}

/// What is allowed, in words of ours where those of the type leave a slip unexplained.
fn allowed(message: &str) -> String {
    if message.contains("socket address") {
        return "it has to be an IP address and a port, such as 127.0.0.1:8080".to_owned();
    }
    message.to_owned()
}

/// The value of an option.
pub(super) fn get<'t>(table: &'t Table, path: &str) -> Option<&'t Value> {
    match path.split_once('.') {
        None => table.get(path),
        Some((section, rest)) => get(table.get(section)?.as_table()?, rest),
    }
}

#[cfg(test)]
mod tests;
