//! Where scripts may run, checked like the rest of an app.

use super::check::{WithHint, in_app_toml};
use picloud_model::placement::Placement;
use picloud_model::script::{Diagnostic, ScriptKind};
use std::collections::BTreeMap;

/// Checks where the scripts of an app may run, whose scripts `kind_of` knows, and leaves out what says nothing.
pub(super) fn check_placements(
    placements: &mut BTreeMap<String, Placement>,
    kind_of: impl Fn(&str) -> Option<ScriptKind>,
    errors: &mut Vec<Diagnostic>,
) {
    for (script, placement) in placements.iter() {
        let about = |message: &str| in_app_toml(format!("[placement.{script}]: {message}"));
        match kind_of(script) {
            Some(ScriptKind::Endpoint) => {}
            Some(ScriptKind::Module) => errors.push(
                about(&format!("`{script}` is a module, and runs where the script runs that imports it"))
                    .with_hint("place that script"),
            ),
            None => errors.push(
                about(&format!("there is no script `{script}`"))
                    .with_hint("add that file to scripts/ (or save the script), or take the table out"),
            ),
        }
        if let Err(wrong) = placement.check() {
            let hint = "an entry is a label, or label=value: \"camera\", \"arch=aarch64\"";
            errors.extend(wrong.iter().map(|message| about(message).with_hint(hint)));
        }
    }
    placements.retain(|_script, placement| !placement.is_empty());
}
