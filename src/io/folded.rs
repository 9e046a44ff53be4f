//! Folds scales into adjacent matrices, for inference.

use std::vec::Vec;

use super::network::{Named, Network};
use crate::kernel::canonical::Parts;
use crate::model::Layer;

/// The largest norm of a row of a folded matrix, for features that a scale has brought to about 1. Each
/// element is rounded once, by at most 2^-24 of itself. With a row of this norm the root mean square
/// difference of the sum is 3e-7, and it hardly ever exceeds 1e-6.
const LONGEST: f64 = 8.0;

/// A layer and its weights.
type Part = (Named, Vec<f32>);

impl Network {
    /// The network for inference: each [`Scale`](crate::Scale) is folded into the input matrix and the bias
    /// of the layer that follows it, or into the dense layer or the embedding before it.
    /// [`instance`](Self::instance) and [`run`](Self::run) use this form. Training continues from the network
    /// as it was read.
    ///
    /// Products are computed in f64 and rounded once. A scale stays a separate layer
    ///
    /// - if no such layer is next to it (dropout in between is skipped),
    /// - if the dense layer before it has an activation,
    /// - if a layer without biases would have to take a shift,
    /// - if the weights next to it are narrow,
    /// - if outputs could differ by more than 1e-6. This happens if shifts are much greater than the
    ///   deviations, because their differences lose digits.
    ///
    /// ```
    /// use recurrent::{Scale, io::{Named, Network}, model::Layer};
    /// let layers = [("norm", Layer::Scale(Scale::new(1))), ("fc", Layer::dense(1, 1))];
    /// let named = layers.map(|(name, layer)| Named { name: name.into(), layer });
    /// let network = Network::new(named.into(), vec![0.5, 2.0, /* fc */ 2.0, 1.0])?;
    /// let folded = network.folded();
    /// assert_eq!((folded.named().len(), folded.weights()), (1, &[1.0, 5.0][..])); // 2 (0.5 x + 2) + 1
    /// # Ok::<(), recurrent::io::Error>(())
    /// ```
    pub fn folded(self) -> Network {
        if !self.layers().any(|layer| matches!(layer, Layer::Scale(_))) {
            return self;
        }
        let mut parts: Vec<Part> =
            self.parts().map(|(named, weights)| (named.clone(), weights.to_vec())).collect();
        // From the last to the first, so that each of several adjacent scales reaches the matrix.
        for at in (0..parts.len()).rev() {
            if matches!(parts[at].0.layer, Layer::Scale(_)) && fold(&mut parts, at) {
                parts.remove(at);
            }
        }
        // Dropout cannot be at either end.
        let leading = parts.iter().take_while(|(named, _)| is_dropout(&named.layer)).count();
        parts.drain(..leading);
        while parts.last().is_some_and(|(named, _)| is_dropout(&named.layer)) {
            parts.pop();
        }
        self.with_parts(parts)
    }
}

fn is_dropout(layer: &Layer) -> bool {
    matches!(layer, Layer::Dropout(_))
}

/// Folds a scale into the layer after it, or otherwise into the one before it.
fn fold(parts: &mut [Part], at: usize) -> bool {
    let (below, above) = parts.split_at_mut(at);
    let Some(((_, scale), above)) = above.split_first_mut() else { return false };
    let (scale, shift) = scale.split_at(scale.len() / 2);
    let plain = |part: &&mut Part| !is_dropout(&part.0.layer);
    // Narrow weights are already rounded, and folding would round them again.
    let wide = |part: &&mut Part| part.0.layer.narrow_format().is_none();
    if let Some((named, weights)) = above.iter_mut().find(plain).filter(wide)
        && let Some(folded) = before(&named.layer, weights, scale, shift)
    {
        *weights = folded;
        return true;
    }
    if let Some((named, weights)) = below.iter_mut().rev().find(plain).filter(wide)
        && let Some(folded) = after(&named.layer, weights, scale, shift)
    {
        *weights = folded;
        return true;
    }
    false
}

/// The weights of a layer that takes the unscaled input of the scale before it.
fn before(layer: &Layer, weights: &[f32], scale: &[f32], shift: &[f32]) -> Option<Vec<f32>> {
    let mut weights = weights.to_vec();
    if let Some(levels) = layer.levels() {
        let (shape, len) = (levels.first.shape, levels.first.weights_len());
        for direction in weights.chunks_mut(len.max(1)).take(levels.directions()) {
            let Parts { w_ih, b_ih, .. } = shape.split_mut(direction)?;
            input(w_ih, b_ih, scale, shift)?;
        }
    } else if let Layer::Dense(dense) = layer {
        let (w, b) = weights.split_at_mut(dense.input() * dense.output());
        input(w, b, scale, shift)?;
    } else {
        return None;
    }
    Some(weights)
}

/// Folds `w (x scale + shift) + b` into another matrix and bias. `b` is empty for a layer without biases.
fn input(w: &mut [f32], b: &mut [f32], scale: &[f32], shift: &[f32]) -> Option<()> {
    if b.is_empty() && shift.iter().any(|x| *x != 0.0) {
        return None;
    }
    for (i, row) in w.chunks_exact_mut(scale.len().max(1)).enumerate() {
        let (mut bias, mut squares) = (b.get(i).copied().map_or(0.0, f64::from), 0.0);
        for ((w, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
            let [wide, shift] = [*w, *shift].map(f64::from);
            bias += wide * shift;
            squares += (wide * (shift.abs() + 1.0)).powi(2);
            *w = rounded(wide * f64::from(*scale))?;
        }
        // This also rejects NaN.
        (squares <= LONGEST * LONGEST).then_some(())?;
        if let Some(b) = b.get_mut(i) {
            *b = rounded(bias)?;
        }
    }
    Some(())
}

/// The weights of a layer that includes the scale after it.
fn after(layer: &Layer, weights: &[f32], scale: &[f32], shift: &[f32]) -> Option<Vec<f32>> {
    let mut weights = weights.to_vec();
    match layer {
        Layer::Dense(dense) if dense.activation().is_none() => {
            let (w, b) = weights.split_at_mut(dense.input() * dense.output());
            let rows = w.chunks_exact_mut(dense.input().max(1)).zip(b);
            for (((row, b), scale), shift) in rows.zip(scale).zip(shift) {
                let [wide, scale, shift] = [*b, *scale, *shift].map(f64::from);
                let mut squares = (wide * scale).powi(2) + shift.powi(2);
                for w in row {
                    let product = f64::from(*w) * scale;
                    squares += product.powi(2);
                    *w = rounded(product)?;
                }
                (squares <= LONGEST * LONGEST).then_some(())?;
                *b = rounded(wide * scale + shift)?;
            }
        }
        Layer::Embedding(_) => {
            for row in weights.chunks_exact_mut(scale.len().max(1)) {
                for ((w, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                    let (product, shift) = (f64::from(*w) * f64::from(*scale), f64::from(*shift));
                    (product.abs() + shift.abs() <= LONGEST).then_some(())?;
                    *w = rounded(product + shift)?;
                }
            }
        }
        _ => return None,
    }
    Some(weights)
}

/// Rounds to f32; `None` if the result is not finite.
fn rounded(x: f64) -> Option<f32> {
    let x = x as f32;
    x.is_finite().then_some(x)
}
