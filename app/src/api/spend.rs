//! Spend.

use domain::spend::{LedPage, SpendPage};
use leptos::prelude::*;

use crate::error::AppError;

/// The spend page of something: of a group, an application, a key, a person, a model, by its id;
/// `me`; or, empty, of the organization. `month`: `2026-11`, or empty for this one;
/// `from` and `to`: the days of the range `own`.
#[server(prefix = "/console", endpoint = "spend/page")]
pub async fn load_spend(
    of: String,
    #[server(default)] view: String,
    #[server(default)] range: String,
    #[server(default)] month: String,
    #[server(default)] from: String,
    #[server(default)] to: String,
    #[server(default)] by: String,
) -> Result<SpendPage, AppError> {
    use crate::backend::*;
    use chrono::NaiveDate;
    use domain::{
        explore::chosen,
        spend::{Range, View},
    };
    use store::spend::{Look, page};
    handle(|cx| async move {
        let (org, of) = which::spender(&cx, &of).await?;
        let group = matches!(of, store::spend::Of::Group(_));
        let view = View::Members.as_str() == view && group;
        let range = range.parse().unwrap_or(Range::Month);
        // Days that cannot be shown are said to be so by the page, which has what was typed.
        let asked = range == Range::Own && !from.is_empty() && !to.is_empty();
        let today = cx.calendar().await?.day(store::clock::now());
        // A month that is none, or has not begun, is said to be so by the page; the one that runs is shown.
        let month = NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d").ok();
        let month = month.filter(|month| *month <= today);
        let own = if asked { chosen(&from, &to, today).ok() } else { None };
        let look = Look {
            view: if view { View::Members } else { View::Attributed },
            range: if range == Range::Own && own.is_none() { Range::Month } else { range },
            month,
            own,
            by: by.parse().ok(),
        };
        let mut page = page(&cx.store, org, of, look).await.known()?;
        if let Some(calls) = page.calls.as_mut().filter(|_| view) {
            let listed =
                calls.iter().map(|call| (call.id, call.at, call.user.as_ref().map(|(user, _)| *user)));
            let opening = which::opening(&cx, listed).await?;
            calls.iter_mut().for_each(|call| call.opens = opening.contains(&call.id));
        }
        Ok(page)
    })
    .await
}

/// What the groups spend whoever asks leads, this month: what they may read without reading the
/// organization.
#[server(prefix = "/console", endpoint = "spend/places")]
pub async fn load_led() -> Result<LedPage, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    // How many are told of; the others are found among the groups.
    const MOST: usize = 15;
    handle(|cx| async move {
        let leads = cx.permit(Act::UseOwn)?.actor().leads.clone();
        store::spend::led(&cx.store, cx.org()?, &leads, MOST).await.known()
    })
    .await
}
