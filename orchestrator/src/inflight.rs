//! Which runs are under way, written where the parent can still read it when the worker is dead.
//!
//! A memfd with one fixed slot a run. A run that goes to the pool is written at its start and cleared at its end (two
//! small `pwrite`s, about a microsecond together). A short run inline on an async thread is written only once it
//! stops being short, which is sound: whatever exhausts a stack or the memory has long been told to hand over by
//! then. Should a worker die without any run in its slots, the next one is told to write inline runs as well. The
//! client of a named run is left beside its name: see [`parking`](crate::parking).

use nix::sys::memfd::{MFdFlags, memfd_create};
pub use picloud_model::protocol::LostRun;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of one slot: the length of its record (0 when free), then the record.
pub const SLOT_BYTES: usize = 512;
/// Bytes of the length.
const LENGTH_BYTES: usize = 2;
/// Longest cause that is kept.
const CAUSE_BYTES_MAX: usize = 256;

/// The slots, on either side.
pub struct InFlight {
    file: File,
    slots: usize,
}

impl InFlight {
    /// The parent's: a new file of free slots.
    pub fn create(slots: usize) -> io::Result<Self> {
        let file = File::from(memfd_create("picloud-in-flight", MFdFlags::MFD_CLOEXEC)?);
        file.set_len(Self::file_bytes(slots))?;
        Ok(Self { file, slots })
    }

    /// The worker's: the file it inherited.
    pub fn inherited(file: File) -> io::Result<Self> {
        let slots = usize::try_from(file.metadata()?.len()).unwrap_or(0) / SLOT_BYTES;
        Ok(Self { file, slots })
    }

    /// Bytes of a file of `slots` slots.
    pub fn file_bytes(slots: usize) -> u64 {
        (slots * SLOT_BYTES) as u64
    }

    /// The file, to be handed to a worker.
    pub fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Slots there are.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Writes that `run` is under way in `slot`. A failure loses only the name of a run, so it is no error.
    pub fn write(&self, slot: usize, run: &LostRun) {
        let mut run = run.clone();
        let mut end = run.cause.len().min(CAUSE_BYTES_MAX);
        while !run.cause.is_char_boundary(end) {
            end -= 1;
        }
        run.cause.truncate(end);
        let Ok(mut bytes) = postcard::to_extend(&run, vec![0; LENGTH_BYTES]) else { return };
        let Ok(len) = u16::try_from(bytes.len() - LENGTH_BYTES) else { return };
        bytes[..LENGTH_BYTES].copy_from_slice(&len.to_le_bytes());
        if slot < self.slots && bytes.len() <= SLOT_BYTES {
            let _lost_name = self.file.write_all_at(&bytes, Self::file_bytes(slot));
        }
    }

    /// Writes that `slot` is free.
    pub fn clear(&self, slot: usize) {
        let _lost_name = self.file.write_all_at(&[0; LENGTH_BYTES], Self::file_bytes(slot));
    }

    /// What is under way. A record that cannot be read (its worker died while writing it) is left out.
    pub fn read(&self) -> Vec<LostRun> {
        let mut slot = [0; SLOT_BYTES];
        (0..self.slots)
            .filter_map(|index| {
                self.file.read_exact_at(&mut slot, Self::file_bytes(index)).ok()?;
                let len = usize::from(u16::from_le_bytes([slot[0], slot[1]]));
                let record = slot.get(LENGTH_BYTES..LENGTH_BYTES + len).filter(|record| !record.is_empty())?;
                postcard::from_bytes(record).ok()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use picloud_model::{AppId, ExecutionId};

    fn run(script: &str, cause: String) -> LostRun {
        let execution_id = ExecutionId::new();
        LostRun {
            app: AppId(3),
            script: script.to_owned(),
            version: 4,
            execution_id,
            cause,
            started_at: 5,
            root_execution_id: ExecutionId::new(),
            trigger_depth: u32::MAX,
            trigger: "t".repeat(63),
            attempt: u32::MAX,
        }
    }

    #[test]
    fn the_parent_reads_what_the_worker_wrote_and_did_not_clear() {
        let parent = InFlight::create(4).unwrap();
        let worker = InFlight::inherited(parent.file().unwrap()).unwrap();
        let (one, two) = (run("one", "GET /1".to_owned()), run("two", "GET /2".to_owned()));
        worker.write(0, &one);
        worker.write(3, &two);
        assert_eq!(parent.read(), [one.clone(), two.clone()]);
        worker.clear(0);
        assert_eq!(parent.read(), [two]);
        worker.write(0, &one);
        assert_eq!(parent.read().len(), 2, "a slot is used again");
    }

    #[test]
    fn a_long_cause_is_cut_between_characters_and_always_fits() {
        let parent = InFlight::create(1).unwrap();
        parent.write(0, &run(&"s".repeat(63), "é".repeat(2000)));
        assert_eq!(parent.read()[0].cause, "é".repeat(CAUSE_BYTES_MAX / 2));
        parent.write(9, &run("s", String::new()));
        assert_eq!(parent.read().len(), 1, "a slot that is not there is not written");
    }
}
