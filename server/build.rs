//! Puts the browser half into the binary: a table of `target/site`, which `cargo xtask build`
//! makes. Without it the table is empty, and pages work without script or style.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    let manifest_dir = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default());
    println!("cargo:rerun-if-env-changed=BURSAR_SITE");
    let site = env::var_os("BURSAR_SITE").map_or_else(|| site(&manifest_dir, &out), PathBuf::from);
    let manifest = site.join("manifest.txt");
    println!("cargo:rerun-if-changed={}", manifest.display());
    println!("cargo:rerun-if-changed=build.rs");
    let lines = fs::read_to_string(&manifest).unwrap_or_default();
    let mut table = String::from("static ASSETS: &[Asset] = &[\n");
    for (name, file) in lines.lines().filter_map(|line| line.split_once(' ')) {
        let bytes = |ending: &str| {
            let path = site.join(format!("{file}{ending}"));
            if path.exists() {
                format!("include_bytes!({:?})", path.display().to_string())
            } else {
                "&[]".to_owned()
            }
        };
        table += &format!(
            "    Asset {{ name: {name:?}, file: {file:?}, plain: {}, brotli: {}, gzip: {} }},\n",
            bytes(""),
            bytes(".br"),
            bytes(".gz")
        );
    }
    table += "];\n";
    if let Err(error) = fs::write(out.join("assets.rs"), table) {
        println!("cargo:error=the table of assets cannot be written: {error}");
    }
}

/// `site` in the target folder this build goes to: `target/PROFILE/build/server-…/out` is `out`.
fn site(manifest_dir: &Path, out: &Path) -> PathBuf {
    let target = out.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "build"));
    let target = target.and_then(Path::parent).and_then(Path::parent);
    target.map_or_else(|| manifest_dir.join("../target/site"), |target| target.join("site"))
}
