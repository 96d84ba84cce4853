//! One cell of the matrix: where what it comes to is from, who set it, and the quotas on it.

use domain::{
    access::{Facts, ruling_in},
    authorizations::{Cell, Say, Target},
    limits::Scope,
    roles::{Act, Place, allows},
};

use super::{AppError, Cx, Known, matrix};
use crate::api::authorizations::{RuleView, Watched};

/// How many groups below are listed, and how many lines of the log.
const LISTED: usize = 50;

/// One cell.
///
/// # Errors
/// When it is not in the organization, or the group is not for whoever asks.
pub async fn load(cx: &Cx, cell: Cell) -> Result<RuleView, AppError> {
    let actor = cx.actor()?.clone();
    let facts = store::access::current(&cx.store, actor.org).await.known()?;
    let model = match cell.target {
        Target::Model(id) => Some(facts.models.get(&id).ok_or(AppError::NotFound)?.name.clone()),
        Target::Tier(id) => facts.tiers.get(&id).map(|_| None).ok_or(AppError::NotFound)?,
        Target::All => None,
    };
    if cell.group.is_some_and(|group| !facts.groups.contains_key(&group)) {
        return Err(AppError::NotFound);
    }
    let path = matrix::path(&facts, cell.group);
    if cx.permit(Act::ReadOrganization).is_err() {
        match cell.group {
            Some(group) => cx.permit_in(Act::ReadGroup, group).await.map(|_| ())?,
            None => cx.permit(Act::ReadOrganization).map(|_| ())?,
        }
    }
    let now = store::clock::now();
    let standing = matrix::standing(cx).await?;
    let shown = matrix::shown(&facts, &standing, cell, now);
    let ruling = ruling_in(&facts, path, cell.target, None, now);
    let decides = ruling.map(|(group, target, _)| Cell { group, target }).filter(|other| *other != cell);
    let decides = decides.map(|other| {
        let name =
            format!("{} for {}", facts.target_name(other.target), matrix::place_name(&facts, other.group));
        (other, name)
    });
    let own = shown.own.as_ref().map(|own| own.seen.id);
    let about =
        |id: domain::ids::AuthorizationId| store::audit::Filter { subject: Some(id.0), ..Default::default() };
    let most = i64::try_from(LISTED).unwrap_or(i64::MAX);
    let history = match own {
        Some(id) => store::audit::list(&cx.store, actor.org, &about(id), most).await.known()?,
        None => Vec::new(),
    };
    let by = match ruling {
        Some((.., rule)) => store::audit::list(&cx.store, actor.org, &about(rule.id), 1).await.known()?,
        None => Vec::new(),
    };
    let limits = match own {
        Some(id) => {
            let keep = |scope| scope == Scope::Authorization(id);
            store::limits::list(&cx.store, actor.org, &facts, keep).await.known()?
        }
        None => Vec::new(),
    };
    let watching = facts.observed.get(&cell.group).and_then(|rules| rules.get(&cell.target)).copied();
    let watched = match watching {
        Some(rule) => Some(Watched {
            id: rule.id,
            state: rule.state,
            locked: rule.locked,
            noted: store::observed::noted(&cx.store, actor.org, &[rule.id.0])
                .await
                .known()?
                .get(&rule.id.0)
                .map(|noted| (noted.calls, noted.people, noted.spend)),
            limits: {
                let keep = |scope| scope == Scope::Authorization(rule.id);
                store::limits::list(&cx.store, actor.org, &facts, keep).await.known()?
            },
            history: store::audit::list(&cx.store, actor.org, &about(rule.id), most).await.known()?,
        }),
        None => None,
    };
    let place = if cell.group.is_some() { Place::Group(path) } else { Place::Organization };
    Ok(RuleView {
        group: matrix::place_name(&facts, cell.group),
        what: facts.target_name(cell.target),
        model,
        decides,
        by: by.into_iter().next().map(|row| (row.actor, row.at)),
        limits,
        below: below(&facts, &standing, cell),
        history,
        watched,
        editable: matrix::editable(&actor, &facts, cell.group),
        may_loosen: allows(&actor, Act::LoosenLimits, place),
        shown,
    })
}

/// Groups below that say something about the very same.
fn below(facts: &Facts, standing: &matrix::Standing, cell: Cell) -> Vec<(Cell, String, Say)> {
    let is_below = |other: &Cell| {
        let path = matrix::path(facts, other.group);
        other.target == cell.target
            && other.group != cell.group
            && other.group.is_some()
            && cell.group.is_none_or(|group| path.contains(&group))
    };
    let mut below: Vec<(Cell, String, Say)> = standing
        .iter()
        .filter(|(other, _)| is_below(other))
        .map(|(other, (_, say))| (*other, matrix::place_name(facts, other.group), *say))
        .collect();
    below.sort_by_key(|(_, name, _)| name.to_lowercase());
    below.truncate(LISTED);
    below
}
