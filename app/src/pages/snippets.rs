//! How a program calls a model: text to copy, in the language of whoever reads it.

use leptos::prelude::*;

use crate::{
    api::my_models::Door,
    ui::{Card, once::Copyable, query},
};

/// In which languages: what the address says, and a label.
const LANGUAGES: [(&str, &str); 4] =
    [("python", "Python"), ("javascript", "JavaScript"), ("curl", "curl"), ("environment", "Environment")];

/// What a program has to say to call `model` at `base`, in a language. `base`: without a version.
fn snippet(language: &str, base: &str, model: &str, door: Door) -> String {
    const SECRET: &str = "bsr_live_…";
    let hello = "[{\"role\": \"user\", \"content\": \"Hello\"}]";
    match (language, door) {
        ("javascript", Door::Messages) => format!(
            "import Anthropic from \"@anthropic-ai/sdk\";\n\nconst client = new Anthropic({{\n  baseURL: \"{base}\",\n  apiKey: \"{SECRET}\",\n}});\nconst answer = await client.messages.create({{\n  model: \"{model}\",\n  max_tokens: 500,\n  messages: {hello},\n}});\nconsole.log(answer.content);"
        ),
        ("javascript", Door::Chat) => format!(
            "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{\n  baseURL: \"{base}/v1\",\n  apiKey: \"{SECRET}\",\n}});\nconst answer = await client.chat.completions.create({{\n  model: \"{model}\",\n  messages: {hello},\n}});\nconsole.log(answer.choices[0].message.content);"
        ),
        ("javascript", Door::Embeddings) => format!(
            "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{\n  baseURL: \"{base}/v1\",\n  apiKey: \"{SECRET}\",\n}});\nconst answer = await client.embeddings.create({{\n  model: \"{model}\",\n  input: \"Hello\",\n}});\nconsole.log(answer.data[0].embedding);"
        ),
        ("curl", door) => {
            let (route, body) = match door {
                Door::Messages => (
                    "messages",
                    format!("{{\"model\": \"{model}\", \"max_tokens\": 500, \"messages\": {hello}}}"),
                ),
                Door::Chat => {
                    ("chat/completions", format!("{{\"model\": \"{model}\", \"messages\": {hello}}}"))
                }
                Door::Embeddings => {
                    ("embeddings", format!("{{\"model\": \"{model}\", \"input\": \"Hello\"}}"))
                }
            };
            let version =
                if door == Door::Messages { " \\\n  -H \"anthropic-version: 2023-06-01\"" } else { "" };
            format!(
                "curl {base}/v1/{route} \\\n  -H \"Authorization: Bearer {SECRET}\"{version} \\\n  -H \"Content-Type: application/json\" \\\n  -d '{body}'"
            )
        }
        ("environment", Door::Messages) => {
            format!("ANTHROPIC_BASE_URL={base}\nANTHROPIC_AUTH_TOKEN={SECRET}\nANTHROPIC_MODEL={model}")
        }
        ("environment", _) => {
            format!("OPENAI_BASE_URL={base}/v1\nOPENAI_API_KEY={SECRET}\nOPENAI_MODEL={model}")
        }
        (_, Door::Messages) => format!(
            "from anthropic import Anthropic\n\nclient = Anthropic(base_url=\"{base}\", api_key=\"{SECRET}\")\nanswer = client.messages.create(\n    model=\"{model}\",\n    max_tokens=500,\n    messages={hello},\n)\nprint(answer.content[0].text)"
        ),
        (_, Door::Embeddings) => format!(
            "from openai import OpenAI\n\nclient = OpenAI(base_url=\"{base}/v1\", api_key=\"{SECRET}\")\nanswer = client.embeddings.create(model=\"{model}\", input=\"Hello\")\nprint(answer.data[0].embedding)"
        ),
        (_, Door::Chat) => format!(
            "from openai import OpenAI\n\nclient = OpenAI(base_url=\"{base}/v1\", api_key=\"{SECRET}\")\nanswer = client.chat.completions.create(\n    model=\"{model}\",\n    messages={hello},\n)\nprint(answer.choices[0].message.content)"
        ),
    }
}

/// A call of the model the address names, else of the first, in the language it names.
#[component]
pub fn Snippets(
    /// Where the gateway is.
    base: String,
    /// What can be called, and at which door.
    models: Vec<(String, Door)>,
) -> impl IntoView {
    let asked = query::value("call");
    let chosen = models.iter().find(|(name, _)| *name == asked).or(models.first()).cloned();
    let language = query::value("language");
    let language = LANGUAGES.iter().find(|(key, _)| *key == language).map_or(LANGUAGES[0].0, |(key, _)| key);
    chosen.map(|(model, door)| {
        let tabs = LANGUAGES
            .iter()
            .map(|(key, label)| {
                let href = query::href(&[("language", Some(key))]) + "#program";
                view! { <a href=href data-within="" aria-current=(*key == language).then_some("true")>{*label}</a> }
            })
            .collect_view();
        let code = snippet(language, &base, &model, door);
        view! {
            <div id="program">
                <Card title="From a program" note=model>
                    <div class="pad">
                        <div class="row filters"><div class="seg" role="group" aria-label="Language">{tabs}</div></div>
                        <Copyable text=code/>
                        <p class="hint">"Any client of this dialect works: only the base address and the secret are ours. “Call it” in the list above shows another model."</p>
                    </div>
                </Card>
            </div>
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_in_the_dialect_it_answers_in() {
        for (language, _) in LANGUAGES {
            for (door, route, other) in [
                (Door::Messages, ["messages", "ANTHROPIC"], "chat"),
                (Door::Chat, ["chat", "OPENAI"], "nthropic"),
                (Door::Embeddings, ["embeddings", "OPENAI"], "chat"),
            ] {
                let text = snippet(language, "https://ai.example", "some-model", door);
                assert!(route.iter().any(|word| text.contains(word)), "{language}: {text}");
                assert!(!text.contains(other), "{language}: {text}");
                assert!(text.contains("some-model") && text.contains("https://ai.example"), "{text}");
                // Anthropic's clients say the version themselves.
                let versioned = text.contains("https://ai.example/v1");
                assert_eq!(versioned, door != Door::Messages || language == "curl", "{text}");
            }
        }
    }
}
