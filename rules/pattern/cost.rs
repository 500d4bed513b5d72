//! What a pattern may cost.

use super::text::{Needle, TextTest};
use super::tree::{Condition, Group, Test};

/// The most that one pattern may cost, in comparisons (chosen): far above the largest published
/// patterns, which stay below 300, and still under a millisecond for one event.
pub const COST_MAX: u32 = 10_000;

/// Saturates instead of overflowing.
pub(super) fn of(group: &Group) -> u32 {
    sum(group.tests.iter().map(|test| match test {
        Test::Leaf { conditions, .. } => sum(conditions.iter().map(condition)),
        Test::Inside { group, .. } => of(group),
        Test::Combined { groups, .. } => sum(groups.iter().map(of)),
    }))
}

fn condition(condition: &Condition) -> u32 {
    match condition {
        Condition::AnythingBut(scalars) => u32::try_from(scalars.len()).unwrap_or(u32::MAX),
        Condition::AnythingButText(tests) => sum(tests.iter().map(text)),
        Condition::Text(test) => text(test),
        Condition::Equal(_)
        | Condition::Exactly(_)
        | Condition::Numeric(_)
        | Condition::Cidr(_)
        | Condition::Exists(_) => 1,
    }
}

/// A wildcard searches once for each of its stretches.
fn text(test: &TextTest) -> u32 {
    match &test.needle {
        Needle::Stretches(stretches) => u32::try_from(stretches.len()).unwrap_or(u32::MAX),
        Needle::Plain | Needle::Folded(_) => 1,
    }
}

fn sum(costs: impl Iterator<Item = u32>) -> u32 {
    costs.fold(0, u32::saturating_add)
}
