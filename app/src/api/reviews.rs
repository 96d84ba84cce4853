//! Looks at who still needs what.

use domain::reviews::{Item, Review};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// Reviews, and where one can be opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reviews {
    /// Open ones first.
    pub rows: Vec<Review>,
    /// Groups that can be reviewed: id and path.
    pub groups: Vec<(String, String)>,
}

/// Reviews of the groups that whoever looks answers for.
#[server(prefix = "/console", endpoint = "reviews/list")]
pub async fn load_reviews() -> Result<Reviews, AppError> {
    use crate::backend::*;
    use domain::roles::{Act, Place, allows};
    // How many reviews are listed: closed ones beyond are in the log.
    const MOST: i64 = 100;
    handle(|cx| async move {
        let actor = cx.actor()?.clone();
        let all = cx.permit(Act::ReadOrganization);
        if all.is_err() && actor.leads.is_empty() {
            return Err(all.err().unwrap_or(AppError::NotFound));
        }
        let within = all.is_err().then_some(actor.leads.as_slice());
        let facts = store::access::current(&cx.store, actor.org).await.known()?;
        let may = |group| {
            let path = facts.groups.get(&group).map(|group| group.path.as_slice()).unwrap_or_default();
            allows(&actor, Act::ReviewAccess, Place::Group(path))
        };
        let paths = store::groups::paths(&cx.store, actor.org).await.known()?;
        Ok(Reviews {
            rows: store::reviews::list(&cx.store, actor.org, within, MOST).await.known()?,
            groups: paths
                .into_iter()
                .filter(|(id, _)| may(*id))
                .map(|(id, path)| (id.to_string(), path))
                .collect(),
        })
    })
    .await
}

/// A review with a page of its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewView {
    /// The review.
    pub review: Review,
    /// Its lines.
    pub items: Vec<Item>,
    /// Where the next page starts.
    pub next: Option<String>,
    /// Whether only what is of the groups of whoever looks is shown: it is of a group above these.
    pub part: bool,
    /// Whether whoever looks decides in it.
    pub decides: bool,
    /// Whether they may cancel it.
    pub cancels: bool,
}

/// A review. `state` and `kind` narrow its lines.
#[server(prefix = "/console", endpoint = "reviews/get")]
pub async fn load_review(
    id: String,
    #[server(default)] state: String,
    #[server(default)] kind: String,
    #[server(default)] after: String,
) -> Result<ReviewView, AppError> {
    use crate::backend::*;
    use domain::{ids::ReviewId, roles::Act};
    // How many lines a page lists.
    const PAGE: i64 = 100;
    handle(|cx| async move {
        let id: ReviewId = id.parse().map_err(|_| AppError::NotFound)?;
        let (org, actor) = (cx.org()?, cx.actor()?.clone());
        let mut review = store::reviews::get(&cx.store, org, id).await.known()?;
        // Whoever leads a group below decides on what is of that one.
        let within = match cx.permit_in(Act::ReadGroup, review.group).await {
            Ok(_) => None,
            Err(refused) => {
                review = store::reviews::part(&cx.store, org, id, Some(&actor.leads)).await.known()?;
                if review.progress.all == 0 {
                    return Err(refused);
                }
                Some(actor.leads.as_slice())
            }
        };
        let part = within.is_some();
        let filter = store::reviews::Filter {
            within,
            state: state.parse().ok(),
            kind: kind.parse().ok(),
            after: store::reviews::After::read(&after),
        };
        let mut items = store::reviews::items(&cx.store, org, id, filter, PAGE + 1).await.known()?;
        let more = items.len() as i64 > PAGE;
        items.truncate(PAGE as usize);
        let whole = cx.permit_in(Act::ReviewAccess, review.group).await.is_ok();
        let decides = review.closed_at.is_none() && (whole || part);
        Ok(ReviewView {
            cancels: decides && whole && store::reviews::may_cancel(&actor, &review),
            part,
            next: items.last().filter(|_| more).map(|item| store::reviews::After::of(item).to_string()),
            review,
            items,
            decides,
        })
    })
    .await
}

/// Opens a review of a group.
#[server(prefix = "/console", endpoint = "reviews/open")]
pub async fn open_review(
    group: String,
    due_on: String,
    #[server(default)] below: bool,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let group = groups::named(&cx, "group", &group).await?;
        let due_on =
            read_date("due_on", &due_on)?.ok_or_else(|| AppError::field("due_on", "Choose the last day."))?;
        let mut change = cx.change(cx.permit_in(Act::ReviewAccess, group).await?).await?;
        let id = store::reviews::open(&mut change, group, below, due_on).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("The review is open.").then(format!("/reviews/{id}")))
    })
    .await
}

/// Ends a review that was opened by mistake: nothing comes of what nobody has decided on.
#[server(prefix = "/console", endpoint = "reviews/cancel")]
pub async fn cancel_review(id: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ReviewId, roles::Act};
    handle(|cx| async move {
        let id: ReviewId = read("id", &id)?;
        let review = store::reviews::get(&cx.store, cx.org()?, id).await.known()?;
        let mut change = cx.change(cx.permit_in(Act::ReviewAccess, review.group).await?).await?;
        store::reviews::cancel(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("The review is cancelled. What nobody decided on stays as it is.")
            .then(format!("/reviews/{id}")))
    })
    .await
}

/// Confirms or drops lines of a review.
#[server(prefix = "/console", endpoint = "reviews/decide")]
pub async fn decide_review(
    id: String,
    verdict: String,
    #[server(default)] items: Vec<String>,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        ids::{ReviewId, ReviewItemId},
        reviews::Verdict,
        roles::Act,
    };
    handle(|cx| async move {
        let (id, verdict): (ReviewId, Verdict) = (read("id", &id)?, read("verdict", &verdict)?);
        let items: Vec<ReviewItemId> = items.iter().map(|id| read("items", id)).collect::<Result<_, _>>()?;
        let review = store::reviews::get(&cx.store, cx.org()?, id).await.known()?;
        let permit = match cx.permit_in(Act::ReviewAccess, review.group).await {
            Ok(permit) => permit,
            Err(refused) => {
                let about = store::reviews::groups_of(&cx.store, cx.org()?, id, &items).await.known()?;
                cx.permit_in_each(Act::ReviewAccess, &about).await?.ok_or(refused)?
            }
        };
        let mut change = cx.change(permit).await?;
        let store::reviews::Decided { count: decided, mut left, settled } =
            store::reviews::decide(&mut change, id, &items, verdict).await.known()?;
        if decided == 0 && !settled.is_empty() {
            let said = settled.join(" ");
            return Err(AppError::Meanwhile(format!("This is decided already: {said} That stays.")));
        }
        left.extend(settled);
        // What holds for several lines is said once.
        let mut said = std::collections::HashSet::new();
        left.retain(|sentence| said.insert(sentence.clone()));
        if decided == 0 {
            let why = if left.is_empty() { "Tick lines that wait first.".to_owned() } else { left.join(" ") };
            return Err(AppError::field("", why));
        }
        change.commit().await.known()?;
        let verb = match verdict {
            Verdict::Confirm => "confirmed",
            Verdict::Drop => "dropped; what was dropped ended at once",
        };
        let rest =
            if left.is_empty() { String::new() } else { format!(" Left as they are: {}", left.join(" ")) };
        Ok(Done::said(format!("{decided} {verb}.{rest}")))
    })
    .await
}
