//! What the rules come to, cell by cell: the gateway's own reading of them.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    access::{Facts, Reason, callable, ended, ruling_for, ruling_in},
    authorizations::{Cell, Draft, Say, Seen, State, Target},
    ids::{BatchId, GroupId, ModelId},
    limits::{Mode, Scope},
    models::{Model, NOT_SERVED, Review},
    roles::{Act, Actor, Place, allows},
};
use store::census::Outline;

use super::{AppError, Cx, Known, drafts};
use crate::api::authorizations::{Column, Line, Matrix, One, Own, Row, Saved, Shown};

/// With up to this many groups all of them are unfolded at first.
const SMALL: usize = 60;
/// About how many cells a page has at most.
const CELLS: usize = 2400;
/// How many models of a tier have columns at once, and of those that are looked for.
const MODELS: usize = 40;
/// How many groups below are listed on a small screen.
const LISTED: usize = 60;

/// How the matrix is looked at.
pub struct Look {
    /// Tiers whose models have columns.
    pub open: HashSet<String>,
    /// Groups whose rows below are there.
    pub unfold: HashSet<String>,
    /// Groups whose rows below are not.
    pub fold: HashSet<String>,
    /// Only groups with this in their name, in lower case.
    pub q: String,
    /// Only models with this in their names have columns, of every tier.
    pub model: String,
    /// The rows after this group.
    pub after: Option<GroupId>,
    /// The group that a small screen shows.
    pub at: Option<GroupId>,
    /// Edits that are staged.
    pub draft: Option<BatchId>,
    /// A draft that was saved.
    pub saved: Option<BatchId>,
}

/// Words separated by commas.
pub fn list(text: &str) -> HashSet<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What the place a rule is set on is called.
pub fn place_name(facts: &Facts, place: Option<GroupId>) -> String {
    place
        .and_then(|id| facts.groups.get(&id))
        .map_or_else(|| facts.org_name.clone(), |group| group.name.clone())
}

/// The same with its whole path: two groups may have the same name.
pub fn place_path(facts: &Facts, place: Option<GroupId>) -> String {
    match place {
        Some(_) => domain::why::place(facts, place),
        None => facts.org_name.clone(),
    }
}

/// A place's path from the root, without the organization.
pub fn path(facts: &Facts, place: Option<GroupId>) -> &[GroupId] {
    place.and_then(|id| facts.groups.get(&id)).map_or(&[], |group| group.path.as_slice())
}

/// Whether whoever looks may change cells of a group.
pub fn editable(actor: &Actor, facts: &Facts, group: Option<GroupId>) -> bool {
    let place = if group.is_some() { Place::Group(path(facts, group)) } else { Place::Organization };
    allows(actor, Act::WidenAuthorizations, place) || allows(actor, Act::NarrowAuthorizations, place)
}

/// The rules that stand, by their cells, with their versions.
pub type Standing = HashMap<Cell, (Seen, Say)>;

/// The rules that stand and decide, by their cells.
///
/// # Errors
/// When the database does not answer.
pub async fn standing(cx: &Cx) -> Result<Standing, AppError> {
    let rules = store::authorizations::list(&cx.store, cx.org()?, None).await.known()?;
    Ok(rules.iter().filter(|rule| rule.mode == Mode::Enforce).map(drafts::rule).collect())
}

/// Which group has ended, of this one and those above it: then nobody in it can call, whatever the rules say.
fn over(facts: &Facts, group: Option<GroupId>, now: DateTime<Utc>) -> Option<String> {
    let (ended, _) = ended(facts, group?, now)?;
    Some(format!("{} has ended", place_name(facts, Some(ended))))
}

/// Why nobody can call a model, whatever the rules say.
fn obstacle(facts: &Facts, model: ModelId, now: DateTime<Utc>) -> Option<String> {
    let what = match callable(facts, model, now).err()? {
        Reason::Unreviewed => "waits for review",
        Reason::Unpriced => "has no price",
        Reason::NotServed => NOT_SERVED,
        _ => "is no longer in the catalogue",
    };
    Some(what.to_owned())
}

/// A cell as it is shown.
pub fn shown(facts: &Facts, standing: &Standing, cell: Cell, now: DateTime<Utc>) -> Shown {
    let path = path(facts, cell.group);
    let ruling = ruling_in(facts, path, cell.target, None, now);
    let own = standing.get(&cell);
    let above = match own {
        Some(_) => ruling_in(facts, path, cell.target, Some(cell), now),
        None => ruling,
    };
    let waits = over(facts, cell.group, now).or_else(|| match cell.target {
        Target::Model(id) => obstacle(facts, id, now),
        _ => None,
    });
    let lock = |locked: bool| if locked { ", locked" } else { "" };
    let from = match ruling {
        // Whatever the rules say: until then nobody can call it.
        _ if waits.is_some() => waits.clone().unwrap_or_default(),
        Some((group, target, _)) if group == cell.group && target == cell.target => String::new(),
        Some((group, target, rule)) if group == cell.group => {
            format!("by {}{}", facts.target_name(target), lock(rule.locked))
        }
        Some((group, _, rule)) => format!("from {}{}", place_name(facts, group), lock(rule.locked)),
        None => String::new(),
    };
    let quotas = |seen: &Seen| {
        let limits = facts.limits.get(&Scope::Authorization(seen.id)).map_or(&[][..], Vec::as_slice);
        limits.iter().map(|limit| limit.meter.show_cap(limit.cap)).collect()
    };
    Shown {
        cell,
        state: ruling.filter(|_| waits.is_none()).map_or(State::Closed, |(.., rule)| rule.state),
        waits: waits.is_some(),
        own: own.map(|(seen, say)| Own { seen: *seen, say: *say, quotas: quotas(seen) }),
        from,
        above: above.map_or(State::Closed, |(.., rule)| rule.state),
        held: above.is_some_and(|(group, _, rule)| rule.locked && group != cell.group),
        staged: None,
        observed: facts
            .observed
            .get(&cell.group)
            .and_then(|rules| rules.get(&cell.target))
            .map(|rule| rule.state),
    }
}

/// The matrix as somebody looks at it.
///
/// # Errors
/// When the database does not answer.
pub async fn load(cx: &Cx, look: &Look) -> Result<Matrix, AppError> {
    let actor = cx.actor()?.clone();
    let facts = store::access::current(&cx.store, actor.org).await.known()?;
    let columns = columns(cx, look).await?;
    let all = cx.permit(Act::ReadOrganization).is_ok();
    let census = store::census::current(&cx.store, actor.org).await.known()?;
    let readable = |group: &&Outline| {
        all || {
            let path: Vec<GroupId> = group.ancestors.iter().copied().chain([group.id]).collect();
            allows(&actor, Act::ReadGroup, Place::Group(&path))
        }
    };
    let outline: Vec<Outline> = census.order.iter().filter(readable).cloned().collect();
    let draft = match look.draft {
        Some(id) => drafts::mine(cx, id).await.ok().filter(|kept| kept.done_at.is_none()),
        None => None,
    };
    let draft = draft.map(|kept| (kept.id, kept.draft));
    let saved = match look.saved {
        Some(id) => drafts::readable(cx, id).await.ok().and_then(|kept| saved(cx, kept)),
        None => None,
    };
    let cells = Cells {
        facts: &facts,
        actor: &actor,
        columns: &columns,
        standing: standing(cx).await?,
        draft: draft.as_ref().map(|(_, draft)| draft),
        now: store::clock::now(),
    };
    let tree = Tree::of(&outline);
    let (rows, next) = tree.rows(look, all, &cells);
    let one = tree.one(look, all, &cells);
    Ok(Matrix { one, rows, next, groups: outline.len(), draft, saved, columns })
}

fn saved(cx: &Cx, kept: store::authorizations::drafts::Kept) -> Option<Saved> {
    let cells = kept.made?.iter().map(|made| made.cell).collect();
    let (undone, may_undo) = (kept.undone_at.is_some(), cx.permit(Act::WidenAuthorizations).is_ok());
    Some(Saved { id: kept.id, cells, undone, may_undo })
}

/// `1 model`, `5 models`.
fn models_words(count: usize) -> String {
    if count == 1 { "1 model".to_owned() } else { format!("{count} models") }
}

/// Everything that is not high-cost, then the tiers, each with its models when it is unfolded.
async fn columns(cx: &Cx, look: &Look) -> Result<Vec<Column>, AppError> {
    let org = cx.org()?;
    let tiers = store::models::tiers(&cx.store, org).await.known()?;
    if tiers.is_empty() {
        return Ok(Vec::new());
    }
    let models = store::models::list(&cx.store, org).await.known()?;
    let note = if tiers.iter().any(|tier| tier.high_cost) { "but high-cost" } else { "every tier" };
    let mut columns =
        vec![Column { target: Target::All, name: "All models".to_owned(), note: note.to_owned() }];
    for tier in &tiers {
        let looked_for = !look.model.is_empty();
        let unfolded = looked_for || look.open.contains(&tier.id.to_string());
        let mut of_tier: Vec<&Model> = models
            .iter()
            .filter(|model| unfolded && model.tier.0 == tier.id && model.is_called(&look.model))
            .collect();
        let fitting = of_tier.len();
        of_tier.truncate(MODELS);
        let of_this = || models.iter().filter(|model| model.tier.0 == tier.id);
        let (all, callable) = (of_this().count(), of_this().filter(|it| it.obstacle().is_none()).count());
        let count = match (all, looked_for) {
            (count, true) => format!("{fitting} of {}", models_words(count)),
            (count, false) => models_words(count),
        };
        // What a rule opens is what can be called.
        let count = match callable {
            _ if callable == all => count,
            0 => format!("{count}, none can be called"),
            some => format!("{count}, {some} can be called"),
        };
        // The rest is found by its name.
        let count = if fitting > MODELS { format!("{count}, the first {MODELS} shown") } else { count };
        let note = if tier.high_cost { format!("{count} · high-cost") } else { count };
        columns.push(Column { target: Target::Tier(tier.id), name: tier.name.clone(), note });
        for model in of_tier {
            let note = match (&model.prices, model.review) {
                (_, Review::Pending) => "waits for review".to_owned(),
                (Some(dated), _) => crate::ui::money::pair(&dated.prices),
                (None, _) => "no price".to_owned(),
            };
            let note = if model.modality.is_served(model.dialect) { note } else { NOT_SERVED.to_owned() };
            columns.push(Column { target: Target::Model(model.id), name: model.name.clone(), note });
        }
    }
    Ok(columns)
}

/// What every cell of a page is made from.
struct Cells<'a> {
    facts: &'a Facts,
    actor: &'a Actor,
    columns: &'a [Column],
    standing: Standing,
    draft: Option<&'a Draft>,
    now: DateTime<Utc>,
}

impl Cells<'_> {
    fn of(&self, group: Option<GroupId>) -> Vec<Shown> {
        let staged: HashMap<Cell, _> =
            self.draft.iter().flat_map(|draft| &draft.edits).map(|edit| (edit.cell, *edit)).collect();
        let cell = |column: &Column| {
            let cell = Cell { group, target: column.target };
            let shown = shown(self.facts, &self.standing, cell, self.now);
            Shown { staged: staged.get(&cell).copied(), ..shown }
        };
        self.columns.iter().map(cell).collect()
    }
}

/// The groups that whoever looks may read, in order.
struct Tree<'a> {
    groups: &'a [Outline],
    names: HashMap<GroupId, &'a str>,
    below: HashMap<GroupId, usize>,
}

impl<'a> Tree<'a> {
    fn of(groups: &'a [Outline]) -> Self {
        let names = groups.iter().map(|group| (group.id, group.name.as_str())).collect();
        let mut below = HashMap::new();
        for parent in groups.iter().filter_map(|group| group.ancestors.last()) {
            *below.entry(*parent).or_default() += 1;
        }
        Self { groups, names, below }
    }

    fn folded(&self, look: &Look, id: GroupId) -> bool {
        let text = id.to_string();
        match self.groups.len() <= SMALL {
            true => look.fold.contains(&text),
            false => !look.unfold.contains(&text),
        }
    }

    /// The rows that are unfolded, or those that are looked for; not more than fit.
    fn rows(&self, look: &Look, all: bool, cells: &Cells<'_>) -> (Vec<Row>, Option<GroupId>) {
        let most = (CELLS / cells.columns.len().max(1)).clamp(20, 100);
        let mut hidden: Vec<GroupId> = Vec::new();
        let mut chosen: Vec<&Outline> = Vec::new();
        for group in self.groups {
            if !look.q.is_empty() {
                if group.name.to_lowercase().contains(&look.q) {
                    chosen.push(group);
                }
                continue;
            }
            if group.ancestors.iter().any(|above| hidden.last() == Some(above)) {
                continue;
            }
            if self.folded(look, group.id) {
                hidden.push(group.id);
            }
            chosen.push(group);
        }
        let start = look.after.and_then(|after| chosen.iter().position(|group| group.id == after));
        let start = start.map_or(0, |place| place + 1);
        let more = chosen.len() > start + most;
        let page: Vec<&Outline> = chosen.into_iter().skip(start).take(most).collect();
        let next = page.last().map(|group| group.id).filter(|_| more);
        let organization = (all && start == 0 && look.q.is_empty()).then(|| self.row(look, None, cells));
        let rows = organization
            .into_iter()
            .chain(page.into_iter().map(|group| self.row(look, Some(group), cells)))
            .collect();
        (rows, next)
    }

    fn row(&self, look: &Look, group: Option<&Outline>, cells: &Cells<'_>) -> Row {
        let id = group.map(|group| group.id);
        let known = group.map_or(&[][..], |group| &group.ancestors);
        let trail: Vec<&str> = known.iter().filter_map(|id| self.names.get(id).copied()).collect();
        Row {
            group: id,
            name: place_name(cells.facts, id),
            depth: if look.q.is_empty() { trail.len() + usize::from(group.is_some()) } else { 0 },
            path: place_path(cells.facts, id),
            trail: if look.q.is_empty() { String::new() } else { trail.join(" / ") },
            below: id.and_then(|id| self.below.get(&id)).copied().unwrap_or_default(),
            folded: id.is_some_and(|id| self.folded(look, id)),
            editable: editable(cells.actor, cells.facts, id),
            cells: cells.of(id),
        }
    }

    /// The group that a small screen shows: the one that is asked for, else the organization, else
    /// the first.
    fn one(&self, look: &Look, all: bool, cells: &Cells<'_>) -> Option<One> {
        let asked = look.at.and_then(|at| self.groups.iter().find(|group| group.id == at));
        let group = match asked {
            None if !all => Some(self.groups.first()?),
            asked => asked,
        };
        let id = group.map(|group| group.id);
        let mut above: Vec<(Option<GroupId>, String)> = Vec::new();
        if all && group.is_some() {
            above.push((None, cells.facts.org_name.clone()));
        }
        for above_it in group.map_or(&[][..], |group| &group.ancestors) {
            above.extend(self.names.get(above_it).map(|name| (Some(*above_it), (*name).to_owned())));
        }
        let is_below = |other: &&Outline| match (id, &look.q) {
            (_, q) if !q.is_empty() => other.name.to_lowercase().contains(q),
            (Some(id), _) => other.ancestors.last() == Some(&id),
            (None, _) => other.ancestors.is_empty(),
        };
        let below = self.groups.iter().filter(is_below).take(LISTED);
        let name = |group: &Outline| match look.q.is_empty() {
            true => group.name.clone(),
            false => place_path(cells.facts, Some(group.id)),
        };
        let below = below.map(|group| (group.id, name(group))).collect();
        Some(One { row: self.row(look, group, cells), above, below })
    }
}

/// What a group may do with each model, the widest first, then by name.
pub fn lines(facts: &Facts, group: Option<GroupId>, now: DateTime<Utc>) -> Vec<Line> {
    let (path, over) = (path(facts, group), over(facts, group, now));
    let mut lines: Vec<Line> = facts
        .models
        .iter()
        .filter(|(_, model)| !model.archived)
        .map(|(id, model)| {
            let ruling = ruling_for(facts, path, Target::Model(*id), now);
            Line {
                model: *id,
                name: model.name.clone(),
                tier: facts.tiers.get(&model.tier).map(|tier| tier.name.clone()).unwrap_or_default(),
                state: ruling.map_or(State::Closed, |(_, rule)| rule.state),
                obstacle: over.clone().or_else(|| obstacle(facts, *id, now)),
                from: ruling.map(|(place, _)| place_name(facts, place)),
            }
        })
        .collect();
    lines.sort_by(|a, b| (a.state, &a.name).cmp(&(b.state, &b.name)));
    lines
}

/// How many models are open to a group, and how many more by request: of those that can be called.
pub fn count(facts: &Facts, group: GroupId, now: DateTime<Utc>) -> (usize, usize) {
    if ended(facts, group, now).is_some() {
        return (0, 0);
    }
    let path = path(facts, Some(group));
    let callable = facts.models.iter().filter(|(id, _)| callable(facts, **id, now).is_ok());
    let states = callable.filter_map(|(id, _)| ruling_for(facts, path, Target::Model(*id), now));
    states.fold((0, 0), |(open, ask), (_, rule)| match rule.state {
        State::Open => (open + 1, ask),
        State::ByRequest => (open, ask + 1),
        State::Closed => (open, ask),
    })
}
