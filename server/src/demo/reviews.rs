//! A review that is half done: opened this morning, with some of it confirmed and one thing dropped.

use chrono::{DateTime, Days, Duration, Utc};
use domain::{
    audit::Door,
    reviews::{ItemKind, Verdict},
    roles::Act,
};
use store::reviews::{self, Filter};

use super::stage::Stage;
use crate::Fatal;

/// Of which group.
const GROUP: &str = "Engineering";

/// Opens it and decides the first half of its memberships.
pub async fn perform(stage: &Stage, now: DateTime<Utc>) -> Result<(), Fatal> {
    let group = store::groups::by_path(&stage.store, stage.org, GROUP).await?;
    let at = now - Duration::minutes(20);
    let mut change = stage.change("olga", Door::Console, Act::ReviewAccess, None, at).await?;
    let due = stage.calendar.day(now) + Days::new(14);
    let review = reviews::open(&mut change, group, true, due).await?;
    change.commit().await?;
    let filter = Filter { kind: Some(ItemKind::Member), ..Filter::default() };
    let items = reviews::items(&stage.store, stage.org, review, filter, 1000).await?;
    let half: Vec<_> = items.iter().take(items.len() / 2).map(|item| item.id).collect();
    let at = now - Duration::minutes(12);
    let mut change = stage.change("olga", Door::Console, Act::ReviewAccess, None, at).await?;
    reviews::decide(&mut change, review, &half, Verdict::Confirm).await?;
    change.commit().await?;
    Ok(())
}
