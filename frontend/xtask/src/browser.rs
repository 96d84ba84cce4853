//! The browser half: compiled, bound to JavaScript, and made small.

use std::path::{Path, PathBuf};

use wasm_bindgen_cli_support::Bindgen;

use crate::command;
use crate::files::{self, Inputs, Stamp};
use crate::outcome::{Outcome, Trying, fail};
use crate::wasm::{Compiler, TARGET};
use crate::workspace::Workspace;

/// What the browser can do beyond the first version of wasm, in all that are current.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-reference-types",
    "--enable-sign-ext",
    "--enable-nontrapping-float-to-int",
    "--enable-mutable-globals",
    "--enable-multivalue",
];

/// Under which name the JavaScript asks for the wasm.
pub const WASM_NAME: &str = "app_bg.wasm";

/// The two files the browser loads.
pub struct Program {
    /// The JavaScript that loads the wasm.
    pub js: PathBuf,
    /// The wasm.
    pub wasm: PathBuf,
}

/// Compiles the browser half with a cargo call of its own: together with the server, the features
/// of both would be built into each.
pub fn compile(workspace: &Workspace, compiler: &Compiler) -> Outcome<PathBuf> {
    let mut cargo = command::cargo(workspace, ["build", "--package", "frontend", "--lib"]);
    cargo.args(["--target", TARGET, "--profile", "browser", "--locked"]);
    compiler.lend_to(&mut cargo);
    command::run(workspace, &mut cargo, "Mend the browser half (frontend/, app/).")?;
    Ok(workspace.target.join(TARGET).join("browser/frontend.wasm"))
}

/// Makes of what the compiler made what a browser loads, unless it was made before.
pub fn bind(workspace: &Workspace, compiled: &Path) -> Outcome<Program> {
    let folder = workspace.scratch("browser");
    let program = Program { js: folder.join("app.js"), wasm: folder.join("app.wasm") };
    let inputs = Inputs::with_ourselves().file(compiled)?;
    let inputs = inputs.file(&workspace.end2end().join("package-lock.json"))?;
    let stamp = Stamp::new(workspace, "browser", inputs);
    if stamp.is_fresh() && program.js.is_file() && program.wasm.is_file() {
        return Ok(program);
    }
    files::remove_folder(&folder)?;
    eprintln!("binding the wasm to JavaScript");
    let mut bindgen = Bindgen::new();
    bindgen.input_path(compiled).out_name("app").typescript(false);
    bindgen.omit_default_module_path(false).remove_producers_section(true);
    let bound = bindgen.web(true).and_then(|bindgen| bindgen.generate(&folder));
    bound.trying("The wasm cannot be bound to JavaScript")?;
    if folder.join("snippets").exists() {
        return fail(
            "A dependency of the browser half brings JavaScript files of its own, which the site has no \
             names for yet: do without it, or teach frontend/xtask/src/site.rs to add them.",
        );
    }
    optimize(workspace, &folder.join(WASM_NAME), &program.wasm)?;
    stamp.set()?;
    Ok(program)
}

fn optimize(workspace: &Workspace, from: &Path, to: &Path) -> Outcome {
    let mut node = command::new(workspace, "node");
    node.arg(workspace.end2end().join("node_modules/binaryen/bin/wasm-opt"));
    node.arg(from).arg("-o").arg(to);
    node.args(["-Oz", "--strip-debug", "--strip-producers"]).args(FEATURES);
    command::run(workspace, &mut node, "Run `cargo xtask setup`, then try again.")
}
