//! Why somebody may use a model, or may not.

use chrono::{DateTime, Utc};
use domain::{
    access::Verdict,
    ids::{CallId, GroupId},
    spend::LimitLevel,
};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyStep {
    /// What was found.
    pub sentence: String,
    /// Where it can be changed; empty for those who may not look there.
    pub href: String,
    /// Whether it decided.
    pub decides: bool,
    /// Who set it last, and when.
    pub by: Option<(String, DateTime<Utc>)>,
}

/// A change that would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Help {
    /// What, and who.
    pub sentence: String,
    /// Where; empty for those who may not look there.
    pub href: String,
}

/// What is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Say {
    /// Yes.
    Allowed,
    /// Yes by every rule, and a limit has no room.
    NoRoom,
    /// After somebody agreed.
    ByRequest,
    /// No.
    Closed,
}

impl From<Verdict> for Say {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allowed,
            Verdict::NeedsApproval => Self::ByRequest,
            Verdict::Deny(_) => Self::Closed,
        }
    }
}

/// The answer on one group's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The group.
    pub group: GroupId,
    /// Yes or no.
    pub say: Say,
    /// In one sentence.
    pub sentence: String,
    /// What it rests on, in order.
    pub steps: Vec<WhyStep>,
    /// The cheapest changes after which it is yes.
    pub help: Vec<Help>,
    /// Limits the call has to fit into, the tightest first, each with whether a call of this size
    /// fits; those that only observe come last. None of a moment that is over.
    pub limits: Vec<(LimitLevel, bool)>,
}

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCall {
    /// Its request id.
    pub id: CallId,
    /// When.
    pub at: DateTime<Utc>,
    /// What the caller wrote.
    pub model: String,
    /// The answer's status and code.
    pub code: String,
    /// The sentence the caller read, with what was found out since; empty where none was kept.
    pub message: String,
    /// What the answer said about it, as names and values.
    pub detail: Vec<(String, String)>,
    /// What would help, where no rule decided.
    pub help: Option<Help>,
    /// Rules, limits or the key decided, so that what they say now is worth a look.
    pub decided: bool,
    /// It passed: a limit that only observes would have refused it.
    pub observed: bool,
}

/// A call that its request id tells of, and nothing else does; or one that is in the books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldCall {
    /// Its request id.
    pub id: CallId,
    /// When.
    pub at: DateTime<Utc>,
    /// Why it was refused, or how it ended.
    pub sentence: String,
    /// What would help, or where more is to be seen.
    pub help: Help,
    /// It was let through, and is in the books.
    pub booked: bool,
}

/// When the moment is that is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Time {
    /// Now.
    #[default]
    Now,
    /// It is over: most of what held then is not known any more.
    Over,
    /// It is to come.
    ToCome,
}

/// Everything on the page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Whom it is about, as it is typed.
    pub who: String,
    /// What they are called.
    pub name: String,
    /// Which model, by name.
    pub model: String,
    /// People and applications to choose from: what is typed, and a name.
    pub people: Vec<(String, String)>,
    /// Models to choose from.
    pub models: Vec<String>,
    /// What the call would use of its key, separated by commas.
    pub using: String,
    /// The refused call it is about.
    pub refused: Option<RefusedCall>,
    /// A call of which only this is known.
    pub told: Option<ToldCall>,
    /// When the moment is that is asked about.
    pub time: Time,
    /// One for each group, what is open first.
    pub answers: Vec<Answer>,
    /// Why there is no answer.
    pub problem: Option<String>,
}

/// Why. `who`: an address, an application's path, or an id; empty: whoever asks. `on`: only on this
/// group's account. `at`: a day or a moment to look at. `tokens`: a call's size. `using`: features of a key,
/// separated by commas. `request`: a refused call.
#[server(prefix = "/console", endpoint = "why")]
pub async fn load_why(
    #[server(default)] who: String,
    #[server(default)] model: String,
    #[server(default)] on: String,
    #[server(default)] at: String,
    #[server(default)] tokens: String,
    #[server(default)] using: String,
    #[server(default)] request: String,
) -> Result<Why, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        // What cannot be read is told beside the form, which keeps all of it.
        let mut wrong = None;
        let digits =
            domain::money::ungrouped(&tokens.trim().replace([' ', '_'], "")).unwrap_or(tokens.clone());
        let size: Option<u64> = read_some("tokens", &digits).unwrap_or_else(|_| {
            wrong = Some(format!("{tokens} is no size: enter a whole number of tokens, for instance 2000."));
            None
        });
        let moment = why::moment(&at).unwrap_or_else(|_| {
            wrong = Some(format!(
                "{at} is no moment: enter one like 2026-12-01T14:30, or a day like 2026-12-01."
            ));
            None
        });
        let features = why::features(&using).unwrap_or_else(|_| {
            wrong = Some(format!("{using} is nothing that a call can use: choose from the list."));
            Default::default()
        });
        let question = why::Question {
            who: who.trim().to_owned(),
            model: model.trim().to_owned(),
            on: read_some("on", &on).map_err(|_| AppError::NotFound)?,
            at: moment,
            features,
            tokens: size,
            request: request.trim().to_owned(),
            needed: None,
            wrong,
        };
        why::answer(&cx, question).await
    })
    .await
}
