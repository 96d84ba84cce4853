//! A crowd: many people, groups, programs and limits, each written in one statement, and a year of
//! their calls, made where they are kept. For the demo, so that pages are seen and measured as a
//! large organization has them.
//!
//! What is written here obeys the same permit and stands in the same log as what is written one by
//! one; calls are booked with every sum they count in.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc, Weekday};
use domain::{
    authorizations::State,
    groups::{GroupKind, Source, Standing},
    ids::{
        AccountId, ApplicationId, AuthorizationId, GroupId, KeyId, ModelId, OrgId, ProviderId, SecretId,
        TierId, UserId,
    },
    limits::{Meter, Mode},
    money::Price,
    roles::Act,
    users::Role,
    window::{Calendar, Window},
};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, Subject, clock,
    ledger::{make_partitions, name_of},
    rolls, sums, windows,
};

/// A group to be made. Parents come before children.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// From the root down to its parent.
    pub ancestors: Vec<GroupId>,
    /// Its name, which no sibling has.
    pub name: String,
    /// What it stands for.
    pub kind: GroupKind,
}

/// Somebody to be let in.
#[derive(Clone, Debug)]
pub struct Person {
    /// Who.
    pub id: UserId,
    /// What they sign in with; none: they have not accepted their invitation yet.
    pub account: Option<AccountId>,
    /// Their address, in lower case.
    pub email: String,
    /// Their name.
    pub name: String,
    /// What they may do in the console.
    pub role: Role,
    /// Whether they are kept out.
    pub suspended: bool,
    /// Since when they are there.
    pub since: DateTime<Utc>,
}

/// Somebody in a group.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Who.
    pub user: UserId,
    /// Where.
    pub group: GroupId,
    /// As what.
    pub standing: Standing,
    /// Who put them there.
    pub source: Source,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when.
    pub ends_at: Option<DateTime<Utc>>,
}

/// A program with its key, which every model of its group is open to.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its key.
    pub key: KeyId,
    /// Where it lives.
    pub group: GroupId,
    /// Its name, which no other application of the group has.
    pub name: String,
    /// Who answers for it.
    pub owner: UserId,
    /// Whether the people of its group have secrets of their own.
    pub assigned: bool,
}

/// A secret that nobody knows: it is counted by, and opens nothing.
#[derive(Clone, Debug)]
pub struct Secret {
    /// Its id.
    pub id: SecretId,
    /// Of which key.
    pub key: KeyId,
    /// Whose; none: the program's.
    pub user: Option<UserId>,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// Somebody or something that calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// By which secret.
    pub secret: SecretId,
    /// Of which key.
    pub key: KeyId,
    /// Of which application.
    pub application: ApplicationId,
    /// From the root to the application's group.
    pub path: Vec<GroupId>,
    /// The person, if it is one.
    pub user: Option<UserId>,
    /// Every group the person belongs to, with everything above; sorted.
    pub member_of: Vec<GroupId>,
}

/// A model that is called.
#[derive(Clone, Debug)]
pub struct Model {
    /// Which.
    pub id: ModelId,
    /// Where it is.
    pub provider: ProviderId,
    /// The rule that opens it to everybody.
    pub rule: Option<AuthorizationId>,
    /// `/v1/messages`.
    pub route: &'static str,
    /// What input costs, what of it comes from a cache, and output.
    pub prices: [Price; 3],
    /// Since when.
    pub priced_at: DateTime<Utc>,
}

/// How many calls, when, and what they are made of.
#[derive(Clone, Copy, Debug)]
pub struct Year {
    /// How many in all.
    pub calls: u64,
    /// The first day.
    pub from: NaiveDate,
    /// No call is closer to the present.
    pub until: DateTime<Utc>,
    /// Another number makes other calls.
    pub seed: i64,
}

/// One value of each row.
fn column<'a, T, V>(rows: &'a [T], of: impl Fn(&'a T) -> V) -> Vec<V> {
    rows.iter().map(of).collect()
}

/// A list of ids as Postgres writes it: lists of lists cannot travel as a column.
fn list(groups: &[GroupId]) -> String {
    let ids: Vec<String> = groups.iter().map(|id| id.0.to_string()).collect();
    format!("{{{}}}", ids.join(","))
}

/// Makes groups.
///
/// # Errors
/// When a name or an id is taken.
pub async fn groups(change: &mut Change, groups: &[Group]) -> Result<()> {
    change.expect(Act::CreateGroup, None)?;
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "insert into groups (org_id, group_id, parent_id, ancestors, name, kind, created_at)
         select $1, k.id, k.parent, k.ancestors::uuid[], k.name, k.kind, $2
         from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[]) as k (id, parent, ancestors, name, kind)",
        org.0,
        at,
        &column(groups, |group| group.id.0),
        &column(groups, |group| group.ancestors.last().map(|id| id.0)) as &[Option<Uuid>],
        &column(groups, |group| list(&group.ancestors)),
        &column(groups, |group| group.name.as_str()) as &[&str],
        &column(groups, |group| group.kind.as_str()) as &[&str],
    )
    .execute(change.db())
    .await?;
    let lines = groups.iter().map(|group| {
        let subject = Subject { kind: "group", id: group.id.0, name: &group.name };
        (subject, "create", Diff::new().set("name", &group.name).set("kind", group.kind))
    });
    change.record_all(lines).await
}

/// Lets people in.
///
/// # Errors
/// When an address or an id is taken.
pub async fn people(change: &mut Change, people: &[Person]) -> Result<()> {
    change.expect(Act::EditUsers, None)?;
    let (org, at) = (change.org(), change.at());
    let known: Vec<&Person> = people.iter().filter(|person| person.account.is_some()).collect();
    sqlx::query!(
        "insert into accounts (account_id, email, name, created_at)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])",
        &column(&known, |person| person.account.map_or(Uuid::nil(), |id| id.0)),
        &column(&known, |person| person.email.as_str()) as &[&str],
        &column(&known, |person| person.name.as_str()) as &[&str],
        &column(&known, |person| person.since),
    )
    .execute(change.db())
    .await?;
    sqlx::query!(
        "insert into users (org_id, user_id, account_id, email, name, role, suspended_at, invited_at, created_at)
         select $1, k.id, k.account, k.email, k.name, k.role, case when k.suspended then $2::timestamptz end, k.since, k.since
         from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::bool[], $9::timestamptz[])
              as k (id, account, email, name, role, suspended, since)",
        org.0,
        at,
        &column(people, |person| person.id.0),
        &column(people, |person| person.account.map(|id| id.0)) as &[Option<Uuid>],
        &column(people, |person| person.email.as_str()) as &[&str],
        &column(people, |person| person.name.as_str()) as &[&str],
        &column(people, |person| person.role.as_str()) as &[&str],
        &column(people, |person| person.suspended),
        &column(people, |person| person.since),
    )
    .execute(change.db())
    .await?;
    let lines = people.iter().map(|person| {
        let diff = Diff::new().set("email", &person.email).set("name", &person.name).set("role", person.role);
        (Subject { kind: "user", id: person.id.0, name: &person.name }, "create", diff)
    });
    change.record_all(lines).await
}

/// Puts people into groups. `names`: what they are called, for the log.
///
/// # Errors
/// When somebody is in a group already, or is not there.
pub async fn memberships(
    change: &mut Change,
    memberships: &[Membership],
    names: impl Fn(&Membership) -> (String, String),
) -> Result<()> {
    change.expect(Act::EditMembers, None)?;
    let org = change.org();
    sqlx::query!(
        "insert into memberships (org_id, membership_id, group_id, user_id, standing, source, started_at, ends_at)
         select $1, k.* from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[]) as k",
        org.0,
        &column(memberships, |_| clock::id::<Uuid>()),
        &column(memberships, |membership| membership.group.0),
        &column(memberships, |membership| membership.user.0),
        &column(memberships, |membership| membership.standing.as_str()) as &[&str],
        &column(memberships, |membership| membership.source.as_str()) as &[&str],
        &column(memberships, |membership| membership.since),
        &column(memberships, |membership| membership.ends_at) as &[Option<DateTime<Utc>>],
    )
    .execute(change.db())
    .await?;
    let named: Vec<(&Membership, (String, String))> =
        memberships.iter().map(|membership| (membership, names(membership))).collect();
    let lines = named.iter().map(|(membership, (group, person))| {
        let diff = Diff::new()
            .set("group", group)
            .set("standing", membership.standing)
            .set("source", membership.source);
        (Subject { kind: "membership", id: membership.user.0, name: person }, "start", diff)
    });
    change.record_all(lines).await
}

/// Makes applications with their keys.
///
/// # Errors
/// When a name or an id is taken.
pub async fn applications(change: &mut Change, applications: &[Application]) -> Result<()> {
    change.expect(Act::EditApplications, None)?;
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "with a as (
             insert into applications (org_id, application_id, group_id, name, created_at, owner_id)
             select $1, k.id, k.group_id, k.name, $2, k.owner
             from unnest($3::uuid[], $4::uuid[], $5::text[], $6::uuid[]) as k (id, group_id, name, owner)
         )
         insert into keys (org_id, key_id, application_id, all_models, features)
         select $1, k.*, true, array['streaming', 'tools', 'structured_outputs', 'vision', 'reasoning', 'embeddings']
         from unnest($7::uuid[], $3::uuid[]) as k",
        org.0,
        at,
        &column(applications, |application| application.id.0),
        &column(applications, |application| application.group.0),
        &column(applications, |application| application.name.as_str()) as &[&str],
        &column(applications, |application| application.owner.0),
        &column(applications, |application| application.key.0),
    )
    .execute(change.db())
    .await?;
    let assigned: Vec<&Application> =
        applications.iter().filter(|application| application.assigned).collect();
    sqlx::query!(
        "insert into key_groups (org_id, key_id, group_id) select $1, k.* from unnest($2::uuid[], $3::uuid[]) as k",
        org.0,
        &column(&assigned, |application| application.key.0),
        &column(&assigned, |application| application.group.0),
    )
    .execute(change.db())
    .await?;
    let lines = applications.iter().map(|application| {
        let subject = Subject { kind: "application", id: application.id.0, name: &application.name };
        (subject, "create", Diff::new().set("name", &application.name).set("models", "all"))
    });
    change.record_all(lines).await
}

/// Makes secrets.
///
/// # Errors
/// When somebody has one of the key already.
pub async fn secrets(change: &mut Change, secrets: &[Secret]) -> Result<()> {
    change.expect(Act::EditSecrets, None)?;
    let org = change.org();
    sqlx::query!(
        "insert into secrets (org_id, secret_id, key_id, kind, user_id, hash, tail, created_at)
         select $1, k.id, k.key, case when k.person is null then 'service' else 'member' end, k.person,
                sha256(uuid_send(gen_random_uuid())), substr(md5(k.id::text), 1, 4), k.since
         from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::timestamptz[]) as k (id, key, person, since)",
        org.0,
        &column(secrets, |secret| secret.id.0),
        &column(secrets, |secret| secret.key.0),
        &column(secrets, |secret| secret.user.map(|id| id.0)) as &[Option<Uuid>],
        &column(secrets, |secret| secret.since),
    )
    .execute(change.db())
    .await?;
    let lines = secrets.iter().map(|secret| {
        let kind = if secret.user.is_some() { "member" } else { "service" };
        (
            Subject { kind: "secret", id: secret.id.0, name: "bsr_live_…" },
            "create",
            Diff::new().set("kind", kind),
        )
    });
    change.record_all(lines).await
}

/// Opens tiers to groups.
///
/// # Errors
/// When a group has a rule about the tier already.
pub async fn rules(change: &mut Change, rules: &[(GroupId, TierId, State)]) -> Result<()> {
    change.expect(Act::WidenAuthorizations, None)?;
    let (org, at) = (change.org(), change.at());
    let ids = column(rules, |_| clock::id::<Uuid>());
    sqlx::query!(
        "insert into authorizations (org_id, authorization_id, group_id, tier_id, state, created_at)
         select $1, k.*, $2 from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[]) as k",
        org.0,
        at,
        &ids,
        &column(rules, |(group, ..)| group.0),
        &column(rules, |(_, tier, _)| tier.0),
        &column(rules, |(.., state)| state.as_str()) as &[&str],
    )
    .execute(change.db())
    .await?;
    let lines = ids.iter().zip(rules).map(|(id, (.., state))| {
        (
            Subject { kind: "authorization", id: *id, name: "a tier" },
            "create",
            Diff::new().set("state", state),
        )
    });
    change.record_all(lines).await
}

/// Sets limits. Nothing is counted in them yet: [`calls`] does.
///
/// # Errors
/// When a meter has a limit already.
pub async fn limits(change: &mut Change, limits: &[(Meter, i64)]) -> Result<()> {
    change.expect(Act::LoosenLimits, None)?;
    let (org, at) = (change.org(), change.at());
    let ids = column(limits, |_| clock::id::<Uuid>());
    sqlx::query!(
        "insert into limits (org_id, limit_id, scope_kind, thing_id, person_id, metric, window_kind, cap, mode, thresholds, created_at)
         select $1, k.*, $2, '{50,80,100}', $3
         from unnest($4::uuid[], $5::text[], $6::uuid[], $7::uuid[], $8::text[], $9::text[], $10::bigint[]) as k",
        org.0,
        Mode::Enforce.as_str(),
        at,
        &ids,
        &column(limits, |(meter, _)| meter.scope.parts().0.as_str()) as &[&str],
        &column(limits, |(meter, _)| meter.scope.parts().1),
        &column(limits, |(meter, _)| meter.scope.parts().2),
        &column(limits, |(meter, _)| meter.metric.as_str()) as &[&str],
        &column(limits, |(meter, _)| meter.window.as_str()) as &[&str],
        &column(limits, |(_, cap)| *cap),
    )
    .execute(change.db())
    .await?;
    let shown: Vec<String> = limits.iter().map(|(meter, cap)| meter.show_cap(*cap)).collect();
    let lines = ids.iter().zip(&shown).map(|(id, cap)| {
        (Subject { kind: "limit", id: *id, name: "a limit" }, "create", Diff::new().set("cap", cap))
    });
    change.record_all(lines).await
}

/// Makes a year of calls and books them: ledger, sums, windows and last uses, a day at a time, two of them
/// at once. Calls that are booked already stay and are counted with them. Nothing else may book meanwhile.
///
/// # Errors
/// When the database does not answer: then some days are there and others are not.
pub async fn calls(
    store: &Store,
    org: OrgId,
    calendar: Calendar,
    callers: &[Caller],
    models: &[Model],
    year: Year,
) -> Result<()> {
    let last = calendar.day(year.until);
    let days: Vec<NaiveDate> = year.from.iter_days().take_while(|day| *day <= last).collect();
    if callers.is_empty() || models.is_empty() || year.calls == 0 {
        return Ok(());
    }
    // A day of the organization reaches into two of UTC.
    let first = year.from.checked_sub_days(Days::new(1)).unwrap_or(year.from);
    make_partitions(store, first, u64::try_from(days.len()).unwrap_or_default() + 1).await?;
    let mut tx = store.pool().begin().await?;
    write_names(&mut tx, org, callers).await?;
    sqlx::query!("delete from usage_sums where org_id = $1", org.0).execute(&mut *tx).await?;
    let indexes = if year.calls > MANY { without_indexes(&mut tx).await? } else { Vec::new() };
    tx.commit().await?;
    let mut tx = store.pool().begin().await?;
    windows::hold_bookings(&mut tx, org).await?;
    // Services first, then people: half the calls are theirs.
    let mut callers: Vec<&Caller> = callers.iter().collect();
    callers.sort_by_key(|caller| (caller.user.is_some(), caller.secret));
    let drawn = numbered(calendar, year, &days);
    let (even, odd): (Vec<_>, Vec<_>) = drawn.into_iter().enumerate().partition(|(place, _)| place % 2 == 0);
    tokio::try_join!(
        book_days(store, org, &callers, models, year.seed, even),
        book_days(store, org, &callers, models, year.seed, odd)
    )?;
    for text in ["set local work_mem = '256MB'", "set local maintenance_work_mem = '512MB'"] {
        sqlx::query(text).execute(&mut *tx).await?;
    }
    for text in indexes {
        sqlx::query(AssertSqlSafe(text)).execute(&mut *tx).await?;
    }
    let others = sqlx::query_scalar!(
        "select distinct day from usage_by_day where org_id = $1 and not day = any ($2)",
        org.0,
        &days
    );
    for day in others.fetch_all(&mut *tx).await? {
        sums::day(&mut tx, org, day).await?;
    }
    let from = sqlx::query_scalar!("select min(first_day) from usage_sums where org_id = $1", org.0);
    let from = from.fetch_one(&mut *tx).await?.unwrap_or(first);
    sums::months(&mut tx, org, from.with_day(1).unwrap_or(from)).await?;
    sqlx::query!(
        "insert into use_case_labels
         select distinct org_id, md5(use_case)::uuid, use_case from usage_by_day where org_id = $1 and use_case <> ''
         on conflict do nothing",
        org.0
    )
    .execute(&mut *tx)
    .await?;
    count_windows(&mut tx, org, calendar, year.until).await?;
    sqlx::query!(
        "update secrets s set last_used_at = e.at
         from (select secret_id, max(started_at) as at from events where org_id = $1 group by secret_id) e
         where s.org_id = $1 and s.secret_id = e.secret_id and (s.last_used_at is null or s.last_used_at < e.at)",
        org.0
    )
    .execute(&mut *tx)
    .await?;
    rolls::note(&mut tx, org, None).await?;
    tx.commit().await?;
    // What pages ask is planned by what there is.
    sqlx::query("vacuum (analyze)").execute(store.pool()).await?;
    Ok(())
}

/// From so many calls on indexes are made when everything is there: sorted once, instead of row by row.
const MANY: u64 = 500_000;

/// Takes the indexes of sums away, except what keeps rows apart, and returns what makes them again.
async fn without_indexes(tx: &mut sqlx::PgConnection) -> Result<Vec<String>> {
    let rows = sqlx::query!(
        r#"select indexrelid::regclass::text as "name!", pg_get_indexdef(indexrelid) as "text!"
           from pg_index
           where indrelid in ('usage_by_day'::regclass, 'usage_sums_of_things'::regclass, 'usage_sums_of_people'::regclass) and not indisprimary"#
    )
    .fetch_all(&mut *tx)
    .await?;
    for row in &rows {
        sqlx::query(AssertSqlSafe(format!("drop index {}", row.name))).execute(&mut *tx).await?;
    }
    Ok(rows.into_iter().map(|row| row.text).collect())
}

/// A day, its midnight, how long it lasts in microseconds, and the numbers of its calls.
type Drawn = (NaiveDate, DateTime<Utc>, i64, i64, i64);

/// Which calls each day has.
fn numbered(calendar: Calendar, year: Year, days: &[NaiveDate]) -> Vec<Drawn> {
    let weights: Vec<f64> =
        days.iter().enumerate().map(|(place, day)| weight(place, days.len(), *day)).collect();
    let sum: f64 = weights.iter().sum();
    let (mut due, mut made) = (0.0, 0_i64);
    let numbered = days.iter().zip(weights).map(|(day, weight)| {
        due += weight / sum * year.calls as f64;
        let from = made;
        made = due.round() as i64;
        let midnight = calendar.midnight(*day);
        let end = calendar.midnight(day.succ_opt().unwrap_or(*day)).min(year.until);
        (*day, midnight, (end - midnight).num_microseconds().unwrap_or_default(), from, made)
    });
    numbered.collect()
}

/// Makes and books the calls of some days, and what they count in by day.
async fn book_days(
    store: &Store,
    org: OrgId,
    callers: &[&Caller],
    models: &[Model],
    seed: i64,
    days: Vec<(usize, Drawn)>,
) -> Result<()> {
    let services = callers.iter().take_while(|caller| caller.user.is_none()).count();
    let mut tx = store.pool().begin().await?;
    sqlx::query("set local work_mem = '256MB'").execute(&mut *tx).await?;
    stage(&mut tx, callers, models).await?;
    for (_, (day, midnight, lasts, from, to)) in days {
        sqlx::query(DAY)
            .bind(org.0)
            .bind(day)
            .bind(midnight)
            .bind(lasts)
            .bind(from)
            .bind(to)
            .bind(seed)
            .bind(i64::try_from(services).unwrap_or_default())
            .bind(i64::try_from(callers.len() - services).unwrap_or_default())
            .bind(i64::try_from(models.len()).unwrap_or_default())
            .execute(&mut *tx)
            .await?;
        sums::day(&mut tx, org, day).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// How many bytes of disk calls take, with their indexes: by table, the largest first.
///
/// # Errors
/// When the database does not answer.
pub async fn on_disk(store: &Store) -> Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"select coalesce(p.relname, c.relname) as "name!", sum(pg_total_relation_size(c.oid))::bigint as "bytes!"
           from pg_class c
           left join pg_inherits i on i.inhrelid = c.oid
           left join pg_class p on p.oid = i.inhparent
           where c.relkind = 'r' and coalesce(p.relname, c.relname) in
                 ('events', 'usage_by_day', 'usage_sums', 'call_sessions', 'windows', 'group_paths', 'member_sets')
           group by 1 order by 2 desc"#
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.bytes)).collect())
}

/// How much of the year falls on a day: it grows, and rests at weekends.
fn weight(place: usize, days: usize, day: NaiveDate) -> f64 {
    let growth = 0.4 + 0.9 * place as f64 / days.max(1) as f64;
    let rest = if matches!(day.weekday(), Weekday::Sat | Weekday::Sun) { 0.25 } else { 1.0 };
    growth * rest * (0.85 + 0.3 * f64::from(day.ordinal() * 7 % 10) / 10.0)
}

/// The lists of groups that calls name.
async fn write_names(tx: &mut sqlx::PgConnection, org: OrgId, callers: &[Caller]) -> Result<()> {
    let of = |lists: BTreeMap<Uuid, String>| -> (Vec<Uuid>, Vec<String>) { lists.into_iter().unzip() };
    let named = |groups: &[GroupId]| (name_of(groups), list(groups));
    let (ids, groups) = of(callers.iter().map(|caller| named(&caller.path)).collect());
    sqlx::query!(
        "insert into group_paths select $1, k.id, k.groups::uuid[] from unnest($2::uuid[], $3::text[]) as k (id, groups)
         on conflict do nothing",
        org.0,
        &ids,
        &groups
    )
    .execute(&mut *tx)
    .await?;
    let people = callers.iter().filter(|caller| !caller.member_of.is_empty());
    let (ids, groups) = of(people.map(|caller| named(&caller.member_of)).collect());
    sqlx::query!(
        "insert into member_sets select $1, k.id, k.groups::uuid[] from unnest($2::uuid[], $3::text[]) as k (id, groups)
         on conflict do nothing",
        org.0,
        &ids,
        &groups
    )
    .execute(tx)
    .await?;
    Ok(())
}

const CALLERS: &str =
    "create temporary table crowd_callers (n bigint primary key, secret_id uuid, key_id uuid,
    application_id uuid, group_id uuid, path_id uuid, user_id uuid, set_id uuid) on commit drop";
const MODELS: &str = "create temporary table crowd_models (n bigint primary key, model_id uuid, provider_id uuid,
    authorization_id uuid, route text, input bigint, cached bigint, output bigint, priced_at timestamptz) on commit drop";

/// Who calls and what is called, numbered, in tables that end with the transaction.
async fn stage(tx: &mut sqlx::PgConnection, callers: &[&Caller], models: &[Model]) -> Result<()> {
    for text in [CALLERS, MODELS] {
        sqlx::query(text).execute(&mut *tx).await?;
    }
    sqlx::query(
        "insert into crowd_callers
         select k.* from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[]) as k",
    )
    .bind((0_i64..).take(callers.len()).collect::<Vec<_>>())
    .bind(column(callers, |caller| caller.secret.0))
    .bind(column(callers, |caller| caller.key.0))
    .bind(column(callers, |caller| caller.application.0))
    .bind(column(callers, |caller| caller.path.last().map_or(Uuid::nil(), |id| id.0)))
    .bind(column(callers, |caller| name_of(&caller.path)))
    .bind(column(callers, |caller| caller.user.map(|id| id.0)))
    .bind(column(callers, |caller| name_of(&caller.member_of)))
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "insert into crowd_models
         select k.* from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[],
                                $9::timestamptz[]) as k",
    )
    .bind((0_i64..).take(models.len()).collect::<Vec<_>>())
    .bind(column(models, |model| model.id.0))
    .bind(column(models, |model| model.provider.0))
    .bind(column(models, |model| model.rule.map(|id| id.0)))
    .bind(column(models, |model| model.route))
    .bind(column(models, |model| model.prices[0].0))
    .bind(column(models, |model| model.prices[1].0))
    .bind(column(models, |model| model.prices[2].0))
    .bind(column(models, |model| model.priced_at))
    .execute(&mut *tx)
    .await?;
    for text in ["analyze crowd_callers", "analyze crowd_models"] {
        sqlx::query(text).execute(&mut *tx).await?;
    }
    Ok(())
}

/// One day: its calls and their sums in one statement. Every call is drawn from a hash of its number:
/// `p` … `t` are five independent numbers from 0 to 1. $2 the day, $3 its midnight, $4 how long it
/// lasts in microseconds, $5 and $6 the numbers of its calls, $7 the seed, $8 services, $9 people,
/// $10 models.
const DAY: &str = r#"
with drawn as materialized (
    select n, hashint8extended(n, $7) as h,
           (hashint8extended(n, $7 + 1) & 1048575) / 1048576.0::float8 as p,
           (hashint8extended(n, $7 + 2) & 1048575) / 1048576.0::float8 as q,
           (hashint8extended(n, $7 + 3) & 1048575) / 1048576.0::float8 as r,
           (hashint8extended(n, $7 + 4) & 1048575) / 1048576.0::float8 as s,
           (hashint8extended(n, $7 + 5) & 1048575) / 1048576.0::float8 as t
    from generate_series($5, $6 - 1) as n
), chosen as (
    select d.*, $3 + ((p + q) / 2 * $4) * interval '1 microsecond' as at,
           case when $9 = 0 or ($8 > 0 and h & 1 = 0) then floor($8 * r * r)::bigint else $8 + floor($9 * r)::bigint end as caller,
           (100 + 2900 * s * s * s)::bigint as input, (20 + 900 * t * t)::bigint as output, h & 127 = 5 as failed
    from drawn d
), calls as (
    select c.*, k.secret_id, k.key_id, k.application_id, k.group_id, k.path_id, k.user_id, k.set_id,
           case when k.user_id is null and c.h >> 9 & 3 = 0 then (array['summaries', 'triage', 'answers', 'drafts'])[1 + (c.h >> 11 & 3)]
                else '' end as use_case,
           -- People read along: their calls stream.
           case when k.user_id is null then 0 else 1 end as features,
           (hashint8extended(c.caller, 0) & 65535) + (array[0, 0, 0, 1, 1, 2])[1 + (c.h >> 3 & 63) % 6] as model,
           (400 + 3 * c.output * (1 + c.q))::int as took
    from chosen c join crowd_callers k on k.n = c.caller
), priced as (
    select c.*, m.model_id, m.provider_id, m.authorization_id, m.route, m.priced_at,
           case when c.failed then 0 else c.input end as tokens_in, case when c.failed then 0 else c.input / 3 end as tokens_cached,
           case when c.failed then 0 else c.output end as tokens_out, m.input as price_in, m.cached as price_cached, m.output as price_out
    from calls c join crowd_models m on m.n = c.model % $10
), new as (
    insert into events (org_id, day, call_id, started_at, finished_at, first_byte_ms, duration_ms, application_id, key_id, secret_id,
                        group_id, path_id, user_id, set_id, model_id, provider_id, authorization_id, use_case, session, route,
                        streamed, outcome, status, input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input,
                        audio_output, images, cost, priced_at, estimated, overage, features)
    select $1, (at at time zone 'UTC')::date,
           -- In order of time, as ids of calls are: 48 bits of milliseconds, version, and what is drawn.
           (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text || h::text), 1, 3) || 'a'
            || substr(md5(h::text || n::text), 1, 15))::uuid,
           at, at + took * interval '1 millisecond', case when not failed then 200 + took / 9 end, took, application_id, key_id,
           secret_id, group_id, path_id, user_id, set_id, model_id, provider_id, authorization_id, use_case,
           case when user_id is null then '' else 's-' || substr(md5(caller::text || $2::text), 1, 8) end, route, user_id is not null,
           case when failed then 'upstream_error' else 'ok' end, case when failed then 503 else 200 end, tokens_in, tokens_cached, 0, 0,
           tokens_out, 0, 0, 0, 0,
           (tokens_in * price_in + tokens_cached * price_cached + tokens_out * price_out + 999999) / 1000000, priced_at, false, false, features
    from priced order by at
    returning path_id, application_id, user_id, set_id, model_id, use_case, features, outcome, cost, input, cache_read, output, duration_ms,
              session, started_at, finished_at
), sessions as (
    insert into call_sessions as s (org_id, application_id, session, user_id, path_id, first_at, last_at, ended_at, calls, failed, spend,
                                    tokens, models)
    select $1, application_id, session, coalesce(user_id, '00000000-0000-0000-0000-000000000000') as user_id,
           (array_agg(path_id order by started_at desc))[1], min(started_at), max(started_at), max(finished_at), count(*),
           count(*) filter (where outcome = 'upstream_error'), sum(cost), sum(input + cache_read + output), array_agg(distinct model_id)
    from new where session <> '' group by 2, 3, 4
    on conflict (org_id, application_id, user_id, session) do update
        set path_id = case when excluded.last_at >= s.last_at then excluded.path_id else s.path_id end,
            first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at),
            ended_at = greatest(s.ended_at, excluded.ended_at), calls = s.calls + excluded.calls,
            failed = s.failed + excluded.failed, spend = s.spend + excluded.spend, tokens = s.tokens + excluded.tokens,
            models = array(select distinct m from unnest(s.models || excluded.models) as m)
), summed as (
    select path_id, application_id, coalesce(user_id, '00000000-0000-0000-0000-000000000000') as user_id, set_id, model_id,
           use_case, features, count(*) as calls, count(*) filter (where outcome = 'upstream_error') as failed, sum(cost) as spend, sum(input) as input,
           sum(cache_read) as cache_read, sum(output) as output, sum(duration_ms) as duration_ms,
           sum(('1e' || 12 * width_bucket(duration_ms, array[10, 14, 20, 28, 40, 56, 80, 110, 160, 220, 320, 450, 630, 900, 1250, 1800,
                2500, 3500, 5000, 7000, 10000, 14000, 20000, 28000, 40000, 56000, 80000, 110000, 160000, 220000, 320000]))::numeric) as took
    from new group by path_id, application_id, user_id, set_id, model_id, use_case, features
)
insert into usage_by_day as d (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, features, calls, failed,
                               spend, input, cache_read, output, duration_ms, took)
select $1, $2, path_id, application_id, user_id, set_id, model_id, use_case, features, calls, failed, spend, input, cache_read, output,
       duration_ms, took
from summed order by path_id, application_id, user_id
on conflict (org_id, day, path_id, application_id, user_id, set_id, model_id, use_case, features) do update
    set calls = d.calls + excluded.calls, failed = d.failed + excluded.failed, spend = d.spend + excluded.spend,
        input = d.input + excluded.input, cache_read = d.cache_read + excluded.cache_read, output = d.output + excluded.output,
        duration_ms = d.duration_ms + excluded.duration_ms, took = d.took + excluded.took
"#;

/// Everybody's months, and the current window of every limit whose window is a day or longer, from
/// the sums.
async fn count_windows(
    tx: &mut sqlx::PgConnection,
    org: OrgId,
    calendar: Calendar,
    now: DateTime<Utc>,
) -> Result<()> {
    // Those that are over were counted before the crowd called in them, and nobody counts them anew.
    sqlx::query("delete from windows where org_id = $1 and ends_at <= $2")
        .bind(org.0)
        .bind(now)
        .execute(&mut *tx)
        .await?;
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         select $1, 'user', thing_id, '00000000-0000-0000-0000-000000000000', 'spend', 'month',
                first_day::timestamp at time zone $2::text, (first_day + interval '1 month')::timestamp at time zone $2::text, sum(spend)
         from usage_sums
         where org_id = $1 and scope = 'user' and grain = 'month' and thing_id <> '00000000-0000-0000-0000-000000000000' and calls > 0
         group by thing_id, first_day
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             do update set settled = excluded.settled",
        org.0,
        calendar.zone.name(),
    )
    .execute(&mut *tx)
    .await?;
    for window in [Window::Day, Window::Week, Window::Month, Window::Year, Window::Total] {
        let span = calendar.span(window, now);
        sqlx::query!(
            "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
             select l.org_id, l.scope_kind, l.thing_id, l.person_id, l.metric, l.window_kind, $3, $4,
                    case l.metric when 'spend' then d.spend when 'requests' then d.calls when 'tokens' then d.input + d.output
                                  when 'input_tokens' then d.input else d.output end
             from limits l cross join lateral (
                 select coalesce(sum(d.spend), 0) as spend, coalesce(sum(d.calls), 0) as calls,
                        coalesce(sum(d.input + d.cache_read + d.cache_write), 0) as input,
                        coalesce(sum(d.output + d.reasoning), 0) as output
                 from usage_sums d
                 where d.org_id = l.org_id and d.scope = (case l.scope_kind when 'organization' then 'organization' when 'group' then 'group' else 'application' end)::sum_scope
                   and d.grain = 'day' and d.first_day >= $5
                   and d.model_id = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                   and d.thing_id = case l.scope_kind when 'organization' then '00000000-0000-0000-0000-000000000000' else l.thing_id end
             ) d
             where l.org_id = $1 and l.window_kind = $2 and l.metric <> 'concurrent_calls'
               and l.scope_kind in ('organization', 'group', 'application')
             on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
                 do update set settled = excluded.settled",
            org.0,
            window.as_str(),
            span.start,
            span.end,
            calendar.day(span.start),
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
