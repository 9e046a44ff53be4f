//! Examples as programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The example of this name. It has to be newer than all files in its folder.
pub fn command(name: &str) -> Command {
    let executable = std::env::current_exe().unwrap();
    let profile = executable.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    // `cargo test` builds examples, `cargo test --test NAME` does not.
    let time = |path: PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let changed = fs::read_dir(source).unwrap().map(|file| time(file.unwrap().path())).max().unwrap();
    assert!(time(example.clone()) >= changed, "the example is not built: cargo build --example {name}");
    Command::new(example)
}
