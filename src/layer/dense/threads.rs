//! The backward pass of a dense layer on several threads. The gradients of the weights are cut by outputs,
//! the gradient of the input by rows.

use super::Dense;
use super::passes::BackwardPass;
use crate::error::Result;
use crate::kernel::Checked;
use crate::kernel::elementwise::column_sums;
use crate::kernel::gemm::outer;
use crate::kernel::product::{Init, Left, Right, product};
use crate::kernel::taken::Rows;
use crate::kernel::view::Columns;
use crate::layer::join::{Team, parts, share, split_rows};
use crate::simd::{Isa, Op, Simd, dispatch};

/// Computes the gradients of the weights of some of the outputs.
struct Weights<'a> {
    /// Gradients of the sums, `[rows, these outputs]`.
    dy: Columns<'a>,
    x: Columns<'a>,
    rows: usize,
    dw: &'a mut [f32],
    db: &'a mut [f32],
    add: bool,
    room: &'a mut [f32],
}

impl Op for Weights<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Weights { dy, x, rows, dw, db, add, room } = self;
        outer(s, dy, x, dw, add, room)?;
        column_sums(s, dy.data, dy.ld, Rows::all(rows), dy.column, db, add)
    }
}

impl Weights<'_> {
    /// Runs in `parts` parts, each over some of the outputs.
    fn cut(self, team: Team<'_>, isa: Isa, parts: usize) -> Result<()> {
        let width = self.dy.width;
        if parts <= 1 || width <= 1 {
            return Ok(dispatch(isa, self)?);
        }
        let Weights { dy, x, rows, dw, db, add, room } = self;
        let some = parts / 2;
        let at = share(width, some, parts);
        let (dw, later_dw) = dw.split_at_mut(dw.len() / width * at);
        let (db, later_db) = db.split_at_mut(at);
        let (room, later_room) = room.split_at_mut(room.len() / parts * some);
        let later_dy = Columns { column: dy.column + at, width: width - at, ..dy };
        let first = Weights { dy: Columns { width: at, ..dy }, x, rows, dw, db, add, room };
        let (dw, db, room) = (later_dw, later_db, later_room);
        let later = Weights { dy: later_dy, x, rows, dw, db, add, room };
        team.run(|| first.cut(team, isa, some), || later.cut(team, isa, parts - some))
    }
}

/// Computes the gradient of the input for some of the rows.
struct Input<'a> {
    dy: &'a [f32],
    right: Right<'a>,
    dx: &'a mut [f32],
}

impl Op for Input<'_> {
    type Output = Checked;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Checked {
        let Input { dy, right, dx } = self;
        let rows = dx.len().checked_div(right.n).unwrap_or(0);
        product(s, Left::plain(dy, rows, right.k), right, dx, Init::Zero)
    }
}

/// Makes the right operand of the product for that gradient.
struct Packed<'a>(usize, &'a [f32], usize, &'a mut [f32]);

impl<'a> Op for Packed<'a> {
    type Output = Right<'a>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Right<'a> {
        Right::for_rows(s, self.0, self.1, self.2, self.3)
    }
}

/// Runs the backward pass, in parts if there are threads and enough work. (As in recurrent layers,
/// instruction sets without fused multiply-add leave large products to another library; those are not cut.)
pub(super) fn backward(team: Option<Team<'_>>, isa: Isa, pass: BackwardPass<'_>) -> Result<()> {
    match team {
        Some(team) if isa.is_fused() => {
            match parts(team.threads(), pass.rows.saturating_mul(pass.layer.weights_len())) {
                1 => Ok(dispatch(isa, pass)?),
                parts => in_parts(team, parts, isa, pass),
            }
        }
        _ => Ok(dispatch(isa, pass)?),
    }
}

fn in_parts(team: Team<'_>, parts: usize, isa: Isa, pass: BackwardPass<'_>) -> Result<()> {
    let BackwardPass { layer, w, rows, x, y, dy, dx, grads, add, scratch } = pass;
    let Dense { input, output, .. } = layer;
    if layer.finish.is_some() {
        split_rows(Some(team), parts, rows, (y, &mut *dy), &|_, y: &[f32], dy: &mut [f32]| {
            // Neither `dx` nor `grads` is given, so the pass only turns `dy` into the gradient of the sums.
            let (x, dx, grads, scratch) = (&[][..], None, None, &mut [][..]);
            let pass = BackwardPass { layer, w, rows: 0, x, y, dy, dx, grads, add, scratch };
            Ok(dispatch(isa, pass)?)
        })?;
    }
    let dy = &*dy;
    if let Some(grads) = grads {
        let (dw, db) = grads.split_at_mut(output * input);
        let (dy, x, room) = (Columns::all(dy, output), Columns::all(x, input), &mut *scratch);
        Weights { dy, x, rows, dw, db, add, room }.cut(team, isa, parts)?;
    }
    // Without inputs or outputs there is nothing to do, or only zeros to write.
    if let Some(dx) = dx {
        let right = dispatch(isa, Packed(rows, w, input, scratch));
        split_rows(Some(team), parts, rows, (dy, dx), &|_, dy: &[f32], dx: &mut [f32]| {
            Ok(dispatch(isa, Input { dy, right, dx })?)
        })?;
    }
    Ok(())
}
