//! Limits: a cap on what a scope may use in a window, and which of them a call must fit into.
//!
//! There is no precedence to learn: every limit that applies must have room. What has been used is
//! counted per *meter* (scope, metric, window), not per limit, so that changing a cap, or giving a
//! person an own limit in place of the default, forgets nothing.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use uuid::Uuid;

use crate::{
    ids::{ApplicationId, AuthorizationId, GrantId, GroupId, LimitId, UserId},
    money::{Money, grouped},
    window::{Span, Window},
    words::words,
};

words! {
    /// What a limit counts.
    Metric("metric") {
        /// Money, in nano-dollars.
        Spend = "spend",
        /// Calls that were let through.
        Requests = "requests",
        /// All tokens.
        Tokens = "tokens",
        /// Input tokens, cached or not.
        InputTokens = "input_tokens",
        /// Output tokens, reasoning included.
        OutputTokens = "output_tokens",
        /// Calls at the same moment. Has no window.
        ConcurrentCalls = "concurrent_calls",
    }
}

words! {
    /// What happens when a limit has no room.
    Mode("mode") {
        /// The call is refused.
        Enforce = "enforce",
        /// The call passes; what would have been refused is recorded.
        Observe = "observe",
    }
}

words! {
    /// The kinds of scope, in the order people read them.
    ScopeKind("scope") {
        /// The whole organization.
        Organization = "organization",
        /// A group and everything below it.
        Group = "group",
        /// An application.
        Application = "application",
        /// A person, wherever they spend.
        User = "user",
        /// A person within one group.
        Member = "member",
        /// Everyone who passes by one authorization.
        Authorization = "authorization",
        /// Everyone who passes by one grant.
        Grant = "grant",
    }
}

/// Whose use a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// The whole organization.
    Organization,
    /// A group and everything below it.
    Group(GroupId),
    /// An application.
    Application(ApplicationId),
    /// A person, wherever they spend.
    User(UserId),
    /// A person within one group and everything below it.
    Member(GroupId, UserId),
    /// Everyone who passes by one authorization.
    Authorization(AuthorizationId),
    /// Everyone who passes by one grant.
    Grant(GrantId),
}

impl Scope {
    /// Its kind.
    pub const fn kind(self) -> ScopeKind {
        match self {
            Self::Organization => ScopeKind::Organization,
            Self::Group(_) => ScopeKind::Group,
            Self::Application(_) => ScopeKind::Application,
            Self::User(_) => ScopeKind::User,
            Self::Member(..) => ScopeKind::Member,
            Self::Authorization(_) => ScopeKind::Authorization,
            Self::Grant(_) => ScopeKind::Grant,
        }
    }

    /// The thing it names and, for a member, the person: how meters are keyed in the store. Nil
    /// where there is nothing to name, so that a key never holds a null.
    pub const fn parts(self) -> (ScopeKind, Uuid, Uuid) {
        let (thing, person) = match self {
            Self::Organization => (Uuid::nil(), Uuid::nil()),
            Self::Group(id) => (id.0, Uuid::nil()),
            Self::Application(id) => (id.0, Uuid::nil()),
            Self::User(id) => (id.0, Uuid::nil()),
            Self::Member(group, user) => (group.0, user.0),
            Self::Authorization(id) => (id.0, Uuid::nil()),
            Self::Grant(id) => (id.0, Uuid::nil()),
        };
        (self.kind(), thing, person)
    }

    /// The id of what it names, as text; none for the organization.
    pub fn id(self) -> Option<String> {
        match self {
            Self::Organization => None,
            Self::Group(id) | Self::Member(id, _) => Some(id.to_string()),
            Self::Application(id) => Some(id.to_string()),
            Self::User(id) => Some(id.to_string()),
            Self::Authorization(id) => Some(id.to_string()),
            Self::Grant(id) => Some(id.to_string()),
        }
    }

    /// The reverse of [`Scope::parts`].
    pub fn from_parts(kind: ScopeKind, thing: Uuid, person: Uuid) -> Self {
        match kind {
            ScopeKind::Organization => Self::Organization,
            ScopeKind::Group => Self::Group(GroupId(thing)),
            ScopeKind::Application => Self::Application(ApplicationId(thing)),
            ScopeKind::User => Self::User(UserId(thing)),
            ScopeKind::Member => Self::Member(GroupId(thing), UserId(person)),
            ScopeKind::Authorization => Self::Authorization(AuthorizationId(thing)),
            ScopeKind::Grant => Self::Grant(GrantId(thing)),
        }
    }
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Meter {
    /// Whose use.
    pub scope: Scope,
    /// Of what.
    pub metric: Metric,
    /// Over how long. `Total` for concurrent calls.
    pub window: Window,
}

/// One window of a meter: what is counted together, from when until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bucket {
    /// What is counted.
    pub meter: Meter,
    /// Since when.
    pub starts_at: DateTime<Utc>,
    /// Until when; none when it never ends.
    pub ends_at: Option<DateTime<Utc>>,
}

impl Bucket {
    /// A meter's bucket of this time.
    pub const fn of(meter: Meter, span: Span) -> Self {
        Self { meter, starts_at: span.start, ends_at: span.end }
    }
}

/// A cap on a meter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Its id; none for the organization's default user limit, which is a rule, not a row.
    pub id: Option<LimitId>,
    /// What it counts.
    pub meter: Meter,
    /// Nano-dollars, calls or tokens.
    pub cap: i64,
    /// What happens without room.
    pub mode: Mode,
    /// Per cent of the cap at which somebody is told.
    pub thresholds: SmallVec<[u8; 4]>,
}

impl Metric {
    /// An amount as people read it: `$5.00`, `60 requests`.
    pub fn show(self, amount: i64) -> String {
        let count = |one: &str, many: &str| {
            format!("{} {}", grouped(amount.unsigned_abs()), if amount == 1 { one } else { many })
        };
        match self {
            Self::Spend => Money(amount).to_string(),
            Self::Requests => count("request", "requests"),
            Self::Tokens => count("token", "tokens"),
            Self::InputTokens => count("input token", "input tokens"),
            Self::OutputTokens => count("output token", "output tokens"),
            Self::ConcurrentCalls => count("call at once", "calls at once"),
        }
    }

    /// A cap as people read it: what somebody set, to its last digit.
    pub fn show_in_full(self, cap: i64) -> String {
        match self {
            Self::Spend => Money(cap).in_full(),
            _ => self.show(cap),
        }
    }

    /// How people call it, at the start of a line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Spend => "Spend",
            Self::Requests => "Requests",
            Self::Tokens => "Tokens",
            Self::InputTokens => "Input tokens",
            Self::OutputTokens => "Output tokens",
            Self::ConcurrentCalls => "Calls at once",
        }
    }
}

impl Scope {
    /// As addresses and forms write it: `group:grp_…`, `member:grp_…:usr_…`, `organization`.
    pub fn key(self) -> String {
        let kind = self.kind();
        match (self, self.id()) {
            (Self::Member(group, user), _) => format!("{kind}:{group}:{user}"),
            (_, Some(id)) => format!("{kind}:{id}"),
            (_, None) => kind.to_string(),
        }
    }

    /// The reverse of [`Scope::key`].
    pub fn from_key(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let kind: ScopeKind = parts.next()?.parse().ok()?;
        let (thing, person) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Some(match kind {
            ScopeKind::Organization => Self::Organization,
            ScopeKind::Group => Self::Group(thing.parse().ok()?),
            ScopeKind::Application => Self::Application(thing.parse().ok()?),
            ScopeKind::User => Self::User(thing.parse().ok()?),
            ScopeKind::Member => Self::Member(thing.parse().ok()?, person.parse().ok()?),
            ScopeKind::Authorization => Self::Authorization(thing.parse().ok()?),
            ScopeKind::Grant => Self::Grant(thing.parse().ok()?),
        })
    }
}

impl Meter {
    /// As addresses write it: `user:usr_…/spend/month`.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.scope.key(), self.metric, self.window)
    }

    /// The reverse of [`Meter::key`].
    pub fn from_key(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let mut part = || parts.next().unwrap_or_default();
        Some(Self {
            scope: Scope::from_key(part())?,
            metric: part().parse().ok()?,
            window: part().parse().ok()?,
        })
    }

    /// Whether it is what a person spends in a month: without a limit of its own the organization's default
    /// holds.
    pub const fn is_month_of_a_person(&self) -> bool {
        matches!(self, Self { scope: Scope::User(_), metric: Metric::Spend, window: Window::Month })
    }

    /// `$500.00 a month`, `3 calls at once`.
    pub fn show_cap(&self, cap: i64) -> String {
        match self.metric {
            Metric::ConcurrentCalls => self.metric.show_in_full(cap),
            _ => format!("{} {}", self.metric.show_in_full(cap), self.window.per()),
        }
    }
}

/// The most a call can use, known before it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worst {
    /// Input tokens, estimated upwards.
    pub input_tokens: u64,
    /// Output tokens asked for, or the model's maximum.
    pub output_tokens: u64,
    /// What that costs at the model's dearest prices.
    pub cost: Money,
}

impl Worst {
    /// How much of a metric has to be held for it.
    pub fn amount(&self, metric: Metric) -> i64 {
        let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        match metric {
            Metric::Spend => self.cost.0,
            Metric::Requests | Metric::ConcurrentCalls => 1,
            Metric::Tokens => tokens(self.input_tokens.saturating_add(self.output_tokens)),
            Metric::InputTokens => tokens(self.input_tokens),
            Metric::OutputTokens => tokens(self.output_tokens),
        }
    }
}

/// Who and what a call is, as far as limits care.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The group's path, from the root to the application's group.
    pub path: &'a [GroupId],
    /// The application that calls.
    pub application: ApplicationId,
    /// The person behind the secret, where it names one.
    pub user: Option<UserId>,
    /// The authorization that let it pass.
    pub authorization: Option<AuthorizationId>,
    /// The one that only observes, and would have let it pass, too.
    pub beside: Option<AuthorizationId>,
    /// The grant that lifted it.
    pub grant: Option<GrantId>,
}

impl Subject<'_> {
    /// Every scope that counts this call.
    pub fn scopes(&self) -> SmallVec<[Scope; 16]> {
        let mut scopes = SmallVec::new();
        scopes.push(Scope::Organization);
        scopes.extend(self.path.iter().map(|&group| Scope::Group(group)));
        scopes.push(Scope::Application(self.application));
        if let Some(user) = self.user {
            scopes.push(Scope::User(user));
            scopes.extend(self.path.iter().map(|&group| Scope::Member(group, user)));
        }
        scopes.extend(self.authorization.map(Scope::Authorization));
        scopes.extend(self.beside.map(Scope::Authorization));
        scopes.extend(self.grant.map(Scope::Grant));
        scopes
    }
}

/// What is used and held of a meter at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// Finished calls.
    pub settled: i64,
    /// Calls in flight, at their worst case.
    pub held: i64,
}

/// Why a meter has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortage {
    /// What is used up does not come back in this window.
    Exceeded,
    /// Money or quota is there, but calls in flight hold it: it may come back in a moment.
    Busy,
}

impl Level {
    /// What is left to reserve. Zero, never below, when a settled call overran its reservation.
    pub fn room(&self, cap: i64) -> i64 {
        cap.saturating_sub(self.settled).saturating_sub(self.held).max(0)
    }

    /// Whether `amount` fits under `cap`, and if not, why.
    pub fn fits(&self, amount: i64, cap: i64) -> Result<(), Shortage> {
        if amount <= self.room(cap) {
            return Ok(());
        }
        let without_held = Self { held: 0, ..*self };
        if amount <= without_held.room(cap) { Err(Shortage::Busy) } else { Err(Shortage::Exceeded) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_cent_can_be_used_and_not_one_more() {
        let level = Level { settled: 70, held: 20 };
        assert_eq!(level.fits(10, 100), Ok(()));
        assert_eq!(level.fits(11, 100), Err(Shortage::Busy));
        assert_eq!(level.fits(31, 100), Err(Shortage::Exceeded));
    }

    #[test]
    fn a_cap_that_was_lowered_below_use_has_no_room_and_no_debt() {
        let level = Level { settled: 150, held: 0 };
        assert_eq!(level.room(100), 0);
        assert_eq!(level.fits(0, 100), Ok(()));
        assert_eq!(level.fits(1, 100), Err(Shortage::Exceeded));
    }

    #[test]
    fn a_person_is_counted_everywhere_and_within_each_group_of_the_path() {
        let id = Uuid::from_u128;
        let path = [GroupId(id(1)), GroupId(id(2))];
        let subject = Subject {
            path: &path,
            application: ApplicationId(id(3)),
            user: Some(UserId(id(4))),
            authorization: None,
            beside: None,
            grant: None,
        };
        let kinds: Vec<_> = subject.scopes().iter().map(|scope| scope.kind().as_str()).collect();
        assert_eq!(kinds, ["organization", "group", "group", "application", "user", "member", "member"]);
    }

    #[test]
    fn scopes_survive_the_store() {
        let id = Uuid::from_u128;
        for scope in [
            Scope::Organization,
            Scope::Group(GroupId(id(1))),
            Scope::Member(GroupId(id(2)), UserId(id(3))),
            Scope::Grant(GrantId(id(4))),
        ] {
            let (kind, thing, person) = scope.parts();
            assert_eq!(Scope::from_parts(kind, thing, person), scope);
        }
    }
}
