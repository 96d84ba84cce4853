//! Recommendations: what the sums suggest. Looked for in the background, so that no page does; kept until
//! the next look; those that somebody dismissed are left out while their figures stay.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use domain::{
    access::{Ask, Facts, Verdict, belongs, decide},
    ids::{GroupId, LimitId, ModelId, OrgId, SecretId, UserId},
    keys::Features,
    limits::Scope,
    models::Review,
    money::Money,
    prices,
    recommendations::{
        Alternative, Belonging, Kind, LIMIT_MONTHS, LimitUse, MODEL_DAYS, ModelUse, PEOPLE_DAYS,
        Recommendation, SecretUse, cheaper, join, leave, limit, secret, telling,
    },
    roles::Act,
    spend::Sums,
    usage::Usage,
};
use serde::Serialize;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, access, alerts::Sees, analytics, clock};

/// How many are kept of an organization: those that save most, then as they come.
const KEPT: usize = 300;

/// A row of `recommendations`, by its columns.
#[derive(Serialize)]
struct Row<'a> {
    org_id: Uuid,
    topic: &'a str,
    kind: &'a str,
    title: &'a str,
    body: &'a str,
    figures: &'a str,
    saves: i64,
    action: &'a str,
    href: &'a str,
    path: Vec<Uuid>,
    found_at: DateTime<Utc>,
}

/// Looks anew. Returns how many there are.
///
/// # Errors
/// When the database does not answer: then what was found before stays.
pub async fn refresh(store: &Store, org: OrgId, now: DateTime<Utc>) -> Result<usize> {
    let facts = access::facts(store, org).await?;
    let today = facts.calendar.day(now);
    let mut tx = store.pool().begin().await?;
    let mut found = models(&mut tx, &facts, org, today, now).await?;
    found.extend(limits(&mut tx, &facts, org, now).await?);
    found.extend(secrets(&mut tx, org, now).await?);
    found.extend(people(&mut tx, &facts, org, today, now).await?);
    found.sort_by(|a, b| (b.saves, a.kind, &a.topic).cmp(&(a.saves, b.kind, &b.topic)));
    found.truncate(KEPT);
    let rows: Vec<Row<'_>> = found
        .iter()
        .map(|one| Row {
            org_id: org.0,
            topic: &one.topic,
            kind: one.kind.as_str(),
            title: &one.title,
            body: &one.body,
            figures: &one.figures,
            saves: one.saves.0,
            action: &one.action,
            href: &one.href,
            path: one.path.iter().map(|id| id.0).collect(),
            found_at: now,
        })
        .collect();
    analytics::find_median(&mut tx, org, today, now).await?;
    sqlx::query!("delete from recommendations where org_id = $1", org.0).execute(&mut *tx).await?;
    sqlx::query!(
        "insert into recommendations select * from jsonb_populate_recordset(null::recommendations, $1) on conflict do nothing",
        Json(&rows) as _,
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok(found.len())
}

/// The first of so many days, of which today is the last.
fn first_of(today: NaiveDate, days: i64) -> NaiveDate {
    today.checked_sub_days(Days::new(days.unsigned_abs().saturating_sub(1))).unwrap_or(today)
}

fn count(tokens: i64) -> u64 {
    u64::try_from(tokens).unwrap_or_default()
}

/// What sums would have cost with other prices. What is not told apart in the sums counts as its bucket.
pub(crate) fn cost_with(sums: &Sums, prices: &prices::Prices) -> Option<Money> {
    let usage = Usage {
        input: count(sums.input),
        cache_read: count(sums.cache_read),
        cache_write: count(sums.cache_write),
        output: count(sums.output),
        reasoning: count(sums.reasoning),
        ..Usage::default()
    };
    prices::cost(&usage, prices)
}

async fn models(
    db: &mut PgConnection,
    facts: &Facts,
    org: OrgId,
    today: NaiveDate,
    now: DateTime<Utc>,
) -> Result<Vec<Recommendation>> {
    let rows = sqlx::query!(
        r#"select a.id as "group!", d.model_id, sum(d.calls)::bigint as "calls!", sum(d.spend)::bigint as "spend!", sum(d.input)::bigint as "input!",
                  sum(d.cache_read)::bigint as "cache_read!", sum(d.cache_write)::bigint as "cache_write!",
                  sum(d.output)::bigint as "output!", sum(d.reasoning)::bigint as "reasoning!",
                  bit_or(d.features) as "features!"
           from (
               select path_id, model_id, sum(calls) as calls, sum(spend) as spend, sum(input) as input, sum(cache_read) as cache_read,
                      sum(cache_write) as cache_write, sum(output) as output, sum(reasoning) as reasoning,
                      bit_or(features) as features
               from usage_by_day where org_id = $1 and day >= $2 group by 1, 2
           ) d
           join group_paths p on p.org_id = $1 and p.path_id = d.path_id
           cross join unnest(p.groups) as a (id)
           group by 1, 2 having sum(d.spend) > 0"#,
        org.0,
        first_of(today, MODEL_DAYS),
    )
    .fetch_all(&mut *db)
    .await?;
    let seen = seen_features(db, org, first_of(today, PEOPLE_DAYS)).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            // Wherever the group stood: it is one group, with everything below it, as in the table beside.
            // A rule on it reaches as far.
            let id = GroupId(row.group);
            let (group, model) = (facts.groups.get(&id)?, facts.models.get(&ModelId(row.model_id))?);
            // What is not open to it is by request already: somebody approved these calls.
            if !is_open(facts, id, ModelId(row.model_id), now) {
                return None;
            }
            let sums = Sums {
                calls: row.calls,
                spend: Money(row.spend),
                input: row.input,
                cache_read: row.cache_read,
                cache_write: row.cache_write,
                output: row.output,
                reasoning: row.reasoning,
                ..Sums::default()
            };
            let features = telling(Features::from_bits(row.features));
            let has =
                |other: &ModelId| features.without(seen.get(other).copied().unwrap_or_default()).is_empty();
            let alternatives = facts
                .models
                .iter()
                .filter(|(other, known)| {
                    other.0 != row.model_id
                        && has(other)
                        && known.modality == model.modality
                        && known.review == Review::Accepted
                        && !known.archived
                        && is_open(facts, id, **other, now)
                })
                .filter_map(|(other, known)| {
                    let cost = cost_with(&sums, known.prices_at(now)?)?;
                    Some(Alternative {
                        model: (*other, known.name.clone()),
                        tier: known.tier,
                        cost,
                        context: known.context_tokens,
                        answers: known.max_output_tokens,
                    })
                })
                .collect();
            // Where the group stands now; what it spent elsewhere is its own still.
            cheaper(&ModelUse {
                path: group.path.clone(),
                group: group.name.clone(),
                model: (ModelId(row.model_id), model.name.clone()),
                sums,
                features,
                alternatives,
            })
        })
        .collect())
}

/// What each model was seen to do since a day. The catalogue does not say what models can.
async fn seen_features(
    db: &mut PgConnection,
    org: OrgId,
    since: NaiveDate,
) -> Result<HashMap<ModelId, Features>> {
    let rows = sqlx::query!(
        r#"select model_id, bit_or(features) as "features!" from usage_by_day
           where org_id = $1 and day >= $2 and calls > failed group by 1"#,
        org.0,
        since,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (ModelId(row.model_id), Features::from_bits(row.features))).collect())
}

pub(crate) fn is_open(facts: &Facts, group: GroupId, model: ModelId, now: DateTime<Utc>) -> bool {
    let ask = Ask { group, user: None, application: None, model, features: Features::default() };
    decide(facts, &ask, now).verdict == Verdict::Allow
}

async fn limits(
    db: &mut PgConnection,
    facts: &Facts,
    org: OrgId,
    now: DateTime<Utc>,
) -> Result<Vec<Recommendation>> {
    let rows = sqlx::query!(
        r#"select l.limit_id, l.scope_kind, l.thing_id, l.person_id, l.cap, l.created_at,
                  array(select w.settled from windows w
                        where w.org_id = l.org_id and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
                          and w.metric = l.metric and w.window_kind = l.window_kind and w.ends_at <= $2
                        order by w.starts_at desc limit $3) as "settled!",
                  coalesce((select w.settled + w.held from windows w
                        where w.org_id = l.org_id and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
                          and w.metric = l.metric and w.window_kind = l.window_kind and w.starts_at <= $2 and w.ends_at > $2
                        order by w.starts_at desc limit 1), 0) as "running!"
           from limits l
           where l.org_id = $1 and l.metric = 'spend' and l.window_kind = 'month' and l.cap > 0
             and l.scope_kind in ('organization', 'group', 'application', 'user', 'member')"#,
        org.0,
        now,
        LIMIT_MONTHS as i64,
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
            // A month in which nothing was spent has no row, and is a month still.
            let complete = complete_months(facts.calendar.day(row.created_at), facts.calendar.day(now));
            let mut spent: Vec<Money> = row.settled.into_iter().map(Money).collect();
            spent.resize(complete.min(LIMIT_MONTHS).max(spent.len()), Money::ZERO);
            spent.truncate(complete.min(LIMIT_MONTHS));
            let path = match scope {
                Scope::Group(id) | Scope::Member(id, _) => {
                    facts.groups.get(&id).map(|group| group.path.clone())
                }
                Scope::Application(id) => facts
                    .applications
                    .get(&id)
                    .and_then(|application| facts.groups.get(&application.group))
                    .map(|group| group.path.clone()),
                _ => None,
            };
            Ok(limit(&LimitUse {
                id: LimitId(row.limit_id),
                scope,
                name: facts.scope_name(scope),
                cap: Money(row.cap),
                spent,
                running: Money(row.running),
                path: path.unwrap_or_default(),
            }))
        })
        .filter_map(Result::transpose)
        .collect()
}

/// How many calendar months have passed whole from one day to another.
fn complete_months(from: NaiveDate, to: NaiveDate) -> usize {
    let number = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
    let begun = number(from) + i64::from(from.day() > 1);
    usize::try_from(number(to) - begun).unwrap_or_default()
}

async fn secrets(db: &mut PgConnection, org: OrgId, now: DateTime<Utc>) -> Result<Vec<Recommendation>> {
    let rows = sqlx::query!(
        r#"select s.secret_id, s.tail, a.application_id, a.name as application, u.name as "user?", s.created_at, s.last_used_at,
                  g.ancestors || g.group_id as "path!"
           from secrets s
           join keys k on k.org_id = s.org_id and k.key_id = s.key_id
           join applications a on a.org_id = k.org_id and a.application_id = k.application_id and a.archived_at is null
           join groups g on g.org_id = a.org_id and g.group_id = a.group_id
           left join users u on u.org_id = s.org_id and u.user_id = s.user_id
           where s.org_id = $1 and s.revoked_at is null and (s.expires_at is null or s.expires_at > $2)
             and coalesce(s.last_used_at, s.created_at) < $2 - make_interval(days => $3)
           order by coalesce(s.last_used_at, s.created_at) limit 200"#,
        org.0,
        now,
        i32::try_from(domain::keys::UNUSED_DAYS).unwrap_or(60),
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            secret(&SecretUse {
                id: row.secret_id.into(),
                tail: row.tail,
                application: (row.application_id.into(), row.application),
                user: row.user,
                idle_days: (now - row.last_used_at.unwrap_or(row.created_at)).num_days(),
                ever_used: row.last_used_at.is_some(),
                path: row.path.into_iter().map(GroupId).collect(),
            })
        })
        .collect())
}

async fn people(
    db: &mut PgConnection,
    facts: &Facts,
    org: OrgId,
    today: NaiveDate,
    now: DateTime<Utc>,
) -> Result<Vec<Recommendation>> {
    let rows = sqlx::query!(
        r#"select d.user_id, p.groups, sum(d.calls)::bigint as "calls!"
           from usage_by_day d join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
           where d.org_id = $1 and d.day >= $2 group by d.user_id, p.groups having sum(d.calls) > 0"#,
        org.0,
        first_of(today, PEOPLE_DAYS),
    )
    .fetch_all(&mut *db)
    .await?;
    let mut all = HashMap::<UserId, i64>::new();
    let mut group_calls = HashMap::<GroupId, i64>::new();
    let mut here = HashMap::<(UserId, GroupId), i64>::new();
    let mut direct = HashSet::<(UserId, GroupId)>::new();
    for row in rows {
        let user = UserId(row.user_id);
        *all.entry(user).or_default() += row.calls;
        for id in &row.groups {
            *group_calls.entry(GroupId(*id)).or_default() += row.calls;
            *here.entry((user, GroupId(*id))).or_default() += row.calls;
        }
        direct.extend(row.groups.last().map(|id| (user, GroupId(*id))));
    }
    let memberships = sqlx::query!(
        r#"select m.user_id, m.group_id, m.standing, m.started_at, m.ended_at is not null as "ended!" from memberships m
         join users u on u.org_id = m.org_id and u.user_id = m.user_id and u.removed_at is null and u.suspended_at is null
         where m.org_id = $1 and ((m.ended_at is null and (m.ends_at is null or m.ends_at > $2))
                                  or m.ended_at >= $2::timestamptz - make_interval(days => $3))"#,
        org.0,
        now,
        i32::try_from(PEOPLE_DAYS).unwrap_or(90),
    )
    .fetch_all(db)
    .await?;
    let mut member_of = HashMap::<UserId, HashSet<GroupId>>::new();
    let mut taken_out = HashSet::<(UserId, GroupId)>::new();
    let belonging = |user: UserId, group: GroupId, member_days, leads| {
        let (known, person) = (facts.groups.get(&group)?, facts.users.get(&user)?);
        Some(Belonging {
            user: (user, person.name.clone()),
            path: known.path.clone(),
            group: known.name.clone(),
            member_days,
            leads,
            calls_here: here.get(&(user, group)).copied().unwrap_or_default(),
            calls_all: all.get(&user).copied().unwrap_or_default(),
            group_calls: group_calls.get(&group).copied().unwrap_or_default(),
        })
    };
    let mut found = Vec::new();
    for row in memberships {
        let (user, group) = (UserId(row.user_id), GroupId(row.group_id));
        if row.ended {
            taken_out.insert((user, group));
            continue;
        }
        member_of.entry(user).or_default().insert(group);
        let days = (now - row.started_at).num_days();
        let at = belonging(user, group, Some(days), row.standing == "lead");
        found.extend(at.as_ref().and_then(leave));
    }
    for (user, group) in direct {
        let Some(known) = facts.groups.get(&group) else { continue };
        // Nobody is asked back who cannot call any more, or was taken out while these calls were made.
        if facts.users.get(&user).is_none_or(|person| person.suspended)
            || known.path.iter().any(|id| taken_out.contains(&(user, *id)))
        {
            continue;
        }
        // Whoever is in it, above it or below it belongs to it already.
        let near = member_of.get(&user).is_some_and(|groups| {
            groups.iter().any(|id| {
                known.path.contains(id) || facts.groups.get(id).is_some_and(|own| own.path.contains(&group))
            })
        });
        if !near {
            let at = belonging(user, group, None, false);
            found.extend(at.as_ref().and_then(join));
        }
    }
    Ok(found)
}

/// Whether nobody has done yet what one recommends. Who follows one does not wait for the next look until
/// it is gone. `live`: which secrets still live.
fn stands(facts: &Facts, live: &HashSet<SecretId>, one: &Recommendation, now: DateTime<Utc>) -> bool {
    let mut words = one.topic.split(' ').skip(1);
    let (about, of) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let person = || Some((about.parse::<GroupId>().ok()?, facts.users.get(&of.parse::<UserId>().ok()?)?));
    let stands = match one.kind {
        Kind::Cheaper => {
            about.parse().ok().zip(of.parse().ok()).map(|(group, model)| is_open(facts, group, model, now))
        }
        Kind::Limit => {
            let cap = one.figures.split(' ').next().and_then(|cap| cap.parse::<i64>().ok());
            let id = about.parse::<LimitId>().ok();
            let mut all = facts.limits.values().flatten();
            Some(all.any(|limit| limit.id == id && Some(limit.cap) == cap))
        }
        Kind::Secret => about.parse().ok().map(|secret| live.contains(&secret)),
        Kind::Join => person().map(|(group, user)| !belongs(facts, user, group, now)),
        Kind::Leave => person().map(|(group, user)| {
            user.memberships.iter().any(|at| at.group == group && at.ends_at.is_none_or(|end| now < end))
        }),
    };
    stands.unwrap_or_default()
}

/// Those of these secrets that still let calls through.
async fn live(store: &Store, org: OrgId, found: &[Recommendation]) -> Result<HashSet<SecretId>> {
    let secrets = found.iter().filter(|one| one.kind == Kind::Secret);
    let secrets: Vec<Uuid> =
        secrets.filter_map(|one| Some(one.topic.split(' ').nth(1)?.parse::<SecretId>().ok()?.0)).collect();
    if secrets.is_empty() {
        return Ok(HashSet::new());
    }
    let live = sqlx::query_scalar!(
        "select secret_id from secrets
         where org_id = $1 and secret_id = any ($2) and revoked_at is null and (expires_at is null or expires_at > $3)",
        org.0,
        &secrets,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(live.into_iter().map(SecretId).collect())
}

/// Of what groups ask of a model only the highest group's is told: those below it count in it, and one rule
/// there reaches them. Also when it was put aside: what it says no to is all of it.
fn drop_contained(found: &mut Vec<Recommendation>) {
    let model = |one: &Recommendation| one.topic.split(' ').nth(2).unwrap_or_default().to_owned();
    let told: HashSet<(GroupId, String)> = found
        .iter()
        .filter(|one| one.kind == Kind::Cheaper)
        .filter_map(|one| Some((*one.path.last()?, model(one))))
        .collect();
    found.retain(|one| {
        let above = one.path.split_last().map(|(_, above)| above).unwrap_or_default();
        one.kind != Kind::Cheaper || !above.iter().any(|id| told.contains(&(*id, model(one))))
    });
}

/// What somebody sees of what was found at the last look, without what was dismissed or done since, and
/// without what is part of another. What saves most is first.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    sees: &Sees,
    group: Option<GroupId>,
) -> Result<Vec<Recommendation>> {
    let led = match sees {
        Sees::All => None,
        Sees::Some(_, led) => Some(led.iter().map(|id| id.0).collect::<Vec<_>>()),
    };
    let rows = sqlx::query!(
        r#"select r.topic, r.kind, r.title, r.body, r.figures, r.saves, r.action, r.href, r.path,
                  exists (select from dismissals d where d.org_id = r.org_id and d.topic = r.topic and d.figures = r.figures) as "aside!"
           from recommendations r
           where r.org_id = $1 and ($2::uuid[] is null or r.path && $2) and ($3::uuid is null or r.path @> array[$3::uuid])
           order by r.saves desc, r.kind, r.topic"#,
        org.0,
        led.as_deref(),
        group.map(|id| id.0),
    )
    .fetch_all(store.pool())
    .await?;
    let aside: HashSet<String> = rows.iter().filter(|row| row.aside).map(|row| row.topic.clone()).collect();
    let mut found = rows
        .into_iter()
        .map(|row| {
            Ok(Recommendation {
                kind: row.kind.parse()?,
                topic: row.topic,
                title: row.title,
                body: row.body,
                figures: row.figures,
                saves: Money(row.saves),
                action: row.action,
                href: row.href,
                path: row.path.into_iter().map(GroupId).collect(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    if !found.is_empty() {
        let (facts, live) = (access::current(store, org).await?, live(store, org, &found).await?);
        found.retain(|one| stands(&facts, &live, one, clock::now()));
    }
    // Of those that stand: a model that only groups below have is for them to do without.
    drop_contained(&mut found);
    found.retain(|one| !aside.contains(&one.topic));
    Ok(found)
}

/// The group a recommendation is about.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none like it.
pub async fn group_of(store: &Store, org: OrgId, topic: &str) -> Result<Option<GroupId>> {
    let path = sqlx::query_scalar!(
        "select path from recommendations where org_id = $1 and topic = $2",
        org.0,
        topic
    )
    .fetch_one(store.pool())
    .await?;
    Ok(path.last().copied().map(GroupId))
}

/// Puts one aside, with a reason, until its figures are others.
///
/// # Errors
/// [`StoreError::NotFound`] when there is none like it now.
pub async fn dismiss(change: &mut Change, topic: &str, figures: &str, reason: &str) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > 400 {
        return Err(StoreError::invalid("reason", "Say why, in at most 400 characters."));
    }
    let row = sqlx::query!(
        "select title, body, figures, path from recommendations where org_id = $1 and topic = $2",
        org.0,
        topic
    )
    .fetch_one(change.db())
    .await?;
    let group = row.path.last().copied();
    change.expect(Act::ReviewAccess, group.map(GroupId))?;
    if row.figures != figures {
        let sentence = format!(
            "Its figures changed since they were shown to you. Now it says: {} {} It was not put aside.",
            row.title, row.body
        );
        return Err(StoreError::Meanwhile(sentence));
    }
    let known = sqlx::query!(
        "select by_name, dismissed_by from dismissals where org_id = $1 and topic = $2 and figures = $3",
        org.0,
        topic,
        figures
    );
    let actor = change.permit().actor().clone();
    if let Some(first) = known.fetch_optional(change.db()).await? {
        let mine = first.dismissed_by.is_some() && first.dismissed_by == actor.user.map(|me| me.0);
        let who = if mine { "You have".to_owned() } else { format!("{} has", first.by_name) };
        return Err(StoreError::Meanwhile(format!("{who} put this aside already. Nothing was changed.")));
    }
    sqlx::query!(
        "insert into dismissals (org_id, topic, figures, reason, dismissed_at, dismissed_by, by_name) values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (org_id, topic) do update
             set figures = excluded.figures, reason = excluded.reason, dismissed_at = excluded.dismissed_at,
                 dismissed_by = excluded.dismissed_by, by_name = excluded.by_name",
        org.0,
        topic,
        row.figures,
        reason,
        at,
        actor.user.map(|user| user.0),
        actor.name,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().set("dismissed", &row.title).set("reason", reason);
    let id = group.unwrap_or(org.0);
    change.record(Subject { kind: "recommendation", id, name: &row.title }, "dismiss", &diff).await
}

/// Brings a recommendation back that was put aside, with the figures it was put aside for.
///
/// # Errors
/// [`StoreError::NotFound`] when it is recommended no more; [`StoreError::Meanwhile`] when somebody brought
/// it back already, or put it aside anew.
pub async fn restore(change: &mut Change, topic: &str, figures: &str) -> Result<()> {
    let org = change.org();
    let row = sqlx::query!(
        "select title, path from recommendations where org_id = $1 and topic = $2",
        org.0,
        topic
    )
    .fetch_one(change.db())
    .await?;
    let group = row.path.last().copied();
    change.expect(Act::ReviewAccess, group.map(GroupId))?;
    let gone = sqlx::query!(
        "delete from dismissals where org_id = $1 and topic = $2 and figures = $3",
        org.0,
        topic,
        figures
    )
    .execute(change.db())
    .await?;
    if gone.rows_affected() == 0 {
        let sentence = format!(
            "{} is not put aside for these figures any more: it is recommended again, or was put aside anew. Nothing was changed; look at it as it is now.",
            row.title
        );
        return Err(StoreError::Meanwhile(sentence));
    }
    let diff = Diff::new().field("dismissed", Some(&row.title), None::<String>);
    let id = group.unwrap_or(org.0);
    change.record(Subject { kind: "recommendation", id, name: &row.title }, "restore", &diff).await
}
