//! `fanfare healthcheck`, by which container platforms ask a process how it is.

use std::process::Stdio;

use fanfare_testkit::Fanfare;
use fanfare_testkit::process::binary;
use tokio::process::Command;

/// The exit code, and what was said.
async fn ask(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    command.arg("healthcheck").env_clear().envs(variables.iter().copied()).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    (output.status.code(), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_health_check_ends_with_0_only_when_the_process_is_ready() {
    let mut fanfare = Fanfare::start(&[]).await;
    let url = fanfare.admin_url("/readyz");
    let address = url.strip_prefix("http://").and_then(|rest| rest.split('/').next()).unwrap();
    let (code, said) = ask(&[("FANFARE_ADMIN_LISTEN", address)]).await;
    assert_eq!((code, said.trim()), (Some(0), r#"{"status":"ready"}"#));
    // Also one that listens on all addresses, as in a container.
    let (_, port) = address.rsplit_once(':').unwrap();
    assert_eq!(ask(&[("FANFARE_ADMIN_LISTEN", &format!("0.0.0.0:{port}"))]).await.0, Some(0));

    fanfare.kill().await;
    let (code, said) = ask(&[("FANFARE_ADMIN_LISTEN", address)]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/readyz does not answer"), "{said}");
    // Docker keeps every other code for itself, also when it is the configuration that is wrong.
    let (code, said) = ask(&[("FANFARE_ADMIN_LISTEN", "everywhere")]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FANFARE_ADMIN_LISTEN"), "{said}");

    // One that waits for its servers.
    let nobody = fanfare_testkit::process::free_port();
    let environment = [
        ("FANFARE_DISTRIBUTED_NATS_URLS", format!("nats://127.0.0.1:{nobody}")),
        ("FANFARE_DISTRIBUTED_REDIS_URL", format!("redis://127.0.0.1:{nobody}")),
        ("FANFARE_ENCRYPTION_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned()),
    ];
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let mut waiting = Fanfare::stopped_role_with("fanout", environment);
    waiting.launch();
    let mut ticks = tokio::time::interval(std::time::Duration::from_millis(20));
    while waiting.readiness().await.is_none() {
        ticks.tick().await;
    }
    let url = waiting.admin_url("");
    let (code, said) = ask(&[("FANFARE_ADMIN_LISTEN", url.strip_prefix("http://").unwrap())]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("not ready") && said.contains("NATS"), "{said}");
}
