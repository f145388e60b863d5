//! Two appliances on one database have one CA and one list of nodes.

use super::client::{Connection, Member, admin, hello, node_addr};
use super::runtime;
use crate::support::{Appliance, serve_command, until};
use crate::temp_pg::TempPg;
use picloud_cluster::identity::{Trust, ca_of_pem};
use picloud_model::protocol::node::{PATH_CONTROL, ToNode};
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use tempfile::tempdir;

/// One appliance of several, with what is its own in `folder/name`.
fn on_postgres(folder: &Path, name: &str, pg: &TempPg) -> Command {
    let mut command = serve_command(&folder.join(name));
    command.arg("--database-url").arg(pg.url()).arg("--files-root").arg(folder.join("files"));
    command
}

#[test]
fn a_node_that_joined_at_one_appliance_is_in_at_the_other_and_is_cut_off_from_there() {
    let (folder, pg) = (tempdir().unwrap(), TempPg::new());
    let keys = |name: &str| folder.path().join(name).join("data/keys");
    let one = Appliance::start(on_postgres(folder.path(), "one", &pg));

    // Without the key that seals what they share, a second one does not start, and says what to do.
    let (code, said) = crate::support::fails(&mut on_postgres(folder.path(), "stranger", &pg));
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("secrets.key") && said.contains("hint: copy keys/secrets.key"), "{said}");

    std::fs::create_dir_all(keys("two")).unwrap();
    std::fs::copy(keys("one").join("secrets.key"), keys("two").join("secrets.key")).unwrap();
    let two = Appliance::start(on_postgres(folder.path(), "two", &pg));
    let ca = |name: &str| std::fs::read(keys(name).join("ca.crt")).unwrap();
    assert_eq!(ca("one"), ca("two"));

    runtime().block_on(async {
        let node = Member::join(&one, "pi-1").await;
        let trust = || Trust::Pinned(ca_of_pem(&node.in_by.ca).unwrap());
        let identity = Some((node.in_by.certificate.as_str(), &node.key));
        let mut at_two = Connection::open(node_addr(&two), trust(), identity).await.unwrap();
        let (control_at_two, name) = at_two.control(hello()).await;
        assert_eq!(name, "pi-1");
        drop((control_at_two, at_two));

        let mut at_one = node.connect().await.unwrap();
        let (mut control, _name) = at_one.control(hello()).await;
        until("it is up", || admin(&one, "GET", "/nodes/pi-1", "").json()["state"] == "up");
        until("the other sees where it is", || {
            let seen = admin(&two, "GET", "/nodes/pi-1", "").json();
            seen["state"] == "up" && seen["appliance"].is_string()
        });
        let began = Instant::now();
        assert_eq!(admin(&two, "DELETE", "/nodes/pi-1", "").status, 204);
        control.until(|frame| matches!(frame, ToNode::Retired).then_some(())).await;
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        let mut again = node.connect().await.unwrap();
        assert_eq!(again.stream(PATH_CONTROL).await.err().unwrap().0, 410);
    });
}
