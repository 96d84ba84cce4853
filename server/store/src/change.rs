//! A change to an organization: one transaction, one permit, its audit rows.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use domain::{
    ids::{BatchId, GroupId, OrgId, UserId},
    keys::Fallen,
    roles::{Act, Permit},
};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{Result, Store, StoreError, access, access_tests, audit, clock};

/// A transaction that changes one organization.
///
/// It holds the organization's row until it commits, so that changes to one organization happen
/// one after the other: the audit chain has no gaps, and what was read stays true. Dropped without
/// [`Change::commit`], nothing has happened.
pub struct Change {
    tx: Transaction<'static, Postgres>,
    store: Store,
    permit: Permit,
    at: DateTime<Utc>,
    pub(crate) head: audit::Head,
    recorded: bool,
    new: bool,
    batch: Option<BatchId>,
    whence: audit::Whence,
    looks: bool,
    /// Member secrets that died with it: how many, by whose they were.
    fallen: HashMap<UserId, usize>,
    /// Lines of the log that are not written yet.
    lines: Vec<Recorded>,
}

/// How many lines of the log are written in one go.
const LINES_AT_ONCE: usize = 4_096;

/// A line of the log, until it is written.
struct Recorded {
    batch: Option<BatchId>,
    act: String,
    kind: String,
    id: Uuid,
    name: String,
    diff: Diff,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").field("permit", &self.permit).field("at", &self.at).finish_non_exhaustive()
    }
}

/// What a change is about, for the log.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The noun: `group`.
    pub kind: &'a str,
    /// Its id.
    pub id: Uuid,
    /// Its name now.
    pub name: &'a str,
}

/// The fields that changed: before and after, as people read them. Never a secret.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Before, by field.
    pub before: BTreeMap<String, Option<String>>,
    /// After, by field.
    pub after: BTreeMap<String, Option<String>>,
}

impl Diff {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A field that has a value now.
    #[must_use]
    pub fn set(self, field: &str, after: impl ToString) -> Self {
        self.field(field, None::<String>, Some(after))
    }

    /// A field, if before and after differ.
    #[must_use]
    pub fn field(mut self, field: &str, before: Option<impl ToString>, after: Option<impl ToString>) -> Self {
        let (before, after) = (before.map(|value| value.to_string()), after.map(|value| value.to_string()));
        if before != after {
            self.before.insert(field.to_owned(), before);
            self.after.insert(field.to_owned(), after);
        }
        self
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.after.is_empty()
    }
}

impl Change {
    /// Starts a change: locks the organization's row.
    ///
    /// # Errors
    /// When the organization is gone or the database does not answer.
    pub async fn begin(store: &Store, permit: Permit) -> Result<Self> {
        Self::begin_at(store, permit, clock::now()).await
    }

    /// Starts a change that is dated otherwise than now: the demo's past.
    ///
    /// # Errors
    /// As [`Change::begin`].
    pub async fn begin_at(store: &Store, permit: Permit, at: DateTime<Utc>) -> Result<Self> {
        let tx = store.pool.begin().await?;
        Self::within(store, tx, permit, at).await
    }

    /// Goes on with a transaction that has begun, for what cannot have a permit yet: making the
    /// organization itself, or accepting an invitation.
    pub(crate) async fn within(
        store: &Store,
        mut tx: Transaction<'static, Postgres>,
        permit: Permit,
        at: DateTime<Utc>,
    ) -> Result<Self> {
        let head = audit::lock_head(&mut tx, permit.org()).await?;
        let whence = audit::Whence::default();
        Ok(Self {
            tx,
            store: store.clone(),
            permit,
            at,
            head,
            recorded: false,
            new: false,
            batch: None,
            whence,
            looks: false,
            fallen: HashMap::new(),
            lines: Vec::new(),
        })
    }

    /// Only to see what it would do: no line of the log is written for it, and it cannot be committed.
    #[must_use]
    pub const fn only_a_look(mut self) -> Self {
        self.looks = true;
        self
    }

    /// Says which request makes it, and from which address it came: both stand in the log.
    #[must_use]
    pub fn asked_from(mut self, request: &str, address: Option<&str>) -> Self {
        self.whence =
            audit::Whence { request: Some(request.to_owned()), address: address.map(str::to_owned) };
        self
    }

    /// In which organization.
    pub const fn org(&self) -> OrgId {
        self.permit.org()
    }

    /// Whether it makes the organization: until it commits, nobody else sees it.
    pub const fn is_new(&self) -> bool {
        self.new
    }

    /// When it happens.
    pub const fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// By whose permit.
    pub const fn permit(&self) -> &Permit {
        &self.permit
    }

    /// Notes that it makes the organization.
    pub(crate) const fn making(mut self) -> Self {
        self.new = true;
        self
    }

    /// Everything recorded from now on belongs to this change to many people.
    pub(crate) const fn in_batch(&mut self, batch: BatchId) {
        self.batch = Some(batch);
    }

    /// Takes note of member secrets that nothing carries any more: their hints, by whose they were.
    pub(crate) fn fell(&mut self, dead: &HashMap<UserId, Vec<String>>) {
        for (user, hints) in dead {
            *self.fallen.entry(*user).or_default() += hints.len();
        }
    }

    /// Member secrets that have died with it so far because no membership carries them any more.
    pub fn fallen(&self) -> Fallen {
        Fallen { secrets: self.fallen.values().sum(), people: self.fallen.len() }
    }

    /// Whose those were, and how many of each.
    pub const fn fallen_of(&self) -> &HashMap<UserId, usize> {
        &self.fallen
    }

    /// The store it changes.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn db(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    /// The facts as the change found them: from memory where they are known. Only before anything was
    /// changed; the organization's row is held, so nobody else changes them meanwhile. After a change they are as
    /// it leaves them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn facts(&mut self) -> Result<std::sync::Arc<domain::access::Facts>> {
        let org = self.org();
        if self.recorded || self.new {
            return Ok(std::sync::Arc::new(access::read(&mut self.tx, org).await?));
        }
        let version = sqlx::query_scalar!("select facts_version from organizations where org_id = $1", org.0)
            .fetch_one(&mut *self.tx)
            .await?;
        if let Some(known) = self.store.known_facts(org).filter(|known| known.version == version) {
            return Ok(known);
        }
        let facts = std::sync::Arc::new(access::read(&mut self.tx, org).await?);
        self.store.keep_facts(org, &facts);
        Ok(facts)
    }

    /// Every change asks first whether the permit is for it.
    pub(crate) fn expect(&self, act: Act, group: Option<GroupId>) -> Result<()> {
        if self.permit.covers(act, group) { Ok(()) } else { Err(StoreError::NotPermitted(act)) }
    }

    /// Takes down a line of the audit log. `verb` completes the noun: `rename` makes `group.rename`. Lines
    /// are written many at once, in this order, the last of them with the commit.
    pub(crate) async fn record(&mut self, subject: Subject<'_>, verb: &str, diff: &Diff) -> Result<()> {
        self.record_all(std::iter::once((subject, verb, diff.clone()))).await
    }

    /// Takes down many lines of the audit log: what each is about, its verb, what changed.
    pub(crate) async fn record_all<'a>(
        &mut self,
        lines: impl Iterator<Item = (Subject<'a>, &'a str, Diff)>,
    ) -> Result<()> {
        if self.looks {
            self.recorded |= lines.count() > 0;
            return Ok(());
        }
        let batch = self.batch;
        self.lines.extend(lines.map(|(subject, verb, diff)| Recorded {
            batch,
            act: format!("{}.{verb}", subject.kind),
            kind: subject.kind.to_owned(),
            id: subject.id,
            name: subject.name.to_owned(),
            diff,
        }));
        self.recorded |= !self.lines.is_empty();
        if self.lines.len() >= LINES_AT_ONCE { self.write_down().await } else { Ok(()) }
    }

    /// Writes the lines of the log that were taken down.
    async fn write_down(&mut self) -> Result<()> {
        let (recorded, actor, whence) =
            (std::mem::take(&mut self.lines), self.permit.actor().clone(), self.whence.clone());
        let lines: Vec<audit::Line<'_>> = recorded
            .iter()
            .map(|line| audit::Line {
                at: self.at,
                actor: &actor,
                whence: &whence,
                batch: line.batch,
                act: line.act.clone(),
                subject: Subject { kind: &line.kind, id: line.id, name: &line.name },
                diff: &line.diff,
            })
            .collect();
        for some in lines.chunks(LINES_AT_ONCE) {
            self.head = audit::append_all(&self.store, &mut self.tx, &self.head, some).await?;
        }
        Ok(())
    }

    /// Whether [`Change::commit`] would be refused: what is only looked at is refused by what would refuse it.
    ///
    /// # Errors
    /// [`StoreError::Pinned`] when a pinned test would break, or when the database does not answer.
    pub async fn would_hold(&mut self) -> Result<()> {
        let org = self.permit.org();
        if !self.recorded {
            return Ok(());
        }
        access_tests::hold(&mut self.tx, &self.store, org, self.at).await
    }

    /// Makes it so: the gateway decides by it from the next call on. Returns whether anything was
    /// recorded.
    ///
    /// # Errors
    /// [`StoreError::Pinned`] when a pinned test would break, or when the database does not answer;
    /// then nothing has happened.
    pub async fn commit(mut self) -> Result<bool> {
        let org = self.permit.org();
        if !self.recorded || self.looks {
            self.tx.rollback().await?;
            return Ok(false);
        }
        self.write_down().await?;
        access_tests::hold(&mut self.tx, &self.store, org, self.at).await?;
        let version = audit::advance(&mut self.tx, org, &self.head).await?;
        self.tx.commit().await?;
        self.store.note_commit(org, version);
        Ok(true)
    }
}

impl Change {
    /// Ends it without a trace, at once: whoever waits for the organization goes on.
    pub(crate) async fn abandon(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }

    /// Writes down what [`Change::commit`] would, and gives the transaction back, to go on with
    /// another organization in it. Also the version that is committed with it.
    pub(crate) async fn hand_on(mut self) -> Result<(Transaction<'static, Postgres>, i64)> {
        self.write_down().await?;
        access_tests::hold(&mut self.tx, &self.store, self.permit.org(), self.at).await?;
        let version = audit::advance(&mut self.tx, self.permit.org(), &self.head).await?;
        Ok((self.tx, version))
    }
}

impl Change {
    /// Commits a change after which the organization is no more: there is no log to write to.
    pub(crate) async fn dissolve(mut self) -> Result<()> {
        let org = self.permit.org();
        audit::tell(&mut self.tx, org).await?;
        self.tx.commit().await?;
        self.store.note_commit(org, i64::MAX);
        Ok(())
    }
}

/// One row changed; none means somebody else changed it first, or it is not there.
pub(crate) fn exactly_one(done: &sqlx::postgres::PgQueryResult) -> Result<()> {
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale) }
}
