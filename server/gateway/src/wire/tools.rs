//! The provider's own tools that it bills by the piece: which of them a call brings, how often it may
//! use them, and where that is written in when its caller left it open.
//!
//! A search is billed beside its tokens, and nobody knows beforehand how often a model searches. So a
//! call has a bound like that of its output: the caller's, or [`MOST_USES`], written into the call.

use std::borrow::Cow;

use domain::{
    prices::{PriceKey, Prices},
    usage::{ToolUnits, Usage},
};
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::{
    Route,
    fields::{BadRequest, bad, even_null, is_null, other_than},
    request::Place,
};

/// How often a call uses such a tool that does not say it.
pub const MOST_USES: u64 = 16;

/// What a call brings of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// The most of what is billed by the piece.
    most: Usage,
    /// What an answer used that does not say so.
    unsaid: ToolUnits,
    /// Tools without a bound of their own, each by where it is written in: in the place of a `null`, or
    /// behind the tool's opening brace, where nothing stands yet.
    pub open: SmallVec<[Place; 1]>,
    /// Whether the bound over all tools is left open.
    pub all_open: bool,
    /// Whether a tool asks another model, at prices of its own.
    asks_another: bool,
}

#[derive(Deserialize)]
struct Tool<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    max_uses: Option<&'a RawValue>,
    #[serde(borrow)]
    environment: Option<&'a RawValue>,
}

/// What a tool is billed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Billed {
    /// By the piece.
    Piece(PriceKey),
    /// By what another model does.
    Another,
}

impl Billed {
    /// What the uses of a tool are billed by; none where they cost their tokens only.
    pub fn of(route: Route, tool: &RawValue) -> Option<Self> {
        serde_json::from_str::<Tool<'_>>(tool.get()).ok()?.billed(route)
    }

    /// What it is called where it has no price.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Piece(key) => key.label(),
            Self::Another => "Another model's advice",
        }
    }

    /// Whether there is a price for it.
    pub fn has_price(self, prices: &Prices) -> bool {
        match self {
            Self::Piece(key) => prices.of(key).is_some(),
            Self::Another => false,
        }
    }
}

impl Tools {
    /// Reads the tools of a call. `tools`: their list; `bound`: the most uses over all of them;
    /// `searches`: whether the call asks for a search without naming a tool; `choices`: how many answers
    /// it asks for; `place`: where a text stands in the body.
    ///
    /// # Errors
    /// About a tool that cannot be read: its provider might read it, and bill it.
    pub fn read(
        route: Route,
        tools: Option<&RawValue>,
        bound: Option<&RawValue>,
        searches: bool,
        choices: u64,
        place: impl Fn(&RawValue) -> Place,
    ) -> Result<Self, BadRequest> {
        let mut read = Self::default();
        if searches && route == Route::ChatCompletions {
            // Once for each answer; providers do not count it in the usage.
            read.most.tools.web_searches = choices;
            read.unsaid.web_searches = choices;
        }
        let Some(list) = tools.filter(|raw| !is_null(raw)) else { return Ok(read) };
        let list: Vec<&RawValue> =
            serde_json::from_str(list.get()).map_err(|_| bad("tools", "`tools` has to be a list."))?;
        let bound = bound.and_then(|raw| raw.get().parse::<u64>().ok());
        for raw in list {
            let tool: Tool<'_> = serde_json::from_str(raw.get())
                .map_err(|error| bad("tools", format!("A tool in `tools` cannot be read: {error}.")))?;
            let key = match tool.billed(route) {
                None => continue,
                Some(Billed::Another) => {
                    read.asks_another = true;
                    continue;
                }
                Some(Billed::Piece(key)) => key,
            };
            let uses = match route {
                Route::Messages => {
                    let most = tool.most_uses()?;
                    if most.is_none() && key != PriceKey::CodeSession {
                        let behind = place(raw).start + 1;
                        read.open.push(tool.max_uses.map_or(behind..behind, &place));
                    }
                    most
                }
                Route::Responses => {
                    // Machines are one each, however often they are used.
                    read.all_open |= bound.is_none() && key != PriceKey::CodeSession;
                    bound
                }
                _ => None,
            };
            let uses = if key == PriceKey::CodeSession { 1 } else { uses.unwrap_or(MOST_USES) };
            let most = match key {
                PriceKey::FileSearch => &mut read.most.tools.file_searches,
                PriceKey::CodeSession => &mut read.most.tools.code_sessions,
                PriceKey::Image => &mut read.most.images,
                _ => &mut read.most.tools.web_searches,
            };
            *most = most.saturating_add(uses.saturating_mul(choices));
        }
        Ok(read)
    }

    /// The most that a call has of what is billed by the piece.
    pub const fn most(&self) -> &Usage {
        &self.most
    }

    /// What an answer used at least, whatever it says.
    pub const fn unsaid(&self) -> ToolUnits {
        self.unsaid
    }

    /// What it brings that has no price with these.
    pub(crate) fn unpriced(&self, prices: &Prices) -> Option<&'static str> {
        let pieces = self.keys().map(Billed::Piece);
        let another = self.asks_another.then_some(Billed::Another);
        pieces.chain(another).find(|billed| !billed.has_price(prices)).map(Billed::label)
    }

    /// Whether anything of it costs something: then a bound that was left open is written in.
    pub fn cost(&self, prices: &Prices) -> bool {
        self.keys().any(|key| prices.of(key).is_some_and(|price| price.0 > 0))
    }

    fn keys(&self) -> impl Iterator<Item = PriceKey> {
        let ToolUnits { web_searches, file_searches, code_sessions } = self.most.tools;
        [
            (PriceKey::WebSearch, web_searches),
            (PriceKey::FileSearch, file_searches),
            (PriceKey::CodeSession, code_sessions),
            (PriceKey::Image, self.most.images),
        ]
        .into_iter()
        .filter(|(_, most)| *most > 0)
        .map(|(key, _)| key)
    }
}

impl Tool<'_> {
    /// How often it may be used; none where that is left open.
    fn most_uses(&self) -> Result<Option<u64>, BadRequest> {
        let Some(raw) = self.max_uses.filter(|raw| !is_null(raw)) else { return Ok(None) };
        raw.get().parse().map(Some).map_err(|_| bad("tools", "`max_uses` has to be a whole number."))
    }

    /// What uses of it are billed by; none where they cost their tokens only.
    fn billed(&self, route: Route) -> Option<Billed> {
        let kind = self.kind.as_deref()?;
        // Kinds carry dates: `web_search_20250305`, `web_search_preview_2025_03_11`.
        if kind.starts_with("web_search") {
            return Some(Billed::Piece(PriceKey::WebSearch));
        }
        // A shell is one on the caller's own machine, unless it says otherwise.
        let elsewhere = self.environment.is_some_and(|raw| !is_null(raw) && other_than(Some(raw), "local"));
        let key = match route {
            Route::Responses => match kind {
                "file_search" => PriceKey::FileSearch,
                "code_interpreter" => PriceKey::CodeSession,
                "shell" if elsewhere => PriceKey::CodeSession,
                "image_generation" => PriceKey::Image,
                _ => return None,
            },
            // Billed by the time a machine is there, which no answer tells: it counts as one.
            Route::Messages if kind.starts_with("code_execution") => PriceKey::CodeSession,
            Route::Messages if kind.starts_with("advisor") => return Some(Billed::Another),
            _ => return None,
        };
        Some(Billed::Piece(key))
    }
}

/// What the items of a response have used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Of tools.
    pub tools: ToolUnits,
    /// Images made.
    pub images: u64,
    /// The machines that code ran on, each once.
    machines: Vec<Box<str>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    action: Option<&'a RawValue>,
    #[serde(borrow)]
    container_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    environment: Option<Machine<'a>>,
}

/// Where a shell ran: on a machine of the provider's, if it has a name.
#[derive(Deserialize)]
struct Machine<'a> {
    #[serde(borrow)]
    container_id: Option<Cow<'a, str>>,
}

/// Of what kind something is.
#[derive(Deserialize)]
pub(super) struct Kind<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Cow<'a, str>>,
}

/// Nobody runs code on more machines in one answer.
const MACHINES: usize = 256;

impl Used {
    /// Everything in a list of items.
    pub fn of(items: &RawValue) -> Self {
        let mut used = Self::default();
        for item in serde_json::from_str::<Vec<&RawValue>>(items.get()).unwrap_or_default() {
            used.add(item);
        }
        used
    }

    /// Adds an item.
    pub fn add(&mut self, item: &RawValue) {
        let Ok(item) = serde_json::from_str::<Item<'_>>(item.get()) else { return };
        match item.kind.as_deref() {
            Some("web_search_call") => {
                // A page that is opened, or searched for a word, is no search of the web.
                let action = item.action.and_then(|raw| serde_json::from_str::<Kind<'_>>(raw.get()).ok());
                let action = action.and_then(|action| action.kind);
                if action.as_deref().is_none_or(|kind| kind == "search") {
                    self.tools.web_searches += 1;
                }
            }
            Some("file_search_call") => self.tools.file_searches += 1,
            Some("image_generation_call") => self.images += 1,
            Some("code_interpreter_call") => self.ran_on(item.container_id.as_deref().unwrap_or_default()),
            Some("shell_call") => {
                if let Some(machine) = item.environment.and_then(|machine| machine.container_id) {
                    self.ran_on(&machine);
                }
            }
            _ => {}
        }
    }

    /// Code ran on a machine: each counts once.
    fn ran_on(&mut self, machine: &str) {
        let known = self.machines.iter().any(|known| **known == *machine);
        if !known && self.machines.len() < MACHINES {
            self.machines.push(machine.into());
            self.tools.code_sessions += 1;
        }
    }

    /// What was reported, with what was seen where that is more.
    #[must_use]
    pub fn beside(&self, usage: Usage) -> Usage {
        let tools = ToolUnits {
            web_searches: usage.tools.web_searches.max(self.tools.web_searches),
            file_searches: usage.tools.file_searches.max(self.tools.file_searches),
            code_sessions: usage.tools.code_sessions.max(self.tools.code_sessions),
        };
        Usage { tools, images: usage.images.max(self.images), ..usage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(route: Route, body: &str) -> Tools {
        #[derive(Deserialize)]
        struct Body<'a> {
            #[serde(borrow)]
            tools: Option<&'a RawValue>,
            #[serde(borrow)]
            max_tool_calls: Option<&'a RawValue>,
        }
        let read: Body<'_> = serde_json::from_str(body).unwrap();
        let place = |raw: &RawValue| {
            let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
            start..start + raw.get().len()
        };
        Tools::read(route, read.tools, read.max_tool_calls, body.contains("web_search_options"), 2, place)
            .unwrap()
    }

    #[test]
    fn a_call_has_a_bound_for_what_is_billed_by_the_piece() {
        let counts = |tools: &Tools| {
            let ToolUnits { web_searches, file_searches, code_sessions } = tools.most.tools;
            (web_searches, file_searches, code_sessions, tools.most.images)
        };
        for (route, body, most, open) in [
            (Route::Responses, r#"{"tools":[{"type":"web_search"}]}"#, (32, 0, 0, 0), true),
            (
                Route::Responses,
                r#"{"max_tool_calls":3,"tools":[{"type":"file_search"}]}"#,
                (0, 6, 0, 0),
                false,
            ),
            (
                Route::Responses,
                r#"{"tools":[{"type":"code_interpreter"}],"max_tool_calls":null}"#,
                (0, 0, 2, 0),
                false,
            ),
            (
                Route::Responses,
                r#"{"max_tool_calls":1,"tools":[{"type":"image_generation"}]}"#,
                (0, 0, 0, 2),
                false,
            ),
            (
                Route::Messages,
                r#"{"tools":[{"type":"web_search_20250305","max_uses":5}]}"#,
                (10, 0, 0, 0),
                false,
            ),
            (
                Route::Messages,
                r#"{"tools":[{"name":"x"},{"type":"web_search_20260209"}]}"#,
                (32, 0, 0, 0),
                true,
            ),
            (Route::ChatCompletions, r#"{"web_search_options":{}}"#, (2, 0, 0, 0), false),
            (Route::Responses, r#"{"tools":[{"type":"function"},{"type":"mcp"}]}"#, (0, 0, 0, 0), false),
            (Route::Messages, r#"{"tools":[{"type":"code_execution_20250825"}]}"#, (0, 0, 2, 0), false),
            (
                Route::Responses,
                r#"{"tools":[{"type":"shell","environment":{"type":"container_auto"}}]}"#,
                (0, 0, 2, 0),
                false,
            ),
            (
                Route::Responses,
                r#"{"tools":[{"type":"shell","environment":{"type":"local"}},{"type":"shell","environment":null},{"type":"shell"}]}"#,
                (0, 0, 0, 0),
                false,
            ),
        ] {
            let tools = read(route, body);
            assert_eq!(counts(&tools), most, "{body}");
            assert_eq!(tools.all_open || !tools.open.is_empty(), open, "{body}");
        }
    }

    #[test]
    fn a_machine_counts_once_whatever_ran_on_it() {
        let items = r#"[{"type":"shell_call","environment":{"type":"container_reference","container_id":"c1"}},
            {"type":"shell_call","environment":{"type":"local"}},{"type":"shell_call"},
            {"type":"code_interpreter_call","container_id":"c1"},{"type":"code_interpreter_call","container_id":"c2"}]"#;
        let used = Used::of(serde_json::from_str(items).unwrap());
        assert_eq!(used.tools, ToolUnits { code_sessions: 2, ..ToolUnits::default() });
    }

    #[test]
    fn a_tool_without_a_price_is_named() {
        let tools = read(Route::Responses, r#"{"tools":[{"type":"web_search"},{"type":"file_search"}]}"#);
        let with = |prices: Prices, key| prices.with(key, Some(domain::money::Price(0)));
        let prices = with(Prices::default(), PriceKey::WebSearch);
        assert_eq!(tools.unpriced(&Prices::default()), Some("Web searches"));
        assert_eq!(tools.unpriced(&prices), Some("File searches"));
        let advice = read(Route::Messages, r#"{"tools":[{"type":"advisor_20260301","model":"dear"}]}"#);
        assert_eq!(advice.unpriced(&prices), Some("Another model's advice"));
        let free = with(prices, PriceKey::FileSearch);
        assert_eq!((tools.unpriced(&free), tools.cost(&free)), (None, false));
    }
}
