//! One initial state for all rows of a batch, and its gradient.

use super::array::Model;
use super::chain::Chain;
use crate::error::{Result, check_len};
use crate::layer::buffer::{Sum, take, take_mut};

impl Chain<'_> {
    /// Gives every row of a batch the same initial state: `initial` is the state of one row, `state` has
    /// [`state_len(batch)`](Self::state_len) elements.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `initial`
    /// or `state`.
    ///
    /// ```
    /// use recurrent::model::{Layer, Model};
    /// const MODEL: Model<2> = Model::new([Layer::lstm(1, 1), Layer::gru(1, 1)]);
    /// let mut state = [0.0; MODEL.state_len(2)];
    /// MODEL.repeat_state(&[0.1, 0.2, /**/ 0.3], 2, &mut state)?; // h and c, then h
    /// assert_eq!(state, [0.1, 0.1, 0.2, 0.2, /**/ 0.3, 0.3]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn repeat_state(&self, initial: &[f32], batch: usize, state: &mut [f32]) -> Result<()> {
        check_len("initial", self.state_len(1), initial.len())?;
        check_len("state", self.state_len(batch), state.len())?;
        let (mut from, mut to) = (initial, state);
        self.each_state(|width| {
            let row = take(&mut from, width);
            (0..batch).for_each(|_| take_mut(&mut to, width).copy_from_slice(row));
        });
        Ok(())
    }

    /// Computes the gradient of a shared initial state: the sum of [`dstate`](super::Training::dstate) over
    /// the rows. `gradient` has [`state_len(1)`](Self::state_len) elements.
    ///
    /// # Errors
    /// [`Error::Length`](crate::Error::Length) or [`Error::Overflow`](crate::Error::Overflow) for `dstate` or
    /// `gradient`.
    ///
    /// ```
    /// use recurrent::model::{Layer, Model};
    /// const MODEL: Model<1> = Model::new([Layer::gru(1, 2)]);
    /// let mut gradient = [0.0; 2];
    /// MODEL.sum_dstate(&[1.0, 2.0, /**/ 10.0, 20.0], 2, &mut gradient)?;
    /// assert_eq!(gradient, [11.0, 22.0]);
    /// # Ok::<(), recurrent::Error>(())
    /// ```
    pub fn sum_dstate(&self, dstate: &[f32], batch: usize, gradient: &mut [f32]) -> Result<()> {
        check_len("dstate", self.state_len(batch), dstate.len())?;
        check_len("gradient", self.state_len(1), gradient.len())?;
        let (mut from, mut to) = (dstate, gradient);
        self.each_state(|width| {
            let (rows, to) = (take(&mut from, batch * width), take_mut(&mut to, width));
            for (j, to) in to.iter_mut().enumerate() {
                let mut sum = Sum::default();
                rows.chunks_exact(width).for_each(|row| sum.add(row[j]));
                *to = sum.total();
            }
        });
        Ok(())
    }

    /// Calls `f` with the width of each part of the state that is stored row by row: `h` and `c` of each
    /// level and direction.
    fn each_state(&self, mut f: impl FnMut(usize)) {
        for levels in self.layers().iter().filter_map(|layer| layer.levels()) {
            let (h, both) = (levels.first.width(), levels.first.state_len(1));
            for _ in 0..levels.depth * levels.directions() {
                for width in [h, both - h] {
                    f(width);
                }
            }
        }
    }
}

impl<const N: usize> Model<N> {
    /// Like [`Chain::repeat_state`].
    ///
    /// # Errors
    /// Those of [`Chain::repeat_state`].
    pub fn repeat_state(&self, initial: &[f32], batch: usize, state: &mut [f32]) -> Result<()> {
        self.chain().repeat_state(initial, batch, state)
    }

    /// Like [`Chain::sum_dstate`].
    ///
    /// # Errors
    /// Those of [`Chain::sum_dstate`].
    pub fn sum_dstate(&self, dstate: &[f32], batch: usize, gradient: &mut [f32]) -> Result<()> {
        self.chain().sum_dstate(dstate, batch, gradient)
    }
}
