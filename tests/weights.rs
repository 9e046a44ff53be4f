//! Packed weights belong to a layer and an instruction set. Views give names to the parts of canonical
//! weights.

mod common;

use common::{Kind, Layer, Random, pattern, random_weights};
use recurrent::{Activation, Error, Gru, Isa, Lstm, LstmGate, Reset, Rnn};

#[test]
fn packed_weights_of_another_layer_are_refused() {
    let isa = Isa::detect();
    let step = |packer: Layer, layer: Layer| {
        let weights = random_weights(packer, &mut Random::new(1));
        let packed = packer.pack(&weights).unwrap();
        let mut state = pattern(layer.state_len(1));
        let mut scratch = pattern(layer.scratch_len(1, 1));
        let before = (state.clone(), scratch.clone());
        let result = layer.step(&packed, &pattern(layer.input()), &mut state, &mut scratch);
        if result.is_err() {
            assert_eq!((state, scratch), before, "something was written");
        }
        result
    };
    // Activations, clips and coupled gates do not change the layout of the weights.
    let layout = |kind: Kind| {
        let reset_before = matches!(kind, Kind::GruResetBefore | Kind::GruResetBeforeOptions);
        (kind.gates(), kind.bias(), kind.peepholes(), kind.projection(5), reset_before, kind.normalised())
    };
    for one in Kind::ALL {
        for other in Kind::ALL {
            let result = step(one.layer(5, 5, isa), other.layer(5, 5, isa));
            let same = layout(one) == layout(other);
            let want = if same { Ok(()) } else { Err(Error::Packing { what: "layer" }) };
            assert_eq!(result, want, "{one:?} for {other:?}");
        }
        for (input, hidden) in [(5, 6), (6, 5), (4, 5), (5, 4), (6, 4)] {
            let result = step(one.layer(input, hidden, isa), one.layer(5, 5, isa));
            assert_eq!(result, Err(Error::Packing { what: "layer" }), "{one:?} {input} x {hidden}");
        }
        for packed_on in Isa::available() {
            for isa in Isa::available() {
                let result = step(one.layer(5, 5, packed_on), one.layer(5, 5, isa));
                let want =
                    if packed_on == isa { Ok(()) } else { Err(Error::Packing { what: "instruction set" }) };
                assert_eq!(result, want, "{one:?} from {} to {}", packed_on.name(), isa.name());
            }
        }
    }
}

/// A layer without a chosen instruction set uses the set that its weights were packed for.
#[test]
fn packed_weights_bring_their_instruction_set() {
    for isa in Isa::available() {
        let weights = pattern(Lstm::new(3, 5).weights_len());
        let pinned = Lstm::new(3, 5).on(isa);
        let packed = pinned.pack(&weights, vec![0.0; pinned.packed_len()]).unwrap();
        assert_eq!(packed.isa(), isa);
        let mut states = [pattern(10), pattern(10)];
        let mut scratch = vec![0.0; pinned.scratch_len(1, 1)];
        pinned.step(&packed, &[0.3; 3], &mut states[0], &mut scratch).unwrap();
        Lstm::new(3, 5).step(&packed, &[0.3; 3], &mut states[1], &mut scratch).unwrap();
        assert_eq!(states[0], states[1]);
        assert_eq!(packed.into_inner().len(), pinned.packed_len());
    }
}

/// The lengths are constants, and the views are cut as documented.
#[test]
fn views_over_the_weights() {
    const LAYER: Lstm = Lstm::new(2, 3);
    const LEN: usize = LAYER.weights_len();
    let mut flat: [f32; LEN] = core::array::from_fn(|i| i as f32);
    assert_eq!(LEN, 4 * 3 * (2 + 3 + 2));
    let view = LAYER.weights(&flat).unwrap();
    assert_eq!((view.w_ih.len(), view.w_hh.len(), view.b_ih.len(), view.b_hh.len()), (24, 36, 12, 12));
    assert_eq!((view.w_ih[0], view.w_hh[0], view.b_ih[0], view.b_hh[0]), (0.0, 24.0, 60.0, 72.0));
    let gate = view.gate(LstmGate::Cell);
    assert_eq!(gate.w_ih, &flat[12..18]);
    assert_eq!(gate.w_hh, &flat[24 + 18..24 + 27]);
    assert_eq!((gate.b_ih, gate.b_hh), (&flat[66..69], &flat[78..81]));
    LAYER.weights_mut(&mut flat).unwrap().gate(LstmGate::Forget).b_ih.fill(-1.0);
    assert!(flat.iter().enumerate().all(|(i, v)| (*v == -1.0) == (63..66).contains(&i)));

    const _: [f32; Rnn::new(2, 3).activation(Activation::Relu).tape_len(4, 5)] = [0.0; 15 + 4 * 15];
    const _: [f32; Gru::new(2, 3).reset(Reset::Before).state_len(5)] = [0.0; 15];
}
