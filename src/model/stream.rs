//! A type that owns the buffers of a stream.

/// Declares a type that runs a constant [`Model`](crate::model::Model) on one stream, sample by sample, and
/// owns its buffers: state, scratch and output, as arrays whose lengths the compiler computes. The weights
/// stay where they are, for example in flash. Nothing is allocated.
///
/// ```
/// use recurrent::prelude::*;
///
/// const MODEL: Model<2> = Model::new([Layer::gru(3, 16), Layer::dense(16, 2)]);
/// static WEIGHTS: [f32; MODEL.weights_len()] = [0.01; MODEL.weights_len()];
///
/// recurrent::stream! {
///     /// Tells rest from movement.
///     #[derive(Clone)]
///     pub struct Recogniser(MODEL);
/// }
///
/// # struct Led;
/// # impl Led { fn set(&mut self, _: bool) {} }
/// # let mut led = Led;
/// let mut recogniser = Recogniser::new(&WEIGHTS);
/// for sample in [[0.1, 0.2, 9.8], [0.0, 0.3, 9.7]] {
///     led.set(argmax(recogniser.step(&sample)?)? == 1);
/// }
/// # Ok::<(), recurrent::Error>(())
/// ```
///
/// The type has these methods. `S` and `O` are [`MODEL.state_len(1)`](crate::model::Model::state_len) and
/// [`MODEL.output()`](crate::model::Model::output).
///
/// | method | what it does |
/// |---|---|
/// | `const fn new(weights: &'static [f32]) -> Self` | a stream with a state of zeros. It is `const`, so that a `static` can hold it |
/// | `fn step(&mut self, x: impl Into<Input>) -> Result<&[f32; O]>` | runs one step: [`Model::step`](crate::model::Model::step) of one row. An error changes nothing |
/// | `fn reset(&mut self)` | sets the state to zeros, before another sequence |
/// | `fn state(&self) -> &[f32; S]`, `fn state_mut(&mut self) -> &mut [f32; S]` | the state, to save it, or to start from a learned one |
#[macro_export]
macro_rules! stream {
    ($(#[$attribute:meta])* $vis:vis struct $name:ident($model:expr);) => {
        $(#[$attribute])*
        $vis struct $name {
            weights: &'static [f32],
            state: [f32; ($model).state_len(1)],
            output: [f32; ($model).output()],
            scratch: [f32; ($model).scratch_len(1, 1)],
        }

        #[allow(dead_code, reason = "no program needs all of them")]
        impl $name {
            /// A stream with a state of zeros.
            $vis const fn new(weights: &'static [f32]) -> Self {
                $name {
                    weights,
                    state: [0.0; ($model).state_len(1)],
                    output: [0.0; ($model).output()],
                    scratch: [0.0; ($model).scratch_len(1, 1)],
                }
            }

            /// Runs one step, and returns the output.
            $vis fn step<'x>(
                &mut self,
                x: impl Into<$crate::model::Input<'x>>,
            ) -> $crate::Result<&[f32; ($model).output()]> {
                let $name { weights, state, output, scratch } = self;
                ($model).step(*weights, x, output, state, scratch)?;
                Ok(output)
            }

            /// Sets the state to zeros.
            $vis fn reset(&mut self) {
                self.state.fill(0.0);
            }

            /// The state.
            $vis fn state(&self) -> &[f32; ($model).state_len(1)] {
                &self.state
            }

            /// The state, to start from another one.
            $vis fn state_mut(&mut self) -> &mut [f32; ($model).state_len(1)] {
                &mut self.state
            }
        }
    };
}
