//! The environment, read once.

use std::{
    fs,
    io::{ErrorKind, Write},
    net::SocketAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use clap::Args;
use store::MasterKey;

use crate::Fatal;

/// How this process is set up.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// The Postgres to use. Without it a private one runs under the data folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,

    /// Where to listen.
    #[arg(long, env = "BURSAR_ADDR", default_value = "127.0.0.1:3000", global = true)]
    pub addr: SocketAddr,

    /// Where the private Postgres, the spool and the master key live.
    #[arg(long, env = "BURSAR_DATA_DIR", default_value = "bursar-data", global = true)]
    pub data_dir: PathBuf,

    /// The file with the master key; made at the first start. Default: `master.key` in the data folder.
    #[arg(long, env = "BURSAR_MASTER_KEY_FILE", global = true)]
    pub master_key_file: Option<PathBuf>,

    /// What people and programs reach this server by. Default: `http://` and the address.
    #[arg(long, env = "BURSAR_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,

    /// Which server sends mail: `smtps://user:password@mail.example`, or `smtp://…:587?tls=required`.
    /// Without it nothing is sent, and the links of invitations are shown instead.
    #[arg(long, env = "BURSAR_SMTP_URL", hide_env_values = true, global = true)]
    pub smtp_url: Option<SmtpUrl>,

    /// The address mail comes from: `Bursar <bursar@acme.example>`.
    #[arg(long, env = "BURSAR_MAIL_FROM", global = true)]
    pub mail_from: Option<String>,

    /// How many megabytes calls may take on disk before they are in the books. Beyond that no call
    /// is let through until Postgres has taken some.
    #[arg(long, env = "BURSAR_SPOOL_LIMIT_MB", default_value_t = gateway::SPOOL_LIMIT >> 20, global = true)]
    pub spool_limit_mb: u64,

    /// How many days back the ledger goes. Older calls are let go of, a day at a time; what they come to
    /// stays in the sums, the windows and the closed months. Unset: everything is kept.
    #[arg(long, env = "BURSAR_LEDGER_DAYS", value_parser = clap::value_parser!(u64).range(400..), global = true)]
    pub ledger_days: Option<u64>,

    /// How many seconds running answers may take after the signal to stop. Those that have not come to
    /// their end five seconds before that are ended, each as its dialect ends.
    #[arg(long, env = "BURSAR_DRAIN_SECONDS", default_value_t = 30, global = true)]
    pub drain_seconds: u64,

    /// Whether a private Postgres waits for the disk. Only the demo's does not.
    #[arg(skip = true)]
    pub durable: bool,

    /// What to log, in the syntax of `tracing`.
    #[arg(long, env = "BURSAR_LOG", default_value = "warn,bursar=info", global = true)]
    pub log: String,
}

/// A server's address with a password in it: never printed.
#[derive(Clone)]
pub struct SmtpUrl(String);

impl SmtpUrl {
    /// The address, for a connection.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for SmtpUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SmtpUrl(…)")
    }
}

impl Config {
    /// What people and programs reach this server by, without a slash at the end.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{bound}"),
        }
    }

    /// Reads the master key, or makes one.
    pub fn master_key(&self) -> Result<MasterKey, Fatal> {
        if let Some(key) = self.find_master_key()? {
            return Ok(key);
        }
        let path = self.master_key_path();
        let failed = |cause: String| Fatal::new(&format!("the master key in {}", path.display()), cause);
        make_key(&path).map_err(|error| failed(error.to_string()))?;
        self.find_master_key()?.ok_or_else(|| failed("it is gone again".to_owned()))
    }

    /// Reads the master key, if there is one.
    pub fn find_master_key(&self) -> Result<Option<MasterKey>, Fatal> {
        let path = self.master_key_path();
        read_key(&path).map_err(|cause| Fatal::new(&format!("the master key in {}", path.display()), cause))
    }

    /// The file with the master key.
    pub fn master_key_path(&self) -> PathBuf {
        self.master_key_file.clone().unwrap_or_else(|| self.data_dir.join("master.key"))
    }

    /// Makes the data folder, for this user alone.
    pub fn make_data_dir(&self) -> Result<(), Fatal> {
        let made = fs::create_dir_all(&self.data_dir);
        made.map_err(|error| Fatal::new(&format!("the data folder {}", self.data_dir.display()), error))
    }
}

fn read_key(path: &Path) -> Result<Option<MasterKey>, String> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let mode = fs::metadata(path).map_err(|error| error.to_string())?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(format!("others can read it (mode {:o}); make it 0600", mode & 0o777));
            }
            parse_key(&text).map(Some)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes a master key, unless another process is first. A key is there whole or not at all: it is
/// written beside its place, and given its name when it is on the disk.
fn make_key(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let key = MasterKey::generate();
    let text: String = key.reveal().iter().map(|byte| format!("{byte:02x}")).collect();
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    let named = fs::hard_link(&beside, path);
    fs::remove_file(&beside)?;
    match named {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn parse_key(text: &str) -> Result<MasterKey, String> {
    let text = text.trim();
    let wrong = || "expected 64 hexadecimal digits".to_owned();
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[place * 2..place * 2 + 2], 16).map_err(|_| wrong())?;
    }
    Ok(MasterKey::new(bytes))
}

/// Starts the log: to standard error, so that standard output carries only what was asked for.
pub fn log(config: &Config) {
    use tracing_subscriber::{EnvFilter, fmt, prelude::*};
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("warn"));
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::registry()
        .with(filter)
        .with(fmt::layer().with_writer(std::io::stderr).with_ansi(ansi))
        .init();
}
