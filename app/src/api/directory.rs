//! The directory of people: any filter in any order.

use domain::{directory::Words, money::Money, users::UserRow};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// A page of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    /// People in the order that was asked for.
    pub users: Vec<UserRow>,
    /// How many there are.
    pub all: i64,
    /// How many match.
    pub matching: i64,
    /// Monthly spend of those without a limit of their own.
    pub default_limit: Option<Money>,
    /// What the group is called that they are of.
    pub group: String,
    /// Groups to choose from, if they were asked for: id and path.
    pub groups: Vec<(String, String)>,
    /// Paths of those that everybody new joins, if groups were asked for.
    pub defaults: Vec<String>,
    /// Groups that the words for one fit, when it is not exactly one.
    pub unclear: Option<Vec<(String, String)>>,
    /// Where the next page starts.
    pub next: Option<String>,
}

/// A page of people. `sort`: a word of `Sort`, with a minus for the greatest first.
#[server(prefix = "/console", endpoint = "users/list")]
pub async fn load_directory(
    #[server(default)] words: Words,
    #[server(default)] sort: String,
    after: String,
    #[server(default)] with_groups: bool,
) -> Result<Directory, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    use store::directory::{Ask, Mark};
    // How many people a page lists.
    const PAGE: usize = 50;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let read = directory::read(&cx.store, cx.actor()?, words).await?;
        let unclear = read.unclear.map(|mut found| {
            found.sort_by_key(|(_, path)| path.len());
            found.truncate(PAGE);
            groups::places(&found)
        });
        let filter = read.filter;
        let month = cx.month().await?;
        let organization = store::organizations::get(&cx.store, org).await.known()?;
        let default_limit = organization.default_user_limit;
        let ask = Ask { month: &month, default_limit, filter: &filter, order: directory::order(&sort) };
        let after = Mark::read(&after);
        let found = store::directory::page(&cx.store, org, &ask, after.as_ref(), PAGE).await.known()?;
        let paths = match filter.group {
            None => Vec::new(),
            Some(_) => store::groups::paths(&cx.store, org).await.known()?,
        };
        // What has ended takes nobody in.
        let places =
            if with_groups { store::groups::places(&cx.store, org).await.known()? } else { Vec::new() };
        let defaults = match with_groups {
            true => store::groups::defaults(&cx.store, org).await.known()?,
            false => Default::default(),
        };
        let defaults = places.iter().filter(|(id, _)| defaults.contains(id)).map(|(_, path)| path.clone());
        Ok(Directory {
            users: found.rows,
            defaults: defaults.collect(),
            all: i64::try_from(found.all).unwrap_or(i64::MAX),
            matching: i64::try_from(found.matching).unwrap_or(i64::MAX),
            default_limit,
            group: paths
                .iter()
                .find(|(id, _)| Some(*id) == filter.group)
                .map_or_else(String::new, |(_, path)| path.clone()),
            groups: places.into_iter().map(|(id, path)| (id.to_string(), path)).collect(),
            unclear,
            next: found.next.map(|mark| mark.to_string()),
        })
    })
    .await
}
