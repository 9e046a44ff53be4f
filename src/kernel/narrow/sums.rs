//! Rows times narrow panels.
//!
//! Weights of 16 bits are widened in registers, then use the chains of
//! [`panel::sums`](crate::kernel::panel::sums): the bits are the same. Integers are summed exactly, two
//! elements of a row at a time, or four where the CPU has a dot product of bytes.

use core::marker::PhantomData;
use core::ops::Range;

use super::kinds::{Bf16, Bytes, F16, Int8, Kind, fits, widens};
use super::{Narrow, WIDEN_ROWS};
use crate::kernel::panel::operand::Operand;
use crate::kernel::panel::sums::{self as wide, Job, Part, Start};
use crate::kernel::vector::{has_vectors, load, store};
use crate::simd::{Dot, Region, Simd};

/// The narrow matrix of a product.
#[derive(Clone, Copy)]
pub(super) struct Right {
    /// The weights of the first panel, and their scales.
    pub(super) codes: *const f32,
    pub(super) scales: *const f32,
    /// Whether integers are arranged for a dot product of bytes.
    pub(super) dot: Dot,
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
            // SAFETY: panels are arranged for the dot product of bytes only if the CPU has it.
            Narrow::W8A16 if S::DOT && self.right.dot.is_used() => unsafe {
                s.call_dot(Of::<_, Bytes<2>>(self, PhantomData));
            },
            // SAFETY: as above.
            Narrow::W8A8 if S::DOT && self.right.dot.is_used() => unsafe {
                s.call_dot(Of::<_, Bytes<1>>(self, PhantomData));
            },
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
        if const { has_vectors::<S>() && widens::<S>() && !K::CODES }
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

/// Panels are the outer loop: all blocks of rows use the weights of a group while these are in the cache.
/// # Safety
/// As for [`Sums::run`]; the job has `G` gates.
#[inline(always)]
unsafe fn groups<S: Simd, K: Kind<S>, const G: usize>(sums: &Sums<'_, S>) {
    let Sums { s, job, ref panels, .. } = *sums;
    let (mut left, single) = (panels.len(), job.out.rows.len() == 1 || K::ROWS[G] == 1);
    while left > 0 {
        macro_rules! group {
            ($($np:literal)*) => {$(
                if const { takes_panels::<S, K>(G, $np) }
                    && left >= $np
                    && (single || batched::<S, K>(G, $np))
                {
                    let panel = if job.descending { panels.start + left - $np } else { panels.end - left };
                    let column = Column::<'_, S, K, G, $np> { sums, panel, kind: PhantomData };
                    // SAFETY: the caller's promise for this kind.
                    unsafe { K::call(s, column) };
                    left -= $np;
                    continue;
                }
            )*};
        }
        // Where rows are taken one by one, several panels at once give more independent chains.
        group!(4 2 1);
    }
}

/// Whether a single row has a tile of `panels` panels. With two sums for each output, a GRU's tile of four
/// would need all registers.
const fn takes_panels<S: Simd, K: Kind<S>>(gates: usize, panels: usize) -> bool {
    let sums = gates * K::PLANES * panels;
    panels == 1 || (sums <= S::ACCUMULATORS && panels <= 2) || (K::SEVERAL && sums <= 2 * S::ACCUMULATORS / 3)
}

/// Whether batches take `panels` panels at once: one, or up to four sums of each row.
const fn batched<S: Simd, K: Kind<S>>(gates: usize, panels: usize) -> bool {
    panels == 1 || (K::SEVERAL && gates * panels <= 4)
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
        rows == 1 || (batched::<S, K>(G, NP) && rows == K::ROWS[G * NP] && fits::<S>(G * K::PLANES, rows, NP))
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
            block!(4 3 2 1);
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
    let mut x = [core::ptr::null(); MB];
    // SAFETY: the caller's promise. The lists have these rows, and all addresses below belong to these rows
    // and panels.
    unsafe {
        let scales = |p: usize, g: usize| right.scales.wrapping_add((panel + p) * right.panel + g * S::LANES);
        // Integers add what a sum starts from at the end.
        let mut acc = [[[K::begin(s, zero, scales(0, G)); G]; NP]; MB];
        for m in 0..MB {
            let from = *job.from.rows.get_unchecked(row + m) * job.from.ld;
            for p in 0..NP {
                for g in 0..G {
                    let start = if K::CODES { zero } else { first(s, job, from, panel + p, g) };
                    acc[m][p][g] = K::begin(s, start, scales(p, G + g));
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
            if const { 2 * MB * NP * G * K::PLANES > S::ACCUMULATORS } {
                s.keep_rolled();
            }
            let mut element = [K::element(s, x[0], right.room, k); MB];
            for m in 1..MB {
                element[m] = K::element(s, x[m], right.room, k);
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
            let from = *job.from.rows.get_unchecked(row + m) * job.from.ld;
            let to = *job.out.rows.get_unchecked(row + m) * job.out.ld;
            for p in 0..NP {
                for g in 0..G {
                    let (start, scale) = match K::CODES {
                        true => (first(s, job, from, panel + p, g), scale(s, &right, x[m], panel + p, g)),
                        false => (zero, zero),
                    };
                    put(s, job, to, panel + p, g, K::end(s, acc[m][p][g], start, scale));
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
