//! The monthly limit of a person, one and many at once.

use std::collections::HashMap;

use domain::{
    access::Facts,
    batches::Kept,
    ids::{LimitId, UserId},
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    roles::Act,
    window::Window,
};
use uuid::Uuid;

use super::{LimitForm, Seen, THRESHOLDS, check, group_of, known, remove_in, set_in};
use crate::{Change, Diff, Result, Subject, access, clock, requests};

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
    let set: Vec<_> = people.iter().map(|month| (meter(month.user), month.cap)).collect();
    requests::overtaken(change, &set).await?;
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
         do update set cap = excluded.cap, version = l.version + 1, changed_at = $5,
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
    sqlx::query!(
        "insert into limits_that_were (org_id, limit_id, user_id)
         select org_id, limit_id, case scope_kind when 'user' then thing_id else person_id end from limits
         where org_id = $1 and limit_id = any ($2) and scope_kind in ('user', 'member')",
        org.0,
        &gone
    )
    .execute(change.db())
    .await?;
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
