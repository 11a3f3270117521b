//! The layer of the environment: `FANFARE_<SECTION>_<KEY>`, read as text by the type of the option's default.
//!
//! A `FANFARE_` variable that sets nothing is refused: a mistyped `FANFARE_ENCRYPTION_KEY` must not start a service with
//! another key. Not refused are [`FILE`] and the variables that Docker links and Kubernetes put into every container for a
//! service that happens to be called `fanfare`.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::Value;

use super::load::Setting;
use super::options::{Options, is_secret};
use super::problem::{Origin, Problem, Shown};

/// Names the configuration file, as `--config` does.
pub(crate) const FILE: &str = "FANFARE_CONFIG";

/// Where variables are read; tests pass a map.
pub(crate) trait Environment {
    /// All variables.
    fn variables(&self) -> Vec<(OsString, OsString)>;
}

/// The environment of this process.
#[derive(Debug)]
pub(crate) struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn variables(&self) -> Vec<(OsString, OsString)> {
        self.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// The variables that set options, in order of their names.
pub(super) fn read(environment: &dyn Environment, options: &Options, problems: &mut Vec<Problem>) -> Vec<Setting> {
    let mut variables = environment.variables();
    variables.sort();
    let mut settings = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with("FANFARE_") && *name != FILE) else {
            continue;
        };
        let origin = Origin::Variable(name.to_owned());
        let Some(path) = options.of_variable(name) else {
            if !is_container_link(name, &value) {
                problems.push(Problem::Unknown {
                    origin,
                    name: name.to_owned(),
                    nearest: options.nearest_variable(name),
                });
            }
            continue;
        };
        match value.into_string() {
            Ok(text) => settings.push(Setting { path: path.to_owned(), text, origin }),
            Err(_) => problems.push(Problem::Value {
                origin,
                option: path.to_owned(),
                value: Shown::Secret,
                allowed: "the value has to be UTF-8".to_owned(),
            }),
        }
    }
    settings
}

/// `FANFARE_SERVICE_HOST`, `FANFARE_SERVICE_PORT[_NAME]`, `FANFARE_PORT[_8080_TCP[_PROTO|_PORT|_ADDR]]`, also with more
/// between `FANFARE_` and these, as for a service called `fanfare-edge`.
fn is_container_link(name: &str, value: &OsString) -> bool {
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") {
        return true;
    }
    if name.ends_with("_PORT") {
        return value.to_str().is_some_and(|value| value.starts_with("tcp://") || value.starts_with("udp://"));
    }
    let Some((_, link)) = name.split_once("_PORT_") else { return false };
    let mut parts = link.split('_');
    let port = parts.next().is_some_and(|port| port.parse::<u16>().is_ok());
    port && parts.next().is_some_and(|protocol| matches!(protocol, "TCP" | "UDP" | "SCTP"))
}

/// Reads a text as a value of the type that the option's default has.
pub(super) fn value_of(path: &str, text: &str, default: &Value) -> Result<Value, (Shown, String)> {
    let refuse = |allowed: &str| {
        let shown = if is_secret(path) { Shown::Secret } else { Shown::Plainly(format!("{text:?}")) };
        (shown, allowed.to_owned())
    };
    match default {
        Value::String(_) | Value::Datetime(_) | Value::Table(_) => Ok(Value::String(text.to_owned())),
        Value::Integer(_) => {
            text.trim().parse().map(Value::Integer).map_err(|_| refuse("it has to be a whole number such as 100"))
        }
        Value::Float(_) => {
            text.trim().parse().map(Value::Float).map_err(|_| refuse("it has to be a number such as 0.5"))
        }
        Value::Boolean(_) => {
            text.trim().parse().map(Value::Boolean).map_err(|_| refuse("it has to be `true` or `false`"))
        }
        Value::Array(items) => {
            let item = items.first().cloned().unwrap_or_else(|| Value::String(String::new()));
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| value_of(path, part, &item)).collect::<Result<_, _>>().map(Value::Array)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_container_platforms_set_is_passed_over() {
        let options = Options::of_this_build();
        let read_one = |name: &str, value: &str| {
            let environment = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let mut problems = Vec::new();
            assert!(read(&environment, &options, &mut problems).is_empty(), "{name} set something");
            problems
        };
        for (name, value) in [
            ("FANFARE_SERVICE_HOST", "10.0.0.1"),
            ("FANFARE_SERVICE_PORT_HTTP", "8080"),
            ("FANFARE_PORT", "tcp://10.0.0.1:8080"),
            ("FANFARE_PORT_8080_TCP_ADDR", "10.0.0.1"),
            ("FANFARE_EDGE_SERVICE_HOST", "10.0.0.1"),
            ("FANFARE_CONFIG", "fanfare.toml"),
            ("PATH", "/bin"),
        ] {
            assert_eq!(read_one(name, value), [], "{name}");
        }
        for (name, value) in [("FANFARE_PORT", "8080"), ("FANFARE_ENCRYPTION_KYE", "x"), ("FANFARE_PORT_X", "")] {
            assert_eq!(read_one(name, value).len(), 1, "{name} was passed over");
        }
    }

    #[test]
    fn texts_are_read_by_the_type_of_the_default() {
        let list = Value::Array(vec![Value::Integer(1)]);
        assert_eq!(value_of("x", " 5 ", &Value::Integer(0)), Ok(Value::Integer(5)));
        assert_eq!(value_of("x", "0.5", &Value::Float(0.0)), Ok(Value::Float(0.5)));
        assert_eq!(value_of("x", "true", &Value::Boolean(false)), Ok(Value::Boolean(true)));
        assert_eq!(value_of("x", "5s", &Value::String(String::new())), Ok(Value::String("5s".to_owned())));
        assert_eq!(value_of("x", "1, 2", &list), Ok(Value::Array(vec![Value::Integer(1), Value::Integer(2)])));
        assert_eq!(value_of("x", "", &list), Ok(Value::Array(Vec::new())));
        for (text, default) in [("five", Value::Integer(0)), ("yes", Value::Boolean(false)), ("1,b", list)] {
            assert!(value_of("x", text, &default).is_err(), "{text}");
        }
    }
}
