//! The directory: whatever the filter and the order, walking its pages meets everybody who matches
//! exactly once, in that order.

use std::collections::BTreeSet;

use domain::{
    directory::{Between, Filter, Sort, Standing},
    groups,
    ids::UserId,
    limits::{Mode, Scope},
    money::Money,
    users::{Role, UserRow, UserStatus},
};
use store::{
    directory::{self, Ask, Mark, Order},
    limits,
    rollups::Month,
    testing, users,
};

use crate::organization::{Organization, finished, spend};

const DEFAULT: Option<Money> = Some(Money(100_000));

/// Twenty people in all states, with few different names and figures, so that there are ties.
async fn people(org: &Organization) -> Vec<UserId> {
    let mut ids = vec![org.user];
    let mut change = org.change().await;
    for place in 0..20_usize {
        let form = users::UserForm {
            email: format!("p{place}@acme.example").parse().expect("an address"),
            name: ["Ann", "ann", "Bo_b", "Éva"][place % 4].parse().expect("a name"),
            role: if place % 5 == 0 { Role::Auditor } else { Role::Member },
        };
        let id = users::insert(&mut change, &form).await.expect("a person");
        // In none, in one, or in both: who is in Child and Parent comes behind who is in Child alone, and before
        // who is in Parent.
        for (group, is) in [(org.parent, place % 3 == 0), (org.child, place % 4 == 0)] {
            let standing = groups::Standing::Member;
            if is {
                store::groups::set_member(&mut change, group, id, standing, None).await.expect("a member");
            }
        }
        if place % 4 == 1 {
            users::set_suspended(&mut change, id, true).await.expect("suspended");
        }
        let cap = [None, Some(Money(0)), Some(Money(35_000)), Some(Money(i64::MAX))][place % 4];
        limits::set_month(&mut change, id, cap).await.expect("a limit");
        ids.push(id);
    }
    change.commit().await.expect("all of it");
    for place in [1, 2, 3, 5, 6, 7, 7, 7, 7, 7] {
        let mut event = finished(org.call());
        event.call.user = Some(ids[place]);
        org.book(&event).await;
    }
    ids
}

async fn walk(org: &Organization, filter: &Filter, order: Order, size: usize) -> Vec<UserRow> {
    let month = Month::current(&org.store, org.tenant.org).await.expect("a month");
    let ask = Ask { month: &month, default_limit: DEFAULT, filter, order };
    let (mut all, mut after) = (Vec::new(), None::<Mark>);
    let mut count;
    loop {
        let page = directory::page(&org.store, org.tenant.org, &ask, after.as_ref(), size).await;
        let directory::Found { rows, next, matching, .. } = page.expect("a page");
        assert!(rows.len() <= size);
        all.extend(rows);
        count = matching;
        // As an address carries it from page to page.
        let Some(next) = next else { break };
        after = Some(Mark::read(&next.to_string()).expect("a mark"));
        assert!(all.len() < 1_000, "it ends");
    }
    assert_eq!(count, all.len(), "{filter:?}");
    let ids = directory::ids(&org.store, org.tenant.org, &ask, usize::MAX).await.expect("ids");
    let walked: BTreeSet<UserId> = all.iter().map(|row| row.id).collect();
    assert_eq!(walked.len(), all.len(), "{order:?} shows nobody twice");
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), walked, "{filter:?}");
    all
}

/// The names of somebody's own groups as they stand beside them: of nobody's, behind all others.
fn groups_of(row: &UserRow) -> (bool, Vec<String>) {
    let own = row.groups.iter().filter(|badge| !badge.inherited);
    let names: Vec<String> = own.map(|badge| badge.name.to_lowercase()).collect();
    (names.is_empty(), names)
}

fn figure(row: &UserRow, by: Sort) -> i64 {
    let limit = row.limit(DEFAULT);
    match by {
        Sort::Name | Sort::Groups => 0,
        Sort::Status => UserStatus::ALL.iter().position(|status| *status == row.status).expect("one") as i64,
        Sort::Spend => row.spend.0,
        Sort::Limit => limit.map_or(i64::MAX, |limit| limit.0),
        Sort::Used => limit.map_or(-1, |limit| (row.spend.0 as f64 / limit.0.max(1) as f64 * 1e6) as i64),
        Sort::LastCall => row.last_call.map_or(-1, |at| at.timestamp_micros()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn walking_the_pages_in_any_order_meets_everybody_once_and_in_order() {
    let org = Organization::new().await;
    let ids = people(&org).await;
    let everybody = walk(&org, &Filter::default(), directory::BY_NAME, 1_000).await;
    // And the owner, who made the organization.
    assert_eq!(everybody.len(), ids.len() + 1);
    let several = everybody.iter().filter(|row| groups_of(row).1.len() > 1).count();
    assert!(several > 1, "some are in several");
    for by in Sort::ALL {
        for (down, size) in [(false, 1), (true, 4), (false, 7), (true, 100)] {
            let rows = walk(&org, &Filter::default(), Order { by: *by, down }, size).await;
            assert_eq!(rows.len(), everybody.len(), "{by} {down} {size}");
            let key = |row| (figure(row, *by), Some(groups_of(row)).filter(|_| *by == Sort::Groups));
            let keys: Vec<_> = rows.iter().map(key).collect();
            let ordered = if down { keys.is_sorted_by(|a, b| a >= b) } else { keys.is_sorted() };
            assert!(ordered, "{by} {down}: {keys:?}");
        }
    }
    let down = walk(&org, &Filter::default(), Order { by: Sort::Name, down: true }, 3).await;
    let up: Vec<UserId> = everybody.iter().map(|row| row.id).collect();
    assert_eq!(down.iter().rev().map(|row| row.id).collect::<Vec<_>>(), up, "the other way round");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_shows_those_of_whom_it_is_true_and_nobody_else() {
    let org = Organization::new().await;
    people(&org).await;
    let everybody = walk(&org, &Filter::default(), directory::BY_NAME, 1_000).await;
    let all = || everybody.iter();
    let check = async |filter: Filter, expected: Vec<UserId>| {
        let order = Order { by: Sort::Spend, down: true };
        let shown: BTreeSet<_> = walk(&org, &filter, order, 3).await.iter().map(|row| row.id).collect();
        assert_eq!(shown, expected.into_iter().collect(), "{filter:?}");
    };
    for status in UserStatus::ALL {
        let of = all().filter(|row| row.status == *status).map(|row| row.id).collect();
        check(Filter { status: Some(*status), ..Filter::default() }, of).await;
    }
    for role in Role::ALL {
        let of = all().filter(|row| row.role == *role).map(|row| row.id).collect();
        check(Filter { role: Some(*role), ..Filter::default() }, of).await;
    }
    for group in [org.parent, org.child] {
        let of = all().filter(|row| row.groups.iter().any(|badge| badge.group == group)).map(|row| row.id);
        let of: Vec<_> = of.collect();
        assert!(!of.is_empty());
        check(Filter { group: Some(group), ..Filter::default() }, of).await;
    }
    for (standing, is) in [
        (Standing::None, (|_, cap| cap == -1) as fn(i64, i64) -> bool),
        (Standing::Near, |used, cap| {
            cap >= 0 && used < cap && used.saturating_mul(5) >= cap.saturating_mul(4)
        }),
        (Standing::Over, |used, cap| cap >= 0 && used >= cap),
    ] {
        let of = all().filter(|row| is(row.spend.0, row.limit(DEFAULT).map_or(-1, |limit| limit.0)));
        let of: Vec<_> = of.map(|row| row.id).collect();
        assert_eq!(of.is_empty(), standing == Standing::None, "a default limit applies to all others");
        check(Filter { limit: Some(standing), ..Filter::default() }, of).await;
    }
    // Over and under an amount, which is itself neither.
    let amount = all().map(|row| row.spend).filter(|spend| spend.0 > 0).min().expect("somebody called");
    let most = all().map(|row| row.spend).max().expect("somebody");
    assert!(most > amount);
    let month = |over, under| Filter { month: Between { over, under }, ..Filter::default() };
    let spent = |is: &dyn Fn(Money) -> bool| -> Vec<UserId> {
        let of: Vec<_> = all().filter(|row| is(row.spend)).map(|row| row.id).collect();
        assert!(!of.is_empty() && of.len() < everybody.len());
        of
    };
    check(month(Some(amount), None), spent(&|spend| spend > amount)).await;
    check(month(None, Some(amount)), spent(&|spend| spend < amount)).await;
    check(month(Some(Money(0)), Some(most)), spent(&|spend| spend.0 > 0 && spend < most)).await;
    let capped = |is: &dyn Fn(Money) -> bool| -> Vec<UserId> {
        all().filter(|row| row.limit(DEFAULT).is_some_and(is)).map(|row| row.id).collect()
    };
    let cap = |over, under| Filter { cap: Between { over, under }, ..Filter::default() };
    let small = Money(35_000);
    check(cap(Some(small), None), capped(&|limit| limit > small)).await;
    check(cap(Some(Money(0)), DEFAULT), capped(&|limit| limit == small)).await;
    // `%`, `_` and `\` mean themselves.
    for (text, names) in [("o_b", 5), ("ANN", 10), ("%", 0), ("\\", 0), ("p1@acme", 1)] {
        let filter = Filter { search: text.to_owned(), ..Filter::default() };
        assert_eq!(walk(&org, &filter, directory::BY_NAME, 2).await.len(), names, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_of_another_organization_is_ever_shown() {
    let store = testing::store().await;
    let operator = testing::operator(&store).await;
    let org = Organization::in_store(&store, operator, "Acme").await;
    people(&org).await;
    let other = Organization::in_store(&org.store, operator, "Other").await;
    let ours: BTreeSet<_> =
        walk(&org, &Filter::default(), directory::BY_NAME, 5).await.iter().map(|row| row.id).collect();
    let theirs = walk(&other, &Filter::default(), Order { by: Sort::Used, down: true }, 5).await;
    assert_eq!(theirs.len(), 2, "its owner and one person");
    assert!(theirs.iter().all(|row| !ours.contains(&row.id)));
    let group = Filter { group: Some(org.child), ..Filter::default() };
    assert!(walk(&other, &group, directory::BY_NAME, 5).await.is_empty());
    let mut change = other.change().await;
    let refused = limits::set_month(&mut change, org.user, Some(Money(1))).await;
    assert!(matches!(refused, Err(store::StoreError::NotFound)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_ones_own_is_set_lowered_and_given_back_without_forgetting_how_it_is_kept() {
    let org = Organization::new().await;
    let meter = spend(Scope::User(org.user));
    let mut change = org.change().await;
    let form = limits::LimitForm { cap: 5, mode: Mode::Observe, thresholds: vec![10] };
    limits::set(&mut change, meter, &form, limits::Seen::Nothing).await.expect("a limit");
    assert_eq!(limits::set_month(&mut change, org.user, Some(Money(7))).await.expect("set"), Some(Money(5)));
    change.commit().await.expect("it");
    let facts = org.facts().await;
    let kept = &facts.limits[&meter.scope][0];
    assert_eq!((kept.cap, kept.mode, kept.thresholds.as_slice()), (7, Mode::Observe, &[10_u8][..]));
    let mut change = org.change().await;
    assert_eq!(limits::set_month(&mut change, org.user, None).await.expect("set"), Some(Money(7)));
    assert_eq!(limits::set_month(&mut change, org.user, None).await.expect("set"), None);
    change.commit().await.expect("it");
    assert!(!org.facts().await.limits.contains_key(&meter.scope));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_booked_or_changed_anywhere_is_on_the_next_page() {
    let org = Organization::new().await;
    let ids = people(&org).await;
    let there =
        Organization { store: testing::as_another_process(&org.store), tenant: org.tenant.clone(), ..org };
    let most = Order { by: Sort::Spend, down: true };
    let first = async |org: &Organization| walk(org, &Filter::default(), most, 5).await[0].id;
    assert_eq!((first(&org).await, first(&there).await), (ids[7], ids[7]), "both have read everybody");
    let book = async |user: UserId, times: usize| {
        for _ in 0..times {
            let mut event = finished(org.call());
            event.call.user = Some(user);
            assert!(org.book(&event).await);
        }
    };
    book(ids[9], 6).await;
    assert_eq!((first(&org).await, first(&there).await), (ids[9], ids[9]));

    // Whom a batch was about is forgotten before the other process asks.
    book(ids[2], 20).await;
    sqlx::query("update booked_people set booked_at = booked_at - interval '1 day'")
        .execute(org.store.pool())
        .await
        .expect("it is long ago");
    store::rolls::sweep(&org.store).await.expect("forgotten");
    assert_eq!((first(&org).await, first(&there).await), (ids[2], ids[2]));

    // Nobody spent anything; somebody is kept out.
    let mut change = org.change().await;
    users::set_suspended(&mut change, ids[2], true).await.expect("suspended");
    change.commit().await.expect("it");
    let suspended = Filter { status: Some(UserStatus::Suspended), ..Filter::default() };
    assert_eq!(walk(&there, &suspended, most, 5).await[0].id, ids[2]);
}
