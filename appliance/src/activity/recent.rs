//! The runs of late at a glance, and which scripts have only failed since they were changed.

use picloud_model::activity::RunGlance;
use picloud_model::clock::UnixMs;
use picloud_model::execution::{Execution, Outcome};
use picloud_model::ids::ExecutionId;
use std::collections::{BTreeMap, HashMap};

/// Runs that are remembered, of all apps; whoever sees some apps only sees the newest of these.
const RUNS_MAX: usize = 256;
/// Scripts of which it is known how their newest version does; beyond it all are forgotten.
const SCRIPTS_MAX: usize = 2_000;
/// Longest line of an error, in characters.
const ERROR_CHARS_MAX: usize = 200;
/// From this status on, a failure is not what a caller asked for.
const SERVER_ERROR: u16 = 500;

/// How a script's newest version does.
#[derive(Clone, Debug, Default)]
pub(super) struct Doing {
    /// The version.
    pub(super) version: i64,
    /// Whether any run of it went well.
    pub(super) has_done_well: bool,
    /// How many failed.
    pub(super) failed: u64,
    /// Why the last did.
    pub(super) error: Option<String>,
    /// When the last did.
    pub(super) last_at: UnixMs,
}

/// What is remembered of runs.
#[derive(Debug, Default)]
pub(super) struct Recent {
    runs: BTreeMap<ExecutionId, RunGlance>,
    /// By app and script.
    scripts: HashMap<(String, String), Doing>,
}

impl Recent {
    /// A run ended.
    pub(super) fn add(&mut self, run: &Execution) {
        let glance = glance(run);
        self.note(run, &glance);
        self.runs.insert(run.id, glance);
        if self.runs.len() > RUNS_MAX {
            self.runs.pop_first();
        }
    }

    fn note(&mut self, run: &Execution, glance: &RunGlance) {
        // What somebody tries out may be another source or version than the live one.
        let is_tried = run.cause.starts_with("run") || run.cause.contains(" of ");
        let failed = match run.outcome {
            Outcome::Ok => false,
            // What a script refuses its callers is no fault of its own.
            Outcome::Failed if (1..SERVER_ERROR).contains(&run.status) => return,
            Outcome::Failed | Outcome::WorkerLost => true,
        };
        if is_tried {
            return;
        }
        let key = (run.app.clone(), run.script.clone());
        if self.scripts.len() >= SCRIPTS_MAX && !self.scripts.contains_key(&key) {
            self.scripts.clear();
        }
        let doing = self.scripts.entry(key).or_default();
        if doing.version < run.version {
            *doing = Doing { version: run.version, ..Doing::default() };
        }
        if doing.version != run.version {
            return;
        }
        doing.has_done_well |= !failed;
        if failed {
            doing.failed += 1;
            if doing.last_at <= run.started_at {
                doing.last_at = run.started_at;
                doing.error.clone_from(&glance.error);
            }
        }
    }

    /// The newest runs of apps that are seen.
    pub(super) fn newest(&self, runs_max: usize, sees: impl Fn(&str) -> bool) -> Vec<RunGlance> {
        self.runs.values().rev().filter(|run| sees(&run.app)).take(runs_max).cloned().collect()
    }

    /// How the newest version of a script does, as far as it is known.
    pub(super) fn doing(&self) -> impl Iterator<Item = (&(String, String), &Doing)> {
        self.scripts.iter()
    }
}

fn glance(run: &Execution) -> RunGlance {
    let error = match run.outcome {
        Outcome::Ok => None,
        outcome => {
            let said = run.error().map(|problem| first_line(&problem.detail));
            Some(said.unwrap_or_else(|| format!("the run ended as {}", outcome.as_str())))
        }
    };
    RunGlance {
        id: run.id,
        app: run.app.clone(),
        script: run.script.clone(),
        cause: run.cause.clone(),
        node: run.node.clone(),
        outcome: run.outcome,
        status: run.status,
        duration_us: run.duration_us,
        started_at: run.started_at,
        error,
    }
}

/// The first line, as far as it is short.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(ERROR_CHARS_MAX) {
        Some((end, _char)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::execution::Usage;
    use picloud_model::ids::AppId;
    use picloud_model::problem::{Code, Problem};

    fn run(number: u128, version: i64, outcome: Outcome, status: u16) -> Execution {
        let problem = Problem::new(Code::ScriptError, format!("no luck {number}\nat all"));
        let id = ExecutionId(uuid::Uuid::from_u128(number));
        Execution {
            id,
            root_id: id,
            app_id: AppId(1),
            app: "kitchen".to_owned(),
            script: "hello".to_owned(),
            version,
            node: "here".to_owned(),
            cause: "GET /kitchen".to_owned(),
            outcome,
            status,
            started_at: i64::try_from(number).unwrap(),
            duration_us: 10,
            usage: Usage::default(),
            error_json: if outcome == Outcome::Ok { String::new() } else { serde_json::to_string(&problem).unwrap() },
            logs: Vec::new(),
            logs_dropped: 0,
            trigger_depth: 0,
            trigger: String::new(),
            attempt: 0,
            result_json: String::new(),
            input_json: String::new(),
        }
    }

    #[test]
    fn the_newest_are_remembered_whatever_the_order_they_come_in() {
        let mut recent = Recent::default();
        for number in (1..=300).rev().chain(1..=10) {
            recent.add(&run(number, 1, Outcome::Ok, 200));
        }
        let newest: Vec<u128> = recent.newest(3, |_app| true).iter().map(|run| run.id.0.as_u128()).collect();
        assert_eq!((newest, recent.runs.len()), (vec![300, 299, 298], RUNS_MAX));
        assert!(recent.newest(3, |app| app == "cellar").is_empty());
    }

    #[test]
    fn only_failures_of_the_newest_version_count_and_only_its_own() {
        let mut recent = Recent::default();
        let doing = |recent: &Recent| recent.doing().next().map(|(_script, doing)| doing.clone()).unwrap();
        recent.add(&run(1, 1, Outcome::Ok, 200));
        recent.add(&run(2, 2, Outcome::Failed, 500));
        recent.add(&run(3, 1, Outcome::Ok, 200));
        recent.add(&run(4, 2, Outcome::Failed, 404));
        recent.add(&Execution { cause: "run GET /".to_owned(), ..run(5, 2, Outcome::Ok, 200) });
        recent.add(&run(6, 2, Outcome::WorkerLost, 502));
        let now = doing(&recent);
        assert_eq!((now.version, now.has_done_well, now.failed, now.last_at), (2, false, 2, 6));
        assert_eq!(now.error.as_deref(), Some("no luck 6"), "its first line");
        recent.add(&run(7, 2, Outcome::Ok, 200));
        assert!(doing(&recent).has_done_well);
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(first_line("a\nb"), "a");
        assert_eq!(first_line(&"ü".repeat(300)).chars().count(), ERROR_CHARS_MAX + 1);
    }
}
