//! Drafts, tried on the calls of the last days before they are saved.

use domain::rehearsal::{Budget, Reach, Report, Rerouted};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// What a draft would have meant for recorded calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// How many days are replayed.
    pub days: u32,
    /// What came of it.
    pub report: Report,
    /// Which groups gain or lose which models.
    pub reach: Vec<Reach>,
    /// Which limits begin to apply, or no longer do.
    pub budgets: Vec<Budget>,
    /// Which applications go another way when a call names no model.
    pub rerouted: Vec<Rerouted>,
}

/// A draft, and what it would have meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RehearsalView {
    /// Which draft.
    pub id: String,
    /// What it changes, a sentence each.
    pub what: Vec<String>,
    /// All of it only takes note; what is shown is what it would refuse if it decided.
    pub observes: bool,
    /// Whether it could be saved so that it only takes note.
    pub may_observe: bool,
    /// What came of the replay; none: it cannot be saved as it is.
    pub replay: Option<Replay>,
    /// Why it cannot be saved as it is: somebody else's change has overtaken it, for instance.
    pub problem: Option<String>,
    /// Names what a move changes, which is confirmed by this name; empty for what moves nothing.
    pub seen: String,
    /// Pinned tests it would break, a sentence each.
    pub broken: Vec<String>,
    /// The form again, with what was typed.
    pub back: String,
}

/// Rehearses what one cell of the matrix is to say. `seen`: the cell as the form shows it.
#[server(prefix = "/console", endpoint = "rehearsals/authorization")]
pub async fn rehearse_authorization(
    #[server(default)] group: String,
    target: String,
    state: String,
    #[server(default)] locked: bool,
    #[server(default)] ends_on: String,
    #[server(default)] mode: String,
    #[server(default)] seen: String,
    #[server(default)] days: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::limits::Mode;
    handle(|cx| async move {
        let say = drafts::say(&cx, &state, locked, &ends_on).await?;
        let rules = store::authorizations::list(&cx.store, cx.org()?, None).await.known()?;
        let edits = drafts::range(&[group], &[target], say, read_some("seen", &seen)?, &rules)?;
        let back =
            rehearsals::rule_form(edits.first().map(|edit| edit.cell), &state, locked, &ends_on, &mode);
        let mode = read_some("mode", &mode)?.unwrap_or(Mode::Enforce);
        rehearsals::prepare(&cx, rehearsals::rules(edits, mode), back, &days).await
    })
    .await
}

/// Rehearses a limit.
#[server(prefix = "/console", endpoint = "rehearsals/limit")]
pub async fn rehearse_limit(
    scope: String,
    metric: String,
    window: String,
    cap: String,
    #[server(default)] mode: String,
    #[server(default)] thresholds: String,
    #[server(default)] version: String,
    #[server(default)] days: String,
) -> Result<Done, AppError> {
    use crate::{api::limits::SetLimit, backend::*};
    use leptos::server_fn::ServerFn;
    handle(|cx| async move {
        let capped = rehearsals::Capped {
            scope: &scope,
            metric: &metric,
            window: &window,
            cap: &cap,
            mode: &mode,
            thresholds: &thresholds,
            version: &version,
        };
        let draft = rehearsals::limit(&capped)?;
        let fields = [
            ("scope", scope.as_str()),
            ("metric", &metric),
            ("window", &window),
            ("cap", &cap),
            ("mode", &mode),
            ("thresholds", &thresholds),
            ("version", &version),
        ];
        rehearsals::prepare(&cx, draft, rehearsals::Back::new(SetLimit::PATH, "/limits", &fields), &days)
            .await
    })
    .await
}

/// Rehearses a routing policy.
#[server(prefix = "/console", endpoint = "rehearsals/policy")]
pub async fn rehearse_policy(
    #[server(default)] id: String,
    #[server(default)] version: String,
    name: String,
    routing: String,
    steps: String,
    #[server(default)] after: Vec<String>,
    #[server(default)] attempts: Vec<String>,
    #[server(default)] first_byte: Vec<String>,
    #[server(default)] days: String,
) -> Result<Done, AppError> {
    use crate::{api::policies::SavePolicy, backend::*};
    use domain::{ids::PolicyId, rehearsal::Draft, roles::Act};
    use leptos::server_fn::ServerFn;
    handle(|cx| async move {
        let org = cx.permit(Act::EditPolicies)?.org();
        let models = store::models::list(&cx.store, org).await.known()?;
        let lines = RuleLines { after, attempts, first_byte };
        let policy = read_some::<PolicyId>("id", &id)?;
        let was = match policy {
            Some(id) => Some(store::policies::get(&cx.store, org, id).await.known()?),
            None => None,
        };
        let models = nameable(&models, was.as_ref());
        let steps_read = read_steps(&models, &steps)?;
        let (before, known) = was.map(domain::policies::Policy::said).unwrap_or_default();
        let draft = Draft::Policy {
            id: policy,
            version: read_some("version", &version)?.unwrap_or_default(),
            name: read("name", &name)?,
            routing: read("routing", &routing)?,
            rules: Some(lines.read(&models, &steps_read, &before, &known)?),
            steps: steps_read,
        };
        // What it does after a failure is not replayed, and not lost on the way.
        let rules = lines.fields();
        let mut fields =
            vec![("name", name.as_str()), ("routing", &routing), ("steps", &steps), ("version", &version)];
        fields.extend(rules.iter().map(|(name, line)| (name.as_str(), line.as_str())));
        let back = rehearsals::Back::new(SavePolicy::PATH, "/policies", &fields);
        rehearsals::prepare(&cx, draft, back, &days).await
    })
    .await
}

/// Rehearses putting a group elsewhere in the tree.
#[server(prefix = "/console", endpoint = "rehearsals/move")]
pub async fn rehearse_move(
    id: String,
    #[server(default)] parent: String,
    #[server(default)] days: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{rehearsal::Draft, roles::Act};
    use leptos::server_fn::ServerFn;
    handle(|cx| async move {
        cx.permit(Act::MoveGroup)?;
        let parent_id = groups::named_some(&cx, "parent", &parent).await?;
        let group = store::groups::get(&cx.store, cx.org()?, read("id", &id)?).await.known()?;
        let from = group.path.iter().rev().nth(1).map(|(above, _)| *above);
        let draft = Draft::Move { group: group.id, from, parent: parent_id };
        let page = format!("/groups/{id}?dialog=move");
        let back = rehearsals::Back::new(RehearseMove::PATH, page, &[("parent", parent.as_str())]);
        rehearsals::prepare(&cx, draft, back, &days).await
    })
    .await
}

/// Rehearses putting an application into another group. `version`: as it was shown.
#[server(prefix = "/console", endpoint = "rehearsals/move-application")]
pub async fn rehearse_application_move(
    id: String,
    version: i64,
    #[server(default)] group: String,
    #[server(default)] days: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ApplicationId, rehearsal::Draft, roles::Act};
    use leptos::server_fn::ServerFn;
    handle(|cx| async move {
        let application: ApplicationId = read("id", &id)?;
        // Whoever may not change it where it is learns of no other group.
        let org = cx.permit_for(Act::EditApplications, application).await?.org();
        let from = store::applications::group_of(&cx.store, org, application).await.known()?;
        let to = groups::named(&cx, "group", &group).await?;
        let draft = Draft::MoveApplication { application, version, from, to };
        let page = format!("/applications/{id}?dialog=move");
        let back = rehearsals::Back::new(RehearseApplicationMove::PATH, page, &[("group", group.as_str())]);
        rehearsals::prepare(&cx, draft, back, &days).await
    })
    .await
}

/// What a draft would have meant for the calls of the last days.
#[server(prefix = "/console", endpoint = "rehearsals/get")]
pub async fn load_rehearsal(id: String, days: String) -> Result<RehearsalView, AppError> {
    use crate::backend::*;
    use domain::keys::Fallen;
    handle(|cx| async move {
        let actor = cx.actor()?.clone();
        let (id, me) = (id.parse().map_err(|_| AppError::NotFound)?, actor.user.ok_or(AppError::NotFound)?);
        let prepared = store::rehearsals::get(&cx.store, actor.org, me, id).await.known()?;
        let permit = rehearsals::permit(&cx, &prepared.draft).await?;
        let (days, observes) = (rehearsals::days(&days), prepared.draft.only_observes());
        // What only takes note refuses nothing: shown is what it would refuse.
        let tried = if observes { prepared.draft.clone().enforced() } else { prepared.draft.clone() };
        let (mut seen, mut fallen, mut whose) = (String::new(), Fallen::default(), Vec::new());
        if rehearsals::moves(&tried) {
            let mut change = cx.change(permit.clone()).await?.only_a_look();
            let before = change.facts().await.known()?;
            // What cannot be done is said below.
            if store::rehearsals::apply(&mut change, &tried).await.is_ok() {
                seen = rehearsals::seen(&mut change, &before, &tried).await?;
                fallen = change.fallen();
                let name = |id| before.users.get(id).map_or("", |user| user.name.as_str());
                whose = secrets::of_whom(change.fallen_of().iter().map(|(id, count)| (name(id), *count)));
            }
        }
        let rehearsed = store::rehearsals::rehearse(&cx.store, permit, &tried, days).await;
        let back = rehearsals::way_back(&prepared.page, &prepared.fields);
        let may_observe = !observes && prepared.draft.may_observe();
        let rehearsed = match rehearsed.known() {
            Err(error) => Err(rehearsals::overtaken(&cx, error, &prepared.draft).await),
            found => found,
        };
        let (mut what, broken, replay, problem) = match rehearsed {
            Ok(found) => (
                rehearsals::words(&found.before, &prepared.draft),
                rehearsals::broken(&found.broken),
                Some(rehearsals::replay(found, days)),
                None,
            ),
            // The form is where that can be mended, and what was typed goes back with it.
            Err(
                error @ (AppError::Changed(_)
                | AppError::Meanwhile(_)
                | AppError::Invalid(_)
                | AppError::Forbidden(_)),
            ) => {
                let facts = store::access::current(&cx.store, actor.org).await.known()?;
                let what = rehearsals::words(&facts, &prepared.draft);
                (what, Vec::new(), None, Some(error.sentence()))
            }
            Err(error) => return Err(error),
        };
        what.extend(secrets::dying(fallen));
        what.extend((!whose.is_empty()).then(|| format!("Those are of {}.", whose.join(", "))));
        let id = id.to_string();
        Ok(RehearsalView { id, what, observes, may_observe, seen, broken, replay, problem, back })
    })
    .await
}

/// Makes a draft come true. `observe`: so that it only takes note. `seen`: what was shown of a move; when it
/// would be something else by now, nothing is moved.
#[server(prefix = "/console", endpoint = "rehearsals/save")]
pub async fn save_rehearsal(
    id: String,
    #[server(default)] observe: bool,
    #[server(default)] seen: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::rehearsal::Draft;
    handle(|cx| async move {
        let actor = cx.actor()?.clone();
        let (id, me) = (id.parse().map_err(|_| AppError::NotFound)?, actor.user.ok_or(AppError::NotFound)?);
        let mut prepared = store::rehearsals::get(&cx.store, actor.org, me, id).await.known()?;
        if observe {
            prepared.draft = prepared.draft.observing();
        }
        let mut change = cx.change(rehearsals::permit(&cx, &prepared.draft).await?).await?;
        let undo = ways_back::draft(&mut change, &prepared.draft).await.known()?;
        let raised = match &prepared.draft {
            Draft::Limit { meter, cap, .. } => {
                let raised = ways_back::raise_over(&mut change, meter, *cap).await.known()?;
                let default = change.facts().await.known()?.default_user_limit;
                ways_back::raise_ended(meter, raised.as_ref(), default.filter(|_| undo.is_some()))
            }
            _ => String::new(),
        };
        let before = change.facts().await.known()?;
        let rules = match store::rehearsals::save(&mut change, &prepared).await.known() {
            Err(error) => return Err(rehearsals::overtaken(&cx, error, &prepared.draft).await),
            Ok(rules) => rules,
        };
        if rehearsals::seen(&mut change, &before, &prepared.draft).await? != seen {
            return Err(AppError::Changed(
                "Nothing was moved: models or limits are not as they were when this was shown. What would change now stands here. Save it again if that is meant."
                    .to_owned(),
            ));
        }
        let fallen = change.fallen();
        if !change.commit().await.known()? {
            return Err(AppError::field("", "It is so already: there is nothing to save."));
        }
        let said = rehearsals::saved(prepared.draft.only_observes());
        Ok(Done::said(secrets::with_dead(said, fallen, true) + &raised)
            .then(rehearsals::closed(&prepared.page))
            .undone_by(rules.map(ways_back::rules).or(undo)))
    })
    .await
}
