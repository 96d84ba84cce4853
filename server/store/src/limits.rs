//! Limits: caps on meters, and counting a meter anew from the ledger.

mod counts;
mod months;

use std::collections::HashMap;

use domain::{
    access::Facts,
    audit::Door,
    ids::{AuthorizationId, LimitId, OrgId},
    limits::{Bucket, Level, Limit, Meter, Metric, Mode, Scope},
    money::Money,
    roles::Act,
    spend::{LimitLevel, Raised},
    window::{Span, Window},
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, access, clock, groups,
    requests::{self, Raising},
    rolls, seen, windows,
};

pub use counts::NOBODY;
pub(crate) use counts::{meters, recount, recount_all, used};
pub use months::set_month;
pub(crate) use months::{Month, set_months};

/// How the columns of a limit, or of a window, name what it counts.
///
/// # Errors
/// When a column says what this program does not know.
pub(crate) fn meter_of(
    (kind, thing, person): (&str, Uuid, Uuid),
    metric: &str,
    window: &str,
) -> Result<Meter> {
    let scope = Scope::from_parts(kind.parse()?, thing, person);
    Ok(Meter { scope, metric: metric.parse()?, window: window.parse()? })
}

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
        r#"select l.limit_id, l.scope_kind, l.thing_id, l.person_id, l.metric, l.window_kind, l.cap, l.mode, l.thresholds,
                  l.version, r.request_id as "request_id?", r.raised_until, r.cap_after,
                  -- What it falls back to: a raise that lasts longer, or what it was.
                  (select max(a.granted) from requests a
                   where a.org_id = r.org_id and a.scope_kind = r.scope_kind and a.thing_id = r.thing_id and a.person_id = r.person_id
                     and a.window_kind = r.window_kind and a.raised_until > r.raised_until and a.ended_at is null) as falls_to
           from limits l
           -- Set anew since, it is raised no more.
           left join requests r on r.org_id = l.org_id and r.scope_kind = l.scope_kind and r.thing_id = l.thing_id
                and r.person_id = l.person_id and r.window_kind = l.window_kind and l.metric = 'spend'
                and r.raised_until is not null and r.ended_at is null and r.granted = l.cap
           where l.org_id = $1 and l.limit_id = any ($2)"#,
        org.0,
        ids
    )
    .fetch_all(store.pool())
    .await?;
    let mut list = Vec::new();
    for row in rows {
        let meter =
            meter_of((row.scope_kind.as_str(), row.thing_id, row.person_id), &row.metric, &row.window_kind)?;
        let limit = Limit {
            id: Some(row.limit_id.into()),
            meter,
            cap: row.cap,
            mode: row.mode.parse()?,
            thresholds: percents(&row.thresholds).into(),
        };
        let span = facts.calendar.span(meter.window, now);
        list.push(LimitLevel {
            scope_name: facts.scope_name(meter.scope),
            level: Level::default(),
            starts_at: span.start,
            ends_at: span.end,
            version: Some(row.version),
            raised: row.request_id.zip(row.raised_until).map(|(request, until)| Raised {
                request: request.into(),
                until,
                then: row.falls_to.or(row.cap_after).map(Money),
            }),
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
        let meter =
            meter_of((row.scope_kind.as_str(), row.thing_id, row.person_id), &row.metric, &row.window_kind)?;
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
    if let Scope::Group(id) | Scope::Member(id, _) = meter.scope {
        let group = groups::read(change.db(), org, id).await?;
        if group.archived_at.is_some() {
            let sentence =
                format!("{name} is archived: nothing in it can call, so there is nothing to limit.");
            return Err(StoreError::invalid("", sentence));
        }
    }
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
        // What is raised for a time is lowered to less than it is without that.
        let lasting = requests::lasting(change.db(), org, facts, &meter).await?;
        if let Some(lasting) = lasting.filter(|lasting| form.cap > lasting.0) {
            let sentence = format!(
                "This limit is raised for a time. A lead can lower it to {} or less, which it is without that.",
                meter.show_cap(lasting.0)
            );
            return Err(StoreError::invalid("cap", sentence));
        }
        let silenced = known.as_ref().is_some_and(|known| known.mode == Mode::Enforce);
        if silenced && form.mode == Mode::Observe {
            let sentence = "Leads can lower a limit; only an admin or owner lets it take note only.";
            return Err(StoreError::invalid("mode", sentence));
        }
        let looser = known.as_ref().is_some_and(|known| form.cap > known.cap);
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
    // A file says what lasts: the same as now leaves a raise alone, and what it is raised to for a time ends it.
    let lasting = match change.permit().actor().door {
        Door::File => requests::raised(change, &meter).await?.map(|raised| raised.lasting),
        _ => None,
    };
    if let (Some(known), Some(Some(lasting))) = (&known, lasting)
        && lasting.0 == form.cap
    {
        let raised = LimitForm { cap: known.cap, ..form.clone() };
        return write(change, facts, meter, &raised, Some(known)).await;
    }
    if known.as_ref().is_some_and(|known| lasting.is_some() || known.cap != form.cap) {
        requests::overtaken(change, &[(meter, Some(Money(form.cap)))]).await?;
    }
    write(change, facts, meter, form, known.as_ref()).await
}

/// Another cap for as long as a raise holds, or what holds after it, and the line of the log. Whoever agreed to
/// the raise was asked for their permit then, and it is no setting of the limit, which would end the raise.
pub(crate) async fn put(change: &mut Change, facts: &Facts, meter: &Meter, cap: Money) -> Result<()> {
    let org = change.org();
    let known = known(change.db(), org, meter).await?;
    if known.as_ref().is_some_and(|known| known.cap == cap.0) {
        return Ok(());
    }
    let (mode, thresholds) = match &known {
        Some(known) => (known.mode, percents(&known.thresholds)),
        None => (Mode::Enforce, THRESHOLDS.to_vec()),
    };
    let form = LimitForm { cap: cap.0, mode, thresholds };
    write(change, facts, *meter, &form, known.as_ref()).await.map(|_id| ())
}

/// The limit that was made for a raise goes with it.
pub(crate) async fn take(change: &mut Change, facts: &Facts, meter: &Meter) -> Result<()> {
    let org = change.org();
    let Some(Known { id, cap, mode, .. }) = known(change.db(), org, meter).await? else { return Ok(()) };
    drop_limit(change, facts, id, meter, (cap, mode)).await
}

/// Writes a limit as it is to be from now on, and the line of the log.
async fn write(
    change: &mut Change,
    facts: &Facts,
    meter: Meter,
    form: &LimitForm,
    known: Option<&Known>,
) -> Result<LimitId> {
    let thresholds: Vec<i16> = form.thresholds.iter().map(|percent| i16::from(*percent)).collect();
    let (org, at, name) = (change.org(), change.at(), facts.scope_name(meter.scope));
    let id = match known {
        Some(known) => {
            sqlx::query!(
                "update limits set cap = $3, mode = $4, thresholds = $5, version = version + 1, changed_at = $6
                 where org_id = $1 and limit_id = $2",
                org.0,
                known.id.0,
                form.cap,
                form.mode.as_str(),
                &thresholds,
                at,
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
        .field("cap", known.map(|known| show(known.cap)), Some(show(form.cap)))
        .field("mode", known.map(|known| known.mode), Some(form.mode))
        .field(
            "thresholds",
            Some(known.map_or_else(String::new, |known| list(&known.thresholds))),
            Some(list(&thresholds)),
        );
    if !diff.is_empty() {
        let verb = if known.is_some() { "edit" } else { "create" };
        change.record(Subject { kind: "limit", id: id.0, name: &name }, verb, &diff).await?;
    }
    Ok(id)
}

/// Per cent of a cap at which somebody is told, where nobody said otherwise.
pub(crate) const THRESHOLDS: [u8; 3] = [50, 80, 100];

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

/// Takes a limit away, as it was seen at `version`. With it goes what raised it.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization; [`StoreError::Meanwhile`] when it
/// changed since.
pub async fn remove(
    change: &mut Change,
    id: LimitId,
    version: i64,
) -> Result<(Meter, LimitForm, Option<Raising>)> {
    let org = change.org();
    let facts = access::read(change.db(), org).await?;
    let last = seen::last(change, id.0).await?;
    let removed = remove_in(change, &facts, id).await?;
    if removed.version == version {
        return Ok((removed.meter, removed.form, removed.raised));
    }
    let sentence = format!(
        "{} changed this limit meanwhile: it is {} now. It was not removed; do it again if it still is to go.",
        last.as_subject(),
        removed.meter.show_cap(removed.form.cap)
    );
    Err(StoreError::Meanwhile(sentence))
}

/// A limit that went.
struct Removed {
    meter: Meter,
    form: LimitForm,
    version: i64,
    raised: Option<Raising>,
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
    let meter =
        meter_of((row.scope_kind.as_str(), row.thing_id, row.person_id), &row.metric, &row.window_kind)?;
    change.expect(Act::LoosenLimits, group_of(facts, meter.scope)?)?;
    let raised = requests::raised(change, &meter).await?;
    requests::overtaken(change, &[(meter, None)]).await?;
    let mode = row.mode.parse()?;
    drop_limit(change, facts, id, &meter, (row.cap, mode)).await?;
    let form = LimitForm { cap: row.cap, mode, thresholds: percents(&row.thresholds) };
    Ok(Removed { meter, form, version: row.version, raised })
}

async fn drop_limit(
    change: &mut Change,
    facts: &Facts,
    id: LimitId,
    meter: &Meter,
    (cap, mode): (i64, Mode),
) -> Result<()> {
    let org = change.org();
    sqlx::query!(
        "insert into limits_that_were (org_id, limit_id, user_id)
         select org_id, limit_id, case scope_kind when 'user' then thing_id else person_id end from limits
         where org_id = $1 and limit_id = $2 and scope_kind in ('user', 'member')",
        org.0,
        id.0
    )
    .execute(change.db())
    .await?;
    sqlx::query!("delete from limits where org_id = $1 and limit_id = $2", org.0, id.0)
        .execute(change.db())
        .await?;
    let diff = Diff::new().field("cap", Some(meter.show_cap(cap)), None::<String>).field(
        "mode",
        Some(mode),
        None::<String>,
    );
    let name = facts.scope_name(meter.scope);
    change.record(Subject { kind: "limit", id: id.0, name: &name }, "remove", &diff).await
}

/// Gives a rule the quotas of another one, which it takes the place of, and counts them anew. Where it
/// has one on the same already, whoever may widen sets the other's, and a lead the lower of both.
pub(crate) async fn hand_on(
    change: &mut Change,
    facts: &Facts,
    from: AuthorizationId,
    to: AuthorizationId,
) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let to = Scope::Authorization(to);
    let name = facts.scope_name(to);
    let group = group_of(facts, to)?;
    let widens = change.expect(Act::WidenAuthorizations, group).is_ok();
    let quotas = facts.limits.get(&Scope::Authorization(from)).map_or(&[][..], Vec::as_slice);
    for (quota, id) in quotas.iter().filter_map(|quota| Some((quota, quota.id?))) {
        let meter = Meter { scope: to, ..quota.meter };
        // A raise was of the quota that goes; what it is without that is handed on.
        let lasting = requests::lasting(change.db(), org, facts, &quota.meter).await?;
        let cap = lasting.map_or(quota.cap, |lasting| lasting.0);
        if lasting.is_some() {
            requests::overtaken(change, &[(quota.meter, Some(Money(cap)))]).await?;
            put(change, facts, &quota.meter, Money(cap)).await?;
        }
        let known = known(change.db(), org, &meter).await?;
        let before = known.as_ref().map(|known| (known.cap, known.mode));
        let looser = before.is_some_and(|(before, mode)| {
            mode == Mode::Enforce && (cap > before || quota.mode == Mode::Observe)
        });
        if looser && !widens {
            continue;
        }
        let (_, thing, _) = to.parts();
        let id = match known {
            Some(known) => {
                if known.cap != cap {
                    requests::overtaken(change, &[(meter, Some(Money(cap)))]).await?;
                }
                let thresholds: Vec<i16> =
                    quota.thresholds.iter().map(|percent| i16::from(*percent)).collect();
                sqlx::query!(
                    "update limits set cap = $3, mode = $4, thresholds = $5, version = version + 1, changed_at = $6
                 where org_id = $1 and limit_id = $2",
                    org.0,
                    known.id.0,
                    cap,
                    quota.mode.as_str(),
                    &thresholds,
                    at,
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
            .field("cap", before.map(|(cap, _)| meter.show_cap(cap)), Some(meter.show_cap(cap)))
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
