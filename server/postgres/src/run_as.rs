use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::Error;
use crate::error::While;

/// Whom the programs of Postgres run as. They refuse root, so root lends them the user `postgres`;
/// everybody else runs them as oneself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunAs {
    uid: u32,
    /// The group to change to, when we are root and change at all.
    gid: Option<u32>,
}

impl RunAs {
    pub(crate) fn choose() -> Result<RunAs, Error> {
        let uid = id(&["-u"]).ok_or_else(|| Error::Programs(no_id()))?;
        if uid != 0 {
            return Ok(RunAs { uid, gid: None });
        }
        match (id(&["-u", "postgres"]), id(&["-g", "postgres"])) {
            (Some(uid), Some(gid)) => Ok(RunAs { uid, gid: Some(gid) }),
            _ => Err(Error::NoUser),
        }
    }

    /// A command in its own process group, so that a terminal's Ctrl-C reaches our program alone
    /// and Postgres is stopped by it, in order.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // The working folder must be one that the user may enter, and one nobody wants to unmount.
        command.current_dir("/").process_group(0).stdin(Stdio::null());
        // PGDATA, PGPORT, PGOPTIONS and their like are meant for other servers, LANGUAGE would
        // translate the messages that are read here.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env_remove("LANGUAGE").env("LC_ALL", "C");
        if let Some(gid) = self.gid {
            command.uid(self.uid).gid(gid);
        }
        command
    }

    /// Gives what we made to whom the programs run as. Nothing to do unless we are root.
    pub(crate) fn give(&self, path: &Path) -> Result<(), Error> {
        match self.gid {
            None => Ok(()),
            Some(gid) => chown(path, Some(self.uid), Some(gid))
                .while_trying(|| format!("Could not give {} to user postgres", path.display())),
        }
    }

    /// Whether the path belongs to whom the programs run as.
    pub(crate) fn owns(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| found.uid() == self.uid)
    }

    /// Whether the programs run as somebody else than we do, and therefore cannot enter every
    /// folder that we can.
    pub(crate) fn is_another(&self) -> bool {
        self.gid.is_some()
    }
}

/// Asks `id` instead of `/etc/passwd`, because users also come from directories on the network.
fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok())?
}

fn no_id() -> String {
    "The program `id` is missing, so that there is no telling whom to run Postgres as: install \
     the core utilities of your system."
        .to_owned()
}
