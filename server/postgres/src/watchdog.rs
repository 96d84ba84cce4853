use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use crate::Error;
use crate::error::While;
use crate::run_as::RunAs;

/// Reads the number of each server we start. When its input ends without the word `released`, we
/// are gone, however we went: the server is then stopped and its socket folder removed.
///
/// The signals of a terminal or a service manager must not end the watchdog before the one it
/// watches.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
folder=$1 data=$2 pid=
while read -r word; do
  [ "$word" = released ] && exit 0
  pid=$word
done
if [ -z "$pid" ]; then
  sleep 1
  read -r pid < "$data/postmaster.pid" || exit 0
fi
tries=0
kill -INT "$pid"
while kill -0 "$pid" && [ $tries -lt 600 ]; do
  [ $tries -eq 300 ] && kill -QUIT "$pid"
  sleep 0.1
  tries=$((tries + 1))
done
rm -rf -- "$folder"
"#;

/// A small shell that outlives us by just the time it takes to stop Postgres.
///
/// It blocks on a pipe whose other end only we hold. The standard library opens its pipes
/// close-on-exec, so that no other child of ours keeps that end open. It runs as whom Postgres runs
/// as: who may signal the server and owns the folder, and no more than that.
#[derive(Debug)]
pub(crate) struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    pub(crate) fn start(run_as: &RunAs, folder: &Path, data: &Path) -> Result<Watchdog, Error> {
        let mut command = run_as.command("sh");
        command.args(["-c", SCRIPT, "bursar-postgres-watchdog"]);
        command.arg(folder).arg(data);
        command.stdin(Stdio::piped());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command
            .spawn()
            .while_trying(|| "Could not start the shell that watches over Postgres".to_owned())?;
        let pipe = child.stdin.take();
        Ok(Watchdog { child, pipe })
    }

    /// Tells which server to stop in our stead.
    pub(crate) fn watch(&mut self, pid: u32) -> Result<(), Error> {
        self.say(&pid.to_string()).while_trying(|| "The shell that watches over Postgres is gone".to_owned())
    }

    fn say(&mut self, word: &str) -> std::io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => writeln!(pipe, "{word}"),
            None => Ok(()),
        }
    }
}

impl Drop for Watchdog {
    /// The server is stopped: there is nothing left to watch over.
    fn drop(&mut self) {
        // It may have been killed; then there is nobody to tell.
        let _ = self.say("released");
        self.pipe = None;
        let _ = self.child.wait();
    }
}
