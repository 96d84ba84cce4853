//! A server that was started, until it is stopped.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::outcome::{Outcome, Trying, fail};

/// A server that answers. It is killed when this is gone.
pub struct Started {
    child: Child,
    /// What to put before a path.
    pub base: String,
}

impl Started {
    /// Starts it and waits for the line that says where it can be reached.
    pub fn start(command: &mut Command) -> Outcome<Started> {
        let mut child = command.stdout(Stdio::piped()).spawn().trying("The server cannot be run")?;
        let mut base = None;
        if let Some(output) = child.stdout.take() {
            // What sets up and builds may have something to say before.
            for line in BufReader::new(output).lines() {
                let line = line.trying("The server says nothing")?;
                base = line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
                if base.is_some() {
                    break;
                }
            }
        }
        match base {
            Some(base) => Ok(Started { child, base }),
            None => fail("The server did not start: look at what it says."),
        }
    }

    /// Stops it as a person would, and waits until it is gone.
    pub fn stop(&mut self) -> Outcome {
        let pid = self.child.id().to_string();
        Command::new("kill").arg(pid).status().trying("Cannot stop the server")?;
        self.child.wait().trying("Cannot stop the server")?;
        Ok(())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // After a failure; otherwise it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
