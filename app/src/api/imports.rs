//! People from a table: the difference first, then the import.

use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// Says what a table would change, and changes nothing. `file` is another way to bring the table.
#[server(prefix = "/console", endpoint = "imports/check")]
pub async fn check_import(
    #[server(default)] csv: String,
    #[server(default)] file: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ApplyFile)?;
        let csv = if file.trim().is_empty() { csv } else { file };
        let paths = store::groups::paths(&cx.store, permit.org()).await.known()?;
        let rows = imports::read(&csv, &paths)?;
        let mut change = cx.change(permit).await?.only_a_look();
        let imported = store::imports::run(&mut change, &rows).await.known()?;
        drop(change);
        if let Some(error) = imports::told(&imported.problems) {
            return Err(error);
        }
        let sentence = format!("Nothing has been changed yet. {}", imports::counted(&imported, rows.len()));
        let seen = imports::digest(&imported);
        let values = vec![("csv".to_owned(), csv), ("seen".to_owned(), seen)];
        Ok(Done::once(Once::Difference { sentence, lines: imports::shown(&imported), values }))
    })
    .await
}

/// Makes of the people what a table says, all of it or nothing. `seen`: which difference was shown; when
/// it would be another one by now, nothing is changed.
#[server(prefix = "/console", endpoint = "imports/run")]
pub async fn run_import(
    #[server(default)] csv: String,
    #[server(default)] file: String,
    #[server(default)] seen: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ApplyFile)?;
        let csv = if file.trim().is_empty() { csv } else { file };
        let paths = store::groups::paths(&cx.store, permit.org()).await.known()?;
        let rows = imports::read(&csv, &paths)?;
        let mut change = cx.change(permit).await?;
        let imported = store::imports::run(&mut change, &rows).await.known()?;
        if let Some(error) = imports::told(&imported.problems) {
            return Err(error);
        }
        if imports::digest(&imported) != seen {
            return Err(imports::changed(&imported, rows.len(), seen.is_empty()));
        }
        change.commit().await.known()?;
        let next =
            imported.batch.map_or_else(|| "/users".to_owned(), |batch| format!("/users/batch/{batch}"));
        Ok(Done::said(format!("Imported. {}", imports::counted(&imported, rows.len()))).then(next))
    })
    .await
}
