//! Calls in flight.

use domain::in_flight::InFlight;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    error::AppError,
    filters::{Filters, Named},
    frame::Done,
};

/// Calls in flight, with what they are filtered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlightView {
    /// The calls.
    pub list: InFlight,
    /// The filters.
    pub named: Named,
}

/// Calls in flight over all processes: of everything whoever asks may see, or of what is asked for.
#[server(prefix = "/console", endpoint = "in-flight/list")]
pub async fn load_in_flight(#[server(default)] filters: Filters) -> Result<InFlightView, AppError> {
    use crate::backend::*;
    use domain::users::Role;
    // How many a page lists: the longest ones.
    const MOST: i64 = 200;
    handle(|cx| async move {
        // Here nothing is left out.
        let filters = filters.with_everything();
        let which = which::asked(&cx, &filters).await?;
        let named = which::named(&cx, &filters, &which).await?;
        let now = store::clock::now();
        let mut list = store::in_flight::list(&cx.store, cx.org()?, &which, now, MOST).await.known()?;
        // Whoever sees a call leads its group, made it, may end any, or only reads.
        let actor = cx.actor()?;
        for flight in &mut list.flights {
            let own = flight.user.as_ref().is_some_and(|(user, _)| Some(*user) == actor.user);
            flight.may_end = own || actor.role != Role::Auditor;
        }
        Ok(InFlightView { list, named })
    })
    .await
}

/// Ends a call in flight.
#[server(prefix = "/console", endpoint = "in-flight/end")]
pub async fn end_call(call: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{ids::CallId, roles::Act};
    handle(|cx| async move {
        let id: CallId = call.parse().map_err(|_| AppError::NotFound)?;
        let own = cx.permit(Act::UseOwn)?;
        let (group, user) = store::in_flight::place(&cx.store, own.org(), id).await.known()?;
        let permit = match cx.permit_in(Act::EndCalls, group).await {
            Err(AppError::Forbidden(_)) if user.is_some() && user == own.actor().user => own,
            permit => permit?,
        };
        let mut change = cx.change(permit).await?;
        store::in_flight::end(&mut change, id).await.known()?;
        change.commit().await.known()?;
        Ok(Done::said("Ended. Its caller got the end of an answer, and what it used is booked.")
            .then("/calls/live"))
    })
    .await
}
