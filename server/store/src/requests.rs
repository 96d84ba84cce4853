//! Requests for models, and the grants that come of them.

mod approvals;
mod found;
mod told;

use chrono::NaiveDate;
use domain::{
    access::{Facts, GrantFacts, Grantee},
    ids::{GrantId, GroupId, ModelId, RequestId, UserId},
    money::Money,
    requests::{
        NothingToAsk, Per, RequestState, Terms, Words, accounts_of, askable, check_last_day, too_late,
    },
    roles::Act,
};
use uuid::Uuid;

use crate::{Change, Diff, Result, StoreError, Subject, access, change::exactly_one, clock, organizations};

pub use approvals::{TooFew, rule, set_rule, too_few};
pub use found::{Filter, Sees, get, group_of, list, live, of_grants, waiting};
pub use told::ends;

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct RequestForm {
    /// Which model.
    pub model: ModelId,
    /// On which group's account.
    pub group: GroupId,
    /// For everybody in it.
    pub for_group: bool,
    /// Why.
    pub reason: Words,
    /// How much, until when.
    pub terms: Terms,
    /// How the money is counted.
    pub per: Per,
}

fn check_terms(terms: &Terms, today: NaiveDate) -> Result<()> {
    if terms.amount.0 <= 0 {
        return Err(StoreError::invalid("amount", "Enter an amount above zero."));
    }
    check_last_day(terms.ends_on, today).map_err(|sentence| StoreError::invalid("ends_on", sentence))
}

/// Asks. For oneself, on the account of a group one can call for; or, by a permit for it, for a
/// whole group.
///
/// # Errors
/// [`StoreError::Invalid`] when there is nothing to ask for; [`StoreError::Conflict`] when the same
/// already waits.
pub async fn insert(change: &mut Change, form: &RequestForm) -> Result<RequestId> {
    let me = change.permit().actor().user.ok_or(StoreError::NotPermitted(Act::UseOwn))?;
    let (org, at) = (change.org(), change.at());
    let facts = access::read(change.db(), org).await?;
    if form.for_group {
        change.expect(Act::RequestForGroup, Some(form.group))?;
    } else {
        change.expect(Act::UseOwn, None)?;
        if !organizations::read(change.db(), org).await?.members.requests {
            let sentence =
                "Members do not ask for models themselves here. Ask a lead of the group or an admin.";
            return Err(StoreError::invalid("", sentence));
        }
        if !accounts_of(&facts, me, at).contains(&form.group) {
            return Err(StoreError::NotFound);
        }
    }
    check_terms(&form.terms, facts.calendar.day(at))?;
    let group = facts.groups.get(&form.group).ok_or(StoreError::NotFound)?.name.clone();
    let model = facts.models.get(&form.model).map(|model| model.name.clone()).unwrap_or_default();
    let user = (!form.for_group).then_some(me);
    askable(&facts, form.group, user, form.model, at).map_err(|nothing| {
        let sentence = match nothing {
            NothingToAsk::Open => format!("{model} is open to {group}: it can be called without asking."),
            NothingToAsk::Hidden(_) => format!("{group} cannot ask for this model."),
        };
        StoreError::invalid("model", sentence)
    })?;
    give_up_lapsed(change, form, me, facts.calendar.day(at)).await?;
    let id: RequestId = clock::id();
    let most = form.terms.most(form.per, facts.calendar.day(at));
    let rule = approvals::read_rule(change.db(), org).await?;
    let approvers = rule.map_or(1, |rule| rule.needed(most));
    sqlx::query!(
        "insert into requests (org_id, request_id, model_id, requester_id, group_id, for_group, reason, amount, per, ends_on, created_at, state, approvers)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'waiting', $12)",
        org.0,
        id.0,
        form.model.0,
        me.0,
        form.group.0,
        form.for_group,
        form.reason.as_str(),
        form.terms.amount.0,
        form.per.as_str(),
        form.terms.ends_on,
        at,
        i16::from(approvers),
    )
    .execute(change.db())
    .await?;
    told::asked(change, id, form, (&model, &group), approvers).await?;
    let diff = Diff::new()
        .set(
            "for",
            if form.for_group { format!("everybody in {group}") } else { format!("themself, in {group}") },
        )
        .set("amount", form.per.show(form.terms.amount))
        .set("until", form.terms.ends_on)
        .set("reason", form.reason.as_str());
    change.record(Subject { kind: "request", id: id.0, name: &model }, "create", &diff).await?;
    Ok(id)
}

/// What somebody asked for before, and nobody answered in time, stands in the way of asking anew no
/// longer.
async fn give_up_lapsed(change: &mut Change, form: &RequestForm, me: UserId, today: NaiveDate) -> Result<()> {
    let org = change.org();
    let lapsed = sqlx::query_scalar!(
        "select request_id from requests
         where org_id = $1 and requester_id = $2 and model_id = $3 and group_id = $4 and for_group = $5
           and state = 'waiting' and ends_on < $6",
        org.0,
        me.0,
        form.model.0,
        form.group.0,
        form.for_group,
        today,
    )
    .fetch_optional(change.db())
    .await?;
    match lapsed {
        Some(id) => take_back(change, id.into()).await.map(|_model| ()),
        None => Ok(()),
    }
}

/// A request as it is decided on: its row, locked.
struct Row {
    model: (ModelId, String),
    requester: (UserId, String),
    group: (GroupId, String),
    for_group: bool,
    asked: Terms,
    per: Per,
    state: RequestState,
    decided_by: Option<Uuid>,
    decider: Option<String>,
    grant: Option<Uuid>,
    approvers: u8,
    round: i16,
}

/// Reads and locks a request. Changes to one organization happen one after the other, so what is
/// read here stays true until the change commits.
async fn locked(change: &mut Change, id: RequestId) -> Result<Row> {
    let org = change.org();
    let row = sqlx::query!(
        r#"select r.model_id, m.name as model, r.requester_id, u.name as requester, r.group_id, g.name as group_name,
                  r.for_group, r.amount, r.per, r.ends_on, r.state, r.decided_by, d.name as "decider?", r.grant_id,
                  r.approvers, r.round
           from requests r
           join models m on m.org_id = r.org_id and m.model_id = r.model_id
           join users u on u.org_id = r.org_id and u.user_id = r.requester_id
           join groups g on g.org_id = r.org_id and g.group_id = r.group_id
           left join users d on d.org_id = r.org_id and d.user_id = r.decided_by
           where r.org_id = $1 and r.request_id = $2
           for update of r"#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    Ok(Row {
        model: (row.model_id.into(), row.model),
        requester: (row.requester_id.into(), row.requester),
        group: (row.group_id.into(), row.group_name),
        for_group: row.for_group,
        asked: Terms { amount: Money(row.amount), ends_on: row.ends_on },
        per: row.per.parse()?,
        state: row.state.parse()?,
        decided_by: row.decided_by,
        decider: row.decider,
        grant: row.grant_id,
        approvers: u8::try_from(row.approvers).unwrap_or(1),
        round: row.round,
    })
}

/// What came of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decided {
    /// It is so now.
    Now,
    /// The same person had decided the same before: a second click.
    Before,
    /// They agree, and so many more have to.
    More(u8),
    /// They had agreed before, and so many more have to.
    Waits(u8),
}

/// Reads what is to be decided on. Nobody decides on what they asked for themselves.
async fn undecided(change: &mut Change, id: RequestId, to: RequestState) -> Result<Option<Row>> {
    let row = locked(change, id).await?;
    change.expect(Act::DecideRequests, Some(row.group.0))?;
    let me = change.permit().actor().user;
    if me == Some(row.requester.0) {
        return Err(StoreError::invalid("", "You asked for this yourself. Somebody else has to decide."));
    }
    if row.state == RequestState::Waiting {
        return Ok(Some(row));
    }
    if row.state == to && row.decided_by == me.map(|id| id.0) {
        return Ok(None);
    }
    let who = row.decider.as_deref().unwrap_or("Somebody");
    let sentence = match row.state {
        RequestState::Approved => format!("{who} has approved this already. Nothing was changed."),
        RequestState::Refused => format!("{who} has refused this already. Nothing was changed."),
        _ => format!("{} has taken this back. Nothing was changed.", row.requester.1),
    };
    Err(StoreError::Meanwhile(sentence))
}

async fn close(
    change: &mut Change,
    id: RequestId,
    state: RequestState,
    answer: &str,
    granted: Option<(GrantId, Money)>,
    approvals: u8,
) -> Result<()> {
    let (org, at, by) = (change.org(), change.at(), change.permit().actor().user.map(|id| id.0));
    let done = sqlx::query!(
        "update requests set state = $3, decided_at = $4, decided_by = $5, answer = $6, grant_id = $7, granted = $8, approvals = $9
         where org_id = $1 and request_id = $2 and state = 'waiting'",
        org.0,
        id.0,
        state.as_str(),
        at,
        by,
        answer,
        granted.map(|(grant, _)| grant.0),
        granted.map(|(_, amount)| amount.0),
        i16::from(approvals),
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    told::settled(change, id).await
}

/// Takes one's own request back.
///
/// # Errors
/// [`StoreError::Invalid`] when somebody has answered it.
pub async fn withdraw(change: &mut Change, id: RequestId) -> Result<()> {
    change.expect(Act::UseOwn, None)?;
    let row = locked(change, id).await?;
    if change.permit().actor().user != Some(row.requester.0) {
        return Err(StoreError::NotFound);
    }
    match row.state {
        RequestState::Withdrawn => return Ok(()),
        RequestState::Waiting => {}
        _ => {
            return Err(StoreError::invalid(
                "",
                "This has been answered already; there is nothing to take back.",
            ));
        }
    }
    take_back(change, id).await.map(|_model| ())
}

/// Closes a request that waits as taken back. Returns the model's name.
async fn take_back(change: &mut Change, id: RequestId) -> Result<String> {
    let model = locked(change, id).await?.model.1;
    close(change, id, RequestState::Withdrawn, "", None, 0).await?;
    let diff = Diff::new().field("state", Some(RequestState::Waiting), Some(RequestState::Withdrawn));
    change.record(Subject { kind: "request", id: id.0, name: &model }, "withdraw", &diff).await?;
    Ok(model)
}

/// Withdraws everything somebody who goes has asked for. Returns the models' names.
pub(crate) async fn withdraw_all(change: &mut Change, requester: UserId) -> Result<Vec<String>> {
    let org = change.org();
    let ids = sqlx::query_scalar!(
        "select request_id from requests where org_id = $1 and requester_id = $2 and state = 'waiting' order by request_id",
        org.0,
        requester.0,
    )
    .fetch_all(change.db())
    .await?;
    let mut models = Vec::new();
    for id in ids {
        models.push(take_back(change, id.into()).await?);
    }
    Ok(models)
}

/// Says no; the answer is for whoever asked.
///
/// # Errors
/// [`StoreError::Invalid`] when it was one's own, or is decided already.
pub async fn refuse(change: &mut Change, id: RequestId, answer: &Words) -> Result<Decided> {
    let Some(row) = undecided(change, id, RequestState::Refused).await? else { return Ok(Decided::Before) };
    close(change, id, RequestState::Refused, answer.as_str(), None, 0).await?;
    told::refused(change, id, &row, answer).await?;
    let diff = Diff::new()
        .field("state", Some(RequestState::Waiting), Some(RequestState::Refused))
        .set("requester", &row.requester.1)
        .set("answer", answer.as_str());
    change.record(Subject { kind: "request", id: id.0, name: &row.model.1 }, "refuse", &diff).await?;
    Ok(Decided::Now)
}

/// Agrees: to what others agreed to before, or was asked for (no terms), or to less. When enough
/// agree, makes the grant with a quota of its own; an earlier grant of the same thing ends. Agreeing
/// to other terms than those before begins the count anew.
///
/// # Errors
/// [`StoreError::Invalid`] when it was one's own, is decided already, is more than was asked for, its
/// last day is over, or a grant would lift nothing.
pub async fn approve(
    change: &mut Change,
    id: RequestId,
    terms: Option<Terms>,
    answer: Option<&Words>,
) -> Result<Decided> {
    let Some(row) = undecided(change, id, RequestState::Approved).await? else { return Ok(Decided::Before) };
    let (org, at) = (change.org(), change.at());
    let facts = access::read(change.db(), org).await?;
    let today = facts.calendar.day(at);
    if row.asked.ends_on < today {
        return Err(StoreError::invalid("", too_late(row.asked.ends_on, &row.requester.1)));
    }
    let terms = match terms {
        Some(terms) => terms,
        None => {
            let agreed = approvals::of(change.db(), org, &[id.0], at).await?.remove(&id);
            agreed.and_then(|agreed| Some(agreed.first()?.terms)).unwrap_or(row.asked)
        }
    };
    terms.within(&row.asked, row.per).map_err(|(field, sentence)| StoreError::invalid(field, sentence))?;
    check_terms(&terms, today)?;
    let user = (!row.for_group).then_some(row.requester.0);
    askable(&facts, row.group.0, user, row.model.0, at).map_err(|nothing| liftless(&row, nothing))?;
    let tally = match approvals::add(change, id, &row, &terms, answer).await? {
        approvals::Added::Now(tally) => tally,
        approvals::Added::Before(agreed) => return Ok(Decided::Waits(row.approvers.saturating_sub(agreed))),
    };
    let asked = |terms: &Terms| row.per.show(terms.amount);
    let terms_diff = Diff::new()
        .set("requester", &row.requester.1)
        .field("amount", Some(asked(&row.asked)), Some(asked(&terms)))
        .field("until", Some(row.asked.ends_on), Some(terms.ends_on))
        .field("answer", None::<&str>, answer.map(Words::as_str));
    let subject = Subject { kind: "request", id: id.0, name: &row.model.1 };
    if tally.agreed < row.approvers {
        told::overruled(change, id, &row, &terms, &tally.overruled, tally.round).await?;
        let diff = terms_diff.set("agreed", format!("{} of {}", tally.agreed, row.approvers));
        change.record(subject, "agree", &diff).await?;
        return Ok(Decided::More(row.approvers - tally.agreed));
    }
    let to = user.map_or(Grantee::Group(row.group.0), |user| Grantee::Member(row.group.0, user));
    end_earlier(change, &facts, row.model.0, to).await?;
    let grant = insert_grant(change, &facts, &row, to, &terms).await?;
    let said = answer.map_or("", Words::as_str);
    close(change, id, RequestState::Approved, said, Some((grant, terms.amount)), tally.agreed).await?;
    told::approved(change, id, &row, &terms, answer).await?;
    let diff = terms_diff.field("state", Some(RequestState::Waiting), Some(RequestState::Approved));
    change.record(subject, "approve", &diff).await?;
    Ok(Decided::Now)
}

/// Why a grant would change nothing.
fn liftless(row: &Row, nothing: NothingToAsk) -> StoreError {
    let (model, group) = (&row.model.1, &row.group.1);
    let sentence = match nothing {
        NothingToAsk::Open => format!("{model} is open to {group} by now: nobody has to agree any more."),
        NothingToAsk::Hidden(reason) => format!(
            "A grant lifts “by request” and nothing else, and {model} cannot be called by {group} at all now: {}. Refuse this, or change that first.",
            reason.sentence()
        ),
    };
    StoreError::invalid("", sentence)
}

async fn end_earlier(change: &mut Change, facts: &Facts, model: ModelId, to: Grantee) -> Result<()> {
    let at = change.at();
    let live = |grant: &&GrantFacts| grant.to == to && at < grant.ends_at;
    let grants = facts.grants.get(&model).map_or(&[][..], Vec::as_slice);
    for grant in grants.iter().filter(live) {
        revoke(change, grant.id, &facts.target_name(domain::authorizations::Target::Model(model))).await?;
    }
    Ok(())
}

async fn insert_grant(
    change: &mut Change,
    facts: &Facts,
    row: &Row,
    to: Grantee,
    terms: &Terms,
) -> Result<GrantId> {
    let (org, at) = (change.org(), change.at());
    let (user, group) = match to {
        Grantee::User(user) => (Some(user.0), None),
        Grantee::Member(group, user) => (Some(user.0), Some(group.0)),
        Grantee::Group(group) => (None, Some(group.0)),
    };
    let last =
        terms.ends_on.succ_opt().ok_or_else(|| StoreError::invalid("ends_on", "Choose an earlier day."))?;
    let (id, ends_at): (GrantId, _) = (clock::id(), facts.calendar.midnight(last));
    sqlx::query!(
        "insert into grants (org_id, grant_id, model_id, user_id, group_id, starts_at, ends_at) values ($1, $2, $3, $4, $5, $6, $7)",
        org.0,
        id.0,
        row.model.0.0,
        user,
        group,
        at,
        ends_at,
    )
    .execute(change.db())
    .await?;
    let limit: domain::ids::LimitId = clock::id();
    sqlx::query!(
        "insert into limits (org_id, limit_id, scope_kind, thing_id, metric, window_kind, cap, mode, thresholds, created_at)
         values ($1, $2, 'grant', $3, 'spend', $4, $5, 'enforce', '{50,80,100}', $6)",
        org.0,
        limit.0,
        id.0,
        row.per.window().as_str(),
        terms.amount.0,
        at,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new()
        .set("to", row.whom())
        .set("limit", row.per.show(terms.amount))
        .set("until", terms.ends_on);
    change.record(Subject { kind: "grant", id: id.0, name: &row.model.1 }, "create", &diff).await?;
    Ok(id)
}

/// Ends what was agreed to before its time. Calls in flight are finished.
///
/// # Errors
/// [`StoreError::Invalid`] when there is no grant, or it is over.
pub async fn end(change: &mut Change, id: RequestId) -> Result<()> {
    let row = locked(change, id).await?;
    change.expect(Act::DecideRequests, Some(row.group.0))?;
    let grant = row.grant.ok_or_else(|| StoreError::invalid("", "There is no grant to end."))?;
    revoke(change, GrantId(grant), &row.model.1).await?;
    told::revoked(change, GrantId(grant)).await
}

pub(crate) async fn revoke(change: &mut Change, id: GrantId, model: &str) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let until = sqlx::query_scalar!(
        "update grants set revoked_at = $3 where org_id = $1 and grant_id = $2 and revoked_at is null and ends_at > $3
         returning ends_at",
        org.0,
        id.0,
        at,
    )
    .fetch_optional(change.db())
    .await?;
    // Ended a moment ago, by itself or by somebody else: what was wanted is so.
    let Some(until) = until else { return Ok(()) };
    // What it limits is over; what was used of it stays counted.
    sqlx::query!(
        "delete from limits where org_id = $1 and scope_kind = 'grant' and thing_id = $2",
        org.0,
        id.0
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().field("until", Some(until.to_rfc3339()), Some(at.to_rfc3339()));
    change.record(Subject { kind: "grant", id: id.0, name: model }, "end", &diff).await
}
