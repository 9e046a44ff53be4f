//! The collection of files written by the frameworks. Each is read or rejected as its line in the index says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use recurrent::io::{Plan, ReadOptions};

use crate::Golden;

/// A line of the index.
struct Entry {
    file: String,
    framework: String,
    layers: String,
    plan: Option<Plan>,
    /// Words of the error message; `None` if the file is read.
    refused: Option<String>,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/formats/collection"))
}

fn index() -> Vec<Entry> {
    let text = fs::read_to_string(folder().join("index.tsv")).unwrap();
    let entries = text.lines().map(|line| {
        let [file, framework, layers, plan, refused] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not five fields: {line}");
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
        Entry {
            file: file.into(),
            framework: framework.into(),
            layers: layers.into(),
            plan: some(plan).map(|words| words.parse().unwrap()),
            refused: some(refused),
        }
    });
    entries.collect()
}

#[test]
fn each_file_is_read_or_refused_as_it_should_be() {
    let mut wrong = String::new();
    for entry in index() {
        let path = folder().join(&entry.file);
        let mut options = ReadOptions::new();
        if let Some(plan) = &entry.plan {
            options = options.plan(plan);
        }
        match (options.open(&path), &entry.refused) {
            (Ok((network, ..)), None) => {
                let golden = Golden::of(&format!("collection/{}.x", entry.file));
                let greatest = golden.y.iter().fold(1f32, |most, y| most.max(y.abs()));
                let bound = if entry.file.contains("half") { 1e-5 } else { 1e-6 };
                let difference = golden.difference(&network);
                if difference.is_nan() || difference > bound * greatest {
                    writeln!(wrong, "{}: differs by {difference}", entry.file).unwrap();
                }
            }
            (Ok(_), Some(_)) => writeln!(wrong, "{}: was read", entry.file).unwrap(),
            (Err(e), None) => writeln!(wrong, "{}: {e}", entry.file).unwrap(),
            (Err(e), Some(words)) => {
                if !e.to_string().contains(words) {
                    writeln!(wrong, "{}: `{words}` is not in `{e}`", entry.file).unwrap();
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// Every file must have a line in the index: files without one would not be tested.
#[test]
fn the_index_is_whole() {
    let named: BTreeSet<String> = index().into_iter().map(|entry| entry.file).collect();
    let kinds = ["keras", "h5", "pt", "onnx", "json", "aidax", "nam"];
    let found = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let found = found.filter(|path| path.extension().is_some_and(|e| kinds.iter().any(|kind| e == *kind)));
    let found: BTreeSet<String> =
        found.map(|p| p.file_name().unwrap().to_str().unwrap().to_string()).collect();
    assert_eq!(named, found);
    assert!(named.len() >= 60, "{} files", named.len());
}

/// Framework, layers, and the reason for rejection.
type Row = (String, String, Option<String>);

/// The table of the documentation, generated from the index.
fn table() -> String {
    let mut rows: BTreeMap<Row, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for entry in index() {
        let words: Vec<&str> = entry.framework.split(' ').collect();
        let is_version = |word: &&&str| word.starts_with(|c: char| c.is_ascii_digit());
        let version = words.iter().find(is_version).map_or("", |v| v.trim_end_matches(','));
        let name: Vec<&str> = words.iter().filter(|w| !is_version(w)).copied().collect();
        let (_, extension) = entry.file.rsplit_once('.').unwrap();
        let row = rows.entry((name.join(" "), entry.layers, entry.refused)).or_default();
        row.0.insert(version.to_string());
        row.1.insert(format!("`.{extension}`"));
    }
    let list = |of: &BTreeSet<String>| {
        let mut all: Vec<&str> = of.iter().map(|word| &word[..]).collect();
        all.sort_by_key(|word| word.split('.').map(|part| part.parse().unwrap_or(0)).collect::<Vec<u32>>());
        all.join(", ")
    };
    let mut text = String::from(
        "\n# What is read\n\nThis table is made of the files in `tests/data/formats/collection`, which the frameworks have written.\n\n\
         | framework | versions | files | model | |\n|---|---|---|---|---|\n",
    );
    for ((name, layers, refused), (versions, files)) in &rows {
        let read = if refused.is_none() { "read" } else { "rejected" };
        writeln!(text, "| {name} | {} | {} | {layers} | {read} |", list(versions), list(files)).unwrap();
    }
    text
}

/// `RECURRENT_UPDATE=1` rewrites the table.
#[test]
fn the_table_of_the_documentation_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/io/collection.md");
    let table = table();
    if std::env::var_os("RECURRENT_UPDATE").is_some() {
        fs::write(path, &table).unwrap();
    }
    assert!(fs::read_to_string(path).unwrap() == table, "run this test with RECURRENT_UPDATE=1");
}
