//! Feeds the service manager's watchdog, and only while everything that must answer does.
//!
//! On a thread of its own: where the program's loop hangs, this one still says so before the service manager ends the
//! program. It sleeps between two rounds, so that an idle machine is woken once in half a period.

use super::Notifier;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// A part of the program that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} does not answer: {why}")]
pub struct Stuck {
    /// Which one, for people: `the database`.
    pub part: &'static str,
    /// What it was asked, and what came of it.
    pub why: String,
}

/// The times of a watchdog, all from its period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// Between two rounds while all is well.
    every: Duration,
    /// For all parts of one round together.
    round_max: Duration,
    /// Until the next round after one that failed.
    again: Duration,
}

impl Pace {
    /// A round may take so long that a good one is told in time all the same: half, and a quarter, of the period.
    fn of(period: Duration) -> Self {
        Self { every: period / 2, round_max: period / 4, again: period / 30 }
    }
}

/// The thread; ends when this is dropped.
pub struct Watchdog {
    _ends_it: SyncSender<()>,
}

impl Watchdog {
    /// Begins to feed; `check` asks every part and answers within the time it is given.
    pub fn start(
        notifier: Notifier,
        period: Duration,
        mut check: impl FnMut(Duration) -> Result<(), Stuck> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (ends_it, ended) = sync_channel::<()>(0);
        let pace = Pace::of(period);
        std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let mut troubled = false;
            loop {
                let found = check(pace.round_max);
                let pause = if found.is_ok() { pace.every } else { pace.again };
                tell(&notifier, period, found, &mut troubled);
                if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        })?;
        Ok(Self { _ends_it: ends_it })
    }
}

/// Has the program's own loop answer: `ask` gives it what is to be found out, with the time for that. A loop that does not
/// come to it is stuck itself.
pub fn ask_the_loop(within: Duration, ask: impl FnOnce(Duration, SyncSender<Result<(), Stuck>>)) -> Result<(), Stuck> {
    let (tell, told) = sync_channel(1);
    // What the loop asks has its own limit, and the loop has the rest of the time to tell.
    ask(within * 3 / 4, tell);
    told.recv_timeout(within).unwrap_or_else(|_nothing| {
        let why = format!("it has come to nothing new for {:.1} s", within.as_secs_f64());
        Err(Stuck { part: "the loop", why })
    })
}

/// Feeds, or says what is stuck; `troubled` is whether that was said already.
fn tell(notifier: &Notifier, period: Duration, found: Result<(), Stuck>, troubled: &mut bool) {
    match found {
        Ok(()) => {
            notifier.alive();
            if std::mem::take(troubled) {
                tracing::info!("all parts answer again");
                notifier.trouble(None);
            }
        }
        Err(stuck) => {
            let text = format!("{stuck}; unless it comes back, systemd starts this service anew");
            if !std::mem::replace(troubled, true) {
                tracing::error!(watchdog_s = period.as_secs_f64(), "{text}");
            }
            notifier.trouble(Some(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;

    /// Says what the service manager hears of these rounds.
    fn heard(rounds: &[Result<(), Stuck>]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        let notifier = Notifier::to(Some(folder.path().join("notify").as_os_str()));
        notifier.ready("answers");
        let mut troubled = false;
        for round in rounds {
            tell(&notifier, Duration::from_secs(30), round.clone(), &mut troubled);
        }
        manager.set_nonblocking(true).unwrap();
        let mut room = [0; 4_096];
        let mut all = Vec::new();
        while let Ok(bytes) = manager.recv(&mut room) {
            all.push(String::from_utf8(room[..bytes].to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn a_stuck_part_is_named_once_and_not_fed_and_the_status_is_back_when_it_answers() {
        let stuck = || Err(Stuck { part: "the database", why: "a read took longer than 7.5 s".to_owned() });
        let said = heard(&[Ok(()), stuck(), stuck(), Ok(())]);
        let trouble = "STATUS=the database does not answer: a read took longer than 7.5 s; unless it comes back, systemd starts this service anew\n";
        assert_eq!(said, ["READY=1\nSTATUS=answers\n", "WATCHDOG=1\n", trouble, "WATCHDOG=1\n", "STATUS=answers\n"]);
    }

    #[test]
    fn a_good_round_that_takes_as_long_as_it_may_is_told_before_the_period_is_over() {
        let period = Duration::from_secs(30);
        let Pace { every, round_max, again } = Pace::of(period);
        assert_eq!((every, round_max), (period / 2, period / 4));
        assert!(every + round_max < period && again * 2 < round_max);
    }

    #[test]
    fn a_loop_that_comes_to_nothing_is_stuck_and_one_that_answers_passes_on_what_it_found() {
        let within = Duration::from_millis(20);
        let mut kept = None;
        let silent = ask_the_loop(within, |_within, answer| kept = Some(answer)).unwrap_err();
        assert_eq!(silent.to_string(), "the loop does not answer: it has come to nothing new for 0.0 s");
        assert_eq!(ask_the_loop(within, |_within, answer| answer.send(Ok(())).unwrap()), Ok(()));
        let other = Stuck { part: "the spool", why: "it is full".to_owned() };
        assert_eq!(
            ask_the_loop(within, |_within, answer| answer.send(Err(other.clone())).unwrap()),
            Err(other.clone())
        );
    }

    #[test]
    fn it_asks_again_and_again_until_it_is_dropped() {
        let (asked, rounds) = sync_channel(0);
        let check = move |_max| {
            let _over = asked.send(());
            Ok(())
        };
        let watchdog = Watchdog::start(Notifier::default(), Duration::from_millis(2), check).unwrap();
        for _round in 0..3 {
            rounds.recv().unwrap();
        }
        drop(watchdog);
        // Its end of the channel goes with the thread.
        while rounds.recv().is_ok() {}
    }
}
