//! Unit tests of the walk, against a list of what each row does, written out step by step.

use super::*;
use std::vec::Vec;

/// The storage rows that batch row `b` takes, in its order, with what is said of them.
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

#[test]
fn every_walk_goes_where_its_list_says() {
    let bits = |seed: usize| -> [bool; 20] { core::array::from_fn(|i| (i * 7 + seed) % 5 > 1) };
    let (mask, resets) = (bits(3), bits(1).map(|b| !b));
    for (steps, batch) in [(5, 4), (1, 3), (6, 1), (0, 2), (3, 0), (2, 5)] {
        let lengths: [usize; 5] = core::array::from_fn(|b| (b * 3 + 2) % (steps + 1));
        let (mask, resets) = (&mask[..steps * batch], &resets[..steps * batch]);
        for bits in 0..32 {
            let on = |bit: usize| bits >> bit & 1 == 1;
            check(Plan {
                steps,
                batch,
                batch_major: on(0),
                reverse: on(1),
                lengths: on(2).then_some(&lengths[..batch]),
                mask: on(3).then_some((mask, Masked::Carry)),
                resets: on(4).then_some(resets),
            });
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
