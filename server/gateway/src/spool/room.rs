//! How much room a file has for what is still to be written.

use std::{fs::File, io};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

/// Room is asked for in steps: one system call for some hundred calls.
const STEP: u64 = 256 << 10;
/// More than how a call ended ever takes.
const END: u64 = 1 << 10;

/// The room of the file that is written to. What the disk has promised is always enough for how
/// every call that has begun will end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    /// Written.
    bytes: u64,
    /// Promised by the disk, from the beginning of the file.
    promised: u64,
    /// Calls that have begun and not ended.
    owed: u64,
}

impl Room {
    /// Written so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether some call has still to end.
    pub const fn is_owed(&self) -> bool {
        self.owed > 0
    }

    /// What will be written from here on, when one more call begins with a record of this length.
    pub const fn with_one_more(&self, length: u64) -> u64 {
        length + (self.owed + 1) * END
    }

    /// The room of the next file, to which what is owed goes over.
    pub const fn anew(&self) -> Self {
        Self { bytes: 0, promised: 0, owed: self.owed }
    }

    /// Makes sure of room for a record of this length and for every end, one more included.
    ///
    /// # Errors
    /// When the disk has no such room.
    pub fn promise(&mut self, file: &File, length: u64) -> io::Result<()> {
        let needed = self.bytes + self.with_one_more(length);
        if needed <= self.promised {
            return Ok(());
        }
        // Close to the end of the disk a whole step may be too much.
        for up_to in [needed + STEP, needed] {
            match fallocate(file, FallocateFlags::KEEP_SIZE, self.bytes, up_to - self.bytes) {
                Ok(()) => {
                    self.promised = up_to;
                    return Ok(());
                }
                Err(Errno::INTR | Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {}
                // A file system that promises nothing.
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    self.promised = u64::MAX;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::new(io::ErrorKind::StorageFull, "the disk with the spool is full"))
    }

    /// A call has begun.
    pub const fn begun(&mut self) {
        self.owed += 1;
    }

    /// A call has ended.
    pub const fn ended(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }

    /// So much was written.
    pub const fn wrote(&mut self, length: u64) {
        self.bytes += length;
    }

    /// Whether the disk has promised room for what is written next.
    pub const fn is_promised(&self) -> bool {
        self.promised != u64::MAX
    }

    /// The file is cut back to this length, and with it what was promised.
    pub const fn cut_to(&mut self, bytes: u64) {
        (self.bytes, self.promised) = (bytes, bytes);
    }
}
