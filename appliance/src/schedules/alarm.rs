//! Wakes at a time of the clock on the wall, and when somebody sets that clock.
//!
//! A timer of the runtime counts the time that passes; it would sleep through a clock that jumps, and through a
//! machine's sleep. The kernel has one that follows the wall clock and says when it was set. Asleep, it costs nothing.

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use picloud_model::clock::UnixMs;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::unix::pipe;

/// One alarm.
pub struct Alarm {
    timer: TimerFd,
    /// The same descriptor as the runtime waits for it. It is no pipe, but is read like one.
    woken: pipe::Receiver,
}

impl Alarm {
    /// One that is not set.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        let woken = pipe::Receiver::from_owned_fd_unchecked(timer.as_fd().try_clone_to_owned()?)?;
        Ok(Self { timer, woken })
    }

    /// Waits until the wall clock shows `at`, or is set; for ever where there is no time to wait for.
    pub async fn wait(&self, at: Option<UnixMs>) {
        let Some(at) = at else { return std::future::pending().await };
        // The kernel takes no time before its epoch, and 0 for "never".
        let since_epoch = Duration::from_millis(u64::try_from(at.max(1)).unwrap_or(1));
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        if let Err(error) = self.timer.set(Expiration::OneShot(TimeSpec::from_duration(since_epoch)), flags) {
            tracing::warn!(%error, "the alarm could not be set; looking again in a minute");
            return tokio::time::sleep(Duration::from_secs(60)).await;
        }
        let mut times = [0; size_of::<u64>()];
        while self.woken.readable().await.is_ok() {
            match self.woken.try_read(&mut times) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The time has come; or the clock was set, which is told as an error.
                Ok(_) | Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::clock::{Clock, SystemClock};

    #[tokio::test]
    async fn it_wakes_at_its_time_again_and_again_and_at_once_for_what_is_over() {
        let alarm = Alarm::new().unwrap();
        for ahead_ms in [30, 1, -5_000, 20] {
            let at = SystemClock.now_ms() + ahead_ms;
            alarm.wait(Some(at)).await;
            assert!(SystemClock.now_ms() >= at);
        }
        let never = tokio::time::timeout(Duration::from_millis(20), alarm.wait(None)).await;
        assert!(never.is_err());
        // One that was given up does not wake the next.
        let far = SystemClock.now_ms() + 60_000;
        assert!(tokio::time::timeout(Duration::from_millis(5), alarm.wait(Some(far))).await.is_err());
        assert!(tokio::time::timeout(Duration::from_millis(20), alarm.wait(Some(far))).await.is_err());
    }
}
