//! Who is told of what: watches within this process, and the names under which other appliances hear of it.

use tokio::sync::watch;

/// What a commit may be news of. A number is its bit, and its place among the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Something may be claimed that could not be before.
    Deliveries = 0,
    /// Schedules are others.
    Schedules = 1,
    /// Apps, keys, secrets or nodes are others.
    Changes = 2,
    /// The audit log has grown.
    Audit = 3,
}

/// The channels of NOTIFY, by the number of their news.
pub(super) const CHANNELS: [&str; 4] = ["picloud_deliveries", "picloud_schedules", "picloud_changes", "picloud_audit"];
/// The same.
pub(super) const ALL_NEWS: [News; 4] = [News::Deliveries, News::Schedules, News::Changes, News::Audit];

/// What one transaction is news of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NewsSet(u8);

impl NewsSet {
    pub(super) fn add(&mut self, news: News) {
        self.0 |= 1 << news as u8;
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The channels of what is in it.
    pub(super) fn channels(self) -> Vec<&'static str> {
        self.iter().map(|news| CHANNELS[news as usize]).collect()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = News> {
        ALL_NEWS.into_iter().filter(move |&news| self.0 & (1 << news as u8) != 0)
    }
}

/// The watches.
#[derive(Debug, Default)]
pub(super) struct Signals {
    pub(super) deliveries: watch::Sender<u64>,
    pub(super) schedules: watch::Sender<u64>,
    /// Changes only after commits of others.
    pub(super) others: watch::Sender<u64>,
    /// The number of the newest entry of the audit log.
    pub(super) audit: watch::Sender<i64>,
}

impl Signals {
    /// After a commit of one's own.
    pub(super) fn committed(&self, news: NewsSet) {
        for news in news.iter() {
            match news {
                News::Deliveries => self.deliveries.send_modify(|count| *count += 1),
                News::Schedules => self.schedules.send_modify(|count| *count += 1),
                News::Changes | News::Audit => {}
            }
        }
    }

    /// After a commit of another appliance.
    pub(super) fn told(&self, news: News) {
        match news {
            News::Deliveries => self.deliveries.send_modify(|count| *count += 1),
            News::Schedules => self.schedules.send_modify(|count| *count += 1),
            News::Changes => self.others.send_modify(|count| *count += 1),
            News::Audit => {}
        }
    }

    /// The audit log has grown up to this entry, at least.
    pub(super) fn audit_grew(&self, last_seq: i64) {
        self.audit.send_if_modified(|newest| {
            let grew = last_seq > *newest;
            *newest = last_seq.max(*newest);
            grew
        });
    }

    /// Anything may have happened: everybody looks again.
    pub(super) fn missed(&self, last_seq: i64) {
        ALL_NEWS.into_iter().for_each(|news| self.told(news));
        self.audit_grew(last_seq);
    }
}
