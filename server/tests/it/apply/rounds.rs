//! Applying, exporting, applying again; what a file owns and what it leaves alone.

use domain::{
    access_tests::{Expected, Subject},
    audit::Door,
    authorizations::Target,
    roles::{Act, Actor},
    users::Role,
};

use super::{ACME, Place, errors, json, lines};

/// A file as a value whose lists are in one order.
fn ordered(text: &str) -> toml::Table {
    let mut table: toml::Table = text.parse().expect("TOML");
    table.iter_mut().for_each(|(_, value)| order(value));
    table
}

fn order(value: &mut toml::Value) {
    match value {
        toml::Value::Array(list) => {
            list.iter_mut().for_each(order);
            list.sort_by_key(ToString::to_string);
        }
        toml::Value::Table(table) => table.iter_mut().for_each(|(_, value)| order(value)),
        _ => {}
    }
}

#[tokio::test]
async fn acme_applied_and_exported_is_the_same_file_and_applying_either_again_changes_nothing() {
    let place = Place::new().await;
    let made = place.apply(ACME);
    assert_eq!(made["secrets"].as_array().expect("secrets").len(), 2);
    let again = place.apply(ACME);
    assert_eq!(lines(&again), Vec::<String>::new());
    assert_eq!(again["secrets"], serde_json::json!([]));
    let exported = place.export();
    assert_eq!(ordered(&exported), ordered(ACME), "every field means something and comes back");
    assert_eq!(lines(&place.apply(&exported)), Vec::<String>::new());
    assert_eq!(place.export(), exported, "always in the same order");
    for secret in made["secrets"].as_array().expect("secrets") {
        assert!(!exported.contains(secret["secret"].as_str().expect("a text")));
    }
    // The same file elsewhere makes the same installation.
    let elsewhere = Place::new().await;
    elsewhere.apply(&exported);
    assert_eq!(elsewhere.export(), exported);
}

#[tokio::test]
async fn a_plan_says_what_will_happen_and_changes_nothing() {
    let place = Place::new().await;
    let planned = place.plan(ACME);
    assert_eq!(planned["secrets"], serde_json::json!([]));
    assert_eq!(planned["invitations"], serde_json::json!([]));
    assert!(!place.data.path().join("master.key").exists(), "not even a key was made");
    let made = place.apply(ACME);
    assert_eq!(made["plan"], planned["plan"], "what was planned is what happened");

    let before = place.export();
    let file = ACME
        .replace(
            "input = \"0.10\", output = \"0.40\", cache_read = \"0.05\"",
            "input = \"0.20\", output = \"0.40\"",
        )
        .replace("role = \"admin\"", "role = \"auditor\"")
        .replace("\"streaming\", \"tools\", \"embeddings\"", "\"streaming\"")
        .replace("cap = \"500.00\"", "cap = \"600.00\"")
        .replace(", lead = true", "")
        .replace("weight = 3", "weight = 2");
    let expected = [
        "~ model small-chat price.input: 0.10 → 0.20, price.cache_read: 0.05 → none",
        "~ limit spend a month of group Engineering cap: 500.00 → 600.00",
        "~ user ada@acme.example role: admin → auditor",
        "~ membership ada@acme.example in Engineering lead: true → false",
        "~ policy spread models: small-chat × 3, claude-like × 1 → small-chat × 2, claude-like × 1",
        "~ application research-bot in Engineering/Research key.features: streaming, tools, embeddings → streaming",
    ];
    assert_eq!(lines(&place.plan(&file)), expected);
    assert_eq!(place.export(), before);
    assert_eq!(lines(&place.apply(&file)), expected);
    assert_eq!(lines(&place.apply(&file)), Vec::<String>::new());
    assert_eq!(ordered(&place.export()), ordered(&file));
    // And back again.
    place.apply(ACME);
    assert_eq!(place.export(), before);
}

#[tokio::test]
async fn what_a_named_thing_no_longer_says_is_taken_away() {
    let place = Place::new().await;
    place.apply(ACME);
    let without = |file: &str, part: &str| {
        assert!(file.contains(part), "{part}");
        file.replacen(part, "", 1)
    };
    let mut file = without(
        ACME,
        "limits = [{ metric = \"spend\", window = \"month\", cap = \"500.00\", thresholds = [50, 80, 100] }]\n",
    );
    file = without(
        &file,
        "[[authorizations]]                    # no group: the organization's baseline\ntier = \"general\"\nstate = \"open\"\n",
    );
    file = without(
        &file,
        "[[authorizations]]\ngroup = \"Engineering/Research\"\nmodel = \"big-chat\"\nstate = \"open\"\nlimits = [{ metric = \"spend\", window = \"day\", cap = \"10.00\" }, { metric = \"requests\", window = \"minute\", cap = 60 }]\n",
    );
    file = without(&file, ", { path = \"Marketing\" }");
    file = without(&file, "monthly_limit = \"20.00\"\n");
    file = without(&file, "default_groups = [\"Everyone\"]         # new users join these\n");
    let expected = [
        "~ organization Acme default_groups: Everyone → none",
        "- limit spend a month of group Engineering",
        "- limit spend a month of user lin@acme.example",
        "- membership lin@acme.example in Marketing",
        "- authorization tier general for the organization",
        "- authorization model big-chat for Engineering/Research",
        "- limit spend a day of authorization model big-chat for Engineering/Research",
        "- limit requests a minute of authorization model big-chat for Engineering/Research",
    ];
    assert_eq!(lines(&place.plan(&file)), expected);
    assert_eq!(lines(&place.apply(&file)), expected);
    assert_eq!(ordered(&place.export()), ordered(&file));
    assert_eq!(lines(&place.apply(&file)), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_file_does_not_name_is_left_alone() {
    let place = Place::new().await;
    place.apply(ACME);
    let before = place.export();
    // Only says which organization is meant, and adds one application to a group it does not name.
    let part = "[organization]\nname = \"Acme\"\n\n[[applications]]\nname = \"helper-bot\"\ngroup = \"Marketing\"\nkey = { models = [] }\n";
    assert_eq!(lines(&place.apply(part)), ["+ application helper-bot in Marketing"]);
    let after = place.export();
    assert_eq!(after.replace("[[applications]]\nname = \"helper-bot\"\ngroup = \"Marketing\"\nkey = { models = [], features = [] }\n", "").trim(), before.trim());
    // A file without it does not close it.
    assert_eq!(lines(&place.apply(ACME)), Vec::<String>::new());
    assert_eq!(place.export(), after);
    // A rule for a group that is not named is that one rule.
    let rule = "[organization]\nname = \"acme\"\n[[authorizations]]\ngroup = \"Marketing\"\nmodels = \"all\"\nstate = \"by_request\"\n";
    assert_eq!(
        lines(&place.apply(rule)),
        ["~ organization acme name: Acme → acme", "+ authorization all models for Marketing"]
    );
    assert!(place.export().contains("tier = \"specialized\"\nstate = \"closed\"\nlocked = true"));
}

#[tokio::test]
async fn every_other_field_a_file_can_say_comes_back_too() {
    let place = Place::new().await;
    let file = r#"
[organization]
name = "Ünïcode & \"Söhne\""
time_zone = "America/St_Johns"
week_start = "sunday"
budget_status = "429"
contact = "the bursar"
member_applications = false
member_requests = false
limits = [{ metric = "spend", window = "year", cap = "1000000.123456789" }, { metric = "concurrent_calls", cap = 20, mode = "observe" }]

[[providers]]
name = "cloud"
dialect = "openai"
base_url = "https://api.example.com/v1"

[[tiers]]
name = "only"

[[models]]
name = "waiting"
provider = "cloud"
upstream = "org/model:free"
modality = "chat"
tier = "only"
review = "pending"
price = { input = "0.00", output = "0.000000001", cache_write_long = "1.00", call = "3.00" }

[[models]]
name = "unpriced"
provider = "cloud"
upstream = "x"
modality = "rerank"
tier = "only"

[[groups]]
path = "研究"
kind = "custom"

[[users]]
email = "owner@acme.example"
name = "Olga"
role = "owner"

[[users]]
email = "sam@acme.example"
name = "Sam"
role = "member"
suspended = true
limits = [{ metric = "spend", window = "month", cap = "5.00", thresholds = [90] }, { metric = "requests", window = "day", cap = 0 }]
groups = [{ path = "研究", ends_at = "2099-01-31T18:30:00Z", limits = [{ metric = "tokens", window = "total", cap = 7 }] }]

[[authorizations]]
models = "all"
state = "open"
ends_at = "2099-01-31T18:30:00.250Z"

[[authorizations]]
models = "all"
state = "closed"
locked = true
mode = "observe"

[[policies]]
name = "route"
fallback = ["waiting"]

[[applications]]
name = "app"
group = "研究"
description = "line one\nline \"two\" \\ \t\u007f end"
key = { models = [], features = [], policy = "route", cache_seconds = 600, guardrails = { secret = "refuse", email = "mask", answers = true } }
"#;
    assert_eq!(lines(&place.plan(file)).len(), lines(&place.apply(file)).len());
    assert_eq!(lines(&place.apply(file)), Vec::<String>::new());
    let exported = place.export();
    assert_eq!(ordered(&exported), ordered(file), "{exported}");
    assert_eq!(lines(&place.apply(&exported)), Vec::<String>::new());
    // Everything taken back that can be.
    let plain = "[organization]\nname = \"Ünïcode & \\\"Söhne\\\"\"\ntime_zone = \"UTC\"\n[[users]]\nemail = \"sam@acme.example\"\nname = \"Sam\"\n";
    let taken = lines(&place.apply(plain));
    assert!(taken.contains(&"- authorization all models for the organization".to_owned()), "{taken:?}");
    let observed = "- authorization all models for the organization, only observed".to_owned();
    assert!(taken.contains(&observed), "{taken:?}");
    assert!(taken.contains(&"- limit tokens in total of sam@acme.example in 研究".to_owned()), "{taken:?}");
    assert!(taken.contains(&"~ user sam@acme.example suspended: true → false".to_owned()), "{taken:?}");
    assert_eq!(lines(&place.apply(plain)), Vec::<String>::new());
}

#[tokio::test]
async fn a_credential_comes_from_the_environment_and_is_never_shown() {
    let mut place = Place::new().await;
    let file = ACME.replace(", optional = true", "");
    let refused = place.run(&["apply", "-"], &file);
    assert!(errors(&refused).contains("“LOCAL_API_KEY” is not set"), "{}", errors(&refused));
    place.variables = vec![("LOCAL_API_KEY", "sk-first-1".to_owned())];
    let made = place.apply(&file).to_string();
    assert!(made.contains("LOCAL_API_KEY") && !made.contains("sk-first-1"), "{made}");
    assert_eq!(lines(&place.apply(&file)), Vec::<String>::new());
    place.variables = vec![("LOCAL_API_KEY", "sk-second-2".to_owned())];
    let replaced = [
        "~ provider local credential: set → replaced",
        "~ provider local-anthropic credential: set → replaced",
    ];
    assert_eq!(lines(&place.plan(&file)), replaced);
    assert_eq!(lines(&place.apply(&file)), replaced);
    assert!(!place.export().contains("sk-"));
    // Optional again and not set: what came from it stays.
    place.variables.clear();
    assert_eq!(
        lines(&place.apply(ACME)),
        [
            "~ provider local credential.optional: false → true",
            "~ provider local-anthropic credential.optional: false → true"
        ]
    );
    // A provider that does not say keeps it; "none" takes it away.
    let silent = ACME.replace("credential = { env = \"LOCAL_API_KEY\", optional = true }\n", "");
    assert_eq!(lines(&place.apply(&silent)), Vec::<String>::new());
    let none =
        ACME.replace("credential = { env = \"LOCAL_API_KEY\", optional = true }", "credential = \"none\"");
    let taken = lines(&place.apply(&none));
    assert!(taken[0].ends_with("credential: set → none"), "{taken:?}");
    assert_eq!(lines(&place.apply(&none)), Vec::<String>::new());
}

#[tokio::test]
async fn of_files_applied_at_once_one_makes_everything_and_the_others_find_it_made() {
    let place = Place::new().await;
    // The master key is there before, as it is where several run.
    place.run(&["apply", "-"], "[organization]\nname = \"First\"\n");
    let all: Vec<serde_json::Value> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            (0..4).map(|_| scope.spawn(|| json(&place.run(&["apply", "-", "--json"], ACME)))).collect();
        runs.into_iter().map(|run| run.join().expect("it ends")).collect()
    });
    let made: Vec<_> = all.iter().filter(|done| !lines(done).is_empty()).collect();
    assert_eq!(made.len(), 1, "{all:?}");
    assert_eq!(made[0]["secrets"].as_array().expect("secrets").len(), 2);
    let exported = place.run(&["export", "--organization", "Acme"], "");
    assert_eq!(ordered(&String::from_utf8_lossy(&exported.stdout)), ordered(ACME));
    let which = place.run(&["export"], "");
    assert!(errors(&which).contains("several organizations"), "{}", errors(&which));
}

#[tokio::test]
async fn an_organization_gets_a_new_name_only_when_told_which_one_it_has() {
    let place = Place::new().await;
    place.apply(ACME);
    let file = ACME.replace("name = \"Acme\"", "name = \"Acme Holding\"");
    let renamed = json(&place.run(&["apply", "-", "--json", "--organization", "Acme"], &file));
    assert_eq!(lines(&renamed), ["~ organization Acme Holding name: Acme → Acme Holding"]);
    assert_eq!(ordered(&place.export()), ordered(&file));
    let unknown = place.run(&["apply", "-", "--organization", "Acme"], &file);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(errors(&unknown).contains("no organization Acme"), "{}", errors(&unknown));
}

#[tokio::test]
async fn people_read_the_plan_too() {
    let place = Place::new().await;
    let output = place.run(&["apply", "-"], ACME);
    let text = String::from_utf8(output.stdout).expect("text");
    for part in [
        "+ organization Acme\n",
        "+ model small-chat\n",
        "    price.input            0.10\n",
        "+ service secret of research-bot in Engineering/Research\n",
        "Acme: ",
        "added, 0 changed, 0 removed.",
        "Secrets, shown this once:\n  research-bot in Engineering/Research: bsr_live_",
        "Invitations, shown this once, good for 14 days:\n  ada@acme.example: http://127.0.0.1:0/join/",
        "Nobody owns Acme yet.",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let again = place.run(&["apply", "-"], ACME);
    assert_eq!(String::from_utf8_lossy(&again.stdout), "Acme is as the file says. Nothing to change.\n");
    let planned = place.run(&["apply", "-", "--plan"], &ACME.replace("60 }", "61 }"));
    let text = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(text.contains("    cap                    60 → 61\n"), "{text}");
    assert!(text.contains("0 to add, 1 to change, 0 to remove. Nothing was changed."), "{text}");
}

#[tokio::test]
async fn a_file_that_would_break_a_pinned_test_is_refused_with_its_name_and_changes_nothing() {
    let place = Place::new().await;
    let file = r#"
[organization]
name = "Acme"
time_zone = "UTC"

[[providers]]
name = "cloud"
dialect = "openai"
base_url = "https://api.example.com/v1"

[[tiers]]
name = "only"

[[models]]
name = "small-chat"
provider = "cloud"
upstream = "x"
modality = "chat"
tier = "only"
price = { input = "1.00", output = "1.00" }

[[groups]]
path = "Interns"
kind = "custom"

[[authorizations]]
group = "Interns"
model = "small-chat"
state = "closed"
"#;
    place.apply(file);
    let key = crate::demo::key_in(place.data.path());
    let store = store::Store::connect(&place.database, 4, key).await.expect("the database answers");
    let org = store::testing::only_organization(&store).await;
    let facts = store::access::facts(&store, org).await.expect("the facts");
    let interns = *facts.groups.keys().next().expect("a group");
    let actor = Actor {
        org,
        user: None,
        name: "Olga".to_owned(),
        role: Role::Owner,
        leads: Vec::new(),
        door: Door::Console,
    };
    let mut change = store::testing::begin(&store, &actor, Act::EditAccessTests).await;
    let (name, target) =
        ("Not for interns".parse().expect("a name"), Target::Model(facts.model_names["small-chat"]));
    store::access_tests::insert(&mut change, &name, Subject::Group(interns), target, Expected::NotOpen)
        .await
        .expect("pinned");
    change.commit().await.expect("it");

    let before = place.export();
    let wider = file.replace("state = \"closed\"", "state = \"open\"");
    let output = place.run(&["apply", "-", "--json"], &wider);
    assert!(!output.status.success());
    let said = errors(&output);
    assert!(said.contains("The pinned test “Not for interns” would break: expected not open"), "{said}");
    assert_eq!(place.export(), before);
    // A plan says the same, in the same way.
    let plan = place.run(&["apply", "-", "--json", "--plan"], &wider);
    assert_eq!((plan.status.code(), errors(&plan)), (output.status.code(), said));
    // What does not break it is applied.
    let asks = file.replace("state = \"closed\"", "state = \"by_request\"");
    assert_eq!(lines(&place.apply(&asks)).len(), 1);
}

#[tokio::test]
async fn steps_waits_and_a_groups_policy_come_back_as_they_were_written() {
    let place = Place::new().await;
    place.apply(ACME);
    let file = ACME
        .replace(
            "fallback = [\"big-chat\", \"small-chat\"]",
            "fallback = [{ model = \"big-chat\", attempts = 2, first_byte = 20, after = [\"timeout\", \"5xx\"] }, \"small-chat\"]",
        )
        .replace("{ model = \"claude-like\", weight = 1 }", "{ model = \"claude-like\", weight = 1, after = [] }")
        .replace(
            "dialect = \"anthropic\"",
            "dialect = \"anthropic\"\ntimeouts = { connection = 5, between_chunks = 30 }",
        )
        .replace("path = \"Marketing\"\nkind", "path = \"Marketing\"\npolicy = \"spread\"\nkind");
    let expected = [
        "~ provider local-anthropic timeouts.connection: none → 5, timeouts.between_chunks: none → 30",
        "~ group Marketing policy: none → spread",
        "~ policy prod-chat models: big-chat, small-chat → big-chat (2 tries, 20 s, after timeout, 5xx), small-chat",
        "~ policy spread models: small-chat × 3, claude-like × 1 → small-chat × 3, claude-like × 1 (never goes on)",
    ];
    assert_eq!(lines(&place.plan(&file)), expected);
    place.apply(&file);
    let exported = place.export();
    assert_eq!(ordered(&exported), ordered(&file));
    assert_eq!(lines(&place.apply(&exported)), Vec::<String>::new());
    // From nothing, in one go: the group's policy comes after the policy.
    let elsewhere = Place::new().await;
    elsewhere.apply(&exported);
    assert_eq!(elsewhere.export(), exported);
    // What is not written is as usual again.
    place.apply(ACME);
    assert_eq!(ordered(&place.export()), ordered(ACME));
    for (wrong, said) in [
        ("attempts = 4", "1 to 3"),
        ("first_byte = 0", "1 to 600"),
        ("after = [\"503\"]", "failure"),
        ("weight = 2", "weight"),
    ] {
        let step = format!("fallback = [{{ model = \"big-chat\", {wrong} }}, \"small-chat\"]");
        let file = ACME.replace("fallback = [\"big-chat\", \"small-chat\"]", &step);
        let output = place.run(&["apply", "-"], &file);
        assert!(!output.status.success() && errors(&output).contains(said), "{wrong}: {}", errors(&output));
    }
    let file = ACME.replace("path = \"Marketing\"\nkind", "path = \"Marketing\"\npolicy = \"nowhere\"\nkind");
    let output = place.run(&["apply", "-"], &file);
    assert!(errors(&output).contains("nowhere"), "{}", errors(&output));
}

#[tokio::test]
async fn what_nobody_answers_for_is_warned_of_and_done_all_the_same() {
    let place = Place::new().await;
    let file = r#"
[organization]
name = "Acme"
time_zone = "UTC"

[[groups]]
path = "Led"
kind = "custom"

[[groups]]
path = "Led/Below"
kind = "custom"

[[groups]]
path = "Ledger"
kind = "custom"

[[users]]
email = "olga@acme.example"
name = "Olga"
role = "owner"

[[users]]
email = "lin@acme.example"
name = "Lin"
groups = [{ path = "Led", lead = true }]

[[applications]]
name = "looked-after"
group = "Led/Below"
key = { models = "all" }

[[applications]]
name = "alone"
group = "Ledger"
key = { models = "all" }
"#;
    let alone = "warning: nobody answers for the application alone in Ledger: it has no owner, and nobody leads its \
                 group or one above it. Choose an owner, on its page in the console, or write lead = true for \
                 somebody in Ledger.";
    // Where there is nothing yet, where it is made, where it is there; a plan says it like what it plans.
    for arguments in
        [&["apply", "-", "--plan"][..], &["apply", "-"], &["apply", "-", "--plan"], &["apply", "-"]]
    {
        let output = place.run(arguments, file);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(warnings(&output), [alone], "{arguments:?}");
        assert!(!String::from_utf8_lossy(&output.stdout).contains("warning"), "{arguments:?}");
    }
    // Programs read their document and nothing else.
    let output = place.run(&["apply", "-", "--json"], file);
    assert_eq!(warnings(&output), [alone]);
    assert_eq!(lines(&json(&output)), Vec::<String>::new());

    // What a file does not name is no business of it.
    let elsewhere = "[organization]\nname = \"Acme\"\n\n[[groups]]\npath = \"Another\"\nkind = \"custom\"\n";
    assert_eq!(warnings(&place.run(&["apply", "-"], elsewhere)), Vec::<String>::new());
    let led = file.replace(
        "path = \"Led\", lead = true }",
        "path = \"Led\", lead = true }, { path = \"Ledger\", lead = true }",
    );
    assert_eq!(warnings(&place.run(&["apply", "-"], &led)), Vec::<String>::new());
}

/// What is warned of on standard error.
fn warnings(output: &std::process::Output) -> Vec<String> {
    let said = errors(output);
    said.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect()
}
