//! Starting and ending, and every way in which a start is refused.

use crate::hello;
use crate::support::{Appliance, fails, program, serve_command, until};
use nix::sys::signal::Signal;
use std::os::unix::fs::FileTypeExt;
use tempfile::tempdir;

#[test]
fn it_starts_answers_and_ends_on_a_signal_with_its_socket_removed() {
    let data = tempdir().unwrap();
    let mut appliance = Appliance::serve(data.path());
    for (url, field, value) in [("/health", "status", "ok"), ("/ready", "status", "ready"), ("/version", "api", "v1")] {
        let reply = appliance.admin("GET", url, "");
        assert_eq!((reply.status, reply.json()[field].as_str()), (200, Some(value)), "{url}");
    }
    assert!(std::fs::metadata(&appliance.socket).unwrap().file_type().is_socket());
    assert_eq!(appliance.get("/.picloud/health").status, 200);
    assert_eq!(appliance.get("/nothing").json()["code"], "no-route");
    let status = appliance.end(Signal::SIGTERM);
    assert!(status.success(), "{status}: {}", appliance.output.text());
    assert!(!appliance.socket.exists());
}

#[test]
fn what_was_deployed_is_there_after_a_restart() {
    let data = tempdir().unwrap();
    let mut first = Appliance::serve(data.path());
    first.deploy(&hello("kitchen", "\"kept\""));
    assert!(first.end(Signal::SIGINT).success());
    let second = Appliance::serve(data.path());
    assert_eq!(second.get("/kitchen").text(), "kept");
}

#[test]
fn a_second_appliance_on_the_same_data_is_refused() {
    let data = tempdir().unwrap();
    let first = Appliance::serve(data.path());
    let (code, said) = fails(&mut serve_command(data.path()));
    assert_eq!(code, 1);
    assert!(said.contains("in use by another appliance") && said.contains("hint:"), "{said}");
    first.deploy(&hello("kitchen", "1"));
    assert_eq!(first.get("/kitchen").text(), "1");
}

#[test]
fn a_taken_port_is_refused_with_another_to_choose() {
    let data = tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut command = program();
    command.args(["dev"]).arg(data.path()).args(["--ingress-addr", &addr]);
    let (code, said) = fails(&mut command);
    assert_eq!(code, 1);
    assert!(said.contains(&addr) && said.contains("--ingress-addr 127.0.0.1:"), "{said}");
}

#[test]
fn an_admin_socket_is_replaced_only_when_nobody_listens_there() {
    let data = tempdir().unwrap();
    let first = Appliance::serve(data.path());
    let other = tempdir().unwrap();
    let usual = other.path().join("admin.sock");
    let mut command = program();
    for argument in serve_command(other.path()).get_args() {
        command.arg(if argument == usual { first.socket.as_os_str() } else { argument });
    }
    let (code, said) = fails(&mut command);
    assert_eq!(code, 1);
    assert!(said.contains("another appliance listens on the admin socket"), "{said}");
    // A socket file whose listener is gone.
    drop(std::os::unix::net::UnixListener::bind(usual).unwrap());
    let second = Appliance::serve(other.path());
    assert_eq!(second.admin("GET", "/health", "").status, 200);
    // Something else in its place is left alone.
    let third = tempdir().unwrap();
    std::fs::write(third.path().join("admin.sock"), "notes").unwrap();
    let (code, said) = fails(&mut serve_command(third.path()));
    assert_eq!(code, 1);
    assert!(said.contains("is no socket"), "{said}");
    assert_eq!(std::fs::read_to_string(third.path().join("admin.sock")).unwrap(), "notes");
}

#[test]
fn a_bad_setting_stops_the_start_with_file_line_key_and_what_was_expected() {
    let data = tempdir().unwrap();
    let config = data.path().join("appliance.toml");
    std::fs::write(&config, "mdns = true\ningres_addr = \"127.0.0.1:1\"\n").unwrap();
    for arguments in [&["serve"][..], &["check-config"], &["dev", "."]] {
        let (code, said) = fails(program().args(arguments).arg("--config").arg(&config));
        assert_eq!(code, 1, "{arguments:?}");
        let expected = format!("error: {}:2: unknown key `ingres_addr`", config.display());
        assert!(said.starts_with(&expected), "{said}");
        assert!(said.contains("did you mean `ingress_addr`?"), "{said}");
    }
    let (code, said) = fails(program().args(["check-config"]).env("PICLOUD_CONCURRENCY", "many"));
    assert_eq!(code, 1);
    assert!(said.contains("PICLOUD_CONCURRENCY: `concurrency` cannot be `many`"), "{said}");
}

#[test]
fn check_config_says_what_holds_and_where_it_comes_from() {
    let mut command = program();
    command.args(["check-config", "--json", "--concurrency", "3"]).env("PICLOUD_MDNS", "false");
    let output = command.output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["concurrency"], serde_json::json!({ "value": "3", "from": "--concurrency" }));
    assert_eq!(shown["mdns"], serde_json::json!({ "value": "false", "from": "PICLOUD_MDNS" }));
    assert_eq!(shown["data_dir"], serde_json::json!({ "value": "/var/lib/picloud", "from": "default" }));
}

#[test]
fn a_data_folder_that_cannot_be_one_is_refused() {
    let data = tempdir().unwrap();
    std::fs::write(data.path().join("data"), "a file").unwrap();
    let (code, said) = fails(&mut serve_command(data.path()));
    assert_eq!(code, 1);
    assert!(said.contains(&data.path().join("data").display().to_string()) && said.contains("hint:"), "{said}");
}

#[test]
fn an_app_on_a_card_answers_after_the_first_boot_and_waits_no_more() {
    let dir = tempdir().unwrap();
    let (card, root) = (dir.path().join("boot"), dir.path().join("root"));
    for (file, text) in [
        ("picloud.toml", "host_name = \"kitchen-pi\"\n"),
        ("picloud-apps/kitchen/app.toml", "name = \"kitchen\"\n[[routes]]\npath = \"/\"\nscript = \"hello\"\n"),
        ("picloud-apps/kitchen/scripts/hello.rhai", "\"from the card\"\n"),
        ("picloud-apps/broken/app.toml", "name = \"broken\"\nroute = 1\n"),
    ] {
        let path = card.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let mut command = program();
    command.arg("first-boot").arg("--boot").arg(&card).arg("--root").arg(&root);
    assert!(command.status().unwrap().success());
    let report = std::fs::read_to_string(card.join("picloud-report.txt")).unwrap();
    assert!(report.contains("app.toml line 2, column 1: unknown key `route`"), "{report}");
    let folder = dir.path().join("appliance");
    let data = folder.join("data");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(root.join("var/lib/picloud"), &data).unwrap();
    let appliance = Appliance::serve(&folder);
    until("the card's app answers", || appliance.get("/kitchen").status == 200);
    assert_eq!(appliance.get("/kitchen").text(), "from the card");
    until("its folder is gone", || !data.join("first-boot-apps/kitchen").exists());
}
