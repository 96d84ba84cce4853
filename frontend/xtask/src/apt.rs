//! Packages of Debian and Ubuntu.

use std::fs;
use std::process::Command;

use crate::command::{self, ask};
use crate::outcome::{Outcome, fail};
use crate::workspace::Workspace;

/// Installs packages, fetching the lists of packages if there are none or if they are too old.
pub fn install(workspace: &Workspace, packages: &[String]) -> Outcome {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    if command::on_path("apt-get").is_none() {
        return fail(format!(
            "This machine lacks what Debian calls {names}. Install it with your system's own means, \
             then try again."
        ));
    }
    let Some(prefix) = privilege() else {
        return fail(format!(
            "Packages are missing, and installing them needs root. Run this, then try again:\n\n    \
             sudo apt-get install --no-install-recommends {names}"
        ));
    };
    let advice = format!("Install {names} by hand, then try again.");
    let mut updated = false;
    if !has_lists() {
        update(workspace, prefix, &advice)?;
        updated = true;
    }
    let mut install = apt_get(workspace, prefix);
    install.args(["install", "-y", "--no-install-recommends"]).args(packages);
    match command::run(workspace, &mut install, &advice) {
        // Old lists name files that are gone from the server.
        Err(_) if !updated => {
            update(workspace, prefix, &advice)?;
            command::run(workspace, &mut install, &advice)
        }
        outcome => outcome,
    }
}

/// Those of the packages that are not installed.
pub fn missing(packages: &[String]) -> Vec<String> {
    let installed = |package: &String| {
        let mut query = Command::new("dpkg-query");
        query.args(["-W", "-f=${db:Status-Status}", package]);
        ask(&mut query).is_some_and(|status| status == "installed")
    };
    packages.iter().filter(|package| !installed(package)).cloned().collect()
}

/// The newest package whose name is this prefix and a number, such as `lld-22`.
pub fn newest(workspace: &Workspace, prefix: &str) -> Outcome<Option<String>> {
    if !has_lists()
        && let Some(root) = privilege()
    {
        update(workspace, root, "Check the network, then try again.")?;
    }
    let pattern = format!("^{prefix}[0-9]+$");
    let mut search = Command::new("apt-cache");
    search.args(["search", "--names-only", &pattern]);
    let answer = ask(&mut search).unwrap_or_default();
    let names = answer.lines().filter_map(|line| line.split_whitespace().next());
    let numbers = names.filter_map(|name| name.strip_prefix(prefix)?.parse::<u32>().ok());
    Ok(numbers.max().map(|number| format!("{prefix}{number}")))
}

fn update(workspace: &Workspace, prefix: &[&str], advice: &str) -> Outcome {
    command::run(workspace, apt_get(workspace, prefix).arg("update"), advice)
}

/// What to put before a command that only root may run; none if we cannot become root unasked.
fn privilege() -> Option<&'static [&'static str]> {
    if ask(Command::new("id").arg("-u"))? == "0" {
        return Some(&[]);
    }
    let sudo = ask(Command::new("sudo").args(["-n", "true"]));
    sudo.map(|_| ["sudo", "-n"].as_slice())
}

fn apt_get(workspace: &Workspace, prefix: &[&str]) -> Command {
    let words = [prefix, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]].concat();
    let mut command = command::new(workspace, words[0]);
    command.args(&words[1..]);
    command
}

fn has_lists() -> bool {
    let Ok(entries) = fs::read_dir("/var/lib/apt/lists") else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().contains("_Packages"))
}
