//! Doing it: what it comes to for each of them, then all of it at once.

use domain::{
    access::Facts,
    batches::{Effect, Outcome, Task, Undo},
    groups::{Source, Standing},
    ids::{GroupId, UserId},
    money::Money,
    time,
    users::Role,
};

use super::{Members, Person, members, people};
use crate::{
    Change, Result, StoreError,
    groups::{self, Joining, Leaving},
    limits, requests, users,
};

/// What one person comes to: what was done and how to undo it, or why nothing was.
enum Step {
    Done(String, Option<Undo>),
    Already(String),
    Refused(String),
}

/// Does it to everybody it can be done to. Looking at what it would do is the same, without the
/// commit: so what was shown is what happens.
///
/// # Errors
/// [`StoreError::NotFound`] when the group is not there; [`StoreError::NotPermitted`] when the
/// permit is not for this.
pub async fn run(change: &mut Change, ids: &[UserId], task: Task) -> Result<Vec<Effect>> {
    let (act, group) = task.permit();
    change.expect(act, group)?;
    if let Some(from) = task.also() {
        change.expect(act, Some(from))?;
        if Some(from) == group {
            return Err(StoreError::invalid("to", "They are in this group already: choose another one."));
        }
    }
    if let Task::Join { ends_at, .. } = task {
        groups::by_people_yet_to_come(change, ends_at)?;
    }
    if let Task::Join { group: to, .. } | Task::Move { to, .. } = task {
        groups::takes_in(change, to, "group").await?;
    }
    let asked: Vec<GroupId> = group.into_iter().chain(task.also()).collect();
    let mut known = members(change, &asked).await?;
    let people = people(change, ids).await?;
    let mut of = |group: GroupId| known.remove(&group).ok_or(StoreError::NotFound);
    let steps = match task {
        Task::Join { group, standing: Standing::Lead, .. } => {
            let members = of(group)?;
            make_leads(change, &people, task, &members).await?
        }
        Task::Join { group, .. } => {
            let members = of(group)?;
            join(change, &people, task, &members).await?
        }
        Task::Leave(group) => {
            let members = of(group)?;
            leave(change, &people, group, &members).await?
        }
        Task::Move { from, to } => {
            let (from, to) = ((from, of(from)?), (to, of(to)?));
            shift(change, &people, &from, &to).await?
        }
        Task::Limit(cap) => {
            let facts = change.facts().await?;
            cap_all(change, &facts, &people, cap).await?
        }
        Task::Role(role) => give_roles(change, &people, role).await?,
        Task::Suspend => suspend(change, &people).await?,
        Task::Reinstate => reinstate(change, &people).await?,
        Task::Invite => invite(change, &people).await?,
        Task::Import => people.iter().map(|_| Step::Already(String::new())).collect(),
    };
    Ok(people.into_iter().zip(steps).map(|(person, step)| effect(person, step)).collect())
}

fn effect(person: Person, step: Step) -> Effect {
    let (outcome, text, undo) = match step {
        Step::Done(text, undo) => (Outcome::Changed, text, undo),
        Step::Already(text) => (Outcome::Already, text, None),
        Step::Refused(text) => (Outcome::Refused, text, None),
    };
    Effect { user: person.id, name: person.name, email: person.email, outcome, text, undo }
}

/// What is wrong with one person does not keep the others from it: why it cannot be, if it cannot.
fn objection(tried: Result<()>) -> Result<Option<String>> {
    match tried {
        Ok(()) => Ok(None),
        Err(StoreError::Invalid { sentence, .. }) => Ok(Some(sentence)),
        Err(error) => Err(error),
    }
}

async fn join(change: &mut Change, people: &[Person], task: Task, members: &Members) -> Result<Vec<Step>> {
    let Task::Join { group, standing, ends_at } = task else { return Ok(Vec::new()) };
    let name = members.name.as_str();
    let until = match ends_at {
        Some(end) => {
            let last = change.facts().await?.calendar.day(end - chrono::Duration::seconds(1));
            format!(", through {}", time::date(last))
        }
        None => String::new(),
    };
    let (mut steps, mut joining) = (Vec::new(), Vec::new());
    for person in people {
        if members.here.contains_key(&person.id) {
            steps.push(Step::Already(format!("is in {name} already")));
            continue;
        }
        if members.lapsed.contains(&person.id) {
            let tried = groups::set_member(change, group, person.id, standing, ends_at).await;
            if let Some(why) = objection(tried)? {
                steps.push(Step::Refused(why));
                continue;
            }
        } else {
            joining.push(joins(person, group, name, ends_at, Source::Manual));
        }
        steps.push(Step::Done(format!("joins {name}{until}"), Some(Undo::Leave(group))));
    }
    groups::join_all(change, &joining).await?;
    Ok(steps)
}

/// Into a group they are not in.
pub(super) fn joins<'a>(
    person: &'a Person,
    group: GroupId,
    group_name: &'a str,
    ends_at: Option<chrono::DateTime<chrono::Utc>>,
    source: Source,
) -> Joining<'a> {
    Joining { user: person.id, name: &person.name, group, group_name, source, ends_at }
}

/// Those who lead a group are few.
async fn make_leads(
    change: &mut Change,
    people: &[Person],
    task: Task,
    members: &Members,
) -> Result<Vec<Step>> {
    let Task::Join { group, standing, ends_at } = task else { return Ok(Vec::new()) };
    let name = members.name.as_str();
    let mut steps = Vec::new();
    for person in people {
        let known = members.here.get(&person.id);
        if known.is_some_and(|known| known.standing == Standing::Lead) {
            steps.push(Step::Already(format!("leads {name} already")));
            continue;
        }
        let undo = known.map_or(Undo::Leave(group), |known| Undo::Member { group, ends_at: known.ends_at });
        let tried = groups::set_member(change, group, person.id, standing, ends_at).await;
        steps.push(match objection(tried)? {
            Some(why) => Step::Refused(why),
            None => Step::Done(format!("leads {name}"), Some(undo)),
        });
    }
    Ok(steps)
}

async fn leave(
    change: &mut Change,
    people: &[Person],
    group: GroupId,
    members: &Members,
) -> Result<Vec<Step>> {
    let name = members.name.as_str();
    let (mut steps, mut leaving) = (Vec::new(), Vec::new());
    for person in people {
        steps.push(match members.here.get(&person.id) {
            None => Step::Already(format!("is not a direct member of {name}")),
            Some(known) if known.standing == Standing::Lead => {
                Step::Refused(format!("Leads {name}. Take the lead away on the group's page first."))
            }
            Some(known) => match objection(groups::by_hand(change, known.source, &person.name))? {
                Some(why) => Step::Refused(why),
                None => {
                    leaving.push(Leaving { user: person.id, name: &person.name, group, group_name: name });
                    let undo = Undo::Join { group, ends_at: known.ends_at, source: known.source };
                    Step::Done(format!("leaves {name}"), Some(undo))
                }
            },
        });
    }
    groups::end_all(change, &leaving).await?;
    Ok(steps)
}

/// From one group into another. In first: what both groups carry lives on.
async fn shift(
    change: &mut Change,
    people: &[Person],
    (from, leave): &(GroupId, Members),
    (to, enter): &(GroupId, Members),
) -> Result<Vec<Step>> {
    let (from, to, from_name, to_name) = (*from, *to, leave.name.as_str(), enter.name.as_str());
    let (mut steps, mut joining, mut leaving) = (Vec::new(), Vec::new(), Vec::new());
    for person in people {
        let known = match leave.here.get(&person.id) {
            None => {
                steps.push(Step::Refused(format!("is not a direct member of {from_name}")));
                continue;
            }
            Some(known) if known.standing == Standing::Lead => {
                steps.push(Step::Refused(format!("leads {from_name}. Hand the group over first.")));
                continue;
            }
            Some(known) => known,
        };
        let (ends_at, source) = (known.ends_at, known.source);
        let there = enter.here.contains_key(&person.id);
        let mut why = objection(groups::by_hand(change, known.source, &person.name))?;
        if why.is_none() && !there {
            if enter.lapsed.contains(&person.id) {
                let tried = groups::set_member(change, to, person.id, Standing::Member, ends_at).await;
                why = objection(tried)?;
            } else {
                joining.push(joins(person, to, to_name, ends_at, Source::Manual));
            }
        }
        if let Some(why) = why {
            steps.push(Step::Refused(why));
            continue;
        }
        leaving.push(Leaving { user: person.id, name: &person.name, group: from, group_name: from_name });
        let undo = if there {
            Undo::Join { group: from, ends_at, source }
        } else {
            Undo::Back { from, to, ends_at, source }
        };
        steps.push(Step::Done(format!("moves from {from_name} to {to_name}"), Some(undo)));
    }
    groups::join_all(change, &joining).await?;
    groups::end_all(change, &leaving).await?;
    Ok(steps)
}

async fn cap_all(
    change: &mut Change,
    facts: &Facts,
    people: &[Person],
    cap: Option<Money>,
) -> Result<Vec<Step>> {
    let others: Vec<limits::Month<'_>> = people
        .iter()
        .filter(|person| person.own_limit != cap)
        .map(|person| limits::Month { user: person.id, name: &person.name, cap, kept: None })
        .collect();
    let lasting = requests::lasting_months(change).await?;
    limits::set_months(change, &others).await?;
    let step = |person: &Person| match person.own_limit {
        before if before == cap => Step::Already(format!("has {} already", limit_words(facts, cap))),
        now => {
            // What is raised for a time comes back as it is without that.
            let (before, raised) = lasting.get(&person.id).map_or((now, None), |lasting| (*lasting, now));
            let text = format!("{} → {}", limit_words(facts, now), limit_words(facts, cap));
            let text = match raised {
                Some(_) => format!("{text}, which ends a raise from {}", limit_words(facts, before)),
                None => text,
            };
            Step::Done(text, Some(Undo::Limit { before, set: cap, kept: person.kept.clone(), raised }))
        }
    };
    Ok(people.iter().map(step).collect())
}

fn limit_words(facts: &Facts, own: Option<Money>) -> String {
    match (own, facts.default_user_limit) {
        (Some(own), _) => own.in_full(),
        (None, Some(default)) => format!("the default of {}", default.in_full()),
        (None, None) => "no limit".to_owned(),
    }
}

async fn give_roles(change: &mut Change, people: &[Person], role: Role) -> Result<Vec<Step>> {
    let me = change.permit().actor().user;
    let (mut steps, mut edits) = (Vec::new(), Vec::new());
    for person in people {
        if person.role == role {
            steps.push(Step::Already(format!("is {role} already")));
            continue;
        }
        if me == Some(person.id) {
            let why = "This is you: somebody else has to change your role.";
            steps.push(Step::Refused(why.to_owned()));
            continue;
        }
        let allowed = users::may_give(change, role).and_then(|()| users::may_give(change, person.role));
        let why = match objection(allowed)? {
            // One of them may be the last one.
            None if person.role == Role::Owner => objection(give_role(change, person, role).await)?,
            None => {
                edits.push(users::Edit {
                    user: person.id,
                    version: person.version,
                    name: (&person.name, &person.name),
                    role: (person.role, role),
                });
                None
            }
            why => why,
        };
        steps.push(match why {
            Some(why) => Step::Refused(why),
            None => {
                let undo = Undo::Role { before: person.role, given: role };
                Step::Done(format!("{} → {role}", person.role), Some(undo))
            }
        });
    }
    users::edit_all(change, &edits).await?;
    Ok(steps)
}

pub(super) async fn give_role(change: &mut Change, person: &Person, role: Role) -> Result<()> {
    let unreadable = |error: domain::names::NameError| StoreError::Unreadable(error.to_string());
    let form = users::UserForm {
        email: person.email.parse().map_err(unreadable)?,
        name: person.name.parse().map_err(unreadable)?,
        role,
    };
    users::update(change, person.id, person.version, &form).await
}

/// Owners come last: one of them may be the last one, and what the others answered for may be theirs now.
async fn suspend(change: &mut Change, people: &[Person]) -> Result<Vec<Step>> {
    let me = change.permit().actor().user;
    let (mut steps, mut leavers, mut owners) = (Vec::new(), Vec::new(), Vec::new());
    for (place, person) in people.iter().enumerate() {
        let step = if person.suspended {
            Some(Step::Already("is suspended already".to_owned()))
        } else if me == Some(person.id) {
            Some(Step::Refused(users::YOURSELF.to_owned()))
        } else {
            objection(users::may_do_to(change, person.role, "suspends"))?.map(Step::Refused)
        };
        if step.is_none() && person.role == Role::Owner {
            owners.push(place);
        } else if step.is_none() {
            leavers.push((person.id, person.name.as_str(), person.account));
        }
        steps.push(step);
    }
    let mut handed = users::suspend_all(change, &leavers).await?;
    for place in owners {
        match users::turn(change, people[place].id, true, None).await {
            Ok(of_owner) => drop(handed.insert(people[place].id, of_owner)),
            Err(StoreError::Invalid { sentence, .. }) => steps[place] = Some(Step::Refused(sentence)),
            Err(error) => return Err(error),
        }
    }
    let done = |person: &Person| {
        let handed = handed.get(&person.id).and_then(|handed| users::handed_over(handed));
        let handed = handed.map(|handed| format!("; handed over: {handed}")).unwrap_or_default();
        let text = format!("is suspended; every secret of theirs is revoked for good{handed}");
        Step::Done(text, Some(Undo::Suspended(false)))
    };
    Ok(people.iter().zip(steps).map(|(person, step)| step.unwrap_or_else(|| done(person))).collect())
}

async fn reinstate(change: &mut Change, people: &[Person]) -> Result<Vec<Step>> {
    let (mut steps, mut of) = (Vec::new(), Vec::new());
    for person in people {
        steps.push(if !person.suspended {
            Step::Already("is not suspended".to_owned())
        } else if let Some(why) = objection(users::may_change(change, person.id, person.role, "lets in"))? {
            Step::Refused(why)
        } else {
            of.push((person.id, person.name.as_str()));
            Step::Done("is let in again".to_owned(), Some(Undo::Suspended(true)))
        });
    }
    users::reinstate_all(change, &of).await?;
    Ok(steps)
}

/// Who may not give somebody's role gets no link that makes its bearer them.
async fn invite(change: &mut Change, people: &[Person]) -> Result<Vec<Step>> {
    let (mut steps, mut of) = (Vec::new(), Vec::new());
    for person in people {
        steps.push(if person.account.is_some() {
            Step::Already("has joined already".to_owned())
        } else if person.suspended {
            Step::Refused("Suspended. Let them in again first.".to_owned())
        } else if let Some(why) = objection(users::may_change(change, person.id, person.role, "invites"))? {
            Step::Refused(why)
        } else {
            of.push((person.id, person.name.as_str()));
            Step::Done(String::new(), None)
        });
    }
    let mut tokens = users::invite_all(change, &of).await?.into_iter();
    let org = change.org();
    for (person, step) in people.iter().zip(&mut steps) {
        if let Step::Done(text, _) = step {
            *text = format!("{org}/{}/{}", person.id, tokens.next().unwrap_or_default());
        }
    }
    Ok(steps)
}
