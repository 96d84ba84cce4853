//! The Python environment of the client tests.

use std::process::Command;

use crate::command::{self, ask};
use crate::files::{self, Inputs, Stamp};
use crate::outcome::Outcome;
use crate::workspace::Workspace;

/// Debian's packages that bring Python with virtual environments, if they are missing.
pub fn missing(workspace: &Workspace) -> Vec<String> {
    let mut probe = Command::new("python3");
    probe.args(["-c", "import venv, ensurepip"]);
    if !is_wanted(workspace) || ask(&mut probe).is_some() {
        return Vec::new();
    }
    vec!["python3".to_owned(), "python3-venv".to_owned()]
}

/// Makes `end2end/.venv` with what `end2end/requirements.txt` names, unless it is there already.
///
/// The validator of FOCUS comes by itself (`end2end/validator.txt`), without asking what it requires:
/// it says that it needs Python 3.12, which Debian 12 does not have, and runs on 3.11 as it is. What
/// it imports is among the requirements.
pub fn install_packages(workspace: &Workspace) -> Outcome {
    if !is_wanted(workspace) {
        return Ok(());
    }
    let requirements = workspace.end2end().join("requirements.txt");
    let folder = workspace.end2end().join(".venv");
    let validator = workspace.end2end().join("validator.txt");
    let stamp = Stamp::new(workspace, "pip", Inputs::new().file(&requirements)?.file(&validator)?);
    if stamp.is_fresh() && folder.join("bin/python").exists() {
        return Ok(());
    }
    // An environment that was made half, or by a Python that is gone, cannot be mended.
    files::remove_folder(&folder)?;
    let mut make = command::new(workspace, "python3");
    make.args(["-m", "venv"]).arg(&folder);
    command::run(workspace, &mut make, "Install python3 with its venv module, then try again.")?;
    let by_itself: &[&str] = &["--no-deps", "--ignore-requires-python"];
    for (file, options) in [(&requirements, &[][..]), (&validator, by_itself)] {
        let mut install = command::new(workspace, folder.join("bin/python"));
        install.args(["-m", "pip", "install", "--quiet"]).args(options).arg("--requirement").arg(file);
        command::run(workspace, &mut install, "Check that pip reaches its index, then try again.")?;
    }
    stamp.set()
}

fn is_wanted(workspace: &Workspace) -> bool {
    workspace.end2end().join("requirements.txt").exists()
}
