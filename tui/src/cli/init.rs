//! `picloud init`: an app folder to start from, which deploys and answers as it is.
//!
//! To add a template: a folder in `tui/templates/`, a line in [`TEMPLATES`], a variant in [`Template`].

use crate::failure::Failure;
use crate::folder::{self, cannot};
use crate::output::Output;
use clap::{Args, ValueEnum};
use picloud_model::app_folder::MANIFEST;
use picloud_model::name::check_app_name;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands in a template for the app's name.
const NAME: &str = "my-app";

/// Make an app folder to start from
///
/// It deploys and answers as it is. The app is called like the folder, or as --app says. Nothing that is there
/// already is overwritten.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub(crate) struct Init {
    /// The folder to make
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// What to start from
    #[arg(long, value_enum, default_value = "hello")]
    template: Template,
}

const AFTER: &str = "\
Templates:
  hello  one route, one script, one page
  kv     a counter and a list that are kept
  api    a JSON API with a module that checks what comes in

Examples:
  picloud init kitchen && picloud-appliance dev kitchen
  picloud init shop --template api && picloud deploy shop";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Template {
    Hello,
    Kv,
    Api,
}

macro_rules! files {
    ($template:literal: $($file:literal)*) => {
        &[$(($file, include_str!(concat!("../../templates/", $template, "/", $file))),)*]
    };
}

/// Files by template, each with its content.
const TEMPLATES: [(Template, &[(&str, &str)]); 3] = [
    (Template::Hello, files!("hello": "app.toml" "scripts/hello.rhai" "static/index.html")),
    (Template::Kv, files!("kv": "app.toml" "scripts/counter.rhai" "scripts/notes.rhai")),
    (Template::Api, files!("api": "app.toml" "scripts/items.rhai" "scripts/item.rhai" "modules/check.rhai")),
];

impl Init {
    /// Does it. `app` is what `--app` says.
    pub(super) fn run(self, app: Option<&str>, output: &Output) -> Result<(), Failure> {
        let name = match app {
            Some(app) => app.to_owned(),
            None => name_of(&self.folder)?,
        };
        check_app_name(&name).map_err(|problem| {
            Failure::usage(problem.detail, "name the app yourself: --app NAME, with a-z, 0-9 and `-`, first a letter")
        })?;
        let files =
            TEMPLATES.iter().find(|(template, _)| *template == self.template).map_or(&[][..], |(_, files)| files);
        refuse_what_is_there(&self.folder, files)?;
        for (file, text) in files {
            let path = self.folder.join(file);
            let parent = path.parent().unwrap_or(&self.folder);
            fs::create_dir_all(parent).map_err(|error| cannot("make the folder", parent, &error))?;
            fs::write(&path, text.replace(NAME, &name)).map_err(|error| cannot("write", &path, &error))?;
        }
        // What was written is an app, whatever was in the folder before.
        folder::read(&self.folder)?;
        let shown = self.folder.display().to_string();
        if output.json {
            let names: Vec<&str> = files.iter().map(|(file, _)| *file).collect();
            output.value(&json!({ "app": name, "folder": shown, "files": names }));
        } else {
            output.text(&format!("app {name} is begun in {shown}"));
            output.note(&format!("next: picloud-appliance dev {shown}, or picloud deploy {shown}"));
        }
        Ok(())
    }
}

fn refuse_what_is_there(folder: &Path, files: &[(&str, &str)]) -> Result<(), Failure> {
    let shown = folder.display();
    if folder.join(MANIFEST).exists() {
        let hint = format!("picloud deploy {shown}, or give another folder");
        return Err(Failure::other(format!("{shown} is an app folder already: it has an app.toml"), Some(&hint)));
    }
    if let Some((file, _)) = files.iter().find(|(file, _)| folder.join(file).symlink_metadata().is_ok()) {
        return Err(Failure::other(format!("{shown} has a file {file} already"), Some("give a new folder")));
    }
    Ok(())
}

/// The app's name from the folder's: `My Kitchen` is `my-kitchen`.
fn name_of(folder: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(folder).map_err(|error| cannot("find", folder, &error))?;
    let name = absolute.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    Ok(name.trim_matches('-').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_app_a_name() {
        for (folder, name) in [("kitchen", "kitchen"), ("/x/My Kitchen", "my-kitchen"), ("a_b/", "a-b")] {
            assert_eq!(name_of(Path::new(folder)).unwrap(), name, "{folder}");
        }
    }
}
