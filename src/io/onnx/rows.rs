//! Steps and sequences merged into one axis of rows, over which exporters multiply matrices.

use std::vec::Vec;

use super::Walk;
use super::schema::Node;
use super::value::{Axis, Ints, Size, Value};

impl Walk<'_> {
    /// The size of an axis of the graph's input, or of both axes merged.
    pub(super) fn size(&self, axis: Axis) -> Size {
        match (axis, self.sizes) {
            (Axis::First, [Some(n), _]) | (Axis::Second, [_, Some(n)]) => Size::Known(n),
            (Axis::Rows { .. }, [Some(a), Some(b)]) => a.checked_mul(b).map_or(Size::Rows, Size::Known),
            (Axis::Rows { .. }, _) => Size::Rows,
            _ => Size::Free(axis),
        }
    }

    /// The product of two sizes, if it is the number of rows.
    pub(super) fn rows_of(&self, a: Size, b: Size) -> Option<Size> {
        let both = [self.size(Axis::First), self.size(Axis::Second)];
        (both == [a, b] || both == [b, a]).then_some(Size::Rows)
    }

    /// The product of a list of sizes: `ReduceProd`.
    pub(super) fn product(&self, node: &Node, list: &Ints) -> Value {
        let keeps = node.attribute.iter().find(|a| a.name == "keepdims").is_none_or(|a| a.i != 0);
        let factors: Vec<Size> = list.data.iter().copied().filter(|n| *n != Size::Known(1)).collect();
        let known = factors.iter().try_fold(1i64, |product, n| product.checked_mul(n.known()?));
        let product = match (known, &factors[..]) {
            (Some(product), _) => Some(Size::Known(product)),
            (None, &[one]) => Some(one),
            (None, &[a, b]) => self.rows_of(a, b),
            _ => None,
        };
        match product {
            Some(product) if list.shape.len() == 1 && keeps => Value::Ints(Ints::list([product].into())),
            Some(product) if list.shape.len() == 1 => Value::Ints(Ints::scalar(product)),
            _ => Value::Other,
        }
    }

    /// The axes after a `Reshape` that merges steps and sequences into rows, or separates them.
    pub(super) fn rows(&self, kept: &[Axis], width: Size, shape: &[Size]) -> Option<Vec<Axis>> {
        let open = shape.iter().filter(|n| **n == Size::Known(-1)).count();
        let fits = |n: Size, size: Size| n == size || n == Size::Known(-1);
        if open > 1 {
            return None;
        }
        match (kept, shape) {
            (&[a @ (Axis::First | Axis::Second), b, Axis::Feature], &[rows, features]) => {
                let axis = Axis::Rows { swapped: a == Axis::Second };
                let whole = matches!(b, Axis::First | Axis::Second) && a != b;
                let fit = fits(rows, self.size(axis)) && fits(features, width);
                (whole && fit).then(|| [axis, Axis::Feature].into())
            }
            (&[Axis::Rows { swapped }, Axis::Feature], &[first, second, features]) => {
                let (a, b) = if swapped { (Axis::Second, Axis::First) } else { (Axis::First, Axis::Second) };
                let fit = fits(first, self.size(a)) && fits(second, self.size(b)) && fits(features, width);
                fit.then(|| [a, b, Axis::Feature].into())
            }
            _ => None,
        }
    }
}
