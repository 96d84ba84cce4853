//! Calls one by one.

use domain::calls::{CallList, CallView};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::why::WhyStep;
use crate::{
    error::AppError,
    filters::{Filters, Named},
};

/// A page of calls, with what it is filtered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// The calls.
    pub list: CallList,
    /// The filters.
    pub named: Named,
    /// What of the address could not be followed, each in a sentence.
    pub remarks: Vec<String>,
}

/// A call, and what the gateway's function says of such a call now: what it said then is not kept beyond the
/// rule or grant that let it through, or the answer that refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAnswer {
    /// The call.
    pub call: CallView,
    /// In one sentence; none where its application or its model is gone.
    pub sentence: Option<String>,
    /// What that rests on, in order.
    pub steps: Vec<WhyStep>,
    /// Whether anything was changed in the organization since the call.
    pub changed: bool,
}

/// Calls, the newest first: of everything whoever asks may see, or of what is asked for. `many`: as many as
/// a part of a file has.
#[server(prefix = "/console", endpoint = "calls/list")]
pub async fn load_calls(
    #[server(default)] filters: Filters,
    #[server(default)] outcome: String,
    #[server(default)] from: String,
    #[server(default)] to: String,
    #[server(default)] request: String,
    #[server(default)] after: String,
    #[server(default)] many: bool,
) -> Result<Calls, AppError> {
    use crate::{backend::*, ui::query::nothing_called};
    use domain::calls::Ended;
    // How many calls a page lists, and how many a part of a file.
    const PAGE: usize = 50;
    const PART: usize = 1000;
    handle(|cx| async move {
        let (filters, feature) = which::known(filters);
        let mut remarks = Vec::new();
        remarks.extend(feature.map(|sentence| format!("{sentence}: these are calls whatever they used.")));
        // A page says what it could not follow; a file is not of something else instead.
        let ended = match (outcome.as_str(), outcome.parse::<Ended>()) {
            ("", _) => None,
            (_, Ok(ended)) => Some(ended),
            _ if many => {
                return Err(AppError::field("outcome", format!("{}.", nothing_called(&outcome))));
            }
            _ => {
                let sentence = nothing_called(&outcome);
                remarks.push(format!("{sentence}: these are calls however they ended."));
                None
            }
        };
        let which = which::asked(&cx, &filters).await?;
        let named = which::named(&cx, &filters, &which).await?;
        let (from, to) = which::days(&from, &to)?;
        let request = request.trim();
        let found = match request {
            "" => Vec::new(),
            text => store::calls::by_request(&cx.store, cx.org()?, text).await.known()?,
        };
        let filter = store::calls::Filter {
            ended,
            from,
            to,
            only: (!request.is_empty()).then_some(&found),
            after: store::calls::cursor(&after),
        };
        let limit = if many { PART } else { PAGE };
        let list = store::calls::list(&cx.store, cx.org()?, cx.calendar().await?, &which, &filter, limit);
        let mut list = list.await.known()?;
        if which.members {
            let calls = list.calls.iter();
            let calls = calls.map(|call| (call.id, call.at, call.user.as_ref().map(|(user, _)| *user)));
            let opening = which::opening(&cx, calls).await?;
            list.calls.iter_mut().for_each(|call| call.opens = opening.contains(&call.id));
        }
        Ok(Calls { list, named, remarks })
    })
    .await
}

/// Everything about one call: for those who made it, who lead a group it was made in, or who read
/// everything.
#[server(prefix = "/console", endpoint = "calls/get")]
pub async fn load_call(id: String) -> Result<CallAnswer, AppError> {
    use crate::backend::*;
    use domain::{
        calls::What,
        ids::{CallId, GroupId},
        roles::{Act, Place, allows},
    };
    handle(|cx| async move {
        let permit = cx.permit(Act::UseOwn)?;
        let id: CallId = id.parse().map_err(|_| AppError::NotFound)?;
        let call = store::calls::get(&cx.store, permit.org(), id).await.known()?;
        let path: Vec<GroupId> = call.path.iter().map(|(group, _)| *group).collect();
        let own = call.user.as_ref().is_some_and(|(user, _)| Some(*user) == permit.actor().user);
        if own || allows(permit.actor(), Act::ReadGroup, Place::Group(&path)) {
            // Whoever made it reads it as themselves; others as its application.
            let who = if own { String::new() } else { call.application.0.to_string() };
            let question = why::Question {
                who,
                model: call.model.1.clone(),
                on: path.last().copied(),
                at: None,
                features: match &call.what {
                    What::Finished(finished) => finished.features,
                    What::Refused(refused) => refused.features,
                },
                tokens: None,
                request: String::new(),
                needed: None,
                wrong: None,
            };
            // What is gone by now has no answer, and the call is the page all the same.
            let answer = why::answer(&cx, question).await.ok().and_then(|why| why.answers.into_iter().next());
            let (sentence, steps) = answer.map(|answer| (answer.sentence, answer.steps)).unzip();
            let newest = store::audit::last(&cx.store, permit.org()).await.known()?;
            let changed = newest.is_some_and(|newest| newest > call.at);
            return Ok(CallAnswer { call, sentence, steps: steps.unwrap_or_default(), changed });
        }
        Err(cx.permit(Act::ReadOrganization).err().unwrap_or(AppError::NotFound))
    })
    .await
}
