//! The site: what the server sends to browsers besides pages.
//!
//! Every file has a name that changes with its content, so that a browser may keep it for ever, and
//! stands there compressed, so that the server never has to. `manifest.txt` says which logical name
//! has which real one; it is written last, and only when it changes, because the server is built
//! again whenever it does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::files::{self, Inputs, Stamp};
use crate::outcome::{Outcome, Trying, fail};
use crate::workspace::Workspace;
use crate::{browser, css, wasm};

const MANIFEST: &str = "manifest.txt";

/// The fonts we take from npm's `@fontsource-variable/inter`; style sheets call them by these names.
const FONTS: [&str; 2] = ["inter-latin-wght-normal.woff2", "inter-latin-ext-wght-normal.woff2"];

/// Builds the browser half and its surroundings into the site folder.
pub fn build(workspace: &Workspace) -> Outcome {
    let compiler = wasm::compiler(workspace)?;
    let compiled = browser::compile(workspace, &compiler)?;
    let style = files::under(&workspace.root.join("style"))?;
    let fonts = FONTS.map(|name| font(workspace, name));
    if let Some(missing) = fonts.iter().find(|font| !font.is_file()) {
        return fail(format!("{} is missing: run `cargo xtask setup`.", workspace.short(missing).display()));
    }
    let inputs = Inputs::with_ourselves().file(&compiled)?.files(&style)?.files(&fonts)?;
    let inputs = inputs.file(&workspace.end2end().join("package-lock.json"))?;
    let stamp = Stamp::new(workspace, "site", inputs);
    let folder = workspace.site();
    if stamp.is_fresh() && is_complete(&folder) {
        return Ok(());
    }
    let mut site = Site { folder, names: BTreeMap::new() };
    site.add_program(&browser::bind(workspace, &compiled)?)?;
    for (name, font) in FONTS.iter().zip(&fonts) {
        site.add(name, &files::read(font)?)?;
    }
    site.add_assets(&workspace.root.join("style/assets"))?;
    site.add_style(&workspace.root.join("style/main.css"))?;
    site.finish()?;
    stamp.set()
}

fn font(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.end2end().join("node_modules/@fontsource-variable/inter/files").join(name)
}

struct Site {
    folder: PathBuf,
    /// Logical names, and the real ones.
    names: BTreeMap<String, String>,
}

impl Site {
    fn add_program(&mut self, program: &browser::Program) -> Outcome {
        let wasm = files::read(&program.wasm)?;
        let name = self.add("app.wasm", &wasm)?;
        let js = files::read_text(&program.js)?;
        if !js.contains(browser::WASM_NAME) {
            return fail("The JavaScript does not ask for its wasm: see frontend/xtask/src/browser.rs.");
        }
        self.add("app.js", js.replace(browser::WASM_NAME, &name).as_bytes())?;
        let brotli = fs::metadata(self.folder.join(format!("{name}.br")));
        let brotli = brotli.map_or(0, |found| found.len());
        eprintln!("app.wasm: {} kB, {} kB with brotli", wasm.len() / 1000, brotli / 1000);
        Ok(())
    }

    fn add_assets(&mut self, folder: &Path) -> Outcome {
        for file in files::under(folder)? {
            let inside = file.strip_prefix(folder).trying("A path outside its folder")?;
            self.add(&inside.to_string_lossy(), &files::read(&file)?)?;
        }
        Ok(())
    }

    fn add_style(&mut self, main: &Path) -> Outcome {
        let css = css::bundle(main, |name| self.names.get(name).cloned())?;
        self.add("app.css", css.as_bytes())?;
        Ok(())
    }

    /// Adds a file, with its compressed twins, and answers with its real name.
    fn add(&mut self, logical: &str, content: &[u8]) -> Outcome<String> {
        let name = hashed(logical, content);
        if self.names.insert(logical.to_owned(), name.clone()).is_some() {
            return fail(format!("Two files of the site are called {logical}: rename one."));
        }
        let path = self.folder.join(&name);
        // A name that is there has this very content.
        if !path.is_file() {
            files::write(&with_suffix(&path, "br"), brotli(content)?)?;
            files::write(&with_suffix(&path, "gz"), gzip(content)?)?;
            files::write(&path, content)?;
        }
        Ok(name)
    }

    /// Removes what an earlier build left, and writes the manifest.
    fn finish(&self) -> Outcome {
        let lines = self.names.iter().map(|(logical, name)| format!("{logical} {name}\n"));
        let manifest: String = lines.collect();
        let path = self.folder.join(MANIFEST);
        if fs::read_to_string(&path).is_ok_and(|found| found == manifest) {
            return Ok(());
        }
        for file in files::under(&self.folder)? {
            let wanted = self.names.values().any(|name| {
                let path = self.folder.join(name);
                file == path || file == with_suffix(&path, "br") || file == with_suffix(&path, "gz")
            });
            if !wanted && file != path {
                fs::remove_file(&file).trying(format!("Cannot remove {}", file.display()))?;
            }
        }
        files::write(&path, manifest)
    }
}

fn is_complete(folder: &Path) -> bool {
    let Ok(manifest) = fs::read_to_string(folder.join(MANIFEST)) else {
        return false;
    };
    let mut names = manifest.lines().filter_map(|line| line.split(' ').nth(1));
    names.all(|name| folder.join(name).is_file())
}

/// `app.js` becomes `app.0123456789abcdef.js`.
fn hashed(logical: &str, content: &[u8]) -> String {
    let hash = files::short_hash(content);
    match logical.rsplit_once('.') {
        Some((stem, extension)) => format!("{stem}.{hash}.{extension}"),
        None => format!("{logical}.{hash}"),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// As small as brotli gets: it is done once for each content, whatever it costs.
fn brotli(content: &[u8]) -> Outcome<Vec<u8>> {
    let params = BrotliEncoderParams {
        quality: 11,
        lgwin: 22,
        size_hint: content.len(),
        ..BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &content[..], &mut compressed, &params).trying("Cannot compress")?;
    Ok(compressed)
}

fn gzip(content: &[u8]) -> Outcome<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).trying("Cannot compress")?;
    encoder.finish().trying("Cannot compress")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_stands_before_the_last_dot() {
        let name = hashed("icons/bell.svg", b"<svg/>");
        assert!(name.starts_with("icons/bell.") && name.ends_with(".svg"), "{name}");
        assert_eq!(name.len(), "icons/bell..svg".len() + 16);
        assert_ne!(name, hashed("icons/bell.svg", b"<svg></svg>"));
    }

    #[test]
    fn a_changed_file_gets_a_new_name_and_the_old_one_goes() {
        let folder = std::env::temp_dir().join(format!("bursar-site-{}", std::process::id()));
        let mut site = Site { folder: folder.clone(), names: BTreeMap::new() };
        let old = site.add("app.css", b"p{color:red}").unwrap();
        site.finish().unwrap();
        assert!(is_complete(&folder));
        site.names.clear();
        let new = site.add("app.css", b"p{color:blue}").unwrap();
        site.finish().unwrap();
        let manifest = fs::read_to_string(folder.join(MANIFEST)).unwrap();
        let left = files::under(&folder).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(manifest, format!("app.css {new}\n"));
        assert!(!left.contains(&folder.join(&old)));
        assert_eq!(left.len(), 4, "the file, its two twins and the manifest: {left:?}");
    }
}
