//! What every page stands in: who is looking, in which organization, and what a form without
//! script left behind.

use chrono::{DateTime, Utc};
use domain::{
    audit::Door,
    ids::{GroupId, OrgId, UserId},
    roles::{self, Act, Actor, Place},
    time::Zone,
    users::Role,
};
use serde::{Deserialize, Serialize};

use crate::error::AppError;

/// What every page stands in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Who is looking; none when nobody is signed in.
    pub me: Option<Me>,
    /// Whether nobody has set this installation up yet.
    pub fresh: bool,
    /// When the page was made.
    pub now: DateTime<Utc>,
    /// The organization's time zone around that moment.
    pub zone: Zone,
    /// How it looks.
    pub theme: Theme,
    /// What programs reach the gateway by.
    pub public_url: String,
    /// What a form without script left behind.
    pub flash: Option<Flash>,
    /// One line about what was just done.
    pub notice: Option<String>,
    /// What would undo that.
    pub undo: Option<WayBack>,
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// Their name.
    pub name: String,
    /// The address they sign in with.
    pub email: String,
    /// May make organizations.
    pub operator: bool,
    /// Who they are in the organization they look at; none before they belong to one.
    pub here: Option<Here>,
    /// Every organization they belong to.
    pub organizations: Vec<(OrgId, String)>,
}

/// Who somebody is in an organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Here {
    /// Which organization.
    pub org: OrgId,
    /// What it is called.
    pub org_name: String,
    /// Who they are in it.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// Groups they lead, directly.
    pub leads: Vec<GroupId>,
}

impl Here {
    /// Whether a page may offer this: the same answer the server gives.
    pub fn allows(&self, act: Act, place: Place<'_>) -> bool {
        let actor = Actor {
            org: self.org,
            user: Some(self.user),
            name: String::new(),
            role: self.role,
            leads: self.leads.clone(),
            door: Door::Console,
        };
        roles::allows(&actor, act, place)
    }
}

impl Frame {
    /// Who somebody is in the organization they look at.
    pub fn here(&self) -> Option<&Here> {
        self.me.as_ref()?.here.as_ref()
    }

    /// Whether a page may offer this.
    pub fn allows(&self, act: Act, place: Place<'_>) -> bool {
        self.here().is_some_and(|here| here.allows(act, place))
    }

    /// Whether a page may offer this in the organization as a whole.
    pub fn may(&self, act: Act) -> bool {
        self.allows(act, Place::Organization)
    }
}

/// How it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the system says.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// The value of `data-theme`, and of the cookie.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// From a cookie.
    pub fn from_text(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::System,
        }
    }
}

/// The number of the request that a page or a form is answered in: in its head, on what fails, and in
/// the log of changes; there with the address it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its number: `req_…`.
    pub id: String,
    /// The address it came from, where it is known.
    pub address: Option<String>,
}

/// The field that tells forms with the same address apart.
pub const WHICH: &str = "_form";

/// The field that says to which organization a form belongs: a browser looks at one at a time, and another
/// tab may have gone on to the next one since.
pub const ORG: &str = "_org";

/// The header that says the same of what script sends.
pub const ORG_HEADER: &str = "x-bursar-org";

/// The field that says what the fields of a form held when it was drawn, as JSON: what somebody left alone is
/// told from what they changed.
pub const WAS: &str = "_was";

/// The field that says which page a form stands on, where its address does not.
pub const PAGE: &str = "_page";

/// What a form without script left behind: the page is made once more, with this in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flash {
    /// Where the form went: the address of its server function.
    pub to: String,
    /// Which of several forms that go there.
    pub form: String,
    /// What was typed, without passwords.
    pub values: Vec<(String, String)>,
    /// What came of it.
    pub outcome: Result<Done, AppError>,
    /// The page the form was on: what the address bar should say.
    pub page: String,
    /// Who was first where somebody was, as the subject of a sentence: `Olga`, or `You, in another tab,`.
    #[serde(default)]
    pub first: Option<String>,
}

/// What came of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// One line about it.
    pub notice: Option<String>,
    /// Where to go next.
    pub go: Option<String>,
    /// Whether everything has to be loaded anew: somebody else is signed in now.
    pub reload: bool,
    /// Something that is shown once, here, and nowhere afterwards.
    pub once: Option<Once>,
    /// What would undo it: offered with the line, on this page or the next.
    pub undo: Option<WayBack>,
    /// With script this page stays, wherever a page without it goes on.
    pub stays: bool,
}

/// The form that undoes a change, filled in: what was said before, and the version that the change made.
/// So it is refused like any other form where somebody changed the thing since, or who sends it may not;
/// and it stands in the log as the change it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayBack {
    /// The address of its server function.
    pub to: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
    /// The number of the request that made the change.
    #[serde(default)]
    pub of: String,
}

/// The field that says that a form undoes something: the number of the request that did it.
pub const UNDOES: &str = "_undo";

/// The header that says the same. Where it cannot be undone as it was, the answer says in a sentence who
/// changed it since: there is no form to show that in.
pub const UNDOES_HEADER: &str = "x-bursar-undoes";

impl WayBack {
    /// By a form that goes there.
    pub fn by(to: &str) -> Self {
        Self { to: to.to_owned(), fields: Vec::new(), of: String::new() }
    }

    /// With a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a field, where there is something to say in it.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With several of one name.
    #[must_use]
    pub fn with_each<T: ToString>(self, name: &str, values: impl IntoIterator<Item = T>) -> Self {
        values.into_iter().fold(self, |form, value| form.with(name, value))
    }

    /// With a box that is ticked, or not.
    #[must_use]
    pub fn ticked(self, name: &str, ticked: bool) -> Self {
        if ticked { self.with(name, true) } else { self }
    }
}

/// Something that is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Once {
    /// A secret, with a call that uses it.
    Secret {
        /// The secret.
        secret: String,
        /// A command that makes a call with it, if there is a model to call.
        curl: Option<String>,
    },
    /// A link to send to somebody.
    Link {
        /// Who it is for.
        name: String,
        /// The link.
        url: String,
    },
    /// Fields of the form, filled in for whoever is filling it in.
    Filled {
        /// One sentence.
        sentence: String,
        /// Names of fields and what they hold now.
        values: Vec<(String, String)>,
    },
    /// Something to read.
    Read {
        /// One sentence.
        sentence: String,
        /// Texts with their headings.
        parts: Vec<(String, String)>,
    },
    /// Links, each for somebody else.
    Links {
        /// One sentence.
        sentence: String,
        /// Name, email address and link of each.
        links: Vec<(String, String, String)>,
    },
    /// What saving would change: shown before it is saved. The page shows it, not the form.
    Difference {
        /// One sentence.
        sentence: String,
        /// What changes, by kind.
        parts: Vec<Differs>,
        /// What dies with it for good: a sentence, and how much of whose.
        dying: Option<(String, Vec<String>)>,
        /// Names of fields and what they hold now: what was read, and which difference was shown.
        values: Vec<(String, String)>,
    },
    /// What trying something out found.
    Found {
        /// Whether it is as hoped.
        good: bool,
        /// One sentence.
        sentence: String,
        /// Details, one a line.
        lines: Vec<String>,
    },
}

/// One kind of what saving would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differs {
    /// Which.
    pub title: String,
    /// How many people it is about.
    pub people: usize,
    /// The first of them: name, email address, and what changes.
    pub lines: Vec<(String, String, Vec<String>)>,
}

impl Done {
    /// Done, with one line about it.
    pub fn said(notice: impl Into<String>) -> Self {
        Self { notice: Some(notice.into()), ..Self::default() }
    }

    /// Done; next is this page.
    #[must_use]
    pub fn then(mut self, go: impl Into<String>) -> Self {
        self.go = Some(go.into());
        self
    }

    /// Next is this page, unless there is something to show here.
    #[must_use]
    pub fn then_if_said(self, go: impl Into<String>) -> Self {
        if self.once.is_some() { self } else { self.then(go) }
    }

    /// Something to show once.
    pub fn once(once: Once) -> Self {
        Self { once: Some(once), ..Self::default() }
    }

    /// Done, and undone by this.
    #[must_use]
    pub fn undone_by(self, undo: impl Into<Option<WayBack>>) -> Self {
        Self { undo: undo.into(), ..self }
    }

    /// With the number of the request in which it was done, where that can be undone.
    #[must_use]
    pub fn made_in(mut self, request: &str) -> Self {
        if let Some(undo) = &mut self.undo {
            request.clone_into(&mut undo.of);
        }
        self
    }

    /// What is left to say of it where it undid something: the page stays.
    #[must_use]
    pub fn undid(self) -> Self {
        let said = self.notice.filter(|notice| notice.starts_with("Undone"));
        Self::said(said.unwrap_or_else(|| "Undone.".to_owned()))
    }
}
