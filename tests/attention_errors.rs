//! The errors of attention.

#[path = "common/numbers.rs"]
mod numbers;

use numbers::length;
use recurrent::{
    Attention, AttentionBackward, AttentionForward, Error, Gradients, Isa, KeysBackward, Sequences,
};

#[test]
fn wrong_arguments_are_refused_before_anything_is_written() {
    let layer = Attention::additive(3, 2, 5);
    let (weights, x) = (vec![0.1; layer.weights_len()], [0.5; 4 * 2 * 2]);
    let mut scratch = vec![7.0; layer.train_scratch_len(3, 4, 2)];
    let mut room = vec![7.0; layer.keys_len(4, 2)];
    let less = |of: &[f32]| of.len() - 1;
    let sequences = Sequences::new(4, 2);
    let error = layer.keys(&weights[1..], sequences, &x, &mut room[..], &mut scratch).unwrap_err();
    assert_eq!(error, length("weights", weights.len(), less(&weights)));
    let error = layer.keys(&weights, sequences, &x[1..], &mut room[..], &mut scratch).unwrap_err();
    assert_eq!(error, length("x", 16, 15));
    let error = layer.keys(&weights, sequences, &x, &mut room[1..], &mut scratch).unwrap_err();
    assert_eq!(error, length("keys", layer.keys_len(4, 2), layer.keys_len(4, 2) - 1));
    let need = layer.scratch_len(0, 4, 2);
    let error = layer.keys(&weights, sequences, &x, &mut room[..], &mut scratch[..need - 1]).unwrap_err();
    assert_eq!(error, length("scratch", need, need - 1));
    let error =
        layer.keys(&weights, sequences.lengths(&[5, 0]), &x, &mut room[..], &mut scratch).unwrap_err();
    assert_eq!(error, Error::Index { buffer: "lengths", position: 0, id: 5, limit: 5 });
    assert!(room.iter().chain(&scratch).all(|x| *x == 7.0));

    let keys = layer.keys(&weights, sequences, &x, room, &mut scratch).unwrap();
    scratch.fill(7.0);
    let forward = |layer: Attention, cut: &str, batch: usize| {
        let (mut context, mut alignments) = (vec![7.0; 3 * batch * 2], vec![7.0; 3 * batch * 4]);
        let (queries, mut scratch) = (vec![0.5; 3 * batch * 3], vec![7.0; layer.scratch_len(3, 4, batch)]);
        let from = |name: &str| usize::from(name == cut);
        let args = AttentionForward {
            sequences: Sequences::new(3, batch),
            queries: &queries[from("queries")..],
            context: &mut context[from("context")..],
            alignments: &mut alignments[from("alignments")..],
            scratch: &mut scratch[from("scratch")..],
        };
        let error = layer.forward(&weights[from("weights")..], &keys, args).unwrap_err();
        assert!(context.iter().chain(&alignments).chain(&scratch).all(|x| *x == 7.0), "{cut}");
        error
    };
    let room = layer.scratch_len(3, 4, 2);
    let lens =
        [("weights", weights.len()), ("queries", 18), ("context", 12), ("alignments", 24), ("scratch", room)];
    for (name, len) in lens {
        assert_eq!(forward(layer, name, 2), length(name, len, len - 1));
    }
    assert_eq!(forward(layer, "", 1), length("batch", 2, 1));
    assert_eq!(forward(Attention::additive(3, 2, 4), "", 2), Error::Packing { what: "keys" });
    assert_eq!(forward(Attention::general(3, 2), "", 2), Error::Packing { what: "keys" });
    let other = Isa::available().find(|isa| *isa != layer.isa()).unwrap();
    assert_eq!(forward(layer.on(other), "", 2), Error::Packing { what: "instruction set" });

    let backward = |cut: &str| {
        let from = |name: &str| usize::from(name == cut);
        let (queries, alignments, dcontext) = ([0.5; 18], [0.25; 24], [0.5; 12]);
        let mut dqueries = [7.0; 18];
        let (mut dkeys, mut grads) = (vec![7.0; layer.dkeys_len(4, 2)], vec![7.0; weights.len()]);
        let mut scratch = vec![7.0; layer.train_scratch_len(3, 4, 2)];
        let args = AttentionBackward {
            sequences: Sequences::new(3, 2),
            queries: &queries[from("queries")..],
            alignments: &alignments[from("alignments")..],
            dcontext: &dcontext[from("dcontext")..],
            dqueries: &mut dqueries[from("dqueries")..],
            dkeys: &mut dkeys[from("dkeys")..],
            grads: Some(&mut grads[from("grads")..]),
            mode: Gradients::Overwrite,
            scratch: &mut scratch[from("scratch")..],
        };
        let error = layer.backward(&weights[from("weights")..], &keys, args).unwrap_err();
        let written = dqueries.iter().chain(&dkeys).chain(&grads).chain(&scratch);
        assert!(written.copied().all(|x| x == 7.0), "{cut}");
        error
    };
    let (dkeys, room) = (layer.dkeys_len(4, 2), layer.train_scratch_len(3, 4, 2));
    let lens =
        [("weights", weights.len()), ("queries", 18), ("alignments", 24), ("dcontext", 12), ("dqueries", 18)];
    for (name, len) in lens.into_iter().chain([("dkeys", dkeys), ("grads", weights.len()), ("scratch", room)])
    {
        assert_eq!(backward(name), length(name, len, len - 1));
    }

    let keys_backward = |cut: &str| {
        let from = |name: &str| usize::from(name == cut);
        let (mut dx, mut dkeys) = ([7.0; 16], vec![7.0; layer.dkeys_len(4, 2)]);
        let (mut grads, mut scratch) =
            (vec![7.0; weights.len()], vec![7.0; layer.train_scratch_len(0, 4, 2)]);
        let args = KeysBackward {
            x: &x[from("x")..],
            dkeys: &mut dkeys[from("dkeys")..],
            dx: &mut dx[from("dx")..],
            grads: Some(&mut grads[from("grads")..]),
            mode: Gradients::Overwrite,
            scratch: &mut scratch[from("scratch")..],
        };
        let error = layer.keys_backward(&weights[from("weights")..], &keys, args).unwrap_err();
        assert!(dx.iter().chain(&dkeys).chain(&grads).chain(&scratch).all(|x| *x == 7.0), "{cut}");
        error
    };
    let room = layer.train_scratch_len(0, 4, 2);
    let lens =
        [("weights", weights.len()), ("x", 16), ("dkeys", dkeys), ("dx", 16), ("grads", weights.len())];
    for (name, len) in lens.into_iter().chain([("scratch", room)]) {
        assert_eq!(keys_backward(name), length(name, len, len - 1));
    }
    let huge = Attention::general(usize::MAX / 2, 3);
    assert_eq!(huge.weights_len(), usize::MAX);
    let result = huge.keys(&[], Sequences::new(1, 1), &[0.0; 3], [], &mut []);
    assert_eq!(result.unwrap_err(), Error::Overflow { buffer: "weights" });
}
