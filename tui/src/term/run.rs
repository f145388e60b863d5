//! The loop: what happens becomes a message, what the app wants is carried out, what changed is drawn.

use super::asking::Line;
use super::caps::Dialect;
use super::carrying::Carrier;
use super::clock::Ticks;
use super::input::Input;
use super::keeping::Keeper;
use super::pace::{Cause, Pace};
use super::paint::Painter;
use super::signals::{Signals, Told};
use super::tty;
use crate::app::{App, Effect, Msg};
use crate::output::Output;
use crate::settings::{Settings, Surroundings};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Answers that wait to be told.
const RESULTS_MAX: usize = 64;
/// How long changes that were made already may take to be sent when the person leaves.
const LAST_WRITES_MAX: Duration = Duration::from_secs(30);

/// One session at a terminal.
pub(super) struct Session {
    pub(super) app: App,
    ticks: Ticks,
    pub(super) around: Surroundings,
    pub(super) dialect: Dialect,
    painter: Painter,
    pace: Pace,
    size: (u16, u16),
    pub(super) carrier: Carrier,
    results: mpsc::Receiver<Msg>,
    /// The keyboard, while it is ours.
    pub(super) input: Option<Input>,
    pub(super) signals: Signals,
    ends: Option<End>,
}

/// What ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The person.
    Left,
    /// A signal, or the line is gone.
    Cut,
}

/// What woke the loop.
enum Woken {
    Signal(Told),
    Typed(Option<Vec<Msg>>),
    Came(Option<Box<Msg>>),
    Streamed,
    Due,
}

impl Session {
    /// At a terminal of this size.
    pub(super) fn new(
        app: App,
        settings: Rc<Settings>,
        around: Surroundings,
        dialect: Dialect,
        keeper: Keeper,
        size: (u16, u16),
    ) -> io::Result<Self> {
        let (sender, results) = mpsc::channel(RESULTS_MAX);
        let ticks = Ticks::start();
        let line = Line { settings, output: Rc::new(Output::keeping()), idles: Rc::default() };
        let caps = app.look().caps;
        Ok(Self {
            app,
            ticks,
            carrier: Carrier::new(line, ticks, sender, keeper, &around),
            around,
            dialect,
            painter: Painter::new(dialect, caps.utf8, size),
            pace: Pace::new(caps.in_ssh),
            size,
            results,
            input: None,
            signals: Signals::listen()?,
            ends: None,
        })
    }

    /// Until the person leaves, or the line is gone.
    pub(super) async fn run(&mut self) -> io::Result<()> {
        tty::take(self.dialect)?;
        self.input = Some(Input::new(self.dialect.pastes)?);
        self.tell(Msg::Start, Cause::Person).await?;
        while self.ends.is_none() {
            self.draw_if_due().await?;
            let woken = self.wake().await;
            self.woken(woken).await?;
        }
        self.input = None;
        tty::restore();
        if self.ends == Some(End::Left) {
            self.make_last_changes().await;
        }
        Ok(())
    }

    async fn wake(&mut self) -> Woken {
        let next = [self.pace.next(), self.carrier.next_due()].into_iter().flatten().min();
        let timer = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        let input = self.input.as_mut().expect("whatever took it has given it back");
        tokio::select! {
            biased;
            told = self.signals.next() => Woken::Signal(told),
            typed = input.next() => Woken::Typed(typed),
            came = self.results.recv() => Woken::Came(came.map(Box::new)),
            () = self.carrier.waiting.news() => Woken::Streamed,
            () = timer => Woken::Due,
        }
    }

    async fn woken(&mut self, woken: Woken) -> io::Result<()> {
        if !tty::is_taken() {
            // A task panicked, and its panic gave the terminal back.
            self.ends = Some(End::Cut);
            return Ok(());
        }
        match woken {
            Woken::Signal(Told::GoOn) => self.take_again()?,
            Woken::Signal(Told::Resized) => {
                let (width, height) = tty::size();
                // Soon, not at once: a window that is dragged has many sizes.
                self.tell(Msg::Resize { width, height }, Cause::Answer).await?;
            }
            Woken::Signal(Told::End) | Woken::Typed(None) | Woken::Came(None) => self.ends = Some(End::Cut),
            Woken::Typed(Some(messages)) => {
                for msg in messages {
                    self.tell(msg, Cause::Person).await?;
                }
            }
            Woken::Came(Some(msg)) => {
                let cause = cause_of(&msg);
                self.tell(*msg, cause).await?;
            }
            Woken::Streamed => self.pace.wants(Instant::now(), Cause::Stream),
            Woken::Due => self.due().await?,
        }
        Ok(())
    }

    async fn due(&mut self) -> io::Result<()> {
        for owner in self.carrier.take_due(Instant::now()) {
            self.tell(Msg::Due { owner }, Cause::Answer).await?;
        }
        Ok(())
    }

    /// Tells the app, and all that comes of it.
    async fn tell(&mut self, msg: Msg, cause: Cause) -> io::Result<()> {
        let mut told = VecDeque::from([msg]);
        while let Some(msg) = told.pop_front() {
            if let Msg::Resize { width, height } = msg {
                self.size = (width, height);
            }
            self.carrier.came(&msg);
            let effects = self.app.update(self.ticks.now(), msg);
            if self.app.is_dirty() {
                self.pace.wants(Instant::now(), cause);
            }
            for effect in effects {
                self.carry_out(effect).await?;
            }
            told.extend(self.carrier.take_told());
        }
        Ok(())
    }

    /// What needs the terminal is done here, all else elsewhere.
    async fn carry_out(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Quit => self.ends = Some(End::Left),
            Effect::Repaint => self.repaint(),
            Effect::Point(is_on) => tty::point(is_on)?,
            Effect::Suspend => self.suspend()?,
            Effect::Copy { text } => self.copy(&text)?,
            Effect::Print { text } => self.print(&text).await?,
            Effect::EditOutside { owner, name, text, line } => {
                let text = self.edit_outside(&name, text, line).await?;
                self.carrier.tell(Msg::Edited { owner, text });
            }
            other => self.carrier.carry_out(other),
        }
        Ok(())
    }

    /// The next frame paints everything, in the size there is now.
    pub(super) fn repaint(&mut self) {
        let (width, height) = tty::size();
        if self.size != (width, height) {
            self.carrier.tell(Msg::Resize { width, height });
        }
        self.size = (width, height);
        self.painter.forget(self.size);
        self.pace.wants(Instant::now(), Cause::Person);
    }

    /// The terminal is ours again.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        tty::take(self.dialect)?;
        if self.input.is_none() {
            self.input = Some(Input::new(self.dialect.pastes)?);
        }
        self.repaint();
        Ok(())
    }

    /// The line is gone.
    pub(super) fn cut(&mut self) {
        self.ends = Some(End::Cut);
    }

    /// Draws what is, with all that streams told until now; whatever comes later wants a frame of its own.
    async fn draw_if_due(&mut self) -> io::Result<()> {
        if !self.pace.is_due(Instant::now()) {
            return Ok(());
        }
        for msg in self.carrier.waiting.take() {
            self.tell(msg, Cause::Stream).await?;
        }
        let mut next = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        let cursor = self.app.draw(next.area, &mut next);
        let flush = tty::write(self.painter.frame(next, cursor))?;
        self.pace.drawn(Instant::now(), flush);
        // Only marks what was shown; it leads to nothing.
        let _nothing = self.app.update(self.ticks.now(), Msg::Drawn);
        Ok(())
    }

    /// What the person changed before leaving is still made.
    async fn make_last_changes(&mut self) {
        let made = tokio::time::timeout(LAST_WRITES_MAX, async {
            while self.carrier.unmade() > 0
                && let Some(msg) = self.results.recv().await
            {
                self.carrier.came(&msg);
            }
        });
        // Told by whoever asks how many are left.
        let _left = made.await;
    }

    /// How many changes were not made.
    pub(super) fn unmade(&self) -> usize {
        self.carrier.unmade()
    }

    /// Writes every draft down.
    pub(super) fn keep_drafts(&self) {
        for (id, text) in self.app.drafts() {
            self.carrier.keep_draft(&id, &text);
        }
    }
}

fn cause_of(msg: &Msg) -> Cause {
    match msg {
        Msg::Transferring { .. } | Msg::StreamState { .. } => Cause::Stream,
        _ => Cause::Answer,
    }
}
