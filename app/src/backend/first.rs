//! Who was first, where two edited the same thing: told apart by what its form was about.

use domain::{
    ids::of_any,
    limits::{Meter, Metric, Scope},
    roles::Actor,
    window::Window,
};
use store::{Store, seen::Edited};

/// Who changed last what a form is about that goes to the server function at `to`, as the subject of a sentence.
/// None: the log does not know.
pub async fn with(store: &Store, actor: &Actor, to: &str, fields: &[(String, String)]) -> Option<String> {
    let edited = edited(to.trim_start_matches("/console/"), actor, fields)?;
    store::seen::first(store, actor.org, actor.user, edited).await.ok().flatten()
}

fn edited(to: &str, actor: &Actor, fields: &[(String, String)]) -> Option<Edited> {
    let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
    let id = |name: &str| field(name).and_then(of_any);
    let noun = to.split('/').next().unwrap_or_default();
    Some(match (noun, to) {
        (_, "users/limit") => Edited::Limit(Meter {
            scope: Scope::User(field("id")?.parse().ok()?),
            metric: Metric::Spend,
            window: Window::Month,
        }),
        ("limits", _) => Edited::Limit(Meter {
            scope: Scope::from_key(field("scope")?)?,
            metric: field("metric")?.parse().ok()?,
            window: field("window")?.parse().ok()?,
        }),
        (_, "groups/edit-member") => {
            Edited::Member(field("group")?.parse().ok()?, field("user")?.parse().ok()?)
        }
        ("keys", _) => Edited::Thing(id("key")?),
        ("prompts", _) => Edited::Thing(id("application")?),
        ("organizations" | "alerts", _) | (_, "requests/edit-rule") => Edited::Thing(actor.org.0),
        _ => Edited::Thing(id("id")?),
    })
}
