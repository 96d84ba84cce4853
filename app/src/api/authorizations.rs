//! Which group may use which models.

use chrono::{DateTime, Utc};
use domain::{
    authorizations::State,
    ids::{GroupId, ModelId},
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

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

/// A cell of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// What the rules come to.
    pub state: State,
    /// What is said on this very group about this very target.
    pub own: Option<Own>,
    /// Where the rule that decides is set; empty when nothing is said anywhere.
    pub from: String,
    /// What a rule on this very group and target says that only observes.
    pub observed: Option<State>,
}

/// A rule as a cell shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Its id.
    pub id: String,
    /// What it says.
    pub state: State,
    /// Whether groups below cannot say otherwise.
    pub locked: bool,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
    /// Quotas on it, as people read them.
    pub quotas: Vec<String>,
}

/// A column of the matrix: a tier, or a model of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// `tier:…` or `model:…`.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// A line under the name.
    pub note: String,
    /// Whether it is a tier.
    pub tier: bool,
}

/// A row of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The group; none: the organization.
    pub group: Option<GroupId>,
    /// What it is called.
    pub name: String,
    /// How deep it is.
    pub depth: usize,
    /// Whether whoever looks may change its cells.
    pub editable: bool,
    /// One for each column.
    pub cells: Vec<Cell>,
}

/// The matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// Tiers, each followed by its models when it is unfolded.
    pub columns: Vec<Column>,
    /// The organization and its groups.
    pub rows: Vec<Row>,
}

/// The matrix. `unfolded`: tiers whose models have columns of their own, separated by commas.
#[server(prefix = "/console", endpoint = "authorizations/matrix")]
pub async fn load_matrix(unfolded: String) -> Result<Matrix, AppError> {
    use crate::backend::*;
    use domain::{
        authorizations::Target,
        roles::{Act, Place, allows},
    };
    handle(|cx| async move {
        let actor = cx.actor()?.clone();
        let all = cx.permit(Act::ReadOrganization).is_ok();
        let facts = store::access::facts(&cx.store, actor.org).await.known()?;
        let now = store::clock::now();
        let tiers = store::models::tiers(&cx.store, actor.org).await.known()?;
        let models = store::models::list(&cx.store, actor.org).await.known()?;
        let mut columns = Vec::new();
        for tier in &tiers {
            let count = match tier.models {
                1 => "1 model".to_owned(),
                count => format!("{count} models"),
            };
            let note = if tier.high_cost { format!("{count} · high-cost") } else { count };
            columns.push((Target::Tier(tier.id), tier.name.clone(), note));
            if unfolded.split(',').any(|id| id == tier.id.to_string()) {
                for model in models.iter().filter(|model| model.tier.0 == tier.id) {
                    let price = model
                        .prices
                        .map(|dated| crate::ui::money::pair(&dated.prices))
                        .unwrap_or_else(|| "no price".to_owned());
                    columns.push((Target::Model(model.id), model.name.clone(), price));
                }
            }
        }
        let month = cx.month().await?;
        let tree = store::groups::tree(&cx.store, actor.org, &month).await.known()?;
        let places = std::iter::once((None, facts.org_name.clone(), 0))
            .chain(tree.iter().map(|group| (Some(group.id), group.name.clone(), group.ancestors.len() + 1)));
        let mut rows = Vec::new();
        for (group, name, depth) in places {
            let path = group
                .and_then(|id| facts.groups.get(&id))
                .map(|group| group.path.clone())
                .unwrap_or_default();
            let place = if group.is_some() { Place::Group(&path) } else { Place::Organization };
            if !all && !allows(&actor, Act::ReadGroup, place) {
                continue;
            }
            let editable = allows(&actor, Act::WidenAuthorizations, place)
                || allows(&actor, Act::NarrowAuthorizations, place);
            let cells =
                columns.iter().map(|(target, ..)| matrix::cell(&facts, group, &path, *target, now)).collect();
            rows.push(Row { group, name, depth, editable, cells });
        }
        let columns = columns
            .into_iter()
            .map(|(target, name, note)| Column {
                key: targets::key(target),
                name,
                note,
                tier: matches!(target, Target::Tier(_)),
            })
            .collect();
        Ok(Matrix { columns, rows })
    })
    .await
}

/// Sets what a group (empty: the organization) says about a target; `inherit`: nothing any more.
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
    use domain::rehearsal::Draft;
    handle(|cx| async move {
        let said = rehearsals::Said {
            group: &group,
            target: &target,
            state: &state,
            locked,
            ends_on: &ends_on,
            mode: &mode,
        };
        let draft = Draft::Authorizations(vec![rehearsals::edit(&said, cx.calendar().await?)?]);
        let mut change = cx.change(rehearsals::permit(&cx, &draft).await?).await?;
        store::rehearsals::apply(&mut change, &draft).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said(if draft.only_observes() {
            "Saved. It refuses nothing, and takes note of what it would refuse."
        } else {
            "Saved. It holds from the next call on."
        }))
    })
    .await
}
