//! The demo's own folder, and what it keeps there between two starts.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use domain::{ids::OrgId, keys::PlainSecret};
use postgres::Cluster;
use serde::{Deserialize, Serialize};

use crate::Fatal;

/// A secret with the program it is for: live traffic calls with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeptSecret {
    /// Empty: somebody's own context.
    pub program: String,
    /// Whether it is the one that is printed for programs to try.
    pub offered: bool,
    pub secret: PlainSecret,
}

/// What is known of a demo that was filled, or is being filled.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// None while it is being filled.
    pub org: Option<OrgId>,
    /// The simulated provider's port.
    pub port: u16,
    pub secrets: Vec<KeptSecret>,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Below the data folder of everything else, so that the two never meet.
    pub fn below(data_dir: &Path) -> Self {
        Self(data_dir.join("demo"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    fn file(&self) -> PathBuf {
        self.0.join("demo.json")
    }

    /// What was kept; none where no demo has begun.
    pub fn read(&self) -> Result<Option<Kept>, Fatal> {
        let path = self.file();
        let broken = |error: &dyn std::fmt::Display| Fatal::new(&path.display().to_string(), error);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|error| broken(&error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(&error)),
        }
    }

    /// Keeps it, for this user alone: there are secrets in it.
    pub fn keep(&self, kept: &Kept) -> Result<(), Fatal> {
        let failed =
            |error: std::io::Error| Fatal::new(&format!("the demo’s folder {}", self.0.display()), error);
        self.make().map_err(failed)?;
        let text = serde_json::to_string_pretty(kept).map_err(|error| failed(error.into()))?;
        let new = self.file().with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&new, self.file()).map_err(failed)
    }

    /// Postgres may run as another user, who has to get through.
    fn make(&self) -> std::io::Result<()> {
        if let Some(above) = self.0.parent() {
            fs::create_dir_all(above)?;
        }
        match fs::DirBuilder::new().mode(0o755).create(&self.0) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes a demo with everything in it. Only what is known to be one, and is not running.
    pub fn remove(&self) -> Result<(), Fatal> {
        if !self.0.exists() {
            return Ok(());
        }
        let refuse = |why: &str| Err(Fatal::new(&format!("the demo’s folder {}", self.0.display()), why));
        if !self.file().exists() {
            return refuse(
                "it holds something that is not a demo; name another data folder with BURSAR_DATA_DIR",
            );
        }
        if Cluster::join(&self.0.join("postgres")).is_some() {
            return refuse("a demo is running in it; stop that first");
        }
        fs::remove_dir_all(&self.0).map_err(|error| Fatal::new("the demo’s folder", error))
    }
}
