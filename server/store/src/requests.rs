//! Requests for models and for more money under limits, and what comes of them.

mod approvals;
mod ending;
mod found;
mod raises;
mod told;

use chrono::NaiveDate;
use domain::{
    access::{Facts, Grantee},
    ids::{GrantId, GroupId, ModelId, RequestId, UserId},
    money::Money,
    requests::{
        NothingToAsk, Per, RequestState, Terms, Wish, Words, accounts_of, askable, check_amount,
        check_last_day, running, too_late,
    },
    roles::Act,
};
use uuid::Uuid;

use crate::{Change, Diff, Result, StoreError, Subject, access, change::exactly_one, clock, organizations};

pub use approvals::{TooFew, as_shown, rule, set_rule, too_few};
pub use ending::end;
pub(crate) use ending::{end_by_review, revoke};
pub use found::{
    Filter, Place, Sees, Successor, get, judge, lifting, list, live, of_grants, place_of, successor, waiting,
};
pub use raises::{RaiseForm, Raising, caps_on, end_due, insert_raise, lasting_caps, raised, raised_limits};
pub(crate) use raises::{lasting, lasting_months, over_default, overtaken};
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
    check_amount(terms.amount).map_err(|sentence| StoreError::invalid("amount", sentence))?;
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
    let wish = Wish::Model { id: form.model, name: model, per: form.per };
    let approvers = approvals::needed(change, &wish, &form.terms, facts.calendar.day(at)).await?;
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
    told::asked(
        change,
        id,
        &wish,
        (form.group, &group, form.for_group),
        &form.terms,
        (&form.reason, approvers),
    )
    .await?;
    let diff = Diff::new()
        .set(
            "for",
            if form.for_group { format!("everybody in {group}") } else { format!("themself, in {group}") },
        )
        .set("amount", wish.show(form.terms.amount))
        .set("until", form.terms.ends_on)
        .set("reason", form.reason.as_str());
    change.record(Subject { kind: "request", id: id.0, name: wish.name() }, "create", &diff).await?;
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
        Some(id) => take_back(change, id.into()).await.map(|_name| ()),
        None => Ok(()),
    }
}

/// A request as it is decided on: its row, locked.
struct Row {
    wish: Wish,
    requester: (UserId, String),
    group: (GroupId, String),
    for_group: bool,
    asked: Terms,
    state: RequestState,
    decided_by: Option<Uuid>,
    decider: Option<String>,
    grant: Option<Uuid>,
    granted: Option<Money>,
    /// What a raised cap is again when it ends.
    after: Option<Money>,
    /// Whether a raise has ended.
    ended: bool,
    approvers: u8,
    round: i16,
}

impl Row {
    /// To whom a model would be granted.
    fn grantee(&self) -> Grantee {
        if self.for_group {
            Grantee::Group(self.group.0)
        } else {
            Grantee::Member(self.group.0, self.requester.0)
        }
    }

    /// Somebody who may decide on it.
    fn expect_decider(&self, change: &Change) -> Result<()> {
        match self.wish {
            Wish::Model { .. } => change.expect(Act::DecideRequests, Some(self.group.0)),
            Wish::Raise { .. } => change.expect(Act::LoosenLimits, None),
        }
    }
}

/// Reads and locks a request. Changes to one organization happen one after the other, so what is
/// read here stays true until the change commits.
async fn locked(change: &mut Change, id: RequestId) -> Result<Row> {
    let org = change.org();
    let row = sqlx::query!(
        r#"select r.model_id, coalesce(m.name, r.thing_name) as "name!", r.per, r.scope_kind, r.thing_id, r.person_id,
                  r.window_kind, r.cap_before, r.requester_id, u.name as requester, r.group_id, g.name as group_name,
                  r.for_group, r.amount, r.ends_on, r.state, r.decided_by, d.name as "decider?", r.grant_id, r.granted,
                  r.cap_after, r.ended_at is not null as "ended!", r.approvers, r.round
           from requests r
           left join models m on m.org_id = r.org_id and m.model_id = r.model_id
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
    let meter = (row.scope_kind, row.thing_id, row.person_id, row.window_kind);
    Ok(Row {
        wish: found::wish((row.model_id, row.per), meter, row.cap_before, row.name)?,
        requester: (row.requester_id.into(), row.requester),
        group: (row.group_id.into(), row.group_name),
        for_group: row.for_group,
        asked: Terms { amount: Money(row.amount), ends_on: row.ends_on },
        state: row.state.parse()?,
        decided_by: row.decided_by,
        decider: row.decider,
        grant: row.grant_id,
        granted: row.granted.map(Money),
        after: row.cap_after.map(Money),
        ended: row.ended,
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
    /// The same, to other terms than others before, whose word counts no longer.
    Anew(u8),
    /// They had agreed before, and so many more have to.
    Waits(u8),
}

/// Reads what is to be decided on. Nobody decides on what they asked for themselves.
async fn undecided(change: &mut Change, id: RequestId, to: RequestState) -> Result<Option<Row>> {
    let row = locked(change, id).await?;
    row.expect_decider(change)?;
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
    let mine = row.decided_by == me.map(|id| id.0);
    if row.state == RequestState::Approved
        && let Some(terms) = approvals::mine(change, id).await?
    {
        let terms = row.wish.terms_words(&terms);
        let sentence = if mine {
            format!("You have approved this already: {terms}. Nothing was changed.")
        } else {
            format!("This holds already, and you have agreed to it: {terms}. Nothing was changed.")
        };
        return Err(StoreError::Meanwhile(sentence));
    }
    let who = if mine { "You" } else { row.decider.as_deref().unwrap_or("Somebody") };
    let has = if mine { "have" } else { "has" };
    let sentence = match row.state {
        RequestState::Approved => format!("{who} {has} approved this already. Nothing was changed."),
        RequestState::Refused => format!("{who} {has} refused this already. Nothing was changed."),
        _ => format!("{} has taken this back. Nothing was changed.", row.requester.1),
    };
    Err(StoreError::Meanwhile(sentence))
}

/// What comes of an approval: the money, how many agreed; a grant, or until when a cap is raised and what
/// it is again later.
#[derive(Clone, Copy)]
struct Agreed {
    amount: Money,
    grant: Option<GrantId>,
    raised_until: Option<NaiveDate>,
    after: Option<Money>,
    approvals: u8,
}

async fn close(
    change: &mut Change,
    id: RequestId,
    state: RequestState,
    answer: &str,
    agreed: Option<Agreed>,
) -> Result<()> {
    let (org, at, by) = (change.org(), change.at(), change.permit().actor().user.map(|id| id.0));
    let done = sqlx::query!(
        "update requests set state = $3, decided_at = $4, decided_by = $5, answer = $6, grant_id = $7, granted = $8, approvals = $9,
                cap_after = $10, raised_until = $11
         where org_id = $1 and request_id = $2 and state = 'waiting'",
        org.0,
        id.0,
        state.as_str(),
        at,
        by,
        answer,
        agreed.and_then(|agreed| agreed.grant).map(|grant| grant.0),
        agreed.map(|agreed| agreed.amount.0),
        i16::from(agreed.map_or(0, |agreed| agreed.approvals)),
        agreed.and_then(|agreed| agreed.after).map(|after| after.0),
        agreed.and_then(|agreed| agreed.raised_until),
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
    take_back(change, id).await.map(|_name| ())
}

/// Closes a request that waits as taken back. Returns for what it was.
async fn take_back(change: &mut Change, id: RequestId) -> Result<String> {
    let wish = locked(change, id).await?.wish;
    close(change, id, RequestState::Withdrawn, "", None).await?;
    let diff = Diff::new().field("state", Some(RequestState::Waiting), Some(RequestState::Withdrawn));
    change.record(Subject { kind: "request", id: id.0, name: wish.name() }, "withdraw", &diff).await?;
    Ok(wish.title())
}

/// Withdraws everything somebody who goes has asked for. Returns for what that was.
pub(crate) async fn withdraw_all(change: &mut Change, requester: UserId) -> Result<Vec<String>> {
    let org = change.org();
    let ids = sqlx::query_scalar!(
        "select request_id from requests where org_id = $1 and requester_id = $2 and state = 'waiting' order by request_id",
        org.0,
        requester.0,
    )
    .fetch_all(change.db())
    .await?;
    let mut wishes = Vec::new();
    for id in ids {
        wishes.push(take_back(change, id.into()).await?);
    }
    Ok(wishes)
}

/// Says no; the answer is for whoever asked.
///
/// # Errors
/// [`StoreError::Invalid`] when it was one's own, or is decided already.
pub async fn refuse(change: &mut Change, id: RequestId, answer: &Words) -> Result<Decided> {
    let Some(row) = undecided(change, id, RequestState::Refused).await? else { return Ok(Decided::Before) };
    close(change, id, RequestState::Refused, answer.as_str(), None).await?;
    told::refused(change, id, &row, answer).await?;
    let diff = Diff::new()
        .field("state", Some(RequestState::Waiting), Some(RequestState::Refused))
        .set("requester", &row.requester.1)
        .set("answer", answer.as_str());
    change.record(Subject { kind: "request", id: id.0, name: row.wish.name() }, "refuse", &diff).await?;
    Ok(Decided::Now)
}

/// Agrees: to what others agreed to before, or was asked for (no terms), or to less. When enough
/// agree, makes the grant with a quota of its own, or raises the limit; an earlier one of the same thing
/// ends. Agreeing to other terms than those before begins the count anew.
///
/// # Errors
/// [`StoreError::Invalid`] when it was one's own, is decided already, is more than was asked for, its
/// last day is over, a grant would lift nothing, or there is nothing to raise.
pub async fn approve(
    change: &mut Change,
    id: RequestId,
    terms: Option<Terms>,
    answer: Option<&Words>,
) -> Result<Decided> {
    let Some(row) = undecided(change, id, RequestState::Approved).await? else {
        return approvals::again(change, id, terms).await;
    };
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
    terms.within(&row.asked, &row.wish).map_err(|(field, sentence)| StoreError::invalid(field, sentence))?;
    check_terms(&terms, today)?;
    check_helps(change, &facts, &row, &terms).await?;
    let approvers = approvers_now(change, &facts, id, &row, &terms).await?;
    let tally = match approvals::add(change, id, &row, &terms, answer).await? {
        approvals::Added::Now(tally) => tally,
        // Enough agree, and nobody completed it: one of them could not decide when the last one agreed, and
        // can by now.
        approvals::Added::Before(tally) if tally.agreed >= approvers => tally,
        approvals::Added::Before(tally) => return Ok(Decided::Waits(approvers - tally.agreed)),
    };
    let asked = |terms: &Terms| row.wish.show(terms.amount);
    let terms_diff = Diff::new()
        .set("requester", &row.requester.1)
        .field("amount", Some(asked(&row.asked)), Some(asked(&terms)))
        .field("until", Some(row.asked.ends_on), Some(terms.ends_on))
        .field("answer", None::<&str>, answer.map(Words::as_str));
    let subject = Subject { kind: "request", id: id.0, name: row.wish.name() };
    if tally.agreed < approvers {
        let more = if tally.overruled.is_empty() { Decided::More } else { Decided::Anew };
        told::overruled(change, id, &row, &terms, &tally.overruled, tally.round).await?;
        let diff = terms_diff.set("agreed", format!("{} of {}", tally.agreed, approvers));
        change.record(subject, "agree", &diff).await?;
        return Ok(more(approvers - tally.agreed));
    }
    let (grant, after) = match &row.wish {
        Wish::Model { id, per, .. } => {
            (Some(make_grant(change, &facts, &row, (*id, *per), &terms).await?), None)
        }
        Wish::Raise { meter, .. } => (None, raises::raise(change, meter, &terms).await?),
    };
    let raised_until = row.wish.is_raise().then_some(terms.ends_on);
    let agreed = Agreed { amount: terms.amount, grant, raised_until, after, approvals: tally.agreed };
    let said = answer.map_or("", Words::as_str);
    close(change, id, RequestState::Approved, said, Some(agreed)).await?;
    told::approved(change, id, &row, &terms, answer).await?;
    let diff = terms_diff.field("state", Some(RequestState::Waiting), Some(RequestState::Approved));
    change.record(subject, "approve", &diff).await?;
    Ok(Decided::Now)
}

/// How many have to agree to these terms: as many as when it was asked for, or more where more may be spent
/// beyond the cap of a limit by now.
async fn approvers_now(
    change: &mut Change,
    facts: &Facts,
    id: RequestId,
    row: &Row,
    terms: &Terms,
) -> Result<u8> {
    let (org, today) = (change.org(), facts.calendar.day(change.at()));
    if !row.wish.is_raise() {
        return Ok(row.approvers);
    }
    let counted = raises::counted(change, facts, &row.wish).await?;
    let needed = approvals::needed(change, &counted, terms, today).await?;
    if needed > row.approvers {
        sqlx::query!(
            "update requests set approvers = $3 where org_id = $1 and request_id = $2",
            org.0,
            id.0,
            i16::from(needed),
        )
        .execute(change.db())
        .await?;
    }
    Ok(needed.max(row.approvers))
}

/// Whether agreeing would change anything.
async fn check_helps(change: &mut Change, facts: &Facts, row: &Row, terms: &Terms) -> Result<()> {
    match &row.wish {
        Wish::Model { id, .. } => {
            let user = (!row.for_group).then_some(row.requester.0);
            askable(facts, row.group.0, user, *id, change.at()).map_err(|nothing| {
                let why = nothing.sentence(row.wish.name(), &row.group.1);
                StoreError::invalid("", format!("{why} Refuse this, or change that first."))
            })
        }
        Wish::Raise { meter, .. } => raises::check_raises(change, facts, meter, terms.amount).await,
    }
}

async fn end_earlier(change: &mut Change, facts: &Facts, model: ModelId, to: Grantee) -> Result<()> {
    let at = change.at();
    for grant in running(facts, model, to, at) {
        revoke(change, grant.id, &facts.target_name(domain::authorizations::Target::Model(model))).await?;
    }
    Ok(())
}

/// Makes the grant; an earlier one of the same thing ends.
async fn make_grant(
    change: &mut Change,
    facts: &Facts,
    row: &Row,
    (model, per): (ModelId, Per),
    terms: &Terms,
) -> Result<GrantId> {
    let (org, at) = (change.org(), change.at());
    let to = row.grantee();
    end_earlier(change, facts, model, to).await?;
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
        model.0,
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
        per.window().as_str(),
        terms.amount.0,
        at,
    )
    .execute(change.db())
    .await?;
    let diff =
        Diff::new().set("to", row.whom()).set("limit", per.show(terms.amount)).set("until", terms.ends_on);
    change.record(Subject { kind: "grant", id: id.0, name: row.wish.name() }, "create", &diff).await?;
    Ok(id)
}
