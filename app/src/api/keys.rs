//! Keys and secrets.

use std::collections::BTreeMap;

use leptos::prelude::*;

use crate::{error::AppError, frame::Done};

/// Changes what a key narrows to. `more`: further groups, by name or path, one a line. `known`: which secrets
/// die with it, as it was said; what was not said is not done.
#[server(prefix = "/console", endpoint = "keys/edit")]
pub async fn edit_key(
    application: String,
    key: String,
    version: i64,
    #[server(default)] all_models: bool,
    #[server(default)] models: Vec<String>,
    #[server(default)] features: Vec<String>,
    #[server(default)] policy: String,
    #[server(default)] assigned: Vec<String>,
    #[server(default)] more: String,
    #[server(default)] cache_seconds: String,
    #[server(default)] guards: BTreeMap<String, String>,
    #[server(default)] guard_answers: bool,
    #[server(default)] known: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        guardrails::Guardrails,
        keys::{Handling, KeyModels},
        roles::Act,
    };
    use store::keys::KeyForm;
    handle(|cx| async move {
        let application = read("application", &application)?;
        let each = |field: &'static str, texts: &[String]| {
            texts.iter().map(|text| read(field, text)).collect::<Result<Vec<_>, _>>()
        };
        let models = if all_models { KeyModels::All } else { KeyModels::These(each("models", &models)?) };
        let features = features.iter().map(|text| read("features", text)).collect::<Result<_, _>>()?;
        let mut assigned =
            assigned.iter().map(|text| read("assigned", text)).collect::<Result<Vec<_>, _>>()?;
        for path in more.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let group = groups::named(&cx, "more", path).await?;
            if !assigned.contains(&group) {
                assigned.push(group);
            }
        }
        let mut rails = Guardrails::default();
        for (guard, action) in &guards {
            let field = format!("guards[{guard}]");
            rails = rails.with(read(&field, guard)?, read_some(&field, action)?);
        }
        rails.answers = guard_answers;
        let handling = Handling { cache_seconds: read_cache(&cache_seconds)?, guardrails: rails };
        let form = KeyForm { models, features, policy: read_some("policy", &policy)?, assigned, handling };
        let permit = cx.permit_for(Act::EditApplications, application).await?;
        let before = store::keys::of_application(&cx.store, permit.org(), application).await.known()?;
        let mut change = cx.change(permit).await?;
        let fallen = store::keys::update(&mut change, read("key", &key)?, version, &form).await.known()?;
        // Looked at before it is so: what was not meant is not committed.
        match secrets::would_die(&change).await? {
            Some(consequence) if consequence != known => return Err(AppError::Changed(consequence)),
            _ => {}
        }
        let saved = change.commit().await.known()?;
        let mut again = saved;
        for (group, _) in before.assigned.iter().filter(|(group, _)| !form.assigned.contains(group)) {
            // What an admin had assigned is not theirs to put back, nor is what has ended anybody's.
            again &= cx.permit_in(Act::EditApplications, *group).await.is_ok();
            again &= groups::takes_in(&cx, Some(*group)).await?;
        }
        let said = secrets::with_dead("Key saved. It holds from the next call on.", fallen, again);
        Ok(Done::said(said)
            .then(format!("/applications/{application}"))
            .undone_by(again.then(|| ways_back::key(application, &before))))
    })
    .await
}

/// Makes a service secret; older ones live on for `grace_hours`, or for good when it is empty. It stops by
/// itself after `ends_on`, or never when that is empty. `known`: which secrets stop at once with it, as it was
/// said; what was not said is not done.
#[server(prefix = "/console", endpoint = "keys/issue")]
pub async fn issue_secret(
    application: String,
    key: String,
    #[server(default)] grace_hours: String,
    #[server(default)] ends_on: String,
    #[server(default)] known: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use chrono::Duration;
    use domain::{keys::SecretKind, roles::Act};
    handle(|cx| async move {
        // Who is not signed in is told that first.
        cx.actor()?;
        let application = read("application", &application)?;
        let permit = cx.permit_for(Act::EditSecrets, application).await?;
        let grace = read_grace(&grace_hours)?.map(Duration::hours);
        let ends_at = end_of_day(&cx, &ends_on).await?;
        let mut change = cx.change(permit).await?;
        let (org, key) = (change.org(), read("key", &key)?);
        // Those that stop at once are revoked, which is asked about, too.
        if grace == Some(Duration::zero()) {
            let now = store::clock::now();
            let there = store::keys::secrets(&cx.store, org, key).await.known()?;
            let live = there.into_iter().filter(|one| one.kind == SecretKind::Service && one.lives(now));
            let hints: Vec<String> = live.map(|one| one.hint).collect();
            let stop = if hints.len() == 1 { "1 secret stops" } else { &format!("{} secrets stop", hints.len()) };
            let consequence = format!(
                "Nothing is made yet. {stop} with the next call, for good: {}. Make the secret if that is meant.",
                hints.join(", ")
            );
            if !hints.is_empty() && consequence != known {
                return Err(AppError::Changed(consequence));
            }
        }
        let secret = store::keys::issue_service_until(&mut change, key, grace, ends_at).await.known()?;
        change.commit().await.known()?;
        let curl = examples::curl(&cx, org, application, &secret).await?;
        Ok(Done::once(Once::Secret { secret: secret.reveal().to_owned(), curl }))
    })
    .await
}

/// Kills a secret at once. `typed`: its last characters, typed out.
#[server(prefix = "/console", endpoint = "keys/revoke")]
pub async fn revoke_secret(
    application: String,
    secret: String,
    #[server(default)] typed: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let application = read("application", &application)?;
        let permit = match cx.permit_for(Act::EditSecrets, application).await {
            Ok(permit) => permit,
            // One's own secret needs nobody's leave; the store looks whose it is.
            Err(AppError::Forbidden(_)) => cx.permit(Act::UseOwn)?,
            Err(error) => return Err(error),
        };
        let mut change = cx.change(permit).await?;
        // Looked at before it is so: what was not meant is not committed.
        let tail = store::keys::revoke(&mut change, read("secret", &secret)?).await.known()?;
        typed_out(&typed, &tail)?;
        change.commit().await.known()?;
        Ok(Done::said("Revoked. The next call with it is refused."))
    })
    .await
}

/// Makes one's own secret of a key that is for one's group. It stops by itself after `ends_on`, or never
/// when that is empty. Those one has live on for `grace_hours`; where nothing is said, for a day. `was`: the one
/// that was shown, or `none`; empty: whichever.
#[server(prefix = "/console", endpoint = "keys/issue-own")]
pub async fn issue_own_secret(
    key: String,
    #[server(default)] was: String,
    #[server(default)] grace_hours: String,
    #[server(default)] ends_on: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use chrono::Duration;
    use domain::roles::Act;
    handle(|cx| async move {
        let ends_at = end_of_day(&cx, &ends_on).await?;
        let grace = read_grace(&grace_hours)?.map_or(store::keys::OWN_GRACE, Duration::hours);
        let mut change = cx.change(cx.permit(Act::UseOwn)?).await?;
        let key = read("key", &key)?;
        secrets::as_shown(&change, key, &was).await?;
        let secret = store::keys::issue_member_until(&mut change, key, grace, ends_at).await.known()?;
        change.commit().await.known()?;
        Ok(Done::once(Once::Secret { secret: secret.reveal().to_owned(), curl: None }))
    })
    .await
}

/// Opens one's private context in a group, and makes its secret, which stops by itself after `ends_on`, or
/// never when that is empty.
#[server(prefix = "/console", endpoint = "keys/open-personal")]
pub async fn open_personal(group: String, #[server(default)] ends_on: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let ends_at = end_of_day(&cx, &ends_on).await?;
        let mut change = cx.change(cx.permit(Act::UseOwn)?).await?;
        let (org, group) = (change.org(), read("group", &group)?);
        let (application, secret) =
            store::keys::open_personal_until(&mut change, group, ends_at).await.known()?;
        change.commit().await.known()?;
        let curl = examples::curl(&cx, org, application, &secret).await?;
        Ok(Done::once(Once::Secret { secret: secret.reveal().to_owned(), curl }))
    })
    .await
}
