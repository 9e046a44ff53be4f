//! An activation function as a separate layer.

use crate::error::{Need, Result, check_shape};
use crate::kernel::activation::{Activation, activate, deactivate};
use crate::simd::{HAS_VECTORS, Isa, Op, Simd, dispatch, dispatch_single};

/// Applies an activation function to each element: `y = f(x)`. It has no weights and needs no scratch.
///
/// A dense layer with tanh, sigmoid or ReLU does the same in one pass: see for example
/// [`Dense::tanh`](crate::Dense::tanh).
///
/// ```
/// use recurrent::{Activate, Activation};
/// const LAYER: Activate = Activate::new(Activation::LeakyRelu { alpha: 0.5 });
/// let x = [-2.0, 3.0];
/// let (mut y, mut dx) = ([0.0; 2], [0.0; 2]);
/// LAYER.forward(&x, &mut y)?;
/// LAYER.backward(&x, &[1.0, 1.0], &mut dx)?;
/// assert_eq!((y, dx), ([-1.0, 3.0], [0.5, 1.0]));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activate {
    function: Activation,
    isa: Option<Isa>,
}

impl Activate {
    /// A layer with this function.
    pub const fn new(function: Activation) -> Self {
        Activate { function, isa: None }
    }

    /// Pins the instruction set, like [`Dense::on`](crate::Dense::on).
    pub const fn on(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// The instruction set that its passes run on.
    #[inline(always)]
    pub fn isa(&self) -> Isa {
        self.isa.unwrap_or_else(Isa::detect)
    }

    /// The function.
    pub const fn function(&self) -> Activation {
        self.function
    }

    /// Applies the function to each element of `x`. `y` has the same length.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) for `y`.
    #[cfg_attr(all(target_os = "none", feature = "named-forms"), inline(always))]
    pub fn forward(&self, x: &[f32], y: &mut [f32]) -> Result<()> {
        check_shape("y", Need::AS_INPUT, x.len(), y.len())?;
        let pass = ForwardPass(self.function, x, y);
        // Without vectors, more than one element at a time is only more code.
        Ok(if HAS_VECTORS { dispatch(self.isa(), pass) } else { dispatch_single(self.isa(), pass) }?)
    }

    /// Computes the gradient of the input from that of the output, `dx = dy f'(x)`: `x` is that of the
    /// forward pass, and all three have the same length.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) for `dy` or `dx`.
    pub fn backward(&self, x: &[f32], dy: &[f32], dx: &mut [f32]) -> Result<()> {
        check_shape("dy", Need::AS_INPUT, x.len(), dy.len())?;
        check_shape("dx", Need::AS_INPUT, x.len(), dx.len())?;
        Ok(dispatch(self.isa(), BackwardPass(self.function, x, dy, dx))?)
    }
}

struct ForwardPass<'a>(Activation, &'a [f32], &'a mut [f32]);

impl Op for ForwardPass<'_> {
    type Output = crate::kernel::Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        activate(s, self.0, self.1, self.2)
    }
}

struct BackwardPass<'a>(Activation, &'a [f32], &'a [f32], &'a mut [f32]);

impl Op for BackwardPass<'_> {
    type Output = crate::kernel::Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        deactivate(s, self.0, self.1, self.2, self.3)
    }
}
