//! A layer as 16 words.

use crate::error::{Error, Result};
use crate::layer::recurrent::{Description, Levels};
use crate::model::Layer;
use crate::seq::any::AnyCell;
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
pub(super) const fn decode(r: &Record) -> core::result::Result<Layer, Wrong> {
    let (first, second) = (r[1] as usize, r[2] as usize);
    Ok(match r[0] {
        0 => Layer::Embedding(Embedding::new(first, second)),
        1 => {
            let (activation, clip) = (get!(function(r, 0)), get!(clip(r)));
            let options = clip < f32::INFINITY
                || !(is(activation, Activation::Tanh) || is(activation, Activation::Relu));
            let cell = AnyCell::Rnn(RnnCell { activation, clip });
            Layer::Rnn(Stack::of(get!(levels(r, Description::unlinked(cell, options, first, second)))))
        }
        2 => {
            let (gates, cell, hidden) = (get!(function(r, 0)), get!(function(r, 1)), get!(function(r, 2)));
            let clip = get!(clip(r));
            let (coupled, peepholes, projection) = (r[3] & COUPLED != 0, r[3] & PEEPHOLES != 0, r[5] > 0);
            let standard =
                is(gates, Activation::Sigmoid) && is(cell, Activation::Tanh) && is(hidden, Activation::Tanh);
            let norm = match r[3] & (NORM | NORM_STATE) {
                0 => None,
                NORM => Some(LstmNorm::Output),
                NORM_STATE => Some(LstmNorm::State),
                _ => return Err((3, "both forms of layer normalisation")),
            };
            let options =
                !standard || clip < f32::INFINITY || coupled || peepholes || projection || norm.is_some();
            let cell = LstmCell { gates, cell, hidden, clip, coupled, peepholes, projection, norm };
            let cell = get!(normal(AnyCell::Lstm(cell)));
            let mut layer = Description::unlinked(cell, options, first, second);
            layer.shape.peepholes = peepholes;
            if projection {
                layer.shape = layer.shape.project(r[5] as usize);
            }
            Layer::Lstm(Stack::of(get!(levels(r, layer))))
        }
        3 => {
            let (gates, new, clip) = (get!(function(r, 0)), get!(function(r, 1)), get!(clip(r)));
            let standard = is(gates, Activation::Sigmoid) && is(new, Activation::Tanh);
            let reset = if r[3] & RESET_BEFORE != 0 { Reset::Before } else { Reset::After };
            let norm = r[3] & NORM != 0;
            let cell = get!(normal(AnyCell::Gru(GruCell { reset, gates, new, clip, norm })));
            let options = !standard || clip < f32::INFINITY || norm;
            Layer::Gru(Stack::of(get!(levels(r, Description::unlinked(cell, options, first, second)))))
        }
        4 => {
            let layer = Dense::new(first, second);
            Layer::Dense(match r[FUNCTIONS] {
                0 => layer,
                1 => layer.tanh(),
                2 => layer.sigmoid(),
                3 => layer.relu(),
                _ => return Err((FUNCTIONS, "dense layers do not have this activation")),
            })
        }
        5 => Layer::Pool(match r[1] {
            0 => Pool::Last,
            1 => Pool::Mean,
            2 => Pool::Max,
            3 => Pool::Ends,
            4 => Pool::First,
            _ => return Err((1, "unknown pool")),
        }),
        6 => {
            let p = f32::from_bits(r[6]);
            if !(p >= 0.0 && p < 1.0) {
                return Err((6, "the dropout probability is outside of 0 <= p < 1"));
            }
            Layer::Dropout(p)
        }
        7 => {
            let layer = Description::unlinked(AnyCell::Mgu(MguCell), false, first, second);
            Layer::Mgu(Stack::of(get!(levels(r, layer))))
        }
        8 => Layer::Scale(Scale::new(first)),
        9 => Layer::Activate(Activate::new(get!(function(r, 0)))),
        10 => Layer::Residual,
        _ => return Err((0, "unknown layer")),
    })
}

/// Rejects options that cannot be combined with layer normalisation.
const fn normal(cell: AnyCell) -> core::result::Result<AnyCell, Wrong> {
    match cell.norm_refusal() {
        Some(_) => Err((3, "layer normalisation cannot be combined with the other options")),
        None => Ok(cell),
    }
}

const fn is(f: Activation, other: Activation) -> bool {
    number(f).0 == number(other).0
}

const fn clip(r: &Record) -> core::result::Result<f32, Wrong> {
    let clip = f32::from_bits(r[6]);
    if clip > 0.0 { Ok(clip) } else { Err((6, "the clip is not above 0")) }
}

/// Decodes the activation at a position.
const fn function(r: &Record, n: usize) -> core::result::Result<Activation, Wrong> {
    let at = FUNCTIONS + 3 * n;
    let (alpha, beta) = (f32::from_bits(r[at + 1]), f32::from_bits(r[at + 2]));
    if alpha.is_nan() || beta.is_nan() {
        return Err((at, "a parameter of the activation is NaN"));
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
        _ => return Err((at, "unknown activation")),
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

/// Decodes the options that all cells share.
const fn levels(r: &Record, first: Description) -> core::result::Result<Levels, Wrong> {
    let (flags, mut layer) = (r[3], first);
    if flags & !ALL != 0 || flags & CONCAT != 0 && flags & SUM != 0 {
        return Err((3, "unknown flags"));
    }
    if r[4] == 0 {
        return Err((4, "the stack has no layers"));
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
