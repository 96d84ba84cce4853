//! A plan as people read it, and as programs do.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::keys::PlainSecret;
use serde_json::{Value, json};
use store::applications::Unanswered;

use super::{
    difference::{Action, Line, Plan},
    things::Kind,
};

/// A secret that was made now.
#[derive(Debug)]
pub struct Secret {
    /// The application.
    pub application: String,
    /// The group it lives in.
    pub group: String,
    /// The secret.
    pub plain: PlainSecret,
}

/// An invitation that was made now.
#[derive(Debug)]
pub struct Invitation {
    /// Whom it is for.
    pub email: String,
    /// Where they accept it: the path and the token.
    pub path: String,
}

/// What came of a file.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What would change, or has changed.
    pub plan: Plan,
    /// Secrets made now and shown only now.
    pub secrets: Vec<Secret>,
    /// Invitations made now and shown only now.
    pub invitations: Vec<Invitation>,
    /// Whether somebody still has to become the owner.
    pub without_owner: bool,
    /// Applications of the file for which nobody answers, and others that it leaves without anybody.
    pub unanswered: Vec<Unanswered>,
}

/// A moment as files write it.
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// As people read it. `applied`: it has happened.
pub fn text(outcome: &Outcome, organization: &str, public_url: &str, applied: bool) -> String {
    let mut text = String::new();
    for line in &outcome.plan.lines {
        text += &line_text(line);
    }
    text += &summary(&outcome.plan, organization, applied);
    if !outcome.secrets.is_empty() {
        text += "\nSecrets, shown this once:\n";
        for secret in &outcome.secrets {
            text += &format!("  {} in {}: {}\n", secret.application, secret.group, secret.plain.reveal());
        }
    }
    if !outcome.invitations.is_empty() {
        text += "\nInvitations, shown this once, good for 14 days:\n";
        for invitation in &outcome.invitations {
            text += &format!("  {}: {public_url}{}\n", invitation.email, invitation.path);
        }
    }
    if outcome.without_owner {
        text += &format!(
            "\nNobody owns {organization} yet. Start `bursar serve` and open the address it prints: whoever sets\n\
             the installation up becomes the owner, unless the file gives their address another role. Or\n\
             write role = \"owner\" for somebody in the file.\n"
        );
    }
    text
}

/// What is as the file says and wants somebody all the same: a line for each, with what to do.
pub fn warnings(outcome: &Outcome) -> Vec<String> {
    let line = |left: &Unanswered| {
        let Unanswered { name, group, owner } = left;
        let (why, then) = match owner {
            Some(owner) => (
                format!("{owner}, who owns it, is suspended or has left"),
                "Hand it over, on its page in the console".to_owned(),
            ),
            None => (
                "it has no owner, and nobody leads its group or one above it".to_owned(),
                format!(
                    "Choose an owner, on its page in the console, or write lead = true for somebody in {group}"
                ),
            ),
        };
        format!("warning: nobody answers for the application {name} in {group}: {why}. {then}.")
    };
    outcome.unanswered.iter().map(line).collect()
}

fn line_text(line: &Line) -> String {
    let sign = match line.action {
        Action::Add => '+',
        Action::Change => '~',
        Action::Remove => '-',
    };
    let mut text = match line.key.0 {
        // The title says it already.
        Kind::Secret => format!("{sign} {}\n", line.title),
        kind => format!("{sign} {} {}\n", kind.as_str(), line.title),
    };
    for changed in &line.fields {
        let none = || "none".to_owned();
        let (before, after) = (&changed.before, &changed.after);
        let values = match line.action {
            Action::Add => after.clone().unwrap_or_else(none),
            Action::Remove => before.clone().unwrap_or_else(none),
            Action::Change => {
                format!("{} → {}", before.clone().unwrap_or_else(none), after.clone().unwrap_or_else(none))
            }
        };
        text += &format!("    {:<22} {values}\n", changed.field);
    }
    text
}

fn summary(plan: &Plan, organization: &str, applied: bool) -> String {
    let count = |action| plan.count(action);
    if plan.lines.is_empty() {
        return format!("{organization} is as the file says. Nothing to change.\n");
    }
    let (add, change, remove) = (count(Action::Add), count(Action::Change), count(Action::Remove));
    if applied {
        format!("{organization}: {add} added, {change} changed, {remove} removed.\n")
    } else {
        format!(
            "{organization}: {add} to add, {change} to change, {remove} to remove. Nothing was changed.\n"
        )
    }
}

/// As programs read it: one JSON document.
pub fn json(outcome: &Outcome, public_url: &str) -> String {
    let field = |changed: &super::difference::Changed| json!({ "field": changed.field, "before": changed.before, "after": changed.after });
    let line = |line: &Line| {
        json!({
            "action": line.action.as_str(),
            "kind": line.key.0.as_str(),
            "name": line.title,
            "fields": line.fields.iter().map(field).collect::<Vec<Value>>(),
        })
    };
    let secret = |secret: &Secret| {
        json!({
            "application": secret.application,
            "group": secret.group,
            "user": null,
            "secret": secret.plain.reveal(),
        })
    };
    let invitation = |invitation: &Invitation| json!({ "user": invitation.email, "url": format!("{public_url}{}", invitation.path) });
    json!({
        "plan": outcome.plan.lines.iter().map(line).collect::<Vec<Value>>(),
        "secrets": outcome.secrets.iter().map(secret).collect::<Vec<Value>>(),
        "invitations": outcome.invitations.iter().map(invitation).collect::<Vec<Value>>(),
    })
    .to_string()
}
