use std::collections::BTreeMap;

use super::*;

fn args(directory: &Path, producers: &[&str]) -> InitArgs {
    let producers = producers.iter().map(|project| ProjectId::new(*project).unwrap()).collect();
    InitArgs { directory: directory.to_owned(), producers, print: None }
}

/// Every file below the directory with its text.
fn files(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for folder in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        for file in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.strip_prefix(directory).unwrap().display().to_string();
            found.insert(name, fs::read_to_string(&file).unwrap());
        }
    }
    found
}

#[test]
fn secrets_are_made_once_and_what_is_derived_from_them_is_kept_right() {
    let directory = tempfile::tempdir().unwrap();
    let (directory, shop) = (directory.path(), ["default", "shop"]);
    init(&args(directory, &["default"])).unwrap();
    let first = files(directory);
    let names: Vec<&str> = first.keys().map(String::as_str).collect();
    let expected = [
        "grafana/admin-password",
        "keys/admin-key",
        "keys/api-key",
        "keys/default.nk",
        "nats/producer-default.conf",
        "nats/services.conf",
        "redis/users.acl",
        "services/encryption-key",
        "services/nats.nk",
        "services/redis-password",
    ];
    assert_eq!(names, expected);
    // What the servers are told is nothing to keep secret.
    let told = ["nats/services.conf", "nats/producer-default.conf", "redis/users.acl"].map(|name| &first[name]);
    for (name, secret) in first.iter().filter(|(name, _)| !name.starts_with("nats/") && !name.starts_with("redis/")) {
        assert!(told.iter().all(|text| !text.contains(secret.trim())), "{name} is shown to a server");
    }
    assert!(SealingKey::parse(first["services/encryption-key"].trim()).is_ok());

    fs::write(directory.join("redis/users.acl"), "user default on nopass allcommands allkeys\n").unwrap();
    init(&args(directory, &shop)).unwrap();
    let second = files(directory);
    assert_eq!(second.len(), expected.len() + 2);
    assert!(first.iter().all(|(name, text)| second[name] == *text), "something was replaced");
}

#[test]
fn a_file_that_holds_no_nkey_is_told_and_a_secret_is_printed_by_its_name_alone() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let print = |name: &str| {
        let args = InitArgs { print: Some(name.to_owned()), ..args(directory, &[]) };
        init(&args).map_err(|report| report.to_string())
    };
    let missing = print("keys/api-key").unwrap_err();
    assert!(missing.contains("keys/api-key is not there"), "{missing}");
    init(&args(directory, &["default"])).unwrap();
    assert_eq!((print("keys/api-key"), print("keys/default.nk")), (Ok(()), Ok(())));
    for wrong in ["nats/services.conf", "../keys/api-key", "keys/../../x.nk", "api-key"] {
        let refused = print(wrong).unwrap_err();
        assert!(refused.contains("there is no secret") && refused.contains("services/nats.nk"), "{refused}");
    }
    private_file::write(&directory.join("services/nats.nk"), "not a seed\n").unwrap();
    let refused = init(&args(directory, &[])).unwrap_err().to_string();
    assert!(refused.contains("nats.nk does not hold an nkey's seed"), "{refused}");
    assert!(!refused.contains("not a seed"), "{refused}");
}

#[test]
fn the_rights_at_redis_are_those_of_the_docs() {
    let page = include_str!("../../../../docs/servers.md");
    assert!(page.contains(accounts::REDIS_RIGHTS), "docs/servers.md has others");
}
