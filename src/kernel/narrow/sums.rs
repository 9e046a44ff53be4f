//! Rows times narrow panels.
//!
//! Weights of 16 bits are widened in registers, then use the chains of
//! [`panel::sums`](crate::kernel::panel::sums): the bits are the same. Integers are summed exactly, two
//! elements of a row at a time, or four where the CPU has a dot product of bytes.
//!
//! There is one function for each instruction set, kind of weights, and number of rows and of outputs of a
//! tile. Which gates and panels these outputs are is known at run time only: a panel of four gates, two of
//! two, and four of one share their code.

use core::marker::PhantomData;
use core::ops::Range;

use super::kinds::{Bf16, Bytes, F16, Fours, Int8, Kind, widens};
use super::{Narrow, WIDEN_ROWS};
use crate::kernel::panel::operand::Operand;
use crate::kernel::panel::sums::{self as wide, Begin, Job, Part, Planes, Start};
use crate::kernel::vector::{each, has_vectors, load, store};
use crate::simd::{Dot, Region, Simd};

/// One product: the rows of an operand times a narrow matrix.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) operand: Operand<'a>,
    /// The weights of the first panel, and their scales.
    pub(super) codes: *const f32,
    pub(super) scales: *const f32,
    /// Words of a row of the operand after `ready`.
    pub(super) room: usize,
}

/// A job with narrow weights.
pub(super) struct Sums<'a, S> {
    pub(super) s: S,
    pub(super) job: &'a Job<'a>,
    /// The products that are added up, in this order.
    pub(super) products: &'a [Product<'a>],
    /// Whether integers are arranged for a dot product of bytes.
    pub(super) dot: Dot,
    /// Words of a panel.
    pub(super) panel: usize,
    pub(super) panels: Range<usize>,
}

impl<S: Simd> Sums<'_, S> {
    /// # Safety
    /// All row lists of the job and of the operands have the same length, and `ready` was called for the
    /// operands with these weights. `from` (where a gate starts from it) and `out` have `columns` elements in
    /// each plane of each row. All panels exist in the weights, with the job's gates for each of an operand's
    /// `k` elements. `out` overlaps nothing else, except `from`, which may be the same memory.
    #[inline(always)]
    pub(super) unsafe fn run(self, narrow: Narrow) {
        let s = self.s;
        match narrow {
            Narrow::F16 => s.call(Of::<_, F16>(self, PhantomData)),
            Narrow::Bf16 => s.call(Of::<_, Bf16>(self, PhantomData)),
            // SAFETY: panels are arranged for the dot product of bytes only if the CPU has it.
            Narrow::W8A16 if S::DOT && self.dot.is_used() => unsafe {
                s.call_dot(Of::<_, Bytes<2, true>>(self, PhantomData));
            },
            // SAFETY: as above.
            Narrow::W8A8 if S::DOT && self.dot.is_used() => unsafe {
                s.call_dot(Of::<_, Bytes<1, true>>(self, PhantomData));
            },
            // This condition is constant, so no set is compiled for kinds that it does not use.
            _ => {
                if const { !S::FOURS } {
                    s.call(Of::<_, Int8>(self, PhantomData));
                } else if narrow == Narrow::W8A8 {
                    s.call(Of::<_, Bytes<1, false>>(self, PhantomData));
                } else {
                    s.call(Of::<_, Fours>(self, PhantomData));
                }
            }
        }
    }
}

/// A separately compiled function for each kind of weights, which all cells share.
struct Of<'a, S, K>(Sums<'a, S>, PhantomData<K>);

impl<S: Simd, K: Kind<S>> Region for Of<'_, S, K> {
    type Output = ();
    /// Panels are the outer loop: all blocks of rows use the weights of a group while these are in the cache.
    #[inline(always)]
    fn run(self) {
        let Of(sums, _) = self;
        let (s, job, panels, rows) = (sums.s, sums.job, &sums.panels, sums.job.out.rows.len());
        // Instruction sets without vectors have sums of one gate only.
        if const { has_vectors::<S>() && widens::<S>() && !K::CODES }
            && rows >= WIDEN_ROWS
            && sums.products.iter().all(|product| !product.operand.codes.is_null())
        {
            // SAFETY: the promise made to `Sums::run`. `ready` gave the operands a buffer for a panel each,
            // because there are `WIDEN_ROWS` rows.
            unsafe { widened::<S, K>(&sums) };
            return;
        }
        // Where rows are taken one by one, more outputs at once give more independent chains.
        let single = rows == 1 || K::ROWS[job.gates.min(4)] == 1;
        let most_panels = if single { const { most::<S, K>() } } else { 4 } / job.gates.max(1);
        let mut left = panels.len();
        while left > 0 {
            let count = match most_panels.min(left) {
                8.. => 8,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let panel = if job.descending { panels.start + left - count } else { panels.end - left };
            macro_rules! column {
                ($($n:literal)*) => {$(
                    if const { $n <= most::<S, K>() } && job.gates * count == $n {
                        // SAFETY: the caller's promise for this kind.
                        unsafe { K::call(s, Column::<'_, S, K, $n> { sums: &sums, panel, kind: PhantomData }) };
                    }
                )*};
            }
            column!(1 2 3 4 6 8);
            left -= count;
        }
    }
}

/// Widens one panel after the other, and multiplies all rows with it.
/// # Safety
/// As for [`Sums::run`]. The weights have 16 bits, and the operands' `codes` point to `Narrow::widened_len`
/// elements.
#[inline(always)]
unsafe fn widened<S: Simd, K: Kind<S>>(sums: &Sums<'_, S>) {
    let Sums { s, job, products, ref panels, .. } = *sums;
    let gates = job.gates.min(4);
    for i in 0..panels.len() {
        let panel = if job.descending { panels.end - 1 - i } else { panels.start + i };
        let mut job = *job;
        for of in products {
            let Operand { left, ld, rows, k, codes: room, .. } = of.operand;
            let from = of.codes.wrapping_add(panel * sums.panel).cast::<u8>();
            for vector in 0..k * gates {
                // SAFETY: the panel has `k * gates` vectors, and so has the room.
                unsafe {
                    let v = K::widen(s, from.wrapping_add(vector * S::LANES * K::BYTES));
                    s.store(room.wrapping_add(vector * S::LANES), v);
                }
            }
            let right = wide::Right { start: room.cast_const(), panel: 0, next: gates * S::LANES };
            let parts = &[Part { left, ld, rows, step: 1, right, k }];
            // SAFETY: the caller's promise; the only panel that is read is the one in the room.
            unsafe { wide::sums(s, &Job { parts, ..job }, panel..panel + 1) };
            let Planes { start, ld, rows, planes } = job.out;
            job = Job {
                start: [Start::FROM; 4],
                from: Planes { start: start.cast_const(), ld, rows, planes },
                ..job
            };
        }
    }
}

/// The most outputs of a tile of one row. With two sums for each output, eight would need all of sixteen
/// registers. Twelve (four panels of three gates) were slower: their addresses do not fit into registers.
const fn most<S: Simd, K: Kind<S>>() -> usize {
    if 8 * K::PLANES <= S::ACCUMULATORS {
        8
    } else if 6 * K::PLANES <= S::ACCUMULATORS {
        6
    } else {
        4
    }
}

/// An output of a tile.
#[derive(Clone, Copy)]
struct Output {
    panel: usize,
    gate: usize,
}

/// The outputs of a tile that begins with the first gate of a panel.
#[inline(always)]
fn outputs<const N: usize>(gates: usize, panel: usize) -> [Output; N] {
    let mut of = [Output { panel, gate: 0 }; N];
    for n in 1..N {
        let Output { panel, gate } = of[n - 1];
        of[n] = match gate + 1 == gates {
            true => Output { panel: panel + 1, gate: 0 },
            false => Output { panel, gate: gate + 1 },
        };
    }
    of
}

/// All rows of `N` outputs, from the first gate of a panel on.
struct Column<'a, S, K, const N: usize> {
    sums: &'a Sums<'a, S>,
    panel: usize,
    kind: PhantomData<K>,
}

impl<S: Simd, K: Kind<S>, const N: usize> Column<'_, S, K, N> {
    /// Whether there is a tile for `rows` rows. There is one for a single row, and with up to four outputs
    /// one for as many rows as fit in registers.
    const fn takes(rows: usize) -> bool {
        rows == 1 || (N <= 4 && rows == K::ROWS[N] && N * K::PLANES * rows <= S::ACCUMULATORS)
    }
}

impl<S: Simd, K: Kind<S>, const N: usize> Region for Column<'_, S, K, N> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Column { sums, panel, .. } = self;
        let of = outputs::<N>(sums.job.gates, panel);
        let (rows, mut row) = (sums.job.out.rows.len(), 0);
        while row < rows {
            macro_rules! block {
                ($($mb:literal)*) => {$(
                    if const { Self::takes($mb) } && rows - row >= $mb {
                        // SAFETY: at least `$mb` of the job's rows are left, and the promise made to
                        // `Sums::run`.
                        unsafe { tile::<S, K, $mb, N>(sums, row, &of) };
                        row += $mb;
                        continue;
                    }
                )*};
            }
            block!(4 3 2 1);
        }
    }
}

/// Rows `row..row + MB` of the job's lists times the weights of some outputs.
/// # Safety
/// As for [`Sums::run`]; those rows and outputs exist.
#[inline(always)]
unsafe fn tile<S: Simd, K: Kind<S>, const MB: usize, const N: usize>(
    sums: &Sums<'_, S>,
    row: usize,
    of: &[Output; N],
) {
    let &Sums { s, job, products, panel, .. } = sums;
    let vector = S::LANES * K::TOGETHER * K::BYTES;
    // SAFETY: the caller's promise. The lists have these rows, and all addresses below belong to these rows
    // and outputs.
    unsafe {
        let mut sum = starts::<S, MB, N>(s, job, row, of);
        for product in products {
            let (room, k_end) = (product.room, product.operand.k);
            let x = rows::<MB>(product, row, K::CODES);
            let scales = places(product.scales, of, panel, S::LANES);
            let w = places(product.codes.cast::<u8>(), of, panel * size_of::<f32>(), vector);
            // Integers add what a sum starts from at the end.
            let mut acc = [[K::begin(s, sum[0][0], scales[0]); N]; MB];
            each!(n, N, {
                let offset = scales[n].wrapping_add(job.gates * S::LANES);
                each!(m, MB, {
                    acc[m][n] = K::begin(s, sum[m][n], offset);
                });
            });
            let (mut at, mut k) = (0, 0);
            while k < k_end {
                if const { 2 * MB * N * K::PLANES > S::ACCUMULATORS } {
                    s.keep_rolled();
                }
                let mut element = [K::element(s, x[0], room, k); MB];
                for m in 1..MB {
                    element[m] = K::element(s, x[m], room, k);
                }
                each!(n, N, {
                    let weights = K::weights(s, w[n].wrapping_add(at));
                    each!(m, MB, {
                        acc[m][n] = K::add(s, acc[m][n], element[m], weights);
                    });
                });
                at += job.gates * vector;
                k += K::TOGETHER;
            }
            each!(n, N, {
                each!(m, MB, {
                    let scale = if K::CODES { s.mul(s.splat(*x[m]), s.load(scales[n])) } else { sum[m][n] };
                    sum[m][n] = K::end(s, K::total(s, acc[m][n]), sum[m][n], scale);
                });
            });
        }
        put(s, job, row, of, sum);
    }
}

/// The operand's rows `row..row + MB`, as integers if `codes`.
/// # Safety
/// They exist.
#[inline(always)]
unsafe fn rows<const MB: usize>(product: &Product<'_>, row: usize, codes: bool) -> [*const f32; MB] {
    let operand = &product.operand;
    let mut x = [operand.left; MB];
    each!(m, MB, {
        x[m] = match codes {
            true => operand.codes.wrapping_add((row + m) * product.room).cast_const(),
            // SAFETY: the caller's promise.
            false => operand.left.wrapping_add(unsafe { *operand.rows.get_unchecked(row + m) } * operand.ld),
        };
    });
    x
}

/// The addresses of outputs, from the distances between panels and between gates.
#[inline(always)]
fn places<T, const N: usize>(start: *const T, of: &[Output; N], panel: usize, gate: usize) -> [*const T; N] {
    let mut at = [start; N];
    each!(n, N, {
        at[n] = start.wrapping_add(of[n].panel * panel + of[n].gate * gate);
    });
    at
}

/// Where the sums of a tile start.
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn starts<S: Simd, const MB: usize, const N: usize>(
    s: S,
    job: &Job<'_>,
    row: usize,
    of: &[Output; N],
) -> [[S::V; N]; MB] {
    let mut sum = [[s.splat(0.0); N]; MB];
    each!(n, N, {
        let Output { panel, gate } = of[n];
        let column = panel * S::LANES;
        let start = job.start[gate % 4];
        each!(m, MB, {
            // SAFETY: the caller's promise.
            unsafe {
                sum[m][n] = match start.begin() {
                    Begin::Zero => s.splat(0.0),
                    Begin::Vector(of, step) => s.load(of.wrapping_add(panel * step)),
                    Begin::From => {
                        let from = *job.from.rows.get_unchecked(row + m) * job.from.ld;
                        let from = job.from.start.wrapping_add(from + job.from.planes[gate % 4] + column);
                        load(s, from, job.columns - column)
                    }
                };
            }
        });
    });
    sum
}

/// Stores the sums of a tile.
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn put<S: Simd, const MB: usize, const N: usize>(
    s: S,
    job: &Job<'_>,
    row: usize,
    of: &[Output; N],
    sum: [[S::V; N]; MB],
) {
    each!(m, MB, {
        each!(n, N, {
            let Output { panel, gate } = of[n];
            let column = panel * S::LANES;
            // SAFETY: the caller's promise.
            unsafe {
                let to = *job.out.rows.get_unchecked(row + m) * job.out.ld;
                let to = job.out.start.wrapping_add(to + job.out.planes[gate % 4] + column);
                store(s, to, sum[m][n], job.columns - column);
            }
        });
    });
}
