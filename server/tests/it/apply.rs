//! `bursar apply` and `bursar export`: the real binary, a real Postgres.

mod mistakes;
mod private;
mod rounds;
mod running;

use std::{
    io::Write,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;
use store::testing::empty_database;

use crate::harness::{TempDir, command};

/// The file that is the contract.
const ACME: &str = include_str!("../../examples/acme.toml");

/// An installation without a server: a database, and a folder with the master key.
struct Place {
    database: String,
    data: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Place {
    async fn new() -> Self {
        Self { database: empty_database().await, data: TempDir::new(), variables: Vec::new() }
    }

    /// With a Postgres of its own.
    fn private() -> Self {
        Self { database: String::new(), data: TempDir::new(), variables: Vec::new() }
    }

    fn run(&self, arguments: &[&str], input: &str) -> Output {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        run(&self.database, self.data.path(), &variables, arguments, input.as_bytes())
    }

    /// Applies a file, which has to work; what was printed.
    fn apply(&self, file: &str) -> Value {
        json(&self.run(&["apply", "-", "--json"], file))
    }

    /// What a file would change.
    fn plan(&self, file: &str) -> Value {
        json(&self.run(&["apply", "-", "--json", "--plan"], file))
    }

    /// What there is.
    fn export(&self) -> String {
        let output = self.run(&["export"], "");
        assert!(output.status.success(), "{}", errors(&output));
        String::from_utf8(output.stdout).expect("text")
    }
}

fn run(database: &str, data: &Path, variables: &[(&str, &str)], arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(database, data)
        .env_remove("LOCAL_API_KEY")
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("bursar starts");
    // It may end before it has read everything.
    let _ = child.stdin.take().expect("its input").write_all(input);
    child.wait_with_output().expect("it ends")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", errors(output));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
}

/// The lines of a plan: `+ model small-chat`, `~ user ada@acme.example role: admin → owner`.
fn lines(done: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
    let line = |line: &Value| {
        let what = format!("{} {}", text(&line["kind"]), text(&line["name"]));
        let fields = line["fields"].as_array().expect("fields").iter().map(|field| {
            format!("{}: {} → {}", text(&field["field"]), text(&field["before"]), text(&field["after"]))
        });
        match line["action"].as_str() {
            Some("add") => format!("+ {what}"),
            Some("remove") => format!("- {what}"),
            _ => format!("~ {what} {}", fields.collect::<Vec<_>>().join(", ")),
        }
    };
    done["plan"].as_array().expect("a plan").iter().map(line).collect()
}
