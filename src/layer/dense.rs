//! The dense layer: `y = f(x W^T + b)`, and its gradients.

use super::Gradients;
use crate::error::{Error, Result, check_len, check_room};
use crate::kernel::Activation;
use crate::kernel::elementwise::column_sums;
use crate::kernel::finish::{Finish, finish, unfinish};
use crate::kernel::gemm::outer;
use crate::kernel::pack::{pack_columns, pack_rows};
use crate::kernel::product::{Init, Left, Right, columns_len, product, product_transposed};
use crate::kernel::view::Columns;
use crate::kernel::walk::Rows;
use crate::simd::{HAS_VECTORS, Isa, MAX_LANES, Op, Simd, dispatch, dispatch_single};

/// A dense (fully connected) layer, `y = f(x W^T + b)`, as PyTorch's `nn.Linear` and an activation function `f`:
/// [`tanh`](Self::tanh), [`relu`](Self::relu), [`sigmoid`](Self::sigmoid), or none.
///
/// Like a [`Recurrent`](crate::Recurrent) layer it is a constant that owns nothing. `I` inputs, `O` outputs:
///
/// | buffer | shape | what it is |
/// |---|---|---|
/// | weights, gradients | `w [O, I]`, `b [O]` | one flat slice, PyTorch's order |
/// | x, y | `[rows, I]`, `[rows, O]` | rows are independent of each other, to the bit |
/// | scratch | opaque | garbage before and after |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    input: usize,
    output: usize,
    finish: Option<Finish>,
    isa: Option<Isa>,
}

/// Arguments of [`Dense::backward`].
#[derive(Debug)]
pub struct DenseBackward<'a> {
    /// Rows of `x` and `dy`: for a sequence `T*B`.
    pub rows: usize,
    /// The input of the forward pass, `[rows, I]`.
    pub x: &'a [f32],
    /// The output of the forward pass, `[rows, O]`; may be empty for a layer without an activation, which does not read it.
    pub y: &'a [f32],
    /// Gradient of the output, `[rows, O]`. A layer with an activation leaves the gradient of the sums in it.
    pub dy: &'a mut [f32],
    /// Takes the gradient of the input, `[rows, I]`, if wanted.
    pub dx: Option<&'a mut [f32]>,
    /// Takes the gradients of the weights in their layout, if wanted.
    pub grads: Option<&'a mut [f32]>,
    /// Whether `grads` is overwritten or added to.
    pub mode: Gradients,
    /// At least [`scratch_len`](Dense::scratch_len) elements.
    pub scratch: &'a mut [f32],
}

/// From this many rows on, packing the weights for `dx` costs less than it saves. Measured with AVX2 on Zen: the two are
/// even between 32 rows (of 512 x 10000 weights) and 100 (of 256 x 96). In `forward` packing always pays, because
/// the weights lie across the vectors.
const PACK_ROWS: usize = 32;

/// Length of `n` vectors of `k` in panels, for any instruction set of this target.
const fn panels_len(k: usize, n: usize) -> usize {
    columns_len(MAX_LANES, k, n)
}

impl Dense {
    /// A layer of `output` units over `input` features.
    pub const fn new(input: usize, output: usize) -> Self {
        Dense { input, output, finish: None, isa: None }
    }

    /// Features of the input, `I`.
    pub const fn input(&self) -> usize {
        self.input
    }

    /// Features of the output, `O`.
    pub const fn output(&self) -> usize {
        self.output
    }

    /// The activation function, if there is one: [`Activation::Tanh`], [`Activation::Relu`] or [`Activation::Sigmoid`].
    pub const fn activation(&self) -> Option<Activation> {
        match self.finish {
            None => None,
            Some(Finish::Tanh) => Some(Activation::Tanh),
            Some(Finish::Relu) => Some(Activation::Relu),
            Some(Finish::Sigmoid) => Some(Activation::Sigmoid),
        }
    }

    /// The same layer with the hyperbolic tangent of its sums.
    pub const fn tanh(mut self) -> Self {
        self.finish = Some(Finish::Tanh);
        self
    }

    /// The same layer with `max(0, .)` of its sums.
    pub const fn relu(mut self) -> Self {
        self.finish = Some(Finish::Relu);
        self
    }

    /// The same layer with the logistic sigmoid of its sums.
    pub const fn sigmoid(mut self) -> Self {
        self.finish = Some(Finish::Sigmoid);
        self
    }

    /// The same layer pinned to an instruction set, instead of the best one of the CPU.
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The instruction set that passes run on.
    #[inline]
    pub fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(Isa::detect)
    }

    /// Length of the weights, and of their gradients: `O*I + O`.
    pub const fn weights_len(&self) -> usize {
        self.output.saturating_mul(self.input.saturating_add(1))
    }

    /// Length of the scratch of [`forward`](Self::forward) and [`backward`](Self::backward), for any number of rows.
    pub const fn scratch_len(&self) -> usize {
        if !HAS_VECTORS {
            return 0;
        }
        let (forward, backward) = (panels_len(self.input, self.output), panels_len(self.output, self.input));
        if forward > backward { forward } else { backward }
    }

    fn check(
        &self,
        weights: usize,
        rows: usize,
        x: usize,
        y: (&'static str, usize),
        scratch: usize,
    ) -> Result<()> {
        check_len("weights", self.weights_len(), weights)?;
        check_len("x", rows.saturating_mul(self.input), x)?;
        check_len(y.0, rows.saturating_mul(self.output), y.1)?;
        check_room("scratch", self.scratch_len(), scratch)
    }

    /// `y = f(x W^T + b)` for each row: `x [rows, I]`, `y [rows, O]`.
    ///
    /// `weights` has [`weights_len`](Self::weights_len) elements, `scratch` at least [`scratch_len`](Self::scratch_len).
    /// A row's result does not depend on the other rows.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer.
    ///
    /// ```
    /// use recurrent::Dense;
    /// const LAYER: Dense = Dense::new(3, 2);
    /// let weights = [1.0, 2.0, 3.0, /**/ 4.0, 5.0, 6.0, /* b */ 0.5, -0.5];
    /// let mut y = [0.0; 2];
    /// let mut scratch = [0.0; LAYER.scratch_len()];
    /// LAYER.forward(&weights, 1, &[1.0, 0.0, -1.0], &mut y, &mut scratch)?;
    /// assert_eq!(y, [-1.5, -2.5]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    #[inline(always)]
    pub fn forward(
        &self,
        weights: &[f32],
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.forward_on(self.isa(), weights, rows, x, y, scratch)
    }

    /// The instruction set is an argument, because that is how the optimiser finds that it is the same in all calls.
    fn forward_on(
        &self,
        isa: Isa,
        weights: &[f32],
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.check(weights.len(), rows, x.len(), ("y", y.len()), scratch.len())?;
        let Some((w, b)) = weights.split_at_checked(self.output.saturating_mul(self.input)) else {
            return Err(Error::Overflow { buffer: "weights" });
        };
        let finish = self.finish;
        let pass = ForwardPass { left: Left::plain(x, rows, self.input), w, b, y, finish, scratch };
        if HAS_VECTORS {
            dispatch(isa, Packed(pass));
        } else {
            dispatch_single(isa, InPlace(pass));
        }
        Ok(())
    }

    /// From the gradient of the output to those of the weights and of the input:
    /// `ds = dy f'`, `dW = ds^T x`, `db = ` the sum of the rows of `ds`, `dx = ds W`.
    ///
    /// `weights`, `x` and `y` are those of the forward pass. With an activation `dy` becomes `ds`.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer.
    ///
    /// ```
    /// use recurrent::{Dense, DenseBackward, Gradients};
    /// const LAYER: Dense = Dense::new(3, 2);
    /// let weights = [1.0, 2.0, 3.0, /**/ 4.0, 5.0, 6.0, /* b */ 0.5, -0.5];
    /// let (mut dx, mut grads) = ([0.0; 3], [0.0; LAYER.weights_len()]);
    /// LAYER.backward(&weights, DenseBackward {
    ///     rows: 1,
    ///     x: &[1.0, 0.0, -1.0],
    ///     y: &[],
    ///     dy: &mut [1.0, 2.0],
    ///     dx: Some(&mut dx),
    ///     grads: Some(&mut grads),
    ///     mode: Gradients::Overwrite,
    ///     scratch: &mut [0.0; LAYER.scratch_len()],
    /// })?;
    /// assert_eq!(dx, [9.0, 12.0, 15.0]);
    /// assert_eq!(grads, [1.0, 0.0, -1.0, /**/ 2.0, 0.0, -2.0, /* db */ 1.0, 2.0]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn backward(&self, weights: &[f32], args: DenseBackward<'_>) -> Result<()> {
        let DenseBackward { rows, x, y, dy, dx, grads, mode, scratch } = args;
        self.check(weights.len(), rows, x.len(), ("dy", dy.len()), scratch.len())?;
        if self.finish.is_some() || !y.is_empty() {
            check_len("y", dy.len(), y.len())?;
        }
        if let Some(dx) = &dx {
            check_len("dx", x.len(), dx.len())?;
        }
        if let Some(grads) = &grads {
            check_len("grads", self.weights_len(), grads.len())?;
        }
        let w = &weights[..self.output * self.input];
        let add = mode == Gradients::Accumulate;
        dispatch(self.isa(), BackwardPass { layer: *self, w, rows, x, y, dy, dx, grads, add, scratch });
        Ok(())
    }
}

/// A forward pass. All lengths have been checked.
struct ForwardPass<'a> {
    left: Left<'a>,
    w: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
    finish: Option<Finish>,
    scratch: &'a mut [f32],
}

/// What follows the product.
#[inline(always)]
fn end<S: Simd>(s: S, f: Option<Finish>, y: &mut [f32]) {
    if let Some(f) = f {
        finish(s, f, y);
    }
}

struct Packed<'a>(ForwardPass<'a>);

impl Op for Packed<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ForwardPass { left, w, b, y, finish, scratch } = self.0;
        pack_rows(S::LANES, left.len, w, scratch);
        let right = Right { data: scratch, k: left.len, first: 0, n: b.len(), packed: true };
        product(s, left, right, &mut *y, Init::Bias(b));
        end(s, finish, y);
    }
}

struct InPlace<'a>(ForwardPass<'a>);

impl Op for InPlace<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ForwardPass { left, w, b, y, finish, .. } = self.0;
        product_transposed(s, left, w, &mut *y, Init::Bias(b));
        end(s, finish, y);
    }
}

/// A backward pass. All lengths have been checked.
struct BackwardPass<'a> {
    layer: Dense,
    w: &'a [f32],
    rows: usize,
    x: &'a [f32],
    y: &'a [f32],
    dy: &'a mut [f32],
    dx: Option<&'a mut [f32]>,
    grads: Option<&'a mut [f32]>,
    add: bool,
    scratch: &'a mut [f32],
}

impl Op for BackwardPass<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let BackwardPass { layer, w, rows, x, y, dy, dx, grads, add, scratch } = self;
        let Dense { input, output, .. } = layer;
        if let Some(f) = layer.finish {
            unfinish(s, f, y, dy);
        }
        let dy = &*dy;
        if let Some(grads) = grads {
            let (dw, db) = grads.split_at_mut(output * input);
            outer(s, Columns::all(dy, output), Columns::all(x, input), dw, add);
            column_sums(s, dy, output, Rows::all(rows), 0, db, add);
        }
        if let Some(dx) = dx {
            let packed = HAS_VECTORS && rows >= PACK_ROWS;
            let data = if packed {
                pack_columns(s, input, w, scratch);
                scratch
            } else {
                w
            };
            let right = Right { data, k: output, first: 0, n: input, packed };
            product(s, Left::plain(dy, rows, output), right, dx, Init::Zero);
        }
    }
}
