//! Whom it is about.

use chrono::{DateTime, Utc};
use domain::{
    access::{ApplicationFacts, Ask, Facts},
    ids::{ApplicationId, GroupId, KeyId, ModelId, UserId},
    keys::Features,
};
use store::Store;

use super::Options;
use crate::Fatal;

/// Somebody or something that would call, on the account of one group.
#[derive(Clone)]
pub struct Subject<'a> {
    /// What to call it.
    pub name: String,
    pub group: GroupId,
    /// That group's path as text.
    pub path: String,
    pub user: Option<UserId>,
    pub application: Option<(ApplicationId, &'a ApplicationFacts)>,
}

impl<'a> Subject<'a> {
    /// What is asked about a model.
    pub fn ask(&self, model: ModelId) -> Ask<'a> {
        let application = self.application.map(|(_, application)| application);
        Ask { group: self.group, user: self.user, application, model, features: Features::default() }
    }
}

/// Whom the words mean: an application is one subject, a person one for each group of theirs.
pub async fn find<'a>(
    store: &Store,
    facts: &'a Facts,
    paths: &[(GroupId, String)],
    options: &Options,
    now: DateTime<Utc>,
) -> Result<Vec<Subject<'a>>, Fatal> {
    let who = options.who.trim();
    if who.contains('@') || who.parse::<UserId>().is_ok() {
        return person(store, facts, paths, options, now).await;
    }
    let Some((id, application)) = application(facts, paths, who) else {
        let sentence = format!(
            "{who} is no person’s address and no application; an application is written with its group: Engineering/Research/bot"
        );
        return Err(Fatal::new("explain", sentence));
    };
    Ok(vec![Subject {
        name: application.name.clone(),
        group: application.group,
        path: path_of(paths, application.group),
        user: application.personal,
        application: Some((id, application)),
    }])
}

fn path_of(paths: &[(GroupId, String)], group: GroupId) -> String {
    paths.iter().find(|(id, _)| *id == group).map_or_else(String::new, |(_, path)| path.clone())
}

fn application<'a>(
    facts: &'a Facts,
    paths: &[(GroupId, String)],
    who: &str,
) -> Option<(ApplicationId, &'a ApplicationFacts)> {
    let (id, key) = (who.parse::<ApplicationId>().ok(), who.parse::<KeyId>().ok());
    let known = |(found, application): &(&ApplicationId, &ApplicationFacts)| {
        let path = format!("{}/{}", path_of(paths, application.group), application.name);
        Some(**found) == id || Some(application.key) == key || path.eq_ignore_ascii_case(who)
    };
    facts.applications.iter().find(known).map(|(id, application)| (*id, application))
}

async fn person<'a>(
    store: &Store,
    facts: &'a Facts,
    paths: &[(GroupId, String)],
    options: &Options,
    now: DateTime<Utc>,
) -> Result<Vec<Subject<'a>>, Fatal> {
    let refuse = |sentence: String| Fatal::new("explain", sentence);
    let who = options.who.trim();
    let people = store::users::names(store, facts.org, i64::MAX).await?;
    let found = people
        .into_iter()
        .find(|(id, _, email)| email.eq_ignore_ascii_case(who) || who.parse::<UserId>() == Ok(*id));
    let (id, name, _) = found.ok_or_else(|| refuse(format!("nobody here is called {who}")))?;
    let memberships = facts.users.get(&id).map_or(&[][..], |user| user.memberships.as_slice());
    let mut groups: Vec<(GroupId, String)> = memberships
        .iter()
        .filter(|membership| membership.ends_at.is_none_or(|end| now < end))
        .map(|membership| (membership.group, path_of(paths, membership.group)))
        .collect();
    groups.sort_by(|a, b| a.1.cmp(&b.1));
    if let Some(only) = &options.group {
        groups.retain(|(_, path)| path.eq_ignore_ascii_case(only.trim()));
    }
    if groups.is_empty() {
        let place = options
            .group
            .as_ref()
            .map_or_else(|| "any group".to_owned(), |group| format!("the group {group}"));
        return Err(refuse(format!(
            "{name} does not belong to {place}, and without a group nothing can be called"
        )));
    }
    let subject =
        |(group, path)| Subject { name: name.clone(), group, path, user: Some(id), application: None };
    Ok(groups.into_iter().map(subject).collect())
}
