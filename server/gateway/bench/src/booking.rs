//! How fast finished calls go into the books of one Postgres: the ledger, windows and every sum, as a
//! server books them, of a large organization.

use std::{sync::Arc, time::Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    ids::{ApplicationId, CallId, GroupId, KeyId, ModelId, OrgId, ProviderId, SecretId, UserId},
    keys::{Feature, Features},
    limits::Worst,
    money::Money,
    spend::Outcome,
    usage::Usage,
    window::Calendar,
};
use store::{
    Store, clock, crowd,
    ledger::{self, Call, Event, Finish, Marks},
};

use crate::{Failure, comparison::Folder, organization, serve};

/// Who there is.
const PEOPLE: usize = 50_000;
const APPLICATIONS: usize = 2_000;
const ROOTS: usize = 10;
const MODELS: usize = 40;
/// How many calls are booked at once, and how many such batches are on their way.
const BATCH: usize = 5_000;
const AT_ONCE: usize = 2;

/// Everything that calls can be made of.
struct World {
    org: OrgId,
    provider: ProviderId,
    people: Vec<UserId>,
    /// With the path of their group: five levels, as wide as fits.
    applications: Vec<(ApplicationId, KeyId, SecretId, Vec<GroupId>)>,
    models: Vec<ModelId>,
}

impl World {
    fn new(org: OrgId) -> Self {
        let levels: Vec<Vec<GroupId>> =
            (0..5).map(|level| (0..ROOTS << level).map(|_| clock::id()).collect()).collect();
        let applications = (0..APPLICATIONS)
            .map(|place| {
                let leaf = place % (ROOTS << 4);
                let path = levels.iter().enumerate().map(|(level, groups)| groups[leaf >> (4 - level)]);
                (clock::id(), clock::id(), clock::id(), path.collect())
            })
            .collect();
        let people = (0..PEOPLE).map(|_| clock::id()).collect();
        let models = (0..MODELS).map(|_| clock::id()).collect();
        Self { org, provider: clock::id(), people, applications, models }
    }

    /// The call with this number: which it is follows from a hash of it.
    fn call(&self, number: u64, now: DateTime<Utc>) -> Event {
        let hash =
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let draw = |shift: u32, of: usize| (hash.rotate_right(shift) % of as u64) as usize;
        let (application, key, secret, path) = &self.applications[draw(7, APPLICATIONS)];
        let user = (hash & 1 == 0).then(|| self.people[draw(19, PEOPLE)]);
        let started_at = now - TimeDelta::milliseconds(i64::try_from(hash % 3_600_000).unwrap_or_default());
        let duration_ms = 200 + i32::try_from(draw(31, 9_000)).unwrap_or_default();
        let call = Call {
            id: clock::id::<CallId>(),
            org: self.org,
            started_at,
            application: *application,
            key: *key,
            secret: *secret,
            path: path.clone(),
            user,
            member_of: if user.is_some() { path.clone() } else { Vec::new() },
            model: self.models[draw(41, MODELS)],
            provider: self.provider,
            authorization: None,
            beside: None,
            grant: None,
            policy: None,
            use_case: String::new(),
            session: String::new(),
            route: "/v1/chat/completions".to_owned(),
            streamed: user.is_some(),
            features: if user.is_some() {
                Features::default().with(Feature::Streaming)
            } else {
                Features::default()
            },
            worst: Worst::default(),
            priced_at: None,
            guarded: Vec::new(),
        };
        let usage = Usage { input: 100 + hash % 2_900, output: 20 + hash % 900, ..Usage::default() };
        let finish = Finish {
            finished_at: started_at + TimeDelta::milliseconds(i64::from(duration_ms)),
            first_byte_ms: Some(duration_ms / 9),
            duration_ms,
            outcome: Outcome::Ok,
            status: 200,
            usage,
            cost: Money(i64::try_from(hash % 50_000_000).unwrap_or_default()),
            estimated: false,
            marks: Marks::default(),
        };
        Event::of(call, finish)
    }
}

/// Books so many calls of the last hour, and says how long that took and what it takes on disk.
pub async fn run(database_url: &str, calls: usize) -> Result<(), Failure> {
    let data = Folder::new()?;
    let store = Store::connect(database_url, 10, serve::master_key(&data.0)?).await?;
    let (org, _) = organization::found(&store).await?;
    let now = clock::now();
    let calendar: Calendar = store::organizations::calendar(&store, org).await?;
    ledger::make_partitions(&store, now.date_naive() - chrono::Days::new(2), 4).await?;
    let world = Arc::new(World::new(org));
    println!(
        "{calls} calls of {PEOPLE} people and {APPLICATIONS} programs with {MODELS} models, {BATCH} a batch, {AT_ONCE} at once"
    );
    let begun = Instant::now();
    let mut done = 0;
    for part in (0..calls).step_by(BATCH * AT_ONCE) {
        let mut tasks = tokio::task::JoinSet::new();
        for start in (part..calls.min(part + BATCH * AT_ONCE)).step_by(BATCH) {
            let (store, world) = (store.clone(), world.clone());
            tasks.spawn(async move {
                let numbers = start..calls.min(start + BATCH);
                let events: Vec<Event> = numbers.map(|number| world.call(number as u64, now)).collect();
                ledger::bulk::book(&store, org, calendar, &events, None).await
            });
        }
        while let Some(booked) = tasks.join_next().await {
            done += booked??;
        }
    }
    let took = begun.elapsed();
    println!("{done} booked in {:.1} s: {:.0} calls/s", took.as_secs_f64(), done as f64 / took.as_secs_f64());
    for (table, bytes) in crowd::on_disk(&store).await? {
        println!(
            "{table:<24} {:>9.1} MB {:>8.0} bytes a call",
            bytes as f64 / 1e6,
            bytes as f64 / done.max(1) as f64
        );
    }
    Ok(())
}
