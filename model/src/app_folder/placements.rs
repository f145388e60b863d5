//! Reads `[placement.SCRIPT]`: every entry by itself, so that each mistake is told with its place.

use super::canonical::PLACEMENT_KEYS;
use super::manifest::{Item, Reader};
use crate::bundle::Bundle;
use crate::placement::{ENTRIES_MAX, Placement};
use std::collections::BTreeMap;
use toml::de::DeTable;

impl Reader<'_, '_> {
    /// Where the scripts of the folder may run; those that may run anywhere are left out.
    pub(super) fn placements(&mut self, item: &Item<'_>, bundle: &Bundle) -> BTreeMap<String, Placement> {
        let Some(table) = item.get_ref().as_table() else {
            self.report(item.span(), "`placement` is not a table", "begin each with [placement.SCRIPT]");
            return BTreeMap::new();
        };
        let mut placements = BTreeMap::new();
        for (script, item) in table {
            let name = script.get_ref().as_ref();
            self.refuse_no_script(name, script.span(), bundle, "a module runs where the script runs that imports it");
            let Some(table) = item.get_ref().as_table() else {
                let message = format!("`placement.{name}` is not a table");
                self.report(item.span(), message, format!("write {name} = {{ needs = [\"camera\"] }}"));
                continue;
            };
            let placement = self.placement(name, table);
            if !placement.is_empty() {
                placements.insert(name.to_owned(), placement);
            }
        }
        placements
    }

    fn placement(&mut self, script: &str, table: &DeTable<'_>) -> Placement {
        self.refuse_unknown(table, PLACEMENT_KEYS, &format!("[placement.{script}]"));
        let mut list = |key: &str| table.get(key).map(|item| self.entries(key, item)).unwrap_or_default();
        Placement { needs: list("needs"), avoid: list("avoid"), prefers: list("prefers") }
    }

    fn entries(&mut self, key: &str, item: &Item<'_>) -> Vec<String> {
        let entries = self.strings(key, item);
        for (entry, span) in &entries {
            let alone = Placement { needs: vec![entry.clone()], ..Placement::default() };
            if let Err(wrong) = alone.check() {
                let message = wrong.join("; ").replacen("`needs`", &format!("`{key}`"), 1);
                self.report(span.clone(), message, "an entry is a label, or label=value: \"camera\", \"arch=aarch64\"");
            }
        }
        if entries.len() > ENTRIES_MAX {
            let message = format!("`{key}` has {} entries, more than {ENTRIES_MAX}", entries.len());
            self.report(item.span(), message, "give the nodes one label that stands for several");
        }
        entries.into_iter().map(|(entry, _span)| entry).collect()
    }
}
