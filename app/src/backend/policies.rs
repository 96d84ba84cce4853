//! Routing policies, as their form says them.

use domain::{
    ids::ModelId,
    models::Model,
    policies::{Policy, Rules, StepRules, Trouble, written},
};

use super::AppError;

/// The models that a policy may name: those of the catalogue, and those that it named before, also where
/// they have left it.
pub fn nameable(models: &[Model], was: Option<&Policy>) -> Vec<(ModelId, String)> {
    let before = was.into_iter().flat_map(|policy| &policy.steps);
    let before = before.map(|(id, name, _)| (*id, name.clone()));
    models.iter().map(|model| (model.id, model.name.clone())).chain(before).collect()
}

/// Reads the steps of a policy: one line each, `small-chat` or `small-chat 3`.
///
/// # Errors
/// About the field `steps`.
pub fn read_steps(models: &[(ModelId, String)], text: &str) -> Result<Vec<(ModelId, i32)>, AppError> {
    let mut steps = Vec::new();
    for (name, weight) in written(text) {
        let model = models.iter().find(|(_, known)| *known == name);
        let (id, _) = model.ok_or_else(|| AppError::field("steps", format!("There is no model {name}.")))?;
        steps.push((*id, weight));
    }
    Ok(steps)
}

/// How a policy deals with its models, as its form says it: `small-chat 2`, one line of each list for a
/// model, and for `after` one for each failure. A model that no list names keeps what is known of it.
#[derive(Clone, Debug, Default)]
pub struct RuleLines {
    /// After which failures it goes on.
    pub after: Vec<String>,
    /// How often a model is tried.
    pub attempts: Vec<String>,
    /// How many seconds the head of its answer is waited for; `-`: as its provider says.
    pub first_byte: Vec<String>,
}

impl RuleLines {
    /// Reads them for these steps. `before`: those the policy had.
    ///
    /// # Errors
    /// About the field `steps`.
    pub fn read(
        &self,
        models: &[(ModelId, String)],
        steps: &[(ModelId, i32)],
        before: &[ModelId],
        known: &Rules,
    ) -> Result<Rules, AppError> {
        let added: Vec<ModelId> =
            steps.iter().map(|(model, _)| *model).filter(|model| !before.contains(model)).collect();
        let wrong = |line: &str| AppError::field("steps", format!("{line} says nothing about a model."));
        // By its name, or, while the policy is being made, by its place in the list: `#2`, or among those
        // that are new in it: `#+1`. Of places that no model stands at, nothing is said.
        let said = |line: &String| -> Result<Option<(ModelId, String)>, AppError> {
            let (name, word) = line.rsplit_once(' ').ok_or_else(|| wrong(line))?;
            let place = |prefix| name.strip_prefix(prefix)?.parse::<usize>().ok()?.checked_sub(1);
            let model = match (place("#+"), name.strip_prefix('#')) {
                (Some(place), _) => added.get(place).copied(),
                (None, Some(_)) => place("#").and_then(|place| steps.get(place)).map(|(model, _)| *model),
                (None, None) => {
                    let known = models.iter().find(|(_, known)| known == name);
                    Some(known.ok_or_else(|| wrong(line))?.0)
                }
            };
            Ok(model.map(|model| (model, word.to_owned())))
        };
        let mut rules = known.clone();
        for line in &self.attempts {
            let Some((model, word)) = said(line)? else { continue };
            let attempts = word.parse().map_err(|_| wrong(line))?;
            let after = std::iter::empty().collect();
            rules.insert(model, StepRules { after, attempts, first_byte: None });
        }
        for line in &self.first_byte {
            let Some((model, word)) = said(line)? else { continue };
            if let Some(rules) = rules.get_mut(&model).filter(|_| word != "-") {
                rules.first_byte = Some(word.parse().map_err(|_| wrong(line))?);
            }
        }
        for line in &self.after {
            let Some((model, word)) = said(line)? else { continue };
            if let Some(rules) = rules.get_mut(&model) {
                let trouble: Trouble = word.parse().map_err(|_| wrong(line))?;
                rules.after = rules.after.iter().chain([trouble]).collect();
            }
        }
        rules.retain(|model, rules| {
            *rules != StepRules::default() && steps.iter().any(|(step, _)| step == model)
        });
        Ok(rules)
    }

    /// As fields of a form.
    pub fn fields(&self) -> Vec<(String, String)> {
        let list = |name: &str, lines: &[String]| {
            let field = |(place, line): (usize, &String)| (format!("{name}[{place}]"), line.clone());
            lines.iter().enumerate().map(field).collect::<Vec<_>>()
        };
        [list("after", &self.after), list("attempts", &self.attempts), list("first_byte", &self.first_byte)]
            .concat()
    }
}
