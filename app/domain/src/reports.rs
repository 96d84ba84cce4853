//! Allocation: what every group spent in a month, for whoever keeps the books.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::{csv, ids::GroupId, money::Money, spend::Sums};

/// A month that is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// When it was closed.
    pub at: DateTime<Utc>,
    /// By whom.
    pub by: String,
    /// By the days of which time zone.
    pub zone: String,
    /// How many lines its report has.
    pub lines: i64,
    /// The seal over them: SHA-256, as hex.
    pub seal: String,
}

/// Where a month stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It is not over.
    Running,
    /// It is over and not closed. `next`: it is the one that can be closed.
    Open {
        /// Whether it is the first that is not closed.
        next: bool,
    },
    /// It is closed.
    Closed(Closed),
}

/// A month in the list of months.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthRow {
    /// Its first day.
    pub month: NaiveDate,
    /// Where it stands.
    pub standing: Standing,
    /// What its report comes to, adjustments included.
    pub spend: Money,
    /// How much of that are adjustments of earlier months.
    pub adjusted: Money,
    /// Finished calls, those of adjustments included.
    pub calls: i64,
}

/// What one group's own applications spent, by the place the group had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// From the root to the group.
    pub path: Vec<GroupId>,
    /// Calls of an earlier month, which was closed when they were booked.
    pub adjustment: bool,
    /// The sums.
    pub sums: Sums,
}

/// A group in the report of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Which.
    pub id: GroupId,
    /// From the root to itself.
    pub path: Vec<String>,
    /// What its own applications spent.
    pub own: Money,
    /// With everything below: what its own applications spent and its sub-groups' sub-totals.
    pub total: Money,
    /// How much of the sub-total are adjustments of earlier months.
    pub adjusted: Money,
    /// Calls, with everything below.
    pub calls: i64,
    /// Tokens, with everything below.
    pub tokens: i64,
    /// Its sub-total in tenths of a per cent of the whole month.
    pub share: i64,
    /// What the people who were its members spent, wherever they called.
    pub members: Option<Money>,
}

impl Node {
    /// How far below the root it is.
    pub fn depth(&self) -> usize {
        self.path.len().saturating_sub(1)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.path.last().map(String::as_str).unwrap_or_default()
    }
}

/// The report of a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The first day of the month.
    pub month: NaiveDate,
    /// Where it stands.
    pub standing: Standing,
    /// Every group that spent, and those above it: parents before children, children by name. On a page,
    /// some of them.
    pub nodes: Vec<Node>,
    /// Which of all groups the first of them is, from 0.
    #[serde(default)]
    pub first: usize,
    /// How many groups there are.
    #[serde(default)]
    pub groups: usize,
    /// The whole month.
    pub total: Money,
    /// How much of that are adjustments of earlier months.
    pub adjusted: Money,
    /// Calls.
    pub calls: i64,
    /// Tokens.
    pub tokens: i64,
}

/// `of` in tenths of a per cent of `whole`, to the nearest; nothing of nothing is nothing.
pub fn share(of: Money, whole: Money) -> i64 {
    if whole.0 <= 0 {
        return 0;
    }
    let (of, whole) = (i128::from(of.0), i128::from(whole.0));
    i64::try_from((of * 2000 + whole) / (whole * 2)).unwrap_or_default()
}

/// `12.3 %`.
pub fn share_text(tenths: i64) -> String {
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[derive(Default)]
struct Branch {
    own: Sums,
    adjusted: Money,
    below: BTreeMap<(String, GroupId), Branch>,
}

impl Branch {
    fn total(&self) -> (Sums, Money) {
        let mut sums = self.own;
        let mut adjusted = self.adjusted;
        for branch in self.below.values() {
            let (below, more) = branch.total();
            sums += below;
            adjusted.0 += more.0;
        }
        (sums, adjusted)
    }

    fn write(&self, above: &[String], whole: Money, members: &HashMap<GroupId, Money>, out: &mut Vec<Node>) {
        for ((name, id), branch) in &self.below {
            let (sums, adjusted) = branch.total();
            let mut path = above.to_vec();
            path.push(name.clone());
            out.push(Node {
                id: *id,
                path: path.clone(),
                own: branch.own.spend,
                total: sums.spend,
                adjusted,
                calls: sums.calls,
                tokens: sums.input_tokens() + sums.output_tokens(),
                share: share(sums.spend, whole),
                members: members.get(id).copied(),
            });
            branch.write(&path, whole, members, out);
        }
    }
}

/// Puts sums by place together to a report. A group that was moved within the month stands in both
/// places, each with what it spent there.
pub fn report(
    month: NaiveDate,
    standing: Standing,
    owns: &[Own],
    names: &HashMap<GroupId, String>,
    members: &HashMap<GroupId, Money>,
) -> Report {
    let mut root = Branch::default();
    for own in owns {
        let mut branch = &mut root;
        for id in &own.path {
            let name = names.get(id).cloned().unwrap_or_else(|| id.to_string());
            branch = branch.below.entry((name, *id)).or_default();
        }
        branch.own += own.sums;
        if own.adjustment {
            branch.adjusted.0 += own.sums.spend.0;
        }
    }
    let (sums, adjusted) = root.total();
    let mut nodes = Vec::new();
    root.write(&[], sums.spend, members, &mut nodes);
    Report {
        month,
        standing,
        first: 0,
        groups: nodes.len(),
        nodes,
        total: sums.spend,
        adjusted,
        calls: sums.calls,
        tokens: sums.input_tokens() + sums.output_tokens(),
    }
}

impl Report {
    /// With some groups only, the first of which is `first`: what one page shows. Totals stay those of the
    /// month.
    #[must_use]
    pub fn page(mut self, first: usize, most: usize) -> Self {
        self.first = first.min(self.nodes.len());
        self.nodes = self.nodes.into_iter().skip(self.first).take(most).collect();
        self
    }

    /// Where the next page begins.
    pub fn next(&self) -> Option<usize> {
        Some(self.first + self.nodes.len()).filter(|next| *next < self.groups)
    }

    /// The report as comma-separated values: a line for each group. The column `own` adds up to the
    /// month; sub-totals contain what is below them.
    pub fn csv(&self) -> String {
        let mut out = csv::line([
            "month",
            "group",
            "group_id",
            "level",
            "own",
            "subtotal",
            "share_percent",
            "adjustments",
            "member_spend",
            "calls",
            "tokens",
        ]);
        let month = self.month.format("%Y-%m").to_string();
        for node in &self.nodes {
            out += &csv::line([
                month.as_str(),
                &node.path.join(" / "),
                &node.id.to_string(),
                &node.path.len().to_string(),
                &node.own.exact(),
                &node.total.exact(),
                &format!("{}.{}", node.share / 10, node.share % 10),
                &node.adjusted.exact(),
                &node.members.map(Money::exact).unwrap_or_default(),
                &node.calls.to_string(),
                &node.tokens.to_string(),
            ]);
        }
        out
    }
}
