//! The organization, its groups, its people.

use domain::{
    groups::{DEPTH_MAX, GroupKind, Standing},
    limits::{Metric, Mode},
    money::Money,
    names::{GroupName, Name},
    organizations::{BudgetStatus, MembersMay, WeekStart},
    users::Role,
    window::Window,
};

use crate::apply::{
    document::{Group, Limit, Membership, Organization, Settings, User},
    fields::Table,
    mistakes::quote,
};

pub fn organization(table: &Table<'_>) -> Option<Organization> {
    let name = table.need("name", "the name of the organization", Table::parsed);
    let settings = table.has_more_than("name").then(|| settings(table));
    table.done();
    Some(Organization { lines: table.lines(), name: name?, settings })
}

fn settings(table: &Table<'_>) -> Settings {
    let time_zone = table.text("time_zone").unwrap_or("UTC").trim();
    if let Err(error) = store::organizations::time_zone(time_zone) {
        table.wrong("time_zone", format!("{} This is {}.", super::sentence(&error), quote(time_zone)));
    }
    let contact: Option<Name> = table.parsed("contact");
    Settings {
        time_zone: time_zone.to_owned(),
        week_start: table.word("week_start").unwrap_or(WeekStart::Monday),
        default_user_limit: table.amount("default_user_limit"),
        budget_status: table.word("budget_status").unwrap_or(BudgetStatus::PaymentRequired),
        contact: contact.map(|contact| contact.as_str().to_owned()),
        members: MembersMay {
            applications: table.flag("member_applications").unwrap_or(true),
            requests: table.flag("member_requests").unwrap_or(true),
        },
        default_groups: table.texts("default_groups").unwrap_or_default(),
        limits: super::limits(table),
    }
}

pub fn group(table: &Table<'_>) -> Option<Group> {
    let path = table.need("path", "the path of the group, for instance \"Engineering/Research\"", path);
    let kind = table.word("kind").unwrap_or(GroupKind::Custom);
    let ends_on = table.day("ends_on");
    let policy = table.text("policy").map(str::to_owned);
    let limits = super::limits(table);
    Some(Group { lines: table.lines(), path: path?, kind, ends_on, policy, limits })
}

fn path(table: &Table<'_>, field: &'static str) -> Option<Vec<GroupName>> {
    let text = table.text(field)?;
    let names: Result<Vec<GroupName>, _> = text.split('/').map(str::parse).collect();
    match names {
        Ok(names) if names.len() > DEPTH_MAX => {
            table.wrong(
                field,
                format!("The tree of groups can be {DEPTH_MAX} levels deep; this is {}.", names.len()),
            );
            None
        }
        Ok(names) => Some(names),
        Err(error) => {
            table.wrong(field, format!("{error} This is {}.", quote(text)));
            None
        }
    }
}

pub fn user(table: &Table<'_>) -> Option<User> {
    let email = table.need("email", "an email address", Table::parsed);
    let name = table.need("name", "their name", Table::parsed);
    let role = table.word("role").unwrap_or(Role::Member);
    let suspended = table.flag("suspended").unwrap_or(false);
    let mut limits = super::limits(table);
    let monthly: Option<Money> = table.amount("monthly_limit");
    if let Some(cap) = monthly {
        if limits.iter().any(|limit| (limit.metric, limit.window) == (Metric::Spend, Window::Month)) {
            table.wrong(
                "monthly_limit",
                "There is a limit of spend a month in `limits` already. Keep one of them.",
            );
        }
        let mut lines = table.lines();
        lines.own = lines.of("monthly_limit");
        let (metric, window) = (Metric::Spend, Window::Month);
        limits.push(Limit { lines, metric, window, cap: cap.0, mode: Mode::Enforce, thresholds: Vec::new() });
    }
    let mut groups = Vec::<Membership>::new();
    for inner in table.tables("groups") {
        let read = membership(&inner);
        inner.done();
        let Some(membership) = read else { continue };
        if groups.iter().any(|known| known.path.to_lowercase() == membership.path.to_lowercase()) {
            inner.wrong("path", format!("The group {} is in this list already.", quote(&membership.path)));
            continue;
        }
        groups.push(membership);
    }
    Some(User { lines: table.lines(), email: email?, name: name?, role, suspended, limits, groups })
}

fn membership(table: &Table<'_>) -> Option<Membership> {
    let path = table.need("path", "the path of a group", Table::text);
    let lead = table.flag("lead").unwrap_or(false);
    let ends_at = table.moment("ends_at");
    let limits = super::limits(table);
    let standing = if lead { Standing::Lead } else { Standing::Member };
    Some(Membership { lines: table.lines(), path: path?.to_owned(), standing, ends_at, limits })
}
