//! What is published for whoever listens right now: kept nowhere, and lost by whoever is too slow.

use picloud_model::clock::UnixMs;
use picloud_model::ids::AppId;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Messages that a listener may be behind; whoever is further behind is told how many it missed.
const MESSAGES_BEHIND_MAX: usize = 256;

/// One message.
#[derive(Debug)]
pub struct Message {
    /// The app.
    pub app: AppId,
    /// The topic.
    pub topic: String,
    /// JSON.
    pub value: Vec<u8>,
    /// When it was published.
    pub at: UnixMs,
}

/// The messages as they arrive. Cheap to clone; costs nothing while nobody listens.
#[derive(Clone)]
pub struct Topics(broadcast::Sender<Arc<Message>>);

impl Default for Topics {
    fn default() -> Self {
        Self(broadcast::Sender::new(MESSAGES_BEHIND_MAX))
    }
}

impl Topics {
    /// Hands a message on to whoever listens.
    pub fn publish(&self, app: AppId, topic: String, value: Vec<u8>, at: UnixMs) {
        if self.0.receiver_count() > 0 {
            // Nobody listens any more: that is no loss.
            let _nobody = self.0.send(Arc::new(Message { app, topic, value, at }));
        }
    }

    /// Every message from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Message>> {
        self.0.subscribe()
    }
}
