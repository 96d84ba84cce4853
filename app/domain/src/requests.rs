//! Requests: somebody asks for a model that is *by request*, or for more money under a limit; somebody
//! else agrees or does not.
//!
//! What is agreed to of a model is a grant. Whether a grant lets a call pass is decided by
//! [`crate::access::decide`] alone. What is agreed to of a limit is a higher cap, until a last day. Here is
//! what may be asked for, and what may be answered.

mod accounts;
mod idle;

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

pub use self::{
    accounts::{accounts_of, answered_accounts, led_by, raisable},
    idle::{NothingToAsk, askable, idle, replaced, running, takes_place_of},
};
use crate::{
    ids::{GrantId, GroupId, ModelId, RequestId, UserId},
    limits::Meter,
    money::Money,
    spend::share,
    window::Window,
    words::words,
};

words! {
    /// What became of a request.
    RequestState("state") {
        /// Nobody has answered yet.
        Waiting = "waiting",
        /// Agreed to, and the grant still holds.
        Approved = "approved",
        /// Somebody said no.
        Refused = "refused",
        /// Whoever asked took it back.
        Withdrawn = "withdrawn",
        /// The grant is over.
        Ended = "ended",
        /// Nobody answered before the last day that was asked for was over.
        Lapsed = "lapsed",
    }
}

words! {
    /// How the money of a grant is counted.
    Per("period") {
        /// Anew with every calendar month.
        Month = "month",
        /// Once, until the grant ends.
        Total = "total",
    }
}

impl Per {
    /// The window of the grant's limit.
    pub const fn window(self) -> Window {
        match self {
            Self::Month => Window::Month,
            Self::Total => Window::Total,
        }
    }

    /// `$40.00 a month`, `$40.00 in total`.
    pub fn show(self, amount: Money) -> String {
        match self {
            Self::Month => format!("{} a month", amount.in_full()),
            Self::Total => format!("{} in total", amount.in_full()),
        }
    }
}

/// The most characters a reason or an answer may have.
const WORDS_MAX: usize = 1000;

/// Why somebody asks, or why somebody says no: a few lines of text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words(String);

impl Words {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text cannot stand beside a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsError {
    /// Nothing but white space.
    Empty,
    /// More characters than fit.
    TooLong(usize),
    /// A control character, or one that reorders the text around it.
    Invisible,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Say it in a few words."),
            Self::TooLong(length) => write!(f, "This has {length} characters; at most {WORDS_MAX} fit."),
            Self::Invisible => f.write_str("Remove the invisible characters."),
        }
    }
}

impl std::error::Error for WordsError {}

impl FromStr for Words {
    type Err = WordsError;

    fn from_str(text: &str) -> Result<Self, WordsError> {
        // Browsers end lines with both.
        let text = text.trim().replace("\r\n", "\n");
        let length = text.chars().count();
        if length == 0 {
            return Err(WordsError::Empty);
        }
        if length > WORDS_MAX {
            return Err(WordsError::TooLong(length));
        }
        if text.chars().any(|c| c != '\n' && crate::names::is_invisible(c)) {
            return Err(WordsError::Invisible);
        }
        Ok(Self(text))
    }
}

/// The longest a grant may last, in days.
pub const DAYS_MAX: u64 = 366;

/// Whether so much money can be asked for, or agreed to.
///
/// # Errors
/// A sentence for whoever wrote the amount.
pub fn check_amount(amount: Money) -> Result<(), &'static str> {
    if amount > Money::ZERO { Ok(()) } else { Err("Enter an amount above zero.") }
}

/// Whether a grant may end on this day.
///
/// # Errors
/// A sentence for whoever chose the day.
pub fn check_last_day(day: NaiveDate, today: NaiveDate) -> Result<(), &'static str> {
    if day < today {
        return Err("This day is over. Choose today or a later one.");
    }
    if today.checked_add_days(Days::new(DAYS_MAX)).is_some_and(|last| day > last) {
        return Err("It lasts a year at most. Choose an earlier day.");
    }
    Ok(())
}

/// What is said to whoever would agree to what was asked for until a day that is over.
pub fn too_late(last: NaiveDate, requester: &str) -> String {
    format!(
        "This was asked for until {}, and that day is over: nobody can agree to it any more. {requester} can ask anew.",
        crate::time::date(last)
    )
}

/// What is asked for, or agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// How much money.
    pub amount: Money,
    /// Until the end of this day.
    pub ends_on: NaiveDate,
}

impl Terms {
    /// Whether whoever decides may agree to this when `asked` was asked for: that much or less.
    ///
    /// # Errors
    /// The form field, and a sentence.
    pub fn within(&self, asked: &Self, wish: &Wish) -> Result<(), (&'static str, String)> {
        if self.amount > asked.amount {
            let asked = wish.show(asked.amount);
            return Err(("amount", format!("They asked for {asked}. Agree to that or to less.")));
        }
        if self.ends_on > asked.ends_on {
            let day = crate::time::date(asked.ends_on);
            return Err(("ends_on", format!("They asked until {day}. Agree to that day or an earlier one.")));
        }
        Ok(())
    }
}

impl fmt::Display for Terms {
    /// As a form sends along what it showed: `700.00/2026-12-15`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount.exact(), self.ends_on)
    }
}

impl FromStr for Terms {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (amount, day) = text.split_once('/')?;
            Some(Self { amount: amount.parse().ok()?, ends_on: day.parse().ok()? })
        };
        read().ok_or("Write the terms like 700.00/2026-12-15.")
    }
}

/// What a page showed to whoever agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What would be granted.
    pub terms: Terms,
    /// The running grant that this would end; none: the page named none.
    pub ends: Option<GrantId>,
}

impl fmt::Display for Shown {
    /// As a form sends it along: `700.00/2026-12-15`, or `700.00/2026-12-15/grt_…`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.terms)?;
        self.ends.map_or(Ok(()), |grant| write!(f, "/{grant}"))
    }
}

impl FromStr for Shown {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (terms, ends) = match text.split_once("/grt_") {
            Some((terms, _)) => {
                let grant = &text[terms.len() + 1..];
                (terms, Some(grant.parse().map_err(|_| "Write the grant that ends like grt_….")?))
            }
            None => (text, None),
        };
        Ok(Self { terms: terms.parse()?, ends })
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// A model that is by request.
    Model {
        /// Which.
        id: ModelId,
        /// What callers write.
        name: String,
        /// How its money is counted.
        per: Per,
    },
    /// More money under a limit.
    Raise {
        /// What the limit counts: always money.
        meter: Meter,
        /// What it is on, as that was called then.
        name: String,
        /// The cap when this was asked for.
        from: Money,
    },
}

impl Wish {
    /// The model, or what the limit is on.
    pub fn name(&self) -> &str {
        match self {
            Self::Model { name, .. } | Self::Raise { name, .. } => name,
        }
    }

    /// As it stands after “asks for”: `big-chat`, `a higher limit for Research`.
    pub fn title(&self) -> String {
        match self {
            Self::Model { name, .. } => name.clone(),
            Self::Raise { name, .. } => format!("a higher limit for {name}"),
        }
    }

    /// Which model; none: another thing is asked for.
    pub const fn model(&self) -> Option<ModelId> {
        match self {
            Self::Model { id, .. } => Some(*id),
            Self::Raise { .. } => None,
        }
    }

    /// Whether more money under a limit is asked for.
    pub const fn is_raise(&self) -> bool {
        matches!(self, Self::Raise { .. })
    }

    /// In which windows the money is counted.
    pub const fn window(&self) -> Window {
        match self {
            Self::Model { per, .. } => per.window(),
            Self::Raise { meter, .. } => meter.window,
        }
    }

    /// `$40.00 a month`, `$40.00 in total`.
    pub fn show(&self, amount: Money) -> String {
        format!("{} {}", amount.in_full(), self.window().per())
    }

    /// What is given, and until when: `$3.00 a month until 15 Dec 2026`.
    pub fn terms_words(&self, terms: &Terms) -> String {
        format!("{} until {}", self.show(terms.amount), crate::time::date(terms.ends_on))
    }

    /// The most it may cost that would not be spent otherwise, from a day on to the last one: as often as
    /// its window begins anew.
    pub fn most(&self, terms: &Terms, from: NaiveDate) -> Money {
        let month = |day: NaiveDate| i64::from(day.year()) * 12 + i64::from(day.month0());
        let days = (terms.ends_on - from).num_days() + 1;
        let times = match self.window() {
            Window::Minute => days * 24 * 60,
            Window::Hour => days * 24,
            Window::Day => days,
            // It may begin in the middle of one.
            Window::Week => (days + 6) / 7 + 1,
            Window::Month => month(terms.ends_on) - month(from) + 1,
            Window::Year => i64::from(terms.ends_on.year() - from.year()) + 1,
            Window::Total => 1,
        };
        let more = match self {
            Self::Model { .. } => terms.amount.0,
            Self::Raise { from, .. } => terms.amount.0.saturating_sub(from.0),
        };
        Money(more.saturating_mul(times.max(1)))
    }
}

/// From which sum on several have to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Requests that may cost more than this in all.
    pub above: Money,
    /// How many have to agree: different people, and never whoever asks.
    pub approvers: u8,
    /// Counts up with every change; 0 before the first.
    pub version: i64,
}

impl ApprovalRule {
    /// How many have to agree to what may cost so much.
    pub fn needed(&self, most: Money) -> u8 {
        if most > self.above { self.approvers.max(1) } else { 1 }
    }
}

/// Somebody who agreed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who: id and name.
    pub who: (UserId, String),
    /// To what.
    pub terms: Terms,
    /// What they said.
    pub answer: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether they may decide now. Who may not does not count, for as long as they may not.
    pub counts: bool,
}

/// A request as pages show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// For what.
    pub wish: Wish,
    /// Who asks: id and name.
    pub requester: (UserId, String),
    /// Whether they are suspended now: what is agreed to is of no use to them until they return.
    pub away: bool,
    /// On which group's account: id and name.
    pub group: (GroupId, String),
    /// That group's path, from the root to itself.
    pub path: Vec<GroupId>,
    /// For everybody in the group, or for the one who asks.
    pub for_group: bool,
    /// Why.
    pub reason: String,
    /// What was asked for. Of a limit: the cap it is to have.
    pub asked: Terms,
    /// Since when.
    pub created_at: DateTime<Utc>,
    /// What became of it.
    pub state: RequestState,
    /// When somebody answered, and who.
    pub decided: Option<(DateTime<Utc>, Option<String>)>,
    /// What they said.
    pub answer: String,
    /// How many have to agree.
    pub approvers: u8,
    /// Who has agreed, where several have to: all to the same terms.
    pub approvals: Vec<Approval>,
    /// What was agreed to.
    pub grant: Option<Granted>,
    /// A limit that somebody asks to be raised, as it is now; none: of a model, or the limit is gone.
    pub now: Option<Now>,
    /// Why agreeing to it would change nothing, or why what was agreed to does nothing now; none: it does
    /// something, it is over, or nobody has looked ([`idle`]).
    pub idle: Option<String>,
    /// The grant that ends when this is agreed to, because the new one takes its place; none: there is none, or
    /// nobody has looked ([`takes_place_of`]).
    pub replaces: Option<Replaced>,
}

/// A running grant in the place of which a new one is about to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Which.
    pub grant: GrantId,
    /// The request it came of; none: it is not known.
    pub request: Option<RequestId>,
    /// Until just before.
    pub ends_at: DateTime<Utc>,
    /// What it may cost, as people say it: `$40.00 a month`; empty: nothing of its own limits it.
    pub limit: String,
}

/// A limit that somebody asks to be raised, as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Its cap.
    pub cap: Money,
    /// Whether it refuses what does not fit.
    pub refuses: bool,
    /// Spent of it in this window.
    pub used: Money,
    /// Held by calls in flight.
    pub held: Money,
}

/// What was agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// What came of it.
    pub made: Made,
    /// How much money.
    pub cap: Money,
    /// Spent of it: in this window, or since it began.
    pub used: Money,
    /// Held by calls in flight.
    pub held: Money,
    /// Until just before.
    pub ends_at: DateTime<Utc>,
    /// When somebody ended it early.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// What comes of a request that is agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Made {
    /// A grant.
    Grant(GrantId),
    /// A higher cap.
    Raise {
        /// What the cap is when it ends: what a raise that outlasts it says, or what it was; none: what holds
        /// where nothing is said.
        before: Option<Money>,
        /// The cap now; none: the limit is gone. A higher one than was agreed to: another raise holds on top.
        now: Option<Money>,
    },
}

impl Granted {
    /// Whether it is what holds, as far as nobody ended it: a limit can be raised further for a time.
    pub fn stands(&self) -> bool {
        match self.made {
            Made::Grant(_) => true,
            Made::Raise { now, .. } => now == Some(self.cap),
        }
    }

    /// How much of it is used or held, as people say it.
    pub fn share(&self) -> String {
        share(self.used.0.saturating_add(self.held.0), self.cap.0)
    }
}

impl Request {
    /// Why nothing is to be raised by now, where that is asked for.
    pub fn needless(&self) -> Option<&'static str> {
        match (self.wish.is_raise(), &self.now) {
            (false, _) => None,
            (true, None) => Some("There is no such limit any more: nothing has to be raised."),
            (true, Some(now)) if !now.refuses => {
                Some("This limit only takes note now and refuses nothing: nothing has to be raised.")
            }
            (true, Some(now)) if now.cap >= self.asked.amount => {
                Some("The limit is at least as high as what was asked for by now.")
            }
            (true, Some(_)) => None,
        }
    }

    /// What would be granted as it stands: what somebody agreed to, or else what was asked for.
    pub fn terms(&self) -> Terms {
        self.approvals.first().map_or(self.asked, |approval| approval.terms)
    }

    /// What a page shows of it to whoever may agree.
    pub fn shown(&self) -> Shown {
        Shown { terms: self.terms(), ends: self.replaces.as_ref().map(|replaced| replaced.grant) }
    }

    /// Whether somebody has agreed to it as it stands.
    pub fn agreed_by(&self, user: UserId) -> bool {
        self.approvals.iter().any(|approval| approval.who.0 == user)
    }

    /// How many of those who agreed may decide now.
    pub fn counting(&self) -> usize {
        self.approvals.iter().filter(|approval| approval.counts).count()
    }

    /// Whether as many agree as have to, and may decide now: who agreed and lost the right to may have it back.
    /// Nothing follows from it by itself: whoever may decide completes it.
    pub fn enough_agree(&self) -> bool {
        !self.approvals.is_empty() && self.counting() >= usize::from(self.approvers)
    }

    /// `1 of 2 agree`, where several have to.
    pub fn progress(&self) -> Option<String> {
        (self.approvers > 1).then(|| format!("{} of {} agree", self.counting(), self.approvers))
    }

    /// How many are missing, while it waits: `1 more has to`; none: one suffices, or it waits for nobody.
    pub fn missing(&self) -> Option<String> {
        let needed = usize::from(self.approvers);
        match needed.saturating_sub(self.counting()) {
            _ if needed <= 1 || self.state != RequestState::Waiting => None,
            0 => Some("enough: one of them completes it".to_owned()),
            1 => Some("1 more has to".to_owned()),
            more => Some(format!("{more} more have to")),
        }
    }

    /// Who agreed, and may not decide now, in a sentence; none: the word of each counts.
    pub fn not_counting(&self) -> Option<String> {
        let names: Vec<&str> =
            self.approvals.iter().filter(|approval| !approval.counts).map(|it| it.who.1.as_str()).collect();
        let names = names.join(", ");
        (!names.is_empty()).then(|| {
            format!("{names} agreed and may not decide now: this does not count until they may again.")
        })
    }

    /// For whom, as people say it: `Sam in Research`, `everybody in Research`.
    pub fn whom(&self) -> String {
        whom(self.for_group, &self.requester.1, &self.group.1)
    }
}

/// For whom something is asked, as people say it: `Sam in Research`, `everybody in Research`.
pub fn whom(for_group: bool, requester: &str, group: &str) -> String {
    if for_group { format!("everybody in {group}") } else { format!("{requester} in {group}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Metric, Scope};

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn model(per: Per) -> Wish {
        Wish::Model { id: ModelId(uuid::Uuid::nil()), name: "big-chat".to_owned(), per }
    }

    fn raise(window: Window, cents: i64) -> Wish {
        let meter = Meter { scope: Scope::Organization, metric: Metric::Spend, window };
        Wish::Raise { meter, name: "Acme".to_owned(), from: Money::cents(cents) }
    }

    #[test]
    fn whoever_decides_can_give_less_and_never_more() {
        let asked = Terms { amount: Money::cents(5000), ends_on: day("2026-12-31") };
        let within = |cents, last| {
            Terms { amount: Money::cents(cents), ends_on: day(last) }.within(&asked, &model(Per::Month))
        };
        assert_eq!(within(5000, "2026-12-31"), Ok(()));
        assert_eq!(within(1, "2026-11-24"), Ok(()));
        assert_eq!(within(5001, "2026-12-31").unwrap_err().0, "amount");
        assert_eq!(within(5000, "2027-01-01").unwrap_err().0, "ends_on");
    }

    #[test]
    fn what_a_form_showed_of_the_terms_is_read_back_exactly() {
        let terms = Terms { amount: Money(700_000_000_001), ends_on: day("2026-12-15") };
        assert_eq!(terms.to_string(), "700.000000001/2026-12-15");
        assert_eq!(terms.to_string().parse(), Ok(terms));
        for text in ["", "700.00", "/2026-12-15", "700.00/tomorrow"] {
            assert!(text.parse::<Terms>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_large_sum_is_what_it_may_cost_in_all() {
        let rule = ApprovalRule { above: Money::cents(10_000), approvers: 3, version: 1 };
        for (name, per, cents, last, expected) in [
            ("a small sum", Per::Total, 10_000, "2026-12-31", 1),
            ("a cent more", Per::Total, 10_001, "2026-12-31", 3),
            ("small by the month, and two months", Per::Month, 5000, "2026-12-31", 1),
            ("small by the month, and three months", Per::Month, 5000, "2027-01-01", 3),
            ("more than there is", Per::Month, i64::MAX / 10_000_000, "2027-11-24", 3),
        ] {
            let terms = Terms { amount: Money::cents(cents), ends_on: day(last) };
            assert_eq!(rule.needed(model(per).most(&terms, day("2026-11-24"))), expected, "{name}");
        }
    }

    #[test]
    fn raising_a_limit_costs_what_is_more_as_often_as_it_begins_anew() {
        for (window, last, times) in [
            (Window::Hour, "2026-11-24", 24),
            (Window::Day, "2026-11-24", 1),
            (Window::Day, "2026-11-30", 7),
            (Window::Week, "2026-11-25", 2),
            (Window::Month, "2026-12-01", 2),
            (Window::Year, "2027-01-01", 2),
            (Window::Total, "2027-11-24", 1),
        ] {
            let terms = Terms { amount: Money::cents(5000), ends_on: day(last) };
            let most = raise(window, 4000).most(&terms, day("2026-11-24"));
            assert_eq!(most, Money::cents(1000 * times), "{window:?} to {last}");
        }
    }

    #[test]
    fn a_grant_ends_on_a_day_that_is_not_over_and_within_a_year() {
        let today = day("2026-11-24");
        for (last, fine) in
            [("2026-11-23", false), ("2026-11-24", true), ("2027-11-25", true), ("2027-11-26", false)]
        {
            assert_eq!(check_last_day(day(last), today).is_ok(), fine, "{last}");
        }
    }

    #[test]
    fn reasons_keep_their_lines_and_hide_nothing() {
        assert_eq!("  a\r\nb ".parse::<Words>().map(|words| words.0), Ok("a\nb".to_owned()));
        assert_eq!(" \n ".parse::<Words>(), Err(WordsError::Empty));
        assert_eq!("a\u{202e}b".parse::<Words>(), Err(WordsError::Invisible));
        assert_eq!("x".repeat(1001).parse::<Words>(), Err(WordsError::TooLong(1001)));
    }
}
