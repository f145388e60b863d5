//! This appliance as a node: what its own worker is placed by.

use picloud_cluster::device;
use picloud_model::placement::{Labels, check_label};

/// The label that appliances have and nodes do not.
const APPLIANCE: &str = "appliance";

/// What this machine's own worker is placed by: what every node says of itself, its name, and that it is an appliance.
pub(crate) fn own_labels(node: &str) -> Labels {
    let mut labels = device::facts();
    labels.insert(APPLIANCE.to_owned(), String::new());
    if check_label("name", node).is_ok() {
        labels.insert("name".to_owned(), node.to_owned());
    }
    labels
}
