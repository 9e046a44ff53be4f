//! Threads: two parts of a pass that may run at the same time, and the panels of a step cut into parts.

use core::ops::Range;

use super::Checked;
#[cfg(not(target_os = "none"))]
use crate::error::{Error, Result};

/// The threads that a pass is given: runs two parts of a pass, at the same time if it can. Each part writes
/// to its own buffers, rows or columns of buffers. So the results have the same bits in any order and for any
/// number of threads.
///
/// [`Rayon`] uses rayon's pool, [`Threads`] starts a thread, [`Sequential`] uses no thread. Another pool,
/// such as an audio pool or that of an operating system for microcontrollers, takes a few lines:
///
/// ```
/// use recurrent::Join;
/// struct Scoped;
/// impl Join for Scoped {
///     fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
///         std::thread::scope(|scope| {
///             scope.spawn(second);
///             first();
///         });
///     }
///     fn threads(&self) -> usize {
///         4
///     }
/// }
/// ```
///
/// (The parts are trait objects, so that passes are not compiled again for each implementation. Passes that
/// are called without a `Join` use no threads. Targets without an operating system, which are compiled as a
/// whole, run one part after the other.)
///
/// [`Rayon`]: crate::Rayon
/// [`Threads`]: crate::Threads
/// [`Sequential`]: crate::Sequential
pub trait Join: Sync {
    /// Runs both parts, each once, and returns when both are done. The parts may call `join` again.
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send));

    /// The number of threads. If there is enough work, it is cut into this many parts.
    fn threads(&self) -> usize {
        2
    }

    /// Whether `join` takes only a few microseconds. Then the steps of a large layer are cut, too, which takes
    /// a `join` for each step, and layers on top of each other run at the same time, which takes one for some
    /// steps. False for a `Join` that starts threads.
    fn is_quick(&self) -> bool {
        false
    }
}

/// The threads of one pass. The number of threads is read once, so that buffers are checked and cut by the
/// same number.
#[cfg(not(target_os = "none"))]
#[derive(Clone, Copy)]
pub(crate) struct Team<'j> {
    join: &'j dyn Join,
    threads: usize,
}

/// Firmware has no threads: there is no such value, so an `Option` of it takes no memory and no code.
#[cfg(target_os = "none")]
#[derive(Clone, Copy)]
pub(crate) struct Team<'j>(core::convert::Infallible, core::marker::PhantomData<&'j dyn Join>);

#[cfg(target_os = "none")]
impl<'j> Team<'j> {
    #[inline(always)]
    pub(crate) fn of(_: &'j dyn Join) -> Option<Self> {
        None
    }

    #[inline(always)]
    pub(crate) fn threads(self) -> usize {
        match self.0 {}
    }

    #[inline(always)]
    pub(crate) fn of_step(self, _: usize) -> Option<Self> {
        match self.0 {}
    }
}

#[cfg(not(target_os = "none"))]
impl<'j> Team<'j> {
    /// Always a team, except in firmware.
    pub(crate) fn of(join: &'j dyn Join) -> Option<Self> {
        Some(Self::with(join))
    }

    pub(crate) fn with(join: &'j dyn Join) -> Self {
        Team { join, threads: join.threads().max(1) }
    }

    pub(crate) fn threads(self) -> usize {
        self.threads
    }

    /// The threads that share each step; `None` if handing over takes too long, or for less than two parts.
    pub(crate) fn of_step(self, parts: usize) -> Option<Self> {
        if parts > 1 && self.join.is_quick() { Some(Team { threads: parts, ..self }) } else { None }
    }

    /// Runs a whole pass as one part, before the pass is cut further: the call enters the pool once, and not
    /// for each cut.
    pub(crate) fn enter<T: Send>(self, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self.threads <= 1 {
            return run();
        }
        let (mut run, mut out) = (Some(run), left_out());
        self.join.join(&mut || out = run.take().map_or_else(left_out, |run| run()), &mut || ());
        out
    }

    /// Runs both parts.
    pub(crate) fn run(
        self,
        first: impl FnOnce() -> Result<()> + Send,
        second: impl FnOnce() -> Result<()> + Send,
    ) -> Result<()> {
        let (mut a, mut b, mut first, mut second) = (left_out(), left_out(), Some(first), Some(second));
        self.join.join(&mut || a = first.take().map_or_else(left_out, |first| first()), &mut || {
            b = second.take().map_or_else(left_out, |second| second())
        });
        a.and(b)
    }
}

/// A `Join` did not run a part.
#[cfg(not(target_os = "none"))]
pub(super) const LEFT_OUT: Error =
    Error::Value { argument: "join", expected: "a `Join` that runs both parts" };

#[cfg(not(target_os = "none"))]
fn left_out<T>() -> Result<T> {
    Err(LEFT_OUT)
}

/// How many of `all` things the first `some` of `parts` parts have. Repeated cuts in two give the same parts
/// as cutting into all parts at once.
#[cfg(not(target_os = "none"))]
pub(crate) const fn share(all: usize, some: usize, parts: usize) -> usize {
    let more = all % parts;
    some * (all / parts) + if some < more { some } else { more }
}

/// A function that several threads may call at once.
#[cfg(not(target_os = "none"))]
#[derive(Clone, Copy)]
struct Shared<'a>(&'a dyn Fn(usize, Range<usize>));

// SAFETY: the caller of `in_parts` promises that calls on different parts may run at the same time.
#[cfg(not(target_os = "none"))]
unsafe impl Send for Shared<'_> {}

#[cfg(not(target_os = "none"))]
impl Shared<'_> {
    fn call(self, part: usize, panels: Range<usize>) {
        (self.0)(part, panels)
    }
}

/// Calls `run(part, panels)` for each of the team's parts of `panels` panels, and returns when all are done.
/// Without a team there is one part.
/// # Safety
/// Calls of `run` on different parts, and panels that do not overlap, may run at the same time in different
/// threads.
#[inline(always)]
pub(super) unsafe fn in_parts(
    team: Option<Team<'_>>,
    panels: usize,
    run: &impl Fn(usize, Range<usize>),
) -> Checked {
    #[cfg(not(target_os = "none"))]
    if let Some(team) = team {
        return cut(team, 0..team.threads, 0..panels, Shared(run)).map_err(|_| super::Wrong::JOIN);
    }
    let _ = team;
    run(0, 0..panels);
    Ok(())
}

#[cfg(not(target_os = "none"))]
fn cut(team: Team<'_>, parts: Range<usize>, panels: Range<usize>, run: Shared<'_>) -> Result<()> {
    if parts.len() <= 1 {
        run.call(parts.start, panels);
        return Ok(());
    }
    let some = parts.len() / 2;
    let at = panels.start + share(panels.len(), some, parts.len());
    let part = parts.start + some;
    let (first, later) = (panels.start..at, at..panels.end);
    team.run(move || cut(team, parts.start..part, first, run), move || cut(team, part..parts.end, later, run))
}
