//! A layer as 16 words.

use crate::error::{Error, Result, said};
use crate::layer::recurrent::{Description, Levels};
use crate::model::Layer;
use crate::seq::any::{AnyCell, NORM_EXCLUDED};
use crate::{
    Activate, Activation, Cell, Dense, Embedding, GruCell, LstmCell, LstmNorm, Merge, MguCell, Narrow, Pool,
    Reset, RnnCell, Scale, Stack,
};

pub(super) type Record = [u32; 16];

const NO_BIAS: u32 = 1;
const REVERSE: u32 = 2;
const RECURRENT_DROPOUT: u32 = 4;
const COUPLED: u32 = 8;
const PEEPHOLES: u32 = 16;
const RESET_BEFORE: u32 = 32;
const CONCAT: u32 = 64;
const SUM: u32 = 128;
const NORM: u32 = 256;
const NORM_STATE: u32 = 512;
const ALL: u32 = 1023;

/// Position of the first activation. Each activation has three words.
const FUNCTIONS: usize = 7;

/// The number of a weight type in an image.
pub(super) const fn format_number(narrow: Option<Narrow>) -> u32 {
    match narrow {
        None => 0,
        Some(Narrow::F16) => 1,
        Some(Narrow::Bf16) => 2,
        Some(Narrow::W8A16) => 3,
        Some(Narrow::W8A8) => 4,
    }
}

/// The weight type with this number: `Some(None)` for `f32`, `None` for an unknown number.
#[allow(clippy::option_option, reason = "one of them is a format")]
pub(super) const fn format(number: u32) -> Option<Option<Narrow>> {
    Some(match number {
        0 => None,
        1 => Some(Narrow::F16),
        2 => Some(Narrow::Bf16),
        3 => Some(Narrow::W8A16),
        4 => Some(Narrow::W8A8),
        _ => return None,
    })
}

/// The word that is wrong, and what is wrong with it.
type Wrong = (usize, &'static str);

/// Unwraps a value or returns the error: `?` for a constant function.
macro_rules! get {
    ($e:expr) => {
        match $e {
            Ok(value) => value,
            Err(e) => return Err(e),
        }
    };
}

/// Decodes a layer from its record, without links to its passes. Words that the layer does not use are
/// ignored.
pub(super) const fn decode(r: &Record, to: &mut Layer) -> core::result::Result<(), Wrong> {
    let (first, second) = (r[1] as usize, r[2] as usize);
    *to = match r[0] {
        0 => Layer::Embedding(Embedding::new(first, second)),
        1 => Layer::Rnn(Stack::of(get!(levels(r)))),
        2 => Layer::Lstm(Stack::of(get!(levels(r)))),
        3 => Layer::Gru(Stack::of(get!(levels(r)))),
        4 => {
            let layer = Dense::new(first, second);
            Layer::Dense(match r[FUNCTIONS] {
                0 => layer,
                1 => layer.tanh(),
                2 => layer.sigmoid(),
                3 => layer.relu(),
                _ => return Err((FUNCTIONS, said("dense layers do not have this activation"))),
            })
        }
        5 => Layer::Pool(match r[1] {
            0 => Pool::Last,
            1 => Pool::Mean,
            2 => Pool::Max,
            3 => Pool::Ends,
            4 => Pool::First,
            _ => return Err((1, said("unknown pool"))),
        }),
        6 => {
            let p = f32::from_bits(r[6]);
            if !(p >= 0.0 && p < 1.0) {
                return Err((6, said("the dropout probability is outside of 0 <= p < 1")));
            }
            Layer::Dropout(p)
        }
        7 => Layer::Mgu(Stack::of(get!(levels(r)))),
        8 => Layer::Scale(Scale::new(first)),
        9 => Layer::Activate(Activate::new(get!(function(r, 0)))),
        10 => Layer::Residual,
        _ => return Err((0, said("unknown layer"))),
    };
    Ok(())
}

/// The number of activations of a kind of layer.
const fn count(kind: u32) -> usize {
    match kind {
        1 | 9 => 1,
        3 => 2,
        2 => 3,
        _ => 0,
    }
}

/// Decodes the cell of recurrent layers, and whether it needs the form with options.
const fn cell(r: &Record) -> core::result::Result<(AnyCell, bool), Wrong> {
    let (kind, flags) = (r[0], r[3]);
    if kind == 7 {
        return Ok((AnyCell::Mgu(MguCell), false));
    }
    let (mut functions, mut i) = ([Activation::Tanh; 3], 0);
    while i < count(kind) {
        functions[i] = get!(function(r, i));
        i += 1;
    }
    let [one, two, hidden] = functions;
    let clip = get!(clip(r));
    let is_clipped = clip < f32::INFINITY;
    Ok(match kind {
        1 => {
            let standard = is(one, Activation::Tanh) || is(one, Activation::Relu);
            (AnyCell::Rnn(RnnCell { activation: one, clip }), is_clipped || !standard)
        }
        2 => {
            let standard =
                is(one, Activation::Sigmoid) && is(two, Activation::Tanh) && is(hidden, Activation::Tanh);
            let (coupled, peepholes, projection) = (flags & COUPLED != 0, flags & PEEPHOLES != 0, r[5] > 0);
            let norm = match flags & (NORM | NORM_STATE) {
                0 => None,
                NORM => Some(LstmNorm::Output),
                NORM_STATE => Some(LstmNorm::State),
                _ => return Err((3, said("two forms of layer normalisation"))),
            };
            let options = !standard || is_clipped || coupled || peepholes || projection || norm.is_some();
            let cell = LstmCell { gates: one, cell: two, hidden, clip, coupled, peepholes, projection, norm };
            (AnyCell::Lstm(cell), options)
        }
        _ => {
            let standard = is(one, Activation::Sigmoid) && is(two, Activation::Tanh);
            let reset = if flags & RESET_BEFORE != 0 { Reset::Before } else { Reset::After };
            let norm = flags & NORM != 0;
            let options = !standard || is_clipped || norm;
            (AnyCell::Gru(GruCell { reset, gates: one, new: two, clip, norm }), options)
        }
    })
}

/// Decodes recurrent layers.
// One function for all kinds in firmware. Within each other, these functions do not fit into the registers.
#[cfg_attr(target_os = "none", inline(never))]
const fn levels(r: &Record) -> core::result::Result<Levels, Wrong> {
    let (flags, input, hidden) = (r[3], r[1] as usize, r[2] as usize);
    let (cell, options) = get!(cell(r));
    if cell.norm_refusal().is_some() {
        return Err((3, said(NORM_EXCLUDED)));
    }
    if flags & !ALL != 0 || flags & CONCAT != 0 && flags & SUM != 0 {
        return Err((3, said("unknown flags")));
    }
    if r[4] == 0 {
        return Err((4, said("the stack has no layers")));
    }
    let mut layer = Description::unlinked(cell, options, input, hidden);
    if r[0] == 2 {
        layer.shape.peepholes = flags & PEEPHOLES != 0;
        if r[5] > 0 {
            layer.shape = layer.shape.project(r[5] as usize);
        }
    }
    layer.shape.bias = flags & NO_BIAS == 0;
    layer.reverse = flags & REVERSE != 0;
    layer.recurrent_dropout = flags & RECURRENT_DROPOUT != 0;
    let both = match flags & (CONCAT | SUM) {
        CONCAT => Some(Merge::Concat),
        SUM => Some(Merge::Sum),
        _ => None,
    };
    Ok(Levels::new(layer, r[4] as usize, both))
}

pub(super) const UNUSED: &str = "a word that this kind of layer does not use is not 0";

/// The first word of a record that was decoded which has something that the layer does not use: the words
/// that [`encode`] writes are the same up to there.
pub(super) fn unused(r: &Record) -> Option<usize> {
    // For each kind a bit for each word besides the activations, and the flags.
    const COMMON: u32 = NO_BIAS | REVERSE | RECURRENT_DROPOUT | CONCAT | SUM;
    const LSTM: u32 = COMMON | COUPLED | PEEPHOLES | NORM | NORM_STATE;
    let (mut words, mut flags) = match r[0] {
        0 => (0b111, 0),
        1 => (0b101_1111, COMMON),
        2 => (0b111_1111, LSTM),
        3 => (0b101_1111, COMMON | RESET_BEFORE | NORM),
        4 => (0b1000_0111, 0),
        5 | 8 => (0b11, 0),
        6 => (0b100_0001, 0),
        7 => (0b1_1111, COMMON),
        _ => (0b1, 0),
    };
    for at in (0..count(r[0])).map(|n| FUNCTIONS + 3 * n) {
        // The number, and alpha and beta of those activations that have them.
        words |= match r[at] {
            4 | 7 | 8 => 0b111,
            5 | 6 | 9 => 0b11,
            _ => 0b1,
        } << at;
    }
    if r[3] & (CONCAT | SUM) != 0 {
        flags &= !REVERSE;
    }
    (0..r.len()).find(|&i| r[i] != 0 && (words >> i & 1 == 0 || i == 3 && r[3] & !flags != 0))
}

const fn is(f: Activation, other: Activation) -> bool {
    number(f).0 == number(other).0
}

const fn clip(r: &Record) -> core::result::Result<f32, Wrong> {
    let clip = f32::from_bits(r[6]);
    if clip > 0.0 { Ok(clip) } else { Err((6, said("the clip is not above 0"))) }
}

/// Decodes the activation at a position.
const fn function(r: &Record, n: usize) -> core::result::Result<Activation, Wrong> {
    let at = FUNCTIONS + 3 * n;
    let (alpha, beta) = (f32::from_bits(r[at + 1]), f32::from_bits(r[at + 2]));
    if alpha.is_nan() || beta.is_nan() {
        return Err((at, said("a parameter of the activation is NaN")));
    }
    Ok(match r[at] {
        1 => Activation::Tanh,
        2 => Activation::Sigmoid,
        3 => Activation::Relu,
        4 => Activation::Affine { alpha, beta },
        5 => Activation::LeakyRelu { alpha },
        6 => Activation::ThresholdedRelu { alpha },
        7 => Activation::ScaledTanh { alpha, beta },
        8 => Activation::HardSigmoid { alpha, beta },
        9 => Activation::Elu { alpha },
        10 => Activation::Softsign,
        11 => Activation::Softplus,
        _ => return Err((at, said("unknown activation"))),
    })
}

/// An activation's number, alpha and beta.
const fn number(f: Activation) -> (u32, f32, f32) {
    match f {
        Activation::Tanh => (1, 0.0, 0.0),
        Activation::Sigmoid => (2, 0.0, 0.0),
        Activation::Relu => (3, 0.0, 0.0),
        Activation::Affine { alpha, beta } => (4, alpha, beta),
        Activation::LeakyRelu { alpha } => (5, alpha, 0.0),
        Activation::ThresholdedRelu { alpha } => (6, alpha, 0.0),
        Activation::ScaledTanh { alpha, beta } => (7, alpha, beta),
        Activation::HardSigmoid { alpha, beta } => (8, alpha, beta),
        Activation::Elu { alpha } => (9, alpha, 0.0),
        Activation::Softsign => (10, 0.0, 0.0),
        Activation::Softplus => (11, 0.0, 0.0),
    }
}

/// Encodes a layer as a record. `index` is the layer's position, for errors.
pub(super) fn encode(layer: &Layer, index: usize) -> Result<Record> {
    let mut r = [0; 16];
    let size = |n: usize| {
        u32::try_from(n)
            .map_err(|_| Error::Layers { layer: index, what: "has a size that an image cannot hold" })
    };
    let mut sizes = |kind, first, second| -> Result<()> {
        (r[0], r[1], r[2]) = (kind, size(first)?, size(second)?);
        Ok(())
    };
    match layer {
        Layer::Embedding(l) => sizes(0, l.classes(), l.width())?,
        Layer::Dense(l) => {
            sizes(4, l.input(), l.output())?;
            r[FUNCTIONS] = l.activation().map_or(0, |f| number(f).0);
        }
        Layer::Pool(pool) => {
            let pool = match pool {
                Pool::Last => 0,
                Pool::Mean => 1,
                Pool::Max => 2,
                Pool::Ends => 3,
                Pool::First => 4,
            };
            sizes(5, pool, 0)?;
        }
        Layer::Scale(l) => sizes(8, l.width(), 0)?,
        Layer::Activate(l) => {
            r[0] = 9;
            functions(&mut r, index, &[l.function()])?;
        }
        Layer::Residual => r[0] = 10,
        Layer::Dropout(p) if !(0.0..1.0).contains(p) => {
            let what = "has a dropout probability outside of 0 <= p < 1";
            return Err(Error::Layers { layer: index, what });
        }
        Layer::Dropout(p) => (r[0], r[6]) = (6, p.to_bits()),
        Layer::Rnn(stack) => {
            let cell = stack.layer(0, 0).cell();
            recurrent(&mut r, 1, stack, size)?;
            options(&mut r, index, cell.clip, &[cell.activation])?;
        }
        Layer::Lstm(stack) => {
            let layer = stack.layer(0, 0);
            let cell = layer.cell();
            recurrent(&mut r, 2, stack, size)?;
            options(&mut r, index, cell.clip, &[cell.gates, cell.cell, cell.hidden])?;
            r[3] |= if cell.coupled { COUPLED } else { 0 } | if cell.peepholes { PEEPHOLES } else { 0 };
            r[3] |= match cell.norm {
                None => 0,
                Some(LstmNorm::Output) => NORM,
                Some(LstmNorm::State) => NORM_STATE,
            };
            if cell.projection {
                if layer.width() == 0 {
                    return Err(Error::Layers { layer: index, what: "has a projection of width 0" });
                }
                r[5] = size(layer.width())?;
            }
        }
        Layer::Gru(stack) => {
            let cell = stack.layer(0, 0).cell();
            recurrent(&mut r, 3, stack, size)?;
            options(&mut r, index, cell.clip, &[cell.gates, cell.new])?;
            r[3] |= if cell.reset == Reset::Before { RESET_BEFORE } else { 0 };
            r[3] |= if cell.norm { NORM } else { 0 };
        }
        Layer::Mgu(stack) => recurrent(&mut r, 7, stack, size)?,
    }
    Ok(r)
}

fn recurrent<C: Cell>(
    r: &mut Record,
    kind: u32,
    stack: &Stack<C>,
    size: impl Fn(usize) -> Result<u32>,
) -> Result<()> {
    let layer = stack.layer(0, 0);
    (r[0], r[1], r[2], r[4]) = (kind, size(layer.input())?, size(layer.hidden())?, size(stack.depth())?);
    let flag = |is, flag| if is { flag } else { 0 };
    r[3] = flag(!layer.has_bias(), NO_BIAS)
        | flag(stack.merge().is_none() && layer.is_reverse(), REVERSE)
        | flag(layer.has_recurrent_dropout(), RECURRENT_DROPOUT)
        | flag(stack.merge() == Some(Merge::Concat), CONCAT)
        | flag(stack.merge() == Some(Merge::Sum), SUM);
    Ok(())
}

fn options(r: &mut Record, index: usize, clip: f32, functions: &[Activation]) -> Result<()> {
    // Rejects 0, negative numbers and NaN.
    if clip.partial_cmp(&0.0) != Some(core::cmp::Ordering::Greater) {
        return Err(Error::Layers { layer: index, what: "has a clip that is not above 0" });
    }
    r[6] = clip.to_bits();
    self::functions(r, index, functions)
}

fn functions(r: &mut Record, index: usize, functions: &[Activation]) -> Result<()> {
    for (words, &f) in r[FUNCTIONS..].chunks_exact_mut(3).zip(functions) {
        let (number, alpha, beta) = number(f);
        if alpha.is_nan() || beta.is_nan() {
            return Err(Error::Layers { layer: index, what: "has an activation with a NaN parameter" });
        }
        words.copy_from_slice(&[number, alpha.to_bits(), beta.to_bits()]);
    }
    Ok(())
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
