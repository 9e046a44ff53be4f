//! Constants as arrays with elements of any type, for nodes that move elements.

use std::vec;
use std::vec::Vec;

use super::super::tensor::elements;
use super::shape::position;

/// The largest number of axes of a constant. Layers need fewer.
pub(super) const MAX_RANK: usize = 8;

/// A constant with elements of any type.
#[derive(Clone)]
pub(super) struct Array<T> {
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<T>,
}

impl<T: Copy> Array<T> {
    /// Collects elements. `at` maps positions in the result to positions in this array.
    fn gather(&self, shape: Vec<usize>, at: impl Fn(&[usize]) -> Option<Vec<usize>>) -> Option<Self> {
        let len = elements(&shape)?;
        let mut data = Vec::new();
        let mut index = vec![0; shape.len()];
        for _ in 0..len {
            let from = at(&index)?;
            let flat =
                from.iter().zip(&self.shape).try_fold(0, |flat, (&i, &n)| (i < n).then_some(flat * n + i))?;
            data.push(*self.data.get(flat)?);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Some(Array { shape, data })
    }

    fn transpose(&self, perm: &[usize]) -> Option<Self> {
        let shape = perm.iter().map(|&p| self.shape.get(p).copied()).collect::<Option<Vec<_>>>()?;
        (shape.len() == self.shape.len()).then_some(())?;
        self.gather(shape, |index| {
            let mut from = vec![0; index.len()];
            perm.iter().zip(index).for_each(|(&p, &i)| from[p] = i);
            Some(from)
        })
    }

    /// Every `step`-th element of an axis.
    pub(super) fn slice(&self, axis: usize, start: usize, count: usize, step: usize) -> Option<Self> {
        let mut shape = self.shape.clone();
        *shape.get_mut(axis)? = count;
        self.gather(shape, |index| {
            let mut from = index.to_vec();
            from[axis] = start.checked_add(index[axis].checked_mul(step)?)?;
            Some(from)
        })
    }

    fn expand(&self, to: &[usize]) -> Option<Self> {
        let rank = self.shape.len().max(to.len());
        let padded = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
        let (own, to) = (padded(&self.shape), padded(to));
        let fits = own.iter().zip(&to).all(|(a, b)| a == b || *a == 1 || *b == 1);
        let shape: Vec<usize> = own.iter().zip(&to).map(|(a, b)| if *a == 1 { *b } else { *a }).collect();
        let wide = Array { shape: own.clone(), data: self.data.clone() };
        fits.then_some(())?;
        wide.gather(shape, |index| {
            Some(index.iter().zip(&own).map(|(i, n)| if *n == 1 { 0 } else { *i }).collect())
        })
    }

    fn concat(parts: &[Self], axis: usize) -> Option<Self> {
        let first = parts.first()?;
        let mut shape = first.shape.clone();
        let same = |part: &Self| {
            part.shape.len() == shape.len()
                && part.shape.iter().zip(&shape).enumerate().all(|(i, (a, b))| i == axis || a == b)
        };
        parts.iter().all(same).then_some(())?;
        let outer = elements(shape.get(..axis)?)?;
        let inner = |part: &Self| elements(&part.shape[axis..]);
        *shape.get_mut(axis)? = parts.iter().try_fold(0usize, |n, part| n.checked_add(part.shape[axis]))?;
        let mut data = Vec::new();
        for row in 0..outer {
            for part in parts {
                let n = inner(part)?;
                data.extend_from_slice(part.data.get(row * n..(row + 1) * n)?);
            }
        }
        Some(Array { shape, data })
    }

    fn reshape(mut self, to: &[i64], allow_zero: bool) -> Option<Self> {
        let mut shape = Vec::new();
        let mut open = None;
        for (axis, &n) in to.iter().enumerate() {
            shape.push(match n {
                -1 if open.replace(axis).is_none() => 1,
                0 if !allow_zero => *self.shape.get(axis)?,
                n => usize::try_from(n).ok()?,
            });
        }
        let known = elements(&shape)?;
        if let Some(axis) = open {
            shape[axis] = self.data.len().checked_div(known)?;
        }
        (elements(&shape) == Some(self.data.len())).then_some(())?;
        self.shape = shape;
        Some(self)
    }

    fn unsqueeze(mut self, axes: &[i64]) -> Option<Self> {
        let rank = self.shape.len() + axes.len();
        let mut at: Vec<usize> = axes.iter().map(|&a| position(a, rank)).collect::<Option<_>>()?;
        at.sort_unstable();
        at.dedup();
        (rank <= MAX_RANK && at.len() == axes.len()).then_some(())?;
        at.into_iter().for_each(|axis| self.shape.insert(axis, 1));
        Some(self)
    }

    fn squeeze(mut self, axes: Option<&[i64]>) -> Option<Self> {
        let rank = self.shape.len();
        let gone: Vec<usize> = match axes {
            Some(axes) => axes.iter().map(|&a| position(a, rank)).collect::<Option<_>>()?,
            None => (0..rank).filter(|&axis| self.shape[axis] == 1).collect(),
        };
        gone.iter().all(|&axis| self.shape[axis] == 1).then_some(())?;
        let mut axis = 0;
        self.shape.retain(|_| {
            axis += 1;
            !gone.contains(&(axis - 1))
        });
        Some(self)
    }
}

/// The attributes and inputs that determine how a node moves elements.
pub(super) struct Moves {
    pub(super) axis: Option<i64>,
    pub(super) axes: Option<Vec<i64>>,
    pub(super) perm: Option<Vec<i64>>,
    /// The known integers of each input.
    pub(super) inputs: Vec<Option<Vec<i64>>>,
    /// The shape of the second input.
    pub(super) index_shape: Vec<usize>,
    /// `starts` and `ends`, which are attributes of `Slice` in old versions.
    pub(super) bounds: Option<(Vec<i64>, Vec<i64>)>,
    pub(super) allow_zero: bool,
    pub(super) shape: Option<Vec<i64>>,
}

impl Moves {
    fn input(&self, index: usize) -> Option<&[i64]> {
        self.inputs.get(index)?.as_deref()
    }

    /// The result of a node over constants of one type.
    pub(super) fn apply<T: Copy>(&self, op: &str, arrays: &[Array<T>]) -> Option<Array<T>> {
        let first = arrays.first()?;
        let rank = first.shape.len();
        let axes = self.axes.as_deref().or(self.input(1));
        match op {
            "Identity" | "Cast" => Some(first.clone()),
            "Transpose" => {
                let perm = match &self.perm {
                    Some(perm) => perm.iter().map(|&p| position(p, rank)).collect::<Option<Vec<_>>>()?,
                    None => (0..rank).rev().collect(),
                };
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                sorted.into_iter().eq(0..rank).then(|| first.transpose(&perm))?
            }
            "Unsqueeze" => first.clone().unsqueeze(axes?),
            "Squeeze" => first.clone().squeeze(axes),
            "Reshape" => first.clone().reshape(self.shape.as_deref().or(self.input(1))?, self.allow_zero),
            "Flatten" => {
                let at = position(self.axis.unwrap_or(1), rank + 1)?;
                let outer = elements(&first.shape[..at])?;
                first.clone().reshape(&[i64::try_from(outer).ok()?, -1], true)
            }
            "Expand" => {
                let to =
                    self.input(1)?.iter().map(|&n| usize::try_from(n).ok()).collect::<Option<Vec<_>>>()?;
                first.expand(&to)
            }
            "Concat" => Array::concat(arrays, position(self.axis?, rank)?),
            "Gather" => {
                let axis = position(self.axis.unwrap_or(0), rank)?;
                let n = i64::try_from(first.shape[axis]).ok()?;
                let index =
                    self.input(1)?.iter().map(|&i| usize::try_from(if i < 0 { i + n } else { i }).ok());
                let index = index.collect::<Option<Vec<_>>>()?;
                let (before, after) = (&first.shape[..axis], &first.shape[axis + 1..]);
                let shape = [before, &self.index_shape, after].concat();
                let inner = self.index_shape.len();
                first.gather(shape, |at| {
                    let place =
                        at[axis..axis + inner].iter().zip(&self.index_shape).fold(0, |p, (i, n)| p * n + i);
                    Some([&at[..axis], &[*index.get(place)?], &at[axis + inner..]].concat())
                })
            }
            "Slice" => {
                let (starts, ends) = match &self.bounds {
                    Some((starts, ends)) => (&starts[..], &ends[..]),
                    None => (self.input(1)?, self.input(2)?),
                };
                let axes = match self.axes.as_deref().or(self.input(3)) {
                    Some(axes) => axes.to_vec(),
                    None => (0..starts.len() as i64).collect(),
                };
                let steps = self.input(4).map_or(vec![1; starts.len()], <[i64]>::to_vec);
                (starts.len() == ends.len() && axes.len() == starts.len() && steps.len() == starts.len())
                    .then_some(())?;
                let mut found = first.clone();
                for i in 0..starts.len() {
                    let axis = position(axes[i], rank)?;
                    let n = i64::try_from(found.shape[axis]).ok()?;
                    let bound = |at: i64| if at < 0 { at.saturating_add(n).max(0) } else { at.min(n) };
                    let (start, end) = (bound(starts[i]), bound(ends[i]));
                    let step = usize::try_from(steps[i]).ok().filter(|&step| step > 0)?;
                    let count = usize::try_from(end - start).unwrap_or(0).div_ceil(step);
                    found = found.slice(axis, usize::try_from(start).ok()?, count, step)?;
                }
                Some(found)
            }
            _ => None,
        }
    }

    /// The number of elements that a node would make. It is checked before memory is allocated.
    pub(super) fn len<T: Copy>(&self, op: &str, arrays: &[Array<T>]) -> Option<usize> {
        let first = arrays.first()?;
        match op {
            "Expand" => {
                let to = self
                    .input(1)?
                    .iter()
                    .try_fold(1usize, |n, &d| n.checked_mul(usize::try_from(d).ok()?))?;
                to.checked_mul(first.data.len())
            }
            "Gather" => elements(&self.index_shape)?.checked_mul(first.data.len()),
            _ => arrays.iter().try_fold(0usize, |n, array| n.checked_add(array.data.len())),
        }
    }
}
