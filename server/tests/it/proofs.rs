//! The table of what goes wrong elsewhere names tests: they are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_is_named_as_a_proof_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(here.join("tests/proofs.md")).expect("the table");
    let mut files = Vec::new();
    sources(here, &mut files);
    sources(&here.join("../app/domain"), &mut files);
    let text: String = files.iter().map(|file| fs::read_to_string(file).expect("a source")).collect();
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(2);
    let names: Vec<&str> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert!(names.len() > 20, "{names:?}");
    let missing: Vec<&&str> = names.iter().filter(|name| !text.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
