//! Sums of products, rows times panels: the functions that do all multiplications.
//!
//! Input projections, the hidden part of a step, second stages, projections, dense layers, the products of
//! the backward pass and the gradients of weights all come here. There is one function for each instruction
//! set, number of gates that share a row's element, and number of panels and rows of a tile. It knows no
//! cell, no layout of weights and no step: where sums start, where they are written and how weights lie are
//! numbers in a [`Job`].
//!
//! Each sum is one chain of multiply-adds in ascending k, as in [`tile`](super::tile). Storing a sum between
//! two jobs and loading it again does not round it, so a chain may be cut into several jobs.
//!
//! Not done: cutting k into blocks that stay in the first-level cache while all rows use them, with the
//! unfinished sums on the stack. It changed an LSTM of 32 rows by +3 % (H = 128) and -3 % (H = 512) on Zen 3:
//! the second-level cache is fast enough.

use core::ops::Range;

use super::tile::{each_chain, fits};
use crate::kernel::vector::{each, load, store};
use crate::simd::{Region, Simd};

/// The right operand: the vector of panel `p` for row `k` and gate `g` is at
/// `start + p * panel + k * next + g * LANES`.
#[derive(Clone, Copy)]
pub(crate) struct Right {
    pub(crate) start: *const f32,
    pub(crate) panel: usize,
    pub(crate) next: usize,
}

/// One product: for each row of the job, row `rows[i]` of the left operand times `k` rows of the right
/// operand.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    pub(crate) left: *const f32,
    /// Distance between two rows.
    pub(crate) ld: usize,
    pub(crate) rows: &'a [usize],
    /// Distance between two elements of a row.
    pub(crate) step: usize,
    pub(crate) right: Right,
    pub(crate) k: usize,
}

/// Rows of planes, one plane for each gate: element `column` of gate `g` of row i is at
/// `start + rows[i] * ld + planes[g] + column`.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a, P> {
    pub(crate) start: P,
    pub(crate) ld: usize,
    pub(crate) rows: &'a [usize],
    pub(crate) planes: [usize; 4],
}

/// The initial values of the sums of a gate.
///
/// Two words hold all kinds, each with a value: a step makes four of these for each product, and the compiler
/// may compare the words before it knows the kind.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    /// The vector of the first panel.
    of: *const f32,
    /// The distance to the vector of the next panel, or one of the two values that no distance reaches.
    step: usize,
}

/// What a [`Start`] holds.
pub(crate) enum Begin {
    Zero,
    /// One vector for each panel, the same for all rows: a pointer to that of the first panel, and the
    /// distance to that of the next panel.
    Vector(*const f32, usize),
    /// The values in `from`.
    From,
}

impl Start {
    pub(crate) const ZERO: Start = Start { of: core::ptr::null(), step: usize::MAX };
    pub(crate) const FROM: Start = Start { of: core::ptr::null(), step: usize::MAX - 1 };

    #[inline(always)]
    pub(crate) const fn vector(of: *const f32, step: usize) -> Self {
        Start { of, step }
    }

    #[inline(always)]
    pub(crate) const fn begin(self) -> Begin {
        const ZERO: usize = Start::ZERO.step;
        const FROM: usize = Start::FROM.step;
        match self.step {
            ZERO => Begin::Zero,
            FROM => Begin::From,
            step => Begin::Vector(self.of, step),
        }
    }
}

/// Sums to be computed for some rows.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    /// The number of gates of the right operands.
    pub(crate) gates: usize,
    pub(crate) parts: &'a [Part<'a>],
    pub(crate) start: [Start; 4],
    pub(crate) from: Planes<'a, *const f32>,
    pub(crate) out: Planes<'a, *mut f32>,
    /// Columns of a plane. In the last panel fewer than `LANES` may be left.
    pub(crate) columns: usize,
    /// Whether the right operand has only these columns, so that its last panel may be less than a whole
    /// vector.
    pub(crate) exact: bool,
    /// Whether panels are taken from the last to the first. If successive steps alternate between the two
    /// orders, each begins with the panels that the step before ended with, which are still in the cache.
    /// With this, 100 steps of one row of 512 units take 6 % less time for an RNN, whose `w_hh` has the size
    /// of the second-level cache, and 1 to 2 % less for an LSTM or a GRU (Zen 4).
    pub(crate) descending: bool,
}

/// Computes a job for some panels.
/// # Safety
/// All row lists of the job have the same length. For each of their rows, the left operands have `k`
/// elements, and `from` (where a gate starts from it) and `out` have `columns` elements in each plane. All
/// panels exist in the right operands, with `gates` vectors for each of `k` rows; these are whole vectors
/// unless `exact`. Vectors that sums start from have the panel's columns. `out` overlaps nothing else, except
/// `from`, which may be the same memory.
#[inline(always)]
pub(crate) unsafe fn sums<S: Simd>(s: S, job: &Job<'_>, panels: Range<usize>) {
    s.call(Sums { s, job, panels });
}

/// A separately compiled function, which all products share.
struct Sums<'a, S> {
    s: S,
    job: &'a Job<'a>,
    panels: Range<usize>,
}

impl<S: Simd> Region for Sums<'_, S> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Sums { s, job, panels } = self;
        if job.out.rows.is_empty() {
            return;
        }
        // If the right operand ends within a panel, that panel is handled separately.
        let whole = if job.exact { job.columns / S::LANES } else { panels.end };
        let (first, rest) = (panels.start..panels.end.min(whole), panels.start.max(whole)..panels.end);
        // SAFETY: the promise made to `sums`.
        unsafe {
            // Instruction sets without vectors step row by row (see `kernel/step/row.rs`). Here they only
            // multiply by one matrix.
            if const { !crate::kernel::vector::has_vectors::<S>() } {
                groups::<S, 1>(s, job, first);
                if const { S::LANES > 1 } && !rest.is_empty() {
                    s.call(Column::<'_, S, 1, 1, true> { s, job, panel: rest.start });
                }
                return;
            }
            match job.gates {
                1 => groups::<S, 1>(s, job, first),
                2 => groups::<S, 2>(s, job, first),
                3 => groups::<S, 3>(s, job, first),
                _ => groups::<S, 4>(s, job, first),
            }
            if !rest.is_empty() {
                s.call(Column::<'_, S, 1, 1, true> { s, job, panel: rest.start });
            }
        }
    }
}

/// Takes the panels in groups, as large as the registers allow. Panels are the outer loop: all blocks of rows
/// use the weights of a group while these are in the cache.
/// # Safety
/// As for [`sums`]; the job has `G` gates.
#[inline(always)]
unsafe fn groups<S: Simd, const G: usize>(s: S, job: &Job<'_>, panels: Range<usize>) {
    // With few rows, several panels at once replace the missing independent chains. Instruction sets without
    // vectors take one row at a time, so they can use all panels with any number of rows.
    let most = if S::ACCUMULATORS >= 24 { 6 } else { S::ACCUMULATORS / 4 };
    let wide = job.out.rows.len().min(most);
    let mut left = panels.len();
    while left > 0 {
        macro_rules! group {
            ($($np:literal)*) => {$(
                if const { fits::<S>(G, 1, $np) } && fits::<S>(G, wide, $np) && left >= $np {
                    let panel = if job.descending { panels.start + left - $np } else { panels.end - left };
                    s.call(Column::<'_, S, G, $np, false> { s, job, panel });
                    left -= $np;
                    continue;
                }
            )*};
        }
        group!(8 4 2);
        let panel = if job.descending { panels.start + left - 1 } else { panels.end - left };
        s.call(Column::<'_, S, G, 1, false> { s, job, panel });
        left -= 1;
    }
}

/// All rows of one group of panels. If less than two tiles of rows are left, they are halved, so that no tile
/// is nearly empty.
struct Column<'a, S, const G: usize, const NP: usize, const EXACT: bool> {
    s: S,
    job: &'a Job<'a>,
    panel: usize,
}

impl<S: Simd, const G: usize, const NP: usize, const EXACT: bool> Column<'_, S, G, NP, EXACT> {
    const MOST: usize = {
        let mut most = 6;
        while most > 1 && (most == 5 || !fits::<S>(G, most, NP)) {
            most -= 1;
        }
        most
    };
}

impl<S: Simd, const G: usize, const NP: usize, const EXACT: bool> Region for Column<'_, S, G, NP, EXACT> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Column { s, job, panel } = self;
        let (rows, mut row) = (job.out.rows.len(), 0);
        while row < rows {
            let left = rows - row;
            let take = if left > Self::MOST && left < 2 * Self::MOST { left.div_ceil(2) } else { left };
            macro_rules! block {
                ($($mb:literal)*) => {$(
                    // Three rows are taken as two and one, unless three is the most.
                    if const { fits::<S>(G, $mb, NP) && ($mb != 3 || Self::MOST == 3) } && take >= $mb {
                        // SAFETY: at least `$mb` of the job's rows are left, and the promise made to `sums`.
                        unsafe { tile::<S, G, $mb, NP, EXACT>(s, job, row, panel) };
                        row += $mb;
                        continue;
                    }
                )*};
            }
            block!(6 4 3 2 1);
        }
    }
}

/// An array with an element for each row of a tile. This is a loop because `array::from_fn` compiles slowly,
/// and its closures are not inlined.
macro_rules! each_row {
    (|$m:ident| $e:expr) => {{
        let mut out = [{
            let $m = 0;
            $e
        }; MB];
        each!(next, MB - 1, {
            let $m = next + 1;
            out[$m] = $e;
        });
        out
    }};
}

/// Rows `row..row + MB` of the job's lists times panels `panel..panel + NP`.
/// # Safety
/// As for [`sums`]; those rows and panels exist.
#[inline(always)]
unsafe fn tile<S: Simd, const G: usize, const MB: usize, const NP: usize, const EXACT: bool>(
    s: S,
    job: &Job<'_>,
    row: usize,
    panel: usize,
) {
    let mut acc = [[[s.splat(0.0); G]; NP]; MB];
    let column = panel * S::LANES;
    // SAFETY: the caller's promise. The lists have these rows, and all addresses below belong to these rows
    // and panels.
    unsafe {
        each!(g, G, {
            match job.start[g].begin() {
                Begin::Zero => {}
                Begin::Vector(of, step) => {
                    each!(p, NP, {
                        let v = vector(s, of, step, panel + p, job.columns - column - p * S::LANES);
                        each!(m, MB, {
                            acc[m][p][g] = v;
                        });
                    });
                }
                Begin::From => {
                    let from = each_row!(|m| {
                        let row = *job.from.rows.get_unchecked(row + m);
                        job.from.start.wrapping_add(row * job.from.ld + job.from.planes[g] + column)
                    });
                    each!(m, MB, {
                        each!(p, NP, {
                            let at = p * S::LANES;
                            acc[m][p][g] = load(s, from[m].add(at), job.columns - column - at);
                        });
                    });
                }
            }
        });
        for part in job.parts {
            let a = each_row!(|m| part.left.wrapping_add(*part.rows.get_unchecked(row + m) * part.ld));
            accumulate::<S, G, MB, NP, EXACT>(s, &mut acc, part, a, panel, job.columns - column);
        }
        each!(g, G, {
            let out = each_row!(|m| {
                let row = *job.out.rows.get_unchecked(row + m);
                job.out.start.wrapping_add(row * job.out.ld + job.out.planes[g] + column)
            });
            each!(m, MB, {
                each!(p, NP, {
                    let at = p * S::LANES;
                    store(s, out[m].add(at), acc[m][p][g], job.columns - column - at);
                });
            });
        });
    }
}

/// The vector of a panel that sums start from. If these lie side by side, the last one may be partial.
/// # Safety
/// It exists. `left` columns are left from it on.
#[inline(always)]
unsafe fn vector<S: Simd>(s: S, of: *const f32, step: usize, panel: usize, left: usize) -> S::V {
    let left = if step == S::LANES { left } else { S::LANES };
    // SAFETY: the caller's promise.
    unsafe { load(s, of.wrapping_add(panel * step), left) }
}

/// `acc[m][p][g] += a[m][i] * right(p, i, g)` for i ascending from 0 to `k`.
/// # Safety
/// Each `a[m]` is valid for reading elements `i * step`, and the weights exist, for all `i < k`. With
/// `EXACT`, only `left` columns of them exist.
#[inline(always)]
unsafe fn accumulate<S: Simd, const G: usize, const MB: usize, const NP: usize, const EXACT: bool>(
    s: S,
    acc: &mut [[[S::V; G]; NP]; MB],
    part: &Part<'_>,
    a: [*const f32; MB],
    panel: usize,
    left: usize,
) {
    let &Part { step, right, k, .. } = part;
    let first = right.start.wrapping_add(panel * right.panel);
    // One row, with an instruction set of one lane: the panels are the rows of a matrix in place.
    if const { MB == 1 && G == 1 && NP <= S::CHAINS } && step == 1 && right.next == 1 {
        let mut chains = [s.splat(0.0); 4];
        each_chain::<NP>(1, |j, p, _| chains[j] = acc[0][p][0]);
        // SAFETY: `NP <= CHAINS`, just checked; the caller's promise for `a[0]` and for `k` weights of each
        // panel.
        unsafe { s.chains(&mut chains, NP, a[0], (first, right.panel), k) };
        each_chain::<NP>(1, |j, p, _| acc[0][p][0] = chains[j]);
        return;
    }
    if const { MB == 1 && S::SUMS && G == 1 && !EXACT && NP <= 4 } && right.panel == S::LANES {
        let mut sums = [s.splat(0.0); 4];
        each_chain::<NP>(1, |j, p, _| sums[j] = acc[0][p][0]);
        // SAFETY: `SUMS`, and `NP` of 1, 2 or 4, just checked; the caller's promise for `a[0]` and for `k`
        // rows of `NP` whole vectors side by side.
        unsafe { s.sums(&mut sums, NP, (a[0], step), (first, right.next), k) };
        each_chain::<NP>(1, |j, p, _| acc[0][p][0] = sums[j]);
        return;
    }
    let (mut at, mut w) = (0, first);
    for _ in 0..k {
        if const { 2 * MB * NP * G > S::ACCUMULATORS } {
            s.keep_rolled();
        }
        let mut b = [s.splat(0.0); MB];
        each!(m, MB, {
            // SAFETY: the caller's promise: this is element i of the row.
            b[m] = s.splat(unsafe { *a[m].add(at) });
        });
        each!(p, NP, {
            each!(g, G, {
                let of = w.wrapping_add(p * right.panel + g * S::LANES);
                // SAFETY: the caller's promise for row i of the right operand.
                let v = unsafe { if EXACT { s.load_n(of, left) } else { s.load(of) } };
                each!(m, MB, {
                    acc[m][p][g] = s.fma(b[m], v, acc[m][p][g]);
                });
            });
        });
        at += step;
        w = w.wrapping_add(right.next);
    }
}
