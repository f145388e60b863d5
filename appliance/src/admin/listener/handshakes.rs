//! The TLS handshakes under way: bounded, and the one that has waited longest gives way to the next.
//!
//! So whoever connects and says nothing holds nobody up, however many of them there are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Handshakes at once.
pub(super) const HANDSHAKES_MAX: usize = 64;

/// Those under way, oldest first.
#[derive(Clone, Default)]
pub(super) struct Handshakes(Arc<Mutex<VecDeque<Arc<Notify>>>>);

/// One of them.
pub(super) struct Handshake {
    among: Handshakes,
    give_way: Arc<Notify>,
}

impl Handshakes {
    /// One more; the oldest is told to give way where there are too many.
    pub(super) fn begin(&self) -> Handshake {
        let give_way = Arc::new(Notify::new());
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= HANDSHAKES_MAX
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.notify_one();
        }
        waiting.push_back(Arc::clone(&give_way));
        Handshake { among: self.clone(), give_way }
    }
}

impl Handshake {
    /// Waits until it has to give way.
    pub(super) async fn must_give_way(&self) {
        self.give_way.notified().await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut waiting = self.among.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|other| !Arc::ptr_eq(other, &self.give_way));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn the_oldest_gives_way_and_those_that_are_done_leave_room() {
        let handshakes = Handshakes::default();
        let mut all: Vec<Handshake> = (0..HANDSHAKES_MAX).map(|_| handshakes.begin()).collect();
        let told = |handshake: &Handshake| {
            let mut waiting = std::pin::pin!(handshake.must_give_way());
            waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
        };
        assert!(!all.iter().any(told));
        drop(all.pop());
        all.push(handshakes.begin());
        assert!(!all.iter().any(told), "there was room for it");
        all.push(handshakes.begin());
        assert_eq!(all.iter().map(told).collect::<Vec<_>>().iter().filter(|told| **told).count(), 1);
        assert_eq!(handshakes.0.lock().unwrap().len(), HANDSHAKES_MAX);
        drop(all);
        assert!(handshakes.0.lock().unwrap().is_empty());
    }
}
