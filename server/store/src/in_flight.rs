//! Calls in flight, as every replica tells of its own once a second.
//!
//! Nothing is decided or counted by what is told here: it is for people, who look at it and may end
//! a call. Only when a replica never comes back is it also what is known of the calls it had.

use chrono::{DateTime, Duration, Utc};
use domain::{
    ids::{ApplicationId, AuthorizationId, CallId, GrantId, GroupId, ModelId, OrgId, SecretId, UserId},
    in_flight::{Flight, InFlight, Phase},
    keys::Features,
    limits::Worst,
    money::Money,
    roles::Act,
};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, access,
    ledger::{Call, Event, member_of},
    rollups::Which,
};

/// What a replica told is believed for so long.
const SILENT: Duration = Duration::seconds(15);

/// One call, as its replica tells of it.
#[derive(Clone, Debug)]
pub struct Told {
    /// Which.
    pub id: CallId,
    /// When it was let through.
    pub started_at: DateTime<Utc>,
    /// Which application.
    pub application: ApplicationId,
    /// The application's group.
    pub group: GroupId,
    /// The person, where the secret names one.
    pub user: Option<UserId>,
    /// Which model.
    pub model: ModelId,
    /// `/v1/chat/completions`.
    pub route: &'static str,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// How far it is.
    pub phase: Phase,
    /// Bytes of the answer that have gone out.
    pub bytes: u64,
    /// What it may use at most.
    pub worst: Worst,
    /// By which secret.
    pub secret: SecretId,
    /// The rule that let it pass.
    pub authorization: Option<AuthorizationId>,
    /// The rule that only observes, and would have, too.
    pub beside: Option<AuthorizationId>,
    /// The grant that lifted it.
    pub grant: Option<GrantId>,
}

/// What a replica has in flight of an organization.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    /// How many calls.
    pub calls: usize,
    /// What all of them hold.
    pub cost: Money,
    /// The same in tokens.
    pub tokens: u64,
    /// Those that last, at most as many as a page can show.
    pub told: Vec<Told>,
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Says what a replica has in flight of an organization now, and learns which of it is to be ended.
/// `news`: whether open pages should look.
///
/// # Errors
/// When the database does not answer: tell again a second later.
pub async fn tell(
    store: &Store,
    org: OrgId,
    replica: Uuid,
    telling: &Telling,
    news: bool,
    now: DateTime<Utc>,
) -> Result<Vec<CallId>> {
    let mut tx = store.pool().begin().await?;
    let told = &telling.told;
    let ids: Vec<Uuid> = told.iter().map(|told| told.id.0).collect();
    sqlx::query!(
        "delete from in_flight_calls where org_id = $1 and replica_id = $2 and call_id <> all ($3)",
        org.0,
        replica,
        &ids
    )
    .execute(&mut *tx)
    .await?;
    if telling.calls == 0 {
        sqlx::query!("delete from in_flight where org_id = $1 and replica_id = $2", org.0, replica)
            .execute(&mut *tx)
            .await?;
    } else {
        sqlx::query!(
            "insert into in_flight (org_id, replica_id, calls, cost, tokens, told_at) values ($1, $2, $3, $4, $5, $6)
             on conflict (org_id, replica_id) do update
                 set calls = excluded.calls, cost = excluded.cost, tokens = excluded.tokens, told_at = excluded.told_at",
            org.0,
            replica,
            i32::try_from(telling.calls).unwrap_or(i32::MAX),
            telling.cost.0,
            count(telling.tokens),
            now,
        )
        .execute(&mut *tx)
        .await?;
    }
    let mut ending = Vec::new();
    if !told.is_empty() {
        write(&mut tx, org, replica, told).await?;
        ending = sqlx::query_scalar!(
            "select call_id from in_flight_calls where org_id = $1 and replica_id = $2 and ending",
            org.0,
            replica
        )
        .fetch_all(&mut *tx)
        .await?;
    }
    if news {
        sqlx::query!("select pg_notify('bursar_in_flight', $1)", org.0.to_string()).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(ending.into_iter().map(CallId).collect())
}

async fn write(db: &mut PgConnection, org: OrgId, replica: Uuid, told: &[Told]) -> Result<()> {
    fn column<T>(told: &[Told], of: impl Fn(&Told) -> T) -> Vec<T> {
        told.iter().map(of).collect()
    }
    sqlx::query!(
        "insert into in_flight_calls as f (org_id, replica_id, call_id, started_at, application_id, group_id, user_id, model_id, route,
                                           streamed, phase, bytes, cost, input_tokens, output_tokens, secret_id,
                                           authorization_id, grant_id, observed_by)
         select $1, $2, k.*
         from unnest($3::uuid[], $4::timestamptz[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[], $10::bool[],
                     $11::text[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[], $16::uuid[], $17::uuid[],
                     $18::uuid[], $19::uuid[]) as k
         on conflict (org_id, replica_id, call_id) do update set phase = excluded.phase, bytes = excluded.bytes
             where f.phase <> excluded.phase or f.bytes <> excluded.bytes",
        org.0,
        replica,
        &column(told, |told| told.id.0),
        &column(told, |told| told.started_at),
        &column(told, |told| told.application.0),
        &column(told, |told| told.group.0),
        &column(told, |told| told.user.map(|id| id.0)) as &[Option<Uuid>],
        &column(told, |told| told.model.0),
        &column(told, |told| told.route.to_owned()),
        &column(told, |told| told.streamed),
        &column(told, |told| told.phase.as_str().to_owned()),
        &column(told, |told| count(told.bytes)),
        &column(told, |told| told.worst.cost.0),
        &column(told, |told| count(told.worst.input_tokens)),
        &column(told, |told| count(told.worst.output_tokens)),
        &column(told, |told| told.secret.0),
        &column(told, |told| told.authorization.map(|id| id.0)) as &[Option<Uuid>],
        &column(told, |told| told.grant.map(|id| id.0)) as &[Option<Uuid>],
        &column(told, |told| told.beside.map(|id| id.0)) as &[Option<Uuid>],
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets what a replica told, of one organization or of all.
pub(crate) async fn forget(db: &mut PgConnection, org: Option<OrgId>, replica: Uuid) -> Result<()> {
    let org = org.map(|org| org.0);
    sqlx::query!(
        "delete from in_flight_calls where replica_id = $1 and ($2::uuid is null or org_id = $2)",
        replica,
        org
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "delete from in_flight where replica_id = $1 and ($2::uuid is null or org_id = $2)",
        replica,
        org
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Calls in flight over all replicas: those that last, the longest first, at most `limit`, and what
/// all of them hold. Of one whole organization that includes the ones too young to be listed.
///
/// # Errors
/// When the database does not answer.
pub async fn list(
    store: &Store,
    org: OrgId,
    which: &Which,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<InFlight> {
    let led = which.sight.led();
    let rows = sqlx::query!(
        r#"select f.call_id, f.started_at, f.application_id, a.name as "application?", f.user_id, u.name as "user_name?", f.model_id,
                  m.name as "model?", f.route, f.streamed, f.phase, f.bytes, f.cost, f.input_tokens + f.output_tokens as "tokens!",
                  f.ending, count(*) over () as "calls!", (sum(f.cost) over ())::bigint as "all_cost!",
                  (sum(f.input_tokens + f.output_tokens) over ())::bigint as "all_tokens!"
           from in_flight_calls f
           join in_flight t on t.org_id = f.org_id and t.replica_id = f.replica_id and t.told_at > $2
           left join applications a on a.org_id = f.org_id and a.application_id = f.application_id
           left join users u on u.org_id = f.org_id and u.user_id = f.user_id
           left join models m on m.org_id = f.org_id and m.model_id = f.model_id
           where f.org_id = $1
             and ($3::uuid is null or f.group_id in (select g.group_id from groups g
                                                     where g.org_id = $1 and (g.group_id = $3 or g.ancestors @> array[$3::uuid])))
             and (not $4 or f.group_id = $3)
             and ($5::uuid is null or f.application_id = $5)
             and ($6::uuid is null or f.user_id = $6)
             and ($7::uuid is null or f.model_id = $7)
             and ($8::uuid is null or m.tier_id = $8)
             and ($9::uuid[] is null or f.user_id = $10
                  or f.group_id in (select g.group_id from groups g
                                    where g.org_id = $1 and (g.group_id = any ($9) or g.ancestors && $9)))
           order by f.started_at, f.call_id
           limit $11"#,
        org.0,
        now - SILENT,
        which.group.map(|id| id.0),
        which.directly,
        which.application.map(|id| id.0),
        which.user.map(|id| id.0),
        which.model.map(|id| id.0),
        which.tier.map(|id| id.0),
        led.as_deref(),
        which.sight.me().0,
        limit,
    )
    .fetch_all(store.pool())
    .await?;
    let first = rows.first();
    let mut found = InFlight {
        calls: first.map_or(0, |row| row.calls),
        cost: Money(first.map_or(0, |row| row.all_cost)),
        tokens: first.map_or(0, |row| row.all_tokens),
        flights: Vec::new(),
    };
    let named = |name: Option<String>| name.unwrap_or_else(|| "unknown".to_owned());
    for row in rows {
        found.flights.push(Flight {
            id: CallId(row.call_id),
            at: row.started_at,
            application: (row.application_id.into(), named(row.application)),
            user: row.user_id.map(|id| (UserId(id), named(row.user_name))),
            model: (row.model_id.into(), named(row.model)),
            route: row.route,
            streamed: row.streamed,
            phase: row.phase.parse()?,
            bytes: row.bytes,
            cost: Money(row.cost),
            tokens: row.tokens,
            ending: row.ending,
            may_end: false,
        });
    }
    if which.is_everything() {
        let all = sqlx::query!(
            r#"select coalesce(sum(calls), 0)::bigint as "calls!", coalesce(sum(cost), 0)::bigint as "cost!",
                      coalesce(sum(tokens), 0)::bigint as "tokens!"
               from in_flight where org_id = $1 and told_at > $2"#,
            org.0,
            now - SILENT
        )
        .fetch_one(store.pool())
        .await?;
        found.calls = found.calls.max(all.calls);
        found.cost = found.cost.max(Money(all.cost));
        found.tokens = found.tokens.max(all.tokens);
    }
    Ok(found)
}

/// Where a call in flight counts: its application's group, and the person.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in flight.
pub async fn place(store: &Store, org: OrgId, id: CallId) -> Result<(GroupId, Option<UserId>)> {
    let row = sqlx::query!(
        "select group_id, user_id from in_flight_calls where org_id = $1 and call_id = $2 limit 1",
        org.0,
        id.0
    )
    .fetch_one(store.pool())
    .await?;
    Ok((row.group_id.into(), row.user_id.map(UserId)))
}

/// Ends a call in flight: the replica that serves it hears of it at once, or within a second. Who has
/// a permit for their own things ends their own.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in flight any more.
pub async fn end(change: &mut Change, id: CallId) -> Result<()> {
    let org = change.org();
    let row = sqlx::query!(
        r#"select f.group_id, f.user_id, f.started_at, f.cost, f.ending, a.name as "application?", m.name as "model?"
           from in_flight_calls f
           left join applications a on a.org_id = f.org_id and a.application_id = f.application_id
           left join models m on m.org_id = f.org_id and m.model_id = f.model_id
           where f.org_id = $1 and f.call_id = $2 limit 1"#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if change.permit().act() == Act::UseOwn {
        let own = row.user_id.is_some() && row.user_id.map(UserId) == change.permit().actor().user;
        if !own {
            return Err(StoreError::NotFound);
        }
    } else {
        change.expect(Act::EndCalls, Some(row.group_id.into()))?;
    }
    if row.ending {
        return Ok(());
    }
    sqlx::query!("update in_flight_calls set ending = true where org_id = $1 and call_id = $2", org.0, id.0)
        .execute(change.db())
        .await?;
    sqlx::query!("select pg_notify('bursar_endings', $1)", id.to_string()).execute(change.db()).await?;
    let diff = Diff::new()
        .set("application", row.application.unwrap_or_default())
        .set("model", row.model.unwrap_or_default())
        .set("began", row.started_at.to_rfc3339())
        .set("held", Money(row.cost));
    change.record(Subject { kind: "call", id: id.0, name: &id.to_string() }, "end", &diff).await
}

/// The calls a replica had told of when it was last heard, as calls that nobody knows the end of.
pub(crate) async fn left_behind(
    store: &Store,
    org: OrgId,
    replica: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Event>> {
    let rows =
        sqlx::query!("select * from in_flight_calls where org_id = $1 and replica_id = $2", org.0, replica)
            .fetch_all(store.pool())
            .await?;
    let facts = access::current(store, org).await?;
    let tokens = |count: i64| u64::try_from(count).unwrap_or_default();
    let events = rows.into_iter().map(|row| {
        let (group, model) = (GroupId(row.group_id), ModelId(row.model_id));
        let user = row.user_id.map(UserId);
        let known = user.and_then(|id| facts.users.get(&id));
        let application = facts.applications.get(&ApplicationId(row.application_id));
        let call = Call {
            id: CallId(row.call_id),
            org,
            started_at: row.started_at,
            application: row.application_id.into(),
            key: application.map_or_else(|| Uuid::nil().into(), |application| application.key),
            secret: row.secret_id.into(),
            path: facts.groups.get(&group).map(|group| group.path.clone()).unwrap_or_default(),
            user,
            member_of: known.map(|user| member_of(&facts, user, row.started_at)).unwrap_or_default(),
            model,
            provider: facts.models.get(&model).map_or_else(|| Uuid::nil().into(), |model| model.provider),
            authorization: row.authorization_id.map(Into::into),
            beside: row.observed_by.map(Into::into),
            grant: row.grant_id.map(Into::into),
            policy: None,
            use_case: String::new(),
            session: String::new(),
            client_request: String::new(),
            route: row.route,
            streamed: row.streamed,
            // Not told while it ran.
            features: Features::default(),
            worst: Worst {
                input_tokens: tokens(row.input_tokens),
                output_tokens: tokens(row.output_tokens),
                cost: Money(row.cost),
            },
            priced_at: None,
            guarded: Vec::new(),
        };
        Event::lost(call, now)
    });
    Ok(events.collect())
}
