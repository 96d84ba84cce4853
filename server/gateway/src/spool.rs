//! What this replica has let through, on disk before anybody else knows of it.
//!
//! A call is written down when it is let through and again when it is finished, so that a process
//! that dies knows when it starts again which calls were finished and which nobody knows of. Each
//! record is a line with a checksum. Records go to numbered files; a file is deleted when every
//! call that began in it, and in all files before it, is in the books.
//!
//! Written means: in the kernel's hands, which survives the end of the process. A thread brings it
//! to the disk within [`SYNC`], which is what a loss of power can cost.
//!
//! Calls that come in crowds are written down together (`spool/gathered.rs`): each waits one turn, and
//! the first whose turn it is writes for all.
//!
//! A call is only let through when the disk has promised room for its end as well: a full disk
//! refuses calls and loses none. So does the limit on what all files together may take.

mod gathered;
mod record;
mod room;
mod torn;

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use domain::ids::CallId;
use parking_lot::Mutex;
use store::ledger::{Call, Event, Finish};
use uuid::Uuid;

use gathered::Gathered;
use record::Line;
use room::Room;

pub use gathered::Written;

/// When a file is full, unless the limit on all of them wants smaller ones.
const FULL: u64 = 16 << 20;
/// Into how many files what may be kept is divided at least: a file only goes away as a whole.
const FILES: u64 = 4;
/// How long what is written may be in the kernel's hands only. Bringing it to the disk holds up who
/// writes meanwhile, so the hundredth call would notice if it were done more often; and a call that
/// is finished is in the books, on Postgres' disk, about as soon.
const SYNC: Duration = Duration::from_millis(100);

/// When calls begin closer to each other than this, as a rule, one write for several is worth a turn of
/// waiting.
const CROWDED: Duration = Duration::from_micros(50);
/// A longer pause says no more than this one: a crowd comes in bursts.
const PAUSE: Duration = Duration::from_micros(200);

/// Which file a call began in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u64);

/// What a process that died has left behind.
#[derive(Debug, Default)]
pub struct Left {
    /// Finished calls that may not be in the books.
    pub finished: Vec<Event>,
    /// Calls that were let through, and nobody knows how they ended.
    pub unknown: Vec<Call>,
    /// Files with records that cannot be read and cannot be put right: some call may be missing
    /// here. What its replica has set aside stays so, and the files are kept.
    pub damaged: Vec<u64>,
}

/// The files.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    /// Names this replica, from one start to the next.
    pub replica: Uuid,
    /// What all files together may take, in bytes.
    limit: u64,
    state: Mutex<State>,
    dirty: Arc<AtomicBool>,
    /// Nobody else uses this folder while this is open.
    _alone: File,
}

#[derive(Debug)]
struct State {
    /// Written to.
    file: Arc<File>,
    number: u64,
    room: Room,
    line: Line,
    /// Composed, and not written yet.
    gathered: Gathered,
    /// When the last call began.
    begun_at: Option<Instant>,
    /// How far apart calls begin: the last ones count most.
    apart: Duration,
    /// Calls that began in each file and are not in the books, with its size so far, oldest file
    /// first; the last one is written to.
    open: VecDeque<Kept>,
    /// Files that are not written to any more and may be in the kernel's hands only.
    unsynced: Vec<Arc<File>>,
}

impl State {
    /// Whether calls come so fast that it is worth gathering.
    fn is_crowded(&self) -> bool {
        self.apart < CROWDED
    }
}

#[derive(Debug)]
struct Kept {
    number: u64,
    calls: u64,
    bytes: u64,
}

impl Spool {
    /// Opens the folder, and reads what was left there. All files together take at most `limit`
    /// bytes, give or take what calls in flight still have to say.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process uses it.
    pub fn open(dir: &Path, limit: u64) -> io::Result<(Self, Left)> {
        fs::create_dir_all(dir)?;
        let alone = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        alone.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                let folder = dir.display();
                io::Error::other(format!(
                    "another Bursar uses {folder}; stop that, or choose another folder with BURSAR_DATA_DIR"
                ))
            }
            fs::TryLockError::Error(error) => error,
        })?;
        let old = numbers(dir)?;
        let left = torn::read(dir, &old)?;
        // Under its old name a replica would take back what it had set aside for calls that it
        // knows nothing of.
        let replica = replica(dir, !left.damaged.is_empty())?;
        let number = old.last().map_or(1, |last| last + 1);
        // What was left stays until it is in the books: the old files count as one open call each.
        let mut open = VecDeque::with_capacity(old.len() + 1);
        for number in old {
            let bytes = fs::metadata(path(dir, number))?.len();
            open.push_back(Kept { number, calls: 1, bytes });
        }
        open.push_back(Kept { number, calls: 0, bytes: 0 });
        let file = Arc::new(create(dir, number)?);
        File::open(dir)?.sync_all()?;
        let state = State {
            file,
            number,
            room: Room::default(),
            line: Line::default(),
            gathered: Gathered::default(),
            begun_at: None,
            apart: PAUSE,
            open,
            unsynced: Vec::new(),
        };
        let spool = Self {
            dir: dir.to_owned(),
            replica,
            limit,
            state: Mutex::new(state),
            dirty: Arc::default(),
            _alone: alone,
        };
        Ok((spool, left))
    }

    /// Takes down that a call is let through at this moment. It may only be made once that is
    /// [`Spool::written`]; from then on it counts, whatever happens.
    ///
    /// # Errors
    /// When it cannot be written, or there might be no room for how it ends: then it must not be
    /// let through.
    pub fn begin(&self, call: &Call, at: Instant) -> io::Result<(Place, Written)> {
        let mut state = self.state.lock();
        let state = &mut *state;
        let pause = state.begun_at.map_or(PAUSE, |before| at.saturating_duration_since(before).min(PAUSE));
        state.apart = (state.apart * 7 + pause) / 8;
        state.begun_at = Some(at);
        state.line.begun(call)?;
        if state.room.bytes() >= FULL.min(self.limit / FILES) {
            let turned = self.turn_over(state);
            turned.or_else(|error| self.start_over(state, || error))?;
        }
        let needs = state.line.bytes().len() as u64;
        let kept: u64 = state.open.iter().map(|kept| kept.bytes).sum();
        if kept + state.room.with_one_more(needs) > self.limit {
            self.start_over(state, || io::Error::new(io::ErrorKind::QuotaExceeded, "the spool is full"))?;
        }
        if let Err(error) = state.room.promise(&state.file, needs) {
            self.start_over(state, || error)?;
            state.room.promise(&state.file, needs)?;
        }
        let written = self.append(state, state.is_crowded())?;
        state.room.begun();
        if let Some(kept) = state.open.back_mut() {
            kept.calls += 1;
        }
        Ok((Place(state.number), written))
    }

    /// Whether a call could be taken down now.
    ///
    /// # Errors
    /// Why not: the disk is full, or the limit on the spool is reached.
    pub fn takes_calls(&self) -> io::Result<()> {
        /// As long as the record of a call gets that says much of itself.
        const RECORD: u64 = 2 << 10;
        let mut state = self.state.lock();
        let state = &mut *state;
        let kept: u64 = state.open.iter().map(|kept| kept.bytes).sum();
        if kept + state.room.with_one_more(RECORD) > self.limit {
            self.start_over(state, || io::Error::new(io::ErrorKind::QuotaExceeded, "the spool is full"))?;
        }
        if let Err(error) = state.room.promise(&state.file, RECORD) {
            self.start_over(state, || error)?;
            state.room.promise(&state.file, RECORD)?;
        }
        Ok(())
    }

    /// Writes down how a call ended. `gathers`: its last byte waits until that is [`Spool::written`];
    /// otherwise it is written when this returns.
    ///
    /// # Errors
    /// When it cannot be written. If the process then dies before the call is in the books, it counts
    /// as one that nobody knows of: at its worst case.
    pub fn finish(&self, id: CallId, finish: &Finish, gathers: bool) -> io::Result<Written> {
        self.end(gathers, |line| line.finished(id, finish))
    }

    /// Writes down that a call never reached its provider.
    ///
    /// # Errors
    /// As [`Spool::finish`].
    pub fn release(&self, id: CallId) -> io::Result<()> {
        self.end(false, |line| line.released(id)).map(|_| ())
    }

    fn end(&self, gathers: bool, compose: impl FnOnce(&mut Line) -> io::Result<()>) -> io::Result<Written> {
        let mut state = self.state.lock();
        let state = &mut *state;
        state.room.ended();
        compose(&mut state.line)?;
        self.append(state, gathers && state.is_crowded())
    }

    /// Waits until a record is written, with those of everybody whose turn is now.
    ///
    /// # Errors
    /// When it could not be written.
    pub async fn written(&self, record: Written) -> io::Result<()> {
        let Some(number) = record.number() else { return Ok(()) };
        gathered::turn().await;
        let mut state = self.state.lock();
        if state.gathered.holds(number) {
            // Whether it went wrong is asked below: everybody asks for their own.
            let _ = write_gathered(&mut state);
        }
        state.gathered.outcome(number)
    }

    /// Goes on in the next file. What is open has its end promised there.
    fn turn_over(&self, state: &mut State) -> io::Result<()> {
        write_gathered(state)?;
        let number = state.number + 1;
        let file = Arc::new(create(&self.dir, number)?);
        let mut room = state.room.anew();
        if let Err(error) = room.promise(&file, 0) {
            let _ = fs::remove_file(path(&self.dir, number));
            return Err(error);
        }
        state.unsynced.push(std::mem::replace(&mut state.file, file));
        (state.number, state.room) = (number, room);
        state.open.push_back(Kept { number, calls: 0, bytes: 0 });
        self.delete_done(state);
        Ok(())
    }

    /// Empties the file that is written to, when nothing in it is needed any more.
    fn start_over(&self, state: &mut State, full: impl FnOnce() -> io::Error) -> io::Result<()> {
        write_gathered(state)?;
        self.delete_done(state);
        let needed = state.open.iter().any(|kept| kept.calls > 0) || state.room.is_owed();
        if needed || state.room.bytes() == 0 {
            return Err(full());
        }
        state.file.set_len(0)?;
        state.room = Room::default();
        if let Some(kept) = state.open.back_mut() {
            kept.bytes = 0;
        }
        Ok(())
    }

    /// Writes the line that was composed, or keeps it for whoever writes next.
    fn append(&self, state: &mut State, gathers: bool) -> io::Result<Written> {
        let State { line, room, open, gathered, .. } = state;
        // What the disk has not promised may go wrong, and who is concerned is told at once.
        let gathers = gathers && room.is_promised();
        let number = gathered.add(line.bytes());
        room.wrote(line.bytes().len() as u64);
        if let Some(kept) = open.back_mut() {
            kept.bytes = room.bytes();
        }
        self.dirty.store(true, Ordering::Release);
        if gathers {
            return Ok(Written::later(number));
        }
        let _ = write_gathered(state);
        state.gathered.outcome(number).map(|()| Written::now())
    }

    /// Calls that began here are in the books, or were released.
    pub fn booked(&self, places: impl IntoIterator<Item = Place>) {
        let mut state = self.state.lock();
        for Place(number) in places {
            if let Some(kept) = state.open.iter_mut().find(|kept| kept.number == number) {
                kept.calls = kept.calls.saturating_sub(1);
            }
        }
        self.delete_done(&mut state);
    }

    /// What was left by the process before this one is in the books. Damaged files are kept under
    /// another name, for whoever wants to look.
    pub fn left_is_booked(&self, damaged: &[u64]) {
        let mut state = self.state.lock();
        let current = state.number;
        let gone = |number: u64| match damaged.contains(&number) {
            true => fs::rename(path(&self.dir, number), self.dir.join(format!("calls-{number:010}.damaged"))),
            false => fs::remove_file(path(&self.dir, number)),
        };
        state.open.retain(|kept| kept.number >= current || gone(kept.number).is_err());
        self.delete_done(&mut state);
    }

    fn delete_done(&self, state: &mut State) {
        while state.open.len() > 1 && state.open.front().is_some_and(|kept| kept.calls == 0) {
            if let Some(Kept { number, .. }) = state.open.pop_front()
                && let Err(error) = fs::remove_file(path(&self.dir, number))
            {
                tracing::warn!(%error, number, "a file of the spool could not be deleted");
            }
        }
    }

    /// Brings what is written to the disk. Blocks.
    pub fn sync(&self) -> io::Result<()> {
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let (file, before) = {
            let mut state = self.state.lock();
            write_gathered(&mut state)?;
            (Arc::clone(&state.file), std::mem::take(&mut state.unsynced))
        };
        for file in &before {
            file.sync_data()?;
        }
        if !before.is_empty() {
            // A new file is only found again once its name is on the disk too.
            File::open(&self.dir)?.sync_all()?;
        }
        file.sync_data()
    }

    /// How often [`Spool::sync`] is to be called.
    pub const fn sync_every() -> Duration {
        SYNC
    }
}

/// Writes what is gathered. What cannot be written is out of the file, and whoever waits for it hears
/// of it.
fn write_gathered(state: &mut State) -> io::Result<()> {
    let State { file, room, open, gathered, .. } = state;
    if gathered.bytes().is_empty() {
        return Ok(());
    }
    let written = (&**file).write_all(gathered.bytes());
    if written.is_err() {
        // A record that was cut short must not swallow the next one.
        room.cut_to(room.bytes() - gathered.bytes().len() as u64);
        let _ = file.set_len(room.bytes());
        if let Some(kept) = open.back_mut() {
            kept.bytes = room.bytes();
        }
    }
    gathered.done(written.is_ok());
    written
}

fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("calls-{number:010}.log"))
}

fn create(dir: &Path, number: u64) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path(dir, number))
}

/// The name of this replica: made once, kept in the folder. `anew`: it must not be the old one.
fn replica(dir: &Path, anew: bool) -> io::Result<Uuid> {
    let file = dir.join("replica");
    if !anew
        && let Ok(text) = fs::read_to_string(&file)
        && let Ok(id) = text.trim().parse()
    {
        return Ok(id);
    }
    let id: Uuid = store::clock::id();
    fs::write(file, id.to_string())?;
    Ok(id)
}

fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers: Vec<u64> = fs::read_dir(dir)?
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            name.strip_prefix("calls-")?.strip_suffix(".log")?.parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests;
