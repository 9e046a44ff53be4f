//! Threads that run the parts of a pass: the two directions of a layer, the rows of a batch, the units of a
//! step, and levels that overlap.
//!
//! Rows of a batch are independent: a pass over some of them gives the same bits as a pass over all. A pass
//! is cut in two, and each half again, until there is a part for each thread. Work is not redistributed at
//! run time, and nothing allocates.

#[cfg(not(target_os = "none"))]
use core::ops::Range;

use crate::error::Result;

pub use crate::kernel::team::Join;
pub(crate) use crate::kernel::team::Team;
#[cfg(not(target_os = "none"))]
pub(crate) use crate::kernel::team::share;

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
/// allocates now and then. To avoid that, make the calling thread one of the pool's, by
/// [`use_current_thread`](https://docs.rs/rayon/latest/rayon/struct.ThreadPoolBuilder.html#method.use_current_thread),
/// or run a loop of passes in
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

    fn is_quick(&self) -> bool {
        true
    }
}

/// The least number of rows in a part. With fewer, each thread would read all weights for little work.
const LEAST_ROWS: usize = 4;

/// The least number of multiply-adds in a part. Handing a part to an idle thread takes some microseconds,
/// which is a few per cent of the time of this many multiply-adds.
/// `cargo bench --bench threads --features rayon` measures both.
const LEAST_WORK: usize = 1 << 22;

/// The number of parts for `work` multiply-adds on `threads` threads.
pub(crate) const fn parts(threads: usize, work: usize) -> usize {
    parts_of_least(threads, work, LEAST_WORK)
}

/// The same for the units of a step whose hidden weights have `work` multiply-adds for each row.
pub(crate) const fn parts_of_step(threads: usize, work: usize) -> usize {
    parts_of_least(threads, work, LEAST_STEP)
}

/// The number of parts of at least `least` multiply-adds. Firmware has no threads.
const fn parts_of_least(threads: usize, work: usize, least: usize) -> usize {
    if threads <= 1 || cfg!(target_os = "none") {
        return 1;
    }
    match work / least {
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

/// The least number of multiply-adds of the hidden weights, for one row, in a part of a step. If both parts
/// have this size, a step of an LSTM or a GRU on two threads takes 0.64 to 0.70 of its time on one thread. If
/// they have half of it, it takes 0.79 (Zen 5, `cargo bench --bench threads --features rayon`). The limit is
/// the time that handing over takes in each step, 5 microseconds.
const LEAST_STEP: usize = 3 << 16;

/// From this many multiply-adds of the hidden weights on (8 MiB), a batch is faster with units in parts than
/// with rows in parts, because each thread reads only its own weights: 1.25 times for 32 rows of an LSTM or a
/// GRU of 1024 units (Zen 5). With 512 units both take the same time, and parts of rows suffer less from other
/// programs, because threads wait for each other only at the end.
pub(crate) const LARGE_STEP: usize = 1 << 21;

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
    let parts = parts_of_rows(team.map_or(1, |team| team.threads()), rows, rows.saturating_mul(work));
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
