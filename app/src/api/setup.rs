//! First steps: the first owner, and the steps after.

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// Whether this installation still waits for its first owner. With a token: whether it is the
/// right one.
#[server(prefix = "/console", endpoint = "setup/state")]
pub async fn load_setup(token: String) -> Result<bool, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        if store::installation::is_set_up(&cx.store).await.known()? {
            return Err(AppError::NotFound);
        }
        let known = !token.is_empty() && store::installation::knows_token(&cx.store, &token).await.known()?;
        if !known && !token.is_empty() {
            return Err(AppError::Forbidden(
                "This is not the token in the server's log. A restart prints a new one.".to_owned(),
            ));
        }
        Ok(known)
    })
    .await
}

/// Makes the first owner.
#[server(prefix = "/console", endpoint = "setup/owner")]
pub async fn create_owner(
    token: String,
    name: String,
    email: String,
    password: String,
    again: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    handle(|cx| async move {
        let (name, email) = (read("name", &name)?, read("email", &email)?);
        if password != again {
            return Err(AppError::field("again", "The two passwords differ."));
        }
        if !store::installation::knows_token(&cx.store, &token).await.known()? {
            return Err(AppError::field(
                "token",
                "This is not the token in the server's log, or it was used already.",
            ));
        }
        let hash = store::passwords::hash(password).await.known()?;
        let account = store::installation::set_up(&cx.store, &token, &name, &email, &hash).await.known()?;
        cx.sign_in(account).await?;
        // A file may have made an organization before there was anybody to own it.
        let organizations = store::accounts::organizations(&cx.store, account).await.known()?;
        let go = if organizations.is_empty() { "/welcome/organization" } else { "/" };
        Ok(Done { go: Some(go.to_owned()), reload: true, ..Done::default() })
    })
    .await
}

/// Makes an organization and looks at it from now on.
#[server(prefix = "/console", endpoint = "setup/organization")]
pub async fn create_organization(
    name: String,
    time_zone: String,
    default_user_limit: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use store::organizations::Settings;
    handle(|cx| async move {
        let who = cx.who()?;
        if !who.account.operator {
            return Err(AppError::Forbidden(
                "Only the person who set this installation up can make organizations.".to_owned(),
            ));
        }
        let settings = Settings {
            default_user_limit: read_some("default_user_limit", &default_user_limit)?,
            ..Settings::named(read("name", &name)?, time_zone.trim())
        };
        let (org, _) = store::organizations::create(&cx.store, who.account.id, &settings).await.known()?;
        cx.session.insert("org", org).await.map_err(|error| AppError::Network(error.to_string()))?;
        Ok(Done { go: Some("/welcome/provider".to_owned()), reload: true, ..Done::default() })
    })
    .await
}

/// How far the first steps have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// Providers, by name.
    pub providers: Vec<(String, String)>,
    /// Models: id, name.
    pub models: Vec<(String, String)>,
    /// Tiers: id, name.
    pub tiers: Vec<(String, String)>,
    /// Groups: id, path.
    pub groups: Vec<(String, String)>,
    /// Applications: id, name.
    pub applications: Vec<(String, String)>,
    /// Whether a call has gone through.
    pub called: bool,
}

/// How far the first steps have come.
#[server(prefix = "/console", endpoint = "setup/steps")]
pub async fn load_steps() -> Result<Steps, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let pair = |id: &dyn std::fmt::Display, name: &str| (id.to_string(), name.to_owned());
        let month = cx.month().await?;
        let providers = store::providers::list(&cx.store, org).await.known()?;
        let models = store::models::list(&cx.store, org).await.known()?;
        let tiers = store::models::tiers(&cx.store, org).await.known()?;
        let groups = store::groups::places(&cx.store, org).await.known()?;
        let applications =
            store::applications::list(&cx.store, org, &month, &Default::default(), 20).await.known()?;
        let which = store::rollups::Which::default();
        let calls = store::rollups::last_calls(&cx.store, org, &which, store::clock::now(), 1).await;
        Ok(Steps {
            providers: providers.iter().map(|it| pair(&it.id, &it.name)).collect(),
            models: models.iter().map(|it| pair(&it.id, &it.name)).collect(),
            tiers: tiers.iter().map(|it| pair(&it.id, &it.name)).collect(),
            groups: groups.iter().map(|(id, path)| pair(id, path)).collect(),
            applications: applications.iter().map(|it| pair(&it.id, &it.name)).collect(),
            // Where nobody can look, nobody is asked to make a first call.
            called: calls.is_none_or(|calls| !calls.is_empty()),
        })
    })
    .await
}

/// Adds the first model with its price, its tier, and the baseline that opens the tier.
#[server(prefix = "/console", endpoint = "setup/model")]
pub async fn create_first_model(
    provider: String,
    name: String,
    upstream: String,
    tier: String,
    max_output_tokens: String,
    context_tokens: String,
    price_input: String,
    price_output: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{
        authorizations::{State, Target},
        models::{Modality, Review},
        prices::{Origin, PriceKey, Prices},
        roles::Act,
    };
    use store::{authorizations::Say, models::ModelForm};
    handle(|cx| async move {
        let permit = cx.permit(Act::EditCatalogue)?;
        let widen = cx.permit(Act::WidenAuthorizations)?;
        let tier: domain::names::Name = read("tier", &tier)?;
        let prices = Prices::default()
            .with(PriceKey::Input, Some(read("price_input", &price_input)?))
            .with(PriceKey::Output, Some(read("price_output", &price_output)?));
        let mut change = cx.change(permit).await?;
        let tiers = store::models::tiers(&cx.store, change.org()).await.known()?;
        let tier_id = match tiers.iter().find(|known| known.name.eq_ignore_ascii_case(tier.as_str())) {
            Some(known) => known.id,
            None => store::models::insert_tier(&mut change, &tier, false).await.known()?,
        };
        let form = ModelForm {
            name: read("name", &name)?,
            provider: read("provider", &provider)?,
            upstream: if upstream.trim().is_empty() { name.trim().to_owned() } else { upstream },
            modality: Modality::Chat,
            tier: tier_id,
            context_tokens: read_some("context_tokens", &context_tokens)?,
            max_output_tokens: read_some("max_output_tokens", &max_output_tokens)?,
        };
        let from = change.at();
        // Typed in by a person who gave it a price: that is the decision the review asks for.
        let model = store::models::insert(&mut change, &form, Review::Accepted).await.known()?;
        let provider = store::providers::get(&cx.store, change.org(), form.provider).await.known()?;
        // Whoever takes the book's two prices takes the others with them: cached input has its own.
        let of_book =
            catalogue::in_book(&provider, &form.upstream).map(|listed| listed.dearest()).filter(|listed| {
                [PriceKey::Input, PriceKey::Output].iter().all(|key| listed.own(*key) == prices.own(*key))
            });
        let (prices, origin) = match of_book {
            Some(listed) => (listed, store::price_lists::book::book().origin()),
            None => (prices, Origin::TYPED),
        };
        store::prices::set(&mut change, model, from, &prices, origin).await.known()?;
        change.commit().await.known()?;
        let mut change = cx.change(widen).await?;
        let open = Say { state: State::Open, locked: false, ends_at: None };
        store::authorizations::set(&mut change, None, Target::Tier(tier_id), Some(open)).await.known()?;
        change.commit().await.known()?;
        Ok(Done::default().then("/welcome/group"))
    })
    .await
}

/// Makes a call with a secret through the gateway, as any program would.
#[server(prefix = "/console", endpoint = "setup/call")]
pub async fn try_call(secret: String, model: String, prompt: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{providers::Dialect, roles::Act};
    handle(|cx| async move {
        let org = cx.permit(Act::EditApplications)?.org();
        let models = store::models::list(&cx.store, org).await.known()?;
        let known = models.iter().find(|known| known.name == model).ok_or(AppError::NotFound)?;
        let provider = store::providers::get(&cx.store, org, known.provider.0).await.known()?;
        let route = match provider.dialect {
            Dialect::OpenAi => "/v1/chat/completions",
            Dialect::Anthropic => "/v1/messages",
        };
        let prompt: String = prompt.chars().take(500).collect();
        let body = serde_json::json!({
            "model": model, "max_tokens": 64, "messages": [{ "role": "user", "content": prompt }],
        });
        let ask = CallAsk { secret, route: route.to_owned(), body: body.to_string() };
        let (status, answer) = (cx.backend.hooks.call)(ask).await;
        let found = Once::Found {
            good: status == 200,
            sentence: format!("{route} answered with status {status}."),
            lines: vec![pretty(&answer)],
        };
        Ok(Done::once(found))
    })
    .await
}
