//! A real Caddy in front, with the configuration of the documentation: the appliance keeps its upstreams.

use crate::hello;
use crate::nodes::client::{Member, hello as node_hello};
use crate::nodes::runtime;
use crate::support::{Appliance, Reply, exchange, serve_command, until};
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A Caddy; killed at the end of the test.
struct Caddy {
    child: Child,
    admin: SocketAddr,
    proxy: SocketAddr,
}

impl Caddy {
    /// With the JSON of docs/caddy.md, on free ports.
    fn documented(folder: &Path) -> Self {
        let admin = free_port();
        Self::start(folder, admin, free_port())
    }

    fn start(folder: &Path, admin: SocketAddr, proxy: SocketAddr) -> Self {
        let document = include_str!("../../../docs/caddy.md");
        let (_, after) = document.split_once("```json\n").unwrap();
        let (text, _) = after.split_once("```").unwrap();
        let mut config: Value = serde_json::from_str(text).unwrap();
        config["admin"]["listen"] = admin.to_string().into();
        let server = &mut config["apps"]["http"]["servers"]["picloud"];
        server["listen"] = json!([proxy.to_string()]);
        server["automatic_https"] = json!({ "disable": true });
        server["routes"][0].as_object_mut().unwrap().remove("match").expect("the document names a host");
        std::fs::write(folder.join("caddy.json"), config.to_string()).unwrap();
        let mut command = Command::new("caddy");
        command.arg("run").arg("--config").arg(folder.join("caddy.json")).env("HOME", folder);
        command.env("XDG_CONFIG_HOME", folder).env("XDG_DATA_HOME", folder);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.expect("the Debian package caddy is installed");
        let caddy = Self { child, admin, proxy };
        until("Caddy answers", || caddy.try_ask("GET", "/config/", "").is_ok());
        caddy
    }

    fn try_ask(&self, method: &str, path: &str, body: &str) -> Result<Reply, String> {
        let admin = self.admin;
        let host = admin.to_string();
        let headers = [("host", host.as_str()), ("content-type", "application/json")];
        let connect = async move { tokio::net::TcpStream::connect(admin).await };
        exchange(connect, method, path, &headers, body.as_bytes())
    }

    /// What it has. Caddy starts its administration anew with every change of its configuration, and cuts off who
    /// asks just then: ask again.
    fn upstreams(&self) -> Value {
        let mut reply = None;
        until("Caddy says its upstreams", || {
            reply = self.try_ask("GET", "/id/picloud/upstreams", "").ok();
            reply.is_some()
        });
        reply.expect("it answered").json()
    }

    /// A request through it.
    fn get(&self, path: &str) -> Result<Reply, String> {
        let proxy = self.proxy;
        exchange(async move { tokio::net::TcpStream::connect(proxy).await }, "GET", path, &[], b"")
    }
}

impl Drop for Caddy {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// One that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn appliance_with(data: &Path, caddy: SocketAddr) -> Appliance {
    let mut command = serve_command(data);
    command.arg("--caddy-admin").arg(format!("http://{caddy}"));
    Appliance::start(command)
}

#[test]
fn the_upstreams_are_set_read_first_and_answer() {
    let folder = tempfile::tempdir().unwrap();
    let caddy = Caddy::documented(folder.path());
    let appliance = appliance_with(folder.path(), caddy.admin);
    appliance.deploy(&hello("kitchen", "\"through\""));
    let wanted = json!([{ "dial": appliance.ingress.to_string() }]);
    until("Caddy has the appliance", || caddy.upstreams() == wanted);
    until("a request gets through", || caddy.get("/kitchen/").is_ok_and(|reply| reply.text() == "through"));

    // What a person says of an upstream stays, and so does everything as long as no node changes.
    let mine = json!([{ "dial": appliance.ingress.to_string(), "max_requests": 7 }]);
    assert_eq!(caddy.try_ask("PATCH", "/id/picloud/upstreams", &mine.to_string()).unwrap().status, 200);
    drop(appliance);
    let appliance = appliance_with(folder.path(), caddy.admin);
    let wanted = json!([{ "dial": appliance.ingress.to_string() }]);
    until("Caddy has its new address, and the old one no more", || caddy.upstreams() == wanted);
}

#[test]
fn a_flap_of_a_node_changes_nothing_and_that_it_joins_drains_and_goes_does() {
    let folder = tempfile::tempdir().unwrap();
    let caddy = Caddy::documented(folder.path());
    let appliance = appliance_with(folder.path(), caddy.admin);
    let own = json!({ "dial": appliance.ingress.to_string() });
    let node = json!({ "dial": "127.0.0.1:1" });
    let has = |wanted: &[&Value]| {
        until(&format!("Caddy has {wanted:?}"), || {
            let there = caddy.upstreams();
            let there = there.as_array().map(Vec::as_slice).unwrap_or_default();
            there.len() == wanted.len() && wanted.iter().all(|upstream| there.contains(upstream))
        });
    };
    let sets = || appliance.output.text().matches("upstreams are set").count();
    let state = || appliance.admin("GET", "/nodes/pi-1", "").json()["state"].as_str().map(str::to_owned);
    let runtime = runtime();
    let member = runtime.block_on(Member::join(&appliance, "pi-1"));
    let connection = runtime.block_on(async {
        let mut connection = member.connect().await.unwrap();
        let (control, _name) = connection.control(node_hello()).await;
        (connection, control)
    });
    has(&[&own, &node]);

    until("that is told: once for the appliance, once for the node", || sets() == 2);
    drop(connection);
    until("the node is away", || state().as_deref() == Some("away"));
    let _connection = runtime.block_on(async {
        let mut connection = member.connect().await.unwrap();
        let (control, _name) = connection.control(node_hello()).await;
        (connection, control)
    });
    until("the node is back", || state().as_deref() == Some("up"));

    assert_eq!(appliance.admin("POST", "/nodes/pi-1/drain", "").status, 200);
    has(&[&own]);
    until("that is told", || sets() > 2);
    assert_eq!(sets(), 3, "the flap set nothing:\n{}", appliance.output.text());
    assert_eq!(appliance.admin("POST", "/nodes/pi-1/resume", "").status, 200);
    has(&[&own, &node]);
    assert_eq!(appliance.admin("DELETE", "/nodes/pi-1", "").status, 204);
    has(&[&own]);
}

#[test]
fn a_caddy_that_is_not_there_is_told_of_once_and_served_when_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let admin = free_port();
    let appliance = appliance_with(folder.path(), admin);
    appliance.output.wait_for(0, "Caddy's upstreams cannot be set");
    appliance.deploy(&hello("kitchen", "1"));
    assert_eq!(appliance.get("/kitchen/").text(), "1", "nothing else depends on it");
    let caddy = Caddy::start(folder.path(), admin, free_port());
    appliance.output.wait_for(0, "Caddy has its upstreams again");
    assert_eq!(caddy.upstreams(), json!([{ "dial": appliance.ingress.to_string() }]));
    assert_eq!(appliance.output.text().matches("Caddy's upstreams cannot be set").count(), 1);
}

#[test]
fn a_caddy_without_the_handler_is_told_with_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let caddy = Caddy::documented(folder.path());
    let mut command = serve_command(folder.path());
    command.arg("--caddy-admin").arg(format!("http://{}", caddy.admin)).args(["--caddy-upstreams", "other"]);
    let appliance = Appliance::start(command);
    let (_, line) = appliance.output.wait_for(0, "Caddy's upstreams cannot be set");
    assert!(line.contains("unknown object ID") && line.contains("/id/other/upstreams"), "{line}");
}
