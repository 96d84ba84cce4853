//! Drafts as forms write them and people read them, and who may make them.

use domain::{
    access::{Facts, policy_of_group},
    authorizations::{self, Cell, Edit, Target},
    ids::{ApplicationId, GroupId, ModelId},
    limits::{Meter, Metric, Mode, Scope},
    policies::Routing,
    rehearsal::{Draft, RuleEdit},
    roles::Permit,
    time,
    why::place,
    window::Window,
};

use leptos::server_fn::ServerFn;
use store::{Change, access_tests::Broken, rehearsals::Rehearsed, seen::Edited};

use super::{
    AppError, Cx, Done, Known, batches, drafts, headers, read, read_amount, read_some, read_thresholds,
};
use crate::api::{
    authorizations::{StageAuthorizations, rule_href},
    rehearsals::Replay,
};

/// How many days are replayed when nobody says otherwise.
const DAYS: u32 = 30;

/// How many days are replayed: 7, 30 or 90.
pub fn days(text: &str) -> u32 {
    match text.trim().parse() {
        Ok(days @ (7 | 30 | 90)) => days,
        _ => DAYS,
    }
}

/// Edits of rules, all of which decide or only take note.
pub fn rules(edits: Vec<Edit>, mode: Mode) -> Draft {
    Draft::Authorizations(edits.into_iter().map(|edit| RuleEdit { edit, mode }).collect())
}

/// The way back to the form of a cell.
pub fn rule_form(cell: Option<Cell>, state: &str, locked: bool, ends_on: &str, mode: &str) -> Back {
    let page = cell.map_or_else(|| "/authorization".to_owned(), rule_href);
    let mut fields = vec![("state", state), ("ends_on", ends_on), ("mode", mode)];
    if locked {
        fields.push(("locked", "true"));
    }
    Back::new(StageAuthorizations::PATH, page, &fields)
}

/// What is said when a rule or a limit was saved.
pub const fn saved(observes: bool) -> &'static str {
    if observes {
        "Saved. It refuses nothing, and takes note of what it would refuse."
    } else {
        "Saved. It holds from the next call on."
    }
}

/// Pinned tests that a draft would break, a sentence each.
pub fn broken(tests: &[Broken]) -> Vec<String> {
    tests
        .iter()
        .map(|broken| {
            let Broken { name, failure, .. } = broken;
            format!("It would break the pinned test “{name}”{}: {failure}.", broken.when())
        })
        .collect()
}

/// What a draft would have meant, as pages show it.
pub fn replay(rehearsed: Rehearsed, days: u32) -> Replay {
    let Rehearsed { report, reach, budgets, rerouted, .. } = rehearsed;
    Replay { days, report, reach, budgets, rerouted }
}

/// Names what moving something changes for groups and their limits, once it is done within a change: it is
/// confirmed by this name. `before`: the facts as they were; empty for drafts that move nothing.
///
/// # Errors
/// When the database does not answer.
pub async fn seen(change: &mut Change, before: &Facts, draft: &Draft) -> Result<String, AppError> {
    if !moves(draft) {
        return Ok(String::new());
    }
    let (after, now) = (change.facts().await.known()?, change.at());
    let (reach, budgets, rerouted) = store::rehearsals::consequences(before, &after, draft, now);
    let lines = reach.iter().map(|reach| format!("{reach:?}"));
    let lines = lines.chain(budgets.iter().map(|budget| format!("{budget:?}")));
    let lines = lines.chain(rerouted.iter().map(|route| format!("{route:?}")));
    Ok(batches::digest(lines.chain(change.fallen().in_words())))
}

/// Whether a draft puts something elsewhere: then others decide what comes of it as well.
pub const fn moves(draft: &Draft) -> bool {
    matches!(draft, Draft::Move { .. } | Draft::MoveApplication { .. })
}

/// What a form about a limit says.
pub struct Capped<'a> {
    /// On what.
    pub scope: &'a str,
    /// Of what.
    pub metric: &'a str,
    /// Per what.
    pub window: &'a str,
    /// How much.
    pub cap: &'a str,
    /// What happens without room.
    pub mode: &'a str,
    /// When somebody is told.
    pub thresholds: &'a str,
    /// The version that was shown.
    pub version: &'a str,
}

/// A draft that somebody else's change has overtaken has no field to show theirs beside: its form has. Who
/// that was is said.
pub async fn overtaken(cx: &Cx, error: AppError, draft: &Draft) -> AppError {
    let AppError::Stale = error else { return error };
    let who = match (edited(draft), cx.actor()) {
        (Some(edited), Ok(actor)) => {
            store::seen::first(&cx.store, actor.org, actor.user, edited).await.ok().flatten()
        }
        _ => None,
    };
    let who = who.unwrap_or_else(|| "Somebody else".to_owned());
    AppError::Meanwhile(format!(
        "{who} changed this since it was drafted, and nothing of yours was saved. Go back to the form and save there: it shows what was saved beside what you typed."
    ))
}

/// What a draft is about; none: rules, which are compared each by itself, and what is new.
fn edited(draft: &Draft) -> Option<Edited> {
    Some(match draft {
        Draft::Limit { meter, .. } => Edited::Limit(*meter),
        Draft::Policy { id, .. } => Edited::Thing((*id)?.0),
        Draft::Move { group, .. } => Edited::Thing(group.0),
        Draft::MoveApplication { application, .. } => Edited::Thing(application.0),
        Draft::Authorizations(_) => return None,
    })
}

/// Reads what a form about a limit says.
///
/// # Errors
/// About the field that cannot be read.
pub fn limit(capped: &Capped<'_>) -> Result<Draft, AppError> {
    let scope = Scope::from_key(capped.scope)
        .ok_or_else(|| AppError::field("scope", "Choose what is to be limited."))?;
    let metric: Metric = read("metric", capped.metric)?;
    let window =
        if metric == Metric::ConcurrentCalls { Window::Total } else { read("window", capped.window)? };
    Ok(Draft::Limit {
        meter: Meter { scope, metric, window },
        cap: read_amount(metric, capped.cap)?,
        mode: read_some("mode", capped.mode)?.unwrap_or(Mode::Enforce),
        thresholds: read_thresholds(capped.thresholds)?,
        version: read_some("version", capped.version)?,
    })
}

/// Proves that they may make a draft come true.
///
/// # Errors
/// When they may not.
pub async fn permit(cx: &Cx, draft: &Draft) -> Result<Permit, AppError> {
    if let Draft::Authorizations(rules) = draft {
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        let edits = rules.iter().map(|rule| rule.edit).collect();
        return drafts::permit(cx, &facts, &authorizations::Draft { edits });
    }
    if let Draft::MoveApplication { application, to, .. } = draft {
        let from = store::applications::group_of(&cx.store, cx.org()?, *application).await.known()?;
        return cx.permit_between(draft.acts().0, from, *to).await;
    }
    let (act, within) = draft.acts();
    let error = match cx.permit(act) {
        Ok(permit) => return Ok(permit),
        Err(error) => error,
    };
    let group = match draft {
        Draft::Limit { meter, .. } => {
            let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
            store::limits::group_of(&facts, meter.scope).known()?
        }
        Draft::Authorizations(_)
        | Draft::Policy { .. }
        | Draft::Move { .. }
        | Draft::MoveApplication { .. } => None,
    };
    match (within, group) {
        (Some(act), Some(group)) => cx.permit_in(act, group).await,
        _ => Err(error),
    }
}

/// Keeps a draft and goes on to what it would have meant.
///
/// # Errors
/// When they may not make it come true, or it cannot be kept.
pub async fn prepare(cx: &Cx, draft: Draft, back: Back, asked: &str) -> Result<Done, AppError> {
    let permit = permit(cx, &draft).await?;
    let page = referrer().unwrap_or(back.page);
    let mut fields = back.fields;
    fields.push(("_to".to_owned(), back.to.to_owned()));
    let id = store::rehearsals::prepare(&cx.store, permit, &draft, &page, &fields).await.known()?;
    Ok(Done::default().then(format!("/rehearsals/{id}?days={}", days(asked))))
}

/// The way back to a form.
pub struct Back {
    /// Where the form goes.
    pub to: &'static str,
    /// The page it stands on, unless the browser says otherwise.
    pub page: String,
    /// What was typed.
    pub fields: Vec<(String, String)>,
}

impl Back {
    /// To a form with these fields.
    pub fn new(to: &'static str, page: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { to, page: page.into(), fields: fields.iter().map(owned).collect() }
    }
}

/// The page a form was sent from, as a path of this console.
pub fn referrer() -> Option<String> {
    let headers = headers();
    let text = headers.get(axum::http::header::REFERER)?.to_str().ok()?;
    let uri: axum::http::Uri = text.parse().ok()?;
    let path = uri.path_and_query()?.to_string();
    let stays = path.starts_with('/') && !path[1..].starts_with(['/', '\\']);
    (stays && !path.starts_with("/console/")).then_some(path)
}

/// The form once more, with what was typed in it.
pub fn way_back(page: &str, fields: &[(String, String)]) -> String {
    let text = serde_json::to_string(fields).unwrap_or_default();
    let glue = if page.contains('?') { '&' } else { '?' };
    format!("{}{glue}typed={}", without(page, &["typed"]), crate::ui::query::encoded(&text))
}

/// A page without its open dialog.
pub fn closed(page: &str) -> String {
    without(page, &["typed", "dialog", "ticked"])
}

fn without(page: &str, names: &[&str]) -> String {
    let Some((path, query)) = page.split_once('?') else { return page.to_owned() };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !names.iter().any(|name| pair.split('=').next() == Some(*name)))
        .collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

/// A draft in words, one sentence for each thing it changes.
pub fn words(facts: &Facts, draft: &Draft) -> Vec<String> {
    match draft {
        Draft::Authorizations(rules) => {
            let said = rules.iter().filter(|rule| !is_promoted(rules, rule));
            said.map(|rule| edit_words(facts, rule)).collect()
        }
        Draft::Limit { meter, cap, mode, .. } => {
            let known = facts.limits.get(&meter.scope).and_then(|limits| {
                limits.iter().find(|limit| limit.meter == *meter).map(|limit| (limit.cap, limit.mode))
            });
            let show = |cap: i64, mode: Mode| match mode {
                Mode::Enforce => meter.show_cap(cap),
                Mode::Observe => format!("{}, only observed", meter.show_cap(cap)),
            };
            let now = known.map_or_else(|| "no such limit".to_owned(), |(cap, mode)| show(cap, mode));
            vec![format!("{}: {}. Today: {now}.", facts.scope_name(meter.scope), show(*cap, *mode))]
        }
        Draft::Policy { id, name, routing, steps, .. } => {
            let steps: Vec<(ModelId, u32)> =
                steps.iter().map(|(model, weight)| (*model, u32::try_from(*weight).unwrap_or(1))).collect();
            let known = facts.policies.values().find(|policy| Some(policy.id) == *id);
            let now = known.map_or_else(
                || "no such policy".to_owned(),
                |policy| step_words(facts, policy.routing, &policy.steps),
            );
            vec![format!("policy/{name}: {}. Today: {now}.", step_words(facts, *routing, &steps))]
        }
        Draft::Move { group, parent, .. } => {
            let to = parent
                .map_or_else(|| "to the top".to_owned(), |id| format!("into {}", place(facts, Some(id))));
            vec![format!("{} moves {to}, with everything below it.", place(facts, Some(*group)))]
        }
        Draft::MoveApplication { application, from, to, .. } => {
            application_words(facts, *application, *from, *to)
        }
    }
}

fn application_words(facts: &Facts, id: ApplicationId, from: GroupId, to: GroupId) -> Vec<String> {
    let known = facts.applications.get(&id);
    let name = known.map_or("The application", |application| application.name.as_str());
    let (old, new) = (place(facts, Some(from)), place(facts, Some(to)));
    let mut words = vec![
        format!("{name} moves from {old} into {new}."),
        "Its key, its secrets, its own limits and the groups whose members have a secret of it stay as they are."
            .to_owned(),
        format!("What it has spent so far stays with {old}; from the next call on it counts in {new}."),
    ];
    let unnamed = |group| policy_of_group(facts, group).map(|found| found.name);
    if known.is_some_and(|application| application.policy.is_none()) && unnamed(from) != unnamed(to) {
        words.push(unnamed(to).map_or_else(
            || "Its calls that name no model are refused there: no policy stands for them.".to_owned(),
            |policy| format!("Its calls that name no model go to policy/{policy} there."),
        ));
    }
    words
}

/// Whether a rule that took note goes because the same is said in earnest: that is one change, and told as one.
fn is_promoted(rules: &[RuleEdit], rule: &RuleEdit) -> bool {
    let goes = rule.mode == Mode::Observe && rule.edit.say.is_none();
    goes && rules.iter().any(|other| {
        other.mode == Mode::Enforce && other.edit.cell == rule.edit.cell && other.edit.say.is_some()
    })
}

fn edit_words(facts: &Facts, RuleEdit { edit, mode }: &RuleEdit) -> String {
    let Cell { group, target } = edit.cell;
    let (whose, what) = (place_name(facts, group), facts.target_name(target));
    let known = facts.rules.get(&group).and_then(|rules| rules.get(&target));
    let now = known.map_or("nothing of its own", |rule| rule.state.label()).to_lowercase();
    let Some(say) = edit.say else {
        return format!("{whose} says nothing about {what} any more. Today: {now}.");
    };
    let lock = if say.locked { ", locked" } else { "" };
    let until = say.ends_at.map(|end| {
        let last = facts.calendar.day(end - chrono::Duration::seconds(1));
        format!(", through {}", time::date(last))
    });
    let mode = if *mode == Mode::Observe { ", only observed" } else { "" };
    format!(
        "{whose} says that {what} is {}{lock}{}{mode}. Today: {now}.",
        say.state.label().to_lowercase(),
        until.unwrap_or_default()
    )
}

fn place_name(facts: &Facts, group: Option<GroupId>) -> String {
    match group {
        Some(_) => place(facts, group),
        None => facts.org_name.clone(),
    }
}

fn step_words(facts: &Facts, routing: Routing, steps: &[(ModelId, u32)]) -> String {
    let name = |(id, weight): &(ModelId, u32)| {
        let name = facts.target_name(Target::Model(*id));
        if routing == Routing::Balance { format!("{name} {weight}") } else { name }
    };
    let glue = if routing == Routing::Balance { " · " } else { " → " };
    steps.iter().map(name).collect::<Vec<_>>().join(glue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_leads_to_the_dialog_and_on_to_the_page_without_it() {
        let fields = vec![("cap".to_owned(), "5 & up".to_owned())];
        let back = way_back("/limits?dialog=new&q=a", &fields);
        assert_eq!(back, "/limits?dialog=new&q=a&typed=%5B%5B%22cap%22%2C%225%20%26%20up%22%5D%5D");
        assert_eq!(closed(&back), "/limits?q=a");
        assert_eq!(way_back("/policies", &[]), "/policies?typed=%5B%5D");
    }

    #[test]
    fn seven_thirty_or_ninety_days_are_replayed() {
        assert_eq!(["7", "30", "90", "", "12", "x"].map(days), [7, 30, 90, 30, 30, 30]);
    }
}
