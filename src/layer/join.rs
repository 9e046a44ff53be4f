//! Threads that run the parts of a pass: the two directions of a layer, and the rows of a batch.
//!
//! Rows of a batch are independent: a pass over some of them gives the same bits as a pass over all. A pass
//! is cut in two, and each half again, until there is a part for each thread. Work is not redistributed at
//! run time, and nothing allocates.

#[cfg(not(target_os = "none"))]
use core::ops::Range;

#[cfg(not(target_os = "none"))]
use crate::error::Error;
use crate::error::Result;

/// The threads that a pass is given: runs two parts of a pass, at the same time if it can. Each part writes
/// to its own buffers, or rows of buffers. So the results have the same bits in any order and for any number
/// of threads.
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
pub trait Join: Sync {
    /// Runs both parts, each once, and returns when both are done. The parts may call `join` again.
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send));

    /// The number of threads. If there is enough work, it is cut into this many parts.
    fn threads(&self) -> usize {
        2
    }
}

/// Runs one part after the other, on the caller's thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sequential;

impl Join for Sequential {
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
        first();
        second();
    }

    fn threads(&self) -> usize {
        1
    }
}

/// Runs two parts at the same time. It starts a thread for the second part, which allocates.
///
/// ```
/// use recurrent::{Forward, Gru, Merge, Sequences, Stack, Threads};
/// let stack = Stack::new(Gru::new(2, 4)).bidirectional(Merge::Sum);
/// let (weights, x) = (vec![0.2; stack.weights_len()], vec![1.0; 5 * 2]);
/// let (mut y, mut state) = (vec![0.0; 5 * stack.output()], vec![0.0; stack.state_len(1)]);
/// let mut scratch = vec![0.0; stack.scratch_len_with(2, 5, 1)];
/// let sequences = Sequences::new(5, 1);
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
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
        std::thread::scope(|scope| {
            scope.spawn(second);
            first();
        });
    }
}

/// The threads of rayon: those of the pool that the pass is called in, otherwise those of rayon's global
/// pool.
///
/// Within the pool a pass does not allocate. A call from outside goes to the pool through a queue, which
/// allocates now and then. To avoid that, run a loop of passes in
/// [`install`](https://docs.rs/rayon/latest/rayon/struct.ThreadPool.html#method.install).
///
/// ```
/// use recurrent::{Forward, Gru, Join, Rayon, Sequences};
/// const LAYER: Gru = Gru::new(3, 5);
/// let (steps, batch) = (4, 2);
/// let (weights, x) = ([0.1; LAYER.weights_len()], vec![1.0; steps * batch * 3]);
/// let (mut y, mut state) = (vec![0.0; steps * batch * 5], vec![0.0; LAYER.state_len(batch)]);
/// let mut scratch = vec![0.0; LAYER.scratch_len_with(Rayon.threads(), steps, batch)];
/// let sequences = Sequences::new(steps, batch);
/// let args = Forward { sequences, x: &x, y: &mut y, state: &mut state, scratch: &mut scratch };
/// LAYER.forward_with(&Rayon, &weights, args)?;
/// # Ok::<(), recurrent::Error>(())
/// ```
#[cfg(feature = "rayon")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Rayon;

#[cfg(feature = "rayon")]
impl Join for Rayon {
    fn join(&self, first: &mut (dyn FnMut() + Send), second: &mut (dyn FnMut() + Send)) {
        rayon::join(first, second);
    }

    fn threads(&self) -> usize {
        rayon::current_num_threads()
    }
}

/// The threads of one pass. The number of threads is read once, so that buffers are checked and cut by the
/// same number.
#[derive(Clone, Copy)]
pub(crate) struct Team<'j> {
    #[cfg_attr(target_os = "none", allow(dead_code, reason = "firmware has no threads"))]
    join: &'j dyn Join,
    pub(crate) threads: usize,
}

impl<'j> Team<'j> {
    pub(crate) fn of(join: &'j dyn Join) -> Self {
        Team { join, threads: join.threads().max(1) }
    }

    /// Runs a whole pass as one part, before the pass is cut further: the call enters the pool once, and not
    /// for each cut.
    #[cfg(feature = "std")]
    pub(crate) fn enter<T: Send>(self, run: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self.threads <= 1 {
            return run();
        }
        let (mut run, mut out) = (Some(run), left_out());
        self.join.join(&mut || out = run.take().map_or_else(left_out, |run| run()), &mut || ());
        out
    }

    /// Runs both parts.
    #[cfg(not(target_os = "none"))]
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

/// The result of a part that a `Join` did not run.
#[cfg(not(target_os = "none"))]
fn left_out<T>() -> Result<T> {
    Err(Error::Value { argument: "join", expected: "a `Join` that runs both parts" })
}

/// The least number of rows in a part. With fewer, each thread would read all weights for little work.
const LEAST_ROWS: usize = 4;

/// The least number of multiply-adds in a part. Handing a part to an idle thread takes some microseconds,
/// which is a few per cent of the time of this many multiply-adds.
/// `cargo bench --bench threads --features rayon` measures both.
const LEAST_WORK: usize = 1 << 22;

/// The number of parts for `work` multiply-adds on `threads` threads.
pub(crate) const fn parts(threads: usize, work: usize) -> usize {
    if threads <= 1 || cfg!(target_os = "none") {
        return 1;
    }
    match work / LEAST_WORK {
        0 => 1,
        enough if enough < threads => enough,
        _ => threads,
    }
}

/// The same for work that is cut by batch rows. Each part reads all weights.
pub(crate) const fn parts_of_rows(threads: usize, rows: usize, work: usize) -> usize {
    // Firmware has no threads.
    if cfg!(target_os = "none") {
        return 1;
    }
    match rows / LEAST_ROWS {
        0 => 1,
        most if most < threads => parts(most, work),
        _ => parts(threads, work),
    }
}

/// How many of `rows` rows the first `some` of `parts` parts have. Repeated cuts in two give the same parts
/// as cutting into all parts at once.
#[cfg(not(target_os = "none"))]
pub(crate) const fn share(rows: usize, some: usize, parts: usize) -> usize {
    let more = rows % parts;
    some * (rows / parts) + if some < more { some } else { more }
}

/// The threads of a pass of `work` multiply-adds whose buffers belong to the crate: rayon's, if the feature
/// is enabled. Work that is too little for two parts does not start a pool.
#[cfg(feature = "std")]
pub(crate) fn own(work: usize) -> &'static dyn Join {
    if work < 2 * LEAST_WORK {
        return &Sequential;
    }
    #[cfg(feature = "rayon")]
    {
        &Rayon
    }
    #[cfg(not(feature = "rayon"))]
    {
        &Sequential
    }
}

/// Runs consecutive rows in parts, if there are threads and enough work. `x` and `y` are cut at the same
/// rows. `work` is the number of multiply-adds for each row. `run` is given the first row of its part.
#[cfg_attr(target_os = "none", inline(always))]
pub(crate) fn by_rows<R: Fn(usize, &[f32], &mut [f32]) -> Result<()> + Sync>(
    team: Option<Team<'_>>,
    rows: usize,
    work: usize,
    buffers: (&[f32], &mut [f32]),
    run: R,
) -> Result<()> {
    let parts = parts_of_rows(team.map_or(1, |team| team.threads), rows, rows.saturating_mul(work));
    split_rows(team, parts, rows, buffers, &run)
}

/// The same for a given number of parts.
#[cfg_attr(target_os = "none", inline(always))]
pub(crate) fn split_rows<R: Fn(usize, &[f32], &mut [f32]) -> Result<()> + Sync>(
    team: Option<Team<'_>>,
    parts: usize,
    rows: usize,
    (x, y): (&[f32], &mut [f32]),
    run: &R,
) -> Result<()> {
    #[cfg(not(target_os = "none"))]
    if let Some(team) = team
        && parts > 1
        && rows > 0
    {
        return cut_rows(team, parts, 0..rows, (x, y), run);
    }
    let _ = (team, parts, rows);
    run(0, x, y)
}

#[cfg(not(target_os = "none"))]
fn cut_rows<R: Fn(usize, &[f32], &mut [f32]) -> Result<()> + Sync>(
    team: Team<'_>,
    parts: usize,
    rows: Range<usize>,
    (x, y): (&[f32], &mut [f32]),
    run: &R,
) -> Result<()> {
    if parts <= 1 || rows.len() <= 1 {
        return run(rows.start, x, y);
    }
    let some = parts / 2;
    let at = share(rows.len(), some, parts);
    let (x, later_x) = x.split_at(x.len() / rows.len() * at);
    let (y, later_y) = y.split_at_mut(y.len() / rows.len() * at);
    let (first, later) = (rows.start..rows.start + at, rows.start + at..rows.end);
    team.run(
        || cut_rows(team, some, first, (x, y), run),
        || cut_rows(team, parts - some, later, (later_x, later_y), run),
    )
}
