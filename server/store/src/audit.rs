//! The audit log: appended to inside the change it tells of, chained by a keyed hash.
//!
//! Each row's hash covers the row before it, so a row that is edited, removed or put elsewhere
//! breaks the chain from there on; the organization's row keeps the newest hash, so a log that was
//! cut short does not match it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    audit::{AuditRow, Door},
    ids::{BatchId, OrgId},
    roles::{Act, Actor, Permit},
};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Diff, Purpose, Result, Store, StoreError, Subject, clock, users::escape_like};

/// The newest end of an organization's chain.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    seq: i64,
    hash: Vec<u8>,
}

/// Where a change came from: the number of the request, and the address it was asked from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Whence {
    pub request: Option<String>,
    pub address: Option<String>,
}

/// A line to be written.
pub(crate) struct Line<'a> {
    pub at: DateTime<Utc>,
    pub actor: &'a Actor,
    pub whence: &'a Whence,
    pub batch: Option<BatchId>,
    pub act: String,
    pub subject: Subject<'a>,
    pub diff: &'a Diff,
}

/// Locks the organization for a change and reads the end of its chain. Rows that refer to the organization
/// can be written meanwhile: bookings do not wait for changes, so changes can wait for bookings.
pub(crate) async fn lock_head(db: &mut PgConnection, org: OrgId) -> Result<Head> {
    let row = sqlx::query!(
        "select audit_seq, audit_hash from organizations where org_id = $1 for no key update",
        org.0
    )
    .fetch_one(db)
    .await?;
    Ok(Head { seq: row.audit_seq, hash: row.audit_hash })
}

/// Appends lines, one after the other; returns the new end.
pub(crate) async fn append_all(
    store: &Store,
    db: &mut PgConnection,
    head: &Head,
    lines: &[Line<'_>],
) -> Result<Head> {
    let Some(first) = lines.first() else { return Ok(head.clone()) };
    let mut head = head.clone();
    let (mut seqs, mut hashes) = (Vec::new(), Vec::new());
    for line in lines {
        head = follow(store, &head, line);
        seqs.push(head.seq);
        hashes.push(head.hash.clone());
    }
    let column = |of: fn(&Line<'_>) -> Option<Uuid>| lines.iter().map(of).collect::<Vec<_>>();
    let text = |of: fn(&Line<'_>) -> String| lines.iter().map(of).collect::<Vec<_>>();
    let whence =
        |of: fn(&Whence) -> Option<String>| lines.iter().map(|line| of(line.whence)).collect::<Vec<_>>();
    sqlx::query!(
        "insert into audit (org_id, seq, at, actor_id, actor, door, act, subject_kind, subject_id, subject, before, after, hash, batch_id, request, address)
         select $1, k.* from unnest($2::bigint[], $3::timestamptz[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
                                    $9::uuid[], $10::text[], $11::jsonb[], $12::jsonb[], $13::bytea[], $14::uuid[], $15::text[], $16::text[]) as k",
        first.actor.org.0,
        &seqs,
        &lines.iter().map(|line| line.at).collect::<Vec<_>>(),
        &column(|line| line.actor.user.map(|user| user.0)) as &[Option<Uuid>],
        &text(|line| line.actor.name.clone()),
        &text(|line| line.actor.door.as_str().to_owned()),
        &text(|line| line.act.clone()),
        &text(|line| line.subject.kind.to_owned()),
        &lines.iter().map(|line| line.subject.id).collect::<Vec<_>>(),
        &text(|line| line.subject.name.to_owned()),
        &lines.iter().map(|line| json!(line.diff.before)).collect::<Vec<_>>(),
        &lines.iter().map(|line| json!(line.diff.after)).collect::<Vec<_>>(),
        &hashes,
        &column(|line| line.batch.map(|batch| batch.0)) as &[Option<Uuid>],
        &whence(|it| it.request.clone()) as &[Option<String>],
        &whence(|it| it.address.clone()) as &[Option<String>],
    )
    .execute(&mut *db)
    .await?;
    note_fields(db, first.actor.org, lines, &seqs).await?;
    Ok(head)
}

/// Notes which fields stand between which lines.
async fn note_fields(db: &mut PgConnection, org: OrgId, lines: &[Line<'_>], seqs: &[i64]) -> Result<()> {
    let mut spans = BTreeMap::<&str, (i64, i64)>::new();
    for (line, seq) in lines.iter().zip(seqs) {
        for field in line.diff.after.keys() {
            let (first, last) = spans.entry(field).or_insert((*seq, *seq));
            (*first, *last) = ((*first).min(*seq), (*last).max(*seq));
        }
    }
    let fields: Vec<String> = spans.keys().map(|field| (*field).to_owned()).collect();
    let (first, last): (Vec<i64>, Vec<i64>) = spans.into_values().unzip();
    sqlx::query!(
        "insert into audit_fields as f (org_id, field, first_seq, last_seq)
         select $1, k.* from unnest($2::text[], $3::bigint[], $4::bigint[]) as k
         on conflict (org_id, field) do update set last_seq = greatest(f.last_seq, excluded.last_seq)",
        org.0,
        &fields,
        &first,
        &last,
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The end of the chain after one more line.
fn follow(store: &Store, head: &Head, line: &Line<'_>) -> Head {
    let seq = head.seq + 1;
    let hash = store.vault().hash(
        Purpose::Audit,
        &canonical(
            &head.hash,
            seq,
            line.at,
            line.actor.user.map(|user| user.0),
            &line.actor.name,
            line.actor.door.as_str(),
            &line.act,
            &line.subject,
            line.diff,
            line.batch.map(|batch| batch.0),
            line.whence,
        ),
    );
    Head { seq, hash: hash.to_vec() }
}

/// Moves the organization's head to the end of the chain, counts its facts version up, and tells
/// every replica when the transaction commits.
pub(crate) async fn advance(db: &mut PgConnection, org: OrgId, head: &Head) -> Result<i64> {
    let version = sqlx::query_scalar!(
        "update organizations set audit_seq = $2, audit_hash = $3, facts_version = facts_version + 1
         where org_id = $1 returning facts_version",
        org.0,
        head.seq,
        head.hash,
    )
    .fetch_one(&mut *db)
    .await?;
    tell(db, org).await?;
    Ok(version)
}

/// Tells every replica, when the transaction commits, that an organization is not as it was.
pub(crate) async fn tell(db: &mut PgConnection, org: OrgId) -> Result<()> {
    sqlx::query!("select pg_notify('bursar_facts', $1)", org.0.to_string()).execute(db).await?;
    Ok(())
}

/// The bytes a row's hash covers: the hash before, then every column, each with its length, so
/// that no two rows have the same bytes.
fn canonical(
    previous: &[u8],
    seq: i64,
    at: DateTime<Utc>,
    actor_id: Option<Uuid>,
    actor: &str,
    door: &str,
    act: &str,
    subject: &Subject<'_>,
    diff: &Diff,
    batch: Option<Uuid>,
    whence: &Whence,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    let mut part = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    part(previous);
    part(&seq.to_be_bytes());
    part(&at.timestamp_micros().to_be_bytes());
    part(actor_id.as_ref().map_or(&[][..], |id| id.as_bytes()));
    part(actor.as_bytes());
    part(door.as_bytes());
    part(act.as_bytes());
    part(subject.kind.as_bytes());
    part(subject.id.as_bytes());
    part(subject.name.as_bytes());
    for fields in [&diff.before, &diff.after] {
        part(&(fields.len() as u64).to_be_bytes());
        for (field, value) in fields {
            part(field.as_bytes());
            part(&[u8::from(value.is_some())]);
            part(value.as_deref().unwrap_or_default().as_bytes());
        }
    }
    // Nothing where there is none: lines from before there were batches keep their hash.
    if let Some(batch) = batch {
        part(batch.as_bytes());
    }
    // A word as long as no batch's id, so that one cannot be read as the other.
    if whence.request.is_some() || whence.address.is_some() {
        part(b"whence");
        for value in [&whence.request, &whence.address] {
            part(&[u8::from(value.is_some())]);
            part(value.as_deref().unwrap_or_default().as_bytes());
        }
    }
    bytes
}

/// Which lines of the log to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// About this thing; of a person, about their limits, too.
    pub subject: Option<Uuid>,
    /// Whether what is about a thing's own is about the thing: the secrets of a person, the key of an application.
    pub with_theirs: bool,
    /// By somebody whose name or address has this in it, or whose id it is.
    pub who: Option<String>,
    /// About something whose name has this in it, or whose id it is, or somebody whose address has it; by id and
    /// address, about what is theirs, too.
    pub what: Option<String>,
    /// About this kind of thing: `group`.
    pub kind: Option<String>,
    /// With a field whose name, as it is shown, has this in it.
    pub field: Option<String>,
    /// Through this door.
    pub door: Option<Door>,
    /// Of this change to many people.
    pub batch: Option<BatchId>,
    /// Made by this request.
    pub request: Option<String>,
    /// Before this sequence number: the next page.
    pub before: Option<i64>,
}

/// Whom or what an id or an address means; nobody where it is words.
async fn meant(store: &Store, org: OrgId, text: Option<&str>) -> Result<Vec<Uuid>> {
    let Some(text) = text.map(str::trim) else { return Ok(Vec::new()) };
    if let Some(id) = domain::ids::of_any(text) {
        return Ok(vec![id]);
    }
    if !text.contains('@') {
        return Ok(Vec::new());
    }
    // As many as one could mean.
    let ids = sqlx::query_scalar!(
        "select user_id from users where org_id = $1 and email ilike $2 limit 1000",
        org.0,
        like(Some(text))
    );
    Ok(ids.fetch_all(store.pool()).await?)
}

fn like(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(|text| format!("%{}%", escape_like(text)))
}

/// A thing, and the limits it has or had as a person.
async fn with_limits(store: &Store, org: OrgId, subject: Uuid) -> Result<Vec<Uuid>> {
    let mut about = sqlx::query_scalar!(
        r#"select limit_id as "id!" from limits
           where org_id = $1 and (scope_kind = 'user' and thing_id = $2 or scope_kind = 'member' and person_id = $2)
           union all
           select limit_id from limits_that_were where org_id = $1 and user_id = $2"#,
        org.0,
        subject
    )
    .fetch_all(store.pool())
    .await?;
    about.push(subject);
    Ok(about)
}

/// Things, and what is theirs and has lines of its own: of a person their limits, private contexts and secrets,
/// what they asked for and were granted; of an application its key, secrets and limits; of a group its rules,
/// limits and grants.
async fn with_theirs(store: &Store, org: OrgId, things: &[Uuid]) -> Result<Vec<Uuid>> {
    if things.is_empty() {
        return Ok(Vec::new());
    }
    let mut about = sqlx::query_scalar!(
        r#"with owners as (
             select unnest($2::uuid[]) as id
             union select application_id from applications where org_id = $1 and personal_user_id = any ($2)),
           carriers as (
             select k.key_id from keys k join owners o on o.id = k.application_id where k.org_id = $1
             union select key_id from keys where org_id = $1 and key_id = any ($2))
           select id as "id!" from owners
           union select key_id from carriers
           union select s.secret_id from secrets s where s.org_id = $1 and (s.user_id = any ($2) or s.key_id in (select key_id from carriers))
           union select l.limit_id from limits l where l.org_id = $1 and (l.thing_id in (select id from owners) or l.person_id = any ($2))
           union select limit_id from limits_that_were where org_id = $1 and user_id = any ($2)
           union select a.authorization_id from authorizations a where a.org_id = $1 and a.group_id = any ($2)
           union select t.grant_id from grants t where t.org_id = $1 and (t.user_id = any ($2) or t.user_id is null and t.group_id = any ($2))
           union select r.request_id from requests r where r.org_id = $1 and r.requester_id = any ($2)"#,
        org.0,
        things,
    )
    .fetch_all(store.pool())
    .await?;
    about.sort_unstable();
    Ok(about)
}

/// When the newest line was written; none: there is none.
///
/// # Errors
/// When the database does not answer.
pub async fn last(store: &Store, org: OrgId) -> Result<Option<DateTime<Utc>>> {
    let newest =
        sqlx::query_scalar!("select at from audit where org_id = $1 order by seq desc limit 1", org.0);
    Ok(newest.fetch_optional(store.pool()).await?)
}

/// The newest lines first, at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId, filter: &Filter, limit: i64) -> Result<Vec<AuditRow>> {
    let who = meant(store, org, filter.who.as_deref()).await?;
    let what = with_theirs(store, org, &meant(store, org, filter.what.as_deref()).await?).await?;
    let about = match filter.subject {
        Some(subject) if filter.with_theirs => with_theirs(store, org, &[subject]).await?,
        Some(subject) => with_limits(store, org, subject).await?,
        None => Vec::new(),
    };
    // Shown with spaces, and kept without where it is a column.
    let field = like(filter.field.as_deref().map(|field| field.trim().replace(' ', "_")).as_deref());
    let rows = sqlx::query!(
        r#"select seq, at, actor, door, act, subject_kind, subject_id, subject, before, after, batch_id, request, address
           from audit
           where org_id = $1
             and ($11::text is null or request = $11)
             and ($2::uuid is null or subject_id = any ($14))
             and ($3::text is null or actor ilike $3 or actor_id = any ($12))
             and ($4::bigint is null or seq < $4)
             and ($6::uuid is null or batch_id = $6)
             and ($7::text is null or subject ilike $7 or subject_id = any ($13))
             and ($8::text is null or subject_kind = $8)
             and ($9::text is null or door = $9)
             and ($10::text is null or after ?| array(select f.field from audit_fields f where f.org_id = $1 and replace(f.field, ' ', '_') ilike $10))
             and ($10::text is null or seq between (select min(f.first_seq) from audit_fields f where f.org_id = $1 and replace(f.field, ' ', '_') ilike $10)
                                               and (select max(f.last_seq) from audit_fields f where f.org_id = $1 and replace(f.field, ' ', '_') ilike $10))
           order by seq desc
           limit $5"#,
        org.0,
        filter.subject,
        like(filter.who.as_deref()),
        filter.before,
        limit,
        filter.batch.map(|batch| batch.0),
        like(filter.what.as_deref()),
        filter.kind,
        filter.door.map(Door::as_str),
        field,
        filter.request,
        &who,
        &what,
        &about,
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            let diff = read_diff(row.before, row.after);
            Ok(AuditRow {
                seq: row.seq,
                at: row.at,
                actor: row.actor,
                door: row.door.parse::<Door>()?,
                batch: row.batch_id.map(BatchId),
                request: row.request,
                address: row.address,
                act: row.act,
                subject_kind: row.subject_kind,
                subject_id: row.subject_id.to_string(),
                subject: row.subject,
                changes: changes(diff),
            })
        })
        .collect()
}

pub(crate) fn read_diff(before: Option<serde_json::Value>, after: Option<serde_json::Value>) -> Diff {
    let read = |value: Option<serde_json::Value>| {
        value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
    };
    Diff { before: read(before), after: read(after) }
}

pub(crate) fn changes(diff: Diff) -> Vec<(String, Option<String>, Option<String>)> {
    let Diff { mut before, after } = diff;
    after.into_iter().map(|(field, after)| (field.clone(), before.remove(&field).flatten(), after)).collect()
}

/// Whether this process has the master key that the newest line of an organization's log was
/// written with. True where there is no line yet.
///
/// # Errors
/// When the database does not answer.
pub async fn fits_key(store: &Store, org: OrgId) -> Result<bool> {
    let rows = sqlx::query!(
        "select seq, at, actor_id, actor, door, act, subject_kind, subject_id, subject, before, after, hash, batch_id, request, address
         from audit where org_id = $1 order by seq desc limit 2",
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    let mut rows = rows.into_iter();
    let Some(newest) = rows.next() else { return Ok(true) };
    let previous = rows.next().map(|row| row.hash).unwrap_or_default();
    let subject = Subject { kind: &newest.subject_kind, id: newest.subject_id, name: &newest.subject };
    let diff = read_diff(newest.before, newest.after);
    let bytes = canonical(
        &previous,
        newest.seq,
        newest.at,
        newest.actor_id,
        &newest.actor,
        &newest.door,
        &newest.act,
        &subject,
        &diff,
        newest.batch_id,
        &Whence { request: newest.request, address: newest.address },
    );
    Ok(store.vault().hash(Purpose::Audit, &bytes)[..] == newest.hash)
}

/// What verifying a chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Every row fits, and the last one is the organization's head.
    Whole {
        /// How many rows.
        rows: i64,
    },
    /// The row with this number does not fit, or is missing.
    Broken {
        /// The first sequence number that does not fit.
        seq: i64,
    },
}

/// The end of a chain, short enough to be noted: `1489:3fa2c1d0b5e49f76`. Whoever can write to the database can
/// cut the end off and put the head back; whoever has noted a later end can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The number of the newest row.
    pub seq: i64,
    /// The first eight bytes of its hash.
    pub mark: [u8; 8],
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{:016x}", self.seq, u64::from_be_bytes(self.mark))
    }
}

impl std::str::FromStr for End {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (seq, mark) = text.split_once(':').filter(|(_, mark)| mark.len() == 16)?;
            let mark = u64::from_str_radix(mark, 16).ok()?.to_be_bytes();
            Some(Self { seq: seq.parse().ok()?, mark })
        };
        read()
            .ok_or_else(|| StoreError::invalid("noted", "An end of a log looks like 1489:3fa2c1d0b5e49f76."))
    }
}

fn mark(hash: &[u8]) -> [u8; 8] {
    hash.first_chunk().copied().unwrap_or_default()
}

/// Where an organization's chain ends now; none where nothing was written yet.
///
/// # Errors
/// When the database does not answer.
pub async fn end(store: &Store, org: OrgId) -> Result<Option<End>> {
    let head = sqlx::query!("select audit_seq, audit_hash from organizations where org_id = $1", org.0)
        .fetch_one(store.pool())
        .await?;
    Ok((head.audit_seq > 0).then(|| End { seq: head.audit_seq, mark: mark(&head.audit_hash) }))
}

/// Whether a chain still goes on from an end that was noted.
///
/// # Errors
/// When the database does not answer.
pub async fn goes_on_from(store: &Store, org: OrgId, noted: &End) -> Result<bool> {
    let hash = sqlx::query_scalar!("select hash from audit where org_id = $1 and seq = $2", org.0, noted.seq)
        .fetch_optional(store.pool())
        .await?;
    Ok(hash.is_some_and(|hash| mark(&hash) == noted.mark))
}

/// Walks an organization's chain from its first row to its head, which is no lower than at the last look.
///
/// # Errors
/// When the database does not answer.
pub async fn verify(store: &Store, org: OrgId) -> Result<Chain> {
    let head = sqlx::query!(
        "select audit_seq, audit_hash, audit_checked_seq from organizations where org_id = $1",
        org.0
    )
    .fetch_one(store.pool())
    .await?;
    let (mut seq, mut previous) = (0_i64, Vec::new());
    while seq < head.audit_seq {
        let rows = sqlx::query!(
            "select seq, at, actor_id, actor, door, act, subject_kind, subject_id, subject, before, after, hash, batch_id, request, address
             from audit where org_id = $1 and seq > $2 and seq <= $3 order by seq limit 1000",
            org.0,
            seq,
            head.audit_seq,
        )
        .fetch_all(store.pool())
        .await?;
        if rows.is_empty() {
            return Ok(Chain::Broken { seq: seq + 1 });
        }
        for row in rows {
            let subject = Subject { kind: &row.subject_kind, id: row.subject_id, name: &row.subject };
            let diff = read_diff(row.before, row.after);
            let bytes = canonical(
                &previous,
                row.seq,
                row.at,
                row.actor_id,
                &row.actor,
                &row.door,
                &row.act,
                &subject,
                &diff,
                row.batch_id,
                &Whence { request: row.request, address: row.address },
            );
            let hash = store.vault().hash(Purpose::Audit, &bytes);
            if row.seq != seq + 1 || hash[..] != row.hash {
                return Ok(Chain::Broken { seq: seq + 1 });
            }
            seq = row.seq;
            previous = row.hash;
        }
    }
    if previous != head.audit_hash {
        return Ok(Chain::Broken { seq });
    }
    // There were more before: the end was cut off.
    let cut = head.audit_checked_seq.is_some_and(|before| before > seq);
    Ok(if cut { Chain::Broken { seq: seq + 1 } } else { Chain::Whole { rows: seq } })
}

/// What the last look through a chain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// When.
    pub at: DateTime<Utc>,
    /// How many rows there were.
    pub rows: i64,
    /// The first that did not fit.
    pub broken: Option<i64>,
}

/// What the last look through an organization's chain found; none before the first.
///
/// # Errors
/// When the organization is gone or the database does not answer.
pub async fn checked(store: &Store, org: OrgId) -> Result<Option<Checked>> {
    let row = sqlx::query!(
        "select audit_checked_at, audit_checked_seq, audit_broken_seq from organizations where org_id = $1",
        org.0
    )
    .fetch_one(store.pool())
    .await?;
    let checked = row.audit_checked_at.zip(row.audit_checked_seq);
    Ok(checked.map(|(at, rows)| Checked { at, rows, broken: row.audit_broken_seq }))
}

/// Looks through an organization's chain and keeps what was found. It changes nothing that anything
/// is decided by, so it is no line of the log itself.
///
/// # Errors
/// [`StoreError::NotPermitted`] without a permit to read the log.
pub async fn check(store: &Store, permit: &Permit) -> Result<Chain> {
    if !permit.covers(Act::ReadAudit, None) {
        return Err(StoreError::NotPermitted(Act::ReadAudit));
    }
    let org = permit.org();
    let chain = verify(store, org).await?;
    let (rows, broken) = match chain {
        Chain::Whole { rows } => (rows, None),
        Chain::Broken { seq } => (seq - 1, Some(seq)),
    };
    sqlx::query!(
        // How many there were is not forgotten because there are fewer now.
        "update organizations
         set audit_checked_at = $2, audit_checked_seq = greatest(audit_checked_seq, $3), audit_broken_seq = $4 where org_id = $1",
        org.0,
        clock::now(),
        rows,
        broken,
    )
    .execute(store.pool())
    .await?;
    Ok(chain)
}
