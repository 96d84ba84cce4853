//! Groups: the nodes of an organization's tree.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    ids::{GroupId, PolicyId, UserId},
    money::Money,
    window::Calendar,
    words::words,
};

/// How deep the tree may be.
pub const DEPTH_MAX: usize = 32;

words! {
    /// What a group stands for.
    GroupKind("kind") {
        /// A part of the organization.
        Department = "department",
        /// Work with an end.
        Project = "project",
        /// People with the same job.
        Function = "function",
        /// Anything else.
        Custom = "custom",
    }
}

words! {
    /// What somebody is in a group.
    Standing("standing") {
        /// Runs the group and everything below it.
        Lead = "lead",
        /// Belongs to it.
        Member = "member",
    }
}

words! {
    /// Who put somebody into a group. A source touches only its own memberships.
    Source("source") {
        /// A person in the console, or a file.
        Manual = "manual",
        /// The organization's default groups.
        Default = "default",
        /// An identity provider, by SCIM.
        Scim = "scim",
        /// An identity provider, by a claim at sign-in.
        Oidc = "oidc",
    }
}

/// A line of the group tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRow {
    /// Its id.
    pub id: GroupId,
    /// Its ancestors from the root down, without itself.
    pub ancestors: Vec<GroupId>,
    /// Its own name.
    pub name: String,
    /// What it stands for.
    pub kind: GroupKind,
    /// The last day it is open.
    pub ends_on: Option<NaiveDate>,
    /// People in this very group.
    pub members: i64,
    /// People in it or below, each once.
    pub members_below: i64,
    /// Applications in it or below.
    pub applications: i64,
    /// Attributed spend of the month, with everything below.
    pub spend: Money,
    /// The cap on its monthly spend, if it has one.
    pub cap: Option<Money>,
}

/// One group with what its page shows first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// From the root to itself: id and name.
    pub path: Vec<(GroupId, String)>,
    /// What it stands for.
    pub kind: GroupKind,
    /// The last day it is open.
    pub ends_on: Option<NaiveDate>,
    /// Archived since.
    pub archived_at: Option<DateTime<Utc>>,
    /// Whether new users join it.
    pub is_default: bool,
    /// Its own policy for calls that name no model.
    pub policy: Option<PolicyId>,
    /// Counts up with every change.
    pub version: i64,
}

impl Group {
    /// Its own name.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", |(_, name)| name)
    }

    /// `Engineering/Research`.
    pub fn path_text(&self) -> String {
        let names: Vec<&str> = self.path.iter().map(|(_, name)| name.as_str()).collect();
        names.join("/")
    }
}

/// Somebody in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub name: String,
    /// Their email address.
    pub email: String,
    /// What they are in it.
    pub standing: Standing,
    /// Who put them there.
    pub source: Source,
    /// When they joined.
    pub since: DateTime<Utc>,
    /// When they leave by themselves.
    pub ends_at: Option<DateTime<Utc>>,
    /// The group below through which they belong; none for direct members.
    pub through: Option<(GroupId, String)>,
    /// What they spent this month, anywhere.
    pub spend: Money,
    /// Suspended people stay members but cannot call.
    pub suspended: bool,
}

/// What a new or edited group is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupForm {
    /// Its name.
    pub name: crate::names::GroupName,
    /// What it stands for.
    pub kind: GroupKind,
    /// The last day it is open.
    pub ends_on: Option<NaiveDate>,
}

/// The first moment at which a group with this last day is over: it is open through that day.
pub fn end_of(ends_on: NaiveDate, calendar: Calendar) -> Option<DateTime<Utc>> {
    ends_on.succ_opt().map(|day| calendar.midnight(day))
}

/// What somebody is in a group and until when, for a form that changes it to say what it was made
/// from: `lead`, `member 2026-12-01T00:00:00+00:00`.
pub fn seen_as(standing: Standing, ends_at: Option<DateTime<Utc>>) -> String {
    match ends_at {
        Some(end) => format!("{standing} {}", end.to_rfc3339()),
        None => standing.to_string(),
    }
}
