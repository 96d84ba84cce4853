//! Files that are wrong: the line, the field, what was expected; and nothing happens.

use super::{ACME, Place, errors, lines, run};
use crate::harness::TempDir;

/// A change to the file, where the mistake is, and what is said of it.
struct Case {
    from: &'static str,
    to: &'static str,
    /// The text whose line is named.
    on: &'static str,
    said: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        from: "tier = \"general\"\ncontext_tokens = 2048\nmax_output_tokens = 512\nprice = { input = \"0.10\", output = \"0.40\", cache",
        to: "tier = \"genral\"\ncontext_tokens = 2048\nmax_output_tokens = 512\nprice = { input = \"0.10\", output = \"0.40\", cache",
        on: "\"genral\"",
        said: &["models.tier", "There is no tier “genral”", "Did you mean “general”?"],
    },
    Case {
        from: "provider = \"local-anthropic\"",
        to: "provider = \"local-antropic\"",
        on: "antropic\"",
        said: &["models.provider", "Did you mean “local-anthropic”?"],
    },
    Case {
        from: "fallback = [\"big-chat\", \"small-chat\"]",
        to: "fallback = [\n  \"big-chat\",\n  \"smal-chat\",\n]",
        on: "smal-chat",
        said: &["policies.fallback", "There is no model “smal-chat”", "Did you mean “small-chat”?"],
    },
    Case {
        from: "assigned_groups = [\"Engineering/Research\"]",
        to: "assigned_groups = [\"Engineering/Reserch\"]",
        on: "Reserch",
        said: &["applications.key.assigned_groups", "Did you mean “Engineering/Research”?"],
    },
    Case {
        from: "default_groups = [\"Everyone\"]",
        to: "default_groups = [\"Evryone\"]",
        on: "Evryone",
        said: &["organization.default_groups", "Did you mean “Everyone”?"],
    },
    Case {
        from: "models = [\"small-chat\"]",
        to: "models = [\"Small-Chat\"]",
        on: "Small-Chat",
        said: &["applications.key.models", "Did you mean “small-chat”?"],
    },
    Case {
        from: "high_cost = true",
        to: "high_costs = true",
        on: "high_costs",
        said: &["tiers.high_costs", "There is no field", "Did you mean “high_cost”?"],
    },
    Case {
        from: "[[tiers]]\nname = \"specialized\"",
        to: "[[teirs]]\nname = \"specialized\"",
        on: "[[teirs]]",
        said: &["teirs", "Did you mean “tiers”?"],
    },
    Case {
        from: "path = \"Engineering/Research\"\nkind = \"function\"",
        to: "path = \"Engineering/Research\"\nparent = \"Engineering/Research\"\nkind = \"function\"",
        on: "parent =",
        said: &["groups.parent", "There is no field"],
    },
    Case {
        from: "path = \"Engineering\"\nkind",
        to: "path = \"Engineering/Research/Engineering\"\nkind",
        on: "path = \"Engineering/Research\"",
        said: &["groups.path", "There is no group “Engineering”", "the one above it"],
    },
    Case {
        from: "cap = \"500.00\"",
        to: "cap = \"-500.00\"",
        on: "-500.00",
        said: &["groups.limits.cap", "cannot be below zero"],
    },
    Case {
        from: "default_user_limit = \"50.00\"",
        to: "default_user_limit = \"99999999999999999999\"",
        on: "99999999999999999999",
        said: &["organization.default_user_limit", "100,000,000"],
    },
    Case {
        from: "monthly_limit = \"20.00\"",
        to: "monthly_limit = 20.00",
        on: "monthly_limit",
        said: &["users.monthly_limit", "in quotes"],
    },
    Case {
        from: "price = { input = \"0.02\" }",
        to: "price = { input = \"0.0200000001\" }",
        on: "0.0200000001",
        said: &["models.price.input", "nine digits"],
    },
    Case {
        from: "price = { input = \"0.02\" }",
        to: "price = { imput = \"0.02\" }",
        on: "imput",
        said: &["models.price.imput", "Did you mean “input”?"],
    },
    Case {
        from: "cap = 60",
        to: "cap = -60",
        on: "cap = -60",
        said: &["authorizations.limits.cap", "whole number from 0"],
    },
    Case {
        from: "cap = 60",
        to: "cap = \"sixty\"",
        on: "sixty",
        said: &["authorizations.limits.cap", "found a text"],
    },
    Case {
        from: "thresholds = [50, 80, 100]",
        to: "thresholds = [50, 180]",
        on: "180",
        said: &["groups.limits.thresholds", "from 1 to 100"],
    },
    Case {
        from: "modality = \"embedding\"",
        to: "modality = \"embeding\"",
        on: "embeding\"",
        said: &["models.modality", "Did you mean “embedding”?"],
    },
    Case {
        from: "state = \"closed\"",
        to: "state = \"shut\"",
        on: "\"shut\"",
        said: &["authorizations.state", "open, by_request, closed"],
    },
    Case {
        from: "allow_private_address = true          #",
        to: "allow_private_address = \"yes\"          #",
        on: "\"yes\"",
        said: &["providers.allow_private_address", "Expected true or false, found a text"],
    },
    Case {
        from: "allow_private_address = true          #",
        to: "allow_private_address = false          #",
        on: "base_url",
        said: &["providers.base_url", "https"],
    },
    Case {
        from: "email = \"lin@acme.example\"",
        to: "email = \"ADA@acme.example\"",
        on: "ADA@",
        said: &["users.email", "already a user “ada@acme.example” on line"],
    },
    Case {
        from: "email = \"lin@acme.example\"",
        to: "email = \"lin\"",
        on: "email = \"lin\"",
        said: &["users.email", "email address"],
    },
    Case {
        from: "name = \"big-chat\"",
        to: "name = \"small-chat\"",
        on: "name = \"small-chat\"\nprovider = \"local\"\nupstream = \"gemma-3-270m\"\nmodality = \"chat\"\ntier = \"high",
        said: &["models.name", "already a model “small-chat”"],
    },
    Case {
        from: "path = \"Marketing\"\nkind",
        to: "path = \"engineering\"\nkind",
        on: "path = \"engineering\"",
        said: &["groups.path", "already a group"],
    },
    Case {
        from: "name = \"campaign-writer\"",
        to: "name = \"campaign-writer\"\nkey = 1",
        on: "key = { models = [\"small",
        said: &["not TOML"],
    },
    Case {
        from: "time_zone = \"Europe/Berlin\"",
        to: "time_zone = \"Europe/Atlantis\"",
        on: "Atlantis",
        said: &["organization.time_zone", "Atlantis"],
    },
    Case {
        from: "ends_on = \"2027-06-30\"",
        to: "ends_on = \"2027-06-31\"",
        on: "2027-06-31",
        said: &["groups.ends_on", "2027-06-30"],
    },
    Case {
        from: "tier = \"specialized\"\nstate = \"closed\"",
        to: "state = \"closed\"",
        on: "[[authorizations]]\ngroup = \"Marketing\"",
        said: &["authorizations.model", "exactly one of"],
    },
    Case {
        from: "weight = 3",
        to: "weight = 0",
        on: "weight = 0",
        said: &["policies.balance.weight", "from 1 to 1000"],
    },
    Case {
        from: "use_cases = [\"triage\", \"summaries\"]",
        to: "use_cases = [\"tri<age\"]",
        on: "tri<age",
        said: &["applications.use_cases", "cannot be a use case"],
    },
    Case {
        from: "features = [\"streaming\"]",
        to: "features = [\"streaming\"], guardrails = { email = \"maks\" }",
        on: "maks",
        said: &["applications.key.guardrails.email", "Did you mean “mask”?"],
    },
    Case {
        from: "features = [\"streaming\"]",
        to: "features = [\"streaming\"], cache_seconds = 0",
        on: "cache_seconds",
        said: &["applications.key.cache_seconds", "from 1 to 604800"],
    },
    Case {
        from: "features = [\"streaming\"]",
        to: "features = [\"steaming\"]",
        on: "steaming",
        said: &["applications.key.features", "Did you mean “streaming”?"],
    },
    Case {
        from: "credential = { env = \"LOCAL_API_KEY\", optional = true }\nallow_private_address = true          #",
        to: "credential = \"sk-very-secret\"\nallow_private_address = true          #",
        on: "credential = \"sk",
        said: &["providers.credential", "environment variable"],
    },
    Case {
        from: "credential = { env = \"LOCAL_API_KEY\", optional = true }\nallow_private_address = true          #",
        to: "credential = { env = \"SURELY_NOT_SET\" }\nallow_private_address = true          #",
        on: "SURELY_NOT_SET",
        said: &["providers.credential", "“SURELY_NOT_SET” is not set"],
    },
    Case {
        from: "kind = \"department\"\nlimits = [{ metric = \"spend\", window = \"month\", cap = \"500.00\", thresholds = [50, 80, 100] }]",
        to: "limits = [\n  { metric = \"spend\", window = \"month\", cap = \"1\" },\n  { metric = \"spend\", window = \"month\", cap = \"2\" },\n]",
        on: "cap = \"2\"",
        said: &["groups.limits.metric", "already a limit"],
    },
];

fn line_of(text: &str, part: &str) -> usize {
    let at = text.find(part).unwrap_or_else(|| panic!("{part} is not in the file"));
    text[..at].lines().count() + usize::from(text[..at].is_empty() || text[..at].ends_with('\n'))
}

#[tokio::test]
async fn every_class_of_mistake_names_its_line_its_field_and_what_was_expected() {
    let place = Place::new().await;
    for case in CASES {
        assert!(ACME.contains(case.from), "{}", case.from);
        let file = ACME.replacen(case.from, case.to, 1);
        let output = place.run(&["apply", "-"], &file);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{}: {said}", case.to);
        assert!(output.stdout.is_empty(), "{}", case.to);
        let line = format!("standard input:{}: ", line_of(&file, case.on));
        let mistake = said.lines().find(|text| text.starts_with(&line));
        let mistake = mistake.unwrap_or_else(|| panic!("{}: nothing on {line} in {said}", case.to));
        for part in case.said {
            assert!(mistake.contains(part), "{}: {part} is not in {mistake}", case.to);
        }
        assert!(!said.contains("sk-very-secret"), "{said}");
        assert!(said.ends_with("Nothing was changed.\n"), "{said}");
    }
    let output = place.run(&["export"], "");
    assert_eq!(output.status.code(), Some(1), "nothing was made: {}", errors(&output));
    assert!(!place.data.path().join("master.key").exists());
}

#[tokio::test]
async fn all_mistakes_are_found_at_once_and_what_follows_from_one_is_not_another() {
    let place = Place::new().await;
    let file = ACME
        .replace("dialect = \"anthropic\"", "dialect = \"antropic\"")
        .replace("kind = \"project\"", "kind = \"projekt\"")
        .replace("group = \"Marketing\"\ntier", "group = \"Marketting\"\ntier")
        .replace("cap = 200000", "cap = 1.5");
    let output = place.run(&["apply", "-", "--plan"], &file);
    let said = errors(&output);
    assert_eq!(output.status.code(), Some(2));
    // The provider that could not be read is not missing for the model that names it.
    assert_eq!(said.lines().count(), 5, "{said}");
    for part in
        ["Did you mean “anthropic”?", "Did you mean “project”?", "Did you mean “Marketing”?", "1000000"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.contains("4 mistakes. Nothing was changed."), "{said}");
}

#[tokio::test]
async fn a_mistake_changes_nothing_in_an_installation_that_exists() {
    let place = Place::new().await;
    place.apply(ACME);
    let before = place.export();
    // Everything above it is right and different; the last line is wrong.
    let different = ACME.replace("50.00", "60.00").replace("Lin\"", "Linnea\"");
    let file =
        different + "\n[[applications]]\nname = \"late\"\ngroup = \"Nowhere\"\nkey = { models = \"all\" }\n";
    let output = place.run(&["apply", "-"], &file);
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
    assert_eq!(place.export(), before);
}

#[tokio::test]
async fn what_only_the_store_can_refuse_is_a_mistake_with_a_line_too_and_a_plan_finds_it() {
    let place = Place::new().await;
    place.apply(
        &(ACME.to_owned()
            + "\n[[users]]\nemail = \"olga@acme.example\"\nname = \"Olga\"\nrole = \"owner\"\n"),
    );
    let before = place.export();
    let file =
        ACME.to_owned() + "\n[[users]]\nemail = \"olga@acme.example\"\nname = \"Olga\"\nrole = \"member\"\n";
    for arguments in [["apply", "-", "--plan"], ["apply", "-", "--json"]] {
        let output = place.run(&arguments, &file);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let line = format!("standard input:{}: users.role: ", file.lines().count());
        assert!(said.contains(&line) && said.contains("last owner"), "{line} {said}");
    }
    assert_eq!(place.export(), before);
}

#[tokio::test]
async fn a_policy_that_cannot_be_is_a_mistake_with_its_line() {
    let place = Place::new().await;
    place.apply(ACME);
    let policy =
        |name: &str, models: &str| format!("\n[[policies]]\nname = \"{name}\"\nfallback = [{models}]\n");
    let before = place.export();
    for (policies, says) in [
        (policy("one", "\"small-chat\"") + &policy("ONE", "\"small-chat\""), "in upper and lower case only"),
        (
            policy("mixed", "\"small-chat\", \"embedder\""),
            "embedder makes embeddings and small-chat does not",
        ),
    ] {
        let file = format!("{ACME}{policies}");
        for arguments in [["apply", "-", "--plan"], ["apply", "-", "--json"]] {
            let output = place.run(&arguments, &file);
            let said = errors(&output);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains("standard input:") && said.contains(says), "{says}: {said}");
        }
    }
    assert_eq!(place.export(), before);
}

#[tokio::test]
async fn what_has_ended_takes_nothing_new_in_and_stands_in_a_file_as_it_is() {
    let place = Place::new().await;
    let base = "[organization]\nname = \"Acme\"\n\
                [[groups]]\npath = \"Lab\"\nends_on = \"2020-02-29\"\n\
                [[groups]]\npath = \"Lab/Vision\"\n\
                [[users]]\nemail = \"olga@acme.example\"\nname = \"Olga\"\nrole = \"owner\"\n\
                groups = [{ path = \"Lab\" }]\n";
    // As an export brings it back: what the file makes is as it says.
    place.apply(base);
    assert_eq!(lines(&place.plan(base)), Vec::<String>::new());
    let exported = place.export();
    assert_eq!(lines(&place.plan(&exported)), Vec::<String>::new());
    let more = base.to_owned()
        + "[[users]]\nemail = \"sam@acme.example\"\nname = \"Sam\"\ngroups = [{ path = \"Lab/Vision\" }]\n\
           [[groups]]\npath = \"Lab/Late\"\n\
           [[applications]]\nname = \"late\"\ngroup = \"Lab\"\nkey = { models = \"all\", assigned_groups = [\"Lab/Vision\"] }\n";
    for arguments in [&["apply", "-", "--plan"][..], &["apply", "-"]] {
        let output = place.run(arguments, &more);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for (on, field, why) in [
            (
                "[{ path = \"Lab/Vision\"",
                "users.groups.path",
                "“Lab”, which is above it, ended on 29 Feb 2020",
            ),
            ("Lab/Late", "groups.path", "“Lab” ended on 29 Feb 2020, and takes nothing new in."),
            ("group = \"Lab\"", "applications.group", "Leave this out, or write a later `ends_on`"),
            ("assigned_groups", "applications.key.assigned_groups", "“Lab”, which is above it, ended on"),
        ] {
            let line = format!("standard input:{}: {field}: ", line_of(&more, on));
            let mistake = said.lines().find(|text| text.starts_with(&line));
            let mistake = mistake.unwrap_or_else(|| panic!("nothing on {line} in {said}"));
            assert!(mistake.contains(why), "{mistake}");
        }
        assert!(said.ends_with("4 mistakes. Nothing was changed.\n"), "{said}");
    }
    assert_eq!(place.export(), exported);
    place.apply(&more.replace("2020-02-29", "2090-02-28"));
}

#[tokio::test]
async fn a_file_makes_no_secret_of_which_every_call_would_be_refused() {
    let place = Place::new().await;
    let base = "[organization]\nname = \"Acme\"\n\
                [[groups]]\npath = \"Lab\"\nends_on = \"2020-02-29\"\n\
                [[users]]\nemail = \"olga@acme.example\"\nname = \"Olga\"\nrole = \"owner\"\n\
                [[applications]]\nname = \"late\"\ngroup = \"Lab\"\nkey = { models = \"all\" }\n";
    place.apply(base);
    let exported = place.export();
    let more = base.to_owned() + "service_secret = true\n";
    for arguments in [&["apply", "-", "--plan"][..], &["apply", "-"]] {
        let output = place.run(arguments, &more);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let line =
            format!("standard input:{}: applications.service_secret: ", line_of(&more, "service_secret"));
        let mistake = said.lines().find(|text| text.starts_with(&line));
        let mistake = mistake.unwrap_or_else(|| panic!("nothing on {line} in {said}"));
        assert!(mistake.contains("“Lab” ended on 29 Feb 2020"), "{mistake}");
    }
    assert_eq!(place.export(), exported);
    let made = place.apply(&more.replace("2020-02-29", "2090-02-28"));
    assert_eq!(made["secrets"].as_array().map(Vec::len), Some(1), "{made}");
}

#[tokio::test]
async fn hostile_files_are_survived_with_a_clear_sentence() {
    let place = Place::new().await;
    let long = "x".repeat(10_000);
    let deep = "[".repeat(100_000);
    let cases: &[(Vec<u8>, &[&str])] = &[
        (b"".to_vec(), &["organization: This is missing"]),
        (b"[organization\nname = ".to_vec(), &[":1: This is not TOML"]),
        (
            b"[organization]\nname = \"a\"\nname = \"b\"\n".to_vec(),
            &[":3: This is not TOML", "duplicate key"],
        ),
        (b"[organization]\nname = \"\xff\"\n".to_vec(), &[":2: This is not UTF-8"]),
        (b"organization = \"Acme\"".to_vec(), &[":1: organization: Expected a table"]),
        (
            b"[organization]\nname = 7\n".to_vec(),
            &[":2: organization.name: Expected a text in quotes, found a number"],
        ),
        (b"groups = 1\n[organization]\nname = \"a\"\n".to_vec(), &[":1: groups: Expected a list of tables"]),
        (b"groups = [1]\n[organization]\nname = \"a\"\n".to_vec(), &[":1: ", "Expected a table"]),
        (
            format!("[organization]\nname = \"{long}\"\n").into_bytes(),
            &[":2: organization.name", "at most 100"],
        ),
        (
            format!("[organization]\nname = \"a\"\n{long} = 1\n").into_bytes(),
            &[":3: organization.", "There is no field"],
        ),
        (
            format!("[organization]\nname = \"a\"\n[[groups]]\npath = \"{}\"\n", vec!["g"; 40].join("/"))
                .into_bytes(),
            &[":4: groups.path", "32"],
        ),
        (
            "[organization]\nname = \"a\"\n[[groups]]\npath = \"a//b\"\n".as_bytes().to_vec(),
            &[":4: groups.path"],
        ),
        (
            b"[organization]\nname = \"a\"\n[[groups]]\npath = \"A/B\"\n[[groups]]\npath = \"B/A\"\n"
                .to_vec(),
            &[":4: groups.path: There is no group “A”", ":6: groups.path: There is no group “B”"],
        ),
        (b"[organization]\nname = \"a\\u202eb\"\n".to_vec(), &[":2: organization.name", "invisible"]),
        (format!("x = {deep}").into_bytes(), &["not TOML"]),
    ];
    for (file, said) in cases {
        let output = run(&place.database, place.data.path(), &[], &["apply", "-"], file);
        let text = errors(&output);
        let start = String::from_utf8_lossy(&file[..file.len().min(60)]).into_owned();
        assert_eq!(output.status.code(), Some(2), "{start}: {text}");
        assert!(text.len() < 5_000, "{start}: {} bytes", text.len());
        for part in *said {
            assert!(text.contains(part), "{start}: {part} is not in {text}");
        }
    }
    let nowhere = place.run(&["apply", "/nowhere/at/all.toml"], "");
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(errors(&nowhere).contains("/nowhere/at/all.toml cannot be read"), "{}", errors(&nowhere));
}

#[tokio::test]
async fn another_master_key_is_refused_before_anything_is_written_with_it() {
    let place = Place::new().await;
    place.apply(ACME);
    let before = place.export();
    let other = TempDir::new();
    let missing = run(&place.database, other.path(), &[], &["apply", "-"], ACME.as_bytes());
    assert!(errors(&missing).contains("BURSAR_MASTER_KEY_FILE"), "{}", errors(&missing));
    assert!(!other.path().join("master.key").exists());
    let elsewhere = Place::new().await;
    elsewhere.apply(ACME);
    let wrong = run(&place.database, elsewhere.data.path(), &[], &["apply", "-"], ACME.as_bytes());
    assert_eq!(wrong.status.code(), Some(1));
    assert!(errors(&wrong).contains("not the master key"), "{}", errors(&wrong));
    assert_eq!(place.export(), before);
}
