//! Optimisers and learning rates, compared with PyTorch.

#[path = "common/numbers.rs"]
mod numbers;
#[path = "common/tensors.rs"]
mod tensors;

use numbers::{SIZES, assert_close, length, random};
use recurrent::train::{Adam, AdamW, Clip, Cosine, RmsProp, Sgd, Steps, clip_scale};
use recurrent::{Error, Result};
use tensors::Tensors;

/// Any optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Optimiser {
    Sgd(Sgd),
    RmsProp(RmsProp),
    Adam(Adam),
    AdamW(AdamW),
}

impl Optimiser {
    fn moments_len(&self, n: usize) -> usize {
        match self {
            Optimiser::Sgd(sgd) => sgd.moments_len(n),
            Optimiser::RmsProp(rms) => rms.moments_len(n),
            Optimiser::Adam(_) => Adam::moments_len(n),
            Optimiser::AdamW(_) => AdamW::moments_len(n),
        }
    }

    fn update(&mut self, w: &mut [f32], g: &[f32], m: &mut [f32], scale: f32) -> Result<()> {
        match self {
            Optimiser::Sgd(sgd) => sgd.update_scaled(w, g, m, scale),
            Optimiser::RmsProp(rms) => rms.update_scaled(w, g, m, scale),
            Optimiser::Adam(adam) => adam.update_scaled(w, g, m, scale),
            Optimiser::AdamW(adam) => adam.update_scaled(w, g, m, scale),
        }
    }

    fn update_plain(&mut self, w: &mut [f32], g: &[f32], m: &mut [f32]) -> Result<()> {
        match self {
            Optimiser::Sgd(sgd) => sgd.update(w, g, m),
            Optimiser::RmsProp(rms) => rms.update(w, g, m),
            Optimiser::Adam(adam) => adam.update(w, g, m),
            Optimiser::AdamW(adam) => adam.update(w, g, m),
        }
    }
}

/// The same list as in tests/data/training/generate.py.
fn optimisers() -> Vec<(&'static str, Optimiser)> {
    let (beta1, beta2, eps) = (0.8, 0.99, 1e-6);
    vec![
        ("sgd", Optimiser::Sgd(Sgd::new(0.02))),
        ("sgd_decay", Optimiser::Sgd(Sgd::new(0.02).weight_decay(0.1))),
        ("sgd_momentum", Optimiser::Sgd(Sgd::new(0.02).momentum(0.9).weight_decay(0.01))),
        ("sgd_nesterov", Optimiser::Sgd(Sgd::new(0.02).nesterov(0.8).weight_decay(0.01))),
        ("rmsprop", Optimiser::RmsProp(RmsProp::new(0.005))),
        (
            "rmsprop_momentum",
            Optimiser::RmsProp(RmsProp {
                alpha: 0.95,
                ..RmsProp::new(0.002).momentum(0.5).weight_decay(0.01)
            }),
        ),
        ("rmsprop_centered", Optimiser::RmsProp(RmsProp { alpha: 0.9, ..RmsProp::new(0.005).centered() })),
        (
            "rmsprop_all",
            Optimiser::RmsProp(RmsProp {
                alpha: 0.9,
                eps: 1e-4,
                ..RmsProp::new(0.002).centered().momentum(0.5).weight_decay(0.02)
            }),
        ),
        ("adam", Optimiser::Adam(Adam::new(0.01))),
        ("adam_decay", Optimiser::Adam(Adam { beta1, beta2, eps, weight_decay: 0.1, ..Adam::new(0.01) })),
        ("adamw", Optimiser::AdamW(AdamW::new(0.01))),
        ("adamw_decay", Optimiser::AdamW(AdamW { beta1, beta2, eps, weight_decay: 0.3, ..AdamW::new(0.01) })),
    ]
}

/// Runs an optimiser, and compares the weights with those that the file has after some updates.
fn follow(golden: &Tensors, name: &str, mut optimiser: Optimiser, clip: Option<f32>) {
    let mut w = golden.f32("weights");
    let n = w.len();
    let (grads, expected) = (golden.f32("grads"), golden.f64(name));
    let mut moments = vec![0.0; optimiser.moments_len(n)];
    assert_eq!(expected.len(), 4 * n, "{name}");
    let mut kept = expected.chunks(n).zip([1, 10, 50, 100]).peekable();
    for (update, grads) in (1..).zip(grads.chunks(n)) {
        let scale = match clip {
            Some(max) => clip_scale(grads, max).unwrap().unwrap().scale,
            None => 1.0,
        };
        optimiser.update(&mut w, grads, &mut moments, scale).unwrap();
        if let Some((expected, _)) = kept.next_if(|(_, at)| *at == update) {
            assert_close(name, &w, expected, 1e-6);
        }
    }
    assert!(kept.next().is_none());
}

#[test]
fn optimisers_follow_pytorch_over_a_hundred_updates() {
    let golden = Tensors::read("training/training");
    for (name, optimiser) in optimisers() {
        follow(&golden, name, optimiser, None);
        if ["sgd_momentum", "adamw"].contains(&name) {
            follow(&golden, &format!("{name}_clipped"), optimiser, Some(1.5));
        }
    }
}

#[test]
fn the_scale_is_that_of_the_gradients_and_elements_are_independent() {
    for (name, optimiser) in optimisers() {
        for n in SIZES.into_iter().chain([0]) {
            let (before, grads) = (random(n, 40), random(n, 41));
            let room = optimiser.moments_len(n);
            // Moments as after some updates: mean squares, and means that are possible for these mean
            // squares.
            let m: Vec<f32> =
                random(room, 42).iter().map(|m| if room == n { *m } else { 0.3 + 0.1 * m }).collect();
            let run = |scale: f32, by: f32| {
                let (mut optimiser, mut w, mut m) = (optimiser, before.clone(), m.clone());
                let grads: Vec<f32> = grads.iter().map(|g| g * by).collect();
                match scale {
                    1.0 => optimiser.update_plain(&mut w, &grads, &mut m).unwrap(),
                    _ => optimiser.update(&mut w, &grads, &mut m, scale).unwrap(),
                }
                (w, m, optimiser)
            };
            let (w, m_all, _) = run(1.0, 0.25);
            assert_eq!(run(0.25, 1.0), run(1.0, 0.25), "{name}");
            // Updates the last element alone.
            if n > 0 {
                let mut optimiser = optimiser;
                let mut one: Vec<f32> = m.chunks(n).map(|m| m[n - 1]).collect();
                let mut last = [before[n - 1]];
                optimiser.update(&mut last, &grads[n - 1..], &mut one, 0.25).unwrap();
                assert_eq!(
                    (last[0], &one),
                    (w[n - 1], &m_all.chunks(n).map(|m| m[n - 1]).collect()),
                    "{name}"
                );
            }
        }
    }
}

/// Gradients of 1 with a noise of 1e-3: their variance is a millionth of their mean square. PyTorch computes
/// it as a difference of squares. In f64 steps then stay near 1 and weights below 3000. In f32 the difference
/// is 0 for some weights, and their step is 1e5.
#[test]
fn centred_rmsprop_keeps_small_variances() {
    const N: usize = 64;
    let (lr, alpha, eps) = (1e-3f32, 0.99f32, 1e-8f32);
    for momentum in [0.0f32, 0.5] {
        let rms = RmsProp::new(lr).centered().momentum(momentum);
        let (mut w, mut moments) = (vec![0.0f32; N], vec![0.0; rms.moments_len(N)]);
        let mut wide = vec![[0.0f64; 4]; N];
        let mut most = 0f64;
        for update in 0..3000 {
            let g: Vec<f32> = random(N, 1000 + update).iter().map(|x| 1.0 + 1e-3 * x).collect();
            rms.update(&mut w, &g, &mut moments).unwrap();
            let (lr, alpha, eps) = (f64::from(lr), f64::from(alpha), f64::from(eps));
            for ([w, v, a, u], g) in wide.iter_mut().zip(&g) {
                let g = f64::from(*g);
                *v = alpha * *v + (1.0 - alpha) * g * g;
                *a = alpha * *a + (1.0 - alpha) * g;
                let d = g / ((*v - *a * *a).sqrt() + eps);
                *u = f64::from(momentum) * *u + d;
                *w -= lr * *u;
                most = most.max(lr * *u);
            }
        }
        // The exact steps are of a reasonable size.
        assert!(most < 10.0, "{most}");
        for (w, [wide, ..]) in w.iter().zip(&wide) {
            assert!((f64::from(*w) - wide).abs() < 1e-3 * wide.abs(), "{w} {wide}");
        }
    }
}

#[test]
fn optimisers_can_be_saved() {
    for (name, mut optimiser) in optimisers() {
        let (mut w, mut moments) = (random(9, 25), vec![0.0; optimiser.moments_len(9)]);
        optimiser.update(&mut w, &random(9, 26), &mut moments, 1.0).unwrap();
        let (mut again, mut w2, mut moments2) = (optimiser, w.clone(), moments.clone());
        optimiser.update(&mut w, &random(9, 27), &mut moments, 1.0).unwrap();
        again.update(&mut w2, &random(9, 27), &mut moments2, 1.0).unwrap();
        assert_eq!((optimiser, &w, &moments), (again, &w2, &moments2), "{name}");
    }
}

#[test]
fn optimisers_refuse_nonsense_before_anything_is_written() {
    let refused = |mut optimiser: Optimiser, grads: usize, room: usize, scale: f32| {
        let old = optimiser;
        let (mut w, mut moments) = ([0.5; 9], vec![0.25; room]);
        let error = optimiser.update(&mut w, &[1.0; 10][..grads], &mut moments, scale).unwrap_err();
        assert_eq!((w, moments), ([0.5; 9], vec![0.25; room]));
        // NaN is not equal to itself, so compare texts.
        assert_eq!(format!("{optimiser:?}"), format!("{old:?}"));
        error
    };
    for (_, optimiser) in optimisers() {
        let room = optimiser.moments_len(9);
        assert_eq!(refused(optimiser, 8, room, 1.0), length("grads", 9, 8));
        assert_eq!(refused(optimiser, 10, room, 1.0), length("grads", 9, 10));
        assert_eq!(refused(optimiser, 9, room + 1, 1.0), length("moments", room, room + 1));
        for scale in [f32::NAN, f32::INFINITY] {
            let error = refused(optimiser, 9, room, scale);
            assert!(matches!(error, Error::Value { argument: "scale", .. }));
        }
    }
    let (sgd, rms, adam) = (Sgd::new(0.1).momentum(0.9), RmsProp::new(0.1), Adam::new(0.1));
    for (name, optimiser) in [
        ("lr", Optimiser::Sgd(Sgd { lr: f32::NAN, ..sgd })),
        ("momentum", Optimiser::Sgd(Sgd { momentum: 1.0, ..sgd })),
        ("momentum", Optimiser::Sgd(Sgd::new(0.1).nesterov(0.0))),
        ("weight_decay", Optimiser::Sgd(Sgd { weight_decay: -0.1, ..sgd })),
        ("lr", Optimiser::RmsProp(RmsProp { lr: -1.0, ..rms })),
        ("alpha", Optimiser::RmsProp(RmsProp { alpha: 1.5, ..rms })),
        ("eps", Optimiser::RmsProp(RmsProp { eps: f32::NAN, ..rms })),
        ("momentum", Optimiser::RmsProp(rms.momentum(-0.5))),
        ("weight_decay", Optimiser::RmsProp(rms.weight_decay(f32::INFINITY))),
        ("lr", Optimiser::Adam(Adam { lr: f32::NAN, ..adam })),
        ("lr", Optimiser::Adam(Adam { lr: -1.0, ..adam })),
        ("beta1", Optimiser::Adam(Adam { beta1: 1.0, ..adam })),
        ("beta2", Optimiser::Adam(Adam { beta2: -0.1, ..adam })),
        ("beta2", Optimiser::Adam(Adam { beta2: f32::NAN, ..adam })),
        ("eps", Optimiser::Adam(Adam { eps: -1.0, ..adam })),
        ("weight_decay", Optimiser::AdamW(AdamW { weight_decay: -1.0, ..AdamW::new(0.1) })),
    ] {
        let error = refused(optimiser, 9, optimiser.moments_len(9), 1.0);
        assert!(matches!(error, Error::Value { argument, .. } if argument == name), "{optimiser:?}: {error}");
    }
    assert_eq!(RmsProp::new(0.1).centered().moments_len(usize::MAX), usize::MAX);
    assert_eq!(clip_scale(&[], 1.0), Ok(Some(Clip { norm: 0.0, scale: 1.0 })));
}

#[test]
fn learning_rates_follow_pytorch() {
    let golden = Tensors::read("training/training");
    let got = |at: &dyn Fn(u64) -> f32| (0..41).map(at).collect::<Vec<_>>();
    let cosine = Cosine::new(0.1, 45).warmup(5).floor(0.001);
    assert_close("cosine", &got(&|step| cosine.at(step + 5)), &golden.f64("cosine"), 1e-8);
    assert_close("warm-up", &[0, 1, 4].map(|step| cosine.at(step)), &[0.02, 0.04, 0.1], 1e-8);
    assert_eq!([45, 46, u64::MAX].map(|step| cosine.at(step)), [0.001; 3]);
    // A warm-up longer than the schedule, and a schedule without updates.
    assert_eq!([9, 10].map(|step| Cosine::new(1.0, 5).warmup(10).at(step)), [1.0, 0.0]);
    assert_eq!(Cosine::new(1.0, 0).at(0), 0.0);
    let steps = Steps::new(0.1, 0.3, 7);
    assert_close("steps", &got(&|step| steps.at(step)), &golden.f64("steps"), 1e-8);
    assert_eq!(Steps::new(0.1, 0.5, 0).at(u64::MAX), 0.1);
}
