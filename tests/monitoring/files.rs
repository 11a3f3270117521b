//! The files that are shipped, as data.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A file of the workspace.
pub(crate) fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A YAML file of the workspace, read by the pinned Python client libraries.
pub(crate) fn yaml(path: &str) -> Value {
    let python = std::env::var_os("FANFARE_TEST_PYTHON").expect("cargo xtask test names a Python");
    let program = "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
    let file = std::fs::File::open(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let output = Command::new(python).args(["-c", program]).stdin(Stdio::from(file)).output().unwrap();
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The files of a folder with this ending, in order of their names.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut paths: Vec<_> =
        names.filter(|name| name.ends_with(ending)).map(|name| format!("{folder}/{name}")).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} has no {ending}");
    paths
}

/// The dashboard.
pub(crate) fn dashboard() -> Value {
    serde_json::from_str(&text("deploy/grafana/dashboards/fanfare.json")).unwrap()
}

/// Every rule of `deploy/prometheus/rules`.
pub(crate) fn rules() -> Vec<Value> {
    let groups = files("deploy/prometheus/rules", ".yml")
        .iter()
        .flat_map(|file| list(&yaml(file), "groups"))
        .collect::<Vec<_>>();
    groups.iter().flat_map(|group| list(group, "rules")).collect()
}

/// The list under a key; empty if there is none.
pub(crate) fn list(value: &Value, key: &str) -> Vec<Value> {
    value[key].as_array().cloned().unwrap_or_default()
}

/// The text under a key.
pub(crate) fn string<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no text `{key}` in {value:#}"))
}
