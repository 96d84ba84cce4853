//! Mail from the real binary, to a mail server that listens on a real socket and speaks SMTP.

use std::{sync::Arc, time::Duration};

use domain::{
    groups::Standing,
    roles::{Act, Actor, Place, permit},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::harness::{Browser, PASSWORD, Server, set_up};

/// How long something that has to come may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came over the wire.
struct Letter {
    from: String,
    to: String,
    /// With every soft line break of quoted-printable undone.
    text: String,
}

/// A mail server. Answers the first so many recipients with another word.
struct Post {
    url: String,
    letters: mpsc::UnboundedReceiver<Letter>,
    /// What the next recipients are answered with, the last one first.
    moods: Arc<Mutex<Vec<&'static str>>>,
}

impl Post {
    async fn open(moods: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("smtp://{}", listener.local_addr().expect("an address"));
        let (sender, letters) = mpsc::unbounded_channel();
        let moods = Arc::new(Mutex::new(moods.to_vec()));
        let answers = Arc::clone(&moods);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone(), Arc::clone(&answers)));
            }
        });
        Self { url, letters, moods }
    }

    async fn letter(&mut self) -> Letter {
        tokio::time::timeout(PATIENCE, self.letters.recv()).await.expect("a mail in time").expect("a mail")
    }

    async fn server(&self) -> Server {
        let from = "Bursar <bursar@acme.example>".to_owned();
        Server::with_settings(vec![("BURSAR_SMTP_URL", self.url.clone()), ("BURSAR_MAIL_FROM", from)]).await
    }
}

async fn serve(
    stream: TcpStream,
    letters: mpsc::UnboundedSender<Letter>,
    moods: Arc<Mutex<Vec<&'static str>>>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 post.example ESMTP\r\n").await.ok()?;
    let (mut from, mut to) = (String::new(), String::new());
    while let Some(line) = lines.next_line().await.ok()? {
        let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
        let answer = match word.as_str() {
            "EHLO" => "250-post.example\r\n250 8BITMIME".to_owned(),
            "MAIL" => {
                line.clone_into(&mut from);
                "250 ok".to_owned()
            }
            "RCPT" => {
                line.clone_into(&mut to);
                moods.lock().pop().unwrap_or("250 ok").to_owned()
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut text = String::new();
                while let Some(line) = lines.next_line().await.ok()?.filter(|line| line != ".") {
                    text += &line;
                    text.push('\n');
                }
                let text = text.replace("=\n", "").replace("=3D", "=").replace("=E2=80=9C", "“");
                letters.send(Letter { from: from.clone(), to: to.clone(), text }).ok()?;
                "250 taken".to_owned()
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await.ok()?;
                return Some(());
            }
            _ => "250 ok".to_owned(),
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
    Some(())
}

/// The path of the invitation in a mail.
fn link(letter: &Letter) -> String {
    let start = letter.text.find("/join/").expect("a link");
    letter.text[start..].split(|c: char| c.is_whitespace() || c == '"').next().unwrap_or_default().to_owned()
}

async fn accept(server: &Server, path: &str, name: &str) -> (Browser, http::StatusCode) {
    let parts: Vec<&str> = path.split('/').collect();
    let [.., org, user, token] = parts.as_slice() else { panic!("{path}") };
    let somebody = server.browser();
    let fields = [("org", *org), ("user", *user), ("token", *token), ("name", name), ("password", PASSWORD)];
    let answer = somebody.post("/console/join/accept", &fields).await;
    (somebody, answer.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_goes_by_mail_is_sent_again_and_only_the_newer_link_works() {
    let mut post = Post::open(&[]).await;
    let server = post.server().await;
    let owner = set_up(&server, "Acme").await;
    let fields = [("name", "Mia"), ("email", "mia@acme.example"), ("role", "member")];
    let done = owner.must("/console/users/create", &fields).await;
    // Whoever invites does not see the link.
    assert!(done["once"].is_null(), "{done}");
    assert!(done["notice"].as_str().unwrap_or_default().contains("on its way to mia@acme.example"), "{done}");
    let first = post.letter().await;
    assert!(first.from.contains("<bursar@acme.example>"), "{}", first.from);
    assert!(first.to.contains("<mia@acme.example>"), "{}", first.to);
    assert!(first.text.contains("Subject: Olga invites you to Acme"), "{}", first.text);
    assert!(
        first.text.contains("Content-Type: text/plain") && first.text.contains("Content-Type: text/html")
    );
    assert!(first.text.contains(&format!("{}/join/", server.base)), "{}", first.text);

    let path = link(&first);
    let user = path.split('/').rev().nth(1).expect("a user").to_owned();
    // It is shown until when it works, and that the mail went.
    let page = async || owner.get(&format!("/users/{user}")).await.text;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !page().await.contains("Sent by mail") {
        assert!(tokio::time::Instant::now() < deadline, "the page says that the mail went");
    }
    assert!(page().await.contains("The link works until"));
    owner.must("/console/users/invite", &[("id", &user)]).await;
    let second = post.letter().await;
    assert_eq!(accept(&server, &path, "Mia").await.1, 404);
    let (mia, status) = accept(&server, &link(&second), "Mia").await;
    assert_eq!(status, 200);
    assert_eq!(mia.get("/my-models").await.status, 200);
    assert!(!page().await.contains("The link works until"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mail_server_cannot_take_now_is_sent_later_and_what_it_refuses_is_given_up_with_the_reason()
{
    // The last one is the first answer.
    let mut post = Post::open(&["550 5.1.1 no such person", "250 ok", "451 4.7.1 come back later"]).await;
    let server = post.server().await;
    let owner = set_up(&server, "Acme").await;
    let invite = async |name: &str, email: &str| {
        owner.must("/console/users/create", &[("name", name), ("email", email), ("role", "member")]).await;
    };
    invite("Mia", "mia@acme.example").await;
    let letter = post.letter().await;
    assert!(letter.to.contains("mia@acme.example"), "{}", letter.to);
    assert_eq!(post.moods.lock().len(), 1);
    invite("Noa", "noa@acme.example").await;
    let page = owner.get("/users").await.text;
    let start = page.find("noa@").expect("she is there");
    let before = &page[..start];
    let at = before.rfind("/users/usr_").expect("her page");
    let path = &page[at..at + "/users/usr_".len() + 26];
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let text = owner.get(path).await.text;
        if text.contains("The mail was not sent") {
            assert!(text.contains("no such person"), "{text}");
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the reason is shown: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_invited_again_by_mail_each_with_their_own_link() {
    let mut post = Post::open(&[]).await;
    let server = post.server().await;
    let owner = set_up(&server, "Acme").await;
    for name in ["mia", "noa"] {
        let email = format!("{name}@acme.example");
        owner.must("/console/users/create", &[("name", name), ("email", &email), ("role", "member")]).await;
        post.letter().await;
    }
    let go = owner
        .create("/console/batches/prepare", &[("all", "true"), ("action", "invite"), ("shown", "3")])
        .await;
    let id = go.split('?').next().unwrap_or_default().to_owned();
    let page = owner.get(&format!("/users/batch/{id}?action=invite")).await.text;
    let seen = crate::consequences::hidden(&page, "/console/batches/confirm", "seen");
    let fields = [("id", id.as_str()), ("action", "invite"), ("seen", &seen)];
    let done = owner.must("/console/batches/confirm", &fields).await;
    assert!(done["notice"].as_str().unwrap_or_default().contains("The mails are on their way"), "{done}");
    let (first, second) = (post.letter().await, post.letter().await);
    assert_ne!(first.to, second.to);
    assert_ne!(link(&first), link(&second));
    assert_eq!(accept(&server, &link(&second), "Somebody").await.1, 200);
}

#[test]
fn a_server_that_is_to_send_mail_needs_an_address_to_send_it_from_and_never_prints_the_password() {
    let data = crate::harness::TempDir::new();
    for (url, from) in
        [("smtps://me:hunter2@post.example", None), ("hunter2", Some("Bursar <b@acme.example>"))]
    {
        let mut command = crate::harness::command("", data.path());
        command.arg("serve").env("BURSAR_SMTP_URL", url);
        if let Some(from) = from {
            command.env("BURSAR_MAIL_FROM", from);
        }
        let output = command.output().expect("it runs");
        let text =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{text}");
        assert!(text.contains("BURSAR_") && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_by_mail_to_whoever_decides_and_the_answer_to_whoever_asked() {
    let mut post = Post::open(&[]).await;
    let server = post.server().await;
    let owner = set_up(&server, "Acme").await;
    let team =
        owner.create("/console/groups/create", &[("name", "Team"), ("kind", "custom"), ("parent", "")]).await;
    let fields = [("name", "Mia"), ("email", "mia@acme.example"), ("role", "member")];
    owner.must("/console/users/create", &fields).await;
    let path = link(&post.letter().await);
    let user = path.split('/').find(|part| part.starts_with("usr_")).expect("her id").to_owned();
    owner.must("/console/groups/add-member", &[("group", &team), ("user", &user)]).await;
    let (mia, status) = accept(&server, &path, "Mia").await;
    assert_eq!(status, 200);
    let fields = [("name", "House"), ("dialect", "openai"), ("base_url", "https://models.example/v1")];
    let provider = owner.create("/console/providers/create", &fields).await;
    owner.must("/console/models/create-tier", &[("name", "dear")]).await;
    let page = owner.get("/models").await.text;
    let tier = crate::world::id_at(&page[page.find(">dear<").expect("the tier")..], "tir_");
    let fields = [
        ("name", "big-chat"),
        ("provider", &provider),
        ("upstream", "x"),
        ("modality", "chat"),
        ("tier", &tier),
        ("context_tokens", ""),
        ("max_output_tokens", ""),
        ("price_input", "1"),
        ("price_output", "1"),
    ];
    let model = owner.create("/console/models/create", &fields).await;
    owner.must("/console/models/accept", &[("id", &model), ("version", "1")]).await;
    let target = format!("model:{model}");
    let fields = [("group", team.as_str()), ("target", &target), ("state", "by_request")];
    owner.must("/console/authorizations/set", &fields).await;

    let (whom, day) = (format!("me:{team}"), crate::world::last_day());
    let ask = [
        ("model", model.as_str()),
        ("whom", &whom),
        ("reason", "to compare"),
        ("amount", "5"),
        ("per", "month"),
        ("ends_on", &day),
    ];
    for (path, answer, subject) in [
        ("refuse", ("answer", "Use another one."), "Your request for big-chat was refused"),
        ("approve", ("amount", "4"), "big-chat is yours to call"),
    ] {
        let request = mia.create("/console/requests/create", &ask).await;
        let asked = post.letter().await;
        assert!(asked.to.contains("olga@acme.example"), "{}", asked.to);
        assert!(asked.text.contains("Mia asks for big-chat"), "{}", asked.text);
        assert!(asked.text.contains(&format!("/requests/{request}")), "{}", asked.text);
        let fields = [("id", request.as_str()), answer, ("ends_on", &day)];
        owner.must(&format!("/console/requests/{path}"), &fields).await;
        let answered = post.letter().await;
        assert!(answered.to.contains("mia@acme.example"), "{}", answered.to);
        assert!(answered.text.contains(subject), "{}", answered.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_secret_is_told_by_mail_to_whoever_answers_for_it_and_to_those_who_run_the_organization() {
    let mut post = Post::open(&[]).await;
    let server = post.server().await;
    let owner = set_up(&server, "Acme").await;
    for (name, role) in [("Adam", "admin"), ("Mia", "member"), ("Noa", "member")] {
        let email = format!("{}@acme.example", name.to_lowercase());
        owner.must("/console/users/create", &[("name", name), ("email", &email), ("role", role)]).await;
        let path = link(&post.letter().await);
        assert_eq!(accept(&server, &path, name).await.1, 200);
    }
    let group = [("name", "Research"), ("kind", "custom"), ("parent", "")];
    let group = owner.create("/console/groups/create", &group).await;
    let app = owner.create("/console/applications/create", &[("name", "bot"), ("group", &group)]).await;
    let page = owner.get("/users?q=mia").await.text;
    let mia = crate::world::id_at(&page, "usr_");
    let page = owner.get(&format!("/applications/{app}?dialog=hand-over")).await.text;
    let was =
        page.split("name=\"was\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
    let give = [("id", app.as_str()), ("was", was), ("user", &mia)];
    owner.must("/console/applications/hand-over", &give).await;
    let letter = post.letter().await;
    assert!(letter.text.contains("Olga handed it to you"), "{}", letter.text);
    let page = owner.get(&format!("/applications/{app}?dialog=secret")).await.text;
    let key = crate::world::id_at(&page, "key_");
    let done = owner.must("/console/keys/issue", &[("application", &app), ("key", &key)]).await;
    let secret = done["once"]["Secret"]["secret"].as_str().expect("a secret").to_owned();

    let kind = [("content-type", "text/plain")];
    let stranger = server.browser();
    let told = stranger.send(http::Method::POST, "/api/v1/secrets/leaked", &kind, secret.clone()).await;
    assert_eq!(told.status, 202);
    let mut to = Vec::new();
    for _ in 0..3 {
        let letter = post.letter().await;
        assert!(letter.text.contains("leaked"), "{}", letter.text);
        assert!(letter.text.contains(&format!("{}/applications/{app}", server.base)), "{}", letter.text);
        assert!(letter.text.contains(&secret[secret.len() - 4..]), "which one: {}", letter.text);
        assert!(!letter.text.contains(&secret), "and never the secret itself");
        to.push(letter.to);
    }
    for name in ["olga", "adam", "mia"] {
        assert!(to.iter().any(|to| to.contains(&format!("{name}@acme.example"))), "{name}: {to:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_test_that_a_date_breaks_is_told_to_those_who_run_the_organization_and_stands_as_broken() {
    let mut post = Post::open(&[]).await;
    let server = post.server().await;
    let owner = set_up(&server, "Acme").await;
    for (name, role) in [("Adam", "admin"), ("Mia", "member")] {
        let email = format!("{}@acme.example", name.to_lowercase());
        owner.must("/console/users/create", &[("name", name), ("email", &email), ("role", role)]).await;
        let path = link(&post.letter().await);
        assert_eq!(accept(&server, &path, name).await.1, 200);
    }
    crate::load::secret(&owner, "http://127.0.0.1:9").await;
    let mia = crate::world::id_at(&owner.get("/users?q=mia").await.text, "usr_");
    let team = crate::world::id_at(&owner.get("/groups").await.text, "grp_");
    let model = crate::world::id_at(&owner.get("/models").await.text, "mdl_");
    owner.must("/console/groups/add-member", &[("group", &team), ("user", &mia)]).await;
    let (subject, target) = (format!("user:{mia}"), format!("model:{model}"));
    let fields = [("name", "Mia has it"), ("subject", &subject), ("target", &target), ("expected", "open")];
    owner.must("/console/access-tests/create", &fields).await;
    let tests = owner.get("/authorization/tests").await.text;
    assert!(tests.contains("1, all hold"), "{tests}");

    // The form takes days; here her time in the group is over in a moment.
    let key = crate::demo::key_in(server.data());
    let store = store::Store::connect(&server.database, 2, key).await.expect("the database");
    let org = store::testing::only_organization(&store).await;
    let ends = store::clock::now() + chrono::Duration::seconds(1);
    let permit = permit(&Actor::bursar(org), Act::EditMembers, Place::Organization).expect("it may");
    let mut change = store::Change::begin(&store, permit).await.expect("a change");
    let (team, mia) = (team.parse().expect("an id"), mia.parse().expect("an id"));
    store::groups::set_member(&mut change, team, mia, Standing::Member, Some(ends)).await.expect("it");
    change.commit().await.expect("nothing breaks yet");
    while store::clock::now() <= ends {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It is looked at when a process starts, and every minute after that.
    let server = server.crash_and_restart();
    let mut to = Vec::new();
    for _ in 0..2 {
        let letter = post.letter().await;
        assert!(letter.text.contains("no longer holds"), "{}", letter.text);
        assert!(letter.text.contains("expected open, and small is closed for Mia"), "{}", letter.text);
        assert!(letter.text.contains(&format!("{}/authorization/tests", server.base)), "{}", letter.text);
        to.push(letter.to);
    }
    for name in ["olga", "adam"] {
        assert!(to.iter().any(|to| to.contains(&format!("{name}@acme.example"))), "{name}: {to:?}");
    }
    let owner = again(&server, "olga@acme.example").await;
    let notices = owner.get("/notices").await.text;
    assert!(notices.contains("The pinned test “Mia has it” no longer holds"), "{notices}");
    let tests = owner.get("/authorization/tests").await.text;
    for part in ["1, 1 fail", "expected open, and small is closed for Mia", "a date came, no change did it"] {
        assert!(tests.contains(part), "{part}: {tests}");
    }
    // Another look tells nobody again.
    let server = server.crash_and_restart();
    let owner = again(&server, "olga@acme.example").await;
    owner.must("/console/groups/create", &[("name", "Other"), ("kind", "custom"), ("parent", "")]).await;
    let notices = owner.get("/notices?show=all").await.text;
    assert_eq!(notices.matches("<b>The pinned test").count(), 1, "{notices}");
    assert!(post.letters.try_recv().is_err(), "and no third mail");
}

/// Signs in anew, on a server that started again.
async fn again(server: &Server, email: &str) -> Browser {
    let somebody = server.browser();
    let fields = [("email", email), ("password", PASSWORD), ("next", "")];
    somebody.must("/console/accounts/sign-in", &fields).await;
    somebody
}

/// Tries a password: the status, and the sentence.
async fn sign_in(server: &Server, email: &str, password: &str) -> http::StatusCode {
    let fields = [("email", email), ("password", password), ("next", "")];
    server.browser().post("/console/accounts/sign-in", &fields).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_forgot_a_password_chooses_another_with_a_link_that_goes_to_their_sign_in_and_works_once() {
    let mut post = Post::open(&[]).await;
    let server = post.server().await;
    let owner = set_up(&server, "Acme").await;
    let fields = [("name", "Mia"), ("email", "mia@acme.example"), ("role", "member")];
    owner.must("/console/users/create", &fields).await;
    let (mia, joined) = accept(&server, &link(&post.letter().await), "Mia").await;
    assert_eq!(joined, 200);
    // Whoever edits people says that she has another address here. Her sign-in is not theirs.
    let id = crate::world::id_at(&owner.get("/users?q=mia").await.text, "usr_");
    let form = owner.get(&format!("/users/{id}?dialog=edit")).await.text;
    let shown = form.split("name=\"version\" value=\"").nth(1).expect("a version");
    let version = shown.split('"').next().expect("a number");
    let edited = [
        ("id", id.as_str()),
        ("version", version),
        ("name", "Mia"),
        ("email", "thief@acme.example"),
        ("role", "member"),
    ];
    owner.must("/console/users/edit", &edited).await;

    // Nobody learns who is known.
    let (known, unknown) = ("mia@acme.example", "nobody@acme.example");
    let ask =
        async |email: &str| server.browser().must("/console/passwords/forgot", &[("email", email)]).await;
    assert_eq!(ask(unknown).await, ask(known).await);
    assert_eq!(ask("thief@acme.example").await, ask(unknown).await);
    let first = post.letter().await;
    assert!(first.to.contains("mia@acme.example"), "{}", first.to);
    ask(known).await;
    let second = post.letter().await;
    assert!(second.to.contains("mia@acme.example"), "nobody else is written to: {}", second.to);
    let token = |letter: &Letter| {
        let start = letter.text.find("/password/").expect("a link") + "/password/".len();
        letter.text[start..].chars().take_while(char::is_ascii_alphanumeric).collect::<String>()
    };
    let (old, new) = (token(&first), token(&second));
    assert_eq!(
        server.browser().get(&format!("/password/{old}")).await.status,
        404,
        "a newer one took its place"
    );
    let page = server.browser().get(&format!("/password/{new}")).await;
    assert!(page.status == 200 && page.text.contains("mia@acme.example"), "{}", page.text);

    let choose = async |token: &str, password: &str| {
        let fields = [("token", token), ("password", password), ("again", password)];
        server.browser().post("/console/passwords/reset", &fields).await.status
    };
    let other = "another calm green ledger";
    assert_eq!(choose(&old, other).await, 422);
    assert_eq!(choose(&new, "short").await, 422, "the link still works");
    assert_eq!(mia.get("/my-models").await.status, 200);
    assert_eq!(choose(&new, other).await, 200);
    assert_eq!(mia.get("/my-models").await.status, 302, "every session has ended");
    assert_eq!(sign_in(&server, known, PASSWORD).await, 422);
    assert_eq!(sign_in(&server, known, other).await, 200);
    assert_eq!(choose(&new, "a third calm green ledger").await, 422, "it works once");
    assert_eq!(sign_in(&server, known, other).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_mail_whoever_runs_the_installation_prints_the_link() {
    let server = Server::start().await;
    set_up(&server, "Acme").await;
    let asked = server.browser().post("/console/passwords/forgot", &[("email", "olga@acme.example")]).await;
    assert!(
        asked.status == 422 && asked.text.contains("bursar password olga@acme.example"),
        "{}",
        asked.text
    );
    let program = |email: &str| {
        let output = server.program(&["password", email]);
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(!program("nobody@acme.example").0);
    let (fine, text) = program("olga@acme.example");
    assert!(fine, "{text}");
    let token = text.lines().next().and_then(|line| line.rsplit('/').next()).expect("a link").to_owned();
    let other = "another calm green ledger";
    let fields = [("token", token.as_str()), ("password", other), ("again", other)];
    server.browser().must("/console/passwords/reset", &fields).await;
    assert_eq!(sign_in(&server, "olga@acme.example", other).await, 200);
}
