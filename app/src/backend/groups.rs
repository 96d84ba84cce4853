//! The tree of groups as somebody looks at it, and what of it stands beside one of them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    groups::Standing,
    ids::{GroupId, UserId},
    limits::Scope,
    roles::{Act, Actor, Place, allows},
    why,
    window::Calendar,
};
use store::{
    Store,
    census::{Census, Outline},
};

use super::{AppError, Cx, Known};
use crate::api::groups::Node;

/// With up to this many groups all of them are unfolded at first.
const SMALL: usize = 80;

/// How many rows a page lists.
const ROWS: usize = 400;

/// How the tree is looked at.
pub struct Look {
    /// Groups that are folded, where everything is unfolded at first.
    pub fold: HashSet<String>,
    /// Groups that are unfolded, where everything is folded at first.
    pub unfold: HashSet<String>,
    /// What is looked for, in lower case; empty: nothing.
    pub q: String,
}

/// A row of the tree: where it stands, and whether what is below it is shown.
pub struct Spot<'a> {
    /// The group.
    pub group: &'a Outline,
    /// Whether what is below it is left out.
    pub folded: bool,
}

/// The rows that are unfolded, or those that are looked for, and how many more match.
pub fn rows<'a>(census: &'a Census, actor: &Actor, all: bool, look: &Look) -> (Vec<Spot<'a>>, usize) {
    let small = census.order.len() <= SMALL;
    let folded = |id: GroupId| {
        let text = id.to_string();
        if small { look.fold.contains(&text) } else { !look.unfold.contains(&text) }
    };
    let words: Vec<&str> = look.q.split_whitespace().collect();
    let mut hidden = HashSet::new();
    let mut rows = Vec::new();
    for group in &census.order {
        if !all && !reads(actor, group) {
            continue;
        }
        if words.is_empty() {
            let above = group.ancestors.last();
            let shut = above.is_some_and(|above| hidden.contains(above));
            let closed = folded(group.id);
            if shut || closed {
                hidden.insert(group.id);
            }
            if !shut {
                rows.push(Spot { group, folded: closed });
            }
        } else if is_named(group, &words) {
            rows.push(Spot { group, folded: true });
        }
    }
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    (rows, more)
}

/// Whether its name has every one of these words in it.
fn is_named(group: &Outline, words: &[&str]) -> bool {
    let name = group.name.to_lowercase();
    words.iter().all(|word| domain::names::has(&name, word))
}

/// Leads see what they lead, and everything below it.
pub fn reads(actor: &Actor, group: &Outline) -> bool {
    let path: Vec<GroupId> = group.ancestors.iter().copied().chain([group.id]).collect();
    allows(actor, Act::ReadGroup, Place::Group(&path))
}

/// The whole tree where it fits; else the groups at the top, those above this one with it, those
/// beside it and those below.
pub fn neighbours<'a>(tree: &[&'a Outline], id: GroupId) -> Vec<&'a Outline> {
    if tree.len() <= SMALL {
        return tree.to_vec();
    }
    let ancestors =
        tree.iter().find(|row| row.id == id).map(|row| row.ancestors.as_slice()).unwrap_or_default();
    let parent = ancestors.last();
    let near = |row: &Outline| {
        row.id == id
            || row.ancestors.is_empty()
            || ancestors.contains(&row.id)
            || (parent.is_some() && row.ancestors.last() == parent)
            || row.ancestors.last() == Some(&id)
    };
    tree.iter().filter(|row| near(row)).take(4 * SMALL).copied().collect()
}

/// The groups directly below one, as many as a tree shows at once.
pub fn directly_below<'a>(tree: &[&'a Outline], id: GroupId) -> Vec<&'a Outline> {
    tree.iter().filter(|row| row.ancestors.last() == Some(&id)).take(4 * SMALL).copied().collect()
}

/// Groups as places for people of the group `from`. `tree`: all that whoever asks may see.
pub fn nodes(
    facts: &Facts,
    actor: &Actor,
    from: GroupId,
    tree: &[&Outline],
    shown: &[&Outline],
    now: DateTime<Utc>,
) -> Vec<Node> {
    let here: HashSet<GroupId> = shown.iter().map(|row| row.id).collect();
    let left_out = tree.iter().filter(|row| !here.contains(&row.id));
    let folded: HashSet<GroupId> = left_out.filter_map(|row| row.ancestors.last().copied()).collect();
    let closed = |row: &Outline| {
        let path: Vec<GroupId> = row.ancestors.iter().copied().chain([row.id]).collect();
        if row.id == from {
            return Some(format!("They are in {} already.", row.name));
        }
        if !allows(actor, Act::EditMembers, Place::Group(&path)) {
            return Some(format!("You do not put people into {}: ask its lead.", row.name));
        }
        why::over(facts, row.id, now).map(|over| format!("{over}, and takes nobody in."))
    };
    let node = |row: &&Outline| Node {
        id: row.id,
        name: row.name.clone(),
        depth: row.ancestors.len(),
        closed: closed(row),
        folded: folded.contains(&row.id),
    };
    shown.iter().map(node).collect()
}

/// The groups whose path has every one of the words, of those that whoever asks may read: nobody
/// learns here what groups there are beyond them.
///
/// # Errors
/// When the database does not answer.
pub async fn matching(cx: &Cx, text: &str) -> Result<Vec<(GroupId, String)>, AppError> {
    matching_for(&cx.store, cx.actor()?, text).await
}

/// The same, for somebody.
///
/// # Errors
/// As [`matching`].
pub async fn matching_for(
    store: &Store,
    actor: &Actor,
    text: &str,
) -> Result<Vec<(GroupId, String)>, AppError> {
    let census = store::census::current(store, actor.org).await.known()?;
    let typed = domain::names::sought(text);
    let words: Vec<&str> = typed
        .split(|mark: char| mark == '/' || mark.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let all = allows(actor, Act::ReadOrganization, Place::Organization);
    let readable: HashSet<GroupId> =
        census.order.iter().filter(|group| all || reads(actor, group)).map(|group| group.id).collect();
    let fits = |path: &str| {
        let path = path.to_lowercase();
        words.iter().all(|word| domain::names::has(&path, word))
    };
    Ok(census.paths.iter().filter(|(id, path)| readable.contains(id) && fits(path)).cloned().collect())
}

/// The group somebody wrote: its id, its path, or words that only one path has.
///
/// # Errors
/// A sentence beside the field when there is none, or more than one.
pub async fn named(cx: &Cx, field: &str, text: &str) -> Result<GroupId, AppError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    // Who is not signed in is told that before anything else.
    named_by(&cx.store, cx.actor()?, field, text).await
}

/// The same, by somebody.
///
/// # Errors
/// As [`named`].
pub async fn named_by(store: &Store, actor: &Actor, field: &str, text: &str) -> Result<GroupId, AppError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let typed = text.trim().to_lowercase();
    if typed.is_empty() {
        return Err(AppError::field(field, "Choose a group."));
    }
    let found = matching_for(store, actor, &typed).await?;
    if let Some((id, _)) = found.iter().find(|(_, path)| path.to_lowercase() == typed) {
        return Ok(*id);
    }
    match found.as_slice() {
        [] => Err(AppError::field(
            field,
            "No group is called that. Write its name or its path: Engineering/Platform.",
        )),
        [(id, _)] => Ok(*id),
        several => {
            let names: Vec<&str> = several.iter().take(5).map(|(_, path)| path.as_str()).collect();
            let more = if several.len() > names.len() { " and more" } else { "" };
            Err(AppError::field(
                field,
                format!(
                    "Several groups match: {}{more}. Choose one, or write the whole path.",
                    names.join(", ")
                ),
            ))
        }
    }
}

/// The same; nothing written: none.
///
/// # Errors
/// As [`named`].
pub async fn named_some(cx: &Cx, field: &str, text: &str) -> Result<Option<GroupId>, AppError> {
    if text.trim().is_empty() { Ok(None) } else { named(cx, field, text).await.map(Some) }
}

/// Limits of the organization and of the groups on a path, which apply below them, too: in words, and of
/// what. What is used of them is for those who may read it there.
pub fn limits_from_above(facts: &Facts, path: &[GroupId]) -> Vec<(String, String)> {
    let scopes = std::iter::once(Scope::Organization).chain(path.iter().copied().map(Scope::Group));
    let own = |scope: Scope| facts.limits.get(&scope).map_or(&[][..], Vec::as_slice);
    scopes
        .flat_map(|scope| own(scope).iter().map(move |limit| (scope, limit)))
        .map(|(scope, limit)| (limit.meter.show_cap(limit.cap), facts.scope_name(scope)))
        .collect()
}

/// Why somebody is not put into a group: they are in it, as something else.
pub fn there_already(calendar: Calendar, (standing, until): (Standing, Option<DateTime<Utc>>)) -> AppError {
    let last = |end: DateTime<Utc>| calendar.day(end - chrono::Duration::seconds(1));
    let until = until.map(|end| format!(", through {}", domain::time::date(last(end)))).unwrap_or_default();
    AppError::Meanwhile(format!(
        "They are in this group already, as {standing}{until}. Change that in the group’s list of people."
    ))
}

/// Why somebody is not taken out of a group: they are something else in it than they were shown as.
///
/// # Errors
/// When the database does not answer.
pub async fn not_as_shown(
    cx: &Cx,
    (group, user): (GroupId, UserId),
    (standing, until): (Standing, Option<DateTime<Utc>>),
) -> Result<AppError, AppError> {
    let calendar = cx.calendar().await?;
    let actor = cx.actor()?;
    let who =
        store::seen::who_last_of_member(&cx.store, actor.org, actor.user, (group, user)).await.known()?;
    let who = who.unwrap_or_else(|| "Somebody".to_owned());
    let last = |end: DateTime<Utc>| calendar.day(end - chrono::Duration::seconds(1));
    let until = until.map(|end| format!(", through {}", domain::time::date(last(end)))).unwrap_or_default();
    Ok(AppError::Meanwhile(format!(
        "{who} changed this membership since it was shown to you: it is that of a {standing}{until} now. Nothing was done; say it again if you still mean it."
    )))
}

/// Groups as the choices of a picker: id and path.
pub fn places(paths: &[(GroupId, String)]) -> Vec<(String, String)> {
    paths.iter().map(|(id, path)| (id.to_string(), path.clone())).collect()
}

/// Whether what left a group can be put back there: what has ended takes nothing in. None: the top of the tree.
///
/// # Errors
/// When the database does not answer.
pub async fn takes_in(cx: &Cx, group: Option<GroupId>) -> Result<bool, AppError> {
    let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
    Ok(why::takes_in(&facts, group, store::clock::now()))
}
