//! More money under a limit: asked for, given until a last day, taken back after it.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    access::Facts,
    ids::{GroupId, OrgId, RequestId, UserId},
    limits::{Meter, Metric, Mode, Scope},
    money::Money,
    requests::{RequestState, Terms, Wish, Words, answered_accounts, led_by, raisable},
    roles::{Act, Actor, Place, permit},
    window::Window,
};

use sqlx::PgConnection;

use super::{Row, approvals, check_terms, locked, told};
use crate::{
    Change, Diff, Result, Store, StoreError, Subject, access, clock,
    limits::{self, LimitForm},
    organizations,
};

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct RaiseForm {
    /// Whose cap is to be raised. It counts money.
    pub meter: Meter,
    /// On which group's account calls run into it: its leads see what is asked for.
    pub group: GroupId,
    /// Why.
    pub reason: Words,
    /// The new cap, and until when.
    pub terms: Terms,
}

/// A cap as it stands.
struct Standing {
    cap: Money,
    /// Whether it is the organization's default for people, and no limit of its own.
    default: bool,
    mode: Mode,
}

async fn standing(change: &mut Change, facts: &Facts, meter: &Meter) -> Result<Option<Standing>> {
    if let Some((_, form, _)) = limits::said(change, meter).await? {
        let LimitForm { cap, mode, .. } = form;
        return Ok(Some(Standing { cap: Money(cap), default: false, mode }));
    }
    let month =
        matches!(meter, Meter { scope: Scope::User(_), metric: Metric::Spend, window: Window::Month });
    Ok(facts.default_user_limit.filter(|_| month).map(|cap| Standing {
        cap,
        default: true,
        mode: Mode::Enforce,
    }))
}

/// Whether a limit can be raised to a cap: it is there, it refuses, and it is lower.
pub(super) async fn check_raises(
    change: &mut Change,
    facts: &Facts,
    meter: &Meter,
    cap: Money,
) -> Result<()> {
    let now = standing(change, facts, meter).await?;
    let sentence = match now {
        None => "There is no such limit any more: nothing has to be raised.".to_owned(),
        Some(now) if now.mode == Mode::Observe => {
            "This limit only takes note now and refuses nothing: nothing has to be raised.".to_owned()
        }
        Some(now) if now.cap >= cap => {
            return Err(StoreError::invalid(
                "amount",
                format!("It is {} now. Enter more than that.", meter.show_cap(now.cap.0)),
            ));
        }
        Some(_) => return Ok(()),
    };
    Err(StoreError::invalid("", sentence))
}

/// Asks that a limit be raised.
///
/// # Errors
/// [`StoreError::NotFound`] when no call of theirs runs into it and they lead nobody who does;
/// [`StoreError::Invalid`] when there is nothing to raise; [`StoreError::Conflict`] when the same already
/// waits.
pub async fn insert_raise(change: &mut Change, form: &RaiseForm) -> Result<RequestId> {
    let me = change.permit().actor().user.ok_or(StoreError::NotPermitted(Act::UseOwn))?;
    change.expect(Act::UseOwn, None)?;
    let (org, at) = (change.org(), change.at());
    let facts = access::read(change.db(), org).await?;
    if !raisable(&facts, &form.meter, me, at) {
        return Err(StoreError::NotFound);
    }
    let leads = led_by(&facts, me, at).contains(&form.group);
    if !leads && !answered_accounts(&facts, me, at).contains(&form.group) {
        return Err(StoreError::NotFound);
    }
    if !leads && !organizations::read(change.db(), org).await?.members.requests {
        let sentence = "Members do not ask for more themselves here. Ask a lead of the group or an admin.";
        return Err(StoreError::invalid("", sentence));
    }
    let group = facts.groups.get(&form.group).ok_or(StoreError::NotFound)?;
    // Their leads see what is asked for: those whose calls run into it.
    let concerned = match form.meter.scope {
        Scope::Group(id) | Scope::Member(id, _) => group.path.contains(&id),
        Scope::Application(id) => facts.applications.get(&id).is_some_and(|known| known.group == form.group),
        _ => true,
    };
    if !concerned {
        return Err(StoreError::NotFound);
    }
    let group = group.name.clone();
    let today = facts.calendar.day(at);
    check_terms(&form.terms, today)?;
    check_raises(change, &facts, &form.meter, form.terms.amount).await?;
    let now = standing(change, &facts, &form.meter).await?.ok_or(StoreError::NotFound)?;
    give_up_lapsed(change, form, today).await?;
    let name = facts.scope_name(form.meter.scope);
    let wish = Wish::Raise { meter: form.meter, name, from: now.cap };
    let counted = counted(change, &facts, &wish).await?;
    let approvers = approvals::needed(change, &counted, &form.terms, today).await?;
    let own = matches!(form.meter.scope, Scope::User(user) | Scope::Member(_, user) if user == me);
    let (kind, thing, person) = form.meter.scope.parts();
    let id: RequestId = clock::id();
    sqlx::query!(
        "insert into requests (org_id, request_id, scope_kind, thing_id, person_id, window_kind, thing_name, cap_before,
                               requester_id, group_id, for_group, reason, amount, ends_on, created_at, state, approvers)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'waiting', $16)",
        org.0,
        id.0,
        kind.as_str(),
        thing,
        person,
        form.meter.window.as_str(),
        wish.name(),
        now.cap.0,
        me.0,
        form.group.0,
        !own,
        form.reason.as_str(),
        form.terms.amount.0,
        form.terms.ends_on,
        at,
        i16::from(approvers),
    )
    .execute(change.db())
    .await?;
    told::asked(change, id, &wish, (form.group, &group, !own), &form.terms, (&form.reason, approvers))
        .await?;
    let diff = Diff::new()
        .field("limit", Some(wish.show(now.cap)), Some(wish.show(form.terms.amount)))
        .set("until", form.terms.ends_on)
        .set("reason", form.reason.as_str());
    change.record(Subject { kind: "request", id: id.0, name: wish.name() }, "create", &diff).await?;
    Ok(id)
}

/// What somebody asked for before, and nobody answered in time, stands in the way of asking anew no
/// longer.
async fn give_up_lapsed(change: &mut Change, form: &RaiseForm, today: NaiveDate) -> Result<()> {
    let (org, me) = (change.org(), change.permit().actor().user);
    let (kind, thing, person) = form.meter.scope.parts();
    let lapsed = sqlx::query_scalar!(
        "select request_id from requests
         where org_id = $1 and requester_id = $2 and model_id is null and scope_kind = $3 and thing_id = $4
           and person_id = $5 and window_kind = $6 and state = 'waiting' and ends_on < $7",
        org.0,
        me.map(|me| me.0),
        kind.as_str(),
        thing,
        person,
        form.meter.window.as_str(),
        today,
    )
    .fetch_optional(change.db())
    .await?;
    match lapsed {
        Some(id) => super::take_back(change, id.into()).await.map(|_name| ()),
        None => Ok(()),
    }
}

/// A raise that is not over.
struct Running {
    id: RequestId,
    cap: Money,
    until: NaiveDate,
    /// What the cap is when no raise of it holds any more; none: the own limit goes.
    lasting: Option<Money>,
}

/// Raises of a limit that are not over, the highest first.
async fn running(db: &mut PgConnection, org: OrgId, meter: &Meter) -> Result<Vec<Running>> {
    let (kind, thing, person) = meter.scope.parts();
    if meter.metric != Metric::Spend {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"select request_id, granted as "granted!", raised_until as "raised_until!", cap_after from requests
           where org_id = $1 and model_id is null and scope_kind = $2 and thing_id = $3 and person_id = $4
             and window_kind = $5 and raised_until is not null and ended_at is null
           order by granted desc, raised_until desc, request_id"#,
        org.0,
        kind.as_str(),
        thing,
        person,
        meter.window.as_str(),
    )
    .fetch_all(db)
    .await?;
    let running = rows.into_iter().map(|row| Running {
        id: row.request_id.into(),
        cap: Money(row.granted),
        until: row.raised_until,
        lasting: row.cap_after.map(Money),
    });
    Ok(running.collect())
}

/// What a limit on money is without the raises that hold now; none: nothing raises it. A person's month
/// without a limit of its own is the organization's default.
pub(crate) async fn lasting(
    db: &mut PgConnection,
    org: OrgId,
    facts: &Facts,
    meter: &Meter,
) -> Result<Option<Money>> {
    let running = running(db, org, meter).await?;
    Ok(running.first().and_then(|raise| raise.lasting.or(facts.default_user_limit)))
}

/// A limit that is raised now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raising {
    /// To how much.
    pub cap: Money,
    /// Until the end of this day.
    pub until: NaiveDate,
    /// What it is without any raise; none: it has no cap of its own then.
    pub lasting: Option<Money>,
    /// How many lower raises of it are not over, either.
    pub lower: usize,
}

impl Raising {
    /// To how much and until when, and what else of it is not over: `$39.00 a month until 5 Dec 2026, and a
    /// lower one`.
    pub fn show(&self, meter: &Meter) -> String {
        let raise = format!("{} until {}", meter.show_cap(self.cap.0), domain::time::date(self.until));
        match self.lower {
            0 => raise,
            1 => format!("{raise}, and a lower one"),
            lower => format!("{raise}, and {lower} lower ones"),
        }
    }

    /// What is said where somebody sets the limit or takes it away: that what raises it ends with it.
    pub fn ends(&self, meter: &Meter) -> String {
        let end = if self.lower == 0 { " ends" } else { ", end" };
        format!("The raise to {}{end} with it", self.show(meter))
    }
}

/// The raise of a limit that holds now, read in a change; none: nothing raises it.
///
/// # Errors
/// When the database does not answer.
pub async fn raised(change: &mut Change, meter: &Meter) -> Result<Option<Raising>> {
    let org = change.org();
    let running = running(change.db(), org, meter).await?;
    Ok(running.first().map(|raise| Raising {
        cap: raise.cap,
        until: raise.until,
        lasting: raise.lasting,
        lower: running.len() - 1,
    }))
}

/// Limits that are raised now, and what each is without; none: it has no cap of its own then.
///
/// # Errors
/// When the database does not answer.
pub async fn lasting_caps(store: &Store, org: OrgId) -> Result<HashMap<Meter, Option<Money>>> {
    caps(&mut *store.pool().acquire().await?, org, None).await
}

/// Limits that are raised now, and what each is on a day, when some of these raises are over; none: it has no
/// cap of its own then.
///
/// # Errors
/// When the database does not answer.
pub async fn caps_on(store: &Store, org: OrgId, day: NaiveDate) -> Result<HashMap<Meter, Option<Money>>> {
    caps(&mut *store.pool().acquire().await?, org, Some(day)).await
}

/// People whose month is raised now, and what it is without.
pub(crate) async fn lasting_months(change: &mut Change) -> Result<HashMap<UserId, Option<Money>>> {
    let org = change.org();
    let caps = caps(change.db(), org, None).await?;
    let months = caps.into_iter().filter_map(|(meter, cap)| match (meter.scope, meter.window) {
        (Scope::User(user), Window::Month) => Some((user, cap)),
        _ => None,
    });
    Ok(months.collect())
}

/// Limits that are raised now, each with the highest raise of it.
///
/// # Errors
/// When the database does not answer.
pub async fn raised_limits(store: &Store, org: OrgId) -> Result<HashMap<Meter, Raising>> {
    let mut raised = HashMap::<Meter, Raising>::new();
    // The highest comes last.
    for (meter, raise) in all_running(&mut *store.pool().acquire().await?, org).await? {
        let lower = raised.get(&meter).map_or(0, |lower| lower.lower + 1);
        raised.insert(meter, Raising { lower, ..raise });
    }
    Ok(raised)
}

async fn caps(
    db: &mut PgConnection,
    org: OrgId,
    on: Option<NaiveDate>,
) -> Result<HashMap<Meter, Option<Money>>> {
    let mut all = HashMap::new();
    for (meter, raise) in all_running(db, org).await? {
        if on.is_some_and(|day| day <= raise.until) {
            // The highest one that still holds then comes last.
            all.insert(meter, Some(raise.cap));
        } else {
            all.entry(meter).or_insert(raise.lasting);
        }
    }
    Ok(all)
}

/// Every raise that is not over, the lowest first.
async fn all_running(db: &mut PgConnection, org: OrgId) -> Result<Vec<(Meter, Raising)>> {
    let rows = sqlx::query!(
        r#"select scope_kind as "scope_kind!", thing_id as "thing_id!", person_id as "person_id!",
                  window_kind as "window_kind!", granted as "granted!", raised_until as "raised_until!", cap_after
           from requests where org_id = $1 and raised_until is not null and ended_at is null
           order by granted"#,
        org.0,
    )
    .fetch_all(db)
    .await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
        let meter = Meter { scope, metric: Metric::Spend, window: row.window_kind.parse()? };
        let (cap, lasting) = (Money(row.granted), row.cap_after.map(Money));
        all.push((meter, Raising { cap, until: row.raised_until, lasting, lower: 0 }));
    }
    Ok(all)
}

/// What somebody asks for, with what may be spent beyond the cap that lasts: whoever asks in steps asks for
/// the whole of it.
pub(super) async fn counted(change: &mut Change, facts: &Facts, wish: &Wish) -> Result<Wish> {
    let Wish::Raise { meter, name, from } = wish else { return Ok(wish.clone()) };
    let org = change.org();
    let lasting = match lasting(change.db(), org, facts, meter).await? {
        Some(lasting) => lasting,
        None => standing(change, facts, meter).await?.map_or(*from, |now| now.cap),
    };
    Ok(Wish::Raise { meter: *meter, name: name.clone(), from: lasting })
}

/// Raises a limit to a cap. Returns what it is when no raise of it holds any more; none: what held before
/// there was a limit of its own. An earlier raise that would not outlast this one ends; one that does is
/// what the limit falls back to.
pub(super) async fn raise(change: &mut Change, meter: &Meter, terms: &Terms) -> Result<Option<Money>> {
    let org = change.org();
    let facts = access::read(change.db(), org).await?;
    let now = standing(change, &facts, meter).await?.ok_or(StoreError::NotFound)?;
    let running = running(change.db(), org, meter).await?;
    let lasting = match running.first() {
        Some(raise) => raise.lasting,
        None => (!now.default).then_some(now.cap),
    };
    let over: Vec<RequestId> =
        running.iter().filter(|raise| raise.until <= terms.ends_on).map(|raise| raise.id).collect();
    for id in over {
        let row = close(change, id, None).await?;
        told::overtaken(change, id, &row, &Overtaken::ByRaise(terms)).await?;
    }
    limits::put(change, &facts, meter, terms.amount).await?;
    Ok(lasting)
}

/// Why a raise ends although neither its day is over nor somebody has ended it.
pub(super) enum Overtaken<'a> {
    /// A higher one, which lasts as long, takes its place.
    ByRaise(&'a Terms),
    /// Somebody has set the limit; none: taken it away.
    BySetting(Option<Money>),
}

/// Somebody sets limits, or takes them away: that is what holds, and raises of them are over. Each comes with
/// its new cap.
pub(crate) async fn overtaken(change: &mut Change, set: &[(Meter, Option<Money>)]) -> Result<()> {
    let org = change.org();
    let parts: Vec<_> = set.iter().map(|(meter, _)| meter.scope.parts()).collect();
    let rows = sqlx::query!(
        r#"select r.request_id, k.place as "place!"
           from unnest($2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[]) with ordinality
                as k (kind, thing, person, win, metric, place)
           join requests r on r.org_id = $1 and r.scope_kind = k.kind and r.thing_id = k.thing and r.person_id = k.person
            and r.window_kind = k.win
           where k.metric = 'spend' and r.raised_until is not null and r.ended_at is null
           order by r.request_id"#,
        org.0,
        &parts.iter().map(|(kind, ..)| kind.as_str().to_owned()).collect::<Vec<_>>(),
        &parts.iter().map(|(_, thing, _)| *thing).collect::<Vec<_>>(),
        &parts.iter().map(|(.., person)| *person).collect::<Vec<_>>(),
        &set.iter().map(|(meter, _)| meter.window.as_str().to_owned()).collect::<Vec<_>>(),
        &set.iter().map(|(meter, _)| meter.metric.as_str().to_owned()).collect::<Vec<_>>(),
    )
    .fetch_all(change.db())
    .await?;
    for row in rows {
        let place = usize::try_from(row.place - 1).unwrap_or_default();
        let cap = set.get(place).and_then(|(_, cap)| *cap);
        let id = RequestId(row.request_id);
        let row = close(change, id, cap.map(Money::in_full)).await?;
        told::overtaken(change, id, &row, &Overtaken::BySetting(cap)).await?;
    }
    Ok(())
}

/// Marks a raise as over and writes it down, with what the limit was set to.
async fn close(change: &mut Change, id: RequestId, set_to: Option<String>) -> Result<Row> {
    let (org, at) = (change.org(), change.at());
    let row = locked(change, id).await?;
    sqlx::query!(
        "update requests set ended_at = $3 where org_id = $1 and request_id = $2 and ended_at is null",
        org.0,
        id.0,
        at,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().field("state", Some(RequestState::Approved), Some(RequestState::Ended)).field(
        "set to",
        None::<String>,
        set_to,
    );
    change.record(Subject { kind: "request", id: id.0, name: row.wish.name() }, "end", &diff).await?;
    Ok(row)
}

/// Ends a raise: the cap is what a raise that outlasts it says, or again what it was. That is asked of nobody
/// anew, and holds for what is archived by now, too. Returns what was asked for, and the cap that holds from
/// here on; none: none of its own.
pub(super) async fn lower(change: &mut Change, id: RequestId, meter: &Meter) -> Result<(Row, Option<Money>)> {
    let org = change.org();
    let row = close(change, id, None).await?;
    let facts = access::read(change.db(), org).await?;
    let rest = running(change.db(), org, meter).await?;
    let cap = rest.first().map(|raise| raise.cap).or(row.after);
    if limits::said(change, meter).await?.is_none() {
        return Ok((row, None));
    }
    match cap {
        Some(cap) => limits::put(change, &facts, meter, cap).await?,
        None => limits::take(change, &facts, meter).await?,
    }
    Ok((row, cap))
}

/// Another default for people: raises of it to no more than that are over.
pub(crate) async fn over_default(change: &mut Change, default: Money) -> Result<()> {
    let org = change.org();
    let rows = sqlx::query!(
        r#"select request_id, thing_id as "thing_id!" from requests
           where org_id = $1 and scope_kind = 'user' and window_kind = 'month' and raised_until is not null
             and ended_at is null and cap_after is null and granted <= $2"#,
        org.0,
        default.0,
    )
    .fetch_all(change.db())
    .await?;
    for raise in rows {
        let scope = Scope::User(raise.thing_id.into());
        let meter = Meter { scope, metric: Metric::Spend, window: Window::Month };
        let id = RequestId(raise.request_id);
        let (row, cap) = lower(change, id, &meter).await?;
        if cap.is_none() {
            told::overtaken(change, id, &row, &Overtaken::BySetting(Some(default))).await?;
        }
    }
    Ok(())
}

/// Ends every raise whose last day is over, in every organization. Returns how many. One that cannot be ended
/// holds up no other.
///
/// # Errors
/// When the database does not answer.
pub async fn end_due(store: &Store, now: DateTime<Utc>) -> Result<usize> {
    let due = sqlx::query!(
        "select r.org_id, r.request_id from requests r
         join organizations o on o.org_id = r.org_id
         where r.ended_at is null and r.raised_until < ($1 at time zone o.time_zone)::date
         order by r.org_id, r.request_id",
        now,
    )
    .fetch_all(store.pool())
    .await?;
    let mut ended = 0;
    for row in &due {
        let (org, request) = (OrgId(row.org_id), RequestId(row.request_id));
        match end_one(store, org, request, now).await {
            Ok(()) => ended += 1,
            Err(error) => tracing::error!(%error, %org, %request, "a raised limit could not be lowered"),
        }
    }
    Ok(ended)
}

async fn end_one(store: &Store, org: OrgId, id: RequestId, now: DateTime<Utc>) -> Result<()> {
    let permit = permit(&Actor::bursar(org), Act::LoosenLimits, Place::Organization)
        .map_err(|refused| StoreError::NotPermitted(refused.act))?;
    // Of two replicas one waits here, and finds it ended.
    let mut change = Change::begin_at(store, permit, now).await?;
    let row = locked(&mut change, id).await?;
    let Wish::Raise { meter, .. } = &row.wish else { return Ok(()) };
    if row.ended {
        return Ok(());
    }
    let (row, cap) = lower(&mut change, id, meter).await?;
    told::ended(&mut change, id, &row, cap).await?;
    change.commit().await?;
    Ok(())
}
