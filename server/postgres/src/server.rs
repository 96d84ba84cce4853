use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::While;
use crate::postmaster::{self, PAUSE, State};
use crate::run_as::RunAs;
use crate::watchdog::Watchdog;
use crate::{Error, Options, Programs, socket};

/// A start after a crash first replays what was written, which may take minutes.
pub(crate) const START_LIMIT: Duration = Duration::from_secs(300);

/// How long the processes of a killed server may take to notice that it is gone.
const ORPHANS_LIMIT: Duration = Duration::from_secs(20);

/// A fast stop writes everything down first; after this long it is stopped without.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// The log is kept for this many bytes, and the one before it.
const LOG_LIMIT: u64 = 1 << 20;

/// A running `postgres` that is our child.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    watchdog: Option<Watchdog>,
    run_as: RunAs,
    program: PathBuf,
    arguments: Vec<OsString>,
    data: PathBuf,
    socket_folder: PathBuf,
}

impl Server {
    /// Starts `postgres` on an initialized folder and returns when it accepts connections.
    pub(crate) fn start(
        programs: &Programs,
        run_as: RunAs,
        data: &Path,
        socket_folder: &Path,
        options: &Options,
    ) -> Result<Server, Error> {
        let mut watchdog = match options.die_with_parent {
            true => Some(Watchdog::start(&run_as, socket_folder, data)?),
            false => None,
        };
        let program = programs.postgres();
        let arguments = arguments(data, socket_folder, options);
        let child = launch(&run_as, &program, &arguments, data, watchdog.as_mut())?;
        Ok(Server {
            child,
            watchdog,
            run_as,
            program,
            arguments,
            data: data.to_path_buf(),
            socket_folder: socket_folder.to_path_buf(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops without writing anything down, as a crash would, and starts again in the same place.
    pub(crate) fn restart_immediate(&mut self) -> Result<(), Error> {
        end(&mut self.child, &[("QUIT", Duration::from_secs(30))])?;
        socket::clear(&self.socket_folder);
        self.child =
            launch(&self.run_as, &self.program, &self.arguments, &self.data, self.watchdog.as_mut())?;
        Ok(())
    }

    /// Ends all connections, writes everything down, stops, and removes the socket folder.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let stopped = end(&mut self.child, &[("INT", STOP_LIMIT), ("QUIT", Duration::from_secs(10))]);
        drop(self.watchdog.take());
        let removed = fs::remove_dir_all(&self.socket_folder);
        stopped?;
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).while_trying(|| format!("Could not remove {}", self.socket_folder.display()))
            }
            _ => Ok(()),
        }
    }
}

/// What goes beyond the folder's own `postgresql.conf`, which stays the user's to tune.
fn arguments(data: &Path, socket_folder: &Path, options: &Options) -> Vec<OsString> {
    let mut settings = vec![
        "listen_addresses=".to_owned(),
        format!("port={}", socket::PORT),
        format!("max_connections={}", options.max_connections),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        "lc_messages=C".to_owned(),
        // Standard error is our log file: see `launch`.
        "log_destination=stderr".to_owned(),
        "logging_collector=off".to_owned(),
        "log_checkpoints=off".to_owned(),
    ];
    if !options.durable {
        // Data that nobody will miss need not reach the disk.
        settings.extend(
            [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "wal_level=minimal",
                "max_wal_senders=0",
            ]
            .map(str::to_owned),
        );
    }
    let mut arguments: Vec<OsString> = vec!["-D".into(), data.into()];
    arguments.extend(["-k".into(), socket_folder.into()]);
    for setting in settings {
        arguments.extend(["-c".into(), setting.into()]);
    }
    arguments
}

/// Starts the program, tells the watchdog, and waits until it is ready.
fn launch(
    run_as: &RunAs,
    program: &Path,
    arguments: &[OsString],
    data: &Path,
    mut watchdog: Option<&mut Watchdog>,
) -> Result<Child, Error> {
    let begun = Instant::now();
    loop {
        forget_stranger(data)?;
        let (log, from) = open_log(data)?;
        let output = log.try_clone().while_trying(|| "Could not share the server's log".to_owned())?;
        let mut child = run_as
            .command(program)
            .args(arguments)
            .stdout(output)
            .stderr(log)
            .spawn()
            .while_trying(|| format!("Could not run {}", program.display()))?;
        let watched = match &mut watchdog {
            Some(watchdog) => watchdog.watch(child.id()),
            None => Ok(()),
        };
        let why = match watched.and_then(|()| wait_until_ready(&mut child, data)) {
            Ok(None) => return Ok(child),
            Ok(Some(why)) => why,
            Err(error) => {
                end(&mut child, &[("INT", STOP_LIMIT)])?;
                return Err(error);
            }
        };
        let log = tail(data, from);
        // Its processes end by themselves, but not at once.
        let orphans = log.contains("pre-existing shared memory block");
        if !orphans || begun.elapsed() > ORPHANS_LIMIT {
            let what = format!("Postgres on {} {why}", data.display());
            return Err(Error::Failed { what, log });
        }
        sleep(Duration::from_millis(200));
    }
}

/// Answers with nothing when the server accepts connections, or why it never will.
fn wait_until_ready(child: &mut Child, data: &Path) -> Result<Option<&'static str>, Error> {
    let end_of_wait = Instant::now() + START_LIMIT;
    loop {
        let ended = child.try_wait().while_trying(|| "Could not ask for the state of Postgres".to_owned())?;
        if ended.is_some() {
            return Ok(Some("ended at once instead of starting"));
        }
        let ready = postmaster::read(data)
            .is_some_and(|found| found.pid == child.id() && found.state == State::Ready);
        if ready {
            return Ok(None);
        }
        if Instant::now() > end_of_wait {
            end(child, &[("INT", STOP_LIMIT)])?;
            return Ok(Some("was not ready within five minutes"));
        }
        sleep(PAUSE);
    }
}

/// Removes a `postmaster.pid` whose number now belongs to a program that is no Postgres. Postgres
/// itself would take that program for a server and refuse to start; every other stale file it
/// recognizes, and it checks the shared memory besides.
fn forget_stranger(data: &Path) -> Result<(), Error> {
    match postmaster::read(data) {
        Some(found) if postmaster::is_taken(found.pid) && postmaster::live(data).is_none() => {
            let file = postmaster::file(data);
            fs::remove_file(&file).while_trying(|| format!("Could not remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Asks the child to end with one signal after the other, each with the time it is given, and
/// kills it when nothing helps.
fn end(child: &mut Child, signals: &[(&str, Duration)]) -> Result<(), Error> {
    let what = || "Could not wait for the end of Postgres".to_owned();
    for (name, limit) in signals {
        if child.try_wait().while_trying(what)?.is_some() {
            return Ok(());
        }
        postmaster::signal(name, child.id());
        let end_of_wait = Instant::now() + *limit;
        while Instant::now() < end_of_wait {
            if child.try_wait().while_trying(what)?.is_some() {
                return Ok(());
            }
            sleep(PAUSE);
        }
    }
    child.kill().while_trying(what)?;
    child.wait().while_trying(what)?;
    Ok(())
}

fn log_file(data: &Path) -> PathBuf {
    data.join("server.log")
}

/// Opens the log to append, with its present length. One that grew long is put aside first.
fn open_log(data: &Path) -> Result<(File, u64), Error> {
    let path = log_file(data);
    let what = || format!("Could not write the log {}", path.display());
    let length = fs::metadata(&path).map_or(0, |found| found.len());
    let length = if length > LOG_LIMIT {
        fs::rename(&path, path.with_extension("log.1")).while_trying(what)?;
        0
    } else {
        length
    };
    let mut options = OpenOptions::new();
    let log = options.append(true).create(true).open(&path);
    Ok((log.while_trying(what)?, length))
}

/// The last lines the server wrote since the log had that length.
fn tail(data: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut log) = File::open(log_file(data)) {
        let read = log.seek(SeekFrom::Start(from));
        // What cannot be read is missing from an error, no more.
        let _ = read.and_then(|_| log.read_to_end(&mut bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
