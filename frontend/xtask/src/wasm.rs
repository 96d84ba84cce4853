//! A compiler that can build for the browser: one with a standard library for wasm32.
//!
//! Three ways lead there, tried in this order. The first two need rustup's own Rust; the third is
//! for machines that do not reach rustup's servers but do reach Debian's: it installs Debian's Rust
//! and builds the standard library for wasm32 from the source that comes with it. A standard
//! library fits exactly one compiler, so the browser half is then built with Debian's while
//! everything else stays with the usual one.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::apt;
use crate::command::{self, ask};
use crate::files::{self, Inputs, Stamp};
use crate::outcome::{Outcome, Trying, fail};
use crate::workspace::Workspace;

/// What the browser runs.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Set to `debian`, takes the third way even where the first two are open, to try it out.
const CHOICE: &str = "BURSAR_WASM";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_RUSTLIB: &str = "/usr/lib/rustlib";

/// How long rustup may take before we believe that its servers are out of reach.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(60);

/// Which compiler builds the browser half.
pub enum Compiler {
    /// The one that builds everything else.
    Usual,
    /// Debian's, by way of a script that knows our standard library, with a linker of its own.
    Debian {
        /// The script to call instead of `rustc`.
        rustc: PathBuf,
        /// The linker for wasm.
        linker: PathBuf,
    },
}

impl Compiler {
    /// Makes a cargo command use this compiler.
    pub fn lend_to(&self, cargo: &mut Command) {
        if let Compiler::Debian { rustc, linker } = self {
            cargo.env("RUSTC", rustc);
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
    }
}

/// The compiler for the browser half.
///
/// # Errors
/// If there is none yet, with the command that changes that.
pub fn compiler(workspace: &Workspace) -> Outcome<Compiler> {
    match find(workspace) {
        Some(compiler) => Ok(compiler),
        None => fail(format!("Rust cannot build for {TARGET} here yet: run `cargo xtask setup`.")),
    }
}

/// Sees to it that there is one.
pub fn set_up(workspace: &Workspace) -> Outcome {
    if find(workspace).is_some() {
        return Ok(());
    }
    if !wants_debian() && command::on_path("rustup").is_some() {
        let mut add = command::new(workspace, "rustup");
        add.args(["target", "add", TARGET]);
        let added = command::run_within(workspace, &mut add, DOWNLOAD_LIMIT, "Trying Debian's Rust instead.");
        match added {
            Ok(()) if find(workspace).is_some() => return Ok(()),
            Ok(()) => {}
            Err(failure) => eprintln!("{failure}"),
        }
    }
    build_debians(workspace)?;
    compiler(workspace).map(|_| ())
}

fn wants_debian() -> bool {
    env::var_os(CHOICE).is_some_and(|choice| choice == "debian")
}

fn find(workspace: &Workspace) -> Option<Compiler> {
    if !wants_debian() && usual_has_it(workspace) {
        return Some(Compiler::Usual);
    }
    let rustc = script(workspace);
    let fresh = debian_stamp(workspace).is_fresh() && rustc.is_file();
    fresh.then_some(Compiler::Debian { rustc, linker: linker()?.1 })
}

fn usual_has_it(workspace: &Workspace) -> bool {
    let mut rustc = command::new(workspace, "rustc");
    let folder = ask(rustc.args(["--print", "target-libdir", "--target", TARGET]));
    folder.is_some_and(|folder| has_std(Path::new(&folder)))
}

fn has_std(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.into_iter().any(|name| name.starts_with("libstd-") && name.ends_with(".rlib"))
}

fn place(workspace: &Workspace) -> PathBuf {
    workspace.scratch("wasm")
}

fn script(workspace: &Workspace) -> PathBuf {
    place(workspace).join("rustc")
}

/// What Debian's compiler says about itself after this name.
fn debians(name: &str) -> Option<String> {
    let version = ask(Command::new(DEBIAN_RUSTC).arg("-vV"))?;
    version.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned)
}

/// Which compiler our standard library was built with and for.
fn debian_stamp(workspace: &Workspace) -> Stamp {
    let commit = debians("commit-hash: ").unwrap_or_default();
    let release = debians("release: ").unwrap_or_default();
    Stamp::new(workspace, "wasm", Inputs::new().text(&commit).text(&release))
}

/// The newest `wasm-ld-NN`, and its number.
fn linker() -> Option<(u32, PathBuf)> {
    let entries = fs::read_dir("/usr/bin").ok()?.flatten();
    let numbers = entries.filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("wasm-ld-")?.parse::<u32>().ok()
    });
    numbers.max().map(|number| (number, PathBuf::from(format!("/usr/bin/wasm-ld-{number}"))))
}

fn build_debians(workspace: &Workspace) -> Outcome {
    install_debians(workspace)?;
    let place = place(workspace);
    files::remove_folder(&place)?;
    let library = place.join("library");
    copy_source(&library)?;

    let products = place.join("target");
    let mut build = command::new(workspace, "cargo");
    build.args(["build", "--release", "--package", "sysroot", "--target", TARGET, "--target-dir"]);
    build.arg(&products).current_dir(&library);
    build.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    build.env("__CARGO_DEFAULT_LIB_METADATA", "stablestd");
    // Without the second flag the standard library does not compile outside the Rust project.
    build.env("RUSTFLAGS", "-Cembed-bitcode=yes -Zforce-unstable-if-unmarked");
    let advice = "Check that cargo reaches its registry, then try again.";
    command::run(workspace, &mut build, advice)?;

    assemble(workspace, &products.join(TARGET).join("release/deps"))?;
    files::remove_folder(&library)?;
    files::remove_folder(&products)?;
    debian_stamp(workspace).set()
}

fn install_debians(workspace: &Workspace) -> Outcome {
    let packages = ["rustc-web", "rust-web-src", "libstd-rust-web-dev"].map(str::to_owned);
    apt::install(workspace, &apt::missing(&packages))?;
    // The linker must read what the compiler writes: it should not be older than its LLVM.
    let llvm = debians("LLVM version: ").and_then(|version| version.split('.').next()?.parse().ok());
    if linker().is_some_and(|(number, _)| Some(number) >= llvm) {
        return Ok(());
    }
    let newest = apt::newest(workspace, "lld-")?;
    apt::install(workspace, &apt::missing(newest.as_slice()))
}

/// The source without Debian's copies of other people's crates, which are not complete, and
/// without a configuration that would name them.
fn copy_source(to: &Path) -> Outcome {
    let from = PathBuf::from(DEBIAN_RUSTLIB).join("src/rust/library");
    let entries = fs::read_dir(&from).trying(format!("Cannot read {}", from.display()))?;
    for entry in entries {
        let path = entry.trying("Cannot read the standard library's source")?.path();
        let Some(name) = path.file_name() else { continue };
        if name == "vendor" || name == ".cargo" {
            continue;
        }
        let copy = to.join(name);
        if path.is_dir() {
            files::copy_folder(&path, &copy)?;
        } else {
            files::write(&copy, files::read(&path)?)?;
        }
    }
    Ok(())
}

/// Puts Debian's native standard library and ours for wasm side by side, where a compiler that is
/// told so looks for both; nothing is written outside the target folder.
fn assemble(workspace: &Workspace, products: &Path) -> Outcome {
    let sysroot = place(workspace).join("sysroot");
    let rustlib = sysroot.join("lib/rustlib");
    let ours = rustlib.join(TARGET).join("lib");
    fs::create_dir_all(&ours).trying("The place for the standard library cannot be made")?;
    for library in files::with_extension(products, "rlib")? {
        let name = library.file_name().unwrap_or_default();
        fs::copy(&library, ours.join(name)).trying("The standard library cannot be copied")?;
    }
    let Some(host) = debians("host: ") else {
        return fail(format!("{DEBIAN_RUSTC} does not say what it runs on: reinstall rustc-web."));
    };
    symlink(Path::new(DEBIAN_RUSTLIB).join(&host), rustlib.join(&host)).trying("A link cannot be made")?;

    let script = script(workspace);
    let sysroot = sysroot.display();
    files::write(&script, format!("#!/bin/sh\nexec {DEBIAN_RUSTC} --sysroot '{sysroot}' \"$@\"\n"))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).trying("A script cannot be made")
}
