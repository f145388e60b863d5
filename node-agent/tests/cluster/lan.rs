//! Discovery between hosts: with Avahi, over changing links, and after somebody vanished without a word.

use crate::lab::{LOOK_EVERY, Lab, PATIENCE, Process, address, inside};
use picloud_cluster::lan::{Announcement, Browse, Found, Kind, Lan, LanEvent, LanOptions};
use picloud_model::hash::ContentHash;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Where Avahi's bus is, on its host.
const BUS: (&str, &str) = ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/dbus/bus");

fn announcement(kind: Kind, name: &str) -> Announcement {
    let fingerprint = ContentHash::of(name.as_bytes());
    let id = fingerprint.to_string()[..20].to_owned();
    Announcement { kind, id, name: name.to_owned(), port: 8443, ingress: 8080, fingerprint, setup: None }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await.expect("it happens in time") })
}

fn found(browse: &mut Browse, is_wanted: impl Fn(&Found) -> bool) -> Found {
    wait(async {
        loop {
            match browse.next().await.expect("nobody stopped it") {
                LanEvent::Found(found) if is_wanted(&found) => return found,
                _other => {}
            }
        }
    })
}

/// Avahi with a bus of its own on this host.
fn avahi(lab: &Lab, number: u8) -> (Process, Process) {
    let (host, folder) = (lab.host(number), lab.folder("avahi"));
    host.shell("mount -t tmpfs none /run; mkdir -p /run/dbus /run/avahi-daemon");
    let bus = ["--session", "--nofork", "--nopidfile", &format!("--address={}", BUS.1)];
    let bus = host.spawn(Path::new("dbus-daemon"), &bus, &[], &folder.join("bus.log"));
    until(|| host.command(Path::new("test")).args(["-S", "/run/dbus/bus"]).status().unwrap().success());
    let arguments = ["--no-drop-root", "--no-chroot", "--no-rlimits"];
    let mut daemon = host.spawn(Path::new("avahi-daemon"), &arguments, &[BUS], &folder.join("avahi.log"));
    daemon.until_said("Server startup complete");
    (bus, daemon)
}

fn until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it does not come to that");
        std::thread::sleep(LOOK_EVERY);
    }
}

fn said(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn avahi_sees_us_and_we_see_avahi() {
    inside(|| {
        let lab = Lab::of(&["pi"]);
        let (_bus, mut daemon) = avahi(&lab, 1);
        let lan = Lan::open(LanOptions::default()).unwrap();
        let ours = announcement(Kind::Appliance, "Küche");
        lan.announce(&ours).unwrap();
        let browse = || {
            let mut command = lab.host(1).command(Path::new("avahi-browse"));
            said(command.args(["--resolve", "--parsable", "--terminate", "_picloud._tcp"]).env(BUS.0, BUS.1))
        };
        let wanted = |line: &str| line.starts_with("=;") && line.contains(&address(254).to_string());
        until(|| browse().lines().any(wanted));
        let seen = browse();
        let line = seen.lines().find(|line| wanted(line)).unwrap();
        for part in [
            format!(";{};_picloud._tcp;local;picloud-{}.local;", ours.id, ours.id),
            ";8443;".to_owned(),
            format!("\"ca={}\"", &ours.fingerprint.to_string()[..32]),
            "\"name=K\\195\\188che\"".to_owned(),
            "\"ingress=8080\"".to_owned(),
        ] {
            assert!(
                line.contains(&part) || line.contains(&part.replace("K\\195\\188che", "Küche")),
                "{part} in {line}"
            );
        }
        // The other way round.
        let mut browse = lan.browse(Kind::Node).unwrap();
        let arguments = ["--service", "A name. With dots", "_picloud-node._tcp", "8080", "id=ab12", "name=Avahi's"];
        let log = lab.folder("avahi").join("publish.log");
        let mut publish = lab.host(1).spawn(Path::new("avahi-publish"), &arguments, &[BUS], &log);
        let theirs = found(&mut browse, |found| found.addresses.iter().any(SocketAddr::is_ipv4));
        assert_eq!((theirs.id.as_str(), theirs.name.as_str()), ("ab12", "Avahi's"));
        assert!(theirs.addresses.contains(&SocketAddr::from((lab.host(1).address(), 8080))), "{theirs:?}");
        publish.terminate();
        wait(async { while browse.next().await != Some(LanEvent::Gone { id: "ab12".to_owned() }) {} });
        // The machine that Avahi runs on has kept its name.
        assert!(!daemon.said().contains("conflict"), "{}", daemon.said());
        daemon.terminate();
    });
}

#[test]
fn an_announcement_follows_the_links_and_addresses_and_leaves_those_of_containers_out() {
    inside(|| {
        // Nobody is needed at the other end of the cable to be heard of.
        let lab = Lab::of(&["pi"]);
        lab.host(1).add_docker();
        let (_bus, _daemon) = avahi(&lab, 1);
        let seeker = Lan::open(LanOptions::default()).unwrap();
        let mut browse = seeker.browse(Kind::Node).unwrap();
        let arguments = ["--service", "x", "_picloud-node._tcp", "8080", "id=ab12"];
        let log = lab.folder("avahi").join("publish.log");
        let _publish = lab.host(1).spawn(Path::new("avahi-publish"), &arguments, &[BUS], &log);
        found(&mut browse, |found| found.id == "ab12");
        // Our own end changes: the announcement is made again for the new address, and not for that of containers.
        let lan = Lan::open(LanOptions::default()).unwrap();
        lan.announce(&announcement(Kind::Appliance, "moved")).unwrap();
        lab.add_docker_here();
        lab.readdress_here("10.31.7.77");
        until(|| {
            let mut command = lab.host(1).command(Path::new("avahi-browse"));
            let seen =
                said(command.args(["--resolve", "--parsable", "--terminate", "_picloud._tcp"]).env(BUS.0, BUS.1));
            assert!(!seen.contains("172.17."), "{seen}");
            seen.contains(";10.31.7.77;")
        });
    });
}

#[test]
fn whoever_vanished_without_a_word_is_gone_soon_after_he_is_doubted() {
    inside(|| {
        let lab = Lab::of(&["pi"]);
        let (_bus, mut daemon) = avahi(&lab, 1);
        let lan = Lan::open(LanOptions::default()).unwrap();
        let mut browse = lan.browse(Kind::Node).unwrap();
        let arguments = ["--service", "x", "_picloud-node._tcp", "8080", "id=ab12"];
        let log = lab.folder("avahi").join("publish.log");
        let _publish = lab.host(1).spawn(Path::new("avahi-publish"), &arguments, &[BUS], &log);
        found(&mut browse, |found| found.id == "ab12");
        daemon.kill();
        browse.verify("ab12");
        let begun = Instant::now();
        wait(async { while browse.next().await != Some(LanEvent::Gone { id: "ab12".to_owned() }) {} });
        assert!(begun.elapsed().as_secs() < 30, "without doubt it takes two minutes: {:?}", begun.elapsed());
    });
}
