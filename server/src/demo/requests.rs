//! Requests of the last hour: some wait, one of them for a second person to agree, one was agreed
//! to for less, one was refused. And limits that people ask to be raised: one waits, one was agreed to.

use chrono::{DateTime, Days, Duration, Utc};
use domain::{
    access::Facts,
    audit::Door,
    ids::GroupId,
    limits::{Meter, Metric},
    money::Money,
    requests::{ApprovalRule, Per, Terms, Words, accounts_of, askable, led_by},
    roles::Act,
    window::Window,
};
use store::requests::{self, RaiseForm, RequestForm};

use super::{script::Scope, stage::Stage};
use crate::Fatal;

/// What somebody asks for, and what became of it.
struct Asked {
    by: &'static str,
    /// For the group they lead, not for themself.
    for_group: bool,
    model: &'static str,
    reason: &'static str,
    dollars: i64,
    per: Per,
    days: u64,
    answer: Option<Answer>,
}

struct Answer {
    by: &'static str,
    /// None: a refusal.
    dollars: Option<i64>,
    words: &'static str,
}

const ASKED: [Asked; 5] = [
    Asked {
        by: "sam",
        for_group: false,
        model: "claude-opus-4-1",
        reason: "Two weeks of migrating the build scripts; sonnet loses the thread in files this long.",
        dollars: 120,
        per: Per::Total,
        days: 14,
        answer: Some(Answer { by: "ada", dollars: Some(80), words: "Let us see how far this takes you." }),
    },
    Asked {
        by: "ada",
        for_group: false,
        model: "gpt-5",
        reason: "To try it on the on-call notes.",
        dollars: 60,
        per: Per::Month,
        days: 90,
        answer: Some(Answer {
            by: "olga",
            dollars: None,
            words: "The notes name customers. Use the general tier.",
        }),
    },
    Asked {
        by: "lin",
        for_group: true,
        model: "gpt-5",
        reason: "Every team here reviews designs with a second model this quarter. We compare it with what we have and report in January.",
        dollars: 900,
        per: Per::Month,
        days: 45,
        answer: Some(Answer {
            by: "olga",
            dollars: Some(900),
            words: "Fine with me. It is a lot: somebody else should see it too.",
        }),
    },
    Asked {
        by: "marek",
        for_group: false,
        model: "gpt-5",
        reason: "Year-end notes to the accounts.",
        dollars: 35,
        per: Per::Month,
        days: 40,
        answer: None,
    },
    Asked {
        by: "sam",
        for_group: false,
        model: "gpt-5",
        reason: "Ranking notes for the relaunch: the small one mixes up the product lines.",
        dollars: 25,
        per: Per::Total,
        days: 10,
        answer: None,
    },
];

/// A limit that somebody asks to be raised: a month's money, by so many per cent.
struct Raise {
    by: &'static str,
    on: Scope,
    reason: &'static str,
    percent: i64,
    /// What olga says, who agrees.
    answer: Option<&'static str>,
}

const RAISES: [Raise; 2] = [
    Raise {
        by: "lin",
        on: Scope::Group("Engineering/Product/Mobile App"),
        reason: "The release slipped by two weeks, and the crash reports are read by a model until then.",
        percent: 60,
        answer: Some("For the release. Then it is what it was."),
    },
    Raise {
        by: "jo",
        on: Scope::User("jo"),
        reason: "I answer for Mina, who is away until the end of the month. It is two people’s tickets.",
        percent: 50,
        answer: None,
    },
];

/// Asks and answers.
pub async fn perform(stage: &Stage, now: DateTime<Utc>) -> Result<(), Fatal> {
    let facts = store::access::facts(&stage.store, stage.org).await?;
    let mut at = now - Duration::minutes(55);
    let mut change = stage.change("olga", Door::Console, Act::EditOrganization, None, at).await?;
    let rule = ApprovalRule { above: Money::cents(100_000), approvers: 2, version: 0 };
    requests::set_rule(&mut change, &rule).await?;
    change.commit().await?;
    for asked in &ASKED {
        let user = stage.user(asked.by)?;
        let Some(model) = facts.model_names.get(asked.model).copied() else { continue };
        let mut groups =
            if asked.for_group { led_by(&facts, user, now) } else { accounts_of(&facts, user, now) };
        // The widest they lead, or the nearest they are in.
        groups.sort_by_key(|id| (facts.groups.get(id).map(|group| group.path.len()), *id));
        if !asked.for_group {
            groups.reverse();
        }
        let whom = (!asked.for_group).then_some(user);
        let fits = |id: &GroupId| askable(&facts, *id, whom, model, now).is_ok();
        let Some(group) = groups.into_iter().find(fits) else { continue };
        let terms = |dollars: i64| Terms {
            amount: Money::cents(dollars * 100),
            ends_on: facts.calendar.day(now) + Days::new(asked.days),
        };
        let form = RequestForm {
            model,
            group,
            for_group: asked.for_group,
            reason: words(asked.reason)?,
            terms: terms(asked.dollars),
            per: asked.per,
        };
        let (act, place) =
            if asked.for_group { (Act::RequestForGroup, Some(group)) } else { (Act::UseOwn, None) };
        let mut change = stage.change(asked.by, Door::Console, act, place, at).await?;
        let id = requests::insert(&mut change, &form).await?;
        change.commit().await?;
        at += Duration::minutes(6);
        let Some(answer) = &asked.answer else { continue };
        let mut change = stage.change(answer.by, Door::Console, Act::DecideRequests, None, at).await?;
        let said = words(answer.words)?;
        match answer.dollars {
            Some(dollars) => requests::approve(&mut change, id, Some(terms(dollars)), Some(&said)).await?,
            None => requests::refuse(&mut change, id, &said).await?,
        };
        change.commit().await?;
        at += Duration::minutes(3);
    }
    for raise in &RAISES {
        ask_for_more(stage, &facts, raise, at).await?;
        at += Duration::minutes(3);
    }
    Ok(())
}

fn words(text: &str) -> Result<Words, Fatal> {
    text.parse().map_err(|_| Fatal::new("the demo", "a reason cannot be read"))
}

async fn ask_for_more(stage: &Stage, facts: &Facts, raise: &Raise, at: DateTime<Utc>) -> Result<(), Fatal> {
    let user = stage.user(raise.by)?;
    let meter = Meter { scope: stage.scope(raise.on)?, metric: Metric::Spend, window: Window::Month };
    let limits = facts.limits.get(&meter.scope).map_or(&[][..], |limits| limits.as_slice());
    let Some(limit) = limits.iter().find(|limit| limit.meter == meter) else { return Ok(()) };
    let group = match meter.scope {
        domain::limits::Scope::Group(group) => Some(group),
        // The nearest they are in.
        _ => accounts_of(facts, user, at)
            .into_iter()
            .max_by_key(|id| facts.groups.get(id).map(|group| group.path.len())),
    };
    let Some(group) = group else { return Ok(()) };
    let dollars = limit.cap / Money::cents(100).0 * (100 + raise.percent) / 100 + 1;
    let end = facts.calendar.span(Window::Month, at).end.unwrap_or(at);
    let form = RaiseForm {
        meter,
        group,
        reason: words(raise.reason)?,
        terms: Terms {
            amount: Money::cents(dollars * 100),
            ends_on: facts.calendar.day(end - Duration::seconds(1)),
        },
    };
    let mut change = stage.change(raise.by, Door::Console, Act::UseOwn, None, at).await?;
    let id = requests::insert_raise(&mut change, &form).await?;
    change.commit().await?;
    let Some(answer) = raise.answer else { return Ok(()) };
    let mut change = stage.change("olga", Door::Console, Act::LoosenLimits, None, at).await?;
    requests::approve(&mut change, id, None, Some(&words(answer)?)).await?;
    change.commit().await?;
    Ok(())
}
