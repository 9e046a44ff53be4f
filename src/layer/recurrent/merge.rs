//! The two directions of a layer: how they run, and how their outputs are merged.

#[cfg(not(target_os = "none"))]
use crate::error::Result;
#[cfg(not(target_os = "none"))]
use crate::layer::join::Team;

/// How the outputs of a layer's two directions are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// Concatenated: the output is `[T, B, 2*R]`, the forward direction first. PyTorch always does this; it
    /// is Keras' default.
    Concat,
    /// Summed: the output is `[T, B, R]`.
    Sum,
}

/// Runs the forward direction and, if there is one, the reverse direction. With threads both run at the same
/// time.
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

/// The same for two expressions. In firmware, which has no threads, this compiles to just the expressions, so
/// that the compiler knows the cell of a constant layer in both.
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
