//! What a key looks for in the input of its calls: found once, before anything else is asked. And in
//! answers, where it wants that: before the client gets them, also while they stream (`streamed.rs`).
//!
//! Every text of the body is looked at as it is meant, whatever escapes spell it, except for what is
//! plainly data: images and sounds in base 64. What is masked is replaced in its text; everything
//! else stays byte for byte as it came.

mod again;
mod personal;
mod secrets;
pub mod streamed;

use std::borrow::Cow;

use bytes::Bytes;
use domain::guardrails::{Action, Found, Guard, Guardrails};
use serde::Deserialize;

use crate::{
    Gateway,
    authenticate::Caller,
    wire::{
        Route,
        refusal::{Kind, Refusal},
        request::Request,
    },
};

/// A body larger than this is looked at beside the threads that serve calls.
const LARGE: usize = 256 << 10;
/// A text without spaces and longer than this, written in the letters of base 64, is data.
const DATA: usize = 512;

/// A place in a text where something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hit {
    start: usize,
    end: usize,
    guard: Guard,
    /// What it is, more precisely.
    name: &'static str,
}

/// What was found in a body.
#[derive(Debug, Default)]
struct Looked {
    counts: Vec<(Guard, u32)>,
    names: Vec<&'static str>,
    /// The body without what is to be masked, if there was any.
    masked: Option<Bytes>,
}

/// Looks into the input of a call as its key wants it: the call goes on with what was found written
/// down and what is to be masked gone, or it is refused.
pub async fn look(
    gateway: &Gateway,
    caller: &Caller,
    route: Route,
    request: Request,
) -> Result<Request, Refusal> {
    let Some(application) = caller.application() else { return Ok(request) };
    let rails = application.handling.guardrails;
    if rails.is_empty() {
        return Ok(request);
    }
    let body = request.body().clone();
    let store = gateway.store.clone();
    let scan = move || scan(rails, &body, |text| store::keys::lookup_hash(&store, text).is_some());
    let looked = if request.body().len() > LARGE {
        tokio::task::spawn_blocking(scan).await.map_err(|error| {
            tracing::error!(%error, call = %caller.id, "a body could not be looked at");
            Refusal::new(Kind::Unavailable, caller.id, "Bursar could not look into this call's input.")
        })?
    } else {
        scan()
    };
    let (found, refused) = looked.found(rails);
    if !refused.is_empty() {
        return Err(refusal(caller, &refused, looked.names, Where::Input));
    }
    let mut request = match looked.masked {
        None => request,
        Some(body) => {
            let labels = (request.use_case, request.session);
            // It was read before, and what was replaced are texts.
            let mut masked = Request::read(route, body)
                .map_err(|bad| Refusal::new(Kind::BadRequest, caller.id, bad.message).about(bad.param))?;
            (masked.use_case, masked.session) = labels;
            masked
        }
    };
    request.guarded = found;
    Ok(request)
}

/// An answer that was looked into.
#[derive(Debug)]
pub struct Answer {
    /// As the client gets it, or what it gets instead.
    pub body: Result<Bytes, Box<Refusal>>,
    /// What was found in it.
    pub found: Vec<Found>,
}

/// What a caller's key looks for in answers, if it does.
fn rails_back(caller: &Caller) -> Option<Guardrails> {
    let rails = caller.application()?.handling.guardrails;
    (rails.answers && !rails.is_empty()).then_some(rails)
}

/// Whether a caller's key looks into answers.
pub fn looks_back(caller: &Caller) -> bool {
    rails_back(caller).is_some()
}

/// Looks into a whole answer, as its key wants it; none: it is not looked into.
pub async fn look_back(gateway: &Gateway, caller: &Caller, body: &Bytes) -> Option<Answer> {
    let rails = rails_back(caller)?;
    let body = &again::without(rails, body.clone());
    let (store, whole) = (gateway.store.clone(), body.clone());
    let scan = move || scan(rails, &whole, |text| store::keys::lookup_hash(&store, text).is_some());
    let looked = if body.len() > LARGE {
        match tokio::task::spawn_blocking(scan).await {
            Ok(looked) => looked,
            Err(error) => {
                tracing::error!(%error, call = %caller.id, "an answer could not be looked at");
                let message = "Bursar could not look into this call's answer.";
                let refusal = Refusal::new(Kind::Unavailable, caller.id, message);
                return Some(Answer { body: Err(Box::new(refusal)), found: Vec::new() });
            }
        }
    } else {
        scan()
    };
    let (found, refused) = looked.found(rails);
    let body = match refused.is_empty() {
        true => Ok(looked.masked.unwrap_or_else(|| body.clone())),
        false => Err(Box::new(refusal(caller, &refused, looked.names, Where::Answer))),
    };
    Some(Answer { body, found })
}

impl Looked {
    /// Counts something that was found.
    fn add(&mut self, hit: &Hit) {
        match self.counts.iter_mut().find(|(guard, _)| *guard == hit.guard) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => self.counts.push((hit.guard, 1)),
        }
        if !self.names.contains(&hit.name) {
            self.names.push(hit.name);
        }
    }

    /// What was found, with what becomes of it; and what of it refuses the call.
    fn found(&self, rails: Guardrails) -> (Vec<Found>, Vec<Guard>) {
        let found: Vec<Found> = self
            .counts
            .iter()
            .filter_map(|&(guard, count)| Some(Found { guard, action: rails.get(guard)?, count }))
            .collect();
        let refused = found.iter().filter(|found| found.action == Action::Refuse);
        let refused = refused.map(|found| found.guard).collect();
        (found, refused)
    }
}

/// Where something was found that refuses the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Input,
    Answer,
}

fn refusal(caller: &Caller, refused: &[Guard], names: Vec<&'static str>, place: Where) -> Refusal {
    let application = caller.application().map_or("this application", |application| &application.name);
    let what: Vec<&str> = refused.iter().map(|guard| guard.one()).collect();
    let precisely =
        if refused.contains(&Guard::Secret) { format!(" ({})", names.join(", ")) } else { String::new() };
    let what = what.join(" and ");
    let message = match place {
        Where::Input => format!(
            "There is {what} in the input of this call{precisely}, and the key of {application} lets no such call through. Take it out and call again."
        ),
        Where::Answer => format!(
            "There is {what} in the answer to this call{precisely}, and the key of {application} lets no such answer through. The provider has answered, so the call counts."
        ),
    };
    let mut refusal = Refusal::new(Kind::GuardrailRefused, caller.id, message);
    refusal.detail.found = refused.iter().map(|guard| guard.as_str()).collect();
    let group = caller.application().map(|application| application.group);
    refusal.detail.contact = caller.snapshot.facts.contact_for(group);
    refusal
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Looks at every text of a body, which is known to be JSON. `is_ours`: whether a text is one of our
/// own secrets.
fn scan(rails: Guardrails, body: &Bytes, is_ours: impl Fn(&str) -> bool) -> Looked {
    let mut looked = Looked::default();
    let mut masked = Vec::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some((start, end)) = next_text(body, from) {
        from = end;
        if is_key(&body[end..]) {
            continue;
        }
        let raw = &body[start..end];
        let Ok(Text(text)) = serde_json::from_slice(raw) else { continue };
        if is_data(&text) {
            continue;
        }
        let hits = hits(rails, &text, &is_ours);
        if hits.is_empty() {
            continue;
        }
        for hit in &hits {
            looked.add(hit);
        }
        let hidden: Vec<&Hit> =
            hits.iter().filter(|hit| rails.get(hit.guard) == Some(Action::Mask)).collect();
        if !hidden.is_empty() {
            masked.extend_from_slice(&body[copied..start]);
            masked
                .extend_from_slice(serde_json::Value::String(without(&text, &hidden)).to_string().as_bytes());
            copied = end;
        }
    }
    if copied > 0 {
        masked.extend_from_slice(&body[copied..]);
        looked.masked = Some(masked.into());
    }
    looked.counts.sort_unstable();
    looked
}

/// Where the next text begins and ends, quotes included.
fn next_text(body: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + memchr::memchr(b'"', &body[from..])?;
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', body.get(at..)?)?;
        if body[at] == b'"' {
            return Some((start, at + 1));
        }
        at += 2;
    }
}

/// Whether what came before is the name of a field.
fn is_key(behind: &[u8]) -> bool {
    behind.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// Images and sounds.
fn is_data(text: &str) -> bool {
    let in_base_64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-\r\n".contains(byte);
    let bytes = text.as_bytes();
    let mark = b";base64,";
    let begins =
        text.starts_with("data:").then(|| memchr::memmem::find(&bytes[..bytes.len().min(100)], mark));
    match begins.flatten() {
        // To its end: words behind such a beginning are words.
        Some(at) => bytes[at + mark.len()..].iter().all(in_base_64),
        None => bytes.len() > DATA && bytes.iter().all(in_base_64),
    }
}

/// Everything that is looked for, in the order of the text; of two that overlap the first.
fn hits(rails: Guardrails, text: &str, is_ours: &impl Fn(&str) -> bool) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (guard, _) in rails.iter() {
        match guard {
            Guard::Secret => secrets::find(text, is_ours, &mut hits),
            Guard::Email => personal::emails(text, &mut hits),
            Guard::Phone => personal::phones(text, &mut hits),
            Guard::Iban => personal::ibans(text, &mut hits),
            Guard::Card => personal::cards(text, &mut hits),
            Guard::NationalId => personal::national_ids(text, &mut hits),
        }
    }
    hits.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    let mut end = 0;
    hits.retain(|hit| {
        let free = hit.start >= end;
        if free {
            end = hit.end;
        }
        free
    });
    hits
}

/// A text without what has the form of a credential: for what a caller wrote where none belongs, a model's
/// name say, before it is kept.
pub fn without_secrets(text: &str) -> String {
    let rails = Guardrails::default().with(Guard::Secret, Some(Action::Mask));
    let hits = hits(rails, text, &|_| true);
    without(text, &hits.iter().collect::<Vec<_>>())
}

fn without(text: &str, hits: &[&Hit]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut from = 0;
    for hit in hits {
        masked.push_str(&text[from..hit.start]);
        masked.push_str(placeholder(hit.guard));
        from = hit.end;
    }
    masked.push_str(&text[from..]);
    masked
}

/// What stands in place of what was masked.
const fn placeholder(guard: Guard) -> &'static str {
    match guard {
        Guard::Secret => "[secret removed]",
        Guard::Email => "[e-mail address removed]",
        Guard::Phone => "[telephone number removed]",
        Guard::Iban => "[bank account removed]",
        Guard::Card => "[card number removed]",
        Guard::NationalId => "[id number removed]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(action: Action) -> Guardrails {
        Guard::ALL.iter().fold(Guardrails::default(), |rails, guard| rails.with(*guard, Some(action)))
    }

    fn names(text: &str) -> Vec<&'static str> {
        hits(all(Action::Observe), text, &|text| text.starts_with("bsr_live_"))
            .iter()
            .map(|hit| hit.name)
            .collect()
    }

    fn found(text: &str) -> Vec<Guard> {
        hits(all(Action::Observe), text, &|_| false).iter().map(|hit| hit.guard).collect()
    }

    #[test]
    fn secrets_are_known_by_their_form() {
        // Put together here, so that no scanner takes this file for a leak.
        let long = |prefix: &str, letter: &str, count: usize| format!("{prefix}{}", letter.repeat(count));
        for (text, name) in [
            (
                format!("AKIA{}", "IOSFODNN7EXAMPLE".replace('7', "5").replace("EXAMPLE", "QWERTYU")),
                "AWS access key",
            ),
            (long("ghp_", "a1", 18), "GitHub token"),
            (long("github_pat_", "a", 82), "GitHub token"),
            (long("glpat-", "x", 20), "GitLab token"),
            (long("sk-ant-api03-", "a", 93) + "AA", "Anthropic key"),
            (format!("sk-proj-{}T3BlbkFJ{}", "a".repeat(74), "b".repeat(74)), "OpenAI key"),
            (long("AIza", "B", 35), "Google key"),
            (format!("xoxb-{}-{}-{}", "1".repeat(12), "2".repeat(12), "a".repeat(24)), "Slack token"),
            (long("sk_live_", "a", 24), "Stripe key"),
            (long("hf_", "a", 34), "Hugging Face token"),
            (format!("-----BEGIN RSA PRIVATE KEY-----\n{}", "MIIEpAIBAAKCAQEA".repeat(4)), "private key"),
            (long("bsr_live_", "a", 36), "Bursar secret"),
        ] {
            assert_eq!(names(&format!("my key:\n{text}, please")), [name], "{text}");
            assert_eq!(names(&format!("({text})")), [name], "{text}");
        }
    }

    #[test]
    fn personal_data_is_known_by_form_and_checksum() {
        for (text, guard) in [
            ("write to ada.lovelace+x@math.example.org.", Guard::Email),
            ("call +49 30 1234567 today", Guard::Phone),
            ("call +1 (415) 555-0132", Guard::Phone),
            ("IBAN DE89 3704 0044 0532 0130 00 AND more", Guard::Iban),
            ("GB82WEST12345698765432", Guard::Iban),
            ("4111 1111 1111 1111", Guard::Card),
            ("378282246310005", Guard::Card),
            ("CPF 529.982.247-25", Guard::NationalId),
            ("codice RSSMRA85T10A562S", Guard::NationalId),
            ("11010519491231002X", Guard::NationalId),
            ("811228-9874", Guard::NationalId),
        ] {
            assert_eq!(found(text), [guard], "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_it_passes() {
        for text in [
            "550e8400-e29b-41d4-a716-446655440000",
            "01890a5d-ac96-774b-bcce-b302099a8057 12345678-1234-1234-1234-123456789012",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "git@github.com:acme/bursar.git, logo@2x.png, @scope/package@1.2.3",
            "2026-11-28T14:00:00+0100, +00:00, x+1234567890",
            "1699999999, 1699999999123, 1699999999123456789",
            "0.41111111111111111, 4111 1111 1111 1112, 1234 5678 9012 3456",
            "DE89 3704 0044 0532 0130 01, RSSMRA85T10A562T, 529.982.247-26",
            "sk-short, AKIA, ghp_tooshort, -----BEGIN PUBLIC KEY-----, a PRIVATE KEY is meant",
            "+1699999999 lines changed, 10.0.0.1:8080, v1.2.3+20261128",
            "call_9pw1qnYScqvGrCH58HWCvFH6, toolu_01A09q90qw90lq917835lq9, req_01ja3m0000000000000000000",
        ] {
            assert_eq!(names(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn texts_are_looked_at_as_they_are_meant_and_only_they_are_replaced() {
        let body = Bytes::from_static(
            br#" {"model":"m","messages" : [{"content":"a\nada\u0040math.example.org \"x\" 1.50"}], "z":1.50,"ada@math.example.org":"k"}"#,
        );
        let looked = scan(all(Action::Mask), &body, |_| false);
        assert_eq!(looked.counts, [(Guard::Email, 1)]);
        let masked = looked.masked.expect("it was masked");
        assert_eq!(
            String::from_utf8_lossy(&masked),
            r#" {"model":"m","messages" : [{"content":"a\n[e-mail address removed] \"x\" 1.50"}], "z":1.50,"ada@math.example.org":"k"}"#
        );
        assert!(scan(all(Action::Observe), &body, |_| false).masked.is_none());
    }

    #[test]
    fn images_pass_whatever_their_letters_happen_to_spell() {
        let image = "AKIAQWERTYUIOPASDFGH/+".repeat(2_000);
        for body in [
            format!(r#"{{"image_url":"data:image/png;base64,{image}"}}"#),
            format!(r#"{{"source":{{"type":"base64","data":"{image}"}}}}"#),
        ] {
            let looked = scan(all(Action::Refuse), &Bytes::from(body), |_| false);
            assert!(looked.counts.is_empty(), "{:?}", looked.counts);
        }
        // Words that begin like an image are words.
        let words = r#"{"messages":[{"content":"data:x;base64, I am ada@math.example.org"}]}"#;
        let looked = scan(all(Action::Mask), &Bytes::from(words), |_| false);
        assert!(looked.masked.is_some_and(|masked| !String::from_utf8_lossy(&masked).contains("ada@")));
    }
}
