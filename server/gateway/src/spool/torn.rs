//! Reading back what a process that died has left: whole records, a torn end, and damage.
//!
//! The end of a file may be torn: the process died while it wrote, so nobody has acted on that
//! record. Anything else that cannot be read is damage. One wrong byte is put right: there is only
//! one way to make every checksum fit again. More than that is said, and errs on the side of the cap.

use std::{collections::HashMap, fs, io, path::Path};

use domain::ids::CallId;
use store::ledger::{Call, Event};

use super::{
    Left, path,
    record::{Record, parse},
};

/// Damage larger than this is not one wrong byte.
const REGION: usize = 16 << 10;

/// Reads the files, in order.
pub fn read(dir: &Path, numbers: &[u64]) -> io::Result<Left> {
    let mut begun = HashMap::<CallId, Call>::new();
    let mut left = Left::default();
    for (place, number) in numbers.iter().enumerate() {
        let (records, damage) = records(&fs::read(path(dir, *number))?);
        for record in records {
            match record {
                Record::Begun(call) => {
                    begun.insert(call.id, *call);
                }
                Record::Finished { id, finish } => {
                    left.finished.extend(begun.remove(&id).map(|call| Event::of(call, finish)));
                }
                Record::Released(id) => {
                    begun.remove(&id);
                }
            }
        }
        let last = place + 1 == numbers.len();
        match damage {
            Damage::None => {}
            Damage::TornEnd if last => tracing::warn!(number, "the torn end of the spool is left out"),
            Damage::TornEnd | Damage::Inside => {
                tracing::error!(
                    number,
                    "a record of the spool cannot be read: a call may be missing in the books. What was \
                     set aside for it stays so until its windows are over, and the file is kept"
                );
                left.damaged.push(*number);
            }
        }
    }
    left.unknown = begun.into_values().collect();
    Ok(left)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    None,
    /// Nothing that can be read follows.
    TornEnd,
    Inside,
}

/// The records of a file that can be read, and whether that is all of them.
fn records(bytes: &[u8]) -> (Vec<Record>, Damage) {
    let (mut found, mut damage) = (Vec::new(), Damage::None);
    let mut bad = 0..0;
    let mut start = 0;
    while start < bytes.len() {
        let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at + 1);
        match parse(&bytes[start..end]) {
            Some(record) => {
                if !bad.is_empty() {
                    match mend(&bytes[bad.clone()]) {
                        Some(records) => found.extend(records),
                        None => damage = Damage::Inside,
                    }
                }
                found.push(record);
                bad = end..end;
            }
            None => bad = if bad.is_empty() { start..end } else { bad.start..end },
        }
        start = end;
    }
    if !bad.is_empty() {
        match mend(&bytes[bad]) {
            Some(records) => found.extend(records),
            None if damage == Damage::None => damage = Damage::TornEnd,
            None => {}
        }
    }
    (found, damage)
}

/// The records of a piece in which one byte is wrong; none if it is not that.
fn mend(piece: &[u8]) -> Option<Vec<Record>> {
    if piece.len() > REGION {
        return None;
    }
    let last = piece.len().checked_sub(1)?;
    let places: Vec<usize> = match memchr::memchr(b'\n', piece) {
        // Its end is missing, or is what is wrong.
        None => vec![last],
        Some(at) if at == last => (0..=last).collect(),
        // One line too many.
        Some(at) => vec![at],
    };
    let mut tried = piece.to_vec();
    for at in places {
        for value in 0..=u8::MAX {
            tried[at] = value;
            let lines = if value == b'\n' && at < last {
                [&tried[..=at], &tried[at + 1..]].into_iter().map(parse).collect()
            } else {
                parse(&tried).map(|record| vec![record])
            };
            if lines.is_some() {
                tracing::warn!("a record of the spool had one wrong byte, which was put right");
                return lines;
            }
        }
        tried[at] = piece[at];
    }
    None
}
