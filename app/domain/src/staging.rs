//! A draft while it is made: cells are chosen, cycled, locked, and taken back step by step. What the
//! matrix does in the browser; nothing here is live before the draft is saved.

use std::collections::BTreeMap;

use crate::authorizations::{Cell, Draft, Edit, Say, Seen, State};

/// A cell as the page shows it: what stands in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Square {
    /// Which.
    pub cell: Cell,
    /// The rule in it, and what it says.
    pub own: Option<(Seen, Say)>,
}

/// What somebody wants of the cells they have selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Say this.
    Say(State),
    /// Say nothing: inherit.
    Inherit,
    /// The next one: inherit, open, by request, closed.
    Cycle,
    /// Lock what is said, or unlock it.
    Lock,
    /// As it was before anything was staged.
    Clear,
}

/// What is staged, and the steps that led there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staging {
    edits: BTreeMap<Cell, Edit>,
    /// What each step changed: the cells, and what was staged in them before.
    steps: Vec<Vec<(Cell, Option<Edit>)>>,
}

impl Staging {
    /// How many cells have an edit.
    pub fn len(&self) -> usize {
        self.edits.len()
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// What is staged in a cell.
    pub fn get(&self, cell: Cell) -> Option<&Edit> {
        self.edits.get(&cell)
    }

    /// Everything that is staged.
    pub fn draft(&self) -> Draft {
        Draft { edits: self.edits.values().copied().collect() }
    }

    /// What a cell would say.
    fn say(&self, square: &Square) -> Option<Say> {
        match self.edits.get(&square.cell) {
            Some(edit) => edit.say,
            None => square.own.map(|(_, say)| say),
        }
    }

    /// Does to all squares what `choice` means for the one in focus. What a cell says already is
    /// not staged. Returns how many changed.
    pub fn choose(&mut self, squares: &[Square], focus: &Square, choice: Choice) -> usize {
        let now = self.say(focus);
        let next = match (choice, now.map(|say| say.state)) {
            (Choice::Say(state), _) => Some(state),
            (Choice::Cycle, None) => Some(State::Open),
            (Choice::Cycle, Some(State::Open)) => Some(State::ByRequest),
            (Choice::Cycle, Some(State::ByRequest)) => Some(State::Closed),
            _ => None,
        };
        let locked = !now.is_some_and(|say| say.locked);
        let mut step = Vec::new();
        for square in squares {
            let say = self.say(square);
            let wanted = match choice {
                Choice::Lock => say.map(|say| Say { locked, ..say }),
                Choice::Clear => square.own.map(|(_, say)| say),
                _ => next
                    .map(|state| Say { state, ..say.unwrap_or(Say { state, locked: false, ends_at: None }) }),
            };
            if wanted != say || (choice == Choice::Clear && self.edits.contains_key(&square.cell)) {
                step.push((square.cell, self.edits.get(&square.cell).copied()));
                self.put(square, wanted);
            }
        }
        let changed = step.len();
        if changed > 0 {
            self.steps.push(step);
        }
        changed
    }

    fn put(&mut self, square: &Square, say: Option<Say>) {
        if say == square.own.map(|(_, say)| say) {
            self.edits.remove(&square.cell);
        } else {
            // What was seen when the cell was first edited: that is what somebody else may have changed.
            let seen =
                self.edits.get(&square.cell).map_or(square.own.map(|(seen, _)| seen), |edit| edit.seen);
            self.edits.insert(square.cell, Edit { cell: square.cell, say, seen });
        }
    }

    /// Takes the last step back; returns how many cells it changed.
    pub fn undo(&mut self) -> usize {
        let step = self.steps.pop().unwrap_or_default();
        for (cell, before) in &step {
            match before {
                Some(edit) => self.edits.insert(*cell, *edit),
                None => self.edits.remove(cell),
            };
        }
        step.len()
    }

    /// Takes what a draft says in, in place of what is staged there.
    pub fn take_in(&mut self, draft: &Draft) {
        self.edits.extend(draft.edits.iter().map(|edit| (edit.cell, *edit)));
        self.steps.clear();
    }

    /// These cells were saved: what is staged in them is over.
    pub fn saved(&mut self, cells: &[Cell]) {
        self.edits.retain(|cell, _| !cells.contains(cell));
        self.steps.clear();
    }

    /// Nothing is staged any more.
    pub fn discard(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authorizations::Target,
        ids::{AuthorizationId, GroupId},
    };
    use uuid::Uuid;

    fn square(group: u128, own: Option<State>) -> Square {
        let seen = Seen { id: AuthorizationId(Uuid::from_u128(group)), version: 3 };
        let say = |state| (seen, Say { state, locked: false, ends_at: None });
        let cell = Cell { group: Some(GroupId(Uuid::from_u128(group))), target: Target::All };
        Square { cell, own: own.map(say) }
    }

    fn states(staging: &Staging) -> Vec<Option<State>> {
        staging.draft().edits.iter().map(|edit| edit.say.map(|say| say.state)).collect()
    }

    #[test]
    fn space_goes_round_over_a_whole_range_and_each_step_can_be_taken_back() {
        let range = [square(1, None), square(2, Some(State::Closed)), square(3, None)];
        let mut staging = Staging::default();
        let mut seen = Vec::new();
        for _ in 0..4 {
            staging.choose(&range, &range[0], Choice::Cycle);
            seen.push(states(&staging));
        }
        let (open, ask, shut) = (Some(State::Open), Some(State::ByRequest), Some(State::Closed));
        // The one that is closed already is not staged when all are closed, and only it when none is.
        assert_eq!(seen, [vec![open; 3], vec![ask; 3], vec![shut; 2], vec![None]]);
        assert_eq!(staging.undo(), 3);
        assert_eq!(states(&staging), [shut; 2]);
        while staging.undo() > 0 {}
        assert!(staging.is_empty());
    }

    #[test]
    fn a_lock_needs_something_to_lock_and_keeps_the_state() {
        let range = [square(1, Some(State::ByRequest)), square(2, None)];
        let mut staging = Staging::default();
        assert_eq!(staging.choose(&range, &range[0], Choice::Lock), 1);
        let edit = staging.draft().edits[0];
        assert_eq!(edit.say, Some(Say { state: State::ByRequest, locked: true, ends_at: None }));
        assert_eq!(edit.seen.map(|seen| seen.version), Some(3));
        staging.choose(&range, &range[0], Choice::Say(State::Closed));
        assert!(staging.draft().edits[0].say.is_some_and(|say| say.locked), "still locked");
        staging.choose(&range, &range[0], Choice::Lock);
        assert_eq!(states(&staging).len(), 2);
    }

    #[test]
    fn what_was_cleared_comes_back_and_what_was_saved_does_not() {
        let (one, two) = (square(1, None), square(2, None));
        let mut staging = Staging::default();
        staging.choose(&[one, two], &one, Choice::Say(State::Open));
        staging.choose(&[one], &one, Choice::Clear);
        assert_eq!(staging.len(), 1);
        staging.undo();
        assert_eq!(staging.len(), 2);
        staging.saved(&[one.cell]);
        assert_eq!(staging.undo(), 0);
        assert_eq!(staging.len(), 1);
        assert_eq!(staging.choose(&[two], &two, Choice::Inherit), 1);
        assert!(staging.is_empty(), "it inherits already");
    }
}
