//! How fast finished calls go into the books of one Postgres: the ledger, windows and every sum, as a
//! server books them, of a large organization.

use std::{path::Path, sync::Arc, time::Instant};

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

use crate::{Failure, comparison::Folder, organization, process, serve};

/// Who there is.
const PEOPLE: usize = 50_000;
const APPLICATIONS: usize = 10_000;
/// Groups on each of five levels: 5 000 in all. People and applications are in those of the last.
const LEVELS: [usize; 5] = [10, 40, 200, 1_000, 3_750];
const MODELS: usize = 40;
/// How many models each application is used with.
const FAVOURITES: usize = 4;

/// What is booked, and how.
pub struct Run {
    /// How many calls.
    pub calls: usize,
    /// How many of them at once, and how many such batches are on their way.
    pub batch: usize,
    pub at_once: usize,
    /// Of how many organizations, in turn: each batch is of one.
    pub organizations: usize,
    /// Everybody calls as often as everybody else, by any application and with any model, instead of as
    /// people do.
    pub even: bool,
}

/// Everything that calls can be made of.
struct World {
    org: OrgId,
    provider: ProviderId,
    people: Vec<UserId>,
    /// With the path of their group.
    applications: Vec<(ApplicationId, KeyId, SecretId, Vec<GroupId>)>,
    models: Vec<ModelId>,
    even: bool,
}

impl World {
    fn new(org: OrgId, even: bool) -> Self {
        let levels = LEVELS.map(|groups| (0..groups).map(|_| clock::id()).collect::<Vec<GroupId>>());
        let applications = (0..APPLICATIONS)
            .map(|place| {
                let leaf = place % LEVELS[4];
                let path = levels.iter().map(|groups| groups[leaf * groups.len() / LEVELS[4]]);
                (clock::id(), clock::id(), clock::id(), path.collect())
            })
            .collect();
        let people = (0..PEOPLE).map(|_| clock::id()).collect();
        let models = (0..MODELS).map(|_| clock::id()).collect();
        Self { org, provider: clock::id(), people, applications, models, even }
    }

    /// The call with this number: which it is follows from a hash of it. Half the calls are people's, by an
    /// application of their own group; some people, applications and models are used much more than others
    /// (the tenth that is used most makes a third of the calls).
    fn call(&self, number: u64, now: DateTime<Utc>) -> Event {
        let hash =
            number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let draw = |shift: u32, of: usize| (hash.rotate_right(shift) % of as u64) as usize;
        let skewed =
            |shift: u32, of: usize| if self.even { draw(shift, of) } else { draw(shift, of).pow(2) / of };
        let person = (hash & 1 == 0).then(|| skewed(19, PEOPLE));
        let application = match person {
            Some(person) if !self.even => {
                // Two or three belong to a group.
                let place = person % LEVELS[4] + LEVELS[4] * draw(7, 3);
                if place < APPLICATIONS { place } else { person % LEVELS[4] }
            }
            _ => skewed(7, APPLICATIONS),
        };
        let model =
            if self.even { draw(41, MODELS) } else { (application * 7 + skewed(41, FAVOURITES)) % MODELS };
        let (application, key, secret, path) = &self.applications[application];
        let user = person.map(|person| self.people[person]);
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
            model: self.models[model],
            provider: self.provider,
            authorization: None,
            beside: None,
            grant: None,
            policy: None,
            use_case: String::new(),
            session: String::new(),
            client_request: String::new(),
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

/// Books calls of the last hour, and says how long that took, how much of Postgres' time (where it is known
/// where that keeps its data), and what it takes on disk.
pub async fn run(database_url: &str, postgres_data: Option<&Path>, run: Run) -> Result<(), Failure> {
    let Run { calls, batch, at_once, organizations, even } = run;
    let data = Folder::new()?;
    let store = Store::connect(database_url, 10, serve::master_key(&data.0)?).await?;
    let now = clock::now();
    let mut worlds = Vec::new();
    for org in organization::found_several(&store, organizations).await? {
        let calendar: Calendar = store::organizations::calendar(&store, org).await?;
        worlds.push((Arc::new(World::new(org, even)), calendar));
    }
    ledger::make_partitions(&store, now.date_naive() - chrono::Days::new(2), 4).await?;
    let groups: usize = LEVELS.iter().sum();
    println!(
        "{calls} calls of {PEOPLE} people and {APPLICATIONS} programs in {groups} groups with {MODELS} models{}{}, \
         {batch} a batch, {at_once} at once; load {}",
        if even { ", all of them used alike" } else { "" },
        if organizations > 1 { format!(", in each of {organizations} organizations") } else { String::new() },
        std::fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
    );
    let postgres = || postgres_data.map(process::postgres_time).unwrap_or_default();
    let (begun, before) = (Instant::now(), postgres());
    let mut done = 0;
    let mut starts = (0..calls).step_by(batch).zip(worlds.iter().cycle());
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.len() < at_once
            && let Some((start, (world, calendar))) = starts.next()
        {
            let (store, world, calendar) = (store.clone(), Arc::clone(world), *calendar);
            tasks.spawn(async move {
                let numbers = start..calls.min(start + batch);
                let events: Vec<Event> = numbers.map(|number| world.call(number as u64, now)).collect();
                ledger::bulk::book(&store, world.org, calendar, &events, None).await
            });
        }
        let Some(booked) = tasks.join_next().await else { break };
        done += booked??;
    }
    let (took, used) = (begun.elapsed(), postgres().saturating_sub(before));
    let each = 1e6 / done.max(1) as f64;
    println!("{done} booked in {:.1} s: {:.0} calls/s", took.as_secs_f64(), done as f64 / took.as_secs_f64());
    println!(
        "processor time a call: Postgres {:.1} µs, whoever books {:.1} µs",
        used.as_secs_f64() * each,
        process::processor_time(std::process::id()).as_secs_f64() * each
    );
    for (table, bytes) in crowd::on_disk(&store).await? {
        println!(
            "{table:<24} {:>9.1} MB {:>8.0} bytes a call",
            bytes as f64 / 1e6,
            bytes as f64 / done.max(1) as f64
        );
    }
    Ok(())
}
