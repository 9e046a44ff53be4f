//! Runs examples as programs.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The command of the example `name`. Panics if the program is older than the sources of the example.
pub fn command(name: &str) -> Command {
    let executable = std::env::current_exe().unwrap();
    let profile = executable.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    // `cargo test` builds examples, `cargo test --test NAME` does not.
    let time = |path: PathBuf| fs::metadata(path).and_then(|m| m.modified()).ok();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    let changed = match fs::read_dir(&source) {
        Ok(files) => files.map(|file| time(file.unwrap().path())).max().unwrap(),
        Err(_) => time(source.with_extension("rs")),
    };
    assert!(
        changed.is_some() && time(example.clone()) >= changed,
        "the example is not built: cargo build --example {name}"
    );
    Command::new(example)
}

/// The standard output and the plot of a run.
pub struct Run {
    pub out: String,
    pub plot: String,
}

/// Runs an example that draws a plot, with `input` on standard input. It must succeed and print no error.
pub fn run(name: &str, options: &str, input: &str) -> Run {
    let place = tempfile::TempDir::new().unwrap();
    let mut command = command(name);
    command.current_dir(place.path()).args(["--plot", "plot.svg"]).args(options.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && told.is_empty(), "{name} {options}: {told}");
    let plot = fs::read_to_string(place.path().join("plot.svg")).unwrap();
    assert!(
        plot.starts_with("<svg") && plot.trim_end().ends_with("</svg>") && !plot.contains("NaN"),
        "{name}"
    );
    Run { out: String::from_utf8(out.stdout).unwrap(), plot }
}
