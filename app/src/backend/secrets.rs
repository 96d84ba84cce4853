//! What is said of member secrets that die with a change.

use domain::{
    ids::{KeyId, UserId},
    keys::Fallen,
    money::grouped,
};
use store::Change;

use super::{AppError, Known};

/// How many people are named whose secrets die.
const NAMED: usize = 50;

/// Proves that one's own secret of a key is the one that was shown: its id, or `none`; empty: whichever. A button
/// that is pressed twice makes one secret.
pub async fn as_shown(change: &Change, key: KeyId, was: &str) -> Result<(), AppError> {
    let Some(me) = change.permit().actor().user.filter(|_| !was.is_empty()) else { return Ok(()) };
    let own = store::keys::own(change.store(), change.org(), me).await.known()?;
    let now = own.into_iter().find(|own| own.key == key).and_then(|own| own.secret);
    let id = now.as_ref().map_or_else(|| "none".to_owned(), |secret| secret.id.to_string());
    if id == was {
        return Ok(());
    }
    let is = now.map_or_else(|| "There is none any more".to_owned(), |now| format!("It is {} now", now.hint));
    Err(AppError::field(
        "",
        format!("This is not your secret any more. {is}; nothing was changed. Load the page again."),
    ))
}

/// Before it is done: which secrets would die, and whose. It is sent again when that is meant.
///
/// # Errors
/// When the database does not answer.
pub async fn would_die(change: &Change) -> Result<Option<String>, AppError> {
    let fallen = change.fallen();
    let Some(secrets) = fallen.in_words() else { return Ok(None) };
    let (die, them) = if fallen.secrets == 1 { ("dies", "it") } else { ("die", "them") };
    let whose = whose(change).await?;
    Ok(Some(format!(
        "Nothing is saved yet. {secrets} {die} with this, at once and for good, for no group that is left carries {them}: {whose}. Save again if that is meant."
    )))
}

/// Which secrets of whom die with it, with the next call; empty where none does.
///
/// # Errors
/// When the database does not answer.
pub async fn die_next(change: &Change) -> Result<String, AppError> {
    let fallen = change.fallen();
    let Some(secrets) = fallen.in_words() else { return Ok(String::new()) };
    let die = if fallen.secrets == 1 { "dies" } else { "die" };
    let whose = whose(change).await?;
    Ok(format!("{secrets} {die} with the next call, for good: {whose}."))
}

/// Whose secrets died so far: `Ann (2), Ben`.
async fn whose(change: &Change) -> Result<String, AppError> {
    let dead = change.fallen_of();
    let ids: Vec<UserId> = dead.keys().copied().collect();
    let names = store::directory::names(change.store(), change.org(), &ids).await.known()?;
    let of = names.iter().filter_map(|(user, name, _)| Some((name.as_str(), *dead.get(user)?)));
    Ok(named(&of.collect::<Vec<_>>()))
}

/// The first of them, and how many more there are.
fn named(of: &[(&str, usize)]) -> String {
    let each = |(name, count): &(&str, usize)| match count {
        1 => (*name).to_owned(),
        count => format!("{name} ({count})"),
    };
    let mut names: Vec<String> = of.iter().take(IN_A_SENTENCE).map(each).collect();
    if of.len() > IN_A_SENTENCE {
        names.push(format!("and {} more", of.len() - IN_A_SENTENCE));
    }
    names.join(", ")
}

/// How many people are named whose secrets would die; the others are counted.
const IN_A_SENTENCE: usize = 5;

/// Looks at it before people are out of a group: with whose secrets, unless that was said and is meant.
/// `doing`: what becomes of them, where the form does not say it any more; `people`: those it is about, with
/// their names; `known`: what was said.
///
/// # Errors
/// [`AppError::Changed`]: what would die with it, where that is not what was said.
pub fn meant(change: &Change, doing: &str, people: &[(UserId, &str)], known: &str) -> Result<(), AppError> {
    let dead = change.fallen_of();
    let of = people.iter().filter_map(|(user, name)| Some((*name, *dead.get(user)?)));
    match theirs_would_die(doing, &of.collect::<Vec<_>>()) {
        Some(question) if question != known => Err(AppError::Changed(question)),
        _ => Ok(()),
    }
}

/// Whose secrets would die, and how many of each: `Mia`, `Ann (2), Ben`.
fn theirs_would_die(doing: &str, of: &[(&str, usize)]) -> Option<String> {
    let fallen = Fallen { secrets: of.iter().map(|(_, count)| count).sum(), people: of.len() };
    let secrets = fallen.in_words()?;
    let die = if fallen.secrets == 1 { "dies" } else { "die" };
    let doing = if doing.is_empty() { String::new() } else { format!(" {doing}") };
    Some(format!(
        "Nothing is changed yet.{doing} {secrets} {die} with it for good, and undoing it brings none back: {}.",
        named(of)
    ))
}

/// Which secrets would die with it for good, as a sentence of its own.
pub fn dying(fallen: Fallen) -> Option<String> {
    (fallen != Fallen::default()).then(|| and_die("", fallen).trim_start().to_owned())
}

/// What would be done, and which secrets would die with it for good.
pub fn and_die(said: &str, fallen: Fallen) -> String {
    let Some(secrets) = fallen.in_words() else { return said.to_owned() };
    let die = if fallen.secrets == 1 { "dies" } else { "die" };
    format!("{said} {secrets} {die} with it for good: undoing it brings none back.")
}

/// What was done, which secrets died with it, and, where it can be undone, that they stay dead.
pub fn with_dead(said: &str, fallen: Fallen, undo: bool) -> String {
    let Some(secrets) = fallen.in_words() else { return said.to_owned() };
    let (are, stay) = if fallen.secrets == 1 { ("is", "stays") } else { ("are", "stay") };
    let stay = if undo { format!(", and {stay} dead if you undo this") } else { String::new() };
    format!("{said} {secrets} {are} dead{stay}.")
}

/// What was undone, and which secrets stay dead that died with what was.
pub fn still_dead(said: &str, fallen: Fallen) -> String {
    let Some(secrets) = fallen.in_words() else { return said.to_owned() };
    let (stay, makes) = if fallen.secrets == 1 {
        ("stays", "its person makes a new one")
    } else {
        ("stay", "their people make new ones")
    };
    format!("{said} {secrets} {stay} dead: {makes}.")
}

/// How many secrets of whom: `Ada Lovelace: 2 secrets`, those who lose most first.
pub fn of_whom<'a>(dead: impl Iterator<Item = (&'a str, usize)>) -> Vec<String> {
    let mut dead: Vec<(&str, usize)> = dead.collect();
    dead.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let words = |(name, count): (&str, usize)| match count {
        1 => format!("{name}: 1 secret"),
        count => format!("{name}: {} secrets", grouped(count as u64)),
    };
    let others = dead.len().saturating_sub(NAMED);
    let more = (others > 0).then(|| format!("{} more people", grouped(others as u64)));
    dead.into_iter().take(NAMED).map(words).chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::theirs_would_die;

    #[test]
    fn those_whose_secrets_would_die_are_named() {
        assert_eq!(theirs_would_die("", &[]), None);
        let said = |of: &[(&str, usize)]| theirs_would_die("", of).expect("a sentence");
        assert!(said(&[("Mia", 1)]).contains("1 secret of 1 person dies with it for good"));
        assert!(said(&[("Mia", 1)]).ends_with(": Mia."));
        let moved = theirs_would_die("Mia moves from A to B.", &[("Mia", 1)]).expect("a sentence");
        assert!(
            moved.starts_with("Nothing is changed yet. Mia moves from A to B. 1 secret of 1 person dies")
        );
        assert!(said(&[("Ann", 2), ("Ben", 1)]).ends_with(
            "3 secrets of 2 people die with it for good, and undoing it brings none back: Ann (2), Ben."
        ));
        let seven = [("A", 1), ("B", 1), ("C", 1), ("D", 1), ("E", 1), ("F", 1), ("G", 1)];
        assert!(said(&seven).ends_with(": A, B, C, D, E, and 2 more."));
    }
}
