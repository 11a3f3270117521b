//! The list of all options, read off the default configuration: what exists, of which type, under which names.
//!
//! Since it is derived, a new field of any service's configuration is reachable by file, environment and command line
//! without a line of code.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::Config;

/// Every option by its path (`delivery.workers`), with its default.
#[derive(Debug)]
pub(super) struct Options {
    defaults: Table,
    leaves: BTreeMap<String, Value>,
    sections: Vec<String>,
}

impl Options {
    /// The options of this build.
    pub(super) fn of_this_build() -> Self {
        let defaults =
            Table::try_from(Config::default()).expect("every option's default has a TOML form, as a test holds");
        let (mut leaves, mut sections) = (BTreeMap::new(), Vec::new());
        collect("", &defaults, &mut leaves, &mut sections);
        Self { defaults, leaves, sections }
    }

    /// The defaults as a table to lay others over.
    pub(super) fn defaults(&self) -> Table {
        self.defaults.clone()
    }

    /// The default of an option; `None` if there is no such option.
    pub(super) fn default_of(&self, path: &str) -> Option<&Value> {
        self.leaves.get(path)
    }

    /// Whether there is a section of this path.
    pub(super) fn is_section(&self, path: &str) -> bool {
        self.sections.iter().any(|section| section == path)
    }

    /// The first option of a section, as an example of what it has; `None` if there is no such section.
    pub(super) fn first_of_section(&self, path: &str) -> Option<&str> {
        self.paths().find(|option| option.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
    }

    /// The paths of all options.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().map(String::as_str)
    }

    /// The option that an environment variable sets.
    pub(super) fn of_variable(&self, name: &str) -> Option<&str> {
        self.paths().find(|path| variable(path) == name)
    }

    /// The option or section whose path is most like `path`, if one is like it at all. An option of another section with the
    /// same name counts as very like: keys get written above their section's head.
    pub(super) fn nearest(&self, path: &str) -> Option<String> {
        let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
        let written = last(path);
        let candidates = self.paths().chain(self.sections.iter().map(String::as_str));
        most_like(candidates, |candidate| {
            let whole = likeness(candidate, path, path.len());
            let name = likeness(&last(candidate), &written, written.len());
            whole.into_iter().chain(name.map(|differing| differing + 1)).min()
        })
    }

    /// The environment variable whose name is most like `name`, if one is like it at all.
    pub(super) fn nearest_variable(&self, name: &str) -> Option<String> {
        let variables: Vec<String> = self.paths().map(variable).chain([super::environment::FILE.to_owned()]).collect();
        // The prefix is common to all and says nothing.
        let length = name.len().saturating_sub("FANFARE_".len());
        most_like(variables.iter().map(String::as_str), |candidate| likeness(candidate, name, length))
    }
}

/// The candidate with the fewest differing letters, of those that are like it at all.
fn most_like<'a>(
    candidates: impl Iterator<Item = &'a str>,
    likeness: impl Fn(&str) -> Option<usize>,
) -> Option<String> {
    let alike = candidates.filter_map(|candidate| Some((likeness(candidate)?, candidate)));
    alike.min().map(|(_, candidate)| candidate.to_owned())
}

/// How many letters differ, unless they are too many for a slip: up to one in three of the `length` that says something may
/// differ, and two in short names.
fn likeness(candidate: &str, written: &str, length: usize) -> Option<usize> {
    let differing = strsim::damerau_levenshtein(candidate, written);
    (differing <= (length / 3).max(2)).then_some(differing)
}

/// The environment variable of an option.
pub(super) fn variable(path: &str) -> String {
    format!("FANFARE_{}", path.replace('.', "_").to_ascii_uppercase())
}

/// Whether an option's value is a secret, which no message may show.
pub(super) fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    // URLs may hold a user and a password.
    let named = ["password", "url", "urls"].contains(&name);
    named || ["_key", "_secret", "_password", "_token"].iter().any(|ending| name.ends_with(ending))
}

/// Sets an option that exists.
pub(super) fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            table.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                set(inner, rest, value);
            }
        }
    }
}

fn collect(prefix: &str, table: &Table, leaves: &mut BTreeMap<String, Value>, sections: &mut Vec<String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => {
                collect(&path, inner, leaves, sections);
                sections.push(path);
            }
            Value::String(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Datetime(_)
            | Value::Array(_) => {
                leaves.insert(path, value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_variable_of_its_own() {
        let options = Options::of_this_build();
        for path in options.paths() {
            assert_eq!(options.of_variable(&variable(path)), Some(path), "another option has the same variable");
        }
        assert!(options.of_variable("FANFARE_SERVER_MAX_CONNECTIONS").is_some());
    }

    #[test]
    fn the_defaults_are_what_the_code_says() {
        let read: Config = Options::of_this_build().defaults().try_into().unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_nonsense_is_not() {
        let options = Options::of_this_build();
        for (written, meant) in [
            ("listn", "listen"),
            ("data-dir", "data_dir"),
            ("server.max_conections", "server.max_connections"),
            ("max_connections", "server.max_connections"),
            ("histroy", "history"),
        ] {
            assert_eq!(options.nearest(written).as_deref(), Some(meant), "{written}");
        }
        for nonsense in ["colour_of_the_bike_shed", "delivery.workrs", "delivery.colours"] {
            assert_eq!(options.nearest(nonsense), None, "{nonsense}");
        }
        assert_eq!(options.nearest_variable("FANFARE_API_KYE").as_deref(), Some("FANFARE_API_KEY"));
        assert_eq!(options.nearest_variable("FANFARE_XYZ"), None);
    }
}
