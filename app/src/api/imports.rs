//! People from a table: the difference first, then the import.

use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// The columns a table of people can have, for whoever may import one.
#[server(prefix = "/console", endpoint = "imports/columns")]
pub async fn load_import() -> Result<Vec<String>, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        cx.permit(Act::ApplyFile)?;
        Ok(imports::READ.map(str::to_owned).to_vec())
    })
    .await
}

/// Says what a table would change, and changes nothing. `file` is another way to bring the table; `read_as`:
/// how its bytes were read, where they were no UTF-8.
#[server(prefix = "/console", endpoint = "imports/check")]
pub async fn check_import(
    #[server(default)] csv: String,
    #[server(default)] file: String,
    #[server(default)] read_as: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let permit = cx.permit(Act::ApplyFile)?;
        let csv = if file.trim().is_empty() { csv } else { file };
        let paths = store::groups::paths(&cx.store, permit.org()).await.known()?;
        let (rows, problems) = imports::read(&csv, &paths)?;
        let mut change = cx.change(permit).await?.only_a_look();
        let imported = store::imports::run(&mut change, &rows).await.known()?;
        let (fallen, dead) = (change.fallen(), change.fallen_of().clone());
        drop(change);
        if let Some(error) = imports::told(problems, &imported) {
            return Err(error);
        }
        let mut sentence =
            format!("Nothing has been changed yet. {}", imports::counted(&imported, rows.len()));
        if !read_as.is_empty() {
            sentence += &format!(" The file is no UTF-8: it was read as {read_as}. Look at the names.");
        }
        let seen = imports::digest(&imported, fallen);
        let values = vec![("csv".to_owned(), csv), ("seen".to_owned(), seen)];
        let dying = imports::dying(&imported, &dead, fallen);
        Ok(Done::once(Once::Difference { sentence, parts: imports::parts(&imported), dying, values }))
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
        let (rows, problems) = imports::read(&csv, &paths)?;
        let mut change = cx.change(permit).await?;
        let imported = store::imports::run(&mut change, &rows).await.known()?;
        if let Some(error) = imports::told(problems, &imported) {
            return Err(error);
        }
        let fallen = change.fallen();
        if imports::digest(&imported, fallen) != seen {
            return Err(imports::changed(&imported, rows.len(), seen.is_empty()));
        }
        change.commit().await.known()?;
        let next =
            imported.batch.map_or_else(|| "/users".to_owned(), |batch| format!("/users/batch/{batch}"));
        let said = format!("Imported. {}", imports::counted(&imported, rows.len()));
        Ok(Done::said(secrets::with_dead(&said, fallen, true)).then(next))
    })
    .await
}
