//! `bursar explain`: the sentence first, the trace behind it, and the same for programs.

use std::process::Output;

use serde_json::Value;
use store::testing::empty_database;

use crate::{
    demo::Demo,
    harness::{TempDir, command},
};

struct World {
    database: String,
    data: TempDir,
}

impl World {
    fn explain(&self, arguments: &[&str]) -> Output {
        let mut command = command(&self.database, &self.data.path().join("demo"));
        command.arg("explain").args(arguments).output().expect("bursar runs")
    }

    fn text(&self, arguments: &[&str]) -> String {
        let output = self.explain(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.explain(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.text(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

#[tokio::test]
async fn an_explanation_says_first_whether_and_then_why() {
    let (database, data) = (empty_database().await, TempDir::new());
    Demo::start(&database, data.path(), &["--calls", "0", "--quiet"]).stop();
    let world = World { database, data };

    // What does not exist is said to be so.
    assert!(world.refused(&["sam@acme.example", "gpt-99"]).contains("there is no model gpt-99"));
    assert!(world.refused(&["eve@acme.example", "gpt-5"]).contains("nobody here is called eve"));
    assert!(world.refused(&["Sales/ghost", "gpt-5"]).contains("no application"));
    assert!(
        world
            .refused(&["sam@acme.example", "gpt-5", "--group", "Legal"])
            .contains("does not belong to the group Legal")
    );

    let text = world.text(&["sam@acme.example", "claude-sonnet-4-5"]);
    let first = text.lines().next().unwrap_or_default();
    assert_eq!(
        first,
        "Sam Ito in Engineering/Platform/Developer Tools may use claude-sonnet-4-5: \
         Engineering/Platform/Developer Tools says so about claude-sonnet-4-5."
    );
    assert!(text.contains("the organization: tier high-performance is by request\n"), "{text}");
    assert!(text.contains("claude-sonnet-4-5 is open  ← decides"), "{text}");
    assert!(text.contains("Limits"), "{text}");

    let text = world.text(&["Support/First Line/support-assist", "claude-sonnet-4-5"]);
    assert!(
        text.starts_with("support-assist in Support/First Line may not use claude-sonnet-4-5: it is closed"),
        "{text}"
    );
    assert!(text.contains("and locks it"), "{text}");
    assert!(text.contains("← decides\n      set by "), "who set it: {text}");
    assert!(text.contains("To a yes An admin or owner unlocks"), "what would help: {text}");
    let text = world.text(&["Marketing/Campaigns/campaign-writer", "gpt-5-mini"]);
    assert!(text.contains("the key is narrowed to other models"), "{text}");
    let text = world.text(&["Data/Analytics/sql-helper", "o3"]);
    assert!(text.contains("once somebody has agreed"), "{text}");
    let text = world.text(&["Data/Analytics/sql-helper", "magistral-medium-latest"]);
    assert!(text.contains("nobody has reviewed the model yet"), "{text}");
    let text = world.text(&["Data/Analytics/sql-helper", "gpt-4o"]);
    assert!(text.contains("no longer in the catalogue"), "{text}");

    // What callers may write in place of a model, too: each model of it, in its order.
    assert!(world.refused(&["sam@acme.example", "policy/nowhere"]).contains("there is no policy/nowhere"));
    let tools = ["--group", "Engineering/Platform/Developer Tools"];
    let text = world.text(&[&["sam@acme.example", "policy/code"][..], &tools].concat());
    let first = text.lines().next().unwrap_or_default();
    assert_eq!(
        first,
        "policy/code asks in this order: claude-sonnet-4-5, gpt-5, claude-haiku-4-5. \
         Nothing is translated. A call of Sam Ito in Engineering/Platform/Developer Tools \
         to /v1/messages goes to claude-sonnet-4-5 first; \
         to /v1/chat/completions and /v1/responses goes to gpt-5 first."
    );
    assert!(text.contains("answers, at /v1/messages"), "how each is asked: {text}");
    let places = ["claude-sonnet-4-5", "gpt-5", "claude-haiku-4-5"].map(|model| {
        text.find(&format!("  Model   {model} at ")).unwrap_or_else(|| panic!("{model} is explained: {text}"))
    });
    assert!(places.is_sorted(), "in the order of the policy: {text}");
    // What stands for a call of theirs that names no model.
    let unnamed = world.text(&[&["sam@acme.example", "policy/default"][..], &tools].concat());
    assert!(unnamed.starts_with("policy/code asks in this order:"), "{unnamed}");
    let text = world.text(&["Marketing/Campaigns/campaign-writer", "policy/spread"]);
    assert!(text.starts_with("policy/spread balances by weight: gpt-4.1-mini 3, gpt-5-mini 1. "), "{text}");
    let json = world.json(&[&["sam@acme.example", "policy/code"][..], &tools].concat());
    assert_eq!(
        (&json["policies"][0]["policy"], &json["policies"][0]["routing"]),
        (&"code".into(), &"fallback".into())
    );
    assert_eq!(json["policies"][0]["answers"].as_array().map(Vec::len), Some(3), "{json}");

    let json = world.json(&[
        "sam@acme.example",
        "claude-sonnet-4-5",
        "--group",
        "Engineering/Platform/Developer Tools",
    ]);
    let [answer] = json["answers"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        panic!("{json}")
    };
    assert_eq!(answer["verdict"], "allow");
    let decides: Vec<&Value> =
        answer["trace"].as_array().expect("it works").iter().filter(|step| step["decides"] == true).collect();
    assert_eq!(decides.len(), 1, "{answer}");
    assert_eq!(decides[0]["state"], "open");
    assert!(
        answer["limits"].as_array().expect("it works").iter().any(|limit| limit["scope"] == "authorization"),
        "{answer}"
    );
}
