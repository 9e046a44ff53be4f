//! The dense layer: `y = f(x W^T + b)`, and its gradients.

mod args;
mod backward;
mod narrow;
mod passes;
#[cfg(not(target_os = "none"))]
mod threads;

pub use args::DenseBackward;

use super::join::{Join, Team};
use super::narrow::narrow_weights;
use super::packed::{Fingerprint, Owner, Packed, Source, WeightSource, aligned_len, packed_len};
use super::recurrent::narrow_fingerprint;
use crate::error::{Error, Need, Result, check_len, check_shape};
use crate::kernel::finish::Finish;
use crate::kernel::narrow::{IN_PLACE, PACKS, check_packs, here, packs};
use crate::kernel::pack::pack_rows;
use crate::kernel::product::columns_len;
use crate::kernel::rows::list::MOST;
use crate::kernel::{Activation, Narrow};
use crate::simd::{HAS_VECTORS, Isa, MAX_LANES};

/// A dense (fully connected) layer, `y = f(x W^T + b)`, like PyTorch's `nn.Linear` with an activation
/// function `f`: [`tanh`](Self::tanh), [`relu`](Self::relu), [`sigmoid`](Self::sigmoid), or none.
///
/// Like a [`Recurrent`](crate::Recurrent) layer it is a constant that owns nothing. `I` is the number of
/// inputs, `O` that of outputs:
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
    narrow: Option<Narrow>,
}

/// Length of a matrix of `n` rows of `k` elements in panels, for any instruction set of this target.
const fn panels_len(k: usize, n: usize) -> usize {
    columns_len(MAX_LANES, k, n)
}

impl Dense {
    /// A layer of `output` units over `input` features.
    pub const fn new(input: usize, output: usize) -> Self {
        Dense { input, output, finish: None, isa: None, narrow: None }
    }

    /// Features of the input, `I`.
    pub const fn input(&self) -> usize {
        self.input
    }

    /// Features of the output, `O`.
    pub const fn output(&self) -> usize {
        self.output
    }

    /// The activation function, if there is one: [`Activation::Tanh`], [`Activation::Relu`] or
    /// [`Activation::Sigmoid`].
    pub const fn activation(&self) -> Option<Activation> {
        match self.finish {
            None => None,
            Some(Finish::Tanh) => Some(Activation::Tanh),
            Some(Finish::Relu) => Some(Activation::Relu),
            Some(Finish::Sigmoid) => Some(Activation::Sigmoid),
        }
    }

    /// The same layer with the hyperbolic tangent as its activation.
    pub const fn tanh(mut self) -> Self {
        self.finish = Some(Finish::Tanh);
        self
    }

    /// The same layer with `max(0, .)` as its activation.
    pub const fn relu(mut self) -> Self {
        self.finish = Some(Finish::Relu);
        self
    }

    /// The same layer with the logistic sigmoid as its activation.
    pub const fn sigmoid(mut self) -> Self {
        self.finish = Some(Finish::Sigmoid);
        self
    }

    /// The same layer pinned to an instruction set. By default passes run on the best one of the CPU.
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The same layer with a matrix in a narrow format. Inference runs from packed weights
    /// ([`pack`](Self::pack), [`pack_narrow`](Self::pack_narrow)), or in place from the bytes that
    /// [`round`](Self::round) writes ([`WeightSource::Narrow`]). Training uses weights in `f32`.
    #[cfg(not(all(target_os = "none", feature = "named-forms")))]
    pub const fn narrow(self, narrow: Narrow) -> Self {
        self.with_format(Some(narrow))
    }

    pub(crate) const fn with_format(self, narrow: Option<Narrow>) -> Self {
        Dense { narrow, ..self }
    }

    /// The narrow format of the matrix; `None` for `f32`.
    #[inline(always)]
    pub const fn narrow_format(&self) -> Option<Narrow> {
        here(self.narrow)
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

    /// Length of packed weights, for any instruction set of this target.
    pub const fn packed_len(&self) -> usize {
        packed_len(self.packed_panels_len())
    }

    /// Length of the panels and the biases, without the room to align them.
    pub(crate) const fn packed_panels_len(&self) -> usize {
        if let Some(narrow) = packs(self.narrow_format()) {
            return self.narrow_panels_len(narrow);
        }
        aligned_len(panels_len(self.input, self.output).saturating_add(self.output))
    }

    /// The instruction set that the layer is pinned to.
    pub(crate) const fn pinned(&self) -> Option<Isa> {
        self.isa
    }

    /// The fingerprint of the packed weights.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        narrow_fingerprint(Fingerprint::new(5).and(self.input).and(self.output), self.narrow_format())
    }

    /// Length of the scratch of [`forward`](Self::forward) and [`backward`](Self::backward), for any number
    /// of rows.
    pub const fn scratch_len(&self) -> usize {
        let codes = match self.narrow_format() {
            Some(narrow) => {
                let integers = narrow.room_len(self.input).saturating_mul(if PACKS { MOST } else { 1 });
                integers.saturating_add(narrow.widened_len(self.input, MOST))
            }
            None => 0,
        };
        if !HAS_VECTORS {
            return codes;
        }
        let (forward, backward) = (panels_len(self.input, self.output), panels_len(self.output, self.input));
        let wide = if forward > backward { forward } else { backward };
        if wide > codes { wide } else { codes }
    }

    fn check(&self, rows: usize, x: usize, y: (&'static str, usize)) -> Result<()> {
        check_shape("x", Need::ROWS_INPUTS, rows.saturating_mul(self.input), x)?;
        check_shape(y.0, Need::ROWS_OUTPUTS, rows.saturating_mul(self.output), y.1)
    }

    /// Splits the weights into `w` and `b`.
    fn split<'a>(&self, weights: &'a [f32]) -> Result<(&'a [f32], &'a [f32])> {
        check_len("weights", self.weights_len(), weights.len())?;
        let parts = weights.split_at_checked(self.output.saturating_mul(self.input));
        parts.ok_or(Error::Overflow { buffer: "weights" })
    }

    /// Arranges canonical weights for this layer's instruction set, in a buffer of
    /// [`packed_len`](Self::packed_len) elements.
    ///
    /// Pack once after loading or changing weights, then run any number of passes. Layers that differ only in
    /// their activation have the same packed weights.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] for `weights` or `packed`.
    ///
    /// ```
    /// use recurrent::Dense;
    /// let layer = Dense::new(8, 16);
    /// let weights = vec![0.1; layer.weights_len()];
    /// let packed = layer.pack(&weights, vec![0.0; layer.packed_len()])?;
    /// let mut y = [0.0; 16];
    /// layer.forward(&packed, 1, &[1.0; 8], &mut y, &mut [])?;
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn pack<B: AsMut<[f32]>>(&self, weights: &[f32], packed: B) -> Result<Packed<B>> {
        check_len("weights", self.weights_len(), weights.len())?;
        self.check_values(weights)?;
        self.packed_by(packed, |to| self.pack_into(weights, to))
    }

    fn packed_by<B: AsMut<[f32]>>(
        &self,
        packed: B,
        pack: impl FnOnce(&mut [f32]) -> Result<()>,
    ) -> Result<Packed<B>> {
        check_packs(self.narrow_format())?;
        Packed::new(self.isa(), self.fingerprint(), self.packed_panels_len(), packed, pack)
    }

    narrow_weights!(self => self, "layer");

    /// Packs weights into panels of [`packed_panels_len`](Self::packed_panels_len) elements.
    pub(crate) fn pack_into(&self, weights: &[f32], to: &mut [f32]) -> Result<()> {
        if let Some(narrow) = self.narrow_format() {
            self.pack_given(&self.rounded(narrow, weights)?, to);
            return Ok(());
        }
        let (w, b) = self.split(weights)?;
        let (panels, rest) = to.split_at_mut(panels_len(self.input, self.output));
        pack_rows(self.isa().lanes(), self.input, w, panels);
        rest[..self.output].copy_from_slice(b);
        Ok(())
    }

    #[inline(always)]
    const fn owner(&self) -> Owner {
        let (weights, panels) = (self.weights_len(), self.packed_panels_len());
        Owner {
            what: "layer",
            fingerprint: self.fingerprint(),
            weights,
            panels,
            pinned: self.isa,
            narrow: self.narrow_format().is_some(),
            words: if IN_PLACE && self.narrow_format().is_some() { Some(self.words_len()) } else { None },
        }
    }

    /// Computes `y = f(x W^T + b)` for each row: `x [rows, I]`, `y [rows, O]`.
    ///
    /// `weights` are canonical, of [`weights_len`](Self::weights_len) elements, or [packed](Self::pack).
    /// `scratch` has at least [`scratch_len`](Self::scratch_len) elements, or any number with packed weights.
    /// A row's result depends neither on the other rows nor on the packing.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Overflow`] with the name of the buffer; [`Error::Packing`] if the
    /// weights were packed for another layer.
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
    pub fn forward<'w>(
        &self,
        weights: impl Into<WeightSource<'w>>,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.forward_from(weights.into(), rows, x, y, scratch)
    }

    #[cfg_attr(target_os = "none", inline(always))]
    fn forward_from(
        &self,
        weights: WeightSource<'_>,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        self.run_forward(None, weights.check(self.owner())?, rows, x, y, scratch)
    }

    /// The same on several threads, which share the rows if there is enough work. The bits are the same.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    pub fn forward_with<'w>(
        &self,
        join: &dyn Join,
        weights: impl Into<WeightSource<'w>>,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        let weights = weights.into().check(self.owner())?;
        self.run_forward(Team::of(join), weights, rows, x, y, scratch)
    }

    /// The same with weights that have been checked.
    #[cfg_attr(target_os = "none", inline(always))]
    pub(crate) fn run_forward(
        &self,
        team: Option<Team<'_>>,
        weights: Source<'_>,
        rows: usize,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<()> {
        match weights {
            Source::Canonical(flat) => self.forward_on(team, self.isa(), flat, rows, x, y, scratch),
            Source::Words(words) => self.forward_in_place(words, rows, x, y, scratch),
            Source::Panels(data, isa) => match self.narrow_format() {
                Some(narrow) => self.forward_narrow((isa, narrow), data, rows, x, y, scratch),
                None => self.forward_packed(team, isa, data, rows, x, y),
            },
        }
    }

    /// Computes the gradients of the weights and of the input from that of the output: `ds = dy f'`,
    /// `dW = ds^T x`, `db = ` the sum of the rows of `ds`, `dx = ds W`.
    ///
    /// `weights`, `x` and `y` are those of the forward pass. With an activation, `dy` is overwritten with
    /// `ds`.
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
        self.backward_on(None, weights, args)
    }

    /// The same on several threads. The gradients of the weights are cut by outputs, so each sum over rows
    /// stays in one thread. The results have the same bits.
    ///
    /// # Errors
    /// Those of [`backward`](Self::backward).
    pub fn backward_with(&self, join: &dyn Join, weights: &[f32], args: DenseBackward<'_>) -> Result<()> {
        self.backward_on(Team::of(join), weights, args)
    }
}
