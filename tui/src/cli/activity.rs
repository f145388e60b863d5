//! `picloud activity`: how everything is, once or live.

use super::Session;
use super::follow::{self, Source};
use super::show::{cut, duration, time};
use crate::client::{Ask, Events};
use crate::failure::Failure;
use crate::output::columns;
use crate::path::ApiPath;
use clap::Args;
use http::{Method, header};
use picloud_model::activity::{Activity as Look, Need, NodeGlance, RunGlance};
use serde_json::Value;
use std::fmt::Write as _;

/// Longest error of a run in the table, in letters.
const ERROR_LETTERS_MAX: usize = 60;

/// Show what needs you, the machines, the last hour, the newest runs
///
/// With --follow, anew whenever it is not as it was, at most once a second; with --json, a line for each.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  picloud activity\n  picloud activity --follow --json")]
pub(crate) struct Activity {
    /// Go on, and show it anew whenever something changes
    #[arg(short, long)]
    follow: bool,
}

impl Activity {
    /// Does it.
    pub(super) async fn run(self, session: &Session<'_>) -> Result<(), Failure> {
        let path = ApiPath::new(&["activity"]);
        if self.follow {
            let source = Source { path, resumes: false, last_id: None };
            return follow::follow(session, source, |name, data| {
                if name == "activity" {
                    session.output.text(&if session.output.json {
                        data.to_string()
                    } else {
                        format!("{}\n", shown(data))
                    });
                }
            })
            .await;
        }
        let ask = Ask::new(Method::GET, path).header(header::ACCEPT, "text/event-stream");
        let mut events = Events::of(session.client.stream(ask).await?);
        while let Some(event) = events.next().await? {
            if event.name == "activity"
                && let Ok(data) = serde_json::from_str::<Value>(&event.data)
            {
                session.done(&data, &shown(&data));
                return Ok(());
            }
        }
        Err(Failure::other("the appliance ended the connection before it told anything", None))
    }
}

fn shown(data: &Value) -> String {
    match serde_json::from_value::<Look>(data.clone()) {
        Ok(look) => text(&look),
        // Of another version: as it came.
        Err(_other) => super::show::lines(data),
    }
}

fn text(look: &Look) -> String {
    let mut text = format!("at {}\n", time(look.at));
    let needs: Vec<Vec<String>> = look.needs.iter().map(need).collect();
    text += &match needs.is_empty() {
        true => "nothing needs you\n".to_owned(),
        false => format!("\n{}", columns(&["needs you", "what", "since"], &needs)),
    };
    let nodes: Vec<Vec<String>> = look.nodes.iter().map(node).collect();
    text += &format!("\n{}", columns(&["node", "state", "since", "running"], &nodes));
    text += &format!("\n{}\n", hour(look));
    let runs: Vec<Vec<String>> = look.recent.iter().map(run).collect();
    if !runs.is_empty() {
        text += &format!("\n{}", columns(&["started", "script", "cause", "node", "ended", "took", "why"], &runs));
    }
    text
}

fn since(at: Option<i64>) -> String {
    at.map(time).unwrap_or_default()
}

fn need(need: &Need) -> Vec<String> {
    let about = match &need.app {
        Some(app) if need.target.is_empty() => app.clone(),
        Some(app) => format!("{app}/{}", need.target),
        None => need.target.clone(),
    };
    vec![about, need.text.clone(), since(need.at)]
}

fn node(node: &NodeGlance) -> Vec<String> {
    let running = node.places.map(|places| format!("{} of {places}", node.running)).unwrap_or_default();
    let behind = if node.in_step == Some(false) { ", behind" } else { "" };
    vec![node.name.clone(), format!("{}{behind}", node.state.as_str()), since(node.since), running]
}

fn hour(look: &Look) -> String {
    let (runs, failed) =
        look.hour.iter().fold((0, 0), |(runs, failed), minute| (runs + minute.runs, failed + minute.failed));
    let mut text = format!("last hour: {runs} runs, {failed} failed");
    for (place, count) in look.causes.iter().enumerate() {
        let before = if place == 0 { "; " } else { ", " };
        write!(text, "{before}{} {}", count.cause.as_str(), count.runs).expect("a text takes all");
    }
    text
}

fn run(run: &RunGlance) -> Vec<String> {
    vec![
        time(run.started_at),
        format!("{}/{}", run.app, run.script),
        run.cause.clone(),
        run.node.clone(),
        // 0 where nothing was answered.
        if run.status == 0 {
            run.outcome.as_str().to_owned()
        } else {
            format!("{} {}", run.outcome.as_str(), run.status)
        },
        duration(run.duration_us),
        cut(run.error.as_deref().unwrap_or_default(), ERROR_LETTERS_MAX),
    ]
}
