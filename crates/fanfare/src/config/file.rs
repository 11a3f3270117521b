//! The layer of the file: TOML, every key known, every value of the type that its option has.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::options::{Options, is_secret};
use super::problem::{Origin, Problem, Shown};

/// A value that the file sets.
#[derive(Debug)]
pub(super) struct FileValue {
    /// The option.
    pub(super) path: String,
    /// Its value.
    pub(super) value: Value,
    /// Where it stands.
    pub(super) origin: Origin,
}

/// Reads the file.
pub(super) fn read(path: &Path, options: &Options, problems: &mut Vec<Problem>) -> Vec<FileValue> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text, options, problems),
        Err(error) => {
            problems.push(Problem::Unreadable { path: path.to_owned(), why: error.to_string() });
            Vec::new()
        }
    }
}

/// Parses it twice: once for the values, once for the lines they stand on.
fn parse(path: &Path, text: &str, options: &Options, problems: &mut Vec<Problem>) -> Vec<FileValue> {
    let parsed = text.parse::<Table>().and_then(|values| DeTable::parse(text).map(|places| (values, places)));
    let mut walk = Walk { path, text, options, problems, found: Vec::new() };
    match parsed {
        Ok((values, places)) => walk.table("", values, places.get_ref()),
        Err(error) => {
            let origin = walk.origin(error.span().map_or(0, |span| span.start));
            // Not the error's own text: it quotes the line, on which a secret may stand.
            walk.problems.push(Problem::Syntax { origin, why: error.message().to_owned() });
        }
    }
    walk.found
}

struct Walk<'a> {
    path: &'a Path,
    text: &'a str,
    options: &'a Options,
    problems: &'a mut Vec<Problem>,
    found: Vec<FileValue>,
}

impl Walk<'_> {
    fn origin(&self, at: usize) -> Origin {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        Origin::File { path: self.path.to_owned(), line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    }

    fn table(&mut self, prefix: &str, values: Table, places: &DeTable<'_>) {
        for (key, value) in values {
            let place = places.iter().find(|(name, _)| *name.get_ref() == key.as_str());
            let origin = self.origin(place.map_or(0, |(name, _)| name.span().start));
            let inner = place.and_then(|(_, value)| match value.get_ref() {
                DeValue::Table(table) => Some(table),
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_)
                | DeValue::Array(_) => None,
            });
            let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            match (value, inner) {
                (Value::Table(table), Some(places)) if self.options.is_section(&path) => {
                    self.table(&path, table, places);
                }
                (value, _) => self.value(path, value, origin),
            }
        }
    }

    fn value(&mut self, path: String, value: Value, origin: Origin) {
        let Some(default) = self.options.default_of(&path) else {
            if self.options.is_section(&path) {
                let allowed = format!("it is a section: write [{path}] and its options below");
                self.problems.push(Problem::Value { origin, option: path, value: shown("", &value), allowed });
            } else {
                let nearest = self.options.nearest(&path);
                self.problems.push(Problem::Unknown { origin, name: path, nearest });
            }
            return;
        };
        match fit(value, default) {
            Ok(value) => self.found.push(FileValue { path, value, origin }),
            Err(value) => {
                let allowed = format!("it has to be {}, not {}", article(default), article(&value));
                let value = shown(&path, &value);
                self.problems.push(Problem::Value { origin, option: path, value, allowed });
            }
        }
    }
}

/// The value, if it is of the type of the default; whole numbers are numbers too.
fn fit(value: Value, default: &Value) -> Result<Value, Value> {
    match (default, value) {
        #[allow(clippy::cast_precision_loss, reason = "options are far below 2^52, and their ranges are checked")]
        (Value::Float(_), Value::Integer(number)) => Ok(Value::Float(number as f64)),
        (default, value) if value.same_type(default) => Ok(value),
        (_, value) => Err(value),
    }
}

fn article(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text in quotes",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "`true` or `false`",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a section",
    }
}

/// A value as a message shows it.
pub(super) fn shown(path: &str, value: &Value) -> Shown {
    if is_secret(path) { Shown::Secret } else { Shown::Plainly(value.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        parse(Path::new("fanfare.toml"), text, &Options::of_this_build(), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_unknown_key_is_told_with_its_line_and_the_nearest_right_one() {
        let text = "# ours\nlog = 'warn'\n\n[server]\nmax_conections = 5\n\n[sever]\nx = 1\n";
        assert_eq!(
            problems(text),
            [
                "fanfare.toml, line 5: there is no option `server.max_conections`; did you mean `server.max_connections`?",
                "fanfare.toml, line 7: there is no option `sever`; did you mean `server`?",
            ]
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused_and_secrets_are_not_shown() {
        assert_eq!(
            problems("shutdown_grace = 25\napi_key = 12345678\nserver = 3\n"),
            [
                "fanfare.toml, line 2: api_key = (not shown): it has to be a text in quotes, not a whole number",
                "fanfare.toml, line 3: server = 3: it is a section: write [server] and its options below",
                "fanfare.toml, line 1: shutdown_grace = 25: it has to be a text in quotes, not a whole number",
            ]
        );
    }

    #[test]
    fn a_syntax_error_names_the_line_and_quotes_nothing() {
        let problems = problems("log = 'info'\napi_key = \"hush hush\n");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].starts_with("fanfare.toml, line 2: not valid TOML: "), "{problems:?}");
        assert!(!problems[0].contains("hush"), "{problems:?}");
    }
}
