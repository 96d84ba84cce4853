//! Facts: everything `decide` needs, read in one consistent look.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use domain::{
    Map,
    access::{
        ApplicationFacts, Facts, GrantFacts, Grantee, GroupFacts, MembershipFacts, ModelFacts, PolicyFacts,
        ProviderFacts, Rule, RuleSet, TierFacts, UserFacts,
    },
    groups::{Standing, end_of},
    ids::{GrantId, GroupId, ModelId, OrgId, PolicyId, TierId, UserId},
    limits::{Limit, Meter, Mode, Scope},
    models::Review,
    policies::{Routing, StepRules},
    prices::DatedPrices,
    window::Calendar,
};
use sqlx::PgConnection;

use crate::{Result, Store, authorizations, keys, models, organizations};

/// The facts of an organization, as of one moment.
///
/// # Errors
/// When the organization is gone or the database does not answer.
pub async fn facts(store: &Store, org: OrgId) -> Result<Facts> {
    let mut tx = store.pool().begin().await?;
    sqlx::query!("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
    let facts = read(&mut tx, org).await?;
    tx.commit().await?;
    Ok(facts)
}

/// The facts of an organization as of now, read anew only when something has changed since this
/// process read them last: pages ask for them again and again.
///
/// # Errors
/// When the organization is gone or the database does not answer.
pub async fn current(store: &Store, org: OrgId) -> Result<Arc<Facts>> {
    let newest = version(store, org).await?;
    if let Some(known) = store.known_facts(org).filter(|known| known.version == newest) {
        return Ok(known);
    }
    let facts = Arc::new(facts(store, org).await?);
    store.keep_facts(org, &facts);
    Ok(facts)
}

/// The newest version of an organization's facts: a cheap question.
///
/// # Errors
/// When the organization is gone or the database does not answer.
pub async fn version(store: &Store, org: OrgId) -> Result<i64> {
    Ok(sqlx::query_scalar!("select facts_version from organizations where org_id = $1", org.0)
        .fetch_one(store.pool())
        .await?)
}

/// Reads the facts inside a transaction.
pub(crate) async fn read(db: &mut PgConnection, org: OrgId) -> Result<Facts> {
    let version = sqlx::query_scalar!("select facts_version from organizations where org_id = $1", org.0)
        .fetch_one(&mut *db)
        .await?;
    let organization = organizations::read(db, org).await?;
    let calendar = organizations::calendar_of(&organization)?;
    let models = read_models(db, org).await?;
    let (rules, observed) = read_rules(db, org).await?;
    let users = read_users(db, org).await?;
    Ok(Facts {
        org,
        org_name: organization.name,
        version,
        calendar,
        default_user_limit: organization.default_user_limit,
        budget_status: organization.budget_status,
        contact: organization.contact,
        admins: admins(db, org).await?,
        tiers: read_tiers(db, org).await?,
        model_names: models
            .iter()
            .filter(|(_, model)| !model.archived)
            .map(|(id, model)| (model.name.clone(), *id))
            .collect(),
        models,
        providers: read_providers(db, org).await?,
        groups: read_groups(db, org, calendar, &users).await?,
        rules,
        observed,
        grants: read_grants(db, org).await?,
        applications: read_applications(db, org).await?,
        users,
        limits: read_limits(db, org).await?,
        policies: read_policies(db, org).await?,
    })
}

async fn read_tiers(db: &mut PgConnection, org: OrgId) -> Result<Map<TierId, TierFacts>> {
    let rows = sqlx::query!("select tier_id, name, high_cost from tiers where org_id = $1", org.0)
        .fetch_all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.tier_id.into(), TierFacts { name: row.name, high_cost: row.high_cost }))
        .collect())
}

async fn read_models(db: &mut PgConnection, org: OrgId) -> Result<Map<ModelId, ModelFacts>> {
    let mut dated = Map::<ModelId, Vec<DatedPrices>>::default();
    let prices = sqlx::query!(
        "select model_id, starts_at, input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output,
                image, call, web_search, file_search, code_session
         from prices where org_id = $1 order by model_id, starts_at",
        org.0
    )
    .fetch_all(&mut *db)
    .await?;
    for row in prices {
        let columns = [
            row.input,
            row.cache_read,
            row.cache_write,
            row.cache_write_long,
            row.output,
            row.reasoning,
            row.audio_input,
            row.audio_output,
            row.image,
            row.call,
            row.web_search,
            row.file_search,
            row.code_session,
        ];
        dated
            .entry(row.model_id.into())
            .or_default()
            .push(DatedPrices { from: row.starts_at, prices: models::from_columns(columns) });
    }
    let rows = sqlx::query!(
        "select model_id, name, provider_id, upstream, modality, tier_id, context_tokens, max_output_tokens, review, archived_at, created_at
         from models where org_id = $1",
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let id = row.model_id.into();
            let facts = ModelFacts {
                name: row.name,
                provider: row.provider_id.into(),
                upstream: row.upstream,
                modality: row.modality.parse()?,
                tier: row.tier_id.into(),
                context_tokens: row.context_tokens.and_then(|tokens| u64::try_from(tokens).ok()),
                max_output_tokens: row.max_output_tokens.and_then(|tokens| u64::try_from(tokens).ok()),
                review: row.review.parse::<Review>()?,
                archived: row.archived_at.is_some(),
                prices: dated.remove(&id).unwrap_or_default(),
                created_at: row.created_at,
            };
            Ok((id, facts))
        })
        .collect()
}

async fn read_providers(
    db: &mut PgConnection,
    org: OrgId,
) -> Result<Map<domain::ids::ProviderId, ProviderFacts>> {
    let rows = sqlx::query!(
        "select provider_id, name, dialect, base_url, allow_private_address, archived_at, connection_seconds, first_byte_seconds,
                silence_seconds, total_seconds
         from providers where org_id = $1",
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let facts = ProviderFacts {
                name: row.name,
                dialect: row.dialect.parse()?,
                base_url: row.base_url,
                allow_private_address: row.allow_private_address,
                waits: crate::providers::waits([
                    row.connection_seconds,
                    row.first_byte_seconds,
                    row.silence_seconds,
                    row.total_seconds,
                ]),
                archived: row.archived_at.is_some(),
            };
            Ok((row.provider_id.into(), facts))
        })
        .collect()
}

/// The names of admins and owners who have joined and are not suspended, admins first.
pub(crate) async fn admins(db: &mut PgConnection, org: OrgId) -> Result<Vec<String>> {
    let names = sqlx::query_scalar!(
        "select name from users
         where org_id = $1 and role in ('admin', 'owner') and account_id is not null and suspended_at is null and removed_at is null
         order by role, lower(name), user_id",
        org.0
    );
    Ok(names.fetch_all(db).await?)
}

async fn read_users(db: &mut PgConnection, org: OrgId) -> Result<Map<UserId, UserFacts>> {
    let mut memberships = HashMap::<UserId, Vec<MembershipFacts>>::new();
    let rows = sqlx::query!(
        "select m.user_id, m.group_id, m.standing, m.ends_at from memberships m where m.org_id = $1 and m.ended_at is null",
        org.0
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        let facts = MembershipFacts {
            group: row.group_id.into(),
            standing: row.standing.parse()?,
            ends_at: row.ends_at,
        };
        memberships.entry(row.user_id.into()).or_default().push(facts);
    }
    let rows = sqlx::query!(
        r#"select user_id, name, suspended_at is not null or removed_at is not null as "suspended!" from users where org_id = $1"#,
        org.0
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let id = row.user_id.into();
            let memberships = memberships.remove(&id).unwrap_or_default();
            (id, UserFacts { name: row.name, suspended: row.suspended, memberships })
        })
        .collect())
}

async fn read_groups(
    db: &mut PgConnection,
    org: OrgId,
    calendar: Calendar,
    users: &Map<UserId, UserFacts>,
) -> Result<Map<GroupId, GroupFacts>> {
    let rows = sqlx::query!(
        "select group_id, ancestors, name, ends_on, archived_at, policy_id from groups where org_id = $1",
        org.0
    )
    .fetch_all(db)
    .await?;
    let mut leads = HashMap::<GroupId, Vec<String>>::new();
    for user in users.values().filter(|user| !user.suspended) {
        for membership in user.memberships.iter().filter(|membership| membership.standing == Standing::Lead) {
            leads.entry(membership.group).or_default().push(user.name.clone());
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| {
            let id = GroupId(row.group_id);
            // Open through its last day; an archived group has ended.
            let last_day = row.ends_on.and_then(|day| end_of(day, calendar));
            let ends_at: Option<DateTime<Utc>> = [row.archived_at, last_day].into_iter().flatten().min();
            let mut leads = leads.remove(&id).unwrap_or_default();
            leads.sort();
            let path = row.ancestors.into_iter().map(GroupId).chain([id]).collect();
            let policy = row.policy_id.map(PolicyId);
            (id, GroupFacts { name: row.name, path, ends_at, leads, policy })
        })
        .collect())
}

/// Rules by the group they are set on.
type Rules = Map<Option<GroupId>, RuleSet>;

/// Those that decide, and those that only take note.
pub(crate) async fn read_rules(db: &mut PgConnection, org: OrgId) -> Result<(Rules, Rules)> {
    let rows = sqlx::query!(
        "select authorization_id, group_id, model_id, tier_id, state, locked, ends_at, mode from authorizations
         where org_id = $1 and removed_at is null",
        org.0
    )
    .fetch_all(db)
    .await?;
    let (mut rules, mut observed) = (Rules::default(), Rules::default());
    for row in rows {
        let rule = Rule {
            id: row.authorization_id.into(),
            state: row.state.parse()?,
            locked: row.locked,
            ends_at: row.ends_at,
        };
        let of_its_mode = match row.mode.parse()? {
            Mode::Enforce => &mut rules,
            Mode::Observe => &mut observed,
        };
        of_its_mode
            .entry(row.group_id.map(GroupId))
            .or_default()
            .insert(authorizations::target(row.model_id, row.tier_id), rule);
    }
    Ok((rules, observed))
}

async fn read_grants(db: &mut PgConnection, org: OrgId) -> Result<Map<ModelId, Vec<GrantFacts>>> {
    let rows = sqlx::query!(
        // A person's own come before those of a whole group, and of several the one that lasts longest.
        "select grant_id, model_id, user_id, group_id, starts_at, ends_at from grants
         where org_id = $1 and revoked_at is null order by user_id is null, ends_at desc, grant_id",
        org.0
    )
    .fetch_all(db)
    .await?;
    let mut grants = Map::<ModelId, Vec<GrantFacts>>::default();
    for row in rows {
        let to = match (row.user_id, row.group_id) {
            (Some(user), None) => Grantee::User(UserId(user)),
            (Some(user), Some(group)) => Grantee::Member(GroupId(group), UserId(user)),
            (None, Some(group)) => Grantee::Group(GroupId(group)),
            (None, None) => continue,
        };
        let grant =
            GrantFacts { id: GrantId(row.grant_id), to, starts_at: row.starts_at, ends_at: row.ends_at };
        grants.entry(row.model_id.into()).or_default().push(grant);
    }
    Ok(grants)
}

async fn read_applications(
    db: &mut PgConnection,
    org: OrgId,
) -> Result<Map<domain::ids::ApplicationId, ApplicationFacts>> {
    let rows = sqlx::query!(
        r#"select a.application_id, a.name, a.group_id, a.personal_user_id, a.owner_id, k.key_id, k.all_models, k.features, k.policy_id,
                  k.cache_seconds, k.guardrails,
                  array(select model_id from key_models m where m.org_id = k.org_id and m.key_id = k.key_id) as "models!",
                  array(select group_id from key_groups g where g.org_id = k.org_id and g.key_id = k.key_id) as "assigned!",
                  array(select name from use_cases c where c.org_id = a.org_id and c.application_id = a.application_id) as "use_cases!"
           from applications a join keys k on k.org_id = a.org_id and k.application_id = a.application_id
           where a.org_id = $1 and a.archived_at is null"#,
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let facts = ApplicationFacts {
                name: row.name,
                group: row.group_id.into(),
                key: row.key_id.into(),
                personal: row.personal_user_id.map(UserId),
                owner: row.owner_id.map(UserId),
                models: keys::models(row.all_models, row.models),
                features: keys::features(&row.features)?,
                assigned: row.assigned.into_iter().map(GroupId).collect(),
                policy: row.policy_id.map(PolicyId),
                use_cases: row.use_cases,
                handling: keys::handling(row.cache_seconds, &row.guardrails)?,
            };
            Ok((row.application_id.into(), facts))
        })
        .collect()
}

async fn read_limits(db: &mut PgConnection, org: OrgId) -> Result<Map<Scope, Vec<Limit>>> {
    let rows = sqlx::query!(
        "select limit_id, scope_kind, thing_id, person_id, metric, window_kind, cap, mode, thresholds from limits where org_id = $1",
        org.0
    )
    .fetch_all(db)
    .await?;
    let mut limits = Map::<Scope, Vec<Limit>>::default();
    for row in rows {
        let scope = Scope::from_parts(row.scope_kind.parse()?, row.thing_id, row.person_id);
        limits.entry(scope).or_default().push(Limit {
            id: Some(row.limit_id.into()),
            meter: Meter { scope, metric: row.metric.parse()?, window: row.window_kind.parse()? },
            cap: row.cap,
            mode: row.mode.parse()?,
            thresholds: row.thresholds.iter().filter_map(|percent| u8::try_from(*percent).ok()).collect(),
        });
    }
    Ok(limits)
}

async fn read_policies(db: &mut PgConnection, org: OrgId) -> Result<HashMap<String, PolicyFacts>> {
    let steps = sqlx::query!(
        "select policy_id, model_id, weight, after, attempts, first_byte_seconds from policy_steps
         where org_id = $1 order by policy_id, position",
        org.0
    )
    .fetch_all(&mut *db)
    .await?;
    let mut rules = HashMap::<uuid::Uuid, domain::policies::Rules>::new();
    for step in &steps {
        let own = crate::policies::rules(&step.after, step.attempts, step.first_byte_seconds)?;
        if own != StepRules::default() {
            rules.entry(step.policy_id).or_default().insert(step.model_id.into(), own);
        }
    }
    let rows = sqlx::query!(
        "select policy_id, name, routing from policies where org_id = $1 and archived_at is null",
        org.0
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let own = steps.iter().filter(|step| step.policy_id == row.policy_id);
            let facts = PolicyFacts {
                id: row.policy_id.into(),
                routing: row.routing.parse::<Routing>()?,
                steps: own
                    .map(|step| (ModelId(step.model_id), u32::try_from(step.weight).unwrap_or(1)))
                    .collect(),
                rules: rules.remove(&row.policy_id).unwrap_or_default(),
            };
            Ok((row.name, facts))
        })
        .collect()
}
