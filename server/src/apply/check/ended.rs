//! What has ended takes nothing new in. What stands in it already stands in the file as it is, and a group
//! that the file makes is as the file says: it is how an export is brought back.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use domain::{time, window::Calendar};

use crate::apply::{
    document::{Document, Reference},
    mistakes::{Mistake, quote},
    present::Present,
    things::{self, Key, Kind},
};

/// The last days of groups that are there, as the file leaves them.
struct LastDays {
    of: HashMap<String, (String, Option<NaiveDate>)>,
    today: NaiveDate,
}

impl LastDays {
    fn new(file: &Document, present: &Document) -> Option<Self> {
        let zone = present.organization.as_ref()?.settings.as_ref()?.time_zone.as_str();
        let zone = store::organizations::time_zone(zone).ok()?;
        let today = Calendar { zone, week_start: chrono::Weekday::Mon }.day(store::clock::now());
        let mut of: HashMap<_, _> = present
            .groups
            .iter()
            .map(|group| (group.path_text().to_lowercase(), (group.path_text(), group.ends_on)))
            .collect();
        for group in &file.groups {
            if let Some((_, last)) = of.get_mut(&group.path_text().to_lowercase()) {
                *last = group.ends_on;
            }
        }
        Some(Self { of, today })
    }

    /// Why a group takes nothing in, if it, or one above it, has ended.
    fn over(&self, path: &str) -> Option<String> {
        let lower = path.to_lowercase();
        let ends = lower.match_indices('/').map(|(at, _)| at).chain([lower.len()]);
        let over = ends.filter_map(|end| self.of.get(&lower[..end]));
        let over = over.filter_map(|(path, last)| Some((path, (*last).filter(|last| *last < self.today)?)));
        let (first, last) = over.min_by_key(|(_, last)| *last)?;
        let above = if first.to_lowercase() == lower { "" } else { ", which is above it," };
        Some(format!(
            "{}{above} ended on {}, and takes nothing new in. Leave this out, or write a later `ends_on` for that group.",
            quote(first),
            time::date(last)
        ))
    }
}

/// Everything new that the file puts where something has ended.
pub fn check(file: &Document, present: &Present, mistakes: &mut Vec<Mistake>) {
    let stored = &present.document;
    let Some(days) = LastDays::new(file, stored) else { return };
    let here: HashSet<Key> = things::of(stored).into_iter().map(|thing| thing.key).collect();
    for group in file.groups.iter().filter(|group| !here.contains(&things::group_key(&group.path_text()))) {
        let why = group.parent_text().and_then(|parent| days.over(&parent));
        mistakes.extend(why.map(|why| group.lines.mistake("path", why)));
    }
    for user in &file.users {
        let known = |path: &str| here.contains(&things::membership_key(user.email.as_str(), path));
        for membership in user.groups.iter().filter(|membership| !known(&membership.path)) {
            let why = days.over(&membership.path);
            mistakes.extend(why.map(|why| membership.lines.mistake("path", why)));
        }
    }
    for application in &file.applications {
        let key = things::application_key(&application.group, application.name.as_str());
        let why = days.over(&application.group).filter(|_| !here.contains(&key));
        mistakes.extend(why.map(|why| application.lines.mistake("group", why)));
        // Every call with a new secret would be refused.
        let issues = here.contains(&key)
            && application.service_secret
            && !present.had_secret(&(Kind::Secret, key.1.clone()));
        let why = days.over(&application.group).filter(|_| issues);
        mistakes.extend(why.map(|why| application.lines.mistake("service_secret", why)));
        let before = stored
            .applications
            .iter()
            .find(|other| things::application_key(&other.group, other.name.as_str()) == key)
            .map_or(&[][..], |other| &other.key.assigned_groups);
        let new = |group: &&Reference| {
            !before.iter().any(|there| there.name.to_lowercase() == group.name.to_lowercase())
        };
        for group in application.key.assigned_groups.iter().filter(new) {
            let why = days.over(&group.name);
            let place = |why| application.key.lines.mistake_on(group.line, "assigned_groups", why);
            mistakes.extend(why.map(place));
        }
    }
    let defaults = |document: &'_ Document| {
        let settings = document.organization.as_ref().and_then(|it| it.settings.clone());
        settings.map(|settings| settings.default_groups).unwrap_or_default()
    };
    let known: HashSet<String> =
        defaults(stored).into_iter().map(|group| group.name.to_lowercase()).collect();
    if let Some(organization) = &file.organization {
        for group in defaults(file).iter().filter(|group| !known.contains(&group.name.to_lowercase())) {
            let why = days.over(&group.name);
            let place = |why| organization.lines.mistake_on(group.line, "default_groups", why);
            mistakes.extend(why.map(place));
        }
    }
}
