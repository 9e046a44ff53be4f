//! Initial weights.

use rand_core::Rng;

use crate::cell::LstmGate;
use crate::error::{Result, check_len};
use crate::layer::recurrent::Levels;
use crate::layer::{Attention, Cell, Dense, Embedding, Lstm, Recurrent, Stack};
use crate::simd::{Isa, Op, Simd, dispatch};

/// Fills `weights` with numbers evenly distributed over `-bound..bound`. Takes the 24 high bits of one 32-bit
/// number for each.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// let mut weights = [0.0; 100];
/// recurrent::train::uniform(&mut weights, 0.5, &mut Xoshiro256PlusPlus::seed_from_u64(1));
/// assert!(weights.iter().all(|w| (-0.5..0.5).contains(w)));
/// ```
pub fn uniform(weights: &mut [f32], bound: f32, rng: &mut impl Rng) {
    const HALF: i32 = 1 << 23;
    // 24-bit integers are exact as floats, so only the product is rounded.
    let scale = bound / HALF as f32;
    for w in weights {
        *w = ((rng.next_u32() >> 8) as i32 - HALF) as f32 * scale;
    }
}

/// Fills `weights` with normally distributed numbers of mean 0 and standard deviation `std`.
///
/// Box and Muller 1958: two numbers from the halves of one 64-bit number. No number is further out than 6.7
/// deviations.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// let mut weights = [0.0; 1000];
/// recurrent::train::normal(&mut weights, 0.1, &mut Xoshiro256PlusPlus::seed_from_u64(1));
/// let variance = weights.iter().map(|w| w * w).sum::<f32>() / 1000.0;
/// assert!((variance - 0.01).abs() < 0.002);
/// ```
pub fn normal(weights: &mut [f32], std: f32, rng: &mut impl Rng) {
    for pair in weights.chunks_mut(2) {
        for (w, x) in pair.iter_mut().zip(two_normals(rng.next_u64())) {
            *w = (x * f64::from(std)) as f32;
        }
    }
}

fn two_normals(bits: u64) -> [f64; 2] {
    const UNIT: f64 = 1.0 / (1u64 << 32) as f64;
    // The first number is in (0, 1], because its logarithm is taken.
    let u = ((bits >> 32) + 1) as f64 * UNIT;
    let v = f64::from(bits as u32) * UNIT;
    let r = libm::sqrt(-2.0 * libm::log(u));
    let (sin, cos) = libm::sincos(core::f64::consts::TAU * v);
    [r * cos, r * sin]
}

/// Makes `w [rows, cols]` a random matrix with orthonormal rows, or with orthonormal columns if it has more
/// rows than columns, as PyTorch's `orthogonal_` does (Saxe et al. 2014, arXiv:1312.6120).
///
/// It orthonormalises a matrix of normally distributed numbers in place. The modified Gram-Schmidt process
/// runs twice, with products summed in f64. This takes about `4 min(rows, cols)^2 max(rows, cols)`
/// operations.
///
/// # Errors
/// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `w`.
///
/// ```
/// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
/// let mut w = [0.0; 2 * 3];
/// recurrent::train::orthogonal(&mut w, 2, 3, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
/// let (a, b) = w.split_at(3);
/// assert!(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>().abs() < 1e-6);
/// # Ok::<(), recurrent::Error>(())
/// ```
pub fn orthogonal(w: &mut [f32], rows: usize, cols: usize, rng: &mut impl Rng) -> Result<()> {
    check_len("w", rows.saturating_mul(cols), w.len())?;
    normal(w, 1.0, rng);
    orthonormalise(w, rows, cols);
    Ok(())
}

fn orthonormalise(w: &mut [f32], rows: usize, cols: usize) {
    if !w.is_empty() {
        dispatch(Isa::detect(), Orthonormalise { w, rows, cols });
    }
}

/// Orthonormalises the rows, or the columns if there are fewer columns. The compiler vectorises the products,
/// which are loops over f64.
struct Orthonormalise<'a> {
    w: &'a mut [f32],
    rows: usize,
    cols: usize,
}

impl Op for Orthonormalise<'_> {
    type Output = ();

    /// The closer the vectors are to linear dependence, the larger are the errors that the first pass leaves.
    /// After it they are nearly orthogonal, so the second pass leaves hardly any errors.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Orthonormalise { w, rows, cols } = self;
        for _ in 0..2 {
            if rows <= cols {
                orthonormal_rows(w, cols);
            } else {
                orthonormal_columns(w, cols);
            }
        }
    }
}

/// The factor that makes a vector with this squared norm a unit vector. A zero vector stays zero; a good
/// generator does not produce one.
#[inline(always)]
fn unit(square: f64) -> f64 {
    if square > 0.0 { 1.0 / libm::sqrt(square) } else { 0.0 }
}

#[inline(always)]
fn orthonormal_rows(w: &mut [f32], cols: usize) {
    let mut rest = w;
    while let Some((q, later)) = rest.split_at_mut_checked(cols) {
        let scale = unit(dot(q, q));
        for q in q.iter_mut() {
            *q = (f64::from(*q) * scale) as f32;
        }
        for row in later.chunks_exact_mut(cols) {
            let d = dot(q, row);
            for (w, &q) in row.iter_mut().zip(&*q) {
                *w = (f64::from(*w) - d * f64::from(q)) as f32;
            }
        }
        rest = later;
    }
}

/// The dot product, summed in sixteen chains.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            sums[i] += f64::from(a[i]) * f64::from(b[i]);
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum += f64::from(a) * f64::from(b);
    }
    sums.iter().sum()
}

/// Orthonormalises the columns. It multiplies one column by many at once, so that memory is read by rows.
#[inline(always)]
fn orthonormal_columns(w: &mut [f32], cols: usize) {
    const AT_ONCE: usize = 64;
    for j in 0..cols {
        let mut square = 0.0;
        for row in w.chunks_exact(cols) {
            square += f64::from(row[j]) * f64::from(row[j]);
        }
        let scale = unit(square);
        for row in w.chunks_exact_mut(cols) {
            row[j] = (f64::from(row[j]) * scale) as f32;
        }
        for first in (j + 1..cols).step_by(AT_ONCE) {
            let last = cols.min(first + AT_ONCE);
            let mut products = [0.0; AT_ONCE];
            for row in w.chunks_exact(cols) {
                let q = f64::from(row[j]);
                for (d, &w) in products.iter_mut().zip(&row[first..last]) {
                    *d += q * f64::from(w);
                }
            }
            for row in w.chunks_exact_mut(cols) {
                let q = f64::from(row[j]);
                for (w, d) in row[first..last].iter_mut().zip(&products) {
                    *w = (f64::from(*w) - q * d) as f32;
                }
            }
        }
    }
}

/// `1 / sqrt(n)`; for 0 the result does not matter.
fn inverse_root(n: usize) -> f32 {
    libm::sqrt(1.0 / n.max(1) as f64) as f32
}

impl Levels {
    /// PyTorch's initial weights.
    pub(crate) fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        uniform(weights, inverse_root(self.first.shape.hidden), rng);
        self.init_norm(weights)
    }
}

impl<C: Cell> Recurrent<C> {
    /// PyTorch's initial weights: all weights and biases evenly distributed over `-1/sqrt(H)..1/sqrt(H)`.
    /// With layer normalisation the gains are 1, and the biases 0.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// let layer = recurrent::Gru::new(3, 16);
    /// let mut weights = vec![0.0; layer.weights_len()];
    /// layer.init(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// assert!(weights.iter().all(|w| w.abs() <= 0.25));
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        self.levels.init(weights, rng)
    }

    /// Makes each gate's block `[H, R]` of `w_hh` a random orthogonal matrix ([`orthogonal`]). Other parts do
    /// not change, so call it after [`init`](Self::init).
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    ///
    /// ```
    /// use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
    /// let layer = recurrent::Gru::new(3, 16);
    /// let mut weights = vec![0.0; layer.weights_len()];
    /// layer.init_orthogonal(&mut weights, &mut Xoshiro256PlusPlus::seed_from_u64(1))?;
    /// let row = &layer.weights(&weights)?.w_hh[..16];
    /// assert!((row.iter().map(|w| w * w).sum::<f32>() - 1.0).abs() < 1e-6);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn init_orthogonal(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        let (hidden, width) = (self.hidden(), self.width());
        let w_hh = self.weights_mut(weights)?.w_hh;
        for block in w_hh.chunks_exact_mut((hidden * width).max(1)) {
            orthogonal(block, hidden, width, rng)?;
        }
        Ok(())
    }
}

impl<C: Cell> Stack<C> {
    /// PyTorch's initial weights, as [`Recurrent::init`] for each layer and direction.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        self.levels.init(weights, rng)
    }
}

impl Lstm {
    /// Sets the bias of the forget gate to `value`: `b_ih` becomes `value` and `b_hh` becomes 0. With 1 or
    /// more, a new layer keeps its cell state (Jozefowicz et al. 2015).
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    ///
    /// ```
    /// use recurrent::{Lstm, LstmGate};
    /// let layer = Lstm::new(2, 3);
    /// let mut weights = vec![0.5; layer.weights_len()];
    /// layer.forget_bias(&mut weights, 1.0)?;
    /// assert_eq!(layer.weights(&weights)?.gate(LstmGate::Forget).b_ih, [1.0; 3]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn forget_bias(&self, weights: &mut [f32], value: f32) -> Result<()> {
        let mut parts = self.weights_mut(weights)?;
        let forget = parts.gate(LstmGate::Forget);
        forget.b_ih.fill(value);
        forget.b_hh.fill(0.0);
        Ok(())
    }
}

impl Dense {
    /// PyTorch's initial weights: `w` and `b` evenly distributed over `-1/sqrt(I)..1/sqrt(I)`.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        uniform(weights, inverse_root(self.input()), rng);
        Ok(())
    }
}

impl Embedding {
    /// PyTorch's initial weights: normally distributed with mean 0 and deviation 1.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        normal(weights, 1.0, rng);
        Ok(())
    }
}

impl Attention {
    /// PyTorch's initial weights of dense layers: evenly distributed over `-1/sqrt(n)..1/sqrt(n)`. `n` is the
    /// number of inputs of each matrix; for `b` and `v` it is `A`.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `weights`.
    pub fn init(&self, weights: &mut [f32], rng: &mut impl Rng) -> Result<()> {
        check_len("weights", self.weights_len(), weights.len())?;
        if let Some(parts) = self.split_mut(weights) {
            let units = parts.v.len();
            let inputs =
                [(parts.w_q, self.query()), (parts.w_k, self.input()), (parts.b, units), (parts.v, units)];
            inputs.into_iter().for_each(|(part, inputs)| uniform(part, inverse_root(inputs), rng));
        }
        Ok(())
    }
}
