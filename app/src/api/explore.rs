//! Questions about use.

use domain::explore::Explored;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    error::AppError,
    filters::{Filters, Named},
};

/// An answer, with what it is filtered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The table.
    pub explored: Explored,
    /// The filters.
    pub named: Named,
}

/// Use by thing and time: of everything whoever asks may see, or of what is asked for. Without
/// days: the last thirty.
#[server(prefix = "/console", endpoint = "explore/table")]
pub async fn load_explored(
    #[server(default)] filters: Filters,
    #[server(default)] measure: String,
    #[server(default)] by: String,
    #[server(default)] interval: String,
    #[server(default)] from: String,
    #[server(default)] to: String,
) -> Result<Answer, AppError> {
    use crate::backend::*;
    use chrono::Days;
    use domain::explore::{By, Interval, Measure, Period};
    // How many things are told apart; the rest is one more.
    const TOP: usize = 8;
    // How many days are looked at, at most, and without a word about it.
    const MOST: i64 = 800;
    const USUAL: u64 = 30;
    handle(|cx| async move {
        let which = which::which(&cx, &filters).await?;
        let named = which::named(&cx, &filters, &which).await?;
        let calendar = cx.calendar().await?;
        let today = calendar.day(store::clock::now());
        let tomorrow = today.succ_opt().ok_or(AppError::NotFound)?;
        let (from, to) = which::days(&from, &to)?;
        let to = to.unwrap_or(tomorrow);
        let from = from.or(to.checked_sub_days(Days::new(USUAL))).unwrap_or(to);
        let period = Period { from, to };
        if from >= to || period.days() > MOST {
            return Err(AppError::field("from", format!("Choose at least one day and at most {MOST}.")));
        }
        let question = store::explore::Question {
            measure: read_some("measure", &measure)?.unwrap_or(Measure::Spend),
            by: read_some("by", &by)?.unwrap_or(By::Application),
            interval: read_some("interval", &interval)?.unwrap_or(Interval::Day),
            period,
            before: period.before(),
            top: TOP,
            week_start: calendar.week_start,
            today,
        };
        let explored = store::explore::ask(&cx.store, cx.org()?, &which, &question).await.known()?;
        Ok(Answer { explored, named })
    })
    .await
}
