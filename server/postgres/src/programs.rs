use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The oldest Postgres the schema works on: `nulls not distinct` came with 15.
const OLDEST: u32 = 15;

/// Where packages put the programs, as a parent folder and a prefix of the folder that is named
/// after the version.
const KNOWN_PLACES: [(&str, &str); 3] =
    [("/usr/lib/postgresql", ""), ("/usr", "pgsql-"), ("/opt/homebrew/opt", "postgresql@")];

/// The programs of one installed Postgres.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
    version: u32,
}

impl Programs {
    /// Finds `initdb` and `postgres`: in the folder `BURSAR_POSTGRES_BIN` names, else the newest
    /// version among the places packages use, else on `PATH`.
    ///
    /// # Errors
    /// [`Error::Programs`] with one sentence that says what to install, or what is wrong with the
    /// folder that was named.
    pub fn find() -> Result<Programs, Error> {
        if let Some(folder) = env::var_os("BURSAR_POSTGRES_BIN") {
            return Programs::in_folder(Path::new(&folder));
        }
        let newest = KNOWN_PLACES
            .iter()
            .flat_map(|(parent, prefix)| versions(Path::new(parent), prefix))
            .filter(|(_, folder)| has_programs(folder))
            .max_by_key(|(version, _)| *version)
            .map(|(_, folder)| folder);
        let path = env::var_os("PATH").unwrap_or_default();
        match newest.or_else(|| env::split_paths(&path).find(|folder| has_programs(folder))) {
            Some(folder) => Programs::in_folder(&folder),
            None => Err(Error::Programs(format!(
                "Postgres is not installed: on Debian or Ubuntu run `apt-get install postgresql`, \
                 or install Postgres {OLDEST} or newer and name the folder of its programs in \
                 BURSAR_POSTGRES_BIN, or set DATABASE_URL to a Postgres that runs already."
            ))),
        }
    }

    /// Takes the programs of a folder.
    ///
    /// # Errors
    /// [`Error::Programs`] if they are not there, do not run, or are too old.
    pub fn in_folder(folder: &Path) -> Result<Programs, Error> {
        let place = folder.display();
        if !has_programs(folder) {
            return Err(Error::Programs(format!(
                "The folder {place} has no `initdb` and `postgres`: name the `bin` folder of a \
                 Postgres in BURSAR_POSTGRES_BIN."
            )));
        }
        let Some(version) = version_of(&folder.join("postgres")) else {
            return Err(Error::Programs(format!(
                "The program {place}/postgres does not tell its version: reinstall Postgres."
            )));
        };
        if version < OLDEST {
            return Err(Error::Programs(format!(
                "The Postgres in {place} is version {version}, and {OLDEST} or newer is needed: \
                 install a newer one and name its `bin` folder in BURSAR_POSTGRES_BIN."
            )));
        }
        // Absolute, because the programs are started with another working folder.
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        Ok(Programs { folder, version })
    }

    /// The folder the programs are in. `psql` and the other client programs usually stand there too.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The major version.
    pub fn version(&self) -> u32 {
        self.version
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }
}

/// Folders such as `/usr/lib/postgresql/15/bin`, each with the number in its name.
fn versions(parent: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(parent) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect()
}

fn has_programs(folder: &Path) -> bool {
    folder.join("initdb").is_file() && folder.join("postgres").is_file()
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian …)`; betas say `16beta1`.
fn version_of(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().nth(2)?;
    let digits = number.chars().take_while(char::is_ascii_digit);
    digits.collect::<String>().parse().ok()
}
