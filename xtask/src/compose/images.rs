//! The images: Fanfare's by its Dockerfile; those of others, which may not be reachable, by stand-ins under the pinned names, made
//! from Debian's packages.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::podman::{Podman, capture, timed};
use crate::run::{output, root, run};
use crate::say;

/// In place of Grafana, which Debian does not have: looks at what it is given, as the user that it is run as, and answers its
/// health check.
const GRAFANA: &str = "#!/bin/sh\nset -eu\ntest -n \"$(cat \"$GF_SECURITY_ADMIN_PASSWORD__FILE\")\"\n\
                       ls /etc/grafana/provisioning/datasources/*.yml /etc/grafana/provisioning/dashboards/*.yml \
                       /var/lib/grafana/dashboards/*.json\ntouch /var/lib/grafana/written /tmp/written\n\
                       exec busybox httpd -f -p 3000 -h /srv\n";

/// Fanfare's image, as the compose file calls it by default.
pub(super) fn fanfare() -> Result<String, String> {
    pinned("docker-compose.yml", "image: ${FANFARE_IMAGE:-").map(|image| image.trim_end_matches('}').to_owned())
}

/// What follows a word in a file, up to the next space.
fn pinned(file: &str, before: &str) -> Result<String, String> {
    let text = fs::read_to_string(root().join(file)).map_err(|error| format!("cannot read {file}: {error}"))?;
    let rest = text.split(before).nth(1).ok_or_else(|| format!("{file} has no {before}"))?;
    Ok(rest.split_whitespace().next().unwrap_or_default().to_owned())
}

/// Makes those that are not there.
pub(super) fn stand_ins(podman: &Podman) -> Result<(), String> {
    let builder = format!("docker.io/library/rust:{}", pinned("Dockerfile", "FROM docker.io/library/rust:")?);
    if podman.podman(&["image", "exists", &builder]).is_err() {
        timed("a stand-in for the builder's image", || make_builder(podman, &builder))?;
    }
    let compose =
        |name: &str| pinned("docker-compose.yml", &format!("image: {name}")).map(|tag| format!("{name}{tag}"));
    let (nats, redis) = (compose("docker.io/library/nats:")?, compose("docker.io/library/redis:")?);
    let (prometheus, grafana) = (compose("docker.io/prom/prometheus:")?, compose("docker.io/grafana/grafana:")?);
    let images = [&*nats, &*redis, &*prometheus, &*grafana];
    if images.iter().all(|image| podman.podman(&["image", "exists", image]).is_ok()) {
        return Ok(());
    }
    timed("stand-ins for the servers' images", || make_servers(podman, images))
}

fn make_builder(podman: &Podman, image: &str) -> Result<(), String> {
    let files = debian(podman, "builder", "ca-certificates,gcc,libc6-dev")?;
    let toolchain = output("rustc", &["--print", "sysroot"]).ok_or("rustc does not say where its toolchain is")?;
    for folder in ["bin", "lib"] {
        run(Command::new("cp").arg("-a").arg(Path::new(&toolchain).join(folder)).arg(files.join("usr/local")))?;
    }
    import(podman, &files, &["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], image)
}

fn make_servers(podman: &Podman, [nats, redis, prometheus, grafana]: [&str; 4]) -> Result<(), String> {
    let files = debian(podman, "servers", "redis-server,prometheus,wget,busybox,ca-certificates")?;
    let failed = |error: std::io::Error| format!("cannot prepare {}: {error}", files.display());
    fs::copy(&podman.tools.nats, files.join("usr/bin/nats-server")).map_err(failed)?;
    for folder in ["srv/api", "prometheus", "var/lib/grafana"] {
        fs::create_dir_all(files.join(folder)).map_err(failed)?;
    }
    fs::write(files.join("srv/api/health"), "ok\n").map_err(failed)?;
    fs::write(files.join("usr/bin/grafana-stand-in"), GRAFANA).map_err(failed)?;
    run(Command::new("chmod").arg("755").arg(files.join("usr/bin/grafana-stand-in")))?;
    run(Command::new("chown").arg("65534:65534").arg(files.join("prometheus")))?;
    import(podman, &files, &[], nats)?;
    podman.podman(&["tag", nats, redis])?;
    for (image, program) in [(prometheus, "prometheus"), (grafana, "grafana-stand-in")] {
        let mut build = podman
            .bounded(300, "podman")
            .args(["build", "--quiet", "--tag", image, "--file", "-", "."])
            .current_dir(podman.folder.join("empty"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot build {image}: {error}"))?;
        let mut file = build.stdin.take().ok_or("podman takes no file")?;
        writeln!(file, "FROM {nats}\nENTRYPOINT [\"{program}\"]")
            .map_err(|error| format!("cannot build {image}: {error}"))?;
        drop(file);
        let status = build.wait().map_err(|error| format!("cannot build {image}: {error}"))?;
        if !status.success() {
            return Err(format!("cannot build {image}: {status}"));
        }
    }
    Ok(())
}

/// A Debian with these packages in a folder.
fn debian(podman: &Podman, name: &str, packages: &str) -> Result<PathBuf, String> {
    let files = podman.folder.join(name);
    for folder in [&files, &podman.folder.join("empty")] {
        // An earlier one may be half made.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let include = format!("--include={packages}");
    capture(podman.bounded(900, "debootstrap").args(["--variant=minbase", &include, "bookworm"]).arg(&files))?;
    // Those of this machine: it may trust more than Debian does.
    run(Command::new("cp").args(["-L", "/etc/ssl/certs/ca-certificates.crt"]).arg(files.join("etc/ssl/certs")))?;
    Ok(files)
}

/// Makes an image of a folder, and removes the folder.
fn import(podman: &Podman, files: &Path, environment: &[&str], image: &str) -> Result<(), String> {
    let archive = podman.folder.join("image.tar");
    run(Command::new("tar").arg("-C").arg(files).arg("-cf").arg(&archive).arg("."))?;
    let mut import = podman.bounded(600, "podman");
    import.arg("import").args(environment.iter().flat_map(|set| ["--change".to_owned(), format!("ENV {set}")]));
    capture(import.arg(&archive).arg(image))?;
    let removed = fs::remove_file(&archive).and_then(|()| fs::remove_dir_all(files));
    removed.map_err(|error| format!("cannot remove {}: {error}", files.display()))
}

/// Builds the Dockerfile.
pub(super) fn build(podman: &Podman, image: &str) -> Result<(), String> {
    // An hour: every dependency is built for release, perhaps on a machine that does something else as well.
    let mut build = podman.bounded(3600, "podman");
    run(build.args(["build", "--network", "host", "--pull=never", "--quiet", "--tag", image, "."]))
}

/// Lists what is in the image, and refuses what has no business there.
pub(super) fn look_into(podman: &Podman, image: &str) -> Result<(), String> {
    let container = podman.podman(&["create", image])?;
    let archive = podman.folder.join("contents.tar");
    let exported = podman.podman(&["export", "--output", &archive.to_string_lossy(), &container]);
    podman.podman(&["rm", &container])?;
    exported?;
    let listed = capture(Command::new("tar").arg("-tvf").arg(&archive))?;
    let _ = fs::remove_file(&archive);
    say(&format!("what is in {image}:\n{listed}"));
    let names: Vec<&str> = listed.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
    for unwanted in ["/sh", "/bash", "/busybox", "/cargo", "/rustc", "/cc", "/gcc", "/ld", "/apt", "/dpkg", "/curl"] {
        if let Some(found) = names.iter().find(|name| format!("/{name}").ends_with(unwanted)) {
            return Err(format!("{found} is in the image"));
        }
    }
    for wanted in ["usr/bin/fanfare", "etc/ssl/certs/ca-certificates.crt"] {
        if !names.contains(&wanted) {
            return Err(format!("{wanted} is not in the image"));
        }
    }
    let size = podman.podman(&[
        "image",
        "inspect",
        "--format",
        "{{.Size}} bytes, {{.Os}}/{{.Architecture}}, user {{.Config.User}}",
        image,
    ])?;
    say(&format!("{image}: {size}"));
    Ok(())
}
