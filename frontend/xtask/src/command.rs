//! External commands: shown in one short line, and explained when they fail.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::outcome::{Outcome, Trying, fail};
use crate::workspace::Workspace;

/// How much of a command is shown.
const SHOWN: usize = 110;

/// A command that works at the top of the checkout, with the environment a person would give it.
pub fn new(workspace: &Workspace, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&workspace.root);
    for (name, _) in env::vars_os() {
        if is_cargos(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
    command
}

/// `cargo` with these arguments and our target folder.
pub fn cargo<const N: usize>(workspace: &Workspace, arguments: [&str; N]) -> Command {
    let mut command = new(workspace, "cargo");
    command.args(arguments).env("CARGO_TARGET_DIR", &workspace.target);
    // The server's build script looks for the browser half here.
    command.env("BURSAR_SITE", workspace.site());
    command
}

/// The same, with the linter as the compiler of our own packages: what is built is linted on the
/// way, and a warning is an error. `cargo clippy` would compile everything below us a second time.
/// What it builds lives beside what the plain compiler builds.
///
/// # Errors
/// The toolchain has no linter.
pub fn linted<const N: usize>(workspace: &Workspace, arguments: [&str; N]) -> Outcome<Command> {
    let sysroot = ask(new(workspace, "rustc").args(["--print", "sysroot"])).unwrap_or_default();
    let driver = Path::new(&sysroot).join("bin/clippy-driver");
    if !driver.is_file() {
        return fail("The linter is missing: run `rustup component add clippy`.");
    }
    let mut command = cargo(workspace, arguments);
    command.env("RUSTC_WORKSPACE_WRAPPER", driver);
    // How `cargo clippy` hands arguments over.
    command.env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__");
    Ok(command)
}

/// What `cargo run` tells us about this package. Passed on, it would make build scripts that look
/// at it believe that everything has changed since a build by hand.
fn is_cargos(name: &str) -> bool {
    let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
    name == "LD_LIBRARY_PATH" || told.iter().any(|prefix| name.starts_with(prefix))
}

/// Shows and runs a command; a failure ends with this advice.
pub fn run(workspace: &Workspace, command: &mut Command, advice: &str) -> Outcome {
    show(workspace, command);
    run_quietly(workspace, command, advice)
}

/// Runs a command that is one of many: without showing it, unless it fails.
pub fn run_quietly(workspace: &Workspace, command: &mut Command, advice: &str) -> Outcome {
    let status = command.status().trying(cannot_run(command))?;
    check(workspace, command, status, advice)
}

/// Shows and runs a command for at most this long; afterwards the command is killed and has failed.
pub fn run_within(workspace: &Workspace, command: &mut Command, limit: Duration, advice: &str) -> Outcome {
    show(workspace, command);
    let mut child = command.spawn().trying(cannot_run(command))?;
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().trying(cannot_run(command))? {
            return check(workspace, command, status, advice);
        }
        sleep(Duration::from_millis(50));
    }
    child.kill().trying("It cannot be stopped")?;
    child.wait().trying("It cannot be stopped")?;
    let seconds = limit.as_secs();
    fail(format!("Not done within {seconds} s: {}. {advice}", line(workspace, command)))
}

/// Runs a command without showing it and returns what it prints; none if it is missing or fails.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Shows a command that somebody else will run.
pub fn show(workspace: &Workspace, command: &Command) {
    let line = line(workspace, command);
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => eprintln!("$ {}…", &line[..end]),
        None => eprintln!("$ {line}"),
    }
}

/// The program on `PATH`.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn check(workspace: &Workspace, command: &Command, status: ExitStatus, advice: &str) -> Outcome {
    if status.success() {
        return Ok(());
    }
    fail(format!("Failed ({status}): {}. {advice}", line(workspace, command)))
}

fn line(workspace: &Workspace, command: &Command) -> String {
    let mut line = short(workspace, command.get_program());
    for argument in command.get_args() {
        // Writing into a string does not fail.
        let _ = write!(line, " {}", short(workspace, argument));
    }
    line
}

fn short(workspace: &Workspace, argument: &OsStr) -> String {
    workspace.short(Path::new(argument)).display().to_string()
}

fn cannot_run(command: &Command) -> String {
    format!("Cannot run {}", command.get_program().display())
}
