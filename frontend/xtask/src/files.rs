//! Files: walking, replacing, and remembering what they were like.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest as _, Sha256};

use crate::outcome::{Outcome, Trying};
use crate::workspace::Workspace;

/// Every file under a folder, sorted. None if there is no such folder.
pub fn under(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        if !folder.is_dir() {
            continue;
        }
        let entries = fs::read_dir(&folder).trying(format!("Cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry.trying(format!("Cannot read {}", folder.display()))?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Every file under a folder whose name ends like this.
pub fn with_extension(folder: &Path, extension: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = under(folder)?;
    found.retain(|path| path.extension().is_some_and(|found| found == extension));
    Ok(found)
}

/// Reads a file.
pub fn read(path: &Path) -> Outcome<Vec<u8>> {
    fs::read(path).trying(format!("Cannot read {}", path.display()))
}

/// Reads a file of text.
pub fn read_text(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).trying(format!("Cannot read {}", path.display()))
}

/// Writes a file, whole or not at all, with the folders it needs.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Outcome {
    let what = format!("Cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).trying(&what)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    fs::write(&new, content).trying(&what)?;
    fs::rename(&new, path).trying(&what)
}

/// Removes a folder with everything in it, if it is there.
pub fn remove_folder(folder: &Path) -> Outcome {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).trying(format!("Cannot remove {}", folder.display()))
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) -> Outcome {
    for file in under(from)? {
        let inside = file.strip_prefix(from).trying("A path outside its folder")?;
        let place = to.join(inside);
        let what = format!("Cannot copy {}", file.display());
        fs::create_dir_all(place.parent().unwrap_or(to)).trying(&what)?;
        fs::copy(&file, &place).trying(&what)?;
    }
    Ok(())
}

/// What a step was made from, as one number.
pub struct Inputs(Sha256);

impl Inputs {
    /// Nothing yet.
    pub fn new() -> Inputs {
        Inputs(Sha256::new())
    }

    /// This program itself, for what it makes by its own code: when that changes, so may the result.
    pub fn with_ourselves() -> Inputs {
        let mut inputs = Inputs::new();
        let ourselves = std::env::current_exe().and_then(fs::metadata);
        if let Ok(ourselves) = ourselves {
            let modified = ourselves.modified().ok();
            let age = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            inputs = inputs.text(&format!("{} {age:?}", ourselves.len()));
        }
        inputs
    }

    /// Adds a text.
    pub fn text(mut self, text: &str) -> Inputs {
        self.0.update(text.len().to_le_bytes());
        self.0.update(text);
        self
    }

    /// Adds a file by its path and content.
    pub fn file(mut self, path: &Path) -> Outcome<Inputs> {
        let content = read(path)?;
        self = self.text(&path.to_string_lossy());
        self.0.update(content.len().to_le_bytes());
        self.0.update(&content);
        Ok(self)
    }

    /// Adds every file of a list.
    pub fn files(self, paths: &[PathBuf]) -> Outcome<Inputs> {
        paths.iter().try_fold(self, |inputs, path| inputs.file(path))
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// A note under the target folder that a step was done with certain inputs.
pub struct Stamp {
    path: PathBuf,
    content: String,
}

impl Stamp {
    /// The stamp of a step for these inputs.
    pub fn new(workspace: &Workspace, step: &str, inputs: Inputs) -> Stamp {
        let path = workspace.stamps().join(format!("{step}.stamp"));
        Stamp { path, content: inputs.finish() }
    }

    /// Whether the step was last done with the same inputs.
    pub fn is_fresh(&self) -> bool {
        fs::read_to_string(&self.path).is_ok_and(|found| found == self.content)
    }

    /// Notes that the step is done.
    pub fn set(&self) -> Outcome {
        write(&self.path, &self.content)
    }
}

/// Sixteen characters that change when the content does.
pub fn short_hash(content: &[u8]) -> String {
    hex(&Sha256::digest(content)[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
