//! Pinned tests, and the one place where they are held against a change.

pub mod watch;

use std::{cell::LazyCell, collections::BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    access::Facts,
    access_tests::{AccessTest, Expected, Failure, Subject as About, run},
    authorizations::Target,
    ids::{AccessTestId, GroupId, KeyId, OrgId, UserId},
    names::Name,
    roles::Act,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, access, authorizations, clock};

/// How many tests an organization may pin: each is run with every change.
pub const TESTS_MAX: usize = 200;

/// A test that a change would break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub name: String,
    /// What is expected, and what it would be.
    pub failure: Failure,
    /// From which day on, where it holds until then; none: at once.
    pub from: Option<NaiveDate>,
}

impl Broken {
    /// ` from 3 Dec 2026 on`, where it holds until then.
    pub fn when(&self) -> String {
        self.from.map(|day| format!(" from {} on", domain::time::date(day))).unwrap_or_default()
    }
}

/// The moments to come at which rules end, or prices begin: what these bring about was set by somebody. What a
/// group, a membership or a grant takes away with its end is told of when it comes ([`watch`]).
fn turns(facts: &Facts, at: DateTime<Utc>) -> BTreeSet<DateTime<Utc>> {
    let ends = facts.rules.values().flat_map(|rules| rules.values()).filter_map(|rule| rule.ends_at);
    let begins = facts.models.values().flat_map(|model| &model.prices).map(|prices| prices.from);
    ends.chain(begins).filter(|moment| *moment > at).collect()
}

/// As if what lasts at a moment never ended by itself: a group, a membership, a grant. Nobody can be held to what
/// these take away.
fn lasting(facts: &Facts, at: DateTime<Utc>) -> Facts {
    let mut facts = facts.clone();
    let lasts = |end: &Option<DateTime<Utc>>| end.is_some_and(|end| at < end);
    for group in facts.groups.values_mut().filter(|group| lasts(&group.ends_at)) {
        group.ends_at = None;
    }
    for membership in facts.users.values_mut().flat_map(|user| &mut user.memberships) {
        membership.ends_at = membership.ends_at.filter(|end| *end <= at);
    }
    for grant in facts.grants.values_mut().flatten().filter(|grant| at < grant.ends_at) {
        grant.ends_at = DateTime::<Utc>::MAX_UTC;
    }
    facts
}

/// The tests of a list that hold before a change and would not after it: at once, or on a day to come, whatever
/// it is that was changed: a rule, or a model's tier, or where a group stands.
pub fn broken(before: &Facts, after: &Facts, tests: &[AccessTest], at: DateTime<Utc>) -> Vec<Broken> {
    let mut turns_to_come = turns(before, at);
    turns_to_come.extend(turns(after, at));
    // Copies, and only where there is a day to look at.
    let later = LazyCell::new(|| (lasting(before, at), lasting(after, at)));
    let opens_the_same = before.opens_the_same(after);
    let has_the_same_callers = before.has_the_same_callers(after);
    let stays = |test: &AccessTest| match test.subject {
        About::Group(_) => opens_the_same,
        About::User(_) | About::Key(_) => opens_the_same && has_the_same_callers,
    };
    // A test that fails already, by a date that came, is not broken by this change.
    let holding = tests.iter().filter(|test| !stays(test) && run(before, test, at).is_ok());
    let first = |test: &AccessTest| {
        if let Err(failure) = run(after, test, at) {
            return Some((failure, None));
        }
        let then = |turn: &DateTime<Utc>| {
            let (before, after) = &*later;
            let failure = run(after, test, *turn).err()?;
            // Nor one that would fail by then without it.
            run(before, test, *turn).is_ok().then_some((failure, Some(after.calendar.day(*turn))))
        };
        turns_to_come.iter().find_map(then)
    };
    holding
        .filter_map(|test| {
            let (failure, from) = first(test)?;
            Some(Broken { name: test.name.to_string(), failure, from })
        })
        .collect()
}

/// A test with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The test.
    pub test: AccessTest,
    /// Who pinned it.
    pub by: Option<String>,
    /// When.
    pub at: DateTime<Utc>,
    /// Since when it fails, where no change broke it.
    pub fails_since: Option<DateTime<Utc>>,
}

/// A test, and how it stood when it was last looked at; none: nobody has looked since it is as it is.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub test: AccessTest,
    pub holds: Option<bool>,
}

/// Every test by name.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId) -> Result<Vec<Pinned>> {
    let mut db = store.pool().acquire().await?;
    let tests = tests(&mut db, org).await?;
    let rows = sqlx::query!(
        r#"select t.test_id, t.created_at, t.fails_since, u.name as "name?" from access_tests t
           left join users u on u.org_id = t.org_id and u.user_id = t.created_by where t.org_id = $1"#,
        org.0
    )
    .fetch_all(&mut *db)
    .await?;
    Ok(tests
        .into_iter()
        .filter_map(|test| {
            let row = rows.iter().find(|row| row.test_id == test.id.0)?;
            let (by, at, fails_since) = (row.name.clone(), row.created_at, row.fails_since);
            Some(Pinned { test, by, at, fails_since })
        })
        .collect())
}

/// Every test by name.
pub(crate) async fn tests(db: &mut PgConnection, org: OrgId) -> Result<Vec<AccessTest>> {
    Ok(read(db, org).await?.into_iter().map(|kept| kept.test).collect())
}

/// The same, each with how it stood.
async fn read(db: &mut PgConnection, org: OrgId) -> Result<Vec<Kept>> {
    let rows = sqlx::query!(
        "select test_id, name, group_id, user_id, key_id, model_id, tier_id, expected, holds from access_tests
         where org_id = $1 order by lower(name)",
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let subject = match (row.group_id, row.user_id, row.key_id) {
                (Some(group), ..) => About::Group(GroupId(group)),
                (_, Some(user), _) => About::User(UserId(user)),
                (_, _, key) => About::Key(KeyId(key.unwrap_or_default())),
            };
            let test = AccessTest {
                id: row.test_id.into(),
                name: row.name.parse()?,
                subject,
                target: authorizations::target(row.model_id, row.tier_id),
                expected: row.expected.parse()?,
            };
            Ok(Kept { test, holds: row.holds })
        })
        .collect()
}

/// Pins a test. It may fail today: then it holds nothing until it has passed.
///
/// # Errors
/// [`StoreError::Invalid`] when there are too many; [`StoreError::NotFound`] when what it is about
/// is not in the organization.
pub async fn insert(
    change: &mut Change,
    name: &Name,
    subject: About,
    target: Target,
    expected: Expected,
) -> Result<AccessTestId> {
    change.expect(Act::EditAccessTests, None)?;
    let (org, at) = (change.org(), change.at());
    if tests(change.db(), org).await?.len() >= TESTS_MAX {
        let sentence = format!("At most {TESTS_MAX} tests can be pinned: each is run with every change.");
        return Err(StoreError::invalid("name", sentence));
    }
    let (group, user, key) = match subject {
        About::Group(id) => (Some(id.0), None, None),
        About::User(id) => (None, Some(id.0), None),
        About::Key(id) => (None, None, Some(id.0)),
    };
    let (model, tier): (Option<Uuid>, Option<Uuid>) = match target {
        Target::Model(id) => (Some(id.0), None),
        Target::Tier(id) => (None, Some(id.0)),
        Target::All => return Err(StoreError::invalid("target", "Choose a model or a tier.")),
    };
    let id: AccessTestId = clock::id();
    let by = change.permit().actor().user.map(|id| id.0);
    // Of one that fails already nobody is told that it does.
    let test = AccessTest { id, name: name.clone(), subject, target, expected };
    let holds = run(&*change.facts().await?, &test, at).is_ok();
    sqlx::query!(
        "insert into access_tests (org_id, test_id, name, group_id, user_id, key_id, model_id, tier_id, expected, created_by, created_at, holds)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        org.0,
        id.0,
        name.as_str(),
        group,
        user,
        key,
        model,
        tier,
        expected.as_str(),
        by,
        at,
        holds,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().set("expected", expected);
    change.record(Subject { kind: "access_test", id: id.0, name: name.as_str() }, "create", &diff).await?;
    Ok(id)
}

/// Gives a test another name, or has it expect something else. Whom and what it is about stays: that is
/// another test. `seen`: its name and what it expected, as they were shown.
///
/// # Errors
/// [`StoreError::Stale`] when it is no longer as it was shown; [`StoreError::Conflict`] when another test has
/// the name.
pub async fn update(
    change: &mut Change,
    id: AccessTestId,
    seen: (&str, Expected),
    name: &Name,
    expected: Expected,
) -> Result<()> {
    change.expect(Act::EditAccessTests, None)?;
    let (org, at) = (change.org(), change.at());
    let tests = tests(change.db(), org).await?;
    let before = tests.into_iter().find(|test| test.id == id).ok_or(StoreError::NotFound)?;
    if (before.name.as_str(), before.expected) != seen {
        return Err(StoreError::Stale);
    }
    // What is expected from now on may fail at once: that is no news to whoever says it.
    let holds = run(&*change.facts().await?, &AccessTest { expected, ..before.clone() }, at).is_ok();
    sqlx::query!(
        "update access_tests set name = $3, expected = $4,
                holds = case when expected = $4 then holds else $5 end,
                fails_since = case when expected = $4 then fails_since end
         where org_id = $1 and test_id = $2",
        org.0,
        id.0,
        name.as_str(),
        expected.as_str(),
        holds,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().field("name", Some(&before.name), Some(name)).field(
        "expected",
        Some(before.expected),
        Some(expected),
    );
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "access_test", id: id.0, name: name.as_str() }, "edit", &diff).await
}

/// Why a test fails now, as it is pinned in this change; none: it holds.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn fails(change: &mut Change, id: AccessTestId) -> Result<Option<Failure>> {
    let (org, at) = (change.org(), change.at());
    let all = tests(change.db(), org).await?;
    let test = all.into_iter().find(|test| test.id == id).ok_or(StoreError::NotFound)?;
    Ok(run(&*change.facts().await?, &test, at).err())
}

/// Takes a test away: what it held may change again.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn remove(change: &mut Change, id: AccessTestId) -> Result<String> {
    change.expect(Act::EditAccessTests, None)?;
    let org = change.org();
    let row = sqlx::query!(
        "delete from access_tests where org_id = $1 and test_id = $2 returning name, expected",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let diff = Diff::new().field("expected", Some(row.expected), None::<String>);
    change.record(Subject { kind: "access_test", id: id.0, name: &row.name }, "remove", &diff).await?;
    Ok(row.name)
}

/// Refuses a change that breaks a test: one that held before it, and would not afterwards, at once or on a day
/// to come. Run with every change before it is committed, in its own transaction, while the organization is held:
/// what another change does meanwhile cannot slip in between.
pub(crate) async fn hold(db: &mut PgConnection, store: &Store, org: OrgId, at: DateTime<Utc>) -> Result<()> {
    let tests = tests(db, org).await?;
    if tests.is_empty() {
        return Ok(());
    }
    let after = access::read(db, org).await?;
    if turns(&after, at).is_empty() && tests.iter().all(|test| run(&after, test, at).is_ok()) {
        return Ok(());
    }
    // What is committed is what was before.
    let before = access::current(store, org).await?;
    match broken(&before, &after, &tests, at).into_iter().next() {
        None => Ok(()),
        Some(broken) => Err(StoreError::Pinned(Box::new(broken))),
    }
}
