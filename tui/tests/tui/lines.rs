//! What comes by itself, and what must not be lost when the line is.

use crate::terminal::{Terminal, keys, picloud};
use crate::world::World;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

/// Bytes a second of a stream of logs, over ssh, however many lines come.
const LOG_BYTES_PER_S_MAX: f64 = 5000.0;
/// Lines that one request of the noisy app writes.
const LINES_AT_ONCE: usize = 100;
/// Requests: five a second make 500 lines a second.
const REQUESTS: u32 = 30;
/// Between them.
const BETWEEN: Duration = Duration::from_millis(200);

fn noisy(folder: &std::path::Path) {
    fs::create_dir_all(folder.join("scripts")).unwrap();
    let app = "name = \"noise\"\n\n[[routes]]\npath = \"/noise\"\nscript = \"noise\"\n";
    fs::write(folder.join("app.toml"), app).unwrap();
    let script = format!("for i in 0..{LINES_AT_ONCE} {{ log::info(`line ${{i}} of so many of them`); }}\n\"done\"\n");
    fs::write(folder.join("scripts/noise.rhai"), script).unwrap();
}

#[test]
fn five_hundred_log_lines_a_second_cost_a_slow_line_little_and_keys_do_not_wait() {
    let world = World::serving(noisy);
    let mut command = picloud(&world, "xterm-256color");
    command.env("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.2 22");
    let mut terminal = Terminal::run(command, (80, 24));
    terminal.until_text("live");
    terminal.keys("9");
    world.answer("/noise/noise");
    terminal.until_text(&format!("line {} of so many", LINES_AT_ONCE - 1));
    let (before, since) = (terminal.count(), Instant::now());
    for _ in 0..REQUESTS {
        world.answer("/noise/noise");
        terminal.bytes_within(BETWEEN);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand bytes")]
    let rate = (terminal.count() - before) as f64 / since.elapsed().as_secs_f64();
    assert!(rate <= LOG_BYTES_PER_S_MAX, "{rate:.0} B/s");
    assert!(rate > 0.0, "nothing was shown of what came");
    terminal.keys("1");
    terminal.until("Home reversed in line 1", |screen| {
        let row = screen.rows(0, 80).next().unwrap_or_default();
        let column = row.find("1Home").map(|at| row[..at].chars().count()).unwrap_or_default();
        screen.cell(0, u16::try_from(column).unwrap()).is_some_and(vt100::Cell::inverse)
    });
}

/// Opens the editor on the first script of the quickstart.
fn edit(world: &World, more: &[(&str, &str)]) -> Terminal {
    let mut command = picloud(world, "xterm-256color");
    for (name, value) in more {
        command.env(name, value);
    }
    let mut terminal = Terminal::run(command, (80, 24));
    terminal.until_text("live");
    terminal.keys("4");
    terminal.until_text("quickstart");
    terminal.keys("\x1b[C");
    terminal.until_text("counter");
    terminal.keys(keys::DOWN);
    terminal.until_text("GET, POST and DELETE");
    terminal
}

#[test]
fn what_was_typed_is_there_again_after_the_line_was_cut() {
    let world = World::quickstart();
    let mut terminal = edit(&world, &[]);
    terminal.keys("e");
    terminal.until("the cursor", |screen| !screen.hide_cursor());
    terminal.keys("// not lost");
    terminal.until_text("// not lost");
    terminal.signal("HUP");
    terminal.ended();
    terminal.assert_restored();
    assert_eq!(world.json(&["scripts", "get", "counter", "--app", "quickstart"])["version"], 1, "nothing was saved");
    edit(&world, &[]).until_text("// not lost");
}

#[test]
fn the_persons_editor_has_the_terminal_and_what_it_leaves_comes_back() {
    let world = World::quickstart();
    let editor = world.folder().join("editor");
    fs::write(&editor, "#!/bin/sh\necho IN THE EDITOR\nread answer\nsed -i '1s/^/\\/\\/ from outside\\n/' \"$1\"\n")
        .unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let mut terminal = edit(&world, &[("EDITOR", editor.to_str().unwrap())]);
    terminal.keys("x");
    terminal.until("the editor alone", |screen| {
        screen.contents().contains("IN THE EDITOR") && !screen.alternate_screen() && !screen.bracketed_paste()
    });
    terminal.keys("any line\n");
    terminal.until("the text", |screen| screen.alternate_screen() && screen.contents().contains("// from outside"));
    let left = fs::read_dir(world.folder()).unwrap().flatten();
    assert!(!left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("picloud-edit")));
}
