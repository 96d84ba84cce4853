//! What of the tree of groups stands beside one of them.

use domain::{groups::GroupRow, ids::GroupId};

/// A tree that fits beside a list of people.
const FITS: usize = 80;

/// The whole tree where it fits; else the groups at the top, those above this one with it, those
/// beside it and those below.
pub fn neighbours<'a>(tree: &[&'a GroupRow], id: GroupId) -> Vec<&'a GroupRow> {
    if tree.len() <= FITS {
        return tree.to_vec();
    }
    let ancestors =
        tree.iter().find(|row| row.id == id).map(|row| row.ancestors.as_slice()).unwrap_or_default();
    let parent = ancestors.last();
    let near = |row: &GroupRow| {
        row.id == id
            || row.ancestors.is_empty()
            || ancestors.contains(&row.id)
            || (parent.is_some() && row.ancestors.last() == parent)
            || row.ancestors.last() == Some(&id)
    };
    tree.iter().filter(|row| near(row)).take(4 * FITS).copied().collect()
}
