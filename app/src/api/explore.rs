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
    /// What of the address could not be followed, each in a sentence.
    pub remarks: Vec<String>,
    /// The whole table as a file, where that was asked for: then `explored` has no rows.
    pub csv: String,
}

/// Use by thing and time: of everything whoever asks may see, or of what is asked for. Without
/// days: the last thirty. With `all`: as a file with every thing, and nothing that cannot be followed
/// is left aside.
#[server(prefix = "/console", endpoint = "explore/table")]
pub async fn load_explored(
    #[server(default)] filters: Filters,
    #[server(default)] measure: String,
    #[server(default)] by: String,
    #[server(default)] interval: String,
    #[server(default)] from: String,
    #[server(default)] to: String,
    #[server(default)] all: bool,
) -> Result<Answer, AppError> {
    use crate::backend::*;
    use domain::explore::{By, Interval, Measure, chosen};
    // How many things are told apart; the rest is one more.
    const TOP: usize = 8;
    // How many sums a file is made of, at most: every thing has one of each step.
    const CELLS: usize = 400_000;
    handle(|cx| async move {
        let (filters, feature) = if all { (filters, None) } else { which::known(filters) };
        let which = which::asked(&cx, &filters).await?;
        let named = which::named(&cx, &filters, &which).await?;
        let calendar = cx.calendar().await?;
        let today = calendar.day(store::clock::now());
        let mut remarks = Vec::new();
        remarks.extend(feature.map(|sentence| format!("{sentence}: this is whatever was used.")));
        // A file is not of something else instead.
        let mut told = |field, sentence: String, instead: String| {
            if all {
                return Err(AppError::field(field, format!("{sentence}.")));
            }
            remarks.push(format!("{sentence}{instead}"));
            Ok(())
        };
        let measure = which::word(&measure, Measure::Spend);
        let by = which::word(&by, By::Application);
        let interval = which::word(&interval, Interval::Day);
        for (field, other, usual) in [
            ("measure", measure.1, format!("this counts {}", measure.0.label().to_lowercase())),
            ("by", by.1, format!("this is by {}", by.0.one().to_lowercase())),
            ("interval", interval.1, format!("these are steps of a {}", interval.0)),
        ] {
            if let Some(other) = other {
                told(field, other, format!(": {usual}."))?;
            }
        }
        let period = match chosen(&from, &to, today) {
            Ok(period) => period,
            Err(sentence) => {
                let sentence = sentence.trim_end_matches('.').to_owned();
                told("from", sentence, ". These are the last thirty days instead.".to_owned())?;
                chosen("", "", today).map_err(|sentence| AppError::field("from", sentence))?
            }
        };
        let steps = interval.0.steps(period.from, period.to, calendar.week_start).len().max(1);
        let question = store::explore::Question {
            measure: measure.0,
            by: by.0,
            interval: interval.0,
            period,
            before: period.before(),
            top: if all { CELLS / steps } else { TOP },
            week_start: calendar.week_start,
            today,
        };
        let mut explored = store::explore::ask(&cx.store, cx.org()?, &which, &question).await.known()?;
        if all && explored.rows.iter().any(|row| row.key.is_none()) {
            let sentence = format!(
                "That is more than one file holds: {} things in {steps} steps. Choose longer steps, fewer days, or a filter.",
                explored.things
            );
            return Err(AppError::field("interval", sentence));
        }
        let csv = if all { explored.csv() } else { String::new() };
        if all {
            explored.rows.clear();
        }
        Ok(Answer { explored, named, remarks, csv })
    })
    .await
}
