//! People from a table: the difference first, then the import.

use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// Says what a table would change, and changes nothing.
#[server(prefix = "/console", endpoint = "imports/check")]
pub async fn check_import(#[server(default)] csv: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ApplyFile)?;
        let paths = store::groups::paths(&cx.store, permit.org()).await.known()?;
        let rows = imports::read(&csv, &paths)?;
        let mut change = cx.change(permit).await?;
        let imported = store::imports::run(&mut change, &rows).await.known()?;
        drop(change);
        if let Some(error) = imports::told(&imported.problems) {
            return Err(error);
        }
        let sentence = format!("Nothing has been changed yet. {}", imports::counted(&imported, rows.len()));
        Ok(Done::once(Once::Found { good: true, sentence, lines: imported.differences }))
    })
    .await
}

/// Makes of the people what a table says, all of it or nothing.
#[server(prefix = "/console", endpoint = "imports/run")]
pub async fn run_import(#[server(default)] csv: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ApplyFile)?;
        let paths = store::groups::paths(&cx.store, permit.org()).await.known()?;
        let rows = imports::read(&csv, &paths)?;
        let mut change = cx.change(permit).await?;
        let imported = store::imports::run(&mut change, &rows).await.known()?;
        if let Some(error) = imports::told(&imported.problems) {
            return Err(error);
        }
        change.commit().await.known()?;
        Ok(Done::said(format!("Imported. {}", imports::counted(&imported, rows.len()))).then("/users"))
    })
    .await
}
