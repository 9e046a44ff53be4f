//! Unit tests of the walk, against a list of the steps of each row.

use super::super::taken::Rows;
use super::*;
use std::vec::Vec;

/// The buffer rows of batch row `b`, in the order of the walk.
fn listed(plan: Plan<'_>, b: usize) -> Vec<usize> {
    let length = plan.lengths.map_or(plan.steps, |l| l[b]);
    let row = |time: usize| match plan.batch_major {
        true => b * plan.steps + time,
        false => time * plan.batch + b,
    };
    let times: Vec<usize> = (0..length).collect();
    let times = if plan.reverse { times.into_iter().rev().collect() } else { times };
    times.into_iter().map(row).collect()
}

fn check(plan: Plan<'_>) {
    let walk = Walk::new(plan);
    assert!(walk.is_some(), "a valid plan");
    let Some(walk) = walk else { return };
    let mut present = Vec::new();
    for b in 0..plan.batch {
        let rows = listed(plan, b);
        assert_eq!(walk.len(b), rows.len());
        let mut previous = Previous::Initial;
        for (t, row) in rows.iter().copied().enumerate() {
            assert_eq!(walk.row(t, b), row);
            let (active, reset) =
                (plan.mask.is_none_or(|(m, _)| m[row]), plan.resets.is_some_and(|resets| resets[row]));
            assert_eq!((walk.active(t, b), walk.resets(t, b)), (active, reset));
            if reset {
                previous = Previous::Zero;
            }
            assert_eq!(walk.previous(t, b), previous, "step {t} of row {b} in {plan:?}");
            if active {
                previous = Previous::Row(row);
                present.push(row);
            }
        }
        assert!((rows.len()..walk.steps()).all(|t| !walk.active(t, b) && !walk.resets(t, b)));
    }
    let longest = (0..plan.batch).map(|b| walk.len(b)).max().unwrap_or(0);
    assert_eq!(walk.steps(), longest);

    present.sort_unstable();
    assert_eq!(Rows::present(&walk).iter().collect::<Vec<_>>(), present);
    assert!((0..walk.rows()).all(|row| walk.present(row) == present.contains(&row)));
    for first in 0..=walk.rows() {
        for count in 0..=walk.rows() - first {
            let some = Rows::some(&walk, first, count).iter().map(|row| first + row);
            let here = present.iter().copied().filter(|row| (first..first + count).contains(row));
            assert!(some.eq(here), "rows {first}..{first}+{count} of {plan:?}");
        }
    }
    for first in 0..walk.steps() {
        let step: Vec<usize> = (0..plan.batch).filter(|b| walk.active(first, *b)).collect();
        assert_eq!(Rows::step(&walk, first).iter().collect::<Vec<_>>(), step);
        for count in 0..=walk.steps() - first {
            let rows = Rows::block(&walk, first, count);
            let block: Vec<usize> = rows.iter().map(|row| rows.source(row)).collect();
            let want: Vec<usize> = (first..first + count)
                .flat_map(|t| (0..plan.batch).map(move |b| (t, b)))
                .filter(|(t, b)| walk.active(*t, *b))
                .map(|(t, b)| walk.row(t, b))
                .collect();
            assert_eq!(block, want);
        }
    }
    let mut all: Vec<usize> = (0..plan.batch).flat_map(|b| listed(plan, b)).chain(walk.padding()).collect();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..plan.steps * plan.batch), "rows and padding are everything, once");
}

/// A part of a walk gives the same results for its batch rows as the whole walk.
fn check_parts(plan: Plan<'_>) {
    let walk = Walk::new(plan).unwrap();
    for first in 0..=plan.batch {
        for count in 0..=plan.batch - first {
            // Also a part of a part.
            let parts = [walk.part(first, count), walk.part(0, first + count).part(first, plan.batch)];
            for part in parts {
                assert_eq!((part.batch(), part.rows()), (count, walk.rows()));
                assert_eq!(part.place().is_whole(), count == plan.batch);
                assert_eq!(part.steps(), (first..first + count).map(|b| walk.len(b)).max().unwrap_or(0));
                for b in 0..count {
                    assert_eq!(part.len(b), walk.len(first + b));
                    for t in 0..part.len(b) {
                        assert_eq!(part.row(t, b), walk.row(t, first + b));
                        assert_eq!(part.active(t, b), walk.active(t, first + b));
                        assert_eq!(part.resets(t, b), walk.resets(t, first + b));
                        assert_eq!(part.previous(t, b), walk.previous(t, first + b));
                        assert_eq!(part.place().of(part.row(t, b)).map(|(_, b)| b), Some(b));
                    }
                }
                let mut present: Vec<usize> =
                    (first..first + count).flat_map(|b| walk.sequence(b).collect::<Vec<_>>()).collect();
                present.sort_unstable();
                assert_eq!(Rows::present(&part).iter().collect::<Vec<_>>(), present);
                let own = |row: &usize| part.place().of(*row).is_some();
                let padding: Vec<usize> = walk.padding().filter(own).collect();
                assert_eq!(part.padding().collect::<Vec<_>>(), padding);
                assert!(count == plan.batch || part.regular().is_none());
            }
        }
    }
}

/// Some of the steps of a forward walk are the steps of the whole, in buffers that begin with their rows.
#[test]
fn steps_of_a_walk_are_steps_of_the_whole() {
    let (steps, batch) = (7, 3);
    let bits = |seed: usize| -> [bool; 21] { core::array::from_fn(|i| (i * 7 + seed) % 5 > 1) };
    let (mask, resets) = (bits(3), bits(1).map(|b| !b));
    for lengths in [None, Some(&[7, 2, 0]), Some(&[4, 5, 3])] {
        let lengths = lengths.map(|l| &l[..]);
        let (mask, resets) = (Some((&mask[..], Masked::Zero)), Some(&resets[..]));
        for (mask, resets) in [(None, None), (mask, resets)] {
            let walk = Walk::new(Plan { steps, batch, lengths, mask, resets, ..Plan::default() }).unwrap();
            for first in 0..=steps {
                for count in 0..=steps + 1 {
                    // Also some steps of some steps.
                    let all = [
                        walk.during(first, count),
                        walk.during(1, steps).during(first - first.min(1), count),
                    ];
                    for some in &all[..if first > 0 { 2 } else { 1 }] {
                        let count = count.min(steps - first);
                        assert_eq!((some.batch(), some.rows()), (batch, count * batch));
                        assert_eq!(some.is_dense(), walk.is_dense());
                        let lens = (0..batch).map(|b| walk.len(b).saturating_sub(first).min(count));
                        assert!(lens.clone().eq((0..batch).map(|b| some.len(b))));
                        assert_eq!(some.steps(), lens.max().unwrap_or(0));
                        assert_eq!(some.part(1, 2).steps(), some.len(1).max(some.len(2)));
                        for (b, t) in (0..batch).flat_map(|b| (0..count).map(move |t| (b, t))) {
                            assert_eq!(some.row(t, b) + first * batch, walk.row(first + t, b));
                            assert_eq!(some.active(t, b), walk.active(first + t, b));
                            assert_eq!(some.resets(t, b), walk.resets(first + t, b));
                        }
                    }
                }
            }
        }
    }
}

/// No row is written by two threads.
#[test]
fn the_rows_of_two_parts_are_apart() {
    use crate::kernel::rows::view::ColumnsMut;
    for batch_major in [false, true] {
        let plan = Plan { steps: 3, batch: 5, batch_major, ..Plan::default() };
        let walk = Walk::new(plan).unwrap();
        for at in 0..=plan.batch {
            let mut data = [0.0; 3 * 5 * 4];
            let (left, right) = ColumnsMut::new(&mut data, walk.rows(), 4).split(3);
            let ((mut a, mut b), mut right) = (left.split_batch(&walk, at), right);
            let walks = [walk.part(0, at), walk.part(at, plan.batch)];
            assert!(a.has(&walks[0], 3) && b.has(&walks[1], 3) && right.has(&walk, 1));
            assert!(!a.has(&walks[0], 4) && (at == plan.batch || !a.has(&walk, 3)));
            assert!(at == 0 || at == plan.batch || !(a.has(&walks[1], 3) || b.has(&walks[0], 3)));
            for row in 0..=walk.rows() {
                let in_first = row < walk.rows() && walk.place().of(row).is_some_and(|(_, b)| b < at);
                let in_second = row < walk.rows() && !in_first;
                let lengths = (a.row(row).len(), b.row(row).len());
                assert_eq!(lengths, (3 * usize::from(in_first), 3 * usize::from(in_second)));
                a.row(row).iter_mut().chain(b.row(row)).for_each(|x| *x += 1.0);
                right.row(row).fill(2.0);
            }
            // A view cannot be split by rows that it lacks.
            let (mut none, mut either) = b.split_batch(&walk, 1);
            if at > 0 {
                assert!((0..walk.rows()).all(|row| none.row(row).is_empty() && either.row(row).is_empty()));
            }
            assert!(data.chunks(4).all(|row| row == [1.0, 1.0, 1.0, 2.0]));
        }
    }
}

#[test]
fn every_walk_goes_where_its_list_says() {
    let bits = |seed: usize| -> [bool; 20] { core::array::from_fn(|i| (i * 7 + seed) % 5 > 1) };
    let (mask, resets) = (bits(3), bits(1).map(|b| !b));
    for (steps, batch) in [(5, 4), (1, 3), (6, 1), (0, 2), (3, 0), (2, 5)] {
        let lengths: [usize; 5] = core::array::from_fn(|b| (b * 3 + 2) % (steps + 1));
        let (mask, resets) = (&mask[..steps * batch], &resets[..steps * batch]);
        for bits in 0..32 {
            let on = |bit: usize| bits >> bit & 1 == 1;
            let plan = Plan {
                steps,
                batch,
                batch_major: on(0),
                reverse: on(1),
                lengths: on(2).then_some(&lengths[..batch]),
                mask: on(3).then_some((mask, Masked::Carry)),
                resets: on(4).then_some(resets),
            };
            check(plan);
            check_parts(plan);
        }
    }
}

#[test]
fn what_cannot_be_walked_is_refused() {
    let plan = Plan { steps: 2, batch: 3, ..Plan::default() };
    assert!(Walk::new(plan).is_some());
    assert!(Walk::new(Plan { lengths: Some(&[1, 2]), ..plan }).is_none());
    assert!(Walk::new(Plan { lengths: Some(&[1, 3, 0]), ..plan }).is_none());
    assert!(Walk::new(Plan { mask: Some((&[true; 5], Masked::Zero)), ..plan }).is_none());
    assert!(Walk::new(Plan { resets: Some(&[true; 7]), ..plan }).is_none());
    assert!(Walk::new(Plan { steps: usize::MAX, ..plan }).is_none());
}
