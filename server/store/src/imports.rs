//! People from a table: who is new is added, who is here is changed, all of it or nothing.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    Change, Result, StoreError, batches, clock,
    groups::{self, Joining, Leaving},
    limits, requests, users,
};
use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    batches::{Effect, Kept, Outcome, Undo},
    groups::{Source, Standing},
    ids::{BatchId, GroupId, UserId},
    money::Money,
    names::{Email, Name},
    roles::Act,
    users::Role,
    why,
};
use uuid::Uuid;

/// A line of the table. What it has no column for stays as it is.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number, for what has to be said about it.
    pub line: usize,
    /// Who: the address tells people apart.
    pub email: Email,
    /// Their name.
    pub name: Option<Name>,
    /// Their role.
    pub role: Option<Role>,
    /// Every group they are a direct member of.
    pub groups: Option<BTreeSet<GroupId>>,
    /// Whether they are suspended. It has to be so: a table suspends nobody and lets nobody in.
    pub suspended: Option<bool>,
    /// Their own monthly limit; within, none: the organization's default.
    pub limit: Option<Option<Money>>,
}

/// What is wrong with a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which line.
    pub line: usize,
    /// Which column.
    pub column: &'static str,
    /// What is wrong.
    pub sentence: String,
}

/// What a table comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// What changes, each with its way back. Somebody can stand in several.
    pub effects: Vec<Effect>,
    /// What is in the way of it.
    pub problems: Vec<Problem>,
    /// The change that all of it is, if it is committed: what undoes it.
    pub batch: Option<BatchId>,
}

impl Imported {
    /// What changes, a line for each: `ada@acme.example: joins Research`.
    pub fn differences(&self) -> impl Iterator<Item = String> {
        self.effects.iter().map(|effect| format!("{}: {}", effect.email, effect.text))
    }

    fn say(&mut self, user: UserId, row: &Row, name: &str, text: String, undo: Option<Undo>) {
        let (name, email) = (name.to_owned(), row.email.as_str().to_owned());
        self.effects.push(Effect { user, name, email, outcome: Outcome::Changed, text, undo });
    }
}

/// Somebody who is here.
struct Known {
    id: UserId,
    name: String,
    role: Role,
    version: i64,
    limit: Option<Money>,
    /// What the limit is without the raise that holds now, where one does.
    lasting: Option<Option<Money>>,
    kept: Option<Kept>,
    suspended: bool,
}

async fn known(change: &mut Change) -> Result<HashMap<String, Known>> {
    let org = change.org();
    let lasting = requests::lasting_months(change).await?;
    let rows = sqlx::query!(
        r#"select u.user_id, u.email, u.name, u.role, u.version, u.suspended_at is not null as "suspended!",
                  l.cap as "cap?", l.mode as "mode?", l.thresholds as "thresholds?"
           from users u
           left join limits l
             on l.org_id = u.org_id and l.scope_kind = 'user' and l.thing_id = u.user_id
            and l.person_id = '00000000-0000-0000-0000-000000000000' and l.metric = 'spend' and l.window_kind = 'month'
           where u.org_id = $1 and u.removed_at is null"#,
        org.0
    )
    .fetch_all(change.db())
    .await?;
    rows.into_iter()
        .map(|row| {
            let known = Known {
                id: row.user_id.into(),
                name: row.name,
                role: row.role.parse()?,
                version: row.version,
                suspended: row.suspended,
                limit: row.cap.map(Money),
                lasting: lasting.get(&UserId(row.user_id)).copied(),
                kept: batches::kept(row.mode.as_deref(), row.thresholds)?,
            };
            Ok((row.email, known))
        })
        .collect()
}

/// A group somebody is a direct member of.
struct Belongs {
    group: GroupId,
    standing: Standing,
    source: Source,
    ends_at: Option<DateTime<Utc>>,
}

/// The groups these people are direct members of.
async fn belongs(change: &mut Change, users: &[Uuid]) -> Result<HashMap<UserId, Vec<Belongs>>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        "select m.user_id, m.group_id, m.standing, m.source, m.ends_at from memberships m
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         where m.org_id = $1 and m.user_id = any ($2) and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
           and g.archived_at is null
         order by lower(g.name)",
        org.0,
        users,
        at
    )
    .fetch_all(change.db())
    .await?;
    let mut of = HashMap::<UserId, Vec<Belongs>>::new();
    for row in rows {
        of.entry(row.user_id.into()).or_default().push(Belongs {
            group: row.group_id.into(),
            standing: row.standing.parse()?,
            source: row.source.parse()?,
            ends_at: row.ends_at,
        });
    }
    Ok(of)
}

/// Whose last day in a group has come, and nobody has ended it: they cannot simply join it.
async fn lapsed(change: &mut Change, users: &[Uuid]) -> Result<HashSet<(UserId, GroupId)>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        "select user_id, group_id from memberships
         where org_id = $1 and user_id = any ($2) and ended_at is null and ends_at <= $3",
        org.0,
        users,
        at
    )
    .fetch_all(change.db())
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id.into(), row.group_id.into())).collect())
}

/// Makes of the people what the table says. Where it has problems nothing may be committed; looking
/// at what it would do is the same without the commit.
///
/// # Errors
/// When the permit is not to apply a file, or the database does not answer.
pub async fn run(change: &mut Change, rows: &[Row]) -> Result<Imported> {
    change.expect(Act::ApplyFile, None)?;
    let batch: BatchId = clock::id();
    change.in_batch(batch);
    let facts = change.facts().await?;
    let people = known(change).await?;
    let here: Vec<Uuid> = rows.iter().filter_map(|row| Some(people.get(row.email.as_str())?.id.0)).collect();
    let memberships = belongs(change, &here).await?;
    let lapsed = lapsed(change, &here).await?;
    let defaults = groups::default_ids(change).await?;
    let none = Vec::new();
    let mut imported = Imported::default();
    let mut plan = Plan::default();
    for row in rows {
        let known = people.get(row.email.as_str());
        let now = known.and_then(|known| memberships.get(&known.id)).unwrap_or(&none);
        let so_far = imported.effects.len();
        let mut one = One {
            change: &mut *change,
            facts: &facts,
            defaults: &defaults,
            lapsed: &lapsed,
            row,
            imported: &mut imported,
            plan: &mut plan,
            column: "email",
        };
        let tried = match known {
            Some(known) => one.edit(known, now).await,
            None => one.add(),
        };
        match tried {
            Ok(()) => {}
            Err(StoreError::Invalid { sentence, .. }) => {
                let column = one.column;
                imported.effects.truncate(so_far);
                imported.problems.push(Problem { line: row.line, column, sentence });
            }
            Err(error) => return Err(error),
        }
    }
    if imported.problems.is_empty() && !imported.effects.is_empty() {
        plan.carry_out(change, &mut imported).await?;
        batches::keep_import(change, batch, &imported.effects).await?;
        imported.batch = Some(batch);
    }
    Ok(imported)
}

/// Somebody new: what they are given, and which effects tell of it.
struct New {
    form: users::UserForm,
    groups: Option<Vec<GroupId>>,
    limit: Option<Money>,
    effects: std::ops::Range<usize>,
}

/// What is done, to all of them at once.
#[derive(Default)]
struct Plan<'a> {
    new: Vec<New>,
    edits: Vec<users::Edit<'a>>,
    joining: Vec<Joining<'a>>,
    leaving: Vec<Leaving<'a>>,
    limits: Vec<limits::Month<'a>>,
    /// Those who cannot simply join: one by one.
    lapsed: Vec<(GroupId, UserId)>,
}

impl Plan<'_> {
    /// Does it. Who is new gets an id now.
    async fn carry_out(self, change: &mut Change, imported: &mut Imported) -> Result<()> {
        let forms: Vec<(&users::UserForm, Option<Vec<GroupId>>)> =
            self.new.iter().map(|new| (&new.form, new.groups.clone())).collect();
        let ids = users::insert_all(change, &forms).await?;
        let mut capped = self.limits;
        for (new, id) in self.new.iter().zip(ids) {
            for effect in &mut imported.effects[new.effects.clone()] {
                effect.user = id;
            }
            if let Some(cap) = new.limit {
                capped.push(limits::Month {
                    user: id,
                    name: new.form.name.as_str(),
                    cap: Some(cap),
                    kept: None,
                });
            }
        }
        users::edit_all(change, &self.edits).await?;
        groups::join_all(change, &self.joining).await?;
        for (group, user) in self.lapsed {
            groups::set_member(change, group, user, Standing::Member, None).await?;
        }
        groups::end_all(change, &self.leaving).await?;
        limits::set_months(change, &capped).await
    }
}

/// One line at work.
struct One<'a, 'p> {
    change: &'p mut Change,
    facts: &'a Facts,
    /// The groups that everybody new joins.
    defaults: &'p [GroupId],
    lapsed: &'p HashSet<(UserId, GroupId)>,
    row: &'a Row,
    imported: &'p mut Imported,
    plan: &'p mut Plan<'a>,
    /// Which column it has come to.
    column: &'static str,
}

impl<'a> One<'a, '_> {
    fn called(&self, group: GroupId) -> &'a str {
        self.facts.groups.get(&group).map_or("", |group| &group.name)
    }

    /// What has ended takes nobody in; who is in it already may stand in the table.
    fn takes_in(&self, group: GroupId) -> Result<()> {
        let Some(over) = why::over(self.facts, group, self.change.at()) else { return Ok(()) };
        let sentence = format!(
            "{over}, and takes nobody in. Leave it out of this cell, or give it a later last day first."
        );
        Err(StoreError::invalid("groups", sentence))
    }

    /// Somebody who is here. `now`: what they are in.
    async fn edit(&mut self, known: &'a Known, now: &'a [Belongs]) -> Result<()> {
        self.column = "status";
        if let Some(suspended) = self.row.suspended.filter(|suspended| *suspended != known.suspended) {
            let sentence = if suspended {
                "A table suspends nobody. Suspend them where people are listed, or leave this cell empty."
            } else {
                "They are suspended, and a table lets nobody in again. Do it where people are listed, or leave this cell empty."
            };
            return Err(StoreError::invalid("status", sentence));
        }
        let name = self.row.name.as_ref().map_or(known.name.as_str(), Name::as_str);
        let role = self.row.role.unwrap_or(known.role);
        if name != known.name || role != known.role {
            self.column = if role == known.role { "name" } else { "role" };
            users::may_change(self.change, known.id, known.role, "edits")?;
            if role != known.role {
                users::may_give(self.change, role)?;
                users::may_give(self.change, known.role)?;
            }
            if role != known.role && known.role == Role::Owner {
                // One of them may be the last one.
                let form = users::UserForm { email: self.row.email.clone(), name: name.parse()?, role };
                users::update(self.change, known.id, known.version, &form).await?;
            } else {
                self.plan.edits.push(users::Edit {
                    user: known.id,
                    version: known.version,
                    name: (&known.name, name),
                    role: (known.role, role),
                });
            }
        }
        if name != known.name {
            let text = format!("name {} → {name}", known.name);
            let undo = Undo::Name { before: known.name.clone(), given: name.to_owned() };
            self.imported.say(known.id, self.row, name, text, Some(undo));
        }
        if role != known.role {
            let undo = Undo::Role { before: known.role, given: role };
            self.imported.say(known.id, self.row, name, format!("role {} → {role}", known.role), Some(undo));
        }
        self.groups(known, name, now)?;
        if let Some(cap) = self.row.limit.filter(|cap| *cap != known.limit) {
            self.column = "monthly_limit";
            let text = format!("monthly limit {} → {}", words(known.limit), words(cap));
            let (before, raised) =
                known.lasting.map_or((known.limit, None), |lasting| (lasting, known.limit));
            let undo = Undo::Limit { before, set: cap, kept: known.kept.clone(), raised };
            let text = match raised {
                Some(_) => format!("{text}, which ends a raise from {}", words(before)),
                None => text,
            };
            self.imported.say(known.id, self.row, name, text, Some(undo));
            self.plan.limits.push(limits::Month { user: known.id, name, cap, kept: None });
        }
        Ok(())
    }

    fn groups(&mut self, known: &'a Known, name: &'a str, now: &'a [Belongs]) -> Result<()> {
        self.column = "groups";
        let Some(wanted) = &self.row.groups else { return Ok(()) };
        for group in wanted.iter().filter(|group| !now.iter().any(|of| of.group == **group)) {
            self.takes_in(*group)?;
            let group_name = self.called(*group);
            if self.lapsed.contains(&(known.id, *group)) {
                self.plan.lapsed.push((*group, known.id));
            } else {
                self.plan.joining.push(Joining {
                    user: known.id,
                    name,
                    group: *group,
                    group_name,
                    source: Source::Manual,
                    ends_at: None,
                });
            }
            let text = format!("joins {group_name}");
            self.imported.say(known.id, self.row, name, text, Some(Undo::Leave(*group)));
        }
        for Belongs { group, standing, source, ends_at } in now {
            if wanted.contains(group) {
                continue;
            }
            let group_name = self.called(*group);
            if *standing == Standing::Lead {
                let sentence = format!("They lead {group_name}: a table does not take that away.");
                return Err(StoreError::invalid("groups", sentence));
            }
            if !matches!(source, Source::Manual | Source::Default) {
                let sentence =
                    format!("The identity provider put them into {group_name}: take them out there.");
                return Err(StoreError::invalid("groups", sentence));
            }
            self.plan.leaving.push(Leaving { user: known.id, name, group: *group, group_name });
            let text = format!("leaves {group_name}");
            let undo = Undo::Join { group: *group, ends_at: *ends_at, source: *source };
            self.imported.say(known.id, self.row, name, text, Some(undo));
        }
        Ok(())
    }

    /// Somebody new, who takes their groups and their limit along when they go again.
    fn add(&mut self) -> Result<()> {
        self.column = "status";
        if self.row.suspended == Some(true) {
            let sentence = "Nobody here has this address yet: a table adds nobody who is suspended.";
            return Err(StoreError::invalid("status", sentence));
        }
        self.column = "name";
        let name = self.row.name.clone().ok_or_else(|| {
            StoreError::invalid("name", "Nobody here has this address yet: a new person needs a name.")
        })?;
        self.column = "role";
        let role = self.row.role.unwrap_or(Role::Member);
        users::may_give(self.change, role)?;
        self.column = "groups";
        for group in self.row.groups.iter().flatten() {
            self.takes_in(*group)?;
        }
        let (nobody, from) = (UserId(Uuid::nil()), self.imported.effects.len());
        let mut say = |text: String, undo| self.imported.say(nobody, self.row, name.as_str(), text, undo);
        say(format!("is new: {name}, {role}"), Some(Undo::Added));
        let wanted = self.row.groups.iter().flatten();
        for group in wanted.filter(|group| !self.defaults.contains(group)) {
            let called = self.facts.groups.get(group).map_or("", |group| &group.name);
            say(format!("joins {called}"), None);
        }
        if let Some(wanted) = &self.row.groups {
            for group in self.defaults.iter().filter(|group| !wanted.contains(group)) {
                let called = self.facts.groups.get(group).map_or("", |group| &group.name);
                say(format!("does not join {called}, as everybody new does"), None);
            }
        }
        let limit = self.row.limit.flatten();
        if let Some(cap) = limit {
            say(format!("monthly limit {} → {}", words(None), words(Some(cap))), None);
        }
        self.plan.new.push(New {
            form: users::UserForm { email: self.row.email.clone(), name, role },
            groups: self.row.groups.as_ref().map(|groups| groups.iter().copied().collect()),
            limit,
            effects: from..self.imported.effects.len(),
        });
        Ok(())
    }
}

fn words(limit: Option<Money>) -> String {
    limit.map_or_else(|| "the default".to_owned(), Money::in_full)
}
