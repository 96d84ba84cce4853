use std::env;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::error::While;
use crate::run_as::RunAs;

/// The port is part of the socket's name, `.s.PGSQL.5432`; nothing listens on TCP.
pub(crate) const PORT: u16 = 5432;

/// What a socket's path may have at most on Linux; on BSD and macOS it is 103.
const LONGEST: usize = 103;

const PREFIX: &str = "bursar-pg-";

/// Makes a new folder for the socket, short and closed to everybody but its owner: who can enter
/// it is trusted by Postgres.
pub(crate) fn create_folder(run_as: &RunAs) -> Result<PathBuf, Error> {
    let parent = parent(run_as);
    loop {
        let random = RandomState::new().hash_one(std::process::id());
        let folder = parent.join(format!("{PREFIX}{:08x}", random as u32));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => {
                run_as.give(&folder)?;
                return Ok(folder);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).while_trying(|| {
                    format!("Could not make a folder for the socket in {}", parent.display())
                });
            }
        }
    }
}

/// The temporary folder, unless it is too long for a socket or perhaps closed to user `postgres`.
fn parent(run_as: &RunAs) -> PathBuf {
    let usual = env::temp_dir();
    let longest = usual.join(format!("{PREFIX}01234567/.s.PGSQL.{PORT}"));
    let fits = longest.to_str().is_some_and(|path| path.len() <= LONGEST);
    if fits && usual.is_absolute() && !run_as.is_another() { usual } else { PathBuf::from("/tmp") }
}

/// Removes the socket folder a crashed server left, provided that it is surely one of ours.
pub(crate) fn remove_left_over(folder: &Path, run_as: &RunAs) {
    let named_like_ours = folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    if named_like_ours && run_as.owns(folder) {
        // A folder that stays is only untidy.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Removes the socket and its lock, which a killed server leaves; nobody else uses the folder.
pub(crate) fn clear(folder: &Path) {
    for name in [format!(".s.PGSQL.{PORT}"), format!(".s.PGSQL.{PORT}.lock")] {
        let _ = fs::remove_file(folder.join(name));
    }
}

/// The address of a database in the form sqlx and libpq accept for a Unix socket.
pub(crate) fn url(folder: &Path, port: u16, database: &str) -> String {
    let database = percent_encoded(database.as_bytes());
    let host = percent_encoded(folder.as_os_str().as_encoded_bytes());
    let port = if port == PORT { String::new() } else { format!("&port={port}") };
    format!("postgres://postgres@localhost/{database}?host={host}{port}")
}

fn percent_encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
