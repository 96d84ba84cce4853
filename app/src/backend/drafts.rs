//! Drafts of authorizations: who may go on with one, and what it comes to in words.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    access::{Facts, ruling_in},
    authorizations::{Authorization, Cell, Draft, Edit, Say, Seen, State, Target},
    drafts::{Effects, effects},
    ids::{ApplicationId, BatchId, GroupId, ModelId},
    limits::Mode,
    roles::{Act, Permit, permit_in_all},
};
use store::authorizations::drafts::{self, Kept, Looked};

use super::{AppError, Cx, Known, batches::people, matrix, read, read_date, refused, rehearsals};
use crate::api::authorizations::{AppLine, DraftView, EditLine, ModelLine};

/// What of the matrix's address goes along with a draft, and comes back.
const KEPT: [&str; 7] = ["open", "unfold", "fold", "q", "after", "at", "model"];

/// How the matrix was looked at, as its address says it, and nothing else.
fn looked_at(back: &str) -> Vec<&str> {
    let plain =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~%,+".contains(&byte));
    let known =
        |pair: &&str| pair.split_once('=').is_some_and(|(name, value)| KEPT.contains(&name) && plain(value));
    back.trim_start_matches('?').split('&').filter(known).collect()
}

/// The matrix as it was looked at, with a draft or what was saved.
pub fn matrix_href(back: &str, name: &str, id: BatchId) -> String {
    let pair = format!("{name}={id}");
    let pairs: Vec<&str> = looked_at(back).into_iter().chain([pair.as_str()]).collect();
    format!("/authorization?{}", pairs.join("&"))
}

/// The page of a draft.
pub fn href(id: BatchId, back: &str) -> String {
    let back = looked_at(back).join("&");
    format!("/authorization/draft/{id}?back={}", crate::ui::query::encoded(&back))
}

/// A draft that whoever asks has begun.
///
/// # Errors
/// When it is not there, or somebody else's.
pub async fn mine(cx: &Cx, id: BatchId) -> Result<Kept, AppError> {
    let actor = cx.actor()?;
    let kept = drafts::get(&cx.store, actor.org, id).await.known()?;
    if Some(kept.actor) == actor.user { Ok(kept) } else { Err(AppError::NotFound) }
}

/// A draft that whoever asks has begun, or that was saved and is theirs to undo.
///
/// # Errors
/// When it is not there, or none of their business.
pub async fn readable(cx: &Cx, id: BatchId) -> Result<Kept, AppError> {
    let actor = cx.actor()?;
    let kept = drafts::get(&cx.store, actor.org, id).await.known()?;
    let theirs = kept.done_at.is_some() && cx.permit(Act::WidenAuthorizations).is_ok();
    if Some(kept.actor) == actor.user || theirs { Ok(kept) } else { Err(AppError::NotFound) }
}

/// Proves that somebody may change every cell of a draft, at least to something narrower.
///
/// # Errors
/// When they may not, or a cell is not in their organization.
pub fn permit(cx: &Cx, facts: &Facts, draft: &Draft) -> Result<Permit, AppError> {
    let mut paths = Vec::new();
    let mut organization = false;
    for Cell { group, target } in draft.edits.iter().map(|edit| edit.cell) {
        let known = match target {
            Target::All => true,
            Target::Tier(id) => facts.tiers.contains_key(&id),
            Target::Model(id) => facts.models.contains_key(&id),
        };
        match group.map(|id| facts.groups.get(&id)) {
            Some(Some(group)) if known => paths.push(group.path.as_slice()),
            None if known => organization = true,
            _ => return Err(AppError::NotFound),
        }
    }
    match cx.permit(Act::WidenAuthorizations) {
        Ok(permit) => Ok(permit),
        Err(error) if organization => Err(error),
        Err(_) => permit_in_all(cx.actor()?, Act::NarrowAuthorizations, &paths).map_err(refused),
    }
}

/// What a form says a cell is to say; `inherit`: nothing any more.
///
/// # Errors
/// About the field that cannot be read.
pub async fn say(cx: &Cx, state: &str, locked: bool, ends_on: &str) -> Result<Option<Say>, AppError> {
    if state == "inherit" {
        return Ok(None);
    }
    let ends_at = match read_date("ends_on", ends_on)? {
        None => None,
        Some(last) => {
            let calendar = cx.calendar().await?;
            if last < calendar.day(store::clock::now()) {
                return Err(AppError::field("ends_on", "This day is over. Choose today or a later one."));
            }
            last.succ_opt().map(|day| calendar.midnight(day))
        }
    };
    Ok(Some(Say { state: read("state", state)?, locked, ends_at }))
}

/// A rule by its cell.
pub fn rule(rule: &Authorization) -> (Cell, (Seen, Say)) {
    let cell = Cell { group: rule.group, target: rule.target };
    let say = Say { state: rule.state, locked: rule.locked, ends_at: rule.ends_at };
    (cell, (Seen { id: rule.id, version: rule.version }, say))
}

/// The rule that stands in a cell, and decides.
pub fn seen(rules: &[Authorization], cell: Cell) -> Option<Seen> {
    rules
        .iter()
        .filter(|rule| rule.mode == Mode::Enforce)
        .map(rule)
        .find(|(other, _)| *other == cell)
        .map(|(_, (seen, _))| seen)
}

/// One edit for every group of a list with every target of a list, as forms send them. `shown`: the
/// cell as the form showed it.
///
/// # Errors
/// About the list that cannot be read, or is empty.
pub fn range(
    groups: &[String],
    targets: &[String],
    say: Option<Say>,
    shown: Option<Edit>,
    rules: &[Authorization],
) -> Result<Vec<Edit>, AppError> {
    if groups.is_empty() {
        return Err(AppError::field("groups", "Choose at least one group."));
    }
    if targets.is_empty() {
        return Err(AppError::field("targets", "Choose at least one tier or model."));
    }
    let mut edits = Vec::new();
    for group in groups {
        let group: Option<GroupId> = super::read_some("groups", group)?;
        for target in targets {
            let cell = Cell { group, target: read("targets", target)? };
            let seen = match shown {
                Some(shown) if shown.cell == cell => shown.seen,
                _ => seen(rules, cell),
            };
            edits.push(Edit { cell, say, seen });
        }
    }
    Ok(edits)
}

/// `1 change`, `7 changes`.
pub fn changes(count: usize) -> String {
    if count == 1 { "1 change".to_owned() } else { format!("{count} changes") }
}

/// What a draft comes to: found by making it and not keeping it. `rehearse`: also what it would have
/// meant for the calls of so many days.
///
/// # Errors
/// When it is not there, or may not be made.
pub async fn load(cx: &Cx, id: BatchId, rehearse: &str) -> Result<DraftView, AppError> {
    let kept = readable(cx, id).await?;
    let now = store::clock::now();
    let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
    let may_undo = cx.permit(Act::WidenAuthorizations).is_ok();
    let (done, undone) = (kept.done_at.is_some(), kept.undone_at.is_some());
    let view = DraftView {
        id,
        lines: Vec::new(),
        models: Vec::new(),
        applications: Vec::new(),
        summary: String::new(),
        broken: Vec::new(),
        replay: None,
        stale: false,
        refused: false,
        past: false,
        done,
        undone,
        may_undo,
    };
    if let Some(made) = &kept.made {
        let lines = made.iter().map(|made| {
            let edit = kept.draft.edits.iter().find(|edit| edit.cell == made.cell);
            let edit = edit.copied().unwrap_or(Edit { cell: made.cell, say: None, seen: made.after });
            let now = made.before.map(|(_, say)| say);
            named(&facts, Looked { edit, now: None, stale: false, refused: None }, now)
        });
        return Ok(DraftView { lines: lines.collect(), ..view });
    }
    let mut change = cx.change(permit(cx, &facts, &kept.draft)?).await?;
    let looked = drafts::look(&mut change, &kept.draft).await.known()?;
    let stale = looked.iter().any(|look| look.stale);
    let refused = looked.iter().any(|look| look.refused.is_some());
    let over = |look: &Looked| look.edit.say.and_then(|say| say.ends_at).is_some_and(|end| end <= now);
    let past = looked.iter().filter(|look| look.refused.is_some()).all(over);
    let found = if stale || refused {
        None
    } else {
        drafts::run(&mut change, &kept.draft).await.known()?;
        let after = Facts { rules: drafts::rules(&mut change).await.known()?, ..(*facts).clone() };
        Some((effects(&facts, &after, &kept.draft, now), after))
    };
    drop(change);
    let (mut broken, mut replay) = (Vec::new(), None);
    if let Some((_, after)) = &found {
        let tests = store::access_tests::list(&cx.store, facts.org).await.known()?;
        let tests: Vec<_> = tests.into_iter().map(|pinned| pinned.test).collect();
        broken = rehearsals::broken(&store::access_tests::broken(&facts, after, &tests, now));
        if !rehearse.is_empty() {
            let draft = rehearsals::rules(kept.draft.edits.clone(), Mode::Enforce);
            let (permit, days) = (rehearsals::permit(cx, &draft).await?, rehearsals::days(rehearse));
            let rehearsed = store::rehearsals::rehearse(&cx.store, permit, &draft, days).await.known()?;
            replay = Some(rehearsals::replay(rehearsed, days));
        }
    }
    let mut lines = Vec::new();
    for look in looked {
        let cell = look.edit.cell;
        let says = look.edit.say.is_some();
        let held = found.as_ref().filter(|_| says).and_then(|(_, after)| held(after, cell, now));
        lines.push(EditLine { held, ..line(cx, &facts, look, now).await? });
    }
    let Some((found, after)) = found else {
        return Ok(DraftView { lines, stale, refused, past, ..view });
    };
    let later = when_they_end(&facts, &after, &kept.draft, now);
    let held = lines.iter().filter(|line| line.held.is_some()).count();
    Ok(DraftView {
        lines,
        models: models(&facts, &found),
        applications: applications(&facts, &found),
        summary: summary(&facts, &found, (held, kept.draft.edits.len())) + &later,
        broken,
        replay,
        ..view
    })
}

/// The lock that decides in a cell in place of what is said there, in a sentence.
fn held(facts: &Facts, cell: Cell, now: DateTime<Utc>) -> Option<String> {
    let (place, target, rule) = ruling_in(facts, matrix::path(facts, cell.group), cell.target, None, now)?;
    if (place, target) == (cell.group, cell.target) {
        return None;
    }
    Some(format!(
        "No effect: {} locks {}, {}.",
        matrix::place_path(facts, place),
        facts.target_name(target),
        rule.state.label().to_lowercase()
    ))
}

fn named(facts: &Facts, look: Looked, now: Option<Say>) -> EditLine {
    EditLine {
        group: matrix::place_path(facts, look.edit.cell.group),
        what: facts.target_name(look.edit.cell.target),
        now,
        comes_to: None,
        theirs: None,
        stale: look.stale,
        refused: look.refused,
        quotas: Vec::new(),
        held: None,
        edit: look.edit,
    }
}

async fn line(cx: &Cx, facts: &Facts, look: Looked, now: DateTime<Utc>) -> Result<EditLine, AppError> {
    let cell = look.edit.cell;
    let standing = look.now.into_iter().map(|known| (cell, known)).collect();
    let shown = matrix::shown(facts, &standing, cell, now);
    let own = look.now.map(|(_, say)| say);
    // A rule that was taken away has left its last line in the log.
    let subject = look.now.map(|(seen, _)| seen.id).or(look.edit.seen.map(|seen| seen.id));
    let theirs = match subject.filter(|_| look.stale) {
        Some(id) => {
            let filter = store::audit::Filter { subject: Some(id.0), ..Default::default() };
            let rows = store::audit::list(&cx.store, facts.org, &filter, 1).await.known()?;
            rows.into_iter().next().map(|row| (row.actor, row.at))
        }
        None => None,
    };
    let taken = look.edit.say.is_none();
    let quotas = shown.own.as_ref().filter(|_| taken).map(|own| own.quotas.clone()).unwrap_or_default();
    Ok(EditLine { comes_to: Some(shown.state), theirs, quotas, ..named(facts, look, own) })
}

fn model_name(facts: &Facts, id: ModelId) -> String {
    facts.models.get(&id).map(|model| model.name.clone()).unwrap_or_default()
}

fn models(facts: &Facts, effects: &Effects) -> Vec<ModelLine> {
    let mut moves = BTreeMap::<(ModelId, State, State), Vec<String>>::new();
    for shift in &effects.shifts {
        let name = matrix::place_path(facts, Some(shift.group));
        moves.entry((shift.model, shift.before, shift.after)).or_default().push(name);
    }
    let mut lines = BTreeMap::<ModelId, ModelLine>::new();
    for ((model, before, after), mut groups) in moves {
        groups.sort_by_key(|name| name.to_lowercase());
        let reach = effects.models.get(&model).copied().unwrap_or_default();
        let line = lines.entry(model).or_insert_with(|| ModelLine {
            model,
            name: model_name(facts, model),
            gain: reach.gain,
            lose: reach.lose,
            moves: Vec::new(),
        });
        line.moves.push((before, after, groups));
    }
    let mut lines: Vec<ModelLine> = lines.into_values().collect();
    lines.sort_by(|a, b| (b.gain + b.lose, &a.name).cmp(&(a.gain + a.lose, &b.name)));
    lines
}

fn applications(facts: &Facts, effects: &Effects) -> Vec<AppLine> {
    let mut lines = BTreeMap::<ApplicationId, AppLine>::new();
    for ((application, model), starts) in &effects.applications {
        let known = facts.applications.get(application);
        let line = lines.entry(*application).or_insert_with(|| AppLine {
            application: *application,
            name: known.map(|app| app.name.clone()).unwrap_or_default(),
            place: known.map(|app| matrix::place_path(facts, Some(app.group))).unwrap_or_default(),
            starts: Vec::new(),
            stops: Vec::new(),
        });
        let list = if *starts { &mut line.starts } else { &mut line.stops };
        list.push(model_name(facts, *model));
    }
    let mut lines: Vec<AppLine> = lines.into_values().collect();
    lines.sort_by_key(|line| (line.stops.is_empty(), line.name.to_lowercase()));
    lines
}

/// `2 models (a, b)`.
fn these(mut names: Vec<String>) -> String {
    const NAMED: usize = 4;
    names.sort();
    let more = if names.len() > NAMED { ", …" } else { "" };
    match names.len() {
        1 => names.remove(0),
        count => format!("up to {count} models ({}{more})", names[..count.min(NAMED)].join(", ")),
    }
}

/// How many of how many edits a lock swallows, in a sentence with a space before it; empty where none.
fn swallowed((held, edits): (usize, usize)) -> String {
    match (held, edits) {
        (0, _) => String::new(),
        (_, 1) => " A lock decides there, so what you say has no effect while it stands.".to_owned(),
        (held, edits) if held == edits => {
            " Locks decide everywhere there, so what you say has no effect while they stand.".to_owned()
        }
        (1, edits) => format!(" 1 of {edits} changes has no effect: a lock decides there."),
        (held, edits) => format!(" {held} of {edits} changes have no effect: locks decide there."),
    }
}

/// What is said of a draft that was saved: so many changes, and which of them change nothing.
pub fn saved(facts: &Facts, draft: &Draft, changed: usize) -> String {
    let now = store::clock::now();
    let edits = draft.edits.iter().filter(|edit| edit.say.is_some());
    let held = edits.filter(|edit| held(facts, edit.cell, now).is_some()).count();
    let holds = if held < draft.edits.len() { " It holds from the next call on." } else { "" };
    format!("{} saved.{holds}{}", changes(changed), swallowed((held, draft.edits.len())))
}

/// Days on which something ends that are told of.
const ENDS: usize = 3;

/// What becomes of a draft when its rules end, in sentences with a space before each; empty where that is what
/// would be so without it.
fn when_they_end(before: &Facts, after: &Facts, draft: &Draft, now: DateTime<Utc>) -> String {
    let ends = draft.edits.iter().filter_map(|edit| edit.say?.ends_at).filter(|end| *end > now);
    let ends: std::collections::BTreeSet<_> = ends.collect();
    let told = ends.into_iter().filter_map(|end| {
        let effects = effects(before, after, draft, end);
        let day = domain::time::date(after.calendar.day(end));
        (!effects.is_empty()).then(|| format!(" From {day} on: {}", summary(before, &effects, (0, 0))))
    });
    told.take(ENDS).collect()
}

/// Who gains and loses what, in a sentence or two. `held`: how many of how many edits a lock swallows.
fn summary(facts: &Facts, effects: &Effects, held: (usize, usize)) -> String {
    let swallowed = swallowed(held);
    if effects.is_empty() {
        return format!("Nothing changes for anybody now: every group comes to what it has.{swallowed}");
    }
    let which = |some: fn(&domain::drafts::Reach) -> bool| {
        let models = effects.models.iter().filter(move |(_, reach)| some(reach));
        these(models.map(|(id, _)| model_name(facts, *id)).collect())
    };
    let verb = |count: usize, word: &str| if count == 1 { format!("{word}s") } else { word.to_owned() };
    let mut sentences = Vec::new();
    let (gain, lose) = (effects.gain.len(), effects.lose.len());
    if gain > 0 {
        let which = which(|reach| reach.gain > 0);
        sentences.push(format!("{} {} {which}.", people(gain), verb(gain, "gain")));
    }
    if lose > 0 {
        let which = which(|reach| reach.lose > 0);
        let verb = if lose == 1 { "loses" } else { "lose" };
        sentences.push(format!("{} {verb} {which}.", people(lose)));
    }
    if gain + lose == 0 {
        sentences.push("No person gains or loses a model altogether.".to_owned());
    }
    let count = |wanted: bool| {
        let of = effects.applications.iter().filter(|(_, starts)| **starts == wanted).map(|((id, _), _)| id);
        of.collect::<std::collections::BTreeSet<_>>().len()
    };
    for (count, start) in [(count(true), true), (count(false), false)] {
        let programs = if count == 1 { "1 application".to_owned() } else { format!("{count} applications") };
        match (count, start) {
            (0, _) => {}
            (_, true) => sentences.push(format!("{programs} can call more than before.")),
            (_, false) => sentences.push(format!("{programs} can no longer call all that they could.")),
        }
    }
    sentences.join(" ") + &swallowed
}
