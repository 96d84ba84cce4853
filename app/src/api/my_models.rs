//! What I can use.

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    authorizations::State,
    ids::GroupId,
    money::Money,
    organizations::MembersMay,
    prices::Prices,
    requests::Request,
    spend::{CallRow, LimitLevel},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// Where a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Door {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/messages`.
    Messages,
    /// `/v1/embeddings`.
    Embeddings,
}

impl Door {
    /// What callers know it by.
    pub const fn called(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions and /v1/responses",
            Self::Messages => "/v1/messages",
            Self::Embeddings => "/v1/embeddings",
        }
    }
}

/// What calls of a model usually cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usual {
    /// On average.
    pub cost: Money,
    /// Of my calls; otherwise of everybody's.
    pub mine: bool,
}

/// A limit that has no room for a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tight {
    /// Which.
    pub limit: String,
    /// When it begins anew; none: never.
    pub anew: Option<DateTime<Utc>>,
}

/// One of my groups through which a model can be used or asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The group.
    pub group: GroupId,
    /// What it is called: with its path where two of mine have the same name.
    pub name: String,
    /// Open, or by request.
    pub state: State,
    /// The money that is left right now, and what limits it; none: nothing does.
    pub left: Option<(Money, String)>,
    /// The limit in which not even the smallest call fits.
    pub full: Option<Tight>,
    /// The limit in which a call as they usually are does not fit, where the smallest does.
    pub short: Option<Tight>,
    /// Whether a live secret of mine calls on that group's account.
    pub called: bool,
}

/// A model, seen from my groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyModel {
    /// What callers write.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Where it is called; none: nowhere yet.
    pub door: Option<Door>,
    /// What it costs now.
    pub prices: Option<Prices>,
    /// Open, or by request: the best there is.
    pub state: State,
    /// The groups through which, the open one that my secrets call through first, then the one that has most
    /// left. Never empty.
    pub through: Vec<Way>,
    /// What a call cost in the last 30 days.
    pub usual: Option<Usual>,
}

/// A secret of mine that lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MySecret {
    /// Its id.
    pub id: String,
    /// The start and the last four characters.
    pub hint: String,
    /// Its last call.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
}

/// A key I can have a secret of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyKey {
    /// The key.
    pub key: String,
    /// Its application.
    pub application: String,
    /// What that is called.
    pub name: String,
    /// The group it lives in.
    pub group: String,
    /// Whether it is my private context.
    pub personal: bool,
    /// My newest live secret.
    pub secret: Option<MySecret>,
    /// Those that it replaced, as long as they go on.
    pub older: Vec<MySecret>,
    /// The policy that stands for a model its calls do not name, and the group that says so.
    pub policy: Option<(String, Option<String>)>,
    /// The hint of my last secret, if it died because somebody reported it.
    pub leaked: Option<String>,
    /// What has ended of the group on whose account its calls are, where all of them are refused.
    pub over: Option<String>,
}

/// A group somebody is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyGroup {
    /// Which.
    pub id: GroupId,
    /// Its path.
    pub path: String,
    /// Whether they lead it.
    pub lead: bool,
    /// Their last day in it.
    pub last_day: Option<NaiveDate>,
    /// What ended for them, where it, or one above it, has ended.
    pub over: Option<GroupOver>,
}

/// What ended for somebody with a group of theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupOver {
    /// The last day of what ended.
    pub last: NaiveDate,
    /// Which group ended and when, what that ends for them, and how it goes on.
    pub told: String,
    /// The group that ended, where they may give it a later last day.
    pub page: Option<GroupId>,
}

/// Everything on *my models*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MyPage {
    /// Models I can use or ask for.
    pub models: Vec<MyModel>,
    /// My groups that are open: id, path, and whether I have a private context there.
    pub groups: Vec<(GroupId, String, bool)>,
    /// What ended for me with groups of mine that are over since not too long.
    pub over: Vec<GroupOver>,
    /// Keys I can have a secret of.
    pub keys: Vec<MyKey>,
    /// Every limit that applies to me, the tightest first.
    pub limits: Vec<LimitLevel>,
    /// My requests that wait, and my grants that hold.
    pub requests: Vec<Request>,
    /// What I spent this month, wherever I called.
    pub spend: Money,
    /// My last calls.
    pub calls: Option<Vec<CallRow>>,
    /// Applications I answer for: id and name.
    pub owned: Vec<(String, String)>,
    /// What I may do by myself.
    pub may: MembersMay,
}

/// My groups, those that are over with what ended with them.
#[server(prefix = "/console", endpoint = "my-groups")]
pub async fn load_my_groups() -> Result<Vec<MyGroup>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::UseOwn)?;
        let (org, me) = (permit.org(), permit.actor().user.ok_or(AppError::NotFound)?);
        let facts = store::access::current(&cx.store, org).await.known()?;
        Ok(my_groups::of(&facts, cx.actor()?, me, store::clock::now()))
    })
    .await
}

/// What I can use, through which group, with which headroom: by the function that enforces it.
#[server(prefix = "/console", endpoint = "my-models")]
pub async fn load_my_models() -> Result<MyPage, AppError> {
    use crate::backend::*;
    use domain::{
        access::{Ask, Decision, Verdict, decide, policy_of},
        ids::ModelId,
        limits::Scope,
        roles::Act,
    };
    use std::collections::{HashMap, HashSet};
    // For how many days it is said here that a group ended; the page of one's own sign-in says it for good.
    const SAID_FOR: u64 = 90;
    let shown = |secret: &store::keys::OwnSecret| MySecret {
        id: secret.id.to_string(),
        hint: secret.hint.clone(),
        last_used_at: secret.last_used_at,
        ends_at: secret.ends_at,
    };
    handle(|cx| async move {
        let permit = cx.permit(Act::UseOwn)?;
        let (org, me) = (permit.org(), permit.actor().user.ok_or(AppError::NotFound)?);
        let facts = store::access::current(&cx.store, org).await.known()?;
        let now = store::clock::now();
        let my_groups = my_groups::of(&facts, cx.actor()?, me, now);
        let (mine, over): (Vec<_>, Vec<_>) = my_groups.into_iter().partition(|group| group.over.is_none());
        let mine: Vec<GroupId> = mine.into_iter().map(|group| group.id).collect();
        let said_since = facts.calendar.day(now) - chrono::Days::new(SAID_FOR);
        let keys = store::keys::own(&cx.store, org, me).await.known()?;
        let applications: Vec<_> = keys.iter().map(|key| key.application).collect();
        let mut ruled = HashMap::<ModelId, Vec<(GroupId, State, Decision)>>::new();
        for id in facts.models.keys() {
            for group in &mine {
                let ask = Ask {
                    group: *group,
                    user: Some(me),
                    application: None,
                    model: *id,
                    features: Default::default(),
                };
                let decision = decide(&facts, &ask, now);
                let state = match decision.verdict {
                    Verdict::Allow => State::Open,
                    Verdict::NeedsApproval => State::ByRequest,
                    Verdict::Deny(_) => continue,
                };
                ruled.entry(*id).or_default().push((*group, state, decision));
            }
        }
        // Quotas of rules and grants by which none of my calls would pass are others'.
        let passing = ruled.values().flatten().filter(|(_, state, _)| *state == State::Open);
        let passed_by: HashSet<Scope> = passing
            .flat_map(|(.., by)| {
                by.rule.map(Scope::Authorization).into_iter().chain(by.grant.map(Scope::Grant))
            })
            .collect();
        let mut limits = my_limits::all(&cx, &facts, me, &mine, &applications, &passed_by).await?;
        let usual = my_limits::usual(&cx, org, me, facts.calendar.day(now)).await?;
        let alone = |group: &GroupId| {
            let name = |id: &GroupId| facts.groups.get(id).map(|group| group.name.as_str());
            mine.iter().filter(|other| name(other) == name(group)).count() < 2
        };
        let name_of = |group: &GroupId| match facts.groups.get(group) {
            Some(known) if alone(group) => known.name.clone(),
            _ => domain::why::place(&facts, Some(*group)),
        };
        let called: HashSet<GroupId> = keys
            .iter()
            .filter(|key| key.secret.is_some() || !key.older.is_empty())
            .filter_map(|key| facts.applications.get(&key.application))
            .map(|application| application.group)
            .collect();
        let mut models: Vec<MyModel> = Vec::new();
        for (id, ruled) in &ruled {
            let Some(model) = facts.models.get(id) else { continue };
            let mut through: Vec<Way> = Vec::new();
            let typical = usual.get(id).map(|usual| usual.cost);
            for (group, state, decision) in ruled {
                let open = (*state == State::Open)
                    .then(|| my_limits::room(&facts, &limits, me, (*group, *id, typical), decision));
                let (left, full, short) =
                    open.map(|room| (room.left, room.full, room.short)).unwrap_or_default();
                let (name, called) = (name_of(group), called.contains(group));
                through.push(Way { group: *group, name, state: *state, left, full, short, called });
            }
            // What nothing limits has most left.
            let rest = |way: &Way| way.left.as_ref().map_or(i64::MAX, |(money, _)| money.0);
            through.sort_by(|a, b| {
                // Where my calls go comes before where more is left: that is what they run into.
                let rank =
                    |way: &Way| (way.state, !way.called, way.full.is_some(), std::cmp::Reverse(rest(way)));
                (rank(a), &a.name).cmp(&(rank(b), &b.name))
            });
            let Some(state) = through.first().map(|way| way.state) else { continue };
            let dialect = facts.providers.get(&model.provider).map(|provider| provider.dialect);
            models.push(MyModel {
                name: model.name.clone(),
                tier: facts.tiers.get(&model.tier).map(|tier| tier.name.clone()).unwrap_or_default(),
                door: my_limits::door(dialect, model.modality),
                prices: model.prices_at(now).copied(),
                state,
                through,
                usual: usual.get(id).copied(),
            });
        }
        models.sort_by(|a, b| (a.state, &a.name).cmp(&(b.state, &b.name)));
        limits.sort_by_key(|level| std::cmp::Reverse(level.percent()));
        let paths: std::collections::HashMap<GroupId, String> =
            store::groups::paths(&cx.store, org).await.known()?.into_iter().collect();
        let path = |id: &GroupId| paths.get(id).cloned().unwrap_or_default();
        let which = store::rollups::Which { user: Some(me), ..Default::default() };
        let month = cx.month().await?;
        let spent = store::rollups::sums(&cx.store, org, &which, month.first, month.next).await.known()?;
        let asked = store::requests::Filter {
            sees: store::requests::Sees::Some(me, Vec::new()),
            ..Default::default()
        };
        Ok(MyPage {
            models,
            groups: mine
                .iter()
                .map(|id| (*id, path(id), keys.iter().any(|key| key.personal && key.group == *id)))
                .collect(),
            over: over
                .into_iter()
                .filter_map(|group| group.over.filter(|over| over.last >= said_since))
                .collect(),
            keys: keys
                .iter()
                .map(|key| MyKey {
                    key: key.key.to_string(),
                    application: key.application.to_string(),
                    name: key.name.clone(),
                    group: path(&key.group),
                    personal: key.personal,
                    secret: key.secret.as_ref().map(shown),
                    older: key.older.iter().map(shown).collect(),
                    policy: facts.applications.get(&key.application).and_then(|application| {
                        let found = policy_of(&facts, application)?;
                        let from = found.from.and_then(|id| facts.groups.get(&id));
                        Some((found.name.to_owned(), from.map(|group| group.name.clone())))
                    }),
                    leaked: key.leaked.clone(),
                    over: domain::why::over(&facts, key.group, now),
                })
                .collect(),
            limits,
            requests: store::requests::live(&cx.store, org, &asked).await.known()?,
            spend: spent.spend,
            calls: store::rollups::last_calls(&cx.store, org, &which, now, 10).await,
            owned: store::applications::owned(&cx.store, org, me)
                .await
                .known()?
                .into_iter()
                .map(|(id, name)| (id.to_string(), name))
                .collect(),
            may: store::organizations::get(&cx.store, org).await.known()?.members,
        })
    })
    .await
}
