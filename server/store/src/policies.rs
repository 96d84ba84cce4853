//! Routing policies.

use domain::{
    ids::{ModelId, OrgId, PolicyId},
    models::Modality,
    names::ModelName,
    policies::{Policy, Routing, Rules, StepRules, Trouble},
    roles::Act,
};
use sqlx::PgConnection;

use crate::{Change, Diff, Result, Store, StoreError, Subject, change::exactly_one, clock};

/// What a new or edited policy is given.
#[derive(Clone, Debug)]
pub struct PolicyForm {
    /// Callers write `policy/` and this.
    pub name: ModelName,
    /// How it chooses.
    pub routing: Routing,
    /// Models and weights, in order.
    pub steps: Vec<(ModelId, i32)>,
    /// How it deals with those of them for which not everything is usual.
    pub rules: Rules,
}

/// Every policy by name.
///
/// # Errors
/// When the database does not answer.
pub async fn list(store: &Store, org: OrgId) -> Result<Vec<Policy>> {
    read(&mut *store.pool().acquire().await?, org, None).await
}

/// One policy.
///
/// # Errors
/// [`StoreError::NotFound`] when it is not in the organization.
pub async fn get(store: &Store, org: OrgId, id: PolicyId) -> Result<Policy> {
    read(&mut *store.pool().acquire().await?, org, Some(id)).await?.pop().ok_or(StoreError::NotFound)
}

/// What callers write after `policy/`.
pub(crate) async fn name(db: &mut PgConnection, org: OrgId, id: PolicyId) -> Result<String> {
    Ok(read(db, org, Some(id)).await?.pop().ok_or(StoreError::NotFound)?.name)
}

async fn read(db: &mut PgConnection, org: OrgId, only: Option<PolicyId>) -> Result<Vec<Policy>> {
    let steps = sqlx::query!(
        "select s.policy_id, s.model_id, s.weight, s.after, s.attempts, s.first_byte_seconds, m.name
         from policy_steps s join models m on m.org_id = s.org_id and m.model_id = s.model_id
         where s.org_id = $1 order by s.policy_id, s.position",
        org.0
    )
    .fetch_all(&mut *db)
    .await?;
    let rows = sqlx::query!(
        "select policy_id, name, routing, version from policies
         where org_id = $1 and ($2::uuid is null or policy_id = $2) and archived_at is null order by name",
        org.0,
        only.map(|id| id.0),
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            let own = steps.iter().filter(|step| step.policy_id == row.policy_id);
            let mut unusual = Rules::new();
            for step in own.clone() {
                let own = rules(&step.after, step.attempts, step.first_byte_seconds)?;
                if own != StepRules::default() {
                    unusual.insert(step.model_id.into(), own);
                }
            }
            Ok(Policy {
                id: row.policy_id.into(),
                name: row.name,
                routing: row.routing.parse()?,
                steps: own.map(|step| (ModelId(step.model_id), step.name.clone(), step.weight)).collect(),
                rules: unusual,
                version: row.version,
            })
        })
        .collect()
}

/// How a policy deals with its models, inside a change.
pub(crate) async fn rules_of(change: &mut Change, id: PolicyId) -> Result<Rules> {
    let org = change.org();
    Ok(read(change.db(), org, Some(id)).await?.pop().ok_or(StoreError::NotFound)?.rules)
}

/// How a policy deals with a model, from its columns.
pub(crate) fn rules(after: &[String], attempts: i16, first_byte: Option<i32>) -> Result<StepRules> {
    let after: std::result::Result<_, _> = after.iter().map(|word| word.parse::<Trouble>()).collect();
    Ok(StepRules {
        after: after?,
        attempts: u8::try_from(attempts).unwrap_or(1),
        first_byte: first_byte.and_then(|seconds| u16::try_from(seconds).ok()),
    })
}

/// The most models a policy may name.
pub const MOST_STEPS: usize = 20;

fn check(form: &PolicyForm) -> Result<()> {
    if form.steps.is_empty() || form.steps.len() > MOST_STEPS {
        return Err(StoreError::invalid("steps", "Choose 1 to 20 models."));
    }
    if form.steps.iter().any(|(_, weight)| !(1..=1000).contains(weight)) {
        return Err(StoreError::invalid("steps", "A weight is a number from 1 to 1000."));
    }
    if form.rules.values().any(|rules| !(1..=StepRules::ATTEMPTS_MAX).contains(&rules.attempts)) {
        return Err(StoreError::invalid("steps", "A model is tried 1 to 3 times."));
    }
    let waits = form.rules.values().filter_map(|rules| rules.first_byte);
    if waits.into_iter().any(|seconds| !(1..=StepRules::FIRST_BYTE_MAX).contains(&seconds)) {
        return Err(StoreError::invalid("steps", "An answer is waited for from 1 to 600 seconds."));
    }
    let mut models: Vec<_> = form.steps.iter().map(|(model, _)| model).collect();
    models.sort();
    if models.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(StoreError::invalid("steps", "Choose each model once."));
    }
    Ok(())
}

/// Refuses models for embeddings beside others: a call is the one or the other, so that some of them could never
/// answer it.
async fn check_kinds(change: &mut Change, form: &PolicyForm) -> Result<()> {
    let org = change.org();
    let ids: Vec<uuid::Uuid> = form.steps.iter().map(|(model, _)| model.0).collect();
    let rows = sqlx::query!(
        "select name, modality from models where org_id = $1 and model_id = any($2) order by name",
        org.0,
        &ids
    )
    .fetch_all(change.db())
    .await?;
    let (embeddings, others): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.modality == Modality::Embedding.as_str());
    if embeddings.is_empty() || others.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = embeddings.into_iter().map(|row| row.name).collect();
    let (names, make) = (names.join(", "), if names.len() == 1 { "makes" } else { "make" });
    Err(StoreError::invalid(
        "steps",
        format!(
            "{names} {make} embeddings and {} does not: a call is for the one or the other, so some of these could never answer it. Make a policy for each.",
            others.first().map_or("another model", |row| row.name.as_str()),
        ),
    ))
}

/// `big-chat, small-chat` or `small-chat × 3, claude-like × 1`, for the log.
async fn describe(change: &mut Change, form: &PolicyForm) -> Result<String> {
    let org = change.org();
    let mut parts = Vec::new();
    for (model, weight) in &form.steps {
        let name = sqlx::query_scalar!(
            "select name from models where org_id = $1 and model_id = $2",
            org.0,
            model.0
        )
        .fetch_one(change.db())
        .await?;
        let name = if form.routing == Routing::Balance { format!("{name} × {weight}") } else { name };
        let rules = form.rules.get(model).map(StepRules::words).filter(|words| !words.is_empty());
        parts.push(rules.map_or(name.clone(), |words| format!("{name} ({words})")));
    }
    Ok(parts.join(", "))
}

async fn write_steps(change: &mut Change, id: PolicyId, form: &PolicyForm) -> Result<()> {
    let org = change.org();
    sqlx::query!("delete from policy_steps where org_id = $1 and policy_id = $2", org.0, id.0)
        .execute(change.db())
        .await?;
    for (position, (model, weight)) in (0_i32..).zip(&form.steps) {
        let rules = form.rules.get(model).copied().unwrap_or_default();
        let after: Vec<String> = rules.after.iter().map(|trouble| trouble.to_string()).collect();
        sqlx::query!(
            "insert into policy_steps (org_id, policy_id, position, model_id, weight, after, attempts, first_byte_seconds)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            org.0,
            id.0,
            position,
            model.0,
            if form.routing == Routing::Balance { *weight } else { 1 },
            &after,
            i16::from(rules.attempts),
            rules.first_byte.map(i32::from),
        )
        .execute(change.db())
        .await?;
    }
    Ok(())
}

/// Adds a policy.
///
/// # Errors
/// [`StoreError::Conflict`] when the name is taken.
pub async fn insert(change: &mut Change, form: &PolicyForm) -> Result<PolicyId> {
    change.expect(Act::EditPolicies, None)?;
    check(form)?;
    check_kinds(change, form).await?;
    let id: PolicyId = clock::id();
    let (org, at) = (change.org(), change.at());
    sqlx::query!(
        "insert into policies (org_id, policy_id, name, routing, created_at) values ($1, $2, $3, $4, $5)",
        org.0,
        id.0,
        form.name.as_str(),
        form.routing.as_str(),
        at
    )
    .execute(change.db())
    .await?;
    write_steps(change, id, form).await?;
    let steps = describe(change, form).await?;
    let diff = Diff::new().set("name", form.name.as_str()).set("routing", form.routing).set("models", steps);
    change.record(Subject { kind: "policy", id: id.0, name: form.name.as_str() }, "create", &diff).await?;
    Ok(id)
}

/// Changes a policy.
///
/// # Errors
/// [`StoreError::Stale`] when `version` is not the newest.
pub async fn update(change: &mut Change, id: PolicyId, version: i64, form: &PolicyForm) -> Result<()> {
    change.expect(Act::EditPolicies, None)?;
    check(form)?;
    check_kinds(change, form).await?;
    let org = change.org();
    let before = read(change.db(), org, Some(id)).await?.pop().ok_or(StoreError::NotFound)?;
    let done = sqlx::query!(
        "update policies set name = $4, routing = $5, version = version + 1,
                -- Renamed, it stands for itself again.
                differs_in_case = differs_in_case and name = $4
         where org_id = $1 and policy_id = $2 and version = $3 and archived_at is null",
        org.0,
        id.0,
        version,
        form.name.as_str(),
        form.routing.as_str(),
    )
    .execute(change.db())
    .await?;
    exactly_one(&done)?;
    let old = PolicyForm {
        name: before.name.parse()?,
        routing: before.routing,
        steps: before.steps.iter().map(|(model, _, weight)| (*model, *weight)).collect(),
        rules: before.rules,
    };
    let (old_steps, new_steps) = (describe(change, &old).await?, describe(change, form).await?);
    write_steps(change, id, form).await?;
    let diff = Diff::new()
        .field("name", Some(old.name.as_str()), Some(form.name.as_str()))
        .field("routing", Some(old.routing), Some(form.routing))
        .field("models", Some(old_steps), Some(new_steps));
    if diff.is_empty() {
        return Ok(());
    }
    change.record(Subject { kind: "policy", id: id.0, name: form.name.as_str() }, "edit", &diff).await
}

/// Takes a policy out of use.
///
/// # Errors
/// [`StoreError::Invalid`] while keys or groups name it.
pub async fn archive(change: &mut Change, id: PolicyId) -> Result<()> {
    change.expect(Act::EditPolicies, None)?;
    let (org, at) = (change.org(), change.at());
    let before = read(change.db(), org, Some(id)).await?.pop().ok_or(StoreError::NotFound)?;
    let keys = sqlx::query_scalar!(
        r#"select count(*) as "count!" from keys k
           join applications a on a.org_id = k.org_id and a.application_id = k.application_id
           where k.org_id = $1 and k.policy_id = $2 and a.archived_at is null"#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if keys > 0 {
        let keys = match keys {
            1 => "1 key names it. Give it another policy first.".to_owned(),
            keys => format!("{keys} keys name it. Give them another policy first."),
        };
        return Err(StoreError::invalid("policy", keys));
    }
    let groups = sqlx::query_scalar!(
        r#"select count(*) as "count!" from groups where org_id = $1 and policy_id = $2 and archived_at is null"#,
        org.0,
        id.0
    )
    .fetch_one(change.db())
    .await?;
    if groups > 0 {
        let sentence = match groups {
            1 => "1 group sends calls that name no model to it. Give it another one first.".to_owned(),
            groups => {
                format!("{groups} groups send calls that name no model to it. Give them another one first.")
            }
        };
        return Err(StoreError::invalid("policy", sentence));
    }
    sqlx::query!(
        "update policies set archived_at = $3, version = version + 1 where org_id = $1 and policy_id = $2",
        org.0,
        id.0,
        at
    )
    .execute(change.db())
    .await?;
    change
        .record(
            Subject { kind: "policy", id: id.0, name: &before.name },
            "archive",
            &Diff::new().set("archived", true),
        )
        .await
}
