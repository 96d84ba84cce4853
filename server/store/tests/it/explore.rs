//! What the explorer says is what the ledger says, to the nano-dollar: each measure by each split in
//! each step of time, its totals, and its file. The other side is the raw ledger, put together here.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc, Weekday};
use domain::{
    calls::{End, Ended},
    csv,
    durations::{Durations, class},
    explore::{By, Explored, Interval, Measure, NONE, Period},
    groups::Standing,
    ids::{ApplicationId, GroupId, KeyId, ModelId, ProviderId, TierId, UserId},
    keys::{Feature, Features, KeyModels},
    models::Review,
    money::{Money, NANOS, Price},
    prices::{PriceKey, Prices},
    roles::{Act, Place, permit},
    spend::{Outcome, Sums},
    usage::Usage,
    users::Role,
};
use sqlx::Row as _;
use store::{
    applications, books, calls, clock,
    explore::{Question, ask},
    groups, ledger, models, organizations, reports,
    rollups::{Which, Without},
    users,
};
use uuid::Uuid;

use crate::organization::{Organization, finished, group, model_form};

/// A line of the ledger, with everything it can be split by.
struct Line {
    day: NaiveDate,
    keys: HashMap<By, Vec<String>>,
    path: Vec<Uuid>,
    members: Vec<Uuid>,
    application: Uuid,
    user: Uuid,
    model: Uuid,
    sums: Sums,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

fn day(text: &str) -> NaiveDate {
    text.parse().expect("a day")
}

/// What a calendar is bad at in Berlin, and in UTC: midnights, both changes of the clocks, a leap day,
/// the ends of weeks, months and the year.
const BERLIN: (&str, &[&str]) = (
    "Europe/Berlin",
    &[
        // Midnights of Berlin, winter and summer.
        "2023-12-31T23:00:00Z",
        "2024-01-31T23:00:00Z",
        "2024-03-30T23:00:00Z",
        "2024-04-30T22:00:00Z",
        "2024-10-26T22:00:00Z",
        "2024-10-27T23:00:00Z",
        // The hour that is not there, and the one that is there twice.
        "2024-03-31T01:00:00Z",
        "2024-10-27T00:30:00Z",
        "2024-10-27T01:30:00Z",
        // Midnights of UTC, a leap day.
        "2024-01-01T00:00:00Z",
        "2024-02-29T00:00:00Z",
        "2024-03-01T00:00:00Z",
        "2024-11-01T00:00:00Z",
    ],
);

/// The same of Santiago, where the clocks are changed at midnight.
const SANTIAGO: (&str, &[&str]) = (
    "America/Santiago",
    &[
        // Midnights of Santiago, summer and winter.
        "2024-01-01T03:00:00Z",
        "2024-02-29T03:00:00Z",
        "2024-03-01T03:00:00Z",
        "2024-05-01T04:00:00Z",
        "2025-01-01T03:00:00Z",
        // The hour before midnight that is there twice, and the end of that day.
        "2024-04-07T02:30:00Z",
        "2024-04-07T03:30:00Z",
        "2024-04-07T04:00:00Z",
        // A day that begins at one o'clock, and the one after.
        "2024-09-08T04:00:00Z",
        "2024-09-09T03:00:00Z",
        // Midnights of UTC.
        "2024-01-01T00:00:00Z",
        "2024-06-01T00:00:00Z",
    ],
);

/// Calls around edges.
fn moments(edges: &[&str]) -> Vec<DateTime<Utc>> {
    let beside = |edge: &&str| {
        let edge = at(edge);
        [edge - TimeDelta::microseconds(1), edge, edge + TimeDelta::microseconds(1)]
    };
    edges.iter().flat_map(beside).collect()
}

struct World {
    acme: Organization,
    zone: &'static str,
    applications: Vec<ApplicationId>,
    users: Vec<Option<UserId>>,
    models: Vec<ModelId>,
    paths: Vec<Vec<GroupId>>,
}

async fn world(zone: &'static str) -> World {
    let acme = Organization::new().await;
    let now = organizations::get(&acme.store, acme.tenant.org).await.expect("the organization");
    let settings = organizations::Settings {
        name: now.name.parse().expect("a name"),
        time_zone: zone.to_owned(),
        week_start: now.week_start,
        default_user_limit: now.default_user_limit,
        budget_status: now.budget_status,
        contact: now.contact,
    };
    let mut change = acme.change().await;
    organizations::update(&mut change, now.version, &settings).await.expect("a time zone");
    let other = groups::insert(&mut change, None, &group("Other")).await.expect("a group");
    let tier =
        models::insert_tier(&mut change, &"High".parse().expect("a name"), false).await.expect("a tier");
    let form = model_form("large", acme.provider, tier);
    let large = models::insert(&mut change, &form, Review::Accepted).await.expect("a model");
    let mut made = vec![acme.application];
    for (name, place) in [("=sum(1)", acme.parent), ("Zwei, \"drei\"", other)] {
        let form = applications::ApplicationForm {
            name: name.parse().expect("a name"),
            description: String::new(),
            use_cases: Vec::new(),
        };
        let inserted =
            applications::insert(&mut change, place, &form, &KeyModels::All, Features::all()).await;
        made.push(inserted.expect("an application").0);
    }
    let form = users::UserForm {
        email: "vera@acme.example".parse().expect("an address"),
        name: "Vera".parse().expect("a name"),
        role: Role::Member,
    };
    let vera = users::insert(&mut change, &form).await.expect("a user");
    groups::set_member(&mut change, other, vera, Standing::Member, None).await.expect("a member");
    change.commit().await.expect("all of it");
    World {
        users: vec![Some(acme.user), Some(vera), None],
        models: vec![acme.model, large],
        // The first application has calls from three places: it moved.
        paths: vec![vec![acme.parent, acme.child], vec![acme.parent], vec![other]],
        applications: made,
        acme,
        zone,
    }
}

/// Books calls and refusals of every kind, in an order that says nothing.
async fn fill(world: &World, moments: impl IntoIterator<Item = DateTime<Utc>>) {
    let acme = &world.acme;
    let calendar = acme.facts().await.calendar;
    let features = [Features::default(), Features::default().with(Feature::Streaming), Features::all()];
    let outcomes = [Outcome::Ok, Outcome::UpstreamError, Outcome::HungUp, Outcome::Lost, Outcome::Ok];
    let (mut events, mut refusals) = (Vec::new(), Vec::new());
    for (place, at) in moments.into_iter().flat_map(|at| [at, at + TimeDelta::seconds(1)]).enumerate() {
        let n = u64::try_from(place).expect("a number");
        let cost = i64::try_from((n * 7_919_777_771 + 1) % 5_000_000_003).expect("a cost");
        let application = world.applications[place % 3];
        let path = if place % 3 == 0 { &world.paths[place % 9 / 3] } else { &world.paths[place % 3] };
        let user = world.users[place / 3 % 3];
        let member_of = if user == Some(acme.user) { vec![acme.parent, acme.child] } else { Vec::new() };
        let call = ledger::Call {
            id: clock::id(),
            started_at: at,
            application,
            path: path.clone(),
            user,
            member_of,
            model: world.models[place % 5 % 2],
            use_case: ["", "=1+1", "Übersetzung", "a,b"][place % 4].to_owned(),
            features: features[place % 7 % 3],
            ..acme.call()
        };
        refusals.push(ledger::Refusal {
            id: clock::id(),
            org: acme.tenant.org,
            at,
            application,
            secret: acme.secret,
            path: path.clone(),
            user,
            member_of: call.member_of.clone(),
            features: call.features,
            client_request: String::new(),
            model: "small".to_owned(),
            model_id: (place % 2 == 0).then_some(acme.model),
            status: 402,
            code: "budget_exceeded".to_owned(),
            message: String::new(),
            detail: serde_json::json!({}),
            observer: (place % 5 == 0)
                .then_some(ledger::Observer::Rule(domain::ids::AuthorizationId(Uuid::nil()))),
        });
        let usage = Usage {
            input: n * 3,
            cache_read: n % 4,
            cache_write: n % 3,
            cache_write_long: n % 5,
            output: n * 2 + 1,
            reasoning: n % 6,
            audio_input: n % 7,
            audio_output: n % 8,
            ..Usage::default()
        };
        let cached = (place % 11 == 0).then_some(Money(cost + 1));
        events.push(ledger::Event {
            finished_at: at,
            duration_ms: i32::try_from(place * 37 % 991).expect("a duration"),
            outcome: outcomes[place % 5],
            usage,
            cost: if cached.is_some() { Money::ZERO } else { Money(cost) },
            marks: ledger::Marks { cached, answer: None },
            ..finished(call)
        });
    }
    // Out of order and in pieces.
    events.reverse();
    for part in events.chunks(17) {
        ledger::bulk::book(&acme.store, acme.tenant.org, calendar, part, None).await.expect("booked");
    }
    ledger::bulk::refuse(&acme.store, acme.tenant.org, calendar, &refusals).await.expect("refused");
}

/// What the calls were made in is moved and put away; what they cost is not.
async fn put_away(world: &World) {
    let acme = &world.acme;
    let mut change = acme.change().await;
    groups::move_to(&mut change, acme.child, None).await.expect("it moves");
    applications::archive(&mut change, acme.application).await.expect("it is put away");
    groups::archive(&mut change, acme.child).await.expect("it is put away");
    change.commit().await.expect("all of it");
}

/// Every line of the ledger and every refusal. Postgres says which day it was there.
async fn lines(world: &World) -> Vec<Line> {
    let acme = &world.acme;
    let id = |row: &sqlx::postgres::PgRow, name: &str| row.get::<Option<Uuid>, _>(name).unwrap_or_default();
    let count = |row: &sqlx::postgres::PgRow, name: &str| row.get::<i64, _>(name);
    let rows = sqlx::query(
        "select (e.started_at at time zone $5)::date as day, p.groups as path, coalesce(s.groups, '{}') as members, e.application_id, e.user_id, e.model_id,
                m.tier_id, e.use_case, e.features, 1::bigint as calls, (e.outcome = 'upstream_error')::int::bigint as failed, 0::bigint as refused,
                e.cost, e.input + e.audio_input as input, e.cache_read, e.cache_write + e.cache_write_long as cache_write,
                e.output + e.audio_output as output, e.reasoning, e.duration_ms::bigint as duration_ms, e.cached::int::bigint as cached, e.saved,
                (select key_id from keys k where k.org_id = e.org_id and k.application_id = e.application_id) as key_id, m.provider_id
         from events e
         join group_paths p on p.org_id = e.org_id and p.path_id = e.path_id
         left join member_sets s on s.org_id = e.org_id and s.set_id = e.set_id
         join models m on m.org_id = e.org_id and m.model_id = e.model_id
         where e.org_id = $1
         union all
         select (r.at at time zone $5)::date, w.path, w.members, r.application_id, r.user_id, r.model_id, m.tier_id, '', r.features,
                0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, (select key_id from keys k where k.org_id = r.org_id and k.application_id = r.application_id),
                m.provider_id
         from refusals r
         left join models m on m.org_id = r.org_id and m.model_id = r.model_id
         cross join lateral (select case r.group_id when $2 then array[$3, $2] else array[r.group_id] end as path,
                                    case r.user_id when $4 then array[$2, $3] else '{}' end as members) w
         where r.org_id = $1 and not r.observed",
    )
    .bind(acme.tenant.org.0)
    .bind(acme.child.0)
    .bind(acme.parent.0)
    .bind(acme.user.0)
    .bind(world.zone)
    .fetch_all(acme.store.pool())
    .await
    .expect("the ledger");
    rows.iter()
        .map(|row| {
            let path: Vec<Uuid> = row.get("path");
            let (application, user, model) =
                (id(row, "application_id"), id(row, "user_id"), id(row, "model_id"));
            let (tier, provider) = (id(row, "tier_id"), id(row, "provider_id"));
            let named = |id: Uuid, text: String| vec![if id.is_nil() { NONE.to_owned() } else { text }];
            let label: String = row.get("use_case");
            let bits: i32 = row.get("features");
            let mut used: Vec<String> = Feature::ALL
                .iter()
                .filter(|feature| Features::default().with(**feature).bits() & bits != 0)
                .map(ToString::to_string)
                .collect();
            if used.is_empty() {
                used.push(NONE.to_owned());
            }
            let keys = HashMap::from([
                (By::Group, vec![GroupId(path[0]).to_string()]),
                (By::Application, named(application, ApplicationId(application).to_string())),
                (By::Key, vec![KeyId(id(row, "key_id")).to_string()]),
                (By::Provider, named(provider, ProviderId(provider).to_string())),
                (By::User, named(user, UserId(user).to_string())),
                (By::Model, named(model, ModelId(model).to_string())),
                (By::Tier, named(tier, TierId(tier).to_string())),
                (By::UseCase, vec![if label.is_empty() { NONE.to_owned() } else { label }]),
                (By::Feature, used),
            ]);
            let sums = Sums {
                calls: count(row, "calls"),
                failed: count(row, "failed"),
                refused: count(row, "refused"),
                spend: Money(count(row, "cost")),
                input: count(row, "input"),
                cache_read: count(row, "cache_read"),
                cache_write: count(row, "cache_write"),
                output: count(row, "output"),
                reasoning: count(row, "reasoning"),
                duration_ms: count(row, "duration_ms"),
                cached: count(row, "cached"),
                saved: Money(count(row, "saved")),
                durations: match count(row, "calls") {
                    0 => Durations::default(),
                    calls => Durations::of(
                        class(i32::try_from(count(row, "duration_ms")).expect("a duration")),
                        calls,
                    ),
                },
            };
            Line {
                day: row.get("day"),
                keys,
                members: row.get("members"),
                application,
                user,
                model,
                path,
                sums,
            }
        })
        .collect()
}

fn sum<'a>(lines: impl IntoIterator<Item = &'a Line>) -> Sums {
    lines.into_iter().map(|line| line.sums).sum()
}

/// An amount of the file, as it was before it was written.
fn read(measure: Measure, text: &str) -> i64 {
    if !matches!(measure, Measure::Spend | Measure::Saved) {
        return text.parse().expect("a count");
    }
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let nanos: i64 = format!("{rest:0<9}").parse().expect("digits");
    whole.parse::<i64>().expect("dollars") * NANOS + nanos
}

/// The same without how long calls took, unless that is told.
fn told(sums: Sums, told: bool) -> Sums {
    if told { sums } else { Sums { durations: Durations::default(), ..sums } }
}

/// The table, its totals and its file against the lines it is made of. `durations`: whether it says
/// how long calls took.
fn agree(table: &Explored, lines: &[&Line], durations: bool, what: &str) {
    let Explored { measure, by, period, .. } = *table;
    let inside = |line: &&&Line| line.day >= period.from && line.day < period.to;
    let amount = |sums: &Sums| measure.of(sums);
    let whole = told(sum(lines.iter().filter(inside).copied()), durations);
    assert_eq!(table.total(), whole, "{what}: in all");
    let before =
        sum(lines.iter().filter(|line| line.day >= table.before.from && line.day < table.before.to).copied());
    let before = told(before, durations);
    assert_eq!(table.total_before(), before, "{what}: before");
    let top: Vec<&str> = table.rows.iter().filter_map(|row| row.key.as_deref()).collect();
    for (place, (from, to)) in table.steps.iter().enumerate() {
        let step: Vec<&Line> =
            lines.iter().filter(|line| line.day >= *from && line.day < *to).copied().collect();
        assert_eq!(table.step(place), told(sum(step.iter().copied()), durations), "{what}: {from}");
        for row in &table.rows {
            let of_row = step.iter().filter(|line| match row.key.as_deref() {
                Some(key) => line.keys[&by].iter().any(|other| other == key),
                None => line.keys[&by].iter().all(|other| !top.contains(&other.as_str())),
            });
            assert_eq!(
                row.cells[place],
                told(sum(of_row.copied()), durations),
                "{what}: {} on {from}",
                row.name
            );
        }
    }
    let file = csv::read(&table.csv()).expect("a table");
    let written: Vec<i64> = file[1..].iter().map(|line| read(measure, &line.cells[4])).collect();
    // Where things overlap, lines for all of it come after theirs.
    let all = table.whole.iter().filter(|_| by.overlaps());
    let cells = table.rows.iter().chain(all).flat_map(|row| &row.cells);
    let shown: Vec<i64> = cells.filter(|sums| **sums != Sums::default()).filter_map(amount).collect();
    assert_eq!(written, shown, "{what}: the file");
    if measure.adds_up() && !by.overlaps() {
        assert_eq!(Some(written.iter().sum::<i64>()), amount(&whole), "{what}: the file in all");
    }
}

#[tokio::test]
async fn every_measure_by_every_split_is_what_the_ledger_says() {
    let world = world(BERLIN.0).await;
    fill(&world, moments(BERLIN.1)).await;
    put_away(&world).await;
    let acme = &world.acme;
    let lines = lines(&world).await;
    let (year, year_before) = (Period { from: day("2024-01-01"), to: day("2025-01-01") }, day("2023-01-01"));
    let spring = Period { from: day("2024-02-29"), to: day("2024-10-30") };
    let today = year.last();
    type Keep = Box<dyn Fn(&Line) -> bool>;
    let (streaming, streamed) =
        (Features::default().with(Feature::Streaming), Feature::Streaming.to_string());
    let (parent, user, model, app) = (acme.parent.0, acme.user.0, acme.model.0, acme.application.0);
    let child = acme.child.0;
    let whichs: [(&str, Which, Keep); 12] = [
        ("everything", Which::default(), Box::new(|_| true)),
        (
            "a group",
            Which { group: Some(acme.parent), ..Which::default() },
            Box::new(move |line| line.path.contains(&parent)),
        ),
        (
            "its members",
            Which { group: Some(acme.parent), members: true, ..Which::default() },
            Box::new(move |line| line.members.contains(&parent)),
        ),
        (
            "an application",
            Which { application: Some(acme.application), ..Which::default() },
            Box::new(move |line| line.application == app),
        ),
        (
            "a person",
            Which { user: Some(acme.user), ..Which::default() },
            Box::new(move |line| line.user == user),
        ),
        (
            "a model",
            Which { model: Some(acme.model), ..Which::default() },
            Box::new(move |line| line.model == model),
        ),
        (
            "a person with a model",
            Which { user: Some(acme.user), model: Some(acme.model), ..Which::default() },
            Box::new(move |line| line.user == user && line.model == model),
        ),
        (
            "a group with a feature",
            Which { group: Some(acme.parent), features: Some(streaming), ..Which::default() },
            Box::new(move |line| line.path.contains(&parent) && line.keys[&By::Feature].contains(&streamed)),
        ),
        (
            "all but an application",
            Which { without: Without { applications: vec![app], ..Without::default() }, ..Which::default() },
            Box::new(move |line| line.application != app),
        ),
        (
            "all but a model",
            Which { without: Without { models: vec![model], ..Without::default() }, ..Which::default() },
            Box::new(move |line| line.model != model),
        ),
        (
            "a group without one below it and without those who have no use case",
            Which {
                group: Some(acme.parent),
                without: Without {
                    groups: vec![child],
                    use_cases: vec![String::new()],
                    ..Without::default()
                },
                ..Which::default()
            },
            Box::new(move |line| {
                line.path.contains(&parent)
                    && !line.path.contains(&child)
                    && !line.keys[&By::UseCase].contains(&NONE.to_owned())
            }),
        ),
        (
            "all but a person",
            Which { without: Without { users: vec![user], ..Without::default() }, ..Which::default() },
            Box::new(move |line| line.user != user),
        ),
    ];
    assert!(
        lines.iter().map(|line| line.sums.spend.0).sum::<i64>() > 100 * NANOS,
        "there is something to add up"
    );
    for (name, which, keep) in &whichs {
        let kept: Vec<&Line> = lines.iter().filter(|line| keep(line)).collect();
        for by in By::ALL {
            // Groups below a group are told apart by its own level, members' by the top.
            if *by == By::Group && which.group.is_some() {
                continue;
            }
            for (measure, interval, period) in
                [(Interval::Month, year), (Interval::Week, spring), (Interval::Day, spring)]
                    .into_iter()
                    .flat_map(|(interval, period)| {
                        Measure::ALL.iter().map(move |measure| (*measure, interval, period))
                    })
            {
                // Once with every measure is enough: the others are the same sums in another order.
                let every = interval == Interval::Month && *name == "everything";
                if !every && !matches!(measure, Measure::Spend | Measure::Latency | Measure::Median) {
                    continue;
                }
                let before = Period { from: year_before, to: period.from };
                let question = Question {
                    measure,
                    by: *by,
                    interval,
                    period,
                    before,
                    top: 2,
                    week_start: Weekday::Mon,
                    today,
                };
                let table = ask(&acme.store, acme.tenant.org, which, &question).await.expect("an answer");
                agree(
                    &table,
                    &kept,
                    measure.is_percentile(),
                    &format!("{name}: {measure} by {by} and {interval}"),
                );
            }
        }
    }
}

/// What a table names, left out.
fn left_out(by: By, key: &str) -> Without {
    let none = || vec![Uuid::nil()];
    let all = Without::default();
    match (by, key) {
        (By::Application, key) => {
            Without { applications: vec![key.parse::<ApplicationId>().expect("one").0], ..all }
        }
        (By::User, NONE) => Without { users: none(), ..all },
        (By::User, key) => Without { users: vec![key.parse::<UserId>().expect("one").0], ..all },
        (By::Model, NONE) => Without { models: none(), ..all },
        (By::Model, key) => Without { models: vec![key.parse::<ModelId>().expect("one").0], ..all },
        (By::Tier, NONE) => Without { tiers: none(), ..all },
        (By::Tier, key) => Without { tiers: vec![key.parse::<TierId>().expect("one").0], ..all },
        (By::Provider, NONE) => Without { providers: none(), ..all },
        (By::Provider, key) => Without { providers: vec![key.parse::<ProviderId>().expect("one").0], ..all },
        (By::UseCase, NONE) => Without { use_cases: vec![String::new()], ..all },
        (By::UseCase, key) => Without { use_cases: vec![key.to_owned()], ..all },
        (By::Group, NONE) => Without { groups: none(), ..all },
        (By::Group, key) => Without { groups: vec![key.parse::<GroupId>().expect("one").0], ..all },
        (By::Key | By::Feature, _) => all,
    }
}

#[tokio::test]
async fn what_is_left_over_in_a_table_is_the_calls_of_none_of_those_it_names() {
    let world = world(BERLIN.0).await;
    fill(&world, moments(BERLIN.1)).await;
    let acme = &world.acme;
    let calendar = acme.facts().await.calendar;
    let period = Period { from: day("2024-01-01"), to: day("2025-01-01") };
    let mut seen = 0;
    for (by, group) in By::ALL.iter().flat_map(|by| [(*by, None), (*by, Some(acme.parent))]) {
        let which = Which { group, ..Which::default() };
        for measure in [Measure::Spend, Measure::Refused] {
            let question = Question {
                measure,
                by,
                interval: Interval::Month,
                period,
                before: period.before(),
                top: 1,
                week_start: Weekday::Mon,
                today: period.last(),
            };
            let table = ask(&acme.store, acme.tenant.org, &which, &question).await.expect("an answer");
            let Some(rest) = table.rows.iter().find(|row| row.key.is_none()) else { continue };
            if by == By::Key {
                continue;
            }
            let named = table.rows[0].key.as_deref().expect("the first is named");
            let besides = Which { without: left_out(by, named), ..which.clone() };
            let filter = calls::Filter {
                ended: Some(if measure == Measure::Refused { Ended::Refused } else { Ended::Finished }),
                from: Some(period.from),
                to: Some(period.to),
                ..calls::Filter::default()
            };
            let list =
                calls::list(&acme.store, acme.tenant.org, calendar, &besides, &filter, 1_000_000).await;
            let list = list.expect("calls").calls;
            let counted = if measure == Measure::Refused { rest.total.refused } else { rest.total.calls };
            assert_eq!(list.len() as i64, counted, "{measure} by {by} in {group:?}");
            let cost: i64 = list
                .iter()
                .map(|call| match call.end {
                    End::Finished { cost, .. } => cost.0,
                    End::Refused { .. } => 0,
                })
                .sum();
            if measure == Measure::Spend {
                assert_eq!(cost, rest.total.spend.0, "{by} in {group:?}");
            }
            // The same table goes on with what is left over.
            let next = ask(&acme.store, acme.tenant.org, &besides, &question).await.expect("an answer");
            assert_eq!(next.total(), rest.total, "{measure} by {by} in {group:?}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} tables had something left over");
}

/// Every measure by every split of a year, by month; what adds up otherwise also by day and by week.
/// Returns what was spent.
async fn a_year_agrees(world: &World, what: &str) -> Money {
    let acme = &world.acme;
    let lines = lines(world).await;
    let kept: Vec<&Line> = lines.iter().collect();
    let period = Period { from: day("2024-01-01"), to: day("2025-01-01") };
    let sums = [Measure::Spend, Measure::Tokens, Measure::Failed, Measure::Refused, Measure::Latency];
    let questions = Measure::ALL
        .iter()
        .map(|measure| (*measure, Interval::Month))
        .chain(sums.into_iter().flat_map(|measure| [(measure, Interval::Day), (measure, Interval::Week)]));
    for ((measure, interval), by) in
        questions.flat_map(|question| By::ALL.iter().map(move |by| (question, *by)))
    {
        let question = Question {
            measure,
            by,
            interval,
            period,
            before: Period { from: day("2023-01-01"), to: period.from },
            top: 2,
            week_start: Weekday::Mon,
            today: period.last(),
        };
        let table = ask(&acme.store, acme.tenant.org, &Which::default(), &question).await.expect("an answer");
        let what = format!("{what}: {measure} by {by} and {interval}");
        agree(&table, &kept, measure.is_percentile(), &what);
    }
    sum(kept.iter().copied()).spend
}

#[tokio::test]
async fn neither_a_close_nor_new_prices_nor_late_calls_part_the_explorer_from_the_ledger() {
    let world = world(SANTIAGO.0).await;
    let acme = &world.acme;
    fill(&world, moments(SANTIAGO.1)).await;
    put_away(&world).await;
    let spent = a_year_agrees(&world, "booked").await;
    assert!(spent.0 > 50 * NANOS, "there is something to add up");

    // The first month is closed, and prices are set for days that are over: what was booked stays.
    let calendar = acme.facts().await.calendar;
    let permit = permit(&acme.tenant.owner, Act::KeepBooks, Place::Organization).expect("owners may");
    let mut change = store::Change::begin(&acme.store, permit).await.expect("a change");
    reports::close(&mut change, calendar, day("2023-12-01")).await.expect("it is closed");
    change.commit().await.expect("it");
    let dearer = Prices::default().with(PriceKey::Input, Some(Price(7 * NANOS)));
    let mut change = acme.change().await;
    models::set_prices(&mut change, acme.model, at("2024-01-15T00:00:00Z"), &dearer).await.expect("prices");
    change.commit().await.expect("them");
    assert_eq!(a_year_agrees(&world, "closed and dearer").await, spent);

    // Two years late, of things that are gone by now; a part of it made in the month that is closed.
    let late = moments(SANTIAGO.1).into_iter().map(|moment| moment + TimeDelta::seconds(20));
    fill(&world, late).await;
    let more = a_year_agrees(&world, "late").await;
    assert_eq!(more.0, 2 * spent.0, "the same calls again");
    let drift = books::drift(&acme.store, acme.tenant.org, calendar, clock::now()).await.expect("a look");
    assert_eq!(drift, []);
}

#[tokio::test]
async fn once_calls_are_booked_their_days_stay() {
    let acme = Organization::new().await;
    let now = organizations::get(&acme.store, acme.tenant.org).await.expect("the organization");
    let settings = |time_zone: &str, week_start| organizations::Settings {
        name: now.name.parse().expect("a name"),
        time_zone: time_zone.to_owned(),
        week_start,
        default_user_limit: now.default_user_limit,
        budget_status: now.budget_status,
        contact: now.contact.clone(),
    };
    // Before the first call it may be wrong and put right.
    let mut change = acme.change().await;
    organizations::update(&mut change, now.version, &settings("America/Santiago", now.week_start))
        .await
        .expect("a time zone");
    change.commit().await.expect("it");

    // A minute before midnight there; the next day anywhere east of it.
    let mut event = finished(acme.call());
    event.call.started_at = at("2024-06-11T03:59:00Z");
    assert!(acme.book(&event).await);
    let mut change = acme.change().await;
    let refused =
        organizations::update(&mut change, now.version + 1, &settings("Europe/Berlin", now.week_start)).await;
    assert!(matches!(refused, Err(store::StoreError::Invalid { .. })), "{refused:?}");
    drop(change);

    // When a week starts moves no call to another day.
    let mut change = acme.change().await;
    let sunday = settings("America/Santiago", domain::organizations::WeekStart::Sunday);
    organizations::update(&mut change, now.version + 1, &sunday).await.expect("a week");
    change.commit().await.expect("it");
    let calendar = acme.facts().await.calendar;
    let drift = books::drift(&acme.store, acme.tenant.org, calendar, clock::now()).await.expect("a look");
    assert_eq!(drift, []);
}
