//! Cuts the rows of a batch into shards, and adds the results of the shards in a binary tree that depends
//! only on their number. A rank with an aligned part of the shards computes one branch of the tree, so the
//! sums do not depend on the number of ranks.

use core::mem;
use core::ops::Range;
use std::vec::Vec;

use super::Shard;

/// The rows of part `i` of `parts`, by repeated halving. If `parts` is a power of two, a part of a part is a
/// part of the whole.
pub(super) fn part(rows: usize, i: usize, parts: usize) -> Range<usize> {
    let (mut rows, mut first, mut parts) = (0..rows, 0, parts);
    while parts > 1 {
        let left = parts / 2;
        let middle = rows.start + rows.len() / parts * left + rows.len() % parts * left / parts;
        if i < first + left {
            (rows.end, parts) = (middle, left);
        } else {
            (rows.start, first, parts) = (middle, first + left, parts - left);
        }
    }
    rows
}

/// The results of one shard over all batches of an update, or of a branch of the tree. All values are sums
/// over targets, because the number of targets on all ranks is not known before the values are added.
#[derive(Clone, Default)]
pub(super) struct Leaf {
    pub(super) grads: Vec<f32>,
    pub(super) loss: f32,
    /// Total weight of the targets in the sums; 1 for each by default.
    pub(super) weight: f32,
    used: bool,
}

/// Starts an update: returns the buffers to the shards.
pub(super) fn clear(leaves: &mut [Leaf], shards: &mut [Shard]) {
    for (leaf, shard) in leaves.iter_mut().zip(shards) {
        if shard.grads.is_empty() {
            mem::swap(&mut leaf.grads, &mut shard.grads);
        }
    }
    leaves.iter_mut().for_each(|leaf| (leaf.loss, leaf.weight, leaf.used) = (0.0, 0.0, false));
}

/// Adds the results of shard `i`, with its mean loss. Takes the shard's gradients.
pub(super) fn add(leaves: &mut Vec<Leaf>, i: usize, shard: &mut Shard, loss: f32) {
    if leaves.len() == i {
        leaves.push(Leaf::default());
    }
    let (leaf, weight) = (&mut leaves[i], shard.weight as f32);
    let counts = weight > 0.0;
    if counts {
        leaf.loss += loss * weight;
        leaf.weight += weight;
    }
    if leaf.used {
        if counts {
            leaf.grads.iter_mut().zip(&shard.grads).for_each(|(sum, g)| *sum += g * weight);
        }
        return;
    }
    leaf.used = true;
    mem::swap(&mut leaf.grads, &mut shard.grads);
    if counts {
        leaf.grads.iter_mut().for_each(|g| *g *= weight);
    } else {
        leaf.grads.fill(0.0);
    }
}

/// Adds all used leaves into the first one.
pub(super) fn sum(leaves: &mut [Leaf]) {
    let used = leaves.iter().take_while(|leaf| leaf.used).count();
    branch(&mut leaves[..used]);
}

fn branch(leaves: &mut [Leaf]) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at_mut(leaves.len() / 2);
    branch(left);
    branch(right);
    left[0].loss += right[0].loss;
    left[0].weight += right[0].weight;
    left[0].grads.iter_mut().zip(&right[0].grads).for_each(|(a, b)| *a += b);
}
