//! Where things are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::outcome::{Outcome, Trying, fail};

/// The two folders everything else is in.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The top of the checkout.
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
}

impl Workspace {
    /// The checkout this program was built from, and its target folder, which `CARGO_TARGET_DIR`
    /// may have put elsewhere.
    pub fn find() -> Outcome<Workspace> {
        // Cargo says it at run time too; a checkout may have been moved since it was built.
        let package = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let Some(root) = package.parent().and_then(Path::parent) else {
            return fail("This program must be started with `cargo xtask`.");
        };
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => env::current_dir().trying("Where are we")?.join(folder),
            None => root.join("target"),
        };
        let workspace = Workspace { root: root.to_path_buf(), target };
        fs::create_dir_all(workspace.stamps()).trying("The target folder cannot be made")?;
        Ok(workspace)
    }

    /// What the server serves: the browser half, ready to be sent.
    pub fn site(&self) -> PathBuf {
        self.target.join("site")
    }

    /// What these tasks remember from one call to the next.
    pub fn stamps(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// A folder of ours under the target folder.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.stamps().join(name)
    }

    /// The folder of the browser tests, which also holds what comes from npm.
    pub fn end2end(&self) -> PathBuf {
        self.root.join("end2end")
    }

    /// The path as a person at the top of the checkout would write it.
    pub fn short<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}
