//! `bursar explain`: may this person, or this application, use this model now, and why?
//!
//! Of a policy each model is explained, in the order in which the policy has them.
//!
//! It asks the function the gateway asks, with the same facts, and prints its trace: the sentence
//! first, then every rule that was looked at and who set it, what would make a no a yes, and the limits
//! the call would have to fit into.

mod print;
mod subject;

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::Args;
use domain::{
    access::{Applied, Ask, Decision, Facts, Step, Verdict, applicable, beside, decide_with},
    ids::{ApplicationId, ModelId, RequestId},
    keys::Feature,
    limits::{self, Level, Mode},
    policies,
    why::{self, Fix, Gate},
    window::Span,
};
use serde_json::json;
use store::Store;
use uuid::Uuid;

use self::subject::Subject;
use crate::{
    Fatal,
    apply::say,
    config::Config,
    database::{Database, Upgrade, nothing_here},
};

/// What to explain.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// A person's address, or an application: its path (Engineering/Research/bot), or an id of it or of its key.
    who: String,

    /// What callers write: a model's name, or policy/NAME.
    model: String,

    /// Of a person's groups only this one, by its path.
    #[arg(long)]
    group: Option<String>,

    /// Which organization, where there are several.
    #[arg(long)]
    organization: Option<String>,

    /// What the call would use of its key: streaming, tools, structured_outputs, vision, reasoning or
    /// embeddings. May be given several times.
    #[arg(long)]
    using: Vec<Feature>,

    /// For programs.
    #[arg(long)]
    json: bool,
}

/// One question with its answer: a person has one for each group they belong to, and for each model of a policy.
struct Answer<'a> {
    subject: Subject<'a>,
    model: ModelId,
    decision: Decision,
    steps: Vec<Step>,
    /// Of each step, who set what it names, and when.
    set_by: Vec<Option<(String, DateTime<Utc>)>>,
    /// The cheapest changes after which it is yes, in order.
    help: Vec<String>,
    /// The request for it that waits.
    asked: Option<RequestId>,
    /// What a call would have to fit into, the tightest first, with what is used of it, and whether the smallest
    /// fits.
    limits: Vec<(Applied, Span, Level, bool)>,
    /// The rules say yes, and a limit says no.
    full: bool,
}

impl Answer<'_> {
    /// Whether a call would go to the model now.
    fn goes(&self) -> bool {
        self.decision.verdict == Verdict::Allow && !self.full
    }
}

/// Explains.
pub async fn run(config: Config, options: Options) -> Result<ExitCode, Fatal> {
    let nothing = || nothing_here("explain", &config);
    let database = Database::look(&config, Upgrade::Refuse).await?.ok_or_else(nothing)?;
    let text = explain(&database.store, &options).await;
    database.close().await;
    say(&text?)?;
    Ok(ExitCode::SUCCESS)
}

async fn explain(store: &Store, options: &Options) -> Result<String, Fatal> {
    let refuse = |sentence: String| Fatal::new("explain", sentence);
    let org = store::organizations::find(store, options.organization.as_deref()).await?;
    let org = org.ok_or_else(|| refuse("there is no such organization".to_owned()))?;
    let facts = store::access::facts(store, org).await?;
    let paths = store::groups::paths(store, org).await?;
    let now = store::clock::now();
    let name = options.model.trim();
    let subjects = subject::find(store, &facts, &paths, options, now).await?;
    if name.starts_with(policies::PREFIX) {
        return explain_policy(store, &facts, subjects, name, (options, now)).await;
    }
    // One that left the catalogue can be asked about, too.
    let left = || facts.models.iter().find(|(_, model)| model.name == name).map(|(id, _)| *id);
    let model = facts.model_names.get(name).copied().or_else(left);
    let model = model.ok_or_else(|| refuse(format!("there is no model {name} in the catalogue")))?;
    let mut answers = Vec::new();
    for subject in subjects {
        answers.push(answer(store, &facts, subject, model, (&options.using, now)).await?);
    }
    // What is open comes first, then what somebody could agree to.
    answers.sort_by_key(|answer| print::rank(answer.decision.verdict));
    if options.json {
        let answers: Vec<_> = answers.iter().map(|answer| print::json(&facts, answer)).collect();
        let whole = json!({ "facts_version": facts.version, "at": now, "model": name, "answers": answers });
        return Ok(format!("{whole:#}\n"));
    }
    Ok(answers.iter().map(|answer| print::text(&facts, answer, now)).collect::<Vec<_>>().join("\n"))
}

/// Each model of a policy for each of those who would call it, in the order the policy has them.
async fn explain_policy<'a>(
    store: &Store,
    facts: &'a Facts,
    subjects: Vec<Subject<'a>>,
    name: &str,
    (options, now): (&Options, DateTime<Utc>),
) -> Result<String, Fatal> {
    let (mut routes, mut texts) = (Vec::new(), Vec::new());
    for subject in subjects {
        let application = subject.application.map(|(_, application)| application);
        let Some((policy, found)) = policies::meant(facts, application, subject.group, name) else {
            continue;
        };
        let mut answers = Vec::new();
        for (model, _) in &found.steps {
            answers.push(answer(store, facts, subject.clone(), *model, (&options.using, now)).await?);
        }
        if options.json {
            routes.push(print::policy_json(facts, policy, found, &answers));
            continue;
        }
        texts.push(print::policy_text(facts, policy, found, &subject, &answers));
        texts.extend(answers.iter().map(|answer| print::text(facts, answer, now)));
    }
    if routes.is_empty() && texts.is_empty() {
        return Err(Fatal::new("explain", format!("there is no {name} for them")));
    }
    if options.json {
        let whole = json!({ "facts_version": facts.version, "at": now, "model": name, "policies": routes });
        return Ok(format!("{whole:#}\n"));
    }
    Ok(texts.join("\n"))
}

async fn answer<'a>(
    store: &Store,
    facts: &'a Facts,
    subject: Subject<'a>,
    model: ModelId,
    (using, now): (&[Feature], DateTime<Utc>),
) -> Result<Answer<'a>, Fatal> {
    let ask = Ask { features: using.iter().copied().collect(), ..subject.ask(model) };
    let mut steps = Vec::new();
    let decision = decide_with(facts, &ask, now, &mut steps);
    let mut set_by = Vec::new();
    for step in &steps {
        set_by.push(setter(store, facts, *step).await?);
    }
    let fixes = why::fixes(facts, &ask, now);
    let asks = fixes.iter().any(|fix| matches!(fix, Fix::Ask(..)));
    let asked = if asks { store::requests::lifting(store, facts, &ask, now).await? } else { None };
    let mut help: Vec<String> = fixes
        .iter()
        .map(|fix| match (fix, &asked) {
            (Fix::Ask(..), Some(request)) => why::waits(facts, request, &request.requester.1),
            _ => why::words(facts, fix),
        })
        .collect();
    let nobody = ApplicationId(Uuid::nil());
    let counted = limits::Subject {
        path: facts.groups.get(&subject.group).map_or(&[], |group| &group.path),
        application: subject.application.map_or(nobody, |(id, _)| id),
        user: subject.user,
        authorization: decision.rule,
        beside: beside(facts, &ask, &decision, now)
            .filter(|rule| rule.verdict == Verdict::Allow)
            .map(|rule| rule.rule),
        grant: decision.grant,
    };
    let applied: Vec<Applied> = applicable(facts, &counted).into_iter().collect();
    let keys: Vec<_> = applied
        .iter()
        .map(|applied| (applied.meter, facts.calendar.span(applied.meter.window, now)))
        .collect();
    let levels = store::limits::levels(store, facts.org, &keys).await?;
    let worst = why::worst(facts, model, None, now);
    let (mut gated, mut full) = (Vec::new(), false);
    let may = decision.verdict == Verdict::Allow;
    let could = may || !help.is_empty();
    for ((applied, (meter, span)), level) in applied.into_iter().zip(keys).zip(levels) {
        let gate = Gate::before(meter, applied.cap, level, &worst, span.end);
        if could && applied.mode == Mode::Enforce {
            let room = why::make_room(facts, &gate, print::moment);
            full |= may && room.is_some();
            help.extend(room);
        }
        gated.push((span, gate, applied));
    }
    // As the page about it has them.
    gated.sort_by_key(|(_, gate, applied)| gate.looseness(applied.mode));
    let limits =
        gated.into_iter().map(|(span, gate, applied)| (applied, span, gate.level, gate.fits())).collect();
    let asked = asked.map(|request| request.id);
    Ok(Answer { subject, model, decision, steps, set_by, help, asked, limits, full })
}

/// Who changed last what a step names.
async fn setter(store: &Store, facts: &Facts, step: Step) -> Result<Option<(String, DateTime<Utc>)>, Fatal> {
    let subject = match step {
        Step::Rule { group, target, .. } => why::rule_of(facts, group, target).map(|rule| rule.id.0),
        Step::Grant(id) => Some(id.0),
        Step::Observed(observed) => Some(observed.rule.0),
        Step::Verdict(_) => None,
    };
    if subject.is_none() {
        return Ok(None);
    }
    let filter = store::audit::Filter { subject, ..Default::default() };
    let rows = store::audit::list(store, facts.org, &filter, 1).await?;
    Ok(rows.into_iter().next().map(|row| (row.actor, row.at)))
}
