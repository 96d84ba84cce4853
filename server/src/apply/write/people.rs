//! The organization, groups, people, who is in what.

use std::collections::HashSet;

use domain::{groups::GroupForm, organizations::MembersMay, users::Role};
use store::{StoreError, organizations::Settings, users::UserForm};

use super::{Step, Writer, blame};
use crate::apply::{
    difference::Action,
    document::{Document, Organization, User},
    print::Invitation,
    things,
};

/// The settings of an organization in the store's terms. One that the file only names begins with
/// the defaults.
pub fn settings(organization: &Organization) -> Settings {
    let plain = Settings::named(organization.name.clone(), "UTC");
    match &organization.settings {
        None => plain,
        Some(settings) => Settings {
            time_zone: settings.time_zone.clone(),
            week_start: settings.week_start,
            default_user_limit: settings.default_user_limit,
            budget_status: settings.budget_status,
            contact: settings.contact.clone(),
            ..plain
        },
    }
}

/// What is set apart from the other settings.
const APART: [&str; 3] = ["default_groups", "member_applications", "member_requests"];

impl Writer<'_> {
    pub(super) async fn organization(&mut self) -> Step {
        let key = things::organization_key();
        let Some(organization) = &self.file.organization else { return Ok(()) };
        let Some(line) = self.plan.of(&key) else { return Ok(()) };
        let apart = |field: &str| APART.contains(&field);
        // One that this file made a moment ago is at its first version.
        let mut version = if line.action == Action::Add { 1 } else { self.present.version };
        if line.action == Action::Change && line.touches(|field| !apart(field)) {
            let wanted = match &organization.settings {
                Some(_) => settings(organization),
                // Only its name is written, in another case.
                None => self.renamed(organization)?,
            };
            store::organizations::update(self.change, version, &wanted)
                .await
                .map_err(|error| blame(&organization.lines, error))?;
            version += 1;
        }
        if let Some(settings) = &organization.settings
            && line.touches(|field| field.starts_with("member_"))
            && (line.action == Action::Change || settings.members != MembersMay::default())
        {
            store::organizations::set_members_may(self.change, version, settings.members)
                .await
                .map_err(|error| blame(&organization.lines, error))?;
        }
        if line.touches(|field| field == "default_groups") {
            self.default_groups(organization).await?;
        }
        Ok(())
    }

    fn renamed(&self, organization: &Organization) -> Step<Settings> {
        let stored = self.present.document.organization.as_ref().ok_or(StoreError::NotFound)?;
        Ok(Settings { name: organization.name.clone(), ..settings(stored) })
    }

    async fn default_groups(&mut self, organization: &Organization) -> Step {
        let names = |organization: Option<&Organization>| -> HashSet<String> {
            let settings = organization.and_then(|it| it.settings.as_ref());
            let groups = settings.map(|settings| settings.default_groups.as_slice()).unwrap_or_default();
            groups.iter().map(|group| group.name.to_lowercase()).collect()
        };
        let (before, after) = (names(self.present.document.organization.as_ref()), names(Some(organization)));
        let mut differing: Vec<&String> = before.symmetric_difference(&after).collect();
        differing.sort();
        for path in differing {
            let group = self.group(path)?;
            store::groups::set_default(self.change, group, after.contains(path)).await?;
        }
        Ok(())
    }

    pub(super) async fn groups(&mut self) -> Step {
        let mut groups: Vec<_> = self.file.groups.iter().collect();
        groups.sort_by_key(|group| group.path.len());
        for group in groups {
            let (path, Some(name)) = (group.path_text(), group.path.last()) else { continue };
            let Some(action) = self.plan.action(&things::group_key(&path)) else { continue };
            let form = GroupForm { name: name.clone(), kind: group.kind, ends_on: group.ends_on };
            let blame = |error| blame(&group.lines, error);
            match (action, self.present.ids.groups.get(&path.to_lowercase())) {
                (Action::Change, Some(&(id, version))) => {
                    store::groups::update(self.change, id, version, &form).await.map_err(blame)?;
                }
                _ => {
                    let parent = group.parent_text().map(|parent| self.group(&parent)).transpose()?;
                    let id = store::groups::insert(self.change, parent, &form).await.map_err(blame)?;
                    self.present.ids.groups.insert(path.to_lowercase(), (id, 1));
                }
            }
        }
        Ok(())
    }

    /// Which policies stand for the groups' calls that name no model: once there are policies.
    pub(super) async fn group_policies(&mut self) -> Step {
        for group in &self.file.groups {
            let path = group.path_text();
            let Some(line) = self.plan.of(&things::group_key(&path)) else { continue };
            let added = line.action == Action::Add && group.policy.is_none();
            if added || !line.touches(|field| field == "policy") {
                continue;
            }
            let policy = match &group.policy {
                Some(name) => Some(self.present.ids.policies.get(name).ok_or(StoreError::NotFound)?.0),
                None => None,
            };
            let id = self.group(&path)?;
            let version = store::groups::version(self.change, id).await?;
            store::groups::set_policy(self.change, id, version, policy)
                .await
                .map_err(|error| blame(&group.lines, error))?;
        }
        Ok(())
    }

    pub(super) async fn users(&mut self) -> Step {
        let mut users: Vec<&User> = self.file.users.iter().collect();
        // Somebody always owns the organization: new owners come before old ones go.
        users.sort_by_key(|user| user.role != Role::Owner);
        for user in users {
            let email = user.email.as_str();
            let Some(line) = self.plan.of(&things::user_key(email)) else { continue };
            let form = UserForm { email: user.email.clone(), name: user.name.clone(), role: user.role };
            let blame = |error| blame(&user.lines, error);
            let id = match self.present.ids.users.get(email).copied() {
                None => {
                    let id = store::users::insert(self.change, &form).await.map_err(blame)?;
                    self.present.ids.users.insert(email.to_owned(), (id, 1));
                    id
                }
                Some((id, version)) => {
                    if line.touches(|field| field != "suspended") {
                        store::users::update(self.change, id, version, &form).await.map_err(blame)?;
                    }
                    id
                }
            };
            if line.touches(|field| field == "suspended") && !user.suspended {
                store::users::set_suspended(self.change, id, false).await.map_err(blame)?;
            }
        }
        if let Some(operator) = self.operator.take_if(|_| !names_owner(self.file)) {
            store::users::let_in(self.change, &operator).await?;
            self.operator = Some(operator);
        }
        Ok(())
    }

    /// Once it is known who leads what: a suspension hands over what somebody answers for.
    pub(super) async fn suspensions(&mut self) -> Step {
        for user in self.file.users.iter().filter(|user| user.suspended) {
            let email = user.email.as_str();
            let line = self.plan.of(&things::user_key(email));
            if !line.is_some_and(|line| line.touches(|field| field == "suspended")) {
                continue;
            }
            let id = self.present.ids.users.get(email).ok_or(StoreError::NotFound)?.0;
            store::users::set_suspended(self.change, id, true)
                .await
                .map_err(|error| blame(&user.lines, error))?;
        }
        Ok(())
    }

    pub(super) async fn memberships(&mut self) -> Step {
        for user in &self.file.users {
            let email = user.email.as_str();
            for membership in &user.groups {
                if self.plan.action(&things::membership_key(email, &membership.path)).is_none() {
                    continue;
                }
                let group = self.group(&membership.path)?;
                let id = self.present.ids.users.get(email).ok_or(StoreError::NotFound)?.0;
                let (standing, ends_at) = (membership.standing, membership.ends_at);
                store::groups::set_member(self.change, group, id, standing, ends_at)
                    .await
                    .map_err(|error| blame(&membership.lines, error))?;
            }
        }
        let mut ended = Vec::new();
        for user in &self.present.document.users {
            let email = user.email.as_str();
            for membership in &user.groups {
                let key = things::membership_key(email, &membership.path);
                if self.plan.action(&key) == Some(Action::Remove) {
                    let id = self.present.ids.users.get(email).ok_or(StoreError::NotFound)?.0;
                    ended.push((self.group(&membership.path)?, id));
                }
            }
        }
        for (group, user) in ended {
            store::groups::remove_member(self.change, group, user).await?;
        }
        Ok(())
    }

    /// New people get an invitation, as they do from the console. The person who runs this
    /// installation has a sign-in already.
    pub(super) async fn invite(&mut self) -> Step {
        for user in self.file.users.iter().filter(|user| !user.suspended) {
            let email = user.email.as_str();
            let added = self.plan.action(&things::user_key(email)) == Some(Action::Add);
            let inside = self.operator.as_ref().is_some_and(|operator| operator.email == email);
            if !added || inside {
                continue;
            }
            let id = self.present.ids.users.get(email).ok_or(StoreError::NotFound)?.0;
            let token = store::users::invite(self.change, id).await?;
            let path = format!("/join/{}/{id}/{token}", self.change.org());
            self.invitations.push(Invitation { email: email.to_owned(), path });
        }
        Ok(())
    }
}

/// Whether a file says who owns the organization.
pub fn names_owner(file: &Document) -> bool {
    file.users.iter().any(|user| user.role == Role::Owner && !user.suspended)
}
