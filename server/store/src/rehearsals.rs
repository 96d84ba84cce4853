//! Drafts, and what they would have meant for the calls of the last days.
//!
//! A draft is made in a transaction that is not kept, so what is rehearsed is the change itself.
//! The calls are replayed when that transaction is over: nobody waits for a rehearsal.

mod tape;

use std::collections::HashSet;

use chrono::{DateTime, Days, Duration, Utc};
use domain::{
    access::Facts,
    authorizations::EDITS_MAX,
    ids::{ApplicationId, BatchId, GroupId, OrgId, RehearsalId, UserId},
    limits::{Meter, Mode, Scope, ScopeKind, Subject},
    money::Money,
    rehearsal::{
        Amounts, Budget, Draft, Period, Reach, Rehearsal, Report, Rerouted, RuleEdit, Usual, budgets,
        budgets_of_application, priced_from_the_start, reach, reach_of_application, rerouted,
    },
    roles::Permit,
    window::{Span, Window},
};
use serde_json::json;

use self::tape::Tape;
use crate::{
    Change, Result, Store, StoreError, access, access_tests,
    access_tests::Broken,
    applications,
    authorizations::{self, drafts},
    clock, groups, limits, policies,
};

/// How long a draft is kept.
const KEPT_HOURS: i64 = 24;

/// How many calls are replayed at once; of more, the newest.
const CALLS_MAX: i64 = 400_000;

/// How many days are replayed at most.
pub const DAYS_MAX: u32 = 90;

/// A draft that is kept.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Which.
    pub id: RehearsalId,
    /// What is to be changed.
    pub draft: Draft,
    /// The page it was drafted on.
    pub page: String,
    /// What was typed there.
    pub fields: Vec<(String, String)>,
}

/// What a draft would have meant.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// For the calls of the period.
    pub report: Report,
    /// Which groups gain or lose which models.
    pub reach: Vec<Reach>,
    /// Which limits a moved group comes under or leaves, or which limit changes.
    pub budgets: Vec<Budget>,
    /// Which moved applications go another way when a call names no model.
    pub rerouted: Vec<Rerouted>,
    /// Pinned tests it would break: then it cannot be saved.
    pub broken: Vec<Broken>,
    /// The facts as they are.
    pub before: Facts,
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Unreadable(error.to_string())
}

/// Keeps a draft that could be saved. Nothing is changed by it.
///
/// # Errors
/// [`StoreError::Invalid`] when it is about nothing, or about too much; those of the change itself.
pub async fn prepare(
    store: &Store,
    permit: Permit,
    draft: &Draft,
    page: &str,
    fields: &[(String, String)],
) -> Result<RehearsalId> {
    let org = permit.org();
    let actor = permit.actor().user.ok_or(StoreError::NotPermitted(permit.act()))?;
    if let Draft::Authorizations(edits) = draft {
        if edits.is_empty() {
            return Err(StoreError::invalid("edits", "Change at least one rule first."));
        }
        if edits.len() > EDITS_MAX {
            let sentence = format!("At most {EDITS_MAX} rules are changed at once.");
            return Err(StoreError::invalid("edits", sentence));
        }
    }
    let mut change = Change::begin(store, permit).await?;
    apply(&mut change, draft).await?;
    change.abandon().await?;
    let (id, now) = (clock::id::<RehearsalId>(), clock::now());
    sqlx::query!(
        "delete from rehearsals where org_id = $1 and prepared_at < $2",
        org.0,
        now - Duration::hours(KEPT_HOURS)
    )
    .execute(store.pool())
    .await?;
    sqlx::query!(
        "insert into rehearsals (org_id, rehearsal_id, actor_id, draft, page, fields, prepared_at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        org.0,
        id.0,
        actor.0,
        json!(draft),
        page,
        json!(fields),
        now,
    )
    .execute(store.pool())
    .await?;
    Ok(id)
}

/// A draft of this person's.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not there, or somebody else's.
pub async fn get(store: &Store, org: OrgId, actor: UserId, id: RehearsalId) -> Result<Prepared> {
    let row = sqlx::query!(
        "select draft, page, fields from rehearsals where org_id = $1 and rehearsal_id = $2 and actor_id = $3",
        org.0,
        id.0,
        actor.0,
    )
    .fetch_one(store.pool())
    .await?;
    Ok(Prepared {
        id,
        draft: serde_json::from_value(row.draft).map_err(unreadable)?,
        page: row.page,
        fields: serde_json::from_value(row.fields).map_err(unreadable)?,
    })
}

/// Makes a draft come true. The draft is used up by it.
///
/// # Errors
/// [`StoreError::Stale`] when it was saved already; those of the change itself.
pub async fn save(change: &mut Change, prepared: &Prepared) -> Result<Option<BatchId>> {
    let org = change.org();
    let done =
        sqlx::query!("delete from rehearsals where org_id = $1 and rehearsal_id = $2", org.0, prepared.id.0)
            .execute(change.db())
            .await?;
    crate::change::exactly_one(&done)?;
    if let Draft::Authorizations(edits) = &prepared.draft
        && edits.iter().all(|rule| rule.mode == Mode::Enforce)
    {
        let edits = edits.iter().map(|rule| rule.edit).collect();
        return drafts::save_at_once(change, &domain::authorizations::Draft { edits }).await.map(Some);
    }
    apply(change, &prepared.draft).await.map(|()| None)
}

/// Makes a draft come true.
///
/// # Errors
/// Those of the change itself.
pub async fn apply(change: &mut Change, draft: &Draft) -> Result<()> {
    match draft {
        Draft::Authorizations(edits) => {
            let (decide, observe): (Vec<&RuleEdit>, Vec<&RuleEdit>) =
                edits.iter().partition(|rule| rule.mode == Mode::Enforce);
            // What only took note is to decide: the same rule, with its quotas.
            if let ([RuleEdit { edit, .. }], [RuleEdit { edit: without, .. }]) = (&decide[..], &observe[..])
                && edit.cell == without.cell
                && without.say.is_none()
            {
                let draft = domain::authorizations::Draft { edits: vec![*edit] };
                if drafts::look(change, &draft).await?.iter().any(|looked| looked.stale) {
                    return Err(StoreError::Stale);
                }
                return authorizations::promote_in(change, edit.cell, edit.say).await;
            }
            if !decide.is_empty() {
                // Judged together: what one of them opens another may close.
                let edits = decide.into_iter().map(|rule| rule.edit).collect();
                drafts::run(change, &domain::authorizations::Draft { edits }).await?;
            }
            for RuleEdit { edit, .. } in observe {
                authorizations::observe(change, edit.cell.group, edit.cell.target, edit.say).await?;
            }
        }
        Draft::Limit { meter, cap, mode, thresholds, version } => {
            let form = limits::LimitForm { cap: *cap, mode: *mode, thresholds: thresholds.clone() };
            limits::set(change, *meter, &form, (*version).into()).await?;
        }
        Draft::Policy { id, version, name, routing, steps, rules } => {
            // What is done after a failure is not replayed: which calls fail is not known.
            let rules = match (rules, id) {
                (Some(rules), _) => rules.clone(),
                (None, Some(id)) => policies::rules_of(change, *id).await?,
                (None, None) => Default::default(),
            };
            let (name, steps) = (name.clone(), steps.clone());
            let form = policies::PolicyForm { name, routing: *routing, steps, rules };
            match id {
                Some(id) => policies::update(change, *id, *version, &form).await?,
                None => {
                    policies::insert(change, &form).await?;
                }
            }
        }
        Draft::Move { group, from, parent } => groups::move_from(change, *group, *from, *parent).await?,
        Draft::MoveApplication { application, version, from, to } => {
            applications::move_to(change, *application, *version, *from, *to).await?;
        }
    }
    Ok(())
}

/// What a draft would have meant for the calls of the last days. Whose permit is for some
/// groups is told only what concerns those and what is below them.
///
/// # Errors
/// Those of the change itself: a draft that cannot be saved cannot be rehearsed.
pub async fn rehearse(store: &Store, permit: Permit, draft: &Draft, days: u32) -> Result<Rehearsed> {
    let (org, within) = (permit.org(), permit.groups().map(<[GroupId]>::to_vec));
    let mut change = Change::begin(store, permit).await?;
    let now = change.at();
    let mut before = access::read(change.db(), org).await?;
    apply(&mut change, draft).await?;
    let mut after = access::read(change.db(), org).await?;
    let tests = access_tests::tests(change.db(), org).await?;
    change.abandon().await?;
    let broken = access_tests::broken(&before, &after, &tests, now);
    priced_from_the_start(&mut before);
    priced_from_the_start(&mut after);
    let period = period(store, &before, days.clamp(1, DAYS_MAX), now).await?;
    let usual = usual(store, &before, period).await?;
    let mut rehearsal = Rehearsal::new(&before, &after, usual, within.clone());
    open(store, &before, &after, period.since, &mut rehearsal).await?;
    let mut tape = Tape::new(store, org, period).await?;
    while let Some(call) = tape.next().await? {
        rehearsal.call(&call);
    }
    let report = rehearsal.finish(period);
    let (mut reach, mut budgets) = changed(&before, &after, draft, now);
    let inside = |id: &GroupId| {
        let told = |path: &[GroupId]| {
            within.as_ref().is_none_or(|within| path.iter().any(|above| within.contains(above)))
        };
        before.groups.get(id).is_some_and(|group| told(&group.path))
    };
    reach.retain(|reach| inside(&reach.group));
    let keys: Vec<(Meter, Span)> = budgets
        .iter()
        .map(|budget| (budget.limit.meter, before.calendar.span(budget.limit.meter.window, now)))
        .collect();
    for (budget, level) in budgets.iter_mut().zip(limits::levels(store, org, &keys).await?) {
        // What is used of a limit further up is for those who may read it there.
        let reads = match budget.limit.meter.scope {
            Scope::Group(group) => inside(&group),
            _ => within.is_none(),
        };
        budget.used = reads.then(|| level.settled.saturating_add(level.held));
    }
    let rerouted = rerouted(&before, &after);
    Ok(Rehearsed { report, reach, budgets, rerouted, broken, before })
}

/// Which groups gain or lose which models, and which limits begin or cease to apply.
fn changed(before: &Facts, after: &Facts, draft: &Draft, now: DateTime<Utc>) -> (Vec<Reach>, Vec<Budget>) {
    let mut reach = reach(before, after, now);
    let touched: Vec<GroupId> = match draft {
        Draft::Move { group, .. } => vec![*group],
        Draft::Limit { meter: Meter { scope: Scope::Group(group), .. }, .. } => vec![*group],
        _ => Vec::new(),
    };
    let mut budgets = budgets(before, after, &touched);
    if let Draft::MoveApplication { application, .. } = draft {
        reach.extend(reach_of_application(before, after, *application, now));
        budgets = budgets_of_application(before, after, *application);
    }
    (reach, budgets)
}

/// What a draft changes by itself, whatever was called: as [`rehearse`] says it, without what is used.
pub fn consequences(
    before: &Facts,
    after: &Facts,
    draft: &Draft,
    now: DateTime<Utc>,
) -> (Vec<Reach>, Vec<Budget>, Vec<Rerouted>) {
    let (mut before, mut after) = (before.clone(), after.clone());
    priced_from_the_start(&mut before);
    priced_from_the_start(&mut after);
    let (reach, budgets) = changed(&before, &after, draft, now);
    let rerouted = rerouted(&before, &after);
    (reach, budgets, rerouted)
}

/// From the first moment of a day of the organization's calendar until now; later when there are
/// more calls than are replayed at once.
async fn period(store: &Store, facts: &Facts, days: u32, now: DateTime<Utc>) -> Result<Period> {
    let today = facts.calendar.day(now);
    let first = today.checked_sub_days(Days::new(u64::from(days.saturating_sub(1)))).unwrap_or(today);
    let asked = facts.calendar.midnight(first);
    let cut = sqlx::query_scalar!(
        "select started_at from events where org_id = $1 and started_at >= $2 and started_at < $3 and day >= $4
         order by started_at desc offset $5 limit 1",
        facts.org.0,
        asked,
        now,
        asked.date_naive(),
        CALLS_MAX,
    )
    .fetch_optional(store.pool())
    .await?;
    let since = match cut {
        None => asked,
        Some(at) => {
            // From the start of the next whole day, unless that is to come.
            let next = facts.calendar.day(at).succ_opt().map(|day| facts.calendar.midnight(day));
            next.filter(|next| *next < now).unwrap_or(at)
        }
    };
    Ok(Period { since, until: now, days, cut: cut.is_some() })
}

/// What calls of each application used on each model, summed up over the period.
async fn usual(store: &Store, facts: &Facts, period: Period) -> Result<Usual> {
    let rows = sqlx::query!(
        r#"select application_id, model_id, sum(calls)::bigint as "calls!", sum(spend)::bigint as "spend!",
                  sum(input + cache_read + cache_write)::bigint as "input!", sum(output + reasoning)::bigint as "output!"
           from usage_by_day where org_id = $1 and day >= $2 and day <= $3 and calls > 0
           group by application_id, model_id"#,
        facts.org.0,
        facts.calendar.day(period.since),
        facts.calendar.day(period.until),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let sums =
                Amounts { cost: Money(row.spend), requests: row.calls, input: row.input, output: row.output };
            ((row.application_id.into(), row.model_id.into()), sums)
        })
        .collect())
}

/// Fills the windows that had begun before the replay does.
async fn open(
    store: &Store,
    before: &Facts,
    after: &Facts,
    since: DateTime<Utc>,
    rehearsal: &mut Rehearsal<'_>,
) -> Result<()> {
    let meters: HashSet<Meter> = [before, after]
        .iter()
        .flat_map(|facts| facts.limits.values().flatten())
        .map(|limit| limit.meter)
        .collect();
    let mut windows: HashSet<Window> = meters.iter().map(|meter| meter.window).collect();
    if before.default_user_limit.is_some() || after.default_user_limit.is_some() {
        windows.insert(Window::Month);
    }
    for window in windows {
        let span = before.calendar.span(window, since);
        if span.start >= since {
            continue;
        }
        for used in used_by_days(store, before, span, since).await? {
            for scope in used.scopes() {
                rehearsal.opened(scope, window, since, &used.amounts);
            }
        }
        for used in used_today(store, before, span, since).await? {
            for scope in used.scopes() {
                rehearsal.opened(scope, window, since, &used.amounts);
            }
        }
    }
    // Sums by day do not say by which rule or grant a call passed.
    for meter in meters
        .into_iter()
        .filter(|meter| matches!(meter.scope.kind(), ScopeKind::Authorization | ScopeKind::Grant))
    {
        let span = before.calendar.span(meter.window, since);
        if span.start < since {
            let until = Span { start: span.start, end: Some(since) };
            let used = limits::used(&mut *store.pool().acquire().await?, before.org, &meter, until).await?;
            rehearsal.opened_meter(meter, since, used);
        }
    }
    Ok(())
}

/// What was used by one application, and one person where one is known, on one path.
struct UsedBefore {
    path: Vec<GroupId>,
    application: ApplicationId,
    user: Option<UserId>,
    amounts: Amounts,
}

impl UsedBefore {
    fn scopes(&self) -> impl Iterator<Item = Scope> + use<> {
        let subject = Subject {
            path: &self.path,
            application: self.application,
            user: self.user,
            authorization: None,
            beside: None,
            grant: None,
        };
        subject.scopes().into_iter()
    }
}

async fn used_by_days(
    store: &Store,
    facts: &Facts,
    span: Span,
    since: DateTime<Utc>,
) -> Result<Vec<UsedBefore>> {
    let rows = sqlx::query!(
        r#"select p.groups, d.application_id, d.user_id, sum(d.calls)::bigint as "calls!", sum(d.spend)::bigint as "spend!",
                  sum(d.input + d.cache_read + d.cache_write)::bigint as "input!",
                  sum(d.output + d.reasoning)::bigint as "output!"
           from usage_by_day d join group_paths p on p.org_id = d.org_id and p.path_id = d.path_id
           where d.org_id = $1 and d.day >= $2 and d.day < $3 and d.calls > 0
           group by p.groups, d.application_id, d.user_id"#,
        facts.org.0,
        facts.calendar.day(span.start),
        facts.calendar.day(since),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UsedBefore {
            path: row.groups.into_iter().map(GroupId).collect(),
            application: row.application_id.into(),
            user: (!row.user_id.is_nil()).then_some(UserId(row.user_id)),
            amounts: Amounts {
                cost: Money(row.spend),
                requests: row.calls,
                input: row.input,
                output: row.output,
            },
        })
        .collect())
}

/// The same for the part of a day before a replay that begins in the middle of one.
async fn used_today(
    store: &Store,
    facts: &Facts,
    span: Span,
    since: DateTime<Utc>,
) -> Result<Vec<UsedBefore>> {
    let from = span.start.max(facts.calendar.midnight(facts.calendar.day(since)));
    if from >= since {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select p.groups, e.application_id, e.user_id, count(*) as "calls!", sum(e.cost)::bigint as "spend!",
                  sum(e.input + e.cache_read + e.cache_write + e.cache_write_long + e.audio_input)::bigint as "input!",
                  sum(e.output + e.reasoning + e.audio_output)::bigint as "output!"
           from events e join group_paths p on p.org_id = e.org_id and p.path_id = e.path_id
           where e.org_id = $1 and e.started_at >= $2 and e.started_at < $3 and e.day >= $4
           group by p.groups, e.application_id, e.user_id"#,
        facts.org.0,
        from,
        since,
        from.date_naive(),
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UsedBefore {
            path: row.groups.into_iter().map(GroupId).collect(),
            application: row.application_id.into(),
            user: row.user_id.map(UserId),
            amounts: Amounts {
                cost: Money(row.spend),
                requests: row.calls,
                input: row.input,
                output: row.output,
            },
        })
        .collect())
}
