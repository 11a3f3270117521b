//! The layer of the environment: `FANFARE_<SECTION>_<KEY>`, read as text by the type of the option's default.
//!
//! A secret can stand in a file instead, which `FANFARE_<SECTION>_<KEY>_FILE` names: what a variable holds can be seen by whoever
//! may inspect the process or its container.
//!
//! A `FANFARE_` variable that sets nothing is refused: a mistyped `FANFARE_ENCRYPTION_KEY` must not start a service with
//! another key. Not refused are [`FILE`] and the variables that Docker links and Kubernetes put into every container for a
//! service that happens to be called `fanfare`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

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
            if let Some(path) = of_secret_file(name, options) {
                settings.extend(from_file(path, Path::new(&value), origin, problems));
            } else if !is_container_link(name, &value) {
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
    refuse_both(&settings, problems);
    settings
}

/// The secret that is in the file which this variable names; other options have no such variable.
fn of_secret_file<'o>(name: &str, options: &'o Options) -> Option<&'o str> {
    options.of_variable(name.strip_suffix("_FILE")?).filter(|path| is_secret(path))
}

/// The text of the file without the line's end after it. An empty variable names none.
fn from_file(path: &str, file: &Path, origin: Origin, problems: &mut Vec<Problem>) -> Option<Setting> {
    if file.as_os_str().is_empty() {
        return None;
    }
    let refused = match std::fs::read_to_string(file) {
        Ok(text) if !text.trim_end().is_empty() => {
            return Some(Setting { path: path.to_owned(), text: text.trim_end().to_owned(), origin });
        }
        Ok(_) => "the file is empty; it has to hold the value".to_owned(),
        Err(error) => format!("the file cannot be read: {error}"),
    };
    let value = Shown::Plainly(format!("(in {})", file.display()));
    problems.push(Problem::Value { origin, option: path.to_owned(), value, allowed: refused });
    None
}

/// One of the two would win without a word. A variable that is empty, as compose files leave those that are not set, gives way.
fn refuse_both(settings: &[Setting], problems: &mut Vec<Problem>) {
    for pair in settings.windows(2) {
        if let [plain, file] = pair
            && plain.path == file.path
            && !plain.text.is_empty()
        {
            let (one, other) = (&plain.origin, &file.origin);
            problems.push(Problem::Together(format!("{one} and {other} are both set; one of them has to go")));
        }
    }
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
    fn a_secret_is_read_from_the_file_that_its_variable_names() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("key");
        std::fs::write(&file, "hush-hush-hush\n").unwrap();
        let file = file.to_str().unwrap().to_owned();
        let options = Options::of_this_build();
        let read_all = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let mut problems = Vec::new();
            let settings = read(&variables.collect::<BTreeMap<_, _>>(), &options, &mut problems);
            let settings: Vec<_> = settings.into_iter().map(|setting| (setting.path, setting.text)).collect();
            (settings, problems.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let set = |path: &str| (path.to_owned(), "hush-hush-hush".to_owned());
        let (settings, problems) = read_all(&[
            ("FANFARE_API_KEY_FILE", &file),
            ("FANFARE_DISTRIBUTED_REDIS_PASSWORD_FILE", &file),
            ("FANFARE_ENCRYPTION_KEY_FILE", ""),
        ]);
        assert_eq!((settings, problems.len()), (vec![set("api_key"), set("distributed.redis.password")], 0));
        let (settings, problems) = read_all(&[("FANFARE_API_KEY", ""), ("FANFARE_API_KEY_FILE", &file)]);
        assert_eq!((settings.last(), problems.len()), (Some(&set("api_key")), 0));
        let (_, problems) = read_all(&[("FANFARE_API_KEY", "hush"), ("FANFARE_API_KEY_FILE", &file)]);
        let both = "environment variable FANFARE_API_KEY and environment variable FANFARE_API_KEY_FILE are both set; \
                    one of them has to go";
        assert_eq!(problems, [both]);
        let missing = format!("{file}.not");
        let (_, problems) = read_all(&[("FANFARE_API_KEY_FILE", &missing), ("FANFARE_LOG_FILE", &file)]);
        let unreadable = format!(
            "environment variable FANFARE_API_KEY_FILE: api_key = (in {missing}): the file cannot be read: \
             No such file or directory (os error 2)"
        );
        assert_eq!(problems[0], unreadable);
        assert!(problems[1].contains("there is no option `FANFARE_LOG_FILE`"), "{problems:?}");
        std::fs::write(&file, "\n").unwrap();
        let (settings, problems) = read_all(&[("FANFARE_API_KEY_FILE", &file)]);
        assert!(settings.is_empty() && problems[0].contains("the file is empty"), "{problems:?}");
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
