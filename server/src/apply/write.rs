//! Makes it so, through the same functions of the store that the console uses, inside one change.
//!
//! Only what the plan names is touched. Names become ids here; what is made is known to the steps
//! after it.

mod access;
mod catalogue;
pub mod people;

use domain::{
    ids::{GroupId, ModelId},
    limits::{Meter, Scope},
};
use store::{Change, StoreError, accounts::Account, limits::LimitForm};

use super::{
    credentials::Credentials,
    difference::{Action, Line, Plan},
    document::{Document, Limit, Lines},
    mistakes::{Mistake, Mistakes},
    present::Present,
    print::{Invitation, Secret},
    things::{self, Key, Kind},
};

/// Why a file could not be applied.
#[derive(Debug)]
pub enum Failure {
    /// The file is at fault.
    Mistakes(Mistakes),
    /// The store is.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Vec<Mistake>> for Failure {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self::Mistakes(Mistakes(mistakes))
    }
}

/// A step's result.
type Step<T = ()> = Result<T, Failure>;

/// What a rule of the store that the file breaks says about the file.
fn blame(lines: &Lines, error: StoreError) -> Failure {
    match error {
        StoreError::Conflict(conflict) => vec![lines.mistake(conflict.field, conflict.sentence)].into(),
        StoreError::Invalid { field, sentence } => vec![lines.mistake(field, sentence)].into(),
        other => Failure::Store(other),
    }
}

/// A file on its way into the store.
pub struct Writer<'a> {
    /// The one change everything happens in.
    pub change: &'a mut Change,
    /// What is wanted.
    pub file: &'a Document,
    /// What differs.
    pub plan: &'a Plan,
    /// What the file's variables hold.
    pub credentials: &'a Credentials,
    /// What there is. Its ids grow.
    pub present: &'a mut Present,
    /// Who set the installation up, when the organization is new and names no owner.
    pub operator: Option<Account>,
    /// Secrets made.
    pub secrets: Vec<Secret>,
    /// Invitations made.
    pub invitations: Vec<Invitation>,
}

impl<'a> Writer<'a> {
    /// Everything the plan says, in an order in which each step finds what it needs.
    pub async fn write(&mut self) -> Step {
        self.remove_limits().await?;
        self.tiers().await?;
        self.providers().await?;
        self.models().await?;
        self.groups().await?;
        self.organization().await?;
        self.users().await?;
        self.memberships().await?;
        self.suspensions().await?;
        self.authorizations().await?;
        self.policies().await?;
        self.group_policies().await?;
        self.applications().await?;
        self.limits().await?;
        self.service_secrets().await?;
        self.invite().await
    }

    async fn remove_limits(&mut self) -> Step {
        let gone = |line: &&Line| line.action == Action::Remove && line.key.0 == Kind::Limit;
        let gone = self.plan.lines.iter().filter(gone);
        let ids: Vec<_> = gone.filter_map(|line| self.present.ids.limits.get(&line.key).copied()).collect();
        Ok(store::limits::remove_all(self.change, &ids).await?)
    }

    async fn limits(&mut self) -> Step {
        let differ = |(_, owner, limit): &(Scope, Key, &Limit)| {
            self.plan.action(&things::limit_key(owner, limit)).is_some()
        };
        let wanted: Vec<_> = self.limits_of_file()?.into_iter().filter(differ).collect();
        let list: Vec<_> = wanted
            .iter()
            .map(|(scope, _, limit)| {
                let meter = Meter { scope: *scope, metric: limit.metric, window: limit.window };
                let (cap, mode, thresholds) = (limit.cap, limit.mode, limit.thresholds.clone());
                (meter, LimitForm { cap, mode, thresholds })
            })
            .collect();
        let set = store::limits::set_all(self.change, &list).await;
        set.map_err(|(place, error)| blame(&wanted[place].2.lines, error))
    }

    /// Every limit of the file with what it is on.
    fn limits_of_file(&self) -> Step<Vec<(Scope, Key, &'a Limit)>> {
        let (file, ids) = (self.file, &self.present.ids);
        let mut list = Vec::new();
        let mut on = |scope: Scope, owner: Key, limits: &'a [Limit]| {
            list.extend(limits.iter().map(|limit| (scope, owner.clone(), limit)));
        };
        if let Some(settings) = file.organization.as_ref().and_then(|it| it.settings.as_ref()) {
            on(Scope::Organization, things::organization_key(), &settings.limits);
        }
        for group in &file.groups {
            let path = group.path_text();
            on(Scope::Group(self.group(&path)?), things::group_key(&path), &group.limits);
        }
        for user in &file.users {
            let email = user.email.as_str();
            let id = ids.users.get(email).ok_or(StoreError::NotFound)?.0;
            on(Scope::User(id), things::user_key(email), &user.limits);
            for membership in &user.groups {
                let scope = Scope::Member(self.group(&membership.path)?, id);
                on(scope, things::membership_key(email, &membership.path), &membership.limits);
            }
        }
        for rule in &file.authorizations {
            let key = things::authorization_key(rule.group.as_deref(), &rule.target, rule.mode);
            let id = *ids.authorizations.get(&key).ok_or(StoreError::NotFound)?;
            on(Scope::Authorization(id), key, &rule.limits);
        }
        for application in &file.applications {
            let key = things::application_key(&application.group, application.name.as_str());
            let ((id, _), _) = *ids.applications.get(&key).ok_or(StoreError::NotFound)?;
            on(Scope::Application(id), key, &application.key.limits);
        }
        Ok(list)
    }

    /// The id behind a path that was checked before.
    fn group(&self, path: &str) -> Step<GroupId> {
        let known = self.present.ids.groups.get(&path.to_lowercase());
        Ok(known.ok_or(StoreError::NotFound)?.0)
    }

    /// The id behind a model's name that was checked before.
    fn model(&self, name: &str) -> Step<ModelId> {
        Ok(self.present.ids.models.get(name).ok_or(StoreError::NotFound)?.0)
    }
}
