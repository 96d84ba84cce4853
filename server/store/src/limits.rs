//! Limits: caps on meters, and counting a meter anew from the ledger.

use std::collections::HashMap;

use domain::{
    access::Facts,
    batches::Kept,
    ids::{AuthorizationId, LimitId, OrgId, UserId},
    limits::{Bucket, Level, Limit, Meter, Metric, Mode, Scope, ScopeKind},
    money::Money,
    roles::Act,
    spend::LimitLevel,
    window::{Calendar, Span, Window},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Change, Diff, Result, Store, StoreError, Subject, access, clock, rolls, windows};

/// What a limit is given.
#[derive(Clone, Debug)]
pub struct LimitForm {
    /// How much.
    pub cap: i64,
    /// What happens without room.
    pub mode: Mode,
    /// Per cent of the cap at which somebody is told.
    pub thresholds: Vec<u8>,
}

/// What somebody who sets a limit saw of it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It does not matter: a file says how things are to be.
    Whatever,
    /// There was none.
    Nothing,
    /// One, at this version.
    Version(i64),
}

impl From<Option<i64>> for Seen {
    fn from(version: Option<i64>) -> Self {
        version.map_or(Self::Nothing, Self::Version)
    }
}

/// Every limit with its level now, the organization's first, then by scope name. `keep` chooses.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    facts: &Facts,
    keep: impl Fn(Scope) -> bool,
) -> Result<Vec<LimitLevel>> {
    let kept = facts.limits.iter().filter(|(scope, _)| keep(**scope)).flat_map(|(_, limits)| limits);
    let ids: Vec<Uuid> = kept.filter_map(|limit| Some(limit.id?.0)).collect();
    read(store, org, facts, &ids).await
}

/// The limits of which most is used now, at least so many per cent, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn near(
    store: &Store,
    org: OrgId,
    facts: &Facts,
    percent: i64,
    limit: i64,
) -> Result<Vec<LimitLevel>> {
    let now = clock::now();
    let (kinds, starts): (Vec<String>, Vec<_>) = Window::ALL
        .iter()
        .map(|window| (window.as_str().to_owned(), facts.calendar.span(*window, now).start))
        .unzip();
    // There are as many limits on people as people: whose are near is known without a look at each.
    let month = facts.calendar.span(Window::Month, now).start;
    let most = usize::try_from(limit).unwrap_or_default();
    let people = rolls::ask(store, org, month, |roll| roll.nearest(percent, most)).await?;
    let ids = sqlx::query_scalar!(
        "select l.limit_id
         from unnest($2::text[], $3::timestamptz[]) as k (kind, starts_at)
         join limits l on l.org_id = $1 and l.window_kind = k.kind
          and (l.thing_id = any ($6) or l.scope_kind <> 'user' or l.metric <> 'spend' or l.window_kind <> 'month')
         -- One look for each limit: there are many times more windows than limits.
         cross join lateral (
             select w.settled, w.held from windows w
             where w.org_id = $1 and w.scope_kind = l.scope_kind and w.thing_id = l.thing_id and w.person_id = l.person_id
               and w.metric = l.metric and w.window_kind = l.window_kind and w.starts_at = k.starts_at
             offset 0
         ) w
         where (w.settled + w.held)::float8 * 100 >= l.cap::float8 * $4
         order by (w.settled + w.held)::float8 / greatest(l.cap, 1) desc, l.limit_id limit $5",
        org.0,
        &kinds,
        &starts,
        percent as f64,
        limit,
        &people,
    )
    .fetch_all(store.pool())
    .await?;
    let mut list = read(store, org, facts, &ids).await?;
    list.sort_by_key(|level| std::cmp::Reverse(level.percent()));
    Ok(list)
}

async fn read(store: &Store, org: OrgId, facts: &Facts, ids: &[Uuid]) -> Result<Vec<LimitLevel>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let now = clock::now();
    let rows = sqlx::query!(
        "select limit_id, scope_kind, thing_id, person_id, metric, window_kind, cap, mode, thresholds, version
         from limits where org_id = $1 and limit_id = any ($2)",
        org.0,
        ids
    )
    .fetch_all(store.pool())
    .await?;
    let mut list = Vec::new();
    for row in rows {
        let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
        let meter = Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? };
        let limit = Limit {
            id: Some(row.limit_id.into()),
            meter,
            cap: row.cap,
            mode: row.mode.parse()?,
            thresholds: percents(&row.thresholds).into(),
        };
        let span = facts.calendar.span(meter.window, now);
        list.push(LimitLevel {
            scope_name: facts.scope_name(scope),
            level: Level::default(),
            starts_at: span.start,
            ends_at: span.end,
            version: Some(row.version),
            limit,
        });
    }
    fill_levels(store, org, &mut list).await?;
    list.sort_by(|a, b| {
        let key = |l: &LimitLevel| {
            (
                l.limit.meter.scope.kind(),
                l.scope_name.to_lowercase(),
                l.limit.meter.metric,
                l.limit.meter.window,
            )
        };
        key(a).cmp(&key(b))
    });
    Ok(list)
}

/// Reads the levels of some limits in their current windows.
///
/// # Errors
/// When the database does not answer.
pub async fn fill_levels(store: &Store, org: OrgId, list: &mut [LimitLevel]) -> Result<()> {
    let keys: Vec<(Meter, Span)> = list.iter().map(|level| (level.limit.meter, level.span())).collect();
    let levels = levels(store, org, &keys).await?;
    for (entry, level) in list.iter_mut().zip(levels) {
        entry.level = level;
    }
    Ok(())
}

/// The levels of some meters in some windows, in the same order; nothing used is zero.
///
/// # Errors
/// When the database does not answer.
pub async fn levels(store: &Store, org: OrgId, keys: &[(Meter, Span)]) -> Result<Vec<Level>> {
    let columns = windows::Columns::of(keys.iter().map(|(meter, span)| Bucket::of(*meter, *span)));
    let rows = sqlx::query!(
        r#"select w.scope_kind, w.thing_id, w.person_id, w.metric, w.window_kind, w.settled, w.held
           from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[])
                    as k (scope_kind, thing_id, person_id, metric, window_kind, starts_at)
           join windows w
             on w.org_id = $1 and w.scope_kind = k.scope_kind and w.thing_id = k.thing_id and w.person_id = k.person_id
            and w.metric = k.metric and w.window_kind = k.window_kind and w.starts_at = k.starts_at"#,
        org.0,
        &columns.scope_kinds,
        &columns.things,
        &columns.persons,
        &columns.metrics,
        &columns.windows,
        &columns.starts,
    )
    .fetch_all(store.pool())
    .await?;
    let mut known = HashMap::<Meter, Level>::new();
    for row in rows {
        let scope = Scope::from_parts(row.scope_kind.parse::<ScopeKind>()?, row.thing_id, row.person_id);
        let meter = Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? };
        known.insert(meter, Level { settled: row.settled, held: row.held });
    }
    Ok(keys.iter().map(|(meter, _)| known.get(meter).copied().unwrap_or_default()).collect())
}

fn check(meter: &Meter, form: &LimitForm) -> Result<()> {
    if form.cap < 0 {
        return Err(StoreError::invalid("cap", "A limit cannot be below zero."));
    }
    if meter.metric == Metric::ConcurrentCalls && meter.window != Window::Total {
        return Err(StoreError::invalid("window", "Calls at once have no window."));
    }
    if form.thresholds.iter().any(|percent| !(1..=100).contains(percent)) || form.thresholds.len() > 10 {
        return Err(StoreError::invalid("thresholds", "Thresholds are up to ten numbers from 1 to 100."));
    }
    Ok(())
}

/// Sets a limit on a meter: a new one, or another cap on the one that is there. A permit to
/// tighten is enough as long as nothing becomes looser.
///
/// # Errors
/// [`StoreError::Stale`] when it changed since it was seen, [`StoreError::Meanwhile`] when it came or
/// went; [`StoreError::Invalid`] when a permit to tighten would loosen.
pub async fn set(change: &mut Change, meter: Meter, form: &LimitForm, seen: Seen) -> Result<LimitId> {
    let org = change.org();
    let facts = access::read(change.db(), org).await?;
    set_in(change, &facts, meter, form, seen).await
}

/// Sets many limits, with one look at everything they are about. Stops at the first that cannot be
/// set, and says which.
///
/// # Errors
/// Those of [`set`], with the place in the list.
pub async fn set_all(
    change: &mut Change,
    list: &[(Meter, LimitForm)],
) -> std::result::Result<(), (usize, StoreError)> {
    if list.is_empty() {
        return Ok(());
    }
    let org = change.org();
    let facts = access::read(change.db(), org).await.map_err(|error| (0, error))?;
    for (place, (meter, form)) in list.iter().enumerate() {
        set_in(change, &facts, *meter, form, Seen::Whatever).await.map_err(|error| (place, error))?;
    }
    Ok(())
}

fn percents(thresholds: &[i16]) -> Vec<u8> {
    thresholds.iter().filter_map(|percent| u8::try_from(*percent).ok()).collect()
}

/// What is said of a meter now, and its version: what was said before a change, read in it.
///
/// # Errors
/// When the database does not answer.
pub async fn said(change: &mut Change, meter: &Meter) -> Result<Option<(LimitId, LimitForm, i64)>> {
    let org = change.org();
    Ok(known(change.db(), org, meter).await?.map(|known| {
        let form = LimitForm { cap: known.cap, mode: known.mode, thresholds: percents(&known.thresholds) };
        (known.id, form, known.version)
    }))
}

async fn set_in(
    change: &mut Change,
    facts: &Facts,
    meter: Meter,
    form: &LimitForm,
    seen: Seen,
) -> Result<LimitId> {
    check(&meter, form)?;
    let org = change.org();
    let group = group_of(facts, meter.scope)?;
    let name = facts.scope_name(meter.scope);
    let known = known(change.db(), org, &meter).await?;
    match (seen, &known) {
        (Seen::Version(version), Some(known)) if version != known.version => return Err(StoreError::Stale),
        (Seen::Version(_), None) => {
            let sentence = format!("Somebody took this limit of {name} away meanwhile. Make a new one.");
            return Err(StoreError::Meanwhile(sentence));
        }
        (Seen::Nothing, Some(known)) => {
            let now = known.words(&meter);
            let sentence = format!(
                "{name} has a limit like this already: {now}. Change that one instead of making another."
            );
            return Err(StoreError::Meanwhile(sentence));
        }
        _ => {}
    }
    if change.expect(Act::LoosenLimits, group).is_err() {
        change.expect(Act::TightenLimits, group)?;
        let looser = known.as_ref().is_some_and(|known| {
            form.cap > known.cap || (known.mode == Mode::Enforce && form.mode == Mode::Observe)
        });
        // A person's own limit takes the place of the organization's default.
        let over_default = known.is_none()
            && matches!(meter, Meter { scope: Scope::User(_), metric: Metric::Spend, window: Window::Month })
            && facts
                .default_user_limit
                .is_some_and(|default| form.cap > default.0 || form.mode == Mode::Observe);
        if looser || over_default {
            return Err(StoreError::invalid(
                "cap",
                "Leads can lower a limit; only an admin or owner can raise it.",
            ));
        }
    }
    let thresholds: Vec<i16> = form.thresholds.iter().map(|percent| i16::from(*percent)).collect();
    let at = change.at();
    let id = match &known {
        Some(known) => {
            sqlx::query!(
                "update limits set cap = $3, mode = $4, thresholds = $5, version = version + 1 where org_id = $1 and limit_id = $2",
                org.0,
                known.id.0,
                form.cap,
                form.mode.as_str(),
                &thresholds,
            )
            .execute(change.db())
            .await?;
            known.id
        }
        None => {
            let id: LimitId = clock::id();
            let (kind, thing, person) = meter.scope.parts();
            sqlx::query!(
                "insert into limits (org_id, limit_id, scope_kind, thing_id, person_id, metric, window_kind, cap, mode, thresholds, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                org.0,
                id.0,
                kind.as_str(),
                thing,
                person,
                meter.metric.as_str(),
                meter.window.as_str(),
                form.cap,
                form.mode.as_str(),
                &thresholds,
                at,
            )
            .execute(change.db())
            .await?;
            // A person's month is counted whether it has a limit or not.
            if !matches!(meter, Meter { scope: Scope::User(_), metric: Metric::Spend, window: Window::Month })
            {
                recount(change, &meter, facts.calendar).await?;
            }
            id
        }
    };
    let show = |cap: i64| meter.show_cap(cap);
    let list = |thresholds: &[i16]| thresholds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let diff = Diff::new()
        .field("cap", known.as_ref().map(|known| show(known.cap)), Some(show(form.cap)))
        .field("mode", known.as_ref().map(|known| known.mode), Some(form.mode))
        .field(
            "thresholds",
            Some(known.as_ref().map_or_else(String::new, |known| list(&known.thresholds))),
            Some(list(&thresholds)),
        );
    if !diff.is_empty() {
        let verb = if known.is_some() { "edit" } else { "create" };
        change.record(Subject { kind: "limit", id: id.0, name: &name }, verb, &diff).await?;
    }
    Ok(id)
}

/// Per cent of a cap at which somebody is told, where nobody said otherwise.
const THRESHOLDS: [u8; 3] = [50, 80, 100];

/// Gives a person a monthly limit of their own, or with none the organization's default again. How
/// an own limit is kept and who is told stays as it was. Returns the own limit before.
///
/// # Errors
/// [`StoreError::NotFound`] when the person is not in the organization.
pub async fn set_month(change: &mut Change, user: UserId, cap: Option<Money>) -> Result<Option<Money>> {
    let org = change.org();
    let facts = access::read(change.db(), org).await?;
    set_month_in(change, &facts, user, cap).await
}

/// The same, with what is known already.
pub(crate) async fn set_month_in(
    change: &mut Change,
    facts: &Facts,
    user: UserId,
    cap: Option<Money>,
) -> Result<Option<Money>> {
    change.expect(Act::LoosenLimits, None)?;
    let meter = Meter { scope: Scope::User(user), metric: Metric::Spend, window: Window::Month };
    group_of(facts, meter.scope)?;
    let org = change.org();
    let known = known(change.db(), org, &meter).await?;
    let before = known.as_ref().map(|known| Money(known.cap));
    match (cap, known) {
        (Some(cap), known) if before != Some(cap) => {
            let form = LimitForm {
                cap: cap.0,
                mode: known.as_ref().map_or(Mode::Enforce, |known| known.mode),
                thresholds: known.map_or_else(
                    || THRESHOLDS.to_vec(),
                    |known| {
                        known.thresholds.iter().filter_map(|percent| u8::try_from(*percent).ok()).collect()
                    },
                ),
            };
            set_in(change, facts, meter, &form, Seen::Whatever).await?;
        }
        (None, Some(known)) => {
            remove_in(change, facts, known.id).await?;
        }
        _ => {}
    }
    Ok(before)
}

/// Somebody who is given a monthly limit of their own, or with none the organization's default again.
pub(crate) struct Month<'a> {
    /// Who.
    pub user: UserId,
    /// What they are called, for the log.
    pub name: &'a str,
    /// How much.
    pub cap: Option<Money>,
    /// How it is kept; none: as it is, and a new one as new ones are.
    pub kept: Option<&'a Kept>,
}

/// Gives many people their monthly limits, with one line of the log each, as [`set_month`] writes it. Who
/// has it so is not to be among them.
pub(crate) async fn set_months(change: &mut Change, people: &[Month<'_>]) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    change.expect(Act::LoosenLimits, None)?;
    let (org, at) = (change.org(), change.at());
    let meter =
        |user: UserId| Meter { scope: Scope::User(user), metric: Metric::Spend, window: Window::Month };
    for Month { user, cap, .. } in people {
        let form = cap.map(|cap| LimitForm { cap: cap.0, mode: Mode::Enforce, thresholds: Vec::new() });
        form.map_or(Ok(()), |form| check(&meter(*user), &form))?;
    }
    let users: Vec<Uuid> = people.iter().map(|month| month.user.0).collect();
    let known = sqlx::query!(
        "select thing_id, limit_id, cap, mode from limits
         where org_id = $1 and scope_kind = 'user' and thing_id = any ($2)
           and person_id = '00000000-0000-0000-0000-000000000000' and metric = 'spend' and window_kind = 'month'",
        org.0,
        &users,
    )
    .fetch_all(change.db())
    .await?;
    let mut before: HashMap<Uuid, (Uuid, i64, Mode)> = HashMap::new();
    for row in known {
        before.insert(row.thing_id, (row.limit_id, row.cap, row.mode.parse()?));
    }
    let ids: Vec<Uuid> = users
        .iter()
        .map(|user| before.get(user).map_or_else(|| clock::id::<LimitId>().0, |(id, ..)| *id))
        .collect();
    let usual: Vec<i16> = THRESHOLDS.iter().map(|percent| i16::from(*percent)).collect();
    let of_new = |month: &Month<'_>| {
        month.kept.map_or_else(|| (Mode::Enforce, usual.clone()), |kept| (kept.mode, kept.thresholds.clone()))
    };
    let list = |thresholds: &[i16]| thresholds.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let capped: Vec<(&Uuid, &Month<'_>)> =
        ids.iter().zip(people).filter(|(_, month)| month.cap.is_some()).collect();
    sqlx::query!(
        "insert into limits as l (org_id, limit_id, scope_kind, thing_id, person_id, metric, window_kind, cap, mode, thresholds, created_at)
         select $1, k.limit_id, 'user', k.user_id, '00000000-0000-0000-0000-000000000000', 'spend', 'month', k.cap, k.mode,
                string_to_array(k.thresholds, ',')::smallint[], $5
         from unnest($2::uuid[], $3::uuid[], $4::bigint[], $6::text[], $7::text[]) as k (limit_id, user_id, cap, mode, thresholds)
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind)
         do update set cap = excluded.cap, version = l.version + 1,
                       mode = case when l.thing_id = any ($8) then excluded.mode else l.mode end,
                       thresholds = case when l.thing_id = any ($8) then excluded.thresholds else l.thresholds end",
        org.0,
        &capped.iter().map(|(id, _)| **id).collect::<Vec<_>>(),
        &capped.iter().map(|(_, month)| month.user.0).collect::<Vec<_>>(),
        &capped.iter().filter_map(|(_, month)| Some(month.cap?.0)).collect::<Vec<_>>(),
        at,
        &capped.iter().map(|(_, month)| of_new(month).0.as_str().to_owned()).collect::<Vec<_>>(),
        &capped.iter().map(|(_, month)| list(&of_new(month).1)).collect::<Vec<_>>(),
        &capped.iter().filter(|(_, month)| month.kept.is_some()).map(|(_, month)| month.user.0).collect::<Vec<_>>(),
    )
    .execute(change.db())
    .await?;
    let gone: Vec<Uuid> =
        ids.iter().zip(people).filter(|(_, month)| month.cap.is_none()).map(|(id, _)| *id).collect();
    sqlx::query!("delete from limits where org_id = $1 and limit_id = any ($2)", org.0, &gone)
        .execute(change.db())
        .await?;
    let lines = people.iter().zip(&ids).filter_map(|(month @ Month { user, name, cap, kept }, id)| {
        let (mode, thresholds) = of_new(month);
        let meter = meter(*user);
        let show = |cap: i64| meter.show_cap(cap);
        let (verb, diff) = match (before.get(&user.0), cap) {
            (Some((_, was, was_kept)), Some(cap)) => (
                "edit",
                Diff::new().field("cap", Some(show(*was)), Some(show(cap.0))).field(
                    "mode",
                    Some(*was_kept),
                    Some(kept.map_or(*was_kept, |kept| kept.mode)),
                ),
            ),
            (None, Some(cap)) => (
                "create",
                Diff::new().set("cap", show(cap.0)).set("mode", mode).field(
                    "thresholds",
                    Some(String::new()),
                    Some(list(&thresholds).replace(',', ", ")),
                ),
            ),
            (Some((_, was, mode)), None) => (
                "remove",
                Diff::new().field("cap", Some(show(*was)), None::<String>).field(
                    "mode",
                    Some(*mode),
                    None::<String>,
                ),
            ),
            (None, None) => return None,
        };
        Some((Subject { kind: "limit", id: *id, name }, verb, diff))
    });
    change.record_all(lines).await
}

struct Known {
    id: LimitId,
    cap: i64,
    mode: Mode,
    thresholds: Vec<i16>,
    version: i64,
}

impl Known {
    /// `$10.00 a day, which refuses`.
    fn words(&self, meter: &Meter) -> String {
        let how = if self.mode == Mode::Enforce { "which refuses" } else { "which only observes" };
        format!("{}, {how}", meter.show_cap(self.cap))
    }
}

async fn known(db: &mut PgConnection, org: OrgId, meter: &Meter) -> Result<Option<Known>> {
    let (kind, thing, person) = meter.scope.parts();
    let row = sqlx::query!(
        "select limit_id, cap, mode, thresholds, version from limits
         where org_id = $1 and scope_kind = $2 and thing_id = $3 and person_id = $4 and metric = $5 and window_kind = $6",
        org.0,
        kind.as_str(),
        thing,
        person,
        meter.metric.as_str(),
        meter.window.as_str(),
    )
    .fetch_optional(db)
    .await?;
    row.map(|row| {
        Ok(Known {
            id: row.limit_id.into(),
            cap: row.cap,
            mode: row.mode.parse()?,
            thresholds: row.thresholds,
            version: row.version,
        })
    })
    .transpose()
}

/// Takes a limit away, as it was seen at `version`.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization; [`StoreError::Meanwhile`] when it
/// changed since.
pub async fn remove(change: &mut Change, id: LimitId, version: i64) -> Result<(Meter, LimitForm)> {
    let org = change.org();
    let facts = access::read(change.db(), org).await?;
    let removed = remove_in(change, &facts, id).await?;
    if removed.version == version {
        return Ok((removed.meter, removed.form));
    }
    let sentence = format!(
        "Somebody changed this limit meanwhile: it is {} now. It was not removed; do it again if it still is to go.",
        removed.meter.show_cap(removed.form.cap)
    );
    Err(StoreError::Meanwhile(sentence))
}

/// A limit that went.
struct Removed {
    meter: Meter,
    form: LimitForm,
    version: i64,
}

/// Takes many limits away, with one look at everything they are about.
///
/// # Errors
/// [`StoreError::NotFound`] when one is not in the organization.
pub async fn remove_all(change: &mut Change, ids: &[LimitId]) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let org = change.org();
    let facts = access::read(change.db(), org).await?;
    for id in ids {
        remove_in(change, &facts, *id).await?;
    }
    Ok(())
}

async fn remove_in(change: &mut Change, facts: &Facts, id: LimitId) -> Result<Removed> {
    let org = change.org();
    let row = sqlx::query!(
        "select scope_kind, thing_id, person_id, metric, window_kind, cap, mode, thresholds, version from limits where org_id = $1 and limit_id = $2",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
    let meter = Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? };
    change.expect(Act::LoosenLimits, group_of(facts, scope)?)?;
    sqlx::query!("delete from limits where org_id = $1 and limit_id = $2", org.0, id.0)
        .execute(change.db())
        .await?;
    let diff = Diff::new().field("cap", Some(meter.show_cap(row.cap)), None::<String>).field(
        "mode",
        Some(&row.mode),
        None::<String>,
    );
    let name = facts.scope_name(scope);
    change.record(Subject { kind: "limit", id: id.0, name: &name }, "remove", &diff).await?;
    let form = LimitForm { cap: row.cap, mode: row.mode.parse()?, thresholds: percents(&row.thresholds) };
    Ok(Removed { meter, form, version: row.version })
}

/// Gives a rule the quotas of another one, which it takes the place of, and counts them anew. Where it
/// has one on the same already, whoever may widen sets the other's, and a lead the lower of both.
pub(crate) async fn hand_on(
    change: &mut Change,
    facts: &Facts,
    from: AuthorizationId,
    to: AuthorizationId,
) -> Result<()> {
    let org = change.org();
    let to = Scope::Authorization(to);
    let name = facts.scope_name(to);
    let group = group_of(facts, to)?;
    let widens = change.expect(Act::WidenAuthorizations, group).is_ok();
    let quotas = facts.limits.get(&Scope::Authorization(from)).map_or(&[][..], Vec::as_slice);
    for (quota, id) in quotas.iter().filter_map(|quota| Some((quota, quota.id?))) {
        let meter = Meter { scope: to, ..quota.meter };
        let known = known(change.db(), org, &meter).await?;
        let before = known.as_ref().map(|known| (known.cap, known.mode));
        let looser = before.is_some_and(|(cap, mode)| {
            mode == Mode::Enforce && (quota.cap > cap || quota.mode == Mode::Observe)
        });
        if looser && !widens {
            continue;
        }
        let (_, thing, _) = to.parts();
        let id = match known {
            Some(known) => {
                let thresholds: Vec<i16> =
                    quota.thresholds.iter().map(|percent| i16::from(*percent)).collect();
                sqlx::query!(
                    "update limits set cap = $3, mode = $4, thresholds = $5, version = version + 1 where org_id = $1 and limit_id = $2",
                    org.0,
                    known.id.0,
                    quota.cap,
                    quota.mode.as_str(),
                    &thresholds,
                )
                .execute(change.db())
                .await?;
                known.id
            }
            None => {
                sqlx::query!(
                    "update limits set thing_id = $3, version = version + 1 where org_id = $1 and limit_id = $2",
                    org.0,
                    id.0,
                    thing,
                )
                .execute(change.db())
                .await?;
                recount(change, &meter, facts.calendar).await?;
                id
            }
        };
        let diff = Diff::new()
            .field("cap", before.map(|(cap, _)| meter.show_cap(cap)), Some(meter.show_cap(quota.cap)))
            .field("mode", before.map(|(_, mode)| mode), Some(quota.mode));
        if !diff.is_empty() {
            let verb = if before.is_some() { "edit" } else { "create" };
            change.record(Subject { kind: "limit", id: id.0, name: &name }, verb, &diff).await?;
        }
    }
    Ok(())
}

/// The group a scope belongs to, for permits. The thing it names has to be in the organization.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not.
pub fn group_of(facts: &Facts, scope: Scope) -> Result<Option<domain::ids::GroupId>> {
    match scope {
        Scope::Organization => Ok(None),
        Scope::Group(id) => facts.groups.contains_key(&id).then_some(Some(id)).ok_or(StoreError::NotFound),
        Scope::Application(id) => {
            facts.applications.get(&id).map(|app| Some(app.group)).ok_or(StoreError::NotFound)
        }
        Scope::User(id) => facts.users.contains_key(&id).then_some(None).ok_or(StoreError::NotFound),
        Scope::Member(group, user) => {
            let known = facts.groups.contains_key(&group) && facts.users.contains_key(&user);
            known.then_some(Some(group)).ok_or(StoreError::NotFound)
        }
        Scope::Authorization(id) => {
            let mut places = facts.rules.iter().chain(&facts.observed);
            let place = places.find(|(_, rules)| rules.values().any(|rule| rule.id == id));
            place.map(|(place, _)| *place).ok_or(StoreError::NotFound)
        }
        Scope::Grant(id) => {
            let known = facts.grants.values().flatten().any(|grant| grant.id == id);
            known.then_some(None).ok_or(StoreError::NotFound)
        }
    }
}

/// Counts a meter's current window anew from the ledger. Finished calls that are being booked at
/// this moment wait until this has committed, so that none is missed or counted twice.
pub(crate) async fn recount(change: &mut Change, meter: &Meter, calendar: Calendar) -> Result<()> {
    if meter.metric == Metric::ConcurrentCalls {
        return Ok(());
    }
    let (org, at) = (change.org(), change.at());
    windows::hold_bookings(change.db(), org).await?;
    let span = calendar.span(meter.window, at);
    let used = used(change.db(), org, meter, span).await?;
    let (kind, thing, person) = meter.scope.parts();
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             do update set settled = excluded.settled",
        org.0,
        kind.as_str(),
        thing,
        person,
        meter.metric.as_str(),
        meter.window.as_str(),
        span.start,
        span.end,
        used,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Counts every limit's current window anew, and everybody's month: the calendar changed.
pub(crate) async fn recount_all(change: &mut Change, calendar: Calendar) -> Result<()> {
    let org = change.org();
    let rows = sqlx::query!(
        "select scope_kind, thing_id, person_id, metric, window_kind from limits where org_id = $1",
        org.0
    )
    .fetch_all(change.db())
    .await?;
    for row in rows {
        let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
        let meter = Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? };
        recount(change, &meter, calendar).await?;
    }
    windows::hold_bookings(change.db(), org).await?;
    let month = calendar.span(Window::Month, change.at());
    sqlx::query!(
        "insert into windows as w (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at, ends_at, settled)
         select e.org_id, 'user', e.user_id, '00000000-0000-0000-0000-000000000000', 'spend', 'month', $2, $3, sum(e.cost)
         from events e
         where e.org_id = $1 and e.user_id is not null and e.started_at >= $2 and e.day >= ($2 at time zone 'UTC')::date
         group by e.org_id, e.user_id
         on conflict (org_id, scope_kind, thing_id, person_id, metric, window_kind, starts_at)
             do update set settled = excluded.settled",
        org.0,
        month.start,
        month.end,
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// What the ledger says a meter has used in a window. Of days that the ledger has let go of, the sums by
/// day say it; they do not know by which rule or grant a call was let through.
pub(crate) async fn used(db: &mut PgConnection, org: OrgId, meter: &Meter, span: Span) -> Result<i64> {
    let (kind, thing, person) = meter.scope.parts();
    let sums = sqlx::query!(
        r#"with whole as (
               -- The first day of the organization that the ledger has in full.
               select s.first_day + 1 as day, (s.first_day + 1)::timestamp at time zone o.time_zone as at, o.time_zone
               from ledger_start s, organizations o where o.org_id = $1 and $2 < (s.first_day + 1)::timestamp at time zone o.time_zone
           ), gone as (
               select sum(d.spend) as spend, sum(d.calls) as calls, sum(d.input + d.cache_read + d.cache_write) as input,
                      sum(d.output + d.reasoning) as output
               from whole, usage_by_day d
               where d.org_id = $1 and d.day < whole.day and d.day >= ($2 at time zone whole.time_zone)::date
                 and ($3::timestamptz is null or d.day < ($3 at time zone whole.time_zone)::date)
                 and case $4::text
                         when 'organization' then true
                         when 'group' then d.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                         when 'application' then d.application_id = $5
                         when 'user' then d.user_id = $5
                         when 'member' then d.user_id = $6
                              and d.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                         else false
                     end
           )
           select (coalesce(sum(e.cost), 0) + coalesce((select spend from gone), 0))::bigint as "spend!",
                  (count(*) + coalesce((select calls from gone), 0))::bigint as "requests!",
                  (coalesce(sum(e.input + e.cache_read + e.cache_write + e.cache_write_long + e.audio_input), 0)
                   + coalesce((select input from gone), 0))::bigint as "input!",
                  (coalesce(sum(e.output + e.reasoning + e.audio_output), 0) + coalesce((select output from gone), 0))::bigint as "output!"
           from events e
           where e.org_id = $1 and e.started_at >= coalesce((select at from whole), '-infinity')
             and e.started_at >= $2 and e.day >= ($2 at time zone 'UTC')::date
             and ($3::timestamptz is null or e.started_at < $3)
             and case $4::text
                     when 'organization' then true
                     when 'group' then e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                     when 'application' then e.application_id = $5
                     when 'user' then e.user_id = $5
                     when 'member' then e.user_id = $6
                          and e.path_id in (select path_id from group_paths where org_id = $1 and groups @> array[$5::uuid])
                     when 'authorization' then e.authorization_id = $5 or e.observed_by = $5
                     when 'grant' then e.grant_id = $5
                 end"#,
        org.0,
        span.start,
        span.end,
        kind.as_str(),
        thing,
        person,
    )
    .fetch_one(db)
    .await?;
    Ok(match meter.metric {
        Metric::Spend => sums.spend,
        Metric::Requests => sums.requests,
        Metric::Tokens => sums.input + sums.output,
        Metric::InputTokens => sums.input,
        Metric::OutputTokens => sums.output,
        Metric::ConcurrentCalls => 0,
    })
}

/// Every meter that has a limit, for checks.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn meters(db: &mut PgConnection, org: OrgId) -> Result<Vec<Meter>> {
    let rows = sqlx::query!(
        "select scope_kind, thing_id, person_id, metric, window_kind from limits where org_id = $1",
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
            Ok(Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? })
        })
        .collect()
}

/// A nil id: where a scope names no thing.
pub const NOBODY: Uuid = Uuid::nil();
