//! What the processes that let calls through have set aside.

use domain::leases::Holder;
use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// The processes with something set aside, those that were not heard of for longest first.
#[server(prefix = "/console", endpoint = "leases/list")]
pub async fn load_holders() -> Result<Vec<Holder>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ReadOrganization)?;
        store::leases::holders(&cx.store, permit.org(), store::clock::now()).await.known()
    })
    .await
}

/// Takes back what a process that is not heard of had set aside.
#[server(prefix = "/console", endpoint = "leases/take-back")]
pub async fn take_back(replica: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditOrganization)?;
        let replica = replica.parse().map_err(|_| AppError::NotFound)?;
        let now = store::clock::now();
        let holder = store::leases::take_back(&cx.store, permit, replica, now).await.known()?;
        Ok(Done::said(format!("Taken back: {} can be used again.", holder.money)).then("/settings"))
    })
    .await
}
