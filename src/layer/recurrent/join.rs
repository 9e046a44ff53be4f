//! The two directions of a layer: how their outputs become one, and who runs them.

#[cfg(not(target_os = "none"))]
use crate::error::Result;

/// How the outputs of the two directions of a layer become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Side by side: the output is `[T, B, 2*R]`, the forward direction first. PyTorch's way, and Keras' default.
    Concat,
    /// Added: the output is `[T, B, R]`.
    Sum,
}

/// Runs the two directions of a layer. Each writes to buffers of its own, so the results have the same bits in any order.
///
/// (What it runs are trait objects, so that a user's threads do not have the passes compiled again. Passes without it have none.)
pub trait Join {
    /// Runs both, each once.
    fn join(&self, forward: &mut (dyn FnMut() + Send), reverse: &mut (dyn FnMut() + Send));
}

/// One direction after the other, on the thread of the caller.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Join for Sequential {
    fn join(&self, forward: &mut (dyn FnMut() + Send), reverse: &mut (dyn FnMut() + Send)) {
        forward();
        reverse();
    }
}

/// Both directions at the same time: the reverse one on a thread that is started for it, which allocates.
///
/// ```
/// use recurrent::{Forward, Gru, Merge, Sequences, Stack, Threads};
/// let stack = Stack::new(Gru::new(2, 4)).bidirectional(Merge::Sum);
/// let (weights, x) = (vec![0.2; stack.weights_len()], vec![1.0; 5 * 2]);
/// let (mut y, mut state) = (vec![0.0; 5 * stack.output()], vec![0.0; stack.state_len(1)]);
/// let (mut scratch, sequences) = (vec![0.0; stack.scratch_len(5, 1)], Sequences::new(5, 1));
/// let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
/// stack.forward_with(&Threads, &weights, args)?;
/// assert!(y.iter().all(|y| *y != 0.0));
/// # Ok::<(), recurrent::Error>(())
/// ```
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

#[cfg(feature = "std")]
impl Join for Threads {
    fn join(&self, forward: &mut (dyn FnMut() + Send), reverse: &mut (dyn FnMut() + Send)) {
        std::thread::scope(|scope| {
            scope.spawn(reverse);
            forward();
        });
    }
}

/// Runs the forward direction and, if there is one, the reverse one, by `join` if that is given.
#[cfg(not(target_os = "none"))]
pub(super) fn run_both(
    join: Option<&dyn Join>,
    is_both: bool,
    mut forward: impl FnMut() -> Result<()> + Send,
    mut reverse: impl FnMut() -> Result<()> + Send,
) -> Result<()> {
    let (mut a, mut b) = (Ok(()), Ok(()));
    match join {
        Some(join) if is_both => join.join(&mut || a = forward(), &mut || b = reverse()),
        _ if is_both => (a, b) = (forward(), reverse()),
        _ => a = forward(),
    }
    a.and(b)
}

/// The same of two expressions. In firmware, which has no threads, nothing stands between them and the compiler, so that it knows a
/// constant layer's cell in both.
macro_rules! both {
    ($join:expr, $is_both:expr, $forward:expr, $reverse:expr $(,)?) => {{
        #[cfg(target_os = "none")]
        {
            let _ = $join;
            $forward?;
            if $is_both {
                $reverse?;
            }
        }
        #[cfg(not(target_os = "none"))]
        $crate::layer::recurrent::join::run_both($join, $is_both, || $forward, || $reverse)?;
    }};
}
pub(super) use both;
