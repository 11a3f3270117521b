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
        most_like(candidates, path.len(), |candidate| {
            let whole = strsim::damerau_levenshtein(candidate, path);
            whole.min(strsim::damerau_levenshtein(&last(candidate), &written) + 1)
        })
    }

    /// The environment variable whose name is most like `name`, if one is like it at all.
    pub(super) fn nearest_variable(&self, name: &str) -> Option<String> {
        let variables: Vec<String> = self.paths().map(variable).chain([super::environment::FILE.to_owned()]).collect();
        let candidates = variables.iter().map(String::as_str);
        // The prefix is common to all and says nothing.
        most_like(candidates, name.len().saturating_sub(8), |candidate| strsim::damerau_levenshtein(candidate, name))
    }
}

/// Up to one letter in three may differ, and two in short names.
fn most_like<'a>(
    candidates: impl Iterator<Item = &'a str>,
    length: usize,
    distance: impl Fn(&str) -> usize,
) -> Option<String> {
    let nearest = candidates.map(|candidate| (distance(candidate), candidate)).min()?;
    (nearest.0 <= (length / 3).max(2)).then(|| nearest.1.to_owned())
}

/// The environment variable of an option.
pub(super) fn variable(path: &str) -> String {
    format!("FANFARE_{}", path.replace('.', "_").to_ascii_uppercase())
}

/// Whether an option's value is a secret, which no message may show.
pub(super) fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    ["_key", "_secret", "_password", "_token"].iter().any(|ending| name.ends_with(ending))
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
        assert_eq!(options.nearest("colour_of_the_bike_shed"), None);
        assert_eq!(options.nearest_variable("FANFARE_API_KYE").as_deref(), Some("FANFARE_API_KEY"));
        assert_eq!(options.nearest_variable("FANFARE_XYZ"), None);
    }
}
