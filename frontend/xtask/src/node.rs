//! Node, what comes from npm, and the browser that npm's Playwright drives.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use crate::command::{self, ask};
use crate::files::{Inputs, Stamp};
use crate::outcome::{Outcome, fail};
use crate::workspace::Workspace;

/// What Playwright asks for.
const OLDEST_NODE: u32 = 20;

/// The names Chromium and its twins go by.
const CHROMIUMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Debian's packages that bring Node, if it is missing.
pub fn missing_node() -> Vec<String> {
    let present = ["node", "npm"].iter().all(|program| command::on_path(program).is_some());
    if present { Vec::new() } else { vec!["nodejs".to_owned(), "npm".to_owned()] }
}

/// Installs what `end2end/package-lock.json` names, unless it is there already.
pub fn install_packages(workspace: &Workspace) -> Outcome {
    check_version()?;
    let folder = workspace.end2end();
    let lock = Inputs::new().file(&folder.join("package-lock.json"))?;
    let stamp = Stamp::new(workspace, "npm", lock);
    if stamp.is_fresh() && folder.join("node_modules/binaryen").is_dir() {
        return Ok(());
    }
    let mut install = command::new(workspace, "npm");
    install.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder);
    // The browser is the system's own.
    install.env("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    command::run(workspace, &mut install, "Check that npm reaches its registry, then try again.")?;
    stamp.set()
}

/// Chromium: the one `BURSAR_CHROMIUM` names, or one on `PATH`.
pub fn chromium() -> Option<PathBuf> {
    match env::var_os("BURSAR_CHROMIUM") {
        Some(named) => Some(PathBuf::from(named)),
        None => CHROMIUMS.iter().find_map(|name| command::on_path(name)),
    }
}

/// Debian's package that brings Chromium, if it is missing.
pub fn missing_chromium() -> Outcome<Vec<String>> {
    match chromium() {
        Some(found) if found.is_file() => Ok(Vec::new()),
        Some(found) => {
            fail(format!("BURSAR_CHROMIUM names {}, which is no file: correct or unset it.", found.display()))
        }
        None => Ok(vec!["chromium".to_owned()]),
    }
}

fn check_version() -> Outcome {
    let answer = ask(Command::new("node").arg("--version")).unwrap_or_default();
    let major = answer.trim_start_matches('v').split('.').next();
    let major = major.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
    if major >= OLDEST_NODE {
        return Ok(());
    }
    fail(format!(
        "Node {OLDEST_NODE} or newer is needed, and `node --version` says {answer:?}. Install a newer one, \
         then try again."
    ))
}
