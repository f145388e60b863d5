//! `cargo xtask picture`: runs the quickstart for real and draws what two terminals showed; then the terminal UI.
//!
//! Nothing in the pictures is made up: the commands below run in a copy of the tree's examples against the release
//! build, and what they print is drawn. Needs bash, curl, tmux and port 8080.

mod screen;
mod screens;

use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

const FOLDER: &str = "examples/quickstart";
const PICTURE: &str = "docs/quickstart.svg";
/// What the second terminal runs, in order.
const COMMANDS: &[&str] = &[
    "curl localhost:8080/quickstart/hello",
    "curl -X POST localhost:8080/quickstart/counter/visits",
    "sed -i s/Hello/Moin/ examples/quickstart/scripts/hello.rhai",
    "curl localhost:8080/quickstart/hello",
    "echo 'let x = ;' >> examples/quickstart/scripts/hello.rhai",
    "curl localhost:8080/quickstart/hello",
];
/// Lines of the first terminal that may wait to be read; above it the program under view waits.
const LINES_WAITING_MAX: usize = 1000;
/// How long the appliance may take to print its first line.
const START_WAIT: Duration = Duration::from_secs(20);
/// After a command, no line for so long means that there comes no more.
const QUIET: Duration = Duration::from_millis(700);

/// Where a line is folded, as a terminal folds it.
const COLUMNS: usize = 104;
const LINE_PX: usize = 20;
const CHAR_PX_TENTHS: usize = 84;
const MARGIN_PX: usize = 18;
const BAR_PX: usize = 34;

pub(crate) fn run(root: &Path) -> Result<()> {
    let build = ["build", "--release", "--package", "picloud-appliance", "--bin", "picloud-appliance"];
    ensure!(Command::new("cargo").args(build).current_dir(root).status()?.success(), "the appliance does not build");
    let stage = root.join("target/picture");
    if stage.exists() {
        fs::remove_dir_all(&stage).context("clear the last picture's stage")?;
    }
    copy(&root.join(FOLDER), &stage.join(FOLDER))?;
    let [first, second] = record(&root.join("target/release/picloud-appliance"), &stage)?;
    fs::write(root.join(PICTURE), draw(&[&first, &second])).with_context(|| format!("write `{PICTURE}`"))?;
    println!("{}\n\n{}\n\ndrawn as {PICTURE}\n", first.join("\n"), second.join("\n"));
    screens::run(root)
}

/// Copies a folder without what running left in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("list `{}`", from.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            if entry.file_name() != ".picloud" {
                copy(&entry.path(), &to.join(entry.file_name()))?;
            }
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The appliance under view: stopped when the recording ends, however it ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn record(program: &Path, stage: &Path) -> Result<[Vec<String>; 2]> {
    let mut child = Command::new(program)
        .args(["dev", FOLDER])
        .current_dir(stage)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start the appliance")?;
    let (sender, lines) = sync_channel(LINES_WAITING_MAX);
    send_lines(child.stdout.take().context("take its output")?, sender.clone());
    send_lines(child.stderr.take().context("take its errors")?, sender);
    let _running = Running(child);

    let mut first = vec![format!("$ cargo run --release -p picloud-appliance -- dev {FOLDER}")];
    first.push(lines.recv_timeout(START_WAIT).context("the appliance printed nothing")?);
    drain(&lines, &mut first);
    let mut second = Vec::new();
    for command in COMMANDS {
        second.push(format!("$ {command}"));
        let quiet = command.replace("curl ", "curl --silent --show-error ");
        let out = Command::new("bash").args(["-c", &quiet]).current_dir(stage).stdin(Stdio::null()).output()?;
        ensure!(out.status.success(), "`{command}` failed: {}", String::from_utf8_lossy(&out.stderr));
        second.extend(String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned));
        drain(&lines, &mut first);
    }
    Ok([first, second])
}

/// Sends every line of `output` from a thread of its own, until it ends.
fn send_lines(output: impl Read + Send + 'static, sender: SyncSender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(without_colours(&line)).is_err() {
                return;
            }
        }
    });
}

fn drain(lines: &Receiver<String>, into: &mut Vec<String>) {
    while let Ok(line) = lines.recv_timeout(QUIET) {
        into.push(line);
    }
}

/// `line` without the escape sequences of a terminal.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, text)| text));
    }
    plain
}

/// Draws each terminal as a window, one below the other.
fn draw(terminals: &[&[String]]) -> String {
    let terminals: Vec<Vec<String>> = terminals.iter().map(|lines| folded(lines)).collect();
    let width = 2 * MARGIN_PX + COLUMNS * CHAR_PX_TENTHS / 10;
    let height_of = |lines: &[String]| BAR_PX + MARGIN_PX + lines.len() * LINE_PX;
    let height: usize = terminals.iter().map(|lines| height_of(lines) + MARGIN_PX).sum::<usize>() - MARGIN_PX;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <title>The quickstart: one command serves a folder; a save is live at once; a broken save changes nothing</title>\n"
    );
    let mut top = 0;
    for lines in &terminals {
        draw_window(&mut svg, lines, top, width, height_of(lines));
        top += height_of(lines) + MARGIN_PX;
    }
    svg.push_str("</svg>\n");
    svg
}

fn folded(lines: &[String]) -> Vec<String> {
    let mut folded = Vec::new();
    for line in lines {
        let chars: Vec<char> = line.chars().collect();
        folded.extend(chars.chunks(COLUMNS).map(String::from_iter));
        if chars.is_empty() {
            folded.push(String::new());
        }
    }
    folded
}

fn draw_window(svg: &mut String, lines: &[String], top: usize, width: usize, height: usize) {
    let mut put = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).expect("a string takes everything");
    put(format_args!("<rect y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"9\" fill=\"#1d2129\"/>\n"));
    for (index, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        let (x, y) = (MARGIN_PX + 4 + index * 20, top + BAR_PX / 2);
        put(format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"6\" fill=\"{colour}\"/>\n"));
    }
    for (index, line) in lines.iter().enumerate() {
        let y = top + BAR_PX + 14 + index * LINE_PX;
        let colour = if line.starts_with("$ ") { "#7ee787" } else { "#d5dae2" };
        let text = escape(line);
        put(format_args!("<text x=\"{MARGIN_PX}\" y=\"{y}\" fill=\"{colour}\" xml:space=\"preserve\">{text}</text>\n"));
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_holds_every_line_and_no_escape_sequence() {
        let line = without_colours("\u{1b}[32mok\u{1b}[0m a < b");
        assert_eq!(line, "ok a < b");
        let svg = draw(&[&["$ run".to_owned(), line], &[]]);
        assert!(svg.contains(">$ run</text>") && svg.contains(">ok a &lt; b</text>"), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(
            folded(&["x".repeat(COLUMNS + 1), String::new()]),
            ["x".repeat(COLUMNS), "x".to_owned(), String::new()]
        );
    }
}
