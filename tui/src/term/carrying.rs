//! Carries out what needs no terminal: loads, writes, streams, waits, drafts.

use super::asking::Line;
use super::clock::Ticks;
use super::following::{Following, Waiting};
use super::keeping::Keeper;
use super::transfer::Transfer;
use crate::app::{Effect, Msg, Owner, Request};
use crate::settings::Surroundings;
use picloud_model::problem::{Code, Problem};
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_local};

/// Loads that are under way at once; more wait their turn.
const LOADS_MAX: usize = 8;
/// Changes that wait for the one under way.
const WRITES_MAX: usize = 10_000;

/// Does what is wanted, and tells what came of it.
pub(super) struct Carrier {
    line: Line,
    ticks: Ticks,
    results: mpsc::Sender<Msg>,
    keeper: Keeper,
    home: Option<PathBuf>,
    /// Events of all streams.
    pub(super) waiting: Waiting,
    room: Rc<Semaphore>,
    tasks: HashMap<Owner, JoinHandle<()>>,
    due: HashMap<Owner, Instant>,
    writes: VecDeque<(u64, Request)>,
    writing: Option<u64>,
    /// What is to be told without having waited for anything.
    told: Vec<Msg>,
}

impl Carrier {
    /// With nothing under way.
    pub(super) fn new(
        line: Line,
        ticks: Ticks,
        results: mpsc::Sender<Msg>,
        keeper: Keeper,
        around: &Surroundings,
    ) -> Self {
        Self {
            line,
            ticks,
            results,
            keeper,
            home: around.home.clone(),
            waiting: Waiting::default(),
            room: Rc::new(Semaphore::new(LOADS_MAX)),
            tasks: HashMap::new(),
            due: HashMap::new(),
            writes: VecDeque::new(),
            writing: None,
            told: Vec::new(),
        }
    }

    /// Begins what is wanted.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Load { owner, generation, request } => self.load(owner, generation, request),
            Effect::Write { id, request } => self.write(id, request),
            Effect::Follow { owner, generation, path } => self.follow(owner, generation, path),
            Effect::Stop { owner } => self.stop(&owner),
            Effect::Later { owner, after_ms } => {
                self.due.insert(owner, Instant::now() + Duration::from_millis(after_ms));
            }
            Effect::Download { owner, path, to } => {
                let transfer = self.transfer(&owner);
                self.begin(owner, transfer.download(path, to));
            }
            Effect::Receive { owner, request, to } => {
                let transfer = self.transfer(&owner);
                self.begin(owner, transfer.receive(request, to));
            }
            Effect::ReadFolder { owner, folder } => {
                let transfer = self.transfer(&owner);
                self.begin(owner, transfer.read_folder(folder));
            }
            Effect::WriteFolder { owner, folder, bundle } => {
                let transfer = self.transfer(&owner);
                self.begin(owner, transfer.write_folder(folder, bundle));
            }
            Effect::ExportKeys { owner, from, to } => {
                let transfer = self.transfer(&owner);
                self.begin(owner, transfer.export(from, to));
            }
            Effect::SaveText { owner, text, to } => {
                let transfer = self.transfer(&owner);
                self.begin(owner, transfer.save(text, to));
            }
            Effect::Upload { owner, request, from } => {
                let transfer = self.transfer(&owner);
                self.begin(owner, transfer.upload(request, from));
            }
            Effect::KeepDraft { id, text } => self.keep_draft(&id, &text),
            Effect::KeepSetting { name, value } => self.keeper.keep_setting(name, value),
            Effect::Copy { .. }
            | Effect::EditOutside { .. }
            | Effect::Print { .. }
            | Effect::Point(_)
            | Effect::Suspend
            | Effect::Repaint
            | Effect::Quit => unreachable!("the loop does what needs the terminal"),
        }
    }

    fn transfer(&self, owner: &Owner) -> Transfer {
        let (line, results) = (self.line.clone(), self.results.clone());
        Transfer { line, owner: owner.clone(), results, home: self.home.clone() }
    }

    fn load(&mut self, owner: Owner, generation: u64, request: Request) {
        let (line, results, room) = (self.line.clone(), self.results.clone(), Rc::clone(&self.room));
        let told = owner.clone();
        self.begin(owner, async move {
            let _place = room.acquire().await;
            let answered = line.ask(request).await;
            // Nobody listens any more where the program ends.
            let _ending = results.send(Msg::Loaded { owner: told, generation, answered }).await;
        });
    }

    fn follow(&mut self, owner: Owner, generation: u64, path: crate::path::ApiPath) {
        let following = Following {
            line: self.line.clone(),
            ticks: self.ticks,
            owner: owner.clone(),
            generation,
            path,
            waiting: self.waiting.clone(),
            results: self.results.clone(),
        };
        self.begin(owner, following.run());
    }

    /// Begins a task of an owner; what it was doing before ends.
    fn begin(&mut self, owner: Owner, task: impl Future<Output = ()> + 'static) {
        self.stop(&owner);
        self.tasks.retain(|_, task| !task.is_finished());
        self.tasks.insert(owner, spawn_local(task));
    }

    fn stop(&mut self, owner: &Owner) {
        self.waiting.forget(owner);
        if let Some(task) = self.tasks.remove(owner) {
            task.abort();
        }
    }

    /// One after the other, in the order in which they were made.
    fn write(&mut self, id: u64, request: Request) {
        if self.writes.len() >= WRITES_MAX {
            let full =
                Problem::new(Code::Overloaded, format!("{WRITES_MAX} changes wait already: this one is not made"));
            self.told.push(Msg::Wrote { id, answered: Err(full) });
            return;
        }
        self.writes.push_back((id, request));
        self.write_next();
    }

    fn write_next(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let Some((id, request)) = self.writes.pop_front() else { return };
        self.writing = Some(id);
        let (line, results) = (self.line.clone(), self.results.clone());
        // Never aborted: what was sent may have been done.
        spawn_local(async move {
            let answered = line.ask(request).await;
            let _ending = results.send(Msg::Wrote { id, answered }).await;
        });
    }

    /// Something came: what waited for it goes on.
    pub(super) fn came(&mut self, msg: &Msg) {
        if let Msg::Wrote { id, .. } = msg
            && self.writing == Some(*id)
        {
            self.writing = None;
            self.write_next();
        }
    }

    /// What is to be told besides: also what a command would have printed.
    pub(super) fn take_told(&mut self) -> Vec<Msg> {
        let said = self.line.output.take_kept().into_iter().chain(self.keeper.take_failed());
        self.told.extend(said.map(Msg::Failed));
        std::mem::take(&mut self.told)
    }

    /// Something is to be told.
    pub(super) fn tell(&mut self, msg: Msg) {
        self.told.push(msg);
    }

    /// Whether changes are not made yet.
    pub(super) fn unmade(&self) -> usize {
        self.writes.len() + usize::from(self.writing.is_some())
    }

    /// When the next wait is over.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.values().min().copied()
    }

    /// Those whose wait is over.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Owner> {
        self.due.extract_if(|_, at| *at <= now).map(|(owner, _)| owner).collect()
    }

    /// Writes a draft down.
    pub(super) fn keep_draft(&self, id: &str, text: &str) {
        self.keeper.keep_draft(id, text);
    }
}
