//! People from a table: who is new is added, who is here is changed, all of it or nothing.

use std::collections::{BTreeSet, HashMap};

use crate::{Change, Result, StoreError, access, batches, clock, groups, limits, users};
use chrono::{DateTime, Utc};
use domain::{
    access::Facts,
    batches::{Effect, Outcome, PEOPLE_MAX, Undo},
    groups::{Source, Standing},
    ids::{BatchId, GroupId, UserId},
    money::{Money, grouped},
    names::{Email, Name},
    roles::Act,
    users::Role,
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
    pub fn differences(&self) -> Vec<String> {
        self.effects.iter().map(|effect| format!("{}: {}", effect.email, effect.text)).collect()
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
}

async fn known(change: &mut Change) -> Result<HashMap<String, Known>> {
    let org = change.org();
    let rows = sqlx::query!(
        r#"select u.user_id, u.email, u.name, u.role, u.version, l.cap as "cap?"
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
                limit: row.cap.map(Money),
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

/// Makes of the people what the table says. Where it has problems nothing may be committed; looking
/// at what it would do is the same without the commit.
///
/// # Errors
/// When the permit is not to apply a file, or the database does not answer.
pub async fn run(change: &mut Change, rows: &[Row]) -> Result<Imported> {
    change.expect(Act::ApplyFile, None)?;
    let batch: BatchId = clock::id();
    change.in_batch(batch);
    let org = change.org();
    let facts = access::read(change.db(), org).await?;
    let people = known(change).await?;
    let here: Vec<Uuid> = rows.iter().filter_map(|row| Some(people.get(row.email.as_str())?.id.0)).collect();
    let mut memberships = belongs(change, &here).await?;
    let mut imported = Imported::default();
    let mut set = Vec::new();
    let mut changed = 0;
    let own = |known: Option<&Known>| known.and_then(|known| known.limit);
    for row in rows {
        let known = people.get(row.email.as_str());
        let now = known.and_then(|known| memberships.remove(&known.id)).unwrap_or_default();
        let so_far = imported.effects.len();
        let mut one =
            One { change: &mut *change, facts: &facts, row, imported: &mut imported, column: "email" };
        match one.run(known, now).await {
            Ok(id) => set.extend(row.limit.map(|limit| (row, id, known, limit))),
            Err(StoreError::Invalid { sentence, .. }) => {
                let column = one.column;
                imported.problems.push(Problem { line: row.line, column, sentence });
            }
            Err(error) => return Err(error),
        }
        let limit = row.limit.is_some_and(|limit| own(known) != limit);
        changed += usize::from(limit || imported.effects.len() > so_far);
        if changed > PEOPLE_MAX {
            let most = grouped(PEOPLE_MAX as u64);
            let sentence = format!(
                "Up to line {} the table changes more than {most} people; that many are changed at once. Cut it there, and import the rest after it.",
                row.line
            );
            return Err(StoreError::invalid("csv", sentence));
        }
    }
    set.retain(|(_, _, known, limit)| own(*known) != *limit);
    if !set.is_empty() {
        // Once more: a limit can be given to those only who are there.
        let facts = access::read(change.db(), org).await?;
        let words =
            |limit: Option<Money>| limit.map_or_else(|| "the default".to_owned(), |own| own.to_string());
        for (row, id, known, limit) in set {
            let before = own(known);
            limits::set_month_in(change, &facts, id, limit).await?;
            let name = row.name.as_ref().map(Name::as_str).or(known.map(|known| known.name.as_str()));
            let text = format!("monthly limit {} → {}", words(before), words(limit));
            // Who is new takes the limit along.
            let undo = known.map(|_| Undo::Limit { before, set: limit });
            imported.say(id, row, name.unwrap_or_default(), text, undo);
        }
    }
    if imported.problems.is_empty() && !imported.effects.is_empty() {
        batches::keep_import(change, batch, &imported.effects).await?;
        imported.batch = Some(batch);
    }
    Ok(imported)
}

/// One line at work.
struct One<'a> {
    change: &'a mut Change,
    facts: &'a Facts,
    row: &'a Row,
    imported: &'a mut Imported,
    /// Which column it has come to.
    column: &'static str,
}

impl One<'_> {
    async fn run(&mut self, known: Option<&Known>, now: Vec<Belongs>) -> Result<UserId> {
        let id = match known {
            Some(known) => self.edit(known).await?,
            None => self.add().await?,
        };
        self.groups(id, known, now).await?;
        Ok(id)
    }

    async fn edit(&mut self, known: &Known) -> Result<UserId> {
        let name = match &self.row.name {
            Some(name) => name.clone(),
            None => known.name.parse()?,
        };
        let role = self.row.role.unwrap_or(known.role);
        if name.as_str() == known.name && role == known.role {
            return Ok(known.id);
        }
        self.column = if role == known.role { "name" } else { "role" };
        let form = users::UserForm { email: self.row.email.clone(), name, role };
        users::update(self.change, known.id, known.version, &form).await?;
        let given = form.name.as_str();
        if given != known.name {
            let text = format!("name {} → {given}", known.name);
            let undo = Undo::Name { before: known.name.clone(), given: given.to_owned() };
            self.imported.say(known.id, self.row, given, text, Some(undo));
        }
        if role != known.role {
            let undo = Undo::Role { before: known.role, given: role };
            self.imported.say(known.id, self.row, given, format!("role {} → {role}", known.role), Some(undo));
        }
        Ok(known.id)
    }

    async fn add(&mut self) -> Result<UserId> {
        self.column = "name";
        let name = self.row.name.clone().ok_or_else(|| {
            StoreError::invalid("name", "Nobody here has this address yet: a new person needs a name.")
        })?;
        self.column = "role";
        let role = self.row.role.unwrap_or(Role::Member);
        let form = users::UserForm { email: self.row.email.clone(), name, role };
        let id = users::insert(self.change, &form).await?;
        let text = format!("is new: {}, {role}", form.name);
        self.imported.say(id, self.row, form.name.as_str(), text, Some(Undo::Added));
        Ok(id)
    }

    /// `now`: what they are in already, for those who were here.
    async fn groups(&mut self, id: UserId, known: Option<&Known>, now: Vec<Belongs>) -> Result<()> {
        self.column = "groups";
        let Some(wanted) = &self.row.groups else { return Ok(()) };
        // Who is new has joined the default groups.
        let now = match known {
            Some(_) => now,
            None => belongs(self.change, &[id.0]).await?.remove(&id).unwrap_or_default(),
        };
        let person = self.row.name.as_ref().map(Name::as_str).or(known.map(|known| known.name.as_str()));
        let person = person.unwrap_or_default().to_owned();
        let name = |group: &GroupId| {
            self.facts.groups.get(group).map_or_else(String::new, |group| group.name.clone())
        };
        // Who is new takes their groups along.
        let undo = |undo| known.map(|_| undo);
        for group in wanted.iter().filter(|group| !now.iter().any(|of| of.group == **group)) {
            groups::set_member(self.change, *group, id, Standing::Member, None).await?;
            let text = format!("joins {}", name(group));
            self.imported.say(id, self.row, &person, text, undo(Undo::Leave(*group)));
        }
        for Belongs { group, standing, source, ends_at } in now {
            if wanted.contains(&group) {
                continue;
            }
            if standing == Standing::Lead {
                let sentence = format!("They lead {}: a table does not take that away.", name(&group));
                return Err(StoreError::invalid("groups", sentence));
            }
            if !matches!(source, Source::Manual | Source::Default) {
                let sentence =
                    format!("The identity provider put them into {}: take them out there.", name(&group));
                return Err(StoreError::invalid("groups", sentence));
            }
            groups::remove_member(self.change, group, id).await?;
            let text = format!("leaves {}", name(&group));
            self.imported.say(id, self.row, &person, text, undo(Undo::Join { group, ends_at }));
        }
        Ok(())
    }
}
