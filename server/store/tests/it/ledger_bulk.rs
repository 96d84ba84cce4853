//! Many calls in one transaction leave the same books as one after the other.

use chrono::{DateTime, Duration, Utc};
use domain::{
    groups::{GroupForm, GroupKind},
    ids::{ApplicationId, CallId, GroupId, KeyId, LimitId, ModelId, OrgId, ProviderId, SecretId, UserId},
    keys::{Features, KeyModels},
    limits::{Meter, Metric, Mode, Scope, Worst},
    money::Money,
    spend::Outcome,
    usage::{ToolUnits, Usage},
    users::Role,
    window::{Calendar, Window},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use store::{
    MasterKey, Store,
    applications::ApplicationForm,
    clock, groups,
    ledger::{self, Call, Event, Observer, Refusal, bulk},
    limits::{self, LimitForm},
    organizations, testing, users,
    users::UserForm,
};
use uuid::Uuid;

/// An organization with two groups, a person and an application, and limits on all of them.
struct World {
    org: OrgId,
    calendar: Calendar,
    path: Vec<GroupId>,
    application: ApplicationId,
    key: KeyId,
    secret: SecretId,
    user: UserId,
}

async fn connect(url: &str) -> Store {
    Store::connect(url, 8, MasterKey::new([7; 32])).await.expect("the database answers")
}

/// Two databases with the same world in them.
async fn twins() -> (Store, Store, World) {
    let url = testing::migrated_database().await;
    let store = connect(&url).await;
    let world = world(&store).await;
    store.close().await;
    let (server, after) = url.split_once('?').unwrap_or((&url, ""));
    let (server, name) = server.rsplit_once('/').expect("a URL with a database");
    let mut db =
        PgConnection::connect(&format!("{server}/postgres?{after}")).await.expect("the server answers");
    let copy = format!("create database {name}_twin template {name}");
    sqlx::query(AssertSqlSafe(copy)).execute(&mut db).await.expect("a copy");
    let twin = format!("{server}/{name}_twin?{after}");
    (connect(&url).await, connect(&twin).await, world)
}

async fn world(store: &Store) -> World {
    let operator = testing::operator(store).await;
    let tenant = testing::tenant(store, operator, "Acme").await;
    let mut change = tenant.change(store).await;
    let form = |name: &str| GroupForm {
        name: name.parse().expect("it works"),
        kind: GroupKind::Department,
        ends_on: None,
    };
    let top = groups::insert(&mut change, None, &form("Engineering")).await.expect("it works");
    let below = groups::insert(&mut change, Some(top), &form("Research")).await.expect("it works");
    let form = UserForm {
        email: "lin@acme.example".parse().expect("it works"),
        name: "Lin".parse().expect("it works"),
        role: Role::Member,
    };
    let user = users::insert(&mut change, &form).await.expect("it works");
    let form = ApplicationForm {
        name: "bot".parse().expect("it works"),
        description: String::new(),
        use_cases: vec!["triage".to_owned()],
    };
    let (application, key) =
        store::applications::insert(&mut change, below, &form, &KeyModels::All, Features::all())
            .await
            .expect("it works");
    let plain = store::keys::issue_service(&mut change, key, None).await.expect("it works");
    for (scope, metric, window) in [
        (Scope::Organization, Metric::Spend, Window::Month),
        (Scope::Group(top), Metric::Tokens, Window::Day),
        (Scope::Group(below), Metric::Requests, Window::Minute),
        (Scope::Application(application), Metric::OutputTokens, Window::Week),
        (Scope::Application(application), Metric::ConcurrentCalls, Window::Total),
        (Scope::User(user), Metric::Spend, Window::Month),
        (Scope::User(user), Metric::Requests, Window::Total),
        (Scope::Member(top, user), Metric::InputTokens, Window::Hour),
    ] {
        let form = LimitForm { cap: 1 << 50, mode: Mode::Enforce, thresholds: vec![80] };
        limits::set(&mut change, Meter { scope, metric, window }, &form, limits::Seen::Nothing)
            .await
            .expect("it works");
    }
    change.commit().await.expect("it works");
    let hash = store::keys::lookup_hash(store, plain.reveal()).expect("it works");
    let known = store::keys::known(store, tenant.org).await.expect("it works");
    World {
        org: tenant.org,
        calendar: organizations::calendar(store, tenant.org).await.expect("it works"),
        path: vec![top, below],
        application,
        key,
        secret: known.iter().find(|secret| secret.hash == hash).expect("it works").id,
        user,
    }
}

impl World {
    /// A call with figures that depend on its number; every third names no person.
    fn event(&self, number: u64, at: DateTime<Utc>) -> Event {
        let user = (!number.is_multiple_of(3)).then_some(self.user);
        let usage = Usage {
            input: 100 + number,
            cache_read: number % 7,
            cache_write: number % 5,
            cache_write_long: number % 2,
            output: 10 + number % 11,
            reasoning: number % 3,
            audio_input: number % 4,
            audio_output: number % 6,
            images: 0,
            tools: ToolUnits { web_searches: number % 3, ..ToolUnits::default() },
        };
        let failed = number % 10 == 9;
        Event {
            finished_at: at + Duration::milliseconds(800),
            first_byte_ms: (!failed).then_some(120),
            duration_ms: 800,
            outcome: if failed { Outcome::UpstreamError } else { Outcome::Ok },
            status: if failed { 500 } else { 200 },
            usage,
            cost: Money(1_000 + i64::try_from(number).expect("it works")),
            estimated: number.is_multiple_of(8),
            marks: store::ledger::Marks::default(),
            call: Call {
                id: CallId(Uuid::from_u128(u128::from(number) + 1)),
                org: self.org,
                started_at: at,
                application: self.application,
                key: self.key,
                secret: self.secret,
                path: self.path.clone(),
                user,
                member_of: if user.is_some() { self.path.clone() } else { Vec::new() },
                model: ModelId(Uuid::from_u128(77 + u128::from(number % 2))),
                provider: ProviderId(Uuid::from_u128(99)),
                authorization: None,
                beside: None,
                grant: None,
                policy: None,
                use_case: if number.is_multiple_of(2) { "triage".to_owned() } else { String::new() },
                session: format!("s-{}", number / 4),
                client_request: String::new(),
                route: "/v1/chat/completions".to_owned(),
                streamed: number % 2 == 1,
                features: Features::from_bits(i32::try_from(number % 5).expect("it works")),
                worst: Worst { input_tokens: 200, output_tokens: 50, cost: Money(1_030) },
                priced_at: Some(at - Duration::days(3)),
                guarded: Vec::new(),
            },
        }
    }

    /// Two hundred calls over five days, across a month's and a summer time's end.
    fn events(&self) -> Vec<Event> {
        let first: DateTime<Utc> = "2026-10-24T20:00:00.123456Z".parse().expect("it works");
        (0..200)
            .map(|number| {
                self.event(
                    number,
                    first + Duration::seconds(3_999) * i32::try_from(number).expect("it works"),
                )
            })
            .collect()
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.events()
            .iter()
            .step_by(9)
            .map(|event| Refusal {
                id: CallId(Uuid::from_u128(event.call.id.0.as_u128() + 10_000)),
                org: self.org,
                at: event.call.started_at,
                application: self.application,
                secret: self.secret,
                path: self.path.clone(),
                user: event.call.user,
                member_of: event.call.member_of.clone(),
                client_request: String::new(),
                model: "big-chat".to_owned(),
                model_id: None,
                features: Features::default(),
                status: 402,
                code: "budget_exceeded".to_owned(),
                message: "Research has used $5.00 of $5.00 this month.".to_owned(),
                detail: serde_json::json!({ "reason": "budget_exceeded" }),
                observer: event.estimated.then_some(Observer::Limit(LimitId(Uuid::from_u128(7)))),
            })
            .collect()
    }
}

/// Everything booking writes, as text in a fixed order.
async fn books(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    for table in ["events", "refusals", "windows", "leases", "usage_by_day", "group_paths", "member_sets"] {
        let text = format!("select '{table} ' || to_jsonb(t)::text from {table} t order by 1");
        all.extend(
            sqlx::query_scalar::<_, String>(AssertSqlSafe(text))
                .fetch_all(store.pool())
                .await
                .expect("it works"),
        );
    }
    let used =
        "select 'secret ' || secret_id || ' ' || coalesce(last_used_at::text, '') from secrets order by 1";
    all.extend(sqlx::query_scalar::<_, String>(used).fetch_all(store.pool()).await.expect("it works"));
    all
}

#[tokio::test]
async fn a_batch_leaves_the_same_books_as_one_call_after_the_other() {
    let (one, many, world) = twins().await;
    let (events, refusals) = (world.events(), world.refusals());
    for event in &events {
        assert!(ledger::book(&one, world.calendar, event).await.expect("it works"));
    }
    for refusal in &refusals {
        bulk::refuse(&one, world.org, world.calendar, std::slice::from_ref(refusal)).await.unwrap();
    }
    for batch in events.chunks(70) {
        assert_eq!(bulk::book(&many, world.org, world.calendar, batch, None).await.unwrap(), batch.len());
    }
    assert_eq!(
        bulk::refuse(&many, world.org, world.calendar, &refusals).await.expect("it works"),
        refusals.len()
    );
    let (one, many) = (books(&one).await, books(&many).await);
    assert!(one.len() > 400, "{}", one.len());
    for (one, many) in one.iter().zip(&many) {
        assert_eq!(one, many);
    }
    assert_eq!(one.len(), many.len());
}

#[tokio::test]
async fn what_is_booked_already_counts_no_second_time() {
    let (store, _, world) = twins().await;
    let events = world.events();
    ledger::book(&store, world.calendar, &events[3]).await.expect("it works");
    let twice: Vec<Event> = events[..10].iter().chain(&events[5..10]).cloned().collect();
    assert_eq!(bulk::book(&store, world.org, world.calendar, &twice, None).await.unwrap(), 9);
    let before = books(&store).await;
    assert_eq!(bulk::book(&store, world.org, world.calendar, &twice, None).await.unwrap(), 0);
    assert_eq!(bulk::book(&store, world.org, world.calendar, &[], None).await.unwrap(), 0);
    let refusals = world.refusals();
    bulk::refuse(&store, world.org, world.calendar, &refusals).await.expect("it works");
    assert_eq!(bulk::refuse(&store, world.org, world.calendar, &refusals).await.expect("it works"), 0);
    let events_now: Vec<String> = books(&store)
        .await
        .into_iter()
        .filter(|row| row.starts_with("windows") || row.starts_with("events"))
        .collect();
    let events_before: Vec<String> =
        before.into_iter().filter(|row| row.starts_with("windows") || row.starts_with("events")).collect();
    assert_eq!(events_now, events_before);
}

#[tokio::test]
async fn batches_that_overlap_and_come_at_once_count_each_call_once() {
    let (one, many, world) = twins().await;
    let events = world.events();
    for event in &events {
        ledger::book(&one, world.calendar, event).await.expect("it works");
    }
    let backwards: Vec<Event> = events.iter().rev().cloned().collect();
    let book = |events: Vec<Event>| {
        let store = many.clone();
        async move {
            for batch in events.chunks(33) {
                bulk::book(&store, world.org, world.calendar, batch, None).await.unwrap();
            }
        }
    };
    tokio::join!(book(events[..150].to_vec()), book(events[50..].to_vec()), book(backwards));
    assert_eq!(books(&one).await, books(&many).await);
}

#[tokio::test]
async fn a_call_of_another_organization_keeps_the_whole_batch_out() {
    let (store, _, world) = twins().await;
    let mut events = world.events();
    events[7].call.org = clock::id();
    let before = books(&store).await;
    assert!(bulk::book(&store, world.org, world.calendar, &events, None).await.is_err());
    let mut refusals = world.refusals();
    refusals[1].org = clock::id();
    assert!(bulk::refuse(&store, world.org, world.calendar, &refusals).await.is_err());
    assert_eq!(books(&store).await, before);
}
