//! The example `seq2seq` as its users see it.

#[path = "common/example.rs"]
mod example;

use example::Run;

fn run(options: &str, input: &str) -> Run {
    example::run("seq2seq", options, input)
}

/// The numbers of the last line: share of right dates by greedy search and by beam search, and seconds.
fn figures(out: &str) -> [f64; 3] {
    let words: Vec<_> = out.lines().last().unwrap().split(' ').collect();
    assert_eq!([words[0], words[2], words[4]], ["exact", "beam", "seconds"]);
    [1, 3, 5].map(|i| words[i].parse().unwrap())
}

#[test]
fn every_kind_of_attention_runs_and_is_the_same_each_time() {
    const SMALL: &str = "--updates 3 --batch 4 --hidden 8 --embedding 5 --unseen 70 --beam 2";
    for attention in ["dot", "scaled-dot", "general", "additive"] {
        let options = format!("{SMALL} --attention {attention}");
        let Run { out, plot } = run(&format!("{options} --interactive 1/2/1999"), "3 may 1998\n\n");
        let [greedy, beam, _] = figures(&out);
        assert!((0.0..=1.0).contains(&greedy) && (0.0..=1.0).contains(&beam), "{out}");
        assert!(out.contains("\n1/2/1999  ->  ") && out.contains("\n3 may 1998  ->  "), "{out}");
        assert!(plot.contains("Attention weights: "));
        let again = run(&format!("{options} --quiet"), "");
        assert_eq!((again.out.lines().count(), figures(&again.out)[..2].to_vec()), (1, vec![greedy, beam]));
        assert_eq!(plot, again.plot);
    }
}

#[test]
fn a_short_training_learns() {
    let Run { out, .. } = run("--quiet --updates 120 --batch 32 --hidden 32 --lr 0.01 --unseen 100", "");
    // Guessing would succeed once in 36525 dates.
    assert!(figures(&out)[0] > 0.02, "{out}");
}

#[test]
fn wrong_options_are_refused() {
    for options in ["--hidden 7", "--beam 0", "--attention none", "--updates -1"] {
        let out = example::command("seq2seq").args(options.split(' ')).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{options}");
    }
}
