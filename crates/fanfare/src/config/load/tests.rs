use std::io::Write as _;

use super::*;

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load(
    file: Option<PathBuf>,
    environment: &BTreeMap<String, String>,
    flags: Vec<Setting>,
) -> Result<Config, Problems> {
    effective(file, environment, flags).map(|effective| effective.config)
}

fn problems(variables: &[(&str, &str)], flags: Vec<Setting>) -> Vec<String> {
    match load(None, &environment(variables), flags) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn each_layer_lies_over_the_one_before() {
    let file = file("listen = '127.0.0.1:1'\nlog = 'warn'\ndata_dir = '/in/the/file'\n[server]\nmax_connections = 7\n");
    let variables = environment(&[("FANFARE_LOG", "debug"), ("FANFARE_DATA_DIR", "/in/the/environment")]);
    let flags = vec![Setting::flag("--data-dir", "data_dir", "/on/the/command/line")];
    let config = load(Some(file.path().to_owned()), &variables, flags).unwrap();
    assert_eq!(config.admin_listen, Config::default().admin_listen);
    assert_eq!(config.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.server.max_connections, 7);
    assert_eq!(config.server.header_timeout, Config::default().server.header_timeout);
    assert_eq!(config.log, "debug");
    assert_eq!(config.data_dir, PathBuf::from("/on/the/command/line"));
}

#[test]
fn the_file_is_named_by_the_flag_before_the_variable_and_is_never_guessed() {
    let (one, two) = (file("log = 'warn'\n"), file("log = 'error'\n"));
    let variable = environment(&[("FANFARE_CONFIG", one.path().to_str().unwrap())]);
    assert_eq!(load(None, &variable, Vec::new()).unwrap().log, "warn");
    assert_eq!(load(Some(two.path().to_owned()), &variable, Vec::new()).unwrap().log, "error");
    assert_eq!(load(None, &environment(&[]), Vec::new()).unwrap().log, "info");
    let missing = load(Some("/nowhere/fanfare.toml".into()), &environment(&[]), Vec::new()).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read the configuration file /nowhere/fanfare.toml: "), "{missing}");
}

#[test]
fn every_option_is_reachable_by_its_variable() {
    let options = Options::of_this_build();
    for path in options.paths() {
        let default = options.default_of(path).unwrap();
        let text = another_value(path, default);
        let settings = environment(&[(&options::variable(path), &text)]);
        let mut problems = Vec::new();
        let mut layers = Layers { options: &options, table: options.defaults(), origins: Origins::new() };
        for setting in environment::read(&settings, &options, &mut problems) {
            layers.lay_text(setting, &mut problems);
        }
        assert_eq!(problems, [], "{path}");
        assert_ne!(get(&layers.table, path), Some(default), "{path} was not set");
    }
}

/// Some text that is of the default's type and differs from it; whether it is in range is not asked.
fn another_value(path: &str, default: &Value) -> String {
    match default {
        Value::Integer(number) => (number + 1).to_string(),
        Value::Float(number) => (number + 0.25).to_string(),
        Value::Boolean(set) => (!set).to_string(),
        Value::Array(_) => "7,8".to_owned(),
        Value::String(_) | Value::Datetime(_) | Value::Table(_) => format!("another {path}"),
    }
}

#[test]
fn an_unknown_variable_or_option_is_refused_with_the_nearest_right_name() {
    assert_eq!(
        problems(&[("FANFARE_ENCRYPTION_KYE", "x")], vec![Setting::flag("--set", "server.max_conn", "1")]),
        [
            "environment variable FANFARE_ENCRYPTION_KYE: there is no option `FANFARE_ENCRYPTION_KYE`; \
             did you mean `FANFARE_ENCRYPTION_KEY`?",
            "command line, --set: there is no option `server.max_conn`",
        ]
    );
}

#[test]
fn a_section_in_place_of_an_option_is_told_with_an_example() {
    assert_eq!(
        problems(&[], vec![Setting::flag("--set", "server", "5")]),
        ["command line, --set: server = 5: it is a section: name one of its options, such as server.body_timeout"]
    );
}

#[test]
fn a_value_that_is_none_is_told_with_option_value_and_what_is_allowed() {
    assert_eq!(
        problems(&[("FANFARE_LISTEN", "8080"), ("FANFARE_EGRESS_ALLOW", "::1, lan")], Vec::new()),
        [
            "environment variable FANFARE_EGRESS_ALLOW: egress_allow = [\"::1\", \"lan\"]: \
             `lan` is neither a network such as 10.0.0.0/8 nor an address such as ::1",
            "environment variable FANFARE_LISTEN: listen = \"8080\": \
             it has to be an IP address and a port, such as 127.0.0.1:8080",
        ]
    );
    assert_eq!(
        problems(&[("FANFARE_SHUTDOWN_GRACE", "5")], Vec::new()),
        ["environment variable FANFARE_SHUTDOWN_GRACE: shutdown_grace = \"5\": \
             the unit is missing: write 5s for seconds, or another of ms, m, h, d",]
    );
    assert_eq!(
        problems(&[("FANFARE_SHUTDOWN_GRACE", "0s")], vec![Setting::flag("--set", "server.max_connections", "0")]),
        [
            "environment variable FANFARE_SHUTDOWN_GRACE: shutdown_grace = \"0s\": it has to be from 1s to 10m",
            "command line, --set: server.max_connections = 0: it has to be from 1 to 1000000",
        ]
    );
}

#[test]
fn a_secret_is_never_part_of_a_message() {
    for (variable, value) in [("FANFARE_API_KEY", "hush"), ("FANFARE_ENCRYPTION_KEY", "hush-hush")] {
        let problems = problems(&[(variable, value)], Vec::new());
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(variable) && !problems[0].contains("hush"), "{problems:?}");
    }
    let config = load(None, &environment(&[("FANFARE_API_KEY", "hush-hush-hush")]), Vec::new()).unwrap();
    assert_eq!(config.api_key.expose(), Some("hush-hush-hush"));
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn both_listeners_on_one_address_are_refused() {
    let same = problems(&[("FANFARE_ADMIN_LISTEN", "127.0.0.1:8080")], Vec::new());
    assert_eq!(same, ["listen and admin_listen are both 127.0.0.1:8080; they have to differ"]);
}
