//! The rules, by `promtool`, and that each alert has a case in which it fires and one in which it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::files::{files, list, root, rules, string, yaml};

fn promtool(arguments: &[&str], files: &[String]) {
    let program = std::env::var_os("FANFARE_PROMTOOL").unwrap_or_else(|| "promtool".into());
    let output = Command::new(&program).args(arguments).args(files).current_dir(root()).output();
    let output =
        output.unwrap_or_else(|error| panic!("cannot run {}: {error}; cargo xtask test gets it", program.display()));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn promtool_accepts_the_configuration_and_the_rules() {
    promtool(&["check", "config"], &["deploy/prometheus/prometheus.yml".to_owned()]);
    promtool(&["check", "rules", "--lint-fatal"], &files("deploy/prometheus/rules", ".yml"));
}

#[test]
fn every_unit_test_of_the_rules_passes() {
    promtool(&["test", "rules"], &files("deploy/prometheus/tests", ".yml"));
}

#[test]
fn every_alert_fires_in_one_case_and_is_quiet_in_that_and_in_a_healthy_one() {
    let rules: BTreeSet<String> = rules().iter().filter_map(|rule| rule["alert"].as_str().map(str::to_owned)).collect();
    // For each alert, the cases in which it fires, and those in which it is quiet.
    let mut firing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut quiet: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files("deploy/prometheus/tests", ".yml") {
        let content = yaml(&file);
        let names = ["../rules/recording.yml", "../rules/alerts.yml"];
        assert_eq!(content["rule_files"], serde_json::json!(names), "{file} tests other rules");
        for case in list(&content, "tests") {
            for test in list(&case, "alert_rule_test") {
                let alert = string(&test, "alertname").to_owned();
                assert!(rules.contains(&alert), "{file}: there is no alert {alert}");
                let cases = if list(&test, "exp_alerts").is_empty() { &mut quiet } else { &mut firing };
                cases.entry(alert).or_default().insert(string(&case, "name").to_owned());
            }
        }
    }
    for alert in &rules {
        let of = |cases: &BTreeMap<String, BTreeSet<String>>| cases.get(alert).cloned().unwrap_or_default();
        let (firing, quiet) = (of(&firing), of(&quiet));
        assert!(firing.contains(alert), "no case called {alert} has {alert} fire");
        for case in [alert.as_str(), "healthy", "healthy, all services in one process"] {
            assert!(quiet.contains(case), "{alert} is not looked for, and not found, in the case `{case}`");
        }
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    for rule in rules().iter().filter(|rule| rule["alert"].is_string()) {
        let name = string(rule, "alert");
        assert!(name.starts_with("Fanfare"), "{name} could be anybody's");
        assert!(["critical", "warning"].contains(&string(&rule["labels"], "severity")), "{name} has another severity");
        for annotation in ["summary", "description"] {
            let text = string(&rule["annotations"], annotation);
            assert!(text.len() > 15, "{name} has no {annotation}");
            assert_eq!(text.ends_with('.'), annotation == "description", "{name}: a summary is a title: {text}");
        }
        let runbook = format!("docs/operate.md#{}", name.to_ascii_lowercase());
        assert_eq!(string(&rule["annotations"], "runbook"), runbook);
    }
}
