//! Which group may use which models.

use chrono::{DateTime, Utc};
use domain::{
    audit::AuditRow,
    authorizations::{Cell, Draft, Edit, Say, Seen, State, Target},
    ids::{ApplicationId, AuthorizationId, BatchId, GroupId, ModelId},
    money::Money,
    spend::LimitLevel,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::rehearsals::Replay;
use crate::{error::AppError, frame::Done};

/// What a group may do with one model, or one tier, and where that comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The model.
    pub model: ModelId,
    /// What callers write.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// What the rules come to.
    pub state: State,
    /// Why nobody can call it, whatever the rules say.
    pub obstacle: Option<String>,
    /// Where the rule that decides is set; none when nothing is said anywhere.
    pub from: Option<String>,
}

/// The page of a cell.
pub fn rule_href(cell: Cell) -> String {
    format!("/authorization/rule?of={}", crate::ui::query::encoded(&cell.to_string()))
}

/// A cell as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which.
    pub cell: Cell,
    /// What it comes to: what the rules say, or closed where the model cannot be called yet.
    pub state: State,
    /// Whether the model cannot be called yet, whatever the rules say.
    pub waits: bool,
    /// What is said in this very cell.
    pub own: Option<Own>,
    /// Where the state comes from, when not from here: `from Engineering`. Empty when nothing is said
    /// anywhere.
    pub from: String,
    /// What it would come to if nothing were said here.
    pub above: State,
    /// Whether a lock above decides, whatever is said here.
    pub held: bool,
    /// What the draft of the address says here.
    pub staged: Option<Edit>,
    /// What a rule on this very group and target says that only observes.
    pub observed: Option<State>,
}

/// A rule as a cell shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Which rule, at which version.
    pub seen: Seen,
    /// What it says.
    pub say: Say,
    /// Quotas on it, as people read them.
    pub quotas: Vec<String>,
}

/// A column of the matrix: everything, a tier, or a model of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// What it is about.
    pub target: Target,
    /// What it is called.
    pub name: String,
    /// A line under the name.
    pub note: String,
}

/// A row of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The group; none: the organization.
    pub group: Option<GroupId>,
    /// What it is called.
    pub name: String,
    /// The names above it, for a list that is not a tree.
    pub trail: String,
    /// Its whole path, for where it stands alone: `Engineering/Research`.
    pub path: String,
    /// How deep it is.
    pub depth: usize,
    /// How many groups are directly below.
    pub below: usize,
    /// Whether those are left out.
    pub folded: bool,
    /// Whether whoever looks may change its cells.
    pub editable: bool,
    /// One for each column.
    pub cells: Vec<Shown>,
}

/// One group alone, for a small screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct One {
    /// The group.
    pub row: Row,
    /// What is above it, from the organization down: id (none: the organization) and name.
    pub above: Vec<(Option<GroupId>, String)>,
    /// What is directly below.
    pub below: Vec<(GroupId, String)>,
}

/// A draft that was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Which.
    pub id: BatchId,
    /// The cells it changed.
    pub cells: Vec<Cell>,
    /// Whether it was undone since.
    pub undone: bool,
    /// Whether whoever looks may undo it.
    pub may_undo: bool,
}

/// The matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// Everything, then tiers, each followed by its models when it is unfolded.
    pub columns: Vec<Column>,
    /// The organization and its groups, as far as they are unfolded.
    pub rows: Vec<Row>,
    /// Where the rows go on.
    pub next: Option<GroupId>,
    /// One group alone; none when there is nothing to see.
    pub one: Option<One>,
    /// How many groups there are for whoever looks.
    pub groups: usize,
    /// The draft of the address, with its edits.
    pub draft: Option<(BatchId, Draft)>,
    /// What was just saved.
    pub saved: Option<Saved>,
}

/// The matrix. `open`: tiers whose models have columns; `unfold` and `fold`: groups whose rows below
/// are there or not, each separated by commas. `q`: only groups with this in their name. `after`: the
/// rows after this group. `at`: the group a small screen shows. `draft`: edits that are staged.
/// `saved`: a draft that was saved. `model`: only models with this in their names, of every tier.
#[server(prefix = "/console", endpoint = "authorizations/matrix")]
pub async fn load_matrix(
    #[server(default)] open: String,
    #[server(default)] unfold: String,
    #[server(default)] fold: String,
    #[server(default)] q: String,
    #[server(default)] after: String,
    #[server(default)] at: String,
    #[server(default)] draft: String,
    #[server(default)] saved: String,
    #[server(default)] model: String,
) -> Result<Matrix, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let look = matrix::Look {
            open: matrix::list(&open),
            unfold: matrix::list(&unfold),
            fold: matrix::list(&fold),
            q: q.trim().to_lowercase(),
            model: model.trim().to_owned(),
            after: read_some("after", &after).map_err(|_| AppError::NotFound)?,
            at: read_some("at", &at).map_err(|_| AppError::NotFound)?,
            draft: read_some("draft", &draft).map_err(|_| AppError::NotFound)?,
            saved: read_some("saved", &saved).map_err(|_| AppError::NotFound)?,
        };
        matrix::load(&cx, &look).await
    })
    .await
}

/// One cell, with everything about the rule in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// The cell.
    pub shown: Shown,
    /// What the group, or the organization, is called.
    pub group: String,
    /// What it is about: `big-chat`, `tier general`.
    pub what: String,
    /// The model's name, where it is about one.
    pub model: Option<String>,
    /// The cell whose rule decides, and what that is called, when it is another one.
    pub decides: Option<(Cell, String)>,
    /// Who set the rule that decides last, and when.
    pub by: Option<(String, DateTime<Utc>)>,
    /// Quotas on the rule, with what is used of them.
    pub limits: Vec<LimitLevel>,
    /// Groups below that say something about the same: the cell, the group, what they say.
    pub below: Vec<(Cell, String, Say)>,
    /// What became of the rule, the newest first.
    pub history: Vec<AuditRow>,
    /// The rule beside it that only takes note.
    pub watched: Option<Watched>,
    /// Whether whoever looks may change it.
    pub editable: bool,
    /// Whether they may take a quota away.
    pub may_loosen: bool,
}

/// A rule that only takes note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Which.
    pub id: AuthorizationId,
    /// What it would say.
    pub state: State,
    /// Whether it would be locked.
    pub locked: bool,
    /// What it would have refused in the last 90 days: calls, people, what the calls cost.
    pub noted: Option<(i64, i64, Money)>,
    /// Its quotas, which count already and refuse nobody.
    pub limits: Vec<LimitLevel>,
    /// What became of it, the newest first.
    pub history: Vec<AuditRow>,
}

/// One cell: `grp_…~tier:tir_…`.
#[server(prefix = "/console", endpoint = "authorizations/rule")]
pub async fn load_rule(cell: String) -> Result<RuleView, AppError> {
    use crate::backend::*;
    handle(|cx| async move { rule::load(&cx, cell.parse().map_err(|_| AppError::NotFound)?).await }).await
}

/// An edit of a draft, with what it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditLine {
    /// The edit.
    pub edit: Edit,
    /// The group, or the organization.
    pub group: String,
    /// What it is about.
    pub what: String,
    /// What is said there now; after it was saved: what was said before.
    pub now: Option<Say>,
    /// What the cell comes to now; none when that does not matter any more.
    pub comes_to: Option<State>,
    /// Who changed the cell since the edit was made, and when.
    pub theirs: Option<(String, DateTime<Utc>)>,
    /// Whether somebody did, to something else.
    pub stale: bool,
    /// Why whoever looks may not make it.
    pub refused: Option<String>,
    /// Quotas that go away with the rule.
    pub quotas: Vec<String>,
    /// The lock that decides in its place, in a sentence: what is said here has no effect.
    pub held: Option<String>,
}

/// What changes about one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelLine {
    /// The model.
    pub model: ModelId,
    /// What it is called.
    pub name: String,
    /// People who gain it, and who lose it.
    pub gain: usize,
    /// People who lose it.
    pub lose: usize,
    /// From which state to which, and in which groups.
    pub moves: Vec<(State, State, Vec<String>)>,
}

/// An application that starts or stops being able to call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppLine {
    /// Which.
    pub application: ApplicationId,
    /// What it is called.
    pub name: String,
    /// The group it lives in, with its path.
    pub place: String,
    /// Models that it can call from then on.
    pub starts: Vec<String>,
    /// Models that it cannot call any more.
    pub stops: Vec<String>,
}

/// What a draft comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftView {
    /// Its id.
    pub id: BatchId,
    /// Its edits.
    pub lines: Vec<EditLine>,
    /// What changes, by model; empty while something is in the way.
    pub models: Vec<ModelLine>,
    /// Applications it concerns.
    pub applications: Vec<AppLine>,
    /// All of that in a sentence or two.
    pub summary: String,
    /// Pinned tests it would break, a sentence each.
    pub broken: Vec<String>,
    /// What it would have meant for recorded calls, when that was asked for.
    pub replay: Option<Replay>,
    /// Whether somebody else changed one of the cells.
    pub stale: bool,
    /// Whether whoever looks may not make one of the edits.
    pub refused: bool,
    /// Whether that is only because its last day is over.
    pub past: bool,
    /// Whether it was saved.
    pub done: bool,
    /// Whether it was undone.
    pub undone: bool,
    /// Whether whoever looks may undo it once it is saved.
    pub may_undo: bool,
}

/// What a draft comes to: found by making it, in a transaction that is rolled back. `rehearse`: also
/// what it would have meant for the calls of so many days.
#[server(prefix = "/console", endpoint = "authorizations/draft")]
pub async fn load_draft(id: String, #[server(default)] rehearse: String) -> Result<DraftView, AppError> {
    use crate::backend::*;
    handle(
        |cx| async move { drafts::load(&cx, id.parse().map_err(|_| AppError::NotFound)?, &rehearse).await },
    )
    .await
}

/// Keeps edits to be looked at: those of `edits`, or of a draft that was begun; and one for every
/// group of a list (empty: the organization) with every target of a list. `inherit`: nothing is said
/// any more. `seen`: the cell as the form shows it. `back`: how the matrix was looked at. `then`:
/// `more` leads back to it instead of to what the edits come to. `mode`: what only takes note
/// (`observe`) is not staged; what that comes to is its rehearsal, and it is saved from there.
#[server(prefix = "/console", endpoint = "authorizations/stage")]
pub async fn stage_authorizations(
    #[server(default)] edits: String,
    #[server(default)] draft: String,
    #[server(default)] groups: Vec<String>,
    #[server(default)] targets: Vec<String>,
    #[server(default)] state: String,
    #[server(default)] locked: bool,
    #[server(default)] ends_on: String,
    #[server(default)] mode: String,
    #[server(default)] seen: String,
    #[server(default)] back: String,
    #[server(default)] then: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::limits::Mode;
    handle(|cx| async move {
        let org = cx.org()?;
        // Who sends edits sends all of them: those of the draft that was begun are among them.
        let mut all: Draft = read("edits", &edits)?;
        if let Some(id) = read_some("draft", &draft)?.filter(|_| all.edits.is_empty()) {
            all = drafts::mine(&cx, id).await?.draft;
        }
        if !groups.is_empty() || !targets.is_empty() {
            let say = drafts::say(&cx, &state, locked, &ends_on).await?;
            let rules = store::authorizations::list(&cx.store, org, None).await.known()?;
            let edits = drafts::range(&groups, &targets, say, read_some("seen", &seen)?, &rules)?;
            if read_some("mode", &mode)? == Some(Mode::Observe) {
                let cell = edits.first().map(|edit| edit.cell);
                let back = rehearsals::rule_form(cell, &state, locked, &ends_on, &mode);
                return rehearsals::prepare(&cx, rehearsals::rules(edits, Mode::Observe), back, "").await;
            }
            for edit in edits {
                all.put(edit);
            }
        }
        let facts = store::access::current(&cx.store, org).await.known()?;
        let permit = drafts::permit(&cx, &facts, &all)?;
        let id = store::authorizations::drafts::keep(&cx.store, &permit, &all).await.known()?;
        Ok(Done::default().then(match then.as_str() {
            "more" => drafts::matrix_href(&back, "draft", id),
            _ => drafts::href(id, &back),
        }))
    })
    .await
}

/// Goes on with a draft without one of its edits, or, where somebody else changed the cell since
/// (`how`: `mine`), with the edit in place of theirs.
#[server(prefix = "/console", endpoint = "authorizations/unstage")]
pub async fn unstage_authorization(
    draft: String,
    cell: String,
    #[server(default)] how: String,
    #[server(default)] back: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let mut all = drafts::mine(&cx, read("draft", &draft)?).await?.draft;
        let cell: Cell = read("cell", &cell)?;
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        let permit = drafts::permit(&cx, &facts, &all)?;
        if how == "mine" {
            let rules =
                store::authorizations::list(&cx.store, permit.org(), Some(cell.group)).await.known()?;
            for edit in all.edits.iter_mut().filter(|edit| edit.cell == cell) {
                edit.seen = drafts::seen(&rules, cell);
            }
        } else {
            all.drop_cell(cell);
        }
        if all.edits.is_empty() {
            return Ok(Done::said("Nothing is staged any more.").then(format!("/authorization?{back}")));
        }
        let id = store::authorizations::drafts::keep(&cx.store, &permit, &all).await.known()?;
        Ok(Done::default().then(drafts::href(id, &back)))
    })
    .await
}

/// Saves a draft: all of it or nothing.
#[server(prefix = "/console", endpoint = "authorizations/save")]
pub async fn save_draft(id: String, #[server(default)] back: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let kept = drafts::mine(&cx, read("id", &id)?).await?;
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        let mut change = cx.change(drafts::permit(&cx, &facts, &kept.draft)?).await?;
        let changed = store::authorizations::drafts::save(&mut change, &kept).await.known()?;
        if changed == 0 {
            return Err(AppError::field("", "There is nothing to change: all of it is so already."));
        }
        change.commit().await.known()?;
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        Ok(Done::said(drafts::saved(&facts, &kept.draft, changed))
            .then(drafts::matrix_href(&back, "saved", kept.id)))
    })
    .await
}

/// Puts every cell back to what it said before a draft was saved.
#[server(prefix = "/console", endpoint = "authorizations/undo")]
pub async fn undo_draft(id: String, #[server(default)] back: String) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let kept = drafts::readable(&cx, read("id", &id)?).await?;
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        let mut change = cx.change(drafts::permit(&cx, &facts, &kept.draft)?).await?;
        let changed = store::authorizations::drafts::undo(&mut change, &kept).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said(format!("{} undone. It is as before from the next call on.", drafts::changes(changed)))
            .then(drafts::matrix_href(&back, "saved", kept.id)))
    })
    .await
}

/// Sets what a group (empty: the organization) says about a target at once; `inherit`: nothing any
/// more. `mode`: `observe` for a rule that only takes note.
#[server(prefix = "/console", endpoint = "authorizations/set")]
pub async fn set_authorization(
    #[server(default)] group: String,
    target: String,
    state: String,
    #[server(default)] locked: bool,
    #[server(default)] ends_on: String,
    #[server(default)] mode: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::limits::Mode;
    handle(|cx| async move {
        let cell = Cell { group: read_some("group", &group)?, target: read("target", &target)? };
        let say = drafts::say(&cx, &state, locked, &ends_on).await?;
        let mode = read_some("mode", &mode)?.unwrap_or(Mode::Enforce);
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        let draft = Draft { edits: vec![Edit { cell, say, seen: None }] };
        let mut change = cx.change(drafts::permit(&cx, &facts, &draft)?).await?;
        match mode {
            Mode::Enforce => store::authorizations::set(&mut change, cell.group, cell.target, say).await,
            Mode::Observe => store::authorizations::observe(&mut change, cell.group, cell.target, say).await,
        }
        .known()?;
        change.commit().await.known()?;
        if mode == Mode::Observe {
            return Ok(Done::said(rehearsals::saved(true)));
        }
        let facts = store::access::current(&cx.store, cx.org()?).await.known()?;
        Ok(Done::said(drafts::saved(&facts, &draft, 1)))
    })
    .await
}
