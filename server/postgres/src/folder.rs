use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::While;
use crate::run_as::RunAs;
use crate::{Error, Programs};

/// `initdb` works in here, and what it made moves up when it is complete. A process that is killed
/// half-way thus leaves something that the next start recognizes, instead of half a Postgres.
const PARTIAL: &str = "initdb.partial";

/// The same folder from the moment it is complete until everything has moved up.
const COMPLETE: &str = "initdb.complete";

/// The file that makes a folder a Postgres folder, and names its version.
const VERSION: &str = "PG_VERSION";

/// Makes the data folder if it is missing, and answers with its real path.
///
/// It belongs to whom Postgres runs as, who must be able to enter and write it.
pub(crate) fn prepare(asked: &Path, run_as: &RunAs) -> Result<PathBuf, Error> {
    let made = make(asked)?;
    let data =
        fs::canonicalize(asked).while_trying(|| format!("Could not find the folder {}", asked.display()))?;
    if made || (run_as.is_another() && is_empty_and_roots(&data)) {
        run_as.give(&data)?;
    }
    if !run_as.owns(&data) {
        let reason = "belongs to another user, and Postgres accepts only its own: run this as \
                      that user, or name another data folder";
        return Err(Error::folder(asked, reason));
    }
    check_access(asked, &data, run_as)?;
    Ok(data)
}

/// True if the folder is new. Its parents get the usual mode, itself the one Postgres asks for.
fn make(asked: &Path) -> Result<bool, Error> {
    let what = || format!("Could not make the folder {}", asked.display());
    if let Some(parent) = asked.parent() {
        fs::create_dir_all(parent).while_trying(what)?;
    }
    match DirBuilder::new().mode(0o700).create(asked) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && asked.is_dir() => Ok(false),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Error::folder(asked, "is not a folder but a file"))
        }
        Err(error) => Err(error).while_trying(what),
    }
}

/// An empty folder that root made beforehand may be given away; nothing else may.
fn is_empty_and_roots(data: &Path) -> bool {
    fs::metadata(data).is_ok_and(|found| found.uid() == 0)
        && fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_none())
}

/// Asks the operating system, as whom Postgres will run, instead of reading mode bits: access
/// lists, read-only file systems and closed parents count too.
fn check_access(asked: &Path, data: &Path, run_as: &RunAs) -> Result<(), Error> {
    let allowed = |script: &str, path: &Path| {
        let mut command = run_as.command("sh");
        command.args(["-c", script, "sh"]).arg(path);
        command.stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !allowed("cd \"$1\"", data) {
        let closed = data.ancestors().filter(|path| !allowed("cd \"$1\"", path));
        let closed = closed.last().unwrap_or(data).display();
        let reason = format!(
            "is out of reach for the user Postgres runs as, who may not enter {closed}: name a \
             data folder elsewhere, for example under /var/lib"
        );
        return Err(Error::folder(asked, reason));
    }
    if !allowed("test -r \"$1\" && test -w \"$1\"", data) {
        return Err(Error::folder(
            asked,
            "cannot be read and written: change its mode or name another data folder",
        ));
    }
    Ok(())
}

/// Waits for our turn to initialize and start: two programs that begin at the same time on the
/// same folder would otherwise spoil each other's work. The turn ends when the file is dropped.
pub(crate) fn take_turn(data: &Path) -> Result<File, Error> {
    let what = || format!("Could not lock the folder {}", data.display());
    let turn = File::open(data).while_trying(what)?;
    turn.lock().while_trying(what)?;
    Ok(turn)
}

/// Makes an empty folder a Postgres folder, finishes what an interrupted start began, and refuses
/// a folder that holds something else.
pub(crate) fn initialize(
    data: &Path,
    programs: &Programs,
    run_as: &RunAs,
    durable: bool,
) -> Result<(), Error> {
    if let Ok(found) = fs::read_to_string(data.join(VERSION)) {
        return check_version(data, found.trim(), programs);
    }
    let partial = data.join(PARTIAL);
    let complete = data.join(COMPLETE);
    if !complete.exists() {
        if partial.exists() {
            fs::remove_dir_all(&partial)
                .while_trying(|| format!("Could not remove {}", partial.display()))?;
        }
        refuse_other_content(data)?;
        run_initdb(&partial, programs, run_as, durable)?;
        fs::rename(&partial, &complete).while_trying(|| format!("Could not rename {}", partial.display()))?;
    }
    move_up(&complete, data)
        .while_trying(|| format!("Could not finish the Postgres folder {}", data.display()))
}

fn check_version(data: &Path, found: &str, programs: &Programs) -> Result<(), Error> {
    let ours = programs.version();
    if found == ours.to_string() {
        return Ok(());
    }
    let reason = format!(
        "was made by Postgres {found}, and the programs in {} are version {ours}: install \
         Postgres {found} and name its `bin` folder in BURSAR_POSTGRES_BIN, or carry the data \
         over with `pg_upgrade`",
        programs.folder().display()
    );
    Err(Error::folder(data, reason))
}

fn refuse_other_content(data: &Path) -> Result<(), Error> {
    let what = || format!("Could not read the folder {}", data.display());
    for entry in fs::read_dir(data).while_trying(what)? {
        let name = entry.while_trying(what)?.file_name();
        // A file system of its own has this folder at its top.
        if name != "lost+found" {
            let reason = format!(
                "is not empty and not a Postgres folder (it has {}): name an empty folder or a \
                 new one",
                name.display()
            );
            return Err(Error::folder(data, reason));
        }
    }
    Ok(())
}

fn run_initdb(folder: &Path, programs: &Programs, run_as: &RunAs, durable: bool) -> Result<(), Error> {
    let mut command = run_as.command(programs.initdb());
    // Names compare byte by byte, the same on every machine; only upper and lower case follow
    // Unicode where the system knows how.
    command
        .arg("--pgdata")
        .arg(folder)
        .args(["--username=postgres", "--encoding=UTF8", "--locale=C"])
        .args(["--auth-local=trust", "--auth-host=reject"])
        .arg("--no-instructions");
    if let Some(locale) = unicode_locale() {
        command.arg(format!("--lc-ctype={locale}"));
    }
    command.arg(if durable { "--data-checksums" } else { "--no-sync" });
    let output =
        command.output().while_trying(|| format!("Could not run {}", programs.initdb().display()))?;
    if output.status.success() {
        return Ok(());
    }
    let log = [output.stdout, output.stderr].concat();
    Err(Error::Failed {
        what: format!("Could not make a Postgres folder in {}", folder.display()),
        log: String::from_utf8_lossy(&log).into_owned(),
    })
}

fn unicode_locale() -> Option<String> {
    let output = Command::new("locale").arg("-a").output().ok()?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut names = names.lines().map(str::trim);
    names.find(|name| matches!(*name, "C.utf8" | "C.UTF-8")).map(str::to_owned)
}

/// Moves everything up; the file that makes the folder a Postgres folder comes last.
fn move_up(from: &Path, data: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != VERSION {
            fs::rename(entry.path(), data.join(entry.file_name()))?;
        }
    }
    File::open(data)?.sync_all()?;
    fs::rename(from.join(VERSION), data.join(VERSION))?;
    fs::remove_dir(from)?;
    File::open(data)?.sync_all()
}
