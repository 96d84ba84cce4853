//! Requests for models and for more money under limits: ask, answer, take back, end.

use domain::{
    ids::{ModelId, RequestId, ReviewId},
    requests::{ApprovalRule, Request, RequestState},
    spend::LimitLevel,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::frame::Counts;
use crate::{error::AppError, frame::Done};

/// A request, with what whoever looks may do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The request.
    pub request: Request,
    /// Whether it is their own.
    pub own: bool,
    /// Whether they may answer it, and end what was agreed to.
    pub decides: bool,
    /// Whether they have agreed to it as it stands, and others still have to.
    pub agreed: bool,
    /// The access review that ended what was agreed to.
    pub reviewed: Option<Reviewed>,
    /// The newer grant that took the place of what was agreed to.
    pub succeeded: Option<Succeeded>,
}

/// The newer grant that took the place of an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Succeeded {
    /// The request it came of; none where that is not for whoever looks.
    pub request: Option<RequestId>,
    /// Who had asked for it.
    pub requester: String,
    /// Who agreed.
    pub decider: Option<String>,
}

/// The access review that ended what was agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviewed {
    /// Which; none where it is not for whoever looks.
    pub review: Option<ReviewId>,
    /// The path of the group it was of.
    pub path: String,
    /// Who dropped it there; none: nobody confirmed it in time.
    pub by: Option<String>,
}

impl Seen {
    /// Whether it waits for whoever looks.
    pub fn waits(&self) -> bool {
        self.decides && !self.agreed && self.request.state == RequestState::Waiting
    }
}

/// A page of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inbox {
    /// The newest first.
    pub requests: Vec<Seen>,
    /// In which state; none: all.
    pub state: Option<RequestState>,
    /// Whether others' requests are here: whoever looks leads a group, or sees everything.
    pub others: bool,
    /// How many wait for them.
    pub waiting: i64,
    /// Whether they may ask for something: members may not everywhere.
    pub asks: bool,
    /// Where the next page starts.
    pub next: Option<RequestId>,
}

/// Requests somebody sees: their own, those of groups they lead, or all. `state`: a state, `all`, or
/// empty for what is shown first.
#[server(prefix = "/console", endpoint = "requests/list")]
pub async fn load_requests(
    state: String,
    who: String,
    model: String,
    after: String,
) -> Result<Inbox, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    // How many requests a page lists.
    const PAGE: i64 = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::UseOwn)?.org();
        let sees = inbox::sees(&cx)?;
        let others = inbox::others(&sees);
        let waiting = inbox::waiting(&cx).await?;
        let state = match state.as_str() {
            "" => (waiting > 0).then_some(RequestState::Waiting),
            "all" => None,
            // What is no state chooses none; the page says so.
            text => text.parse().ok(),
        };
        let text = |text: String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let filter = store::requests::Filter {
            sees,
            state,
            who: text(who),
            what: text(model),
            after: read_some("after", &after)?,
            ..Default::default()
        };
        let mut requests = store::requests::list(&cx.store, org, &filter, PAGE + 1).await.known()?;
        let more = requests.len() as i64 > PAGE;
        requests.truncate(PAGE as usize);
        Ok(Inbox {
            next: requests.last().filter(|_| more).map(|request| request.id),
            requests: inbox::seen(&cx, requests).await?,
            state,
            others,
            waiting,
            asks: inbox::offered(&cx).await?,
        })
    })
    .await
}

/// How much waits for whoever asks: requests, and reviews of their groups.
#[server(prefix = "/console", endpoint = "requests/waiting")]
pub async fn load_waiting() -> Result<Counts, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let (requests, access) = (inbox::waiting(&cx).await?, inbox::reviews(&cx).await?);
        Ok(Counts { requests, access, ..Counts::default() })
    })
    .await
}

/// One request. For whoever asked, leads of the group's path, and those who see everything.
#[server(prefix = "/console", endpoint = "requests/get")]
pub async fn load_request(id: String) -> Result<Seen, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::UseOwn)?.org();
        let id: RequestId = id.parse().map_err(|_| AppError::NotFound)?;
        let request = store::requests::get(&cx.store, org, id).await.known()?;
        if cx.actor()?.user != Some(request.requester.0) {
            cx.permit_in(Act::ReadGroup, request.group.0).await?;
        }
        let reviewed = inbox::reviewed(&cx, &request).await?;
        let succeeded = inbox::succeeded(&cx, &request).await?;
        let seen = inbox::seen(&cx, vec![request]).await?.pop().ok_or(AppError::NotFound)?;
        Ok(Seen { reviewed, succeeded, ..seen })
    })
    .await
}

/// What somebody can ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Askable {
    /// Models that somebody would have to agree to: id, name, price.
    pub models: Vec<(ModelId, String, String)>,
    /// For whom: `me:GROUP` or `group:GROUP`, and what that is called. Those of the chosen model.
    pub whom: Vec<(String, String)>,
    /// The chosen model.
    pub model: Option<ModelId>,
    /// Why the model that was named cannot be asked for.
    pub why_not: Option<String>,
    /// Grants that hold for it already, and end when a new one for the same is agreed to.
    pub has: Vec<Held>,
}

/// A grant that holds for somebody a model can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What it came of.
    pub request: RequestId,
    /// For whom, as the choice is called: `For myself, in Research`.
    pub whom: String,
    /// Until when.
    pub until: chrono::DateTime<chrono::Utc>,
}

/// What somebody can ask for. `model`: its name or id.
#[server(prefix = "/console", endpoint = "requests/askable")]
pub async fn load_askable(model: String) -> Result<Askable, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::UseOwn)?.org();
        if !inbox::asks(&cx).await? {
            return Err(inbox::no_asking());
        }
        let facts = store::access::current(&cx.store, org).await.known()?;
        let paths = store::groups::paths(&cx.store, org).await.known()?;
        inbox::askable(&cx, &facts, &paths, model.trim()).await
    })
    .await
}

/// Asks for a model. `whom`: `me:GROUP` or `group:GROUP`.
#[server(prefix = "/console", endpoint = "requests/create")]
pub async fn create_request(
    model: String,
    whom: String,
    reason: String,
    amount: String,
    per: String,
    ends_on: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::GroupId, roles::Act};
    handle(|cx| async move {
        // Who is not signed in is told that first.
        cx.actor()?;
        let mut fields = Fields::default();
        let place =
            whom.split_once(':').and_then(|(kind, group)| Some((kind, group.parse::<GroupId>().ok()?)));
        let whom = fields.take(place.ok_or_else(|| AppError::field("whom", "Choose for whom.")))?;
        let model = model.parse().map_err(|_| AppError::field("model", "Choose a model."));
        let model = fields.take(model)?;
        let reason = fields.take(read("reason", &reason))?;
        let terms = inbox::read_terms(&cx, &mut fields, &amount, &ends_on).await?;
        let per = fields.take(read("per", &per))?;
        let (Some((kind, group)), Some(model), Some(reason), Some(terms), Some(per)) =
            (whom, model, reason, terms, per)
        else {
            return Err(fields.problems());
        };
        let for_group = kind == "group";
        let form = store::requests::RequestForm { model, group, for_group, reason, per, terms };
        let permit = if for_group {
            cx.permit_in(Act::RequestForGroup, group).await?
        } else {
            cx.permit(Act::UseOwn)?
        };
        let mut change = cx.change(permit).await?;
        let id = store::requests::insert(&mut change, &form).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Asked. You see here what comes of it.").then(format!("/requests/{id}")))
    })
    .await
}

/// A limit that somebody can ask to be raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raisable {
    /// Limits on money that apply to them: key and title.
    pub limits: Vec<(String, String)>,
    /// The chosen one, with its level now.
    pub limit: Option<LimitLevel>,
    /// On whose account calls run into it: group and path.
    pub groups: Vec<(String, String)>,
    /// Why the limit that was named cannot be asked about.
    pub why_not: Option<String>,
    /// Whether they may raise it themselves.
    pub may: bool,
    /// Their request for it that waits.
    pub waits: Option<RequestId>,
    /// The day proposed as the last one: of the window that runs.
    pub last_day: chrono::NaiveDate,
}

/// Which limits somebody can ask to be raised. `limit`: a meter's key, `user:usr_…/spend/month`; empty for
/// the first.
#[server(prefix = "/console", endpoint = "requests/raisable")]
pub async fn load_raisable(limit: String) -> Result<Raisable, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        if !inbox::asks(&cx).await? {
            return Err(inbox::no_asking());
        }
        raises::raisable(&cx, limit.trim()).await
    })
    .await
}

/// Asks that a limit be raised. `limit`: a meter's key.
#[server(prefix = "/console", endpoint = "requests/raise")]
pub async fn create_raise(
    limit: String,
    group: String,
    reason: String,
    amount: String,
    ends_on: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{limits::Meter, roles::Act};
    handle(|cx| async move {
        // Who is not signed in is told that first.
        cx.actor()?;
        let mut fields = Fields::default();
        let meter = Meter::from_key(&limit).ok_or_else(|| AppError::field("limit", "Choose a limit."));
        let meter = fields.take(meter)?;
        let group = group.parse().map_err(|_| AppError::field("group", "Choose on whose account."));
        let group = fields.take(group)?;
        let reason = fields.take(read("reason", &reason))?;
        let terms = inbox::read_terms(&cx, &mut fields, &amount, &ends_on).await?;
        let (Some(meter), Some(group), Some(reason), Some(terms)) = (meter, group, reason, terms) else {
            return Err(fields.problems());
        };
        let form = store::requests::RaiseForm { meter, group, reason, terms };
        let mut change = cx.change(cx.permit(Act::UseOwn)?).await?;
        let id = store::requests::insert_raise(&mut change, &form).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Asked. You see here what comes of it.").then(format!("/requests/{id}")))
    })
    .await
}

/// Takes one's own request back.
#[server(prefix = "/console", endpoint = "requests/withdraw")]
pub async fn withdraw_request(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::UseOwn)?).await?;
        store::requests::withdraw(&mut change, read("id", &id)?).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Taken back."))
    })
    .await
}

/// Agrees to what was asked for, or to less. `shown`: the terms that the page said would be granted,
/// `700.00/2026-12-15`, with `/grt_…` behind it where it named a grant that this ends; empty: the terms that
/// were asked for.
#[server(prefix = "/console", endpoint = "requests/approve")]
pub async fn approve_request(
    id: String,
    amount: String,
    ends_on: String,
    #[server(default)] shown: String,
    #[server(default)] answer: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::requests::Terms;
    handle(|cx| async move {
        let id = read("id", &id)?;
        let terms = Terms { amount: read("amount", &amount)?, ends_on: inbox::last_day(&ends_on)? };
        let (shown, answer) = (read_some("shown", &shown)?, read_some("answer", &answer)?);
        let decided = inbox::approve(&cx, id, shown, Some(terms), answer.as_ref()).await?;
        Ok(Done::said(inbox::said(decided)))
    })
    .await
}

/// Says no, and why.
#[server(prefix = "/console", endpoint = "requests/refuse")]
pub async fn refuse_request(id: String, #[server(default)] answer: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let id = read("id", &id)?;
        Ok(Done::said(match inbox::refuse(&cx, id, &read("answer", &answer)?).await? {
            store::requests::Decided::Before => "You had refused this before. What you said then stands.",
            _ => "Refused. Whoever asked sees why.",
        }))
    })
    .await
}

/// Approves several as they were shown: one after the other, each for itself. `shown`: the terms of each,
/// `req_… 700.00/2026-12-15`, as with a single one; of one that is not there, those that were asked for.
#[server(prefix = "/console", endpoint = "requests/approve-several")]
pub async fn approve_requests(
    #[server(default)] ids: Vec<RequestId>,
    #[server(default)] shown: Vec<String>,
    #[server(default)] answer: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let shown = inbox::read_shown(&shown)?;
        inbox::several(&cx, &ids, inbox::Verdict::Approve(shown, read_some("answer", &answer)?)).await
    })
    .await
}

/// Refuses several, all with the same answer: one after the other, each for itself.
#[server(prefix = "/console", endpoint = "requests/refuse-several")]
pub async fn refuse_requests(
    #[server(default)] ids: Vec<RequestId>,
    #[server(default)] answer: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(
        |cx| async move { inbox::several(&cx, &ids, inbox::Verdict::Refuse(read("answer", &answer)?)).await },
    )
    .await
}

/// From which sum on several have to agree, and where that cannot come about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approving {
    /// None: one always suffices.
    pub rule: Option<ApprovalRule>,
    /// Why some requests can never be agreed to, where that is so.
    pub warning: Option<String>,
}

/// From which sum on several have to agree.
#[server(prefix = "/console", endpoint = "requests/rule")]
pub async fn load_approval_rule() -> Result<Approving, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadOrganization)?;
        let rule = store::requests::rule(&cx.store, permit.org()).await.known()?;
        let warning = inbox::too_few(&cx, rule.map_or(1, |rule| rule.approvers)).await?;
        Ok(Approving { rule, warning })
    })
    .await
}

/// Says from which sum on how many have to agree.
#[server(prefix = "/console", endpoint = "requests/edit-rule")]
pub async fn edit_approval_rule(
    version: i64,
    #[server(default)] above: String,
    approvers: u8,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{money::Money, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let above: Option<Money> = read_some("above", &above)?;
        let above = match (above, approvers) {
            (Some(above), _) => above,
            (None, 0 | 1) => Money::ZERO,
            (None, _) => return Err(AppError::field("above", "Enter a sum, for instance 500.")),
        };
        let before = store::requests::rule(&cx.store, permit.org()).await.known()?;
        let mut change = cx.change(permit).await?;
        store::requests::set_rule(&mut change, &ApprovalRule { above, approvers, version }).await.known()?;
        let undo = change.commit().await.known()?.then(|| ways_back::approval_rule(before, approvers));
        let warning =
            inbox::too_few(&cx, approvers).await?.map(|text| format!(" {text}")).unwrap_or_default();
        Ok(Done::said(match approvers {
            1 => "Saved. One always suffices.".to_owned(),
            several => format!("Saved. Above {}, {several} have to agree.{warning}", above.in_full()),
        })
        .undone_by(undo))
    })
    .await
}

/// Ends what was agreed to before its time.
#[server(prefix = "/console", endpoint = "requests/end")]
pub async fn end_grant(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let id: RequestId = read("id", &id)?;
        let mut change = cx.change(inbox::permit(&cx, id).await?).await?;
        store::requests::end(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Ended. It holds no more from the next call on."))
    })
    .await
}
