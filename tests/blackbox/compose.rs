//! The compose files, held against the compose specification and against what was promised of them: pinned, confined, bounded,
//! reachable from this machine alone, and without a secret in them. `cargo xtask compose` runs them for real.

use std::collections::BTreeMap;

use fanfare_testkit::process::binary;
use serde_json::{Map, Value};
use tokio::process::Command;

use crate::receivers::{python, root};

const BASE: &str = "docker-compose.yml";
const CLUSTER: &str = "compose.cluster.yml";
const OVERRIDE: &str = "compose.override.example.yml";

/// Prints YAML as JSON, anchors and merges resolved.
const TO_JSON: &str = "import json, sys, ruamel.yaml; \
                       json.dump(ruamel.yaml.YAML(typ='safe').load(open(sys.argv[1])), sys.stdout)";

async fn output(command: &mut Command) -> String {
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

async fn read(file: &str) -> Value {
    let json = output(Command::new(python()).args(["-c", TO_JSON]).arg(root().join(file))).await;
    serde_json::from_str(&json).unwrap()
}

/// The services that are defined in the file, and not only changed there.
async fn services(file: &str) -> Map<String, Value> {
    let mut services = read(file).await["services"].as_object().unwrap().clone();
    services.retain(|_, service| service["image"].is_string());
    services
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().map(|items| items.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

#[tokio::test]
async fn the_compose_files_are_what_the_compose_specification_says() {
    let files = [BASE, CLUSTER, OVERRIDE].map(|file| root().join(file));
    let mut check = Command::new(python());
    output(check.args(["-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]).args(files)).await;
}

#[tokio::test]
async fn every_service_is_pinned_confined_bounded_and_watched() {
    for file in [BASE, CLUSTER] {
        for (name, service) in services(file).await {
            let at = format!("{file}, {name}");
            let image = service["image"].as_str().unwrap();
            let image = image.strip_prefix("${FANFARE_IMAGE:-").map_or(image, |default| default.trim_end_matches('}'));
            let (_, tag) = image.rsplit_once(':').unwrap_or_else(|| panic!("{at}: {image} has no tag"));
            let version: Vec<&str> = tag.trim_start_matches('v').split(['.', '-']).take(3).collect();
            let pinned = version.len() == 3 && version.iter().all(|number| number.parse::<u32>().is_ok());
            assert!(pinned, "{at}: {image} is not pinned to a version");

            assert_eq!(service["read_only"], true, "{at}");
            assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{at}");
            assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{at}");
            let user = service["user"].as_str().unwrap_or_else(|| panic!("{at}: no user"));
            assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{at}: {user}");
            for never in ["privileged", "cap_add", "devices", "pid", "ipc", "userns_mode", "env_file"] {
                assert!(service[never].is_null(), "{at}: {never}");
            }
            let limits = &service["deploy"]["resources"]["limits"];
            assert!(limits["cpus"].is_string() && limits["memory"].is_string() && limits["pids"].is_u64(), "{at}");
            assert!(service["logging"]["options"]["max-size"].is_string(), "{at}: logs without a bound");

            let ports = texts(&service["ports"]);
            assert!(ports.iter().all(|port| port.starts_with("127.0.0.1:")), "{at}: {ports:?}");
            if name == "init" {
                assert_eq!((&service["restart"], &service["network_mode"]), (&"no".into(), &"none".into()), "{at}");
            } else {
                assert_eq!(service["restart"], "unless-stopped", "{at}");
                // No shell: the images of Fanfare have none.
                assert_eq!(texts(&service["healthcheck"]["test"]).first(), Some(&"CMD"), "{at}");
            }
            mounts(&at, &service);
        }
    }
}

/// What is of this repository exists and is not written to; secrets are written by `init` alone.
fn mounts(at: &str, service: &Value) {
    let secrets = ["secrets", "keys", "nats-users", "redis-users", "grafana-password"];
    for mount in texts(&service["volumes"]) {
        let (from, to) = mount.split_once(':').unwrap();
        let read_only = to.ends_with(":ro");
        if let Some(path) = from.strip_prefix("./") {
            assert!(read_only, "{at}: {mount}");
            assert!(root().join(path).exists(), "{at}: {mount} is not there");
        } else {
            assert!(!from.starts_with('/'), "{at}: {mount} is of the machine");
            let to_secrets = secrets.contains(&from) && service["network_mode"] != "none";
            assert!(read_only || !to_secrets, "{at}: {mount}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_a_compose_file_and_every_variable_sets_an_option() {
    let options = output(Command::new(binary()).arg("options")).await;
    for file in [BASE, CLUSTER, OVERRIDE] {
        for (name, service) in read(file).await["services"].as_object().unwrap() {
            let Some(environment) = service["environment"].as_object() else { continue };
            for (variable, value) in environment {
                let at = format!("{file}, {name}: {variable}");
                let secret = ["PASSWORD", "_KEY", "SECRET", "TOKEN"].iter().any(|word| variable.contains(word));
                if secret {
                    let value = value.as_str().unwrap();
                    assert!(variable.ends_with("_FILE") && value.starts_with("/run/fanfare/"), "{at}");
                }
                if variable.starts_with("FANFARE_") {
                    let named = |variable: &str| options.contains(&format!("[env: {variable}]"));
                    let is_option = named(variable) || variable.strip_suffix("_FILE").is_some_and(named);
                    assert!(is_option, "{at}: there is no such option");
                }
            }
        }
    }
    assert!(!text("deploy/nats.conf").contains("password:"), "deploy/nats.conf holds a password");
}

#[tokio::test]
async fn what_can_be_chosen_is_in_the_example_with_its_default() {
    let compose = text(BASE);
    let mut chosen = BTreeMap::new();
    for part in compose.split("${").skip(1) {
        let (name, default) = part.split_once('}').unwrap().0.split_once(":-").unwrap();
        assert!(chosen.insert(name, default).is_none_or(|before| before == default), "{name} has two defaults");
    }
    let example = text(".env.example");
    let named = example.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    assert_eq!(named.collect::<BTreeMap<_, _>>(), chosen);
}

#[tokio::test]
async fn versions_that_stand_in_several_files_agree() {
    let toolchain = text("rust-toolchain.toml");
    let channel = toolchain.split("channel = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let dockerfile = text("Dockerfile");
    assert!(dockerfile.contains(&format!("FROM docker.io/library/rust:{channel}-slim-bookworm")), "{channel}");
    let version = env!("CARGO_PKG_VERSION");
    assert!(dockerfile.contains(&format!("ARG VERSION={version}\n")), "{version}");
    assert!(text(BASE).contains(&format!("${{FANFARE_IMAGE:-fanfare:{version}}}")), "{version}");
    let (base, cluster) = (services(BASE).await, services(CLUSTER).await);
    for node in ["nats-2", "nats-3"] {
        assert_eq!(cluster[node]["image"], base["nats"]["image"]);
        for same in ["user", "healthcheck", "deploy", "networks", "environment", "stop_grace_period"] {
            assert_eq!(cluster[node][same], base["nats"][same], "{node}: {same}");
        }
    }
}
