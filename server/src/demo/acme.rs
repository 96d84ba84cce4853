//! Who and what there is in the demo's organization, as tables.
//!
//! Days count from the beginning of the story, which is [`DAYS`] before now.

use domain::{
    access_tests::Expected,
    authorizations::State,
    groups::GroupKind,
    guardrails::{Action, Guard},
    keys::Feature,
    limits::{Metric, Mode},
    models::Modality,
    providers::Dialect,
    users::Role,
    window::Window,
};

use super::script::{Scope, Target};

/// How long the story is: two calendar months lie in it whole on any day, after its first week.
pub const DAYS: i64 = 98;
/// What the organization is called.
pub const NAME: &str = "Acme";
/// Where it is.
pub const TIME_ZONE: &str = "Europe/Berlin";
/// What everybody signs in with. Long enough to be accepted, and nothing anybody would mistake for
/// a secret.
pub const PASSWORD: &str = "this-is-a-demo";

/// A group: its path, what it stands for, how many people are in this very group, and the day it
/// ends.
#[derive(Debug)]
pub struct Group {
    pub path: &'static str,
    pub kind: GroupKind,
    pub people: usize,
    pub ends: Option<i64>,
}

const fn group(path: &'static str, kind: GroupKind, people: usize) -> Group {
    Group { path, kind, people, ends: None }
}

const fn project(path: &'static str, people: usize, ends: i64) -> Group {
    Group { path, kind: GroupKind::Project, people, ends: Some(ends) }
}

/// Everybody joins this one.
pub const EVERYONE: &str = "Everyone";

/// Parents before children.
pub const GROUPS: [Group; 28] = [
    group(EVERYONE, GroupKind::Custom, 0),
    group("Engineering", GroupKind::Department, 2),
    group("Engineering/Platform", GroupKind::Function, 2),
    group("Engineering/Platform/Developer Tools", GroupKind::Function, 11),
    group("Engineering/Platform/Infrastructure", GroupKind::Function, 9),
    group("Engineering/Research", GroupKind::Function, 4),
    group("Engineering/Research/Language", GroupKind::Function, 7),
    group("Engineering/Research/Vision", GroupKind::Function, 5),
    group("Engineering/Product", GroupKind::Department, 5),
    project("Engineering/Product/Mobile App", 6, DAYS + 120),
    project("Engineering/Product/Search Relaunch", 5, DAYS + 220),
    group("Engineering/Product/Search Relaunch/Ranking", GroupKind::Function, 6),
    group("Data", GroupKind::Department, 2),
    group("Data/Analytics", GroupKind::Function, 8),
    project("Data/Demand Forecast", 4, DAYS + 19),
    group("Marketing", GroupKind::Department, 3),
    group("Marketing/Content", GroupKind::Function, 8),
    group("Marketing/Campaigns", GroupKind::Function, 5),
    group("Sales", GroupKind::Department, 3),
    group("Sales/Americas", GroupKind::Function, 6),
    group("Sales/EMEA", GroupKind::Function, 7),
    group("Support", GroupKind::Department, 3),
    group("Support/First Line", GroupKind::Function, 12),
    group("Support/Second Line", GroupKind::Function, 6),
    group("Finance", GroupKind::Department, 6),
    group("Legal", GroupKind::Department, 5),
    group("Human Resources", GroupKind::Department, 5),
    group("Security", GroupKind::Function, 4),
];

/// Somebody with a part of their own: key, name, role, home, whether they lead it.
#[derive(Debug)]
pub struct Star {
    pub key: &'static str,
    pub name: &'static str,
    pub role: Role,
    pub home: &'static str,
    pub lead: bool,
}

/// The people others are invited by. The key is the part of the address before the @.
pub const STARS: [Star; 8] = [
    Star { key: "olga", name: "Olga Brandt", role: Role::Owner, home: "Engineering", lead: false },
    Star { key: "ada", name: "Ada Lindqvist", role: Role::Admin, home: "Engineering/Platform", lead: true },
    Star { key: "marek", name: "Marek Novak", role: Role::Admin, home: "Finance", lead: true },
    Star { key: "noor", name: "Noor Aziz", role: Role::Auditor, home: "Finance", lead: false },
    Star { key: "tomas", name: "Tomás Pereira", role: Role::Auditor, home: "Legal", lead: false },
    Star { key: "lin", name: "Lin Okafor", role: Role::Member, home: "Engineering", lead: true },
    Star {
        key: "sam",
        name: "Sam Ito",
        role: Role::Member,
        home: "Engineering/Platform/Developer Tools",
        lead: false,
    },
    Star { key: "jo", name: "Jo Peters", role: Role::Member, home: "Support/First Line", lead: false },
];

pub const FIRST_NAMES: [&str; 48] = [
    "Amara", "Anders", "Beatriz", "Benedikt", "Camille", "Chidi", "Daniela", "Dmitri", "Elif", "Emeka",
    "Fatima", "Finn", "Giulia", "Goran", "Hana", "Henrik", "Ines", "Ivan", "Jana", "Jonas", "Kavya", "Kenji",
    "Leila", "Lukas", "Maja", "Mateo", "Mei", "Mika", "Nadia", "Nikhil", "Oksana", "Omar", "Paula", "Petra",
    "Quinn", "Rafael", "Rosa", "Sanna", "Selin", "Tariq", "Theo", "Uma", "Valentin", "Wanjiru", "Xavier",
    "Yara", "Yusuf", "Zoë",
];

pub const LAST_NAMES: [&str; 53] = [
    "Abebe",
    "Almeida",
    "Andersson",
    "Bauer",
    "Becker",
    "Bianchi",
    "Bose",
    "Castro",
    "Chen",
    "Costa",
    "Demir",
    "Dubois",
    "Eriksen",
    "Farouk",
    "Fischer",
    "Fontaine",
    "García",
    "Haddad",
    "Hoffmann",
    "Ivanova",
    "Jansen",
    "Kaya",
    "Keller",
    "Kimura",
    "Kowalski",
    "Krüger",
    "Lindholm",
    "Mbeki",
    "Mendes",
    "Meyer",
    "Moreau",
    "Mwangi",
    "Nakamura",
    "Nguyen",
    "Nkosi",
    "Novotná",
    "O’Brien",
    "Okoye",
    "Park",
    "Petrov",
    "Ramos",
    "Rao",
    "Richter",
    "Rossi",
    "Schäfer",
    "Silva",
    "Singh",
    "Sørensen",
    "Tanaka",
    "Vogel",
    "Weber",
    "Yılmaz",
    "Zhang",
];

/// A tier: name, and whether it is high-cost.
pub const TIERS: [(&str, bool); 4] =
    [("general", false), ("high-performance", true), ("reasoning", true), ("specialized", false)];

/// The provider that answers in OpenAI's dialect; it is this process.
pub const SIMULATED: &str = "Simulated provider";
/// The same in Anthropic's dialect.
pub const SIMULATED_ANTHROPIC: &str = "Simulated provider (Anthropic)";
/// A provider that is there and has nothing accepted yet.
pub const NEWCOMER: &str = "Mistral";

/// A model with its list prices in dollars per million tokens: input, cache read, cache write,
/// output; empty: none of its own.
#[derive(Debug)]
pub struct Model {
    pub name: &'static str,
    pub dialect: Dialect,
    pub modality: Modality,
    pub tier: &'static str,
    pub context: i64,
    pub output: i64,
    pub prices: [&'static str; 4],
}

const fn chat(
    name: &'static str,
    dialect: Dialect,
    tier: &'static str,
    context: i64,
    output: i64,
    prices: [&'static str; 4],
) -> Model {
    Model { name, dialect, modality: Modality::Chat, tier, context, output, prices }
}

use Dialect::{Anthropic, OpenAi};

pub const MODELS: [Model; 12] = [
    chat("gpt-5", OpenAi, "high-performance", 400_000, 128_000, ["1.25", "0.125", "", "10.00"]),
    chat("gpt-5-mini", OpenAi, "general", 400_000, 128_000, ["0.25", "0.025", "", "2.00"]),
    chat("gpt-4.1-mini", OpenAi, "general", 1_047_576, 32_768, ["0.40", "0.10", "", "1.60"]),
    chat("gpt-4.1-nano", OpenAi, "general", 1_047_576, 32_768, ["0.10", "0.025", "", "0.40"]),
    chat("gpt-4o", OpenAi, "general", 128_000, 16_384, ["2.50", "1.25", "", "10.00"]),
    chat("o3", OpenAi, "reasoning", 200_000, 100_000, ["2.00", "0.50", "", "8.00"]),
    chat("claude-haiku-4-5", Anthropic, "general", 200_000, 64_000, ["1.00", "0.10", "1.25", "5.00"]),
    chat(
        "claude-sonnet-4-5",
        Anthropic,
        "high-performance",
        200_000,
        64_000,
        ["3.00", "0.30", "3.75", "15.00"],
    ),
    chat(
        "claude-opus-4-1",
        Anthropic,
        "high-performance",
        200_000,
        32_000,
        ["15.00", "1.50", "18.75", "75.00"],
    ),
    Model {
        name: "gpt-4.1",
        dialect: OpenAi,
        modality: Modality::Vision,
        tier: "specialized",
        context: 1_047_576,
        output: 32_768,
        prices: ["2.00", "0.50", "", "8.00"],
    },
    Model {
        name: "text-embedding-3-small",
        dialect: OpenAi,
        modality: Modality::Embedding,
        tier: "specialized",
        context: 8_191,
        output: 0,
        prices: ["0.02", "", "", ""],
    },
    Model {
        name: "text-embedding-3-large",
        dialect: OpenAi,
        modality: Modality::Embedding,
        tier: "specialized",
        context: 8_191,
        output: 0,
        prices: ["0.13", "", "", ""],
    },
];

/// What the newcomer offers, which nobody has looked at yet. The last has no price.
pub const NEW_MODELS: [Model; 3] = [
    chat("mistral-large-latest", OpenAi, "high-performance", 128_000, 32_768, ["2.00", "", "", "6.00"]),
    chat("codestral-latest", OpenAi, "general", 256_000, 32_768, ["0.30", "", "", "0.90"]),
    chat("magistral-medium-latest", OpenAi, "reasoning", 128_000, 40_000, ["", "", "", ""]),
];

/// What the simulated provider offers besides, for whoever asks it.
pub const NOT_TAKEN: [&str; 9] = [
    "claude-haiku-4-5-20251001",
    "claude-opus-4-5",
    "gpt-4.1-2025-04-14",
    "gpt-5-nano",
    "gpt-image-1",
    "house-finetune-2026-10",
    "o4-mini",
    "text-embedding-ada-002",
    "whisper-1",
];

/// The model that is taken out of the catalogue today.
pub const RETIRED: &str = "gpt-4o";

/// A rule: day, who sets it, on which group (empty: the organization), about what, what it says,
/// locked, the day it ends, and whether it only observes.
#[derive(Debug)]
pub struct Rule {
    pub day: i64,
    pub by: &'static str,
    pub group: &'static str,
    pub target: Target,
    pub state: State,
    pub locked: bool,
    pub ends: Option<i64>,
    pub observes: bool,
}

const fn rule(day: i64, group: &'static str, target: Target, state: State) -> Rule {
    Rule { day, by: "ada", group, target, state, locked: false, ends: None, observes: false }
}

const fn locked(day: i64, group: &'static str, target: Target, state: State) -> Rule {
    Rule { locked: true, ..rule(day, group, target, state) }
}

use State::{ByRequest, Closed, Open};
use Target::{All, Model as OneModel, Tier as OneTier};

pub const RULES: [Rule; 28] = [
    rule(0, "", OneTier("general"), Open),
    rule(0, "", OneTier("specialized"), Closed),
    rule(0, "", OneTier("high-performance"), ByRequest),
    rule(0, "Engineering", OneTier("specialized"), Open),
    rule(0, "Engineering/Research", OneTier("high-performance"), Open),
    rule(0, "Engineering/Research", OneTier("reasoning"), ByRequest),
    rule(0, "Engineering/Platform/Developer Tools", OneModel("claude-sonnet-4-5"), Open),
    rule(0, "Engineering/Platform/Developer Tools", OneModel("gpt-5"), Open),
    rule(0, "Data", OneModel("claude-sonnet-4-5"), Open),
    rule(0, "Data", OneTier("reasoning"), ByRequest),
    rule(0, "Support", OneModel("claude-opus-4-1"), Closed),
    rule(0, "Human Resources", OneTier("high-performance"), Closed),
    Rule { ends: Some(DAYS + 19), ..rule(4, "Data/Demand Forecast", OneModel("o3"), Open) },
    rule(6, "Finance", OneModel("gpt-4.1"), Open),
    locked(9, "Marketing", OneTier("specialized"), Closed),
    locked(9, "Human Resources", OneTier("reasoning"), Closed),
    rule(12, "Support/Second Line", OneModel("claude-sonnet-4-5"), Open),
    rule(14, "Legal", OneModel("claude-sonnet-4-5"), Open),
    rule(14, "Legal", OneModel("text-embedding-3-large"), Open),
    locked(15, "Legal", OneTier("reasoning"), Closed),
    rule(20, "Security", All, Open),
    rule(33, "Sales", OneTier("specialized"), Closed),
    rule(41, "Marketing/Content", OneModel("claude-sonnet-4-5"), ByRequest),
    locked(52, "Support/First Line", OneTier("high-performance"), Closed),
    Rule { by: "lin", ..rule(60, "Engineering/Product", OneModel("claude-opus-4-1"), Closed) },
    Rule { ends: Some(DAYS + 11), ..rule(74, "Sales/EMEA", OneModel("gpt-5"), Open) },
    Rule {
        observes: true,
        ..rule(DAYS - 12, "Support/Second Line", OneModel("claude-sonnet-4-5"), ByRequest)
    },
    Rule {
        observes: true,
        ..rule(DAYS - 8, "Engineering/Platform/Developer Tools", OneModel("gpt-5"), Closed)
    },
];

/// Pinned tests: name, group, what it is about, what is expected.
pub const TESTS: [(&str, &str, Target, Expected); 3] = [
    (
        "First line has no high-performance models",
        "Support/First Line",
        OneTier("high-performance"),
        Expected::NotOpen,
    ),
    ("Legal never reasons", "Legal", OneTier("reasoning"), Expected::Closed),
    ("Everybody in Sales has gpt-4.1-mini", "Sales", OneModel("gpt-4.1-mini"), Expected::Open),
];

/// When somebody calls.
#[derive(Clone, Copy, Debug)]
pub enum Hours {
    /// With their working day.
    Office,
    /// Around the clock, more by day.
    Always,
    /// In the small hours.
    Night,
    /// Once, before work.
    Morning,
}

/// A service, and how it is used.
#[derive(Debug)]
pub struct Program {
    pub name: &'static str,
    pub group: &'static str,
    pub about: &'static str,
    pub use_cases: &'static [&'static str],
    /// Models and how often each.
    pub models: &'static [(&'static str, u32)],
    /// Calls, compared with the others.
    pub share: f64,
    pub hours: Hours,
    /// Whether people call it with secrets of their own.
    pub people: bool,
    /// Typical tokens in and out.
    pub tokens: (f64, f64),
    /// The day it was made.
    pub day: i64,
    /// Whether its key is narrowed to its models.
    pub narrowed: bool,
}

const fn program(
    name: &'static str,
    group: &'static str,
    about: &'static str,
    models: &'static [(&'static str, u32)],
    share: f64,
    hours: Hours,
    tokens: (f64, f64),
) -> Program {
    Program {
        name,
        group,
        about,
        use_cases: &[],
        models,
        share,
        hours,
        people: false,
        tokens,
        day: 0,
        narrowed: false,
    }
}

use Hours::{Always, Morning, Night, Office};

const DEVELOPER_TOOLS: &str = "Engineering/Platform/Developer Tools";
const INFRASTRUCTURE: &str = "Engineering/Platform/Infrastructure";
const SEARCH: &str = "Engineering/Product/Search Relaunch";

pub const PROGRAMS: [Program; 26] = [
    Program {
        people: true,
        use_cases: &["chat", "edit", "tests"],
        ..program(
            "coding-assistant",
            DEVELOPER_TOOLS,
            "Writes code beside the person who asks.",
            &[("claude-sonnet-4-5", 5), ("claude-haiku-4-5", 4), ("gpt-5", 1)],
            12.0,
            Office,
            (7_000.0, 520.0),
        )
    },
    Program {
        use_cases: &["pull-request", "security", "style"],
        ..program(
            "code-review",
            DEVELOPER_TOOLS,
            "Reads every pull request before a person does.",
            &[("claude-sonnet-4-5", 6), ("gpt-5", 4)],
            8.0,
            Office,
            (5_200.0, 420.0),
        )
    },
    Program {
        use_cases: &["flaky-test", "build"],
        ..program(
            "ci-triage",
            INFRASTRUCTURE,
            "Says why a build broke.",
            &[("gpt-4.1-mini", 9), ("gpt-4.1-nano", 1)],
            8.0,
            Always,
            (3_100.0, 180.0),
        )
    },
    Program {
        day: 8,
        ..program(
            "incident-bot",
            INFRASTRUCTURE,
            "Sums incidents up while they run.",
            &[("gpt-5-mini", 1)],
            2.0,
            Always,
            (4_000.0, 350.0),
        )
    },
    Program {
        people: true,
        use_cases: &["literature", "experiment", "notes"],
        ..program(
            "research-bot",
            "Engineering/Research",
            "Reads papers and drafts experiments.",
            &[("claude-sonnet-4-5", 4), ("gpt-5", 4), ("claude-opus-4-1", 1)],
            5.0,
            Office,
            (6_000.0, 700.0),
        )
    },
    Program {
        use_cases: &["nightly", "release"],
        ..program(
            "eval-harness",
            "Engineering/Research/Language",
            "Scores every model every night.",
            &[("gpt-5-mini", 5), ("claude-haiku-4-5", 3), ("gpt-4.1-nano", 2)],
            7.0,
            Night,
            (1_600.0, 260.0),
        )
    },
    Program {
        day: 18,
        ..program(
            "image-notes",
            "Engineering/Research/Vision",
            "Describes images for the archive.",
            &[("gpt-4.1", 1)],
            2.0,
            Office,
            (1_400.0, 220.0),
        )
    },
    Program {
        use_cases: &["documents", "queries"],
        narrowed: true,
        ..program(
            "search-index",
            SEARCH,
            "Turns documents into vectors.",
            &[("text-embedding-3-small", 1)],
            13.0,
            Always,
            (900.0, 0.0),
        )
    },
    Program {
        narrowed: true,
        ..program(
            "query-rewriter",
            "Engineering/Product/Search Relaunch/Ranking",
            "Says what a query meant.",
            &[("gpt-4.1-nano", 1)],
            11.0,
            Always,
            (420.0, 40.0),
        )
    },
    Program {
        day: 5,
        ..program(
            "relevance-judge",
            "Engineering/Product/Search Relaunch/Ranking",
            "Grades search results.",
            &[("gpt-5-mini", 3), ("claude-haiku-4-5", 1)],
            3.0,
            Night,
            (1_800.0, 90.0),
        )
    },
    Program {
        day: 11,
        use_cases: &["help", "onboarding"],
        ..program(
            "mobile-helper",
            "Engineering/Product/Mobile App",
            "Answers inside the mobile app.",
            &[("gpt-4.1-mini", 1)],
            5.0,
            Always,
            (1_100.0, 160.0),
        )
    },
    Program {
        people: true,
        use_cases: &["query", "explain"],
        ..program(
            "sql-helper",
            "Data/Analytics",
            "Writes and explains SQL.",
            &[("gpt-5-mini", 6), ("claude-sonnet-4-5", 2)],
            4.0,
            Office,
            (2_400.0, 260.0),
        )
    },
    Program {
        day: 3,
        ..program(
            "weekly-report",
            "Data/Analytics",
            "Writes the numbers up.",
            &[("gpt-5-mini", 1), ("gpt-4o", 1)],
            1.5,
            Morning,
            (6_500.0, 900.0),
        )
    },
    Program {
        day: 6,
        ..program(
            "demand-forecast",
            "Data/Demand Forecast",
            "Reasons about next month’s orders.",
            &[("o3", 1)],
            0.9,
            Night,
            (3_000.0, 1_100.0),
        )
    },
    Program {
        people: true,
        use_cases: &["blog", "newsletter", "social"],
        ..program(
            "copy-desk",
            "Marketing/Content",
            "Drafts and edits copy.",
            &[("claude-haiku-4-5", 5), ("gpt-4.1-mini", 3), ("gpt-4o", 1)],
            4.5,
            Office,
            (1_300.0, 420.0),
        )
    },
    Program {
        day: 10,
        ..program(
            "translation",
            "Marketing/Content",
            "Translates what Content publishes.",
            &[("gpt-4.1-mini", 1)],
            2.5,
            Office,
            (1_900.0, 900.0),
        )
    },
    Program {
        day: 2,
        narrowed: true,
        ..program(
            "campaign-writer",
            "Marketing/Campaigns",
            "Writes variants of an advertisement.",
            &[("gpt-4.1-mini", 1)],
            3.0,
            Office,
            (800.0, 350.0),
        )
    },
    Program {
        day: 13,
        ..program(
            "lead-scoring",
            "Sales/Americas",
            "Ranks new contacts.",
            &[("gpt-4.1-nano", 1)],
            3.0,
            Night,
            (700.0, 60.0),
        )
    },
    Program {
        day: 7,
        use_cases: &["summary", "follow-up"],
        ..program(
            "call-notes",
            "Sales/EMEA",
            "Sums sales calls up.",
            &[("gpt-4.1-mini", 4), ("gpt-4o", 1)],
            2.8,
            Office,
            (4_200.0, 380.0),
        )
    },
    Program {
        people: true,
        use_cases: &["draft", "knowledge-base", "tone"],
        ..program(
            "support-assist",
            "Support/First Line",
            "Drafts answers to customers.",
            &[("claude-haiku-4-5", 5), ("gpt-4.1-mini", 4)],
            9.0,
            Office,
            (2_200.0, 280.0),
        )
    },
    Program {
        narrowed: true,
        use_cases: &["route", "language"],
        ..program(
            "ticket-router",
            "Support",
            "Sends a ticket to the right desk.",
            &[("gpt-4.1-nano", 1)],
            8.0,
            Always,
            (600.0, 25.0),
        )
    },
    Program {
        day: 12,
        ..program(
            "escalation-summary",
            "Support/Second Line",
            "Sums a long thread up.",
            &[("claude-sonnet-4-5", 1)],
            1.6,
            Office,
            (5_000.0, 400.0),
        )
    },
    Program {
        day: 7,
        narrowed: true,
        ..program(
            "invoice-reader",
            "Finance",
            "Reads scanned invoices.",
            &[("gpt-4.1", 1)],
            1.8,
            Morning,
            (1_500.0, 200.0),
        )
    },
    Program {
        day: 15,
        people: true,
        use_cases: &["clause", "compare"],
        ..program(
            "contract-review",
            "Legal",
            "Compares a contract with our terms.",
            &[("claude-sonnet-4-5", 1)],
            1.3,
            Office,
            (8_500.0, 650.0),
        )
    },
    Program {
        day: 16,
        ..program(
            "policy-search",
            "Legal",
            "Finds the policy that applies.",
            &[("text-embedding-3-large", 1)],
            1.0,
            Office,
            (1_200.0, 0.0),
        )
    },
    Program {
        day: 21,
        ..program(
            "phishing-triage",
            "Security",
            "Reads reported mail.",
            &[("gpt-5-mini", 1)],
            2.2,
            Always,
            (1_700.0, 120.0),
        )
    },
];

/// How a person uses their own context.
pub const PERSONAL: Program = Program {
    people: true,
    ..program(
        "",
        "",
        "",
        &[("claude-haiku-4-5", 4), ("gpt-4.1-mini", 4), ("gpt-5-mini", 3)],
        0.16,
        Office,
        (1_500.0, 320.0),
    )
};

/// What the key of a service may use.
pub fn features(program: &Program) -> Vec<Feature> {
    let embeds = program.tokens.1 == 0.0;
    let sees = program.models.iter().any(|(name, _)| *name == "gpt-4.1");
    match (embeds, sees, program.narrowed) {
        (true, ..) => vec![Feature::Embeddings],
        (_, true, _) => vec![Feature::Vision, Feature::StructuredOutputs],
        (_, _, true) => vec![Feature::StructuredOutputs],
        _ => vec![Feature::Streaming, Feature::Tools, Feature::StructuredOutputs, Feature::Reasoning],
    }
}

/// What calls of a program mostly use, and how often of a hundred.
pub const fn habits(name: &str) -> &'static [(Feature, u32)] {
    // A const function cannot compare texts otherwise.
    match name.as_bytes() {
        b"coding-assistant" => &[(Feature::Tools, 82), (Feature::Reasoning, 20)],
        b"code-review" => &[(Feature::Tools, 60), (Feature::StructuredOutputs, 35)],
        b"research-bot" => &[(Feature::Tools, 45), (Feature::Reasoning, 30)],
        b"incident-bot" => &[(Feature::Tools, 70), (Feature::Streaming, 40)],
        b"image-notes" | b"invoice-reader" => &[(Feature::Vision, 96), (Feature::StructuredOutputs, 80)],
        b"ci-triage" | b"eval-harness" | b"relevance-judge" | b"lead-scoring" | b"ticket-router"
        | b"phishing-triage" => &[(Feature::StructuredOutputs, 93)],
        b"sql-helper" => &[(Feature::Tools, 90), (Feature::StructuredOutputs, 40)],
        b"support-assist" | b"mobile-helper" => &[(Feature::Tools, 35), (Feature::Streaming, 75)],
        b"contract-review" | b"demand-forecast" => {
            &[(Feature::Reasoning, 55), (Feature::StructuredOutputs, 50)]
        }
        _ => &[],
    }
}

/// For how many seconds the key of a program keeps answers, and how many of a hundred calls are
/// answered by one.
pub fn keeps(program: &str) -> Option<(u32, u64)> {
    match program {
        "query-rewriter" => Some((3_600, 22)),
        "ticket-router" => Some((900, 9)),
        _ => None,
    }
}

/// What is looked for in the input of a program, what becomes of it, and how many of a thousand calls
/// have it.
pub fn guards(program: &str) -> &'static [(Guard, Action, u64)] {
    match program {
        "support-assist" => &[(Guard::Email, Action::Mask, 64), (Guard::Card, Action::Refuse, 0)],
        "coding-assistant" => &[(Guard::Secret, Action::Observe, 7)],
        "contract-review" => &[(Guard::Iban, Action::Mask, 31), (Guard::Email, Action::Observe, 90)],
        _ => &[],
    }
}

/// A limit: day, who sets it, on what, how much. Spend in cents.
#[derive(Debug)]
pub struct Limit {
    pub day: i64,
    pub by: &'static str,
    pub scope: Scope,
    pub metric: Metric,
    pub window: Window,
    pub cap: i64,
    pub mode: Mode,
    /// What it is used up to once the story has reached the present, in per cent: the cap is
    /// changed then. None: left as it is.
    pub now: Option<i64>,
}

const fn budget(day: i64, scope: Scope, window: Window, cents: i64) -> Limit {
    Limit {
        day,
        by: "marek",
        scope,
        metric: Metric::Spend,
        window,
        cap: cents,
        mode: Mode::Enforce,
        now: None,
    }
}

const fn quota(day: i64, scope: Scope, metric: Metric, window: Window, cap: i64) -> Limit {
    Limit { day, by: "ada", scope, metric, window, cap, mode: Mode::Enforce, now: None }
}

use Metric::{ConcurrentCalls, InputTokens, OutputTokens, Requests, Tokens};
use Scope::{Application, Group as In, Member, Organization, Rule as By, User};
use Window::{Day, Hour, Minute, Month, Total, Week, Year};

pub const LIMITS: [Limit; 38] = [
    Limit { now: Some(74), ..budget(1, Organization, Month, 120_000) },
    Limit { mode: Mode::Observe, ..budget(1, Organization, Day, 6_000) },
    budget(1, Organization, Year, 1_200_000),
    Limit { now: Some(76), ..budget(1, In("Engineering"), Month, 60_000) },
    budget(2, In("Engineering/Platform"), Month, 35_000),
    Limit { now: Some(63), ..budget(2, In("Engineering/Research"), Month, 25_000) },
    budget(2, In("Engineering/Product"), Month, 12_000),
    Limit { now: Some(48), ..budget(1, In("Data"), Month, 10_000) },
    Limit { now: Some(93), ..budget(1, In("Marketing"), Month, 9_000) },
    Limit { mode: Mode::Observe, now: Some(118), ..budget(1, In("Sales"), Month, 8_000) },
    budget(1, In("Support"), Month, 18_000),
    quota(26, In("Support"), Requests, Hour, 4_000),
    budget(3, In("Finance"), Month, 5_000),
    budget(3, In("Legal"), Month, 6_000),
    quota(3, In("Human Resources"), Tokens, Month, 5_000_000),
    Limit { now: Some(88), ..budget(4, Application("code-review"), Month, 22_000) },
    budget(4, Application("coding-assistant"), Month, 30_000),
    quota(4, Application("coding-assistant"), ConcurrentCalls, Total, 24),
    quota(5, Application("search-index"), Tokens, Day, 6_000_000),
    quota(5, Application("query-rewriter"), Requests, Minute, 240),
    Limit { now: Some(81), ..budget(9, Application("eval-harness"), Week, 4_000) },
    quota(9, Application("campaign-writer"), Tokens, Day, 400_000),
    quota(12, Application("mobile-helper"), OutputTokens, Day, 900_000),
    quota(16, Application("contract-review"), InputTokens, Week, 4_000_000),
    quota(19, Application("ticket-router"), ConcurrentCalls, Total, 40),
    Limit { now: Some(84), ..budget(22, User("sam"), Month, 6_000) },
    Limit { now: Some(107), ..budget(22, User("jo"), Month, 4_000) },
    budget(22, User("lin"), Month, 15_000),
    budget(30, User("ada"), Month, 8_000),
    budget(35, Member("Engineering/Platform/Developer Tools", "sam"), Week, 2_500),
    Limit { by: "lin", ..budget(37, Member("Engineering", "ada"), Month, 5_000) },
    budget(0, By("Engineering/Research", OneTier("high-performance")), Day, 4_000),
    quota(0, By("Engineering/Research", OneTier("high-performance")), Requests, Hour, 600),
    budget(0, By("Engineering/Platform/Developer Tools", OneModel("claude-sonnet-4-5")), Week, 9_000),
    quota(13, By("Support/Second Line", OneModel("claude-sonnet-4-5")), Tokens, Day, 800_000),
    budget(16, By("Legal", OneModel("claude-sonnet-4-5")), Month, 5_000),
    Limit { by: "lin", ..budget(44, In("Engineering/Product/Mobile App"), Month, 2_500) },
    Limit { now: Some(58), ..budget(50, In("Engineering/Product/Search Relaunch"), Month, 4_000) },
];

/// Models by name, each with its weight.
type Steps = &'static [(&'static str, i32)];

/// Routes: name, whether by weight, models.
pub const POLICIES: [(&str, bool, Steps); 4] = [
    ("chat", false, &[("gpt-5-mini", 1), ("claude-haiku-4-5", 1), ("gpt-4.1-mini", 1)]),
    ("code", false, &[("claude-sonnet-4-5", 1), ("gpt-5", 1), ("claude-haiku-4-5", 1)]),
    ("spread", true, &[("gpt-4.1-mini", 3), ("gpt-5-mini", 1)]),
    ("cheap", false, &[("gpt-4.1-nano", 1), ("gpt-4.1-mini", 1)]),
];

/// Where calls go that name no model: group, policy.
pub const UNNAMED: [(&str, &str); 2] = [("Engineering", "code"), ("Marketing", "chat")];

/// A policy that does not wait as long for this model as for others, and tries it again.
pub const IMPATIENT: (&str, &str) = ("code", "claude-sonnet-4-5");
