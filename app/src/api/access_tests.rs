//! Pinned tests: what must stay true of who may use what.

use domain::access_tests::Expected;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{error::AppError, frame::Done};

/// A test and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestLine {
    /// Its id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// Whom it is about, and where that is.
    pub subject: (String, String),
    /// What it is about.
    pub target: String,
    /// What is expected.
    pub expected: Expected,
    /// Why it fails now; none: it holds.
    pub failure: Option<String>,
    /// Since which day, where no change broke it.
    pub since: Option<String>,
    /// Who pinned it, and when.
    pub pinned: String,
}

/// Every test, and what one could be about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tests {
    /// By name.
    pub tests: Vec<TestLine>,
    /// Whom: key and name.
    pub subjects: Vec<(String, String)>,
    /// What: key and name.
    pub targets: Vec<(String, String)>,
}

/// Every test with how it stands now.
#[server(prefix = "/console", endpoint = "access-tests/list")]
pub async fn load_access_tests() -> Result<Tests, AppError> {
    use crate::backend::*;
    use domain::{
        access_tests::{Subject, run},
        authorizations::Target,
        roles::Act,
        time,
        why::place,
    };
    handle(|cx| async move {
        let org = cx.permit(Act::ReadOrganization)?.org();
        let facts = store::access::current(&cx.store, org).await.known()?;
        let now = store::clock::now();
        let tests = store::access_tests::list(&cx.store, org).await.known()?;
        let tests = tests
            .into_iter()
            .map(|store::access_tests::Pinned { test, by, at, fails_since }| {
                let subject = match test.subject {
                    Subject::Group(id) => (place(&facts, Some(id)), format!("/groups/{id}")),
                    Subject::User(id) => {
                        let name = facts.users.get(&id).map_or("somebody", |user| &user.name);
                        (name.to_owned(), format!("/users/{id}"))
                    }
                    Subject::Key(key) => {
                        let known = facts.applications.iter().find(|(_, app)| app.key == key);
                        known.map_or_else(
                            || ("a key that is gone".to_owned(), String::new()),
                            |(id, app)| (format!("The key of {}", app.name), format!("/applications/{id}")),
                        )
                    }
                };
                let by = by.map(|name| format!("{name}, ")).unwrap_or_default();
                TestLine {
                    id: test.id.to_string(),
                    name: test.name.to_string(),
                    subject,
                    target: facts.target_name(test.target),
                    expected: test.expected,
                    failure: run(&facts, &test, now).err().map(|failure| failure.to_string()),
                    since: fails_since.map(|since| time::date(facts.calendar.day(since))),
                    pinned: format!("{by}{}", time::date(facts.calendar.day(at))),
                }
            })
            .collect();
        let mut subjects: Vec<(String, String)> = store::groups::paths(&cx.store, org)
            .await
            .known()?
            .into_iter()
            .map(|(id, path)| (format!("group:{id}"), format!("{path} (group)")))
            .collect();
        let users = store::users::names(&cx.store, org, 500).await.known()?;
        subjects
            .extend(users.into_iter().map(|(id, name, _)| (format!("user:{id}"), format!("{name} (user)"))));
        let mut keys: Vec<(String, String)> = facts
            .applications
            .values()
            .filter(|application| application.personal.is_none())
            .map(|application| (format!("key:{}", application.key), format!("{} (key)", application.name)))
            .collect();
        keys.sort_by(|a, b| a.1.cmp(&b.1));
        subjects.extend(keys);
        let models = store::models::list(&cx.store, org).await.known()?;
        let tiers = store::models::tiers(&cx.store, org).await.known()?;
        let mut targets: Vec<(String, String)> =
            models.into_iter().map(|model| (Target::Model(model.id).to_string(), model.name)).collect();
        targets.extend(
            tiers.into_iter().map(|tier| (Target::Tier(tier.id).to_string(), format!("Tier {}", tier.name))),
        );
        Ok(Tests { tests, subjects, targets })
    })
    .await
}

/// What a test that fails comes to.
pub const HELD_LATER: &str =
    "Nothing is refused because of it until it holds; from then on, no change is made that would break it.";

/// Pins a test.
#[server(prefix = "/console", endpoint = "access-tests/create")]
pub async fn create_access_test(
    name: String,
    subject: String,
    target: String,
    expected: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{access_tests::Subject, roles::Act};
    use store::access_tests::fails;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditAccessTests)?;
        let (kind, id) = subject.split_once(':').unwrap_or_default();
        let subject = match kind {
            "group" => Subject::Group(read("subject", id)?),
            "user" => Subject::User(read("subject", id)?),
            "key" => Subject::Key(read("subject", id)?),
            _ => return Err(AppError::field("subject", "Choose a group, a user or a key.")),
        };
        let target = target.parse().map_err(|_| AppError::field("target", "Choose a model or a tier."))?;
        let (name, expected) = (read("name", &name)?, read("expected", &expected)?);
        let mut change = cx.change(permit).await?;
        let id = store::access_tests::insert(&mut change, &name, subject, target, expected).await.known()?;
        let failure = fails(&mut change, id).await.known()?;
        change.commit().await.known()?;
        let said = match failure {
            None => "Pinned. No change is made that would break it.".to_owned(),
            Some(why) => format!("Pinned, and it fails now: {why}. {HELD_LATER}"),
        };
        Ok(Done::said(said).then("/authorization/tests"))
    })
    .await
}

/// Gives a test another name, or has it expect something else. `was` and `was_expected`: as it was shown.
#[server(prefix = "/console", endpoint = "access-tests/edit")]
pub async fn edit_access_test(
    id: String,
    was: String,
    was_expected: String,
    name: String,
    expected: String,
) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::{access_tests::Expected, ids::AccessTestId, names::Name, roles::Act};
    use store::access_tests::fails;
    handle(|cx| async move {
        let permit = cx.permit(Act::EditAccessTests)?;
        let (id, name): (AccessTestId, Name) = (read("id", &id)?, read("name", &name)?);
        let (before, expected): (Expected, Expected) =
            (read("was_expected", &was_expected)?, read("expected", &expected)?);
        let mut change = cx.change(permit).await?;
        store::access_tests::update(&mut change, id, (&was, before), &name, expected).await.known()?;
        let failure = fails(&mut change, id).await.known()?.filter(|_| before != expected);
        let undo = change
            .commit()
            .await
            .known()?
            .then(|| ways_back::access_test(id, (&was, before), (name.as_str(), expected)));
        let said = match failure {
            None => "Test saved.".to_owned(),
            Some(why) => format!("Test saved, and it fails now: {why}. {HELD_LATER}"),
        };
        Ok(Done::said(said).then("/authorization/tests").undone_by(undo))
    })
    .await
}

/// Takes a test away. `typed`: its name, typed out.
#[server(prefix = "/console", endpoint = "access-tests/remove")]
pub async fn remove_access_test(id: String, #[server(default)] typed: String) -> Result<Done, AppError> {
    use crate::backend::*;
    use domain::roles::Act;
    handle(|cx| async move {
        let mut change = cx.change(cx.permit(Act::EditAccessTests)?).await?;
        // Looked at before it is so: what was not meant is not committed.
        let name = store::access_tests::remove(&mut change, read("id", &id)?).await.known()?;
        typed_out(&typed, &name)?;
        change.commit().await.known()?;
        Ok(Done::said("Test removed. What it held may change again.").then("/authorization/tests"))
    })
    .await
}
