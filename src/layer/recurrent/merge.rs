//! The two directions of a layer: how their outputs become one, and how they run.

#[cfg(not(target_os = "none"))]
use crate::error::Result;
#[cfg(not(target_os = "none"))]
use crate::layer::join::Team;

/// How the outputs of the two directions of a layer become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Side by side: the output is `[T, B, 2*R]`, the forward direction first. PyTorch's way, and Keras'
    /// default.
    Concat,
    /// Added: the output is `[T, B, R]`.
    Sum,
}

/// Runs the forward direction and, if there is one, the reverse one; both at the same time if there are
/// threads.
#[cfg(not(target_os = "none"))]
pub(super) fn run_both(
    team: Option<Team<'_>>,
    is_both: bool,
    forward: impl FnOnce() -> Result<()> + Send,
    reverse: impl FnOnce() -> Result<()> + Send,
) -> Result<()> {
    match team {
        Some(team) if is_both => team.run(forward, reverse),
        _ if is_both => {
            let (a, b) = (forward(), reverse());
            a.and(b)
        }
        _ => forward(),
    }
}

/// The same of two expressions. In firmware, which has no threads, nothing stands between them and the
/// compiler, so that it knows a constant layer's cell in both.
macro_rules! both {
    ($team:expr, $is_both:expr, $forward:expr, $reverse:expr $(,)?) => {{
        #[cfg(target_os = "none")]
        {
            let _ = $team;
            $forward?;
            if $is_both {
                $reverse?;
            }
        }
        #[cfg(not(target_os = "none"))]
        $crate::layer::recurrent::merge::run_both($team, $is_both, || $forward, || $reverse)?;
    }};
}
pub(super) use both;
