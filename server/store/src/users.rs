//! People in an organization.

mod invitations;
mod many;

use chrono::{DateTime, Utc};
use domain::{
    audit::Door,
    groups::{Source, Standing},
    ids::{AccountId, GroupId, OrgId, UserId},
    money::Money,
    names::{Email, Name},
    receipts::Handed,
    roles::{Act, Actor, Place},
    users::{Badge, Role, UserRow, UserStatus},
};
use sqlx::PgConnection;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, accounts, change::exactly_one, clock, groups, mails,
    organizations, receipts, rollups::Month,
};

pub use many::mail_invitations;
pub(crate) use many::{
    Edit, Leaver, edit_all, insert_all, invite_all, reinstate_all, remove_unused, suspend_all, with_nothing,
};

pub use invitations::{
    Invitation, SignIn, Spent, accept, accept_as, invitation, invite, invited_until, is_invited,
    mail_invitation, spent_invitation,
};

/// How long an invitation can be accepted.
const INVITATION_DAYS: i64 = 14;

/// What a new or edited user is given.
#[derive(Clone, Debug)]
pub struct UserForm {
    /// Their email address.
    pub email: Email,
    /// Their name.
    pub name: Name,
    /// What they may do in the console.
    pub role: Role,
}

/// Who an account is in an organization, for permits; none when they do not belong or are
/// suspended.
///
/// # Errors
/// When the database does not answer.
pub async fn actor(store: &Store, org: OrgId, account: AccountId) -> Result<Option<Actor>> {
    let row = sqlx::query!(
        r#"select u.user_id, u.name, u.role,
                  coalesce(array_agg(m.group_id) filter (where m.group_id is not null), '{}') as "leads!"
           from users u
           left join memberships m
             on m.org_id = u.org_id and m.user_id = u.user_id and m.standing = 'lead'
            and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
           where u.org_id = $1 and u.account_id = $2 and u.suspended_at is null and u.removed_at is null
           group by u.user_id, u.name, u.role"#,
        org.0,
        account.0,
        clock::now(),
    )
    .fetch_optional(store.pool())
    .await?;
    row.map(|row| {
        Ok(Actor {
            org,
            user: Some(row.user_id.into()),
            name: row.name,
            role: row.role.parse()?,
            leads: row.leads.into_iter().map(GroupId).collect(),
            door: Door::Console,
        })
    })
    .transpose()
}

/// Some people, in the order of their ids, with what they spent in `month`. Who is not there is left
/// out.
///
/// # Errors
/// When the database does not answer.
pub async fn rows(store: &Store, org: OrgId, month: &Month, ids: &[UserId]) -> Result<Vec<UserRow>> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"select u.user_id, u.name, u.email, u.role, u.account_id is not null as "joined!", u.suspended_at, u.invited_at, u.version,
                  coalesce(w.settled, 0) as "spend!", coalesce(w.held, 0) as "held!", l.cap as "own_limit?",
                  s.live as "live!", s.last_used_at
           from unnest($2::uuid[]) with ordinality as k (user_id, place)
           join users u on u.org_id = $1 and u.user_id = k.user_id and u.removed_at is null
           left join windows w
             on w.org_id = $1 and w.scope_kind = 'user' and w.thing_id = u.user_id and w.metric = 'spend'
            and w.window_kind = 'month' and w.starts_at = $3
           left join limits l
             on l.org_id = $1 and l.scope_kind = 'user' and l.thing_id = u.user_id and l.metric = 'spend'
            and l.window_kind = 'month'
           left join lateral (
               select coalesce(bool_or(s.revoked_at is null and (s.expires_at is null or s.expires_at > $4)), false) as live,
                      max(s.last_used_at) as last_used_at
               from secrets s where s.org_id = $1 and s.user_id = u.user_id
           ) s on true
           order by k.place"#,
        org.0,
        &ids,
        month.starts_at,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    let mut badges = badges(store, org, &ids).await?;
    rows.into_iter()
        .map(|row| {
            // The same words as in `directory`.
            let status = match (row.suspended_at, row.live, row.joined) {
                (Some(_), ..) => UserStatus::Suspended,
                (None, true, _) => UserStatus::Active,
                (None, false, true) => UserStatus::Inactive,
                (None, false, false) => UserStatus::Invited,
            };
            Ok(UserRow {
                id: row.user_id.into(),
                name: row.name,
                email: row.email,
                role: row.role.parse()?,
                status,
                groups: badges.remove(&row.user_id).unwrap_or_default(),
                spend: Money(row.spend),
                held: Money(row.held),
                own_limit: row.own_limit.map(Money),
                last_call: row.last_used_at,
                invited_at: row.invited_at,
                version: row.version,
            })
        })
        .collect()
}

/// `%` and `_` mean themselves in what people type, and an apostrophe is found however it was written.
pub(crate) fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
        .replace(domain::names::APOSTROPHES, "_")
}

/// The direct groups of some people, and the groups above those.
async fn badges(
    store: &Store,
    org: OrgId,
    users: &[uuid::Uuid],
) -> Result<std::collections::HashMap<uuid::Uuid, Vec<Badge>>> {
    let rows = sqlx::query!(
        r#"select m.user_id, m.group_id, m.standing, m.source, m.ends_at, g.name, g.ancestors
           from memberships m join groups g on g.org_id = m.org_id and g.group_id = m.group_id
           where m.org_id = $1 and m.user_id = any ($2) and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
             and g.archived_at is null
           order by lower(g.name), g.group_id"#,
        org.0,
        users,
        clock::now(),
    )
    .fetch_all(store.pool())
    .await?;
    let above: Vec<uuid::Uuid> = rows.iter().flat_map(|row| row.ancestors.iter().copied()).collect();
    let names = groups::names(store, org, &above).await?;
    let over = groups::days_over(&mut *store.pool().acquire().await?, Some(org), clock::now()).await?;
    // A group ends with the first that does of itself and those above it.
    let ended = |path: &[uuid::Uuid]| path.iter().filter_map(|id| over.get(id)).min().copied();
    let mut badges = std::collections::HashMap::<uuid::Uuid, Vec<Badge>>::new();
    for row in &rows {
        badges.entry(row.user_id).or_default().push(Badge {
            group: row.group_id.into(),
            name: row.name.clone(),
            standing: row.standing.parse()?,
            source: row.source.parse()?,
            ends_at: row.ends_at,
            inherited: false,
            ended_on: ended(&row.ancestors).into_iter().chain(ended(&[row.group_id])).min(),
        });
    }
    for row in &rows {
        let list = badges.entry(row.user_id).or_default();
        for (place, ancestor) in row.ancestors.iter().enumerate() {
            let group = GroupId(*ancestor);
            if list.iter().any(|badge| badge.group == group) {
                continue;
            }
            let name = names.get(&group).cloned().unwrap_or_default();
            let (standing, source) = (Standing::Member, row.source.parse()?);
            let ended_on = ended(&row.ancestors[..=place]);
            list.push(Badge { group, name, standing, source, ends_at: None, inherited: true, ended_on });
        }
    }
    Ok(badges)
}

/// The name and address of somebody who is or was here.
///
/// # Errors
/// [`StoreError::NotFound`] when they never were.
pub async fn name(store: &Store, org: OrgId, id: UserId) -> Result<(String, String)> {
    let row = sqlx::query!("select name, email from users where org_id = $1 and user_id = $2", org.0, id.0)
        .fetch_one(store.pool())
        .await?;
    Ok((row.name, row.email))
}

/// Who holds which role: for each, how many there are and the first of them by name.
///
/// # Errors
/// When the database does not answer.
pub async fn by_role(store: &Store, org: OrgId) -> Result<Vec<(Role, i64, Vec<(UserId, String)>)>> {
    // As many as fit into a line or two.
    const FIRST: i64 = 12;
    let mut roles = Vec::new();
    for role in Role::ALL {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from users where org_id = $1 and role = $2 and removed_at is null"#,
            org.0,
            role.as_str()
        )
        .fetch_one(store.pool())
        .await?;
        // Everybody is a member: names say something where a role is held by few.
        let most = if *role == Role::Member { 0 } else { FIRST };
        let first = sqlx::query!(
            "select user_id, name from users where org_id = $1 and role = $2 and removed_at is null order by lower(name), user_id limit $3",
            org.0,
            role.as_str(),
            most
        )
        .fetch_all(store.pool())
        .await?;
        roles.push((*role, count, first.into_iter().map(|row| (row.user_id.into(), row.name)).collect()));
    }
    Ok(roles)
}

/// Names and ids of everybody, for pickers; at most `limit`.
///
/// # Errors
/// When the database does not answer.
pub async fn names(store: &Store, org: OrgId, limit: i64) -> Result<Vec<(UserId, String, String)>> {
    let rows = sqlx::query!(
        "select user_id, name, email from users where org_id = $1 and removed_at is null order by lower(name), user_id limit $2",
        org.0,
        limit
    )
    .fetch_all(store.pool())
    .await?;
    Ok(rows.into_iter().map(|row| (row.user_id.into(), row.name, row.email)).collect())
}

/// A person, without figures.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Their id.
    pub id: UserId,
    /// What was shown last.
    pub version: i64,
    /// Their email address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// What they may do in the console.
    pub role: Role,
    /// Whether they are kept out.
    pub suspended: bool,
}

/// Everybody, by address.
///
/// # Errors
/// When the database does not answer.
pub async fn all(store: &Store, org: OrgId) -> Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select user_id, version, email, name, role, suspended_at is not null as "suspended!"
           from users where org_id = $1 and removed_at is null order by email"#,
        org.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                id: row.user_id.into(),
                version: row.version,
                email: row.email,
                name: row.name,
                role: row.role.parse()?,
                suspended: row.suspended,
            })
        })
        .collect()
}

struct Before {
    name: String,
    email: String,
    role: Role,
    account: Option<AccountId>,
    suspended_at: Option<DateTime<Utc>>,
}

impl Before {
    fn leaver(&self, id: UserId) -> receipts::Leaver<'_> {
        receipts::Leaver { id, name: &self.name, account: self.account.map(|account| account.0) }
    }
}

async fn before(db: &mut PgConnection, org: OrgId, id: UserId) -> Result<Before> {
    let row = sqlx::query!(
        "select name, email, role, account_id, suspended_at from users where org_id = $1 and user_id = $2 and removed_at is null",
        org.0,
        id.0
    )
    .fetch_one(db)
    .await?;
    Ok(Before {
        name: row.name,
        email: row.email,
        role: row.role.parse()?,
        account: row.account_id.map(AccountId),
        suspended_at: row.suspended_at,
    })
}

/// Adds a person, who joins the default groups. They sign in once they accept an invitation.
///
/// # Errors
/// [`StoreError::Conflict`] when the address is taken.
pub async fn insert(change: &mut Change, form: &UserForm) -> Result<UserId> {
    change.expect(Act::EditUsers, None)?;
    may_give(change, form.role)?;
    add(change, form, None).await
}

/// The same, into a group as well, by somebody who may put people there.
///
/// # Errors
/// As [`insert`]; [`StoreError::NotFound`] when the group is not there; [`StoreError::Invalid`] about `group`
/// when it is archived.
pub async fn insert_into(change: &mut Change, form: &UserForm, group: GroupId) -> Result<UserId> {
    change.expect(Act::EditUsers, None)?;
    may_give(change, form.role)?;
    let org = change.org();
    let into = groups::read(change.db(), org, group).await?;
    let path: Vec<GroupId> = into.path.iter().map(|(id, _)| *id).collect();
    if !domain::roles::allows(change.permit().actor(), Act::EditMembers, Place::Group(&path)) {
        return Err(StoreError::NotPermitted(Act::EditMembers));
    }
    if into.archived_at.is_some() {
        let sentence = format!("{} is archived: nobody can join it.", into.name());
        return Err(StoreError::invalid("group", sentence));
    }
    add(change, form, Some(group)).await
}

async fn add(change: &mut Change, form: &UserForm, into: Option<GroupId>) -> Result<UserId> {
    let id: UserId = clock::id();
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "insert into users (org_id, user_id, email, name, role, invited_at, created_at) values ($1, $2, $3, $4, $5, $6, $6)",
        org.0,
        id.0,
        form.email.as_str(),
        form.name.as_str(),
        form.role.as_str(),
        at,
    )
    .execute(change.db())
    .await?;
    let diff =
        Diff::new().set("email", form.email.as_str()).set("name", form.name.as_str()).set("role", form.role);
    change.record(Subject { kind: "user", id: id.0, name: form.name.as_str() }, "create", &diff).await?;
    if let Some(group) = into {
        groups::join(change, group, id, Standing::Member, Source::Manual, None).await?;
    }
    // Of a default group that was chosen, too, it was said by hand.
    for group in groups::default_ids(change).await?.into_iter().filter(|group| Some(*group) != into) {
        groups::join(change, group, id, Standing::Member, Source::Default, None).await?;
    }
    Ok(id)
}

/// Lets the person who set the installation up into an organization that an applied file made: as
/// its owner, or, when the file names their address, as whom it says they are.
///
/// # Errors
/// When the permit is not to give roles.
pub async fn let_in(change: &mut Change, account: &accounts::Account) -> Result<UserId> {
    change.expect(Act::EditRoles, None)?;
    let org = change.org();
    let known = sqlx::query!(
        "select user_id, name from users where org_id = $1 and email = $2 and removed_at is null",
        org.0,
        account.email
    )
    .fetch_optional(change.db())
    .await?;
    let (id, name) = match known {
        Some(known) => (UserId(known.user_id), known.name),
        None => {
            let (email, name) = (account.email.parse()?, account.name.parse()?);
            let id = add(change, &UserForm { email, name, role: Role::Owner }, None).await?;
            (id, account.name.clone())
        }
    };
    sqlx::query!(
        "update users set account_id = $3, invitation_hash = null, invitation_expires_at = null, version = version + 1
         where org_id = $1 and user_id = $2 and account_id is null",
        org.0,
        id.0,
        account.id.0,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new().set("email", &account.email);
    change.record(Subject { kind: "user", id: id.0, name: &name }, "join", &diff).await?;
    Ok(id)
}

/// Roles that only an owner gives.
const fn is_high(role: Role) -> bool {
    matches!(role, Role::Owner | Role::Admin)
}

/// Only an owner gives, or takes, the roles of owner and admin.
pub(crate) fn may_give(change: &Change, role: Role) -> Result<()> {
    let actor = change.permit().actor();
    if is_high(role)
        && actor.door != Door::File
        && !domain::roles::allows(actor, Act::EditRoles, Place::Organization)
    {
        return Err(StoreError::invalid("role", "Only an owner can give or take the roles owner and admin."));
    }
    Ok(())
}

/// Whoever holds a role that only an owner gives is edited, invited again and let in again by an owner
/// alone: whatever lets somebody act as an owner makes one. What is one's own, one's name say, is for
/// oneself. `what`: what is done, as an owner does it: `edits`.
pub(crate) fn may_change(change: &Change, id: UserId, role: Role, what: &str) -> Result<()> {
    if change.permit().actor().user == Some(id) {
        return Ok(());
    }
    may_do_to(change, role, what)
}

/// The same of what is not for oneself either.
pub(crate) fn may_do_to(change: &Change, role: Role, what: &str) -> Result<()> {
    may_give(change, role).map_err(|error| match error {
        StoreError::Invalid { field, .. } => {
            StoreError::invalid(field, format!("Only an owner {what} somebody who is {role}."))
        }
        error => error,
    })
}

/// What somebody's form says of them now, and its version: what was said before a change, read in it.
///
/// # Errors
/// [`StoreError::NotFound`] when they are not in the organization.
pub async fn said(change: &mut Change, id: UserId) -> Result<(UserForm, i64)> {
    let org = change.org();
    let row = sqlx::query!(
        "select name, email, role, version from users where org_id = $1 and user_id = $2 and removed_at is null",
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    let unreadable = |error: domain::names::NameError| StoreError::Unreadable(error.to_string());
    let form = UserForm {
        email: row.email.parse().map_err(unreadable)?,
        name: row.name.parse().map_err(unreadable)?,
        role: row.role.parse()?,
    };
    Ok((form, row.version))
}

/// Lets somebody in again whose suspension is undone: what is still with whoever took it over is theirs
/// again. Secrets stay dead.
///
/// # Errors
/// [`StoreError::NotFound`] when they are not in the organization.
pub async fn take_back_suspension(change: &mut Change, id: UserId) -> Result<()> {
    set_suspended(change, id, false).await?;
    receipts::give_back(change, &[id]).await
}

/// Changes name, address and role.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest; [`StoreError::Invalid`] when nobody
/// would be left who owns the organization.
pub async fn update(change: &mut Change, id: UserId, version: i64, form: &UserForm) -> Result<()> {
    change.expect(Act::EditUsers, None)?;
    let org = change.org();
    let before = before(change.db(), org, id).await?;
    may_change(change, id, before.role, "edits")?;
    if before.role != form.role {
        may_give(change, form.role)?;
        may_give(change, before.role)?;
    }
    if before.role == Role::Owner && form.role != Role::Owner {
        another_owner(change, id).await?;
    }
    let moved = before.email != form.email.as_str();
    let done = sqlx::query!(
        // Whoever has the link of an invitation was given it as somebody with the role before, at the address
        // before: a role that only an owner gives takes a new one, and so does another address.
        "update users set email = $4, name = $5, role = $6, version = version + 1,
                invitation_hash = case when $7 and account_id is null then null else invitation_hash end,
                invitation_expires_at = case when $7 and account_id is null then null else invitation_expires_at end
         where org_id = $1 and user_id = $2 and version = $3 and removed_at is null",
        org.0,
        id.0,
        version,
        form.email.as_str(),
        form.name.as_str(),
        form.role.as_str(),
        moved || (before.role != form.role && is_high(form.role)),
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    if moved && before.account.is_none() {
        let at = change.at();
        mails::recall_invitations(change.db(), org, &[id.0], at).await?;
    }
    let diff = Diff::new()
        .field("name", Some(&before.name), Some(form.name.as_str()))
        .field("email", Some(&before.email), Some(form.email.as_str()))
        .field("role", Some(before.role), Some(form.role));
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "user", id: id.0, name: form.name.as_str() }, "edit", &diff).await
}

/// There is always somebody who owns the organization.
async fn another_owner(change: &mut Change, id: UserId) -> Result<()> {
    let org = change.org();
    // Whoever has not accepted their invitation cannot act as an owner yet: they count only where
    // this one cannot either.
    let others = sqlx::query_scalar!(
        r#"select count(*) as "count!" from users
           where org_id = $1 and user_id <> $2 and role = 'owner' and suspended_at is null and removed_at is null
             and (account_id is not null
                  or exists (select from users me where me.org_id = $1 and me.user_id = $2 and me.account_id is null))"#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if others == 0 {
        return Err(StoreError::invalid(
            "role",
            "This is the last owner. Make somebody else an owner first.",
        ));
    }
    Ok(())
}

/// Suspends a person, or lets them in again. A suspension revokes every secret of theirs and ends
/// their sessions; a receipt says so. Revoked secrets stay dead: who is let in again makes new ones.
///
/// What they answer for goes to who comes next: a lead above, else an owner. The receipt names them.
///
/// # Errors
/// [`StoreError::Invalid`] when it is the last owner, whoever asks, or somebody whose role is not for them.
pub async fn set_suspended(change: &mut Change, id: UserId, suspended: bool) -> Result<()> {
    turn(change, id, suspended, None).await.map(drop)
}

/// Suspends a person, whose applications and groups without another lead go to `heir`.
///
/// # Errors
/// As [`set_suspended`]; about `heir` when they cannot take over.
pub async fn suspend(change: &mut Change, id: UserId, heir: UserId) -> Result<()> {
    turn(change, id, true, Some(heir)).await.map(drop)
}

/// What is said to whoever suspends themself, alone or among others.
pub(crate) const YOURSELF: &str = "This is you: somebody else has to suspend you.";

/// Returns what was handed over.
pub(crate) async fn turn(
    change: &mut Change,
    id: UserId,
    suspended: bool,
    heir: Option<UserId>,
) -> Result<Vec<Handed>> {
    change.expect(Act::EditUsers, None)?;
    let (org, at) = (change.org(), change.at());
    let before = before(change.db(), org, id).await?;
    if suspended == before.suspended_at.is_some() {
        // Whom somebody else named stays: an heir who is not asked for would be one who is told of.
        if heir.is_some() {
            let sentence = format!(
                "Somebody suspended {} meanwhile; the receipt on their page says who took over. Nothing was changed.",
                before.name
            );
            return Err(StoreError::Meanwhile(sentence));
        }
        return Ok(Vec::new());
    }
    let mut handed = Vec::new();
    may_do_to(change, before.role, if suspended { "suspends" } else { "lets in" })?;
    if suspended && before.role == Role::Owner {
        another_owner(change, id).await?;
    }
    // As among many: nobody locks the door behind themself by mistake.
    if suspended && change.permit().actor().user == Some(id) {
        return Err(StoreError::invalid("", YOURSELF));
    }
    sqlx::query!(
        "update users set suspended_at = $3, version = version + 1 where org_id = $1 and user_id = $2",
        org.0,
        id.0,
        suspended.then_some(at),
    )
    .execute(change.db())
    .await?;
    let mut diff = Diff::new().field("suspended", Some(!suspended), Some(suspended));
    if suspended {
        let contents = receipts::suspended(change, &before.leaver(id), heir).await?;
        if !contents.secrets.is_empty() {
            diff = diff.set("secrets revoked", contents.secrets.len());
        }
        handed = contents.handed;
        diff = diff.field("handed over", None::<String>, handed_over(&handed));
    }
    let verb = if suspended { "suspend" } else { "reinstate" };
    change.record(Subject { kind: "user", id: id.0, name: &before.name }, verb, &diff).await?;
    Ok(handed)
}

/// `Billing to Lea, Engineering to Olga`; none when there was nothing.
pub(crate) fn handed_over(handed: &[Handed]) -> Option<String> {
    let words: Vec<String> =
        handed.iter().filter(|handed| handed.to.is_some()).map(Handed::in_words).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Takes a person out of the organization for good: secrets, memberships and grants end, open
/// requests are withdrawn, private contexts are closed, and what they answered for goes to `heir`, or to
/// who comes next.
/// Their name and their spend stay on the books.
///
/// # Errors
/// [`StoreError::Invalid`] when it is oneself, the last owner, or something would be left without
/// anybody to answer for it.
pub async fn remove(change: &mut Change, id: UserId, heir: Option<UserId>) -> Result<()> {
    change.expect(Act::EditUsers, None)?;
    let (org, at) = (change.org(), change.at());
    let before = before(change.db(), org, id).await?;
    if change.permit().actor().user == Some(id) {
        return Err(StoreError::invalid("user", "This is you: somebody else has to remove you."));
    }
    may_do_to(change, before.role, "removes")?;
    if before.role == Role::Owner {
        another_owner(change, id).await?;
    }
    let contents = receipts::removed(change, &before.leaver(id), heir).await?;
    sqlx::query!(
        "update users set removed_at = $3, invitation_hash = null, invitation_expires_at = null, version = version + 1
         where org_id = $1 and user_id = $2",
        org.0,
        id.0,
        at,
    )
    .execute(change.db())
    .await?;
    let diff = Diff::new()
        .set("removed", true)
        .set("secrets revoked", contents.secrets.len())
        .set("memberships ended", contents.memberships.len())
        .field("handed over", None::<String>, handed_over(&contents.handed));
    change.record(Subject { kind: "user", id: id.0, name: &before.name }, "remove", &diff).await
}

/// Makes somebody else an owner, and oneself what one says to be from then on.
///
/// # Errors
/// [`StoreError::Invalid`] when the other has not joined, or is suspended.
pub async fn hand_over_organization(change: &mut Change, to: UserId, then: Role) -> Result<()> {
    change.expect(Act::EditRoles, None)?;
    let org = change.org();
    let me = change.permit().actor().user.ok_or(StoreError::NotPermitted(Act::EditRoles))?;
    receipts::successor(change, "user", me, to).await?;
    let (mine, theirs) = (before(change.db(), org, me).await?, before(change.db(), org, to).await?);
    for (id, before, role) in [(to, &theirs, Role::Owner), (me, &mine, then)] {
        if before.role == role {
            continue;
        }
        sqlx::query!(
            "update users set role = $3, version = version + 1 where org_id = $1 and user_id = $2",
            org.0,
            id.0,
            role.as_str(),
        )
        .execute(change.db())
        .await?;
        let diff = Diff::new().field("role", Some(before.role), Some(role));
        change.record(Subject { kind: "user", id: id.0, name: &before.name }, "hand-over", &diff).await?;
    }
    if theirs.role == Role::Owner {
        return Ok(());
    }
    let name = organizations::read(change.db(), org).await?.name;
    receipts::tell_heir(change, to, &name, "/settings".to_owned()).await
}
