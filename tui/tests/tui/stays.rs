//! Coming, going, being stopped and being cut off: the terminal is left as it was.

use crate::program::{picloud as command, run};
use crate::terminal::{Terminal, keys, picloud};
use crate::world::World;
use portable_pty::CommandBuilder;
use std::time::{Duration, Instant};

/// The goal is 200 ms. A machine that does other things as well may take longer, but a timer of a second is found.
const HANG_UP_MAX: Duration = Duration::from_secs(2);

#[test]
fn it_starts_resizes_and_quits_with_the_terminal_as_it_was() {
    let world = World::quickstart();
    let mut terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    assert!(terminal.look(vt100::Screen::alternate_screen) && terminal.look(vt100::Screen::bracketed_paste));
    terminal.until_text("1Home");
    terminal.resize(100, 30);
    terminal.until("footer on the new last line", |screen| {
        screen.rows(0, 100).nth(29).is_some_and(|line| line.contains("? keys"))
    });
    terminal.resize(60, 20);
    terminal.until("footer on the new last line", |screen| {
        screen.rows(0, 60).nth(19).is_some_and(|line| line.contains("? keys"))
    });
    terminal.keys("q");
    assert_eq!(terminal.ended(), 0);
    terminal.assert_restored();
}

#[test]
fn the_mouse_is_the_terminals_until_it_is_asked_for_and_again_afterwards() {
    let world = World::quickstart();
    let mut terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    assert!(terminal.look(|screen| screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None));
    terminal.keys(":");
    terminal.until_text("Go or do");
    terminal.keys("mouse on");
    terminal.until_text("clicks go here");
    terminal.keys("\r");
    terminal.until("clicks", |screen| screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None);
    let tab = terminal.look(|screen| screen.contents().find("3Apps").unwrap()) + 1;
    terminal.keys(&format!("\x1b[<0;{tab};1M\x1b[<0;{tab};1m"));
    terminal.until_text(" Apps[1]");
    terminal.keys("q");
    assert_eq!(terminal.ended(), 0);
    terminal.assert_restored();
    // It is remembered.
    let terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    assert!(terminal.look(|screen| screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None));
}

#[test]
fn what_happens_elsewhere_is_shown_by_itself() {
    let world = World::quickstart();
    let terminal = Terminal::at_home(&world, "xterm-256color", (80, 24));
    // One thing at a time: nothing else that is drawn brings it along.
    for runs in 1..=3 {
        assert_eq!(world.get("/quickstart/hello").0, 200);
        terminal.until(&format!("{runs} runs"), |screen| {
            let words: Vec<String> = screen.contents().split_whitespace().map(str::to_owned).collect();
            words.windows(2).any(|pair| pair[0] == "runs" && pair[1] == runs.to_string())
        });
    }
}

#[test]
fn ctrl_c_twice_quits() {
    let world = World::quickstart();
    let mut terminal = Terminal::at_home(&world, "xterm", (80, 24));
    terminal.keys("\x03");
    terminal.until_text("Ctrl-C again quits");
    terminal.keys("\x03");
    assert_eq!(terminal.ended(), 0);
    terminal.assert_restored();
}

#[test]
fn signals_that_end_it_leave_the_terminal_as_it_was() {
    let world = World::quickstart();
    for signal in ["TERM", "HUP"] {
        let mut terminal = Terminal::at_home(&world, "xterm", (80, 24));
        let since = Instant::now();
        terminal.signal(signal);
        assert_eq!(terminal.ended(), 0, "{signal}");
        assert!(since.elapsed() < HANG_UP_MAX, "{signal}: {:?}", since.elapsed());
        terminal.assert_restored();
    }
}

#[test]
fn ctrl_z_gives_the_shell_the_terminal_and_fg_paints_it_again() {
    let world = World::quickstart();
    let mut shell = CommandBuilder::new("bash");
    for (name, value) in picloud(&world, "xterm").iter_full_env_as_str() {
        shell.env(name, value);
    }
    shell.args(["--norc", "--noprofile", "-i"]);
    shell.env("PS1", "shell> ");
    shell.env("PICLOUD", env!("CARGO_BIN_EXE_picloud"));
    let mut terminal = Terminal::run(shell, (80, 24));
    terminal.until_text("shell> ");
    terminal.keys("\"$PICLOUD\"\n");
    terminal.until_text("live");
    terminal.keys(keys::CTRL_Z);
    terminal.until_text("Stopped");
    assert!(!terminal.look(vt100::Screen::alternate_screen) && !terminal.look(vt100::Screen::hide_cursor));
    terminal.keys("fg\n");
    terminal.until("everything again", |screen| screen.alternate_screen() && screen.contents().contains("? keys"));
    terminal.keys("q");
    // The shell marks pastes itself.
    terminal.until("the shell again", |screen| !screen.alternate_screen() && !screen.hide_cursor());
    terminal.keys("echo co\\de $?\n");
    terminal.until_text("code 0");
    terminal.keys("exit\n");
    terminal.ended();
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(command(folder.path()), "");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{ran:?}");
    assert!(ran.err.contains("ssh -t"), "{ran:?}");
}

#[test]
fn a_terminal_that_can_show_nothing_and_an_appliance_that_refuses_are_told_before_the_screen_is_taken() {
    let world = World::with_https();
    for (term, more, code, said) in
        [("dumb", None, 2, "set TERM"), ("xterm", Some(("PICLOUD_KEY", "picloud_no_such_key")), 4, "key")]
    {
        let mut command = picloud(&world, term);
        if let Some((name, value)) = more {
            let (url, fingerprint) = world.https();
            command.env_remove("PICLOUD_SOCKET");
            command.env("PICLOUD_URL", url);
            command.env("PICLOUD_FINGERPRINT", fingerprint);
            command.env(name, value);
        }
        let mut terminal = Terminal::run(command, (80, 24));
        assert_eq!(terminal.ended(), code, "{}", terminal.text());
        assert!(terminal.text().contains(said), "{}", terminal.text());
        assert!(!String::from_utf8_lossy(&terminal.bytes()).contains("\x1b[?1049h"));
    }
}

#[test]
fn an_appliance_that_is_away_is_waited_for() {
    let mut world = World::quickstart();
    world.kill();
    let mut terminal = Terminal::run(picloud(&world, "xterm"), (80, 24));
    terminal.until_text("LOST");
    terminal.until_text("again in");
    terminal.keys("q");
    assert_eq!(terminal.ended(), 0);
    terminal.assert_restored();
}
