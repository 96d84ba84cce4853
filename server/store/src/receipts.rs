//! Suspending and removing people: every secret dies in the same transaction, and what ended with
//! it is written down.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{
    audit::Door,
    ids::{ApplicationId, GroupId, OrgId, ReceiptId, SecretId, UserId},
    keys::PlainSecret,
    notices::{handed_over, taken_back, took_over},
    receipts::{Charge, Contents, DeadSecret, Departure, Handed, HeldGrant, HeldMembership, Receipt},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Change, Diff, Result, Store, StoreError, Subject, applications, clock, groups, heirs, leads, notices,
    requests, sessions,
};

/// Somebody who goes, and who takes over.
pub(crate) struct Leaver<'a> {
    pub id: UserId,
    pub name: &'a str,
    pub account: Option<Uuid>,
}

/// Ends what a suspension ends, hands over what they answered for, and keeps the receipt. Without an
/// `heir` each thing goes to who comes next. Returns what the receipt says.
///
/// # Errors
/// [`StoreError::Invalid`] about `heir` when they cannot take over.
pub(crate) async fn suspended(
    change: &mut Change,
    leaver: &Leaver<'_>,
    heir: Option<UserId>,
) -> Result<Contents> {
    let handed = hand_over_of(change, leaver, heir).await?;
    let mut ends = ends(change, std::slice::from_ref(leaver)).await?;
    let contents = Contents { handed, ..ends.remove(&leaver.id).unwrap_or_default() };
    keep(change, Departure::Suspended, &[(leaver.id, &contents)]).await?;
    Ok(contents)
}

/// The same for many, without heirs who are named. They are to be suspended already, so that nothing of
/// one of them goes to another.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn suspended_all(
    change: &mut Change,
    leavers: &[Leaver<'_>],
) -> Result<HashMap<UserId, Contents>> {
    let (org, at) = (change.org(), change.at());
    let ids: Vec<Uuid> = leavers.iter().map(|leaver| leaver.id.0).collect();
    let charged = heirs::charged(change.db(), org, &ids, at).await?;
    let answering: Vec<&Leaver<'_>> = leavers.iter().filter(|leaver| charged.contains(&leaver.id)).collect();
    let all_handed = hand_over(change, &answering, None).await?;
    let mut all = ends(change, leavers).await?;
    for (id, handed) in all_handed {
        all.entry(id).or_default().handed = handed;
    }
    let kept: Vec<(UserId, &Contents)> =
        leavers.iter().filter_map(|leaver| Some((leaver.id, all.get(&leaver.id)?))).collect();
    keep(change, Departure::Suspended, &kept).await?;
    Ok(all)
}

/// Ends what a suspension ends, and says what there was, but for what is handed over.
async fn ends(change: &mut Change, leavers: &[Leaver<'_>]) -> Result<HashMap<UserId, Contents>> {
    let ids: Vec<Uuid> = leavers.iter().map(|leaver| leaver.id.0).collect();
    let mut secrets = kill_secrets(change, &ids).await?;
    let sessions = sign_out(change, leavers).await?;
    let mut memberships = memberships(change, &ids).await?;
    let mut grants = grants(change, &ids).await?;
    let of = |leaver: &Leaver<'_>| {
        let id = leaver.id;
        let contents = Contents {
            secrets: secrets.remove(&id).unwrap_or_default(),
            sessions: leaver.account.and_then(|account| sessions.get(&account).copied()).unwrap_or_default(),
            memberships: memberships.remove(&id).unwrap_or_default(),
            grants: grants.remove(&id).unwrap_or_default().into_iter().map(|(_, grant)| grant).collect(),
            ..Contents::default()
        };
        (id, contents)
    };
    Ok(leavers.iter().map(of).collect())
}

/// Ends everything somebody had, hands over what they answered for, and keeps the receipt.
///
/// # Errors
/// [`StoreError::Invalid`] about `heir` when something would be left without anybody.
pub(crate) async fn removed(
    change: &mut Change,
    leaver: &Leaver<'_>,
    heir: Option<UserId>,
) -> Result<Contents> {
    let handed = hand_over_of(change, leaver, heir).await?;
    if let Some(left) = handed.iter().find(|handed| handed.to.is_none()) {
        let sentence = format!("{} answers for {}. Choose who takes over.", leaver.name, left.name);
        return Err(StoreError::invalid("heir", sentence));
    }
    let ids = [leaver.id.0];
    let memberships = memberships(change, &ids).await?.remove(&leaver.id).unwrap_or_default();
    let secrets = kill_secrets(change, &ids).await?.remove(&leaver.id).unwrap_or_default();
    for membership in &memberships {
        groups::end(change, membership.group, leaver.id).await?;
    }
    let mut held = Vec::new();
    for (id, grant) in grants(change, &ids).await?.remove(&leaver.id).unwrap_or_default() {
        requests::revoke(change, id, &grant.model).await?;
        held.push(grant);
    }
    let contents = Contents {
        secrets,
        sessions: sign_out(change, std::slice::from_ref(leaver)).await?.into_values().sum(),
        memberships,
        grants: held,
        requests: requests::withdraw_all(change, leaver.id).await?,
        personal: close_personal(change, leaver.id).await?,
        handed,
    };
    keep(change, Departure::Removed, &[(leaver.id, &contents)]).await?;
    Ok(contents)
}

/// Writes down what ended with each of them.
pub(crate) async fn keep(change: &mut Change, kind: Departure, list: &[(UserId, &Contents)]) -> Result<()> {
    let (org, at) = (change.org(), change.at());
    let actor = change.permit().actor().name.clone();
    sqlx::query!(
        "insert into receipts (org_id, receipt_id, user_id, kind, at, actor, content)
         select $1, k.receipt_id, k.user_id, $2, $3, $4, k.content
         from unnest($5::uuid[], $6::uuid[], $7::jsonb[]) as k (receipt_id, user_id, content)",
        org.0,
        kind.as_str(),
        at,
        actor,
        &list.iter().map(|_| clock::id::<ReceiptId>().0).collect::<Vec<_>>(),
        &list.iter().map(|(user, _)| user.0).collect::<Vec<_>>(),
        &list.iter().map(|(_, contents)| json!(contents)).collect::<Vec<_>>(),
    )
    .execute(change.db())
    .await?;
    Ok(())
}

/// Revokes every secret that names one of them.
async fn kill_secrets(change: &mut Change, users: &[Uuid]) -> Result<HashMap<UserId, Vec<DeadSecret>>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        r#"update secrets s set revoked_at = $3
           from keys k, applications a
           where s.org_id = $1 and s.user_id = any ($2) and s.revoked_at is null
             and k.org_id = $1 and k.key_id = s.key_id
             and a.org_id = $1 and a.application_id = k.application_id
           returning s.secret_id, s.user_id as "user_id!", s.tail, a.name, s.last_used_at"#,
        org.0,
        users,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let mut all = HashMap::<UserId, Vec<DeadSecret>>::new();
    for row in rows {
        all.entry(row.user_id.into()).or_default().push(DeadSecret {
            id: row.secret_id.into(),
            hint: format!("{}…{}", PlainSecret::PREFIX, row.tail),
            application: row.name,
            last_used_at: row.last_used_at,
        });
    }
    for user in users {
        let Some(dead) = all.get_mut(&UserId(*user)) else { continue };
        dead.sort_by(|one, other| one.application.cmp(&other.application).then(one.id.cmp(&other.id)));
        for secret in dead.iter() {
            record_dead(change, secret.id, &secret.hint, &secret.application).await?;
        }
    }
    Ok(all)
}

/// The line of the log about a secret that died with something else.
pub(crate) async fn record_dead(
    change: &mut Change,
    id: SecretId,
    hint: &str,
    application: &str,
) -> Result<()> {
    let diff = Diff::new().set("application", application).set("revoked", true);
    change.record(Subject { kind: "secret", id: id.0, name: hint }, "revoke", &diff).await
}

/// Ends every session of theirs in this organization: what they do elsewhere is not its business. Returns
/// how many of each sign-in.
async fn sign_out(change: &mut Change, leavers: &[Leaver<'_>]) -> Result<HashMap<Uuid, u64>> {
    let accounts: Vec<Uuid> = leavers.iter().filter_map(|leaver| leaver.account).collect();
    let mut ended = HashMap::new();
    if accounts.is_empty() {
        return Ok(ended);
    }
    let rows = sqlx::query_scalar!(
        r#"delete from sessions where account_id = any ($1) and content ->> $2 = $3
           returning account_id as "account_id!""#,
        &accounts,
        sessions::ORGANIZATION,
        change.org().to_string(),
    )
    .fetch_all(change.db())
    .await?;
    for account in rows {
        *ended.entry(account).or_default() += 1;
    }
    Ok(ended)
}

/// Which groups they are in.
pub(crate) async fn memberships(
    change: &mut Change,
    users: &[Uuid],
) -> Result<HashMap<UserId, Vec<HeldMembership>>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        "select m.user_id, m.group_id, m.standing, g.name, g.ancestors from memberships m
         join groups g on g.org_id = m.org_id and g.group_id = m.group_id
         where m.org_id = $1 and m.user_id = any ($2) and m.ended_at is null and (m.ends_at is null or m.ends_at > $3)
         order by cardinality(g.ancestors), lower(g.name)",
        org.0,
        users,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let mut above: Vec<Uuid> = rows.iter().flat_map(|row| row.ancestors.iter().copied()).collect();
    above.sort_unstable();
    above.dedup();
    let names = groups::read_names(change.db(), org, &above).await?;
    let mut held = HashMap::<UserId, Vec<HeldMembership>>::new();
    for row in rows {
        let above = row.ancestors.iter().map(|id| names.get(&GroupId(*id)).map_or("", String::as_str));
        let path = above.chain([row.name.as_str()]).collect::<Vec<_>>().join("/");
        let (group, standing) = (row.group_id.into(), row.standing.parse()?);
        held.entry(row.user_id.into()).or_default().push(HeldMembership { group, path, standing });
    }
    Ok(held)
}

async fn grants(
    change: &mut Change,
    users: &[Uuid],
) -> Result<HashMap<UserId, Vec<(domain::ids::GrantId, HeldGrant)>>> {
    let (org, at) = (change.org(), change.at());
    let rows = sqlx::query!(
        r#"select g.user_id as "user_id!", g.grant_id, m.name, g.ends_at from grants g
         join models m on m.org_id = g.org_id and m.model_id = g.model_id
         where g.org_id = $1 and g.user_id = any ($2) and g.revoked_at is null and g.ends_at > $3 order by m.name, g.grant_id"#,
        org.0,
        users,
        at,
    )
    .fetch_all(change.db())
    .await?;
    let mut held = HashMap::<UserId, Vec<_>>::new();
    for row in rows {
        let grant = HeldGrant { model: row.name, ends_at: row.ends_at };
        held.entry(row.user_id.into()).or_default().push((row.grant_id.into(), grant));
    }
    Ok(held)
}

/// Gives everything they answer for to `heir`, or each thing to who comes next, and tells them. A
/// file says itself who leads what, so it has to name another lead; who answers for an application it
/// does not say. Nothing of one of them comes to another.
///
/// # Errors
/// [`StoreError::Invalid`] when a file leaves a group without a lead who can act.
async fn hand_over(
    change: &mut Change,
    leavers: &[&Leaver<'_>],
    heir: Option<(UserId, String)>,
) -> Result<HashMap<UserId, Vec<Handed>>> {
    let (org, at, by_file) = (change.org(), change.at(), change.permit().actor().door == Door::File);
    let actor = change.permit().actor().user;
    let ids: Vec<Uuid> = leavers.iter().map(|leaver| leaver.id.0).collect();
    let mut charges = heirs::charges(change.db(), org, &ids, actor, at).await?;
    let mut all = HashMap::new();
    let (mut applications, mut groups) = (Vec::new(), Vec::new());
    for leaver in leavers {
        let mut handed = Vec::new();
        for heirs::Charged { charge, name, next } in charges.remove(&leaver.id).unwrap_or_default() {
            if by_file && heir.is_none() && matches!(charge, Charge::Group(_)) {
                let sentence = format!(
                    "{} is the only one who leads {name} and can act. Let somebody else lead it in this file, too.",
                    leaver.name
                );
                return Err(StoreError::invalid("suspended", sentence));
            }
            let now = match &heir {
                Some(named) => Handed { charge, name, to: Some(named.clone()), because: None, was: None },
                None => Handed::to_next(charge, name, next),
            };
            match (charge, &now.to) {
                (Charge::Application(id), Some(to)) => {
                    applications.push(applications::Giving {
                        application: id,
                        name: now.name.clone(),
                        from: leaver.name.to_owned(),
                        to: to.clone(),
                    });
                }
                (Charge::Group(group), Some(to)) => groups.push((group, to.clone())),
                (_, None) => {}
            }
            handed.push(now);
        }
        all.insert(leaver.id, handed);
    }
    applications::give_all(change, &applications).await?;
    let was = leads::succeed_all(change, &groups).await?;
    for leaver in leavers {
        let Some(handed) = all.get_mut(&leaver.id) else { continue };
        for now in handed.iter_mut() {
            if let Charge::Group(group) = now.charge {
                now.was = was.get(&group).copied();
            }
        }
        tell_heirs(change, leaver, handed).await?;
    }
    Ok(all)
}

/// The same for one: whoever is named has to be somebody, whether there is something to take over or not.
async fn hand_over_of(change: &mut Change, leaver: &Leaver<'_>, heir: Option<UserId>) -> Result<Vec<Handed>> {
    let named = match heir {
        Some(heir) => Some((heir, successor(change, "heir", leaver.id, heir).await?)),
        None => None,
    };
    Ok(hand_over(change, &[leaver], named).await?.remove(&leaver.id).unwrap_or_default())
}

/// Gives back to those whose suspension is undone what is still with whom it went to: applications,
/// and groups, in which whoever took over is again what they were before.
pub(crate) async fn give_back(change: &mut Change, users: &[UserId]) -> Result<()> {
    let org = change.org();
    let users: Vec<Uuid> = users.iter().map(|user| user.0).collect();
    let rows = sqlx::query!(
        "select l.user_id, l.content, l.at, u.name from (
             select distinct on (user_id) user_id, receipt_id, content, at from receipts
             where org_id = $1 and user_id = any ($2) and kind = 'suspended' order by user_id, receipt_id desc
         ) l join users u on u.org_id = $1 and u.user_id = l.user_id where l.content -> 'handed' <> '[]' order by l.receipt_id desc",
        org.0,
        &users
    )
    .fetch_all(change.db())
    .await?;
    let (mut applications, mut groups, mut suspended) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let contents: Contents =
            serde_json::from_value(row.content).map_err(|error| StoreError::Unreadable(error.to_string()))?;
        let user = UserId(row.user_id);
        for handed in &contents.handed {
            let Some((heir, _)) = handed.to else { continue };
            match (handed.charge, handed.was) {
                (Charge::Application(id), _) => applications.push((id, heir, user)),
                (Charge::Group(group), Some(was)) => groups.push((group, heir, was)),
                (Charge::Group(_), None) => {}
            }
        }
        suspended.push((row.name, charge_key(user, row.at), contents.handed));
    }
    let mut back = give_applications_back(change, &applications).await?;
    // What has gone from one to the next comes back the same way: one step at a time.
    while !groups.is_empty() {
        let mut seen = HashSet::new();
        let (now, later) = groups.into_iter().partition(|(group, ..): &leads::Stepping| seen.insert(*group));
        let now: Vec<leads::Stepping> = now;
        let stepped = leads::step_back_all(change, &now).await?;
        back.extend(stepped.into_iter().map(|(group, heir)| (Charge::Group(group), heir)));
        groups = later;
    }
    for (name, key, handed) in suspended {
        let taken = taken_back_of(handed, &back);
        tell_taken_back(change, &name, &key, taken).await?;
    }
    Ok(())
}

/// What has come back, and from whom.
type Back = HashSet<(Charge, UserId)>;

/// What was taken back from each of those it had gone to, and whether that was all of it.
type TakenBack = BTreeMap<UserId, (Vec<(Charge, String)>, bool)>;

fn taken_back_of(handed: Vec<Handed>, back: &Back) -> TakenBack {
    let mut taken = TakenBack::new();
    for handed in handed {
        let Some((heir, _)) = handed.to else { continue };
        let (things, all) = taken.entry(heir).or_insert_with(|| (Vec::new(), true));
        if back.contains(&(handed.charge, heir)) {
            things.push((handed.charge, handed.name));
        } else {
            *all = false;
        }
    }
    taken
}

/// Those that are still with whom they went to: which, who that is, and whose they were. Returns what has
/// come back.
async fn give_applications_back(
    change: &mut Change,
    list: &[(ApplicationId, UserId, UserId)],
) -> Result<Back> {
    let org = change.org();
    let (mut left, mut back) = (list.to_vec(), Back::new());
    // What has gone from one to the next comes back the same way: one step at a time.
    while !left.is_empty() {
        let mut seen = HashSet::new();
        let (now, later): (Vec<_>, Vec<_>) = left.into_iter().partition(|(id, ..)| seen.insert(*id));
        let rows = sqlx::query!(
            "select a.application_id, a.name, k.heir_id as \"heir_id!\", heir.name as heir, u.user_id, u.name as user_name
             from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as k (application_id, heir_id, user_id)
             join applications a on a.org_id = $1 and a.application_id = k.application_id and a.owner_id = k.heir_id
             join users heir on heir.org_id = $1 and heir.user_id = k.heir_id
             join users u on u.org_id = $1 and u.user_id = k.user_id
             where a.archived_at is null order by lower(a.name), a.application_id",
            org.0,
            &now.iter().map(|(id, ..)| id.0).collect::<Vec<_>>(),
            &now.iter().map(|(_, heir, _)| heir.0).collect::<Vec<_>>(),
            &now.iter().map(|(.., user)| user.0).collect::<Vec<_>>(),
        )
        .fetch_all(change.db())
        .await?;
        back.extend(
            rows.iter().map(|row| (Charge::Application(row.application_id.into()), UserId(row.heir_id))),
        );
        let giving: Vec<applications::Giving> = rows
            .into_iter()
            .map(|row| applications::Giving {
                application: row.application_id.into(),
                name: row.name,
                from: row.heir,
                to: (row.user_id.into(), row.user_name),
            })
            .collect();
        applications::give_all(change, &giving).await?;
        left = later;
    }
    Ok(back)
}

/// Names what told of a hand-over.
fn charge_key(leaver: UserId, at: DateTime<Utc>) -> String {
    format!("{leaver}:{}", at.timestamp_micros())
}

/// The page of what somebody answers for.
pub(crate) fn charge_href(charge: Charge) -> String {
    match charge {
        Charge::Application(id) => format!("/applications/{id}"),
        Charge::Group(id) => format!("/groups/{id}"),
    }
}

/// Each of those who no longer answer for something, once; not whoever did it. What told them that they do
/// counts as read where nothing of it is left.
async fn tell_taken_back(change: &mut Change, leaver: &str, key: &str, taken: TakenBack) -> Result<()> {
    let me = change.permit().actor().user;
    for (heir, (things, all)) in taken {
        let Some((first, _)) = things.first() else { continue };
        if all {
            notices::count_as_read(change, heir, &format!("charge:{key}")).await?;
        }
        if Some(heir) != me {
            let href = charge_href(*first);
            let names: Vec<String> = things.into_iter().map(|(_, name)| name).collect();
            notices::tell_of(change, &[heir], &taken_back(leaver, &names, key, href)).await?;
        }
    }
    Ok(())
}

/// Each of those who answer for something now, once; not whoever did it.
async fn tell_heirs(change: &mut Change, leaver: &Leaver<'_>, handed: &[Handed]) -> Result<()> {
    let me = change.permit().actor().user;
    let mut things = BTreeMap::<UserId, Vec<&Handed>>::new();
    for handed in handed {
        if let Some((heir, _)) = handed.to.as_ref().filter(|(heir, _)| Some(*heir) != me) {
            things.entry(*heir).or_default().push(handed);
        }
    }
    let key = charge_key(leaver.id, change.at());
    for (heir, handed) in things {
        let names: Vec<String> = handed.iter().map(|handed| handed.name.clone()).collect();
        let Some(href) = handed.first().map(|handed| charge_href(handed.charge)) else { continue };
        let telling = took_over(leaver.name, &names, &key, href);
        notices::tell_of(change, &[heir], &telling).await?;
    }
    Ok(())
}

/// Whoever answers for something now because somebody handed it to them; not themself.
pub(crate) async fn tell_heir(change: &mut Change, heir: UserId, name: &str, href: String) -> Result<()> {
    let actor = change.permit().actor();
    if actor.user == Some(heir) {
        return Ok(());
    }
    let by = actor.name.clone();
    // It may be handed back and forth.
    let key = format!("{href}:{}", change.at().timestamp_micros());
    notices::tell_of(change, &[heir], &handed_over(&by, name, &key, href)).await
}

/// The name of somebody who can take over: here, joined, not suspended, and not whoever goes.
pub(crate) async fn successor(
    change: &mut Change,
    field: &'static str,
    from: UserId,
    to: UserId,
) -> Result<String> {
    let org = change.org();
    if from == to {
        return Err(StoreError::invalid(field, "Choose somebody else: this is who hands over."));
    }
    let row = sqlx::query!(
        r#"select name, suspended_at is not null as "suspended!", account_id is not null as "joined!" from users
           where org_id = $1 and user_id = $2 and removed_at is null"#,
        org.0,
        to.0
    )
    .fetch_one(change.db())
    .await?;
    if row.suspended {
        return Err(StoreError::invalid(field, format!("{} is suspended. Choose somebody else.", row.name)));
    }
    if !row.joined {
        let sentence = format!("{} has not accepted the invitation yet. Choose somebody who has.", row.name);
        return Err(StoreError::invalid(field, sentence));
    }
    Ok(row.name)
}

async fn close_personal(change: &mut Change, user: UserId) -> Result<Vec<String>> {
    let org = change.org();
    let rows = sqlx::query!(
        "select a.application_id, g.name from applications a
         join groups g on g.org_id = a.org_id and g.group_id = a.group_id
         where a.org_id = $1 and a.personal_user_id = $2 and a.archived_at is null order by lower(g.name)",
        org.0,
        user.0,
    )
    .fetch_all(change.db())
    .await?;
    let mut closed = Vec::new();
    for row in rows {
        applications::close(change, row.application_id.into()).await?;
        closed.push(row.name);
    }
    Ok(closed)
}

/// One receipt.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: ReceiptId) -> Result<Receipt> {
    let row = sqlx::query!(
        "select r.user_id, u.name, u.email, r.kind, r.at, r.actor, r.content from receipts r
         join users u on u.org_id = r.org_id and u.user_id = r.user_id
         where r.org_id = $1 and r.receipt_id = $2",
        org.0,
        id.0
    )
    .fetch_one(store.pool())
    .await?;
    let contents =
        serde_json::from_value(row.content).map_err(|error| StoreError::Unreadable(error.to_string()))?;
    Ok(Receipt {
        id,
        user: row.user_id.into(),
        name: row.name,
        email: row.email,
        kind: row.kind.parse()?,
        at: row.at,
        actor: row.actor,
        contents,
    })
}

/// The receipts about a person, the newest first: id, what happened, when.
///
/// # Errors
/// When the database does not answer.
pub async fn of_user(
    store: &Store,
    org: OrgId,
    user: UserId,
) -> Result<Vec<(ReceiptId, Departure, chrono::DateTime<chrono::Utc>)>> {
    let rows = sqlx::query!(
        "select receipt_id, kind, at from receipts where org_id = $1 and user_id = $2 order by receipt_id desc limit 20",
        org.0,
        user.0
    )
    .fetch_all(store.pool())
    .await?;
    rows.into_iter().map(|row| Ok((row.receipt_id.into(), row.kind.parse()?, row.at))).collect()
}
