//! Rows times narrow panels.
//!
//! Weights of 16 bits are widened in registers, then use the chains of
//! [`panel::sums`](crate::kernel::panel::sums): the bits are the same. Integers are summed exactly, two
//! elements of a row at a time.

use core::marker::PhantomData;
use core::ops::Range;

use super::{Narrow, WIDEN_ROWS};
use crate::kernel::panel::operand::Operand;
use crate::kernel::panel::sums::{self as wide, Job, Part, Start};
use crate::kernel::vector::{has_vectors, load, store};
use crate::simd::{Region, Simd};

/// The narrow matrix of a product.
#[derive(Clone, Copy)]
pub(super) struct Right {
    /// The weights of the first panel, and their scales.
    pub(super) codes: *const f32,
    pub(super) scales: *const f32,
    /// Words of a panel.
    pub(super) panel: usize,
    /// Words of a row of the operand after `ready`.
    pub(super) room: usize,
}

/// A job with narrow weights.
pub(super) struct Sums<'a, S> {
    pub(super) s: S,
    pub(super) job: &'a Job<'a>,
    pub(super) operand: &'a Operand<'a>,
    pub(super) right: Right,
    pub(super) panels: Range<usize>,
}

/// One kind of weights: how they are loaded, and how their products are summed.
trait Kind<S: Simd> {
    type Sum: Copy;
    type Weights: Copy;
    /// Elements of a row that are multiplied together.
    const TOGETHER: usize;
    /// Bytes of a weight.
    const BYTES: usize;
    /// Whether the rows are integers.
    const CODES: bool;

    fn begin(s: S, start: S::V) -> Self::Sum;
    /// # Safety
    /// `p` is valid for reading `LANES * TOGETHER` weights.
    unsafe fn weights(s: S, p: *const u8) -> Self::Weights;
    /// # Safety
    /// `p` is valid for reading `TOGETHER` elements.
    unsafe fn element(s: S, p: *const f32, at: usize) -> Self::Weights;
    fn add(s: S, sum: Self::Sum, x: Self::Weights, w: Self::Weights) -> Self::Sum;
    /// `scale` is the scale of the row times the scales of the weights.
    fn end(s: S, sum: Self::Sum, start: S::V, scale: S::V) -> S::V;

    /// Weights of 16 bits as floats.
    /// # Safety
    /// As for [`weights`](Self::weights), and the weights are not integers.
    #[inline(always)]
    unsafe fn widen(s: S, _p: *const u8) -> S::V {
        s.splat(0.0)
    }
}

struct F16;
struct Bf16;
struct Int8;

macro_rules! widened {
    ($kind:ident, $load:ident) => {
        impl<S: Simd> Kind<S> for $kind {
            type Sum = S::V;
            type Weights = S::V;
            const TOGETHER: usize = 1;
            const BYTES: usize = 2;
            const CODES: bool = false;

            #[inline(always)]
            fn begin(_: S, start: S::V) -> S::V {
                start
            }
            #[inline(always)]
            unsafe fn weights(s: S, p: *const u8) -> S::V {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p.cast()) }
            }
            #[inline(always)]
            unsafe fn element(s: S, p: *const f32, at: usize) -> S::V {
                // SAFETY: the caller's promise.
                s.splat(unsafe { *p.add(at) })
            }
            #[inline(always)]
            fn add(s: S, sum: S::V, x: S::V, w: S::V) -> S::V {
                s.fma(x, w, sum)
            }
            #[inline(always)]
            unsafe fn widen(s: S, p: *const u8) -> S::V {
                // SAFETY: the caller's promise.
                unsafe { s.$load(p.cast()) }
            }
            #[inline(always)]
            fn end(_: S, sum: S::V, _: S::V, _: S::V) -> S::V {
                sum
            }
        }
    };
}
widened!(F16, load_f16);
widened!(Bf16, load_bf16);

impl<S: Simd> Kind<S> for Int8 {
    type Sum = S::Ints;
    type Weights = S::Pairs;
    const TOGETHER: usize = 2;
    const BYTES: usize = 1;
    const CODES: bool = true;

    #[inline(always)]
    fn begin(s: S, _: S::V) -> S::Ints {
        s.no_ints()
    }
    #[inline(always)]
    unsafe fn weights(s: S, p: *const u8) -> S::Pairs {
        // SAFETY: the caller's promise.
        unsafe { s.load_pairs(p.cast()) }
    }
    #[inline(always)]
    unsafe fn element(s: S, p: *const f32, at: usize) -> S::Pairs {
        // SAFETY: the caller's promise; the integers follow the scale.
        unsafe { s.splat_pair(p.add(1).cast::<i16>().add(at)) }
    }
    #[inline(always)]
    fn add(s: S, sum: S::Ints, x: S::Pairs, w: S::Pairs) -> S::Ints {
        s.dot(sum, w, x)
    }
    #[inline(always)]
    fn end(s: S, sum: S::Ints, start: S::V, scale: S::V) -> S::V {
        s.fma(s.ints_to_f32(sum), scale, start)
    }
}

impl<S: Simd> Sums<'_, S> {
    /// # Safety
    /// All row lists of the job and of the operand have the same length, and `ready` was called for the
    /// operand with these weights. `from` (where a gate starts from it) and `out` have `columns` elements in
    /// each plane of each row. All panels exist in the weights, with the job's gates for each of the
    /// operand's `k` elements. `out` overlaps nothing else, except `from`, which may be the same memory.
    #[inline(always)]
    pub(super) unsafe fn run(self, narrow: Narrow) {
        let s = self.s;
        match narrow {
            Narrow::F16 => s.call(Of::<_, F16>(self, PhantomData)),
            Narrow::Bf16 => s.call(Of::<_, Bf16>(self, PhantomData)),
            Narrow::W8A16 | Narrow::W8A8 => s.call(Of::<_, Int8>(self, PhantomData)),
        }
    }
}

/// A separately compiled function for each kind of weights, which all cells share.
struct Of<'a, S, K>(Sums<'a, S>, PhantomData<K>);

impl<S: Simd, K: Kind<S>> Region for Of<'_, S, K> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Of(sums, _) = self;
        // Instruction sets without vectors have sums of one gate only.
        if const { has_vectors::<S>() && !K::CODES }
            && !sums.operand.codes.is_null()
            && sums.job.out.rows.len() >= WIDEN_ROWS
        {
            // SAFETY: the promise made to `Sums::run`. `ready` gave the operand a buffer for a panel, because
            // there are `WIDEN_ROWS` rows.
            unsafe { widened::<S, K>(&sums) };
            return;
        }
        // SAFETY: the promise made to `Sums::run`.
        unsafe {
            match sums.job.gates {
                1 => groups::<S, K, 1>(&sums),
                2 => groups::<S, K, 2>(&sums),
                3 => groups::<S, K, 3>(&sums),
                _ => groups::<S, K, 4>(&sums),
            }
        }
    }
}

/// Widens one panel after the other, and multiplies all rows with it.
/// # Safety
/// As for [`Sums::run`]. The weights have 16 bits, and `operand.codes` points to `Narrow::widened_len`
/// elements.
#[inline(always)]
unsafe fn widened<S: Simd, K: Kind<S>>(sums: &Sums<'_, S>) {
    let Sums { s, job, operand, right, ref panels, .. } = *sums;
    let (gates, k) = (job.gates.min(4), operand.k);
    for i in 0..panels.len() {
        let panel = if job.descending { panels.end - 1 - i } else { panels.start + i };
        let from = right.codes.wrapping_add(panel * right.panel).cast::<u8>();
        for vector in 0..k * gates {
            // SAFETY: the panel has `k * gates` vectors, and so has the room.
            unsafe {
                let v = K::widen(s, from.wrapping_add(vector * S::LANES * K::BYTES));
                s.store(operand.codes.wrapping_add(vector * S::LANES), v);
            }
        }
        let right = wide::Right { start: operand.codes.cast_const(), panel: 0, next: gates * S::LANES };
        let part = Part { left: operand.left, ld: operand.ld, rows: operand.rows, step: 1, right, k };
        let job = Job { parts: core::slice::from_ref(&part), ..*job };
        // SAFETY: the caller's promise; the only panel that is read is the one in the room.
        unsafe { wide::sums(s, &job, panel..panel + 1) };
    }
}

/// Whether the registers hold a tile of `rows` rows and `panels` panels, with `gates` sums each.
const fn fits<S: Simd>(gates: usize, rows: usize, panels: usize) -> bool {
    gates * rows * panels <= S::ACCUMULATORS || (rows == 1 && panels == 1)
}

/// Panels are the outer loop: all blocks of rows use the weights of a group while these are in the cache.
/// # Safety
/// As for [`Sums::run`]; the job has `G` gates.
#[inline(always)]
unsafe fn groups<S: Simd, K: Kind<S>, const G: usize>(sums: &Sums<'_, S>) {
    let Sums { s, job, ref panels, .. } = *sums;
    let (mut left, single) = (panels.len(), !K::CODES || job.out.rows.len() == 1);
    while left > 0 {
        macro_rules! group {
            ($($np:literal)*) => {$(
                if const { fits::<S>(G, 1, $np) } && left >= $np && (single || $np == 1) {
                    let panel = if job.descending { panels.start + left - $np } else { panels.end - left };
                    s.call(Column::<'_, S, K, G, $np> { sums, panel, kind: PhantomData });
                    left -= $np;
                    continue;
                }
            )*};
        }
        // Where rows are taken one by one, two panels at once give more independent chains.
        group!(2 1);
    }
}

/// All rows of one group of panels.
struct Column<'a, S, K, const G: usize, const NP: usize> {
    sums: &'a Sums<'a, S>,
    panel: usize,
    kind: PhantomData<K>,
}

impl<S: Simd, K: Kind<S>, const G: usize, const NP: usize> Column<'_, S, K, G, NP> {
    /// Whether there is a tile for `rows` rows. There is one for a single row. Integers also have one for as
    /// many rows as fit in registers. Batches with 16-bit weights are widened first, and need none.
    const fn takes(rows: usize) -> bool {
        let most = if fits::<S>(G, 4, 1) { 4 } else { 3 };
        rows == 1 || (K::CODES && NP == 1 && rows == most && fits::<S>(G, rows, 1))
    }
}

impl<S: Simd, K: Kind<S>, const G: usize, const NP: usize> Region for Column<'_, S, K, G, NP> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Column { sums, panel, .. } = self;
        let (rows, mut row) = (sums.job.out.rows.len(), 0);
        while row < rows {
            macro_rules! block {
                ($($mb:literal)*) => {$(
                    if const { Self::takes($mb) } && rows - row >= $mb {
                        // SAFETY: at least `$mb` of the job's rows are left, and the promise made to
                        // `Sums::run`.
                        unsafe { tile::<S, K, G, $mb, NP>(sums, row, panel) };
                        row += $mb;
                        continue;
                    }
                )*};
            }
            block!(4 3 1);
        }
    }
}

/// Rows `row..row + MB` of the job's lists times panels `panel..panel + NP`.
/// # Safety
/// As for [`Sums::run`]; those rows and panels exist.
#[inline(always)]
unsafe fn tile<S: Simd, K: Kind<S>, const G: usize, const MB: usize, const NP: usize>(
    sums: &Sums<'_, S>,
    row: usize,
    panel: usize,
) {
    let &Sums { s, job, operand, right, .. } = sums;
    let zero = s.splat(0.0);
    let mut start = [[[zero; G]; NP]; MB];
    let mut acc = [[[K::begin(s, zero); G]; NP]; MB];
    let mut x = [operand.left; MB];
    // SAFETY: the caller's promise. The lists have these rows, and all addresses below belong to these rows
    // and panels.
    unsafe {
        for m in 0..MB {
            let from = *job.from.rows.get_unchecked(row + m) * job.from.ld;
            for p in 0..NP {
                for g in 0..G {
                    let v = first(s, job, from, panel + p, g);
                    (start[m][p][g], acc[m][p][g]) = (v, K::begin(s, v));
                }
            }
            x[m] = match K::CODES {
                true => operand.codes.wrapping_add((row + m) * right.room).cast_const(),
                false => operand.left.wrapping_add(*operand.rows.get_unchecked(row + m) * operand.ld),
            };
        }
        let next = G * S::LANES * K::TOGETHER * K::BYTES;
        let mut w = right.codes.wrapping_add(panel * right.panel).cast::<u8>();
        for k in (0..operand.k).step_by(K::TOGETHER) {
            let mut element = [K::element(s, x[0], k); MB];
            for m in 1..MB {
                element[m] = K::element(s, x[m], k);
            }
            for p in 0..NP {
                for g in 0..G {
                    let at = p * right.panel * size_of::<f32>() + g * S::LANES * K::TOGETHER * K::BYTES;
                    let weights = K::weights(s, w.wrapping_add(at));
                    for m in 0..MB {
                        acc[m][p][g] = K::add(s, acc[m][p][g], element[m], weights);
                    }
                }
            }
            w = w.wrapping_add(next);
        }
        for m in 0..MB {
            let to = *job.out.rows.get_unchecked(row + m) * job.out.ld;
            for p in 0..NP {
                for g in 0..G {
                    let scale = if K::CODES { scale(s, &right, x[m], panel + p, g) } else { zero };
                    let sum = K::end(s, acc[m][p][g], start[m][p][g], scale);
                    put(s, job, to, panel + p, g, sum);
                }
            }
        }
    }
}

/// Where the sums of a panel and a gate start, in the row that begins at `from`.
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn first<S: Simd>(s: S, job: &Job<'_>, from: usize, panel: usize, g: usize) -> S::V {
    let column = panel * S::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        match job.start[g % 4] {
            Start::Zero => s.splat(0.0),
            Start::Vector(of, step) => s.load(of.wrapping_add(panel * step)),
            Start::From => {
                let at = from + job.from.planes[g % 4] + column;
                load(s, job.from.start.wrapping_add(at), job.columns - column)
            }
        }
    }
}

/// The scale of a row times those of the weights of a panel and a gate.
/// # Safety
/// As for [`tile`]. `x` is a row of integers, with its scale in front.
#[inline(always)]
unsafe fn scale<S: Simd>(s: S, right: &Right, x: *const f32, panel: usize, g: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { s.mul(s.splat(*x), s.load(right.scales.wrapping_add(panel * right.panel + g * S::LANES))) }
}

/// Stores the sums of a panel and a gate, in the row that begins at `to`.
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn put<S: Simd>(s: S, job: &Job<'_>, to: usize, panel: usize, g: usize, sum: S::V) {
    let column = panel * S::LANES;
    // SAFETY: the caller's promise.
    unsafe {
        let at = to + job.out.planes[g % 4] + column;
        store(s, job.out.start.wrapping_add(at), sum, job.columns - column);
    }
}
