//! A large organization around the story: thousands of groups, tens of thousands of people, and a
//! year of their calls.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Months, Utc};
use domain::{
    audit::Door,
    authorizations::State,
    groups::{GroupKind, Source, Standing},
    ids::{GroupId, ModelId, TierId, UserId},
    limits::{Meter, Metric, Scope},
    models::{Modality, Review},
    money::{NANOS, Price},
    prices::{PriceKey, Prices},
    roles::Act,
    users::Role,
    window::Window,
};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use store::{
    Change, clock,
    crowd::{self, Application, Caller, Group, Membership, Person, Secret, Year},
    models::ModelForm,
};

use super::{
    acme::{self, FIRST_NAMES, LAST_NAMES},
    stage::Stage,
};
use crate::Fatal;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub people: usize,
    pub groups: usize,
    pub calls: u64,
}

/// How many groups one of each level has below it, from the roots on.
const FAN: [usize; 5] = [5, 5, 4, 3, 2];
/// What the groups of each level are called, and what they stand for.
const LEVELS: [(GroupKind, &[&str]); 6] = [
    (
        GroupKind::Department,
        &["Manufacturing", "Logistics", "Retail", "Insurance", "Health", "Energy", "Consulting", "Services"],
    ),
    (GroupKind::Department, &["Operations", "Technology", "Commerce", "Planning", "Quality"]),
    (GroupKind::Function, &["North", "South", "East", "West", "Central"]),
    (GroupKind::Function, &["Systems", "Methods", "Customers", "Partners"]),
    (GroupKind::Custom, &["Team Amber", "Team Birch", "Team Cedar"]),
    (GroupKind::Project, &["Pilot", "Rollout"]),
];
/// How many of the levels have an assistant that everybody below calls.
const ASSISTED: usize = 3;
/// People for each program of theirs.
const PEOPLE_PER_PROGRAM: usize = 25;
/// What programs do.
const PROGRAMS: [&str; 10] = [
    "ticket-triage",
    "contract-reader",
    "report-writer",
    "mail-sorter",
    "code-helper",
    "price-watch",
    "meeting-notes",
    "translator",
    "search",
    "form-filler",
];
/// How many models there are besides those of the story.
const MODELS: usize = 28;
/// How long the calls go back.
const MONTHS: u32 = 13;

/// What is made, before it is written.
#[derive(Default)]
struct Crowd {
    groups: Vec<Group>,
    people: Vec<Person>,
    memberships: Vec<Membership>,
    applications: Vec<Application>,
    secrets: Vec<Secret>,
    callers: Vec<Caller>,
    /// The application that everybody below calls, by group.
    assistants: HashMap<GroupId, usize>,
}

/// Makes them, and books their calls.
pub async fn fill(stage: &Stage, size: Size, now: DateTime<Utc>, seed: u64) -> Result<(), Fatal> {
    tracing::info!(people = size.people, groups = size.groups, "making a crowd");
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0xc0ffee);
    let begun = now.checked_sub_months(Months::new(MONTHS)).unwrap_or(now);
    let crowd = Crowd::make(stage, size, begun, &mut rng)?;
    let mut change =
        stage.change("olga", Door::File, Act::ApplyFile, None, now - Duration::minutes(3)).await?;
    models(&mut change, stage).await?;
    crowd.write(&mut change, stage, &mut rng).await?;
    change.commit().await?;
    tracing::info!(
        programs = crowd.applications.len(),
        calls = size.calls,
        "people are there; their calls follow"
    );
    let year = Year {
        calls: size.calls,
        from: stage.calendar.day(begun),
        until: now - Duration::hours(1),
        seed: i64::try_from(seed % (1 << 40)).unwrap_or_default(),
    };
    let called = called(stage).await?;
    crowd::calls(&stage.store, stage.org, stage.calendar, &crowd.callers, &called, year).await?;
    for (table, bytes) in crowd::on_disk(&stage.store).await? {
        let each = bytes as f64 / size.calls.max(1) as f64;
        tracing::info!(table, megabytes = bytes / 1_000_000, bytes_a_call = each.round() as i64, "on disk");
    }
    tracing::info!("the crowd’s calls are booked");
    Ok(())
}

/// Models of the story’s provider under names of their own.
async fn models(change: &mut Change, stage: &Stage) -> Result<(), Fatal> {
    let (provider, tiers) = (stage.provider_id(acme::SIMULATED)?, stage.tier_ids());
    for place in 0..MODELS {
        let name = format!("house-{}-{}", ["small", "medium", "large", "code"][place % 4], place / 4 + 1);
        let form = ModelForm {
            name: name.parse().map_err(|error| Fatal::new("a model’s name", error))?,
            provider,
            upstream: name,
            modality: Modality::Chat,
            tier: tiers[place % tiers.len().max(1)],
            context_tokens: Some(128_000),
            max_output_tokens: Some(16_384),
        };
        let id = store::models::insert(change, &form, Review::Accepted).await?;
        let cents = |cents: i64| Some(Price(cents * NANOS / 100));
        let base = 10 + 15 * (place as i64);
        let prices = Prices::default()
            .with(PriceKey::Input, cents(base))
            .with(PriceKey::CacheRead, cents(base / 10))
            .with(PriceKey::Output, cents(base * 4));
        store::models::set_prices(change, id, change.at(), &prices).await?;
    }
    Ok(())
}

/// Every model that has prices, with what opens it to the organization.
async fn called(stage: &Stage) -> Result<Vec<crowd::Model>, Fatal> {
    let facts = store::access::facts(&stage.store, stage.org).await?;
    let mut models: Vec<(&ModelId, _)> =
        facts.models.iter().filter(|(_, model)| model.name.starts_with("house-")).collect();
    models.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let called = models.into_iter().filter_map(|(id, model)| {
        let dated = model.prices.last()?;
        let price = |key| dated.prices.of(key);
        Some(crowd::Model {
            id: *id,
            provider: model.provider,
            rule: None,
            route: "/v1/chat/completions",
            prices: [price(PriceKey::Input)?, price(PriceKey::CacheRead)?, price(PriceKey::Output)?],
            priced_at: dated.from,
        })
    });
    Ok(called.collect())
}

impl Crowd {
    fn make(
        stage: &Stage,
        size: Size,
        begun: DateTime<Utc>,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Result<Self, Fatal> {
        let mut crowd = Self::default();
        crowd.tree(size.groups);
        crowd.hire(size.people, begun, rng);
        crowd.join(stage.group_id(acme::EVERYONE)?, begun, rng);
        crowd.build();
        crowd.equip(rng);
        Ok(crowd)
    }

    /// Groups, level by level, until there are enough.
    fn tree(&mut self, count: usize) {
        let roots = LEVELS[0].1.len().min(count);
        for place in 0..roots {
            self.group(&[], 0, place);
        }
        let mut parent = 0;
        while self.groups.len() < count && parent < self.groups.len() {
            let above: Vec<GroupId> = self.path(parent);
            let level = above.len();
            let room = FAN.get(level - 1).copied().unwrap_or_default().min(count - self.groups.len());
            for place in 0..room {
                self.group(&above, level, place);
            }
            parent += 1;
        }
    }

    fn group(&mut self, ancestors: &[GroupId], level: usize, place: usize) {
        let (kind, names) = LEVELS[level.min(LEVELS.len() - 1)];
        let name = names[place % names.len()].to_owned();
        self.groups.push(Group { id: clock::id(), ancestors: ancestors.to_vec(), name, kind });
    }

    /// From the root to a group.
    fn path(&self, place: usize) -> Vec<GroupId> {
        let group = &self.groups[place];
        group.ancestors.iter().copied().chain([group.id]).collect()
    }

    fn hire(&mut self, count: usize, begun: DateTime<Utc>, rng: &mut Xoshiro256PlusPlus) {
        for number in 0..count {
            let first = FIRST_NAMES[number % FIRST_NAMES.len()];
            let last = LAST_NAMES[(number / FIRST_NAMES.len()) % LAST_NAMES.len()];
            let role = match number % 2_000 {
                999 => Role::Admin,
                1_499 => Role::Auditor,
                _ => Role::Member,
            };
            self.people.push(Person {
                id: clock::id(),
                account: (number % 50 != 7).then(clock::id),
                email: format!("person-{}@acme.example", number + 1),
                name: format!("{first} {last}"),
                role,
                suspended: number % 80 == 13,
                since: begun + Duration::hours(rng.random_range(0..24 * 300)),
            });
        }
    }

    /// Everybody has a home, some a second group; whoever comes first leads it.
    fn join(&mut self, everyone: GroupId, begun: DateTime<Utc>, rng: &mut Xoshiro256PlusPlus) {
        let count = self.groups.len();
        for (number, person) in self.people.iter().enumerate() {
            let mut join = |group, standing, source, ends_at| {
                self.memberships.push(Membership {
                    user: person.id,
                    group,
                    standing,
                    source,
                    since: person.since,
                    ends_at,
                });
            };
            join(everyone, Standing::Member, Source::Default, None);
            if count == 0 {
                continue;
            }
            let home = number % count;
            let standing = if number < count { Standing::Lead } else { Standing::Member };
            join(self.groups[home].id, standing, Source::Manual, None);
            let other = (home + 1 + rng.random_range(0..count)) % count;
            if number % 10 < 3 && other != home {
                let ends_at = (number % 100 == 1).then(|| begun + Duration::days(30 * 16));
                join(self.groups[other].id, Standing::Member, Source::Manual, ends_at);
            }
        }
    }

    /// An assistant for each group near the top, and programs in the others by turns.
    fn build(&mut self) {
        let (groups, people) = (self.groups.len(), self.people.len());
        let wanted = people / PEOPLE_PER_PROGRAM;
        if groups == 0 || people == 0 {
            return;
        }
        for place in 0..groups {
            if self.groups[place].ancestors.len() < ASSISTED && self.applications.len() < wanted {
                self.assistants.insert(self.groups[place].id, self.applications.len());
                self.program(place, "assistant".to_owned(), true);
            }
        }
        let mut turn = 0;
        while self.applications.len() < wanted {
            let name = format!("{}-{}", PROGRAMS[turn % PROGRAMS.len()], turn / groups + 1);
            self.program(turn * 7 % groups, name, false);
            turn += 1;
        }
    }

    fn program(&mut self, place: usize, name: String, assigned: bool) {
        let owner = self.people[place % self.people.len()].id;
        let group = self.groups[place].id;
        self.applications.push(Application {
            id: clock::id(),
            key: clock::id(),
            group,
            name,
            owner,
            assigned,
        });
    }

    /// Secrets, and who calls with them: programs, and people with the assistant nearest to their home.
    fn equip(&mut self, rng: &mut Xoshiro256PlusPlus) {
        let places: HashMap<GroupId, usize> =
            self.groups.iter().enumerate().map(|(place, group)| (group.id, place)).collect();
        let since = self.people.first().map_or_else(clock::now, |person| person.since);
        for place in 0..self.applications.len() {
            let application = &self.applications[place];
            let (path, member_of) = (self.path(places[&application.group]), Vec::new());
            if !application.assigned {
                self.equip_with(place, None, since, path, member_of);
            }
        }
        let mut homes = HashMap::<UserId, Vec<GroupId>>::new();
        for membership in &self.memberships {
            homes.entry(membership.user).or_default().push(membership.group);
        }
        for number in 0..self.people.len() {
            let person = &self.people[number];
            let (user, since, able) =
                (person.id, person.since, !person.suspended && person.account.is_some());
            let Some(groups) = homes.get(&user) else { continue };
            let Some(home) = groups.get(1).and_then(|home| places.get(home)) else { continue };
            let nearest = self.path(*home).into_iter().rev().find_map(|group| self.assistants.get(&group));
            let (Some(&assistant), true) = (nearest, able && rng.random_range(0..10) < 8) else { continue };
            let above =
                |group: &GroupId| places.get(group).map_or_else(|| vec![*group], |place| self.path(*place));
            let mut member_of: Vec<GroupId> = groups.iter().flat_map(above).collect();
            member_of.sort();
            member_of.dedup();
            let path = self.path(places[&self.applications[assistant].group]);
            self.equip_with(assistant, Some(user), since, path, member_of);
        }
    }

    fn equip_with(
        &mut self,
        application: usize,
        user: Option<UserId>,
        since: DateTime<Utc>,
        path: Vec<GroupId>,
        member_of: Vec<GroupId>,
    ) {
        let Application { id, key, .. } = self.applications[application];
        let secret = clock::id();
        self.secrets.push(Secret { id: secret, key, user, since });
        self.callers.push(Caller { secret, key, application: id, path, user, member_of });
    }

    async fn write(
        &self,
        change: &mut Change,
        stage: &Stage,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Result<(), Fatal> {
        crowd::groups(change, &self.groups).await?;
        crowd::people(change, &self.people).await?;
        let groups: HashMap<GroupId, &str> =
            self.groups.iter().map(|group| (group.id, group.name.as_str())).collect();
        let people: HashMap<UserId, &str> =
            self.people.iter().map(|person| (person.id, person.name.as_str())).collect();
        crowd::memberships(change, &self.memberships, |membership| {
            let group = groups.get(&membership.group).copied().unwrap_or(acme::EVERYONE);
            (group.to_owned(), people.get(&membership.user).copied().unwrap_or_default().to_owned())
        })
        .await?;
        crowd::applications(change, &self.applications).await?;
        crowd::secrets(change, &self.secrets).await?;
        let tiers: Vec<TierId> = stage.tier_ids();
        let near = self.groups.iter().filter(|group| group.ancestors.len() < 2);
        let states = [State::Open, State::ByRequest, State::Closed];
        let rules: Vec<(GroupId, TierId, State)> = near
            .enumerate()
            .map(|(place, group)| (group.id, tiers[place % tiers.len().max(1)], states[place % states.len()]))
            .collect();
        crowd::rules(change, &rules).await?;
        crowd::limits(change, &self.limits(rng)).await?;
        Ok(())
    }

    /// A month for the groups near the top, for every third program and for some people; a day’s
    /// requests for some programs.
    fn limits(&self, rng: &mut Xoshiro256PlusPlus) -> Vec<(Meter, i64)> {
        let month = |scope| Meter { scope, metric: Metric::Spend, window: Window::Month };
        let mut dollars = |low: i64, high: i64| rng.random_range(low..high) * NANOS;
        let mut limits = Vec::new();
        for group in self.groups.iter().filter(|group| group.ancestors.len() < ASSISTED) {
            limits.push((month(Scope::Group(group.id)), dollars(500, 50_000)));
        }
        for (place, application) in self.applications.iter().enumerate() {
            let scope = Scope::Application(application.id);
            if place % 3 == 0 {
                limits.push((month(scope), dollars(20, 2_000)));
            }
            if place % 10 == 0 {
                limits.push((Meter { scope, metric: Metric::Requests, window: Window::Day }, 5_000));
            }
        }
        for person in self.people.iter().skip(3).step_by(17) {
            limits.push((month(Scope::User(person.id)), dollars(1, 80)));
        }
        limits
    }
}
