//! Limits.

use domain::spend::LimitLevel;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// Every limit, and what could have one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// With their levels, of the scopes of a page.
    pub limits: Vec<LimitLevel>,
    /// How many limits there are.
    pub all: usize,
    /// Where the next page starts.
    pub next: Option<String>,
    /// Scopes that could have one: key and name.
    pub scopes: Vec<(String, String)>,
}

/// Limits, by what they are on: `q`, part of its name; `kind`, its kind; `after`, the key of the scope
/// behind which the page starts. `find`: what a new limit is to be on.
#[server(prefix = "/console", endpoint = "limits/list")]
pub async fn load_limits(
    #[server(default)] q: String,
    #[server(default)] kind: String,
    #[server(default)] after: String,
    #[server(default)] find: String,
) -> Result<Limits, AppError> {
    use crate::backend::*;
    use std::collections::HashSet;

    use domain::{
        limits::{Scope, ScopeKind},
        roles::Act,
    };
    // How many scopes a page lists, and how many of each kind a new limit can be set on from here: the
    // others have it on their own page.
    const PAGE: usize = 50;
    const OFFERED: usize = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let facts = store::access::current(&cx.store, org).await.known()?;
        let now = store::clock::now();
        let over =
            |grant| facts.grants.values().flatten().any(|known| known.id == grant && known.ends_at <= now);
        let stands = |id| facts.rules.values().flat_map(|rules| rules.values()).any(|rule| rule.id == id);
        // What a grant that is over limits is history; so is what a rule did that was taken away.
        let holds = |scope| match scope {
            Scope::Grant(grant) => !over(grant),
            Scope::Authorization(rule) => stands(rule),
            _ => true,
        };
        let q = q.trim().to_lowercase();
        let kind: Option<ScopeKind> = kind.parse().ok();
        let mut standing: Vec<(ScopeKind, String, Scope)> = facts
            .limits
            .keys()
            .filter(|scope| holds(**scope) && kind.is_none_or(|kind| scope.kind() == kind))
            .map(|scope| (scope.kind(), facts.scope_name(*scope).to_lowercase(), *scope))
            .filter(|(_, name, _)| name.contains(&q))
            .collect();
        standing.sort();
        let start = standing.iter().position(|(.., scope)| scope.key() == after).map_or(0, |place| place + 1);
        let page: HashSet<Scope> = standing.iter().skip(start).take(PAGE).map(|(.., scope)| *scope).collect();
        let next = standing.get(start + PAGE - 1).filter(|_| standing.len() > start + PAGE);
        let next = next.map(|(.., scope)| scope.key());
        let limits =
            store::limits::list(&cx.store, org, &facts, |scope| page.contains(&scope)).await.known()?;
        let find = find.trim();
        let groups = if find.is_empty() {
            store::groups::paths(&cx.store, org).await.known()?
        } else {
            groups::matching(&cx, find).await?
        };
        let month = cx.month().await?;
        let search = Some(find.to_owned()).filter(|find| !find.is_empty());
        let named = store::applications::Filter { search, ..Default::default() };
        let applications =
            store::applications::list(&cx.store, org, &month, &named, OFFERED as i64).await.known()?;
        let users = store::directory::people(&cx.store, org, find, OFFERED).await.known()?;
        let whole = (Scope::Organization.key(), format!("{} (organization)", facts.org_name));
        let names_whole = facts.org_name.to_lowercase().contains(&find.to_lowercase());
        let mut scopes: Vec<_> = names_whole.then_some(whole).into_iter().collect();
        scopes.extend(
            groups
                .into_iter()
                .take(OFFERED)
                .map(|(id, path)| (Scope::Group(id).key(), format!("{path} (group)"))),
        );
        scopes.extend(
            applications
                .into_iter()
                .map(|app| (Scope::Application(app.id).key(), format!("{} (application)", app.name))),
        );
        scopes
            .extend(users.into_iter().map(|(id, name, _)| (Scope::User(id).key(), format!("{name} (user)"))));
        let all = facts.limits.values().map(Vec::len).sum();
        Ok(Limits { limits, all, next, scopes })
    })
    .await
}

/// Sets a limit on a scope. `version`: the one that was shown; empty: none was there.
#[server(prefix = "/console", endpoint = "limits/set")]
pub async fn set_limit(
    scope: String,
    metric: String,
    window: String,
    cap: String,
    #[server(default)] mode: String,
    #[server(default)] thresholds: String,
    #[server(default)] version: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        limits::{Meter, Metric, Mode, Scope},
        roles::Act,
        window::Window,
    };
    use store::limits::LimitForm;
    handle(|cx| async move {
        let scope = Scope::from_key(&scope)
            .ok_or_else(|| AppError::field("scope", "Choose what is to be limited."))?;
        let metric: Metric = read("metric", &metric)?;
        let window = if metric == Metric::ConcurrentCalls { Window::Total } else { read("window", &window)? };
        let form = LimitForm {
            cap: read_amount(metric, &cap)?,
            mode: read_some("mode", &mode)?.unwrap_or(Mode::Enforce),
            thresholds: read_thresholds(&thresholds)?,
        };
        let org = cx.org()?;
        let permit = match cx.permit(Act::LoosenLimits) {
            Ok(permit) => permit,
            Err(error) => {
                let facts = store::access::current(&cx.store, org).await.known()?;
                match store::limits::group_of(&facts, scope).known()? {
                    Some(group) => cx.permit_in(Act::TightenLimits, group).await?,
                    None => return Err(error),
                }
            }
        };
        let mut change = cx.change(permit).await?;
        let meter = Meter { scope, metric, window };
        let seen = read_some::<i64>("version", &version)?.into();
        let before = store::limits::said(&mut change, &meter).await.known()?;
        let raised = ways_back::raise_over(&mut change, &meter, form.cap).await.known()?;
        let id = store::limits::set(&mut change, meter, &form, seen).await.known()?;
        let default = change.facts().await.known()?.default_user_limit;
        let saved = change.commit().await.known()?;
        // What was there before is looser, mostly, and so not a lead's to set again.
        let undo = (saved && cx.permit(Act::LoosenLimits).is_ok())
            .then(|| ways_back::limit(id, &meter, before, raised.as_ref()));
        let rest = ways_back::raise_ended(&meter, raised.as_ref(), default.filter(|_| undo.is_some()));
        Ok(Done::said(format!("Limit set: {}.{rest}", meter.show_cap(form.cap))).undone_by(undo))
    })
    .await
}

/// Takes a limit away, as it was shown.
#[server(prefix = "/console", endpoint = "limits/remove")]
pub async fn remove_limit(id: String, version: i64) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::LoosenLimits)?).await?;
        let (meter, form, raised) =
            store::limits::remove(&mut change, read("id", &id)?, version).await.known()?;
        let facts = change.facts().await.known()?;
        change.commit().await.known()?;
        let rest = ways_back::raise_ended(&meter, raised.as_ref(), None);
        let holds = match facts.default_user_limit.filter(|_| meter.is_month_of_a_person()) {
            Some(default) => format!(
                " {} has the organization's default now: {}.",
                facts.scope_name(meter.scope),
                meter.show_cap(default.0)
            ),
            None => String::new(),
        };
        let undo = ways_back::lasting(form, raised.as_ref());
        let undo = undo.map(|form| ways_back::limit_again(&meter, &form));
        Ok(Done::said(format!("Limit removed.{holds}{rest}")).undone_by(undo))
    })
    .await
}
