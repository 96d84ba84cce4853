//! What addresses say about the directory.

use domain::{
    directory::{Filter, Sort, Words},
    ids::GroupId,
    roles::Actor,
};
use store::{
    Store,
    directory::{BY_NAME, Order},
};

use super::groups;
use crate::{error::AppError, ui::query::nothing_called};

/// What the words of an address come to.
pub struct Reading {
    /// Which people, as far as the words can be read.
    pub filter: Filter,
    /// Groups that the words for one fit, when it is not exactly one.
    pub unclear: Option<Vec<(GroupId, String)>>,
    /// What cannot be read, a sentence each.
    problems: Vec<String>,
}

impl Reading {
    /// Which people, for whatever is done with all of them: what a page leaves out of a filter, and says,
    /// would be more people than somebody meant.
    ///
    /// # Errors
    /// When something of it cannot be read.
    pub fn whole(self) -> Result<Filter, AppError> {
        match self.problems.into_iter().next() {
            Some(problem) => Err(AppError::field("", format!("{problem} Correct the filter first."))),
            None => Ok(self.filter),
        }
    }
}

/// Reads the words of an address: once for the page, for its table and for what is done with everybody whom
/// it shows.
///
/// # Errors
/// When the database does not answer.
pub async fn read(store: &Store, actor: &Actor, words: Words) -> Result<Reading, AppError> {
    let amounts = words.not_amounts().into_iter().map(|text| format!("{text:?} is no amount."));
    let chosen = words.not_words().into_iter().map(|(_, text)| format!("{}.", nothing_called(text)));
    let mut problems: Vec<String> = amounts.chain(chosen).collect();
    // Written where there are too many to choose from.
    let (group, unclear) = match words.group.trim() {
        "" => (None, None),
        text => match groups::named_by(store, actor, "group", text).await {
            Ok(group) => (Some(group), None),
            Err(AppError::Invalid(fields)) => {
                problems.extend(fields.into_iter().map(|(_, sentence)| sentence));
                (None, Some(groups::matching_for(store, actor, text).await?))
            }
            Err(error) => return Err(error),
        },
    };
    let group = group.map(|id| id.to_string()).unwrap_or_default();
    Ok(Reading { filter: Filter::read(&Words { group, ..words }), unclear, problems })
}

/// `spend`, or `-spend` for the greatest first. By name when it says nothing that is known.
pub fn order(text: &str) -> Order {
    let (word, down) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
    word.parse::<Sort>().map_or(BY_NAME, |by| Order { by, down })
}
