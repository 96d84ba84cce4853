//! Credentials by their form. The forms are written here in the spirit of the public rules of
//! gitleaks (MIT, github.com/gitleaks/gitleaks, `config/gitleaks.toml`), narrowed to those that name
//! their issuer: what is only long and random is not taken for a secret.

use std::sync::LazyLock;

use domain::guardrails::Guard;
use regex::Regex;

use super::Hit;

/// Each stands by itself: nothing that a word is made of is before or behind it.
const FORMS: &[(&str, &str)] = &[
    ("AWS access key", r"(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    ("GitHub token", r"gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{82}"),
    ("GitLab token", r"glpat-[0-9A-Za-z_-]{20}"),
    ("Anthropic key", r"sk-ant-(?:api|admin)[0-9]{2}-[0-9A-Za-z_-]{93}AA"),
    (
        "OpenAI key",
        r"sk-(?:(?:proj|svcacct|admin)-[0-9A-Za-z_-]{20,120}|[0-9A-Za-z]{20})T3BlbkFJ[0-9A-Za-z_-]{20,120}",
    ),
    ("OpenRouter key", r"sk-or-v1-[0-9a-f]{64}"),
    ("Groq key", r"gsk_[0-9A-Za-z]{52}"),
    ("xAI key", r"xai-[0-9A-Za-z]{80}"),
    ("Perplexity key", r"pplx-[0-9A-Za-z]{48}"),
    ("Google key", r"AIza[0-9A-Za-z_-]{35}"),
    ("Hugging Face token", r"hf_[A-Za-z]{34}"),
    ("Slack token", r"xox[baprse]-[0-9]{10,13}-[0-9A-Za-z-]{16,200}"),
    ("Stripe key", r"[sr]k_(?:live|test|prod)_[0-9A-Za-z]{10,99}"),
    ("SendGrid key", r"SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    ("npm token", r"npm_[0-9A-Za-z]{36}"),
    ("PyPI token", r"pypi-AgEIcHlwaS5vcmc[0-9A-Za-z_-]{50,250}"),
    ("DigitalOcean token", r"do[oprt]_v1_[0-9a-f]{64}"),
    ("Databricks token", r"dapi[0-9a-f]{32}(?:-[0-9])?"),
    ("Shopify token", r"shp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}"),
];

/// Begins a private key. The text of the key has to be there, too: people also talk about keys.
const PRIVATE_KEY: &str = r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----[\sA-Za-z0-9+/=:,.\\-]{40,}";

/// Our own, before their checksum is looked at.
const OURS: &str = r"bsr_live_[0-9A-Za-z]{36}";

/// All of them in one: one group each, the last two for the ones above.
static ALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let own_words = FORMS.iter().map(|(_, form)| *form).chain([OURS]);
    let mut forms: Vec<String> = own_words.map(|form| format!(r"(?-u:\b)({form})(?-u:\b)")).collect();
    forms.push(format!("({PRIVATE_KEY})"));
    Regex::new(&forms.join("|"))
        .inspect_err(|error| tracing::error!(%error, "secrets cannot be looked for"))
        .ok()
});

pub(super) fn find(text: &str, is_ours: &impl Fn(&str) -> bool, hits: &mut Vec<Hit>) {
    let Some(all) = ALL.as_ref().filter(|all| all.is_match(text)) else { return };
    for groups in all.captures_iter(text) {
        let Some((place, found)) = (1..groups.len()).find_map(|place| Some((place - 1, groups.get(place)?)))
        else {
            continue;
        };
        let name = match FORMS.get(place) {
            Some((name, _)) => name,
            None if place == FORMS.len() => {
                if !is_ours(found.as_str()) {
                    continue;
                }
                "Bursar secret"
            }
            None => "private key",
        };
        hits.push(Hit { start: found.start(), end: found.end(), guard: Guard::Secret, name });
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_forms_are_forms() {
        assert!(super::ALL.is_some());
    }
}
