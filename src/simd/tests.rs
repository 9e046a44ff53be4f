//! Tests of every operation of every instruction set against its definition, bit by bit.

use std::vec::Vec;

use super::{Dot, Isa, Op, Region, Simd, Times, dispatch, dispatch_single};

/// The lanes of three of the widest vectors.
const MOST: usize = 3 * super::MAX_LANES;

/// The same operation with three vectors at once.
struct Thrice<O>(O);

impl<O: Op> Op for Thrice<O> {
    type Output = O::Output;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> O::Output {
        self.0.run(Times::<_, 3>(s))
    }
}

/// The extreme values of the format, and some numbers between them.
fn samples() -> Vec<f32> {
    let mut all = std::vec![0.0, 1.0, 0.5, 3.0, 1e-3, 1e9, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY];
    all.extend([1, 2, 0x7f_ffff, 0x7fc0_0000, 0x7fc1_2345].map(f32::from_bits));
    let mut state = 1u32;
    for _ in 0..18 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        all.push(f32::from_bits(state & 0x7fff_ffff));
    }
    let negative: Vec<f32> = all.iter().map(|x| -x).collect();
    all.extend(negative);
    all
}

/// All NaNs count as equal: their payload and sign are not specified for arithmetic.
fn canonical(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

struct Operations {
    fused: bool,
    name: &'static str,
}

impl Operations {
    fn check(&self, what: &str, args: &[f32], got: f32, want: f32, exact: bool) {
        let same = if exact { got.to_bits() == want.to_bits() } else { canonical(got) == canonical(want) };
        assert!(same, "{}: {what}{args:?} is {got:?}, should be {want:?}", self.name);
    }
}

/// Asserts that all lanes are equal, and returns the first one.
fn only<S: Simd>(s: S, v: S::V) -> f32 {
    let mut out = [f32::NAN; MOST];
    // SAFETY: `out` holds three of the widest vectors, and the widest token of these tests is `Times<_, 3>`.
    unsafe { s.store(out.as_mut_ptr(), v) };
    assert!(out[..S::LANES].iter().all(|x| x.to_bits() == out[0].to_bits()));
    assert!(out[S::LANES..].iter().all(|x| x.is_nan()));
    out[0]
}

impl Op for Operations {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let samples = samples();
        for &a in &samples {
            let x = s.splat(a);
            let bits = a.to_bits();
            macro_rules! one {
                ($name:literal, $got:expr, $want:expr, $exact:literal) => {
                    self.check($name, &[a], only(s, $got), $want, $exact)
                };
            }
            one!("splat", x, a, true);
            one!("abs", s.abs(x), f32::from_bits(bits & 0x7fff_ffff), true);
            one!("sqrt", s.sqrt(x), a.sqrt(), false);
            one!("exponent", s.exponent(x), f32::from_bits(bits << 23), true);
            let (low, high) = s.halves(x);
            one!("halves.0", low, f32::from_bits(bits >> 1), true);
            one!("halves.1", high, f32::from_bits(bits - (bits >> 1)), true);
            for &b in &samples {
                let y = s.splat(b);
                macro_rules! two {
                    ($name:literal, $got:expr, $want:expr, $exact:literal) => {
                        self.check($name, &[a, b], only(s, $got), $want, $exact)
                    };
                }
                two!("add", s.add(x, y), a + b, false);
                two!("sub", s.sub(x, y), a - b, false);
                two!("mul", s.mul(x, y), a * b, false);
                two!("div", s.div(x, y), a / b, false);
                two!("min", s.min(x, y), if a < b { a } else { b }, true);
                two!("max", s.max(x, y), if a > b { a } else { b }, true);
                two!("with_sign", s.with_sign(s.abs(x), y), a.abs().copysign(b), true);
                let chosen = s.lt_select(x, y, s.splat(1.0), s.splat(-2.0));
                two!("lt_select", chosen, if a < b { 1.0 } else { -2.0 }, true);
                match a.is_finite() && b.is_finite() {
                    true => two!("larger", s.larger(x, y), a.abs().max(b.abs()), true),
                    false => assert!(!only(s, s.larger(x, y)).is_finite(), "{}: {a:?}, {b:?}", self.name),
                }
                if let Some(known) = s.lt_known(x, y) {
                    assert_eq!(known, a < b);
                }
                for &c in samples.iter().step_by(3) {
                    let z = s.splat(c);
                    let (sum, difference) = if self.fused {
                        (a.mul_add(b, c), (-a).mul_add(b, c))
                    } else {
                        (a * b + c, c - a * b)
                    };
                    self.check("fma", &[a, b, c], only(s, s.fma(x, y, z)), sum, false);
                    self.check("fnma", &[a, b, c], only(s, s.fnma(x, y, z)), difference, false);
                }
            }
        }
    }
}

#[test]
fn operations_are_their_definitions() {
    for isa in Isa::available() {
        let operations = || Operations { fused: isa.is_fused(), name: isa.name() };
        dispatch(isa, operations());
        dispatch(isa, Thrice(operations()));
        dispatch_single(isa, operations());
    }
}

/// The largest magnitude, in each lane in turn.
struct Largest;

impl Op for Largest {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in samples() {
            for lane in 0..S::LANES {
                let mut from = [-0.5f32; super::MAX_LANES];
                from[lane] = x;
                // SAFETY: no instruction set has more than `MAX_LANES` lanes.
                let got = s.largest(unsafe { s.load(from.as_ptr()) });
                let others = if S::LANES == 1 { 0.0 } else { 0.5 };
                let want = if x.is_nan() { x } else { x.abs().max(others) };
                assert_eq!(canonical(got), canonical(want), "{x:?} in lane {lane}");
            }
        }
    }
}

#[test]
fn the_largest_magnitude_is_found_in_any_lane() {
    for isa in Isa::available() {
        dispatch(isa, Largest);
        dispatch_single(isa, Largest);
    }
}

struct Memory;

impl Op for Memory {
    type Output = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let from: [f32; MOST + 3] = core::array::from_fn(|i| i as f32 + 1.0);
        for at in 0..3 {
            let mut whole = [-1.0; MOST + 3];
            // SAFETY: no instruction set has more than `MOST` lanes, and `at` is less than 3.
            unsafe { s.store(whole.as_mut_ptr().add(at), s.load(from.as_ptr().add(at))) };
            for (i, x) in whole.into_iter().enumerate() {
                assert_eq!(x, if (at..at + S::LANES).contains(&i) { from[i] } else { -1.0 });
            }
            for n in 0..=S::LANES {
                // A buffer of the exact length, so that an interpreter or a sanitiser detects reads beyond
                // it.
                let exact = from[at..at + n].to_vec();
                let (mut loaded, mut stored) = ([-1.0; MOST + 3], [-1.0; MOST + 3]);
                // SAFETY: `exact` has `n` elements, no instruction set has more than `MOST` lanes, and `at`
                // is less than 3.
                unsafe {
                    s.store(loaded.as_mut_ptr(), s.load_n(exact.as_ptr(), n));
                    s.store_n(stored.as_mut_ptr().add(at), s.load(from.as_ptr().add(at)), n);
                }
                for i in 0..S::LANES {
                    assert_eq!(loaded[i], if i < n { exact[i] } else { 0.0 });
                }
                for (i, x) in stored.into_iter().enumerate() {
                    assert_eq!(x, if (at..at + n).contains(&i) { from[i] } else { -1.0 });
                }
            }
        }
        S::LANES
    }
}

#[test]
fn partial_loads_and_stores_touch_what_they_name() {
    for isa in Isa::available() {
        assert_eq!(dispatch(isa, Memory), isa.lanes());
        assert_eq!(dispatch(isa, Thrice(Memory)), 3 * isa.lanes());
        assert_eq!(dispatch_single(isa, Memory), 1);
    }
}

/// Tests of integers and 16-bit floats, lane by lane, against their definitions.
struct NarrowOperations(Dot);

/// The value of a 16-bit float, by its definition.
fn binary16(bits: u16) -> f32 {
    let (sign, exponent, rest) = (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => rest * 2f64.powi(-24),
        31 => f64::INFINITY,
        _ => (1024.0 + rest) * 2f64.powi(exponent - 25),
    };
    (if sign == 1 { -magnitude } else { magnitude }) as f32
}

impl Op for NarrowOperations {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let lanes = |v: S::V| {
            let mut out = [f32::NAN; MOST];
            // SAFETY: no instruction set of these tests has more than `MOST` lanes.
            unsafe { s.store(out.as_mut_ptr(), v) };
            out
        };
        // Both ends of the range, and values between them.
        let weights: Vec<i8> = (0..2 * S::LANES).map(|i| [127, -127, 0, 1, -86, 33][i % 6]).collect();
        for x in [[32767, -32767], [-32767, -32767], [1, 0], [-300, 12345]] {
            // SAFETY: two weights for each lane, and two integers.
            let (w, x_pair) = unsafe { (s.load_pairs(weights.as_ptr()), s.splat_pair(x.as_ptr())) };
            let sums = lanes(s.ints_to_f32(s.dot(s.dot(s.no_ints(), w, x_pair), w, x_pair)));
            for i in 0..S::LANES {
                let once = i32::from(weights[2 * i]) * i32::from(x[0])
                    + i32::from(weights[2 * i + 1]) * i32::from(x[1]);
                assert_eq!(sums[i].to_bits(), ((2 * once) as f32).to_bits(), "{x:?}, lane {i}");
            }
        }
        if S::DOT && self.0.is_used() {
            // SAFETY: the CPU has the dot product, as it said.
            unsafe { s.call_dot(BytesAre(s, true)) };
        }
        if S::FOURS {
            BytesAre(s, false).run();
            // Both ends of the range again.
            let weights: Vec<i8> = (0..4 * S::LANES).map(|i| [127, -127, 0, 1, -86, 33, 5][i % 7]).collect();
            for x in [[32767i16, -32767, 32767, -32767], [-32767; 4], [1, 2, -4, 8], [-300, 12345, 0, 999]] {
                // SAFETY: four weights for each lane, and four integers.
                let (w, four) = unsafe { (s.load_fours(weights.as_ptr()), s.load_four(x.as_ptr())) };
                let sums = lanes(s.ints_to_f32(s.dot_fours(s.dot_fours(s.no_ints(), four, w), four, w)));
                for i in 0..S::LANES {
                    let once: i32 =
                        (0..4).map(|j| i32::from(x[j]) * i32::from(weights[j * S::LANES + i])).sum();
                    assert_eq!(sums[i].to_bits(), ((2 * once) as f32).to_bits(), "{x:?}, lane {i}");
                }
            }
        }
        let mut stored = [7i16; MOST + 1];
        // SAFETY: no instruction set of these tests has more than `MOST` lanes.
        unsafe { s.store_low(stored.as_mut_ptr(), s.add(s.splat(-12345.0), s.splat(12_582_912.0))) };
        for (i, x) in stored.into_iter().enumerate() {
            assert_eq!(x, if i < S::LANES { -12345 } else { 7 });
        }
        // All 16-bit numbers.
        for first in (0..=u16::MAX).step_by(S::LANES) {
            let bits: Vec<u16> = (0..S::LANES).map(|i| first.saturating_add(i as u16)).collect();
            // SAFETY: a number for each lane.
            let (f16, bf16) = unsafe { (s.load_f16(bits.as_ptr()), s.load_bf16(bits.as_ptr())) };
            let (f16, bf16) = (lanes(f16), lanes(bf16));
            for (i, bits) in bits.into_iter().enumerate() {
                assert_eq!(bf16[i].to_bits(), u32::from(bits) << 16);
                if bits & 0x7fff <= 0x7c00 {
                    assert_eq!(f16[i].to_bits(), binary16(bits).to_bits(), "{bits:x}");
                }
            }
        }
    }
}

/// The operations of a dot product of bytes: the CPU's, or one of other instructions.
struct BytesAre<S>(S, bool);

impl<S: Simd> Region for BytesAre<S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let s = self.0;
        let lanes = |v: S::V| {
            let mut out = [f32::NAN; MOST];
            // SAFETY: no instruction set of these tests has more than `MOST` lanes.
            unsafe { s.store(out.as_mut_ptr(), v) };
            out
        };
        let weights: Vec<u8> =
            (0..4 * S::LANES).map(|i| [127i8, -127, 0, 1, -86, 33, 127][i % 7].cast_unsigned()).collect();
        for x in [[255u8; 4], [1, 2, 4, 8], [0, 128, 255, 127]] {
            // SAFETY: four weights for each lane, four bytes, and this is a region of `call_dot`.
            let (once, joined) = unsafe {
                let (w, x) = (s.load_bytes(weights.as_ptr()), s.splat_bytes(x.as_ptr()));
                let dot = |acc| if self.1 { s.dot_bytes(acc, x, w) } else { s.dot_bytes_plain(acc, x, w) };
                let once = dot(s.no_ints());
                (once, s.join_bytes(once, dot(once)))
            };
            let (once, joined) = (lanes(s.ints_to_f32(once)), lanes(s.ints_to_f32(joined)));
            for i in 0..S::LANES {
                let w = weights[4 * i..].iter().map(|w| i32::from(w.cast_signed()));
                let value = |x: u8| if S::SIGNED { i32::from(x.cast_signed()) } else { i32::from(x) };
                let sum: i32 = x.into_iter().zip(w).map(|(x, w)| value(x) * w).sum();
                assert_eq!(once[i].to_bits(), (sum as f32).to_bits(), "{x:?}, lane {i}");
                assert_eq!(joined[i].to_bits(), ((258 * sum) as f32).to_bits(), "{x:?}, lane {i}");
            }
        }
        for above in [false, true] {
            let (mut stored, bits) = ([7u8; MOST + 1], f32::from_bits(0x1234_5678));
            // SAFETY: no instruction set of these tests has more than `MOST` lanes.
            unsafe { s.store_byte(stored.as_mut_ptr(), s.splat(bits), above) };
            for (i, x) in stored.into_iter().enumerate() {
                assert_eq!(
                    x,
                    match () {
                        _ if i >= S::LANES => 7,
                        _ if S::SIGNED => 0x80 ^ if above { 0x56 } else { 0x78 },
                        _ =>
                            if above {
                                0x56
                            } else {
                                0x78
                            },
                    }
                );
            }
        }
    }
}

#[test]
fn narrow_operations_are_their_definitions() {
    for isa in Isa::available() {
        dispatch(isa, NarrowOperations(isa.dot()));
        dispatch(isa, Thrice(NarrowOperations(isa.dot())));
        dispatch_single(isa, NarrowOperations(isa.dot()));
    }
}

#[test]
fn the_best_set_is_the_last_available() {
    let best = Isa::detect();
    if best != Isa::SCALAR {
        assert_eq!(Isa::available().last(), Some(best));
    }
    assert!(Isa::available().all(|isa| isa.lanes() <= super::MAX_LANES));
}
