//! Tools of a provider that a call merely offers, among others: those without a price are left out of it.
//!
//! Agents bring their whole kit with every call, a search of the web among it, whether or not anybody
//! wants to search. To refuse all of that for one tool helps nobody. But what is asked for is not left
//! out: a call that names the tool, has to use one, or brings nothing else is refused.

use bytes::{Bytes, BytesMut};
use domain::prices::Prices;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Route,
    tools::{Billed, Kind},
};

/// How many kinds are named.
const NAMED: usize = 8;

/// A body without some of its tools.
#[derive(Debug)]
pub struct Rest {
    /// The body; everything else is as it came.
    pub body: Bytes,
    /// The kinds of tools that were left out, as the caller calls them.
    pub kinds: Vec<String>,
}

#[derive(Deserialize)]
struct Offers<'a> {
    #[serde(borrow)]
    tools: Vec<&'a RawValue>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'a str),
    Named {
        #[serde(rename = "type")]
        kind: &'a str,
        name: Option<&'a str>,
    },
}

#[derive(Deserialize)]
struct Name<'a> {
    #[serde(borrow)]
    name: Option<&'a str>,
}

/// Leaves out of a body what has no price with these; none where nothing else would be left, or where
/// the call asks for it.
pub fn without_unpriced(route: Route, body: &Bytes, prices: &Prices) -> Option<Rest> {
    let text = std::str::from_utf8(body).ok()?;
    let offers: Offers<'_> = serde_json::from_str(text).ok()?;
    let stays = |tool: &RawValue| Billed::of(route, tool).is_none_or(|billed| billed.has_price(prices));
    let last = offers.tools.iter().rposition(|tool| stays(tool))?;
    let goes: Vec<&RawValue> = offers.tools.iter().copied().filter(|tool| !stays(tool)).collect();
    if goes.is_empty() || insists(offers.tool_choice, &goes) {
        return None;
    }
    let start = |tool: &RawValue| tool.get().as_ptr() as usize - text.as_ptr() as usize;
    let end = |tool: &RawValue| start(tool) + tool.get().len();
    let (mut rest, mut from) = (BytesMut::with_capacity(body.len()), 0);
    // A tool goes with the comma behind it; those behind the last that stays, with the one before them.
    for pair in offers.tools.windows(2).filter(|pair| !stays(pair[0])) {
        if start(pair[0]) < end(offers.tools[last]) {
            rest.extend_from_slice(&body[from..start(pair[0])]);
            from = start(pair[1]);
        }
    }
    if let Some(tail) = offers.tools.last().filter(|tool| !stays(tool)) {
        rest.extend_from_slice(&body[from..end(offers.tools[last])]);
        from = end(tail);
    }
    rest.extend_from_slice(&body[from..]);
    let mut kinds: Vec<String> = Vec::new();
    for kind in goes.iter().filter_map(|tool| serde_json::from_str::<Kind<'_>>(tool.get()).ok()?.kind) {
        if kinds.len() < NAMED && !kinds.iter().any(|known| *known == kind) {
            kinds.push(kind.into_owned());
        }
    }
    Some(Rest { body: rest.freeze(), kinds })
}

/// Whether the choice of a tool is about one of these, or may be.
fn insists(choice: Option<&RawValue>, goes: &[&RawValue]) -> bool {
    let Some(choice) = choice.filter(|raw| raw.get() != "null") else { return false };
    match serde_json::from_str(choice.get()) {
        Ok(Choice::Word(word)) => !matches!(word, "auto" | "none"),
        Ok(Choice::Named { kind: "auto" | "none" | "function" | "custom", .. }) => false,
        // One by its name, as Anthropic has it.
        Ok(Choice::Named { kind: "tool", name: Some(name) }) => goes.iter().any(|tool| {
            serde_json::from_str::<Name<'_>>(tool.get()).map_or(true, |tool| tool.name == Some(name))
        }),
        // Any of them, some of them, or one of the provider's.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use domain::{money::Price, prices::PriceKey};

    use super::*;

    fn rest(route: Route, body: &str) -> Option<(String, String)> {
        let prices = Prices::default().with(PriceKey::FileSearch, Some(Price(0)));
        let rest = without_unpriced(route, &Bytes::from(body.to_owned()), &prices)?;
        Some((String::from_utf8(rest.body.to_vec()).unwrap(), rest.kinds.join(" ")))
    }

    #[test]
    fn what_is_offered_among_others_is_left_out_and_everything_else_stays() {
        const WEB: &str = r#"{"type":"web_search","name":"w"}"#;
        const OWN: &str = r#"{ "type" : "function","name":"f,]" }"#;
        for (tools, stays) in [
            (format!("[{WEB},{OWN}]"), format!("[{OWN}]")),
            (format!("[{OWN}, {WEB}]"), format!("[{OWN}]")),
            (format!("[ {OWN} , {WEB} ]"), format!("[ {OWN} ]")),
            (format!("[{WEB}, {WEB},{OWN},{WEB} , {WEB}]"), format!("[{OWN}]")),
            (format!("[{OWN},{WEB},{OWN},{WEB},{OWN}]"), format!("[{OWN},{OWN},{OWN}]")),
            (format!("[{WEB},{OWN} ,{OWN},{WEB}]"), format!("[{OWN} ,{OWN}]")),
            (format!(r#"[{WEB},{{"type":"file_search"}}]"#), r#"[{"type":"file_search"}]"#.to_owned()),
        ] {
            let body = |tools: &str| format!(r#" {{"model":"m","tools":{tools},"é":[1.50]}} "#);
            let expected = Some((body(&stays), "web_search".to_owned()));
            assert_eq!(rest(Route::Responses, &body(&tools)), expected, "{tools}");
        }
    }

    #[test]
    fn what_is_asked_for_is_not_left_out() {
        let (chat, messages, responses) = (Route::ChatCompletions, Route::Messages, Route::Responses);
        for (route, choice, goes) in [
            (responses, r#""auto""#, true),
            (responses, "null", true),
            (responses, r#""none""#, true),
            (responses, r#"{"type":"function","name":"f"}"#, true),
            (responses, r#""required""#, false),
            (responses, r#"{"type":"web_search"}"#, false),
            (responses, r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"web_search"}]}"#, false),
            (responses, "7", false),
            (chat, r#"{"type":"function","function":{"name":"f"}}"#, true),
            (messages, r#"{"type":"auto","disable_parallel_tool_use":true}"#, true),
            (messages, r#"{"type":"tool","name":"f"}"#, true),
            (messages, r#"{"type":"tool","name":"w"}"#, false),
            (messages, r#"{"type":"any"}"#, false),
            (messages, r#"{"type":"tool","name":"\u0077"}"#, false),
        ] {
            let tools = r#"[{"name":"f"},{"type":"web_search","name":"w"}]"#;
            let body = format!(r#"{{"tools":{tools},"tool_choice":{choice}}}"#);
            assert_eq!(rest(route, &body).is_some(), goes, "{body}");
        }
        for tools in ["[]", "null", r#"[{"type":"web_search"}]"#, r#"[{"type":"function"}]"#, "{}", "7"] {
            assert_eq!(rest(responses, &format!(r#"{{"tools":{tools}}}"#)), None, "{tools}");
        }
    }
}
