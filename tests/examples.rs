//! Short runs of the examples: checks their last line and their plots.
#![cfg(feature = "std")]

#[path = "common/example.rs"]
mod example;

use std::fs;

use example::{Run, command, run};

/// Runs an example quietly, and returns the number after each of these words in its only line.
fn figures<const N: usize>(name: &str, options: &str, words: [&str; N]) -> [f64; N] {
    let Run { out, plot } = run(name, &format!("--quiet {options}"), "");
    assert_eq!(out.lines().count(), 1, "{name}: {out}");
    assert!(plot.contains("<polyline"), "{name}");
    words.map(|word| {
        let mut rest = out.split_whitespace().skip_while(|&w| w != word).skip(1);
        rest.next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{word} in {out}"))
    })
}

const NAMES: [&str; 9] = [
    "activations",
    "bidirectional",
    "capture",
    "forecast",
    "masking",
    "memory",
    "morse",
    "sentiment",
    "vanishing_gradient",
];

#[test]
fn each_has_a_help_and_refuses_what_it_does_not_know() {
    for name in NAMES {
        let call = |option: &str| command(name).arg(option).output().unwrap();
        let help = call("--help");
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success(), "{name}");
        for option in ["--seed", "--quiet", "--plot"] {
            assert!(text.contains(option), "{name}: {text}");
        }
        assert!(!call("--bogus").status.success(), "{name}");
    }
}

#[test]
fn activations_are_within_their_errors() {
    let [tanh, sigmoid] = figures("activations", "--every 9973", ["tanh", "sigmoid"]);
    // The bound of the sigmoid is for machines without a fused multiply-add; with one its error is smaller.
    assert!(tanh > 0.5 && tanh < 1.08, "{tanh}");
    assert!(sigmoid > 0.5 && sigmoid < 10.2, "{sigmoid}");
}

#[test]
fn gradients_vanish_unless_a_gate_is_open() {
    let words = ["rnn", "lstm", "gru", "lstm_open", "unclipped", "clipped"];
    let [rnn, lstm, gru, open, unclipped, clipped] =
        figures("vanishing_gradient", "--steps 60 --hidden 32", words);
    assert!(rnn < 1e-8 && lstm < 1e-6 && gru < 1e-6, "{rnn} {lstm} {gru}");
    assert!(open > 0.05, "{open}");
    assert!(clipped < 0.05 && unclipped > 10.0 * clipped, "{unclipped} {clipped}");
}

#[test]
fn masked_rows_have_the_bits_that_they_have_alone() {
    for options in ["--batch 7 --steps 20 --hidden 17", "--batch 1 --steps 1 --hidden 1"] {
        let [different] = figures("masking", options, ["different"]);
        assert_eq!(different, 0.0, "{options}");
    }
    let [unmasked] = figures("masking", "--batch 9 --steps 30 --hidden 16", ["unmasked"]);
    assert!(unmasked > 0.3, "{unmasked}");
}

#[test]
fn two_directions_tag_what_one_cannot() {
    let [forwards, backwards, both] =
        figures("bidirectional", "--length 20 --iters 120", ["forwards", "backwards", "both"]);
    assert!(
        both > 0.95 && both > forwards + 0.05 && both > backwards + 0.05,
        "{forwards} {backwards} {both}"
    );
}

#[test]
fn a_gated_cell_remembers_what_a_simple_one_does_not() {
    let [rnn, gru] = figures("memory", "--steps 30 --iters 250", ["rnn", "gru"]);
    assert!(gru < 0.03 && rnn > 0.1, "{rnn} {gru}");
}

#[test]
fn a_trained_network_forecasts_better_than_naive_ones() {
    let words = ["gru", "naive", "day", "week", "noise"];
    let [gru, naive, day, week, noise] = figures("forecast", "--iters 60", words);
    assert!(noise < gru && gru < naive.min(day).min(week), "{gru} {naive} {day} {week} {noise}");
}

/// The numbers that follow the name of each format in its line.
fn formats(name: &str, options: &str, word: &str) -> Vec<Vec<f64>> {
    let out = run(name, &format!("--narrow {options}"), "").out;
    let lines = ["f16", "bf16", "int8", "int8-a8"].map(|format| {
        let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        let is_of =
            |words: &Vec<String>| words.iter().any(|w| w == "from") && words.iter().any(|w| w == format);
        let words = out.lines().map(words).find(is_of).unwrap_or_else(|| panic!("{format} in {out}"));
        assert!(word.is_empty() || words.iter().any(|w| w == word), "{word} in {out}");
        let number = |w: &String| w.trim_end_matches([',', ';']).parse().ok();
        words.iter().filter_map(number).collect()
    });
    lines.into()
}

#[test]
fn an_amplifier_is_captured_and_played_from_narrow_weights() {
    let options = "--iters 100";
    let [esr, dry] = figures("capture", options, ["esr", "dry"]);
    assert!(esr < 0.3 * dry, "{esr} {dry}");
    // The noise of rounding is below the sound.
    for (of, most) in formats("capture", options, "").iter().zip([-50.0, -30.0, -25.0, -20.0]) {
        assert!(of[1] < most && (of[0] / esr - 1.0).abs() < 0.2, "{of:?} {esr}");
    }
}

#[test]
fn forecasts_and_scores_move_little_from_narrow_weights() {
    for (name, options, word) in [("forecast", "--iters 60", "forecasts"), ("sentiment", "", "scores")] {
        // The change in percent, and the largest move.
        for (of, most) in formats(name, options, word).iter().zip([0.01, 0.1, 0.1, 0.2]) {
            assert!(of[1].abs() < 5.0 && of[2] > 0.0 && of[2] < most, "{name}: {of:?}");
        }
    }
}

#[test]
fn sentences_are_told_apart_and_scored_word_by_word() {
    let [part, count] = figures("sentiment", "", ["test", "of"]);
    assert!(part > 0.7 && count == 49.0, "{part} of {count}");
    let typed = "It was wonderful, I love it\nterrible, a waste of money\n\n";
    let out = run("sentiment", "--interactive", typed).out;
    let scores = |word: &str| -> Vec<f32> {
        let lines = out.lines().rev().take(20).map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.filter(|parts| parts.first() == Some(&word)).map(|parts| parts[1].parse().unwrap()).collect()
    };
    assert!(scores("love")[0] > 0.2, "{out}");
    assert!(scores("money")[0] < -0.2, "{out}");
}

#[test]
fn sentences_of_a_file_are_read() {
    let place = tempfile::TempDir::new().unwrap();
    let file = place.path().join("sentences");
    fs::write(&file, "so good, so nice\t1\nso bad, so sad\t0\n".repeat(40)).unwrap();
    let options = format!("--iters 150 --data {}", file.display());
    let [part, count] = figures("sentiment", &options, ["test", "of"]);
    assert_eq!([part, count], [1.0, 16.0]);

    fs::write(&file, "good\t1\nno label\n").unwrap();
    let out = command("sentiment").arg("--data").arg(&file).output().unwrap();
    let told = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && told.contains("line 2") && told.lines().count() == 1, "{told}");
}

#[test]
fn noisy_morse_code_is_read() {
    // The whole test has 248 sentences, and a bound of 0.02. This part of it has 0.0194.
    let [error] = figures("morse", "--sentences 30", ["error"]);
    assert!(error < 0.03, "{error}");
    // If the noise covers the signal, nothing is read.
    let [error] = figures("morse", "--sentences 8 --ratio -30", ["error"]);
    assert!(error > 0.5, "{error}");
    // A model that has hardly learned anything.
    let [error] = figures("morse", "--sentences 4 --train --iters 1", ["error"]);
    assert!(error > 0.5, "{error}");
}

#[test]
fn morse_code_of_recordings_is_read() {
    let place = tempfile::TempDir::new().unwrap();
    let wav = place.path().join("out.wav");
    let sent = "VVV DE GRU = 73 K";
    let written = command("morse").arg("--write").arg(&wav).args(["--text", sent]).output().unwrap();
    assert!(written.status.success());
    let read = |file: &std::path::Path| run("morse", &format!("--quiet --wav {}", file.display()), "");
    let Run { out, plot } = read(&wav);
    assert_eq!((out.trim(), plot.contains("out.wav")), (sent, true));

    // Two channels and another rate: each sample three times, with silence on the second channel.
    let mut reader = hound::WavReader::open(&wav).unwrap();
    let spec = hound::WavSpec { channels: 2, sample_rate: 12_000, ..reader.spec() };
    let twice = place.path().join("two.wav");
    let mut writer = hound::WavWriter::create(&twice, spec).unwrap();
    for sample in reader.samples::<i16>().map(Result::unwrap) {
        [sample, 0].repeat(3).into_iter().for_each(|s| writer.write_sample(s).unwrap());
    }
    writer.finalize().unwrap();
    assert_eq!(read(&twice).out.trim(), sent);

    for (option, file, says) in [
        ("--wav", "Cargo.toml", "cannot read"),
        ("--model", "examples/firmware/models/gestures.img", "another model"),
    ] {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let out = command("morse").arg(option).arg(file).output().unwrap();
        let told = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && told.contains(says) && told.lines().count() == 1, "{told}");
    }
}
