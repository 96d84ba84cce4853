//! What calls said, of keys that keep it.

use chrono::{DateTime, Utc};
use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// For how many days an application keeps what its calls say; none: it does not.
#[server(prefix = "/console", endpoint = "prompts/keeping")]
pub async fn load_keeping(application: String) -> Result<Option<i16>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let application = application.parse().map_err(|_| AppError::NotFound)?;
        let org = cx.permit_for(Act::ReadGroup, application).await?.org();
        store::prompts::days(&cx.store, org, application).await.known()
    })
    .await
}

/// Says for how many days an application keeps what its calls say. Empty: nothing. `was`: what was
/// shown.
#[server(prefix = "/console", endpoint = "prompts/keep")]
pub async fn keep_prompts(
    application: String,
    was: String,
    #[server(default)] days: String,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::ApplicationId, prompts::DAYS_MAX, roles::Act};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let which: ApplicationId = application.parse().map_err(|_| AppError::NotFound)?;
        let days = match days.trim() {
            "" => None,
            days => {
                let sentence = format!("Enter 1 to {DAYS_MAX} days.");
                Some(days.parse::<i16>().map_err(|_| AppError::field("days", sentence))?)
            }
        };
        let mut change = cx.change(permit).await?;
        let before = store::prompts::set_days(&mut change, which, days).await.known()?;
        if before.map(|days| days.to_string()).unwrap_or_default() != was {
            return Err(AppError::Stale);
        }
        let less = before.is_some_and(|before| days.is_none_or(|days| days < before));
        let name = store::applications::get(&cx.store, change.org(), which).await.known()?.name;
        if less {
            typed_out(&typed, &name)?;
        }
        let saved = change.commit().await.known()?;
        let undo = (saved && !less).then(|| ways_back::prompts(which, &name, before, days));
        let said = match days {
            Some(1) => "From the next call on, what is said is kept for a day.".to_owned(),
            Some(days) => format!("From the next call on, what is said is kept for {days} days."),
            None => "Nothing is kept any more; what was kept is deleted.".to_owned(),
        };
        Ok(Done::said(said).then(format!("/applications/{application}")).undone_by(undo))
    })
    .await
}

/// Until when what a call said is kept, for those who may see the call; none: it is not kept.
#[server(prefix = "/console", endpoint = "prompts/kept")]
pub async fn load_kept(call: String) -> Result<Option<DateTime<Utc>>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let call = call.parse().map_err(|_| AppError::NotFound)?;
        store::prompts::kept_until(&cx.store, org, call).await.known()
    })
    .await
}

/// What a call said. Reading it goes on the record.
#[server(prefix = "/console", endpoint = "prompts/read")]
pub async fn read_prompt(call: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadPrompts)?;
        let call = call.parse().map_err(|_| AppError::NotFound)?;
        let mut change = cx.change(permit).await?;
        let prompt = store::prompts::read(&mut change, call).await.known()?;
        change.commit().await.known()?;
        let part = |title: &str, text: &str, cut: bool| {
            let title = if cut { format!("{title}, cut off after 64 kB") } else { title.to_owned() };
            (title, pretty(text))
        };
        Ok(Done::once(Once::Read {
            sentence: "That you read this is on the record.".to_owned(),
            parts: vec![
                part("Request", &prompt.request, prompt.request_cut),
                part("Answer", &prompt.answer, prompt.answer_cut),
            ],
        }))
    })
    .await
}
