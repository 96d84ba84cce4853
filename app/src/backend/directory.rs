//! What addresses say about the directory.

use domain::directory::Sort;
use store::directory::{BY_NAME, Order};

/// `spend`, or `-spend` for the greatest first. By name when it says nothing that is known.
pub fn order(text: &str) -> Order {
    let (word, down) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
    word.parse::<Sort>().map_or(BY_NAME, |by| Order { by, down })
}
