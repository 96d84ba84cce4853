//! Notices: what somebody is told without looking, in the console and by mail.
//!
//! Every sentence that is sent is made here, so that one can read what people read.

use chrono::{DateTime, Duration, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{ids::NoticeId, money::Money, requests::Wish, time, users::Role, words::words};

words! {
    /// What a notice is about.
    NoticeKind("kind") {
        /// Somebody asks for something that whoever is told can decide on.
        Request = "request",
        /// What came of one's own request.
        Answer = "answer",
        /// One's own grant is about to end, or has ended.
        Grant = "grant",
        /// A threshold of a limit was crossed.
        Limit = "limit",
        /// A limit will be reached before its window ends.
        Forecast = "forecast",
        /// A day costs a multiple of the usual.
        Anomaly = "anomaly",
        /// A budget that nobody uses.
        Unused = "unused",
        /// A secret was found where it must not be, and is dead.
        Secret = "secret",
        /// Something is one's own to answer for now.
        Charge = "charge",
        /// A review of a group that one leads is open.
        Review = "review",
        /// A pinned test began to fail by a date that came.
        Test = "test",
    }
}

impl NoticeKind {
    /// How people call it, at the start of a line.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Request => "Requests that I can decide on",
            Self::Answer => "Answers to my requests",
            Self::Grant => "My grants, before they end and when they have",
            Self::Limit => "Limits that cross a threshold",
            Self::Forecast => "Limits that will be reached early",
            Self::Anomaly => "Days that cost a multiple of the usual, and answers without usage",
            Self::Unused => "Budgets that nobody uses",
            Self::Secret => "Secrets that were found in the open",
            Self::Charge => "What I answer for from now on",
            Self::Review => "Access reviews of groups that I lead",
            Self::Test => "Pinned tests that no longer hold because a date came",
        }
    }

    /// Whether somebody can be told of it: only who decides is asked to, and only who leads is told to review.
    pub const fn reaches(self, role: Role, leads: bool) -> bool {
        let runs = matches!(role, Role::Owner | Role::Admin);
        match self {
            Self::Request | Self::Review => runs || leads,
            Self::Test => runs,
            // Of what is one's own: a limit, a private context, a secret, what one asked for or took over.
            Self::Answer
            | Self::Grant
            | Self::Limit
            | Self::Forecast
            | Self::Anomaly
            | Self::Unused
            | Self::Secret
            | Self::Charge => true,
        }
    }

    /// One word for a line of a list.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Request => "Request",
            Self::Answer => "Answer",
            Self::Grant => "Grant",
            Self::Limit => "Limit",
            Self::Forecast => "Forecast",
            Self::Anomaly => "Anomaly",
            Self::Unused => "Unused",
            Self::Secret => "Leak",
            Self::Charge => "Handover",
            Self::Review => "Review",
            Self::Test => "Test",
        }
    }
}

words! {
    /// What a mail is about.
    MailKind("kind") {
        /// A link to join with.
        Invitation = "invitation",
        /// A link to choose another password with.
        Password = "password",
        /// A notice.
        Request = "request",
        /// A notice.
        Answer = "answer",
        /// A notice.
        Grant = "grant",
        /// A notice.
        Limit = "limit",
        /// A notice.
        Forecast = "forecast",
        /// A notice.
        Anomaly = "anomaly",
        /// A notice.
        Unused = "unused",
        /// A notice.
        Secret = "secret",
        /// A notice.
        Charge = "charge",
        /// A notice.
        Review = "review",
        /// A notice.
        Test = "test",
    }
}

impl From<NoticeKind> for MailKind {
    fn from(kind: NoticeKind) -> Self {
        match kind {
            NoticeKind::Request => Self::Request,
            NoticeKind::Answer => Self::Answer,
            NoticeKind::Grant => Self::Grant,
            NoticeKind::Limit => Self::Limit,
            NoticeKind::Forecast => Self::Forecast,
            NoticeKind::Anomaly => Self::Anomaly,
            NoticeKind::Unused => Self::Unused,
            NoticeKind::Secret => Self::Secret,
            NoticeKind::Charge => Self::Charge,
            NoticeKind::Review => Self::Review,
            NoticeKind::Test => Self::Test,
        }
    }
}

words! {
    /// What became of something that is sent.
    Sending("state") {
        /// It will be tried, again if need be.
        Due = "due",
        /// It was taken.
        Sent = "sent",
        /// It was given up.
        Failed = "failed",
    }
}

/// When something that could not be sent is tried again: so long after the try with this number, the
/// first being 1. None: it is given up.
pub fn back_off(tries: u16) -> Option<Duration> {
    const SECONDS: [i64; 7] = [10, 60, 300, 1800, 7200, 18_000, 36_000];
    let place = usize::from(tries.checked_sub(1)?);
    SECONDS.get(place).map(|seconds| Duration::seconds(*seconds))
}

/// What is told: the same to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// What it is about.
    pub kind: NoticeKind,
    /// Names what it tells of: nobody is told the same twice.
    pub key: String,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub body: String,
    /// The page it is about.
    pub href: String,
}

/// A line of somebody's notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// What it is about.
    pub kind: NoticeKind,
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub body: String,
    /// The page it is about.
    pub href: String,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
}

/// A secret that was reported as leaked, as far as it is told of.
#[derive(Clone, Copy, Debug)]
pub struct Leak<'a> {
    /// Its id, as in addresses.
    pub secret: &'a str,
    /// Its beginning and its end.
    pub hint: &'a str,
    /// The application it called for: id and name.
    pub application: (&'a str, &'a str),
    /// Whose it was, if it named somebody.
    pub person: Option<&'a str>,
    /// Whether it was dead already.
    pub dead: bool,
}

impl Leak<'_> {
    /// To whoever answers for it, or leads above it: whose it was is called by name.
    pub fn telling(&self) -> Telling {
        let whose = self.person.map(|person| format!(", which {person} had,")).unwrap_or_default();
        self.said(format!("A secret of {}", self.application.1), &whose, "Make a new one")
    }

    /// To the person whose own it was.
    pub fn telling_you(&self) -> Telling {
        let (title, next) = (format!("Your secret of {}", self.application.1), "Make yourself a new one");
        self.said(title, ", your own secret,", next)
    }

    fn said(&self, what: String, whose: &str, next: &str) -> Telling {
        let now = if self.dead {
            "It had been revoked before, so nothing calls with it. Look where it was found all the same."
                .to_owned()
        } else {
            format!(
                "It was revoked at once: whatever called with it is refused from now on. {next}, and look where this one was found."
            )
        };
        Telling {
            kind: NoticeKind::Secret,
            key: format!("leak:{}", self.secret),
            title: format!("{what} was found in the open"),
            body: format!("Somebody reported {}{whose} as leaked. {now}", self.hint),
            href: format!("/applications/{}", self.application.0),
        }
    }
}

/// To whoever takes over what somebody answered for. `key` names the hand-over.
pub fn took_over(leaver: &str, things: &[String], key: &str, href: String) -> Telling {
    Telling {
        kind: NoticeKind::Charge,
        key: format!("charge:{key}"),
        title: match things {
            [thing] => format!("{thing} is yours to answer for now"),
            things => format!("{} things are yours to answer for now", things.len()),
        },
        body: format!("{leaver} cannot do so any more. It was handed to you: {}.", things.join(", ")),
        href,
    }
}

/// To whoever somebody hands something over to. `key` names the hand-over.
pub fn handed_over(by: &str, thing: &str, key: &str, href: String) -> Telling {
    Telling {
        kind: NoticeKind::Charge,
        key: format!("charge:{key}"),
        title: format!("{thing} is yours to answer for now"),
        body: format!("{by} handed it to you."),
        href,
    }
}

/// A review of a group, as far as its leads are told of it.
#[derive(Clone, Copy, Debug)]
pub struct OpenReview<'a> {
    /// Its id, as in addresses.
    pub id: &'a str,
    /// Who opened it.
    pub by: &'a str,
    /// The path of the group.
    pub path: &'a str,
    /// Its last day.
    pub until: NaiveDate,
}

impl OpenReview<'_> {
    fn telling(&self, what: &str, title: String, body: String) -> Telling {
        Telling {
            kind: NoticeKind::Review,
            key: format!("review-{what}:{}", self.id),
            title,
            body,
            href: format!("/reviews/{}", self.id),
        }
    }

    /// To the leads: somebody else opened it. `lines`: how many there are to decide on.
    pub fn opened(&self, lines: usize) -> Telling {
        let lines = if lines == 1 { "1 line is".to_owned() } else { format!("{lines} lines are") };
        self.telling(
            "opened",
            format!("{} asks who still needs what in {}", self.by, self.path),
            format!("{lines} to be confirmed or dropped until {}. {UNCONFIRMED}", time::date(self.until)),
        )
    }

    /// To the leads and whoever opened it: its last day is near. `waiting`: lines nobody has decided on.
    pub fn ending(&self, waiting: i64) -> Telling {
        let lines = if waiting == 1 { "1 line waits".to_owned() } else { format!("{waiting} lines wait") };
        self.telling(
            "ending",
            format!("The review of {} closes soon", self.path),
            format!("{lines} to be decided on until {}. {UNCONFIRMED}", time::date(self.until)),
        )
    }
}

/// To those who run the organization: pinned tests that held until a date came, each by its name and why it
/// fails. `key` names the moment.
pub fn tests_fail(tests: &[(String, String)], key: &str) -> Telling {
    // As many as are read at one look; the page has all of them.
    const NAMED: usize = 5;
    let named: Vec<String> =
        tests.iter().take(NAMED).map(|(name, why)| format!("“{name}”: {why}.")).collect();
    let more = match tests.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" And {more} more."),
    };
    Telling {
        kind: NoticeKind::Test,
        key: format!("tests:{key}"),
        title: match tests {
            [(name, _)] => format!("The pinned test “{name}” no longer holds"),
            tests => format!("{} pinned tests no longer hold", tests.len()),
        },
        body: format!(
            "A date came, and nobody changed anything. {}{more} Change what no longer fits, or what is expected.",
            named.join(" ")
        ),
        href: "/authorization/tests".to_owned(),
    }
}

/// What becomes of lines that nobody decides on.
const UNCONFIRMED: &str = "Grants of high-cost models that nobody confirms end by themselves then.";

/// To whoever had taken that over, and answers for it no longer. `key` names the hand-over.
pub fn taken_back(leaver: &str, things: &[String], key: &str, href: String) -> Telling {
    Telling {
        kind: NoticeKind::Charge,
        key: format!("charge-back:{key}"),
        title: match things {
            [thing] => format!("{thing} is no longer yours to answer for"),
            things => format!("{} things are no longer yours to answer for", things.len()),
        },
        body: format!("{leaver} is back, and answers for it again: {}.", things.join(", ")),
        href,
    }
}

/// A request, as far as it is told of.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The request's id, as in addresses.
    pub id: &'a str,
    /// For what.
    pub wish: &'a Wish,
    /// Who asked.
    pub requester: &'a str,
    /// For whom: `Sam in Research`. Of a limit, which is whoever's it is: on whose account it was asked for.
    pub whom: &'a str,
}

impl About<'_> {
    fn telling(&self, kind: NoticeKind, what: &str, title: String, body: String) -> Telling {
        let key = format!("{what}:{}", self.id);
        Telling { kind, key, title, body, href: format!("/requests/{}", self.id) }
    }

    /// To those who can decide.
    pub fn asked(&self, terms: &str, until: NaiveDate, reason: &str, approvers: u8) -> Telling {
        let several = match approvers {
            0 | 1 => String::new(),
            several => format!(" {several} people have to agree."),
        };
        self.telling(
            NoticeKind::Request,
            "asked",
            format!("{} asks for {}", self.requester, self.wish.title()),
            match self.wish {
                Wish::Model { .. } => {
                    format!("For {}: {terms}, until {}.{several} “{reason}”", self.whom, time::date(until))
                }
                Wish::Raise { .. } => format!(
                    "{terms}, until {}, for calls paid by {}.{several} “{reason}”",
                    time::date(until),
                    self.whom
                ),
            },
        )
    }

    /// To those who agreed before: somebody agreed to other terms.
    pub fn changed(&self, by: &str, terms: &str, until: NaiveDate, round: i16) -> Telling {
        self.telling(
            NoticeKind::Request,
            &format!("changed-{round}"),
            format!("{by} agrees to other terms for {}", self.wish.title()),
            format!(
                "{}: {terms}, until {}. Whoever agreed before is asked to agree anew.",
                match self.wish {
                    Wish::Model { .. } => format!("For {}", self.whom),
                    Wish::Raise { .. } => format!("{} asks", self.requester),
                },
                time::date(until)
            ),
        )
    }

    /// To whoever asked, or to the person whose limit it is: it holds. `you`: whether it is whoever asked who
    /// is told.
    pub fn approved(&self, by: &str, terms: &str, until: NaiveDate, answer: &str, you: bool) -> Telling {
        self.telling(
            NoticeKind::Answer,
            "approved",
            match self.wish {
                Wish::Model { name, .. } => format!("{name} is yours to call"),
                Wish::Raise { name, .. } => format!("The limit of {name} is raised"),
            },
            format!(
                "{by} approved {}: {terms}, until {}.{}",
                match self.wish {
                    Wish::Model { .. } => format!("it for {}", self.whom),
                    Wish::Raise { .. } if you => "what you asked for".to_owned(),
                    Wish::Raise { .. } => format!("what {} asked for", self.requester),
                },
                time::date(until),
                quoted(answer)
            ),
        )
    }

    /// To whoever asked: no.
    pub fn refused(&self, by: &str, answer: &str) -> Telling {
        self.telling(
            NoticeKind::Answer,
            "refused",
            format!("Your request for {} was refused", self.wish.title()),
            format!("{by} refused it.{}", quoted(answer)),
        )
    }

    /// To whoever asked: nobody answered before the last day was over.
    pub fn lapsed(&self, until: NaiveDate) -> Telling {
        self.telling(
            NoticeKind::Answer,
            "lapsed",
            format!("Nobody answered your request for {}", self.wish.title()),
            format!(
                "It was {}until {}, and that day is over. If it is still needed, ask anew.",
                self.for_whom(),
                time::date(until)
            ),
        )
    }

    /// `Your grant for big-chat`, `The raised limit of Research`.
    fn grant(&self) -> String {
        match self.wish {
            Wish::Model { name, .. } => format!("Your grant for {name}"),
            Wish::Raise { name, .. } => format!("The raised limit of {name}"),
        }
    }

    /// `for Sam in Research `; nothing of a limit, which is not theirs alone.
    fn for_whom(&self) -> String {
        match self.wish {
            Wish::Model { .. } => format!("for {} ", self.whom),
            Wish::Raise { .. } => String::new(),
        }
    }

    /// What holds when it is over. `now`: the cap of a limit then; none: no cap of its own.
    fn after(&self, now: Option<Money>) -> String {
        match (self.wish, now) {
            (Wish::Model { .. }, _) => format!("The next call for {} needs a new request.", self.whom),
            (Wish::Raise { .. }, Some(now)) => {
                format!("It is {} now; what was used of it stays used.", self.wish.show(now))
            }
            (Wish::Raise { .. }, None) => {
                "What holds without a limit of its own holds now; what was used stays used.".to_owned()
            }
        }
    }

    /// To whoever asked: it ends soon.
    pub fn ending(&self, until: &str) -> Telling {
        self.telling(
            NoticeKind::Grant,
            "ending",
            format!("{} ends soon", self.grant()),
            format!(
                "It holds {}until {until}. If it is still needed, ask again before then.",
                self.for_whom()
            ),
        )
    }

    /// To whoever asked: it is over by itself. `now`: the cap that a limit falls back to.
    pub fn ended(&self, now: Option<Money>) -> Telling {
        self.telling(NoticeKind::Grant, "ended", format!("{} has ended", self.grant()), self.after(now))
    }

    /// To whoever asked: somebody ended it early. `now`: the cap that a limit falls back to.
    pub fn revoked(&self, by: &str, now: Option<Money>) -> Telling {
        self.telling(
            NoticeKind::Grant,
            "ended",
            format!("{} was ended", self.grant()),
            format!("{by} ended it before its last day. {}", self.after(now)),
        )
    }

    /// To whoever asked: a review ended it. `path`: of the group; `by`: who dropped it there; none: nobody
    /// confirmed it before the review closed.
    pub fn reviewed(&self, path: &str, by: Option<&str>) -> Telling {
        let how = match by {
            Some(by) => format!("{by} dropped it in the access review of {path}."),
            None => format!("Nobody confirmed it before the access review of {path} closed."),
        };
        self.telling(
            NoticeKind::Grant,
            "ended",
            format!("{} was ended", self.grant()),
            format!("{how} {}", self.after(None)),
        )
    }

    /// To whoever asked that a limit be raised: somebody has set it since, or taken it away.
    /// `default`: what holds without a limit of its own.
    pub fn set_anew(&self, by: &str, to: Option<Money>, default: Option<Money>) -> Telling {
        let body = match (to, default) {
            (Some(to), _) => format!("{by} set the limit to {}: that is what holds.", self.wish.show(to)),
            (None, Some(default)) => format!(
                "{by} took the limit away. The organization's default of {} holds.",
                self.wish.show(default)
            ),
            (None, None) => format!("{by} took the limit away."),
        };
        self.telling(NoticeKind::Grant, "ended", format!("{} is over", self.grant()), body)
    }

    /// To whoever asked that a limit be raised: it is raised further, and at least for as long.
    pub fn surpassed(&self, terms: &str, until: NaiveDate) -> Telling {
        self.telling(
            NoticeKind::Grant,
            "ended",
            format!("{} is raised further", self.grant()),
            format!(
                "It is {terms} until {} now, which takes the place of what you asked for.",
                time::date(until)
            ),
        )
    }
}

fn quoted(answer: &str) -> String {
    if answer.is_empty() { String::new() } else { format!(" “{answer}”") }
}

/// A mail as it is sent: plain text and simple HTML say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// Paragraphs.
    pub text: Vec<String>,
    /// What the link says.
    pub action: String,
    /// Where it leads: a path of the console.
    pub path: String,
    /// Why somebody has this mail.
    pub foot: String,
}

impl Letter {
    /// A notice as a mail.
    pub fn of(telling: &Telling, organization: &str) -> Self {
        Self {
            subject: telling.title.clone(),
            text: vec![telling.body.clone()],
            action: "Open it in Bursar".to_owned(),
            path: telling.href.clone(),
            foot: format!(
                "You have this mail from Bursar as somebody in {organization}. Which notices come by mail is up to you: see “My account”."
            ),
        }
    }

    /// An invitation.
    pub fn invitation(name: &str, organization: &str, by: &str, path: String, until: &str) -> Self {
        Self {
            subject: format!("{by} invites you to {organization}"),
            text: vec![
                format!("Hello {name},"),
                format!(
                    "{by} invites you to {organization} in Bursar, where you see which AI models you may use and what they cost."
                ),
                format!("The link works once, until {until}. If you did not expect it, do nothing."),
            ],
            action: format!("Join {organization}"),
            path,
            foot: "Nobody can sign in with this link but you: keep it to yourself.".to_owned(),
        }
    }

    /// A link to choose another password with.
    pub fn password(name: &str, path: String) -> Self {
        Self {
            subject: "Choose a new password for Bursar".to_owned(),
            text: vec![
                format!("Hello {name},"),
                "somebody asked for a link to choose another password for your sign-in in Bursar. It works once, for an hour.".to_owned(),
                "If it was not you, do nothing: your password stays as it is.".to_owned(),
            ],
            action: "Choose a password".to_owned(),
            path,
            foot: "Whoever has this link can sign in as you: keep it to yourself.".to_owned(),
        }
    }

    /// Plain text.
    pub fn plain(&self, base: &str) -> String {
        let body = self.text.join("\n\n");
        format!("{body}\n\n{}:\n{base}{}\n\n-- \n{}\n", self.action, self.path, self.foot)
    }

    /// Simple HTML.
    pub fn html(&self, base: &str) -> String {
        let paragraphs: String = self.text.iter().map(|text| format!("<p>{}</p>\n", escaped(text))).collect();
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{subject}</title></head>\n\
             <body style=\"font-family:system-ui,sans-serif;font-size:15px;line-height:1.5;max-width:560px\">\n\
             {paragraphs}<p><a href=\"{base}{path}\">{action}</a></p>\n<p style=\"font-size:12.5px;color:#666\">{foot}</p>\n</body></html>\n",
            subject = escaped(&self.subject),
            base = escaped(base),
            path = escaped(&self.path),
            action = escaped(&self.action),
            foot = escaped(&self.foot),
        )
    }
}

/// Text inside HTML; ends of lines stay.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\n' => out += "<br>\n",
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn big() -> Wish {
        let id = crate::ids::ModelId(uuid::Uuid::nil());
        Wish::Model { id, name: "big".to_owned(), per: crate::requests::Per::Month }
    }

    #[test]
    fn what_cannot_be_sent_is_tried_again_more_and_more_rarely_and_then_given_up() {
        let waits: Vec<Option<i64>> =
            (0..=8).map(|tries| back_off(tries).map(|wait| wait.num_seconds())).collect();
        assert_eq!(waits[0], None);
        assert!(waits[1..=7].windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
        assert_eq!(waits[8], None);
    }

    #[test]
    fn what_somebody_typed_is_text_in_a_mail_and_nothing_else() {
        let wish = big();
        let about = About { id: "ask_1", wish: &wish, requester: "<b>Eve</b>", whom: "Eve in R&D" };
        let until = NaiveDate::from_ymd_opt(2026, 12, 3).unwrap();
        let telling = about.asked("$5.00 a month", until, "<script>alert(1)</script>\nplease", 2);
        let letter = Letter::of(&telling, "Acme");
        let html = letter.html("https://bursar.example");
        assert!(!html.contains("<script>") && !html.contains("<b>"), "{html}");
        assert!(html.contains("href=\"https://bursar.example/requests/ask_1\""), "{html}");
        assert!(letter.plain("https://b.example").contains("2 people have to agree."));
    }

    #[test]
    fn what_is_told_of_a_request_has_a_key_of_its_own() {
        let wish = big();
        let about = About { id: "ask_1", wish: &wish, requester: "Sam", whom: "Sam in Research" };
        let until = NaiveDate::from_ymd_opt(2026, 12, 3).unwrap();
        let tellings = [
            about.asked("$5.00", until, "why", 1),
            about.changed("Lin", "$4.00", until, 2),
            about.changed("Lin", "$3.00", until, 3),
            about.approved("Lin", "$4.00", until, "", true),
            about.lapsed(until),
            about.ending("3 Dec 2026"),
            about.ended(None),
        ];
        let keys: std::collections::BTreeSet<&str> = tellings.iter().map(|told| told.key.as_str()).collect();
        assert_eq!(keys.len(), tellings.len());
        // Ended by itself or by somebody: over is over.
        assert_eq!(about.revoked("Lin", None).key, about.ended(None).key);
        assert_eq!(about.reviewed("Research", Some("Lin")).key, about.ended(None).key);
    }
}
