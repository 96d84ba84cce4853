//! Whose calls a page is about, as its address says it: what the spend page, the explorer and the
//! list of calls share.

use domain::spend::View;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use serde::{Deserialize, Serialize};

use crate::ui::query;

/// Whose calls. Each part is an id or a label as addresses write it, `-` for those without any, or
/// empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filters {
    /// Of a group and everything below.
    pub group: String,
    /// `true`: of its own applications only.
    pub directly: String,
    /// Of a group: by its applications, or by its members.
    pub view: String,
    /// Of an application.
    pub application: String,
    /// Of the application that has a key.
    pub key: String,
    /// Of a person.
    pub user: String,
    /// With a model.
    pub model: String,
    /// With a model of a tier.
    pub tier: String,
    /// With a model of a provider.
    pub provider: String,
    /// With a label.
    pub use_case: String,
    /// That used a feature of their key.
    pub feature: String,
    /// Of none of these, as [`domain::explore::Without`] writes them.
    pub without: String,
}

/// What a filter is called whose name is not for whoever asks.
pub const AS_LINKED: &str = "as linked";

/// What can be chosen in a filter: value and label.
pub type Choices = Vec<(String, String)>;

/// What a page with filters says about them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The filters that are set: which, and what it is called.
    pub set: Vec<(String, String)>,
    /// Whether only what whoever asks leads or did is shown.
    pub narrowed: bool,
    /// Groups to choose from.
    pub groups: Choices,
    /// Where there are too many to choose from: the path of the one that is chosen, to be written.
    pub group_path: Option<String>,
    /// Applications to choose from.
    pub applications: Choices,
    /// Models to choose from.
    pub models: Choices,
    /// Classes of models to choose from.
    pub tiers: Choices,
    /// Providers to choose from.
    pub providers: Choices,
}

impl Filters {
    /// Those of the address.
    pub fn here() -> Self {
        let query = use_query_map().get_untracked();
        let value = |name: &str| query.get(name).unwrap_or_default();
        Self {
            group: value("group"),
            directly: value("directly"),
            view: value("view"),
            application: value("application"),
            key: value("key"),
            user: value("user"),
            model: value("model"),
            tier: value("tier"),
            provider: value("provider"),
            use_case: value("use_case"),
            feature: value("feature"),
            without: value("without"),
        }
    }

    /// By name, those that are set.
    pub fn pairs(&self) -> Vec<(&'static str, &str)> {
        [
            ("group", self.group.as_str()),
            ("directly", &self.directly),
            ("view", &self.view),
            ("application", &self.application),
            ("key", &self.key),
            ("user", &self.user),
            ("model", &self.model),
            ("tier", &self.tier),
            ("provider", &self.provider),
            ("use_case", &self.use_case),
            ("feature", &self.feature),
            ("without", &self.without),
        ]
        .into_iter()
        .filter(|(name, value)| !value.is_empty() && (*name, *value) != ("view", View::Attributed.as_str()))
        .collect()
    }

    /// Narrowed further to one thing of a split, as tables name it.
    #[must_use]
    pub fn with(&self, by: domain::explore::By, key: &str) -> Self {
        use domain::explore::{By, NONE};
        let mut filters = self.clone();
        let key = key.to_owned();
        match by {
            // What is not in a group below is of the group itself.
            By::Group if key == NONE => filters.directly = "true".to_owned(),
            By::Group => filters.group = key,
            By::Application => filters.application = key,
            By::Key => filters.key = key,
            By::User => filters.user = key,
            By::Model => filters.model = key,
            By::Tier => filters.tier = key,
            By::Provider => filters.provider = key,
            By::UseCase => filters.use_case = key,
            By::Feature => filters.feature = key,
        }
        filters
    }

    /// Narrowed further to none of some things: the rest of a table that names those.
    #[must_use]
    pub fn besides<'a>(&self, by: domain::explore::By, keys: impl Iterator<Item = &'a str>) -> Self {
        let already: domain::explore::Without = self.without.parse().unwrap_or_default();
        Self { without: already.and(by, keys).to_string(), ..self.clone() }
    }

    /// The same for a page that leaves nothing out.
    #[must_use]
    pub fn with_everything(&self) -> Self {
        Self { without: String::new(), ..self.clone() }
    }

    /// An address with these and more.
    pub fn href(&self, path: &str, more: &[(&str, &str)]) -> String {
        let pairs: Vec<String> = self
            .pairs()
            .into_iter()
            .chain(more.iter().copied())
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", query::encoded(value)))
            .collect();
        if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
    }
}
