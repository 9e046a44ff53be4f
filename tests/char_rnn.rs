//! The example `char_rnn` as its users see it: output, files, errors.

#[path = "common/example.rs"]
mod example;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use recurrent::image::Image;
use tempfile::TempDir;

/// Sizes with which an update takes less than a millisecond.
const SMALL: &str = "--embedding 7 --hidden 16 --layers 2 --batch 4 --steps 16 --quiet";

/// A folder with a text in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = Place(TempDir::new().unwrap());
        let text: String = (0..300).map(|i| format!("{} über {};\n", i * i, i % 7)).collect();
        fs::write(place.path("text"), text).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, options: &str) -> Command {
        let mut command = example::command("char_rnn");
        command.current_dir(self.0.path()).args(options.split_whitespace());
        command
    }

    fn run(&self, options: &str) -> Output {
        self.command(options).output().unwrap()
    }

    /// Runs the program, which must succeed, and returns its standard output.
    fn succeed(&self, options: &str) -> String {
        let out = self.run(options);
        assert!(out.status.success(), "{options}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Runs the program, which must fail, and returns its standard error, which must be one line.
    fn refused(&self, options: &str) -> String {
        let out = self.run(options);
        let told = String::from_utf8(out.stderr).unwrap();
        assert!(matches!(out.status.code(), Some(1 | 2)), "{options}: {:?}, {told}", out.status);
        assert!(
            told.starts_with("error: ") && told.ends_with('\n') && told.lines().count() == 1,
            "{options}: {told}"
        );
        assert!(out.stdout.is_empty(), "{options}: {}", String::from_utf8_lossy(&out.stdout));
        told
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Names of the files in the folder. No temporary file may remain.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The three numbers of the last line.
fn figures(line: &str) -> [f64; 3] {
    let words: Vec<_> = line.split(' ').collect();
    let [train, a, val, b, rate, c] = words[..] else { panic!("{line}") };
    assert_eq!([train, val, rate], ["train", "val", "chars_per_s"], "{line}");
    [a, b, c.strip_suffix('\n').unwrap()].map(|x| x.parse().unwrap())
}

#[test]
fn quiet_prints_one_line() {
    let place = Place::new();
    for cell in ["rnn", "lstm", "gru"] {
        let [train, val, rate] =
            figures(&place.succeed(&format!("{SMALL} --corpus text --iters 60 --cell {cell}")));
        assert!(
            train > 0.0 && train < 3.0 && val > 0.0 && val < 3.5 && rate > 0.0,
            "{cell}: {train} {val} {rate}"
        );
    }
    let [train, val, rate] = figures(&place.succeed(&format!("{SMALL} --corpus text --iters 0")));
    assert!(train.is_nan() && val > 2.5 && rate == 0.0);
}

#[test]
fn an_image_has_the_weights_and_the_characters() {
    let place = Place::new();
    fs::write(place.path("lines"), "a\\b\r\n".repeat(300)).unwrap();
    place.succeed(&format!("{SMALL} --corpus lines --iters 3 --save m --image i"));
    assert_eq!(place.names(), ["i", "lines", "m", "text"]);
    let (saved, image) = (place.bytes("m"), place.bytes("i"));
    let read = Image::from_bytes(&image).unwrap();
    assert_eq!(read.classes(), "\\n\n\\r\n\\\na\nb");
    // What is saved has the same weights in it, bit by bit.
    let weights = &image[image.len() - 4 * read.weights_len()..];
    assert!(saved.windows(weights.len()).any(|bytes| bytes == weights));
    assert!(place.refused(&format!("{SMALL} --corpus text --iters 1 --image no/i")).contains("no/i"));
}

#[test]
fn it_learns_and_writes() {
    let place = Place::new();
    let out = place
        .succeed("--hidden 48 --layers 1 --batch 4 --steps 32 --lr 0.01 --corpus text --iters 200 --save m");
    let last = out.lines().next_back().unwrap();
    assert!(figures(&format!("{last}\n"))[0] < 1.2, "{last}");
    let write = "--load m --iters 0 --prompt 12 --length 100";
    let text = place.succeed(write);
    assert!(
        text.starts_with("12") && text.chars().count() == 2 + 100 + 1 && text.contains(" über "),
        "{text}"
    );
    assert_eq!(text, place.succeed(write));
    assert_ne!(text, place.succeed(&format!("{write} --seed 2")));
    assert_eq!(
        place.succeed(&format!("{write} --temperature 0 --seed 2")),
        place.succeed(&format!("{write} --temperature 0"))
    );
}

#[test]
fn the_default_text_trains() {
    let place = Place::new();
    let [train, val, _] = figures(&place.succeed("--hidden 16 --layers 1 --iters 3 --quiet"));
    assert!((3.0..6.0).contains(&train) && (3.0..6.0).contains(&val));
}

#[test]
fn saving_and_going_on_changes_no_bit() {
    let place = Place::new();
    for cell in ["rnn", "lstm", "gru"] {
        // A stream has 60 windows, so both runs of 70 updates reach its end.
        let options = format!("{SMALL} --corpus text --seed 5 --lr 0.004 --clip 0.7 --cell {cell}");
        let whole = place.succeed(&format!("{options} --iters 140 --save whole"));
        place.succeed(&format!("{options} --iters 70 --save half"));
        let halves = place.succeed("--load half --quiet --corpus text --iters 70 --save half");
        assert_eq!(figures(&whole)[..2], figures(&halves)[..2], "{cell}");
        assert!(place.bytes("whole") == place.bytes("half"), "{cell}");
        place.succeed("--load half --iters 0 --length 1 --save copy");
        assert!(place.bytes("copy") == place.bytes("half"), "{cell}");
    }
    assert_eq!(place.names(), ["copy", "half", "text", "whole"]);
}

#[test]
fn a_damaged_model_is_refused() {
    let place = Place::new();
    place.succeed(&format!("{SMALL} --corpus text --iters 3 --save good"));
    fs::write(place.path("target"), "as it was").unwrap();
    let good = place.bytes("good");
    let refused = |bytes: &[u8], what: &str| {
        fs::write(place.path("bad"), bytes).unwrap();
        let told = place.refused("--load bad --quiet --corpus text --iters 1 --save target");
        assert!(told.contains("bad"), "{what}: {told}");
        place.refused("--load bad --iters 0 --save target");
        assert_eq!(place.bytes("target"), b"as it was", "{what}");
    };
    // Damage every field of the header, and some bytes in every list.
    let header = (0..92).step_by(4);
    let lists = (1..10).map(|i| good.len() * i / 10);
    for at in header.chain(lists).chain([good.len() - 9, good.len() - 1]) {
        for flip in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            refused(&bad, &format!("byte {at} with {flip}"));
        }
        refused(&good[..at], &format!("cut at {at}"));
    }
    refused(&[&good[..], &[0]].concat(), "longer");
    // Sizes that would need more memory than the machine has.
    for at in [16, 20, 24, 28, 32, 84, 88] {
        let mut bad = good.clone();
        bad[at..at + 4].fill(0xff);
        refused(&bad, &format!("size at {at}"));
    }
    assert_eq!(place.names(), ["bad", "good", "target", "text"]);
}

#[test]
fn a_model_of_another_shape_is_refused() {
    let place = Place::new();
    place.succeed(&format!("{SMALL} --corpus text --iters 2 --save m"));
    let before = place.bytes("m");
    for option in ["--cell gru", "--embedding 8", "--hidden 17", "--layers 1", "--batch 5"] {
        let told = place.refused(&format!("--load m --save m --corpus text --iters 1 {option}"));
        assert!(told.contains(option.split(' ').next().unwrap()), "{told}");
    }
    // A text of the same length and with the same characters, but in another order.
    let text = fs::read_to_string(place.path("text")).unwrap();
    fs::write(place.path("other"), text.chars().rev().collect::<String>()).unwrap();
    assert!(place.refused("--load m --save m --corpus other --iters 1").contains("corpus"));
    assert!(place.refused("--load m --save m --iters 1").contains("corpus"));
    assert!(place.bytes("m") == before);
}

#[test]
fn texts_that_cannot_be_used_are_refused() {
    let place = Place::new();
    fs::write(place.path("empty"), "").unwrap();
    fs::write(place.path("small"), "too small").unwrap();
    fs::write(place.path("latin1"), b"\xe4\xf6\xfc".repeat(1000)).unwrap();
    for (corpus, word) in [
        ("empty", "empty"),
        ("small", "small"),
        ("latin1", "UTF-8"),
        ("missing", "missing"),
        (".", "directory"),
    ] {
        let told = place.refused(&format!("--corpus {corpus} --iters 1 --save m"));
        assert!(told.contains(word), "{told}");
    }
    assert!(!place.path("m").exists());
}

#[test]
fn a_training_that_diverges_is_not_saved() {
    let place = Place::new();
    fs::write(place.path("target"), "as it was").unwrap();
    for iters in [2, 5] {
        let told = place.refused(&format!("{SMALL} --corpus text --lr 3e38 --iters {iters} --save target"));
        assert!(told.contains("diverged"), "{told}");
    }
    assert_eq!(place.bytes("target"), b"as it was");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let place = Place::new();
    let mistakes = "--cell tanh|--hidden 0|--hidden x|--layers 65|--batch -1|--steps 0|--lr 0|--lr -1|--lr nan|--clip inf|\
        --temperature -0.1|--iters -1|--seed x|--bogus|stray|--corpus|--load missing|--save .|--save missing/m|\
        --hidden 65536 --layers 64|--prompt 漢";
    for mistake in mistakes.split('|') {
        place.refused(
            &format!("--corpus text --quiet {mistake} --iters 1")
                .replace("--iters -1 --iters 1", "--iters -1"),
        );
    }
    place.succeed(&format!("{SMALL} --corpus text --iters 1 --save m"));
    assert!(place.refused("--load m --iters 0 --prompt 漢").contains('漢'));
    assert!(place.run("--help").status.success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_what_was_learnt() {
    let place = Place::new();
    let mut command = place.command(&format!("{SMALL} --corpus text --iters 1000000000 --save m"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(figures(&String::from_utf8(out.stdout).unwrap())[0] < 3.0);
    place.succeed("--load m --quiet --corpus text --iters 1");
}
