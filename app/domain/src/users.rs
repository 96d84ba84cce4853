//! People.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    groups::{Source, Standing},
    ids::{ApplicationId, GroupId, SessionId, UserId},
    money::Money,
    words::words,
};

words! {
    /// What somebody may do in the console. Never which models they may use.
    Role("role") {
        /// Everything, handing the organization over included.
        Owner = "owner",
        /// Everything but that.
        Admin = "admin",
        /// Reads everything, changes nothing.
        Auditor = "auditor",
        /// Their own things, and the groups they lead.
        Member = "member",
    }
}

words! {
    /// Where somebody stands.
    UserStatus("status") {
        /// Can make a call now: has a live secret of a live key.
        Active = "active",
        /// Cannot: no live secret.
        Inactive = "inactive",
        /// Has not accepted the invitation yet.
        Invited = "invited",
        /// Suspended: every secret is dead, and sign-in is refused.
        Suspended = "suspended",
    }
}

/// A group as a badge beside a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Badge {
    /// Which group.
    pub group: GroupId,
    /// Its name.
    pub name: String,
    /// What the person is in it.
    pub standing: Standing,
    /// Who put them there.
    pub source: Source,
    /// When the membership ends by itself.
    pub ends_at: Option<DateTime<Utc>>,
    /// Belongs only through a group below.
    pub inherited: bool,
    /// The last day of the group, or of one above it, where that is over: it gives nothing any more.
    pub ended_on: Option<NaiveDate>,
}

/// A browser that somebody is signed in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Which one. It opens nothing.
    pub id: SessionId,
    /// What the browser calls itself.
    pub device: String,
    /// Since when.
    pub started_at: DateTime<Utc>,
    /// When it asked for something last, to the minute.
    pub seen_at: DateTime<Utc>,
    /// Whether it is the one that looks.
    pub here: bool,
}

/// What a browser calls itself, in two words; programs are called by the first word they say.
pub fn device(agent: &str) -> String {
    let has = |word: &str| agent.contains(word);
    // Every browser names those it wants to be taken for: the rarer names come first.
    let browsers = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    let systems = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let name = |list: &[(&str, &'static str)]| list.iter().find(|(word, _)| has(word)).map(|(_, name)| *name);
    match (name(&browsers), name(&systems)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => {
            let word: String = agent.split([' ', '/']).next().unwrap_or_default().chars().take(40).collect();
            if word.is_empty() { "An unknown device".to_owned() } else { word }
        }
    }
}

/// An application that somebody answers for, calls for, or has to themself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedApplication {
    /// Which.
    pub id: ApplicationId,
    /// Its name.
    pub name: String,
    /// The name of the group it lives in.
    pub group: String,
    /// They answer for it.
    pub owns: bool,
    /// It is a private context of theirs.
    pub personal: bool,
    /// Their live secret: start and end of it, since when, its last call.
    pub secret: Option<(String, DateTime<Utc>, Option<DateTime<Utc>>)>,
}

/// A line of the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// Who.
    pub id: UserId,
    /// Their name.
    pub name: String,
    /// Their email address.
    pub email: String,
    /// What they may do in the console.
    pub role: Role,
    /// Where they stand.
    pub status: UserStatus,
    /// Their groups.
    pub groups: Vec<Badge>,
    /// What they spent this month, anywhere.
    pub spend: Money,
    /// Held by calls in flight.
    pub held: Money,
    /// Their own monthly limit.
    pub own_limit: Option<Money>,
    /// Their last call.
    pub last_call: Option<DateTime<Utc>>,
    /// When they were invited.
    pub invited_at: Option<DateTime<Utc>>,
    /// Counts up with every change.
    pub version: i64,
}

impl UserRow {
    /// The monthly limit that applies, given the organization's default.
    pub fn limit(&self, default: Option<Money>) -> Option<Money> {
        self.own_limit.or(default)
    }
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn devices_are_told_apart_by_what_people_call_them() {
        let agents = [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.5.0", "curl"),
            ("", "An unknown device"),
        ];
        for (agent, name) in agents {
            assert_eq!(device(agent), name);
        }
    }
}
