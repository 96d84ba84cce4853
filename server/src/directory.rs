//! The directory of people as a table: everybody whom the filters show, written as it is read.

use std::collections::{HashMap, HashSet};

use app::backend::{
    AppError, current_actor,
    directory::{order, read},
};
use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::SecondsFormat;
use domain::{
    csv,
    directory::{Filter, Words},
    ids::{GroupId, OrgId, UserId},
    money::Money,
    roles::{Act, Actor, Place, permit},
    users::UserRow,
};
use futures_util::stream;
use store::{
    Store, StoreError,
    directory::{Ask, Mark},
    rollups::Month,
};
use tower_sessions::Session;

/// How many people are read at once.
const CHUNK: usize = 500;

const HEAD: [&str; 8] =
    ["name", "email", "role", "groups", "monthly_limit", "status", "month_to_date", "last_call"];

/// What is being written.
struct Export {
    store: Store,
    org: OrgId,
    month: Month,
    default_limit: Option<Money>,
    filter: Filter,
    /// Those who are ticked; empty: everybody who matches.
    only: HashSet<UserId>,
    sort: String,
    paths: HashMap<GroupId, String>,
    next: Next,
}

/// Where it goes on.
enum Next {
    Head,
    First,
    After(Mark),
    End,
}

/// `GET /users.csv`: for those who may read the organization. Takes the filters and the order of the
/// page from its address; of people who are ticked (`users[]`), those alone, whatever the filters say.
pub async fn serve(
    State(store): State<Store>,
    session: Session,
    Query(asked): Query<Vec<(String, String)>>,
) -> Response {
    let Some(actor) = current_actor(&store, &session).await else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let Ok(permit) = permit(&actor, Act::ReadOrganization, Place::Organization) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let filter = match whom(&store, &actor, &asked).await {
        Ok(filter) => filter,
        // Everybody instead of some would look like what was asked for.
        Err(error) => {
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            return (status, error.summary(|_| false).unwrap_or_default()).into_response();
        }
    };
    match Export::begin(store, permit.org(), filter, &asked).await {
        Ok(export) => {
            let headers = [
                (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"users.csv\""),
                (header::CACHE_CONTROL, "no-store"),
            ];
            // What goes wrong on the way breaks the transfer off: half a table does not look whole.
            (headers, Body::from_stream(stream::try_unfold(export, Export::chunk))).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "the table of people cannot be written");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

fn text<'a>(asked: &'a [(String, String)], name: &str) -> &'a str {
    asked.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

/// Whom the filters show, and of them those who are ticked: then the filters say nothing.
async fn whom(
    store: &Store,
    actor: &Actor,
    asked: &[(String, String)],
) -> Result<(Filter, HashSet<UserId>), AppError> {
    let ticked = asked.iter().filter(|(key, _)| key == "users[]" && text(asked, "all") != "true");
    let only: HashSet<UserId> = ticked
        .map(|(_, id)| id.parse().map_err(|_| AppError::field("", format!("{id:?} is nobody."))))
        .collect::<Result<_, _>>()?;
    if !only.is_empty() {
        return Ok((Filter::default(), only));
    }
    let words = Words::read(|name| text(asked, name).to_owned());
    Ok((read(store, actor, words).await?.whole()?, only))
}

impl Export {
    async fn begin(
        store: Store,
        org: OrgId,
        (filter, only): (Filter, HashSet<UserId>),
        asked: &[(String, String)],
    ) -> Result<Self, StoreError> {
        Ok(Self {
            month: Month::current(&store, org).await?,
            default_limit: store::organizations::get(&store, org).await?.default_user_limit,
            filter,
            only,
            sort: text(asked, "sort").to_owned(),
            paths: store::groups::paths(&store, org).await?.into_iter().collect(),
            next: Next::Head,
            store,
            org,
        })
    }

    async fn chunk(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let after = match std::mem::replace(&mut self.next, Next::End) {
            Next::Head => {
                self.next = Next::First;
                // The mark in front tells spreadsheets that it is UTF-8: what they save comes back by the import.
                return Ok(Some((format!("\u{feff}{}", csv::line(HEAD)).into(), self)));
            }
            Next::First => None,
            Next::After(mark) => Some(mark),
            Next::End => return Ok(None),
        };
        let ask = Ask {
            month: &self.month,
            default_limit: self.default_limit,
            filter: &self.filter,
            order: order(&self.sort),
        };
        let found = store::directory::page(&self.store, self.org, &ask, after.as_ref(), CHUNK).await?;
        let text: String = found
            .rows
            .iter()
            .filter(|row| self.only.is_empty() || self.only.contains(&row.id))
            .map(|row| self.line(row))
            .collect();
        self.next = found.next.map_or(Next::End, Next::After);
        Ok(Some((text.into(), self)))
    }

    /// Groups one a line by their paths: names have no line breaks, so nothing else has to be said.
    fn line(&self, row: &UserRow) -> String {
        let direct = row.groups.iter().filter(|badge| !badge.inherited);
        let groups: Vec<&str> =
            direct.filter_map(|badge| self.paths.get(&badge.group)).map(String::as_str).collect();
        csv::line([
            row.name.as_str(),
            row.email.as_str(),
            row.role.as_str(),
            &groups.join("\n"),
            &row.own_limit.map(Money::exact).unwrap_or_default(),
            row.status.as_str(),
            &row.spend.exact(),
            &row.last_call.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default(),
        ])
    }
}
