//! Every line of a month's report, a few at a time: a month of a million calls has nearly as many, and
//! nobody needs them all at once.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{ids::OrgId, money::Money, reports::Standing, spend::Sums, window::Calendar};
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use sqlx::{PgConnection, PgTransaction};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{after, standing};
use crate::{Result, Store, StoreError};

/// How many lines are handed out at once.
const PIECE: usize = 500;
/// So long somebody may take to want the next ones. Whoever reads holds a connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// A line of a month's report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The month the calls were made in: the month itself, or for an adjustment an earlier one.
    pub of_month: NaiveDate,
    /// Names the place of the group, as [`Lines::paths`] tells.
    pub path: Uuid,
    /// The application.
    pub application: Uuid,
    /// The person; nil where there is none.
    pub user: Uuid,
    /// The model.
    pub model: Uuid,
    /// What it comes to.
    pub sums: Sums,
}

/// What stands in [`Lines::names`] for a provider: it is known by its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A group.
    Group,
    /// An application.
    Application,
    /// A person.
    User,
    /// A model.
    Model,
    /// The provider of a model, under the model's id.
    Provider,
}

impl Kind {
    fn read(text: &str) -> Self {
        match text {
            "group" => Self::Group,
            "application" => Self::Application,
            "user" => Self::User,
            "model" => Self::Model,
            _ => Self::Provider,
        }
    }
}

/// The lines of a month's report, with what it takes to write them.
#[derive(Debug)]
pub struct Lines {
    /// From the root to the group, by the name of the place.
    pub paths: HashMap<Uuid, Vec<Uuid>>,
    /// What things are called; in a closed month, what they were called then.
    pub names: HashMap<(Kind, Uuid), String>,
    /// When each month of the lines begins and ends: of closed ones as their clocks went when they were
    /// closed, whatever they do now.
    pub spans: HashMap<NaiveDate, (DateTime<Utc>, DateTime<Utc>)>,
    pieces: mpsc::Receiver<Result<Vec<Line>>>,
}

impl Lines {
    /// The next lines, by their keys; none: that was all.
    ///
    /// # Errors
    /// When the database does not answer any more.
    pub async fn next(&mut self) -> Option<Result<Vec<Line>>> {
        self.pieces.recv().await
    }
}

/// Every line of a month's report, as of one moment. They are read as they are asked for; whoever does not
/// want the next ones for a minute gets no more.
///
/// # Errors
/// As [`super::get`].
pub async fn lines(store: &Store, org: OrgId, calendar: Calendar, month: NaiveDate) -> Result<Lines> {
    let mut tx = store.pool().begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let closed = matches!(standing(&mut tx, org, calendar, month).await?, Standing::Closed(_));
    let paths = sqlx::query!("select path_id, groups from group_paths where org_id = $1", org.0)
        .fetch_all(&mut *tx)
        .await?;
    let names = if closed { frozen_names(&mut tx, org, month).await? } else { names(&mut tx, org).await? };
    // Adjustments are of months that are closed.
    let mut spans = HashMap::from([(month, (calendar.midnight(month), calendar.midnight(after(month))))]);
    let closed_months =
        sqlx::query!("select month, starts_at, ends_at from closed_months where org_id = $1", org.0)
            .fetch_all(&mut *tx)
            .await?;
    spans.extend(closed_months.into_iter().map(|row| (row.month, (row.starts_at, row.ends_at))));
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(hand_out(tx, org, month, if closed { Of::Closed } else { Of::Open }, sender));
    Ok(Lines {
        paths: paths.into_iter().map(|row| (row.path_id, row.groups)).collect(),
        names: names.into_iter().map(|(kind, id, name)| ((Kind::read(&kind), id), name)).collect(),
        spans,
        pieces,
    })
}

/// Reads lines as long as somebody wants them.
async fn hand_out(
    mut tx: PgTransaction<'static>,
    org: OrgId,
    month: NaiveDate,
    which: Of,
    sender: mpsc::Sender<Result<Vec<Line>>>,
) {
    let mut pieces = of(&mut tx, org, month, which).try_chunks(PIECE);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|broken| broken.1);
        match sender.send_timeout(piece, PATIENCE).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                // A file that ends here has to look broken, not complete.
                let late = StoreError::invalid("month", "Nobody wanted the next lines for a minute.");
                drop(pieces);
                drop(tx);
                let _ = sender.send(Err(late)).await;
                return;
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => return,
        }
    }
}

/// What things are called now.
async fn names(db: &mut PgConnection, org: OrgId) -> Result<Vec<(String, Uuid, String)>> {
    let rows = sqlx::query!(
        r#"select 'group' as "kind!", group_id as "id!", name as "name!" from groups where org_id = $1
           union all select 'application', application_id, name from applications where org_id = $1
           union all select 'user', user_id, name from users where org_id = $1
           union all select 'model', model_id, name from models where org_id = $1
           union all select 'provider', m.model_id, p.name from models m
               join providers p on p.org_id = m.org_id and p.provider_id = m.provider_id where m.org_id = $1"#,
        org.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.id, row.name)).collect())
}

/// What they were called when a month was closed.
pub(super) async fn frozen_names(
    db: &mut PgConnection,
    org: OrgId,
    month: NaiveDate,
) -> Result<Vec<(String, Uuid, String)>> {
    let rows = sqlx::query!(
        "select kind, thing_id, name from report_names where org_id = $1 and month = $2 order by kind, thing_id",
        org.0,
        month,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.kind, row.thing_id, row.name)).collect())
}

/// Which lines of a month.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// Those it was closed with.
    Closed,
    /// Those it would have if it were closed now.
    Open,
}

/// The lines of a month, in the order of their keys.
pub(super) fn of(
    db: &mut PgConnection,
    org: OrgId,
    month: NaiveDate,
    which: Of,
) -> BoxStream<'_, Result<Line>> {
    match which {
        Of::Closed => sqlx::query_as!(
            Row,
    "select of_month, path_id, application_id, user_id, model_id, calls, failed, spend, input, cache_read, cache_write, output, reasoning
             from report_lines where org_id = $1 and month = $2
             order by of_month, path_id, application_id, user_id, model_id",
            org.0,
            month,
        )
        .fetch(db)
        .map(read)
        .boxed(),
        Of::Open => sqlx::query_as!(
            Row,
    r#"select of_month as "of_month!", path_id as "path_id!", application_id as "application_id!", user_id as "user_id!", model_id as "model_id!",
                      sum(calls)::bigint as "calls!", sum(failed)::bigint as "failed!", sum(spend)::bigint as "spend!", sum(input)::bigint as "input!",
                      sum(cache_read)::bigint as "cache_read!", sum(cache_write)::bigint as "cache_write!", sum(output)::bigint as "output!",
                      sum(reasoning)::bigint as "reasoning!"
               from (select $2::date as of_month, path_id, application_id, user_id, model_id, calls, failed, spend, input, cache_read, cache_write, output, reasoning
                     from usage_by_day where org_id = $1 and day >= $2 and day < $3
                     union all
                     select of_month, path_id, application_id, user_id, model_id, 1, failed, spend, input, cache_read, cache_write, output, reasoning
                     from late_calls where org_id = $1 and month = $2) l
               group by 1, 2, 3, 4, 5 having sum(calls) > 0 order by 1, 2, 3, 4, 5"#,
            org.0,
            month,
            after(month),
        )
        .fetch(db)
        .map(read)
        .boxed(),
    }
}

/// A row of either query.
struct Row {
    of_month: NaiveDate,
    path_id: Uuid,
    application_id: Uuid,
    user_id: Uuid,
    model_id: Uuid,
    calls: i64,
    failed: i64,
    spend: i64,
    input: i64,
    cache_read: i64,
    cache_write: i64,
    output: i64,
    reasoning: i64,
}

fn read(row: std::result::Result<Row, sqlx::Error>) -> Result<Line> {
    let row = row?;
    let sums = Sums {
        calls: row.calls,
        failed: row.failed,
        spend: Money(row.spend),
        input: row.input,
        cache_read: row.cache_read,
        cache_write: row.cache_write,
        output: row.output,
        reasoning: row.reasoning,
        ..Sums::default()
    };
    Ok(Line {
        of_month: row.of_month,
        path: row.path_id,
        application: row.application_id,
        user: row.user_id,
        model: row.model_id,
        sums,
    })
}
