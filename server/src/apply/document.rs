//! What a file says, in the file's own terms: names and paths, never ids. An installation is read
//! into the same shape, so that a difference is one comparison and an export is one print.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{
    authorizations::State,
    groups::{GroupKind, Standing},
    keys::{Features, Handling},
    limits::{Metric, Mode},
    models::{Modality, Review},
    money::Money,
    names::{Email, GroupName, ModelName, Name},
    organizations::{BudgetStatus, MembersMay, WeekStart},
    policies::{Routing, StepRules},
    prices::Prices,
    providers::{Dialect, Waits},
    users::Role,
    window::Window,
};

use super::{mistakes::Mistake, things::Kind};

/// Where a thing stands in the file, and each of its fields. Empty for what was not read from one.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// What the file calls it: `models`, `applications.key`.
    pub place: String,
    /// The line it begins on.
    pub own: usize,
    /// The line of each field that is written.
    pub fields: BTreeMap<String, usize>,
}

impl Lines {
    /// The line of a field; where it is not written, of the thing.
    pub fn of(&self, field: &str) -> usize {
        self.fields.get(field).copied().unwrap_or(self.own)
    }

    /// A mistake in a field.
    pub fn mistake(&self, field: &str, sentence: impl Into<String>) -> Mistake {
        self.mistake_on(self.of(field), field, sentence)
    }

    /// A mistake in an element of a field, on a line of its own.
    pub fn mistake_on(&self, line: usize, field: &str, sentence: impl Into<String>) -> Mistake {
        Mistake { line, field: format!("{}.{field}", self.place), sentence: sentence.into() }
    }
}

/// A name in a list that means another thing, and the line it is on.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The name or path.
    pub name: String,
    /// Where it is written.
    pub line: usize,
}

/// Everything a file says about one organization.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The organization itself.
    pub organization: Option<Organization>,
    /// Upstreams.
    pub providers: Vec<Provider>,
    /// Classes of models, in order.
    pub tiers: Vec<Tier>,
    /// The catalogue.
    pub models: Vec<Model>,
    /// The tree.
    pub groups: Vec<Group>,
    /// People.
    pub users: Vec<User>,
    /// Who may use what.
    pub authorizations: Vec<Authorization>,
    /// Routes.
    pub policies: Vec<Policy>,
    /// Applications, each with its key.
    pub applications: Vec<Application>,
    /// Names of things that could not be read: what refers to them is no further mistake.
    pub broken: HashSet<(Kind, String)>,
}

/// The organization.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Where it is written.
    pub lines: Lines,
    /// How it is found.
    pub name: Name,
    /// None: the file only says which organization it is about.
    pub settings: Option<Settings>,
}

/// What the file says of the organization itself.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A name of the time zone database.
    pub time_zone: String,
    /// The first day of a week.
    pub week_start: WeekStart,
    /// Spend a month of users without a limit of their own.
    pub default_user_limit: Option<Money>,
    /// How a spent budget is answered.
    pub budget_status: BudgetStatus,
    /// Whom a refused caller should ask.
    pub contact: Option<String>,
    /// What members may do by themselves.
    pub members: MembersMay,
    /// Groups that new users join.
    pub default_groups: Vec<Reference>,
    /// Limits of the whole organization.
    pub limits: Vec<Limit>,
}

/// An upstream.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Where it is written.
    pub lines: Lines,
    /// Its name.
    pub name: Name,
    /// The language it speaks.
    pub dialect: Dialect,
    /// Everything before the route.
    pub base_url: String,
    /// Whether it may be in a private network.
    pub allow_private_address: bool,
    /// How long it is waited for.
    pub waits: Waits,
    /// Where its credential comes from. None: the file does not say, and leaves it alone.
    pub credential: Option<Source>,
}

/// Where a credential comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// There is none.
    Nothing,
    /// An environment variable of whoever applies the file.
    Variable {
        /// Its name.
        name: String,
        /// Whether the provider works without.
        optional: bool,
    },
}

/// A class of models.
#[derive(Clone, Debug)]
pub struct Tier {
    /// Where it is written.
    pub lines: Lines,
    /// Its name.
    pub name: Name,
    /// Never meant by "all models".
    pub high_cost: bool,
}

/// A catalogue entry.
#[derive(Clone, Debug)]
pub struct Model {
    /// Where it is written.
    pub lines: Lines,
    /// What callers write.
    pub name: ModelName,
    /// Where it is.
    pub provider: String,
    /// What the provider calls it.
    pub upstream: String,
    /// What goes in and comes out.
    pub modality: Modality,
    /// Its class.
    pub tier: String,
    /// Tokens that fit in and out together.
    pub context_tokens: Option<i64>,
    /// The most it answers with.
    pub max_output_tokens: Option<i64>,
    /// Written in a file, it counts as decided unless the file says otherwise.
    pub review: Review,
    /// Its prices now.
    pub price: Prices,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Where it is written.
    pub lines: Lines,
    /// From the root to itself.
    pub path: Vec<GroupName>,
    /// What kind.
    pub kind: GroupKind,
    /// Its last day.
    pub ends_on: Option<NaiveDate>,
    /// The policy of its calls that name no model.
    pub policy: Option<String>,
    /// Its limits.
    pub limits: Vec<Limit>,
}

impl Group {
    /// `Engineering/Research`.
    pub fn path_text(&self) -> String {
        self.path.iter().map(GroupName::as_str).collect::<Vec<_>>().join("/")
    }

    /// The path of the group above.
    pub fn parent_text(&self) -> Option<String> {
        let (_, above) = self.path.split_last()?;
        let text = above.iter().map(GroupName::as_str).collect::<Vec<_>>().join("/");
        (!above.is_empty()).then_some(text)
    }
}

/// A person.
#[derive(Clone, Debug)]
pub struct User {
    /// Where they are written.
    pub lines: Lines,
    /// How they are found.
    pub email: Email,
    /// Their name.
    pub name: Name,
    /// What they may do in the console.
    pub role: Role,
    /// Whether they are kept out.
    pub suspended: bool,
    /// Their own limits, `monthly_limit` among them.
    pub limits: Vec<Limit>,
    /// Groups they were put into.
    pub groups: Vec<Membership>,
}

/// A person in a group.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Where it is written.
    pub lines: Lines,
    /// The group.
    pub path: String,
    /// Lead or member.
    pub standing: Standing,
    /// When it ends by itself.
    pub ends_at: Option<DateTime<Utc>>,
    /// What they may use within the group.
    pub limits: Vec<Limit>,
}

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One model.
    Model(String),
    /// A class.
    Tier(String),
    /// Every model that is not of a high-cost tier.
    All,
}

/// A rule: who may use what.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Where it is written.
    pub lines: Lines,
    /// None: the organization's baseline.
    pub group: Option<String>,
    /// Which models.
    pub target: Target,
    /// Open, by request, closed.
    pub state: State,
    /// Whether groups below cannot say otherwise.
    pub locked: bool,
    /// When it stops by itself.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether it decides, or only takes note.
    pub mode: Mode,
    /// Its quotas.
    pub limits: Vec<Limit>,
}

/// A named route.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where it is written.
    pub lines: Lines,
    /// Callers write `policy/` and this.
    pub name: ModelName,
    /// How it chooses.
    pub routing: Routing,
    /// Models and weights, in order, each with how it is dealt with.
    pub steps: Vec<(Reference, i32, StepRules)>,
}

/// An application and its key.
#[derive(Clone, Debug)]
pub struct Application {
    /// Where it is written.
    pub lines: Lines,
    /// Its name, unique in its group.
    pub name: Name,
    /// The group it lives in.
    pub group: String,
    /// What it is for.
    pub description: String,
    /// Labels a call may carry.
    pub use_cases: Vec<String>,
    /// Its one key.
    pub key: Key,
    /// Whether it is to have a service secret.
    pub service_secret: bool,
}

/// The models a key narrows to.
#[derive(Clone, Debug)]
pub enum KeyModels {
    /// Those its group has.
    All,
    /// These.
    These(Vec<Reference>),
}

/// A key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it is written.
    pub lines: Lines,
    /// What it narrows to.
    pub models: KeyModels,
    /// What calls may use.
    pub features: Features,
    /// What answers when a call names no model.
    pub policy: Option<String>,
    /// Groups whose members may have a secret of their own.
    pub assigned_groups: Vec<Reference>,
    /// What happens to its calls besides.
    pub handling: Handling,
    /// Limits of the application.
    pub limits: Vec<Limit>,
}

/// A cap.
#[derive(Clone, Debug)]
pub struct Limit {
    /// Where it is written.
    pub lines: Lines,
    /// What is counted.
    pub metric: Metric,
    /// Over what time.
    pub window: Window,
    /// How much: nano-dollars, requests or tokens.
    pub cap: i64,
    /// What happens without room.
    pub mode: Mode,
    /// Per cent of the cap at which somebody is told.
    pub thresholds: Vec<u8>,
}
