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

const NAMES: [&str; 7] =
    ["activations", "bidirectional", "forecast", "masking", "memory", "sentiment", "vanishing_gradient"];

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
