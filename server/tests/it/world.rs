//! A small organization with one of each role and one of each thing, for tests that go through all of
//! the console.

use std::{collections::BTreeMap, sync::Arc};

use http::Method;

use crate::harness::{Browser, PASSWORD, Server, join, set_up};

/// Those who try, in the order of the table's columns.
pub const WHO: [&str; 8] = ["nobody", "member", "lead", "other", "auditor", "admin", "owner", "stranger"];

/// A price list with one model.
const PRICE_LIST: &str = r#"{"listed":{"litellm_provider":"openai","mode":"chat","input_cost_per_token":1.5e-07,"output_cost_per_token":6e-07}}"#;

/// A small organization with one of each role, and somebody who owns another organization.
pub struct World {
    pub server: Arc<Server>,
    pub owner: Browser,
    pub people: Vec<Browser>,
    pub ids: BTreeMap<&'static str, String>,
    counter: u32,
}

impl World {
    pub async fn new() -> Self {
        let server = Arc::new(Server::start().await);
        let owner = set_up(&server, "Acme").await;
        // Another organization of the same installation, with an owner who belongs to no other.
        let founder = server.browser();
        let signed_in = [("email", "olga@acme.example"), ("password", PASSWORD)];
        founder.must("/console/accounts/sign-in", &signed_in).await;
        founder
            .must(
                "/console/setup/organization",
                &[("name", "Other"), ("time_zone", "UTC"), ("default_user_limit", "")],
            )
            .await;
        let (_, stranger) = join(&server, &founder, "Stan", "owner").await;
        Self::of(server, owner, "Olga", stranger, ["Adam", "Aude", "Mia", "Leo", "Lea"]).await
    }

    /// The same in the other organization, whose owner is the stranger.
    pub async fn twin(&self) -> Self {
        let stranger = self.people.last().expect("somebody").clone();
        let names = ["Alma", "Anton", "Milo", "Lara", "Luis"];
        Self::of(Arc::clone(&self.server), stranger, "Stan", self.owner.clone(), names).await
    }

    /// Fills an organization: an admin, an auditor, a member, a lead and another lead.
    async fn of(
        server: Arc<Server>,
        owner: Browser,
        owner_name: &str,
        stranger: Browser,
        [admin, auditor, member, lead, other]: [&str; 5],
    ) -> Self {
        let group = |name: &'static str, parent: String| {
            let owner = owner.clone();
            async move {
                owner
                    .create(
                        "/console/groups/create",
                        &[("name", name), ("kind", "custom"), ("parent", &parent)],
                    )
                    .await
            }
        };
        let top = group("Engineering", String::new()).await;
        let team = group("Research", top.clone()).await;
        let elsewhere = group("Marketing", String::new()).await;
        let (_, admin) = join(&server, &owner, admin, "admin").await;
        let (_, auditor) = join(&server, &owner, auditor, "auditor").await;
        let (member_id, member) = join(&server, &owner, member, "member").await;
        let (lead_id, lead) = join(&server, &owner, lead, "member").await;
        let (other_id, other) = join(&server, &owner, other, "member").await;
        for (group, user, leads) in
            [(&team, &lead_id, "true"), (&elsewhere, &other_id, "true"), (&team, &member_id, "false")]
        {
            owner
                .must("/console/groups/add-member", &[("group", group), ("user", user), ("lead", leads)])
                .await;
        }
        let below = group("Vision", team.clone()).await;
        let ids = BTreeMap::from([
            ("below", below),
            ("top", top),
            ("team", team),
            ("elsewhere", elsewhere),
            ("member", member_id),
            ("lead", lead_id),
        ]);
        let people = vec![server.browser(), member, lead, other, auditor, admin, owner.clone(), stranger];
        let mut world = Self { server, owner, people, ids, counter: 0 };
        let settings = world.owner.must("/console/organizations/settings", &[]).await;
        let name = settings["organization"]["name"].as_str().expect("its name").to_owned();
        world.ids.insert("org name", name);
        let id = world.id_in_page(&format!("/users?q={owner_name}"), "usr_", owner_name).await;
        world.ids.insert("owner", id);
        world.ids.insert("pricelist", PRICE_LIST.to_owned());
        for thing in [
            "provider", "vendor", "tier", "model", "app", "call", "request", "webhook", "delivery",
            "receipt", "review", "invoice",
        ] {
            let id = world.fresh(thing).await;
            world.ids.insert(thing, id);
        }
        world
    }

    /// A new thing, made by the owner; its id.
    pub async fn fresh(&mut self, thing: &str) -> String {
        self.counter += 1;
        let name = format!("{thing}-{}", self.counter);
        let id = |key: &str| self.ids.get(key).cloned().unwrap_or_default();
        let owner = self.owner.clone();
        match thing {
            "group" => {
                owner
                    .create(
                        "/console/groups/create",
                        &[("name", &name), ("kind", "custom"), ("parent", &id("team"))],
                    )
                    .await
            }
            "provider" => {
                let fields = [
                    ("name", name.as_str()),
                    ("dialect", "openai"),
                    ("base_url", "https://models.example/v1"),
                ];
                owner.create("/console/providers/create", &fields).await
            }
            // Told by its name to be a vendor that the price book knows.
            "vendor" => {
                let fields =
                    [("name", "OpenAI"), ("dialect", "openai"), ("base_url", "https://models.example/v1")];
                owner.create("/console/providers/create", &fields).await
            }
            "list" => {
                let fields = [("text", PRICE_LIST)];
                owner.create("/console/price-lists/read", &fields).await
            }
            "tier" => {
                owner.must("/console/models/create-tier", &[("name", &name)]).await;
                self.id_in_page("/models", "tir_", &name).await
            }
            "model" => {
                let (provider, tier) = (id("provider"), id("tier"));
                let fields = [
                    ("name", name.as_str()),
                    ("provider", &provider),
                    ("upstream", "x"),
                    ("modality", "chat"),
                    ("tier", &tier),
                    ("context_tokens", ""),
                    ("max_output_tokens", ""),
                    ("price_input", "1"),
                    ("price_output", "1"),
                ];
                owner.create("/console/models/create", &fields).await
            }
            "app" => {
                owner.create("/console/applications/create", &[("name", &name), ("group", &id("team"))]).await
            }
            "user" => {
                let email = format!("{name}@acme.example");
                let done = owner
                    .must("/console/users/create", &[("name", &name), ("email", &email), ("role", "member")])
                    .await;
                let link = done["once"]["Link"]["url"].as_str().unwrap_or_default().to_owned();
                link.split('/').find(|part| part.starts_with("usr_")).unwrap_or_default().to_owned()
            }
            "member" => {
                let (group, user) = (id("team"), Box::pin(self.fresh("user")).await);
                owner.must("/console/groups/add-member", &[("group", &group), ("user", &user)]).await;
                user
            }
            "invoice" => {
                let provider = id("provider");
                // The same lines are brought once only.
                let text = format!("date,model,cost\n2026-01-01,{name},1");
                let fields =
                    [("provider", provider.as_str()), ("name", name.as_str()), ("text", text.as_str())];
                owner.create("/console/invoices/create", &fields).await
            }
            "receipt" => {
                let user = Box::pin(self.fresh("user")).await;
                let fields = [("id", user.as_str()), ("suspended", "true")];
                owner.create("/console/users/suspend", &fields).await
            }
            // Somebody with what it takes to remove them.
            "named" => {
                let user = Box::pin(self.fresh("user")).await;
                format!("{user}&version=1&typed=user-{}", self.counter)
            }
            "review" => {
                let (group, day) = (id("team"), own_day(self.counter));
                let fields = [("group", group.as_str()), ("due_on", &day), ("below", "true")];
                owner.create("/console/reviews/open", &fields).await
            }
            "batch" => {
                let user = Box::pin(self.fresh("user")).await;
                let fields = [("users[]", user.as_str()), ("action", "suspend")];
                let path = owner.create("/console/batches/prepare", &fields).await;
                path.split('?').next().unwrap_or_default().to_owned()
            }
            "draft" | "saved" => {
                let (tier, group) = (id("tier"), Box::pin(self.fresh("group")).await);
                let edits = format!("{group}~tier:{tier}~open~~~~");
                let path = owner.create("/console/authorizations/stage", &[("edits", &edits)]).await;
                let draft = path.split('?').next().unwrap_or_default().to_owned();
                if thing == "saved" {
                    owner.must("/console/authorizations/save", &[("id", &draft)]).await;
                }
                draft
            }
            "rehearsal" => {
                let (group, tier) = (id("team"), Box::pin(self.fresh("tier")).await);
                let target = format!("tier:{tier}");
                let fields = [("group", group.as_str()), ("target", &target), ("state", "closed")];
                let path = owner.create("/console/rehearsals/authorization", &fields).await;
                path.split('?').next().unwrap_or_default().to_owned()
            }
            // A group that {lead} leads, alone.
            "led" => {
                let lead = id("lead");
                let group = Box::pin(self.fresh("group")).await;
                let fields = [("group", group.as_str()), ("user", &lead), ("lead", "true")];
                owner.must("/console/groups/add-member", &fields).await;
                group
            }
            "observed" => {
                let (group, tier) = (id("team"), Box::pin(self.fresh("tier")).await);
                let (target, name) = (format!("tier:{tier}"), format!("tier tier-{} for", self.counter));
                let fields = [
                    ("group", group.as_str()),
                    ("target", &target),
                    ("state", "closed"),
                    ("mode", "observe"),
                ];
                owner.must("/console/authorizations/set", &fields).await;
                self.id_in_page("/authorization/observed", "aut_", &name).await
            }
            "test" => {
                let (group, tier) = (id("team"), Box::pin(self.fresh("tier")).await);
                let (subject, target) = (format!("group:{group}"), format!("tier:{tier}"));
                let fields = [
                    ("name", name.as_str()),
                    ("subject", &subject),
                    ("target", &target),
                    ("expected", "not_open"),
                ];
                owner.must("/console/access-tests/create", &fields).await;
                self.id_in_page("/authorization/tests", "tst_", &name).await
            }
            "policy" => {
                let model = self.name_of("model").await;
                let fields = [("name", name.as_str()), ("routing", "fallback"), ("steps", &model)];
                owner.must("/console/policies/save", &fields).await;
                self.id_in_page("/policies", "pol_", &name).await
            }
            "secret" => {
                let (app, key) = (id("app"), self.key_of(&id("app")).await);
                owner.must("/console/keys/issue", &[("application", &app), ("key", &key)]).await;
                self.last_id_in_page(&format!("/applications/{app}"), "sec_").await
            }
            "asked" => {
                let model = Box::pin(self.fresh("model")).await;
                owner.must("/console/models/accept", &[("id", &model), ("version", "1")]).await;
                let (group, target) = (self.ids["team"].clone(), format!("model:{model}"));
                let fields = [("group", group.as_str()), ("target", &target), ("state", "by_request")];
                owner.must("/console/authorizations/set", &fields).await;
                model
            }
            "request" => {
                let model = Box::pin(self.fresh("asked")).await;
                let (whom, day) = (format!("me:{}", self.ids["team"]), last_day());
                let fields = [
                    ("model", model.as_str()),
                    ("whom", &whom),
                    ("reason", "to compare"),
                    ("amount", "5"),
                    ("per", "month"),
                    ("ends_on", &day),
                ];
                self.people[1].create("/console/requests/create", &fields).await
            }
            "grant" => {
                let request = Box::pin(self.fresh("request")).await;
                let fields = [("id", request.as_str()), ("amount", "5"), ("ends_on", &last_day())];
                owner.must("/console/requests/approve", &fields).await;
                request
            }
            "webhook" => {
                // Digits that lead to this machine: nothing is sent anywhere.
                let url = format!("https://2130706433/{name}");
                owner.must("/console/webhooks/create", &[("url", &url), ("kinds[0]", "limit")]).await;
                let page = owner.get("/alerts/settings").await.text;
                let before = &page[..page.find(&name).unwrap_or_else(|| panic!("{name} is not there"))];
                id_at(&before[before.rfind("whk_").expect("its address")..], "whk_")
            }
            "delivery" => {
                let webhook = id("webhook");
                owner.must("/console/webhooks/test", &[("id", &webhook)]).await;
                let log =
                    owner.must("/console/webhooks/get", &[("id", webhook.as_str()), ("after", "")]).await;
                let id: domain::ids::DeliveryId =
                    serde_json::from_value(log["deliveries"][0]["id"].clone()).expect("a delivery");
                id.to_string()
            }
            "call" => {
                let secret = self.secret().await;
                let bearer = format!("Bearer {secret}");
                let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
                let body = r#"{"model":"nothing","messages":[{"role":"user","content":"hi"}]}"#;
                let program = self.server.browser();
                let answer = program.send(Method::POST, "/v1/chat/completions", &headers, body.to_owned());
                let answer = answer.await;
                let id = answer.headers["x-request-id"].to_str().expect("an id").to_owned();
                // It is written down a moment later.
                while owner.get(&format!("/calls/{id}")).await.status != 200 {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                id
            }
            "limit" => {
                let group = Box::pin(self.fresh("group")).await;
                let scope = format!("group:{group}");
                let fields =
                    [("scope", scope.as_str()), ("metric", "requests"), ("window", "year"), ("cap", "5")];
                owner.must("/console/limits/set", &fields).await;
                self.last_id_in_page(&format!("/groups/{group}"), "lim_").await
            }
            // A model that waits, and one that was accepted, as somebody was shown it.
            "waiting" => {
                let model = Box::pin(self.fresh("model")).await;
                format!("{model}&seen[{model}]=1")
            }
            "accepted" => {
                let model = Box::pin(self.fresh("asked")).await;
                format!("{model}&seen[{model}]=2")
            }
            // An application with its key, as two fields.
            "pair" => {
                let app = Box::pin(self.fresh("app")).await;
                let key = self.key_of(&app).await;
                format!("{app}&key={key}")
            }
            // A review with a line of it, as two fields.
            "line" => {
                let review = Box::pin(self.fresh("review")).await;
                let line = self.last_id_in_page(&format!("/reviews/{review}"), "rvi_").await;
                format!("{review}&items[]={line}")
            }
            _ => panic!("nothing is called {thing}"),
        }
    }

    /// The first id with this prefix behind a name on a page.
    pub async fn id_in_page(&self, path: &str, prefix: &str, name: &str) -> String {
        let page = self.owner.get(path).await.text;
        let after = &page[page.find(name).unwrap_or_else(|| panic!("{name} is not on {path}"))..];
        id_at(after, prefix)
    }

    async fn last_id_in_page(&self, path: &str, prefix: &str) -> String {
        let page = self.owner.get(path).await.text;
        id_at(&page, prefix)
    }

    async fn key_of(&self, app: &str) -> String {
        self.last_id_in_page(&format!("/applications/{app}?dialog=secret"), "key_").await
    }

    /// A secret of the application.
    pub async fn secret(&self) -> String {
        let app = &self.ids["app"];
        let key = self.key_of(app).await;
        let done = self.owner.must("/console/keys/issue", &[("application", app), ("key", &key)]).await;
        done["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned()
    }

    pub async fn name_of(&self, thing: &str) -> String {
        let page = self.owner.get(&format!("/{thing}s/{}", self.ids[thing])).await.text;
        let start = page.find("<h1>").map_or(0, |at| at + 4);
        page[start..].split('<').next().unwrap_or_default().to_owned()
    }

    /// What `{team}`, `{new group}` or `{n}` stands for.
    pub async fn value(&mut self, what: &str) -> String {
        match what {
            "n" => {
                self.counter += 1;
                self.counter.to_string()
            }
            "day" => last_day(),
            // Another one each time: of two reviews that are the same the second is not opened.
            "own day" => {
                self.counter += 1;
                own_day(self.counter)
            }
            // Of the organization's calendar: its first report is of the month it was made in.
            "month" => {
                let zone = "Europe/Berlin".parse().expect("a zone");
                let calendar = domain::window::Calendar { zone, week_start: chrono::Weekday::Mon };
                calendar.day(store::clock::now()).format("%Y-%m").to_string()
            }
            "key" => {
                let app = self.ids["app"].clone();
                self.key_of(&app).await
            }
            "org" => {
                self.ids.get("org").cloned().unwrap_or_else(|| "org_00000000000000000000000000".to_owned())
            }
            // A new thing with what it takes to end it.
            "typed secret" => {
                let secret = Box::pin(self.fresh("secret")).await;
                let page = self.owner.get(&format!("/applications/{}", self.ids["app"])).await.text;
                let before = &page[..page.find(&secret).expect("the secret")];
                let tail = &before[before.rfind('…').expect("its end") + '…'.len_utf8()..];
                format!("{secret}&typed={}", tail.chars().take(4).collect::<String>())
            }
            what if what.starts_with("typed ") => {
                let thing = what.trim_start_matches("typed ").to_owned();
                let name = format!("{thing}-{}", self.counter + 1);
                let id = Box::pin(self.fresh(&thing)).await;
                let name = if thing == "webhook" { format!("https://2130706433/{name}") } else { name };
                format!("{id}&version=1&typed={name}")
            }
            what => match what.strip_prefix("new ") {
                Some(thing) => Box::pin(self.fresh(thing)).await,
                None => self.ids.get(what).unwrap_or_else(|| panic!("nothing is called {what}")).clone(),
            },
        }
    }

    /// Fills a template in.
    pub async fn fill(&mut self, template: &str) -> String {
        let mut out = String::new();
        for (text, what) in parts(template) {
            out += text;
            if let Some(what) = what {
                out += &self.value(what).await;
            }
        }
        out
    }
}

/// A template in pieces: text, and what is to be filled in behind it.
pub fn parts(template: &str) -> Vec<(&str, Option<&str>)> {
    let (mut pieces, mut rest) = (Vec::new(), template);
    while let Some(start) = rest.find('{') {
        let end = start + rest[start..].find('}').expect("a closing brace");
        pieces.push((&rest[..start], Some(&rest[start + 1..end])));
        rest = &rest[end + 1..];
    }
    pieces.push((rest, None));
    pieces
}

/// A day on which a grant may end.
/// One of three hundred days to come.
fn own_day(number: u32) -> String {
    let days = 11 + u64::from(number % 300);
    (store::clock::now().date_naive() + chrono::Days::new(days)).to_string()
}

pub fn last_day() -> String {
    (store::clock::now() + chrono::Duration::days(10)).date_naive().to_string()
}

pub fn id_at(text: &str, prefix: &str) -> String {
    let start = text.find(prefix).unwrap_or_else(|| panic!("no {prefix} on the page: {text}"));
    text[start..].chars().take(prefix.len() + 26).collect()
}
