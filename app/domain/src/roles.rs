//! Who may do what in the console. Nothing here opens a model.
//!
//! [`permit`] is the maker of a [`Permit`] ([`permit_between`] asks it twice), and every change in the store needs one: a
//! function that forgot to ask does not compile.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    audit::Door,
    ids::{GroupId, OrgId, UserId},
    users::Role,
    words::words,
};

words! {
    /// What somebody wants to do. The word is also the start of its line in the audit log.
    Act("act") {
        /// See people, groups, programs, models, money and the log of the whole organization.
        ReadOrganization = "organization.read",
        /// See a group: its members, programs, models and money.
        ReadGroup = "group.read",
        /// See and change one's own things.
        UseOwn = "own.use",
        /// Change the organization's settings.
        EditOrganization = "organization.edit",
        /// Delete the organization with everything in it.
        DeleteOrganization = "organization.delete",
        /// Invite, edit, suspend, remove people.
        EditUsers = "user.edit",
        /// Give or take the owner and admin roles.
        EditRoles = "user.role",
        /// Rename a group, change its kind, end or policy.
        EditGroup = "group.edit",
        /// Make a group below another.
        CreateGroup = "group.create",
        /// Put a group elsewhere in the tree.
        MoveGroup = "group.move",
        /// Close a group for good.
        ArchiveGroup = "group.archive",
        /// Put people into a group, take them out.
        EditMembers = "group.members",
        /// Say who leads a group.
        EditLeads = "group.leads",
        /// Make or change an application and its key.
        EditApplications = "application.edit",
        /// Make, rotate and revoke service secrets.
        EditSecrets = "secret.edit",
        /// End calls in flight.
        EndCalls = "call.end",
        /// Close models, or ask for approval, where they were wider.
        NarrowAuthorizations = "authorization.narrow",
        /// Open models.
        WidenAuthorizations = "authorization.widen",
        /// Ask for a model for a whole group.
        RequestForGroup = "request.group",
        /// Say yes or no to what somebody asks for; end what was agreed to.
        DecideRequests = "request.decide",
        /// Add a limit or lower one.
        TightenLimits = "limit.tighten",
        /// Raise a limit or take it away.
        LoosenLimits = "limit.loosen",
        /// Open a review of who still needs what, and decide in it.
        ReviewAccess = "access.review",
        /// Providers, models, prices, tiers.
        EditCatalogue = "catalogue.edit",
        /// Routing policies.
        EditPolicies = "policy.edit",
        /// Pin tests of who may use what, and take them away.
        EditAccessTests = "access_test.edit",
        /// Close months, bring what providers bill.
        KeepBooks = "books.keep",
        /// Read what calls said, of keys that keep it.
        ReadPrompts = "prompt.read",
        /// Read the log of changes.
        ReadAudit = "audit.read",
        /// Apply a whole file.
        ApplyFile = "file.apply",
    }
}

words! {
    /// What an act is about, for a table that people read.
    Part("part") {
        /// Looking.
        Reading = "reading",
        /// The organization itself.
        Organization = "organization",
        /// People and groups.
        People = "people",
        /// Programs and their secrets.
        Programs = "programs",
        /// What models are open to whom, and how much of them.
        Access = "access",
        /// Models and where they come from.
        Catalogue = "catalogue",
    }
}

impl Part {
    /// As a heading.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Reading => "Looking",
            Self::Organization => "The organization",
            Self::People => "People and groups",
            Self::Programs => "Applications, keys and secrets",
            Self::Access => "Saying what groups may use",
            Self::Catalogue => "Models, providers and routes",
        }
    }
}

impl Act {
    /// What it is about.
    pub const fn part(self) -> Part {
        match self {
            Self::UseOwn | Self::ReadOrganization | Self::ReadGroup | Self::ReadAudit | Self::ReadPrompts => {
                Part::Reading
            }
            Self::EditOrganization
            | Self::DeleteOrganization
            | Self::EditRoles
            | Self::ApplyFile
            | Self::KeepBooks => Part::Organization,
            Self::EditUsers
            | Self::EditGroup
            | Self::CreateGroup
            | Self::MoveGroup
            | Self::ArchiveGroup
            | Self::EditMembers
            | Self::EditLeads
            | Self::ReviewAccess => Part::People,
            Self::EditApplications | Self::EditSecrets | Self::EndCalls => Part::Programs,
            Self::NarrowAuthorizations
            | Self::WidenAuthorizations
            | Self::RequestForGroup
            | Self::DecideRequests
            | Self::TightenLimits
            | Self::LoosenLimits
            | Self::EditAccessTests => Part::Access,
            Self::EditCatalogue | Self::EditPolicies => Part::Catalogue,
        }
    }

    /// The act as the end of “may …”, for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ReadOrganization => "See the whole organization",
            Self::ReadGroup => "See a group: people, applications, models, money",
            Self::UseOwn => "See and change one’s own things",
            Self::EditOrganization => "Change the organization's settings",
            Self::DeleteOrganization => "Delete the organization",
            Self::EditUsers => "Invite, edit, suspend and remove people",
            Self::EditRoles => "Give or take the roles owner and admin; hand the organization over",
            Self::EditGroup => {
                "Rename a group, change its kind, end or policy (leads: an earlier end, of groups below)"
            }
            Self::CreateGroup => "Make a group below another",
            Self::MoveGroup => "Put a group elsewhere in the tree",
            Self::ArchiveGroup => "Archive a group",
            Self::EditMembers => "Put people into a group, take them out",
            Self::EditLeads => "Say who leads a group",
            Self::EditApplications => "Make and change applications and their keys",
            Self::EditSecrets => "Make, rotate and revoke service secrets",
            Self::EndCalls => "End calls in flight",
            Self::NarrowAuthorizations => "Close models, or make them by request",
            Self::WidenAuthorizations => "Open models",
            Self::RequestForGroup => "Ask for a model for a whole group",
            Self::DecideRequests => "Decide on requests, end grants",
            Self::TightenLimits => "Add and lower limits",
            Self::LoosenLimits => "Raise limits, take them away",
            Self::EditAccessTests => "Pin tests that every change has to hold",
            Self::ReviewAccess => "Review who still needs what in a group",
            Self::EditCatalogue => "Providers, models, prices, tiers",
            Self::EditPolicies => "Routing policies",
            Self::KeepBooks => "Close months for good; bring what providers bill",
            Self::ReadPrompts => "Read what calls said, where it is kept; every time on the record",
            Self::ReadAudit => "Read the log of changes",
            Self::ApplyFile => "Apply a file, import a table",
        }
    }
}

/// Where a lead may do something, seen from the group they lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// Nowhere.
    No,
    /// In the group and everywhere below.
    Here,
    /// Only below: what holds for one's own group is set from above.
    Below,
}

/// One line of the matrix: owners may do everything.
struct Line {
    admin: bool,
    auditor: bool,
    member: bool,
    lead: Lead,
}

/// The matrix. `app/domain/tests/it/roles.txt` shows it as a table.
fn line(act: Act) -> Line {
    let none = Line { admin: false, auditor: false, member: false, lead: Lead::No };
    match act {
        Act::UseOwn => Line { admin: true, auditor: true, member: true, ..none },
        Act::ReadOrganization | Act::ReadAudit => Line { admin: true, auditor: true, ..none },
        Act::ReadGroup => Line { admin: true, auditor: true, lead: Lead::Here, ..none },
        Act::EditOrganization
        | Act::EditUsers
        | Act::MoveGroup
        | Act::WidenAuthorizations
        | Act::LoosenLimits
        | Act::EditCatalogue
        | Act::EditPolicies
        | Act::EditAccessTests
        | Act::KeepBooks
        | Act::ApplyFile => Line { admin: true, ..none },
        Act::EditGroup
        | Act::CreateGroup
        | Act::EditMembers
        | Act::EditApplications
        | Act::EditSecrets
        | Act::EndCalls
        | Act::NarrowAuthorizations
        | Act::RequestForGroup
        | Act::DecideRequests
        | Act::ReviewAccess
        | Act::TightenLimits => Line { admin: true, lead: Lead::Here, ..none },
        Act::ArchiveGroup | Act::EditLeads => Line { admin: true, lead: Lead::Below, ..none },
        Act::ReadPrompts => Line { auditor: true, ..none },
        Act::EditRoles | Act::DeleteOrganization => none,
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// In which organization.
    pub org: OrgId,
    /// The person; none when Bursar itself or a file acts.
    pub user: Option<UserId>,
    /// What the log calls them.
    pub name: String,
    /// Their role.
    pub role: Role,
    /// Groups they lead, directly.
    pub leads: Vec<GroupId>,
    /// Through which door they came.
    pub door: Door,
}

impl Actor {
    /// Bursar itself, for what comes by its day and nobody does.
    pub fn bursar(org: OrgId) -> Self {
        Self {
            org,
            user: None,
            name: "Bursar".to_owned(),
            role: Role::Owner,
            leads: Vec::new(),
            door: Door::System,
        }
    }
}

/// Where something is done.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In the organization as a whole.
    Organization,
    /// In a group: its path from the root to itself.
    Group(&'a [GroupId]),
}

/// Proof that the actor may do this, there. Only [`permit`], [`permit_in_all`] and
/// [`permit_between`] make one.
#[derive(Clone, Debug)]
pub struct Permit {
    actor: Actor,
    act: Act,
    /// None: the organization as a whole.
    groups: Option<Vec<GroupId>>,
}

impl Permit {
    /// In which organization. Every statement of the store is bound to it.
    pub const fn org(&self) -> OrgId {
        self.actor.org
    }

    /// Who.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What.
    pub const fn act(&self) -> Act {
        self.act
    }

    /// In which groups; none: in the organization as a whole.
    pub fn groups(&self) -> Option<&[GroupId]> {
        self.groups.as_deref()
    }

    /// Whether it is a permit for this act on this group (none: the organization as a whole). A
    /// permit for the whole organization covers its groups; a permit to apply a file covers
    /// everything a file can say.
    pub fn covers(&self, act: Act, group: Option<GroupId>) -> bool {
        let reaches = |groups: &Vec<GroupId>| group.is_some_and(|group| groups.contains(&group));
        self.act == Act::ApplyFile || (self.act == act && self.groups.as_ref().is_none_or(reaches))
    }
}

/// The answer to somebody who may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Their role.
    pub role: Role,
    /// What they wanted.
    pub act: Act,
}

/// Whether the actor may do this there. Pages hide with it what [`permit`] would refuse.
pub fn allows(actor: &Actor, act: Act, place: Place<'_>) -> bool {
    let line = line(act);
    let by_role = match actor.role {
        Role::Owner => true,
        Role::Admin => line.admin,
        Role::Auditor => line.auditor,
        Role::Member => line.member,
    };
    by_role || as_lead(&actor.leads, line.lead, place)
}

fn as_lead(leads: &[GroupId], lead: Lead, place: Place<'_>) -> bool {
    let Place::Group(path) = place else { return false };
    let reach = match lead {
        Lead::No => return false,
        Lead::Here => path,
        Lead::Below => path.split_last().map_or(&[][..], |(_, above)| above),
    };
    reach.iter().any(|group| leads.contains(group))
}

/// Proves that the actor may do this there.
pub fn permit(actor: &Actor, act: Act, place: Place<'_>) -> Result<Permit, Refused> {
    if allows(actor, act, place) {
        let groups = match place {
            Place::Organization => None,
            Place::Group(path) => Some(path.last().copied().into_iter().collect()),
        };
        Ok(Permit { actor: actor.clone(), act, groups })
    } else {
        Err(Refused { role: actor.role, act })
    }
}

/// Proves that the actor may do this in each of several groups: their paths from the root.
pub fn permit_in_all(actor: &Actor, act: Act, paths: &[&[GroupId]]) -> Result<Permit, Refused> {
    if paths.iter().all(|path| allows(actor, act, Place::Group(path))) {
        let groups = paths.iter().filter_map(|path| path.last().copied()).collect();
        Ok(Permit { actor: actor.clone(), act, groups: Some(groups) })
    } else {
        Err(Refused { role: actor.role, act })
    }
}

/// Proves that the actor may do this in both groups: their paths. For what happens between them.
pub fn permit_between(actor: &Actor, act: Act, from: &[GroupId], to: &[GroupId]) -> Result<Permit, Refused> {
    permit_in_all(actor, act, &[from, to])
}

/// One row of the matrix, as [`allows`] answers it for a group and for one above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The act.
    pub act: Act,
    /// Whether a role alone is enough, in the order of [`Role::ALL`].
    pub by_role: Vec<bool>,
    /// Whether leading the group is enough.
    pub leading: bool,
    /// Whether leading a group above it is.
    pub above: bool,
}

/// The whole matrix, for people.
pub fn matrix() -> Vec<Row> {
    let (above, group) = (GroupId(Uuid::from_u128(1)), GroupId(Uuid::from_u128(2)));
    let may = |role: Role, leads: &[GroupId], act: Act| {
        let actor = Actor {
            org: OrgId::NIL,
            user: None,
            name: String::new(),
            role,
            leads: leads.to_vec(),
            door: Door::Console,
        };
        allows(&actor, act, Place::Group(&[above, group]))
    };
    let row = |act: &Act| Row {
        act: *act,
        by_role: Role::ALL.iter().map(|role| may(*role, &[], *act)).collect(),
        leading: may(Role::Member, &[group], *act),
        above: may(Role::Member, &[above], *act),
    };
    Act::ALL.iter().map(row).collect()
}
